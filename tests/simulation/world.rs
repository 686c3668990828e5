//! The simulated machine: threads that run one at a time, a time that moves only while all of them wait, one seed.
//
//   token   held by the one thread that runs; given up in `sleep` and in every call of the simulated log
//   turn    drawn by the seed among those whose wait is over; when there is none, time jumps to the next that is,
//           or to the next thing that the broker does by itself
//   death   of a process: none of its threads returns from the place where it gave up the token

use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gpad_live::adapters::clock::monotonic;
use gpad_live::adapters::threads::{Seat, sit};
use gpad_live::domain::time::Timestamp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xxhash_rust::xxh3::Xxh3;

use super::books::Books;
use super::broker::{Broker, Place};
use crate::support::proof::size;

/// Microseconds since the simulation began.
pub type Time = u64;
pub const MILLI: Time = 1_000;
pub const SECOND: Time = 1_000 * MILLI;
/// Of the trace, kept to be printed when something is wrong.
const KEPT: u64 = 40;

/// One running of the service, from its start to its end or death.
pub struct Process {
    pub is_alive: bool,
    /// It sleeps, as under SIGSTOP.
    pub asleep_until: Time,
    /// No request of it reaches a broker.
    pub cut_until: Time,
    /// Topics of which it is shown nothing new, and until when.
    pub blind: BTreeMap<usize, Time>,
    /// Since when the group has not heard of it.
    pub silent_since: Option<Time>,
    /// Milliseconds that its wall clock is ahead.
    pub skew: i64,
    /// Tasks that it has given up, and the transactions that it began for each since.
    pub given_up: BTreeMap<String, u32>,
    /// Its member of the group.
    pub member: Option<u64>,
    /// The name that the group keeps its tasks for.
    pub instance: Option<String>,
}

struct Waiting {
    name: String,
    process: usize,
    until: Time,
    /// What it waits for, beside the time.
    places: Vec<Place>,
    wake: Arc<Condvar>,
}

/// What the wall clocks show.
#[derive(Clone, Copy)]
pub struct Wall {
    pub start: i64,
    /// Simulated milliseconds for each.
    pub speed: i64,
    /// The same everywhere from here on.
    pub fixed: Option<i64>,
}

/// How likely it is that something goes wrong, in 10,000 requests.
#[derive(Clone, Copy, Default)]
pub struct Odds {
    /// A request is never heard.
    pub lost: u32,
    /// It is done, and the answer is lost.
    pub unheard: u32,
    /// It is done much later, and given up by then.
    pub late: u32,
    /// Reading and asking: an error that passes.
    pub retry: u32,
    /// The handle is finished.
    pub renew: u32,
    /// It is long under way.
    pub slow: u32,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Answered,
    Lost,
    Unheard,
    /// Done so much later, and given up before.
    Late(Time),
    /// So long under way.
    Slow(Time),
}

pub struct World {
    pub now: Time,
    pub chance: ChaCha8Rng,
    pub broker: Broker,
    pub books: Books,
    pub processes: Vec<Process>,
    pub wall: Wall,
    pub odds: Odds,
    /// All brokers are away.
    pub away_until: Time,
    /// What becomes of the next request of that name.
    pub fates: Vec<(String, Fate)>,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    threads: BTreeMap<usize, Waiting>,
    next_thread: usize,
    running: usize,
    turns: u64,
    digest: Xxh3,
    last: VecDeque<String>,
    kept: usize,
}

impl World {
    /// Takes down what happens: part of the digest that two runs of one seed share.
    pub fn note(&mut self, what: &str) {
        self.digest.update(&self.now.to_le_bytes());
        self.digest.update(what.as_bytes());
        if self.last.len() == self.kept {
            self.last.pop_front();
        }
        let thread = self.threads.get(&self.running);
        let who = thread.map_or("", |thread| &thread.name);
        let line = format!("{:>9.3} ms  {who:<14} {what}", self.now as f64 / 1_000.0);
        self.last.push_back(line);
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn trace(&self) -> String {
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        lines.join("\n")
    }

    pub fn digest(&self) -> (u64, u64) {
        (self.turns, self.digest.digest())
    }

    pub fn one_in(&mut self, of_10_000: u32) -> bool {
        of_10_000 > 0 && self.chance.random_range(0..10_000) < of_10_000
    }

    pub fn is_reachable(&self, process: usize) -> bool {
        self.now >= self.away_until && self.now >= self.processes[process].cut_until
    }

    pub fn start_process(&mut self, skew: i64, instance: Option<String>) -> usize {
        self.processes.push(Process {
            is_alive: true,
            asleep_until: 0,
            cut_until: 0,
            blind: BTreeMap::new(),
            silent_since: None,
            skew,
            given_up: BTreeMap::new(),
            member: None,
            instance,
        });
        self.processes.len() - 1
    }

    /// SIGKILL: every thread of it ends where it stands.
    pub fn kill(&mut self, process: usize) {
        self.note(&format!("process {process} is killed"));
        self.processes[process].is_alive = false;
        self.processes[process].asleep_until = 0;
        self.is_silent(process);
        for thread in self.threads.values_mut() {
            if thread.process == process {
                thread.until = self.now;
            }
        }
    }

    /// SIGSTOP, and SIGCONT so much later.
    pub fn put_to_sleep(&mut self, process: usize, time: Time) {
        self.note(&format!("process {process} sleeps for {} ms", time / MILLI));
        self.processes[process].asleep_until = self.now + time;
        self.is_silent(process);
    }

    /// Its requests are lost for so long.
    pub fn cut(&mut self, process: usize, time: Time) {
        self.note(&format!(
            "process {process} is cut off for {} ms",
            time / MILLI
        ));
        self.processes[process].cut_until = self.now + time;
        self.is_silent(process);
    }

    /// It is shown nothing new of a topic for so long: the leader of its partitions is out of reach.
    pub fn blind(&mut self, process: usize, topic: &str, time: Time) {
        self.note(&format!(
            "process {process} is shown nothing of {topic} for {} ms",
            time / MILLI
        ));
        let (topic, _) = self.broker.place(topic, 0);
        let until = self.now + time;
        self.processes[process].blind.insert(topic, until);
    }

    pub fn sees(&self, process: usize, (topic, _): Place) -> bool {
        let until = self.processes[process].blind.get(&topic);
        self.is_reachable(process) && until.is_none_or(|until| *until <= self.now)
    }

    /// A process begins a transaction of a task. The one that was under way when the task was given up may still come:
    /// it is fenced, or was in time. Another may not.
    pub fn begins(&mut self, process: usize, task: &str) {
        if let Some(begun) = self.processes[process].given_up.get_mut(task) {
            *begun += 1;
            if *begun > 1 {
                let wrong =
                    format!("process {process} works on task {task}, which it has given up");
                self.books.wrong.get_or_insert(wrong);
            }
        }
    }

    /// The group hears nothing of it from here on.
    pub fn is_silent(&mut self, process: usize) {
        let now = self.now;
        let silent = &mut self.processes[process];
        silent.silent_since.get_or_insert(now);
        if let Some(member) = silent.member {
            self.broker.expect_silence(member, now);
        }
    }

    pub fn has_threads(&self, process: usize) -> bool {
        self.threads
            .values()
            .any(|thread| thread.process == process)
    }

    /// Lets the broker do what is due, and wakes who waits for it.
    fn settle(&mut self) {
        for at in 0..self.processes.len() {
            let process = &mut self.processes[at];
            if process.is_alive
                && process.silent_since.is_some()
                && self.now >= process.asleep_until
                && self.now >= process.cut_until
            {
                process.silent_since = None;
            }
        }
        while let Some(event) = self.broker.due(self.now) {
            self.happen(event);
        }
        self.wake();
    }

    /// Those who wait for what has changed need wait no longer.
    pub fn wake(&mut self) {
        let changed = self.broker.take_changed();
        if changed.is_empty() {
            return;
        }
        for thread in self.threads.values_mut() {
            if thread.places.iter().any(|place| changed.contains(place)) {
                thread.until = thread.until.min(self.now);
            }
        }
    }

    /// Draws who runs next.
    fn turn(&mut self) {
        loop {
            self.settle();
            let ready: Vec<usize> = (self.threads.iter())
                .filter(|(_, thread)| self.ready_at(thread) <= self.now)
                .map(|(id, _)| *id)
                .collect();
            if !ready.is_empty() {
                let next = ready[self.chance.random_range(0..ready.len())];
                self.running = next;
                self.turns += 1;
                self.digest.update(&self.now.to_le_bytes());
                self.digest.update(&next.to_le_bytes());
                return;
            }
            let threads = self.threads.values().map(|thread| self.ready_at(thread));
            let Some(next) = threads.chain(self.broker.next_event()).min() else {
                return;
            };
            self.now = next.max(self.now);
        }
    }

    fn ready_at(&self, thread: &Waiting) -> Time {
        thread
            .until
            .max(self.processes[thread.process].asleep_until)
    }
}

/// What a thread ends with when its process is killed.
struct Killed;

pub struct Sim {
    world: Mutex<World>,
    base: Instant,
}

thread_local! {
    static HERE: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
}

impl Sim {
    pub fn new(seed: u64, broker: Broker, books: Books, wall: Wall) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(World {
                now: 0,
                chance: ChaCha8Rng::seed_from_u64(seed),
                broker,
                books,
                processes: Vec::new(),
                wall,
                odds: Odds::default(),
                away_until: 0,
                fates: Vec::new(),
                counts: BTreeMap::new(),
                threads: BTreeMap::new(),
                next_thread: 0,
                running: usize::MAX,
                turns: 0,
                digest: Xxh3::new(),
                last: VecDeque::new(),
                kept: size("GPADLIVE_SIMULATION_TRACE", KEPT) as usize,
            }),
            base: monotonic(),
        })
    }

    /// Directs the simulation from this thread, which is its first; the simulation ends with `work`.
    pub fn direct<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let process = self.world().start_process(0, None);
        let seat = self.seat("director", process);
        self.world().turn();
        sit(seat, work)
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat for a new thread of a process.
    pub fn seat(self: &Arc<Self>, name: &str, process: usize) -> Arc<dyn Seat> {
        let mut world = self.world();
        let id = world.next_thread;
        world.next_thread += 1;
        let wake = Arc::new(Condvar::new());
        let waiting = Waiting {
            name: format!("{process}:{name}"),
            process,
            until: world.now,
            places: Vec::new(),
            wake: wake.clone(),
        };
        world.threads.insert(id, waiting);
        Arc::new(SimSeat {
            sim: self.clone(),
            id,
            process,
            wake,
            ended: AtomicBool::new(false),
        })
    }

    /// Gives up the token until a time, or until one of the places has changed.
    pub fn wait(&self, until: Time, places: &[Place]) {
        if std::thread::panicking() {
            return;
        }
        let me = HERE.get();
        let mut world = self.world();
        let (wake, process) = {
            let thread = world
                .threads
                .get_mut(&me)
                .expect("a thread of the simulation");
            thread.until = until;
            thread.places.clear();
            thread.places.extend_from_slice(places);
            (thread.wake.clone(), thread.process)
        };
        if !world.processes[process].is_alive {
            drop(world);
            resume_unwind(Box::new(Killed));
        }
        world.turn();
        Self::hand_over(world, me, process, &wake);
    }

    /// Lets the one who was drawn run, and comes back when it is this thread's turn.
    fn hand_over(world: MutexGuard<'_, World>, me: usize, process: usize, wake: &Condvar) {
        let mut world = world;
        if world.running != me {
            if let Some(next) = world.threads.get(&world.running) {
                next.wake.notify_one();
            }
            while world.running != me {
                world = wake.wait(world).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let is_alive = world.processes[process].is_alive;
        drop(world);
        if !is_alive {
            resume_unwind(Box::new(Killed));
        }
    }

    /// Sleeps in simulated time.
    pub fn sleep(&self, time: Time) {
        let until = self.world().now + time;
        self.wait(until, &[]);
    }
}

struct SimSeat {
    sim: Arc<Sim>,
    id: usize,
    process: usize,
    wake: Arc<Condvar>,
    ended: AtomicBool,
}

impl Seat for SimSeat {
    fn monotonic(&self) -> Instant {
        self.sim.base + Duration::from_micros(self.sim.world().now)
    }

    fn wall(&self) -> Timestamp {
        let world = self.sim.world();
        let wall = world.wall;
        let running = (world.now / MILLI) as i64 * wall.speed + wall.start;
        Timestamp(
            wall.fixed
                .unwrap_or(running + world.processes[self.process].skew),
        )
    }

    fn sleep(&self, time: Duration) {
        self.sim.sleep(time.as_micros() as u64);
    }

    fn spawn(&self, name: &str) -> Arc<dyn Seat> {
        self.sim.seat(name, self.process)
    }

    fn begin(&self) {
        HERE.set(self.id);
        let mut world = self.sim.world();
        while world.running != self.id {
            world = (self.wake.wait(world)).unwrap_or_else(PoisonError::into_inner);
        }
        let is_alive = world.processes[self.process].is_alive;
        drop(world);
        if !is_alive {
            resume_unwind(Box::new(Killed));
        }
    }

    fn end(&self) {
        let mut world = self.sim.world();
        if self.process == 0 {
            // Nobody directs any more: a test has failed here, and nothing may go on behind it.
            for process in 0..world.processes.len() {
                world.kill(process);
            }
        }
        world.threads.remove(&self.id);
        self.ended.store(true, Ordering::Release);
        if !world.threads.is_empty() {
            world.turn();
            if let Some(next) = world.threads.get(&world.running) {
                next.wake.notify_one();
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}
