//! Records that must be refused or withheld, so that tests can see that nothing of them gets through.

mod content;
mod practices;
mod records;

pub use practices::{Standing, registers};

use crate::domain::time::{Day, MILLIS_PER_HOUR};
use crate::domain::topic::Supplier;

use super::batch::Batch;
use super::calendar::Service;
use super::chance::Chance;
use super::run::Plan;
use content::Content;
pub use content::Moment;
use practices::Stranger;
use records::Writer;

/// In the free text of every record that is withheld for its practice's agreement or for its day.
pub const WITHHELD_MARKER: &str = "WITHHELD-MARKER";

/// In the same field as every piece of identifiable data.
pub const IDENTIFIABLE_MARKER: &str = "IDENTIFIABLE-MARKER";

/// In the free text of every record of a practice that the register lacks.
pub const STRANGER_MARKER: &str = "STRANGER-MARKER";

/// In the free text of every record that is refused for what it says: its content may be kept.
pub const REFUSED_MARKER: &str = "REFUSED-MARKER";

/// Fictitious identifiable data, one of each kind that the screen knows: a test number of the NHS, numbers and
/// addresses that are reserved for fiction, a postcode of no place, a date of birth of nobody.
pub const IDENTIFIABLE: [&str; 9] = [
    "943 476 5919",
    "943-476-5919",
    "9434765919",
    "ZZ99 3WZ",
    "zz993wz",
    "07700 900123",
    "+44 20 7946 0018",
    "jo.bloggs@example.org",
    "01/02/1950",
];

/// How many practices the faults come from, beside those whose records are otherwise sound: each is one batch.
#[must_use]
pub fn batches(plan: &Plan) -> usize {
    if plan.options.faults {
        2 + practices::all(plan).len() + practices::strangers(plan).len()
    } else {
        0
    }
}

/// Writes one batch of faults, in order of arrival.
pub fn draw(plan: &Plan, index: usize, batch: &mut Batch) {
    let doubtful = practices::all(plan);
    let hosts: Vec<&str> = plan
        .reporting()
        .map(|(_, practice, _)| plan.reference.practices[practice].code)
        .collect();
    // A run without any appointment has no practice to host them.
    let host = |which: usize| hosts.get(which * (hosts.len() / 2)).copied();
    let moment = moment(plan);
    match index {
        0 => {
            if let Some(host) = host(0) {
                begin(plan, host, moment, batch, |writer| {
                    refused(writer);
                    outside_service(writer, plan.calendar.service);
                });
            }
        }
        1 => {
            if let Some(host) = host(1) {
                begin(plan, host, moment, batch, identifiable);
            }
        }
        _ if index - 2 < doubtful.len() => {
            let (code, standing) = &doubtful[index - 2];
            // Approved on the day of extraction, which is after its appointments.
            let ahead = i32::from(*standing == Standing::ApprovedLater);
            let day = Day(moment.day.0 - ahead);
            let moment = Moment { day, ..moment };
            begin(plan, code, moment, batch, |writer| {
                withheld(writer, *standing);
            });
        }
        _ => {
            let strangers = practices::strangers(plan);
            if let Some(Stranger(code)) = strangers.get(index - 2 - doubtful.len()) {
                begin(plan, code, moment, batch, unknown);
            }
        }
    }
    batch.sort();
}

/// The run's last day, at eight in the evening, or the first hour after it in which it may be extracted.
fn moment(plan: &Plan) -> Moment {
    let month = plan.calendar.month;
    let day = plan.calendar.days().next_back().unwrap_or(month.last_day());
    let window = plan.calendar.window(day);
    let evening = plan.calendar.instant(day, 20 * 60);
    Moment {
        day,
        at: evening.max(window.from + MILLIS_PER_HOUR),
    }
}

fn begin<'a>(
    plan: &'a Plan,
    practice: &'a str,
    moment: Moment,
    batch: &mut Batch,
    write: impl FnOnce(&mut Writer<'_>),
) {
    batch.restart(practice);
    let mut chance = Chance::of(plan.options.seed ^ 0x6661_756c, practice);
    let mut writer = Writer::new(practice, &plan.calendar, moment, &mut chance, batch);
    write(&mut writer);
}

/// Everything that the checks refuse in a record of a practice that takes part.
fn refused(writer: &mut Writer<'_>) {
    for supplier in Supplier::ALL {
        for content in Content::REFUSED {
            writer.write(supplier, *content, REFUSED_MARKER);
        }
    }
}

/// Identifiable data of every kind in every scanned field of every topic.
fn identifiable(writer: &mut Writer<'_>) {
    for value in IDENTIFIABLE {
        let text = format!("{IDENTIFIABLE_MARKER} {value}");
        for supplier in Supplier::ALL {
            for field in 0..records::scanned_fields(supplier) {
                writer.write(supplier, Content::Scanned { field }, &text);
            }
        }
    }
}

/// Sound records, extracted the day before service and the day after it.
fn outside_service(writer: &mut Writer<'_>, service: Service) {
    for day in [Day(service.from.0 - 1), Day(service.to.0 + 1)] {
        for supplier in Supplier::ALL {
            writer.write(supplier, Content::SoundOn { day }, WITHHELD_MARKER);
        }
    }
}

/// Sound records of a practice whose agreement does not let them in.
fn withheld(writer: &mut Writer<'_>, standing: Standing) {
    for supplier in Supplier::ALL {
        for _ in 0..3 {
            writer.write(supplier, Content::Sound, WITHHELD_MARKER);
        }
        // Not even what is wrong with it is looked at.
        if standing != Standing::ApprovedLater {
            writer.write(supplier, Content::Duration, WITHHELD_MARKER);
            let text = format!(
                "{IDENTIFIABLE_MARKER} {WITHHELD_MARKER} {}",
                IDENTIFIABLE[0]
            );
            writer.write(supplier, Content::Scanned { field: 0 }, &text);
        }
    }
}

/// Sound records of a code that no register has.
fn unknown(writer: &mut Writer<'_>) {
    for supplier in Supplier::ALL {
        writer.write(supplier, Content::Sound, STRANGER_MARKER);
    }
}
