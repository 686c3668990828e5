//! A second reading of feeds.md, slow and plain: from records as JSON to dispositions and figures.
//!
//! It shares no code with the core, and knows the texts that the laws draw and no others.

#[path = "reading.rs"]
mod reading;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, NaiveDateTime};
use serde_json::Value as Json;

use crate::feed::Fields;
use reading::{Key, Slot, State, Visit, day, text};

/// What the oracle makes of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Topic and disposition; accepted and unchanged together, since which fields an aggregate reads
    /// is the aggregates' matter.
    pub ledger: BTreeMap<(String, String), i64>,
    /// Aggregate, code, day, dimensions, measure.
    pub figures: BTreeMap<String, i64>,
}

struct Held<T> {
    version: String,
    content: Fields,
    is: T,
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
    let mut bookings = BTreeMap::<Key, BTreeSet<String>>::new();
    let mut ends = BTreeMap::<Key, (&str, &str)>::new();
    for (topic, fields) in stream {
        let is_appointment = topic.ends_with(".appointments");
        let late = || {
            if reading::own_day(fields) < day("2021-02-10") {
                Some("rejected/date_out_of_range")
            } else if is_appointment && !(0..=1440).contains(&reading::planned(topic, fields)) {
                Some("rejected/duration_out_of_range")
            } else {
                None
            }
        };
        let ended = if let Some(reason) = reading::refused(topic, fields).or_else(late) {
            reason
        } else if is_appointment {
            let (key, slot) = reading::slot(topic, fields);
            *named.entry(key.clone()).or_default() |= slot.booking;
            let known = bookings.entry(key.clone()).or_default();
            known.extend(slot.named.clone());
            compare(&mut slots, key, fields, slot).0
        } else {
            let (key, consultation) = reading::consultation(topic, fields);
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
        told.events(held, !linked.is_empty(), bookings[key].len());
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
        let attends = match slot.state {
            State::Arrived => !linked.is_empty(),
            State::Booked => is_past && !linked.is_empty(),
            State::Attended
            | State::Dna
            | State::Free
            | State::NotOffered
            | State::Cancelled
            | State::Withdrawn => false,
        };
        let state = if attends { State::Attended } else { slot.state };
        self.capacity(slot, state);
        if is_past {
            self.published(slot, state, linked);
        }
    }

    /// What has happened to a slot's bookings, in two of the windows of `pressure` (feeds.md, rule 11).
    fn events(&mut self, held: &Held<Slot>, is_consulted: bool, bookings: usize) {
        let slot = &held.is;
        if slot.covid || slot.state == State::Withdrawn {
            return;
        }
        let is_past = slot.day < day("2022-02-20");
        let attends = slot.state == State::Arrived || slot.state == State::Booked && is_past;
        let state = if attends && is_consulted {
            State::Attended
        } else {
            slot.state
        };
        let sent = reading::instant(&held.version);
        let [booked, cancelled, arrived, left] = slot.times;
        // More than 22 days away is no time of this appointment.
        let near = |time: Option<NaiveDateTime>| {
            time.filter(|time| (*time - slot.start).num_minutes().abs() <= 32_767)
        };
        let mut happened = |measure: &str, time: Option<NaiveDateTime>, count: usize| {
            self.event(measure, time.unwrap_or(sent), count);
        };
        let is_booked = matches!(
            state,
            State::Booked | State::Arrived | State::Attended | State::Dna | State::Cancelled
        );
        if is_booked {
            happened("bookings", booked, 1);
        }
        if state == State::Cancelled {
            happened("cancellations", cancelled, 1);
        }
        if matches!(state, State::Arrived | State::Attended) {
            happened("arrivals", near(arrived), 1);
        }
        if state == State::Attended {
            happened("attended", near(left), 1);
        }
        if state == State::Dna {
            let planned = chrono::Duration::minutes(slot.planned);
            happened("dna", Some(slot.start + planned), 1);
        }
        let replaced = bookings - usize::from(slot.named.is_some());
        happened("bookings", None, replaced);
        happened("cancellations", None, replaced);
    }

    fn event(&mut self, measure: &str, time: NaiveDateTime, count: usize) {
        let minute = time.and_utc().timestamp().div_euclid(60);
        let now = reading::instant("2022-02-20T12:00:00Z");
        let now = now.and_utc().timestamp() / 60;
        for (length, step) in [(15, 5), (24 * 60, 60)] {
            let first = (minute.div_euclid(step) + 1) * step;
            let last = (minute + length).min((now / step + 1) * step);
            for end in (first..=last).step_by(usize::try_from(step).expect("positive")) {
                if end > now - 35 * 24 * 60 && count > 0 {
                    let cell = format!("pressure {end} {length} {measure}");
                    *self.figures.entry(cell).or_default() += i64::try_from(count).expect("few");
                }
            }
        }
    }

    fn capacity(&mut self, slot: &Slot, state: State) {
        let offered = !matches!(state, State::NotOffered | State::Withdrawn);
        if offered && !slot.visit {
            let uses: &[&str] = match state {
                State::Booked | State::Arrived => &["booked"],
                State::Attended => &["booked", "attended"],
                State::Dna => &["booked", "dna"],
                State::Free | State::NotOffered | State::Cancelled | State::Withdrawn => {
                    &["unused"]
                }
            };
            for used in [&["offered"], uses].concat() {
                if slot.day >= day("2022-02-20") && matches!(used, "offered" | "booked") {
                    let (slots, minutes) = (format!("slots_{used}"), format!("minutes_{used}"));
                    self.add("forward_look", slot.day, &[], &slots, 1);
                    self.add("forward_look", slot.day, &[], &minutes, slot.planned);
                }
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
    }

    fn published(&mut self, slot: &Slot, state: State, linked: &[&Visit]) {
        let status = match state {
            State::Attended => "Attended",
            State::Dna => "DNA",
            State::Booked | State::Arrived => "Unknown",
            State::Free | State::NotOffered | State::Cancelled | State::Withdrawn => return,
        };
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
        let within = slot.wait.is_some_and(|days| days <= 14);
        let denominator = i64::from(mapped && known);
        let of_month = [
            ("appointments", 1),
            ("unmapped", i64::from(!mapped)),
            ("two_week_numerator", denominator * i64::from(within)),
            ("two_week_denominator", denominator),
        ];
        for (measure, count) in of_month {
            let dimensions = [&*slot.practice, status, wait];
            self.add("practice_month", first, &dimensions, measure, count);
            if measure.starts_with("two_week") {
                self.add("two_week", first, &[], measure, count);
            }
        }
        let hcp_type = hcp(role);
        let dimensions = [&*slot.practice, status, hcp_type];
        self.add("practice_day", slot.day, &dimensions, "appointments", 1);
        let dimensions = [
            &*slot.practice,
            slot.supplier,
            hcp_type,
            slot.mode,
            category,
            wait,
            status,
        ];
        self.add("practice_crosstab", first, &dimensions, "appointments", 1);
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
        if aggregate == "pressure" && *level == "england" {
            let (_, minutes) = &dimensions[0];
            let told = ["bookings", "cancellations", "arrivals", "attended", "dna"];
            for (measure, count) in counts {
                let is_told = ["15", "1440"].contains(&&**minutes) && told.contains(&&**measure);
                if is_told && *count != 0 {
                    cells.insert(format!("pressure {window} {minutes} {measure}"), *count);
                }
            }
            continue;
        }
        let (head, values) = match (&**aggregate, *level) {
            (
                "activity" | "category" | "duration" | "capacity" | "forward_look" | "two_week",
                "england",
            ) => {
                let values: Vec<&str> = dimensions.iter().map(|(_, value)| &**value).collect();
                (aggregate.clone(), values)
            }
            ("practice_month" | "practice_day" | "practice_crosstab", "practice") => {
                // Beside its own, a practice's row is printed with the codes that it lies in.
                let own = dimensions
                    .iter()
                    .filter(|(name, _)| !name.ends_with("_code"));
                let values = own.map(|(_, value)| &**value);
                (
                    aggregate.clone(),
                    [&**code].into_iter().chain(values).collect(),
                )
            }
            ("quality", level) => (format!("quality {level}"), vec![&**code]),
            _ => continue,
        };
        let day = NaiveDate::from_epoch_days(*window).expect("a day");
        // A practice's quality has a row for each supplier.
        for (measure, count) in counts.iter().filter(|(_, count)| *count != 0) {
            let cell = format!("{head} {day} {} {measure}", values.join("|"));
            *cells.entry(cell).or_default() += count;
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
