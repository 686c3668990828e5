//! The seam to the simulated broker: what an instance's clients do, one request at a time, any of which may fail.
//
//   request   on its way ── done by the broker ── the answer on its way
//   lost      ────────────╳                                    given up after a time
//   unheard   ───────────────── done ─────────╳                given up after a time
//   late      ─────────────────────────────────── done         given up before it is done

use std::ops::ControlFlow;
use std::sync::Arc;

use gpad_live::adapters::log::{
    Append, Committed, Ends, Log, LogError, Membership, Message, NewRecord, Output, Position,
    Reader, Remedy, Span, Transaction,
};
use rand::Rng;

use super::books::Written;
use super::broker::{Offsets, Place, Refused};
use super::membership::SimMembership;
use super::reader::{FETCH, SimReader, fetch};
use super::weather::{DOUBTS, SWEPT};
use super::world::{Fate, MILLI, SECOND, Sim, Time, World};

/// Longest that a request which is answered is under way, each way.
const WAY: Time = MILLI;
/// Longest that one is which is slow.
const SLOW: Time = 2 * SECOND;
/// After this a request that was not answered is given up.
const PATIENCE: Time = 4 * SECOND;

/// One process's client.
#[derive(Clone)]
pub struct SimLog {
    pub sim: Arc<Sim>,
    pub process: usize,
}

type Work<T> = dyn Fn(&mut World) -> Result<T, Refused> + Send + Sync;

impl SimLog {
    pub fn new(sim: &Arc<Sim>, process: usize) -> Self {
        Self {
            sim: sim.clone(),
            process,
        }
    }

    pub fn wait_up_to(&self, at_most: Time) {
        let time = self.sim.world().spread(at_most);
        self.sim.sleep(time);
    }

    /// One way of a request; a few take long.
    pub fn way(&self) {
        let time = {
            let mut world = self.sim.world();
            let slow = world.odds.slow;
            let at_most = if world.one_in(slow) { SLOW } else { WAY };
            world.spread(at_most)
        };
        self.sim.sleep(time);
    }

    /// Does something at the broker and comes back with the answer; an error that passes, now and then.
    fn ask<T>(
        &self,
        doing: &str,
        work: impl FnOnce(&mut World) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        self.way();
        let fails = {
            let mut world = self.sim.world();
            let retry = world.odds.retry;
            !world.is_reachable(self.process) || world.one_in(retry)
        };
        if fails {
            self.wait_up_to(PATIENCE / 4);
            return Err(LogError::new(Remedy::Retry, doing, "no answer"));
        }
        let mut world = self.sim.world();
        let outcome = work(&mut world);
        world.wake();
        outcome
    }

    fn fate(&self, doing: &str) -> Fate {
        let mut world = self.sim.world();
        let wanted = world.fates.iter().position(|(of, _)| of == doing);
        if let Some(wanted) = wanted {
            let fate = world.fates.remove(wanted).1;
            world.note(&format!("{fate:?}: {doing}"));
            return fate;
        }
        let odds = world.odds;
        if !world.is_reachable(self.process) || world.one_in(odds.lost) {
            Fate::Lost
        } else if world.one_in(odds.unheard) {
            Fate::Unheard
        } else if world.one_in(odds.late) {
            let latest = if world.chance.random_bool(0.5) {
                5 * SECOND
            } else {
                30 * SECOND
            };
            Fate::Late(world.spread(latest))
        } else {
            Fate::Answered
        }
    }

    /// A request of a transaction: any failure leaves it in doubt.
    fn request<T: 'static>(&self, doing: &str, work: &Arc<Work<T>>) -> Result<T, LogError> {
        let began = self.sim.world().now;
        loop {
            self.way();
            let apply = |work: &Work<T>| {
                let mut world = self.sim.world();
                let outcome = work(&mut world);
                world.wake();
                outcome
            };
            let fate = self.fate(doing);
            if let Fate::Slow(time) = fate {
                self.sim.sleep(time);
            }
            let refused = match fate {
                Fate::Answered | Fate::Slow(_) => {
                    let outcome = apply(&**work);
                    self.way();
                    match outcome {
                        Ok(answer) => return Ok(answer),
                        Err(refused) => Some(refused),
                    }
                }
                Fate::Lost => None,
                Fate::Unheard => {
                    let _ = apply(&**work);
                    None
                }
                Fate::Late(after) => {
                    let mut world = self.sim.world();
                    let at = world.now + after;
                    let (work, doing) = (work.clone(), doing.to_owned());
                    let late = move |world: &mut World| {
                        let outcome = work(world);
                        world.note(&format!("late: {doing}: {:?}", outcome.err()));
                    };
                    world
                        .broker
                        .at(at, super::events::Event::Late(Box::new(late)));
                    None
                }
            };
            let failed = |remedy, why: &str| Err(LogError::new(remedy, doing, why.to_owned()));
            match refused {
                Some(Refused::Concurrent) if self.sim.world().now < began + 20 * SECOND => {
                    self.wait_up_to(10 * MILLI);
                }
                Some(Refused::Concurrent) => {
                    return failed(Remedy::Renew, "another transaction is being ended");
                }
                Some(Refused::Fenced) => return failed(Remedy::Fenced, "fenced"),
                Some(Refused::Invalid) => return failed(Remedy::Renew, "there is no transaction"),
                None => {
                    self.wait_up_to(PATIENCE);
                    self.sim.world().count(DOUBTS);
                    self.sim.world().note(&format!("no answer: {doing}"));
                    return failed(Remedy::Renew, "no answer");
                }
            }
        }
    }

    /// What the group's offsets say, once nothing of it is undecided.
    fn committed_of(&self, partitions: &[(&str, i32)]) -> Result<Committed, LogError> {
        let doing = "asking what was committed";
        self.ask(doing, |world| {
            let broker = &world.broker;
            let places: Vec<Place> = (partitions.iter())
                .map(|(topic, at)| broker.place(topic, *at))
                .collect();
            if broker.is_unstable(&places) {
                return Err(LogError::new(Remedy::Retry, doing, "unstable offsets"));
            }
            let mut committed = Committed::default();
            for (place, (topic, partition)) in places.iter().zip(partitions) {
                if let Some((next, note)) = broker.offsets.get(place) {
                    committed.positions.push(Position {
                        topic: (*topic).to_owned(),
                        partition: *partition,
                        next: *next,
                    });
                    committed.note.get_or_insert_with(|| note.clone());
                }
            }
            Ok(committed)
        })
    }
}

impl Log for SimLog {
    fn partitions(&self, topics: &[&str]) -> Result<Vec<Option<i32>>, LogError> {
        self.ask("listing topics", |world| {
            let broker = &world.broker;
            let count = |topic: &&str| {
                broker
                    .number(topic)
                    .map(|number| broker.topics[number].partitions.len() as i32)
            };
            Ok(topics.iter().map(count).collect())
        })
    }

    fn ends(&self, topic: &str, partition: i32) -> Result<Ends, LogError> {
        self.ask("asking for ends", |world| {
            Ok(world
                .broker
                .partition(world.broker.place(topic, partition))
                .ends())
        })
    }

    fn join(&self, topics: &[&str]) -> Result<Box<dyn Membership>, LogError> {
        Ok(Box::new(SimMembership::new(self, topics)))
    }

    fn reader(&self, topics: &[&str], positions: &[Position]) -> Result<Box<dyn Reader>, LogError> {
        let world = self.sim.world();
        let next = positions.iter().map(|at| {
            let topic = topics
                .iter()
                .position(|topic| *topic == at.topic)
                .expect("positions are of the topics");
            (topic, world.broker.place(&at.topic, at.partition), at.next)
        });
        Ok(Box::new(SimReader {
            log: self.clone(),
            topics: topics.len(),
            next: next.collect(),
        }))
    }

    fn scan(
        &self,
        topic: &str,
        spans: &[Span],
        take: &mut dyn FnMut(Option<Message<'_>>) -> ControlFlow<()>,
    ) -> Result<Vec<Position>, LogError> {
        let mut positions = Vec::new();
        for span in spans {
            let mut ends = self.ends(topic, span.partition)?;
            let until = span.until.map_or(ends.end, |until| until.min(ends.end));
            let position = |next| Position {
                topic: topic.to_owned(),
                partition: span.partition,
                next,
            };
            if span.from != 0 && span.from < ends.first && span.from < until {
                return Err(LogError::new(
                    Remedy::Stop,
                    format!("reading {topic} from {}", span.from),
                    "it is gone",
                ));
            }
            while ends.stable < until {
                if take(None).is_break() {
                    return Ok(spans
                        .iter()
                        .map(|span| Position {
                            next: span.from,
                            ..position(0)
                        })
                        .collect());
                }
                self.wait_up_to(20 * MILLI);
                ends = self.ends(topic, span.partition)?;
            }
            let mut next = span.from.max(ends.first);
            while next < until {
                let fetched = self.ask("reading", |world| {
                    let place = world.broker.place(topic, span.partition);
                    let partition = world.broker.partition(place);
                    if next < partition.first {
                        return Err(LogError::new(
                            Remedy::Stop,
                            format!("reading {topic} from {next}"),
                            "it is gone",
                        ));
                    }
                    Ok(fetch(partition.committed(next, until), FETCH))
                });
                let fetched = match fetched {
                    Err(error) if error.remedy == Remedy::Retry => {
                        if take(None).is_break() {
                            break;
                        }
                        continue;
                    }
                    fetched => fetched?,
                };
                if fetched.is_empty() {
                    next = until;
                }
                for record in fetched {
                    next = record.offset + 1;
                    if take(Some(record.message(0, span.partition))).is_break() {
                        positions.push(position(next));
                        return Ok(positions);
                    }
                }
            }
            positions.push(position(next.max(until)));
        }
        Ok(positions)
    }

    fn committed(&self, partitions: &[(&str, i32)]) -> Result<Committed, LogError> {
        self.committed_of(partitions)
    }

    fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        self.ask("deleting", |world| {
            world.note(&format!("{topic}/{partition} begins at {offset}"));
            world.count(SWEPT);
            let place = world.broker.place(topic, partition);
            world.broker.delete_before(place, offset);
            Ok(())
        })
    }

    fn output(&self, name: &str) -> Result<Box<dyn Output>, LogError> {
        let owned = name.to_owned();
        let work: Arc<Work<u32>> = Arc::new(move |world| world.init(&owned));
        let epoch = self
            .request(&format!("fencing {name}"), &work)
            .map_err(|error| match error.remedy {
                Remedy::Renew => LogError {
                    remedy: Remedy::Retry,
                    ..error
                },
                Remedy::Retry | Remedy::Fenced | Remedy::Stop => error,
            })?;
        self.sim.world().note(&format!("{name} has epoch {epoch}"));
        Ok(Box::new(SimOutput {
            log: self.clone(),
            name: name.to_owned(),
            epoch,
            is_finished: false,
        }))
    }

    fn appender(&self) -> Result<Box<dyn Append>, LogError> {
        Ok(Box::new(SimAppender(self.clone())))
    }
}

struct SimAppender(SimLog);

impl Append for SimAppender {
    fn append(&mut self, record: &NewRecord<'_>) -> Result<(), LogError> {
        let mut world = self.0.sim.world();
        let (key, now) = (record.key.unwrap_or_default(), world.now);
        let place = world.broker.home(record.topic, record.partition, key);
        world
            .broker
            .feed(place, key, record.value.unwrap_or_default(), None, now);
        world.wake();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LogError> {
        Ok(())
    }
}

struct SimOutput {
    log: SimLog,
    name: String,
    epoch: u32,
    is_finished: bool,
}

impl SimOutput {
    /// Records in a few requests, the positions, the end.
    fn write(&self, transaction: &Transaction) -> Result<(), LogError> {
        let (name, epoch) = (self.name.clone(), self.epoch);
        let written = transaction.records().map(|record| Written {
            topic: record.topic.to_owned(),
            partition: record.partition,
            offset: 0,
            key: record.key.unwrap_or_default().to_vec(),
            value: record.value.map(<[u8]>::to_vec),
        });
        let written: Vec<Written> = written.collect();
        let requests = {
            let mut world = self.log.sim.world();
            world.begins(self.log.process, &self.name);
            world.chance.random_range(1..=2)
        };
        for part in written.chunks(written.len().div_ceil(requests).max(1)) {
            let (name, part) = (name.clone(), part.to_vec());
            let work: Arc<Work<()>> = Arc::new(move |world| {
                let now = world.now;
                world.broker.produce(&name, epoch, &part, now)
            });
            self.log
                .request(&format!("producing for {}", self.name), &work)?;
        }
        let (positions, note) = (transaction.positions.clone(), transaction.note.clone());
        let member = {
            let world = self.log.sim.world();
            world.processes[self.log.process].member
        };
        let Some(member) = member else {
            return Err(LogError::new(
                Remedy::Fenced,
                "sending positions",
                "no longer a member",
            ));
        };
        let owner = name.clone();
        let work: Arc<Work<()>> = Arc::new(move |world| {
            let broker = &world.broker;
            let positions = positions
                .iter()
                .map(|at| (broker.place(&at.topic, at.partition), at.next))
                .collect();
            let offsets = Offsets {
                positions,
                note: note.clone(),
            };
            let now = world.now;
            world
                .broker
                .send_offsets(&owner, epoch, member, offsets, now)
        });
        self.log
            .request(&format!("sending positions of {}", self.name), &work)?;
        let work: Arc<Work<()>> = Arc::new(move |world| world.commit(&name, epoch));
        self.log
            .request(&format!("committing {}", self.name), &work)
    }
}

impl Output for SimOutput {
    fn committed(&mut self, partitions: &[(&str, i32)]) -> Result<Committed, LogError> {
        self.log.committed_of(partitions)
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<(), LogError> {
        if self.is_finished {
            return Err(LogError::new(
                Remedy::Renew,
                "committing",
                "in doubt since an error",
            ));
        }
        self.is_finished = true;
        self.write(transaction)?;
        self.is_finished = false;
        Ok(())
    }
}

impl World {
    fn init(&mut self, name: &str) -> Result<u32, Refused> {
        let Self {
            broker,
            chance,
            now,
            ..
        } = self;
        broker.init(name, *now, &mut |at_most| {
            chance.random_range(1..=at_most.max(1))
        })
    }

    /// EndTxn: judged here, and then decided.
    fn commit(&mut self, name: &str, epoch: u32) -> Result<(), Refused> {
        self.broker.may_end(name, epoch)?;
        // It holds the manifest's hash, and that all the digests of rows.
        let mut note = String::new();
        if let Some((records, offsets)) = self.broker.ongoing(name) {
            note.clone_from(&offsets.note);
            self.books.judge(name, &records, offsets, &self.broker);
        } else {
            self.books
                .wrong
                .get_or_insert_with(|| format!("{name} commits without positions"));
        }
        let Self {
            broker,
            chance,
            now,
            ..
        } = self;
        broker.end(name, *now, &mut |at_most| {
            chance.random_range(1..=at_most.max(1))
        });
        self.note(&format!("{name} is committed: {note}"));
        Ok(())
    }
}
