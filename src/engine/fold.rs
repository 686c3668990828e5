//! Facts to rows: signed sums at practice level, and deltas for the levels above.

use std::sync::Arc;

use crate::domain::aggregate::{Follows, Row};
use crate::domain::place::{Level, Place};
use crate::domain::reference::Reference;
use crate::domain::time::{Day, Timestamp};
use crate::domain::topic::Supplier;

use super::ahead::Ahead;
use super::changes::Changes;
use super::fact::{Fact, Parts};
use super::packed_table::PackedTable;
use super::places::{Grouped, Groups, Places, Ranks};
use super::plan::{Aggregate, AggregatePlan, Columns};
use super::published::{CLOSED_AT_ONCE, RowRoom, close_days, closed_days};
use super::rolling::{Windows, end_of};
use super::rows::{Rows, publish, standing_of};
use super::story::Story;
use super::table::Key;
use super::told::{Starts, Told};
use super::watermark::{Closed, Watermarks};

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
    /// First day of the window, as a day's number; of event time the pane's.
    pub window: i32,
    /// Packed by the plan.
    pub dimensions: u64,
    pub sums: Vec<i64>,
    pub as_of: Timestamp,
}

/// One thing that a settlement hands over: a row is only shown, whoever keeps it makes its own ([`Self::kept`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Change<R = Row> {
    /// A row of this stage.
    Row(R),
    /// For the second stage.
    Delta(Delta),
    /// For the second stage: up to when the task's windows are closed. It comes behind the deltas.
    Closed(Closed),
}

impl Change<&Row> {
    /// The same, to be kept.
    #[must_use]
    pub fn kept(self) -> Change {
        match self {
            Self::Row(row) => Change::Row(row.clone()),
            Self::Delta(delta) => Change::Delta(delta),
            Self::Closed(closed) => Change::Closed(closed),
        }
    }
}

#[derive(Debug)]
struct Folder {
    practice: Option<(Changes, Rows)>,
    /// Practices' windows of event time.
    windows: Option<(Changes, Windows)>,
    ahead: Option<Look>,
    geography: Option<Changes>,
    supplier: Option<Changes>,
}

/// Days to come, at practice level and by the places that deltas are of: both move on at the same midnight.
#[derive(Debug)]
struct Look {
    practice: Option<Ahead>,
    above: Option<Ahead>,
}

impl Look {
    fn all(&self) -> impl Iterator<Item = &Ahead> {
        self.practice.iter().chain(&self.above)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Ahead> {
        self.practice.iter_mut().chain(&mut self.above)
    }
}

/// One of the two facts of a change, with where it belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    pub fact: &'a Fact,
    pub groups: Groups,
}

/// Where something that is added belongs.
#[derive(Debug, Clone, Copy)]
struct Contribution {
    /// With the practice's group as its place.
    key: Key,
    groups: Groups,
    supplier: Supplier,
}

/// A fact that an aggregate may read, with all that it tells.
struct Telling<'a> {
    groups: Groups,
    supplier: Supplier,
    has: Parts,
    told: &'a Told,
}

impl<'a> Telling<'a> {
    /// `starts` are those of the fact before: most often the day is the same.
    fn of(side: Side<'a>, told: &'a mut Told, starts: &mut Starts) -> Self {
        if !starts.are_of(side.fact.day) {
            *starts = Starts::of(side.fact.day);
        }
        told.tell(side.fact, Follows::AppointmentDate, *starts);
        Self {
            groups: side.groups,
            supplier: side.fact.supplier,
            has: Parts::of(side.fact),
            told,
        }
    }

    /// Whether two facts are counted in the same places.
    fn is_where(&self, other: &Self) -> bool {
        self.groups == other.groups && self.supplier == other.supplier
    }

    /// What the fact adds to an aggregate that reads it goes to `sums`; its window and dimensions, `None` if it adds nothing.
    fn contribution(&self, aggregate: &Aggregate, sums: &mut [i64]) -> Option<(i32, u64)> {
        let adds = aggregate.admits(self.told) && aggregate.measure(self.told, sums);
        adds.then(|| {
            let window = self.told.window(aggregate.window).0;
            (window, aggregate.pack(self.told))
        })
    }

    const fn at(&self, (window, dimensions): (i32, u64)) -> Contribution {
        Contribution {
            key: Key {
                place: self.groups.practice,
                window,
                dimensions,
            },
            groups: self.groups,
            supplier: self.supplier,
        }
    }
}

impl Folder {
    fn add(&mut self, aggregate: &Aggregate, at: Contribution, sums: &[i64], sign: i64) {
        let (key, above, of_supplier) = keys(aggregate, at);
        if let Some(ahead) = &mut self.ahead {
            if let Some(practice) = &mut ahead.practice {
                practice.add(key, sums, sign);
            }
            if let Some(geography) = &mut ahead.above {
                geography.add(above, sums, sign);
            }
            return;
        }
        if let Some((changes, _)) = &mut self.practice {
            changes.add(key, sums, sign);
        }
        if let Some(changes) = &mut self.geography {
            changes.add(above, sums, sign);
        }
        if let Some(changes) = &mut self.supplier {
            changes.add(of_supplier, sums, sign);
        }
    }

    /// Adds so many events to the columns that they count in.
    fn add_events(
        &mut self,
        aggregate: &Aggregate,
        at: Contribution,
        columns: Columns<'_>,
        count: i64,
    ) {
        let (key, above, of_supplier) = keys(aggregate, at);
        if let Some((changes, _)) = &mut self.windows {
            columns.add(changes.sums_of(key), count);
        }
        if let Some(changes) = &mut self.geography {
            columns.add(changes.sums_of(above), count);
        }
        if let Some(changes) = &mut self.supplier {
            columns.add(changes.sums_of(of_supplier), count);
        }
    }

    /// Takes back each event that stood and adds each that stands, in the pane of its time.
    fn replace_events(
        &mut self,
        aggregate: &Aggregate,
        (stood, stands): (Option<&Side<'_>>, Option<&Side<'_>>),
    ) {
        let stood = stood.and_then(|side| Story::of(aggregate, side));
        let stands = stands.and_then(|side| Story::of(aggregate, side));
        for (story, other, sign) in [(&stood, &stands, -1), (&stands, &stood, 1)] {
            let Some(story) = story else { continue };
            for (event, count, minute) in story.differing(other.as_ref()) {
                let described = &story.events.described;
                let Some(columns) = aggregate.columns_of(event, described) else {
                    continue;
                };
                let at = Contribution {
                    key: Key {
                        place: story.groups.practice,
                        window: minute.div_euclid(aggregate.pane()),
                        dimensions: story.dimensions,
                    },
                    groups: story.groups,
                    supplier: story.supplier,
                };
                self.add_events(aggregate, at, columns, sign * i64::from(count));
            }
        }
    }
}

/// The key at the practice, above it, and of the supplier.
#[inline]
fn keys(aggregate: &Aggregate, at: Contribution) -> (Key, Key, Key) {
    let Contribution {
        key,
        groups,
        supplier,
    } = at;
    let above = if aggregate.has_pcn() {
        groups.with_pcn
    } else {
        groups.without_pcn
    };
    let at = |place| Key { place, ..key };
    (key, at(above), at(supplier as u32))
}

/// The folder of every aggregate of a plan.
#[derive(Debug)]
pub struct Fold {
    plan: Arc<AggregatePlan>,
    folders: Vec<Folder>,
    /// Measures of the widest aggregate.
    widest: usize,
    /// Whether the last settlement left rows of closed windows to the next.
    is_closing: bool,
    /// Of the fact that stood, then of the one that stands.
    sums: Vec<i64>,
    /// What the two tell.
    told: [Told; 2],
    starts: Starts,
    grouped: Grouped,
    shown: RowRoom,
}

impl Fold {
    #[must_use]
    pub fn new(plan: Arc<AggregatePlan>) -> Self {
        let folders = plan
            .aggregates
            .iter()
            .map(|aggregate| {
                let stride = aggregate.columns();
                let (is_ahead, is_rolling) =
                    (aggregate.ahead_days.is_some(), aggregate.follows_events());
                let has_practice = aggregate.has_practice();
                let has_above = !aggregate.above_practice().is_empty();
                Folder {
                    practice: (has_practice && !is_ahead && !is_rolling)
                        .then(|| (Changes::new(stride), Rows::new(stride))),
                    windows: (has_practice && is_rolling)
                        .then(|| (Changes::new(stride), Windows::new(aggregate))),
                    ahead: aggregate.ahead_days.map(|days| Look {
                        practice: has_practice.then(|| Ahead::new(days, stride)),
                        above: has_above.then(|| Ahead::new(days, stride)),
                    }),
                    geography: (has_above && !is_ahead).then(|| Changes::new(stride)),
                    supplier: aggregate.has_supplier().then(|| Changes::new(stride)),
                }
            })
            .collect();
        let widest = plan
            .aggregates
            .iter()
            .map(Aggregate::columns)
            .max()
            .unwrap_or(0);
        Self {
            folders,
            is_closing: false,
            sums: vec![0; 2 * widest],
            told: Default::default(),
            starts: Starts::of(Day(0)),
            widest,
            plan,
            grouped: Grouped::default(),
            shown: RowRoom::default(),
        }
    }

    /// Takes back the fact that stood and adds the one that stands. An aggregate that reads the same
    /// in both is left alone: most versions change few of them.
    pub fn replace(&mut self, reference: &Reference, stood: Option<&Fact>, stands: Option<&Fact>) {
        let grouped = &mut self.grouped;
        let mut groups = |fact: Option<&Fact>| fact.map(|fact| grouped.of(reference, fact.place));
        let (old_groups, new_groups) = (groups(stood), groups(stands));
        let old_side = (stood.zip(old_groups)).map(|(fact, groups)| Side { fact, groups });
        let new_side = (stands.zip(new_groups)).map(|(fact, groups)| Side { fact, groups });
        let differs = Parts::that_differ(stood, stands);
        let [old_told, new_told] = &mut self.told;
        let old_told = old_side.map(|side| Telling::of(side, old_told, &mut self.starts));
        let new_told = new_side.map(|side| Telling::of(side, new_told, &mut self.starts));
        let stays =
            (old_told.as_ref().zip(new_told.as_ref())).is_some_and(|(old, new)| old.is_where(new));
        let (old_sums, new_sums) = self.sums.split_at_mut(self.widest);
        for (folder, aggregate) in self.folders.iter_mut().zip(&self.plan.aggregates) {
            if !aggregate.reads(differs) {
                continue;
            }
            if aggregate.follows_events() {
                folder.replace_events(aggregate, (old_side.as_ref(), new_side.as_ref()));
                continue;
            }
            let columns = aggregate.columns();
            let (old_sums, new_sums) = (&mut old_sums[..columns], &mut new_sums[..columns]);
            let contribution = |told: Option<&Telling<'_>>, sums: &mut [i64]| {
                // Many facts have nothing that an aggregate reads: they are not even asked.
                let told = told.filter(|told| aggregate.reads(told.has))?;
                told.contribution(aggregate, sums)
            };
            let old_cell = contribution(old_told.as_ref(), old_sums);
            let new_cell = contribution(new_told.as_ref(), new_sums);
            if stays && old_cell == new_cell {
                // One row, by how much it changes: looked up once, or not at all.
                let Some((told, cell)) = new_told.as_ref().zip(new_cell) else {
                    continue;
                };
                let mut any = 0;
                for (new, old) in new_sums.iter_mut().zip(&*old_sums) {
                    *new -= old;
                    any |= *new;
                }
                if any != 0 {
                    folder.add(aggregate, told.at(cell), new_sums, 1);
                }
                continue;
            }
            if let Some((told, cell)) = old_told.as_ref().zip(old_cell) {
                folder.add(aggregate, told.at(cell), old_sums, -1);
            }
            if let Some((told, cell)) = new_told.as_ref().zip(new_cell) {
                folder.add(aggregate, told.at(cell), new_sums, 1);
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

    /// What is kept of rows at practice level, table by table, aggregate by aggregate.
    pub(super) fn tables(&self) -> impl Iterator<Item = &PackedTable> {
        self.folders.iter().flat_map(|folder| {
            let rows = folder.practice.as_ref().map(|(_, rows)| rows);
            let ahead = folder.ahead.iter().flat_map(Look::all).map(Ahead::rows);
            let windows = folder.windows.as_ref().map(|(_, windows)| windows);
            let rows = rows.into_iter().chain(ahead).map(Rows::kept);
            rows.chain(windows.into_iter().flat_map(Windows::tables))
        })
    }

    /// As [`Self::tables`].
    pub(super) fn tables_mut(&mut self) -> impl Iterator<Item = &mut PackedTable> {
        self.folders.iter_mut().flat_map(|folder| {
            let rows = folder.practice.as_mut().map(|(_, rows)| rows);
            let ahead = folder.ahead.iter_mut().flat_map(Look::all_mut);
            let windows = folder.windows.as_mut().map(|(_, windows)| windows);
            let rows = rows.into_iter().chain(ahead.map(Ahead::rows_mut));
            let rows = rows.map(Rows::kept_mut);
            rows.chain(windows.into_iter().flat_map(Windows::tables_mut))
        })
    }

    /// The numbers of entries that have changed since this was last asked, table by table.
    pub(super) fn take_changed(&mut self) -> Vec<Vec<u32>> {
        let mut all = Vec::new();
        for folder in &mut self.folders {
            if let Some((_, rows)) = &mut folder.practice {
                all.push(rows.take_changed());
            }
            for ahead in folder.ahead.iter_mut().flat_map(Look::all_mut) {
                all.push(ahead.rows_mut().take_changed());
            }
            if let Some((_, windows)) = &mut folder.windows {
                all.extend(windows.take_changed());
            }
        }
        all
    }

    /// Makes what was read back ready to go on from the time of its settlement.
    pub(super) fn restored(&mut self, now: Timestamp) {
        self.grouped.places.restored();
        for folder in &mut self.folders {
            if let Some((_, rows)) = &mut folder.practice {
                rows.kept_mut().restored();
            }
            for ahead in folder.ahead.iter_mut().flat_map(Look::all_mut) {
                ahead.restored(now);
            }
            if let Some((_, windows)) = &mut folder.windows {
                windows.restored(now);
            }
        }
    }

    /// Rows that stand at practice level.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.tables().map(PackedTable::len).sum()
    }

    /// Bytes on the heap of what is kept of each aggregate at practice level.
    pub fn bytes(&self) -> impl Iterator<Item = usize> {
        self.folders.iter().map(|folder| {
            let rows = folder.practice.iter().map(|(_, rows)| rows.kept().bytes());
            let windows = folder.windows.iter().map(|(_, windows)| windows.bytes());
            let ahead = folder.ahead.iter().flat_map(Look::all);
            let ahead = ahead.map(|ahead| ahead.rows().kept().bytes());
            rows.chain(windows).chain(ahead).sum()
        })
    }

    /// Whether the last settlement left rows of closed windows to the next.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Events that came too late for any window that is kept, since this was last asked.
    pub fn take_too_old(&mut self) -> u64 {
        let windows = self
            .folders
            .iter_mut()
            .filter_map(|folder| folder.windows.as_mut());
        windows.map(|(_, windows)| windows.take_too_old()).sum()
    }

    /// Hands over what has changed as of `now`, in an order that depends on the figures alone; then rows whose windows
    /// have closed since they were published, some at a time.
    pub fn settle(
        &mut self,
        watermarks: &Watermarks,
        now: Timestamp,
        out: &mut dyn FnMut(Change<&Row>),
    ) {
        let (as_of, closed) = (watermarks.as_of(), watermarks.closed());
        let mut room = CLOSED_AT_ONCE;
        let shown = &mut self.shown;
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
            let of_practice = |key: Key| {
                let place = &**places.get(key.place);
                (Level::Practice, place.code(Level::Practice), place)
            };
            let span = |key: Key| (aggregate.span(0, key.window), key.dimensions);
            if let Some((changes, rows)) = &mut folder.practice {
                let mut closed_days = closed_days(aggregate, closed);
                changes.drain(ranks, |key, sums| {
                    let changed = rows.apply(key, sums, closed_days(key.window), as_of);
                    let sums = (changed.figures, sums);
                    let published = changed.published;
                    let row = shown.row(aggregate, of_practice(key), span(key), sums, published);
                    out(Change::Row(row));
                });
                close_days(
                    aggregate,
                    rows,
                    (closed, as_of),
                    &mut room,
                    |key, figures, published| {
                        let sums = (figures, &[][..]);
                        let row =
                            shown.row(aggregate, of_practice(key), span(key), sums, published);
                        out(Change::Row(row));
                    },
                );
            }
            if let Some((changes, windows)) = &mut folder.windows {
                windows.settle(changes, now, ranks, |rolled| {
                    let published = publish(rolled.standing, closed.of(end_of(rolled.key)), as_of);
                    let at = of_practice(rolled.key);
                    out(Change::Row(shown.rolled(aggregate, at, &rolled, published)));
                });
                windows.close(closed, &mut room, |rolled| {
                    let published = standing_of(*rolled.standing, as_of);
                    let at = of_practice(rolled.key);
                    out(Change::Row(shown.rolled(aggregate, at, &rolled, published)));
                });
            }
            if let Some(ahead) = folder
                .ahead
                .as_mut()
                .and_then(|ahead| ahead.practice.as_mut())
            {
                ahead.settle(now, ranks, |key, standing, (figures, change)| {
                    // What is to come is never final.
                    let published = publish(standing, None, as_of);
                    let sums = (figures, change);
                    let row = shown.row(aggregate, of_practice(key), span(key), sums, published);
                    out(Change::Row(row));
                });
            }
            let mut delta = |base, place, key: Key, sums: &[i64]| {
                out(Change::Delta(Delta {
                    aggregate: at,
                    base,
                    place,
                    window: key.window,
                    dimensions: key.dimensions,
                    sums: sums.to_vec(),
                    as_of,
                }));
            };
            if let Some(ahead) = folder.ahead.as_mut().and_then(|ahead| ahead.above.as_mut()) {
                ahead.settle(now, ranks, |key, _, (_, change)| {
                    delta(Base::Geography, places.get(key.place).clone(), key, change);
                });
            }
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
        self.is_closing = room == 0;
    }
}
