//! Microtest: ISO local date-times without a zone (feeds.md, Microtest; its fields are made up).

use chrono::NaiveDateTime;

use super::{Draft, Fields, Normalise, Refusal, minutes_between, own_category, present};
use crate::domain::draft::{AppointmentDraft, ConsultationDraft, SlotState};
use crate::domain::identity::{IdSpace, Identity, NativeId};
use crate::domain::roles::microtest_role_group;
use crate::domain::time::{Local, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::Mode;
use crate::wire::supplier::microtest::{Appointment, Consultation};

/// `2022-02-01T09:00`, with or without seconds; anything further is unparseable.
fn date_time(text: &str) -> Option<Local> {
    let text = text.trim();
    let format = if text.len() == 16 {
        "%Y-%m-%dT%H:%M"
    } else {
        "%Y-%m-%dT%H:%M:%S%.f"
    };
    // chrono also reads fields that are short of their digits, or have a sign or a space in their place.
    let is_fixed = text
        .bytes()
        .take(19)
        .enumerate()
        .all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    (is_fixed && (text.len() == 16 || text.len() >= 19))
        .then(|| NaiveDateTime::parse_from_str(text, format).ok())
        .flatten()
        .map(|at| Local(at.and_utc().timestamp_millis()))
}

fn identity(practice: &str, space: IdSpace, number: i64) -> Identity {
    Identity::new(
        Supplier::Microtest,
        space,
        practice,
        NativeId::Number(number),
    )
}

impl<'a> Normalise<'a> for Appointment<'a> {
    fn normalise(&self, content: u64) -> Result<Draft<'a>, Refusal> {
        let mut fields = Fields::new();
        let start = date_time(self.start);
        fields.own_day(start.map(Local::day), "start")?;
        let start = fields.parsed(start, "start")?;
        let at = |value, field| fields.optional(present(value), field, date_time);
        let booked_at = at(self.booked_on, "booked_on")?;
        let seen_at = at(self.seen_at, "seen_at")?;
        let left_at = at(self.ended_at, "ended_at")?;
        let status = match self.state.trim() {
            "Free Slot" => Some(SlotState::Available),
            "Booked" | "Web Appointment" | "Overdue" => Some(SlotState::Booked),
            "Arrived" | "In Consultation" => Some(SlotState::Arrived),
            "Seen" => Some(SlotState::Attended),
            "DNA" => Some(SlotState::Dna),
            "Cancelled" => Some(SlotState::Cancelled),
            _ => None,
        };
        let state = fields.known(status, "state")?;
        let (actual_minutes, times_reversed) = minutes_between(seen_at, left_at);
        let mode = match self.contact.map(str::trim) {
            Some("Surgery") => Mode::FaceToFace,
            Some("Visit") => Mode::HomeVisit,
            Some("Telephone") => Mode::Telephone,
            Some("Online") => Mode::VideoOnline,
            _ => Mode::Unknown,
        };
        Ok(Draft::Appointment(AppointmentDraft {
            supplier: Supplier::Microtest,
            identity: identity(
                self.practice_ods_code,
                IdSpace::Appointment,
                self.appointment_no,
            ),
            booking: None,
            version: Timestamp(self.extracted_at),
            content,
            start,
            planned_minutes: i64::from(self.length_minutes),
            state: if self.withdrawn {
                SlotState::Withdrawn
            } else {
                state
            },
            booked_on: booked_at.map(Local::day),
            booked_at,
            arrived_at: seen_at,
            left_at,
            cancelled_at: None,
            actual_minutes,
            times_reversed,
            role: present(self.role).map(microtest_role_group),
            mode,
            slot_type: self.slot_name.trim(),
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
        let start = date_time(self.began);
        fields.own_day(start.map(Local::day), "began")?;
        let start = fields.parsed(start, "began")?;
        let end = fields.optional(present(self.ended), "ended", date_time)?;
        Ok(Draft::Consultation(ConsultationDraft {
            supplier: Supplier::Microtest,
            identity: identity(
                self.practice_ods_code,
                IdSpace::Consultation,
                self.consultation_no,
            ),
            native_id: NativeId::Number(self.consultation_no),
            version: Timestamp(self.extracted_at),
            content,
            start,
            minutes: minutes_between(Some(start), end).0,
            role: present(self.role).map(microtest_role_group),
            link: self
                .appointment_no
                .map(|number| identity(self.practice_ods_code, IdSpace::Appointment, number)),
            complete: true,
            withdrawn: self.withdrawn,
        }))
    }
}
