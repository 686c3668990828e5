//! From a record as JSON to a slot's or a consultation's version, as feeds.md tells it.

use chrono::{NaiveDate, NaiveDateTime};
use serde_json::Value as Json;

use crate::feed::Fields;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Free,
    NotOffered,
    Booked,
    Arrived,
    Attended,
    Dna,
    Cancelled,
    Withdrawn,
}

#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own, and a test reads it once"
)]
pub struct Slot {
    pub practice: String,
    pub supplier: &'static str,
    pub day: NaiveDate,
    pub state: State,
    /// EMIS: names a booking; others: yes.
    pub booking: bool,
    pub planned: i64,
    pub actual: Option<i64>,
    pub reversed: bool,
    pub role: Option<&'static str>,
    pub mode: &'static str,
    pub wait: Option<i64>,
    pub category: (&'static str, &'static str),
    pub covid: bool,
    pub visit: bool,
    pub start: NaiveDateTime,
    /// EMIS: which booking the version names.
    pub named: Option<String>,
    /// When it was booked, cancelled, arrived and left, as far as it says.
    pub times: [Option<NaiveDateTime>; 4],
}

#[derive(Clone, Debug)]
pub struct Visit {
    pub practice: String,
    pub supplier: &'static str,
    pub day: NaiveDate,
    pub start: NaiveDateTime,
    pub minutes: Option<i64>,
    pub role: Option<&'static str>,
    pub link: Option<Key>,
    pub does_something: bool,
    pub live: bool,
}

/// Supplier, practice, space, id; numbers are padded so that they sort as numbers.
pub type Key = (&'static str, String, &'static str, String);

pub fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields[name].as_str()
}

fn is(fields: &Fields, name: &str) -> bool {
    fields[name].as_bool().expect("a boolean")
}

pub fn day(text: &str) -> NaiveDate {
    let digits = text.replace('-', "");
    NaiveDate::parse_from_str(&digits[..8], "%Y%m%d").expect("a day")
}

/// An instant such as `2022-02-10T12:00:00Z`.
pub fn instant(text: &str) -> NaiveDateTime {
    at(text.trim_end_matches(":00Z"))
}

fn at(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").expect("a time")
}

/// All drawn times lie in winter, where local minutes are real ones.
fn minutes(from: Option<NaiveDateTime>, to: Option<NaiveDateTime>) -> (Option<i64>, bool) {
    match (from, to) {
        (Some(from), Some(to)) if to < from => (None, true),
        (Some(from), Some(to)) => (Some((to - from).num_minutes()), false),
        _ => (None, false),
    }
}

fn group(code: Option<&str>) -> Option<&'static str> {
    Some(match code? {
        "R0260" | "A" | "GP Locum" | "GP Partner" => "GP",
        "R0600" | "D" | "Practice Nurse" => "Nurses",
        "HCA" => "Other Direct Patient Care",
        "R9999" => "Unknown",
        other => panic!("{other} is not drawn"),
    })
}

/// Checks 2, 4, 5 and 8, as far as the draws can fail them; the rest is the caller's.
pub fn refused(topic: &str, fields: &Fields) -> Option<&'static str> {
    match text(fields, "practice_ods_code").expect("a code") {
        "A81001" | "L83002" => {}
        "B81003" => return Some("withheld/declined"),
        _ => return Some("rejected/unknown_practice"),
    }
    let free = ["slot_type_description", "slot_type", "slot_name"];
    let free = free.into_iter().filter(|name| fields.contains_key(*name));
    if free
        .into_iter()
        .any(|name| text(fields, name) == Some("LS1 4AP"))
    {
        return Some("rejected/identifiable_data");
    }
    let unknown = match topic {
        "tpp.appointments" if is(fields, "removed_data") => false,
        "tpp.appointments" if text(fields, "record_type") == Some("VISIT") => {
            text(fields, "visit_status") == Some("?")
        }
        "tpp.appointments" => fields["appointment_status"] == 7,
        "inps.appointments" => text(fields, "status") == Some("?"),
        "microtest.appointments" => text(fields, "state") == Some("?"),
        _ => false,
    };
    unknown.then_some("rejected/unknown_status")
}

pub fn own_day(fields: &Fields) -> NaiveDate {
    let names = [
        "appointment_date",
        "consultation_date",
        "date_start",
        "date_event",
        "date",
        "start",
        "began",
    ];
    let name = names
        .into_iter()
        .find(|name| fields.contains_key(*name))
        .expect("a date");
    day(text(fields, name).expect("a date"))
}

pub fn planned(topic: &str, fields: &Fields) -> i64 {
    let end = |name| at(text(fields, name).expect("a time"));
    match topic {
        "emis.appointments" => fields["planned_duration_minutes"].as_i64(),
        "tpp.appointments" => Some((end("date_end") - end("date_start")).num_minutes()),
        "inps.appointments" => fields["duration"].as_i64(),
        _ => fields["length_minutes"].as_i64(),
    }
    .expect("minutes")
}

fn category(fields: &Fields, practice: &str, slot_type: &str) -> (&'static str, &'static str) {
    match text(fields, "national_slot_category") {
        Some("General Consultation Routine") => {
            ("General Consultation Routine", "General Practice")
        }
        Some(other) => panic!("{other} is not drawn"),
        None if practice == "A81001" && slot_type == "Book on the day" => {
            ("General Consultation Acute", "General Practice")
        }
        None => ("Unmapped", "Unmapped"),
    }
}

/// One version of a slot, and whose it is.
pub fn slot(topic: &str, fields: &Fields) -> (Key, Slot) {
    let practice = text(fields, "practice_ods_code")
        .expect("a code")
        .to_owned();
    let slot_type = ["slot_type_description", "slot_type", "slot_name"];
    let slot_type = slot_type.into_iter().find_map(|name| fields.get(name));
    let slot_type = slot_type.and_then(Json::as_str).expect("a slot type");
    let mut slot = Slot {
        supplier: "",
        day: own_day(fields),
        state: State::Free,
        booking: true,
        planned: planned(topic, fields),
        actual: None,
        reversed: false,
        role: None,
        mode: "Face-to-Face",
        wait: None,
        category: category(fields, &practice, slot_type),
        covid: slot_type == "Covid jab",
        visit: false,
        start: own_day(fields).and_hms_opt(9, 0, 0).expect("a time"),
        named: None,
        times: [None; 4],
        practice: practice.clone(),
    };
    let id = match topic {
        "emis.appointments" => emis(fields, &mut slot),
        "tpp.appointments" => tpp(fields, &mut slot),
        "inps.appointments" => inps(fields, &mut slot),
        _ => microtest(fields, &mut slot),
    };
    let space = if slot.visit { "visit" } else { "slot" };
    ((slot.supplier, practice, space, id), slot)
}

fn local(fields: &Fields, name: &str) -> Option<NaiveDateTime> {
    text(fields, name).map(at)
}

/// A time such as `09:01` of a day.
fn on(day: NaiveDate, time: &str) -> NaiveDateTime {
    at(&format!("{day}T{time}"))
}

fn number(fields: &Fields, name: &str) -> String {
    format!("{:020}", fields[name].as_i64().expect("a number"))
}

fn wait(fields: &Fields, slot: &Slot, name: &str) -> Option<i64> {
    text(fields, name).map(|booked| (slot.day - day(booked)).num_days())
}

fn emis(fields: &Fields, slot: &mut Slot) -> String {
    slot.supplier = "EMIS";
    slot.booking = text(fields, "booking_guid").is_some();
    slot.state = if is(fields, "deleted") {
        State::Withdrawn
    } else if !slot.booking && is(fields, "blocked") {
        State::NotOffered
    } else if !slot.booking {
        State::Free
    } else if is(fields, "did_not_attend") {
        State::Dna
    } else if !fields["left_time"].is_null() {
        State::Attended
    } else if !fields["send_in_time"].is_null() {
        State::Arrived
    } else {
        State::Booked
    };
    slot.actual = fields["actual_duration_minutes"].as_i64();
    slot.role = group(text(fields, "job_category_code"));
    slot.wait = wait(fields, slot, "booked_date");
    slot.named = text(fields, "booking_guid").map(str::to_owned);
    let eight = |day: NaiveDate| day.and_hms_opt(8, 0, 0);
    let booked = text(fields, "booked_date").map(day).and_then(eight);
    let clock = |name: &str| text(fields, name).map(|time| on(slot.day, time));
    slot.times = [booked, None, clock("send_in_time"), clock("left_time")];
    text(fields, "slot_guid").expect("an id").to_owned()
}

fn tpp(fields: &Fields, slot: &mut Slot) -> String {
    slot.supplier = "TPP";
    slot.visit = text(fields, "record_type") == Some("VISIT");
    slot.state = match fields["appointment_status"].as_i64() {
        _ if is(fields, "removed_data") => State::Withdrawn,
        _ if slot.visit => match text(fields, "visit_status").expect("a status") {
            "Requested" => State::Booked,
            "Finished" => State::Attended,
            _ => State::Dna,
        },
        Some(0 | 5) => State::Booked,
        Some(1 | 3) => State::Arrived,
        Some(4 | 16) => State::Attended,
        Some(2 | 14) => State::Dna,
        Some(6) => State::NotOffered,
        Some(10 | 15) => State::Cancelled,
        other => panic!("{other:?} is not drawn"),
    };
    let (seen, finished) = (
        local(fields, "date_patient_seen"),
        local(fields, "date_finished"),
    );
    (slot.actual, slot.reversed) = minutes(seen, finished);
    slot.role = group(text(fields, "staff_role_code"));
    slot.wait = wait(fields, slot, "date_booked");
    let names = [
        "date_booked",
        "date_cancelled",
        "date_patient_arrival",
        "date_finished",
    ];
    slot.times = names.map(|name| local(fields, name));
    number(fields, "row_identifier")
}

fn inps(fields: &Fields, slot: &mut Slot) -> String {
    slot.supplier = "INPS";
    slot.mode = "Unknown";
    slot.state = match text(fields, "status").expect("a status") {
        _ if text(fields, "action") == Some("D") => State::Withdrawn,
        "Free" => State::Free,
        "Blocked" => State::NotOffered,
        "Booked" => State::Booked,
        "Arrived" => State::Arrived,
        "Seen" => State::Attended,
        "DNA" => State::Dna,
        _ => State::Cancelled,
    };
    let clock = |name: &str| {
        let time = text(fields, name)?;
        let (hour, minute) = (time[..2].parse().ok()?, time[2..].parse().ok()?);
        slot.day.and_hms_opt(hour, minute, 0)
    };
    let times = [
        clock("arrived_time"),
        clock("seen_time"),
        clock("left_time"),
    ];
    (slot.actual, slot.reversed) = minutes(times[1], times[2]);
    let eight = |day: NaiveDate| day.and_hms_opt(8, 0, 0);
    let booked = text(fields, "booked_date").map(day).and_then(eight);
    slot.times = [booked, None, times[0], times[2]];
    slot.role = group(text(fields, "hcp_type"));
    slot.wait = wait(fields, slot, "booked_date");
    text(fields, "appt_id").expect("an id").to_owned()
}

fn microtest(fields: &Fields, slot: &mut Slot) -> String {
    slot.supplier = "MICROTEST";
    slot.state = match text(fields, "state").expect("a state") {
        _ if is(fields, "withdrawn") => State::Withdrawn,
        "Free Slot" => State::Free,
        "Booked" => State::Booked,
        "Arrived" => State::Arrived,
        "Seen" => State::Attended,
        "DNA" => State::Dna,
        _ => State::Cancelled,
    };
    (slot.actual, slot.reversed) = minutes(local(fields, "seen_at"), local(fields, "ended_at"));
    slot.role = group(text(fields, "role"));
    slot.wait = wait(fields, slot, "booked_on");
    let names = ["booked_on", "seen_at", "ended_at"];
    let [booked, seen, ended] = names.map(|name| local(fields, name));
    slot.times = [booked, None, seen, ended];
    number(fields, "appointment_no")
}

/// One version of a consultation, and whose it is.
pub fn consultation(topic: &str, fields: &Fields) -> (Key, Visit) {
    let practice = text(fields, "practice_ods_code")
        .expect("a code")
        .to_owned();
    let day_of = own_day(fields);
    let nine_two = day_of.and_hms_opt(9, 2, 0).expect("a time");
    let clock = |name: &str| {
        let (hour, minute) = text(fields, name)?.split_once(':')?;
        day_of.and_hms_opt(hour.parse().ok()?, minute.parse().ok()?, 0)
    };
    let local = |name: &str| text(fields, name).map(at);
    let number = |name: &str| fields[name].as_i64().map(|number| format!("{number:020}"));
    let words = |name: &str| text(fields, name).map(str::to_owned);
    let (supplier, id, link, minutes, role, complete, live) = match topic {
        "emis.consultations" => (
            "EMIS",
            words("consultation_guid"),
            words("slot_guid"),
            minutes(Some(nine_two), clock("end_time")).0,
            "job_category_code",
            is(fields, "complete"),
            !is(fields, "deleted"),
        ),
        "tpp.consultations" => (
            "TPP",
            number("row_identifier"),
            number("appointment_row_identifier"),
            minutes(Some(nine_two), local("date_event_end")).0,
            "staff_role_code",
            !is(fields, "event_incomplete"),
            !is(fields, "removed_data"),
        ),
        "inps.consultations" => (
            "INPS",
            words("id"),
            words("links"),
            fields["duration"].as_i64(),
            "hcp_type",
            true,
            text(fields, "action") != Some("D"),
        ),
        _ => (
            "MICROTEST",
            number("consultation_no"),
            number("appointment_no"),
            minutes(Some(nine_two), local("ended")).0,
            "role",
            true,
            !is(fields, "withdrawn"),
        ),
    };
    let key = (
        supplier,
        practice.clone(),
        "consultation",
        id.expect("an id"),
    );
    let consultation = Visit {
        supplier,
        day: day_of,
        start: nine_two,
        minutes,
        role: group(text(fields, role)),
        link: link.map(|id| (supplier, practice.clone(), "slot", id)),
        does_something: complete && live,
        live,
        practice,
    };
    (key, consultation)
}
