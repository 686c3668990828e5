//! Windows that roll over event time, one level of one aggregate: sums by pane, and a row for each window's end.
//
//   panes     |--|--|--|--|--|--|--|--|--|--|     each event counts in one, whatever windows there are
//   windows          [----------------)           ends are multiples of the step, up to the first after now
//                       [----------------)        = the window before + the panes that enter − those that leave
//
// A change goes to its pane and to the windows that hold it and have begun to be published; a window that is new is
// made from the one before it. So taking an event in costs the same whatever windows there are, and what a change of a pane
// costs is bounded by the windows that hold it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rustc_hash::FxHashMap;

use crate::domain::aggregate::Rolling;
use crate::domain::time::Timestamp;

use super::changes::Changes;
use super::packed_table::PackedTable;
use super::places::Ranks;
use super::plan::Aggregate;
use super::rows::{close, is_provisional};
use super::table::Key;
use super::watermark::Closed;

/// Where a key's dimensions hold the index of its window: above all that a plan packs.
const WINDOW_SHIFT: u32 = 60;
const DAY: i32 = 24 * 60;

/// A row of a window that has changed.
#[derive(Debug)]
pub struct Rolled<'a> {
    /// Its window is the minute of its end; the dimensions are without the window's index.
    pub key: Key,
    /// Index of the window in the aggregate.
    pub at: usize,
    /// Revision, and whether it was final: as [`super::rows::Rows`] keeps it.
    pub standing: &'a mut i64,
    pub figures: &'a [i64],
    /// By how much they have changed.
    pub change: &'a [i64],
}

/// Sums and rows of one level of one aggregate.
#[derive(Debug)]
pub struct Windows {
    spans: Vec<Rolling>,
    pane: i32,
    longest: i32,
    kept: i32,
    columns: usize,
    panes: PackedTable,
    /// Numbers of panes' entries by their first minute.
    by_minute: BTreeMap<i32, Vec<u32>>,
    rows: PackedTable,
    /// Numbers of rows by window and end.
    by_end: BTreeMap<(usize, i32), Vec<u32>>,
    /// The minute up to which windows have been made; the least before the first.
    now: i32,
    /// Rows touched since the last settlement, with where their figures of before lie.
    touched: FxHashMap<u32, usize>,
    stood: Vec<i64>,
    /// Of the entry that is looked at.
    figures: Vec<i64>,
    changed_panes: Vec<u32>,
    changed_rows: Vec<u32>,
    /// Events too old for any window that is kept, since this was last asked.
    too_old: u64,
    /// By window, the last end up to which all rows have been closed.
    closed: Vec<i32>,
}

/// The minute of a time; the least there is before any was told.
fn minute_of(now: Timestamp) -> i32 {
    let latest = i64::from(i32::MAX / 2);
    let minute = now.0.div_euclid(60_000).min(latest);
    i32::try_from(minute).unwrap_or(i32::MIN)
}

/// When a row's window ends.
#[must_use]
pub const fn end_of(key: Key) -> Timestamp {
    Timestamp(key.window as i64 * 60_000)
}

/// The first multiple of `step` after a minute.
const fn after(minute: i32, step: i32) -> i32 {
    (minute.div_euclid(step) + 1) * step
}

impl Windows {
    #[must_use]
    pub fn new(aggregate: &Aggregate) -> Self {
        let columns = aggregate.columns();
        Self {
            spans: aggregate.rolling.clone(),
            pane: aggregate.pane(),
            longest: aggregate.longest(),
            kept: i32::from(aggregate.kept_days) * DAY,
            columns,
            panes: PackedTable::of_sums(columns),
            by_minute: BTreeMap::new(),
            rows: PackedTable::of_rows(columns),
            by_end: BTreeMap::new(),
            now: i32::MIN,
            touched: FxHashMap::default(),
            stood: Vec::new(),
            figures: Vec::new(),
            changed_panes: Vec::new(),
            changed_rows: Vec::new(),
            too_old: 0,
            closed: vec![i32::MIN; aggregate.rolling.len()],
        }
    }

    /// Takes in what was added to panes, and moves on to `now`: hands over each row that has changed, places by rank,
    /// then window, end and dimensions.
    pub fn settle(
        &mut self,
        changes: &mut Changes,
        now: Timestamp,
        ranks: &Ranks,
        mut see: impl FnMut(Rolled<'_>),
    ) {
        self.advance(minute_of(now).max(self.now));
        changes.drain(ranks, |key, sums| self.add(key, sums));
        self.evict();
        let mut order: Vec<_> = self
            .touched
            .iter()
            .map(|(number, stood)| (*number, *stood))
            .collect();
        order.sort_unstable_by_key(|(number, _)| {
            let key = self.rows.key(*number);
            let dimensions = key.dimensions & !(u64::MAX << WINDOW_SHIFT);
            let at = key.dimensions >> WINDOW_SHIFT;
            (ranks.of(key.place), at, key.window, dimensions)
        });
        let oldest = self.oldest_end();
        for (number, stood) in order {
            let (key, mut standing) = (self.rows.key(number), self.rows.standing(number));
            let figures = &mut self.figures;
            figures.clear();
            self.rows.read_into(number, figures);
            let stood = &mut self.stood[stood..stood + self.columns];
            for (stood, figure) in stood.iter_mut().zip(&*figures) {
                *stood = figure - *stood;
            }
            let at = (key.dimensions >> WINDOW_SHIFT) as usize;
            let dimensions = key.dimensions & !(u64::MAX << WINDOW_SHIFT);
            if stood.iter().any(|change| *change != 0) {
                see(Rolled {
                    key: Key { dimensions, ..key },
                    at,
                    standing: &mut standing,
                    figures,
                    change: &*stood,
                });
                self.rows.stand(number, standing);
            }
            // Never published, or published for the last time.
            if standing == 0 || key.window <= oldest {
                self.rows.vacate(number);
                if let Entry::Occupied(mut numbers) = self.by_end.entry((at, key.window)) {
                    numbers.get_mut().retain(|found| *found != number);
                    if numbers.get().is_empty() {
                        numbers.remove();
                    }
                }
            }
            self.changed_rows.push(number);
        }
        self.touched.clear();
        self.stood.clear();
    }

    /// Hands over rows that were published before their windows closed, so many as there is `room` for, now final and
    /// otherwise unchanged.
    pub fn close(&mut self, closed: Closed, room: &mut usize, mut see: impl FnMut(Rolled<'_>)) {
        let Some(to) = closed.to.map(minute_of) else {
            return;
        };
        self.stood.clear();
        self.stood.resize(self.columns, 0);
        for (at, done) in self.closed.iter_mut().enumerate() {
            if *done >= to {
                continue;
            }
            let ends = self.by_end.range((at, done.saturating_add(1))..=(at, to));
            let mut reached = to;
            for ((_, end), numbers) in ends {
                for number in numbers {
                    let (key, mut standing) = (self.rows.key(*number), self.rows.standing(*number));
                    if !is_provisional(standing) || self.rows.is_zero(*number) {
                        continue;
                    }
                    if *room == 0 {
                        reached = reached.min(end - 1);
                        break;
                    }
                    *room -= 1;
                    close(&mut standing, closed.of(end_of(key)));
                    self.rows.stand(*number, standing);
                    self.figures.clear();
                    self.rows.read_into(*number, &mut self.figures);
                    see(Rolled {
                        key: Key {
                            dimensions: key.dimensions & !(u64::MAX << WINDOW_SHIFT),
                            ..key
                        },
                        at,
                        standing: &mut standing,
                        figures: &self.figures,
                        change: &self.stood,
                    });
                    self.changed_rows.push(*number);
                }
                if reached < to {
                    break;
                }
            }
            *done = reached.max(*done);
        }
        self.stood.clear();
    }

    /// Events that came too late for any window that is kept, since this was last asked.
    pub fn take_too_old(&mut self) -> u64 {
        std::mem::take(&mut self.too_old)
    }

    /// Windows that end here or before are not kept.
    const fn oldest_end(&self) -> i32 {
        self.now.saturating_sub(self.kept)
    }

    /// Makes the windows whose time has come.
    fn advance(&mut self, now: i32) {
        let before = std::mem::replace(&mut self.now, now);
        if before == now {
            return;
        }
        if before == i32::MIN {
            // What came before any time was told.
            for number in self.panes.numbers() {
                let mut sums = Vec::with_capacity(self.columns);
                self.panes.read_into(number, &mut sums);
                self.spread(self.panes.key(number), &sums);
            }
            return;
        }
        for at in 0..self.spans.len() {
            let Rolling { minutes, step } = self.spans[at];
            let first = after(before, step) + step;
            // Behind a gap longer than the window nothing stands but what has come since.
            for end in (first..=after(now, step)).step_by(step as usize) {
                self.make(at, end, minutes, step);
            }
        }
    }

    /// The window before, and the panes that enter, less those that leave.
    fn make(&mut self, at: usize, end: i32, minutes: i32, step: i32) {
        let before = self
            .by_end
            .get(&(at, end - step))
            .cloned()
            .unwrap_or_default();
        let of_minutes = |panes: &BTreeMap<i32, Vec<u32>>, from: i32, to: i32| -> Vec<u32> {
            panes
                .range(from..to)
                .flat_map(|(_, numbers)| numbers)
                .copied()
                .collect()
        };
        let enter = of_minutes(&self.by_minute, end - step, end);
        let leave = of_minutes(&self.by_minute, end - step - minutes, end - minutes);
        let mut sums = Vec::with_capacity(self.columns);
        for number in before {
            sums.clear();
            self.rows.read_into(number, &mut sums);
            let row = Key {
                window: end,
                ..self.rows.key(number)
            };
            self.touch(row, &sums, 1);
        }
        for (numbers, sign) in [(enter, 1), (leave, -1)] {
            for number in numbers {
                sums.clear();
                self.panes.read_into(number, &mut sums);
                let row = Self::row(self.panes.key(number), at, end);
                self.touch(row, &sums, sign);
            }
        }
    }

    const fn row(pane: Key, at: usize, end: i32) -> Key {
        Key {
            place: pane.place,
            window: end,
            dimensions: pane.dimensions | (at as u64) << WINDOW_SHIFT,
        }
    }

    /// Adds to a pane, whose number the key has for its window, and to the windows that hold it.
    fn add(&mut self, key: Key, sums: &[i64]) {
        let minute = key.window.saturating_mul(self.pane);
        if minute < self.oldest_end().saturating_sub(self.longest) {
            self.too_old += 1;
            return;
        }
        let key = Key {
            window: minute,
            ..key
        };
        let panes = self.panes.len();
        let number = self.panes.number_of(key);
        self.panes.add(number, sums, 1);
        if self.panes.len() > panes {
            self.by_minute.entry(minute).or_default().push(number);
        }
        self.changed_panes.push(number);
        if self.now > i32::MIN {
            self.spread(key, sums);
        }
    }

    /// Adds to the windows that hold a pane.
    fn spread(&mut self, key: Key, sums: &[i64]) {
        let minute = key.window;
        for at in 0..self.spans.len() {
            let Rolling { minutes, step } = self.spans[at];
            let first = after(minute, step).max(after(self.oldest_end(), step));
            let last = (minute + minutes).min(after(self.now, step));
            for end in (first..=last).step_by(step as usize) {
                self.touch(Self::row(key, at, end), sums, 1);
            }
        }
    }

    /// Adds to a row, and notes what stood before the first change of a settlement.
    fn touch(&mut self, key: Key, sums: &[i64], sign: i64) {
        let rows = self.rows.len();
        let number = self.rows.number_of(key);
        self.touched.entry(number).or_insert_with(|| {
            let stood = self.stood.len();
            self.rows.read_into(number, &mut self.stood);
            stood
        });
        self.rows.add(number, sums, sign);
        if self.rows.len() > rows {
            let at = (key.dimensions >> WINDOW_SHIFT) as usize;
            self.by_end
                .entry((at, key.window))
                .or_default()
                .push(number);
        }
    }

    /// Takes back the rows that are no longer kept, and forgets the panes that no row holds.
    fn evict(&mut self) {
        let oldest = self.oldest_end();
        for at in 0..self.spans.len() {
            let old = self.by_end.range((at, i32::MIN)..=(at, oldest));
            let numbers: Vec<u32> = old.flat_map(|(_, numbers)| numbers).copied().collect();
            for number in numbers {
                let mut sums = Vec::with_capacity(self.columns);
                self.rows.read_into(number, &mut sums);
                self.touch(self.rows.key(number), &sums, -1);
            }
        }
        let oldest = oldest.saturating_sub(self.longest);
        while let Some(first) = self.by_minute.first_entry() {
            if *first.key() >= oldest {
                break;
            }
            for number in first.remove() {
                self.panes.vacate(number);
                self.changed_panes.push(number);
            }
        }
    }

    /// The numbers of panes and rows that have changed since this was last asked, some perhaps twice.
    pub fn take_changed(&mut self) -> [Vec<u32>; 2] {
        [
            std::mem::take(&mut self.changed_panes),
            std::mem::take(&mut self.changed_rows),
        ]
    }

    /// Bytes on the heap, but for what is needed within a settlement.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let panes = self.by_minute.values().map(Vec::capacity);
        let numbers: usize = panes.chain(self.by_end.values().map(Vec::capacity)).sum();
        let lists = self.by_minute.len() + self.by_end.len();
        let lists = lists * (size_of::<(usize, i32)>() + size_of::<Vec<u32>>());
        self.panes.bytes() + self.rows.bytes() + numbers * size_of::<u32>() + lists
    }

    /// Panes, then rows.
    #[must_use]
    pub const fn tables(&self) -> [&PackedTable; 2] {
        [&self.panes, &self.rows]
    }

    /// As [`Self::tables`].
    pub const fn tables_mut(&mut self) -> [&mut PackedTable; 2] {
        [&mut self.panes, &mut self.rows]
    }

    /// Makes what was read back ready to go on from the time of its settlement.
    pub fn restored(&mut self, now: Timestamp) {
        self.now = minute_of(now);
        self.closed.fill(i32::MIN);
        self.panes.restored();
        self.rows.restored();
        self.by_minute.clear();
        for number in self.panes.numbers() {
            let key = self.panes.key(number);
            self.by_minute.entry(key.window).or_default().push(number);
        }
        self.by_end.clear();
        for number in self.rows.numbers() {
            let key = self.rows.key(number);
            let at = (key.dimensions >> WINDOW_SHIFT) as usize;
            self.by_end
                .entry((at, key.window))
                .or_default()
                .push(number);
        }
    }
}

#[cfg(test)]
mod tests;
