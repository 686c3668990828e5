//! Records written as JSON, encoded by apache-avro through `schemas/in`, and what the core makes of them.
#![allow(
    dead_code,
    reason = "each test that uses this module uses its own part of it"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use gpad_live::commands::reader_schema;
use gpad_live::domain::aggregate::{Row, Span};
use gpad_live::domain::disposition::Disposition;
use gpad_live::domain::reference::Reference;
use gpad_live::domain::time::Timestamp;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::engine::fold::Change;
use gpad_live::engine::ledger::Counts;
use gpad_live::engine::rollup::Rollup;
use gpad_live::engine::state::block::{Blocks, Cursor};
use gpad_live::pipeline::{Key, Payload, Pipeline, Plan, Record};
use gpad_live::stages::letter::DeadLetter;
use gpad_live::stages::refer::Refer;
use gpad_live::wire::avro::Decoder;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::reference::{Participation, Practice, SlotTypeMapping};
use serde_json::{Map, Value as Json, json};

pub const PARTICIPATION: &str = "cqrs.participation";
pub const PRACTICES: &str = "ods.practices";
pub const MAPPINGS: &str = "gpad.slot-type-mappings";

pub type Fields = Map<String, Json>;

/// A topic's schema, with fields that a writer may have added.
pub struct Writer {
    json: Json,
    pub schema: Schema,
}

impl Writer {
    pub fn of(topic: &str, added: &[Json]) -> Self {
        let path = format!("{}/schemas/in/{topic}.avsc", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut json: Json = serde_json::from_str(&text).expect("the schema is JSON");
        json["fields"]
            .as_array_mut()
            .expect("fields")
            .extend_from_slice(added);
        let schema = Schema::parse_str(&json.to_string()).expect("a schema");
        Self { json, schema }
    }

    pub fn value(&self, fields: &Fields) -> Value {
        let declared = self.json["fields"].as_array().expect("fields");
        for name in fields.keys() {
            let is_known = declared.iter().any(|field| field["name"] == **name);
            assert!(is_known, "the schema has no field `{name}`");
        }
        let values = declared.iter().map(|field| {
            let name = field["name"].as_str().expect("a name");
            let given = fields.get(name).or_else(|| field.get("default"));
            let given = given.unwrap_or_else(|| panic!("field `{name}` has no value"));
            (name.to_owned(), value(&field["type"], given, name))
        });
        Value::Record(values.collect())
    }

    pub fn datum(&self, fields: &Fields) -> Vec<u8> {
        GenericDatumWriter::builder(&self.schema)
            .build()
            .expect("a writer")
            .write_value_to_vec(self.value(fields))
            .expect("the value fits the schema")
    }
}

/// A value of a schema's type; dates and times readably, or as the bare number they are sent as.
fn value(of: &Json, given: &Json, name: &str) -> Value {
    if let Json::Array(variants) = of {
        return if given.is_null() {
            Value::Union(0, Box::new(Value::Null))
        } else {
            Value::Union(1, Box::new(value(&variants[1], given, name)))
        };
    }
    let wrong = || -> ! { panic!("field `{name}`: {given} is no {of}") };
    let text = || given.as_str().unwrap_or_else(|| wrong());
    let number = || given.as_i64().unwrap_or_else(|| wrong());
    let int = || i32::try_from(number()).unwrap_or_else(|_| wrong());
    let kind = of["logicalType"].as_str().or(of["type"].as_str());
    match kind.or(of.as_str()).unwrap_or_else(|| wrong()) {
        "string" => Value::String(text().to_owned()),
        "int" => Value::Int(int()),
        "long" => Value::Long(number()),
        "boolean" => Value::Boolean(given.as_bool().unwrap_or_else(|| wrong())),
        "date" if given.is_number() => Value::Date(int()),
        "date" => Value::Date(date(text())),
        "time-millis" if given.is_number() => Value::TimeMillis(int()),
        "time-millis" => Value::TimeMillis(time(text())),
        "timestamp-millis" => Value::TimestampMillis(instant(text()).0),
        "local-timestamp-millis" if given.is_number() => Value::LocalTimestampMillis(number()),
        "local-timestamp-millis" => Value::LocalTimestampMillis(local(text())),
        "enum" => {
            let symbols = of["symbols"].as_array().expect("symbols");
            let at = symbols.iter().position(|symbol| symbol == text());
            let at = u32::try_from(at.unwrap_or_else(|| wrong())).expect("few symbols");
            Value::Enum(at, text().to_owned())
        }
        "array" => {
            let items = given.as_array().unwrap_or_else(|| wrong());
            Value::Array(
                items
                    .iter()
                    .map(|item| value(&of["items"], item, name))
                    .collect(),
            )
        }
        _ => wrong(),
    }
}

pub fn date(text: &str) -> i32 {
    text.parse::<NaiveDate>()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .to_epoch_days()
}

fn time(text: &str) -> i32 {
    let format = if text.len() == 5 { "%H:%M" } else { "%H:%M:%S" };
    let time =
        NaiveTime::parse_from_str(text, format).unwrap_or_else(|error| panic!("{text}: {error}"));
    i32::try_from(time.num_seconds_from_midnight()).expect("seconds of a day") * 1000
}

fn local(text: &str) -> i64 {
    let format = if text.len() == 16 {
        "%Y-%m-%dT%H:%M"
    } else {
        "%Y-%m-%dT%H:%M:%S"
    };
    NaiveDateTime::parse_from_str(text, format)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .and_utc()
        .timestamp_millis()
}

pub fn instant(text: &str) -> Timestamp {
    Timestamp(
        DateTime::parse_from_rfc3339(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .timestamp_millis(),
    )
}

/// Reference records as JSON objects, by topic, in the order they are read.
#[derive(Debug, Clone, Default)]
pub struct ReferenceFeed {
    pub participation: Vec<Fields>,
    pub practices: Vec<Fields>,
    pub mappings: Vec<Fields>,
}

impl ReferenceFeed {
    pub fn by_topic(&self) -> [(&'static str, &[Fields]); 3] {
        [
            (PARTICIPATION, &self.participation),
            (PRACTICES, &self.practices),
            (MAPPINGS, &self.mappings),
        ]
    }

    pub fn chain(&self, later: &Self) -> Self {
        let join = |a: &[Fields], b: &[Fields]| [a, b].concat();
        Self {
            participation: join(&self.participation, &later.participation),
            practices: join(&self.practices, &later.practices),
            mappings: join(&self.mappings, &later.mappings),
        }
    }

    /// A snapshot that has read all of it.
    pub fn snapshot(&self) -> Reference {
        let mut reference = Reference::default();
        refer::<Participation>(PARTICIPATION, &self.participation, &mut reference);
        refer::<Practice>(PRACTICES, &self.practices, &mut reference);
        refer::<SlotTypeMapping>(MAPPINGS, &self.mappings, &mut reference);
        reference
    }

    /// What the snapshot is after it has read more: indexes keep their meaning.
    pub fn follow(&self, reference: &Reference, from: &Self) -> Reference {
        fn rest<T: Datum + Refer>(topic: &str, all: &[Fields], read: usize, into: &mut Reference) {
            let writer = Writer::of(topic, &[]);
            for (ordinal, record) in (0..).zip(all).skip(read) {
                decode::<T>(&writer, record).refer(into, ordinal);
            }
        }
        let mut next = reference.clone();
        rest::<Participation>(
            PARTICIPATION,
            &self.participation,
            from.participation.len(),
            &mut next,
        );
        rest::<Practice>(PRACTICES, &self.practices, from.practices.len(), &mut next);
        rest::<SlotTypeMapping>(MAPPINGS, &self.mappings, from.mappings.len(), &mut next);
        next
    }
}

fn decode<T: Datum>(writer: &Writer, record: &Fields) -> T {
    T::decode(&writer.schema, &writer.datum(record)).expect("what apache-avro wrote can be read")
}

fn refer<T: Datum + Refer>(topic: &str, records: &[Fields], into: &mut Reference) {
    let writer = Writer::of(topic, &[]);
    for (ordinal, record) in (0..).zip(records) {
        decode::<T>(&writer, record).refer(into, ordinal);
    }
}

/// One record as the log would hand it over.
#[derive(Clone)]
pub struct Fed {
    pub topic: SupplierTopic,
    pub datum: Vec<u8>,
    pub offset: i64,
    /// The key, and whether it hashes to the partition.
    pub key: Option<(String, bool)>,
    pub decoder: Arc<Decoder>,
}

/// The decoder of a writer's records.
pub fn decoder(topic: SupplierTopic, writer: &Writer) -> Arc<Decoder> {
    Arc::new(Decoder::compile(&writer.schema, reader_schema(topic)).expect("a readable schema"))
}

/// The fields that differ, over the defaults.
pub fn over(defaults: &Json, differing: &Json) -> Fields {
    let mut fields = defaults.as_object().expect("an object").clone();
    fields.extend(differing.as_object().expect("an object").clone());
    fields
}

/// The defaults of every topic's fields, and of the reference records.
pub fn defaults() -> Json {
    let text = include_str!("../golden/defaults.json");
    serde_json::from_str(text).expect("JSON")
}

/// Aggregate, level, code, first day of the window, dimensions. Of a window of event time: the minute of its end, and its
/// length as a dimension.
pub type RowKey = (String, &'static str, String, i32, Vec<(String, String)>);
pub type Figures = BTreeMap<RowKey, Vec<(String, i64)>>;

/// The core under test, with everything it has handed over so far.
pub struct Core {
    pub plan: Arc<Plan>,
    pub pipeline: Pipeline,
    rollup: Rollup,
    pub figures: Figures,
    /// The newest row of every key, for the publication.
    pub rows: BTreeMap<RowKey, Row>,
    pub counts: Counts,
    pub letters: Vec<DeadLetter>,
    pub dispositions: Vec<Disposition>,
}

impl Core {
    pub fn new(plan: &Arc<Plan>, reference: Arc<Reference>) -> Self {
        Self {
            plan: plan.clone(),
            pipeline: Pipeline::new(plan.clone(), reference),
            rollup: Rollup::new(plan.aggregates.clone(), 1),
            figures: Figures::new(),
            rows: BTreeMap::new(),
            counts: Counts::default(),
            letters: Vec::new(),
            dispositions: Vec::new(),
        }
    }

    pub fn take(&mut self, fed: &Fed) {
        let key = match &fed.key {
            None => Key::Absent,
            Some((key, is_at_home)) => Key::Routed {
                key: key.as_bytes(),
                is_at_home: *is_at_home,
            },
        };
        let taken = self.pipeline.take_at_once(&Record {
            topic: fed.topic,
            partition: 0,
            offset: fed.offset,
            key,
            payload: Payload::Datum {
                decoder: &fed.decoder,
                datum: &fed.datum,
            },
        });
        self.dispositions.push(taken.disposition);
    }

    pub fn settle(&mut self) {
        let (rows, rollup) = (&mut Vec::new(), &mut self.rollup);
        let summary = self.pipeline.settle_into(&mut |change| match change {
            Change::Row(row) => rows.push(row.clone()),
            Change::Delta(delta) => rollup.apply(&delta),
            Change::Closed(closed) => assert!(rollup.close(0, closed)),
        });
        let now = self.pipeline.task().now();
        self.rollup.settle(now, &mut |row| rows.push(row.clone()));
        self.counts.merge(&summary.counts);
        self.letters.extend(self.pipeline.take_dead_letters());
        for row in rows.drain(..) {
            let dimensions = row.dimensions.iter();
            let (window, rolling) = match row.window {
                Span::Days(from, _) => (from.0, None),
                Span::Times(from, to) => {
                    let minutes = ((to.0 - from.0) / 60_000).to_string();
                    let end = i32::try_from(to.0 / 60_000).expect("a minute");
                    (end, Some(("minutes".to_owned(), minutes)))
                }
            };
            let key = (
                row.aggregate.to_string(),
                row.level.label(),
                row.code.clone(),
                window,
                dimensions
                    .map(|(name, value)| ((*name).to_owned(), value.to_string()))
                    .chain(rolling)
                    .collect(),
            );
            match &row.figures {
                None => self.figures.remove(&key),
                Some(figures) => {
                    let counts = figures.counts.iter();
                    let counts = counts.map(|(name, count)| ((*name).to_owned(), *count));
                    self.figures.insert(key.clone(), counts.collect())
                }
            };
            self.rows.insert(key, row);
        }
    }
}

/// State written down, transaction by transaction, and swept: what a changelog holds.
#[derive(Default)]
pub struct Kept {
    first: Swept,
    second: Swept,
}

#[derive(Default)]
struct Swept {
    /// By transaction.
    blocks: Vec<Vec<Vec<u8>>>,
    cursor: Cursor,
    /// Blocks from the first of the round on.
    of_round: usize,
}

impl Swept {
    fn push(&mut self, blocks: &Blocks, is_round_complete: bool) {
        self.blocks
            .push(blocks.iter().map(<[u8]>::to_vec).collect());
        self.of_round += 1;
        if is_round_complete {
            self.blocks.drain(..self.blocks.len() - self.of_round);
            (self.cursor, self.of_round) = (Cursor::default(), 0);
        }
    }
}

impl Kept {
    /// All blocks, those of the first stage first, each with its length before it; 0 between the stages.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for swept in [&self.first, &self.second] {
            for block in swept.blocks.iter().flatten() {
                bytes.extend_from_slice(&(block.len() as u32).to_le_bytes());
                bytes.extend_from_slice(block);
            }
            bytes.extend_from_slice(&0_u32.to_le_bytes());
        }
        bytes
    }

    pub fn from_bytes(mut bytes: &[u8]) -> Self {
        let mut kept = Self::default();
        for swept in [&mut kept.first, &mut kept.second] {
            loop {
                let (length, rest) = bytes.split_first_chunk::<4>().expect("a length");
                let length = u32::from_le_bytes(*length) as usize;
                bytes = &rest[length..];
                if length == 0 {
                    break;
                }
                swept.blocks.push(vec![rest[..length].to_vec()]);
            }
        }
        kept
    }
}

impl Core {
    /// Writes down what the last settlement has changed, and `entries` of the whole.
    pub fn keep(&mut self, kept: &mut Kept, plan: &Plan, entries: usize) {
        let mut block = Blocks::default();
        block.begin(plan.aggregates.fingerprint());
        self.pipeline.write_times(&mut block);
        self.pipeline.write_changes(&mut block);
        let first = &mut kept.first;
        let is_complete = self
            .pipeline
            .write_part(&mut first.cursor, entries, &mut block);
        first.push(&block, is_complete);
        block.begin(plan.aggregates.fingerprint());
        self.rollup.write_times(&mut block);
        self.rollup.write_changes(&mut block);
        let second = &mut kept.second;
        let is_complete = self
            .rollup
            .write_part(&mut second.cursor, entries, &mut block);
        second.push(&block, is_complete);
    }

    /// Forgets the state and reads it back; what was handed over so far stays.
    pub fn restart(
        &mut self,
        kept: &Kept,
        plan: &Arc<Plan>,
        reference: Arc<Reference>,
        now: Timestamp,
    ) {
        self.pipeline = Pipeline::new(plan.clone(), reference);
        self.rollup = Rollup::new(plan.aggregates.clone(), 1);
        let none = |_, _: &[u8]| None;
        for block in kept.first.blocks.iter().flatten() {
            self.pipeline
                .read_block(block, none)
                .expect("what was written can be read");
        }
        let pending = self
            .pipeline
            .restored(now)
            .expect("every practice is known");
        for (topic, disposition, records) in pending.entries() {
            assert_eq!(
                self.counts.of(topic, disposition),
                records,
                "{topic} {disposition:?}"
            );
        }
        for block in kept.second.blocks.iter().flatten() {
            self.rollup
                .read_block(block, none)
                .expect("what was written can be read");
        }
        self.rollup.restored();
        self.pipeline.keep_changes();
    }
}

/// The ledger as the cases write it: topic → disposition or disposition/reason → records.
pub fn ledger(counts: &Counts) -> Json {
    let mut ledger = Map::new();
    for (topic, disposition, records) in counts.entries() {
        let name = disposition.reason().map_or_else(
            || disposition.label().to_owned(),
            |reason| format!("{}/{reason}", disposition.label()),
        );
        ledger.entry(topic.name()).or_insert_with(|| json!({}))[name] = records.into();
    }
    Json::Object(ledger)
}
