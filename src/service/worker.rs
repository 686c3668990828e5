//! One task's loop: read, settle, commit; after any doubt, back to what is committed.

mod held;
mod orders;
mod pace;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backfill::Backfill;
use super::changelog::{Base, Changelog};
use super::history;
use super::note::Note;
use super::observe::{Commit, Condition, Health, Observation, Observer};
use super::outputs::{CHANGELOG, Draft, Link};
use super::restore::{Restored, restore};
use super::snapshot::Snapshots;
use super::stage::{Hindrance, Stage};
use crate::adapters::clock::{Clock, monotonic, since};
use crate::adapters::log::{Log, LogError, Message, Output, Position, Reader, Remedy};
use crate::adapters::threads;
use crate::config;
use crate::domain::time::Timestamp;
use crate::wire::output::Positions;
use held::Held;
pub use orders::{Order, Orders};
use pace::Pace;

/// How often a worker looks up: at orders, at the time, at news.
const TICK: Duration = Duration::from_millis(100);
/// How often a worker says that it is at work.
const SIGN: Duration = Duration::from_secs(5);
/// How often figures that follow the time alone are looked at.
const HAND: Duration = Duration::from_secs(1);
/// Longer than two heartbeats: by then a member knows whether it has lost what it was fenced from.
const AFTER_FENCING: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What every worker of a service is given.
#[derive(Clone)]
pub struct Surroundings {
    pub log: Arc<dyn Log>,
    pub clock: Clock,
    pub commit: config::Commit,
    pub health: Arc<Health>,
    pub observer: Arc<dyn Observer>,
    pub state: config::State,
    /// Whose state it is: the file names of two groups must differ.
    pub group: String,
}

pub struct Worker<S> {
    stage: S,
    around: Surroundings,
    orders: Arc<Orders>,
    topics: Vec<&'static str>,
    /// Next to read, by topic.
    positions: Vec<i64>,
    /// The same, as of the last commit.
    committed: Vec<i64>,
    /// What the state in memory is the outcome of.
    state_of: StateOf,
    chain: Option<Note>,
    epoch: i64,
    draft: Draft,
    changelog: Changelog,
    /// `None`: none are wanted.
    snapshots: Option<Snapshots>,
    /// What a standby has read into the stage, until it is used.
    base: Option<Base>,
    /// The draft was to be committed, and may or may not have been.
    in_doubt: Option<Note>,
    open: Open,
    held: Option<Held>,
    looked_at: Instant,
    pace: Pace,
}

/// Which commit the state in memory is the outcome of.
enum StateOf {
    /// There is no state, or it cannot be told.
    Nothing,
    /// Nothing was ever committed.
    Start,
    /// The one that left this note.
    Note(String),
}

impl StateOf {
    fn is(&self, committed: Option<&str>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Start => committed.is_none(),
            Self::Note(note) => committed == Some(note),
        }
    }
}

/// What was taken in since the last commit.
#[derive(Default)]
struct Open {
    since: Option<Instant>,
    records: usize,
    /// For how many they count.
    count: usize,
    /// By topic; shorter than the topics until one was read.
    by_topic: Vec<i64>,
    oldest: Option<i64>,
}

impl<S: Stage> Worker<S> {
    pub fn new(stage: S, around: Surroundings, orders: Arc<Orders>) -> Self {
        let topics = stage.topics();
        let snapshots = Snapshots::new(&around.state, &around.group, stage.name());
        let pace = Pace::new(around.commit.clone());
        Self {
            positions: vec![0; topics.len()],
            committed: vec![0; topics.len()],
            changelog: Changelog::new(around.state.sweep),
            stage,
            around,
            orders,
            topics,
            state_of: StateOf::Nothing,
            chain: None,
            epoch: 0,
            draft: Draft::default(),
            snapshots,
            base: None,
            in_doubt: None,
            open: Open::default(),
            held: None,
            looked_at: monotonic(),
            pace,
        }
    }

    /// Goes on from what was read into the stage already, if it was.
    pub fn on_top_of(mut self, base: Option<Base>) -> Self {
        self.base = base;
        self
    }

    /// Works until ordered to end.
    ///
    /// # Errors
    /// Only what a person must see to; everything else is waited out.
    pub fn run(mut self) -> Result<(), LogError> {
        let mut pause = FIRST_PAUSE;
        let outcome = loop {
            let began = monotonic();
            let error = match self.live() {
                Ok(()) => break Ok(()),
                Err(error) => error,
            };
            if self.orders.get() != Order::Work {
                tracing::info!(
                    task = self.stage.name(),
                    "ending though not all is committed: {error}"
                );
                break Ok(());
            }
            self.waits(error.to_string());
            pause = match error.remedy {
                Remedy::Stop => break Err(error),
                Remedy::Fenced => AFTER_FENCING,
                Remedy::Retry | Remedy::Renew if since(began) > LONGEST_PAUSE => FIRST_PAUSE,
                Remedy::Retry | Remedy::Renew => (pause * 2).min(LONGEST_PAUSE),
            };
            let until = monotonic() + pause;
            while self.orders.get() == Order::Work && monotonic() < until {
                threads::sleep(TICK.min(pause));
            }
            if self.orders.get() != Order::Work {
                break Ok(());
            }
        };
        self.around.health.ended(self.stage.name());
        self.around.observer.observe(&Observation::Ended {
            worker: self.stage.name(),
        });
        outcome
    }

    /// From a new output to its end: an order, or doubt.
    fn live(&mut self) -> Result<(), LogError> {
        // Fence first, then read: nobody can commit behind what is read here.
        let mut output = self.around.log.output(self.stage.name())?;
        self.catch_up(&mut *output)?;
        if self.orders.get() != Order::Work {
            return Ok(());
        }
        // It was never taken in, so this reader brings it again.
        self.held = None;
        self.stage.begin(self.around.clock.now());
        let mut reader = self.reader(&self.positions)?;
        // At once, so that whoever sees it ready sees how it stands.
        self.tell(&*reader);
        self.around
            .health
            .worker(self.stage.name(), Condition::Running);
        let mut heard = monotonic();
        loop {
            if since(heard) >= SIGN {
                heard = monotonic();
                self.around.health.heard(self.stage.name());
            }
            match self.orders.get() {
                Order::Work => {}
                Order::Finish => return self.commit(&mut *output),
                Order::Drop => return Ok(()),
            }
            self.read(&mut *reader)?;
            if self.open.since.is_none() && self.held.is_none() {
                // The state is that of the last commit, and nobody waits.
                self.snapshot();
            }
            if self.is_due() {
                self.commit(&mut *output)?;
                self.tell(&*reader);
            }
        }
    }

    fn snapshot(&mut self) {
        let Some(snapshots) = &mut self.snapshots else {
            return;
        };
        let (log, partition) = (&self.around.log, self.stage.changelog());
        let written = self.changelog.written();
        snapshots.step(&self.stage, self.chain.as_ref(), || {
            log.ends(CHANGELOG, partition)
                .map(|ends| (ends.end, written))
        });
    }

    /// Makes the state in memory that of the last committed transaction, with as little work as that takes.
    fn catch_up(&mut self, output: &mut dyn Output) -> Result<(), LogError> {
        let partitions: Vec<(&str, i32)> = self
            .topics
            .iter()
            .map(|&topic| (topic, self.stage.partition()))
            .collect();
        let committed = output.committed(&partitions)?;
        if let Some(note) = self.in_doubt.take() {
            if committed.note.as_deref() == Some(&self.draft.transaction.note) {
                tracing::info!(
                    task = self.stage.name(),
                    "the transaction in doubt was committed"
                );
                self.adopt(note, Duration::ZERO);
                return Ok(());
            }
            if self.state_of.is(committed.note.as_deref()) {
                tracing::info!(
                    task = self.stage.name(),
                    "the transaction in doubt was not committed: writing it again"
                );
                self.in_doubt = Some(note.clone());
                let began = monotonic();
                output.commit(&self.draft.transaction)?;
                self.in_doubt = None;
                self.adopt(note, since(began));
                return Ok(());
            }
        } else if self.state_of.is(committed.note.as_deref()) {
            return Ok(());
        }
        self.rebuild(&committed.positions, committed.note)
    }

    /// Reads back everything up to the committed positions.
    fn rebuild(&mut self, positions: &[Position], text: Option<String>) -> Result<(), LogError> {
        let name = self.stage.name().to_owned();
        let stop = |why: &str| {
            LogError::new(
                Remedy::Stop,
                format!("restoring task {name}"),
                why.to_owned(),
            )
        };
        let note =
            match &text {
                Some(text) => Some(Note::read(text).ok_or_else(|| {
                    stop("the group's positions were committed by another program")
                })?),
                None if positions.is_empty() => None,
                None => {
                    return Err(stop(
                        "the group's positions were set by hand: use a new kafka.group",
                    ));
                }
            };
        self.state_of = StateOf::Nothing;
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.abandon();
        }
        (self.open, self.held) = (Open::default(), None);
        self.orders.set_open(false);
        self.positions.fill(0);
        self.epoch = note.as_ref().map_or(0, |note| note.epoch + 1);
        self.around.health.worker(&name, Condition::Restoring);
        if note.is_none() {
            self.stage.reset(None)?;
        }
        let targets: Vec<i64> = (self.topics.iter())
            .map(|topic| {
                positions
                    .iter()
                    .find(|at| at.topic == **topic)
                    .map_or(0, |at| at.next)
            })
            .collect();
        if let Some(note) = &note {
            let began = monotonic();
            let orders = &self.orders;
            let Some(Restored { origin, read }) = restore(
                &mut self.stage,
                (note, &mut self.base),
                (&mut self.changelog, self.snapshots.as_ref()),
                &*self.around.log,
                || orders.get() == Order::Work,
            )?
            else {
                return Ok(());
            };
            self.around.observer.observe(&Observation::Restored {
                worker: &name,
                entries: self.stage.kept_entries(),
                origin,
                read,
                took: since(began),
            });
            tracing::info!(
                task = name,
                entries = self.stage.kept_entries(),
                origin = origin.label(),
                read,
                took_ms = since(began).as_millis(),
                "restored"
            );
        }
        self.positions.clone_from(&targets);
        self.committed = targets;
        self.chain = note;
        self.state_of = text.map_or(StateOf::Start, StateOf::Note);
        Ok(())
    }

    fn reader(&self, positions: &[i64]) -> Result<Box<dyn Reader>, LogError> {
        let positions = self.at(positions);
        self.around.log.reader(&self.topics, &positions)
    }

    fn at(&self, positions: &[i64]) -> Vec<Position> {
        let partition = self.stage.partition();
        (self.topics.iter().zip(positions))
            .map(|(topic, next)| Position {
                topic: (*topic).to_owned(),
                partition,
                next: *next,
            })
            .collect()
    }

    fn read(&mut self, reader: &mut dyn Reader) -> Result<(), LogError> {
        if let Some(held) = self.held.take() {
            let message = held.message();
            match self.stage.take(&message) {
                Ok(count) => {
                    self.around
                        .health
                        .worker(self.stage.name(), Condition::Running);
                    self.taken(&message, count);
                }
                Err(Hindrance::Fatal(error)) => return Err(error),
                Err(Hindrance::Wait(why)) => {
                    self.waits(why);
                    self.held = Some(held);
                    threads::sleep(TICK);
                }
            }
            return Ok(());
        }
        let most = self.pace.most();
        let room = most.saturating_sub(self.open.count);
        let wait = match self.open.since {
            Some(opened) => self.pace.interval().saturating_sub(since(opened)).min(TICK),
            None => TICK,
        };
        let mut fatal = None;
        let outcome = reader.read(room, wait, &mut |message| match self.stage.take(&message) {
            Ok(count) => {
                self.taken(&message, count);
                if self.open.count < most && self.orders.get() == Order::Work {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            }
            Err(Hindrance::Wait(why)) => {
                self.waits(why);
                self.held = Some(Held::of(&message));
                ControlFlow::Break(())
            }
            Err(Hindrance::Fatal(error)) => {
                fatal = Some(error);
                ControlFlow::Break(())
            }
        });
        self.pace.is_starved(matches!(outcome, Ok(0)));
        match (fatal, outcome) {
            (Some(error), _) => Err(error),
            (None, Err(error)) if error.remedy == Remedy::Retry => {
                tracing::debug!(task = self.stage.name(), "{error}");
                Ok(())
            }
            (None, outcome) => outcome.map(|_| ()),
        }
    }

    fn taken(&mut self, message: &Message<'_>, count: usize) {
        let topic = message.topic;
        self.positions[topic] = message.offset + 1;
        if self.open.since.is_none() {
            self.open.since = Some(monotonic());
            self.orders.set_open(true);
        }
        self.open.records += 1;
        self.open.count += count;
        if self.open.by_topic.len() <= topic {
            self.open.by_topic.resize(topic + 1, 0);
        }
        self.open.by_topic[topic] += 1;
        if let Some(at) = message.timestamp {
            self.open.oldest = Some(self.open.oldest.map_or(at, |oldest| oldest.min(at)));
        }
    }

    fn is_due(&self) -> bool {
        match self.open.since {
            Some(opened) => {
                since(opened) >= self.pace.interval() || self.open.count >= self.pace.most()
            }
            None => self.stage.has_news() || since(self.looked_at) >= HAND,
        }
    }

    fn commit(&mut self, output: &mut dyn Output) -> Result<(), LogError> {
        let now = self.around.clock.now();
        self.looked_at = monotonic();
        let orders = &self.orders;
        let read = (self.stage).read_again(&self.positions, &|| orders.get() == Order::Work);
        if !matches!(read, Ok(true)) {
            // The state holds a part of it, which must not be committed: back to what is.
            self.state_of = StateOf::Nothing;
            return read.map(|_| ());
        }
        let sequence = self.chain.as_ref().map_or(0, |note| note.sequence + 1);
        self.draft.begin(self.stage.name(), sequence, now);
        if !self.stage.settle(now, &mut self.draft) {
            return Ok(());
        }
        let (epoch, log) = (self.epoch, &*self.around.log);
        self.changelog
            .write(&mut self.stage, (epoch, sequence), log, &mut self.draft)
            .inspect_err(|_| self.state_of = StateOf::Nothing)?;
        let note = self.seal(now, sequence);
        // From here on the state is ahead of what is committed by exactly this draft, which is kept.
        self.in_doubt = Some(note.clone());
        let began = monotonic();
        output.commit(&self.draft.transaction)?;
        self.in_doubt = None;
        self.adopt(note, since(began));
        Ok(())
    }

    /// Completes the draft: manifest, positions, note.
    fn seal(&mut self, now: Timestamp, sequence: i64) -> Note {
        let partition = self.stage.partition();
        let read = (0..self.topics.len())
            .filter(|at| self.committed[*at] != self.positions[*at])
            .map(|at| Positions {
                topic: self.topics[at].to_owned(),
                partition,
                from: self.committed[at],
                to: self.positions[at],
                records: self.open.by_topic.get(at).copied().unwrap_or(0),
            })
            .collect();
        let taken = self.snapshots.as_mut().and_then(Snapshots::taken);
        let link = Link {
            snapshot: taken.map_or_else(Vec::new, Vec::from),
            epoch: self.epoch,
            previous_hash: self
                .chain
                .as_ref()
                .map_or_else(Vec::new, |note| note.hash.clone()),
            positions: read,
        };
        let hash = self.draft.manifest(self.stage.outputs(), link);
        let reference = self.stage.reference();
        let keeps_history = self.stage.outputs().keeps_history();
        let note = Note {
            history: keeps_history.then(|| history::begun(self.chain.as_ref(), now)),
            epoch: self.epoch,
            sequence,
            hash,
            now,
            snapshot: match taken {
                Some(hash) => Some(hash.to_vec()),
                None => self.chain.as_ref().and_then(|note| note.snapshot.clone()),
            },
            reference,
        };
        self.draft.transaction.note = note.write();
        // All of them every time: the group forgets positions of topics that nobody is subscribed to when they
        // have not been committed for a week, and a supplier may well be silent for longer.
        self.draft.transaction.positions = self.at(&self.positions);
        note
    }

    /// The draft is committed.
    fn adopt(&mut self, note: Note, took: Duration) {
        self.state_of = StateOf::Note(self.draft.transaction.note.clone());
        let before = self.chain.take().and_then(|note| note.snapshot);
        if let (Some(snapshots), Some(hash)) = (&self.snapshots, &note.snapshot)
            && before.as_ref() != Some(hash)
        {
            snapshots.keep(hash);
        }
        self.chain = Some(note);
        self.committed.clone_from(&self.positions);
        self.changelog
            .committed(self.stage.changelog(), &*self.around.log);
        let open = std::mem::take(&mut self.open);
        self.orders.set_open(false);
        self.pace
            .took(open.records, open.count, since(self.looked_at));
        self.snapshot();
        tracing::debug!(
            task = self.stage.name(),
            records = open.records,
            written = self.draft.transaction.len(),
            took_ms = took.as_millis(),
            "committed"
        );
        self.around
            .observer
            .observe(&Observation::Committed(Commit {
                worker: self.stage.name(),
                counts: &self.draft.counts,
                written: &self.draft.written,
                took,
                oldest: open.oldest,
                as_of: self.draft.as_of,
                pending: self.draft.pending,
            }));
    }

    fn tell(&mut self, reader: &dyn Reader) {
        let mut unread = 0;
        for (topic, backlog) in self.topics.iter().zip(reader.backlog()) {
            if let Some(records) = backlog {
                unread += records;
                if records > 0 {
                    self.stage.has_unread(topic);
                }
                let worker = self.stage.name();
                self.around.observer.observe(&Observation::Backlog {
                    worker,
                    topic,
                    records,
                });
            }
        }
        let name = self.stage.name();
        if self.pace.follow(name, unread) {
            self.around.observer.observe(&Observation::Backfill {
                worker: name,
                left: self.pace.backfill().map(Backfill::left),
            });
        }
        self.stage.tell();
    }

    fn waits(&self, why: String) {
        self.around
            .health
            .worker(self.stage.name(), Condition::Waiting(why));
    }
}

#[cfg(test)]
mod tests;
