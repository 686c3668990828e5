//! INPS (Vision): dates and times as text, no mode.

use crate::domain::topic::SupplierTopic;
use crate::simulate::batch::Batch;
use crate::simulate::chance::Chance;
use crate::simulate::life::{Encounter, Stage, State, Version};
use crate::wire::supplier::SupplierRecord;
use crate::wire::supplier::inps::{Appointment, Consultation};

use super::{Ids, Scene};

const SESSIONS: [&str; 4] = ["Surgery", "Morning session", "Afternoon session", "Clinic"];
const LOCATIONS: [&str; 4] = [
    "Main surgery",
    "Branch surgery",
    "Main surgery",
    "Telephone room",
];

const fn status(stage: Stage) -> &'static str {
    match stage {
        Stage::Free => "Free",
        Stage::Blocked => "Blocked",
        Stage::Booked => "Booked",
        Stage::Arrived => "Arrived",
        Stage::InProgress => "In consultation",
        Stage::Attended => "Seen",
        Stage::Dna => "DNA",
        Stage::Cancelled => "Cancelled",
    }
}

pub fn appointment(
    scene: &Scene<'_>,
    ids: &Ids,
    version: &Version<State>,
    chance: &mut Chance,
    batch: &mut Batch,
) {
    let state = &version.state;
    let calendar = scene.calendar;
    let time = |minute| calendar.hhmm(minute);
    let booked = state.booked.filter(|_| state.is_booked());
    // Empty text is missing, as null is.
    let none = (state.variant & 1 == 1).then_some("");
    let record = Appointment {
        practice_ods_code: scene.practice,
        extract_id: scene.extract_id(version.at),
        extracted_at: version.at,
        schema_note: None,
        appt_id: &ids.appt,
        date: calendar.compact(state.day),
        time: time(state.start),
        duration: state.planned,
        status: status(state.stage),
        slot_type: state.slot_type,
        hcp_type: state.role.or(none),
        booked_date: booked.map(|(day, _)| calendar.compact(day)).or(none),
        booked_time: booked.map(|(_, minute)| time(minute)).or(none),
        arrived_time: state.arrived.map(time).or(none),
        seen_time: state.seen.map(time).or(none),
        left_time: state.left.map(time).or(none),
        national_slot_category: state.category.map(|category| category.category),
        context_type: state.category.and_then(|category| category.context),
        service_setting: state.category.and_then(|category| category.setting),
        action: if state.withdrawn { "D" } else { "" },
    };
    batch.push(
        SupplierTopic::InpsAppointments,
        version.at,
        chance,
        |into| record.encode(into),
    );
}

pub fn consultation(
    scene: &Scene<'_>,
    ids: &Ids,
    version: &Version<Encounter>,
    chance: &mut Chance,
    batch: &mut Batch,
) {
    let state = &version.state;
    let mut id = String::with_capacity(24);
    super::appt_id(ids.encounter_row, &mut id);
    let record = Consultation {
        practice_ods_code: scene.practice,
        extract_id: scene.extract_id(version.at),
        extracted_at: version.at,
        schema_note: None,
        id: &id,
        date: scene.calendar.compact(state.day),
        time: state.start.map(|minute| scene.calendar.hhmm(minute)),
        duration: state.start.zip(state.end).map(|(start, end)| end - start),
        hcp_type: state.role,
        session: SESSIONS[usize::from(state.variant & 3)],
        location: LOCATIONS[usize::from((state.variant >> 2) & 3)],
        links: state.linked.then_some(ids.appt.as_str()),
        action: if state.withdrawn { "D" } else { "" },
    };
    batch.push(
        SupplierTopic::InpsConsultations,
        version.at,
        chance,
        |into| record.encode(into),
    );
}
