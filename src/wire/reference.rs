//! The records of the reference topics (feeds.md; `schemas/in`).

use super::datum::{shape, symbols};
use crate::domain::topic::ReferenceTopic;

symbols! {
    /// State of a practice's agreement to a collection. Only an approved one admits records.
    pub enum ParticipationState {
        /// Offered to the practice, which has not answered.
        Offered = "OFFERED",
        /// Approved by the practice.
        Approved = "APPROVED",
        /// Declined by the practice.
        Declined = "DECLINED",
        /// Withdrawn by the practice after its approval.
        Withdrawn = "WITHDRAWN",
        /// Closed by the service.
        Closed = "CLOSED",
    }
}

shape! {
    /// A practice's agreement to a collection over the days `[effective_from, effective_to)`.
    pub struct Participation of "in/cqrs.participation" {
        /// ODS code of the practice.
        practice_ods_code: String,
        /// The collection.
        service_id: String,
        /// The state.
        state: ParticipationState,
        /// First day, days since 1970-01-01.
        effective_from: i32,
        /// First day on which it no longer holds, days since 1970-01-01.
        effective_to: Option<i32>,
        /// Milliseconds since 1970-01-01T00:00:00Z.
        recorded_at: i64,
    }
}

shape! {
    /// A practice as it stood from a day on.
    pub struct Practice of "in/ods.practices" {
        /// ODS code of the practice.
        practice_ods_code: String,
        /// Its name.
        name: String,
        /// Suppliers of its clinical systems.
        suppliers: Vec<String>,
        /// ODS code of its primary care network.
        pcn_code: Option<String>,
        /// Name of its primary care network.
        pcn_name: Option<String>,
        /// ODS code of its sub-ICB location.
        sub_icb_code: Option<String>,
        /// ONS code of its sub-ICB location.
        sub_icb_ons_code: Option<String>,
        /// Name of its sub-ICB location.
        sub_icb_name: Option<String>,
        /// ODS code of its integrated care board.
        icb_code: Option<String>,
        /// ONS code of its integrated care board.
        icb_ons_code: Option<String>,
        /// Name of its integrated care board.
        icb_name: Option<String>,
        /// ODS code of its region.
        region_code: Option<String>,
        /// ONS code of its region.
        region_ons_code: Option<String>,
        /// Name of its region.
        region_name: Option<String>,
        /// Number of registered patients.
        registered_patients: Option<i32>,
        /// Day on which it opened, days since 1970-01-01.
        open_date: Option<i32>,
        /// Day on which it closed, days since 1970-01-01.
        close_date: Option<i32>,
        /// First day of the row, days since 1970-01-01.
        effective_from: i32,
        /// Milliseconds since 1970-01-01T00:00:00Z.
        recorded_at: i64,
    }
}

shape! {
    /// The national category of a practice's local slot type over the days `[effective_from, effective_to)`.
    pub struct SlotTypeMapping of "in/gpad.slot-type-mappings" {
        /// ODS code of the practice.
        practice_ods_code: String,
        /// Local slot type.
        slot_type: String,
        /// National slot category, as the practice set it.
        national_slot_category: String,
        /// Context type, as the practice set it.
        context_type: String,
        /// Service setting, as the practice set it.
        service_setting: String,
        /// First day, days since 1970-01-01.
        effective_from: i32,
        /// First day on which it no longer holds, days since 1970-01-01.
        effective_to: Option<i32>,
        /// Milliseconds since 1970-01-01T00:00:00Z.
        recorded_at: i64,
    }
}

/// A record of a reference topic, with the key under which compaction keeps it.
pub trait ReferenceRecord: super::datum::Datum {
    /// The topic that carries it.
    const TOPIC: ReferenceTopic;

    /// The Kafka key: the practice's code, then what else tells apart records that must all be kept, divided by `|`.
    fn key(&self) -> String;
}

impl ReferenceRecord for Participation {
    const TOPIC: ReferenceTopic = ReferenceTopic::Participation;

    fn key(&self) -> String {
        format!(
            "{}|{}|{}|{}",
            self.practice_ods_code,
            self.service_id,
            iso(self.effective_from),
            self.recorded_at
        )
    }
}

impl ReferenceRecord for Practice {
    const TOPIC: ReferenceTopic = ReferenceTopic::Practices;

    fn key(&self) -> String {
        format!(
            "{}|{}|{}",
            self.practice_ods_code,
            iso(self.effective_from),
            self.recorded_at
        )
    }
}

impl ReferenceRecord for SlotTypeMapping {
    const TOPIC: ReferenceTopic = ReferenceTopic::SlotTypeMappings;

    fn key(&self) -> String {
        format!(
            "{}|{}|{}|{}",
            self.practice_ods_code,
            self.slot_type,
            iso(self.effective_from),
            self.recorded_at
        )
    }
}

/// The practice's code of a reference record's key.
#[must_use]
pub fn practice_of_key(key: &str) -> &str {
    key.split_once('|').map_or(key, |(practice, _)| practice)
}

/// A day as ISO text; a day that no calendar holds, as its number.
fn iso(days: i32) -> String {
    chrono::NaiveDate::from_epoch_days(days)
        .map_or_else(|| days.to_string(), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Participation, ParticipationState, ReferenceRecord, practice_of_key};
    use crate::wire::container::{ContainerWriter, Packing};
    use crate::wire::datum::{Datum, DatumError};
    use crate::wire::records::{Records, RecordsError};
    use apache_avro::Schema;

    fn approved(day: i32) -> Participation {
        Participation {
            practice_ods_code: "A81001".to_owned(),
            service_id: "gpad".to_owned(),
            state: ParticipationState::Approved,
            effective_from: day,
            effective_to: None,
            recorded_at: 7,
        }
    }

    /// Another's schema: other names of record and enum, other order, fields more and fewer, the union turned round.
    const FOREIGN: &str = r#"{"type": "record", "name": "elsewhere.Agreement", "fields": [
        {"name": "service_id", "type": "string"},
        {"name": "practice_ods_code", "type": "string"},
        {"name": "remarks", "type": {"type": "array", "items": "string"}},
        {"name": "state", "type": {"type": "enum", "name": "S", "symbols": ["CLOSED", "APPROVED"]}},
        {"name": "effective_from", "type": {"type": "int", "logicalType": "date"}},
        {"name": "recorded_at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
    ]}"#;

    const FOREIGN_DATUM: &[u8] = b"\x08gpad\x0cA81001\x02\x02r\x00\x02\x0a\x0e";

    #[test]
    fn another_writers_records_are_resolved_by_field_name() {
        let writer = Schema::parse_str(FOREIGN).unwrap();
        assert_eq!(
            Participation::decode(&writer, FOREIGN_DATUM),
            Ok(approved(5))
        );
        let longer = [FOREIGN_DATUM, b"\0"].concat();
        let error = Participation::decode(&writer, &longer).unwrap_err();
        assert!(error.to_string().starts_with("trailing bytes"), "{error}");
        let shorter = &FOREIGN_DATUM[..FOREIGN_DATUM.len() - 1];
        assert!(matches!(
            Participation::decode(&writer, shorter),
            Err(DatumError::Resolve(_))
        ));
    }

    #[test]
    fn numbers_of_another_meaning_are_not_taken_for_ours() {
        let micros = Participation::SCHEMA.replace("timestamp-millis", "timestamp-micros");
        let writer = Schema::parse_str(&micros).unwrap();
        let decoded = Participation::decode(&writer, &approved(5).to_bytes());
        assert!(
            matches!(decoded, Err(DatumError::Resolve(_))),
            "{decoded:?}"
        );
    }

    #[test]
    fn a_file_gives_its_records_until_it_breaks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cqrs.participation.avro");
        let mut writer =
            ContainerWriter::create(&path, Participation::SCHEMA, Packing::Zstandard, 1).unwrap();
        for day in 0..5000 {
            writer.append(&approved(day).to_bytes()).unwrap();
        }
        writer.append(b"\x01 no record").unwrap();
        writer.append(&approved(1).to_bytes()).unwrap();
        writer.finish().unwrap();
        let mut records: Vec<_> = Records::<Participation>::open(&path).unwrap().collect();
        let last = records.pop().unwrap();
        assert!(
            matches!(last, Err(RecordsError::Undecodable { lost: 2, .. })),
            "{last:?}"
        );
        let days: Vec<i32> = records
            .into_iter()
            .map(|record| record.unwrap().effective_from)
            .collect();
        assert_eq!(days, (0..5000).collect::<Vec<_>>());
    }

    #[test]
    fn a_foreign_file_is_read_by_its_own_schema() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cqrs.participation.avro");
        let mut writer = ContainerWriter::create(&path, FOREIGN, Packing::Null, 1).unwrap();
        writer.append(FOREIGN_DATUM).unwrap();
        writer.append(FOREIGN_DATUM).unwrap();
        writer.finish().unwrap();
        let records: Vec<_> = Records::<Participation>::open(&path)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(records, [approved(5), approved(5)]);
    }

    #[test]
    fn keys_keep_what_compaction_would_drop() {
        let earlier = approved(19_000);
        let key = format!("A81001|gpad|2022-01-08|{}", earlier.recorded_at);
        assert_eq!(earlier.key(), key);
        let restated = Participation {
            recorded_at: earlier.recorded_at + 1,
            ..earlier.clone()
        };
        assert_ne!(restated.key(), key);
        assert_eq!(practice_of_key("A81001|gpad|2022-01-08"), "A81001");
        assert_eq!(practice_of_key("A81001"), "A81001");
    }
}
