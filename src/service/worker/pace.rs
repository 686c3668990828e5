//! How much a transaction takes, and how long it stays open: more and longer while a worker is far behind.

use std::time::Duration;

use crate::config;
use crate::service::backfill::Backfill;

/// While a worker is far behind, a transaction takes up to so many times more records, and stays open so long: a row that
/// many records change is written once for more of them (docs/decisions/0028).
const FAR_BEHIND: usize = 10;
const OPEN_FAR_BEHIND: Duration = Duration::from_secs(2);
/// How long it should take to commit one: a stop and a rebalance wait for it, and machines have slow moments.
const COMMITS_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pace {
    usual: config::Commit,
    backfill: Option<Backfill>,
    is_starved: bool,
    /// How many records a transaction far behind takes: as many as are committed in the time that this should take.
    most: usize,
    /// For how many a record of the last transaction counted.
    each: i64,
}

impl Pace {
    pub(super) const fn new(usual: config::Commit) -> Self {
        Self {
            most: usual.records,
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
            self.most
        } else {
            self.usual.records
        }
    }

    /// Whether the last read found nothing.
    pub(super) const fn is_starved(&mut self, is_starved: bool) {
        self.is_starved = is_starved;
    }

    /// A transaction of so many records, which count for so many, was committed so long after it was to be.
    pub(super) fn took(&mut self, records: usize, count: usize, took: Duration) {
        if let Some(each) = count.checked_div(records) {
            self.each = i64::try_from(each).unwrap_or(i64::MAX).max(1);
        }
        let usual = self.usual.records;
        if took > COMMITS_WITHIN {
            self.most = (count / 2).max(usual);
        } else if count >= self.most && took <= COMMITS_WITHIN / 2 {
            let most = usual.saturating_mul(FAR_BEHIND);
            self.most = self.most.saturating_mul(2).min(most);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn far_behind() -> Pace {
        let usual = config::Commit {
            interval: Duration::from_millis(100),
            records: 1_000,
        };
        let mut pace = Pace::new(usual);
        pace.follow("0", 1_000_000);
        pace
    }

    #[test]
    fn far_behind_a_transaction_grows_while_it_is_committed_soon() {
        let mut pace = far_behind();
        let soon = COMMITS_WITHIN / 2;
        let grown = [1_000, 2_000, 4_000, 8_000, 10_000, 10_000].map(|most| {
            let before = pace.most();
            pace.took(most, most, soon);
            before
        });
        assert_eq!(grown, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        // One that was not full says nothing of a fuller one.
        let mut pace = far_behind();
        pace.took(999, 999, soon);
        assert_eq!(pace.most(), 1_000);
        pace.took(1_000, 1_000, soon + Duration::from_millis(1));
        assert_eq!(pace.most(), 1_000);
    }

    #[test]
    fn what_took_too_long_to_commit_is_halved_and_never_less_than_usual() {
        let mut pace = far_behind();
        for most in [1_000, 2_000, 4_000] {
            pace.took(most, most, Duration::ZERO);
        }
        let late = COMMITS_WITHIN + Duration::from_millis(1);
        pace.took(8_000, 8_000, COMMITS_WITHIN);
        assert_eq!(pace.most(), 8_000);
        pace.took(8_000, 8_000, late);
        assert_eq!(pace.most(), 4_000);
        pace.took(1_500, 1_500, late);
        assert_eq!(pace.most(), 1_000);
        // Caught up, it is as usual; far behind again it goes on from what it learnt.
        pace.took(1_000, 1_000, Duration::ZERO);
        pace.follow("0", 0);
        assert_eq!(pace.most(), 1_000);
        pace.follow("0", 1_000_000);
        assert_eq!(pace.most(), 2_000);
    }
}
