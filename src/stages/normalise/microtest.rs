//! Microtest: ISO local date-times without a zone (feeds.md, Microtest; its fields are made up).

use chrono::NaiveDateTime;

use super::{Draft, Fields, Normalise, Refusal, minutes_between, own_category, present};
use crate::domain::draft::{AppointmentDraft, ConsultationDraft, SlotState};
use crate::domain::identity::{IdSpace, Identity, NativeId};
use crate::domain::roles::microtest_role_group;
use crate::domain::text::{number, trimmed};
use crate::domain::time::{Day, Local, MILLIS_PER_SECOND, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::Mode;
use crate::wire::supplier::microtest::{Appointment, Consultation};

/// `2022-02-01T09:00`, with or without seconds; anything further is unparseable.
fn date_time(text: &str) -> Option<Local> {
    let text = trimmed(text);
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        rest @ ..,
    ] = text.as_bytes()
    else {
        return None;
    };
    let year = number([*y1, *y2, *y3, *y4])?;
    let day = Day::from_ymd(year.cast_signed(), number([*m1, *m2])?, number([*d1, *d2])?)?;
    let (hours, minutes) = (number([*h1, *h2])?, number([*n1, *n2])?);
    let seconds = match rest {
        [] => 0,
        [b':', s1, s2] => number([*s1, *s2])?,
        // Fractions; chrono also reads fields that are short of their digits, or have a sign or a space in their place.
        [b':', s1, s2, ..] => {
            number([*s1, *s2])?;
            let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
            return Some(Local(at.and_utc().timestamp_millis()));
        }
        _ => return None,
    };
    // A leap second is one.
    let is_time = hours < 24 && minutes < 60 && seconds <= 60;
    let of_day = i64::from(hours * 3_600 + minutes * 60 + seconds) * MILLIS_PER_SECOND;
    is_time.then(|| Local::new(day, of_day))
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
        let status = match trimmed(self.state) {
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
        let mode = match self.contact.map(trimmed) {
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
            slot_type: trimmed(self.slot_name),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What chrono makes of a text whose fields have all their digits.
    fn by_chrono(text: &str) -> Option<Local> {
        let text = text.trim();
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
        let format = match text.len() {
            16 => "%Y-%m-%dT%H:%M",
            19.. => "%Y-%m-%dT%H:%M:%S%.f",
            _ => return None,
        };
        let at = NaiveDateTime::parse_from_str(text, format).ok()?;
        is_fixed.then(|| Local(at.and_utc().timestamp_millis()))
    }

    proptest! {
        #[test]
        fn a_date_and_time_is_what_chrono_makes_of_it(
            text in "[ ]?[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9](:[0-6][0-9](\\.[0-9]{1,4})?)?[ Zx]?",
            (cut, place, byte) in (0..30_usize, 0..30_usize, prop::option::of("[0-9+ :T-]")),
        ) {
            let mut text = text;
            if let Some(byte) = byte.filter(|_| place < text.len()) {
                text.replace_range(place..=place, &byte);
            }
            prop_assert_eq!(date_time(&text), by_chrono(&text), "{}", text);
            text.truncate(cut);
            prop_assert_eq!(date_time(&text), by_chrono(&text), "{}", text);
        }
    }

    #[test]
    fn days_and_leap_seconds_are_those_of_the_calendar() {
        for text in [
            "2022-02-29T09:00",
            "2024-02-29T09:00",
            "2022-02-01T24:00",
            "2022-02-01T09:60",
            "2022-02-01T09:00:60",
            "2022-02-01T23:59:60.5",
            "0000-01-01T00:00",
        ] {
            assert_eq!(date_time(text), by_chrono(text), "{text}");
        }
    }
}
