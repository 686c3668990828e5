//! The second stage: adds the tasks' deltas up to PCNs, sub-ICBs, ICBs, regions, England, suppliers.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::aggregate::Row;
use crate::domain::place::{Level, Place};
use crate::domain::time::Timestamp;
use crate::domain::topic::Supplier;

use super::changes::Changes;
use super::fold::{Base, Delta};
use super::packed_table::PackedTable;
use super::places::{Places, Ranks};
use super::plan::AggregatePlan;
use super::published::{CLOSED_AT_ONCE, RowRoom, close_days, closed_days};
use super::rolling::{Windows, end_of};
use super::rows::{Rows, publish, standing_of};
use super::table::Key;
use super::watermark::Closed;

#[derive(Debug)]
struct LevelRows {
    level: Level,
    changes: Changes,
    rows: Kind,
}

#[derive(Debug)]
enum Kind {
    Days(Rows),
    Rolling(Box<Windows>),
}

/// Where the deltas of one place and aggregate go: they come place by place.
#[derive(Debug, Default)]
struct Last {
    place: Arc<Place>,
    aggregate: usize,
    /// By level; none before the first delta.
    numbers: Vec<u32>,
}

/// The figures of every level above the practice. Every delta goes to all levels in one settlement,
/// so in every published state a level is the sum of its parts.
#[derive(Debug)]
pub struct Rollup {
    plan: Arc<AggregatePlan>,
    /// By aggregate: its levels.
    levels: Vec<Vec<LevelRows>>,
    pub(super) places: Places,
    last: Last,
    /// How many of them have been written down.
    pub(super) places_written: u32,
    pub(super) as_of: Timestamp,
    pub(super) now: Timestamp,
    /// Up to when the windows of each task are closed.
    pub(super) closed: Vec<Closed>,
    is_closing: bool,
    shown: RowRoom,
}

impl Last {
    fn is_of(&self, delta: &Delta) -> bool {
        self.aggregate == delta.aggregate
            && !self.numbers.is_empty()
            && Arc::ptr_eq(&self.place, &delta.place)
    }
}

impl Rollup {
    /// Of so many tasks: each holds windows open until it has told that it does not.
    #[must_use]
    pub fn new(plan: Arc<AggregatePlan>, tasks: usize) -> Self {
        let levels = plan
            .aggregates
            .iter()
            .map(|aggregate| {
                let supplier = aggregate.has_supplier().then_some(Level::Supplier);
                aggregate
                    .above_practice()
                    .iter()
                    .copied()
                    .chain(supplier)
                    .map(|level| LevelRows {
                        level,
                        changes: Changes::new(aggregate.columns()),
                        rows: if aggregate.follows_events() {
                            Kind::Rolling(Box::new(Windows::new(aggregate)))
                        } else {
                            Kind::Days(Rows::new(aggregate.columns()))
                        },
                    })
                    .collect()
            })
            .collect();
        Self {
            plan,
            levels,
            places: Places::default(),
            last: Last::default(),
            places_written: 0,
            as_of: Timestamp(0),
            now: Timestamp(i64::MIN),
            closed: vec![Closed::default(); tasks],
            is_closing: false,
            shown: RowRoom::default(),
        }
    }

    /// A task tells up to when its windows are closed; `false`: there is no such task.
    pub fn close(&mut self, task: usize, closed: Closed) -> bool {
        let told = self.closed.get_mut(task);
        told.map(|told| told.advance(closed)).is_some()
    }

    /// Whether the last settlement left rows of closed windows to the next.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Up to when the windows of all tasks are closed.
    #[must_use]
    pub fn closed(&self) -> Closed {
        let all = self.closed.iter().copied().reduce(Closed::and);
        all.unwrap_or_default()
    }

    /// Takes in one delta.
    pub fn apply(&mut self, delta: &Delta) {
        self.as_of = self.as_of.max(delta.as_of);
        let Self {
            levels,
            places,
            last,
            ..
        } = self;
        let levels = &mut levels[delta.aggregate];
        if delta.base == Base::Geography && !last.is_of(delta) {
            *last = Last {
                place: delta.place.clone(),
                aggregate: delta.aggregate,
                numbers: (levels.iter())
                    .map(|level| {
                        // A supplier is no place.
                        if level.level == Level::Supplier {
                            0
                        } else {
                            places.number(delta.place.at(level.level))
                        }
                    })
                    .collect(),
            };
        }
        for (at, level) in levels.iter_mut().enumerate() {
            let place = match (level.level, delta.base) {
                (Level::Supplier, Base::Supplier(supplier)) => supplier as u32,
                (Level::Supplier, Base::Geography) | (_, Base::Supplier(_)) => continue,
                (_, Base::Geography) => last.numbers[at],
            };
            let key = Key {
                place,
                window: delta.window,
                dimensions: delta.dimensions,
            };
            level.changes.add(key, &delta.sums, 1);
        }
    }

    /// Hands over the rows that have changed as of `now`, in an order that depends on the figures alone; then rows whose
    /// windows have closed since they were published, some at a time.
    pub fn settle(&mut self, now: Timestamp, out: &mut dyn FnMut(&Row)) {
        let (as_of, closed) = (self.as_of, self.closed());
        let mut room = CLOSED_AT_ONCE;
        self.now = self.now.max(now);
        self.places.rank();
        let shown = &mut self.shown;
        let suppliers = Ranks::identity(Supplier::ALL.len());
        for (aggregate, levels) in self.plan.aggregates.iter().zip(&mut self.levels) {
            for LevelRows {
                level,
                changes,
                rows,
            } in levels
            {
                let is_supplier = *level == Level::Supplier;
                let ranks = if is_supplier {
                    &suppliers
                } else {
                    self.places.ranks()
                };
                let (no_place, places) = (Place::default(), &self.places);
                let level = *level;
                let at = |number: u32| {
                    if is_supplier {
                        let code = Supplier::ALL[number as usize].label();
                        (level, code, &no_place)
                    } else {
                        let place = &**places.get(number);
                        (level, place.code(level), place)
                    }
                };
                match rows {
                    Kind::Rolling(windows) => {
                        windows.settle(changes, self.now, ranks, |rolled| {
                            let closed = closed.of(end_of(rolled.key));
                            let published = publish(rolled.standing, closed, as_of);
                            out(shown.rolled(aggregate, at(rolled.key.place), &rolled, published));
                        });
                        windows.close(closed, &mut room, |rolled| {
                            let published = standing_of(*rolled.standing, as_of);
                            out(shown.rolled(aggregate, at(rolled.key.place), &rolled, published));
                        });
                    }
                    Kind::Days(rows) => {
                        let mut show = |key: Key, sums: (&[i64], &[i64]), published| {
                            let span = (aggregate.span(0, key.window), key.dimensions);
                            out(shown.row(aggregate, at(key.place), span, sums, published));
                        };
                        let mut closed_days = closed_days(aggregate, closed);
                        changes.drain(ranks, |key, sums| {
                            let changed = rows.apply(key, sums, closed_days(key.window), as_of);
                            show(key, (changed.figures, sums), changed.published);
                        });
                        let times = (closed, as_of);
                        close_days(
                            aggregate,
                            rows,
                            times,
                            &mut room,
                            |key, figures, published| {
                                show(key, (figures, &[]), published);
                            },
                        );
                    }
                }
            }
        }
        self.is_closing = room == 0;
    }

    /// Events that came too late for any window that is kept, since this was last asked.
    pub fn take_too_old(&mut self) -> u64 {
        let levels = self.levels.iter_mut().flatten();
        levels
            .map(|level| match &mut level.rows {
                Kind::Days(_) => 0,
                Kind::Rolling(windows) => windows.take_too_old(),
            })
            .max()
            .unwrap_or(0)
    }

    /// Bytes on the heap of what is kept of each aggregate.
    #[must_use]
    pub fn bytes(&self) -> Vec<usize> {
        let bytes = |level: &LevelRows| match &level.rows {
            Kind::Days(rows) => rows.kept().bytes(),
            Kind::Rolling(windows) => windows.bytes(),
        };
        let levels = self.levels.iter();
        levels
            .map(|levels| levels.iter().map(bytes).sum())
            .collect()
    }

    /// What is kept, aggregate by aggregate, level by level, table by table.
    pub(super) fn tables(&self) -> impl Iterator<Item = &PackedTable> {
        self.levels.iter().flatten().flat_map(|level| {
            let (rows, windows) = match &level.rows {
                Kind::Days(rows) => (Some(rows.kept()), None),
                Kind::Rolling(windows) => (None, Some(windows.tables())),
            };
            rows.into_iter().chain(windows.into_iter().flatten())
        })
    }

    /// As [`Self::tables`].
    pub(super) fn tables_mut(&mut self) -> impl Iterator<Item = &mut PackedTable> {
        self.levels.iter_mut().flatten().flat_map(|level| {
            let (rows, windows) = match &mut level.rows {
                Kind::Days(rows) => (Some(rows.kept_mut()), None),
                Kind::Rolling(windows) => (None, Some(windows.tables_mut())),
            };
            rows.into_iter().chain(windows.into_iter().flatten())
        })
    }

    /// The numbers of entries that have changed since this was last asked, table by table.
    pub(super) fn take_changed(&mut self) -> Vec<Vec<u32>> {
        let mut all = Vec::new();
        for level in self.levels.iter_mut().flatten() {
            match &mut level.rows {
                Kind::Days(rows) => all.push(rows.take_changed()),
                Kind::Rolling(windows) => all.extend(windows.take_changed()),
            }
        }
        all
    }

    pub(super) fn restore_levels(&mut self) {
        self.last = Last::default();
        let now = self.now;
        for level in self.levels.iter_mut().flatten() {
            match &mut level.rows {
                Kind::Days(rows) => rows.kept_mut().restored(),
                Kind::Rolling(windows) => windows.restored(now),
            }
        }
    }

    pub(super) fn plan(&self) -> &AggregatePlan {
        &self.plan
    }

    /// The greatest time of extraction that any delta told.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Levels that the plan sums to, each once.
    #[must_use]
    pub fn levels(&self) -> BTreeSet<Level> {
        self.levels
            .iter()
            .flatten()
            .map(|rows| rows.level)
            .collect()
    }

    /// Rows that stand, and panes.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.tables().map(PackedTable::len).sum()
    }
}
