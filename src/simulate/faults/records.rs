//! The faulty records themselves: a sound one of each topic, and one thing changed in it.

use super::content::{Content, Moment, wants_appointment, wants_consultation};
use crate::domain::time::{Day, MILLIS_PER_DAY, MILLIS_PER_HOUR, MILLIS_PER_MINUTE};
use crate::domain::topic::{Supplier, SupplierTopic};
use crate::simulate::batch::Batch;
use crate::simulate::calendar::Calendar;
use crate::simulate::chance::Chance;
use crate::simulate::emit::guid;
use crate::simulate::emit::tpp::{SENTINEL, local};
use crate::wire::supplier::{SupplierRecord, emis, inps, microtest, tpp};

/// How many scanned fields the two topics of a supplier have, `schema_note` of both included (feeds.md, rule 2).
#[must_use]
pub const fn scanned_fields(supplier: Supplier) -> usize {
    match supplier {
        Supplier::Emis | Supplier::Inps => 5,
        Supplier::Tpp => 7,
        Supplier::Microtest => 6,
    }
}

/// Writes faulty records of one practice, each of an identity of its own.
pub struct Writer<'a> {
    practice: &'a str,
    calendar: &'a Calendar,
    moment: Moment,
    chance: &'a mut Chance,
    batch: &'a mut Batch,
    /// Far from every number that counted appointments have.
    next: i64,
}

/// What the records of one faulty content share.
struct Draft<'a> {
    practice: &'a str,
    at: i64,
    day: Day,
    minutes: i32,
    number: i64,
    text: &'a str,
    field: Option<usize>,
}

impl Draft<'_> {
    /// The text in the field that is scanned as number `field`, something harmless in the others.
    fn scanned(&self, field: usize, harmless: &'static str) -> &str {
        if self.field == Some(field) {
            self.text
        } else {
            harmless
        }
    }

    fn note(&self, field: usize) -> Option<&str> {
        (self.field == Some(field)).then_some(self.text)
    }

    /// The slot type: the marker, unless the fault is in another field.
    fn slot_type(&self) -> &str {
        match self.field {
            None | Some(0) => self.text,
            Some(_) => "Slot",
        }
    }
}

impl<'a> Writer<'a> {
    /// For a practice.
    pub const fn new(
        practice: &'a str,
        calendar: &'a Calendar,
        moment: Moment,
        chance: &'a mut Chance,
        batch: &'a mut Batch,
    ) -> Self {
        let next = 7_000_000_000_000 + calendar.month.0 as i64 * 1_000_000;
        Self {
            practice,
            calendar,
            moment,
            chance,
            batch,
            next,
        }
    }

    /// Writes the faulty appointment, and the faulty consultation where the fault is one that a consultation can have.
    pub fn write(&mut self, supplier: Supplier, content: Content, text: &str) {
        let Moment { mut day, mut at } = self.moment;
        let mut minutes = 10;
        match content {
            Content::SoundOn { day: extracted } => {
                at = i64::from(extracted.0) * MILLIS_PER_DAY + 12 * MILLIS_PER_HOUR;
            }
            Content::TooOld => day = Day(extracted_on(at).shifted_by_years(-1).0 - 3),
            Content::TooFar => day = Day(extracted_on(at).shifted_by_years(1).0 + 3),
            Content::Duration => minutes = 1_441,
            Content::NegativeDuration => minutes = -5,
            Content::Sound
            | Content::Scanned { .. }
            | Content::Unparseable(_)
            | Content::Status(_) => {}
        }
        self.next += 1;
        let draft = Draft {
            practice: self.practice,
            at: at + self.next % 1_000,
            day,
            minutes,
            number: self.next,
            text,
            field: content.field(),
        };
        match supplier {
            Supplier::Emis => self.emis(&draft, content),
            Supplier::Tpp => self.tpp(&draft, content),
            Supplier::Inps => self.inps(&draft, content),
            Supplier::Microtest => self.microtest(&draft, content),
        }
    }

    fn push<'r, R: SupplierRecord<'r>>(&mut self, topic: SupplierTopic, at: i64, record: R) {
        self.batch
            .push(topic, at, self.chance, |into| record.encode(into));
    }

    fn emis(&mut self, draft: &Draft<'_>, content: Content) {
        // Dates are numbers and there is no status: nothing of the kind can be wrong.
        if matches!(content, Content::Unparseable(_) | Content::Status(_)) {
            return;
        }
        let mut id = String::new();
        guid(0xfa17_0000_0000_0000, draft.number.unsigned_abs(), &mut id);
        let minute = MILLIS_PER_MINUTE as i32;
        let appointment = emis::Appointment {
            practice_ods_code: draft.practice,
            extract_id: "F",
            extracted_at: draft.at,
            schema_note: draft.note(3),
            slot_guid: &id,
            booking_guid: Some(&id),
            session_guid: &id,
            appointment_date: draft.day.0,
            appointment_start_time: 600 * minute,
            planned_duration_minutes: draft.minutes,
            booked_date: Some(draft.day.0 - 1),
            booked_time: Some(540 * minute),
            send_in_time: Some(601 * minute),
            left_time: Some(610 * minute),
            did_not_attend: false,
            actual_duration_minutes: Some(9),
            slot_type_description: draft.slot_type(),
            session_category: draft.scanned(1, "Surgery"),
            job_category_code: Some("R0260"),
            appointment_mode: Some("Telephone/Audio"),
            national_slot_category: None,
            context_type: None,
            service_setting: None,
            blocked: false,
            deleted: false,
        };
        let consultation = emis::Consultation {
            practice_ods_code: draft.practice,
            extract_id: "F",
            extracted_at: draft.at,
            schema_note: draft.note(4),
            consultation_guid: &id,
            slot_guid: None,
            consultation_date: draft.day.0,
            start_time: None,
            end_time: None,
            consultation_type: if draft.field.is_none() {
                draft.text
            } else {
                draft.scanned(2, "Surgery")
            },
            job_category_code: None,
            complete: true,
            deleted: false,
        };
        if wants_appointment(content, &[0, 1, 3]) {
            self.push(SupplierTopic::EmisAppointments, draft.at, appointment);
        }
        if wants_consultation(content, &[2, 4]) {
            self.push(SupplierTopic::EmisConsultations, draft.at, consultation);
        }
    }

    fn tpp(&mut self, draft: &Draft<'_>, content: Content) {
        let start = local(draft.day, 600);
        let unparseable = matches!(content, Content::Unparseable(_));
        let (status, visit_status, record_type) = match content.status() {
            Some(0) => (Some(7), None, tpp::RecordType::Appointment),
            Some(1) => (None, None, tpp::RecordType::Appointment),
            Some(_) => (Some(8), Some("Mislaid"), tpp::RecordType::Visit),
            None => (Some(4), None, tpp::RecordType::Appointment),
        };
        let appointment = tpp::Appointment {
            practice_ods_code: draft.practice,
            extract_id: "F",
            extracted_at: draft.at,
            schema_note: draft.note(5),
            record_type,
            row_identifier: draft.number,
            rota_id: None,
            rota_name: draft.scanned(1, "Morning"),
            rota_type: draft.scanned(2, "Surgery"),
            slot_type: draft.slot_type(),
            date_start: if unparseable { SENTINEL } else { start },
            date_end: start + i64::from(draft.minutes) * MILLIS_PER_MINUTE,
            appointment_status: status,
            visit_status,
            date_booked: Some(start - MILLIS_PER_DAY),
            date_patient_arrival: None,
            date_patient_seen: None,
            date_finished: None,
            date_cancelled: None,
            telephone_appointment: false,
            staff_role_code: Some("R0260"),
            appointment_mode: Some("Telephone/Audio"),
            national_slot_category: None,
            context_type: None,
            service_setting: None,
            removed_data: false,
        };
        let consultation = tpp::Consultation {
            practice_ods_code: draft.practice,
            extract_id: "F",
            extracted_at: draft.at,
            schema_note: draft.note(6),
            row_identifier: draft.number,
            appointment_row_identifier: None,
            date_event: if unparseable { SENTINEL } else { start },
            date_event_end: None,
            contact_method: if draft.field.is_none() {
                draft.text
            } else {
                draft.scanned(3, "Telephone")
            },
            contact_event_location: draft.scanned(4, "Surgery"),
            staff_role_code: None,
            event_incomplete: false,
            removed_data: false,
        };
        if wants_appointment(content, &[0, 1, 2, 5]) {
            self.push(SupplierTopic::TppAppointments, draft.at, appointment);
        }
        if wants_consultation(content, &[3, 4, 6]) {
            self.push(SupplierTopic::TppConsultations, draft.at, consultation);
        }
    }

    fn inps(&mut self, draft: &Draft<'_>, content: Content) {
        let id = format!("F{}", draft.number);
        let calendar = self.calendar;
        let (date, time, booked) = match content.unparseable() {
            Some(0) => ("20221301", "1000", None),
            Some(1) => (calendar.compact(draft.day), "2575", None),
            Some(_) => (calendar.compact(draft.day), "1000", Some("31022022")),
            None => (
                calendar.compact(draft.day),
                "1000",
                Some(calendar.compact(Day(draft.day.0 - 1))),
            ),
        };
        let status = match content.status() {
            Some(0) => "Wandered off",
            Some(1) => "",
            Some(_) => "seen",
            None => "Seen",
        };
        let appointment = inps::Appointment {
            practice_ods_code: draft.practice,
            extract_id: "F",
            extracted_at: draft.at,
            schema_note: draft.note(3),
            appt_id: &id,
            date,
            time,
            duration: draft.minutes,
            status,
            slot_type: draft.slot_type(),
            hcp_type: Some("A"),
            booked_date: booked,
            booked_time: None,
            arrived_time: None,
            seen_time: None,
            left_time: None,
            national_slot_category: None,
            context_type: None,
            service_setting: None,
            action: "",
        };
        let consultation = inps::Consultation {
            practice_ods_code: draft.practice,
            extract_id: "F",
            extracted_at: draft.at,
            schema_note: draft.note(4),
            id: &id,
            date,
            time: Some(time),
            duration: None,
            hcp_type: None,
            session: if draft.field.is_none() {
                draft.text
            } else {
                draft.scanned(1, "Surgery")
            },
            location: draft.scanned(2, "Main surgery"),
            links: None,
            action: "",
        };
        if wants_appointment(content, &[0, 3]) {
            self.push(SupplierTopic::InpsAppointments, draft.at, appointment);
        }
        if wants_consultation(content, &[1, 2, 4]) && content != Content::Unparseable(2) {
            self.push(SupplierTopic::InpsConsultations, draft.at, consultation);
        }
    }

    fn microtest(&mut self, draft: &Draft<'_>, content: Content) {
        let sound = format!("{}T10:00:00", self.calendar.iso(draft.day));
        let start = match content.unparseable() {
            Some(0) => "2022-02-30T10:00",
            Some(1) => "2022-02-10T10:00Z",
            Some(_) => "tomorrow at ten",
            None => sound.as_str(),
        };
        let state = match content.status() {
            Some(0) => "Asleep",
            Some(1) => "",
            Some(_) => "SEEN",
            None => "Seen",
        };
        let appointment = microtest::Appointment {
            practice_ods_code: draft.practice,
            extract_id: "F",
            extracted_at: draft.at,
            schema_note: draft.note(4),
            appointment_no: draft.number,
            start,
            length_minutes: draft.minutes,
            state,
            slot_name: draft.slot_type(),
            role: Some(draft.scanned(1, "GP Partner")),
            contact: Some(draft.scanned(2, "Telephone")),
            booked_on: None,
            seen_at: None,
            ended_at: None,
            national_slot_category: None,
            context_type: None,
            service_setting: None,
            withdrawn: false,
        };
        let consultation = microtest::Consultation {
            practice_ods_code: draft.practice,
            extract_id: "F",
            extracted_at: draft.at,
            schema_note: draft.note(5),
            consultation_no: draft.number,
            appointment_no: None,
            began: start,
            ended: None,
            role: Some(if draft.field.is_none() {
                draft.text
            } else {
                draft.scanned(3, "GP Partner")
            }),
            withdrawn: false,
        };
        if wants_appointment(content, &[0, 1, 2, 4]) {
            self.push(SupplierTopic::MicrotestAppointments, draft.at, appointment);
        }
        if wants_consultation(content, &[3, 5]) {
            self.push(
                SupplierTopic::MicrotestConsultations,
                draft.at,
                consultation,
            );
        }
    }
}

/// The London day of an instant in the evening, which is also the day in UTC.
fn extracted_on(at: i64) -> Day {
    Day(i32::try_from(at.div_euclid(MILLIS_PER_DAY)).unwrap_or(0))
}
