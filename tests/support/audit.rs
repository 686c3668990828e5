//! An auditor that reads the outputs beside the service, committed records only, and judges every committed state.
//!
//! It reads with a consumer of its own and shares no state with the service. After each transaction of the second stage
//! (a manifest says how many rows are of it) the levels must add up: England = Σ regions = Σ ICBs = Σ sub-ICBs, for each
//! aggregate, window and combination of dimensions. Every chain must go on where it stood, every dead letter come once.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use gpad_live::config::aggregates;
use gpad_live::domain::place::Level;
use gpad_live::service::{DEAD_LETTERS, DELTAS, LEDGER};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe_ours;
use gpad_live::wire::output::{AggregateKey, AggregateValue, DeadLetter, Figures, Manifest};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::expected::{Dispositions, Rows, bytes, said};

const AGGREGATES: &str = "gpad.aggregates.";
/// Of the second stage's manifests.
const ROLLUP: &str = "rollup-";
/// Levels that each hold everything.
const WHOLE: [Level; 4] = [Level::SubIcb, Level::Icb, Level::Region, Level::England];
/// Codes that a row is printed with; they say no more than its code.
const PRINTED: [&str; 5] = [
    "pcn_code",
    "sub_icb_code",
    "sub_icb_ons_code",
    "icb_ons_code",
    "region_ons_code",
];

/// What the auditor has seen.
#[derive(Default)]
pub struct Books {
    /// The first thing that is wrong; nothing is read after it.
    pub wrong: Option<String>,
    pub rows: Rows,
    pub letters: BTreeMap<String, usize>,
    pub dispositions: Dispositions,
    /// Supplier records that the manifests account for.
    pub accounted: i64,
    /// Next to read, as the chains state it, by task and topic.
    pub positions: BTreeMap<(String, String), i64>,
    /// Transactions by task.
    pub transactions: BTreeMap<String, i64>,
    /// Committed states of the second stage whose sums were compared.
    pub states: i64,
    /// Sums that were compared.
    pub sums: i64,
    /// Next to read after the last delta.
    deltas_end: i64,
    /// Records written to each output, as the manifests state it and as they were read.
    stated: BTreeMap<String, i64>,
    found: BTreeMap<String, i64>,
}

impl Books {
    /// Whether everything that is committed is read, and added up by the second stage.
    pub fn is_settled(&self) -> bool {
        let read = (self.positions.iter())
            .find(|((task, topic), _)| task == "rollup-0" && topic == DELTAS)
            .map_or(0, |(_, to)| *to);
        self.stated == self.found && read >= self.deltas_end
    }

    /// What keeps it from being settled.
    pub fn unsettled(&self) -> String {
        let differ = |topic: &&String| self.stated.get(*topic) != self.found.get(*topic);
        let topics: BTreeSet<&String> = self.stated.keys().chain(self.found.keys()).collect();
        let differ: Vec<String> = (topics.iter().filter(|topic| differ(topic)))
            .map(|topic| {
                format!(
                    "{topic}: {:?} stated, {:?} read",
                    self.stated.get(*topic),
                    self.found.get(*topic)
                )
            })
            .collect();
        format!("deltas up to {}; {}", self.deltas_end, differ.join("; "))
    }

    pub fn committed(&self) -> i64 {
        self.transactions.values().sum()
    }
}

/// The auditor at work; ends with its handle.
pub struct Auditor {
    books: Arc<Mutex<Books>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Auditor {
    /// The topics must be there, each aggregate's with one partition: then its records lie in the order of transactions.
    pub fn start(brokers: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "auditor")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .create()
            .unwrap();
        let metadata = consumer
            .fetch_metadata(None, Duration::from_secs(30))
            .unwrap();
        let mut list = TopicPartitionList::new();
        for topic in metadata.topics() {
            let name = topic.name();
            let is_aggregate = name.starts_with(AGGREGATES);
            if name == LEDGER || is_followed(name) {
                assert!(
                    !is_aggregate || topic.partitions().len() == 1,
                    "{name} has several partitions"
                );
                for partition in topic.partitions() {
                    list.add_partition_offset(name, partition.id(), Offset::Beginning)
                        .unwrap();
                }
            }
        }
        assert!(list.count() > 3, "the outputs are there");
        consumer.assign(&list).unwrap();
        let (books, ends) = (
            Arc::new(Mutex::new(Books::default())),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = std::thread::spawn({
            let (books, ends) = (books.clone(), ends.clone());
            move || follow(&consumer, &books, &ends)
        });
        Self {
            books,
            ends,
            thread: Some(thread),
        }
    }

    /// Looks at the books; panics with what the auditor found to be wrong.
    pub fn look<T>(&self, look: impl FnOnce(&Books) -> T) -> T {
        // A poisoned lock: the auditor itself has panicked, which is told by its thread.
        let books = self.books.lock().unwrap();
        if let Some(wrong) = &books.wrong {
            panic!("the auditor found: {wrong}");
        }
        look(&books)
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn follow(consumer: &BaseConsumer, books: &Mutex<Books>, ends: &AtomicBool) {
    let mut audit = Audit::new();
    while !ends.load(Ordering::Acquire) {
        // Brokers come and go beside us; what matters is what they show.
        let message = match consumer.poll(Duration::from_millis(50)) {
            Some(Ok(message)) => message,
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                books.lock().unwrap().wrong = Some("committed records are gone".to_owned());
                return;
            }
            None | Some(Err(_)) => continue,
        };
        let mut books = books.lock().unwrap();
        let outcome = audit.take(
            &mut books,
            message.topic(),
            message.offset(),
            message.key().unwrap_or_default(),
            message.payload(),
        );
        if let Err(wrong) = outcome {
            let (topic, partition, offset) =
                (message.topic(), message.partition(), message.offset());
            let mut wrong = format!("{topic}/{partition} at {offset}: {wrong}");
            if topic == LEDGER {
                wrong += &manifests(consumer, partition);
            }
            books.wrong = Some(wrong);
            return;
        }
    }
}

/// Every manifest of a partition of the ledger, those of open and aborted transactions among them: how it came to that.
fn manifests(auditor: &BaseConsumer, partition: i32) -> String {
    let metadata = auditor
        .fetch_metadata(Some(LEDGER), Duration::from_secs(10))
        .unwrap();
    let brokers: Vec<_> = (metadata.brokers().iter())
        .map(|broker| format!("{}:{}", broker.host(), broker.port()))
        .collect();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers.join(","))
        .set("group.id", "auditor")
        .set("isolation.level", "read_uncommitted")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(LEDGER, partition, Offset::Beginning)
        .unwrap();
    consumer.assign(&list).unwrap();
    let mut told = String::new();
    while let Some(Ok(message)) = consumer.poll(Duration::from_secs(5)) {
        let manifest: Result<Manifest, _> = decode(message.payload().unwrap_or_default());
        write!(told, "\n  at {}: {manifest:?}", message.offset()).unwrap();
    }
    told
}

/// A row of the levels above the practice that waits for its transaction's turn.
struct Waiting {
    key: AggregateKey,
    key_bytes: Vec<u8>,
    figures: Option<Figures>,
}

/// Aggregate, start of the window, dimensions.
type Group = (String, String, Vec<(String, String)>);

/// Judges committed records as they come, in the order of their topics.
pub struct Audit {
    /// By topic, in the order of the log.
    waiting: HashMap<String, VecDeque<Waiting>>,
    /// Manifests of the second stage whose rows are not all there.
    open: VecDeque<Manifest>,
    /// Last manifest: sequence, epoch, hash.
    chains: BTreeMap<String, (i64, i64, Vec<u8>)>,
    /// Sums of the measures by level.
    sums: HashMap<Group, BTreeMap<Level, Vec<i64>>>,
    /// Measures of the row that stands.
    standing: HashMap<Vec<u8>, Vec<i64>>,
    /// By aggregate: those of [`WHOLE`] that it has.
    levels: HashMap<String, Vec<Level>>,
    letters: BTreeSet<(String, i32, i64)>,
}

impl Audit {
    pub fn new() -> Self {
        let plan = aggregates::plan(None).unwrap();
        let levels = (plan.aggregates.iter())
            .map(|aggregate| {
                let has = |level: &Level| aggregate.above_practice().contains(level);
                (
                    aggregate.name.to_string(),
                    WHOLE.into_iter().filter(has).collect(),
                )
            })
            .collect();
        Self {
            waiting: HashMap::new(),
            open: VecDeque::new(),
            chains: BTreeMap::new(),
            sums: HashMap::new(),
            standing: HashMap::new(),
            levels,
            letters: BTreeSet::new(),
        }
    }

    /// # Errors
    /// What is wrong; nothing may be taken after it.
    pub fn take(
        &mut self,
        books: &mut Books,
        topic: &str,
        offset: i64,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), String> {
        if topic == LEDGER {
            self.manifest(books, decode(value.unwrap_or_default())?)?;
        } else {
            *books.found.entry(topic.to_owned()).or_default() += 1;
            if topic == DELTAS {
                books.deltas_end = offset + 1;
            } else if topic == DEAD_LETTERS {
                self.letter(books, &decode(value.unwrap_or_default())?)?;
            } else {
                self.row(books, topic, key, value)?;
            }
        }
        while self.is_complete() {
            if let Some(manifest) = self.open.pop_front() {
                self.settle(books, &manifest)?;
            }
        }
        Ok(())
    }

    fn letter(&mut self, books: &mut Books, letter: &DeadLetter) -> Result<(), String> {
        let at = (letter.topic.clone(), letter.partition, letter.offset);
        *books.letters.entry(said(letter)).or_default() += 1;
        let is_new = self.letters.insert(at);
        is_new.then_some(()).ok_or_else(|| {
            format!(
                "a second dead letter of {}/{} at {}",
                letter.topic, letter.partition, letter.offset
            )
        })
    }

    fn row(
        &mut self,
        books: &mut Books,
        topic: &str,
        framed: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), String> {
        let key: AggregateKey = decode(framed)?;
        let key_bytes = key.to_bytes();
        let figures = match value {
            None => None,
            Some(value) => {
                let decoded: AggregateValue = decode(value)?;
                let raw = unframe_ours(Some(value))
                    .map_err(|error| error.to_string())?
                    .1;
                if !raw.starts_with(&bytes(&decoded.figures)) {
                    return Err("figures in another encoding".to_owned());
                }
                Some(decoded.figures)
            }
        };
        if key.level == Level::Practice.label() {
            stand(books, topic, key_bytes, figures.as_ref());
        } else {
            let waiting = self.waiting.entry(topic.to_owned()).or_default();
            waiting.push_back(Waiting {
                key,
                key_bytes,
                figures,
            });
        }
        Ok(())
    }

    fn manifest(&mut self, books: &mut Books, manifest: Manifest) -> Result<(), String> {
        let task = manifest.task.clone();
        if manifest.hash != manifest.expected_hash() {
            return Err(format!(
                "task {task}, {}: the manifest was altered",
                manifest.sequence
            ));
        }
        let (sequence, epoch, hash) = self.chains.remove(&task).unwrap_or((-1, 0, Vec::new()));
        if manifest.sequence != sequence + 1
            || manifest.previous_hash.0 != hash
            || manifest.epoch < epoch
        {
            return Err(format!(
                "task {task}: transaction {} of epoch {} after {sequence} of epoch {epoch}",
                manifest.sequence, manifest.epoch
            ));
        }
        self.chains.insert(
            task.clone(),
            (manifest.sequence, manifest.epoch, manifest.hash.0.clone()),
        );
        for read in &manifest.positions {
            let next = books
                .positions
                .entry((task.clone(), read.topic.clone()))
                .or_insert(0);
            if *next != read.from {
                return Err(format!(
                    "task {task}: {} read from {}, not from {next}",
                    read.topic, read.from
                ));
            }
            *next = read.to;
        }
        for count in &manifest.dispositions {
            books.accounted += count.count;
            let mut add = |part: &str, name: &str| {
                let key = (count.topic.clone(), part.to_owned(), name.to_owned());
                *books.dispositions.entry(key).or_default() += count.count;
            };
            add("dispositions", &count.disposition);
            if let Some(reason) = &count.reason {
                add("reasons", reason);
            }
        }
        for rows in manifest
            .rows
            .iter()
            .filter(|rows| is_followed(&rows.output))
        {
            *books.stated.entry(rows.output.clone()).or_default() += rows.count;
        }
        *books.transactions.entry(task.clone()).or_default() += 1;
        if task.starts_with(ROLLUP) {
            self.open.push_back(manifest);
        }
        Ok(())
    }

    /// Whether all rows of the oldest open transaction of the second stage are here.
    fn is_complete(&self) -> bool {
        self.open.front().is_some_and(|manifest| {
            manifest.rows.iter().all(|rows| {
                let waiting = self.waiting.get(&rows.output).map_or(0, VecDeque::len);
                i64::try_from(waiting).is_ok_and(|waiting| waiting >= rows.count)
            })
        })
    }

    /// Takes in a transaction's rows, then compares every sum that they are part of.
    fn settle(&mut self, books: &mut Books, manifest: &Manifest) -> Result<(), String> {
        let mut touched: BTreeSet<Group> = BTreeSet::new();
        for rows in &manifest.rows {
            for _ in 0..rows.count {
                let row = self
                    .waiting
                    .get_mut(&rows.output)
                    .and_then(VecDeque::pop_front);
                if let Some(row) = row {
                    touched.extend(self.add(&row));
                    stand(books, &rows.output, row.key_bytes, row.figures.as_ref());
                }
            }
        }
        books.states += 1;
        for group in &touched {
            let levels = &self.levels[&group.0];
            let sums = &self.sums[group];
            let of = |level: &Level| sums.get(level).map_or(&[][..], Vec::as_slice);
            books.sums += 1;
            if let Some(other) = levels
                .iter()
                .find(|level| !equal(of(level), of(&levels[0])))
            {
                return Err(format!(
                    "after transaction {} of {}: {} of {} with {:?}: {} adds up to {:?}, {} to {:?}",
                    manifest.sequence,
                    manifest.task,
                    group.0,
                    group.1,
                    group.2,
                    levels[0].label(),
                    of(&levels[0]),
                    other.label(),
                    of(other),
                ));
            }
        }
        Ok(())
    }

    /// Adds a row to its level's sums; answers the group where it has several levels.
    fn add(&mut self, row: &Waiting) -> Option<Group> {
        let level = Level::from_label(&row.key.level)?;
        if !self.levels.get(&row.key.aggregate)?.contains(&level) {
            return None;
        }
        let dimensions = (row.key.dimensions.iter())
            .filter(|dimension| !PRINTED.contains(&dimension.name.as_str()))
            .map(|dimension| (dimension.name.clone(), dimension.value.clone()))
            .collect();
        let group = (
            row.key.aggregate.clone(),
            row.key.window_start.clone(),
            dimensions,
        );
        let now: Vec<i64> = (row.figures.iter())
            .flat_map(|figures| figures.counts.iter().map(|count| count.value))
            .collect();
        let sums = self
            .sums
            .entry(group.clone())
            .or_default()
            .entry(level)
            .or_default();
        let before = self
            .standing
            .insert(row.key_bytes.clone(), now.clone())
            .unwrap_or_default();
        sums.resize(sums.len().max(now.len()).max(before.len()), 0);
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum += now.get(at).unwrap_or(&0) - before.get(at).unwrap_or(&0);
        }
        Some(group)
    }
}

/// Whether every record of an output is read here.
fn is_followed(topic: &str) -> bool {
    topic.starts_with(AGGREGATES) || [DEAD_LETTERS, DELTAS].contains(&topic)
}

/// Whether two sums are the same; no row is nothing of each.
fn equal(a: &[i64], b: &[i64]) -> bool {
    let at = |sums: &[i64], at: usize| sums.get(at).copied().unwrap_or(0);
    (0..a.len().max(b.len())).all(|index| at(a, index) == at(b, index))
}

fn stand(books: &mut Books, topic: &str, key: Vec<u8>, figures: Option<&Figures>) {
    let rows = books.rows.entry(topic.to_owned()).or_default();
    match figures {
        Some(figures) => rows.insert(key, bytes(figures)),
        None => rows.remove(&key),
    };
}

fn decode<T: Datum>(framed: &[u8]) -> Result<T, String> {
    let (_, datum) = unframe_ours(Some(framed)).map_err(|error| error.to_string())?;
    T::from_bytes(datum).map_err(|error| error.to_string())
}
