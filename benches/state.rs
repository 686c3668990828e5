//! What a live appointment costs in memory, and what it costs to find and change one, by how many there are.
//!
//! `cargo bench --bench state` fills a task with slots on 430 days and as many consultations as every second one has,
//! and prints, from a counting allocator: bytes of state per slot, without and with the moments that aggregates over
//! event time need, with its consultations, and per entry; then
//! core-seconds per million versions of slots chosen at random, and of reading the state back from blocks. Words
//! behind `--` are the numbers of slots, in millions; without any: 1 and 10.

#[path = "../tests/support/on_cores.rs"]
mod on_cores;

use std::sync::Arc;

use gpad_live::config::{Origin, aggregates};
use gpad_live::domain::category::Category;
use gpad_live::domain::draft::{AppointmentDraft, ConsultationDraft, SlotState};
use gpad_live::domain::identity::{BookingId, Identity, NativeId};
use gpad_live::domain::place::Place;
use gpad_live::domain::reference::{
    Agreement, AgreementState, PracticeIndex, PracticeRow, Reference,
};
use gpad_live::domain::time::{Day, Local, Timestamp};
use gpad_live::domain::topic::{Supplier, SupplierTopic};
use gpad_live::domain::vocabulary::{Mode, NationalCategory, SdsRoleGroup, ServiceSetting};
use gpad_live::engine::plan::AggregatePlan;
use gpad_live::engine::state::block::{Blocks, Cursor};
use gpad_live::engine::task::{Categorised, Task};

const PRACTICES: u64 = 800;
/// Versions between two settlements.
const TRANSACTION: u64 = 20_000;
const CHANGES: u64 = 2_000_000;

/// Spreads numbers over 64 bits.
fn mix(number: u64) -> u64 {
    let mixed = (number ^ number >> 31).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 29).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

fn reference() -> Reference {
    let mut reference = Reference::default();
    for practice in 0..PRACTICES {
        let code = format!("A{practice:05}");
        reference.apply_agreement(
            &code,
            Agreement {
                service_id: "GPAD".into(),
                state: AgreementState::Approved,
                effective_from: Day(0),
                effective_to: None,
                recorded_at: Timestamp(0),
                ordinal: 0,
            },
        );
        let place = Place {
            practice: Some(code.as_str().into()),
            ..Place::default()
        };
        reference.apply_row(&code, place, PracticeRow::blank(Day(0)));
    }
    reference
}

/// Thirty of 430 days are to come.
const TODAY: i32 = 19_000;

fn slot(task: &mut Task, number: u64, version: i64) {
    let at = mix(number);
    let day = Day(TODAY - 400 + (at % 430) as i32);
    let draft = AppointmentDraft {
        supplier: Supplier::Emis,
        identity: identity(number),
        booking: Some(BookingId(number + 1)),
        version: Timestamp(i64::from(TODAY) * 86_400_000 + version),
        content: mix(at ^ version as u64),
        start: Local::new(day, 28_800_000 + (at >> 20) as i64 % 108 * 300_000),
        planned_minutes: 10,
        state: SlotState::Attended,
        booked_on: Some(Day(day.0 - (at >> 32) as i32 % 20)),
        booked_at: None,
        arrived_at: None,
        left_at: None,
        cancelled_at: None,
        actual_minutes: Some((version + (at >> 40) as i64) % 60),
        times_reversed: false,
        role: Some(SdsRoleGroup::Gp),
        mode: Mode::FaceToFace,
        slot_type: "",
        own_category: None,
        is_visit: false,
    };
    let own = Category {
        national: NationalCategory::GeneralConsultationRoutine,
        setting: ServiceSetting::GeneralPractice,
        is_unknown_text: false,
    };
    let categorised = Categorised {
        own: Some(own),
        slot_type: "",
        is_covid_vaccination: false,
    };
    let practice = PracticeIndex((at % PRACTICES) as u32);
    task.admit_appointment(
        practice,
        &draft,
        categorised,
        SupplierTopic::EmisAppointments,
    );
}

fn consultation(task: &mut Task, number: u64) {
    let at = mix(number);
    let id = format!(
        "{:08x}-{:04x}-4000-8000-{:012x}",
        at as u32,
        at >> 48,
        number
    );
    let draft = ConsultationDraft {
        supplier: Supplier::Emis,
        identity: identity(number | 1 << 63),
        native_id: NativeId::Text(&id),
        version: Timestamp(i64::from(TODAY) * 86_400_000),
        content: at,
        start: Local::new(Day(TODAY - 400 + (at % 430) as i32), 28_800_000),
        minutes: Some(9),
        role: None,
        link: Some(identity(number)),
        complete: true,
        withdrawn: false,
    };
    let practice = PracticeIndex((at % PRACTICES) as u32);
    task.admit_consultation(practice, &draft, SupplierTopic::EmisConsultations);
}

fn identity(number: u64) -> Identity {
    Identity(u128::from(mix(number)) << 64 | u128::from(mix(!number)))
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = on_cores::thread();
    work();
    on_cores::thread() - start
}

/// No aggregates: rows are figures, not state of appointments.
fn nothing() -> Arc<AggregatePlan> {
    Arc::new(AggregatePlan::default())
}

/// The one default aggregate that follows event time.
fn event_time() -> Arc<AggregatePlan> {
    let default = include_str!("../deploy/aggregates.toml");
    let table: toml::Table = default.parse().expect("the default aggregates are TOML");
    let all = table["aggregate"].as_array().expect("a list of tables");
    let pressure = all
        .iter()
        .find(|table| table["name"].as_str() == Some("pressure"));
    let pressure = pressure.expect("it is a default").clone();
    let declared = (toml::Value::Array(vec![pressure]), Origin::Default);
    Arc::new(aggregates::plan(Some(&declared)).expect("the declaration compiles"))
}

fn task(plan: Arc<AggregatePlan>, reference: &Arc<Reference>) -> Task {
    let mut task = Task::new(plan, reference.clone());
    task.advance(Timestamp(i64::from(TODAY) * 86_400_000));
    task
}

/// Versions in transactions.
fn each(task: &mut Task, numbers: impl Iterator<Item = u64>, mut take: impl FnMut(&mut Task, u64)) {
    for (at, number) in (1..).zip(numbers) {
        take(task, number);
        if at % TRANSACTION == 0 {
            task.settle(&mut |_| ());
        }
    }
    task.settle(&mut |_| ());
}

#[expect(
    clippy::print_stdout,
    reason = "the report is what the benchmark is for"
)]
fn measure(millions: u64, reference: &Arc<Reference>) {
    let slots = millions * 1_000_000;
    let (mut held, mut figures) = (None, 0);
    let with_moments = allocation_counter::measure(|| {
        let mut task = task(event_time(), reference);
        each(&mut task, 0..slots, |task, number| slot(task, number, 0));
        figures = task.bytes_by_aggregate().into_iter().sum::<usize>();
        held = Some(task);
    });
    drop(held);
    let with_moments = (with_moments.bytes_current as f64 - figures as f64) / slots as f64;
    let mut held = None;
    let alone = allocation_counter::measure(|| {
        let mut task = task(nothing(), reference);
        each(&mut task, 0..slots, |task, number| slot(task, number, 0));
        held = Some(task);
    });
    let mut task = held.take().expect("it was filled");
    let consulted = allocation_counter::measure(|| {
        each(&mut task, (0..slots).step_by(2), consultation);
    });
    let slot_bytes = alone.bytes_current as f64 / slots as f64;
    let added = consulted.bytes_current as f64;
    println!(
        "{millions} million slots, half of them with a consultation: {slot_bytes:.1} bytes a slot, {with_moments:.1} where an aggregate follows event time, {:.1} a consultation, {:.1} a slot with its consultations, {:.1} an entry",
        added / (slots / 2) as f64,
        slot_bytes + added / slots as f64,
        (alone.bytes_current as f64 + added) / (slots + slots / 2) as f64
    );
    let changed = timed(|| {
        let numbers = (0..CHANGES).map(|at| mix(at ^ 0x5555) % slots);
        let mut version = 1;
        each(&mut task, numbers, |task, number| {
            version += 1;
            slot(task, number, version);
        });
    });
    let mut blocks = Blocks::default();
    let plan = AggregatePlan::default().fingerprint();
    blocks.begin(plan);
    task.write_times(&mut blocks);
    let (mut cursor, mut parts) = (Cursor::default(), Vec::new());
    let written = timed(|| {
        loop {
            let is_complete = task.write_part(&mut cursor, 100_000, &mut blocks);
            parts.extend(blocks.iter().map(<[u8]>::to_vec));
            if is_complete {
                break;
            }
            blocks.begin(plan);
        }
    });
    let entries = task.kept_entries();
    drop(task);
    let mut back = Task::new(nothing(), reference.clone());
    let read = timed(|| {
        for part in &parts {
            back.read_block(part, |_, _| None)
                .expect("what was written can be read");
        }
        back.restored().expect("the practices are known");
    });
    assert_eq!(back.kept_entries(), entries);
    let rate = |seconds: f64, count: u64| count as f64 / seconds / 1e6;
    println!(
        "  {:.2} million versions of random slots a core-second; {:.1} million entries written down a core-second, {:.1} million read back",
        rate(changed, CHANGES),
        rate(written, entries),
        rate(read, entries)
    );
}

fn main() {
    // `cargo test --benches` runs this too: there a benchmark has nothing to show.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let asked: Vec<u64> = std::env::args()
        .filter_map(|word| word.parse().ok())
        .collect();
    let reference = Arc::new(reference());
    let all = if asked.is_empty() { vec![1, 10] } else { asked };
    for millions in all {
        measure(millions, &reference);
    }
}
