//! The records of TPP (SystmOne).

use crate::domain::topic::SupplierTopic;

/// The two kinds of row in TPP's appointment extract; an identity is unique only within its kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordType {
    /// A slot of a rota, and what is booked in it.
    #[default]
    Appointment = 0,
    /// A visit, which is no slot.
    Visit = 1,
}

super::record! {
    /// The whole state of one TPP (SystmOne) appointment or visit, which is also its slot, at the time of extraction.
    pub struct Appointment<'a> of SupplierTopic::TppAppointments, "tpp.appointments" {
        practice_ods_code: &'a str,
        extract_id: &'a str,
        extracted_at: i64,
        schema_note: Option<&'a str>,
        record_type: RecordType,
        row_identifier: i64,
        rota_id: Option<i64>,
        rota_name: &'a str,
        rota_type: &'a str,
        slot_type: &'a str,
        date_start: i64,
        date_end: i64,
        appointment_status: Option<i32>,
        visit_status: Option<&'a str>,
        date_booked: Option<i64>,
        date_patient_arrival: Option<i64>,
        date_patient_seen: Option<i64>,
        date_finished: Option<i64>,
        date_cancelled: Option<i64>,
        telephone_appointment: bool,
        staff_role_code: Option<&'a str>,
        appointment_mode: Option<&'a str>,
        national_slot_category: Option<&'a str>,
        context_type: Option<&'a str>,
        service_setting: Option<&'a str>,
        removed_data: bool,
    }
}

super::record! {
    /// The whole state of one TPP (SystmOne) event at the time of extraction.
    pub struct Consultation<'a> of SupplierTopic::TppConsultations, "tpp.consultations" {
        practice_ods_code: &'a str,
        extract_id: &'a str,
        extracted_at: i64,
        schema_note: Option<&'a str>,
        row_identifier: i64,
        appointment_row_identifier: Option<i64>,
        date_event: i64,
        date_event_end: Option<i64>,
        contact_method: &'a str,
        contact_event_location: &'a str,
        staff_role_code: Option<&'a str>,
        event_incomplete: bool,
        removed_data: bool,
    }
}
