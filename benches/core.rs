//! Records per core-second of the core alone: bytes in, settled rows out, no I/O.
//!
//! `cargo bench --bench core` draws the records of Dorset, March 2021, in memory and takes them through
//! the pipeline on one thread: with all default aggregates, with `activity` alone, and decoding alone; decoding of each topic,
//! and the whole pipeline for each supplier's records alone. Each is measured several times in turn in one run; medians and
//! spread are printed, and the heap allocations per record of the steady state. Words behind `--` choose what is measured:
//! those whose names hold one of them. With `kafka` among them a real Kafka gets the same records, and a bare librdkafka consumer
//! that reads them there is measured in turn with the rest, by what all its threads take: the figures stand as ratios to it too.
//!
//! With `once=N` each is one pass over the first N-th of the records, to count instructions by: `valgrind --tool=callgrind
//! --toggle-collect=core::pass BINARY --bench once=2 "core, all default"`, where `cargo bench --bench core --no-run` names the binary
//! (`core::backlog` and `core::decode` are the others).

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark's helpers fail as it does, and measure by the clock"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use gpad_live::adapters::kafka::NewTopic;
use gpad_live::adapters::log::{Log as _, NewRecord};
use gpad_live::config::{Origin, Settings, aggregates};
use gpad_live::domain::reference::Reference;
use gpad_live::domain::time::{Month, Timestamp};
use gpad_live::domain::topic::{ReferenceTopic, Supplier, SupplierTopic};
use gpad_live::engine::plan::AggregatePlan;
use gpad_live::engine::watermark::Closing;
use gpad_live::pipeline::{Key, Payload, Pipeline, Plan, Record};
use gpad_live::simulate::calendar::Service;
use gpad_live::simulate::cells::Cells;
use gpad_live::simulate::error::Error;
use gpad_live::simulate::run::{Options, Plan as Simulation};
use gpad_live::simulate::sink::{Sink, Topic};
use gpad_live::stages::gate::ServicePeriod;
use gpad_live::stages::refer::Refer;
use gpad_live::wire::avro::Decoder;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::reference::{Participation, Practice, SlotTypeMapping};
use gpad_live::wire::supplier::{SupplierRecord, emis, inps, microtest, tpp};
use support::bare_consumer::read_bare;
use support::{Kafka, on_cores};

/// Records that are measured at least, in as many passes as it takes: the system counts a thread's time in steps of milliseconds.
const FEWEST: usize = 1_000_000;
/// Records of a transaction: what `run` commits at most at once by default.
const TRANSACTION: usize = 20_000;
const RUNS: usize = 5;
/// One pass, over this part of the records.
const ONCE: &str = "once=";

const DECODE: &str = "decode alone";
const ACTIVITY: &str = "core, `activity` alone";
const ALL: &str = "core, all default aggregates";
const BACKLOG: &str = "the same, as a backlog";
/// Without windows of event time and days to come.
const DAYS: &str = "core, those of past days alone";
const DAYS_BACKLOG: &str = "those, as a backlog";

/// What a bare consumer is named, and the word that asks for it.
const BARE: &str = "bare consumer";
const KAFKA: &str = "kafka";
const PARTITIONS: i32 = 4;

/// Core-seconds of one pass over records.
type Seconds = Box<dyn Fn(&[Entry]) -> f64>;

/// Something measured: which records go in, and what is done with them.
struct Contender {
    name: String,
    records: Vec<Entry>,
    seconds: Seconds,
    figures: Vec<f64>,
}

/// Extraction time, topic, where its datum lies.
type Entry = (i64, SupplierTopic, usize, usize);

/// A month in memory, in the order of extraction.
#[derive(Default)]
struct Month202103 {
    reference: Reference,
    bytes: Vec<u8>,
    records: Vec<Entry>,
    ordinal: u64,
}

impl Sink for Month202103 {
    fn send(&mut self, topic: Topic, _: &[u8], datum: &[u8], at: i64) -> Result<(), Error> {
        let why = "the simulation writes our own schemas";
        let reference = &mut self.reference;
        self.ordinal += 1;
        match topic {
            Topic::Supplier(topic) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(datum);
                self.records.push((at, topic, start, self.bytes.len()));
            }
            Topic::Reference(ReferenceTopic::Participation) => {
                Participation::from_bytes(datum)
                    .expect(why)
                    .refer(reference, self.ordinal);
            }
            Topic::Reference(ReferenceTopic::Practices) => {
                Practice::from_bytes(datum)
                    .expect(why)
                    .refer(reference, self.ordinal);
            }
            Topic::Reference(ReferenceTopic::SlotTypeMappings) => {
                SlotTypeMapping::from_bytes(datum)
                    .expect(why)
                    .refer(reference, self.ordinal);
            }
        }
        Ok(())
    }
}

fn simulate() -> Month202103 {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/Regional_CSV_Dorset.csv");
    let month = Month::parse("2021-03").expect("a month");
    let cells = Cells::read(&file, month).expect("the published cells are in the repository");
    let settings = Settings::default().service_period;
    let options = Options {
        scale: 1.0,
        seed: 1,
        faults: false,
        service: Service {
            from: settings.from,
            to: settings.to.expect("the default period ends"),
        },
    };
    let mut drawn = Month202103::default();
    Simulation::new(&cells, options)
        .and_then(|plan| plan.run(&mut drawn, 1, &mut |_| {}))
        .expect("published cells can be drawn");
    drawn.records.sort_by_key(|(at, ..)| *at);
    drawn
}

fn plan(aggregates: AggregatePlan) -> Arc<Plan> {
    let settings = Settings::default();
    Arc::new(Plan {
        service: ServicePeriod {
            from: settings.service_period.from,
            to: settings.service_period.to,
        },
        horizon_days: Some(i32::from(settings.horizon_days)),
        ignorable_fields: std::collections::BTreeSet::new(),
        aggregates: Arc::new(aggregates),
        closing: Closing {
            lateness: 72 * 3_600_000,
            idle: Some(300_000),
            ahead: 60_000,
        },
    })
}

fn decoders() -> Vec<Decoder> {
    SupplierTopic::ALL
        .into_iter()
        .map(|topic| {
            let schema = match topic {
                SupplierTopic::EmisAppointments => emis::Appointment::schema(),
                SupplierTopic::EmisConsultations => emis::Consultation::schema(),
                SupplierTopic::TppAppointments => tpp::Appointment::schema(),
                SupplierTopic::TppConsultations => tpp::Consultation::schema(),
                SupplierTopic::InpsAppointments => inps::Appointment::schema(),
                SupplierTopic::InpsConsultations => inps::Consultation::schema(),
                SupplierTopic::MicrotestAppointments => microtest::Appointment::schema(),
                SupplierTopic::MicrotestConsultations => microtest::Consultation::schema(),
            };
            Decoder::compile(schema, schema).expect("a schema reads itself")
        })
        .collect()
}

/// The month, and what reads it.
struct Bench {
    month: Month202103,
    decoders: Vec<Decoder>,
}

/// A Kafka that has all records, in their order.
fn filled(bench: &Bench) -> Kafka {
    let kafka = Kafka::start_measured();
    let log = kafka.open("bench");
    let topics = SupplierTopic::ALL.map(|topic| NewTopic {
        name: topic.name().to_owned(),
        partitions: PARTITIONS,
        settings: Vec::new(),
    });
    log.create_topics(&topics, 1).expect("new topics");
    let mut appender = log.appender().expect("a producer");
    for (number, (_, topic, from, to)) in (0..).zip(&bench.month.records) {
        let record = NewRecord {
            topic: topic.name(),
            partition: Some(number % PARTITIONS),
            key: None,
            value: Some(&bench.month.bytes[*from..*to]),
        };
        appender.append(&record).expect("room at the broker");
    }
    appender.flush().expect("the broker keeps them");
    kafka
}

/// One pass: its core-seconds.
fn pass(bench: &Bench, records: &[Entry], plan: &Arc<Plan>) -> f64 {
    let mut pipeline = Pipeline::new(plan.clone(), Arc::new(bench.month.reference.clone()));
    let mut settled = 0;
    let start = on_cores::thread();
    for records in records.chunks(TRANSACTION) {
        take(&mut pipeline, bench, records);
        pipeline.settle_into(&mut |_| settled += 1);
    }
    let seconds = on_cores::thread() - start;
    assert!(settled > 0, "rows were settled");
    seconds
}

/// One pass of the whole month as a backlog, as `replay` and a restoration take it: its core-seconds.
fn backlog(bench: &Bench, records: &[Entry], plan: &Arc<Plan>) -> f64 {
    let mut pipeline = Pipeline::new(plan.clone(), Arc::new(bench.month.reference.clone()));
    let mut settled = 0;
    let start = on_cores::thread();
    pipeline.start_loading();
    for records in records.chunks(TRANSACTION) {
        take(&mut pipeline, bench, records);
    }
    pipeline.finish_loading();
    pipeline.settle_into(&mut |_| settled += 1);
    let seconds = on_cores::thread() - start;
    assert!(settled > 0, "rows were settled");
    seconds
}

/// Takes one transaction's records, and moves on to the time of the last.
fn take(pipeline: &mut Pipeline, bench: &Bench, records: &[Entry]) {
    let mut newest = 0;
    for (offset, (extracted_at, topic, start, end)) in (0..).zip(records) {
        newest = *extracted_at;
        pipeline.take(&Record {
            topic: *topic,
            partition: 0,
            offset,
            key: Key::Absent,
            payload: Payload::Datum {
                decoder: &bench.decoders[topic.index()],
                datum: &bench.month.bytes[*start..*end],
            },
        });
    }
    pipeline.advance(Timestamp(newest));
}

/// Heap allocations per record while transactions of the second half are taken, settling left out:
/// what is handed over to be written has to be allocated by transaction.
fn allocations(bench: &Bench, plan: &Arc<Plan>) -> f64 {
    let mut pipeline = Pipeline::new(plan.clone(), Arc::new(bench.month.reference.clone()));
    let (mut count, mut measured) = (0, 0);
    let (half, mut seen) = (bench.month.records.len() / 2, 0);
    for records in bench.month.records.chunks(TRANSACTION) {
        let taking = allocation_counter::measure(|| take(&mut pipeline, bench, records));
        pipeline.settle_into(&mut |_| {});
        if seen > half {
            count += taking.count_total;
            measured += records.len();
        }
        seen += records.len();
    }
    count as f64 / measured as f64
}

fn decode(bench: &Bench, records: &[Entry]) -> f64 {
    let mut scratch = Vec::new();
    let mut content = 0;
    let start = on_cores::thread();
    for (_, topic, from, to) in records {
        let (decoder, datum) = (
            &bench.decoders[topic.index()],
            &bench.month.bytes[*from..*to],
        );
        macro_rules! content {
            ($record:ty) => {
                decoder
                    .decode(datum, &mut <$record>::default(), &mut scratch)
                    .map(|decoded| decoded.content)
            };
        }
        let decoded = match topic {
            SupplierTopic::EmisAppointments => content!(emis::Appointment<'_>),
            SupplierTopic::EmisConsultations => content!(emis::Consultation<'_>),
            SupplierTopic::TppAppointments => content!(tpp::Appointment<'_>),
            SupplierTopic::TppConsultations => content!(tpp::Consultation<'_>),
            SupplierTopic::InpsAppointments => content!(inps::Appointment<'_>),
            SupplierTopic::InpsConsultations => content!(inps::Consultation<'_>),
            SupplierTopic::MicrotestAppointments => content!(microtest::Appointment<'_>),
            SupplierTopic::MicrotestConsultations => content!(microtest::Consultation<'_>),
        };
        content ^= decoded.expect("the simulation writes our own schemas");
    }
    let seconds = on_cores::thread() - start;
    assert_ne!(content, 0, "contents were fingerprinted");
    seconds
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
    let bench = Rc::new(Bench {
        month: simulate(),
        decoders: decoders(),
    });
    let all = plan(aggregates::plan(None).expect("the defaults compile"));
    let text = "[[aggregate]]\nname = 'activity'\nlevels = ['sub_icb', 'icb', 'region', 'england']\n\
                dimensions = ['status', 'hcp_type', 'mode', 'waiting_band']\n\
                measures = ['appointments']";
    let table: toml::Table = text.parse().expect("TOML");
    let declared = (table["aggregate"].clone(), Origin::Default);
    let activity = plan(aggregates::plan(Some(&declared)).expect("the declaration compiles"));
    let table: toml::Table = include_str!("../deploy/aggregates.toml")
        .parse()
        .expect("TOML");
    let past = table["aggregate"].as_array().expect("tables").iter();
    let past =
        past.filter(|table| !matches!(table["name"].as_str(), Some("forward_look" | "pressure")));
    let declared = (toml::Value::Array(past.cloned().collect()), Origin::Default);
    let days = plan(aggregates::plan(Some(&declared)).expect("the declarations compile"));
    let asked: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let part = asked.iter().find_map(|word| word.strip_prefix(ONCE));
    let names: Vec<_> = (asked.iter())
        .filter(|word| *word != KAFKA && !word.starts_with(ONCE))
        .collect();
    let is_asked = |name: &str| names.is_empty() || names.iter().any(|word| name.contains(*word));
    let mut contenders = contenders(&bench, &all, &activity, &days);
    contenders.retain(|contender| is_asked(&contender.name));
    if let Some(part) = part {
        let part: usize = part.parse().expect("once=N");
        for contender in &contenders {
            let records = &contender.records[..contender.records.len() / part];
            (contender.seconds)(records);
            println!("{}: {} records, once", contender.name, records.len());
        }
        return;
    }
    if asked.iter().any(|word| word == KAFKA) {
        let kafka = filled(&bench);
        contenders.push(Contender {
            name: BARE.to_owned(),
            records: bench.month.records.clone(),
            seconds: Box::new(move |_| read_bare(&kafka, PARTITIONS).core_seconds),
            figures: Vec::new(),
        });
    }
    for _ in 0..RUNS {
        for contender in &mut contenders {
            let passes = FEWEST.div_ceil(contender.records.len());
            let seconds: f64 = (0..passes)
                .map(|_| (contender.seconds)(&contender.records))
                .sum();
            contender.figures.push(seconds / passes as f64);
        }
    }
    println!(
        "{} records, {} bytes each on average, one thread, {RUNS} runs",
        bench.month.records.len(),
        bench.month.bytes.len() / bench.month.records.len()
    );
    for contender in &mut contenders {
        contender.figures.sort_by(f64::total_cmp);
    }
    let rate = |it: &Contender, at: usize| it.records.len() as f64 / it.figures[at] / 1e6;
    let bare = contenders.iter().find(|it| it.name == BARE);
    for contender in &contenders {
        let ratio = bare.map(|bare| rate(contender, RUNS / 2) / rate(bare, RUNS / 2));
        println!(
            "{:36} {:5.2} million records per core-second (from {:.2} to {:.2}; {} records){}",
            contender.name,
            rate(contender, RUNS / 2),
            rate(contender, RUNS - 1),
            rate(contender, 0),
            contender.records.len(),
            ratio.map_or(String::new(), |ratio| format!(
                ", {ratio:.2} of a bare consumer"
            ))
        );
    }
    println!(
        "heap allocations per record of the second half, taking in: {:.4}",
        allocations(&bench, &all)
    );
}

/// All that can be measured, in the order of the report.
fn contenders(
    bench: &Rc<Bench>,
    all: &Arc<Plan>,
    activity: &Arc<Plan>,
    days: &Arc<Plan>,
) -> Vec<Contender> {
    type Pass = fn(&Bench, &[Entry], &Arc<Plan>) -> f64;
    let of = |name: &str, is_in: &dyn Fn(SupplierTopic) -> bool, seconds| Contender {
        name: name.to_owned(),
        records: (bench.month.records.iter())
            .filter(|(_, topic, ..)| is_in(*topic))
            .copied()
            .collect(),
        seconds,
        figures: Vec::new(),
    };
    let decoding = || -> Seconds {
        let bench = bench.clone();
        Box::new(move |records| decode(&bench, records))
    };
    let through = |pass: Pass, plan: &Arc<Plan>| -> Seconds {
        let (bench, plan) = (bench.clone(), plan.clone());
        Box::new(move |records| pass(&bench, records, &plan))
    };
    let any = |_: SupplierTopic| true;
    let mut contenders = vec![
        of(DECODE, &any, decoding()),
        of(ACTIVITY, &any, through(pass, activity)),
        of(DAYS, &any, through(pass, days)),
        of(DAYS_BACKLOG, &any, through(backlog, days)),
        of(ALL, &any, through(pass, all)),
        of(BACKLOG, &any, through(backlog, all)),
    ];
    for topic in SupplierTopic::ALL {
        let name = format!("decode, {}", topic.name());
        contenders.push(of(&name, &|it| it == topic, decoding()));
    }
    for supplier in Supplier::ALL {
        let name = format!("core, all, {}", supplier.label());
        contenders.push(of(
            &name,
            &|it| it.supplier() == supplier,
            through(pass, all),
        ));
    }
    contenders
}
