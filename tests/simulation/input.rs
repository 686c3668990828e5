//! What is sent in a simulation, and what a batch run makes of the same records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use gpad_live::adapters::effects;
use gpad_live::adapters::partitioner::partition_of;
use gpad_live::adapters::schemas::{Schemas, bundled};
use gpad_live::commands::{plan_of, reader_schema};
use gpad_live::config::{Origin, Settings};
use gpad_live::domain::aggregate::Row;
use gpad_live::domain::reference::Reference;
use gpad_live::domain::time::Timestamp;
use gpad_live::domain::topic::{ReferenceTopic, SupplierTopic};
use gpad_live::engine::fold::Change;
use gpad_live::engine::rollup::Rollup;
use gpad_live::pipeline::{Key, Payload, Pipeline, Plan, Record};
use gpad_live::simulate::sink::Topic;
use gpad_live::stages::refer::Refer;
use gpad_live::wire::avro::Decoder;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::{frame, unframe};
use gpad_live::wire::reference::{Participation, Practice, ReferenceRecord, SlotTypeMapping};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::broker::{Broker, State};
use crate::support::expected::{Rows, said};
use crate::support::input::Input;

/// Records that seeds pick from.
const POOL: usize = 6_000;
/// Practices with fewer records are not picked.
const FEWEST: usize = 12;

/// The defaults, but for most windows of `pressure`: a month has 8,000 steps of them there, 112 here.
pub static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| {
    let defaults = include_str!("../../deploy/aggregates.toml");
    let (before, rolling) = defaults.split_once("rolling = [").expect("`pressure`");
    let (_, after) = rolling.split_once(']').expect("a list");
    let text = format!("{before}rolling = [\"24 h every 6 h\"]{after}");
    let table: toml::Table = text.parse().expect("TOML");
    let settings = Settings {
        aggregates: Some((table["aggregate"].clone(), Origin::Default)),
        ..Settings::default()
    };
    let plan = plan_of(&settings, Some(400));
    plan.expect("the defaults compile").into()
});

pub struct Sent {
    pub topic: &'static str,
    pub key: Vec<u8>,
    /// Framed.
    pub value: Vec<u8>,
}

/// Four suppliers' month, by practice.
struct Pool {
    practices: Vec<String>,
    reference: BTreeMap<String, Vec<Sent>>,
    records: BTreeMap<String, Vec<Sent>>,
}

static DRAWN: LazyLock<Pool> = LazyLock::new(|| {
    let input = Input::draw(POOL, 1);
    let mut pool = Pool {
        practices: Vec::new(),
        reference: BTreeMap::new(),
        records: BTreeMap::new(),
    };
    for (topic, key, datum) in input.all() {
        let sent = sent(topic.name(), key, datum);
        let practice = practice_of(key);
        let into = match topic {
            Topic::Reference(_) => &mut pool.reference,
            Topic::Supplier(_) => &mut pool.records,
        };
        into.entry(practice).or_default().push(sent);
    }
    let is_picked = |practice: &&String| {
        pool.records[*practice].len() >= FEWEST && pool.reference.contains_key(*practice)
    };
    pool.practices = pool.records.keys().filter(is_picked).cloned().collect();
    pool
});

/// The practice that a key is of.
pub fn practice_of(key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    key.split('|').next().unwrap_or_default().to_owned()
}

pub fn sent(topic: &'static str, key: &[u8], datum: &[u8]) -> Sent {
    let mut value = Vec::new();
    let schema = bundled(topic).expect("every input's schema is bundled");
    frame(schema.id, datum, &mut value);
    Sent {
        topic,
        key: key.to_vec(),
        value,
    }
}

/// What one seed sends: first the reference data, then records and late reference data as time goes by.
pub struct Draw {
    pub reference: Vec<&'static Sent>,
    pub records: Vec<&'static Sent>,
    /// Newer rows of practices that move.
    pub late: Vec<Sent>,
    /// A practice whose agreement comes last of all, and one of which only reference data come.
    pub newcomers: Option<Newcomers>,
}

pub struct Newcomers {
    /// That whose agreement comes late.
    pub practice: String,
    pub agreements: Vec<&'static Sent>,
    pub records: Vec<&'static Sent>,
    pub others: Vec<&'static Sent>,
}

impl Draw {
    pub fn new(records: usize, has_newcomers: bool, chance: &mut ChaCha8Rng) -> Self {
        let count = chance.random_range(3..=8);
        let mut practices: BTreeSet<&String> =
            DRAWN.practices.choose_multiple(chance, count).collect();
        let newcomers = has_newcomers.then(|| [(); 2].map(|()| practices.pop_last()));
        let of = |from: &'static BTreeMap<String, Vec<Sent>>| -> Vec<&'static Sent> {
            let all = practices.iter().filter_map(|practice| from.get(*practice));
            all.flatten().collect()
        };
        let (mut reference, mut all) = (of(&DRAWN.reference), of(&DRAWN.records));
        all.shuffle(chance);
        all.truncate(records);
        let count = chance.random_range(0..4);
        let late = moves(&reference, count, chance);
        let newcomers = match newcomers {
            Some([Some(first), Some(second)]) => {
                Some(Newcomers::new(first, second, &mut reference))
            }
            _ => None,
        };
        Self {
            reference,
            records: all,
            late,
            newcomers,
        }
    }
}

impl Draw {
    /// So many more practices that move.
    pub fn moves(&self, count: i64) -> Vec<Sent> {
        moves(&self.reference, count, &mut ChaCha8Rng::seed_from_u64(7))
    }
}

impl Newcomers {
    /// The first's reference data come early but for its agreement, the second's late.
    fn new(first: &str, second: &str, early: &mut Vec<&'static Sent>) -> Self {
        let is_agreement = |sent: &&Sent| sent.topic == ReferenceTopic::Participation.name();
        let of = |practice: &str| DRAWN.reference[practice].iter().partition(is_agreement);
        let (own, rest): (Vec<_>, Vec<_>) = of(first);
        let (mut agreements, others): (Vec<_>, Vec<_>) = of(second);
        early.extend(rest);
        agreements.extend(own);
        Self {
            practice: first.to_owned(),
            agreements,
            records: DRAWN.records[first].iter().take(60).collect(),
            others,
        }
    }
}

/// Practices that are found to have belonged to where another belongs.
fn moves(reference: &[&'static Sent], count: i64, chance: &mut ChaCha8Rng) -> Vec<Sent> {
    let rows: Vec<Practice> = (reference.iter())
        .filter(|sent| sent.topic == ReferenceTopic::Practices.name())
        .filter_map(|sent| Practice::from_bytes(unframe(Some(&sent.value)).ok()?.1).ok())
        .collect();
    let moved = (0..count).filter_map(|at| {
        let (row, to) = (rows.choose(chance)?, rows.choose(chance)?);
        let moved = Practice {
            practice_ods_code: row.practice_ods_code.clone(),
            name: row.name.clone(),
            suppliers: row.suppliers.clone(),
            effective_from: row.effective_from,
            recorded_at: row.recorded_at + 1 + at,
            ..to.clone()
        };
        Some(sent(
            ReferenceTopic::Practices.name(),
            moved.key().as_bytes(),
            &moved.to_bytes(),
        ))
    });
    moved.collect()
}

/// What a batch run makes of everything that lies in the input topics.
pub struct Batch {
    pub rows: Rows,
    /// By their records' coordinates.
    pub letters: BTreeMap<Vec<u8>, String>,
    pub records: i64,
}

impl Batch {
    /// `reference`: every reference record that was ever sent, compacted away since or not.
    pub fn of(
        broker: &Broker,
        reference: &[(ReferenceTopic, i64, Vec<u8>)],
        now: Timestamp,
    ) -> Self {
        let mut pipeline = Pipeline::new(PLAN.clone(), Arc::new(read(reference)));
        pipeline.start_loading();
        let (mut letters, mut records) = (BTreeMap::new(), 0);
        let schemas = Schemas::new(None);
        for topic in SupplierTopic::ALL {
            let schema = reader_schema(topic);
            let decoder = Decoder::compile(schema, schema).expect("a schema reads itself");
            let number = broker.number(topic.name()).expect("it is there");
            let partitions = &broker.topics[number].partitions;
            for (at, partition) in (0..).zip(partitions) {
                for entry in &partition.entries {
                    if !matches!(entry.state, State::Plain | State::Committed) {
                        continue;
                    }
                    records += 1;
                    let key = entry.key.as_deref().unwrap_or_default();
                    let is_at_home = partition_of(key, partitions.len() as i32) == at;
                    let detail;
                    let raw = entry.value.as_deref().unwrap_or_default();
                    let payload = match unframe(entry.value.as_deref()) {
                        Ok((id, datum)) if schemas.schema(id).is_ok() => Payload::Datum {
                            decoder: &decoder,
                            datum,
                        },
                        Ok((id, _)) => {
                            detail = format!("the registry does not know schema {id}");
                            Payload::Unreadable {
                                raw,
                                detail: &detail,
                            }
                        }
                        Err(error) => {
                            detail = error.to_string();
                            Payload::Unreadable {
                                raw,
                                detail: &detail,
                            }
                        }
                    };
                    pipeline.take(&Record {
                        topic,
                        partition: at,
                        offset: entry.offset,
                        key: Key::Routed { key, is_at_home },
                        payload,
                    });
                }
            }
        }
        pipeline.advance(now);
        pipeline.finish_loading();
        let (mut rows, mut rollup) = (Rows::new(), Rollup::new(PLAN.aggregates.clone(), 1));
        let mut stand = |row: &Row| {
            if let Some(figures) = &row.figures {
                let of_topic = rows
                    .entry(effects::aggregate_topic(&row.aggregate))
                    .or_default();
                let (mut key, mut said) = (Vec::new(), Vec::new());
                effects::write_key(row, &mut key);
                effects::write_figures(figures, &mut said);
                of_topic.insert(key, said);
            }
        };
        pipeline.settle_into(&mut |change| match change {
            Change::Row(row) => stand(row),
            Change::Delta(delta) => rollup.apply(&delta),
            Change::Closed(closed) => assert!(rollup.close(0, closed)),
        });
        rollup.settle(now, &mut |row| stand(row));
        for letter in pipeline.take_dead_letters() {
            let at = format!("{}/{}/{}", letter.topic, letter.partition, letter.offset);
            let letter = effects::dead_letter_of(&letter, None);
            letters.insert(at.into_bytes(), said(&letter));
        }
        Self {
            rows,
            letters,
            records,
        }
    }
}

fn read(records: &[(ReferenceTopic, i64, Vec<u8>)]) -> Reference {
    fn apply<T: Datum + Refer>(value: &[u8], offset: i64, reference: &mut Reference) {
        let (_, datum) = unframe(Some(value)).expect("it was framed here");
        let record = T::from_bytes(datum).expect("it was drawn");
        record.refer(reference, offset.unsigned_abs());
    }
    let mut reference = Reference::default();
    for (topic, offset, value) in records {
        match topic {
            ReferenceTopic::Participation => apply::<Participation>(value, *offset, &mut reference),
            ReferenceTopic::Practices => apply::<Practice>(value, *offset, &mut reference),
            ReferenceTopic::SlotTypeMappings => {
                apply::<SlotTypeMapping>(value, *offset, &mut reference);
            }
        }
    }
    reference
}
