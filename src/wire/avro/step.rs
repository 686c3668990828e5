//! Steps over whole records of a writer, so that one that cannot be read does not hide the next.

use apache_avro::Schema;
use apache_avro::schema::ResolvedSchema;

use super::cursor::{Cursor, Fault};
use super::resolve::{ResolutionError, ResolutionFault};
use super::skip::Skips;

/// Finds the ends of a writer's records: in a file's block they have no lengths.
#[derive(Debug)]
pub struct Stepper {
    skips: Skips,
    whole: usize,
}

impl Stepper {
    /// For records of a writer's schema.
    ///
    /// # Errors
    /// When the schema is not whole.
    pub fn compile(writer: &Schema) -> Result<Self, ResolutionError> {
        let resolved = ResolvedSchema::new(writer)
            .map_err(|error| ResolutionFault::Writer(error.to_string()))?;
        let mut skips = Skips::default();
        let whole = skips.add(writer, resolved.get_names(), None)?;
        Ok(Self { skips, whole })
    }

    /// How many bytes the record at the front of a slice takes, whatever its values mean.
    ///
    /// # Errors
    /// When the bytes do not even have the form of the writer's schema.
    pub fn step(&self, front: &[u8]) -> Result<usize, Fault> {
        let mut cursor = Cursor::new(front);
        self.skips.skip(self.whole, &mut cursor)?;
        Ok(cursor.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::avro::Decoder;
    use crate::wire::supplier::{SupplierRecord, tpp};

    #[test]
    fn a_record_with_an_unknown_symbol_ends_where_the_next_begins() {
        let text = tpp::Appointment::schema().canonical_form();
        let text = text.replace("\"VISIT\"", "\"VISIT\",\"ROUND\"");
        let writer = Schema::parse_str(&text).expect("the schema with one more symbol");
        let decoder = Decoder::compile(&writer, tpp::Appointment::schema()).expect("resolves");
        let stepper = Stepper::compile(&writer).expect("steps");
        let mut known = Vec::new();
        blank().encode(&mut known);
        // The symbol follows three texts, a long and a null: all empty or 0, one byte each.
        let mut unknown = known.clone();
        let at = 4;
        assert_eq!(unknown[at], 0);
        unknown[at] = 4;
        let block: Vec<u8> = [&unknown[..], &known].concat();
        let (mut record, mut scratch) = (tpp::Appointment::default(), Vec::new());
        assert!(
            decoder
                .decode_prefix(&block, &mut record, &mut scratch)
                .is_err()
        );
        let next = stepper.step(&block).expect("the form is right");
        assert_eq!(next, unknown.len());
        assert!(
            decoder
                .decode_prefix(&block[next..], &mut record, &mut scratch)
                .is_ok()
        );
    }

    #[test]
    fn a_practice_is_read_without_the_rest_wherever_its_field_stands() {
        let own = tpp::Appointment::schema();
        let record = tpp::Appointment {
            practice_ods_code: "A81001",
            extract_id: "x",
            ..blank()
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let decoder = Decoder::compile(own, own).expect("a schema reads itself");
        assert_eq!(decoder.first_text(&bytes), Some("A81001"));
        assert_eq!(decoder.first_text(&bytes[..3]), None, "cut short");
        // A writer that sends the second field first.
        let mut text: serde_json::Value =
            serde_json::from_str(&own.canonical_form()).expect("JSON");
        text["fields"].as_array_mut().expect("fields").swap(0, 1);
        let writer = Schema::parse_str(&text.to_string()).expect("a schema");
        let decoder = Decoder::compile(&writer, own).expect("resolves");
        let swapped = [&bytes[7..9], &bytes[..7], &bytes[9..]].concat();
        assert_eq!(decoder.first_text(&swapped), Some("A81001"));
        let mut read = tpp::Appointment::default();
        let decoded = decoder.decode(&swapped, &mut read, &mut Vec::new());
        assert!(decoded.is_ok());
        assert_eq!(read, record);
    }

    fn blank() -> tpp::Appointment<'static> {
        tpp::Appointment {
            practice_ods_code: "",
            extract_id: "",
            extracted_at: 0,
            schema_note: None,
            record_type: tpp::RecordType::Appointment,
            row_identifier: 0,
            rota_id: None,
            rota_name: "",
            rota_type: "",
            slot_type: "",
            date_start: 0,
            date_end: 0,
            appointment_status: None,
            visit_status: None,
            date_booked: None,
            date_patient_arrival: None,
            date_patient_seen: None,
            date_finished: None,
            date_cancelled: None,
            telephone_appointment: false,
            staff_role_code: None,
            appointment_mode: None,
            national_slot_category: None,
            context_type: None,
            service_setting: None,
            removed_data: false,
        }
    }
}
