//! Progress on standard error, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

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
