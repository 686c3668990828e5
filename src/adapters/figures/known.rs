//! A part of the figures as it stood at a time: what is held, read on to its end and taken back by the history.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::history::{self, Begun, Index, KnownAt, NotKnown};
use super::{Figures, Held, RowKey, State, Table};
use crate::adapters::clock::{Clock, monotonic, since};
use crate::adapters::effects;
use crate::adapters::log::{Log, LogError, Span};
use crate::adapters::schemas::Schemas;
use crate::adapters::values::Values;
use crate::domain::aggregate::{Figures as Counts, Quantile, Row};
use crate::domain::place::Level;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::domain::topic::ReferenceTopic;
use crate::stages::refer::Refer;
use crate::wire::datum::Datum;
use crate::wire::framing::unframe;
use crate::wire::output::{AggregateKey, AggregateValue, Before};
use crate::wire::reference::Practice;

/// Rows of one answer, and of all that are remembered; a row takes about 150 bytes.
const MOST_ROWS: usize = 1_000_000;
/// For how long one question may read.
const PATIENCE: Duration = Duration::from_secs(30);
/// Questions that wait for the one that reads.
const MOST_WAITING: usize = 2;

/// A part of an aggregate: what one question is answered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    pub aggregate: usize,
    pub level: Level,
    /// Windows from one to another, both in: their first days.
    pub from: i32,
    pub to: i32,
    pub within: Within,
}

/// Of which places a slice is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Within {
    All,
    /// One code of the slice's level.
    Code(String),
    /// The practices that lie, or have lain, in a place of another level.
    Place(Level, String),
}

/// A slice, and the codes that it is of.
struct Part {
    aggregate: usize,
    level: Level,
    from: i32,
    to: i32,
    codes: Option<BTreeSet<String>>,
}

impl Part {
    fn of(slice: &Slice, register: &Reference) -> Self {
        let codes = match &slice.within {
            Within::All => None,
            Within::Code(code) => Some(BTreeSet::from([code.clone()])),
            Within::Place(level, code) => {
                let rows = register.rows();
                let lies_there =
                    rows.filter(|(_, row)| register.place(row.place).code(*level) == code);
                Some(
                    lies_there
                        .map(|(practice, _)| practice.to_string())
                        .collect(),
                )
            }
        };
        Self {
            aggregate: slice.aggregate,
            level: slice.level,
            from: slice.from,
            to: slice.to,
            codes,
        }
    }

    fn holds(&self, key: &RowKey) -> bool {
        (self.from..=self.to).contains(&key.window) && self.has(key.level, &key.code)
    }

    fn has(&self, level: Level, code: &str) -> bool {
        self.level == level && self.codes.as_ref().is_none_or(|codes| codes.contains(code))
    }
}

/// Asks the log since when each task's history has no gap.
pub type AskBegun = Box<dyn Fn(&dyn Log) -> Result<Begun, LogError> + Send + Sync>;

/// The figures as they stood at times that are asked for, from `gpad.history`: one question reads at a time, few wait, and
/// what was found is remembered.
pub struct Past {
    pub log: Arc<dyn Log>,
    pub schemas: Arc<Schemas>,
    pub clock: Clock,
    /// For how long the history is kept.
    pub days: u16,
    /// Since when each task's history has no gap.
    pub begun: AskBegun,
    reading: Mutex<Index>,
    waiting: AtomicUsize,
    found: Mutex<VecDeque<Found>>,
}

struct Found {
    at: Timestamp,
    slices: Vec<Slice>,
    state: Arc<State>,
}

/// No question is read for now: others wait already.
#[derive(Debug)]
pub struct Busy;

/// What the first transaction after the time made of a row.
enum After {
    /// What is held: no other came behind it.
    Stands,
    Was(Option<Counts>),
}

/// What a row said before the first transaction after the time, and what that one made of it.
struct Taken {
    figures: Option<Counts>,
    /// That the transaction gave it.
    revision: u32,
    after: After,
}

/// A place among those who wait, left whatever happens.
struct InLine<'a>(&'a AtomicUsize);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Past {
    #[must_use]
    pub fn new(
        log: Arc<dyn Log>,
        schemas: Arc<Schemas>,
        clock: Clock,
        days: u16,
        begun: AskBegun,
    ) -> Self {
        Self {
            log,
            schemas,
            clock,
            days,
            begun,
            reading: Mutex::default(),
            waiting: AtomicUsize::new(0),
            found: Mutex::default(),
        }
    }

    /// Slices of the figures as they stood at a time; nothing else is in them. Blocks; reads until `is_over` at the
    /// longest.
    ///
    /// # Errors
    /// [`Busy`] where too many wait; why it cannot be told.
    pub fn at(
        &self,
        figures: &Figures,
        at: Timestamp,
        slices: &[Slice],
        is_over: &dyn Fn() -> bool,
    ) -> Result<Result<Arc<State>, NotKnown>, Busy> {
        let known = KnownAt {
            at,
            now: self.clock.now(),
            days: self.days,
        };
        if let Err(error) = known.check(&Begun::new()) {
            return Ok(Err(error));
        }
        for slice in slices {
            let aggregate = &figures.plan.aggregates[slice.aggregate];
            if !history::has_history(aggregate) {
                return Ok(Err(NotKnown::Moves(aggregate.name.to_string())));
            }
        }
        if let Some(state) = self.remembered(at, slices) {
            return Ok(Ok(state));
        }
        let place = InLine(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) > MOST_WAITING {
            return Err(Busy);
        }
        let mut index = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match self.remembered(at, slices) {
            Some(state) => Ok(state),
            None => self.read(figures, known, slices, &mut index, is_over),
        };
        drop((index, place));
        Ok(outcome)
    }

    fn remembered(&self, at: Timestamp, slices: &[Slice]) -> Option<Arc<State>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let one = found
            .iter()
            .find(|one| one.at == at && one.slices == slices);
        one.map(|one| Arc::clone(&one.state))
    }

    fn remember(&self, at: Timestamp, slices: &[Slice], state: &Arc<State>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.push_back(Found {
            at,
            slices: slices.to_vec(),
            state: Arc::clone(state),
        });
        while found.iter().map(|one| one.state.rows).sum::<usize>() > MOST_ROWS {
            found.pop_front();
        }
        // Empty answers weigh nothing, and are none the fewer.
        if found.len() > 1_000 {
            found.pop_front();
        }
    }

    fn read(
        &self,
        figures: &Figures,
        known: KnownAt,
        slices: &[Slice],
        index: &mut Index,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Arc<State>, NotKnown> {
        let began = monotonic();
        let go_on = || since(began) < PATIENCE && !is_over();
        known.check(&(self.begun)(&*self.log)?)?;
        let log = &*self.log;
        let mut then = State {
            tables: figures
                .plan
                .aggregates
                .iter()
                .map(|_| Table::new())
                .collect(),
            ..State::default()
        };
        then.refer(log, known.at, &go_on)?;
        let parts = slices.iter().map(|slice| Part::of(slice, &then.register));
        let parts: Vec<Part> = parts.collect();
        if parts.is_empty() {
            // The register alone.
            then.is_complete = figures.read().is_complete;
            return Ok(Arc::new(then));
        }
        then.copy(&figures.read(), &parts)?;
        then.read_on(figures, log, &parts, &go_on)?;
        // Behind the rows: each transaction whose rows were seen is in the history.
        let mut before = HashMap::new();
        let values = Values::new(&self.schemas);
        history::take_back(log, &values, known, index, &go_on, &mut |row| {
            then.note(figures, &parts, row, &mut before)
        })?;
        then.take_back(before);
        then.is_complete = true;
        let then = Arc::new(then);
        self.remember(known.at, slices, &then);
        Ok(then)
    }
}

fn go(on: bool) -> ControlFlow<()> {
    if on {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

impl State {
    /// The parts as they are held.
    fn copy(&mut self, held: &Self, parts: &[Part]) -> Result<(), NotKnown> {
        if !held.is_complete {
            return Err(NotKnown::NotYet);
        }
        self.let_go.clone_from(&held.let_go);
        self.positions.clone_from(&held.positions);
        for part in parts {
            let rows = held.rows_of(part.aggregate, (part.level, 0), part.from, part.to);
            for (key, held) in rows.filter(|(key, _)| part.has(key.level, &key.code)) {
                self.tables[part.aggregate].insert(key.clone(), held.clone());
            }
            self.rows = self.tables.iter().map(Table::len).sum();
            self.bounded()?;
        }
        Ok(())
    }

    fn bounded(&self) -> Result<(), NotKnown> {
        if self.rows > MOST_ROWS {
            return Err(NotKnown::TooMany(MOST_ROWS));
        }
        Ok(())
    }

    /// Takes in what has been committed since the rows were read: a transaction before the time may be among it.
    fn read_on(
        &mut self,
        figures: &Figures,
        log: &dyn Log,
        parts: &[Part],
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), NotKnown> {
        let aggregates: BTreeSet<usize> = parts.iter().map(|part| part.aggregate).collect();
        for at in aggregates {
            let topic = effects::aggregate_topic(&figures.plan.aggregates[at].name);
            let partitions = log.partitions(&[&topic])?.first().copied().flatten();
            let spans: Vec<Span> = (0..partitions.unwrap_or(0))
                .map(|partition| Span {
                    from: self.positions.get(&(at, partition)).copied().unwrap_or(0),
                    ..Span::whole(partition)
                })
                .collect();
            log.scan(&topic, &spans, &mut |message| {
                if let Some(message) = message {
                    self.read_one(figures, parts, message.key, message.value);
                }
                go(go_on())
            })?;
            self.bounded()?;
        }
        if go_on() {
            Ok(())
        } else {
            Err(NotKnown::TooSlow)
        }
    }

    fn read_one(
        &mut self,
        figures: &Figures,
        parts: &[Part],
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Option<()> {
        let datum = |bytes| unframe(bytes).ok().map(|(_, datum)| datum);
        let key = AggregateKey::from_bytes(datum(key)?).ok()?;
        let value = match value {
            Some(value) => Some(AggregateValue::from_bytes(datum(Some(value))?).ok()?),
            None => None,
        };
        let row = effects::row_of(key, value)?;
        let (at, key) = self.key_in(figures, parts, &row)?;
        let table = &mut self.tables[at];
        match held(&row) {
            Some(held) => table.insert(key, held),
            None => table.remove(&key),
        };
        self.rows = self.tables.iter().map(Table::len).sum();
        Some(())
    }

    /// The key of a row of the slices whose window is held.
    fn key_in(&mut self, figures: &Figures, parts: &[Part], row: &Row) -> Option<(usize, RowKey)> {
        let (at, aggregate) = figures.plan.find(&row.aggregate)?;
        let of = |part: &&Part| part.aggregate == at && part.has(row.level, &row.code);
        parts.iter().find(of)?;
        let key = self.key(aggregate, row)?;
        let is_asked = (parts.iter()).any(|part| part.aggregate == at && part.holds(&key));
        let held_from = self.held_from(at, (key.level, key.at));
        let is_held = held_from.is_none_or(|from| key.window >= from);
        (is_asked && is_held).then_some((at, key))
    }

    /// Notes what a row of the slices said before a transaction after the time.
    fn note(
        &mut self,
        figures: &Figures,
        parts: &[Part],
        row: Before,
        before: &mut HashMap<(usize, RowKey), Taken>,
    ) -> Result<(), NotKnown> {
        let is_asked = parts.iter().any(|part| {
            *figures.plan.aggregates[part.aggregate].name == row.key.aggregate
                && part.level.label() == row.key.level
                && part.has(part.level, &row.key.code)
        });
        let row = if is_asked { history::row_of(row) } else { None };
        let Some(row) = row else { return Ok(()) };
        let Some(key) = self.key_in(figures, parts, &row) else {
            return Ok(());
        };
        if let Some(taken) = before.get_mut(&key) {
            if matches!(taken.after, After::Stands) {
                taken.after = After::Was(row.figures);
            }
        } else {
            let taken = Taken {
                revision: row.published.revision,
                figures: row.figures,
                after: After::Stands,
            };
            before.insert(key, taken);
        }
        if before.len() > MOST_ROWS {
            return Err(NotKnown::TooMany(MOST_ROWS));
        }
        Ok(())
    }

    fn take_back(&mut self, before: HashMap<(usize, RowKey), Taken>) {
        for ((at, key), taken) in before {
            let table = &mut self.tables[at];
            let Some(figures) = &taken.figures else {
                table.remove(&key);
                continue;
            };
            let sums = sums(figures);
            // A window that was closed has its row published again as it was: the revision, too.
            let stays = match &taken.after {
                After::Was(after) => after.as_ref() == Some(figures),
                After::Stands => table.get(&key).is_some_and(|held| held.sums == sums),
            };
            let mut published = Self::UNKNOWN;
            published.revision = taken.revision - u32::from(!stays && taken.revision > 0);
            let held = Held {
                quantiles: quantiles(figures),
                sums,
                published,
                is_taken_back: true,
            };
            table.insert(key, held);
        }
        self.rows = self.tables.iter().map(Table::len).sum();
    }

    /// The register and its names as they had been recorded by a time.
    fn refer(
        &mut self,
        log: &dyn Log,
        at: Timestamp,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), NotKnown> {
        let topic = ReferenceTopic::Practices.name();
        let partitions = log.partitions(&[topic])?.first().copied().flatten();
        let spans: Vec<Span> = (0..partitions.unwrap_or(0)).map(Span::whole).collect();
        log.scan(topic, &spans, &mut |message| {
            let practice = message.and_then(|message| {
                let (_, datum) = unframe(message.value).ok()?;
                let practice = Practice::from_bytes(datum).ok()?;
                Some((practice, message.offset.unsigned_abs()))
            });
            if let Some((practice, ordinal)) = practice
                && practice.recorded_at <= at.0
            {
                self.places.take(&practice);
                practice.refer(&mut self.register, ordinal);
            }
            go(go_on())
        })?;
        if go_on() {
            Ok(())
        } else {
            Err(NotKnown::TooSlow)
        }
    }
}

fn sums(figures: &Counts) -> Box<[i64]> {
    figures.counts.iter().map(|(_, value)| *value).collect()
}

/// What a row says, as it is held; `None` is a tombstone.
pub(super) fn held(row: &Row) -> Option<Held> {
    Some(Held {
        sums: sums(row.figures.as_ref()?),
        quantiles: quantiles(row.figures.as_ref()?),
        published: row.published,
        is_taken_back: false,
    })
}

/// What cannot be worked out from the measures: the topics have no histograms.
fn quantiles(figures: &Counts) -> Box<[(Arc<str>, f64)]> {
    let ratios = figures.ratios.iter();
    let quantiles = ratios.filter(|(name, _)| Quantile::from_label(name).is_some());
    quantiles.cloned().collect()
}
