//! What a settlement hands over, put into one transaction with its manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::history::{self, Before, HISTORY};
use super::standing::{Standing, Standings};
use crate::adapters::deltas::{self, Gathered};
use crate::adapters::effects;
use crate::adapters::log::Transaction;
use crate::adapters::registry::RegistryError;
use crate::adapters::schemas::Schemas;
use crate::domain::aggregate::Row;
use crate::domain::time::Timestamp;
use crate::engine::fold::Delta;
use crate::engine::ledger::Counts;
use crate::engine::plan::AggregatePlan;
use crate::engine::watermark::Closed;
use crate::stages::letter::DeadLetter;
use crate::wire::datum::{Avro, Bytes, Datum};
use crate::wire::framing::frame;
use crate::wire::multiset::{self, Sum};
use crate::wire::output::{Manifest, Positions, Written, WrittenBy};

pub const DEAD_LETTERS: &str = "gpad.dead-letters";
pub const LEDGER: &str = "gpad.ledger";
pub const DELTAS: &str = "gpad.deltas";
/// For the state of tasks: nothing is written to it yet.
pub const CHANGELOG: &str = "gpad.changelog";

/// The topics that everything goes to, and the schema ids it is written with.
pub struct Outputs {
    pub plan: Arc<AggregatePlan>,
    aggregates: Vec<AggregateOutput>,
    dead_letters: u32,
    ledger: u32,
    deltas: u32,
    delta_partitions: i32,
    /// `None`: it is not kept.
    history: Option<u32>,
}

struct AggregateOutput {
    topic: String,
    has_history: bool,
    key: u32,
    value: u32,
}

impl Outputs {
    /// Asks for the ids of all schemas that are written with.
    ///
    /// # Errors
    /// When the registry is away, or refuses a schema.
    pub fn new(
        plan: Arc<AggregatePlan>,
        schemas: &Schemas,
        delta_partitions: i32,
        keeps_history: bool,
    ) -> Result<Self, RegistryError> {
        let aggregates = plan
            .aggregates
            .iter()
            .map(|aggregate| {
                let topic = effects::aggregate_topic(&aggregate.name);
                Ok(AggregateOutput {
                    key: schemas.id(&format!("{topic}-key"), "gpad.aggregates-key")?,
                    value: schemas.id(&format!("{topic}-value"), "gpad.aggregates-value")?,
                    has_history: keeps_history && history::is_kept(aggregate),
                    topic,
                })
            })
            .collect::<Result<_, RegistryError>>()?;
        let id = |topic: &str| schemas.id(&format!("{topic}-value"), topic);
        Ok(Self {
            plan,
            aggregates,
            dead_letters: id(DEAD_LETTERS)?,
            ledger: id(LEDGER)?,
            deltas: id(DELTAS)?,
            delta_partitions: delta_partitions.max(1),
            history: if keeps_history {
                Some(id(HISTORY)?)
            } else {
                None
            },
        })
    }

    /// Whether what rows said before is kept.
    #[must_use]
    pub const fn keeps_history(&self) -> bool {
        self.history.is_some()
    }

    fn aggregate(&self, row: &Row) -> &AggregateOutput {
        let mut aggregates = self.plan.aggregates.iter();
        let at = aggregates.position(|aggregate| aggregate.name == row.aggregate);
        &self.aggregates[at.expect("rows come from the plan's aggregates")]
    }
}

/// What went to one output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records, tombstones too.
    pub count: i64,
    digest: Sum,
    /// Of a compacted output.
    standing: Option<Standing>,
}

/// One transaction in the making. Reused: what is allocated stays.
pub struct Draft {
    pub transaction: Transaction,
    /// By output.
    pub written: BTreeMap<String, Tally>,
    pub counts: Counts,
    /// Of records that `readmit` read again.
    pub readmitted: Counts,
    pub pending: i64,
    pub as_of: Timestamp,
    writer: WrittenBy,
    /// When it is settled.
    now: Timestamp,
    before: Before,
    gathered: Gathered,
    datum: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            transaction: Transaction::default(),
            written: BTreeMap::new(),
            counts: Counts::default(),
            readmitted: Counts::default(),
            pending: 0,
            as_of: Timestamp(0),
            writer: WrittenBy {
                task: String::new(),
                sequence: 0,
            },
            now: Timestamp(0),
            before: Before::default(),
            gathered: Gathered::default(),
            datum: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
        }
    }
}

impl Draft {
    /// Starts the transaction of that number in the task's chain.
    pub fn begin(&mut self, task: &str, sequence: i64, now: Timestamp) {
        self.now = now;
        self.before.clear();
        // Of a draft that was given up.
        self.gathered = Gathered::default();
        self.transaction.clear();
        self.written.clear();
        self.counts = Counts::default();
        self.readmitted = Counts::default();
        task.clone_into(&mut self.writer.task);
        self.writer.sequence = sequence;
    }

    /// A row, or its tombstone.
    pub fn row(&mut self, outputs: &Outputs, standings: &mut Standings, row: &Row) {
        let output = outputs.aggregate(row);
        self.datum.clear();
        effects::write_key(row, &mut self.datum);
        let standing = standings.apply(&output.topic, &self.datum, row);
        if output.has_history {
            self.before.row(&self.datum, row);
        }
        framed(output.key, &self.datum, &mut self.key);
        self.datum.clear();
        let written_by = (self.writer.task.as_str(), self.writer.sequence);
        let has_value = effects::write_value(row, Some(written_by), &mut self.datum);
        framed(output.value, &self.datum, &mut self.value);
        let value = has_value.then_some(self.value.as_slice());
        self.transaction.put(&output.topic, None, &self.key, value);
        let tally = tally(&mut self.written, &output.topic);
        tally.add(&self.key, value);
        tally.standing = Some(standing);
        if self.before.is_full() {
            self.history(outputs);
        }
    }

    /// What the rows put so far said before. Like the changelog it is no output that manifests speak of: it is given up
    /// after some days.
    fn history(&mut self, outputs: &Outputs) {
        let Some(id) = outputs.history.filter(|_| !self.before.is_empty()) else {
            return;
        };
        let (task, sequence) = (&self.writer.task, self.writer.sequence);
        self.datum.clear();
        (self.before).take(task, sequence, self.now, &mut self.datum);
        framed(id, &self.datum, &mut self.value);
        (self.transaction).put(HISTORY, None, task.as_bytes(), Some(&self.value));
    }

    /// A delta, in a record with others of its aggregate.
    pub fn delta(&mut self, outputs: &Outputs, delta: Delta) {
        if self.gathered.is_due_before(&delta) {
            self.deltas(outputs);
        }
        self.gathered.add(delta, &outputs.plan);
    }

    /// The deltas gathered so far: all of one aggregate go one way, so that one part of the second stage adds them up.
    fn deltas(&mut self, outputs: &Outputs) {
        let Some((aggregate, deltas)) = self.gathered.take(&self.writer) else {
            return;
        };
        let partition = i32::try_from(aggregate).unwrap_or(0) % outputs.delta_partitions;
        self.datum.clear();
        deltas.write(&mut self.datum);
        framed(outputs.deltas, &self.datum, &mut self.value);
        let key = deltas.aggregate.as_bytes();
        (self.transaction).put(DELTAS, Some(partition), key, Some(&self.value));
        tally(&mut self.written, DELTAS).add(key, Some(&self.value));
    }

    /// Up to when the task's windows are closed, to every part of the second stage, behind its deltas.
    pub fn closed(&mut self, outputs: &Outputs, task: i32, closed: Closed, as_of: Timestamp) {
        self.deltas(outputs);
        for partition in 0..outputs.delta_partitions {
            self.datum.clear();
            let written_by = Some(self.writer.clone());
            deltas::closed_of(task, closed, as_of, written_by).write(&mut self.datum);
            framed(outputs.deltas, &self.datum, &mut self.value);
            let key = self.writer.task.as_bytes();
            (self.transaction).put(DELTAS, Some(partition), key, Some(&self.value));
            tally(&mut self.written, DELTAS).add(key, Some(&self.value));
        }
    }

    /// A dead letter, under its record's coordinates.
    pub fn letter(&mut self, outputs: &Outputs, letter: &DeadLetter) {
        let key = format!("{}/{}/{}", letter.topic, letter.partition, letter.offset);
        self.datum.clear();
        effects::dead_letter_of(letter, Some(self.writer.clone())).write(&mut self.datum);
        framed(outputs.dead_letters, &self.datum, &mut self.value);
        self.transaction
            .put(DEAD_LETTERS, None, key.as_bytes(), Some(&self.value));
        tally(&mut self.written, DEAD_LETTERS).add(key.as_bytes(), Some(&self.value));
    }

    /// The manifest of everything put so far; answers its hash.
    pub fn manifest(&mut self, outputs: &Outputs, link: Link) -> Vec<u8> {
        self.deltas(outputs);
        self.history(outputs);
        let rows = self.written.iter().map(|(output, tally)| Written {
            output: output.clone(),
            count: tally.count,
            digest: Bytes(tally.digest.to_bytes()),
            standing: tally.standing.map(Standing::written),
        });
        let manifest = Manifest {
            task: self.writer.task.clone(),
            epoch: link.epoch,
            sequence: self.writer.sequence,
            previous_hash: Bytes(link.previous_hash),
            hash: Bytes::default(),
            positions: link.positions,
            dispositions: effects::counts_of(&self.counts),
            readmitted: effects::counts_of(&self.readmitted),
            pending: self.pending,
            rows: rows.collect(),
            as_of: self.as_of.0,
            snapshot: Bytes(link.snapshot),
        }
        .sealed();
        framed(outputs.ledger, &manifest.to_bytes(), &mut self.value);
        self.transaction
            .put(LEDGER, None, manifest.task.as_bytes(), Some(&self.value));
        manifest.hash.0
    }
}

/// Where a manifest stands in its task's chain.
pub struct Link {
    /// The hash of a snapshot that was completed since the one before; empty if none was.
    pub snapshot: Vec<u8>,
    pub epoch: i64,
    pub previous_hash: Vec<u8>,
    pub positions: Vec<Positions>,
}

fn framed(id: u32, datum: &[u8], into: &mut Vec<u8>) {
    into.clear();
    frame(id, datum, into);
}

fn tally<'w>(written: &'w mut BTreeMap<String, Tally>, topic: &str) -> &'w mut Tally {
    if !written.contains_key(topic) {
        written.insert(topic.to_owned(), Tally::default());
    }
    written
        .get_mut(topic)
        .expect("it was put there if it was not")
}

impl Tally {
    fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.count += 1;
        self.digest.add(&multiset::record(key, value));
    }
}
