//! Catching up from far behind: how much is left, and when it will be done.

use std::time::{Duration, Instant};

use crate::adapters::clock::{monotonic, since};

/// How often it says how far it has come.
const SAYS: Duration = Duration::from_secs(10);

/// A worker that is far behind.
#[derive(Debug)]
pub(super) struct Backfill {
    began: Instant,
    /// Unread when it began, and now.
    first: i64,
    unread: i64,
    said: Instant,
}

impl Backfill {
    /// Moves on to what is unread. It begins where at least as many records wait as a transaction takes at `most`, and ends where
    /// a quarter of that is left. Answers whether there is something to tell.
    pub(super) fn follow(
        backfill: &mut Option<Self>,
        worker: &str,
        unread: i64,
        most: i64,
    ) -> bool {
        match backfill {
            None if unread < most.max(1) => false,
            None => {
                tracing::info!(
                    task = worker,
                    unread,
                    "far behind: longer transactions until it has caught up"
                );
                let now = monotonic();
                *backfill = Some(Self {
                    began: now,
                    first: unread,
                    unread,
                    said: now,
                });
                true
            }
            Some(standing) if unread <= most / 4 => {
                let took_ms = since(standing.began).as_millis();
                tracing::info!(task = worker, unread, took_ms, "caught up");
                *backfill = None;
                true
            }
            Some(standing) => {
                standing.unread = unread;
                // More has come than was read: the start is no measure of the rate any more.
                standing.first = standing.first.max(unread);
                if since(standing.said) >= SAYS {
                    standing.said = monotonic();
                    let left = standing.left();
                    let seconds_left = left.map(|left| left.as_secs());
                    tracing::info!(task = worker, unread, seconds_left, "catching up");
                }
                true
            }
        }
    }

    /// At the rate since it began; `None` while it does not gain.
    pub(super) fn left(&self) -> Option<Duration> {
        let gained = self.first - self.unread;
        let took = since(self.began).as_secs_f64();
        (gained > 0).then(|| Duration::from_secs_f64(took * self.unread as f64 / gained as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_far_behind_and_ends_when_little_is_left() {
        let mut backfill = None;
        let mut follow = |unread| {
            let tells = Backfill::follow(&mut backfill, "0", unread, 20_000);
            (tells, backfill.is_some())
        };
        assert_eq!(follow(19_999), (false, false));
        assert_eq!(follow(20_000), (true, true));
        assert_eq!(follow(5_001), (true, true));
        assert_eq!(follow(5_000), (true, false));
        assert_eq!(follow(19_999), (false, false));
    }

    #[test]
    fn what_is_left_follows_the_rate() {
        let mut backfill = Some(Backfill {
            began: (monotonic().checked_sub(Duration::from_secs(30)))
                .expect("the machine has been up for longer"),
            first: 100_000,
            unread: 100_000,
            said: monotonic(),
        });
        let mut left = |unread| {
            Backfill::follow(&mut backfill, "0", unread, 20_000);
            backfill.as_ref().and_then(Backfill::left)
        };
        assert_eq!(left(100_000), None);
        let seconds = left(25_000).map(|left| left.as_secs_f64());
        assert!(
            seconds.is_some_and(|left| (10.0..10.5).contains(&left)),
            "{seconds:?}"
        );
        assert_eq!(left(120_000), None);
    }
}
