//! Reads a run's records by the feeds' rules, plainly: newest version of each identity, then one cell for each past booking.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use gpad_live::domain::roles::{inps_role_group, microtest_role_group, sds_role_group};
use gpad_live::domain::topic::{ReferenceTopic, Supplier, SupplierTopic};
use gpad_live::domain::vocabulary::{HcpType, Mode, PublishedStatus, SdsRoleGroup, WaitingBand};
use gpad_live::simulate::calendar::Service;
use gpad_live::simulate::cells::{Cells, Kind, Shape};
use gpad_live::simulate::error::Error;
use gpad_live::simulate::sink::{Sink, Topic};
use gpad_live::wire::avro::Decoder;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::reference::{
    Participation, ParticipationState, Practice, ReferenceRecord, SlotTypeMapping,
};
use gpad_live::wire::supplier::{SupplierRecord, emis, inps, microtest, tpp};

/// `9999-12-31T00:00:00`.
const SENTINEL: i64 = 253_402_214_400_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unbooked,
    Waiting,
    Attended,
    Dna,
    Gone,
}

#[derive(Debug, Clone, PartialEq)]
struct Slot {
    version: i64,
    booking: Option<String>,
    start: NaiveDateTime,
    state: State,
    booked: Option<NaiveDate>,
    mode: Mode,
    role: Option<SdsRoleGroup>,
    local_type: String,
}

#[derive(Debug, Clone)]
struct Encounter {
    version: i64,
    link: Option<String>,
    at: (NaiveDate, i64),
    role: Option<SdsRoleGroup>,
    counts: bool,
}

type Identity = (Supplier, String, String);
type Counts = BTreeMap<([String; 7], Kind), u64>;

/// Takes a run's records in.
pub struct Checker {
    service: Service,
    slots: HashMap<Identity, Slot>,
    encounters: HashMap<Identity, Encounter>,
    places: HashMap<String, [String; 7]>,
    approved: BTreeSet<String>,
    latest: i64,
    /// Records that the checks would refuse.
    pub refused: u64,
    /// Records by topic.
    pub records: BTreeMap<&'static str, u64>,
    /// Everything sent, hashed.
    pub digest: u64,
    /// Versions that came after a newer one.
    pub superseded: u64,
    /// Versions that came again.
    pub repeated: u64,
    /// Slots that showed one booking, then another.
    pub rebooked: u64,
    /// Appointments that a consultation turned into attended ones, once counted.
    pub finished: u64,
}

impl Checker {
    pub fn new(service: Service) -> Self {
        Self {
            service,
            slots: HashMap::new(),
            encounters: HashMap::new(),
            places: HashMap::new(),
            approved: BTreeSet::new(),
            latest: i64::MIN,
            refused: 0,
            records: BTreeMap::new(),
            digest: 0,
            superseded: 0,
            repeated: 0,
            rebooked: 0,
            finished: 0,
        }
    }

    /// Which suppliers sent an appointment from an ICB.
    pub fn suppliers(&self, icb_ons_code: &str) -> Vec<Supplier> {
        let of_icb = self
            .slots
            .keys()
            .filter(|(_, practice, _)| self.places[practice][3] == icb_ons_code);
        let found: BTreeSet<Supplier> = of_icb.map(|(supplier, ..)| *supplier).collect();
        found.into_iter().collect()
    }

    /// The published counts, by place and kind.
    pub fn counts(&mut self) -> Counts {
        let mut linked: HashMap<Identity, Vec<&Encounter>> = HashMap::new();
        for ((supplier, practice, _), encounter) in &self.encounters {
            if let Some(link) = encounter.link.clone().filter(|_| encounter.counts) {
                linked
                    .entry((*supplier, practice.clone(), link))
                    .or_default()
                    .push(encounter);
            }
        }
        let now = DateTime::from_timestamp_millis(self.latest)
            .expect("an instant")
            .naive_utc();
        let mut counts = Counts::new();
        for (identity, slot) in &self.slots {
            let text = slot.local_type.to_lowercase();
            let vaccination = text.contains("covid")
                && ["vacc", "imm", "jab"]
                    .iter()
                    .any(|part| text.contains(part))
                && (slot.start.year(), slot.start.month()) >= (2020, 12);
            let past = london_to_utc(slot.start) < now;
            if vaccination || !past || matches!(slot.state, State::Unbooked | State::Gone) {
                continue;
            }
            let mut encounters = linked.remove(identity).unwrap_or_default();
            encounters.sort_by_key(|encounter| encounter.at);
            let status = match slot.state {
                State::Dna => PublishedStatus::Dna,
                State::Waiting if encounters.is_empty() => PublishedStatus::Unknown,
                State::Waiting => {
                    self.finished += 1;
                    PublishedStatus::Attended
                }
                State::Attended | State::Unbooked | State::Gone => PublishedStatus::Attended,
            };
            let role = slot
                .role
                .or_else(|| encounters.iter().find_map(|encounter| encounter.role));
            let kind = Kind {
                status,
                hcp: role
                    .filter(|_| status != PublishedStatus::Dna || slot.role.is_some())
                    .map_or(HcpType::Unknown, SdsRoleGroup::hcp_type),
                mode: slot.mode,
                wait: slot.booked.map_or(WaitingBand::Unknown, |booked| {
                    WaitingBand::from_days((slot.start.date() - booked).num_days() as i32)
                }),
            };
            *counts
                .entry((self.places[&identity.1].clone(), kind))
                .or_default() += 1;
        }
        counts
    }

    /// Asserts that the counts are the cells, and that the practices' rows say no more than the file.
    pub fn compare(&mut self, cells: &Cells) {
        let mut expected = Counts::new();
        for cell in &cells.cells {
            let place = &cells.places[cell.place];
            let key = [
                &place.code,
                &place.ons_code,
                &place.name,
                &place.icb_ons_code,
                &place.icb_name,
                &place.region_ons_code,
                &place.region_name,
            ];
            *expected
                .entry((key.map(Clone::clone), cell.kind))
                .or_default() += cell.count;
        }
        let mut counted = Counts::new();
        for ((mut place, kind), count) in self.counts() {
            if cells.shape == Shape::Icb {
                for (index, text) in place.iter_mut().enumerate() {
                    if index != 3 {
                        text.clear();
                    }
                }
            }
            *counted.entry((place, kind)).or_default() += count;
        }
        for (key, count) in &expected {
            assert_eq!(counted.get(key), Some(count), "{key:?}");
        }
        assert_eq!(counted.len(), expected.len());
    }

    /// Whether the checks on dates let a record in.
    fn admits(&mut self, practice: &str, extracted_at: i64, date: NaiveDate) -> bool {
        let day = utc_to_london(extracted_at).date();
        let service =
            self.service.from.date().expect("a date")..=self.service.to.date().expect("a date");
        let year = Months::new(12);
        let admitted = service.contains(&day)
            && day.checked_sub_months(year).expect("a date") <= date
            && date <= day.checked_add_months(year).expect("a date")
            && self.approved.contains(practice);
        self.refused += u64::from(!admitted);
        admitted
    }

    fn slot(&mut self, identity: Identity, slot: Slot) {
        if !self.admits(&identity.1, slot.version, slot.start.date()) {
            return;
        }
        if let Some(held) = self.slots.get(&identity) {
            if held.version > slot.version {
                self.superseded += 1;
                return;
            }
            if held.version == slot.version {
                self.repeated += 1;
                assert_eq!(held, &slot, "a conflict: {identity:?}");
            }
            let other =
                held.booking.is_some() && slot.booking.is_some() && held.booking != slot.booking;
            self.rebooked += u64::from(other);
        }
        self.slots.insert(identity, slot);
    }

    fn encounter(&mut self, identity: Identity, encounter: Encounter) {
        if !self.admits(&identity.1, encounter.version, encounter.at.0) {
            return;
        }
        if self
            .encounters
            .get(&identity)
            .is_none_or(|held| held.version <= encounter.version)
        {
            self.encounters.insert(identity, encounter);
        }
    }

    fn emis(&mut self, record: &emis::Appointment<'_>) {
        let state = if record.deleted {
            State::Gone
        } else if record.booking_guid.is_none() {
            State::Unbooked
        } else if record.did_not_attend {
            State::Dna
        } else if record.left_time.is_some() {
            State::Attended
        } else {
            State::Waiting
        };
        assert!((0..=1440).contains(&record.planned_duration_minutes));
        let slot = Slot {
            version: record.extracted_at,
            start: local(
                i64::from(record.appointment_date) * 86_400_000
                    + i64::from(record.appointment_start_time),
            ),
            state,
            booked: record
                .booked_date
                .map(|day| NaiveDate::from_epoch_days(day).expect("a date")),
            mode: Mode::from_native(record.appointment_mode.unwrap_or("").trim()),
            role: given(record.job_category_code).map(sds_role_group),
            local_type: record.slot_type_description.to_owned(),
            booking: record.booking_guid.map(str::to_owned),
        };
        let identity = (
            Supplier::Emis,
            record.practice_ods_code.to_owned(),
            record.slot_guid.to_owned(),
        );
        self.slot(identity, slot);
    }

    fn tpp(&mut self, record: &tpp::Appointment<'_>) {
        let given_date = |date: Option<i64>| {
            date.filter(|date| *date != SENTINEL)
                .map(|date| local(date).date())
        };
        let visit = record.record_type == tpp::RecordType::Visit;
        let booked = given_date(record.date_booked);
        let state = match (visit, record.appointment_status) {
            _ if record.removed_data => State::Gone,
            (true, _) => visit_state(record.visit_status),
            (_, Some(10 | 11 | 12 | 15)) => State::Gone,
            (_, Some(0 | 1 | 3 | 5 | 9)) => State::Waiting,
            (_, Some(2 | 14)) => State::Dna,
            (_, Some(4 | 8 | 16)) => State::Attended,
            (_, Some(6)) => State::Unbooked,
            (_, None) if booked.is_none() => State::Unbooked,
            other => panic!("no such status: {other:?}"),
        };
        assert!((0..=1440).contains(&((record.date_end - record.date_start) / 60_000)));
        let mode = match given(record.appointment_mode) {
            Some(mode) => Mode::from_native(mode),
            None if visit => Mode::HomeVisit,
            None if record.telephone_appointment => Mode::Telephone,
            None => Mode::Unknown,
        };
        let slot = Slot {
            version: record.extracted_at,
            start: local(record.date_start),
            state,
            booked,
            mode,
            role: given(record.staff_role_code).map(sds_role_group),
            local_type: record.slot_type.to_owned(),
            booking: None,
        };
        let kind = if visit { "v" } else { "a" };
        let identity = (
            Supplier::Tpp,
            record.practice_ods_code.to_owned(),
            format!("{kind}{}", record.row_identifier),
        );
        self.slot(identity, slot);
    }

    fn inps(&mut self, record: &inps::Appointment<'_>) {
        let state = match (record.action, record.status) {
            ("D", _) | (_, "Cancelled") => State::Gone,
            (_, "Free" | "Blocked") => State::Unbooked,
            (_, "Booked" | "Arrived" | "In consultation") => State::Waiting,
            (_, "Seen") => State::Attended,
            (_, "DNA") => State::Dna,
            other => panic!("no such status: {other:?}"),
        };
        let start = format!("{}{}", record.date, record.time);
        let slot = Slot {
            version: record.extracted_at,
            start: NaiveDateTime::parse_from_str(&start, "%Y%m%d%H%M").expect("a time"),
            state,
            booked: given(record.booked_date)
                .map(|date| NaiveDate::parse_from_str(date, "%Y%m%d").expect("a date")),
            mode: Mode::Unknown,
            role: given(record.hcp_type).map(inps_role_group),
            local_type: record.slot_type.to_owned(),
            booking: None,
        };
        for time in [
            record.booked_time,
            record.arrived_time,
            record.seen_time,
            record.left_time,
        ] {
            if let Some(time) = given(time) {
                chrono::NaiveTime::parse_from_str(time, "%H%M").expect("a time");
            }
        }
        let identity = (
            Supplier::Inps,
            record.practice_ods_code.to_owned(),
            record.appt_id.to_owned(),
        );
        self.slot(identity, slot);
    }

    fn microtest(&mut self, record: &microtest::Appointment<'_>) {
        let state = match (record.withdrawn, record.state) {
            (true, _) | (_, "Cancelled") => State::Gone,
            (_, "Free Slot") => State::Unbooked,
            (_, "Booked" | "Web Appointment" | "Overdue" | "Arrived" | "In Consultation") => {
                State::Waiting
            }
            (_, "Seen") => State::Attended,
            (_, "DNA") => State::Dna,
            other => panic!("no such state: {other:?}"),
        };
        let mode = match given(record.contact) {
            Some("Surgery") => Mode::FaceToFace,
            Some("Visit") => Mode::HomeVisit,
            Some("Telephone") => Mode::Telephone,
            Some("Online") => Mode::VideoOnline,
            _ => Mode::Unknown,
        };
        let slot = Slot {
            version: record.extracted_at,
            start: iso(record.start),
            state,
            booked: given(record.booked_on).map(|at| iso(at).date()),
            mode,
            role: given(record.role).map(microtest_role_group),
            local_type: record.slot_name.to_owned(),
            booking: None,
        };
        for time in [record.seen_at, record.ended_at] {
            given(time).map(iso);
        }
        let identity = (
            Supplier::Microtest,
            record.practice_ods_code.to_owned(),
            record.appointment_no.to_string(),
        );
        self.slot(identity, slot);
    }

    fn consultation(&mut self, topic: SupplierTopic, datum: &[u8]) {
        let (supplier, practice, id, encounter) = match topic {
            SupplierTopic::EmisConsultations => {
                let record = decoded::<emis::Consultation<'_>>(datum);
                let encounter = Encounter {
                    version: record.extracted_at,
                    link: record.slot_guid.map(str::to_owned),
                    at: (
                        NaiveDate::from_epoch_days(record.consultation_date).expect("a date"),
                        i64::from(record.start_time.unwrap_or(0)),
                    ),
                    role: given(record.job_category_code).map(sds_role_group),
                    counts: record.complete && !record.deleted,
                };
                (
                    Supplier::Emis,
                    record.practice_ods_code.to_owned(),
                    record.consultation_guid.to_owned(),
                    encounter,
                )
            }
            SupplierTopic::TppConsultations => {
                let record = decoded::<tpp::Consultation<'_>>(datum);
                let encounter = Encounter {
                    version: record.extracted_at,
                    link: record
                        .appointment_row_identifier
                        .map(|row| format!("a{row}")),
                    at: (local(record.date_event).date(), record.date_event),
                    role: given(record.staff_role_code).map(sds_role_group),
                    counts: !record.event_incomplete && !record.removed_data,
                };
                (
                    Supplier::Tpp,
                    record.practice_ods_code.to_owned(),
                    record.row_identifier.to_string(),
                    encounter,
                )
            }
            SupplierTopic::InpsConsultations => {
                let record = decoded::<inps::Consultation<'_>>(datum);
                let time = given(record.time).map_or(0, |time| time.parse().expect("HHmm"));
                let encounter = Encounter {
                    version: record.extracted_at,
                    link: given(record.links).map(str::to_owned),
                    at: (
                        NaiveDate::parse_from_str(record.date, "%Y%m%d").expect("a date"),
                        time,
                    ),
                    role: given(record.hcp_type).map(inps_role_group),
                    counts: record.action != "D",
                };
                (
                    Supplier::Inps,
                    record.practice_ods_code.to_owned(),
                    record.id.to_owned(),
                    encounter,
                )
            }
            SupplierTopic::MicrotestConsultations => {
                let record = decoded::<microtest::Consultation<'_>>(datum);
                let began = iso(record.began);
                let encounter = Encounter {
                    version: record.extracted_at,
                    link: record.appointment_no.map(|number| number.to_string()),
                    at: (began.date(), began.and_utc().timestamp()),
                    role: given(record.role).map(microtest_role_group),
                    counts: !record.withdrawn,
                };
                given(record.ended).map(iso);
                (
                    Supplier::Microtest,
                    record.practice_ods_code.to_owned(),
                    record.consultation_no.to_string(),
                    encounter,
                )
            }
            SupplierTopic::EmisAppointments
            | SupplierTopic::TppAppointments
            | SupplierTopic::InpsAppointments
            | SupplierTopic::MicrotestAppointments => return,
        };
        self.encounter((supplier, practice, id), encounter);
    }

    fn reference(&mut self, topic: ReferenceTopic, key: &[u8], datum: &[u8]) {
        let key = std::str::from_utf8(key).expect("text");
        match topic {
            ReferenceTopic::Participation => {
                let record = Participation::from_bytes(datum).expect("a record");
                assert_eq!(record.key(), key);
                if record.state == ParticipationState::Approved {
                    self.approved.insert(record.practice_ods_code);
                }
            }
            ReferenceTopic::Practices => {
                let record = Practice::from_bytes(datum).expect("a record");
                assert_eq!(record.key(), key);
                let code = record.practice_ods_code;
                let place = [
                    record.sub_icb_code,
                    record.sub_icb_ons_code,
                    record.sub_icb_name,
                    record.icb_ons_code,
                    record.icb_name,
                    record.region_ons_code,
                    record.region_name,
                ]
                .map(Option::unwrap_or_default);
                let before = self.places.insert(code.clone(), place);
                assert_eq!(before, None, "{code} stands for two places");
            }
            ReferenceTopic::SlotTypeMappings => {
                let record = SlotTypeMapping::from_bytes(datum).expect("a record");
                assert_eq!(record.key(), key);
            }
        }
    }
}

impl Sink for Checker {
    fn send(
        &mut self,
        topic: Topic,
        key: &[u8],
        datum: &[u8],
        extracted_at: i64,
    ) -> Result<(), Error> {
        *self.records.entry(topic.name()).or_default() += 1;
        for byte in topic
            .name()
            .bytes()
            .chain(key.iter().copied())
            .chain(datum.iter().copied())
        {
            self.digest = (self.digest ^ u64::from(byte))
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(5);
        }
        match topic {
            Topic::Reference(topic) => {
                self.reference(topic, key, datum);
                return Ok(());
            }
            Topic::Supplier(SupplierTopic::EmisAppointments) => self.emis(&decoded(datum)),
            Topic::Supplier(SupplierTopic::TppAppointments) => self.tpp(&decoded(datum)),
            Topic::Supplier(SupplierTopic::InpsAppointments) => self.inps(&decoded(datum)),
            Topic::Supplier(SupplierTopic::MicrotestAppointments) => {
                self.microtest(&decoded(datum));
            }
            Topic::Supplier(topic) => self.consultation(topic, datum),
        }
        self.latest = self.latest.max(extracted_at);
        Ok(())
    }
}

/// TPP's words for a visit.
fn visit_state(status: Option<&str>) -> State {
    match status {
        Some("Requested" | "Deferred") => State::Waiting,
        Some("Finished" | "Automatically marked as Finished") => State::Attended,
        Some("No Access Visit") => State::Dna,
        Some(
            "Cancelled by Patient" | "Cancelled by Unit" | "Cancelled Due to Death" | "Rejected",
        ) => State::Gone,
        other => panic!("no such status: {other:?}"),
    }
}

/// The record of a datum, which must be one and nothing else.
fn decoded<'a, R: SupplierRecord<'a>>(datum: &'a [u8]) -> R {
    static DECODERS: [OnceLock<Decoder>; 8] = [const { OnceLock::new() }; 8];
    let decoder = DECODERS[R::TOPIC.index()]
        .get_or_init(|| Decoder::compile(R::schema(), R::schema()).expect("the same schema"));
    let mut record = R::default();
    decoder
        .decode(datum, &mut record, &mut Vec::new())
        .expect("a record");
    record
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn local(millis: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(millis)
        .expect("a time")
        .naive_utc()
}

fn iso(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M"))
        .unwrap_or_else(|_| panic!("no local time: {text}"))
}

fn utc_to_london(millis: i64) -> NaiveDateTime {
    let utc = local(millis);
    chrono_tz::Europe::London
        .from_utc_datetime(&utc)
        .naive_local()
}

fn london_to_utc(local: NaiveDateTime) -> NaiveDateTime {
    let mut at = local;
    loop {
        if let Some(found) = chrono_tz::Europe::London
            .from_local_datetime(&at)
            .earliest()
        {
            return found.naive_utc();
        }
        at += TimeDelta::minutes(1);
    }
}
