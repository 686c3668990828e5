//! What the service takes in from a real Kafka, exactly once, beside a consumer that does nothing with it.
//!
//! `cargo bench --bench throughput` does, several times in turn, each on a new broker: `simulate` fills the eight supplier
//! topics with the same records; a bare librdkafka consumer reads them; the release build takes them in and commits
//! figures, with all default aggregates or with `activity` alone. England's appointments are added up from what was committed
//! and must be those that were drawn, or the figure does not count. It prints medians and spread of records per second, per
//! core-second of the process, and of the process and the broker; and the ratios to bare reading. The input is dense: whole ICBs of
//! England's February 2022, every appointment of theirs. Words behind `--`: appointments in thousands at least (1,000 unless
//! said, none for 0), rounds (3), and who takes part: `all` and `activity` of ours (both unless some are named), and the peers that
//! do what `activity` does, `streams-rocksdb`, `streams-memory`, `streams-map`, `flink-stream`, `flink-table`, or `peers` for all of
//! them (Java; Debian's `openjdk-17-jdk-headless` and `maven`). A peer's rows must be those of `activity`, cell for cell, or the run
//! fails. `without-transactions`, in a build with `--features measure-without-transactions`, is `activity` by a producer that is
//! merely idempotent: what exactly once costs, and nothing that is offered.
//!
//! `rate=20000` measures at a steady rate of so many records a second, too, for `seconds=90`: how long an appointment takes to
//! England's committed row, and how long a killed contender takes to its next one (`throughput/steady.rs`).
//!
//! `GPADLIVE_PROOF_REPORT=FILE` writes the report there; with `RUST_LOG` our instance's log is printed; `GPADLIVE_PEER_SETTINGS`
//! overrules settings of the peers, and `GPADLIVE_OUR_SETTINGS` those of our instance (`GPAD_KAFKA_CLIENT_COMPRESSION_TYPE=zstd`), to try
//! others.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark's helpers fail as it does, and measure by the clock"
)]

#[path = "throughput/peers.rs"]
mod peers;
#[path = "throughput/report.rs"]
mod report;
#[path = "throughput/steady.rs"]
mod steady;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use gpad_live::domain::topic::SupplierTopic;
use gpad_live::service::LEDGER;
use peers::{Cells, PEERS, Peer};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::Offset;
use support::bare_consumer::{client, partitions, read_bare};
use support::instance::{Environment, Instance, Seen, succeed};
use support::{Kafka, on_cores};

const TASKS: i32 = 4;
/// When all of them are past.
const NOW: &str = "2022-06-01T12:00:00Z";
const GROUP: &str = "throughput";
/// What is taken in before measuring begins, as a share of all: until then the compiler of the broker's Java machine takes most
/// of a core.
const WARM: f64 = 0.4;
const LONG: Duration = Duration::from_mins(20);
const ACTIVITY: &str = r#"
[[aggregate]]
name = "activity"
levels = ["sub_icb", "icb", "region", "england"]
dimensions = ["status", "hcp_type", "mode", "waiting_band"]
measures = ["appointments"]
"#;

/// What is tried: variables of our instance, parted by spaces.
const TRIED: &str = "GPADLIVE_OUR_SETTINGS";

const SIMULATE: &str = "`simulate`, to Kafka";
const BARE: &str = "bare consumer";
const ALL: &str = "`run`, all default aggregates";
const ALONE: &str = "`run`, `activity` alone";
const WITHOUT: &str = "`run`, `activity` alone, without transactions";
/// Contenders of ours by the words that choose them; the rows of the second are what peers are held against. The third takes part
/// when it is named, and there is one in a build of its feature alone.
const OURS: [(&str, &str); 3] = [
    ("all", ALL),
    ("activity", ALONE),
    ("without-transactions", WITHOUT),
];
/// The word that chooses every peer.
const EVERY_PEER: &str = "peers";

/// What one contender did in one round.
struct Measured {
    name: &'static str,
    records: f64,
    seconds: f64,
    /// On a core: of the process, and of the broker meanwhile.
    process: f64,
    broker: f64,
    /// Cores that had nothing to do, on average.
    idle: f64,
    /// MiB.
    peak: Option<f64>,
}

fn peak_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<f64>().unwrap() / 1024.0
}

/// Reads every record of the supplier topics and drops it.
fn bare(kafka: &Kafka, broker: u32) -> Measured {
    let before = on_cores::process(broker);
    let reading = read_bare(kafka, TASKS);
    Measured {
        name: BARE,
        records: reading.records as f64,
        seconds: reading.seconds,
        process: reading.core_seconds,
        broker: on_cores::process(broker) - before,
        idle: f64::NAN,
        peak: None,
    }
}

/// Records that a group has committed.
fn committed(consumer: &BaseConsumer) -> f64 {
    let Ok(list) = consumer.committed_offsets(partitions(TASKS), Duration::from_secs(10)) else {
        return 0.0;
    };
    let positions = list
        .elements()
        .into_iter()
        .map(|element| match element.offset() {
            Offset::Offset(at) => at as f64,
            Offset::Beginning
            | Offset::End
            | Offset::Stored
            | Offset::Invalid
            | Offset::OffsetTail(_) => 0.0,
        });
    positions.sum()
}

/// Runs an instance until it has committed every record; measured once the broker is warm.
fn run(
    name: &'static str,
    kafka: &Kafka,
    broker: u32,
    environment: &Environment,
    records: f64,
    appointments: i64,
) -> Measured {
    let watch = client(kafka, GROUP);
    let instance = Instance::start(environment);
    let measured = until_all_is_committed(name, (&watch, instance.pid(), broker), records, &|| {
        instance.log()
    });
    let seen = Seen::new(kafka);
    seen.wait_until_rolled_up();
    eprintln!(
        "{name}: written for every 1,000 records{}",
        written(kafka, &watch, records)
    );
    let (status, _, log) = instance.stop();
    assert!(status.success(), "{name}: {status}");
    eprint!("{log}");
    assert_eq!(seen.sum("activity", "england"), appointments, "{name}");
    let is_transactional = markers(&watch, &seen) > 0;
    assert_eq!(is_transactional, name != WITHOUT, "{name}: markers");
    measured
}

/// Offsets of the ledger that hold no record: a transaction ends with one in every partition that it wrote to.
fn markers(watch: &BaseConsumer, seen: &Seen<'_>) -> i64 {
    let offsets = (0..TASKS).map(|partition| {
        let ends = watch.fetch_watermarks(LEDGER, partition, Duration::from_secs(5));
        let (low, high) = ends.unwrap();
        high - low
    });
    let records = i64::try_from(seen.records(LEDGER).len()).unwrap();
    offsets.sum::<i64>() - records
}

/// Waits until a contender's group has committed every record; measured once the broker is warm. `log`: what
/// is told when it ends or takes too long.
fn until_all_is_committed(
    name: &'static str,
    (watch, process, broker): (&BaseConsumer, u32, u32),
    records: f64,
    log: &dyn Fn() -> String,
) -> Measured {
    let began = Instant::now();
    let mut first = None;
    loop {
        assert!(began.elapsed() < LONG, "{name}: {}", log());
        assert!(
            Path::new(&format!("/proc/{process}/exe")).exists(),
            "{name} ended: {}",
            log()
        );
        let done = committed(watch);
        let now = (
            done,
            Instant::now(),
            on_cores::process(process),
            on_cores::process(broker),
            on_cores::idle(),
        );
        if done >= WARM * records && first.is_none() {
            first = Some(now);
        }
        if done >= records {
            let (stood, at, ours, theirs, idle) = first.expect("what is done was begun");
            let seconds = (now.1 - at).as_secs_f64();
            return Measured {
                name,
                records: done - stood,
                seconds,
                process: now.2 - ours,
                broker: now.3 - theirs,
                idle: (now.4 - idle) / seconds,
                peak: Some(peak_mib(process)),
            };
        }
        sleep(Duration::from_millis(20));
    }
}

/// Who takes the records in.
#[derive(Clone, Copy)]
enum Contender {
    Ours(&'static str),
    Peer(&'static Peer),
}

impl Contender {
    const fn name(self) -> &'static str {
        match self {
            Self::Ours(name) => name,
            Self::Peer(peer) => peer.name,
        }
    }

    /// Those that the command's words name, ours unless any is named; with what is held against its rows, `activity`.
    ///
    /// # Panics
    /// At a word that names nobody.
    fn chosen(words: &[String]) -> Vec<Self> {
        let ours = OURS.map(|(word, name)| (word, Self::Ours(name)));
        let peers = PEERS.iter().map(|peer| (peer.word, Self::Peer(peer)));
        let known: Vec<_> = ours.into_iter().chain(peers).collect();
        let can_do_without = cfg!(feature = "measure-without-transactions");
        for word in words {
            assert!(
                can_do_without || word != OURS[2].0,
                "{word}: behind `cargo bench`, `--features measure-without-transactions`"
            );
            let is_known = word == EVERY_PEER || known.iter().any(|(name, _)| name == word);
            assert!(is_known, "{word}: no such contender");
        }
        let is_named = |word: &str| words.iter().any(|asked| asked == word);
        let is_chosen = |word: &str, contender: &Self| match contender {
            Self::Ours(WITHOUT) => is_named(word),
            Self::Ours(_) => words.is_empty() || is_named(word),
            Self::Peer(_) => is_named(word) || is_named(EVERY_PEER),
        };
        let is_compared = |it: &Self| matches!(it, Self::Peer(_) | Self::Ours(WITHOUT));
        let with_activity = known
            .iter()
            .any(|(word, it)| is_compared(it) && is_chosen(word, it));
        let chosen = known
            .into_iter()
            .filter(|(word, it)| is_chosen(word, it) || with_activity && *word == OURS[1].0);
        chosen.map(|(_, contender)| contender).collect()
    }
}

/// Records of every topic that the service writes to, control records among them, for every 1,000 read.
fn written(kafka: &Kafka, consumer: &BaseConsumer, records: f64) -> String {
    let metadata = consumer
        .fetch_metadata(None, Duration::from_secs(5))
        .unwrap();
    let ours = metadata.topics().iter().filter(|topic| {
        let is_input = SupplierTopic::ALL
            .iter()
            .any(|input| input.name() == topic.name());
        topic.name().starts_with("gpad.") && !is_input
    });
    let mut text = String::new();
    for topic in ours {
        let ends = topic.partitions().iter().map(|partition| {
            let ends =
                consumer.fetch_watermarks(topic.name(), partition.id(), Duration::from_secs(5));
            ends.unwrap().1 as f64
        });
        let folders = topic.partitions().iter().map(|partition| {
            let folder = format!("{}-{}", topic.name(), partition.id());
            let files = fs::read_dir(kafka.log_directory().join(folder))
                .unwrap()
                .flatten();
            files
                .filter(|file| file.path().extension().is_some_and(|it| it == "log"))
                .map(|file| file.metadata().unwrap().len() as f64)
                .sum::<f64>()
        });
        let (count, bytes): (f64, f64) = (ends.sum(), folders.sum());
        if count > 0.0 {
            write!(
                text,
                "; {} {:.1} ({:.0} bytes)",
                topic.name(),
                1e3 * count / records,
                1e3 * bytes / records
            )
            .unwrap();
        }
    }
    text
}

/// As many whole ICBs of the published cells, in their order, as have so many appointments: a month thinned out would change as
/// many rows with far fewer records. Answers the cells, and how many appointments they are.
fn whole_icbs(thousands: u32) -> (String, i64) {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/icb_cells_2022-02.csv");
    let all = fs::read_to_string(all).unwrap();
    let mut lines = all.lines();
    let mut cells = format!("{}\n", lines.next().unwrap());
    let (mut icb, mut appointments) = ("", 0);
    for line in lines {
        let (code, count) = (
            line.split_once(',').unwrap().0,
            line.rsplit_once(',').unwrap().1,
        );
        if code != icb && appointments >= i64::from(thousands) * 1_000 {
            break;
        }
        icb = code;
        appointments += count.parse::<i64>().unwrap();
        writeln!(cells, "{line}").unwrap();
    }
    (cells, appointments)
}

/// What an instance of ours is told; its configuration lies in `directory`.
fn environment(contender: Contender, kafka: &Kafka, directory: &Path) -> Environment {
    let config = directory.join("gpad-live.toml");
    let is_all = contender.name() == ALL;
    fs::write(&config, if is_all { "" } else { ACTIVITY }).unwrap();
    let mut environment: Environment = vec![
        ("GPAD_CONFIG", config.display().to_string()),
        ("GPAD_KAFKA_BROKERS", kafka.brokers()),
        ("GPAD_KAFKA_GROUP", GROUP.to_owned()),
        ("GPAD_TOPICS_PARTITIONS", TASKS.to_string()),
        ("GPAD_TOPICS_REPLICATION", "1".to_owned()),
        ("GPAD_HTTP_ADDRESS", "off".to_owned()),
        ("GPAD_CLOCK", format!("fixed {NOW}")),
        (
            "RUST_LOG",
            std::env::var("RUST_LOG").unwrap_or("warn".to_owned()),
        ),
    ];
    if contender.name() == WITHOUT {
        environment.push(("GPADLIVE_MEASURE_WITHOUT_TRANSACTIONS", "yes".to_owned()));
    }
    environment
}

/// With the settings that are tried.
fn tried(mut environment: Environment) -> Environment {
    let tried: &str = std::env::var(TRIED).unwrap_or_default().leak();
    let variables = tried.split_whitespace().map(|word| {
        let (name, value) = word.split_once('=').expect("NAME=VALUE");
        (name, value.to_owned())
    });
    environment.extend(variables);
    environment
}

fn round(contender: Contender, thousands: u32, all: &mut Vec<Measured>, rows: &mut Cells) -> i64 {
    let name = contender.name();
    let kafka = Kafka::start_measured();
    let broker = kafka.pid();
    let directory = tempfile::tempdir().unwrap();
    let environment = environment(contender, &kafka, directory.path());
    succeed(&environment, &["topics", "create"]);
    let (text, appointments) = whole_icbs(thousands);
    let cells = directory.path().join("icb_cells_2022-02.csv");
    fs::write(&cells, text).unwrap();
    let brokers = kafka.brokers();
    let draw = [
        "simulate",
        "--cells",
        cells.to_str().unwrap(),
        "--month",
        "2022-02",
        "--brokers",
        &brokers,
    ];
    let (before, began) = (on_cores::process(broker), Instant::now());
    succeed(&environment, &draw);
    let seconds = began.elapsed().as_secs_f64();
    let broker_filled = on_cores::process(broker) - before;
    let reading = bare(&kafka, broker);
    let records = reading.records;
    all.push(Measured {
        name: SIMULATE,
        records,
        seconds,
        process: f64::NAN,
        broker: broker_filled,
        idle: f64::NAN,
        peak: None,
    });
    all.push(reading);
    let measured = match contender {
        Contender::Peer(peer) => peer.measure(&kafka, broker, records, rows),
        Contender::Ours(_) => {
            let environment = tried(environment);
            run(name, &kafka, broker, &environment, records, appointments)
        }
    };
    all.push(measured);
    if name == ALONE {
        *rows = peers::ours(&kafka);
    }
    appointments
}

fn main() {
    // `cargo test --benches` runs this too: there a benchmark has nothing to show.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let words = std::env::args().skip(1).filter(|word| word != "--bench");
    let (asked, words): (Vec<_>, Vec<_>) = words.partition(|word| word.parse::<u32>().is_ok());
    let asked: Vec<u32> = asked.iter().flat_map(|word| word.parse()).collect();
    let thousands = asked.first().copied().unwrap_or(1_000);
    let rounds = asked.get(1).copied().unwrap_or(3);
    let (at_rate, words): (Vec<_>, Vec<_>) = (words.into_iter())
        .partition(|word| word.starts_with(steady::RATE) || word.starts_with(steady::SECONDS));
    let pace = steady::Pace::of(&at_rate);
    let contenders = Contender::chosen(&words);
    if contenders.iter().any(|it| matches!(it, Contender::Peer(_))) {
        peers::prepare();
    }
    let (mut all, mut rows, mut appointments) = (Vec::new(), Cells::new(), 0);
    for at in 1..=rounds {
        for contender in contenders.iter().filter(|_| thousands > 0) {
            eprintln!("round {at} of {rounds}: {}", contender.name());
            appointments = round(*contender, thousands, &mut all, &mut rows);
        }
    }
    let (mut steadily, mut rows) = (Vec::new(), Cells::new());
    if let Some(pace) = pace {
        let input = pace.input();
        for at in 1..=rounds {
            for contender in &contenders {
                eprintln!("round {at} of {rounds}, {pace}: {}", contender.name());
                steadily.push(steady::measure(*contender, pace, &input, &mut rows));
            }
        }
    }
    let mut text = report::head(&std::env::args().collect::<Vec<_>>());
    if thousands > 0 {
        text += &report::throughput(appointments, &contenders, &all);
    }
    if let Some(pace) = pace {
        text += &report::steady(pace, &contenders, &steadily);
    }
    text += &report::peers(&contenders, pace.is_some());
    eprintln!("{text}");
    if let Ok(path) = std::env::var("GPADLIVE_PROOF_REPORT") {
        fs::write(path, text).unwrap();
    }
}
