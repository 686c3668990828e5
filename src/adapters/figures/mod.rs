//! The figures as they are committed: what the aggregates' topics, the ledger and the register of practices say.
//!
//! Read from the topics and not from the tasks, so it shows the same whatever instance is asked, and only what is
//! committed. Bounded: beyond `MOST_ROWS` the oldest windows of the finest levels are let go of, and the answer
//! to a question about them says so.

mod follow;
pub mod history;
pub mod known;
mod ledger;
mod places;
pub mod quality;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::domain::aggregate::{Finality, Published, Row, Span};
use crate::domain::place::{Level, Place};
use crate::domain::reference::{PracticeRow, Reference};
use crate::domain::time::{Day, Timestamp};
use crate::engine::plan::{Aggregate, AggregatePlan};

pub use ledger::{Ledger, TaskState, TopicLedger};
pub use places::Places;

/// Rows held at most; a row takes about 150 bytes.
const MOST_ROWS: usize = 3_000_000;

/// Which row, within its aggregate. Ordered so that the windows of one level lie together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    pub level: Level,
    /// Which of the aggregate's windows.
    pub at: usize,
    /// The number of its first day; of a window of event time the minute of its end.
    pub window: i32,
    pub code: Arc<str>,
    /// Of the further codes that the row is printed with.
    printed: u64,
    pub dimensions: u64,
}

/// Where a row lies among those of one level and window of its aggregate; ordered as they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub window: i32,
    pub code: Arc<str>,
    pub printed: u64,
    pub dimensions: u64,
}

impl RowKey {
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            window: self.window,
            code: Arc::clone(&self.code),
            printed: self.printed,
            dimensions: self.dimensions,
        }
    }

    fn at(level: Level, at: usize, mark: &Mark) -> Self {
        Self {
            level,
            at,
            window: mark.window,
            code: Arc::clone(&mark.code),
            printed: mark.printed,
            dimensions: mark.dimensions,
        }
    }
}

/// What a row says.
#[derive(Debug, Clone)]
pub struct Held {
    /// By measure, as the aggregate declares them.
    pub sums: Box<[i64]>,
    /// By name, as the row has them.
    pub quantiles: Box<[(Arc<str>, f64)]>,
    pub published: Published,
    /// As it stood at a time before: of how it was published then only the revision is known.
    pub is_taken_back: bool,
}

impl Held {
    /// Shares and quantiles by name.
    #[must_use]
    pub fn ratios(&self, aggregate: &Aggregate) -> Vec<(Arc<str>, f64)> {
        let quantiles = self.quantiles.iter().cloned();
        aggregate.ratios_of(&self.sums).chain(quantiles).collect()
    }
}

/// Rows of one aggregate.
pub type Table = BTreeMap<RowKey, Held>;

/// Each code once, however many rows have it.
#[derive(Debug, Default)]
struct Codes(BTreeSet<Arc<str>>);

impl Codes {
    fn one(&mut self, code: &str) -> Arc<str> {
        if let Some(known) = self.0.get(code) {
            return Arc::clone(known);
        }
        let code: Arc<str> = code.into();
        self.0.insert(Arc::clone(&code));
        code
    }

    /// The key of a row of an aggregate; `None` if that has no such row.
    fn key(
        &mut self,
        aggregate: &Aggregate,
        (level, code): (Level, &str),
        window: Span,
        dimensions: &[(&str, &str)],
    ) -> Option<RowKey> {
        let (at, window) = aggregate.window_of_span(window)?;
        let count = aggregate.dimensions().count();
        let (printed, own) = dimensions.split_at(dimensions.len().checked_sub(count)?);
        let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
        for (_, code) in printed {
            hash.update(code.as_bytes());
            hash.update(&[0xff]);
        }
        Some(RowKey {
            level,
            at,
            window,
            code: self.one(code),
            printed: hash.digest(),
            dimensions: aggregate.pack_labels(own.iter().copied())?,
        })
    }
}

/// Everything that was read so far.
#[derive(Debug, Default)]
pub struct State {
    tables: Vec<Table>,
    /// By aggregate: the version that its last row came with.
    changed: Vec<u64>,
    codes: Codes,
    rows: usize,
    /// Per aggregate and level: windows that start before are no longer held.
    let_go: BTreeMap<(usize, Level, usize), i32>,
    pub places: Places,
    /// The register of practices, with its history.
    pub register: Reference,
    pub ledger: Ledger,
    /// The topics were read to their ends at least once.
    pub is_complete: bool,
    /// Grows with everything read.
    pub version: u64,
    /// Up to where aggregates' topics are taken in, by aggregate and partition: what is next to read.
    positions: BTreeMap<(usize, i32), i64>,
}

/// The figures, shared by those who show them.
#[derive(Debug)]
pub struct Figures {
    pub plan: Arc<AggregatePlan>,
    state: RwLock<State>,
    moment: AtomicU64,
}

impl Figures {
    #[must_use]
    pub fn new(plan: Arc<AggregatePlan>) -> Self {
        let tables = plan.aggregates.iter().map(|_| Table::new()).collect();
        let changed = vec![0; plan.aggregates.len()];
        let state = RwLock::new(State {
            tables,
            changed,
            ..State::default()
        });
        let moment = AtomicU64::new(0);
        Self {
            plan,
            state,
            moment,
        }
    }

    /// Changes with the figures: what is read at one moment is of one state. While they are read for the first time it
    /// stands still.
    pub fn moment(&self) -> u64 {
        self.moment.load(Ordering::Acquire)
    }

    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next version.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.write();
        change(&mut state);
        state.version += 1;
        if state.is_complete {
            // Before anybody can read the state again: who is told of this moment finds at least what belongs to it.
            self.moment.store(state.version, Ordering::Release);
        }
    }
}

impl State {
    /// Of a row whose publication is not known.
    const UNKNOWN: Published = Published {
        as_of: Timestamp(0),
        revision: 0,
        finality: Finality::Provisional,
        by_idleness: false,
    };

    /// Rows of an aggregate at one level whose windows start in `[from, to]`.
    pub fn rows(
        &self,
        aggregate: usize,
        level: Level,
        from: Day,
        to: Day,
    ) -> impl Iterator<Item = (&RowKey, &Held)> {
        self.rows_of(aggregate, (level, 0), from.0, to.0)
    }

    /// Rows of one of an aggregate's windows at one level, by the first day or the minute of the end in `[from, to]`.
    pub fn rows_of(
        &self,
        aggregate: usize,
        (level, at): (Level, usize),
        from: i32,
        to: i32,
    ) -> impl Iterator<Item = (&RowKey, &Held)> {
        let bound = |window| RowKey {
            level,
            at,
            window,
            code: "".into(),
            printed: 0,
            dimensions: 0,
        };
        let range = (from <= to)
            .then(|| self.tables[aggregate].range(bound(from)..bound(to.saturating_add(1))));
        range.into_iter().flatten()
    }

    /// The same behind a row, whether it is still there or not.
    pub fn rows_behind(
        &self,
        aggregate: usize,
        (level, at): (Level, usize),
        row: &Mark,
        to: i32,
    ) -> impl Iterator<Item = (&RowKey, &Held)> {
        let row = RowKey::at(level, at, row);
        let bounds = (Bound::Excluded(row), Bound::Unbounded);
        let rows = self.tables[aggregate].range(bounds);
        rows.take_while(move |(key, _)| key.level == level && key.at == at && key.window <= to)
    }

    /// The first window from which rows of this level are held; `None`: all of them are.
    #[must_use]
    pub fn held_from(&self, aggregate: usize, (level, at): (Level, usize)) -> Option<i32> {
        self.let_go.get(&(aggregate, level, at)).copied()
    }

    /// The latest window of a level that starts no later than `day` and has rows.
    #[must_use]
    pub fn latest_window(&self, aggregate: usize, level: Level, day: Day) -> Option<Day> {
        self.rows(aggregate, level, Day(i32::MIN), day)
            .map(|(key, _)| Day(key.window))
            .max()
    }

    /// The latest end of a window of event time at a level that is no later than a minute, and has rows.
    #[must_use]
    pub fn latest_end(&self, aggregate: usize, of: (Level, usize), minute: i32) -> Option<i32> {
        // Keys lie in the order of their windows.
        let last = self
            .rows_of(aggregate, of, i32::MIN, minute)
            .map(|(key, _)| key.window);
        last.max()
    }

    /// The register's row of a practice that is in force on a day.
    #[must_use]
    pub fn practice_on(&self, code: &str, day: Day) -> Option<&PracticeRow> {
        let practice = self.register.find(code)?;
        self.register.row_on(practice, day)
    }

    /// Where a practice lies on a day.
    #[must_use]
    pub fn place_on(&self, code: &str, day: Day) -> Option<&Place> {
        let row = self.practice_on(code, day)?;
        Some(self.register.place(row.place))
    }

    /// By aggregate, in the plan's order: the version with which it last changed.
    pub fn changed(&self) -> impl Iterator<Item = u64> {
        self.changed.iter().copied()
    }

    /// The greatest event time that any task has reached.
    #[must_use]
    pub fn as_of(&self) -> Option<Timestamp> {
        self.ledger.tasks.values().map(|task| task.as_of).max()
    }

    /// Takes in a row of an aggregate: an upsert, or the end of it.
    fn put(&mut self, at: usize, key: RowKey, held: Option<Held>) {
        // What is taken now belongs to the version that is being made.
        self.changed[at] = self.version + 1;
        let table = &mut self.tables[at];
        let before = table.len();
        match held {
            Some(held) => table.insert(key, held),
            None => table.remove(&key),
        };
        self.rows = self.rows + table.len() - before;
        if self.rows > MOST_ROWS {
            self.let_go();
        }
    }

    fn key(&mut self, aggregate: &Aggregate, row: &Row) -> Option<RowKey> {
        let dimensions = row.dimensions.iter();
        let dimensions: Vec<_> = dimensions.map(|(name, value)| (*name, &**value)).collect();
        let place = (row.level, row.code.as_str());
        self.codes.key(aggregate, place, row.window, &dimensions)
    }

    /// Lets go of the oldest window of the finest level of the largest aggregate.
    fn let_go(&mut self) {
        let largest = (0..self.tables.len()).max_by_key(|at| self.tables[*at].len());
        let Some(at) = largest else { return };
        let table = &mut self.tables[at];
        let first = table.keys().next();
        let Some((level, window, of)) = first.map(|key| (key.level, key.window, key.at)) else {
            return;
        };
        let next = RowKey {
            level,
            at: of,
            window: window + 1,
            code: "".into(),
            printed: 0,
            dimensions: 0,
        };
        let kept = table.split_off(&next);
        self.rows -= table.len();
        *table = kept;
        self.let_go.insert((at, level, of), next.window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::aggregate::Figures as RowFigures;

    fn row(plan: &AggregatePlan, code: &str, day: i32, count: Option<i64>) -> Row {
        let aggregate = &plan.aggregates[3];
        assert_eq!(&*aggregate.name, "duration");
        Row {
            aggregate: aggregate.name.clone(),
            level: Level::Icb,
            code: code.to_owned(),
            window: Span::Days(Day(day), Day(day + 1)),
            dimensions: vec![("duration_band", "1-5 Minutes".into())],
            figures: count.map(|count| RowFigures {
                counts: vec![("appointments", count), ("minutes", 3)],
                ratios: vec![("wait_90th".into(), 9.5), ("a_share".into(), 0.5)],
            }),
            stood: None,
            published: Published {
                as_of: Timestamp(9),
                revision: 1,
                finality: Finality::Provisional,
                by_idleness: false,
            },
        }
    }

    fn put(state: &mut State, plan: &AggregatePlan, row: &Row) {
        let key = state.key(&plan.aggregates[3], row).expect("a row of it");
        state.put(3, key, known::held(row));
    }

    #[test]
    fn rows_are_upserts_and_a_tombstone_ends_one() {
        let plan = crate::config::aggregates::plan(None).unwrap();
        let figures = Figures::new(plan.into());
        let mut state = figures.write();
        for (code, day, count) in [
            ("QVV", 5, Some(1)),
            ("QVV", 5, Some(4)),
            ("QXX", 5, Some(2)),
            ("QXX", 6, Some(7)),
            ("QXX", 5, None),
        ] {
            put(
                &mut state,
                &figures.plan,
                &row(&figures.plan, code, day, count),
            );
        }
        let seen = |from, to| -> Vec<(String, i64)> {
            state
                .rows(3, Level::Icb, Day(from), Day(to))
                .map(|(key, held)| (key.code.to_string(), held.sums[0]))
                .collect()
        };
        assert_eq!(seen(5, 5), [("QVV".to_owned(), 4)]);
        assert_eq!(seen(0, 99).len(), 2);
        assert_eq!(seen(9, 3), []);
        let (_, held) = (state.rows(3, Level::Icb, Day(5), Day(5)).next()).expect("a row");
        let ratios = held.ratios(&figures.plan.aggregates[3]);
        assert_eq!(ratios, [("wait_90th".into(), 9.5)]);
        assert_eq!(state.latest_window(3, Level::Icb, Day(99)), Some(Day(6)));
        assert_eq!(state.latest_window(3, Level::Icb, Day(4)), None);
        assert_eq!(state.rows, 2);
    }

    #[test]
    fn beyond_the_bound_the_oldest_windows_go_first_and_it_is_said() {
        let plan = crate::config::aggregates::plan(None).unwrap();
        let figures = Figures::new(plan.into());
        let mut state = figures.write();
        for day in 1..4 {
            put(
                &mut state,
                &figures.plan,
                &row(&figures.plan, "QVV", day, Some(1)),
            );
        }
        assert_eq!(state.held_from(3, (Level::Icb, 0)), None);
        state.let_go();
        assert_eq!(state.held_from(3, (Level::Icb, 0)), Some(2));
        assert_eq!(
            (
                state.rows,
                state.rows(3, Level::Icb, Day(0), Day(9)).count()
            ),
            (2, 2)
        );
    }
}
