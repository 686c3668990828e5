//! Days to come, as of now: at midnight the day that has begun to be past leaves, and one more enters.
//
//   days      … past | today … today + days − 1 | later …
//               gone      published                kept, and not published yet

use crate::domain::time::{Day, Timestamp};

use super::changes::Changes;
use super::places::Ranks;
use super::rows::Rows;
use super::table::Key;

/// Sums by practice and day from today on, of one aggregate.
#[derive(Debug)]
pub struct Ahead {
    days: i32,
    changes: Changes,
    rows: Rows,
    /// As of the last settlement; `None` before the first.
    today: Option<Day>,
    columns: usize,
}

impl Ahead {
    #[must_use]
    pub fn new(days: u16, columns: usize) -> Self {
        Self {
            days: i32::from(days),
            changes: Changes::new(columns),
            rows: Rows::new(columns),
            today: None,
            columns,
        }
    }

    /// Adds `sign` times the sums; what was past at the last settlement is of no interest.
    pub fn add(&mut self, key: Key, sums: &[i64], sign: i64) {
        if self.today.is_none_or(|today| key.window >= today.0) {
            self.changes.add(key, sums, sign);
        }
    }

    /// Moves on to the day of `now`, and hands over what has changed of what is shown: key, standing, figures and
    /// by how much they have changed.
    pub fn settle(
        &mut self,
        now: Timestamp,
        ranks: &Ranks,
        mut see: impl FnMut(Key, &mut i64, (&[i64], &[i64])),
    ) {
        let before = self.today;
        let told = (now.0 > i64::MIN).then(|| now.london_day());
        let today = before.max(told);
        let days = self.days;
        let shows = |today: Option<Day>, window: i32| {
            today.is_some_and(|today| (today.0..today.0.saturating_add(days)).contains(&window))
        };
        if before != today {
            let nothing = vec![0; self.columns];
            let moves = |window| shows(before, window) != shows(today, window);
            for key in self.rows.keys_of(moves) {
                self.changes.add(key, &nothing, 1);
            }
        }
        let rows = &mut self.rows;
        let (mut figures, mut change) = (vec![0; self.columns], vec![0; self.columns]);
        self.changes.drain_all(ranks, |key, sums| {
            let (did_show, does_show) = (shows(before, key.window), shows(today, key.window));
            rows.change(key, |standing, held| {
                for at in 0..held.len() {
                    let stood = if did_show { held[at] } else { 0 };
                    held[at] += sums[at];
                    figures[at] = if does_show { held[at] } else { 0 };
                    change[at] = figures[at] - stood;
                }
                if change.iter().any(|change| *change != 0) {
                    see(key, standing, (&figures, &change));
                }
            });
        });
        if let Some(today) = today.filter(|_| before != today) {
            self.rows.forget_before(today.0);
        }
        self.today = today;
    }

    #[must_use]
    pub const fn rows(&self) -> &Rows {
        &self.rows
    }

    pub const fn rows_mut(&mut self) -> &mut Rows {
        &mut self.rows
    }

    /// Makes what was read back ready to go on from the time of its settlement.
    pub fn restored(&mut self, now: Timestamp) {
        self.rows.kept_mut().restored();
        self.today = (now.0 > i64::MIN).then(|| now.london_day());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400_000;
    const START: i32 = 19_000;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        /// Whatever came when, what is shown is the sum of the days from today on; a restart changes nothing.
        #[test]
        fn what_is_shown_is_a_recount(
            batches in vec((vec((0..3_u32, 0..14_i32, -1..4_i64), 0..6), 0..3_i32), 1..12),
            restarts in 0..12_usize,
        ) {
            let mut ahead = Ahead::new(7, 1);
            let (mut today, mut events, mut shown) = (START, Vec::new(), BTreeMap::new());
            for (number, (batch, passes)) in batches.into_iter().enumerate() {
                for (place, day, count) in batch {
                    let window = today + day;
                    ahead.add(Key { place, window, dimensions: 0 }, &[count], 1);
                    events.push((place, window, count));
                }
                today += passes;
                let now = Timestamp(i64::from(today) * DAY + DAY / 2);
                ahead.settle(now, &Ranks::identity(3), |key, standing, (figures, change)| {
                    *standing += 2;
                    let stood = shown.remove(&(key.place, key.window)).unwrap_or(0);
                    assert_eq!(stood + change[0], figures[0], "{key:?}");
                    if figures[0] != 0 {
                        shown.insert((key.place, key.window), figures[0]);
                    }
                });
                let mut expected = BTreeMap::new();
                for (place, day, count) in &events {
                    if (today..today + 7).contains(day) {
                        *expected.entry((*place, *day)).or_default() += count;
                    }
                }
                expected.retain(|_, count| *count != 0);
                prop_assert_eq!(&shown, &expected);
                let kept = ahead.rows().keys_of(|day| day < today).len();
                prop_assert_eq!(kept, 0, "past days are forgotten");
                if number == restarts {
                    use crate::engine::state::block::Kept;
                    let mut again = Ahead::new(7, 1);
                    let (from, to) = (ahead.rows().kept(), again.rows_mut().kept_mut());
                    for number in 0..from.entries() {
                        let mut bytes = Vec::new();
                        from.write(number, &mut bytes);
                        prop_assert_eq!(to.read(number, &bytes), Some(()));
                    }
                    again.restored(now);
                    ahead = again;
                }
            }
        }
    }
}
