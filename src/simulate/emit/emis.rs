//! EMIS: no status, a slot that names its booking.

use crate::domain::time::MILLIS_PER_MINUTE;
use crate::domain::topic::SupplierTopic;
use crate::simulate::batch::Batch;
use crate::simulate::chance::Chance;
use crate::simulate::life::{Booking, Encounter, Stage, State, Version};
use crate::wire::supplier::SupplierRecord;
use crate::wire::supplier::emis::{Appointment, Consultation};

use super::{Ids, Scene};

const SESSION_CATEGORIES: [&str; 4] = ["Surgery", "Clinic", "Extended Hours", "Duty Doctor"];
const CONSULTATION_TYPES: [&str; 4] = [
    "GP Surgery",
    "Telephone consultation",
    "Home visit note",
    "Nurse clinic",
];

/// Milliseconds of the day.
fn time(minute: i32) -> i32 {
    minute * MILLIS_PER_MINUTE as i32
}

pub fn appointment(
    scene: &Scene<'_>,
    ids: &Ids,
    version: &Version<State>,
    chance: &mut Chance,
    batch: &mut Batch,
) {
    let state = &version.state;
    let booked = state.is_booked() && state.stage != Stage::Cancelled;
    let came = matches!(
        state.stage,
        Stage::Arrived | Stage::InProgress | Stage::Attended
    );
    let actual = match (state.seen, state.left) {
        // One in sixteen leaves the minutes out, though both times are there.
        (Some(seen), Some(left)) if state.variant & 15 != 0 => Some(left - seen),
        _ => None,
    };
    let record = Appointment {
        practice_ods_code: scene.practice,
        extract_id: scene.extract_id(version.at),
        extracted_at: version.at,
        schema_note: None,
        slot_guid: &ids.slot,
        booking_guid: booked
            .then(|| ids.bookings[usize::from(state.booking == Booking::Last)].as_str()),
        session_guid: &ids.session,
        appointment_date: state.day.0,
        appointment_start_time: time(state.start),
        planned_duration_minutes: state.planned,
        booked_date: state.booked.filter(|_| booked).map(|(day, _)| day.0),
        booked_time: state
            .booked
            .filter(|_| booked)
            .map(|(_, minute)| time(minute)),
        send_in_time: came.then(|| time(state.seen.or(state.arrived).unwrap_or(state.start))),
        left_time: (state.stage == Stage::Attended)
            .then(|| time(state.left.unwrap_or(state.start + state.planned))),
        did_not_attend: state.stage == Stage::Dna,
        actual_duration_minutes: actual.filter(|_| state.stage == Stage::Attended),
        slot_type_description: state.slot_type,
        session_category: SESSION_CATEGORIES[usize::from(state.variant >> 6)],
        job_category_code: state.role,
        appointment_mode: state.mode,
        national_slot_category: state.category.map(|category| category.category),
        context_type: state.category.and_then(|category| category.context),
        service_setting: state.category.and_then(|category| category.setting),
        blocked: state.stage == Stage::Blocked,
        deleted: state.withdrawn,
    };
    batch.push(
        SupplierTopic::EmisAppointments,
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
    let record = Consultation {
        practice_ods_code: scene.practice,
        extract_id: scene.extract_id(version.at),
        extracted_at: version.at,
        schema_note: None,
        consultation_guid: &ids.encounter,
        slot_guid: state.linked.then_some(ids.slot.as_str()),
        consultation_date: state.day.0,
        start_time: state.start.map(time),
        end_time: state.end.map(time),
        consultation_type: CONSULTATION_TYPES[usize::from(state.variant & 3)],
        job_category_code: state.role,
        complete: state.complete,
        deleted: state.withdrawn,
    };
    batch.push(
        SupplierTopic::EmisConsultations,
        version.at,
        chance,
        |into| record.encode(into),
    );
}
