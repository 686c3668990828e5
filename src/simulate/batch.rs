//! The records of one practice, encoded, in the order they arrive.

use crate::domain::topic::SupplierTopic;

use super::chance::Chance;

/// One encoded record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When it arrives, UTC milliseconds: shortly after its extraction, now and then days.
    pub arrival: i64,
    /// Its version.
    pub extracted_at: i64,
    /// Its topic.
    pub topic: SupplierTopic,
    start: usize,
    length: usize,
}

/// Encoded records of one practice; re-used from practice to practice.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records' key.
    pub key: String,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Batch {
    /// An empty batch of a practice.
    pub fn restart(&mut self, key: &str) {
        key.clone_into(&mut self.key);
        self.bytes.clear();
        self.entries.clear();
    }

    /// Adds the record that `encode` writes; some come late, out of order, or twice.
    pub fn push(
        &mut self,
        topic: SupplierTopic,
        extracted_at: i64,
        chance: &mut Chance,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        let drawn = chance.bits();
        // Ten bits for lateness, ten for repetition, the rest for how long.
        let (late, again, long) = (drawn & 1023, (drawn >> 10) & 1023, (drawn >> 20) as u32);
        let entry = Entry {
            arrival: extracted_at + delay(late, long),
            extracted_at,
            topic,
            start,
            length: self.bytes.len() - start,
        };
        self.entries.push(entry);
        let twice = match topic {
            SupplierTopic::TppAppointments => 16,
            SupplierTopic::EmisAppointments
            | SupplierTopic::EmisConsultations
            | SupplierTopic::TppConsultations
            | SupplierTopic::InpsAppointments
            | SupplierTopic::InpsConsultations
            | SupplierTopic::MicrotestAppointments
            | SupplierTopic::MicrotestConsultations => 6,
        };
        if again < twice {
            self.entries.push(Entry {
                arrival: entry.arrival + i64::from(long >> 10),
                ..entry
            });
        }
    }

    /// Puts the records in order of arrival, those of one instant in the order they were added.
    pub fn sort(&mut self) {
        // An entry's start grows with the order of adding, and a repetition equals what it repeats.
        self.entries
            .sort_unstable_by_key(|entry| (entry.arrival, entry.start));
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The records with their Avro binary.
    pub fn records(&self) -> impl Iterator<Item = (&Entry, &[u8])> {
        self.entries
            .iter()
            .map(|entry| (entry, &self.bytes[entry.start..entry.start + entry.length]))
    }
}

/// Milliseconds between extraction and arrival: seconds, but for one in 64 hours and for one in 512 days.
fn delay(late: u64, long: u32) -> i64 {
    let long = i64::from(long);
    match late {
        0..2 => long % 259_200_000,
        2..16 => long % 10_800_000,
        _ => long % 3_000,
    }
}
