//! How long it takes from a supplier's sender to a committed row, at a steady rate.
//!
//! `cargo bench --bench latency` starts a real Kafka and an instance with all default aggregates for each commit interval, sends it
//! simulated suppliers' records at a steady rate, and reads the ledger and the deltas as a committed reader does. A record counts as
//! committed when such a reader is handed the manifest of the transaction that has read it: the rows of practices become visible with
//! it. It counts as rolled up when the second stage's manifest is there that has read all of that transaction's deltas: then it is in
//! England's figures, too. The clock starts when the sender hands the record over. What is sent in the
//! first two thirds is warm-up: until then the compiler of the broker's Java machine takes up to a core.
//! Words behind `--`: records a second (20,000 unless said), seconds (90), then commit intervals in milliseconds (100 and 25).
//! `GPADLIVE_PROOF_REPORT=FILE` writes the report there.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark's helpers fail as it does, and measure by the clock"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime};

use gpad_live::adapters::schemas::Schemas;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::service::LEDGER;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe_ours;
use gpad_live::wire::output::{Deltas, Manifest};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use support::input::{Flow, Input};
use support::instance::{Environment, Instance, succeed};
use support::proof::{machine, versions};
use support::{Kafka, on_cores, prompt_reader, wait_for};

const TASKS: i32 = 4;
const DELTAS: &str = "gpad.deltas";
/// When all appointments are past.
const NOW: &str = "2022-06-01T12:00:00Z";
const LONG: Duration = Duration::from_mins(2);

/// Milliseconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs_f64() * 1e3
}

fn consumer(kafka: &Kafka, topics: &[&str]) -> (BaseConsumer, i64) {
    let consumer = prompt_reader(&kafka.brokers(), "latency");
    let metadata = consumer.fetch_metadata(None, LONG).unwrap();
    let (mut list, mut unread) = (TopicPartitionList::new(), 0);
    for topic in metadata
        .topics()
        .iter()
        .filter(|it| topics.contains(&it.name()))
    {
        for partition in topic.partitions() {
            let ends = consumer.fetch_watermarks(topic.name(), partition.id(), LONG);
            unread += ends.unwrap().1;
            list.add_partition_offset(topic.name(), partition.id(), Offset::Beginning)
                .unwrap();
        }
    }
    consumer.assign(&list).unwrap();
    (consumer, unread)
}

/// What a committed reader has been handed, and when.
#[derive(Default)]
struct Handed {
    manifests: Vec<(f64, Manifest)>,
    /// By task and sequence: offset of the transaction's last record of deltas.
    deltas: BTreeMap<(String, i64), i64>,
}

/// Reads along on a thread of its own.
struct Reader {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<Handed>,
}

impl Reader {
    fn start(kafka: &Kafka) -> Self {
        let (consumer, _) = consumer(kafka, &[LEDGER, DELTAS]);
        let ends = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ends = ends.clone();
            move || {
                let mut handed = Handed::default();
                while !ends.load(Ordering::Acquire) {
                    let Some(message) = consumer.poll(Duration::from_millis(20)) else {
                        continue;
                    };
                    let (message, at) = (message.unwrap(), now());
                    let (_, datum) = unframe_ours(message.payload()).unwrap();
                    if message.topic() == LEDGER {
                        handed
                            .manifests
                            .push((at, Manifest::from_bytes(datum).unwrap()));
                    } else if let Some(by) = Deltas::from_bytes(datum).unwrap().written_by {
                        let last = handed.deltas.entry((by.task, by.sequence)).or_default();
                        *last = message.offset().max(*last);
                    }
                }
                handed
            }
        });
        Self { ends, thread }
    }

    fn stop(self) -> Handed {
        self.ends.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

/// When each record of the supplier topics was handed to its sender's client: by topic and partition, by offset.
fn sent(kafka: &Kafka) -> BTreeMap<(String, i32), Vec<i64>> {
    let topics = SupplierTopic::ALL.map(SupplierTopic::name);
    let (consumer, unread) = consumer(kafka, &topics);
    let mut times: BTreeMap<(String, i32), Vec<i64>> = BTreeMap::new();
    for _ in 0..unread {
        let message = consumer.poll(LONG).expect("a record in time").unwrap();
        let place = (message.topic().to_owned(), message.partition());
        let times = times.entry(place).or_default();
        assert_eq!(
            message.offset(),
            times.len() as i64,
            "a sender is no transaction"
        );
        times.push(message.timestamp().to_millis().unwrap());
    }
    times
}

/// Records that all transactions wrote, their changelog and manifests left out.
fn written(handed: &Handed) -> f64 {
    let rows = handed.manifests.iter().flat_map(|(_, it)| &it.rows);
    rows.map(|written| written.count as f64).sum()
}

/// Milliseconds from the sender to a committed row, and to one that is rolled up, of every record behind the warm-up.
fn latencies(kafka: &Kafka, handed: &Handed) -> (Vec<f64>, Vec<f64>) {
    let sent = sent(kafka);
    let all = || sent.values().flatten();
    let (first, last) = (all().min().unwrap(), all().max().unwrap());
    let warm = first + (last - first) * 2 / 3;
    let is_rollup = |manifest: &Manifest| manifest.task.starts_with("rollup");
    // The second stage's progress: up to which offset, and when.
    let rolled: Vec<(i64, f64)> = (handed.manifests.iter())
        .filter(|(_, manifest)| is_rollup(manifest))
        .flat_map(|(at, manifest)| manifest.positions.iter().map(|read| (read.to, *at)))
        .collect();
    let (mut committed, mut rolled_up, mut records) = (Vec::new(), Vec::new(), 0);
    for (at, manifest) in handed.manifests.iter().filter(|(_, it)| !is_rollup(it)) {
        let of = (manifest.task.clone(), manifest.sequence);
        let rolled_at = handed.deltas.get(&of).map(|last| {
            let (_, at) = rolled.iter().find(|(to, _)| to > last).unwrap();
            *at
        });
        for read in manifest
            .positions
            .iter()
            .filter(|it| it.topic.contains('.'))
        {
            let Some(times) = sent.get(&(read.topic.clone(), read.partition)) else {
                continue;
            };
            let read = usize::try_from(read.from).unwrap()..usize::try_from(read.to).unwrap();
            for sent in &times[read] {
                records += 1;
                if *sent < warm {
                    continue;
                }
                committed.push(at - *sent as f64);
                rolled_up.extend(rolled_at.map(|at| at - *sent as f64));
            }
        }
    }
    assert_eq!(records, all().count(), "every record is in one manifest");
    (committed, rolled_up)
}

struct Outcome {
    interval: u32,
    rate: f64,
    committed: Vec<f64>,
    rolled_up: Vec<f64>,
    /// Transactions a second, of all tasks, and records that they wrote.
    transactions: f64,
    written: f64,
    /// Cores in use.
    process: f64,
    broker: f64,
}

fn measure(interval: u32, rate: usize, input: &Arc<Input>) -> Outcome {
    let kafka = Kafka::start_measured();
    let environment: Environment = vec![
        ("GPAD_KAFKA_BROKERS", kafka.brokers()),
        ("GPAD_KAFKA_GROUP", "latency".to_owned()),
        ("GPAD_TOPICS_PARTITIONS", TASKS.to_string()),
        ("GPAD_TOPICS_REPLICATION", "1".to_owned()),
        ("GPAD_COMMIT_INTERVAL_MS", interval.to_string()),
        ("GPAD_HTTP_ADDRESS", "off".to_owned()),
        ("GPAD_CLOCK", format!("fixed {NOW}")),
        ("RUST_LOG", "warn".to_owned()),
    ];
    succeed(&environment, &["topics", "create"]);
    let log = kafka.open("latency-feed");
    let flow = Flow::start(&log, &Schemas::new(None), input.clone());
    let reader = Reader::start(&kafka);
    let instance = Instance::start(&environment);
    let began = Instant::now();
    flow.release_steadily(rate);
    let on_cores = |pid| (on_cores::process(pid), Instant::now());
    wait_for("a third of the records", LONG, || {
        flow.sent() * 3 > flow.total()
    });
    let before = (on_cores(instance.pid()), on_cores(kafka.pid()));
    wait_for("all records to be sent", LONG, || {
        flow.sent() == flow.total()
    });
    let after = (on_cores(instance.pid()), on_cores(kafka.pid()));
    let seconds = began.elapsed().as_secs_f64();
    let used = |before: (f64, Instant), after: (f64, Instant)| {
        (after.0 - before.0) / (after.1 - before.1).as_secs_f64()
    };
    // The last ones are on their way through both stages.
    sleep(Duration::from_secs(5));
    let handed = reader.stop();
    let (status, _, log) = instance.stop();
    assert!(status.success(), "{status}\n{log}");
    let (committed, rolled_up) = latencies(&kafka, &handed);
    Outcome {
        interval,
        rate: flow.total() as f64 / seconds,
        committed,
        rolled_up,
        transactions: handed.manifests.len() as f64 / seconds,
        written: written(&handed) / seconds,
        process: used(before.0, after.0),
        broker: used(before.1, after.1),
    }
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn report(rate: usize, seconds: usize, outcomes: &mut [Outcome]) {
    let intervals = outcomes.iter().map(|outcome| outcome.interval.to_string());
    let intervals = intervals.collect::<Vec<_>>().join(" ");
    let mut report = format!(
        "# Latency\n\n| | |\n|---|---|\n| date | {} |\n| command | `cargo bench --bench latency -- {rate} {seconds} {intervals}` |\n\
         | versions | {} |\n| machine | {} |\n\
         | settings | all default aggregates; one instance, {TASKS} tasks and the second stage; the sender's own linger is 20 ms |\n\n\
         Milliseconds from the sender's call to what a committed reader is handed.\n\n\
         | commit interval | records a second | to the practice's row: p50 | p99 | most | to England's row: p50 | p99 | most | transactions a second | records written | cores: process | broker |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
        versions(),
        machine("release"),
    );
    for outcome in outcomes {
        outcome.committed.sort_by(f64::total_cmp);
        outcome.rolled_up.sort_by(f64::total_cmp);
        write!(report, "| {} ms | {:.0} ", outcome.interval, outcome.rate).unwrap();
        for of in [&outcome.committed, &outcome.rolled_up] {
            for share in [0.5, 0.99, 1.0] {
                write!(report, "| {:.0} ", at(of, share)).unwrap();
            }
        }
        writeln!(
            report,
            "| {:.0} | {:.0} | {:.2} | {:.2} |",
            outcome.transactions, outcome.written, outcome.process, outcome.broker
        )
        .unwrap();
    }
    eprintln!("{report}");
    if let Ok(path) = std::env::var("GPADLIVE_PROOF_REPORT") {
        fs::write(path, report).unwrap();
    }
}

fn main() {
    // `cargo test --benches` runs this too: there a benchmark has nothing to show.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let asked: Vec<u32> = std::env::args().flat_map(|word| word.parse()).collect();
    let said = |at: usize, otherwise: u32| asked.get(at).copied().unwrap_or(otherwise) as usize;
    let (rate, seconds) = (said(0, 20_000), said(1, 90));
    let intervals = if asked.len() > 2 {
        &asked[2..]
    } else {
        &[100, 25]
    };
    let input = Arc::new(Input::in_order(rate * seconds, 1, true));
    let mut outcomes = Vec::new();
    for interval in intervals {
        eprintln!("commit interval {interval} ms");
        outcomes.push(measure(*interval, rate, &input));
    }
    report(rate, seconds, &mut outcomes);
}
