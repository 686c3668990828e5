//! The second stage: adds the tasks' deltas up to PCNs, sub-ICBs, ICBs, regions, England, suppliers.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::aggregate::{Published, Row};
use crate::domain::place::{Level, Place};
use crate::domain::time::Timestamp;
use crate::domain::topic::Supplier;

use super::changes::Changes;
use super::fold::{Base, Delta, is_closed, row};
use super::places::{Places, Ranks};
use super::plan::AggregatePlan;
use super::rows::Rows;
use super::table::Key;

#[derive(Debug)]
struct LevelRows {
    level: Level,
    changes: Changes,
    rows: Rows,
}

/// The figures of every level above the practice. Every delta goes to all levels in one settlement,
/// so in every published state a level is the sum of its parts.
#[derive(Debug)]
pub struct Rollup {
    plan: Arc<AggregatePlan>,
    /// By aggregate: its levels.
    levels: Vec<Vec<LevelRows>>,
    pub(super) places: Places,
    /// How many of them have been written down.
    pub(super) places_written: u32,
    pub(super) as_of: Timestamp,
}

impl Rollup {
    #[must_use]
    pub fn new(plan: Arc<AggregatePlan>) -> Self {
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
                        changes: Changes::new(aggregate.measures.len()),
                        rows: Rows::new(aggregate.measures.len()),
                    })
                    .collect()
            })
            .collect();
        Self {
            plan,
            levels,
            places: Places::default(),
            places_written: 0,
            as_of: Timestamp(0),
        }
    }

    /// Takes in one delta.
    pub fn apply(&mut self, delta: &Delta) {
        self.as_of = self.as_of.max(delta.as_of);
        let key = |place| Key {
            place,
            window: delta.window.0,
            dimensions: delta.dimensions,
        };
        for at in 0..self.levels[delta.aggregate].len() {
            let level = self.levels[delta.aggregate][at].level;
            let place = match (level, delta.base) {
                (Level::Supplier, Base::Supplier(supplier)) => supplier as u32,
                (Level::Supplier, Base::Geography) | (_, Base::Supplier(_)) => continue,
                (_, Base::Geography) => self.places.number(delta.place.at(level)),
            };
            let changes = &mut self.levels[delta.aggregate][at].changes;
            changes.add(key(place), &delta.sums, 1);
        }
    }

    /// Hands over the rows that have changed, in an order that depends on the figures alone.
    pub fn settle(&mut self, out: &mut dyn FnMut(Row)) {
        let as_of = self.as_of;
        self.places.rank();
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
                changes.drain(ranks, |key, sums| {
                    let is_closed = is_closed(aggregate, key, Some(as_of));
                    let changed = rows.apply(key, sums, is_closed);
                    let published = Published {
                        as_of,
                        revision: changed.revision,
                        finality: changed.finality,
                    };
                    out(if is_supplier {
                        let at = (*level, &Place::default());
                        Row {
                            code: Supplier::ALL[key.place as usize].label().to_owned(),
                            ..row(aggregate, at, key, (changed.figures, sums), published)
                        }
                    } else {
                        let at = (*level, &**self.places.get(key.place));
                        row(aggregate, at, key, (changed.figures, sums), published)
                    });
                });
            }
        }
    }

    /// The rows, aggregate by aggregate, level by level.
    pub(super) fn all_rows(&self) -> impl Iterator<Item = &Rows> {
        self.levels.iter().flatten().map(|level| &level.rows)
    }

    pub(super) fn all_rows_mut(&mut self) -> impl Iterator<Item = &mut Rows> {
        let levels = self.levels.iter_mut().flatten();
        levels.map(|level| &mut level.rows)
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

    /// Rows that stand.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.levels
            .iter()
            .flatten()
            .map(|level| level.rows.len())
            .sum()
    }
}
