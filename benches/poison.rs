//! How much poison slows the good records down: the core alone, one thread, half the records poison.
//!
//! `cargo bench --bench poison` takes the same sound records twice, alone and with a poisoned copy of each between them
//! (a byte flipped, or cut off, at another place each time), dead letters made and given away. It prints medians of the
//! core-seconds that a sound record has to wait for, and fails above twice.

#[path = "../tests/support/on_cores.rs"]
mod on_cores;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use gpad_live::config::{Settings, aggregates};
use gpad_live::domain::reference::Reference;
use gpad_live::domain::time::Month;
use gpad_live::domain::topic::{ReferenceTopic, SupplierTopic};
use gpad_live::engine::watermark::Closing;
use gpad_live::pipeline::{Key, Payload, Pipeline, Plan, Record};
use gpad_live::simulate::cells::Cells;
use gpad_live::simulate::error::Error;
use gpad_live::simulate::run::{Options, Plan as Simulation};
use gpad_live::simulate::sink::{Sink, Topic};
use gpad_live::stages::gate::ServicePeriod;
use gpad_live::stages::refer::Refer;
use gpad_live::wire::avro::Decoder;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::reference::{Participation, Practice, SlotTypeMapping};

const TRANSACTION: usize = 20_000;
const RUNS: usize = 5;
/// A goal of the project: the good half is no more than so many times slower.
const MOST: f64 = 2.0;

/// A tenth of Dorset's March 2021.
#[derive(Default)]
struct Drawn {
    reference: Reference,
    records: Vec<(SupplierTopic, Vec<u8>)>,
    ordinal: u64,
}

impl Sink for Drawn {
    fn send(&mut self, topic: Topic, _: &[u8], datum: &[u8], _: i64) -> Result<(), Error> {
        let why = "the simulation writes our own schemas";
        let (reference, ordinal) = (&mut self.reference, self.ordinal);
        self.ordinal += 1;
        match topic {
            Topic::Supplier(topic) => self.records.push((topic, datum.to_vec())),
            Topic::Reference(ReferenceTopic::Participation) => {
                Participation::from_bytes(datum)
                    .expect(why)
                    .refer(reference, ordinal);
            }
            Topic::Reference(ReferenceTopic::Practices) => {
                Practice::from_bytes(datum)
                    .expect(why)
                    .refer(reference, ordinal);
            }
            Topic::Reference(ReferenceTopic::SlotTypeMappings) => {
                SlotTypeMapping::from_bytes(datum)
                    .expect(why)
                    .refer(reference, ordinal);
            }
        }
        Ok(())
    }
}

fn draw() -> Drawn {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/Regional_CSV_Dorset.csv");
    let cells = Cells::read(&file, Month::parse("2021-03").expect("a month"))
        .expect("the published cells are in the repository");
    let options = Options {
        scale: 0.1,
        ..Options::default()
    };
    let mut drawn = Drawn::default();
    Simulation::new(&cells, options)
        .and_then(|plan| plan.run(&mut drawn, 1, &mut |_| {}))
        .expect("published cells can be drawn");
    drawn
}

/// The record with one byte flipped, or without its end; the place wanders through all records.
fn poisoned(number: usize, datum: &[u8]) -> Vec<u8> {
    let at = number.wrapping_mul(31) % datum.len();
    let mut bad = datum.to_vec();
    if number.is_multiple_of(2) {
        bad[at] ^= 0xff;
    } else {
        bad.truncate(at);
    }
    bad
}

/// One pass over records: its core-seconds, and how many were refused.
fn pass(
    records: &[(SupplierTopic, Vec<u8>)],
    reference: &Reference,
    decoders: &[Decoder],
    plan: &Arc<Plan>,
) -> (f64, usize) {
    let mut pipeline = Pipeline::new(plan.clone(), Arc::new(reference.clone()));
    let (mut letters, mut settled) = (0, 0);
    let start = on_cores::thread();
    for transaction in records.chunks(TRANSACTION) {
        for (offset, (topic, datum)) in (0..).zip(transaction) {
            let decoder = &decoders[topic.index()];
            let payload = Payload::Datum { decoder, datum };
            pipeline.take(&Record {
                topic: *topic,
                partition: 0,
                offset,
                key: Key::Absent,
                payload,
            });
        }
        pipeline.settle_into(&mut |_| settled += 1);
        letters += pipeline.take_dead_letters().len();
    }
    let seconds = on_cores::thread() - start;
    assert!(settled > 0, "rows were settled");
    (seconds, letters)
}

fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[expect(
    clippy::print_stdout,
    reason = "the report is what the benchmark is for"
)]
fn main() {
    // `cargo test --benches` runs this too: there a benchmark has nothing to show.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let drawn = draw();
    let settings = Settings::default();
    let plan = Arc::new(Plan {
        service: ServicePeriod {
            from: settings.service_period.from,
            to: settings.service_period.to,
        },
        horizon_days: Some(i32::from(settings.horizon_days)),
        ignorable_fields: BTreeSet::new(),
        aggregates: Arc::new(aggregates::plan(None).expect("the defaults compile")),
        closing: Closing {
            lateness: 72 * 3_600_000,
            idle: Some(300_000),
            ahead: 60_000,
        },
    });
    let decoders: Vec<Decoder> = (SupplierTopic::ALL.into_iter())
        .map(|topic| {
            let schema = apache_avro::Schema::parse_str(Topic::Supplier(topic).schema())
                .expect("our own schema");
            Decoder::compile(&schema, &schema).expect("a schema reads itself")
        })
        .collect();
    let mixed: Vec<_> = (drawn.records.iter().enumerate())
        .flat_map(|(number, (topic, datum))| {
            [(*topic, datum.clone()), (*topic, poisoned(number, datum))]
        })
        .collect();
    let (mut alone, mut beside, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        alone.push(pass(&drawn.records, &drawn.reference, &decoders, &plan).0);
        let (seconds, letters) = pass(&mixed, &drawn.reference, &decoders, &plan);
        beside.push(seconds);
        refused = letters;
    }
    let (alone, beside) = (median(&mut alone), median(&mut beside));
    let good = drawn.records.len();
    println!(
        "{good} sound records alone: {:.2} million a core-second; with as many poisoned ones, {refused} of them refused: \
         {:.2} million sound ones a core-second, {:.2} times slower ({MOST} allowed)",
        good as f64 / alone / 1e6,
        good as f64 / beside / 1e6,
        beside / alone,
    );
    assert!(
        beside / alone <= MOST,
        "poison slows the good records down more than {MOST} times"
    );
}
