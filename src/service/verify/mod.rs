//! Verification: walks every task's chain of manifests, and recounts in the topics what the manifests state.
//
//   group's positions ─┐
//   ledger ────────────┼─► chains ─► what must lie in each topic, by task and sequence
//   rows   1st reading │
//   deltas, letters, inputs
//   rows   2nd reading │              ◄─ compared: number and digest, of what was written and of what stands
//   ledger, the rest ──┤
//   group's positions ─┘
//
// Everything is read once up to its end as it stands then, while the service may be committing. The ledger is read
// before the topics, so what it states then is there; and after them, so what is there then is stated.

mod chain;
mod fault;
mod names;
mod read;
mod records;
mod rows;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use super::outputs::{DEAD_LETTERS, DELTAS, LEDGER};
use super::topics::{READMISSIONS, TopicsError, check_topics};
use crate::adapters::effects::aggregate_topic;
use crate::adapters::log::{Log, LogError, Message, Position, Span};
use crate::adapters::schemas::{NoSchema, Schemas};
use crate::domain::topic::SupplierTopic;
use crate::engine::plan::AggregatePlan;
use crate::wire::datum::{Avro, Datum};
use crate::wire::multiset::{self, Sum};
use crate::wire::output::{AggregateKey, AggregateValue, DeadLetter, Deltas, Manifest, WrittenBy};
use chain::{Chain, Head};
pub use fault::{Fault, Kind};
use names::Names;
use read::{Reader, scan};
use records::{Accounts, Keeps, Part, Range, Ranges, Tally};
use rows::{Rows, Stated, Statements};

/// How often a topic that lost rows while it was being read is read again.
const ATTEMPTS: usize = 3;

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Counts the records of the supplier topics too, which takes as long as reading them.
    pub counts_input: bool,
}

/// Why it could not be told.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Topics(#[from] TopicsError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("schema {id}: {error}")]
    Schema { id: u32, error: NoSchema },
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    pub faults: Vec<Fault>,
    /// Chains that have a manifest.
    pub tasks: usize,
    pub transactions: u64,
    /// Supplier records read.
    pub records: i64,
    /// By disposition and reason.
    pub dispositions: BTreeMap<(String, Option<String>), i64>,
    /// Records that wait for their appointment, and those that waited and do no longer, net of each transaction.
    pub pending: i64,
    pub left_pending: i64,
    /// Records that `readmit` read again.
    pub readmitted: i64,
    /// Rows that stand, by topic.
    pub rows: BTreeMap<String, usize>,
    pub deltas: u64,
    pub dead_letters: u64,
    /// Supplier records counted in their topics.
    pub counted: Option<u64>,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
}

/// Verifies a log.
///
/// # Errors
/// When the log or the registry cannot be read: then nothing is proved either way.
pub fn verify(
    log: &dyn Log,
    schemas: &Schemas,
    plan: &AggregatePlan,
    options: Options,
    tell: &dyn Fn(&str),
) -> Result<Report, VerifyError> {
    let mut attempt = 1;
    loop {
        let mut verification = Verification::new(log, schemas, plan, tell)?;
        let is_clear = verification.run(options)?;
        if is_clear || attempt == ATTEMPTS {
            return Ok(verification.report);
        }
        tell("rows went while they were being read; reading again");
        attempt += 1;
    }
}

struct Verification<'l> {
    log: &'l dyn Log,
    schemas: &'l Schemas,
    tell: &'l dyn Fn(&str),
    /// Of the aggregates.
    topics: Vec<String>,
    /// By supplier topic, and of the deltas.
    partitions: (i32, i32),
    names: Names,
    chains: BTreeMap<u32, Chain>,
    /// By task: the newest sequence before the topics were read.
    settled: HashMap<u32, i64>,
    accounts: Accounts,
    /// By topic, then by task.
    statements: HashMap<u32, BTreeMap<u32, Statements>>,
    ranges: HashMap<(u32, i32), Ranges>,
    ledger: Vec<Position>,
    topics_are_read: bool,
    report: Report,
}

impl<'l> Verification<'l> {
    fn new(
        log: &'l dyn Log,
        schemas: &'l Schemas,
        plan: &AggregatePlan,
        tell: &'l dyn Fn(&str),
    ) -> Result<Self, VerifyError> {
        let partitions = check_topics(log, plan)?;
        let topics = plan.aggregates.iter();
        Ok(Self {
            log,
            schemas,
            tell,
            topics: topics
                .map(|aggregate| aggregate_topic(&aggregate.name))
                .collect(),
            partitions: (partitions.tasks, partitions.deltas),
            names: Names::default(),
            chains: BTreeMap::new(),
            settled: HashMap::new(),
            accounts: Accounts::default(),
            statements: HashMap::new(),
            ranges: HashMap::new(),
            ledger: Vec::new(),
            topics_are_read: false,
            report: Report::default(),
        })
    }

    /// Whether everything could be told.
    fn run(&mut self, options: Options) -> Result<bool, VerifyError> {
        for (task, head) in self.heads()? {
            let index = self.names.index(&task);
            self.chains.insert(index, Chain::new(&task, head));
        }
        self.walk()?;
        self.settled = (self.chains.iter())
            .filter_map(|(task, chain)| Some((*task, chain.newest()?)))
            .collect();
        let mut standing = Vec::new();
        for topic in self.topics.clone() {
            let mut rows = Rows::default();
            let positions = self.read_rows(&topic, None, &mut rows)?;
            standing.push((topic, rows, positions));
        }
        self.report.deltas = self.read_parts::<Deltas>(DELTAS, |deltas| deltas.written_by)?;
        self.report.dead_letters =
            self.read_parts::<DeadLetter>(DEAD_LETTERS, |letter| letter.written_by)?;
        if options.counts_input {
            self.count_input()?;
        }
        for (topic, rows, positions) in &mut standing {
            let index = self.names.index(topic);
            rows.aim(self.statements.entry(index).or_default());
            self.read_rows(topic, Some(positions), rows)?;
        }
        self.topics_are_read = true;
        self.walk()?;
        let is_clear = self.compare(&standing);
        let now: BTreeMap<String, Option<Head>> = self.heads()?.into_iter().collect();
        for chain in self.chains.values() {
            let head = now.get(&chain.task).and_then(Option::as_ref);
            chain.finish(head, &mut self.report.faults);
        }
        self.sum_up(&standing);
        Ok(is_clear)
    }

    /// Every task by name, and where the group says that it stands.
    fn heads(&mut self) -> Result<Vec<(String, Option<Head>)>, VerifyError> {
        let (tasks, deltas) = self.partitions;
        let mut heads = Vec::new();
        let mut ask = |task: String, topics: &[&str], partition| -> Result<(), VerifyError> {
            let places: Vec<(&str, i32)> = topics.iter().map(|topic| (*topic, partition)).collect();
            let head = Head::of(self.log.committed(&places)?).unwrap_or_else(|why| {
                self.report.faults.push(Fault {
                    kind: Kind::Offsets,
                    task: task.clone(),
                    sequence: None,
                    topic: topics[0].to_owned(),
                    detail: why,
                });
                None
            });
            heads.push((task, head));
            Ok(())
        };
        let mut inputs = SupplierTopic::ALL.map(SupplierTopic::name).to_vec();
        inputs.push(READMISSIONS);
        for partition in 0..tasks {
            ask(partition.to_string(), &inputs, partition)?;
        }
        for partition in 0..deltas {
            ask(format!("rollup-{partition}"), &[DELTAS], partition)?;
        }
        Ok(heads)
    }

    /// Reads the ledger on from where it was read to.
    fn walk(&mut self) -> Result<(), VerifyError> {
        (self.tell)("walking the chains");
        let from = std::mem::take(&mut self.ledger);
        let mut manifests = Vec::new();
        let mut reader = Reader::<Manifest>::new(self.schemas);
        let mut faults = Vec::new();
        self.ledger = scan(self.log, LEDGER, &from, &mut |message| {
            match reader.read(message.value)? {
                Ok(manifest) => manifests.push(manifest),
                Err(why) => faults.push(unreadable(LEDGER, message, &why)),
            }
            // Not all of them at once: there may be millions.
            if manifests.len() >= 10_000 {
                for manifest in manifests.drain(..) {
                    self.take(&manifest);
                }
            }
            Ok(())
        })?;
        for manifest in manifests {
            self.take(&manifest);
        }
        self.report.faults.extend(faults);
        Ok(())
    }

    fn take(&mut self, manifest: &Manifest) {
        let task = self.names.index(&manifest.task);
        let chain = self
            .chains
            .entry(task)
            .or_insert_with(|| Chain::new(&manifest.task, None));
        if !chain.walk(manifest, &mut self.report.faults) {
            return;
        }
        let sequence = manifest.sequence;
        for written in &manifest.rows {
            let topic = self.names.index(&written.output);
            // A digest of another length equals no sum, and is told as such.
            let sum = |bytes: &[u8]| Sum::from_bytes(bytes).unwrap_or_default();
            let tally = Tally {
                count: written.count,
                sum: sum(&written.digest.0),
            };
            let part = Part {
                topic,
                task,
                sequence,
            };
            self.accounts.state(part, tally);
            if let Some(standing) = &written.standing {
                let stated = Stated {
                    sequence,
                    rows: standing.rows,
                    sum: sum(&standing.digest.0),
                };
                let statements = self.statements.entry(topic).or_default();
                let statements = statements.entry(task).or_default();
                statements.push(stated, !self.topics_are_read);
            }
        }
        // Ranges that came after the topics were read were not counted either.
        if !self.topics_are_read {
            for read in &manifest.positions {
                let topic = self.names.index(&read.topic);
                let range = Range {
                    from: read.from,
                    to: read.to,
                    records: read.records,
                    task,
                    sequence,
                };
                self.ranges
                    .entry((topic, read.partition))
                    .or_default()
                    .push(range);
            }
        }
    }

    /// Reads a compacted topic; answers where to read on.
    fn read_rows(
        &mut self,
        topic: &str,
        from: Option<&[Position]>,
        rows: &mut Rows,
    ) -> Result<Vec<Position>, VerifyError> {
        (self.tell)(&format!("reading {topic}"));
        let index = self.names.index(topic);
        let mut keys = Reader::<AggregateKey>::new(self.schemas);
        let mut values = Reader::<AggregateValue>::new(self.schemas);
        let mut figures = Vec::new();
        let is_first = from.is_none();
        let (names, accounts, faults) =
            (&mut self.names, &mut self.accounts, &mut self.report.faults);
        scan(self.log, topic, from.unwrap_or_default(), &mut |message| {
            let key = message.key.unwrap_or_default();
            let Some(value) = message.value else {
                rows.go(key);
                return Ok(());
            };
            let (row, read) = match (keys.read(message.key)?, values.read(message.value)?) {
                (Ok(row), Ok(read)) => (row, read),
                (Err(why), _) | (_, Err(why)) => {
                    faults.push(unreadable(topic, message, &why));
                    return Ok(());
                }
            };
            let Some(writer) = read.published.written_by else {
                faults.push(unreadable(topic, message, "it names no transaction"));
                return Ok(());
            };
            figures.clear();
            read.figures.write(&mut figures);
            let task = names.index(&writer.task);
            let hash = multiset::row(&row.to_bytes(), &figures);
            rows.stand(key, hash, task, writer.sequence);
            if is_first {
                let part = Part {
                    topic: index,
                    task,
                    sequence: writer.sequence,
                };
                accounts.find(part, key, value);
            }
            Ok(())
        })
    }

    /// Reads a topic that keeps everything; answers how many records there are.
    fn read_parts<T: Datum>(
        &mut self,
        topic: &str,
        writer: impl Fn(T) -> Option<WrittenBy>,
    ) -> Result<u64, VerifyError> {
        (self.tell)(&format!("reading {topic}"));
        let index = self.names.index(topic);
        let mut reader = Reader::<T>::new(self.schemas);
        let mut count = 0;
        let (names, accounts) = (&mut self.names, &mut self.accounts);
        let (ranges, faults) = (&mut self.ranges, &mut self.report.faults);
        scan(self.log, topic, &[], &mut |message| {
            count += 1;
            if let Some(ranges) = ranges.get_mut(&(index, message.partition)) {
                let offset = message.offset;
                ranges.see(offset, &mut |range, found| {
                    faults.push(uncounted(topic, range, found, names));
                });
            }
            let writer = match reader.read(message.value)? {
                Ok(record) => writer(record).ok_or("it names no transaction".to_owned()),
                Err(why) => Err(why),
            };
            match writer {
                Ok(writer) => {
                    let part = Part {
                        topic: index,
                        task: names.index(&writer.task),
                        sequence: writer.sequence,
                    };
                    let (key, value) = (message.key, message.value);
                    accounts.find(part, key.unwrap_or_default(), value.unwrap_or_default());
                }
                Err(why) => faults.push(unreadable(topic, message, &why)),
            }
            Ok(())
        })?;
        self.finish_ranges(topic);
        Ok(count)
    }

    /// Counts the supplier records in the ranges that the manifests say were read.
    fn count_input(&mut self) -> Result<(), VerifyError> {
        let mut counted = 0;
        for topic in SupplierTopic::ALL.map(SupplierTopic::name) {
            let index = self.names.index(topic);
            let mut spans = Vec::new();
            for partition in 0..self.partitions.0 {
                let Some(ranges) = self.ranges.get(&(index, partition)) else {
                    continue;
                };
                let first = self.log.ends(topic, partition)?.first;
                if first > 0 {
                    self.report.notes.push(format!(
                        "{topic}/{partition} begins at {first} now: its records are not counted"
                    ));
                    self.ranges.remove(&(index, partition));
                    continue;
                }
                spans.push(Span {
                    until: Some(ranges.end()),
                    ..Span::whole(partition)
                });
            }
            if spans.is_empty() {
                continue;
            }
            (self.tell)(&format!("counting {topic}"));
            let (names, ranges, faults) = (&self.names, &mut self.ranges, &mut self.report.faults);
            self.log.scan(topic, &spans, &mut |message| {
                if let Some(message) = message
                    && let Some(ranges) = ranges.get_mut(&(index, message.partition))
                {
                    counted += 1;
                    let offset = message.offset;
                    ranges.see(offset, &mut |range, found| {
                        faults.push(uncounted(topic, range, found, names));
                    });
                }
                ControlFlow::Continue(())
            })?;
            self.finish_ranges(topic);
        }
        self.report.counted = Some(counted);
        Ok(())
    }

    fn finish_ranges(&mut self, topic: &str) {
        let index = self.names.index(topic);
        let (names, faults) = (&self.names, &mut self.report.faults);
        for ((of, _), ranges) in &mut self.ranges {
            if *of == index {
                ranges
                    .finish(&mut |range, found| faults.push(uncounted(topic, range, found, names)));
            }
        }
    }

    fn compare(&mut self, standing: &[(String, Rows, Vec<Position>)]) -> bool {
        let mut is_clear = true;
        let settled = |part: &Part| {
            (self.settled.get(&part.task)).is_some_and(|newest| part.sequence <= *newest)
        };
        let outputs = standing
            .iter()
            .map(|(topic, ..)| (topic.as_str(), Keeps::Newest));
        let outputs: Vec<_> = outputs
            .chain([DELTAS, DEAD_LETTERS].map(|topic| (topic, Keeps::Everything)))
            .collect();
        for (topic, keeps) in outputs {
            let index = self.names.index(topic);
            let faults = &mut self.report.faults;
            self.accounts
                .compare(index, keeps, &settled, &self.names, faults);
        }
        for (topic, rows, _) in standing {
            let index = self.names.index(topic);
            let statements = self.statements.entry(index).or_default();
            let unclear = rows.compare(index, statements, &self.names, &mut self.report.faults);
            for task in unclear {
                is_clear = false;
                self.report.notes.push(format!(
                    "{topic}: rows of task {} went while they were being read; stop the service, or try again",
                    self.names.of(task)
                ));
            }
        }
        is_clear
    }

    fn sum_up(&mut self, standing: &[(String, Rows, Vec<Position>)]) {
        let report = &mut self.report;
        for chain in self
            .chains
            .values()
            .filter(|chain| chain.newest().is_some())
        {
            report.tasks += 1;
            report.transactions += chain.transactions;
            report.records += chain.records;
            report.pending += chain.pending;
            report.left_pending += chain.left_pending;
            report.readmitted += chain.readmitted;
            for (key, count) in &chain.dispositions {
                *report.dispositions.entry(key.clone()).or_default() += count;
            }
        }
        report.rows = (standing.iter())
            .map(|(topic, rows, _)| (topic.clone(), rows.len()))
            .collect();
        let key = |fault: &Fault| (fault.task.clone(), fault.sequence, fault.topic.clone());
        report.faults.sort_by_key(key);
        report.faults.dedup();
    }
}

fn uncounted(topic: &str, range: &Range, found: i64, names: &Names) -> Fault {
    Fault {
        kind: Kind::Sum,
        task: names.of(range.task).to_owned(),
        sequence: Some(range.sequence),
        topic: topic.to_owned(),
        detail: format!(
            "{found} records lie in offsets {} to {} and the manifest states {}",
            range.from, range.to, range.records
        ),
    }
}

fn unreadable(topic: &str, message: &Message<'_>, why: &str) -> Fault {
    Fault {
        kind: Kind::Unreadable,
        task: String::new(),
        sequence: None,
        topic: topic.to_owned(),
        detail: format!(
            "partition {}, offset {}: {why}",
            message.partition, message.offset
        ),
    }
}
