//! The records of EMIS.

use crate::domain::topic::SupplierTopic;

super::record! {
    /// The whole state of one EMIS slot, and of the booking it holds, at the time of extraction.
    pub struct Appointment<'a> of SupplierTopic::EmisAppointments, "emis.appointments" {
        practice_ods_code: &'a str,
        extract_id: &'a str,
        extracted_at: i64,
        schema_note: Option<&'a str>,
        slot_guid: &'a str,
        booking_guid: Option<&'a str>,
        session_guid: &'a str,
        appointment_date: i32,
        appointment_start_time: i32,
        planned_duration_minutes: i32,
        booked_date: Option<i32>,
        booked_time: Option<i32>,
        send_in_time: Option<i32>,
        left_time: Option<i32>,
        did_not_attend: bool,
        actual_duration_minutes: Option<i32>,
        slot_type_description: &'a str,
        session_category: &'a str,
        job_category_code: Option<&'a str>,
        appointment_mode: Option<&'a str>,
        national_slot_category: Option<&'a str>,
        context_type: Option<&'a str>,
        service_setting: Option<&'a str>,
        blocked: bool,
        deleted: bool,
    }
}

super::record! {
    /// The whole state of one EMIS consultation at the time of extraction.
    pub struct Consultation<'a> of SupplierTopic::EmisConsultations, "emis.consultations" {
        practice_ods_code: &'a str,
        extract_id: &'a str,
        extracted_at: i64,
        schema_note: Option<&'a str>,
        consultation_guid: &'a str,
        slot_guid: Option<&'a str>,
        consultation_date: i32,
        start_time: Option<i32>,
        end_time: Option<i32>,
        consultation_type: &'a str,
        job_category_code: Option<&'a str>,
        complete: bool,
        deleted: bool,
    }
}
