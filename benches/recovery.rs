//! How long a killed instance takes to work again, and how fast state is read back from Kafka alone.
//!
//! `cargo bench --bench recovery` starts a real Kafka, lets the release build take in a million appointments, kills it
//! by SIGKILL while records go on coming, starts it again at once under its name (static membership), and watches the
//! committed manifests: with local snapshots, then with the snapshots removed. It prints where the time goes, and the
//! rate of reading back as a share of a bare librdkafka consumer of the same changelog in the same run. Words behind
//! `--`: appointments in thousands, and rounds. `GPADLIVE_PROOF_REPORT=FILE` writes the report there.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark's helpers fail as it does, and measure by the clock"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use gpad_live::adapters::log::Log;
use gpad_live::adapters::partitioner::partition_of;
use gpad_live::adapters::schemas::Schemas;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::service::{CHANGELOG, LEDGER};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe_ours;
use gpad_live::wire::output::Manifest;
use gpad_live::wire::reference::ParticipationState;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use support::feed::Feed;
use support::input::NOW;
use support::instance::{Environment, Instance, succeed};
use support::proof::{machine, versions};
use support::{Kafka, wait_for};

const TASKS: i32 = 8;
/// Published appointments of February 2022.
const PUBLISHED: f64 = 25_355_260.0;
/// That the trickle changes again and again.
const SLOTS: i64 = 20_000;
const LONG: Duration = Duration::from_mins(20);

/// A committed manifest, as a reader of committed records saw it.
struct Seen {
    at: SystemTime,
    manifest: Manifest,
}

/// Reads manifests as they are committed.
struct Watch {
    seen: Receiver<Seen>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(kafka: &Kafka) -> Self {
        let consumer = consumer(kafka, &[("fetch.wait.max.ms", "5")]);
        assign(&consumer, kafka, LEDGER, Offset::End);
        let (sender, seen) = channel();
        let ends = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ends = ends.clone();
            move || {
                while !ends.load(Ordering::Acquire) {
                    if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                        let at = SystemTime::now();
                        let (_, datum) = unframe_ours(message.payload()).unwrap();
                        let manifest = Manifest::from_bytes(datum).unwrap();
                        if sender.send(Seen { at, manifest }).is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Self {
            seen,
            ends,
            thread: Some(thread),
        }
    }

    fn next(&self) -> Seen {
        self.seen
            .recv_timeout(Duration::from_mins(1))
            .expect("something is committed within a minute")
    }

    /// Drains what is there, and answers the greatest epoch of each task.
    fn now(&self, epochs: &mut BTreeMap<String, i64>) {
        while let Ok(seen) = self.seen.try_recv() {
            epochs.insert(seen.manifest.task, seen.manifest.epoch);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn consumer(kafka: &Kafka, more: &[(&str, &str)]) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka.brokers())
        .set("group.id", "watch")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true");
    for (key, value) in more {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

fn assign(consumer: &BaseConsumer, kafka: &Kafka, topic: &str, from: Offset) -> i32 {
    let partitions = kafka.open("watch").partitions(&[topic]).unwrap()[0].unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        let from = if from == Offset::Beginning {
            let ends = consumer.fetch_watermarks(topic, partition, Duration::from_secs(5));
            Offset::Offset(ends.unwrap().0)
        } else {
            from
        };
        list.add_partition_offset(topic, partition, from).unwrap();
    }
    consumer.assign(&list).unwrap();
    partitions
}

/// Seconds and bytes of reading the whole changelog with nothing done about it.
fn bare(kafka: &Kafka) -> (f64, usize) {
    let began = SystemTime::now();
    let consumer = consumer(kafka, &[("check.crcs", "true")]);
    let partitions = assign(&consumer, kafka, CHANGELOG, Offset::Beginning);
    let (mut bytes, mut ended) = (0, BTreeSet::new());
    while ended.len() < partitions as usize {
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => bytes += message.payload_len(),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    (began.elapsed().unwrap().as_secs_f64(), bytes)
}

/// One practice for each task.
fn practices() -> Vec<String> {
    let homes = (90_000..).map(|number| format!("A{number}"));
    let mut by_task = BTreeMap::new();
    for code in homes {
        by_task
            .entry(partition_of(code.as_bytes(), TASKS))
            .or_insert(code);
        if by_task.len() == TASKS as usize {
            break;
        }
    }
    by_task.into_values().collect()
}

/// Sends each task a record every few milliseconds, so that a commit is always due.
struct Trickle {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Trickle {
    fn start(kafka: &Kafka) -> Self {
        let mut feed = Feed::new(&kafka.open("trickle"), Schemas::new(None));
        let practices = practices();
        for (at, code) in practices.iter().enumerate() {
            feed.practice(code, at % 2);
            feed.agreement(code, ParticipationState::Approved, 1_577_836_800_000);
        }
        feed.flush();
        let ends = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ends = ends.clone();
            move || {
                let mut number: i64 = 0;
                while !ends.load(Ordering::Acquire) {
                    for code in &practices {
                        number += 1;
                        let (slot, version) = ((number % SLOTS).to_string(), number / SLOTS);
                        feed.appointment(code, &slot, 1, 1 + version, version % 2 == 0);
                    }
                    sleep(Duration::from_millis(5));
                }
                feed.flush();
            }
        });
        Self {
            ends,
            thread: Some(thread),
        }
    }
}

impl Drop for Trickle {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A line of an instance's log.
struct Line {
    /// Milliseconds after the process was started.
    at: f64,
    fields: serde_json::Value,
}

impl Line {
    fn number(&self, field: &str) -> f64 {
        let value = &self.fields[field];
        let text = value.as_str().map(str::parse);
        value.as_f64().or_else(|| text?.ok()).unwrap_or_default()
    }
}

fn lines(instance: &Instance, started: SystemTime) -> Vec<Line> {
    let started: DateTime<Utc> = started.into();
    let text = instance.log();
    let lines = text.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let at: DateTime<Utc> = line["timestamp"].as_str()?.parse().ok()?;
        let at = (at - started).num_microseconds()? as f64 / 1e3;
        let fields = line["fields"].clone();
        Some(Line { at, fields })
    });
    lines.collect()
}

/// What one restart took, in milliseconds after the start of the new process.
struct Restart {
    /// From the kill to the start of the new process.
    dead: f64,
    steps: Vec<(&'static str, f64)>,
    first: f64,
    every: f64,
    entries: f64,
    read: f64,
    origins: BTreeSet<String>,
    /// From the first task that begins to restore to the last that has.
    restoring: f64,
    slowest: f64,
}

struct Machine<'k> {
    kafka: &'k Kafka,
    environment: Environment,
    watch: Watch,
    instance: Option<Instance>,
    epochs: BTreeMap<String, i64>,
}

impl Machine<'_> {
    /// Kills the instance, does something to its disk, and starts it again.
    fn restart(&mut self, meanwhile: impl FnOnce()) -> Restart {
        self.watch.now(&mut self.epochs);
        let killed = SystemTime::now();
        self.instance.take().unwrap().kill();
        meanwhile();
        // What was committed before the kill may still be on its way to us.
        self.watch.now(&mut self.epochs);
        let started = SystemTime::now();
        let instance = self.instance.insert(Instance::start(&self.environment));
        let after = |at: SystemTime| at.duration_since(started).unwrap().as_secs_f64() * 1e3;
        let (mut first, mut last, mut waited) = (None, 0.0, BTreeSet::new());
        waited.extend(self.epochs.keys().cloned());
        while !waited.is_empty() {
            let seen = self.watch.next();
            let task = seen.manifest.task;
            if seen.manifest.epoch > self.epochs.get(&task).copied().unwrap_or(-1) {
                first.get_or_insert_with(|| after(seen.at));
                last = after(seen.at);
                waited.remove(&task);
            }
        }
        let lines = lines(instance, started);
        let of = |message: &str| {
            let of = lines
                .iter()
                .filter(|line| line.fields["message"] == message);
            of.collect::<Vec<_>>()
        };
        let firstly = |message: &str| of(message).first().map_or(f64::NAN, |line| line.at);
        let lastly = |message: &str| of(message).last().map_or(f64::NAN, |line| line.at);
        let restored = of("restored");
        let sum = |field: &str| restored.iter().map(|line| line.number(field)).sum();
        Restart {
            dead: started.duration_since(killed).unwrap().as_secs_f64() * 1e3,
            steps: vec![
                ("process at work", firstly("connecting")),
                ("reference data read", firstly("reference data read")),
                ("tasks assigned", firstly("tasks assigned")),
                ("first task fenced", firstly("restoring")),
                ("last task fenced", lastly("restoring")),
                ("first task restored", firstly("restored")),
                ("last task restored", lastly("restored")),
            ],
            first: first.unwrap(),
            every: last,
            entries: sum("entries"),
            read: sum("read"),
            origins: restored
                .iter()
                .filter_map(|line| line.fields["origin"].as_str().map(str::to_owned))
                .collect(),
            restoring: lastly("restored") - firstly("restoring"),
            slowest: restored
                .iter()
                .map(|line| line.number("took_ms"))
                .fold(0.0, f64::max),
        }
    }

    /// Waits until every task has committed a snapshot that began after now.
    fn wait_for_snapshots(&mut self) {
        let mut named: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
        let tasks = self.epochs.len();
        let began = SystemTime::now();
        while named.values().filter(|hashes| hashes.len() > 1).count() < tasks {
            let seen = self.watch.next();
            let hash = seen.manifest.snapshot.0;
            self.epochs
                .insert(seen.manifest.task.clone(), seen.manifest.epoch);
            if !hash.is_empty() {
                named.entry(seen.manifest.task).or_default().insert(hash);
            }
            assert!(began.elapsed().unwrap() < Duration::from_mins(3));
        }
    }
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn spread(numbers: impl Iterator<Item = f64> + Clone) -> String {
    let (low, high) = numbers
        .clone()
        .fold((f64::MAX, f64::MIN), |(low, high), number| {
            (low.min(number), high.max(number))
        });
    format!("{:.0} ({low:.0} to {high:.0})", median(numbers))
}

/// One figure of a restart.
type Of = fn(&Restart) -> f64;

fn table(report: &mut String, restarts: &[Restart]) {
    writeln!(
        report,
        "| milliseconds after the new process was started | median (spread) of {} |\n|---|---:|",
        restarts.len()
    )
    .unwrap();
    for (at, (name, _)) in restarts[0].steps.iter().enumerate() {
        let all = restarts.iter().map(|restart| restart.steps[at].1);
        writeln!(report, "| {name} | {} |", spread(all)).unwrap();
    }
    let rows: [(&str, Of); 5] = [
        ("**first new commit seen**", |restart| restart.first),
        ("every task's first commit seen", |restart| restart.every),
        ("the same, first new commit, after the kill", |restart| {
            restart.first + restart.dead
        }),
        ("the slowest task's restoring alone", |restart| {
            restart.slowest
        }),
        ("entries read from the changelog", |restart| restart.read),
    ];
    for (name, of) in rows {
        let all = restarts.iter().map(of);
        writeln!(report, "| {name} | {} |", spread(all)).unwrap();
    }
}

fn main() {
    // `cargo test --benches` runs this too: there a benchmark has nothing to show.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let asked: Vec<u32> = std::env::args()
        .filter_map(|word| word.parse().ok())
        .collect();
    let thousands = asked.first().copied().unwrap_or(1_000);
    let rounds = asked.get(1).copied().unwrap_or(5);
    let kafka = Kafka::start();
    let state = tempfile::tempdir().unwrap();
    let mut environment: Environment = vec![
        ("GPAD_KAFKA_BROKERS", kafka.brokers()),
        ("GPAD_KAFKA_GROUP", "recovery".to_owned()),
        ("GPAD_KAFKA_INSTANCE", "one".to_owned()),
        ("GPAD_TOPICS_PARTITIONS", TASKS.to_string()),
        ("GPAD_TOPICS_REPLICATION", "1".to_owned()),
        (
            "GPAD_STATE_DIRECTORY",
            state.path().to_str().unwrap().to_owned(),
        ),
        ("GPAD_STATE_SNAPSHOT_SECONDS", "5".to_owned()),
        ("GPAD_HTTP_ADDRESS", "off".to_owned()),
        ("GPAD_CLOCK", format!("fixed {NOW}")),
        (
            "RUST_LOG",
            "info,gpad_live=debug,librdkafka=warn".to_owned(),
        ),
    ];
    environment.extend(
        std::env::var("GPAD_KAFKA_SESSION_SECONDS")
            .map(|value| ("GPAD_KAFKA_SESSION_SECONDS", value)),
    );
    succeed(&environment, &["topics", "create"]);
    let cells = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/icb_cells_2022-02.csv");
    let scale = f64::from(thousands) * 1e3 / PUBLISHED;
    eprintln!("sending {thousands},000 appointments");
    succeed(
        &environment,
        &[
            "simulate",
            "--cells",
            cells.to_str().unwrap(),
            "--month",
            "2022-02",
            "--scale",
            &scale.to_string(),
            "--brokers",
            &kafka.brokers(),
        ],
    );
    let trickle = Trickle::start(&kafka);
    let watch = Watch::start(&kafka);
    let mut machine = Machine {
        kafka: &kafka,
        instance: Some(Instance::start(&environment)),
        environment,
        watch,
        epochs: BTreeMap::new(),
    };
    eprintln!("taking them in");
    let accounted = Mutex::new(0);
    let sent: i64 = sent(&kafka);
    wait_for("every record", LONG, || {
        let mut accounted = accounted.lock().unwrap();
        while let Ok(seen) = machine.watch.seen.try_recv() {
            let counts = &seen.manifest.dispositions;
            *accounted += counts.iter().map(|count| count.count).sum::<i64>();
            machine.epochs.insert(seen.manifest.task, 0);
        }
        *accounted >= sent
    });
    eprintln!("{rounds} restarts from snapshots");
    let mut warm = Vec::new();
    for _ in 0..rounds {
        machine.wait_for_snapshots();
        warm.push(machine.restart(|| ()));
        assert_eq!(
            warm.last().unwrap().origins.iter().collect::<Vec<_>>(),
            ["snapshot"]
        );
    }
    eprintln!("{rounds} restarts from Kafka alone");
    let (mut cold, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bares.push(bare(machine.kafka));
        let directory = state.path().to_owned();
        cold.push(machine.restart(|| {
            // It may not be there yet.
            let _ = std::fs::remove_dir_all(&directory);
        }));
        assert_eq!(
            cold.last().unwrap().origins.iter().collect::<Vec<_>>(),
            ["changelog"]
        );
    }
    drop(trickle);
    report(thousands, &warm, &cold, &bares);
}

/// Records of all supplier topics, those that come while it is asked left out.
fn sent(kafka: &Kafka) -> i64 {
    let log = kafka.open("count");
    let topics = SupplierTopic::ALL.map(SupplierTopic::name);
    let ends = topics.into_iter().flat_map(|topic| {
        let log = &log;
        (0..TASKS).map(move |partition| log.ends(topic, partition).unwrap().end)
    });
    ends.sum()
}

fn report(thousands: u32, warm: &[Restart], cold: &[Restart], bares: &[(f64, usize)]) {
    let rate = |restart: &Restart| restart.read / restart.restoring * 1e3;
    let (ours, theirs) = (
        median(cold.iter().map(rate)),
        median(
            bares
                .iter()
                .zip(cold)
                .map(|((seconds, _), restart)| restart.read / seconds),
        ),
    );
    let mut report = format!(
        "# Recovery\n\n| | |\n|---|---|\n| date | {} |\n| command | `cargo bench --bench recovery -- {thousands} {}` |\n\
         | versions | {} |\n| machine | {} |\n\
         | state | {thousands},000 appointments of England's February 2022, {:.0} entries in all (slots, consultations, rows, …), {TASKS} tasks and the second stage in one instance |\n\
         | settings | defaults but for `kafka.instance`, `state.directory`, `state.snapshot_seconds = 5`; a record to every task each 5 ms throughout |\n\n",
        Utc::now().format("%Y-%m-%d %H:%M UTC"),
        warm.len(),
        versions(),
        machine("release"),
        median(warm.iter().map(|restart| restart.entries)),
    );
    report.push_str("## SIGKILL, restart at once, local snapshots\n\n");
    table(&mut report, warm);
    report.push_str("\n## SIGKILL, restart at once, the snapshots gone: from Kafka alone\n\n");
    table(&mut report, cold);
    write!(
        report,
        "\nFrom Kafka alone: **{:.2} million entries a second** (from the first task that begins to the last that is ready; the \
         indexes built, records decoded, checked and put into place). A bare librdkafka consumer of the same changelog, \
         {:.0} MB, in the same run: {:.2} million entries a second. Ours is {:.0} % of it.\n",
        ours / 1e6,
        median(bares.iter().map(|(_, bytes)| *bytes as f64)) / 1e6,
        theirs / 1e6,
        ours / theirs * 100.0
    )
    .unwrap();
    eprintln!("{report}");
    if let Ok(path) = std::env::var("GPADLIVE_PROOF_REPORT") {
        std::fs::write(path, report).unwrap();
    }
}
