//! The live line of `run` on a terminal: whether it is ready, how much it reads, how far the figures are.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::adapters::clock::Clock;
use crate::adapters::figures::Figures;
use crate::adapters::progress::Foot;
use crate::domain::time::Timestamp;
use crate::service::{Health, Stop};

/// Between two looks.
const PACE: Duration = Duration::from_secs(1);

/// The line while it is there; gone when dropped.
pub struct Status {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

/// What is told.
#[derive(Debug, Clone, Default)]
struct Seen {
    reasons: Vec<String>,
    /// Nothing where nothing is served: the figures are followed for those who look at them.
    records: Option<i64>,
    tasks: usize,
    as_of: Option<Timestamp>,
}

impl Status {
    /// `None` where standard error is no terminal.
    #[must_use]
    pub fn start(figures: Option<Arc<Figures>>, health: Arc<Health>, clock: Clock) -> Option<Self> {
        let foot = Foot::start()?;
        let stop = Stop::default();
        let stopped = stop.clone();
        let work = move || {
            let mut before = None;
            loop {
                let seen = Seen::of(figures.as_deref(), &health);
                foot.tell(line(&seen, before, clock.now()));
                before = seen.records;
                if stopped.wait(PACE) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("status".to_owned())
            .spawn(work)
            .ok()?;
        Some(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            // It has panicked, which its thread has said.
            let _ = thread.join();
        }
    }
}

impl Seen {
    fn of(figures: Option<&Figures>, health: &Health) -> Self {
        let reasons = health.reasons();
        let Some(figures) = figures else {
            return Self {
                reasons,
                ..Self::default()
            };
        };
        let state = figures.read();
        Self {
            reasons,
            records: state.is_complete.then(|| state.ledger.counts.total()),
            tasks: state.ledger.tasks.len(),
            as_of: state.as_of(),
        }
    }
}

/// `before`: the records of a second ago.
fn line(seen: &Seen, before: Option<i64>, now: Timestamp) -> String {
    let mut parts = Vec::new();
    match seen.reasons.as_slice() {
        [] => parts.push("ready".to_owned()),
        [only] => parts.push(format!("not ready: {only}")),
        [first, others @ ..] => {
            parts.push(format!("not ready: {first} (and {} more)", others.len()));
        }
    }
    if let Some(records) = seen.records {
        let rate = before.map_or(0, |before| (records - before).max(0));
        let (records, rate) = (grouped(records), grouped(rate));
        parts.push(format!("{records} records, {rate}/s"));
        parts.push(format!("{} tasks", seen.tasks));
    }
    if let Some(as_of) = seen.as_of {
        // Of the second: milliseconds would only flicker.
        let to_second = |at: Timestamp| at.to_rfc3339().split('.').next().unwrap_or("").to_owned();
        parts.push(format!(
            "figures to {}, now {}",
            to_second(as_of),
            to_second(now)
        ));
    }
    parts.push("Ctrl-C stops".to_owned());
    parts.join(" · ")
}

/// With commas between thousands.
fn grouped(count: i64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_it_goes() {
        let now = Timestamp(1_646_474_400_123);
        let mut seen = Seen::default();
        assert_eq!(line(&seen, None, now), "ready · Ctrl-C stops");
        seen.reasons = vec!["task 3 waits".to_owned(), "b".to_owned(), "c".to_owned()];
        let not_ready = "not ready: task 3 waits (and 2 more) · Ctrl-C stops";
        assert_eq!(line(&seen, None, now), not_ready);
        let seen = Seen {
            reasons: Vec::new(),
            records: Some(1_234_567),
            tasks: 4,
            as_of: Some(Timestamp(1_646_474_399_999)),
        };
        let told = "ready · 1,234,567 records, 34,567/s · 4 tasks · figures to 2022-03-05T09:59:59, now 2022-03-05T10:00:00 · Ctrl-C stops";
        assert_eq!(line(&seen, Some(1_200_000), now), told);
        assert!(line(&seen, Some(2_000_000), now).contains(" 0/s"));
    }
}
