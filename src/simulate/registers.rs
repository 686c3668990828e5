//! The reference records of a run: agreements, practices, slot-type mappings.

use crate::domain::time::{Day, MILLIS_PER_DAY, MILLIS_PER_HOUR, Month};
use crate::wire::reference::{
    Participation, ParticipationState, Practice, ReferenceRecord, SlotTypeMapping,
};

use super::cells::Shape;
use super::chance::Chance;
use super::error::Error;
use super::faults;
use super::places::Feed;
use super::reference::{Icb, in_region};
use super::run::Plan;
use super::sink::{Sink, Topic};
use super::texts::{ENCOUNTER, OTHER_CONTEXTS, SLOT_TYPES};

/// The collection that practices agree to.
pub const SERVICE_ID: &str = "GP-APPOINTMENTS-WINTER-PRESSURES";

/// How long before its month everything in the registers is in force: longer than any booking is made ahead and any
/// appointment is moved, and than the year by which an extraction may precede its appointment.
const MONTHS_AHEAD: i32 = 30;

/// The day from which a run's registers hold.
pub fn since(plan: &Plan) -> Day {
    let service = plan.calendar.service.from.month();
    Month(plan.calendar.month.0.min(service.0) - MONTHS_AHEAD).first_day()
}

/// When something that holds from a day was recorded: at eight that morning.
pub fn recorded_at(day: Day) -> i64 {
    i64::from(day.0) * MILLIS_PER_DAY + 8 * MILLIS_PER_HOUR
}

/// Sends the registers of every practice; gives how many records.
pub fn send(plan: &Plan, sink: &mut dyn Sink) -> Result<u64, Error> {
    let mut registers = Registers {
        sink,
        datum: Vec::new(),
        sent: 0,
    };
    let since = since(plan);
    let code = |practice: usize| plan.reference.practices[practice].code;
    for (_, practice, _) in plan.reporting() {
        registers.give(&agreement(
            code(practice),
            ParticipationState::Approved,
            since,
        ))?;
    }
    for (place, practice, feeds) in plan.reporting() {
        registers.give(&row(plan, place, practice, feeds, since))?;
    }
    for (_, practice, _) in plan.reporting() {
        mappings(plan, code(practice), since, &mut registers)?;
    }
    if plan.options.faults {
        faults::registers(plan, &mut |agreement, row| {
            for agreement in agreement {
                registers.give(agreement)?;
            }
            registers.give(row)
        })?;
    }
    Ok(registers.sent)
}

/// An agreement's state from a day on.
pub fn agreement(practice: &str, state: ParticipationState, from: Day) -> Participation {
    Participation {
        practice_ods_code: practice.to_owned(),
        service_id: SERVICE_ID.to_owned(),
        state,
        effective_from: from.0,
        effective_to: None,
        recorded_at: recorded_at(from),
    }
}

/// The row of a practice that stands for a place: of a regional file, with exactly the file's codes and names.
fn row(plan: &Plan, place: usize, practice: usize, feeds: &[Feed], from: Day) -> Practice {
    let reference = &plan.reference;
    let practice = &reference.practices[practice];
    let sub_icb = &reference.sub_icbs[practice.sub_icb];
    let geography = geography(plan, place, reference.icb(practice));
    let own_sub_icb = [sub_icb.code, sub_icb.ons_code, sub_icb.name];
    let [sub_icb_code, sub_icb_ons_code, sub_icb_name] = match plan.cells.shape {
        Shape::Icb => own_sub_icb.map(given),
        Shape::Regional => geography.sub_icb,
    };
    let [icb_code, icb_ons_code, icb_name] = geography.icb;
    let [region_code, region_ons_code, region_name] = geography.region;
    Practice {
        practice_ods_code: practice.code.to_owned(),
        name: practice.name.to_owned(),
        suppliers: feeds
            .iter()
            .map(|feed| feed.supplier.label().to_owned())
            .collect(),
        pcn_code: given(practice.pcn_code),
        pcn_name: given(practice.pcn_name),
        sub_icb_code,
        sub_icb_ons_code,
        sub_icb_name,
        icb_code,
        icb_ons_code,
        icb_name,
        region_code,
        region_ons_code,
        region_name,
        registered_patients: practice.patients,
        open_date: None,
        close_date: None,
        effective_from: from.0,
        recorded_at: recorded_at(from),
    }
}

/// Codes and names above the practice: code, ONS code, name.
pub struct Geography {
    /// Of the place, in a regional file.
    pub sub_icb: [Option<String>; 3],
    /// The ICB.
    pub icb: [Option<String>; 3],
    /// The region.
    pub region: [Option<String>; 3],
}

/// What the rows of a place carry, its practices lying in the ICB `own`.
pub fn geography(plan: &Plan, place: usize, own: &Icb) -> Geography {
    let icbs = &plan.reference.icbs;
    let named = &plan.cells.places[place];
    let same = icbs.iter().find(|icb| icb.ons_code == named.icb_ons_code);
    let same_code = same.map_or("", |icb| icb.code);
    match plan.cells.shape {
        Shape::Icb => Geography {
            sub_icb: [None, None, None],
            // An ICB that the mapping lacks has a code in the file, and a name nowhere.
            icb: [
                same_code,
                &named.icb_ons_code,
                same.map_or("", |icb| icb.name),
            ]
            .map(given),
            region: [own.region_code, own.region_ons_code, own.region_name].map(given),
        },
        Shape::Regional => {
            let region = icbs
                .iter()
                .find(|icb| in_region(icb, &named.region_ons_code, &named.region_name));
            Geography {
                sub_icb: [&named.code, &named.ons_code, &named.name].map(|text| given(text)),
                icb: [same_code, &named.icb_ons_code, &named.icb_name].map(given),
                region: [
                    region.map_or("", |icb| icb.region_code),
                    &named.region_ons_code,
                    &named.region_name,
                ]
                .map(given),
            }
        }
    }
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

struct Registers<'a> {
    sink: &'a mut dyn Sink,
    datum: Vec<u8>,
    sent: u64,
}

impl Registers<'_> {
    fn give<R: ReferenceRecord + Recorded>(&mut self, record: &R) -> Result<(), Error> {
        self.datum.clear();
        record.write(&mut self.datum);
        let topic = Topic::Reference(R::TOPIC);
        let key = record.key();
        self.sink
            .send(topic, key.as_bytes(), &self.datum, record.at())?;
        self.sent += 1;
        Ok(())
    }
}

/// A record that knows when it was recorded.
trait Recorded {
    fn at(&self) -> i64;
}

impl Recorded for Participation {
    fn at(&self) -> i64 {
        self.recorded_at
    }
}

impl Recorded for Practice {
    fn at(&self) -> i64 {
        self.recorded_at
    }
}

impl Recorded for SlotTypeMapping {
    fn at(&self) -> i64 {
        self.recorded_at
    }
}

/// How a practice maps its slot types: a few not at all, a few to what is no encounter, a few anew from a day within
/// the month.
fn mappings(
    plan: &Plan,
    practice: &str,
    since: Day,
    registers: &mut Registers<'_>,
) -> Result<(), Error> {
    let month = plan.calendar.month;
    let mut chance = Chance::of(plan.options.seed ^ 0x6d61_7070, practice);
    for slot_type in SLOT_TYPES {
        let drawn = chance.below(1000);
        let context = if drawn < 30 {
            chance.pick(&OTHER_CONTEXTS)
        } else {
            ENCOUNTER
        };
        let mapping = |category: &str, from: Day, to: Option<Day>| SlotTypeMapping {
            practice_ods_code: practice.to_owned(),
            slot_type: slot_type.text.to_owned(),
            national_slot_category: category.to_owned(),
            context_type: context.to_owned(),
            service_setting: slot_type.setting.to_owned(),
            effective_from: from.0,
            effective_to: to.map(|day| day.0),
            recorded_at: recorded_at(from),
        };
        match drawn {
            930.. => {}
            100..180 => {
                let from_then = Day(month.first_day().0 + chance.between(3, 24));
                let former = chance.pick(SLOT_TYPES).category;
                registers.give(&mapping(former, since, Some(from_then)))?;
                registers.give(&mapping(slot_type.category, from_then, None))?;
            }
            _ => registers.give(&mapping(slot_type.category, since, None))?,
        }
    }
    Ok(())
}
