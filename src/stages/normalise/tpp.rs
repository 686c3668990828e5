//! TPP: appointments and home visits in two id spaces, dates with a sentinel (feeds.md, TPP).

use super::{Draft, Fields, Normalise, Refusal, minutes_between, own_category, present};
use crate::domain::draft::{AppointmentDraft, ConsultationDraft, SlotState};
use crate::domain::identity::{IdSpace, Identity, NativeId};
use crate::domain::roles::sds_role_group;
use crate::domain::text::trimmed;
use crate::domain::time::{Local, MILLIS_PER_MINUTE, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::Mode;
use crate::wire::supplier::tpp::{Appointment, Consultation, RecordType};

/// `9999-12-31T00:00:00`, which means null.
const NULL_DATE: i64 = 253_402_214_400_000;

/// A local time within chrono's years.
fn local(millis: i64) -> Option<Local> {
    Some(Local(millis)).filter(|local| local.has_date())
}

/// An optional field without the sentinel.
fn unless_null(millis: Option<i64>) -> Option<i64> {
    millis.filter(|millis| *millis != NULL_DATE)
}

fn state_of_appointment(status: Option<i32>, is_booked: bool) -> Option<SlotState> {
    match status {
        None if is_booked => None,
        None => Some(SlotState::Available),
        Some(0 | 5) => Some(SlotState::Booked),
        Some(1 | 3 | 9) => Some(SlotState::Arrived),
        Some(4 | 8 | 16) => Some(SlotState::Attended),
        Some(2 | 14) => Some(SlotState::Dna),
        Some(10 | 11 | 12 | 15) => Some(SlotState::Cancelled),
        Some(6) => Some(SlotState::NotOffered),
        Some(_) => None,
    }
}

fn state_of_visit(status: Option<&str>) -> Option<SlotState> {
    match status? {
        "Requested" | "Deferred" => Some(SlotState::Booked),
        "Finished" | "Automatically marked as Finished" => Some(SlotState::Attended),
        "No Access Visit" => Some(SlotState::Dna),
        "Cancelled by Patient" | "Cancelled by Unit" | "Cancelled Due to Death" | "Rejected" => {
            Some(SlotState::Cancelled)
        }
        "Deleted" => Some(SlotState::Withdrawn),
        _ => None,
    }
}

impl<'a> Normalise<'a> for Appointment<'a> {
    fn normalise(&self, content: u64) -> Result<Draft<'a>, Refusal> {
        let mut fields = Fields::new();
        let start = unless_null(Some(self.date_start)).and_then(local);
        fields.own_day(start.map(Local::day), "date_start")?;
        let start = fields.parsed(start, "date_start")?;
        let end = fields.optional(unless_null(Some(self.date_end)), "date_end", local)?;
        let date = |value, field| fields.optional(unless_null(value), field, local);
        let booked_at = date(self.date_booked, "date_booked")?;
        let arrived_at = date(self.date_patient_arrival, "date_patient_arrival")?;
        let seen_at = date(self.date_patient_seen, "date_patient_seen")?;
        let left_at = date(self.date_finished, "date_finished")?;
        let cancelled_at = date(self.date_cancelled, "date_cancelled")?;
        let is_visit = self.record_type == RecordType::Visit;
        let state = if self.removed_data {
            SlotState::Withdrawn
        } else if is_visit {
            fields.known(state_of_visit(present(self.visit_status)), "visit_status")?
        } else {
            fields.known(
                state_of_appointment(self.appointment_status, booked_at.is_some()),
                "appointment_status",
            )?
        };
        let (actual_minutes, times_reversed) = minutes_between(seen_at, left_at);
        let space = if is_visit {
            IdSpace::Visit
        } else {
            IdSpace::Appointment
        };
        let mode = match present(self.appointment_mode) {
            Some(native) => Mode::from_native(native),
            None if is_visit => Mode::HomeVisit,
            None if self.telephone_appointment => Mode::Telephone,
            None => Mode::Unknown,
        };
        Ok(Draft::Appointment(AppointmentDraft {
            supplier: Supplier::Tpp,
            identity: Identity::new(
                Supplier::Tpp,
                space,
                self.practice_ods_code,
                NativeId::Number(self.row_identifier),
            ),
            booking: None,
            version: Timestamp(self.extracted_at),
            content,
            start,
            planned_minutes: end.map_or(0, |end| (end.0 - start.0).div_euclid(MILLIS_PER_MINUTE)),
            state,
            booked_on: booked_at.map(Local::day),
            booked_at,
            arrived_at,
            left_at,
            cancelled_at,
            actual_minutes,
            times_reversed,
            role: present(self.staff_role_code).map(sds_role_group),
            mode,
            slot_type: trimmed(self.slot_type),
            own_category: own_category(
                self.national_slot_category,
                self.context_type,
                self.service_setting,
            ),
            is_visit,
        }))
    }
}

impl<'a> Normalise<'a> for Consultation<'a> {
    fn normalise(&self, content: u64) -> Result<Draft<'a>, Refusal> {
        let mut fields = Fields::new();
        let start = unless_null(Some(self.date_event)).and_then(local);
        fields.own_day(start.map(Local::day), "date_event")?;
        let start = fields.parsed(start, "date_event")?;
        let end = fields.optional(unless_null(self.date_event_end), "date_event_end", local)?;
        let identity = |space, number| {
            Identity::new(
                Supplier::Tpp,
                space,
                self.practice_ods_code,
                NativeId::Number(number),
            )
        };
        Ok(Draft::Consultation(ConsultationDraft {
            supplier: Supplier::Tpp,
            identity: identity(IdSpace::Consultation, self.row_identifier),
            native_id: NativeId::Number(self.row_identifier),
            version: Timestamp(self.extracted_at),
            content,
            start,
            minutes: minutes_between(Some(start), end).0,
            role: present(self.staff_role_code).map(sds_role_group),
            link: self
                .appointment_row_identifier
                .map(|number| identity(IdSpace::Appointment, number)),
            complete: !self.event_incomplete,
            withdrawn: self.removed_data,
        }))
    }
}
