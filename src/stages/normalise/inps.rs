//! INPS: dates and times as digits, no mode (feeds.md, INPS).

use super::{Draft, Fields, Normalise, Refusal, identity, minutes_between, own_category, present};
use crate::domain::draft::{AppointmentDraft, ConsultationDraft, SlotState};
use crate::domain::identity::{IdSpace, Identity, NativeId};
use crate::domain::roles::inps_role_group;
use crate::domain::text::{number, trimmed};
use crate::domain::time::{Day, Local, MILLIS_PER_MINUTE, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::Mode;
use crate::wire::supplier::inps::{Appointment, Consultation};

/// `yyyyMMdd`.
fn date(text: &str) -> Option<Day> {
    let [y1, y2, y3, y4, m1, m2, d1, d2] = trimmed(text).as_bytes().try_into().ok()?;
    let year = number([y1, y2, y3, y4])?;
    Day::from_ymd(year.cast_signed(), number([m1, m2])?, number([d1, d2])?)
}

/// `HHmm`, in milliseconds of the day.
fn time(text: &str) -> Option<i64> {
    let [h1, h2, m1, m2] = trimmed(text).as_bytes().try_into().ok()?;
    let (hour, minute) = (number([h1, h2])?, number([m1, m2])?);
    (hour < 24 && minute < 60).then_some(i64::from(hour * 60 + minute) * MILLIS_PER_MINUTE)
}

fn is_withdrawn(action: &str) -> bool {
    trimmed(action) == "D"
}

fn appointment(practice: &str, id: &str) -> Identity {
    Identity::new(
        Supplier::Inps,
        IdSpace::Appointment,
        practice,
        NativeId::Text(id),
    )
}

impl<'a> Normalise<'a> for Appointment<'a> {
    fn normalise(&self, content: u64) -> Result<Draft<'a>, Refusal> {
        let mut fields = Fields::new();
        let day = fields.own_day(date(self.date), "date")?;
        let id = fields.required_identity(self.appt_id, "appt_id")?;
        let start = fields.parsed(time(self.time), "time")?;
        let booked_on = fields.optional(present(self.booked_date), "booked_date", date)?;
        let booked_time = fields.optional(present(self.booked_time), "booked_time", time)?;
        let at = |value, field| -> Result<Option<Local>, Refusal> {
            let time = fields.optional(present(value), field, time)?;
            Ok(time.map(|time| Local::new(day, time)))
        };
        let arrived_at = at(self.arrived_time, "arrived_time")?;
        let seen_at = at(self.seen_time, "seen_time")?;
        let left_at = at(self.left_time, "left_time")?;
        let status = match trimmed(self.status) {
            "Free" => Some(SlotState::Available),
            "Blocked" => Some(SlotState::NotOffered),
            "Booked" => Some(SlotState::Booked),
            "Arrived" | "In consultation" => Some(SlotState::Arrived),
            "Seen" => Some(SlotState::Attended),
            "DNA" => Some(SlotState::Dna),
            "Cancelled" => Some(SlotState::Cancelled),
            _ => None,
        };
        let state = fields.known(status, "status")?;
        let (actual_minutes, times_reversed) = minutes_between(seen_at, left_at);
        Ok(Draft::Appointment(AppointmentDraft {
            supplier: Supplier::Inps,
            identity: appointment(self.practice_ods_code, id),
            booking: None,
            version: Timestamp(self.extracted_at),
            content,
            start: Local::new(day, start),
            planned_minutes: i64::from(self.duration),
            state: if is_withdrawn(self.action) {
                SlotState::Withdrawn
            } else {
                state
            },
            booked_on,
            booked_at: booked_on.map(|day| Local::new(day, booked_time.unwrap_or(0))),
            arrived_at,
            left_at,
            cancelled_at: None,
            actual_minutes,
            times_reversed,
            role: present(self.hcp_type).map(inps_role_group),
            mode: Mode::Unknown,
            slot_type: trimmed(self.slot_type),
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
        let day = fields.own_day(date(self.date), "date")?;
        let id = fields.required_identity(self.id, "id")?;
        let start = fields.optional(present(self.time), "time", time)?;
        Ok(Draft::Consultation(ConsultationDraft {
            supplier: Supplier::Inps,
            identity: Identity::new(
                Supplier::Inps,
                IdSpace::Consultation,
                self.practice_ods_code,
                NativeId::Text(id),
            ),
            native_id: NativeId::Text(self.id),
            version: Timestamp(self.extracted_at),
            content,
            start: Local::new(day, start.unwrap_or(0)),
            minutes: self.duration.map(i64::from).filter(|minutes| *minutes >= 0),
            role: present(self.hcp_type).map(inps_role_group),
            link: identity(self.links).map(|id| appointment(self.practice_ods_code, id)),
            complete: true,
            withdrawn: is_withdrawn(self.action),
        }))
    }
}
