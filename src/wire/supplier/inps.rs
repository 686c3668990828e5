//! The records of INPS (Vision).

use crate::domain::topic::SupplierTopic;

super::record! {
    /// The whole state of one INPS (Vision) appointment, which is also its slot, at the time of extraction.
    pub struct Appointment<'a> of SupplierTopic::InpsAppointments, "inps.appointments" {
        practice_ods_code: &'a str,
        extract_id: &'a str,
        extracted_at: i64,
        schema_note: Option<&'a str>,
        appt_id: &'a str,
        date: &'a str,
        time: &'a str,
        duration: i32,
        status: &'a str,
        slot_type: &'a str,
        hcp_type: Option<&'a str>,
        booked_date: Option<&'a str>,
        booked_time: Option<&'a str>,
        arrived_time: Option<&'a str>,
        seen_time: Option<&'a str>,
        left_time: Option<&'a str>,
        national_slot_category: Option<&'a str>,
        context_type: Option<&'a str>,
        service_setting: Option<&'a str>,
        action: &'a str,
    }
}

super::record! {
    /// The whole state of one INPS (Vision) encounter at the time of extraction.
    pub struct Consultation<'a> of SupplierTopic::InpsConsultations, "inps.consultations" {
        practice_ods_code: &'a str,
        extract_id: &'a str,
        extracted_at: i64,
        schema_note: Option<&'a str>,
        id: &'a str,
        date: &'a str,
        time: Option<&'a str>,
        duration: Option<i32>,
        hcp_type: Option<&'a str>,
        session: &'a str,
        location: &'a str,
        links: Option<&'a str>,
        action: &'a str,
    }
}
