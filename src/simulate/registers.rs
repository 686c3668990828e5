//! The reference records of a run: agreements, practices, slot-type mappings.

use crate::domain::time::{Day, MILLIS_PER_DAY, MILLIS_PER_HOUR, Month};
use crate::domain::topic::ReferenceTopic;
use crate::domain::topic::Supplier;
use crate::wire::avro::encode;

use super::cells::{Place, Shape};
use super::chance::Chance;
use super::error::Error;
use super::places::Feed;
use super::reference::{Icb, Practice, in_region};
use super::run::Plan;
use super::sink::{Sink, Topic};
use super::texts::{ENCOUNTER, OTHER_CONTEXTS, SLOT_TYPES};

/// The collection that practices agree to.
pub const SERVICE_ID: &str = "GP-APPOINTMENTS-WINTER-PRESSURES";

/// Index of `APPROVED` among the states of an agreement.
pub const APPROVED: i32 = 1;

/// How long before its month everything in the registers is in force: longer than any booking is made ahead and any
/// appointment is moved.
const MONTHS_AHEAD: i32 = 30;

/// Sends the registers of every practice; gives how many records.
pub fn send(plan: &Plan, sink: &mut dyn Sink) -> Result<u64, Error> {
    let since = Month(plan.calendar.month.0 - MONTHS_AHEAD).first_day();
    let mut registers = Registers {
        sink,
        datum: Vec::new(),
        sent: 0,
        since,
    };
    for (_, practice, _) in plan.reporting() {
        registers.agreement(plan.reference.practices[practice].code, APPROVED)?;
    }
    for (place, practice, feeds) in plan.reporting() {
        let row = row(plan, place, &plan.reference.practices[practice]);
        registers.practice(&row, feeds)?;
    }
    for (_, practice, _) in plan.reporting() {
        registers.mappings(plan, plan.reference.practices[practice].code)?;
    }
    Ok(registers.sent)
}

/// A practice's row as it is sent; empty text is null.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    code: &'a str,
    name: &'a str,
    pcn: [&'a str; 2],
    sub_icb: [&'a str; 3],
    icb: [&'a str; 3],
    region: [&'a str; 3],
    patients: Option<i32>,
}

/// The row of a practice that stands for a place: of a regional file, with exactly the file's codes and names.
fn row<'a>(plan: &'a Plan, place: usize, practice: &'a Practice) -> Row<'a> {
    let reference = &plan.reference;
    let named: &Place = &plan.cells.places[place];
    let sub_icb = &reference.sub_icbs[practice.sub_icb];
    let own = reference.icb(practice);
    let same: Option<&Icb> = reference
        .icbs
        .iter()
        .find(|icb| icb.ons_code == named.icb_ons_code);
    match plan.cells.shape {
        Shape::Icb => Row {
            code: practice.code,
            name: practice.name,
            pcn: [practice.pcn_code, practice.pcn_name],
            sub_icb: [sub_icb.code, sub_icb.ons_code, sub_icb.name],
            // An ICB that the mapping lacks has a code in the file and no name anywhere.
            icb: same.map_or(["", &named.icb_ons_code, ""], |icb| {
                [icb.code, icb.ons_code, icb.name]
            }),
            region: [own.region_code, own.region_ons_code, own.region_name],
            patients: practice.patients,
        },
        Shape::Regional => {
            let region = reference
                .icbs
                .iter()
                .find(|icb| in_region(icb, &named.region_ons_code, &named.region_name));
            Row {
                code: practice.code,
                name: practice.name,
                pcn: [practice.pcn_code, practice.pcn_name],
                sub_icb: [&named.code, &named.ons_code, &named.name],
                icb: [
                    same.map_or("", |icb| icb.code),
                    &named.icb_ons_code,
                    &named.icb_name,
                ],
                region: [
                    region.map_or("", |icb| icb.region_code),
                    &named.region_ons_code,
                    &named.region_name,
                ],
                patients: practice.patients,
            }
        }
    }
}

struct Registers<'a> {
    sink: &'a mut dyn Sink,
    datum: Vec<u8>,
    sent: u64,
    since: Day,
}

impl Registers<'_> {
    /// Eight in the morning of the day on which it takes effect.
    fn recorded_at(&self) -> i64 {
        i64::from(self.since.0) * MILLIS_PER_DAY + 8 * MILLIS_PER_HOUR
    }

    fn give(&mut self, topic: ReferenceTopic, practice: &str) -> Result<(), Error> {
        let recorded_at = self.recorded_at();
        self.sink.send(
            Topic::Reference(topic),
            practice.as_bytes(),
            &self.datum,
            recorded_at,
        )?;
        self.datum.clear();
        self.sent += 1;
        Ok(())
    }

    fn agreement(&mut self, practice: &str, state: i32) -> Result<(), Error> {
        let recorded_at = self.recorded_at();
        let into = &mut self.datum;
        encode::text(practice, into);
        encode::text(SERVICE_ID, into);
        encode::int(state, into);
        encode::int(self.since.0, into);
        encode::optional(None::<i32>, into, encode::int);
        encode::long(recorded_at, into);
        self.give(ReferenceTopic::Participation, practice)
    }

    fn practice(&mut self, row: &Row<'_>, feeds: &[Feed]) -> Result<(), Error> {
        let recorded_at = self.recorded_at();
        let suppliers: Vec<Supplier> = feeds.iter().map(|feed| feed.supplier).collect();
        let into = &mut self.datum;
        encode::text(row.code, into);
        encode::text(row.name, into);
        encode::array(&suppliers, into, |supplier, into| {
            encode::text(supplier.label(), into)
        });
        for text in row
            .pcn
            .iter()
            .chain(&row.sub_icb)
            .chain(&row.icb)
            .chain(&row.region)
        {
            encode::optional(
                Some(*text).filter(|text| !text.is_empty()),
                into,
                encode::text,
            );
        }
        encode::optional(row.patients, into, encode::int);
        encode::optional(None::<i32>, into, encode::int);
        encode::optional(None::<i32>, into, encode::int);
        encode::int(self.since.0, into);
        encode::long(recorded_at, into);
        self.give(ReferenceTopic::Practices, row.code)
    }

    /// How the practice maps its slot types: a few not at all, a few to what is no encounter, a few anew from a day
    /// within the month.
    fn mappings(&mut self, plan: &Plan, practice: &str) -> Result<(), Error> {
        let month = plan.calendar.month;
        let mut chance = Chance::of(plan.options.seed ^ 0x6d61_7070, practice);
        for slot_type in SLOT_TYPES {
            let drawn = chance.below(1000);
            let context = if drawn < 30 {
                chance.pick(&OTHER_CONTEXTS)
            } else {
                ENCOUNTER
            };
            let since = self.since;
            let fixed = [
                slot_type.text,
                slot_type.category,
                context,
                slot_type.setting,
            ];
            match drawn {
                900.. => {}
                100..180 => {
                    let change = Day(month.first_day().0 + chance.between(3, 24));
                    let before = SLOT_TYPES[chance.below(SLOT_TYPES.len() as u32) as usize];
                    let former = [slot_type.text, before.category, ENCOUNTER, before.setting];
                    self.mapping(practice, former, since, Some(change))?;
                    self.mapping(practice, fixed, change, None)?;
                }
                _ => self.mapping(practice, fixed, since, None)?,
            }
        }
        Ok(())
    }

    fn mapping(
        &mut self,
        practice: &str,
        texts: [&str; 4],
        from: Day,
        to: Option<Day>,
    ) -> Result<(), Error> {
        let recorded_at = self.recorded_at();
        let into = &mut self.datum;
        encode::text(practice, into);
        for text in texts {
            encode::text(text, into);
        }
        encode::int(from.0, into);
        encode::optional(to.map(|day| day.0), into, encode::int);
        encode::long(recorded_at, into);
        self.give(ReferenceTopic::SlotTypeMappings, practice)
    }
}
