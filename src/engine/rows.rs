//! The figures that stand, by packed key, with what was published of them.

use crate::domain::aggregate::{Finality, Published};
use crate::domain::time::{Day, Timestamp};

use super::packed_table::PackedTable;
use super::state::block::Kept;
use super::table::Key;

/// Rows of one aggregate at one level. A row that returned to nothing keeps its key, so that its
/// revision goes on when it comes back.
//
//   standing of a row:  closed by idleness << 40 | revision << 1 | was final
#[derive(Debug)]
pub struct Rows {
    table: PackedTable,
    /// Of the row that was looked at last.
    figures: Vec<i64>,
    /// Numbers of rows that have changed since they were last taken.
    changed: Vec<u32>,
    walk: Walk,
}

/// A walk over the rows that were published before their windows closed.
#[derive(Debug)]
struct Walk {
    next: u32,
    /// The day up to which windows are closed in this walk.
    to: Day,
    /// The same, of the last one that came to its end.
    done: Day,
}

/// A row after a change.
#[derive(Debug, Clone, Copy)]
pub struct Changed<'a> {
    /// All zero: the row has returned to nothing.
    pub figures: &'a [i64],
    pub published: Published,
}

/// Rows that a settlement looks at for those whose windows have closed: a day's are done long before the next.
const LOOKED_AT: u32 = 50_000;

const WAS_FINAL: i64 = 1;
const BY_IDLENESS: i64 = 1 << 40;

/// Moves a row's standing on by one publication: its revision, from 1 on, and how sure it is. `closed` says whether
/// its window is, and whether only because somebody is silent.
pub fn publish(standing: &mut i64, closed: Option<bool>, as_of: Timestamp) -> Published {
    let was_final = *standing & WAS_FINAL != 0;
    *standing += 2;
    if !was_final {
        close(standing, closed);
    }
    let mut published = standing_of(*standing, as_of);
    if was_final {
        published.finality = Finality::Restated;
    }
    published
}

/// Notes that a row's window is closed, if it is.
pub fn close(standing: &mut i64, closed: Option<bool>) {
    match closed {
        None => {}
        Some(false) => *standing |= WAS_FINAL,
        Some(true) => *standing |= WAS_FINAL | BY_IDLENESS,
    }
}

/// Whether a row was published, and not yet as final.
#[must_use]
pub const fn is_provisional(standing: i64) -> bool {
    standing != 0 && standing & WAS_FINAL == 0
}

/// How a row stands that is published for the first time since it was closed, or is not.
#[must_use]
pub fn standing_of(standing: i64, as_of: Timestamp) -> Published {
    let revision = (standing & (BY_IDLENESS - 1)) >> 1;
    Published {
        as_of,
        revision: u32::try_from(revision).unwrap_or(u32::MAX),
        finality: if standing & WAS_FINAL == 0 {
            Finality::Provisional
        } else {
            Finality::Final
        },
        by_idleness: standing & BY_IDLENESS != 0,
    }
}

impl Rows {
    #[must_use]
    pub fn new(measures: usize) -> Self {
        Self {
            table: PackedTable::of_rows(measures),
            figures: Vec::new(),
            changed: Vec::new(),
            walk: Walk {
                next: 0,
                to: Day(i32::MIN),
                done: Day(i32::MIN),
            },
        }
    }

    /// Adds sums to a row; `closed` is as for [`publish`].
    pub fn apply(
        &mut self,
        key: Key,
        sums: &[i64],
        closed: Option<bool>,
        as_of: Timestamp,
    ) -> Changed<'_> {
        let number = self.table.number_of(key);
        self.changed.push(number);
        self.table.add(number, sums, 1);
        self.figures.clear();
        self.table.read_into(number, &mut self.figures);
        let mut standing = self.table.standing(number);
        let published = publish(&mut standing, closed, as_of);
        self.table.stand(number, standing);
        Changed {
            figures: &self.figures,
            published,
        }
    }

    /// Looks for rows that were published before their windows closed, up to a day: hands over so many as there is
    /// `room` for, as they stand, now final. `closed` answers as for [`publish`], by a window's first day.
    pub fn close(
        &mut self,
        to: Option<Day>,
        room: &mut usize,
        closed: impl Fn(i32) -> Option<bool>,
        as_of: Timestamp,
        mut see: impl FnMut(Key, &[i64], Published),
    ) {
        let Some(to) = to else { return };
        if self.walk.next == 0 {
            if self.walk.done >= to {
                return;
            }
            self.walk.to = to;
        }
        let last = self.table.entries();
        let until = last.min(self.walk.next.saturating_add(LOOKED_AT));
        for number in self.walk.next..until {
            self.walk.next = number;
            if *room == 0 {
                return;
            }
            let (key, mut standing) = (self.table.key(number), self.table.standing(number));
            if !is_provisional(standing) || self.table.is_zero(number) {
                continue;
            }
            let Some(by_idleness) = closed(key.window) else {
                continue;
            };
            close(&mut standing, Some(by_idleness));
            self.table.stand(number, standing);
            self.figures.clear();
            self.table.read_into(number, &mut self.figures);
            see(key, &self.figures, standing_of(standing, as_of));
            self.changed.push(number);
            *room -= 1;
        }
        self.walk.next = until;
        if until == last {
            (self.walk.next, self.walk.done) = (0, self.walk.to);
        }
    }

    /// Lets the standing and the figures of a row be changed.
    pub fn change(&mut self, key: Key, change: impl FnOnce(&mut i64, &mut [i64])) {
        let number = self.table.number_of(key);
        self.changed.push(number);
        self.figures.clear();
        self.table.read_into(number, &mut self.figures);
        let mut standing = self.table.standing(number);
        change(&mut standing, &mut self.figures);
        self.table.stand(number, standing);
        self.table.replace(number, &self.figures);
    }

    /// Forgets the rows of all windows before one.
    pub fn forget_before(&mut self, window: i32) {
        for number in self.table.numbers() {
            if self.table.key(number).window < window {
                self.table.vacate(number);
                self.changed.push(number);
            }
        }
    }

    /// The keys of the rows of some windows.
    pub fn keys_of(&self, windows: impl Fn(i32) -> bool) -> Vec<Key> {
        let keys = self.table.numbers().map(|number| self.table.key(number));
        keys.filter(|key| windows(key.window)).collect()
    }

    /// The numbers of the rows that have changed since this was last asked, some perhaps twice.
    pub fn take_changed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.changed)
    }

    #[must_use]
    pub const fn kept(&self) -> &PackedTable {
        &self.table
    }

    pub const fn kept_mut(&mut self) -> &mut PackedTable {
        &mut self.table
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        /// Whatever changes when, and however few are closed at a time: in the end every row of a closed window has been
        /// published as final, once, under the revision that it had, and no other has.
        #[test]
        fn every_row_of_a_closed_window_becomes_final_once(
            steps in vec((vec((0..4_u32, 0..12_i32, 1..3_i64), 0..5), 0..3_i32, 0..4_usize), 1..14),
        ) {
            let mut rows = Rows::new(1);
            let as_of = Timestamp(0);
            // By key: figures, revision, how it was published last, how often as final.
            let mut shown: BTreeMap<Key, (i64, u32, Finality, u32)> = BTreeMap::new();
            let mut closed_to = 0;
            let closed = |to: i32| move |window: i32| (window < to).then_some(window % 2 == 0);
            for (changes, moves, room) in steps.into_iter().chain([(Vec::new(), 3, usize::MAX)]) {
                for (place, window, more) in changes {
                    let key = Key { place, window, dimensions: 0 };
                    let changed = rows.apply(key, &[more], closed(closed_to)(window), as_of);
                    let published = changed.published;
                    let before = shown.get(&key).copied();
                    let revision = before.map_or(1, |(_, revision, ..)| revision + 1);
                    prop_assert_eq!(published.revision, revision);
                    let was_final = before.is_some_and(|(_, _, finality, _)| finality != Finality::Provisional);
                    let expected = match (was_final, window < closed_to) {
                        (true, _) => Finality::Restated,
                        (false, true) => Finality::Final,
                        (false, false) => Finality::Provisional,
                    };
                    prop_assert_eq!(published.finality, expected);
                    let finals = before.map_or(0, |before| before.3) + u32::from(expected == Finality::Final);
                    shown.insert(key, (changed.figures[0], revision, expected, finals));
                }
                closed_to += moves;
                let mut left = room;
                rows.close(Some(Day(closed_to)), &mut left, closed(closed_to), as_of, |key, figures, published| {
                    let row = shown.get_mut(&key).expect("it was published");
                    assert_eq!((figures[0], published.revision), (row.0, row.1), "{key:?}");
                    assert_eq!(published.finality, Finality::Final);
                    assert_eq!(published.by_idleness, key.window % 2 == 0);
                    (row.2, row.3) = (Finality::Final, row.3 + 1);
                });
            }
            for _ in 0..2 {
                let mut room = usize::MAX;
                rows.close(Some(Day(closed_to)), &mut room, closed(closed_to), as_of, |key, _, published| {
                    let row = shown.get_mut(&key).expect("it was published");
                    (row.2, row.3) = (published.finality, row.3 + 1);
                });
            }
            for (key, (_, _, finality, finals)) in shown {
                let is_closed = key.window < closed_to;
                prop_assert_eq!(finality != Finality::Provisional, is_closed, "{:?}", key);
                prop_assert_eq!(finals, u32::from(is_closed), "{:?}", key);
            }
        }
    }
}
