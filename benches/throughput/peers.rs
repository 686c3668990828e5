//! The peers that do what `run` does with `activity` alone: how each is started, awaited, and held against our rows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gpad_live::adapters::log::Log;
use gpad_live::domain::aggregate::Row;
use gpad_live::domain::place::Level;
use gpad_live::domain::time::Timestamp;
use gpad_live::domain::vocabulary::{HcpType, Mode, PublishedStatus, WaitingBand};

use super::support::Kafka;
use super::support::instance::Seen;
use super::{Measured, NOW, client, until_all_is_committed};

/// The group and the topics of every peer: each has a broker of its own.
pub const GROUP: &str = "peer";
pub const ROWS: &str = "peer.rows";
/// No row for so long: nothing is left to be written.
const SILENCE: Duration = Duration::from_secs(3);
/// The second stage is behind the first for no longer than this, however busy the machine.
const BEHIND: Duration = Duration::from_mins(2);
/// What is tried: options of the Java machine, which begin with a dash, and settings, which overrule those below.
const TRIED: &str = "GPADLIVE_PEER_SETTINGS";

/// A contender on the Java machine (`benches/peers`). What it was tuned to, and what was tried, is in
/// `docs/decisions/0029-peers-are-tuned-and-must-agree.md`.
pub struct Peer {
    /// The word that chooses it.
    pub word: &'static str,
    pub name: &'static str,
    /// Whose jars.
    library: &'static str,
    class: &'static str,
    machine: &'static [&'static str],
    settings: &'static [&'static str],
    /// In place of the former where latency is measured and not throughput.
    steady: &'static [&'static str],
}

/// Of Kafka Streams, whatever the stores.
macro_rules! streams {
    ($stores:literal $(, $setting:literal)*) => {
        &[
            $stores,
            "commit.interval.ms=1000",
            "producer.compression.type=lz4",
            "producer.batch.size=262144",
            "producer.linger.ms=50",
            "producer.buffer.memory=134217728",
            "consumer.max.poll.records=5000",
            "consumer.fetch.max.wait.ms=20",
            "consumer.max.partition.fetch.bytes=4194304",
            "consumer.group.instance.id=peer",
            "buffered.records.per.partition=5000",
            "max.task.idle.ms=-1",
            $($setting),*
        ]
    };
}

/// The default of a job that is exactly once, and batches that do not wait for company.
const STREAMS_STEADY: &[&str] = &["commit.interval.ms=100", "producer.linger.ms=5"];

/// Of Flink, whatever the form.
macro_rules! flink {
    ($($setting:literal),*) => {
        &[
            "parallelism.default=1",
            "execution.checkpointing.interval=5s",
            "state.backend.type=hashmap",
            "taskmanager.numberOfTaskSlots=1",
            "producer.compression.type=lz4",
            "producer.batch.size=262144",
            "producer.linger.ms=50",
            "consumer.max.poll.records=5000",
            "consumer.fetch.max.wait.ms=20",
            "consumer.max.partition.fetch.bytes=4194304",
            $($setting),*
        ]
    };
}

/// A row is committed with its checkpoint.
const FLINK_STEADY: &[&str] = &[
    "execution.checkpointing.interval=100ms",
    "producer.linger.ms=5",
];

const OPEN: [&str; 2] = [
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
];

pub const PEERS: [Peer; 5] = [
    Peer {
        word: "streams-rocksdb",
        name: "Kafka Streams, RocksDB",
        library: "streams",
        class: "peers.Streams",
        machine: &["-Xms2g", "-Xmx2g", "-XX:+UseParallelGC"],
        settings: streams!(
            "rocksdb",
            "cached=true",
            "statestore.cache.max.bytes=536870912"
        ),
        steady: STREAMS_STEADY,
    },
    Peer {
        word: "streams-memory",
        name: "Kafka Streams, in memory",
        library: "streams",
        class: "peers.Streams",
        machine: &["-Xms4g", "-Xmx4g", "-XX:+UseParallelGC"],
        settings: streams!("memory", "cached=false"),
        steady: STREAMS_STEADY,
    },
    Peer {
        word: "streams-map",
        name: "Kafka Streams, a hash map of its own",
        library: "streams",
        class: "peers.Streams",
        machine: &["-Xms4g", "-Xmx4g", "-XX:+UseParallelGC"],
        settings: streams!("map", "cached=false"),
        steady: STREAMS_STEADY,
    },
    Peer {
        word: "flink-stream",
        name: "Flink, DataStream",
        library: "flink",
        class: "peers.FlinkStream",
        machine: &["-Xms4g", "-Xmx4g", "-XX:+UseParallelGC", OPEN[0], OPEN[1]],
        settings: flink!(),
        steady: FLINK_STEADY,
    },
    Peer {
        word: "flink-table",
        name: "Flink, Table",
        library: "flink",
        class: "peers.FlinkTable",
        machine: &["-Xms4g", "-Xmx4g", "-XX:+UseParallelGC", OPEN[0], OPEN[1]],
        settings: flink!(
            "table.exec.mini-batch.enabled=true",
            "table.exec.mini-batch.allow-latency=1s",
            "table.exec.mini-batch.size=20000"
        ),
        steady: &[
            FLINK_STEADY[0],
            FLINK_STEADY[1],
            "table.exec.mini-batch.allow-latency=50ms",
        ],
    },
];

/// A row of `activity`: level, codes, day, and the indexes of status, HCP type, mode and waiting band.
pub type Cell = (char, String, i32, [usize; 4]);

/// What stands: cell by cell, the appointments.
pub type Cells = BTreeMap<Cell, i64>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fetches what is missing and compiles what has changed.
pub fn prepare() {
    for step in ["fetch", "build"] {
        let status = Command::new(root().join("benches/peers").join(step)).status();
        assert!(status.unwrap().success(), "benches/peers/{step}");
    }
}

/// Versions of what the peers are made of, as their jars are named.
pub fn versions() -> String {
    let jar = |library: &str, prefix: &str| {
        let libs = root().join(".cache/peers").join(library).join("libs");
        let all = fs::read_dir(&libs).unwrap().flatten();
        let mut names = all.filter_map(|entry| entry.file_name().into_string().ok());
        let name = names.find(|name| name.starts_with(prefix)).unwrap();
        name.trim_end_matches(".jar").to_owned()
    };
    let java = Command::new("java").arg("-version").output().unwrap();
    let java = String::from_utf8_lossy(&java.stderr);
    let java = java.lines().nth(1).unwrap_or_default().trim();
    let [streams, flink, connector] = [
        ("streams", "kafka-streams-"),
        ("flink", "flink-streaming-java-"),
        ("flink", "flink-connector-kafka-"),
    ]
    .map(|(library, prefix)| jar(library, prefix));
    format!("{streams}, {flink}, {connector}, {java}")
}

/// A peer at work; killed with its handle.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- a peer's log:\n{}", self.log());
        }
    }
}

fn tried() -> Vec<String> {
    let tried = std::env::var(TRIED).unwrap_or_default();
    tried.split_whitespace().map(str::to_owned).collect()
}

impl Peer {
    /// Settings as the report prints them.
    pub fn settings(&self) -> String {
        let all = self.machine.iter().chain(self.settings);
        let all = all.map(|&word| word.to_owned()).chain(tried());
        all.collect::<Vec<_>>().join(" ")
    }

    /// What is other at a steady rate, as the report prints it.
    pub fn steady_settings(&self) -> String {
        self.steady.join(" ")
    }

    /// Its state lies in `directory`, and is found there when it is started again.
    pub fn start(&self, kafka: &Kafka, directory: &Path, is_steady: bool) -> Running {
        let log = directory.join("peer.log");
        let libs = root()
            .join(".cache/peers")
            .join(self.library)
            .join("libs/*");
        let classes = root().join("target/peers/classes");
        let now = Timestamp::parse(NOW).unwrap().0.to_string();
        let (machine, settings): (Vec<_>, Vec<_>) =
            tried().into_iter().partition(|word| word.starts_with('-'));
        let output = fs::File::options().create(true).append(true).open(&log);
        let child = Command::new("java")
            .args(self.machine)
            .args(machine)
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .args(["-cp", &format!("{}:{}", classes.display(), libs.display())])
            .args([self.class, &kafka.brokers()])
            .arg(root().join("deploy/reference/sds_role_groups.csv"))
            .args([now, directory.join("state").display().to_string()])
            .args(self.settings)
            .args(if is_steady { self.steady } else { &[] })
            .args(settings)
            .stdout(Stdio::null())
            .stderr(output.unwrap())
            .spawn()
            .unwrap();
        Running { child, log }
    }

    /// Runs it until it has committed every record, measured once the broker and the Java machine are warm as `run` is, then until
    /// its rows are there.
    ///
    /// # Panics
    /// When they are not `expected`, cell for cell.
    pub fn measure(&self, kafka: &Kafka, broker: u32, records: f64, expected: &Cells) -> Measured {
        let watch = client(kafka, GROUP);
        let directory = tempfile::tempdir().unwrap();
        let running = self.start(kafka, directory.path(), false);
        let of = (&watch, running.pid(), broker);
        let measured = until_all_is_committed(self.name, of, records, &|| running.log());
        must_come_to(self.name, kafka, expected);
        measured
    }
}

/// Waits until the rows are what they must be and no more come: what the first stage has committed is still on its way through the second.
///
/// # Panics
/// When they do not come to that.
pub fn must_come_to(name: &str, kafka: &Kafka, expected: &Cells) {
    let log = kafka.open("peer-ends");
    let began = Instant::now();
    loop {
        let (end, cells) = (log.ends(ROWS, 0).unwrap().end, theirs(kafka));
        if cells != *expected {
            if began.elapsed() > BEHIND {
                must_be(name, &cells, expected);
            }
            sleep(Duration::from_secs(1));
            continue;
        }
        let seconds = began.elapsed().as_secs_f64();
        sleep(SILENCE);
        if log.ends(ROWS, 0).unwrap().end == end {
            eprintln!("{name}: {} cells, right after {seconds:.1} s", cells.len());
            return;
        }
    }
}

/// # Panics
/// With the first cells that differ.
pub fn must_be(name: &str, cells: &Cells, expected: &Cells) {
    assert!(!expected.is_empty(), "there are rows to compare with");
    let all = expected.keys().chain(cells.keys());
    let differ = all.filter(|cell| cells.get(*cell) != expected.get(*cell));
    let differ: Vec<String> = differ
        .take(5)
        .map(|cell| {
            format!(
                "{cell:?}: {:?}, and {:?} is right",
                cells.get(cell),
                expected.get(cell)
            )
        })
        .collect();
    assert!(differ.is_empty(), "{name}:\n{}", differ.join("\n"));
}

/// The rows of `activity` that the service has committed.
pub fn ours(kafka: &Kafka) -> Cells {
    let rows = Seen::new(kafka).rows("activity");
    rows.iter().map(cell).collect()
}

fn cell(row: &Row) -> (Cell, i64) {
    let appointments = row.figures.as_ref().expect("a row that stands").counts[0].1;
    (cell_of(row), appointments)
}

/// The cell that a row of ours is about.
pub fn cell_of(row: &Row) -> Cell {
    let value = |name| {
        let found = row.dimensions.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    };
    let (level, codes) = match row.level {
        Level::SubIcb => {
            let printed = ["sub_icb_ons_code", "icb_ons_code", "region_ons_code"].map(value);
            ('s', format!("{},{}", row.code, printed.join(",")))
        }
        Level::Icb => ('i', row.code.clone()),
        Level::Region => ('r', row.code.clone()),
        Level::England => ('e', String::new()),
        Level::Practice | Level::Pcn | Level::Supplier => {
            panic!("`activity` has no rows of {}", row.level.label())
        }
    };
    let (from, _) = row.window.days().expect("`activity` is of days");
    let dimensions = [
        PublishedStatus::from_label(value("status")).map(PublishedStatus::index),
        HcpType::from_label(value("hcp_type")).map(HcpType::index),
        Mode::from_label(value("mode")).map(Mode::index),
        WaitingBand::from_label(value("waiting_band")).map(WaitingBand::index),
    ];
    let dimensions = dimensions.map(|index| index.expect("a published value"));
    (level, codes, from.0, dimensions)
}

/// The rows that a peer has committed.
fn theirs(kafka: &Kafka) -> Cells {
    let mut cells = Cells::new();
    for (key, value) in Seen::new(kafka).records(ROWS) {
        let cell = their_cell(&key);
        match value {
            Some(value) => cells.insert(cell, i64::from_be_bytes(value.try_into().unwrap())),
            None => cells.remove(&cell),
        };
    }
    cells
}

/// The cell of a row's key, by the encoding of `benches/peers/src/peers/Rows.java`.
pub fn their_cell(key: &[u8]) -> Cell {
    let (head, codes) = key.split_at(7);
    let [d1, d2, d3, d4, high, low, level] = *head else {
        panic!("{key:?} is too short for the key of a row")
    };
    let dimensions = usize::from(high) << 8 | usize::from(low);
    let dimensions = [
        dimensions >> 8,
        dimensions >> 6 & 3,
        dimensions >> 3 & 7,
        dimensions & 7,
    ];
    let codes = String::from_utf8(codes.to_vec()).unwrap();
    let day = i32::from_be_bytes([d1, d2, d3, d4]);
    (char::from(level), codes, day, dimensions)
}
