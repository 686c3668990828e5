//! TPP (`SystmOne`): numbered statuses, visits in a table of their own, a far date for none.

use crate::domain::time::{Day, MILLIS_PER_DAY, MILLIS_PER_MINUTE};
use crate::domain::topic::SupplierTopic;
use crate::simulate::batch::Batch;
use crate::simulate::chance::Chance;
use crate::simulate::life::{Encounter, Stage, State, Version};
use crate::wire::supplier::SupplierRecord;
use crate::wire::supplier::tpp::{Appointment, Consultation, RecordType};

use super::{Ids, Scene};

/// `9999-12-31T00:00:00`, which means null.
pub const SENTINEL: i64 = 253_402_214_400_000;

const ROTAS: [(&str, &str); 4] = [
    ("Morning Surgery", "Surgery"),
    ("Afternoon Surgery", "Surgery"),
    ("Nurse Clinic", "Clinic"),
    ("Duty", "On call"),
];
const CONTACTS: [(&str, &str); 4] = [
    ("Face to face", "Surgery"),
    ("Telephone", "Telephone"),
    ("Face to face", "Patient's home"),
    ("Face to face", "Branch surgery"),
];

/// Local milliseconds.
#[must_use]
pub fn local(day: Day, minute: i32) -> i64 {
    i64::from(day.0) * MILLIS_PER_DAY + i64::from(minute) * MILLIS_PER_MINUTE
}

/// Null or the date that means null.
fn or_none(value: Option<i64>, variant: u8) -> Option<i64> {
    value.or((variant & 1 == 1).then_some(SENTINEL))
}

/// `None` is a slot that nobody booked.
fn status(stage: Stage, variant: u8) -> Option<i32> {
    Some(match stage {
        Stage::Free => return None,
        Stage::Blocked => 6,
        Stage::Booked => {
            if variant & 15 == 3 {
                5
            } else {
                0
            }
        }
        Stage::Arrived => {
            if variant & 7 == 5 {
                9
            } else {
                1
            }
        }
        Stage::InProgress => 3,
        Stage::Attended => match variant & 63 {
            7 => 8,
            9 => 16,
            _ => 4,
        },
        Stage::Dna => {
            if variant & 31 == 4 {
                14
            } else {
                2
            }
        }
        Stage::Cancelled => [10, 10, 11, 12, 10, 11, 15, 10][usize::from(variant & 7)],
    })
}

fn visit_status(stage: Stage, variant: u8) -> &'static str {
    match stage {
        Stage::Free | Stage::Blocked | Stage::Booked | Stage::Arrived | Stage::InProgress => {
            if variant & 7 == 2 {
                "Deferred"
            } else {
                "Requested"
            }
        }
        Stage::Attended => {
            if variant & 3 == 1 {
                "Automatically marked as Finished"
            } else {
                "Finished"
            }
        }
        Stage::Dna => "No Access Visit",
        Stage::Cancelled => [
            "Cancelled by Patient",
            "Cancelled by Unit",
            "Cancelled Due to Death",
            "Rejected",
        ][usize::from(variant & 3)],
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
    let at = |minute: i32| local(state.day, minute);
    let none = |value| or_none(value, state.variant);
    let booked = state.booked.filter(|_| state.is_booked());
    let (rota_name, rota_type) = ROTAS[usize::from(state.variant >> 6)];
    let record = Appointment {
        practice_ods_code: scene.practice,
        extract_id: scene.extract_id(version.at),
        extracted_at: version.at,
        schema_note: None,
        record_type: if state.visit {
            RecordType::Visit
        } else {
            RecordType::Appointment
        },
        row_identifier: ids.row,
        rota_id: (!state.visit)
            .then(|| i64::from(state.day.0) * 64 + i64::from(state.variant >> 4)),
        rota_name,
        rota_type,
        slot_type: state.slot_type,
        date_start: at(state.start),
        date_end: at(state.start + state.planned),
        appointment_status: if state.visit {
            Some(8)
        } else {
            status(state.stage, state.variant)
        },
        visit_status: state
            .visit
            .then(|| visit_status(state.stage, state.variant)),
        date_booked: none(booked.map(|(day, minute)| local(day, minute))),
        date_patient_arrival: none(state.arrived.map(at)),
        date_patient_seen: none(state.seen.map(at)),
        date_finished: none(state.left.map(at)),
        date_cancelled: none(
            state
                .cancelled
                .filter(|_| state.stage == Stage::Cancelled)
                .map(|(day, minute)| local(day, minute)),
        ),
        telephone_appointment: state.telephone,
        staff_role_code: state.role,
        appointment_mode: state.mode,
        national_slot_category: state.category.map(|category| category.category),
        context_type: state.category.and_then(|category| category.context),
        service_setting: state.category.and_then(|category| category.setting),
        removed_data: state.withdrawn,
    };
    batch.push(SupplierTopic::TppAppointments, version.at, chance, |into| {
        record.encode(into);
    });
}

pub fn consultation(
    scene: &Scene<'_>,
    ids: &Ids,
    version: &Version<Encounter>,
    chance: &mut Chance,
    batch: &mut Batch,
) {
    let state = &version.state;
    let (contact_method, contact_event_location) = CONTACTS[usize::from(state.variant & 3)];
    let record = Consultation {
        practice_ods_code: scene.practice,
        extract_id: scene.extract_id(version.at),
        extracted_at: version.at,
        schema_note: None,
        row_identifier: ids.encounter_row,
        appointment_row_identifier: state.linked.then_some(ids.row),
        date_event: local(state.day, state.start.unwrap_or(0)),
        date_event_end: or_none(state.end.map(|end| local(state.day, end)), state.variant),
        contact_method,
        contact_event_location,
        staff_role_code: state.role,
        event_incomplete: !state.complete,
        removed_data: state.withdrawn,
    };
    batch.push(
        SupplierTopic::TppConsultations,
        version.at,
        chance,
        |into| record.encode(into),
    );
}
