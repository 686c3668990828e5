//! A proof on a real Kafka: an input that flows, instances that suffer, an auditor, and a comparison with `replay`.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gpad_live::adapters::effects::aggregate_topic;
use gpad_live::adapters::kafka::NewTopic;
use gpad_live::adapters::log::Log;
use gpad_live::adapters::registry::Registry;
use gpad_live::adapters::schemas::Schemas;
use gpad_live::config::{self, aggregates};
use gpad_live::service::LEDGER;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::output::AggregateKey;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::audit::Auditor;
use super::expected::Expected;
use super::input::{Flow, Input, NOW};
use super::instance::{Environment, Instance, succeed};
use super::{open, wait_for};

/// A proof's size, told by the environment so that one command runs it in full.
pub fn size(variable: &str, short: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: expected a number")),
        Err(_) => short,
    }
}

pub struct Proof {
    pub brokers: String,
    pub environment: Environment,
    pub flow: Flow,
    pub auditor: Auditor,
    input: Arc<Input>,
    expected: Expected,
    /// Snapshots of state; all instances share it, so that each meets what others left.
    _state: tempfile::TempDir,
    began: Instant,
}

impl Proof {
    /// Topics, expected figures, reference data, the auditor: everything but instances and the flow.
    pub fn prepare(brokers: &str, input: Input, partitions: i32, replication: i32) -> Self {
        Self::prepare_with(brokers, input, partitions, replication, None)
    }

    /// The same with the schemas in a registry.
    pub fn prepare_with(
        brokers: &str,
        input: Input,
        partitions: i32,
        replication: i32,
        registry: Option<&str>,
    ) -> Self {
        let began = Instant::now();
        let expected = Expected::of(&input);
        let state = tempfile::tempdir().unwrap();
        let mut environment = vec![
            (
                "GPAD_STATE_DIRECTORY",
                state.path().to_str().unwrap().to_owned(),
            ),
            ("GPAD_STATE_SNAPSHOT_SECONDS", "1".to_owned()),
            ("GPAD_KAFKA_BROKERS", brokers.to_owned()),
            ("GPAD_KAFKA_GROUP", "proof".to_owned()),
            ("GPAD_TOPICS_PARTITIONS", partitions.to_string()),
            ("GPAD_TOPICS_REPLICATION", replication.to_string()),
            ("GPAD_COMMIT_INTERVAL_MS", "25".to_owned()),
            ("GPAD_HTTP_ADDRESS", "off".to_owned()),
            ("GPAD_CLOCK", format!("fixed {NOW}")),
            ("RUST_LOG", "info".to_owned()),
        ];
        let mut settings = config::Settings::default().registry;
        if let Some(url) = registry {
            environment.push(("GPAD_REGISTRY_URL", url.to_owned()));
            settings.url = Some(url.to_owned());
            succeed(&environment, &["schemas", "register"]);
        }
        let schemas = Schemas::new(Registry::new(&settings));
        let log = open(brokers, "proof-feed");
        let one: Vec<NewTopic> = (aggregates::plan(None).unwrap().aggregates.iter())
            .map(|aggregate| NewTopic {
                name: aggregate_topic(&aggregate.name),
                partitions: 1,
                settings: vec![("cleanup.policy", "compact".to_owned())],
            })
            .collect();
        log.create_topics(&one, replication).unwrap();
        succeed(&environment, &["topics", "create"]);
        let input = Arc::new(input);
        let flow = Flow::start(&log, &schemas, input.clone());
        let auditor = Auditor::start(brokers);
        Self {
            brokers: brokers.to_owned(),
            environment,
            flow,
            auditor,
            input,
            expected,
            _state: state,
            began,
        }
    }

    /// The environment with more.
    pub fn with(&self, more: &[(&'static str, &str)]) -> Environment {
        let mut environment = self.environment.clone();
        environment.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        environment
    }

    /// Starts an instance that keeps its tasks when it is started again under its name.
    pub fn start_named(&self, name: &str, more: &[(&'static str, &str)]) -> Instance {
        let mut environment = self.with(more);
        environment.push(("GPAD_KAFKA_INSTANCE", name.to_owned()));
        Instance::start(&environment)
    }

    pub fn start(&self) -> Instance {
        Instance::start(&self.environment)
    }

    /// What `gpad-live verify` finds in the topics: nothing.
    pub fn verify(&self) {
        succeed(&self.environment, &["verify"]);
    }

    pub fn accounted(&self) -> i64 {
        self.auditor.look(|books| books.accounted)
    }

    pub fn wait_until_accounted(&self, records: usize, within: Duration) {
        let records = i64::try_from(records).unwrap();
        wait_for(
            &format!("{records} records to be accounted for"),
            within,
            || self.accounted() >= records,
        );
    }

    /// Lets the rest of the input go and waits until everything of it is out.
    pub fn finish(&self, within: Duration) {
        self.flow.release_all();
        let began = Instant::now();
        let total = i64::try_from(self.flow.total()).unwrap();
        while !self
            .auditor
            .look(|books| books.accounted >= total && books.is_settled())
        {
            if began.elapsed() > within {
                let (accounted, why) = self
                    .auditor
                    .look(|books| (books.accounted, books.unsettled()));
                panic!(
                    "after {} s: {accounted} of {total} records, {} handed over; {}; {why}",
                    within.as_secs(),
                    self.flow.sent(),
                    self.unread().join(", "),
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where the log ends, and how far the ledger says that it was read, where the two differ.
    fn unread(&self) -> Vec<String> {
        let log = open(&self.brokers, "proof-ends");
        let positions = self.auditor.look(|books| books.positions.clone());
        let mut unread = Vec::new();
        for topic in self.input.by_topic().keys() {
            for partition in 0..log.partitions(&[topic]).unwrap()[0].unwrap() {
                let end = log.ends(topic, partition).unwrap().end;
                let read = positions.get(&(partition.to_string(), (*topic).to_owned()));
                if read.copied().unwrap_or_default() != end {
                    unread.push(format!(
                        "{topic}/{partition} ends at {end}, read to {read:?}"
                    ));
                }
            }
        }
        unread
    }

    /// Compares everything that is there with what a batch run makes of the same input.
    pub fn compare(&self) {
        self.auditor.look(|books| {
            assert!(
                books.states > 0 && books.sums > 0,
                "the auditor has judged nothing"
            );
            let topics: Vec<&String> = self.expected.rows.keys().collect();
            for topic in topics {
                let (is, wanted) = (books.rows.get(topic), &self.expected.rows[topic]);
                let is = is.cloned().unwrap_or_default();
                let differ: Vec<_> = (wanted.keys().chain(is.keys()))
                    .filter(|key| wanted.get(*key) != is.get(*key))
                    .take(3)
                    .map(|key| {
                        let row = AggregateKey::from_bytes(key).unwrap();
                        format!(
                            "{row:?}: {:?}, and {:?} is right",
                            is.get(key),
                            wanted.get(key)
                        )
                    })
                    .collect();
                assert!(differ.is_empty(), "{topic}: {}", differ.join("\n"));
                assert!(!wanted.is_empty(), "{topic} has no rows to compare");
            }
            assert_same(
                "dispositions",
                &books.dispositions,
                &self.expected.dispositions,
            );
            assert_same("dead letters", &books.letters, &self.expected.letters);
            assert!(
                !books.letters.is_empty(),
                "there are dead letters to compare"
            );
            for (topic, sent) in self.input.by_topic() {
                let of_topic = |(name, part, _): &(String, String, String)| {
                    name == topic && part == "dispositions"
                };
                let counted: i64 = books
                    .dispositions
                    .iter()
                    .filter(|(key, _)| of_topic(key))
                    .map(|(_, count)| count)
                    .sum();
                assert_eq!(counted, sent, "{topic}: dispositions add up to the records");
            }
            let log = open(&self.brokers, "proof-ends");
            for ((task, topic), to) in &books.positions {
                if let Ok(partition) = task.parse() {
                    let end = log.ends(topic, partition).unwrap().end;
                    assert_eq!(*to, end, "{topic}/{partition} was read to its end");
                }
            }
        });
    }

    /// Transactions that were begun, got as far as their manifest, and were aborted.
    pub fn aborted(&self) -> i64 {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", "aborted")
            .set("isolation.level", "read_uncommitted")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let partitions = open(&self.brokers, "aborted")
            .partitions(&[LEDGER])
            .unwrap()[0]
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(LEDGER, partition, Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut manifests, mut ended) = (0, 0);
        while ended < partitions {
            match consumer.poll(Duration::from_secs(1)) {
                Some(Ok(_)) => manifests += 1,
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(_)) | None => {}
            }
        }
        manifests - self.auditor.look(super::audit::Books::committed)
    }

    /// A report in Markdown: what was done, with what, and what came of it. Printed, and written where the
    /// environment says.
    pub fn report(&self, title: &str, command: &str, facts: &BTreeMap<String, String>) {
        self.verify();
        let mut text = format!("# {title}\n\n");
        let mut line = |name: &str, value: &str| writeln!(text, "| {name} | {value} |").unwrap();
        line("", "");
        line("---", "---");
        line("date", &run("date", &["-u", "+%Y-%m-%d %H:%M UTC"]));
        line("command", &format!("`{command}`"));
        line("versions", &versions());
        line("machine", &machine("debug"));
        line(
            "input",
            &format!(
                "{} records of four suppliers (`simulate --faults`, England's February 2022 scaled down), sent while it ran",
                self.flow.total()
            ),
        );
        for (name, value) in facts {
            line(name, value);
        }
        line(
            "transactions aborted after their manifest was written",
            &self.aborted().to_string(),
        );
        self.auditor.look(|books| {
            line("transactions committed", &books.committed().to_string());
            line(
                "committed states whose levels were compared",
                &format!("{} ({} sums)", books.states, books.sums),
            );
            let rows: usize = books.rows.values().map(BTreeMap::len).sum();
            line("rows equal to `replay`, key and figures", &rows.to_string());
            let letters: usize = books.letters.values().sum();
            line(
                "dead letters, each once, equal to `replay`",
                &letters.to_string(),
            );
        });
        line("`gpad-live verify`", "nothing found");
        line("duration", &format!("{} s", self.began.elapsed().as_secs()));
        line(
            "result",
            "**passed**: nothing lost, nothing twice, every sum right in every committed state",
        );
        eprintln!("{text}");
        if let Ok(path) = std::env::var("GPADLIVE_PROOF_REPORT") {
            fs::write(path, text).unwrap();
        }
    }
}

/// The same counts; none is as good as nothing.
fn assert_same<K: Ord + Debug, N: Copy + Default + PartialEq + Debug>(
    what: &str,
    is: &BTreeMap<K, N>,
    wanted: &BTreeMap<K, N>,
) {
    let of = |counts: &BTreeMap<K, N>, key: &K| counts.get(key).copied().unwrap_or_default();
    for key in wanted.keys().chain(is.keys()) {
        assert_eq!(of(is, key), of(wanted, key), "{what}: {key:?}");
    }
}

/// When, by which command, of what, on what: the head of every report.
pub fn stamp(command: &str) -> [(&'static str, String); 4] {
    [
        ("date", run("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("command", format!("`{command}`")),
        ("versions", versions()),
        ("machine", cores()),
    ]
}

fn run(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

pub fn versions() -> String {
    let commit = run(
        "git",
        &[
            "-C",
            env!("CARGO_MANIFEST_DIR"),
            "rev-parse",
            "--short",
            "HEAD",
        ],
    );
    let kafka =
        fs::read_link(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/kafka"));
    let kafka = kafka.map_or_else(|_| "kafka".to_owned(), |path| path.display().to_string());
    format!(
        "gpad-live {} ({commit}), {kafka}, librdkafka {}",
        env!("CARGO_PKG_VERSION"),
        rdkafka::util::get_rdkafka_version().1
    )
}

pub fn machine(build: &str) -> String {
    format!(
        "{}, shared by Kafka, the instances, the feed and the auditor; {build} build",
        cores()
    )
}

pub fn cores() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores")
}
