//! Progress on standard error, on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The line at the foot of the terminal, while there is one.
static FOOT: OnceLock<ProgressBar> = OnceLock::new();

/// A line at the foot of the terminal that is written anew; what is logged stays above it.
#[derive(Debug)]
pub struct Foot(ProgressBar);

impl Foot {
    /// `None` where standard error is no terminal, or has one already.
    #[must_use]
    pub fn start() -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::new_spinner();
        FOOT.set(bar.clone()).ok()?;
        bar.enable_steady_tick(Duration::from_millis(250));
        Some(Self(bar))
    }

    pub fn tell(&self, line: String) {
        self.0.set_message(line);
    }
}

impl Drop for Foot {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Standard error, above the line at its foot.
#[derive(Debug, Clone, Copy)]
pub struct AboveFoot;

impl Write for AboveFoot {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().write(bytes);
        FOOT.get().map_or_else(write, |bar| bar.suspend(write))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A bar with rate and time left, or a spinner where the end is not known.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Of `total` bytes.
    #[must_use]
    pub fn bytes(doing: &str, total: u64) -> Self {
        Self::bar(
            doing,
            total,
            "{msg:12} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
        )
    }

    /// Of `total` things.
    #[must_use]
    pub fn count(doing: &str, total: u64) -> Self {
        Self::bar(
            doing,
            total,
            "{msg:12} [{bar:32}] {human_pos}/{human_len} {per_sec}, {eta} left",
        )
    }

    /// Without a known end.
    #[must_use]
    pub fn spinner(doing: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(doing.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    fn bar(doing: &str, total: u64, template: &str) -> Self {
        let style = ProgressStyle::with_template(template)
            .expect("the templates are constants that parse")
            .progress_chars("=> ");
        Self(
            ProgressBar::new(total)
                .with_style(style)
                .with_message(doing.to_owned()),
        )
    }

    pub fn advance(&self, by: u64) {
        self.0.inc(by);
    }

    /// What is being done now.
    pub fn tell(&self, doing: &str) {
        self.0.set_message(doing.to_owned());
    }

    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
