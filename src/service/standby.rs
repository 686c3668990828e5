//! Tasks of other instances, followed through their changelog so that they can be taken over warm.
//
//   owner here no longer   follower            the task comes here      worker
//   changelog |--------- read as it grows ---------|-- the rest --|  goes on
//
// A follower owns a stage of its own and does nothing but read blocks into it. When its task comes here, its thread ends
// and the stage moves to the worker, which reads the rest: what it trusts is decided there, by the note (restore.rs). A
// follower is never believed about anything but blocks that committed readers were shown.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::changelog::{Base, WRITTEN_BY, signature};
use super::first::{Common, FirstStage};
use super::observe::{Following, Observation, Observer};
use super::outputs::CHANGELOG;
use super::second::SecondStage;
use super::stage::Stage;
use super::stop::Stop;
use crate::adapters::clock::{monotonic, since};
use crate::adapters::log::{Log, LogError, Position, Remedy, Unit};
use crate::adapters::threads::{self, Thread};

/// How long the ownership of tasks has to stand still before anything is followed: a rebalance moves them around.
const SETTLED: Duration = Duration::from_secs(3);
/// How often a follower looks up; it ends this soon at the latest once its task comes here.
const TICK: Duration = Duration::from_millis(25);
/// Blocks between two looks up.
const BLOCKS: usize = 100;
/// How often a follower says how far it is.
const TELL: Duration = Duration::from_secs(1);
/// After an error.
const PAUSE: Duration = Duration::from_secs(1);

/// What a follower has gathered.
pub struct Warm<S> {
    pub stage: S,
    pub base: Base,
}

/// A follower whose task has come here. It is ending.
pub struct Handed<S>(Thread<Option<Warm<S>>>);

impl<S> Handed<S> {
    /// What it has gathered; `None` if that is nothing, or nothing to go by.
    pub fn wait(self) -> Option<Warm<S>> {
        self.0.join().ok().flatten()
    }
}

struct Running<S> {
    ends: Arc<AtomicBool>,
    thread: Thread<Option<Warm<S>>>,
}

impl<S> Running<S> {
    fn end(self) -> Handed<S> {
        self.ends.store(true, Ordering::Release);
        Handed(self.thread)
    }
}

/// The followers of one instance.
pub struct Standbys {
    /// How many at most.
    most: usize,
    first: BTreeMap<i32, Running<FirstStage>>,
    second: BTreeMap<i32, Running<SecondStage>>,
    owned: BTreeSet<Unit>,
    /// When that changed last.
    changed: Instant,
    /// Of this process: instances prefer different tasks where not all can be followed.
    preference: RandomState,
}

impl Standbys {
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            first: BTreeMap::new(),
            second: BTreeMap::new(),
            owned: BTreeSet::new(),
            changed: monotonic(),
            preference: RandomState::new(),
        }
    }

    /// Ends the follower of a task that has come here.
    pub fn hand_first(&mut self, partition: i32) -> Option<Handed<FirstStage>> {
        self.first.remove(&partition).map(Running::end)
    }

    /// As [`Self::hand_first`].
    pub fn hand_second(&mut self, partition: i32) -> Option<Handed<SecondStage>> {
        self.second.remove(&partition).map(Running::end)
    }

    /// Begins to follow what is not ours, as much of it as is allowed, once it is clear what that is.
    pub fn tend<'u>(&mut self, common: &Common, owned: impl Iterator<Item = &'u Unit>) {
        if self.most == 0 {
            return;
        }
        let owned: BTreeSet<Unit> = owned.copied().collect();
        if owned != self.owned {
            (self.owned, self.changed) = (owned, monotonic());
        }
        if since(self.changed) < SETTLED {
            return;
        }
        let followed = self.first.len() + self.second.len();
        let mut chosen = self.others(common);
        chosen.truncate(self.most - followed);
        chosen.sort_unstable();
        for unit in chosen {
            if let Err(error) = self.begin(common, unit) {
                tracing::warn!("no standby of a task: {error}");
                // Tried again as if the tasks had just been given out.
                self.changed = monotonic();
                return;
            }
        }
    }

    /// Tasks that are neither ours nor followed, those first that this instance prefers.
    fn others(&self, common: &Common) -> Vec<Unit> {
        let unit = |topic| move |partition| Unit { topic, partition };
        let all = (0..common.partitions.tasks)
            .map(unit(0))
            .chain((0..common.partitions.deltas).map(unit(1)));
        let mut others: Vec<Unit> = all
            .filter(|unit| {
                let is_followed = match unit.topic {
                    0 => self.first.contains_key(&unit.partition),
                    _ => self.second.contains_key(&unit.partition),
                };
                !is_followed && !self.owned.contains(unit)
            })
            .collect();
        others.sort_by_cached_key(|unit| self.preference.hash_one(unit));
        others
    }

    fn begin(&mut self, common: &Common, unit: Unit) -> std::io::Result<()> {
        let Unit { topic, partition } = unit;
        if topic == 0 {
            let follower = Follower::new(FirstStage::new(common, partition), common);
            self.first.insert(partition, follower.start()?);
        } else {
            let stage = SecondStage::new(common, partition);
            let follower = Follower::new(stage, common);
            self.second.insert(partition, follower.start()?);
        }
        Ok(())
    }
}

impl Drop for Standbys {
    fn drop(&mut self) {
        // They end by themselves; nobody waits for what they have.
        for ends in (self.first.values().map(|running| &running.ends))
            .chain(self.second.values().map(|running| &running.ends))
        {
            ends.store(true, Ordering::Release);
        }
    }
}

/// Reads one task's changelog as it grows.
struct Follower<S> {
    stage: S,
    log: Arc<dyn Log>,
    observer: Arc<dyn Observer>,
    stop: Stop,
    ends: Arc<AtomicBool>,
    /// Next to read.
    next: i64,
    /// `None`: nothing was read yet.
    written_by: Option<(i64, i64)>,
    /// Entries read.
    entries: u64,
    told: Option<Instant>,
}

impl<S: Stage + 'static> Follower<S> {
    fn new(stage: S, common: &Common) -> Self {
        Self {
            stage,
            log: common.log.clone(),
            observer: common.observer.clone(),
            stop: common.stop.clone(),
            ends: Arc::default(),
            next: 0,
            written_by: None,
            entries: 0,
            told: None,
        }
    }

    fn start(self) -> std::io::Result<Running<S>> {
        let ends = self.ends.clone();
        let name = format!("standby-{}", self.stage.name());
        let thread = threads::spawn(&name, move || self.run())?;
        Ok(Running { ends, thread })
    }

    fn is_over(&self) -> bool {
        self.ends.load(Ordering::Acquire) || self.stop.is_requested()
    }

    fn run(mut self) -> Option<Warm<S>> {
        let task = self.stage.name().to_owned();
        tracing::info!(task, "following, to take it over warm");
        let mut sound = self.stage.reset(None);
        while sound.is_ok() && !self.is_over() {
            if let Err(error) = self.follow() {
                if error.remedy == Remedy::Fenced {
                    sound = Err(error);
                    break;
                }
                // What was read stands: what was swept meanwhile was written again since.
                tracing::warn!(task, "following: {error}");
                let until = monotonic() + PAUSE;
                while !self.is_over() && monotonic() < until {
                    threads::sleep(TICK);
                }
            }
        }
        self.observer.observe(&Observation::Standby {
            worker: &task,
            following: None,
        });
        if let Err(error) = sound {
            tracing::warn!(task, "not followed any longer: {error}");
            return None;
        }
        let base = Base {
            from: self.next,
            written_by: self.written_by?,
            written: self.entries,
        };
        let stage = self.stage;
        Some(Warm { stage, base })
    }

    /// Reads on until told to end. An error whose remedy is [`Remedy::Fenced`] leaves nothing to go by.
    fn follow(&mut self) -> Result<(), LogError> {
        let partition = self.stage.changelog();
        // What was given up since was written again since: from the first on it is the whole.
        self.next = self.next.max(self.log.ends(CHANGELOG, partition)?.first);
        let from = Position {
            topic: CHANGELOG.to_owned(),
            partition,
            next: self.next,
        };
        let log = self.log.clone();
        let mut reader = log.reader(&[CHANGELOG], &[from])?;
        while !self.is_over() {
            let mut damage = None;
            let outcome = reader.read(BLOCKS, TICK, &mut |message| {
                if message.key == Some(self.stage.name().as_bytes()) {
                    let written_by = &mut self.written_by;
                    let block = message.value.unwrap_or_default();
                    let read = self.stage.read_block(block, &mut |number, entry| {
                        if number == WRITTEN_BY {
                            *written_by = Some(signature(entry)?);
                        }
                        Some(())
                    });
                    match read {
                        Ok(entries) => self.entries += entries as u64,
                        Err(found) => {
                            damage = Some((message.offset, found));
                            return ControlFlow::Break(());
                        }
                    }
                }
                self.next = message.offset + 1;
                if self.is_over() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            if let Some((offset, damage)) = damage {
                let doing = format!("reading {CHANGELOG}/{partition} at {offset}");
                return Err(LogError::new(Remedy::Fenced, doing, damage));
            }
            match outcome {
                Ok(_) => {}
                Err(error) if error.remedy == Remedy::Retry => tracing::debug!("{error}"),
                Err(error) => return Err(LogError::new(Remedy::Renew, error.doing, error.source)),
            }
            if self.told.is_none_or(|told| since(told) >= TELL) {
                self.told = Some(monotonic());
                self.tell(reader.backlog().first().copied().flatten());
            }
        }
        Ok(())
    }

    fn tell(&self, behind: Option<i64>) {
        self.observer.observe(&Observation::Standby {
            worker: self.stage.name(),
            following: Some(Following {
                // The last offset of all is the marker that ends a transaction, which no reader is shown; a transaction
                // has more than that.
                behind: behind.map(|offsets| if offsets > 1 { offsets } else { 0 }),
                entries: self.stage.kept_entries(),
            }),
        });
    }
}
