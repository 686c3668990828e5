//! Records of a small England for tests: four practices, their reference data, EMIS appointments.

use gpad_live::adapters::log::{Append, Log, NewRecord};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::domain::time::Day;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::frame;
use gpad_live::wire::reference::{Participation, ParticipationState, Practice, ReferenceRecord};
use gpad_live::wire::supplier::{SupplierRecord, emis};

pub const PRACTICES: [&str; 8] = [
    "A81001", "B82002", "C83003", "D84004", "E85005", "F86006", "G87007", "H88008",
];

pub const DAY_MILLIS: i64 = 86_400_000;

/// 1 February 2022.
pub fn first_day() -> i32 {
    Day::from_ymd(2022, 2, 1).unwrap().0
}

/// Sends records as a supplier's sender does.
pub struct Feed {
    appender: Box<dyn Append>,
    schemas: Schemas,
}

impl Feed {
    pub fn new(log: &dyn Log, schemas: Schemas) -> Self {
        Self {
            appender: log.appender().unwrap(),
            schemas,
        }
    }

    pub fn send(&mut self, topic: &str, key: &str, datum: &[u8]) {
        let id = self.schemas.id(&format!("{topic}-value"), topic).unwrap();
        let mut value = Vec::new();
        frame(id, datum, &mut value);
        self.send_raw(topic, key, &value);
    }

    pub fn send_raw(&mut self, topic: &str, key: &str, value: &[u8]) {
        let record = NewRecord {
            topic,
            partition: None,
            key: Some(key.as_bytes()),
            value: Some(value),
        };
        self.appender.append(&record).unwrap();
    }

    pub fn flush(&mut self) {
        self.appender.flush().unwrap();
    }

    /// Every practice, in one of two regions, approved for good.
    pub fn reference(&mut self) {
        for (index, code) in PRACTICES.into_iter().enumerate() {
            self.practice(code, index % 2);
            self.agreement(code, ParticipationState::Approved, 1_577_836_800_000);
        }
        self.flush();
    }

    pub fn practice(&mut self, code: &str, region: usize) {
        let text = |text: &str| Some(format!("{text}{region}"));
        let practice = Practice {
            practice_ods_code: code.to_owned(),
            name: format!("Practice {code}"),
            suppliers: vec!["EMIS".to_owned()],
            pcn_code: text("U0000"),
            pcn_name: text("PCN "),
            sub_icb_code: text("0"),
            sub_icb_ons_code: text("E3800000"),
            sub_icb_name: text("Sub-ICB "),
            icb_code: text("Q0"),
            icb_ons_code: text("E5400000"),
            icb_name: text("ICB "),
            region_code: text("Y0"),
            region_ons_code: text("E4000000"),
            region_name: text("Region "),
            registered_patients: Some(8_000),
            open_date: None,
            close_date: None,
            effective_from: 10_000,
            recorded_at: 1_577_836_800_000,
        };
        self.send("ods.practices", &practice.key(), &practice.to_bytes());
    }

    pub fn agreement(&mut self, code: &str, state: ParticipationState, recorded_at: i64) {
        let agreement = Participation {
            practice_ods_code: code.to_owned(),
            service_id: "GPAD".to_owned(),
            state,
            effective_from: Day::from_ymd(2020, 1, 1).unwrap().0,
            effective_to: None,
            recorded_at,
        };
        self.send(
            "cqrs.participation",
            &agreement.key(),
            &agreement.to_bytes(),
        );
    }

    /// A booking at ten o'clock, `day` days into February, as extracted `version` days after it.
    pub fn appointment(
        &mut self,
        practice: &str,
        slot: &str,
        day: i32,
        version: i64,
        attended: bool,
    ) {
        let slot_type = "GP Appointment";
        self.appointment_of(slot_type, practice, slot, (day, version), attended);
    }

    /// The same in a slot of a type; `at` is the day and the version.
    pub fn appointment_of(
        &mut self,
        slot_type: &str,
        practice: &str,
        slot: &str,
        at: (i32, i64),
        attended: bool,
    ) {
        let (day, version) = at;
        let date = first_day() + day;
        let record = emis::Appointment {
            practice_ods_code: practice,
            extract_id: "x",
            extracted_at: (i64::from(date) + version) * DAY_MILLIS + 3_600_000,
            schema_note: None,
            slot_guid: slot,
            booking_guid: Some("b"),
            session_guid: "s",
            appointment_date: date,
            appointment_start_time: 36_000_000,
            planned_duration_minutes: 10,
            booked_date: Some(date - 1),
            booked_time: Some(36_000_000),
            send_in_time: attended.then_some(36_060_000),
            left_time: attended.then_some(36_600_000),
            did_not_attend: !attended,
            actual_duration_minutes: attended.then_some(9),
            slot_type_description: slot_type,
            session_category: "General",
            job_category_code: Some("R0260"),
            appointment_mode: Some("Face-to-Face"),
            national_slot_category: Some("General Consultation Routine"),
            context_type: Some("Care Related Encounter"),
            service_setting: Some("General Practice"),
            blocked: false,
            deleted: false,
        };
        let mut datum = Vec::new();
        record.encode(&mut datum);
        self.send("emis.appointments", practice, &datum);
    }
}
