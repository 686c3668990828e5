//! Facts to rows: signed sums at practice level, and deltas for the levels above.

use std::borrow::Cow;
use std::sync::Arc;

use crate::domain::aggregate::{Figures, Published, Row};
use crate::domain::place::{Level, Place};
use crate::domain::reference::{PlaceIndex, Reference};
use crate::domain::time::{Day, Local, Timestamp};
use crate::domain::topic::Supplier;

use super::changes::Changes;
use super::fact::{Differs, Fact};
use super::places::{Places, Ranks};
use super::plan::{Aggregate, AggregatePlan};
use super::rows::Rows;
use super::table::Key;
use super::watermark::Watermarks;

/// What a delta adds up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Base {
    Geography,
    Supplier(Supplier),
}

/// A signed sum of one transaction, for the second stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The aggregate's index in the plan.
    pub aggregate: usize,
    pub base: Base,
    /// Without its practice; empty for a supplier.
    pub place: Arc<Place>,
    /// First day of the window.
    pub window: Day,
    /// Packed by the plan.
    pub dimensions: u64,
    pub sums: Vec<i64>,
    pub as_of: Timestamp,
}

/// One thing that a settlement hands over.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A row of this stage.
    Row(Row),
    /// For the second stage.
    Delta(Delta),
}

#[derive(Debug)]
struct Folder {
    practice: Option<(Changes, Rows)>,
    geography: Option<Changes>,
    supplier: Option<Changes>,
}

/// Where a fact counts in one aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Contribution {
    /// With the practice's group as its place.
    key: Key,
    groups: Groups,
    supplier: Supplier,
}

/// What a fact adds to an aggregate goes to `sums`, zeros where it adds nothing.
fn contribution(
    aggregate: &Aggregate,
    fact: Option<(&Fact, Groups)>,
    sums: &mut [i64],
) -> Option<Contribution> {
    let Some((fact, groups)) = fact.filter(|(fact, _)| aggregate.concerns(fact)) else {
        sums.fill(0);
        return None;
    };
    aggregate.measure(fact, sums).then(|| Contribution {
        key: Key {
            place: groups.practice,
            window: aggregate.window_of(fact.day).0,
            dimensions: aggregate.pack(fact),
        },
        groups,
        supplier: fact.supplier,
    })
}

impl Folder {
    fn add(&mut self, aggregate: &Aggregate, at: Contribution, sums: &[i64], sign: i64) {
        let Contribution {
            key,
            groups,
            supplier,
        } = at;
        if let Some((changes, _)) = &mut self.practice {
            changes.add(key, sums, sign);
        }
        if let Some(changes) = &mut self.geography {
            let place = if aggregate.has_pcn() {
                groups.with_pcn
            } else {
                groups.without_pcn
            };
            changes.add(Key { place, ..key }, sums, sign);
        }
        if let Some(changes) = &mut self.supplier {
            let place = supplier as u32;
            changes.add(Key { place, ..key }, sums, sign);
        }
    }
}

/// The folder of every aggregate of a plan.
#[derive(Debug)]
pub struct Fold {
    plan: Arc<AggregatePlan>,
    folders: Vec<Folder>,
    /// Measures of the widest aggregate.
    widest: usize,
    /// Of the fact that stood, then of the one that stands.
    sums: Vec<i64>,
    grouped: Grouped,
}

/// The places that rows and deltas are grouped by, interned by the index of a practice's row.
#[derive(Debug, Default)]
struct Grouped {
    places: Places,
    known: Vec<Option<Groups>>,
}

/// What one practice's row is grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Groups {
    practice: u32,
    with_pcn: u32,
    without_pcn: u32,
}

impl Grouped {
    fn of(&mut self, reference: &Reference, place: PlaceIndex) -> Groups {
        let at = place.0 as usize;
        if let Some(Some(known)) = self.known.get(at) {
            return *known;
        }
        let whole = reference.place(place);
        let groups = Groups {
            practice: self.places.number(whole.at(Level::Practice)),
            with_pcn: self.places.number(whole.above_practice(true)),
            without_pcn: self.places.number(whole.above_practice(false)),
        };
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        self.known[at] = Some(groups);
        groups
    }
}

impl Fold {
    #[must_use]
    pub fn new(plan: Arc<AggregatePlan>) -> Self {
        let folders = plan
            .aggregates
            .iter()
            .map(|aggregate| {
                let stride = aggregate.measures.len();
                Folder {
                    practice: aggregate
                        .has_practice()
                        .then(|| (Changes::new(stride), Rows::new(stride))),
                    geography: (!aggregate.above_practice().is_empty())
                        .then(|| Changes::new(stride)),
                    supplier: aggregate.has_supplier().then(|| Changes::new(stride)),
                }
            })
            .collect();
        let widest = plan
            .aggregates
            .iter()
            .map(|aggregate| aggregate.measures.len())
            .max()
            .unwrap_or(0);
        Self {
            folders,
            sums: vec![0; 2 * widest],
            widest,
            plan,
            grouped: Grouped::default(),
        }
    }

    /// Takes back the fact that stood and adds the one that stands. An aggregate that reads the same
    /// in both is left alone: most versions change few of them.
    pub fn replace(&mut self, reference: &Reference, stood: Option<&Fact>, stands: Option<&Fact>) {
        let grouped = &mut self.grouped;
        let mut groups = |fact: Option<&Fact>| fact.map(|fact| grouped.of(reference, fact.place));
        let (old_groups, new_groups) = (groups(stood), groups(stands));
        let differs = Differs::between(stood, stands);
        for (folder, aggregate) in self.folders.iter_mut().zip(&self.plan.aggregates) {
            if !aggregate.reads_any(differs) {
                continue;
            }
            let measures = aggregate.measures.len();
            let (old_sums, new_sums) = self.sums.split_at_mut(self.widest);
            let old = contribution(aggregate, stood.zip(old_groups), &mut old_sums[..measures]);
            let new = contribution(aggregate, stands.zip(new_groups), &mut new_sums[..measures]);
            if old == new && old_sums[..measures] == new_sums[..measures] {
                continue;
            }
            if let Some(old) = old {
                folder.add(aggregate, old, &old_sums[..measures], -1);
            }
            if let Some(new) = new {
                folder.add(aggregate, new, &new_sums[..measures], 1);
            }
        }
    }

    pub(super) fn plan(&self) -> &AggregatePlan {
        &self.plan
    }

    /// What of it is written down: its places, then the rows of every aggregate that has practices.
    pub(super) const fn places(&self) -> &Places {
        &self.grouped.places
    }

    pub(super) const fn places_mut(&mut self) -> &mut Places {
        &mut self.grouped.places
    }

    /// The rows at practice level, aggregate by aggregate.
    pub(super) fn practice_rows(&self) -> impl Iterator<Item = &Rows> {
        let folders = self.folders.iter();
        folders.filter_map(|folder| folder.practice.as_ref().map(|(_, rows)| rows))
    }

    pub(super) fn practice_rows_mut(&mut self) -> impl Iterator<Item = &mut Rows> {
        let folders = self.folders.iter_mut();
        folders.filter_map(|folder| folder.practice.as_mut().map(|(_, rows)| rows))
    }

    /// Rows that stand at practice level.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.folders
            .iter()
            .filter_map(|folder| folder.practice.as_ref())
            .map(|(_, rows)| rows.len())
            .sum()
    }

    /// Hands over what has changed, in an order that depends on the figures alone.
    pub fn settle(&mut self, watermarks: &Watermarks, out: &mut dyn FnMut(Change)) {
        let as_of = watermarks.as_of();
        let places = &mut self.grouped.places;
        places.rank();
        let ranks = places.ranks();
        let suppliers = Ranks::identity(Supplier::ALL.len());
        for (at, (folder, aggregate)) in self
            .folders
            .iter_mut()
            .zip(&self.plan.aggregates)
            .enumerate()
        {
            if let Some((changes, rows)) = &mut folder.practice {
                changes.drain(ranks, |key, sums| {
                    let is_closed = is_closed(aggregate, key, watermarks.all());
                    let changed = rows.apply(key, sums, is_closed);
                    let published = Published {
                        as_of,
                        revision: changed.revision,
                        finality: changed.finality,
                    };
                    let at = (Level::Practice, &**places.get(key.place));
                    out(Change::Row(row(
                        aggregate,
                        at,
                        key,
                        (changed.figures, sums),
                        published,
                    )));
                });
            }
            let mut delta = |base, place, key: Key, sums: &[i64]| {
                out(Change::Delta(Delta {
                    aggregate: at,
                    base,
                    place,
                    window: Day(key.window),
                    dimensions: key.dimensions,
                    sums: sums.to_vec(),
                    as_of,
                }));
            };
            if let Some(changes) = &mut folder.geography {
                changes.drain(ranks, |key, sums| {
                    delta(Base::Geography, places.get(key.place).clone(), key, sums);
                });
            }
            if let Some(changes) = &mut folder.supplier {
                changes.drain(&suppliers, |key, sums| {
                    let supplier = Supplier::ALL[key.place as usize];
                    delta(Base::Supplier(supplier), Arc::default(), key, sums);
                });
            }
        }
    }
}

/// Whether the watermark has passed the end of a row's window.
pub(super) fn is_closed(aggregate: &Aggregate, key: Key, watermark: Option<Timestamp>) -> bool {
    let end = aggregate.window.end(Day(key.window));
    watermark.is_some_and(|watermark| Local::new(end, 0).to_utc() <= watermark)
}

/// A row as it is published: its sums, and by how much they have changed.
pub(super) fn row(
    aggregate: &Aggregate,
    (level, place): (Level, &Place),
    key: Key,
    (sums, change): (&[i64], &[i64]),
    published: Published,
) -> Row {
    let window = Day(key.window);
    let printed = place
        .printed_codes(level)
        .into_iter()
        .map(|(name, code)| (name, Cow::Owned(code.to_owned())));
    let labels = aggregate
        .labels(key.dimensions)
        .into_iter()
        .map(|(name, value)| (name, Cow::Borrowed(value)));
    let stood: Vec<i64> = sums
        .iter()
        .zip(change)
        .map(|(sum, change)| sum - change)
        .collect();
    Row {
        aggregate: aggregate.name.clone(),
        level,
        code: place.code(level).to_owned(),
        window: (window, aggregate.window.end(window)),
        dimensions: printed.chain(labels).collect(),
        figures: figures(aggregate, sums),
        stood: figures(aggregate, &stood),
        published,
    }
}

/// What sums say; `None` where there is nothing.
fn figures(aggregate: &Aggregate, sums: &[i64]) -> Option<Figures> {
    let is_empty = sums.iter().all(|sum| *sum == 0);
    (!is_empty).then(|| Figures {
        counts: aggregate
            .measures
            .iter()
            .zip(sums)
            .map(|(measure, sum)| (measure.label(), *sum))
            .collect(),
        ratios: aggregate.ratios_of(sums),
    })
}
