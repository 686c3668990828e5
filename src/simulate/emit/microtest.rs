//! Microtest, whose fields are made up: ISO local times, a contact for the mode.

use crate::domain::time::Day;
use crate::domain::topic::SupplierTopic;
use crate::simulate::batch::Batch;
use crate::simulate::calendar::Calendar;
use crate::simulate::chance::Chance;
use crate::simulate::life::{Encounter, Stage, State, Version};
use crate::wire::supplier::SupplierRecord;
use crate::wire::supplier::microtest::{Appointment, Consultation};

use super::{Ids, Scene};

fn state_text(stage: Stage, variant: u8) -> &'static str {
    match stage {
        Stage::Free | Stage::Blocked => "Free Slot",
        Stage::Booked => match variant & 15 {
            1 | 2 => "Web Appointment",
            3 => "Overdue",
            _ => "Booked",
        },
        Stage::Arrived => "Arrived",
        Stage::InProgress => "In Consultation",
        Stage::Attended => "Seen",
        Stage::Dna => "DNA",
        Stage::Cancelled => "Cancelled",
    }
}

/// `yyyy-MM-ddTHH:mm`, half of them with seconds.
fn iso(calendar: &Calendar, day: Day, minute: i32, variant: u8) -> String {
    let time = calendar.hhmm(minute);
    let mut text = String::with_capacity(20);
    for part in [calendar.iso(day), "T", &time[..2], ":", &time[2..]] {
        text.push_str(part);
    }
    if variant & 1 == 1 {
        text.push_str(":00");
    }
    text
}

pub fn appointment(
    scene: &Scene<'_>,
    ids: &Ids,
    version: &Version<State>,
    chance: &mut Chance,
    batch: &mut Batch,
) {
    let state = &version.state;
    let at = |day: Day, minute: i32| iso(scene.calendar, day, minute, state.variant);
    let start = at(state.day, state.start);
    let booked = state
        .booked
        .filter(|_| state.is_booked())
        .map(|(day, minute)| at(day, minute));
    let seen = state.seen.map(|minute| at(state.day, minute));
    let ended = state.left.map(|minute| at(state.day, minute));
    // Empty text is missing, as null is.
    let none = (state.variant & 2 == 2).then_some("");
    let record = Appointment {
        practice_ods_code: scene.practice,
        extract_id: scene.extract_id(version.at),
        extracted_at: version.at,
        schema_note: None,
        appointment_no: ids.row,
        start: &start,
        length_minutes: state.planned,
        state: state_text(state.stage, state.variant),
        slot_name: state.slot_type,
        role: state.role.or(none),
        contact: state.mode,
        booked_on: booked.as_deref().or(none),
        seen_at: seen.as_deref().or(none),
        ended_at: ended.as_deref().or(none),
        national_slot_category: state.category.map(|category| category.category),
        context_type: state.category.and_then(|category| category.context),
        service_setting: state.category.and_then(|category| category.setting),
        withdrawn: state.withdrawn,
    };
    batch.push(
        SupplierTopic::MicrotestAppointments,
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
    let at = |minute: i32| iso(scene.calendar, state.day, minute, state.variant);
    let began = at(state.start.unwrap_or(0));
    let ended = state.end.map(at);
    let record = Consultation {
        practice_ods_code: scene.practice,
        extract_id: scene.extract_id(version.at),
        extracted_at: version.at,
        schema_note: None,
        consultation_no: ids.encounter_row,
        appointment_no: state.linked.then_some(ids.row),
        began: &began,
        ended: ended.as_deref(),
        role: state.role,
        withdrawn: state.withdrawn,
    };
    batch.push(
        SupplierTopic::MicrotestConsultations,
        version.at,
        chance,
        |into| record.encode(into),
    );
}
