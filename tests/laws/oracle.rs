//! A second reading of feeds.md, slow and plain: from records as JSON to dispositions and figures.
//!
//! It shares no code with the core, and knows the texts that the laws draw and no others.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime};
use serde_json::Value as Json;

use crate::feed::Fields;

/// What the oracle makes of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Topic and disposition; accepted and unchanged together, since which fields an aggregate reads
    /// is the aggregates' matter.
    pub ledger: BTreeMap<(String, String), i64>,
    /// Aggregate, code, day, dimensions, measure.
    pub figures: BTreeMap<String, i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
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
struct Slot {
    practice: String,
    supplier: &'static str,
    day: NaiveDate,
    state: State,
    /// EMIS: names a booking; others: yes.
    booking: bool,
    planned: i64,
    actual: Option<i64>,
    reversed: bool,
    role: Option<&'static str>,
    mode: &'static str,
    wait: Option<i64>,
    category: (&'static str, &'static str),
    covid: bool,
    visit: bool,
}

#[derive(Clone, Debug)]
struct Visit {
    practice: String,
    supplier: &'static str,
    day: NaiveDate,
    start: NaiveDateTime,
    minutes: Option<i64>,
    role: Option<&'static str>,
    link: Option<Key>,
    does_something: bool,
    live: bool,
}

/// Supplier, practice, space, id; numbers are padded so that they sort as numbers.
type Key = (&'static str, String, &'static str, String);

struct Held<T> {
    version: String,
    content: Fields,
    is: T,
}

fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields[name].as_str()
}

fn is(fields: &Fields, name: &str) -> bool {
    fields[name].as_bool().expect("a boolean")
}

fn day(text: &str) -> NaiveDate {
    let digits = text.replace('-', "");
    NaiveDate::parse_from_str(&digits[..8], "%Y%m%d").expect("a day")
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
        "R0260" | "A" | "GP Locum" => "GP",
        "GP Partner" => "GP",
        "R0600" | "D" | "Practice Nurse" => "Nurses",
        "HCA" => "Other Direct Patient Care",
        "R9999" => "Unknown",
        other => panic!("{other} is not drawn"),
    })
}

fn hcp(group: &str) -> &'static str {
    match group {
        "GP" => "GP",
        "Nurses" | "Other Direct Patient Care" => "Other Practice staff",
        _ => "Unknown",
    }
}

fn band(minutes: Option<i64>) -> &'static str {
    match minutes {
        Some(1..=5) => "1-5 Minutes",
        Some(6..=10) => "6-10 Minutes",
        Some(11..=15) => "11-15 Minutes",
        Some(16..=20) => "16-20 Minutes",
        Some(21..=30) => "21-30 Minutes",
        Some(31..=60) => "31-60 Minutes",
        _ => "Unknown / Data Quality",
    }
}

fn waiting(days: Option<i64>) -> &'static str {
    match days {
        Some(0) => "Same Day",
        Some(1) => "1 Day",
        Some(2..=7) => "2 to 7 Days",
        Some(8..=14) => "8  to 14 Days",
        Some(15..=21) => "15  to 21 Days",
        Some(22..=28) => "22  to 28 Days",
        Some(29..) => "More than 28 Days",
        _ => "Unknown / Data Quality",
    }
}

/// Checks 2, 4, 5 and 8, as far as the draws can fail them; the rest is the caller's.
fn refused(topic: &str, fields: &Fields) -> Option<&'static str> {
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

fn own_day(fields: &Fields) -> NaiveDate {
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

fn planned(topic: &str, fields: &Fields) -> i64 {
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

fn slot(topic: &str, fields: &Fields) -> (Key, Slot) {
    let practice = text(fields, "practice_ods_code")
        .expect("a code")
        .to_owned();
    let day_of = own_day(fields);
    let clock = |name: &str| {
        let time = text(fields, name)?.replace(':', "");
        Some(day_of.and_hms_opt(time[..2].parse().ok()?, time[2..4].parse().ok()?, 0)?)
    };
    let local = |name: &str| text(fields, name).map(at);
    let number = |name: &str| format!("{:020}", fields[name].as_i64().expect("a number"));
    let booked = |name: &str| text(fields, name).map(|booked| (day_of - day(booked)).num_days());
    let slot_type = ["slot_type_description", "slot_type", "slot_name"];
    let slot_type = slot_type
        .into_iter()
        .find_map(|name| fields.get(name))
        .expect("a slot type");
    let slot_type = slot_type.as_str().expect("a text");
    let mut slot = Slot {
        supplier: "",
        day: day_of,
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
        practice: practice.clone(),
    };
    let (space, id);
    match topic {
        "emis.appointments" => {
            (space, id) = ("slot", text(fields, "slot_guid").expect("an id").to_owned());
            slot.supplier = "EMIS";
            slot.booking = text(fields, "booking_guid").is_some();
            slot.state = if is(fields, "deleted") {
                State::Withdrawn
            } else if !slot.booking {
                if is(fields, "blocked") {
                    State::NotOffered
                } else {
                    State::Free
                }
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
            slot.wait = booked("booked_date");
        }
        "tpp.appointments" => {
            slot.visit = text(fields, "record_type") == Some("VISIT");
            (space, id) = (
                if slot.visit { "visit" } else { "slot" },
                number("row_identifier"),
            );
            slot.supplier = "TPP";
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
            (slot.actual, slot.reversed) =
                minutes(local("date_patient_seen"), local("date_finished"));
            slot.role = group(text(fields, "staff_role_code"));
            slot.wait = booked("date_booked");
        }
        "inps.appointments" => {
            (space, id) = ("slot", text(fields, "appt_id").expect("an id").to_owned());
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
            (slot.actual, slot.reversed) = minutes(clock("seen_time"), clock("left_time"));
            slot.role = group(text(fields, "hcp_type"));
            slot.wait = booked("booked_date");
        }
        _ => {
            (space, id) = ("slot", number("appointment_no"));
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
            (slot.actual, slot.reversed) = minutes(local("seen_at"), local("ended_at"));
            slot.role = group(text(fields, "role"));
            slot.wait = booked("booked_on");
        }
    }
    ((slot.supplier, practice, space, id), slot)
}

fn consultation(topic: &str, fields: &Fields) -> (Key, Visit) {
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

/// Where a version ends, and whether it is now the one held.
fn compare<T>(
    held: &mut BTreeMap<Key, Held<T>>,
    key: Key,
    fields: &Fields,
    is: T,
) -> (&'static str, bool) {
    let version = text(fields, "extracted_at").expect("a version").to_owned();
    let mut content = fields.clone();
    for wrapper in [
        "practice_ods_code",
        "extract_id",
        "extracted_at",
        "schema_note",
    ] {
        content.remove(wrapper);
    }
    let (ends, replaces) = match held.get(&key) {
        None => ("accepted", true),
        Some(held) if version > held.version => ("accepted", true),
        Some(held) if version < held.version => ("superseded", false),
        Some(held) if content == held.content => ("duplicate", false),
        Some(_) => ("conflicting", true),
    };
    if replaces {
        held.insert(
            key,
            Held {
                version,
                content,
                is,
            },
        );
    }
    (ends, replaces)
}

/// Everything that feeds.md says of a stream, at a time after all drawn days but 2022-03-01.
pub fn tell(stream: &[(&'static str, Fields)]) -> Told {
    let mut told = Told::default();
    let mut slots = BTreeMap::<Key, Held<Slot>>::new();
    let mut consultations = BTreeMap::<Key, Held<Visit>>::new();
    let mut named = BTreeMap::<Key, bool>::new();
    let mut ends = BTreeMap::<Key, (&str, &str)>::new();
    for (topic, fields) in stream {
        let is_appointment = topic.ends_with(".appointments");
        let late = || {
            if own_day(fields) < day("2021-02-10") {
                Some("rejected/date_out_of_range")
            } else if is_appointment && !(0..=1440).contains(&planned(topic, fields)) {
                Some("rejected/duration_out_of_range")
            } else {
                None
            }
        };
        let ended = if let Some(reason) = refused(topic, fields).or_else(late) {
            reason
        } else if is_appointment {
            let (key, slot) = slot(topic, fields);
            *named.entry(key.clone()).or_default() |= slot.booking;
            compare(&mut slots, key, fields, slot).0
        } else {
            let (key, consultation) = consultation(topic, fields);
            let (ended, replaces) = compare(&mut consultations, key.clone(), fields, consultation);
            if replaces {
                ends.insert(key, (*topic, ended));
            }
            ended
        };
        *told
            .ledger
            .entry(((*topic).to_owned(), ended.to_owned()))
            .or_default() += 1;
    }
    for (key, held) in &consultations {
        let link = held.is.link.as_ref();
        let waits =
            held.is.live && link.is_some_and(|link| !named.get(link).is_some_and(|named| *named));
        if waits {
            let (topic, ended) = ends[key];
            *told
                .ledger
                .entry((topic.to_owned(), ended.to_owned()))
                .or_default() -= 1;
            *told
                .ledger
                .entry((topic.to_owned(), "pending".to_owned()))
                .or_default() += 1;
        }
        if held.is.link.is_none() && held.is.does_something {
            told.quality(
                &held.is.practice,
                held.is.supplier,
                held.is.day,
                "unbooked_consultations",
            );
        }
    }
    told.ledger.retain(|_, records| *records != 0);
    for (key, held) in &slots {
        let linked = consultations
            .iter()
            .filter(|(_, held)| held.is.link.as_ref() == Some(key));
        let mut linked: Vec<_> = linked.filter(|(_, held)| held.is.does_something).collect();
        linked.sort_by(|a, b| (a.1.is.start, &a.0.3).cmp(&(b.1.is.start, &b.0.3)));
        let linked: Vec<&Visit> = linked.into_iter().map(|(_, held)| &held.is).collect();
        told.slot(&held.is, &linked, named[key]);
    }
    told
}

impl Told {
    fn add(
        &mut self,
        aggregate: &str,
        day: NaiveDate,
        dimensions: &[&str],
        measure: &str,
        count: i64,
    ) {
        if count != 0 {
            let cell = format!("{aggregate} {day} {} {measure}", dimensions.join("|"));
            *self.figures.entry(cell).or_default() += count;
        }
    }

    fn quality(&mut self, practice: &str, supplier: &str, day: NaiveDate, measure: &str) {
        self.add("quality practice", day, &[practice], measure, 1);
        self.add("quality supplier", day, &[supplier], measure, 1);
    }

    fn slot(&mut self, slot: &Slot, linked: &[&Visit], was_booked: bool) {
        if slot.covid {
            return;
        }
        let is_past = slot.day < day("2022-02-20");
        let is_cancelled = slot.state == State::Cancelled || !slot.booking && was_booked;
        if slot.state == State::Dna || is_cancelled {
            for _ in linked {
                self.quality(&slot.practice, slot.supplier, slot.day, "contradictions");
            }
        }
        let state = match slot.state {
            State::Arrived if !linked.is_empty() => State::Attended,
            State::Booked if is_past && !linked.is_empty() => State::Attended,
            state => state,
        };
        let offered = !matches!(state, State::NotOffered | State::Withdrawn);
        if offered && !slot.visit {
            let uses: &[&str] = match state {
                State::Booked | State::Arrived => &["booked"],
                State::Attended => &["booked", "attended"],
                State::Dna => &["booked", "dna"],
                _ => &["unused"],
            };
            for used in [&["offered"], uses].concat() {
                self.add(
                    "capacity",
                    slot.day,
                    &[slot.supplier],
                    &format!("slots_{used}"),
                    1,
                );
                self.add(
                    "capacity",
                    slot.day,
                    &[slot.supplier],
                    &format!("minutes_{used}"),
                    slot.planned,
                );
            }
        }
        let status = match state {
            State::Attended => "Attended",
            State::Dna => "DNA",
            State::Booked | State::Arrived => "Unknown",
            _ => return,
        };
        if !is_past {
            return;
        }
        let linked = if state == State::Dna { &[] } else { linked };
        let actual = slot
            .actual
            .or_else(|| linked.iter().find_map(|visit| visit.minutes));
        let role = slot
            .role
            .or_else(|| linked.iter().find_map(|visit| visit.role))
            .unwrap_or("Unknown");
        let wait = waiting(slot.wait);
        let (category, setting) = slot.category;
        let mapped = category != "Unmapped";
        let context = if mapped {
            "Care Related Encounter"
        } else {
            "Unmapped"
        };
        self.add(
            "activity",
            slot.day,
            &[status, hcp(role), slot.mode, wait],
            "appointments",
            1,
        );
        self.add(
            "category",
            slot.day,
            &[setting, context, category, role],
            "appointments",
            1,
        );
        let band = band(actual);
        self.add("duration", slot.day, &[band], "appointments", 1);
        if band != "Unknown / Data Quality" {
            self.add(
                "duration",
                slot.day,
                &[band],
                "minutes",
                actual.unwrap_or(0),
            );
        }
        let known = wait != "Unknown / Data Quality";
        let first = day(&format!("{}-01", slot.day.format("%Y-%m")));
        if mapped && known {
            self.add("two_week", first, &[], "two_week_denominator", 1);
            let within = slot.wait.is_some_and(|days| days <= 14);
            self.add(
                "two_week",
                first,
                &[],
                "two_week_numerator",
                i64::from(within),
            );
        }
        let flags = [
            ("appointments", true),
            ("unmapped", !mapped),
            ("unknown_status", status == "Unknown"),
            ("unknown_mode", slot.mode == "Unknown"),
            ("unknown_hcp", hcp(role) == "Unknown"),
            ("unknown_wait", !known),
            (
                "booked_after_appointment",
                slot.wait.is_some_and(|days| days < 0),
            ),
            ("times_reversed", slot.reversed),
        ];
        for (measure, _) in flags.into_iter().filter(|(_, holds)| *holds) {
            self.quality(&slot.practice, slot.supplier, slot.day, measure);
        }
    }
}

/// The core's figures as the oracle writes them.
pub fn cells(figures: &crate::feed::Figures) -> BTreeMap<String, i64> {
    let mut cells = BTreeMap::new();
    for ((aggregate, level, code, window, dimensions), counts) in figures {
        let (head, values) = match (&**aggregate, *level) {
            ("activity" | "category" | "duration" | "capacity" | "two_week", "england") => {
                let values: Vec<&str> = dimensions.iter().map(|(_, value)| &**value).collect();
                (aggregate.clone(), values)
            }
            ("quality", level) => (format!("quality {level}"), vec![&**code]),
            _ => continue,
        };
        let day = NaiveDate::from_epoch_days(*window).expect("a day");
        for (measure, count) in counts.iter().filter(|(_, count)| *count != 0) {
            cells.insert(
                format!("{head} {day} {} {measure}", values.join("|")),
                *count,
            );
        }
    }
    cells
}

/// The core's ledger as the oracle writes it.
pub fn ledger(ledger: &Json) -> BTreeMap<(String, String), i64> {
    let mut found = BTreeMap::new();
    for (topic, counts) in ledger.as_object().expect("topics") {
        for (ended, records) in counts.as_object().expect("dispositions") {
            let ended = if ended == "unchanged" {
                "accepted"
            } else {
                ended
            };
            *found.entry((topic.clone(), ended.to_owned())).or_default() +=
                records.as_i64().expect("a count");
        }
    }
    found
}
