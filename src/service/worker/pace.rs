//! How much a transaction takes, and how long it stays open: more and longer while a worker is far behind.

use std::time::Duration;

use crate::config;
use crate::service::backfill::Backfill;

/// While a worker is far behind, a transaction takes so many times more records, and stays open so long: a row that many
/// records change is written once for more of them (docs/decisions/0028).
const FAR_BEHIND: usize = 10;
const OPEN_FAR_BEHIND: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Pace {
    usual: config::Commit,
    backfill: Option<Backfill>,
    is_starved: bool,
    /// For how many a record of the last transaction counted.
    each: i64,
}

impl Pace {
    pub(super) const fn new(usual: config::Commit) -> Self {
        Self {
            usual,
            backfill: None,
            is_starved: false,
            each: 1,
        }
    }

    /// How long a transaction stays open at most. Longer far behind, while there is something to read.
    pub(super) fn interval(&self) -> Duration {
        if self.backfill.is_some() && !self.is_starved {
            self.usual.interval.max(OPEN_FAR_BEHIND)
        } else {
            self.usual.interval
        }
    }

    /// How many records a transaction takes at most.
    pub(super) const fn most(&self) -> usize {
        if self.backfill.is_some() {
            self.usual.records.saturating_mul(FAR_BEHIND)
        } else {
            self.usual.records
        }
    }

    /// Whether the last read found nothing.
    pub(super) const fn is_starved(&mut self, is_starved: bool) {
        self.is_starved = is_starved;
    }

    /// A transaction of so many records, which count for so many, is committed.
    pub(super) fn took(&mut self, records: usize, count: usize) {
        if let Some(each) = count.checked_div(records) {
            self.each = i64::try_from(each).unwrap_or(i64::MAX).max(1);
        }
    }

    /// So many records are unread. Answers whether there is something to tell.
    pub(super) fn follow(&mut self, worker: &str, unread: i64) -> bool {
        let most = i64::try_from(self.usual.records).unwrap_or(i64::MAX);
        let unread = unread.saturating_mul(self.each);
        Backfill::follow(&mut self.backfill, worker, unread, most)
    }

    pub(super) const fn backfill(&self) -> Option<&Backfill> {
        self.backfill.as_ref()
    }
}
