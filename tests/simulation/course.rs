//! One seed's course: instances that come and go, what befalls them and the brokers, and what must be true at the end.
//
//   faults  ──────────────────────────►│ cease
//   input   ──────────────────────────►│ the rest ─► quiet? ─► equal to a batch run, verified
//                                      │             all die, snapshots too; one is started; a rest of the input
//                                      │             comes ─► quiet? ─► equal to a batch run, verified

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gpad_live::adapters::clock::Clock;
use gpad_live::adapters::effects::aggregate_topic;
use gpad_live::adapters::log::{LogError, Remedy};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::adapters::threads::sit;
use gpad_live::config;
use gpad_live::domain::topic::{ReferenceTopic, SupplierTopic};
use gpad_live::service::{
    CHANGELOG, DEAD_LETTERS, DELTAS, HISTORY, Health, LEDGER, Observation, Observer, Origin,
    READMISSIONS, Service, ServiceError, Stop, TopicsError,
};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::output::{Readmission, ReferencePosition};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::books::Books;
use super::broker::Broker;
use super::events::Event;
use super::input::{Draw, Newcomers, PLAN, Sent, practice_of, sent};
use super::log::SimLog;
use super::weather::{
    ASLEEP, AWAY, BLIND, CHANGELOGS, COMING, COMPACTED, CUT, FAULTS, KILLED, Limits, READMITTED,
    SLOW, SNAPSHOTS, STANDBYS, Weather,
};
use super::world::{MILLI, Odds, SECOND, Sim, Time, Wall};

/// 14 February 2022: half of the input's month is to come.
const START: i64 = 1_644_800_000_000;
/// After everything: 1 May 2022.
pub const LAST: i64 = 1_651_363_200_000;
/// What came of a seed.
pub struct Outcome {
    /// Turns of threads, and a digest of all that happened.
    pub digest: (u64, u64),
    /// Seconds that passed in it.
    pub simulated: u64,
    pub processes: u64,
    pub counts: BTreeMap<&'static str, u64>,
    pub transactions: u64,
    /// Of the suppliers.
    pub records: u64,
    pub sums: u64,
    pub rows: u64,
    pub letters: u64,
    /// What is wrong, and what happened before.
    pub wrong: Option<String>,
}

pub struct Instance {
    pub process: usize,
    host: usize,
    stop: Stop,
    outcome: Arc<Mutex<Option<Result<(), ServiceError>>>>,
    pub health: Arc<Health>,
}

pub struct Course {
    pub sim: Arc<Sim>,
    chance: ChaCha8Rng,
    weather: Weather,
    disk: TempDir,
    pub instances: Vec<Instance>,
    /// Every reference record sent: topic, offset, value.
    pub reference: Vec<(ReferenceTopic, i64, Vec<u8>)>,
    /// Practices that reference data were sent of.
    practices: Vec<String>,
    foreign: u64,
}

/// Tells the simulation what a service lets others see.
struct Watching(Arc<Sim>);

impl Observer for Watching {
    fn observe(&self, observation: &Observation<'_>) {
        if let Observation::Restored { origin, .. } = observation {
            let what = match origin {
                Origin::Snapshot => SNAPSHOTS,
                Origin::Standby => STANDBYS,
                Origin::Changelog => CHANGELOGS,
            };
            self.0.world().count(what);
        }
    }
}

/// Runs a seed.
pub fn run(seed: u64, limits: Limits) -> Outcome {
    let play = |course: &mut Course, draw: &Draw| course.run(draw, limits);
    enact(seed, limits, Weather::draw, play)
}

/// Plays something in a weather.
pub fn enact(
    seed: u64,
    limits: Limits,
    weather: impl FnOnce(&mut ChaCha8Rng) -> Weather,
    play: impl FnOnce(&mut Course, &Draw) -> Result<(), String>,
) -> Outcome {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let weather = weather(&mut chance);
    let wall = Wall {
        start: START,
        speed: chance.random_range(1..60_000),
        fixed: None,
    };
    let broker = Broker::new(topics(weather.partitions));
    let sim = Sim::new(chance.random(), broker, Books::new(), wall);
    let draw = Draw::new(limits.records, weather.has_newcomers, &mut chance);
    let mut course = Course {
        sim: sim.clone(),
        chance,
        weather,
        disk: disk(),
        instances: Vec::new(),
        reference: Vec::new(),
        practices: Vec::new(),
        foreign: 1 << 32,
    };
    let wrong = sim.direct(|| play(&mut course, &draw).err());
    let world = sim.world();
    let books = &world.books.audited;
    Outcome {
        digest: world.digest(),
        simulated: world.now / SECOND,
        processes: world.processes.len() as u64,
        counts: world.counts.clone(),
        transactions: books.committed() as u64,
        records: books.accounted as u64,
        sums: books.sums as u64,
        rows: books.rows.values().map(|rows| rows.len() as u64).sum(),
        letters: world.books.letters.len() as u64,
        wrong: wrong.map(|wrong| format!("{wrong}\n{}", world.trace())),
    }
}

/// In memory where there is such a place: what is synced to a disk takes its time.
fn disk() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .expect("a folder for snapshots")
}

fn topics(partitions: usize) -> Vec<(String, usize)> {
    let suppliers = SupplierTopic::ALL.map(|topic| (topic.name().to_owned(), partitions));
    let references = ReferenceTopic::ALL.map(|topic| (topic.name().to_owned(), 1));
    let aggregates = PLAN
        .aggregates
        .aggregates
        .iter()
        .map(|aggregate| (aggregate_topic(&aggregate.name), 1));
    let others = [
        (READMISSIONS, partitions),
        (DEAD_LETTERS, 1),
        (LEDGER, 1),
        (DELTAS, 1),
        (HISTORY, 1),
        (CHANGELOG, partitions + 1),
    ];
    let others = others.map(|(name, partitions)| (name.to_owned(), partitions));
    suppliers
        .into_iter()
        .chain(references)
        .chain(aggregates)
        .chain(others)
        .collect()
}

impl Course {
    fn run(&mut self, draw: &Draw, limits: Limits) -> Result<(), String> {
        let ends = limits.seconds * SECOND;
        for sent in &draw.reference {
            self.refer(sent);
        }
        let held_back = draw.records.len() / 8;
        let (records, last) = draw.records.split_at(draw.records.len() - held_back);
        self.sim.world().odds = self.weather.odds;
        for _ in 0..self.weather.most.min(2) {
            self.start();
        }
        let (mut sent, mut late) = (0, draw.late.iter());
        loop {
            self.nap();
            let now = self.sim.world().now;
            if now >= ends {
                break;
            }
            self.check()?;
            // Evenly over the time, in bursts.
            let due = records.len() * now as usize / ends as usize;
            if self.chance.random_bool(0.4) {
                self.feed(&records[sent..due.max(sent)]);
                sent = due.max(sent);
            }
            if self.chance.random_bool(0.05)
                && let Some(late) = late.next()
            {
                self.refer(late);
            }
            self.befall();
        }
        self.cease();
        self.feed(&records[sent..]);
        late.for_each(|late| self.refer(late));
        if let Some(newcomers) = &draw.newcomers {
            self.welcome(newcomers)?;
        }
        self.finish(last)
    }

    /// Everything is done and right; and so it is with the rest, by an instance that has nothing but the changelog.
    pub fn finish(&mut self, last: &[&Sent]) -> Result<(), String> {
        self.settle("after the faults")?;
        self.end_all();
        for host in 0..4 {
            let _ = fs::remove_dir_all(self.directory(host));
        }
        self.start();
        self.feed(last);
        self.settle("restored from the changelog alone")?;
        self.end_all();
        Ok(())
    }

    /// A practice joins: its agreement, records, reference data that change no figure, other owners, more records. Those
    /// that come before the agreement are withheld, and read again when it is asked for.
    pub fn welcome(&mut self, newcomers: &Newcomers) -> Result<(), String> {
        let (first, second) = newcomers.records.split_at(newcomers.records.len() / 2);
        let (early, first) = first.split_at(self.chance.random_range(0..=first.len()));
        self.feed(early);
        // Nobody may meet another record before the agreement: it would not be read again.
        self.rest(10 * SECOND)?;
        for sent in &newcomers.agreements {
            self.refer(sent);
        }
        self.readmit(&newcomers.practice);
        self.rest(5 * SECOND)?;
        self.feed(first);
        self.rest(2 * SECOND)?;
        for sent in &newcomers.others {
            self.refer(sent);
        }
        self.rest(SECOND)?;
        self.start();
        self.rest(3 * SECOND)?;
        if let Some(newest) = self.instances.pop() {
            self.sim.world().kill(newest.process);
        }
        self.rest(8 * SECOND)?;
        self.feed(second);
        Ok(())
    }

    /// Asks for a practice's records to be read again, in knowledge of all reference data that there are.
    pub fn readmit(&mut self, practice: &str) {
        let mut world = self.sim.world();
        world.note(&format!("{practice} is to be readmitted"));
        let broker = &world.broker;
        let position = |topic: ReferenceTopic| ReferencePosition {
            topic: topic.name().to_owned(),
            partition: 0,
            next: broker.partition(broker.place(topic.name(), 0)).next,
        };
        let request = Readmission {
            practice_ods_code: practice.to_owned(),
            requested_at: START,
            reference: ReferenceTopic::ALL.into_iter().map(position).collect(),
        };
        let sent = sent(READMISSIONS, practice.as_bytes(), &request.to_bytes());
        let (place, now) = (broker.home(READMISSIONS, None, &sent.key), world.now);
        world.broker.feed(place, &sent.key, &sent.value, None, now);
        world.wake();
    }

    pub fn rest(&mut self, time: Time) -> Result<(), String> {
        self.sim.sleep(time);
        self.check()
    }

    fn nap(&mut self) {
        let time = self.chance.random_range(20 * MILLI..300 * MILLI);
        self.sim.sleep(time);
    }

    fn directory(&self, host: usize) -> PathBuf {
        let host = if self.weather.shares_directory {
            0
        } else {
            host
        };
        self.disk.path().join(host.to_string())
    }

    /// Starts an instance on a host that has none.
    pub fn start(&mut self) {
        let is_free = |host: &usize| self.instances.iter().all(|instance| instance.host != *host);
        let Some(host) = (0..4).find(is_free) else {
            return;
        };
        let skew = self
            .chance
            .random_range(-self.weather.skew..=self.weather.skew);
        let name = self.weather.has_names.then(|| format!("host-{host}"));
        let process = self.sim.world().start_process(skew, name);
        self.sim
            .world()
            .note(&format!("process {process} starts on host {host}"));
        let (stop, outcome) = (Stop::default(), Arc::new(Mutex::new(None)));
        let health = Arc::new(Health::default());
        let service = Service {
            log: Arc::new(SimLog::new(&self.sim, process)),
            schemas: Arc::new(Schemas::new(None)),
            plan: PLAN.clone(),
            commit: self.weather.commit.clone(),
            clock: Clock::Wall,
            observer: Arc::new(Watching(self.sim.clone())),
            health: health.clone(),
            undecided: Duration::from_mins(1),
            state: config::State {
                history_days: 35,
                directory: Some(self.directory(host)),
                snapshot: self.weather.snapshot,
                standby: self.weather.standby,
                sweep: self.weather.sweep,
            },
            group: "group".to_owned(),
            stop: stop.clone(),
        };
        let seat = self.sim.seat("main", process);
        let result = outcome.clone();
        let main = move || {
            let outcome = service.run();
            *result.lock().expect("nobody panics with it") = Some(outcome);
        };
        std::thread::Builder::new()
            .name(format!("main-{process}"))
            .spawn(move || sit(seat, main))
            .expect("a thread");
        self.instances.push(Instance {
            process,
            host,
            stop,
            outcome,
            health,
        });
    }

    /// Whether anything is wrong; what has ended is taken away, and started again.
    pub fn check(&mut self) -> Result<(), String> {
        if let Some(wrong) = &self.sim.world().books.wrong {
            return Err(wrong.clone());
        }
        let mut ended = Vec::new();
        for (at, instance) in self.instances.iter().enumerate() {
            let reasons = instance.health.reasons();
            if let Some(why) = reasons.iter().find(|why| why.contains("hangs")) {
                return Err(format!("process {}: {why}", instance.process));
            }
            let outcome = instance
                .outcome
                .lock()
                .expect("nobody panics with it")
                .take();
            match outcome {
                None if self.sim.world().has_threads(instance.process) => {}
                None => return Err(format!("process {} has panicked", instance.process)),
                Some(outcome) => {
                    self.sim.world().note(&format!(
                        "process {} has ended: {outcome:?}",
                        instance.process
                    ));
                    if let Err(error) = outcome
                        && !may_end_it(&error)
                    {
                        return Err(format!("process {} has ended: {error}", instance.process));
                    }
                    ended.push(at);
                }
            }
        }
        for at in ended.into_iter().rev() {
            let instance = self.instances.remove(at);
            self.sim.world().kill(instance.process);
        }
        if self.instances.is_empty() {
            self.start();
        }
        Ok(())
    }

    pub fn refer(&mut self, sent: &Sent) {
        let topic = ReferenceTopic::ALL
            .into_iter()
            .find(|topic| topic.name() == sent.topic)
            .expect("reference data");
        let mut world = self.sim.world();
        let (place, now) = (world.broker.place(sent.topic, 0), world.now);
        let offset = world.broker.partition(place).next;
        world.broker.feed(place, &sent.key, &sent.value, None, now);
        world.wake();
        self.reference.push((topic, offset, sent.value.clone()));
        self.practices.push(practice_of(&sent.key));
    }

    /// Sends records, some in a transaction of their sender, which is committed later.
    pub fn feed(&mut self, records: &[&Sent]) {
        let mut world = self.sim.world();
        let now = world.now;
        for sent in records {
            let place = world.broker.home(sent.topic, None, &sent.key);
            let foreign = self.weather.foreign > 0 && self.chance.random_bool(0.05);
            if !foreign {
                world.broker.feed(place, &sent.key, &sent.value, None, now);
                continue;
            }
            self.foreign += 1;
            let ends = now + self.chance.random_range(0..2 * SECOND);
            // What is aborted is sent again, as senders do.
            if self.chance.random_bool(0.3) {
                world
                    .broker
                    .feed(place, &sent.key, &sent.value, Some(self.foreign), now);
                world.broker.at(
                    ends,
                    Event::Foreign {
                        id: self.foreign,
                        place,
                        commits: false,
                    },
                );
                self.foreign += 1;
            }
            world
                .broker
                .feed(place, &sent.key, &sent.value, Some(self.foreign), now);
            world.broker.at(
                ends,
                Event::Foreign {
                    id: self.foreign,
                    place,
                    commits: true,
                },
            );
        }
        world.wake();
    }

    /// One thing, or nothing.
    fn befall(&mut self) {
        let weather = &self.weather;
        let weights = [
            weather.nothing,
            weather.kills,
            weather.sleeps,
            weather.cuts,
            weather.comings,
            weather.away,
            weather.slow,
            weather.compaction,
            weather.blindness,
            weather.readmissions,
        ];
        let mut drawn = self.chance.random_range(0..weights.iter().sum());
        let what = weights.iter().position(|weight| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        let Some(kind) = what.and_then(|what| FAULTS.get(what.checked_sub(1)?)) else {
            return;
        };
        self.sim.world().count(kind);
        let at =
            (!self.instances.is_empty()).then(|| self.chance.random_range(0..self.instances.len()));
        match (*kind, at) {
            (KILLED, Some(at)) => {
                let instance = self.instances.remove(at);
                self.sim.world().kill(instance.process);
                self.harm(instance.host);
                if self.chance.random_bool(0.7) || self.instances.is_empty() {
                    self.start();
                }
            }
            (ASLEEP, Some(at)) => {
                let time = self.chance.random_range(200 * MILLI..12 * SECOND);
                self.sim
                    .world()
                    .put_to_sleep(self.instances[at].process, time);
            }
            (CUT, Some(at)) => {
                let time = self.chance.random_range(200 * MILLI..12 * SECOND);
                self.sim.world().cut(self.instances[at].process, time);
            }
            (COMING, Some(at)) if self.chance.random_bool(0.4) && self.instances.len() > 1 => {
                self.sim.world().note(&format!(
                    "process {} is told to stop",
                    self.instances[at].process
                ));
                self.instances[at].stop.request();
            }
            (COMING, _) if self.instances.len() < self.weather.most => self.start(),
            (AWAY, _) => {
                let time = self.chance.random_range(200 * MILLI..5 * SECOND);
                let mut world = self.sim.world();
                world.note(&format!("all brokers are away for {} ms", time / MILLI));
                world.away_until = world.now + time;
            }
            (SLOW, _) => {
                let slow = if self.chance.random_bool(0.5) {
                    0
                } else {
                    self.chance.random_range(0..3 * SECOND)
                };
                let topic = SupplierTopic::ALL
                    .choose(&mut self.chance)
                    .expect("there are eight");
                let markers = self.chance.random_range(MILLI..200 * MILLI);
                let mut world = self.sim.world();
                let (topic, _) = world.broker.place(topic.name(), 0);
                world.broker.topics[topic].slow = slow;
                world.broker.markers = markers;
            }
            (COMPACTED, _) => {
                let topic = ReferenceTopic::ALL
                    .choose(&mut self.chance)
                    .expect("there are three");
                let mut world = self.sim.world();
                world.note(&format!("{topic} is compacted"));
                let place = world.broker.place(topic.name(), 0);
                world.broker.compact(place);
            }
            (READMITTED, _) => {
                if let Some(practice) = self.practices.choose(&mut self.chance).cloned() {
                    self.readmit(&practice);
                }
            }
            (BLIND, Some(at)) => {
                let suppliers = SupplierTopic::ALL.map(SupplierTopic::name);
                let references = ReferenceTopic::ALL.map(ReferenceTopic::name);
                let topics: Vec<&str> = suppliers.into_iter().chain(references).collect();
                let topic = topics.choose(&mut self.chance).expect("there are eleven");
                let time = self.chance.random_range(200 * MILLI..6 * SECOND);
                self.sim
                    .world()
                    .blind(self.instances[at].process, topic, time);
            }
            _ => {}
        }
    }

    /// What a death may do to the files of a host.
    fn harm(&mut self, host: usize) {
        let directory = self.directory(host).join("group");
        let what = self.chance.random_range(0..4);
        if what == 0 {
            let _ = fs::remove_dir_all(&directory);
        }
        let files = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
        files.sort();
        for file in files {
            let Ok(mut bytes) = fs::read(&file) else {
                continue;
            };
            match what {
                1 => bytes.truncate(bytes.len() / 2),
                2 if !bytes.is_empty() => {
                    let at = self.chance.random_range(0..bytes.len());
                    bytes[at] ^= 1;
                }
                _ => return,
            }
            let _ = fs::write(file, bytes);
        }
    }

    /// Everything works from here on, and all clocks show the same.
    pub fn cease(&mut self) {
        let mut world = self.sim.world();
        world.note("the faults cease");
        world.odds = Odds::default();
        world.away_until = 0;
        world.wall.fixed = Some(LAST);
        world.broker.markers = 3 * MILLI;
        for process in &mut world.processes {
            (process.asleep_until, process.cut_until) = (0, 0);
            process.blind.clear();
        }
        for topic in &mut world.broker.topics {
            topic.slow = 0;
        }
    }

    /// Every instance is killed, and gone.
    fn end_all(&mut self) {
        for instance in self.instances.drain(..) {
            self.sim.world().kill(instance.process);
        }
        self.sim.sleep(MILLI);
    }
}

/// What a process may end with while brokers are ill; whoever runs it starts it again.
fn may_end_it(error: &ServiceError) -> bool {
    let passes = |error: &LogError| error.remedy != Remedy::Stop;
    match error {
        ServiceError::Log(error) | ServiceError::Topics(TopicsError::Log(error)) => passes(error),
        ServiceError::Unfinished { .. } => true,
        ServiceError::Topics(_) | ServiceError::Registry(_) | ServiceError::Task { .. } => false,
    }
}
