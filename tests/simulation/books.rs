//! The books of the simulation: every transaction is judged at the moment in which its coordinator decides to commit it.
//
// What the proofs' auditor checks from outside (chains, sums across levels, letters once) is checked here too, and
// beside it what only the broker can know: that a transaction's positions and counts are those of the records that lie
// there.

use std::collections::BTreeMap;

use gpad_live::domain::topic::SupplierTopic;
use gpad_live::service::{CHANGELOG, DEAD_LETTERS, HISTORY, LEDGER, Note};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe_ours;
use gpad_live::wire::output::{DeadLetter, Manifest};

use super::broker::{Broker, Offsets, Place};
use crate::support::audit::{Audit, Books as Audited};
use crate::support::expected::said;

/// A record of a transaction; `partition` is `None` until it was stored.
#[derive(Clone)]
pub struct Written {
    pub topic: String,
    pub partition: Option<i32>,
    pub offset: i64,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

pub struct Books {
    pub audited: Audited,
    /// The first thing that is wrong.
    pub wrong: Option<String>,
    /// What the last letter of each record says, by its coordinates.
    pub letters: BTreeMap<Vec<u8>, String>,
    audit: Audit,
    positions: BTreeMap<Place, i64>,
    notes: BTreeMap<String, String>,
}

impl Books {
    pub fn new() -> Self {
        Self {
            audited: Audited::default(),
            wrong: None,
            letters: BTreeMap::new(),
            audit: Audit::new(),
            positions: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Takes in what is being committed.
    pub fn judge(&mut self, name: &str, records: &[Written], offsets: &Offsets, broker: &Broker) {
        if let Err(wrong) = self.take(name, records, offsets, broker) {
            self.wrong
                .get_or_insert(format!("a transaction of {name}: {wrong}"));
        }
    }

    fn take(
        &mut self,
        name: &str,
        records: &[Written],
        offsets: &Offsets,
        broker: &Broker,
    ) -> Result<(), String> {
        let manifest = manifest(records)?;
        let note =
            Note::read(&offsets.note).ok_or_else(|| format!("the note is {:?}", offsets.note))?;
        let stated = (manifest.epoch, manifest.sequence, &manifest.hash.0);
        if (note.epoch, note.sequence, &note.hash) != stated {
            return Err(format!(
                "the note {note:?} is not of manifest {} of epoch {}",
                manifest.sequence, manifest.epoch
            ));
        }
        if self
            .notes
            .insert(name.to_owned(), offsets.note.clone())
            .as_ref()
            == Some(&offsets.note)
        {
            return Err(format!("the note {} is written twice", offsets.note));
        }
        if manifest.task != name {
            return Err(format!(
                "a manifest of {} is committed by {name}",
                manifest.task
            ));
        }
        if !records.iter().any(|record| record.topic == CHANGELOG) {
            return Err("its changes are not in the changelog".to_owned());
        }
        self.positions(&manifest, offsets, broker)?;
        let reads_again = !manifest.readmitted.is_empty();
        let kept = [CHANGELOG, HISTORY];
        for record in (records.iter()).filter(|record| !kept.contains(&&*record.topic)) {
            // What is read again and refused again has another letter under the same key.
            if record.topic == DEAD_LETTERS && self.letter(record)? && reads_again {
                continue;
            }
            let value = record.value.as_deref();
            self.audit.take(
                &mut self.audited,
                &record.topic,
                record.offset,
                &record.key,
                value,
            )?;
        }
        Ok(())
    }

    /// Takes in a dead letter; whether its record had one before.
    fn letter(&mut self, record: &Written) -> Result<bool, String> {
        let letter: DeadLetter = decode(record)?;
        Ok(self
            .letters
            .insert(record.key.clone(), said(&letter))
            .is_some())
    }

    /// They go on where they stood, over records that are there, and each of these ends in one disposition.
    fn positions(
        &mut self,
        manifest: &Manifest,
        offsets: &Offsets,
        broker: &Broker,
    ) -> Result<(), String> {
        let mut supplied = 0;
        for (place, next) in &offsets.positions {
            let topic = &broker.topics[place.0].name;
            let before = self.positions.insert(*place, *next).unwrap_or(0);
            let read = (manifest.positions.iter())
                .find(|read| read.topic == *topic && read.partition == place.1);
            let (from, to, records) = read.map_or((before, before, 0), |read| {
                (read.from, read.to, read.records)
            });
            if (from, to) != (before, *next) || to < from {
                return Err(format!(
                    "{topic}/{}: the group goes from {before} to {next}, the manifest from {from} to {to}",
                    place.1
                ));
            }
            let there = broker.partition(*place).committed(from, to).count() as i64;
            if records != there {
                return Err(format!(
                    "{topic}/{}: {records} records were read from {from} to {to}, and {there} lie there",
                    place.1
                ));
            }
            if SupplierTopic::ALL
                .iter()
                .any(|supplier| supplier.name() == topic)
            {
                supplied += records;
            }
        }
        let all: i64 = manifest.dispositions.iter().map(|count| count.count).sum();
        if all != supplied {
            return Err(format!("{all} dispositions of {supplied} records"));
        }
        if manifest.positions.len() > offsets.positions.len() {
            return Err("the manifest has positions that are not committed".to_owned());
        }
        Ok(())
    }

    /// Transactions that were committed.
    pub fn transactions(&self) -> i64 {
        self.audited.committed()
    }

    pub fn position(&self, place: Place) -> i64 {
        self.positions.get(&place).copied().unwrap_or(0)
    }
}

fn manifest(records: &[Written]) -> Result<Manifest, String> {
    let mut found = records.iter().filter(|record| record.topic == LEDGER);
    let (Some(record), None) = (found.next(), found.next()) else {
        return Err("not one manifest".to_owned());
    };
    decode(record)
}

fn decode<T: Datum>(record: &Written) -> Result<T, String> {
    let (_, datum) = unframe_ours(record.value.as_deref()).map_err(|error| error.to_string())?;
    T::from_bytes(datum).map_err(|error| error.to_string())
}
