//! EMIS: a slot with at most one booking, its status told by its fields (feeds.md, EMIS).

use super::{
    Draft, Fields, Normalise, Refusal, avro_date, avro_time, identity, minutes_between,
    own_category, present,
};
use crate::domain::draft::{AppointmentDraft, ConsultationDraft, SlotState};
use crate::domain::identity::{BookingId, IdSpace, Identity, NativeId};
use crate::domain::roles::sds_role_group;
use crate::domain::text::trimmed;
use crate::domain::time::{Local, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::Mode;
use crate::wire::supplier::emis::{Appointment, Consultation};

fn slot(practice: &str, guid: &str) -> Identity {
    Identity::new(
        Supplier::Emis,
        IdSpace::Appointment,
        practice,
        NativeId::Text(guid),
    )
}

impl<'a> Normalise<'a> for Appointment<'a> {
    fn normalise(&self, content: u64) -> Result<Draft<'a>, Refusal> {
        let mut fields = Fields::new();
        let day = fields.own_day(avro_date(self.appointment_date), "appointment_date")?;
        let slot_guid = fields.required_identity(self.slot_guid, "slot_guid")?;
        let start = fields.parsed(
            avro_time(self.appointment_start_time),
            "appointment_start_time",
        )?;
        let booked_on = fields.optional(self.booked_date, "booked_date", avro_date)?;
        let booked_time = fields.optional(self.booked_time, "booked_time", avro_time)?;
        let sent_in = fields.optional(self.send_in_time, "send_in_time", avro_time)?;
        let left = fields.optional(self.left_time, "left_time", avro_time)?;
        let booking = identity(self.booking_guid);
        let state = if self.deleted {
            SlotState::Withdrawn
        } else if booking.is_none() {
            if self.blocked {
                SlotState::NotOffered
            } else {
                SlotState::Available
            }
        } else if self.did_not_attend {
            SlotState::Dna
        } else if left.is_some() {
            SlotState::Attended
        } else if sent_in.is_some() {
            SlotState::Arrived
        } else {
            SlotState::Booked
        };
        let on_the_day = |time: Option<i64>| time.map(|time| Local::new(day, time));
        Ok(Draft::Appointment(AppointmentDraft {
            supplier: Supplier::Emis,
            identity: slot(self.practice_ods_code, slot_guid),
            booking: booking.map(BookingId::new),
            version: Timestamp(self.extracted_at),
            content,
            start: Local::new(day, start),
            planned_minutes: i64::from(self.planned_duration_minutes),
            state,
            booked_on,
            booked_at: booked_on.map(|day| Local::new(day, booked_time.unwrap_or(0))),
            arrived_at: on_the_day(sent_in),
            left_at: on_the_day(left),
            cancelled_at: None,
            actual_minutes: self.actual_duration_minutes.map(i64::from),
            times_reversed: false,
            role: present(self.job_category_code).map(sds_role_group),
            mode: present(self.appointment_mode).map_or(Mode::Unknown, Mode::from_native),
            slot_type: trimmed(self.slot_type_description),
            own_category: own_category(
                self.national_slot_category,
                self.context_type,
                self.service_setting,
            ),
            is_visit: false,
        }))
    }
}

impl<'a> Normalise<'a> for Consultation<'a> {
    fn normalise(&self, content: u64) -> Result<Draft<'a>, Refusal> {
        let mut fields = Fields::new();
        let day = fields.own_day(avro_date(self.consultation_date), "consultation_date")?;
        let guid = fields.required_identity(self.consultation_guid, "consultation_guid")?;
        let start = fields.optional(self.start_time, "start_time", avro_time)?;
        let end = fields.optional(self.end_time, "end_time", avro_time)?;
        let at = |time: Option<i64>| time.map(|time| Local::new(day, time));
        Ok(Draft::Consultation(ConsultationDraft {
            supplier: Supplier::Emis,
            identity: Identity::new(
                Supplier::Emis,
                IdSpace::Consultation,
                self.practice_ods_code,
                NativeId::Text(guid),
            ),
            native_id: NativeId::Text(self.consultation_guid),
            version: Timestamp(self.extracted_at),
            content,
            start: Local::new(day, start.unwrap_or(0)),
            minutes: minutes_between(at(start), at(end)).0,
            role: present(self.job_category_code).map(sds_role_group),
            link: identity(self.slot_guid).map(|guid| slot(self.practice_ods_code, guid)),
            complete: self.complete,
            withdrawn: self.deleted,
        }))
    }
}
