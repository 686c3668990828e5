//! What a settlement hands over, put into one transaction with its manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::adapters::effects;
use crate::adapters::log::Transaction;
use crate::adapters::registry::RegistryError;
use crate::adapters::schemas::Schemas;
use crate::domain::aggregate::Row;
use crate::domain::time::Timestamp;
use crate::engine::fold::Delta;
use crate::engine::ledger::Counts;
use crate::engine::plan::AggregatePlan;
use crate::stages::letter::DeadLetter;
use crate::wire::datum::{Avro, Bytes, Datum};
use crate::wire::framing::frame;
use crate::wire::output::{Manifest, Positions, RowCount};

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
}

struct AggregateOutput {
    topic: String,
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
    ) -> Result<Self, RegistryError> {
        let aggregates = plan
            .aggregates
            .iter()
            .map(|aggregate| {
                let topic = effects::aggregate_topic(&aggregate.name);
                Ok(AggregateOutput {
                    key: schemas.id(&format!("{topic}-key"), "gpad.aggregates-key")?,
                    value: schemas.id(&format!("{topic}-value"), "gpad.aggregates-value")?,
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
        })
    }
}

/// One transaction in the making. Reused: what is allocated stays.
pub struct Draft {
    pub transaction: Transaction,
    /// Records that went to each output.
    pub written: BTreeMap<String, i64>,
    pub counts: Counts,
    pub pending: i64,
    pub as_of: Timestamp,
    digest: Sha256,
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
            pending: 0,
            as_of: Timestamp(0),
            digest: Sha256::default(),
            datum: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
        }
    }
}

impl Draft {
    pub fn clear(&mut self) {
        self.transaction.clear();
        self.written.clear();
        self.counts = Counts::default();
        self.digest = Sha256::default();
    }

    /// A row, or its tombstone.
    pub fn row(&mut self, outputs: &Outputs, row: &Row) {
        let at = outputs
            .plan
            .aggregates
            .iter()
            .position(|aggregate| aggregate.name == row.aggregate);
        let output = &outputs.aggregates[at.expect("rows come from the plan's aggregates")];
        self.datum.clear();
        effects::key_of(row).write(&mut self.datum);
        self.digest.update(&self.datum);
        framed(output.key, &self.datum, &mut self.key);
        let value = effects::value_of(row);
        if let Some(value) = &value {
            self.datum.clear();
            value.figures.write(&mut self.datum);
            self.digest.update(&self.datum);
            value.published.write(&mut self.datum);
            framed(output.value, &self.datum, &mut self.value);
        }
        let value = value.is_some().then_some(self.value.as_slice());
        self.transaction.put(&output.topic, None, &self.key, value);
        count(&mut self.written, &output.topic);
    }

    /// A delta: all of one aggregate go one way, so that one part of the second stage adds them up.
    pub fn delta(&mut self, outputs: &Outputs, delta: &Delta) {
        let partition = i32::try_from(delta.aggregate).unwrap_or(0) % outputs.delta_partitions;
        self.datum.clear();
        effects::delta_of(delta, &outputs.plan).write(&mut self.datum);
        framed(outputs.deltas, &self.datum, &mut self.value);
        let key = outputs.plan.aggregates[delta.aggregate].name.as_bytes();
        self.transaction
            .put(DELTAS, Some(partition), key, Some(&self.value));
        count(&mut self.written, DELTAS);
    }

    /// A dead letter, under its record's coordinates.
    pub fn letter(&mut self, outputs: &Outputs, letter: &DeadLetter) {
        let key = format!("{}/{}/{}", letter.topic, letter.partition, letter.offset);
        self.datum.clear();
        effects::dead_letter_of(letter).write(&mut self.datum);
        framed(outputs.dead_letters, &self.datum, &mut self.value);
        self.transaction
            .put(DEAD_LETTERS, None, key.as_bytes(), Some(&self.value));
        count(&mut self.written, DEAD_LETTERS);
    }

    /// The manifest of everything put so far; answers its hash.
    pub fn manifest(&mut self, outputs: &Outputs, link: Link<'_>) -> Vec<u8> {
        let rows = self.written.iter().map(|(output, count)| RowCount {
            output: output.clone(),
            count: *count,
        });
        let manifest = Manifest {
            task: link.task.to_owned(),
            epoch: link.epoch,
            sequence: link.sequence,
            previous_hash: Bytes(link.previous_hash),
            hash: Bytes::default(),
            positions: link.positions,
            dispositions: effects::counts_of(&self.counts),
            pending: self.pending,
            rows: rows.collect(),
            rows_digest: Bytes(std::mem::take(&mut self.digest).finalize().to_vec()),
            as_of: self.as_of.0,
        }
        .sealed();
        framed(outputs.ledger, &manifest.to_bytes(), &mut self.value);
        self.transaction
            .put(LEDGER, None, link.task.as_bytes(), Some(&self.value));
        manifest.hash.0
    }
}

/// Where a manifest stands in its task's chain.
pub struct Link<'a> {
    pub task: &'a str,
    pub epoch: i64,
    pub sequence: i64,
    pub previous_hash: Vec<u8>,
    pub positions: Vec<Positions>,
}

fn framed(id: u32, datum: &[u8], into: &mut Vec<u8>) {
    into.clear();
    frame(id, datum, into);
}

fn count(written: &mut BTreeMap<String, i64>, topic: &str) {
    if let Some(count) = written.get_mut(topic) {
        *count += 1;
    } else {
        written.insert(topic.to_owned(), 1);
    }
}
