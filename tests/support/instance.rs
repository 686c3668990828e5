//! Instances of the service, and what they have committed.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use gpad_live::adapters::effects::row_of;
use gpad_live::adapters::log::{Log, Span};
use gpad_live::domain::aggregate::Row;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe_ours;
use gpad_live::wire::output::{AggregateKey, AggregateValue, DeadLetter, Manifest};

use super::{Kafka, wait_for};

/// Variables of the environment that an instance is given.
pub type Environment = Vec<(&'static str, String)>;

pub fn environment(
    kafka: &Kafka,
    registry: Option<&super::Registry>,
    partitions: i32,
) -> Environment {
    let mut environment = vec![
        ("GPAD_KAFKA_BROKERS", kafka.brokers()),
        ("GPAD_KAFKA_GROUP", "test".to_owned()),
        ("GPAD_TOPICS_PARTITIONS", partitions.to_string()),
        // More than one unless said: who reads rows must read all of them.
        ("GPAD_TOPICS_ROW_PARTITIONS", partitions.to_string()),
        ("GPAD_COMMIT_INTERVAL_MS", "25".to_owned()),
        ("GPAD_HTTP_ADDRESS", "off".to_owned()),
        ("RUST_LOG", "info".to_owned()),
    ];
    if let Some(registry) = registry {
        environment.push(("GPAD_REGISTRY_URL", registry.url.clone()));
    }
    environment
}

/// Runs the command to its end.
pub fn gpad_live(environment: &Environment, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpad-live"));
    command
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (*name, value)));
    command.output().unwrap()
}

/// Runs the command; it must succeed.
pub fn succeed(environment: &Environment, arguments: &[&str]) -> String {
    let output = gpad_live(environment, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A running instance; killed with its handle.
pub struct Instance {
    child: Child,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Instance {
    pub fn start(environment: &Environment) -> Self {
        Self::start_with(environment, &[])
    }

    /// With arguments behind `run`.
    pub fn start_with(environment: &Environment, arguments: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
            .arg("run")
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stderr(fs::File::create(&log).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            _dir: dir,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Whether it is asleep by SIGSTOP.
    pub fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // After the name in brackets, which may hold anything.
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        let (option, pid) = (format!("-{name}"), self.child.id().to_string());
        assert!(
            Command::new("kill")
                .args([option, pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// SIGTERM, and how long it took.
    pub fn stop(mut self) -> (ExitStatus, Duration, String) {
        let began = Instant::now();
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        (status, began.elapsed(), self.log())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- an instance's log:\n{}", self.log());
        }
    }
}

/// What committed readers see.
pub struct Seen<'k> {
    kafka: &'k Kafka,
}

impl<'k> Seen<'k> {
    pub fn new(kafka: &'k Kafka) -> Self {
        Self { kafka }
    }

    /// Every record of a topic: key and value.
    pub fn records(&self, topic: &str) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let log = self.kafka.open("reader");
        let partitions = log.partitions(&[topic]).unwrap()[0].unwrap();
        let spans: Vec<Span> = (0..partitions).map(Span::whole).collect();
        let mut records = Vec::new();
        log.scan(topic, &spans, &mut |message| {
            if let Some(message) = message {
                records.push((
                    message.key.unwrap().to_vec(),
                    message.value.map(<[u8]>::to_vec),
                ));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        records
    }

    /// The rows that stand in an aggregate's topic.
    pub fn rows(&self, aggregate: &str) -> Vec<Row> {
        let mut standing = BTreeMap::new();
        for (key, value) in self.records(&format!("gpad.aggregates.{aggregate}")) {
            match value {
                Some(value) => standing.insert(key, value),
                None => standing.remove(&key),
            };
        }
        (standing.into_iter())
            .map(|(key, value)| {
                let key = AggregateKey::from_bytes(unframe_ours(Some(&key)).unwrap().1).unwrap();
                let value =
                    AggregateValue::from_bytes(unframe_ours(Some(&value)).unwrap().1).unwrap();
                row_of(key, Some(value)).unwrap()
            })
            .collect()
    }

    /// The sum of the first measure over the rows of a level.
    pub fn sum(&self, aggregate: &str, level: &str) -> i64 {
        (self.rows(aggregate).iter())
            .filter(|row| row.level.label() == level)
            .map(|row| row.figures.as_ref().unwrap().counts[0].1)
            .sum()
    }

    /// Manifests in the order of their chains.
    pub fn manifests(&self) -> BTreeMap<String, Vec<Manifest>> {
        let mut chains: BTreeMap<String, Vec<Manifest>> = BTreeMap::new();
        for (_, value) in self.records("gpad.ledger") {
            let manifest = Manifest::from_bytes(unframe_ours(value.as_deref()).unwrap().1).unwrap();
            chains
                .entry(manifest.task.clone())
                .or_default()
                .push(manifest);
        }
        chains
    }

    pub fn letters(&self) -> Vec<DeadLetter> {
        let letters = self.records("gpad.dead-letters").into_iter();
        letters
            .map(|(_, value)| {
                DeadLetter::from_bytes(unframe_ours(value.as_deref()).unwrap().1).unwrap()
            })
            .collect()
    }

    /// Supplier records that the manifests account for.
    pub fn accounted(&self) -> i64 {
        self.manifests()
            .values()
            .flatten()
            .flat_map(|m| &m.dispositions)
            .map(|d| d.count)
            .sum()
    }

    pub fn wait_until_accounted(&self, records: i64) {
        wait_for(
            &format!("{records} records"),
            Duration::from_mins(1),
            || self.accounted() == records,
        );
    }

    /// Waits until the second stage has everything that the first has sent it.
    pub fn wait_until_rolled_up(&self) {
        wait_for("the second stage", Duration::from_secs(30), || {
            let last = self.last_offset("gpad.deltas");
            let chain = self.manifests().remove("rollup-0").unwrap_or_default();
            let mut read = chain
                .iter()
                .flat_map(|manifest| &manifest.positions)
                .map(|read| read.to);
            last.is_some() && read.next_back() == last.map(|last| last + 1)
        });
    }

    /// Of the first partition.
    fn last_offset(&self, topic: &str) -> Option<i64> {
        let mut last = None;
        let log = self.kafka.open("reader");
        log.scan(topic, &[Span::whole(0)], &mut |message| {
            last = message.map(|message| message.offset).or(last);
            ControlFlow::Continue(())
        })
        .unwrap();
        last
    }

    /// Walks every chain, and compares what the manifests say was written with what is there.
    pub fn check_chains(&self) {
        let chains = self.manifests();
        for (task, chain) in &chains {
            let mut positions: BTreeMap<&str, i64> = BTreeMap::new();
            for (index, manifest) in chain.iter().enumerate() {
                assert_eq!(
                    manifest.sequence,
                    i64::try_from(index).unwrap(),
                    "task {task}"
                );
                assert_eq!(
                    manifest.hash,
                    manifest.expected_hash(),
                    "task {task}, {index}"
                );
                if index > 0 {
                    assert_eq!(
                        manifest.previous_hash,
                        chain[index - 1].hash,
                        "task {task}, {index}"
                    );
                    assert!(manifest.epoch >= chain[index - 1].epoch);
                }
                for read in &manifest.positions {
                    let next = positions.insert(&read.topic, read.to).unwrap_or(0);
                    assert_eq!(
                        read.from, next,
                        "task {task} skips or repeats in {}",
                        read.topic
                    );
                }
            }
        }
        let mut written: BTreeMap<&str, i64> = BTreeMap::new();
        for rows in chains
            .values()
            .flatten()
            .flat_map(|manifest| &manifest.rows)
        {
            *written.entry(&rows.output).or_default() += rows.count;
        }
        for (topic, count) in written {
            assert_eq!(
                i64::try_from(self.records(topic).len()).unwrap(),
                count,
                "{topic}"
            );
        }
    }
}
