//! The memory of England's live window in one process, with all default aggregates.
//!
//! `cargo bench --bench england` draws four months in a row from the published cells of England, February 2022 (25.4 million
//! appointments each, with slots that stayed free, cancellations and consultations), takes them through the core as a backlog, and folds
//! and rolls up everything as of the end of the third month, so that the fourth is to come. Told: bytes of slots and consultations, and of each aggregate at practice level and
//! above it, by what their tables have allocated, and the most that the process had resident. Some twenty minutes; a number behind `--`
//! scales the cells: the practices of a tenth of them are as many as England's.

use std::path::Path;
use std::sync::Arc;

use gpad_live::commands::plan_of;
use gpad_live::config::Settings;
use gpad_live::domain::disposition::Disposition;
use gpad_live::domain::reference::Reference;
use gpad_live::domain::time::{Month, Timestamp};
use gpad_live::domain::topic::{ReferenceTopic, SupplierTopic};
use gpad_live::engine::fold::Change;
use gpad_live::engine::rollup::Rollup;
use gpad_live::pipeline::{Key, Payload, Pipeline, Plan, Record};
use gpad_live::simulate::calendar::Service;
use gpad_live::simulate::cells::Cells;
use gpad_live::simulate::error::Error;
use gpad_live::simulate::run::{Options, Plan as Simulation};
use gpad_live::simulate::sink::{Sink, Topic};
use gpad_live::stages::refer::Refer;
use gpad_live::wire::avro::Decoder;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::reference::{Participation, Practice, SlotTypeMapping};

const PUBLISHED: &str = "2022-02";
const MONTHS: [&str; 4] = ["2021-12", "2022-01", "2022-02", "2022-03"];
/// The fourth month is to come.
const NOW: &str = "2022-03-01";

/// Takes records in as they are drawn.
struct Core {
    plan: Arc<Plan>,
    decoders: Vec<Decoder>,
    reference: Reference,
    ordinal: u64,
    /// Of one task, once the reference topics are there.
    pipeline: Option<Pipeline>,
    records: i64,
    dispositions: [u64; Disposition::COUNT],
}

impl Sink for Core {
    fn send(&mut self, topic: Topic, _: &[u8], datum: &[u8], _: i64) -> Result<(), Error> {
        let why = "the simulation writes our own schemas";
        let topic = match topic {
            Topic::Supplier(topic) => topic,
            // The register of all four months is one.
            Topic::Reference(_) if self.pipeline.is_some() => return Ok(()),
            Topic::Reference(topic) => {
                self.ordinal += 1;
                let (reference, ordinal) = (&mut self.reference, self.ordinal);
                match topic {
                    ReferenceTopic::Participation => {
                        Participation::from_bytes(datum)
                            .expect(why)
                            .refer(reference, ordinal);
                    }
                    ReferenceTopic::Practices => {
                        Practice::from_bytes(datum)
                            .expect(why)
                            .refer(reference, ordinal);
                    }
                    ReferenceTopic::SlotTypeMappings => {
                        SlotTypeMapping::from_bytes(datum)
                            .expect(why)
                            .refer(reference, ordinal);
                    }
                }
                return Ok(());
            }
        };
        let (plan, reference) = (&self.plan, &mut self.reference);
        let pipeline = self.pipeline.get_or_insert_with(|| {
            let reference = Arc::new(std::mem::take(reference));
            let mut pipeline = Pipeline::new(plan.clone(), reference);
            pipeline.start_loading();
            pipeline
        });
        let taken = pipeline.take_at_once(&Record {
            topic,
            partition: 0,
            offset: self.records,
            key: Key::Absent,
            payload: Payload::Datum {
                decoder: &self.decoders[topic.index()],
                datum,
            },
        });
        self.records += 1;
        self.dispositions[taken.disposition.index()] += 1;
        Ok(())
    }
}

fn cells(month: Month, label: &str) -> Cells {
    let name = format!("tests/data/icb_cells_{PUBLISHED}.csv");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(&file).expect("the published cells are in the repository");
    let text = text.replace(PUBLISHED, label);
    Cells::parse(&file, text.as_bytes(), month).expect("cells of another month")
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
    let scale = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1.0);
    let settings = Settings::default();
    let plan = Arc::new(plan_of(&settings, None).expect("the defaults compile"));
    let decoders = SupplierTopic::ALL.map(|topic| {
        let schema = apache_avro::Schema::parse_str(Topic::Supplier(topic).schema());
        let schema = schema.expect("our own schema");
        Decoder::compile(&schema, &schema).expect("a schema reads itself")
    });
    let service = Service {
        from: settings.service_period.from,
        to: settings.service_period.to.expect("the default period ends"),
    };
    let mut core = Core {
        plan: plan.clone(),
        decoders: decoders.into(),
        reference: Reference::default(),
        ordinal: 0,
        pipeline: None,
        records: 0,
        dispositions: [0; Disposition::COUNT],
    };
    let mut counted = 0;
    for (seed, label) in (1..).zip(MONTHS) {
        let month = Month::parse(label).expect("a month");
        let options = Options {
            scale,
            seed,
            faults: false,
            service,
        };
        let simulation = Simulation::new(&cells(month, label), options).expect("enough practices");
        let summary = simulation
            .run(&mut core, 1, &mut |_| {})
            .expect("it can be drawn");
        counted += summary.counted;
        println!(
            "{label}: {counted} appointments so far, {} records",
            core.records
        );
    }
    let now = chrono::NaiveDate::parse_from_str(NOW, "%F").expect("a day");
    let now = Timestamp(
        now.and_time(chrono::NaiveTime::MIN)
            .and_utc()
            .timestamp_millis(),
    );
    let mut pipeline = core.pipeline.take().expect("records came");
    pipeline.advance(now);
    pipeline.finish_loading();
    let mut rollup = Rollup::new(plan.aggregates.clone(), 1);
    let (mut rows, mut deltas) = (0_u64, 0_u64);
    pipeline.settle_into(&mut |change| match change {
        Change::Row(_) => rows += 1,
        Change::Delta(delta) => {
            deltas += 1;
            rollup.apply(&delta);
        }
        Change::Closed(closed) => assert!(rollup.close(0, closed)),
    });
    rollup.settle(now, &mut |_| rows += 1);
    let refused: u64 = Disposition::all()
        .filter(|end| matches!(end, Disposition::Rejected(_) | Disposition::Withheld(_)))
        .map(|end| core.dispositions[end.index()])
        .sum();
    assert_eq!(refused, 0, "every record is taken in");
    let (slots, consultations) = pipeline.task().entries();
    println!(
        "{counted} appointments of four months, {slots} slots, {consultations} consultations, {rows} rows, {deltas} deltas"
    );
    report(&plan, &pipeline, &rollup);
    drop((pipeline, rollup));
    println!(
        "{:40} {:8.3} GB",
        "most that the process had resident",
        peak()
    );
}

#[expect(
    clippy::print_stdout,
    reason = "the report is what the benchmark is for"
)]
fn report(plan: &Plan, pipeline: &Pipeline, rollup: &Rollup) {
    let gigabytes = |bytes: usize| bytes as f64 / 1e9;
    let state = pipeline.task().bytes();
    println!(
        "{:40} {:8.3} GB",
        "slots and consultations",
        gigabytes(state)
    );
    let (below, above) = (pipeline.task().bytes_by_aggregate(), rollup.bytes());
    let aggregates = plan
        .aggregates
        .aggregates
        .iter()
        .zip(below.iter().zip(&above));
    for (aggregate, (below, above)) in aggregates {
        println!(
            "{:40} {:8.3} GB of practices, {:8.3} GB above",
            aggregate.name,
            gigabytes(*below),
            gigabytes(*above)
        );
    }
    let all = state + below.iter().sum::<usize>() + above.iter().sum::<usize>();
    println!("{:40} {:8.3} GB", "together", gigabytes(all));
}

/// In gigabytes, as Linux tells it.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kibibytes.expect("kB") * 1024.0 / 1e9
}
