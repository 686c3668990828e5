//! The records of Microtest, whose fields are made up here.

use crate::domain::topic::SupplierTopic;

super::record! {
    /// The whole state of one Microtest appointment, which is also its slot, at the time of extraction.
    pub struct Appointment<'a> of SupplierTopic::MicrotestAppointments, "microtest.appointments" {
        practice_ods_code: &'a str,
        extract_id: &'a str,
        extracted_at: i64,
        schema_note: Option<&'a str>,
        appointment_no: i64,
        start: &'a str,
        length_minutes: i32,
        state: &'a str,
        slot_name: &'a str,
        role: Option<&'a str>,
        contact: Option<&'a str>,
        booked_on: Option<&'a str>,
        seen_at: Option<&'a str>,
        ended_at: Option<&'a str>,
        national_slot_category: Option<&'a str>,
        context_type: Option<&'a str>,
        service_setting: Option<&'a str>,
        withdrawn: bool,
    }
}

super::record! {
    /// The whole state of one Microtest consultation at the time of extraction.
    pub struct Consultation<'a> of SupplierTopic::MicrotestConsultations, "microtest.consultations" {
        practice_ods_code: &'a str,
        extract_id: &'a str,
        extracted_at: i64,
        schema_note: Option<&'a str>,
        consultation_no: i64,
        appointment_no: Option<i64>,
        began: &'a str,
        ended: Option<&'a str>,
        role: Option<&'a str>,
        withdrawn: bool,
    }
}
