//! Writing neutral versions as the records of the four suppliers.

pub mod emis;
pub mod inps;
pub mod microtest;
pub mod tpp;

use std::fmt::Write;

use crate::domain::time::{Day, MILLIS_PER_DAY};
use crate::domain::topic::Supplier;

use super::batch::Batch;
use super::calendar::Calendar;
use super::chance::Chance;
use super::life::{Encounter, State, Version};

/// The identities of one slot, its bookings and one consultation; re-used from slot to slot.
#[derive(Debug, Default)]
pub struct Ids {
    /// EMIS slot.
    pub slot: String,
    /// EMIS bookings: the one given up, the one that stands.
    pub bookings: [String; 2],
    /// EMIS session, shared by the slots of a clinician's day.
    pub session: String,
    /// EMIS consultation.
    pub encounter: String,
    /// TPP row, INPS and Microtest appointment; unique within practice and system (and TPP record type).
    pub row: i64,
    /// TPP, INPS, Microtest consultation.
    pub encounter_row: i64,
    /// INPS appointment.
    pub appt: String,
}

/// What all records of one system of a practice share.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// ODS code.
    pub practice: &'a str,
    /// Which system.
    pub supplier: Supplier,
    /// Texts and offsets of days.
    pub calendar: &'a Calendar,
}

impl Scene<'_> {
    /// The supplier's name for the extract of an instant: one a day.
    fn extract_id(&self, at: i64) -> &str {
        let day = Day(i32::try_from(at.div_euclid(MILLIS_PER_DAY)).unwrap_or(0));
        self.calendar.compact(day)
    }

    /// Writes a version of a slot or appointment.
    pub fn appointment(
        &self,
        ids: &Ids,
        version: &Version<State>,
        chance: &mut Chance,
        batch: &mut Batch,
    ) {
        match self.supplier {
            Supplier::Emis => emis::appointment(self, ids, version, chance, batch),
            Supplier::Tpp => tpp::appointment(self, ids, version, chance, batch),
            Supplier::Inps => inps::appointment(self, ids, version, chance, batch),
            Supplier::Microtest => microtest::appointment(self, ids, version, chance, batch),
        }
    }

    /// Writes a version of a consultation.
    pub fn consultation(
        &self,
        ids: &Ids,
        version: &Version<Encounter>,
        chance: &mut Chance,
        batch: &mut Batch,
    ) {
        match self.supplier {
            Supplier::Emis => emis::consultation(self, ids, version, chance, batch),
            Supplier::Tpp => tpp::consultation(self, ids, version, chance, batch),
            Supplier::Inps => inps::consultation(self, ids, version, chance, batch),
            Supplier::Microtest => microtest::consultation(self, ids, version, chance, batch),
        }
    }
}

/// Writes 128 bits as a GUID.
pub fn guid(high: u64, low: u64, into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    into.clear();
    for position in 0..32 {
        if matches!(position, 8 | 12 | 16 | 20) {
            into.push('-');
        }
        let half = if position < 16 { high } else { low };
        let digit = (half >> (60 - 4 * (position % 16))) & 15;
        into.push(char::from(DIGITS[digit as usize]));
    }
}

/// Writes the identity of an INPS appointment.
pub fn appt_id(row: i64, into: &mut String) {
    into.clear();
    // Writing to a string cannot fail.
    let _ = write!(into, "V{row}");
}
