//! Laws of the core: what holds of every stream of supplier records, whatever is in it.
//!
//! Ids, versions, dates and texts come from small sets, so that records collide: slots are booked again,
//! consultations wait, versions come late or twice, and some records are refused or withheld.

mod feed;
#[path = "laws/oracle.rs"]
mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use feed::{Core, Fed, Fields, Figures, ReferenceFeed, Writer};
use gpad_live::commands::plan_of;
use gpad_live::config::{Origin, Settings};
use gpad_live::domain::aggregate::{Figures as RowFigures, Finality, Row};
use gpad_live::domain::disposition::Disposition;
use gpad_live::domain::time::Timestamp;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::pipeline::Plan;
use gpad_live::wire::avro::Decoder;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// After this every drawn appointment but those of 2022-03-01 is past.
const NOW: &str = "2022-02-20T12:00:00Z";

struct Topic {
    writer: Writer,
    decoder: Arc<Decoder>,
    defaults: Json,
}

static TOPICS: LazyLock<BTreeMap<SupplierTopic, Topic>> = LazyLock::new(|| {
    let defaults = feed::defaults();
    let of = |topic: SupplierTopic| {
        let writer = Writer::of(topic.name(), &[]);
        let decoder = feed::decoder(topic, &writer);
        let defaults = defaults[topic.name()].clone();
        (
            topic,
            Topic {
                writer,
                decoder,
                defaults,
            },
        )
    };
    SupplierTopic::ALL.into_iter().map(of).collect()
});

static PLAN: LazyLock<Arc<Plan>> =
    LazyLock::new(|| Arc::new(plan_of(&Settings::default(), None).expect("the defaults compile")));

/// What a record is made of: small numbers that pick from small sets.
#[derive(Debug, Clone, Copy)]
struct Draw {
    topic: usize,
    practice: usize,
    id: usize,
    version: usize,
    day: usize,
    state: usize,
    link: usize,
    text: usize,
    role: usize,
    minutes: usize,
    wait: usize,
    flag: usize,
}

fn draws() -> impl Strategy<Value = Draw> {
    let small = || 0..12_usize;
    (
        (0..8_usize, 0..10_usize, 0..3_usize, 0..5_usize),
        (small(), small(), small(), small()),
        (small(), small(), small(), 0..16_usize),
    )
        .prop_map(|(a, b, c)| Draw {
            topic: a.0,
            practice: a.1,
            id: a.2,
            version: a.3,
            day: b.0,
            state: b.1,
            link: b.2,
            text: b.3,
            role: c.0,
            minutes: c.1,
            wait: c.2,
            flag: c.3,
        })
}

fn streams() -> impl Strategy<Value = Vec<Draw>> {
    vec(draws(), 1..90)
}

fn pick<T: Clone>(from: &[T], at: usize) -> T {
    from[at % from.len()].clone()
}

impl Draw {
    fn topic(self) -> SupplierTopic {
        SupplierTopic::ALL[self.topic]
    }

    /// What makes two records versions of one slot or consultation, and the version.
    fn identity(self) -> (usize, &'static str, usize, bool, usize) {
        let is_visit = self.topic() == SupplierTopic::TppAppointments && self.is_visit();
        (self.topic, self.practice(), self.id, is_visit, self.version)
    }

    fn practice(self) -> &'static str {
        let practices = [
            "A81001", "A81001", "A81001", "A81001", "L83002", "L83002", "L83002",
        ];
        let odd = ["A81009", "Z99999", "B81003"];
        practices
            .get(self.practice)
            .copied()
            .unwrap_or_else(|| pick(&odd, self.practice))
    }

    fn is_visit(self) -> bool {
        self.flag & 8 != 0
    }

    /// Two months that are past, one to come, one out of range.
    fn day(self) -> &'static str {
        let days = [
            "2022-01-30",
            "2022-01-31",
            "2022-02-01",
            "2022-02-14",
            "2022-03-01",
        ];
        if self.day == 11 {
            "2020-12-01"
        } else {
            pick(&days, self.day)
        }
    }

    fn booked_on(self) -> Option<&'static str> {
        let days = ["2022-01-30", "2022-01-20", "2022-02-01", "2021-12-01"];
        (self.wait < 10).then(|| pick(&days, self.wait))
    }

    fn text(self) -> &'static str {
        let texts = [
            "Routine",
            "Clinic",
            "Clinic",
            "Book on the day",
            "Covid jab",
            "LS1 4AP",
        ];
        pick(&texts, self.text)
    }

    fn planned(self) -> i64 {
        pick(&[10, 15, 0, 10, 15, 20, 2000], self.minutes)
    }

    /// The fields of the wrapper, and those that three suppliers name alike.
    fn common(self) -> Fields {
        let mut fields = TOPICS[&self.topic()]
            .defaults
            .as_object()
            .expect("fields")
            .clone();
        fields.insert("practice_ods_code".to_owned(), self.practice().into());
        let version = format!("2022-02-1{}T12:00:00Z", self.version);
        fields.insert("extracted_at".to_owned(), version.into());
        if fields.contains_key("national_slot_category") && self.text.is_multiple_of(2) {
            fields.insert("national_slot_category".to_owned(), Json::Null);
        }
        fields
    }

    fn fields(self) -> Fields {
        let over = |differing: Json| feed::over(&Json::Object(self.common()), &differing);
        let has = |bit: usize| self.flag & bit != 0;
        let sds = pick(
            &[Some("R0260"), Some("R0600"), None, Some("R9999")],
            self.role,
        );
        let (day, text) = (self.day(), self.text());
        let at = |time: &str| format!("{day}T{time}");
        let link = (self.link < 10).then_some(self.link % 3);
        let end = pick(&["09:05", "09:30", "08:00", "11:00"], self.minutes);
        match self.topic() {
            SupplierTopic::EmisAppointments => over(json!({
                "slot_guid": format!("s{}", self.id),
                "booking_guid": pick(&[Some("b1"), Some("b2"), None], self.state),
                "appointment_date": day,
                "planned_duration_minutes": self.planned(),
                "booked_date": self.booked_on(),
                "send_in_time": has(1).then_some("09:01"),
                "left_time": has(2).then_some("09:10"),
                "did_not_attend": self.state > 9,
                "actual_duration_minutes": has(4).then_some(self.minutes),
                "slot_type_description": text,
                "job_category_code": sds,
                "blocked": self.state == 5,
                "deleted": self.wait == 11,
            })),
            SupplierTopic::EmisConsultations => over(json!({
                "consultation_guid": format!("c{}", self.id),
                "slot_guid": link.map(|id| format!("s{id}")),
                "consultation_date": day,
                "end_time": has(1).then_some(end),
                "job_category_code": sds,
                "complete": self.state != 0,
                "deleted": self.wait == 11,
            })),
            SupplierTopic::TppAppointments => over(json!({
                "row_identifier": self.id,
                "record_type": if self.is_visit() { "VISIT" } else { "APPOINTMENT" },
                "slot_type": text,
                "date_start": at("09:00"),
                "date_end": at(pick(&["09:10", "09:15", "08:00", "09:30"], self.minutes)),
                "appointment_status": pick(&[0, 1, 2, 3, 4, 6, 7, 10, 14, 16, 5, 15], self.state),
                "visit_status": pick(&["Requested", "Finished", "No Access Visit", "?"], self.state),
                "date_booked": self.booked_on().map(|day| format!("{day}T10:00")),
                "date_patient_seen": has(1).then(|| at("09:00")),
                "date_finished": has(2).then(|| at(end)),
                "staff_role_code": sds,
                "removed_data": self.wait == 11,
            })),
            SupplierTopic::TppConsultations => over(json!({
                "row_identifier": self.id,
                "appointment_row_identifier": link,
                "date_event": at("09:02"),
                "date_event_end": has(1).then(|| at(end)),
                "staff_role_code": sds,
                "event_incomplete": self.state == 0,
                "removed_data": self.wait == 11,
            })),
            SupplierTopic::InpsAppointments => over(json!({
                "appt_id": format!("a{}", self.id),
                "date": day.replace('-', ""),
                "duration": self.planned(),
                "status": pick(&["Free", "Blocked", "Booked", "Arrived", "Seen", "DNA", "Cancelled", "?"], self.state),
                "slot_type": text,
                "hcp_type": pick(&[Some("A"), Some("D"), None], self.role),
                "booked_date": self.booked_on().map(|day| day.replace('-', "")),
                "left_time": has(1).then(|| end.replace(':', "")),
                "action": if self.wait == 11 { "D" } else { "" },
            })),
            SupplierTopic::InpsConsultations => over(json!({
                "id": format!("e{}", self.id),
                "links": link.map(|id| format!("a{id}")),
                "date": day.replace('-', ""),
                "duration": has(1).then_some(self.minutes),
                "hcp_type": pick(&[Some("A"), Some("D"), None], self.role),
                "action": if self.wait == 11 { "D" } else { "" },
            })),
            SupplierTopic::MicrotestAppointments => over(json!({
                "appointment_no": self.id,
                "start": at("09:00"),
                "length_minutes": self.planned(),
                "state": pick(&["Free Slot", "Booked", "Arrived", "Seen", "DNA", "Cancelled", "?"], self.state),
                "slot_name": text,
                "role": pick(&[Some("GP Locum"), Some("HCA"), None], self.role),
                "booked_on": self.booked_on().map(|day| format!("{day}T10:00")),
                "ended_at": has(1).then(|| at(end)),
                "withdrawn": self.wait == 11,
            })),
            SupplierTopic::MicrotestConsultations => over(json!({
                "consultation_no": self.id,
                "appointment_no": link,
                "began": at("09:02"),
                "ended": has(1).then(|| at(end)),
                "role": pick(&[Some("GP Locum"), Some("HCA"), None], self.role),
                "withdrawn": self.wait == 11,
            })),
        }
    }

    fn fed(self) -> Fed {
        let topic = &TOPICS[&self.topic()];
        Fed {
            topic: self.topic(),
            datum: topic.writer.datum(&self.fields()),
            offset: 0,
            key: None,
            decoder: topic.decoder.clone(),
        }
    }
}

fn fed(draws: &[Draw]) -> Vec<Fed> {
    draws.iter().map(|draw| draw.fed()).collect()
}

/// The same draws, but of one version only one content: what comes again is a duplicate.
fn without_conflicts(draws: &[Draw]) -> Vec<Draw> {
    let mut contents = BTreeMap::new();
    draws
        .iter()
        .map(|draw| *contents.entry(draw.identity()).or_insert(*draw))
        .collect()
}

fn records(topic: &str, differing: &[Json]) -> Vec<Fields> {
    let defaults = feed::defaults();
    let over = |record| feed::over(&defaults[topic][0], record);
    differing.iter().map(over).collect()
}

/// Two practices that agreed, one that declined.
fn reference() -> ReferenceFeed {
    let practices = ["A81001", "L83002", "B81003"].map(|code| json!({"practice_ods_code": code}));
    let mut agreements = practices.clone();
    agreements[2]["state"] = json!("DECLINED");
    ReferenceFeed {
        participation: records(feed::PARTICIPATION, &agreements),
        practices: records(feed::PRACTICES, &practices),
        mappings: records(feed::MAPPINGS, &[json!({})]),
    }
}

/// A row, a mapping, and a correction of each, that may come at any time.
fn later_reference() -> ReferenceFeed {
    let moved = json!({
        "effective_from": "2022-01-31", "recorded_at": "2022-02-15T00:00:00Z", "pcn_code": "U9",
        "sub_icb_code": "99Z", "icb_code": "Q9", "region_code": "Y9", "region_ons_code": "E9",
    });
    let corrected = feed::over(
        &moved,
        &json!({"recorded_at": "2022-02-16T00:00:00Z", "sub_icb_code": "98Z", "practice_ods_code": "L83002"}),
    );
    let mapping = json!({
        "slot_type": "Clinic", "national_slot_category": "Walk-in", "effective_to": "2022-02-14",
        "recorded_at": "2022-02-15T00:00:00Z",
    });
    let remapped = feed::over(
        &mapping,
        &json!({"recorded_at": "2022-02-16T00:00:00Z", "national_slot_category": "Home Visit"}),
    );
    ReferenceFeed {
        participation: Vec::new(),
        practices: records(feed::PRACTICES, &[moved, Json::Object(corrected)]),
        mappings: records(feed::MAPPINGS, &[mapping, Json::Object(remapped)]),
    }
}

/// The reference of `reference()`, its practices the other way about: their indexes are others.
static OTHERWISE: LazyLock<Arc<gpad_live::domain::reference::Reference>> = LazyLock::new(|| {
    let mut reference = reference();
    reference.practices.reverse();
    reference.participation.reverse();
    Arc::new(reference.snapshot())
});

/// The reference of `reference()`, known from the start.
fn core() -> Core {
    static REFERENCE: LazyLock<Arc<gpad_live::domain::reference::Reference>> =
        LazyLock::new(|| Arc::new(reference().snapshot()));
    Core::new(&PLAN, REFERENCE.clone())
}

fn streamed(records: &[Fed], settle_every: usize) -> Core {
    let mut core = core();
    core.pipeline.advance(feed::instant(NOW));
    for (at, record) in records.iter().enumerate() {
        core.take(record);
        if (at + 1).is_multiple_of(settle_every) {
            core.settle();
        }
    }
    core.settle();
    core
}

fn loaded(records: &[Fed]) -> Core {
    let mut core = core();
    core.pipeline.start_loading();
    for topic in SupplierTopic::ALL {
        for record in records.iter().filter(|record| record.topic == topic) {
            core.take(record);
        }
    }
    core.pipeline.advance(feed::instant(NOW));
    core.pipeline.finish_loading();
    core.settle();
    core
}

/// By first day of the window and dimensions.
type Sums = BTreeMap<(i32, Vec<(String, String)>), Vec<i64>>;

/// The figures of one aggregate and level, summed over what the level tells apart.
fn sums(figures: &Figures, aggregate: &str, level: &str) -> Sums {
    let printed = [
        "pcn_code",
        "sub_icb_code",
        "sub_icb_ons_code",
        "icb_ons_code",
        "region_ons_code",
    ];
    let mut sums = BTreeMap::new();
    for ((of, at, _, window, dimensions), counts) in figures {
        if of == aggregate && *at == level {
            let dimensions = dimensions
                .iter()
                .filter(|(name, _)| !printed.contains(&&**name));
            let key = (*window, dimensions.cloned().collect());
            let sum: &mut Vec<i64> = sums.entry(key).or_insert_with(|| vec![0; counts.len()]);
            for (sum, (_, count)) in sum.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }
    sums
}

/// All appointments of an aggregate at a level.
fn total(figures: &Figures, aggregate: &str, level: &str) -> i64 {
    let of = |counts: &[(String, i64)]| {
        let found = counts.iter().find(|(measure, _)| measure == "appointments");
        found.map_or(0, |(_, count)| *count)
    };
    let rows = figures
        .iter()
        .filter(|(key, _)| key.0 == aggregate && key.1 == level);
    rows.map(|(_, counts)| of(counts)).sum()
}

/// A hundred or so streams a law; more with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: cases.and_then(|cases| cases.parse().ok()).unwrap_or(120),
        max_shrink_iters: 4096,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A fixed stream that has every supplier, links, corrections and refusals.
fn fixed() -> Vec<Fed> {
    let draw = |at: usize| Draw {
        topic: at % 8,
        practice: at * 7 % 10,
        id: at * 5 % 3,
        version: at / 40 % 5,
        day: at * 3 % 11,
        state: at * 11 % 12,
        link: at * 5 % 12,
        text: at % 12,
        role: at * 7 % 12,
        minutes: at * 11 % 12,
        wait: at * 5 % 12,
        flag: at * 3 % 16,
    };
    fed(&(0..200).map(draw).collect::<Vec<_>>())
}

/// The aggregates that were the defaults when it was written.
fn plan_of_version_1() -> Arc<Plan> {
    let table: toml::Table = include_str!("data/state-version-1.toml")
        .parse()
        .expect("TOML");
    let settings = Settings {
        aggregates: Some((table["aggregate"].clone(), Origin::Default)),
        ..Settings::default()
    };
    Arc::new(plan_of(&settings, None).expect("they compiled then"))
}

/// Catches a format of state that can no longer be read: the first file was written by version 1, the second since tasks
/// tell up to when windows are closed. After a change of the format keep the files, add one of the new version
/// (`GPAD_LIVE_WRITE_STATE=<file>` writes it), and read them all.
#[test]
fn state_written_before_is_read() {
    state_is_read(include_bytes!("data/state-version-1"), &|row| {
        // Finality followed another rule then.
        (row.figures.clone(), row.published.revision, None)
    });
    state_is_read(include_bytes!("data/state-version-2"), &|row| {
        let published = &row.published;
        let how = (published.finality, published.by_idleness, published.as_of);
        (row.figures.clone(), published.revision, Some(how))
    });
}

/// What must be the same of a row.
type Same = (Option<RowFigures>, u32, Option<(Finality, bool, Timestamp)>);

fn state_is_read(file: &[u8], same: &dyn Fn(&Row) -> Same) {
    let records = fixed();
    let (before, after) = records.split_at(100);
    let plan = plan_of_version_1();
    let core = || Core::new(&plan, Arc::new(reference().snapshot()));
    let mut straight = core();
    straight.pipeline.keep_changes();
    let mut kept = feed::Kept::default();
    for (at, record) in (1..).zip(before) {
        straight.take(record);
        if at % 10 == 0 {
            straight
                .pipeline
                .advance(feed::instant("2022-01-31T12:00:00Z"));
            straight.settle();
            straight.keep(&mut kept, &plan, 50);
        }
    }
    if let Ok(file) = std::env::var("GPAD_LIVE_WRITE_STATE") {
        std::fs::write(file, kept.to_bytes()).expect("a file that can be written");
    }
    let mut restarted = core();
    for record in before {
        restarted.take(record);
    }
    restarted.settle();
    let written = feed::Kept::from_bytes(file);
    let now = feed::instant("2022-01-31T12:00:00Z");
    restarted.restart(&written, &plan, OTHERWISE.clone(), now);
    (restarted.figures, restarted.rows) = (straight.figures.clone(), straight.rows.clone());
    for core in [&mut straight, &mut restarted] {
        for record in after {
            core.take(record);
        }
        core.pipeline.advance(feed::instant(NOW));
        core.settle();
    }
    assert_eq!(straight.dispositions, restarted.dispositions);
    assert_eq!(straight.figures, restarted.figures);
    let rows = |core: &Core| -> BTreeMap<_, _> {
        let rows = core.rows.iter();
        rows.map(|(key, row)| (key.clone(), same(row))).collect()
    };
    assert_eq!(rows(&straight), rows(&restarted));
}

proptest! {
    #![proptest_config(config())]

    /// Catches a record that is counted twice, never, or under another topic, and a pending one that is
    /// lost or freed twice.
    #[test]
    fn dispositions_add_up_to_the_records(draws in streams()) {
        let records = fed(&draws);
        let core = streamed(&records, 3);
        let mut told = BTreeMap::<_, i64>::new();
        for (record, disposition) in records.iter().zip(&core.dispositions) {
            *told.entry((record.topic, disposition.index())).or_default() += 1;
        }
        for topic in SupplierTopic::ALL {
            let sent = records.iter().filter(|record| record.topic == topic).count();
            prop_assert_eq!(core.counts.records(topic), i64::try_from(sent).expect("few"));
            for disposition in Disposition::all() {
                let counted = core.counts.of(topic, disposition);
                let told = told.get(&(topic, disposition.index())).copied().unwrap_or(0);
                prop_assert!(counted >= 0, "{topic} {disposition:?}");
                match disposition {
                    // What leaves pending ends as it would have without waiting.
                    Disposition::Pending => prop_assert!(counted <= told),
                    Disposition::Accepted | Disposition::Unchanged | Disposition::Conflicting => {
                        prop_assert!(counted >= told);
                    }
                    Disposition::Duplicate
                    | Disposition::Superseded
                    | Disposition::Withheld(_)
                    | Disposition::Rejected(_) => prop_assert_eq!(counted, told),
                }
            }
        }
        let refused = core.dispositions.iter().filter(|end| matches!(end, Disposition::Rejected(_)));
        prop_assert_eq!(refused.count(), core.letters.len());
    }

    /// Catches a rule that the core reads otherwise than feeds.md, where rules meet: a second reading of
    /// it comes to the same dispositions and figures.
    #[test]
    fn a_second_reading_comes_to_the_same(draws in streams()) {
        let stream: Vec<_> = draws.iter().map(|draw| (draw.topic().name(), draw.fields())).collect();
        let told = oracle::tell(&stream);
        let core = streamed(&fed(&draws), 1);
        prop_assert_eq!(oracle::ledger(&feed::ledger(&core.counts)), told.ledger);
        prop_assert_eq!(oracle::cells(&core.figures), told.figures);
    }

    /// Catches state that is not written down, or comes back otherwise than it was: a core that is restarted
    /// from what was written hands over the same, row by row with its revision, as one that never was.
    #[test]
    fn a_restart_changes_nothing(draws in streams(), restarts in vec(0..4_u8, 90), entries in 1..40_usize) {
        let records = fed(&draws);
        let (mut straight, mut restarted) = (core(), core());
        restarted.pipeline.keep_changes();
        let mut kept = feed::Kept::default();
        let days = ["2022-01-30T12:00:00Z", "2022-01-31T12:00:00Z", "2022-02-10T12:00:00Z", NOW];
        for (at, (record, restart)) in records.iter().zip(restarts).enumerate() {
            for core in [&mut straight, &mut restarted] {
                core.take(record);
            }
            if restart == 0 {
                let now = feed::instant(days[4 * at / records.len()]);
                for core in [&mut straight, &mut restarted] {
                    core.pipeline.advance(now);
                    core.settle();
                }
                restarted.keep(&mut kept, &PLAN, entries);
                restarted.restart(&kept, &PLAN, OTHERWISE.clone(), now);
            }
        }
        for core in [&mut straight, &mut restarted] {
            core.pipeline.advance(feed::instant(NOW));
            core.settle();
        }
        prop_assert_eq!(&straight.dispositions, &restarted.dispositions);
        prop_assert_eq!(&straight.counts, &restarted.counts);
        prop_assert_eq!(&straight.rows, &restarted.rows);
    }

    /// Catches anything sticky: a figure that remembers what a record found when it came.
    #[test]
    fn order_does_not_matter(draws in streams(), keys in vec(any::<u32>(), 90)) {
        let records = fed(&without_conflicts(&draws));
        let mut shuffled: Vec<_> = keys.iter().zip(&records).collect();
        shuffled.sort_by_key(|(key, _)| **key);
        let shuffled: Vec<Fed> = shuffled.into_iter().map(|(_, record)| record.clone()).collect();
        let (straight, shuffled) = (streamed(&records, 1), streamed(&shuffled, 2));
        prop_assert_eq!(straight.figures, shuffled.figures);
        // Who is pending at the end does not depend on who came first either.
        for topic in SupplierTopic::ALL {
            prop_assert_eq!(
                straight.counts.of(topic, Disposition::Pending),
                shuffled.counts.of(topic, Disposition::Pending)
            );
        }
    }

    /// Catches a copy that is counted, folded again, or that frees what waits a second time.
    #[test]
    fn duplicates_change_nothing(draws in streams(), again in vec(0..4_usize, 90)) {
        let records = fed(&draws);
        let doubled: Vec<Fed> = records
            .iter()
            .zip(&again)
            .flat_map(|(record, copies)| std::iter::repeat_n(record.clone(), copies + 1))
            .collect();
        let (once, often) = (streamed(&records, 1), streamed(&doubled, 2));
        prop_assert_eq!(once.figures, often.figures);
        for topic in SupplierTopic::ALL {
            for disposition in [Disposition::Accepted, Disposition::Unchanged, Disposition::Conflicting, Disposition::Pending] {
                prop_assert_eq!(once.counts.of(topic, disposition), often.counts.of(topic, disposition));
            }
        }
    }

    /// Catches a change that the fold sees only within one transaction, or sees twice over two.
    #[test]
    fn cuts_do_not_matter(draws in streams(), every in 1..7_usize) {
        let records = fed(&draws);
        let (once, cut) = (streamed(&records, usize::MAX), streamed(&records, every));
        prop_assert_eq!(once.figures, cut.figures);
        prop_assert_eq!(once.counts, cut.counts);
    }

    /// Catches what only one of the two ways of taking in does: `replay` loads, `run` streams.
    #[test]
    fn loading_ends_where_streaming_does(draws in streams()) {
        let records = fed(&draws);
        let (loaded, streamed) = (loaded(&records), streamed(&records, 2));
        prop_assert_eq!(loaded.figures, streamed.figures);
        prop_assert_eq!(loaded.counts, streamed.counts);
    }

    /// Catches an appointment that time passes by: one that moved, or came between two steps.
    #[test]
    fn time_in_steps_ends_where_one_step_does(draws in streams(), steps in vec(0..90_usize, 6)) {
        let records = fed(&draws);
        let stops = ["2022-01-29T00:00:00Z", "2022-01-30T09:00:00.001Z", "2022-01-31T09:00:00Z", "2022-02-01T12:00:00Z", "2022-02-14T09:00:00.001Z", NOW];
        let steps: BTreeSet<usize> = steps.into_iter().collect();
        let mut stepped = core();
        let mut stops = stops.into_iter();
        for (at, record) in records.iter().enumerate() {
            if steps.contains(&at) {
                stops.next().into_iter().for_each(|stop| stepped.pipeline.advance(feed::instant(stop)));
            }
            stepped.take(record);
            if at % 3 == 0 {
                stepped.settle();
            }
        }
        for stop in stops {
            stepped.pipeline.advance(feed::instant(stop));
            stepped.settle();
        }
        stepped.settle();
        prop_assert_eq!(streamed(&records, 1).figures, stepped.figures);
    }

    /// Catches figures that keep to the reference data they were made with (feeds.md, rule 10).
    #[test]
    fn late_reference_data_ends_where_early_does(draws in streams(), cuts in vec(0..90_usize, 4)) {
        let records = fed(&draws);
        let (start, later) = (reference(), later_reference());
        let whole = start.chain(&later);
        let mut early = Core::new(&PLAN, Arc::new(whole.snapshot()));
        let mut late = core();
        for core in [&mut early, &mut late] {
            core.pipeline.advance(feed::instant(NOW));
        }
        let mut known = start.clone();
        let mut snapshot = start.snapshot();
        late.pipeline.follow(Arc::new(snapshot.clone()));
        let mut follow = |late: &mut Core, step: usize| {
            let mut next = known.clone();
            match step {
                0 => next.practices.extend(later.practices.first().cloned()),
                1 => next.mappings.extend(later.mappings.first().cloned()),
                2 => next.practices.extend(later.practices.get(1).cloned()),
                _ => next.mappings.extend(later.mappings.get(1).cloned()),
            }
            snapshot = next.follow(&snapshot, &known);
            known = next;
            late.pipeline.follow(Arc::new(snapshot.clone()));
        };
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut step = 0;
        for (at, record) in records.iter().enumerate() {
            while step < 4 && cuts[step] <= at {
                follow(&mut late, step);
                step += 1;
            }
            early.take(record);
            late.take(record);
            if at % 4 == 1 {
                late.settle();
            }
        }
        for step in step..4 {
            follow(&mut late, step);
        }
        early.settle();
        late.settle();
        prop_assert_eq!(early.figures, late.figures);
    }

    /// Catches figures that outlive the agreement they were let in by (feeds.md, rule 1), where no
    /// version had replaced another.
    #[test]
    fn an_agreement_that_ends_takes_its_figures_along(draws in streams(), cut in 0..90_usize) {
        let mut seen = BTreeSet::new();
        let single = |draw: &&Draw| {
            let (topic, practice, id, is_visit, _) = draw.identity();
            seen.insert((topic, practice, id, is_visit))
        };
        let draws: Vec<Draw> = draws.iter().filter(single).copied().collect();
        let records = fed(&draws);
        let start = reference();
        let ended = ReferenceFeed {
            participation: records_of_an_end(),
            ..ReferenceFeed::default()
        };
        let whole = start.chain(&ended);
        let mut early = Core::new(&PLAN, Arc::new(whole.snapshot()));
        let mut late = Core::new(&PLAN, Arc::new(start.snapshot()));
        let followed = Arc::new(whole.follow(&start.snapshot(), &start));
        for core in [&mut early, &mut late] {
            core.pipeline.advance(feed::instant(NOW));
        }
        for (at, record) in records.iter().enumerate() {
            if at == cut {
                late.pipeline.follow(followed.clone());
            }
            early.take(record);
            late.take(record);
            late.settle();
        }
        late.pipeline.follow(followed);
        early.settle();
        late.settle();
        prop_assert_eq!(early.figures, late.figures);
    }

    /// Catches a level that misses a part or has it twice, and a breakdown with another total.
    #[test]
    fn levels_and_breakdowns_add_up(draws in streams()) {
        let figures = streamed(&fed(&draws), 5).figures;
        let geography = ["sub_icb", "icb", "region"];
        let whole = ["practice", "pcn", "sub_icb", "icb", "region"];
        let parts: [(&str, &[&str]); 5] = [
            ("activity", &geography),
            ("category", &geography),
            ("duration", &geography),
            ("capacity", &whole),
            ("two_week", &whole),
        ];
        for (aggregate, levels) in parts {
            let england = sums(&figures, aggregate, "england");
            for level in levels {
                prop_assert_eq!(&sums(&figures, aggregate, level), &england, "{} {}", aggregate, level);
            }
        }
        let by = |level| sums(&figures, "practice_day", level);
        prop_assert_eq!(by("practice"), by("pcn"));
        prop_assert_eq!(sums(&figures, "quality", "practice"), sums(&figures, "quality", "supplier"));
        let published = total(&figures, "activity", "england");
        for aggregate in ["category", "duration"] {
            prop_assert_eq!(total(&figures, aggregate, "england"), published, "{}", aggregate);
        }
        for aggregate in ["practice_day", "practice_crosstab", "practice_month", "quality"] {
            prop_assert_eq!(total(&figures, aggregate, "practice"), published, "{}", aggregate);
        }
    }

    /// Catches a row left behind: where everything is withdrawn, nothing stands, and where everything
    /// moves to another month, nothing stands but there.
    #[test]
    fn taking_back_leaves_nothing(draws in streams(), moves in any::<bool>()) {
        let mut last = BTreeMap::new();
        for draw in &draws {
            let (topic, practice, id, is_visit, _) = draw.identity();
            last.insert((topic, practice, id, is_visit), *draw);
        }
        let mut all = fed(&draws);
        for draw in last.into_values() {
            // Admitted whatever came before: a known version above all, a good date, text and duration.
            let plain = Draw { version: 9, day: 2, state: 4, text: 0, minutes: 0, wait: 11, ..draw };
            all.push(if moves { Draw { wait: 0, day: 3, ..plain } } else { plain }.fed());
        }
        let figures = streamed(&all, 4).figures;
        if moves {
            let day = feed::date("2022-02-14");
            let month = feed::date("2022-02-01");
            for (_, _, _, window, dimensions) in figures.keys() {
                // What has happened has happened at its own time.
                if dimensions.iter().any(|(name, _)| name == "minutes") {
                    continue;
                }
                prop_assert!([day, month].contains(window), "{}", window);
            }
        } else {
            prop_assert!(figures.is_empty(), "{figures:?}");
        }
    }
}

/// A81001 withdraws for some days in the middle.
fn records_of_an_end() -> Vec<Fields> {
    records(
        feed::PARTICIPATION,
        &[json!({
            "state": "WITHDRAWN", "effective_from": "2022-01-31", "effective_to": "2022-02-13",
            "recorded_at": "2022-02-16T00:00:00Z",
        })],
    )
}
