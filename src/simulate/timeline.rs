//! All records of a run in order of time, without holding the run in memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::domain::time::MILLIS_PER_HOUR;
use crate::domain::topic::SupplierTopic;

use super::error::Error;
use super::registers;
use super::run::{Plan, Summary};
use super::sink::{Sink, Topic};

/// Records held in memory before they are put aside in files; a run below it never touches the disk.
const HELD_BYTES: usize = 256 << 20;

/// Sends every record of a run in order of time: the reference data, then the suppliers' records in the order in which
/// they arrive, which is that of `extracted_at` but for the few that come late.
///
/// Large runs are put aside by hour in a folder of their own in `spill`, which is removed at the end; an hour at a time
/// is held in memory. `progress` is told the appointments drawn while they are put aside.
///
/// # Errors
/// The sink's, or [`Error::World`] when the disk fails.
pub fn in_time_order(
    plan: &Plan,
    sink: &mut dyn Sink,
    threads: usize,
    spill: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, Error> {
    let mut summary = Summary {
        practices: plan.practices() as u64,
        reference_records: registers::send(plan, sink)?,
        ..Summary::default()
    };
    let mut hours = Hours::new(spill, HELD_BYTES);
    plan.in_order(threads, &mut |batch, counted| {
        for (entry, datum) in batch.records() {
            let record = Record {
                arrival: entry.arrival,
                extracted_at: entry.extracted_at,
                topic: entry.topic,
                key: batch.key.as_bytes(),
                datum,
            };
            hours.put(&record)?;
            summary.bytes += datum.len() as u64;
        }
        summary.records += batch.len() as u64;
        summary.counted += counted;
        progress(summary.counted);
        Ok(())
    })?;
    hours.drain(&mut |record| {
        sink.send(
            Topic::Supplier(record.topic),
            record.key,
            record.datum,
            record.extracted_at,
        )
    })?;
    Ok(summary)
}

/// A record that waits for its hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record<'a> {
    arrival: i64,
    extracted_at: i64,
    topic: SupplierTopic,
    key: &'a [u8],
    datum: &'a [u8],
}

// A waiting record:  arrival 8 | extracted_at 8 | topic 1 | length of key 1 | length of datum 4 | key | datum
const HEADER_BYTES: usize = 22;

impl<'a> Record<'a> {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.arrival.to_le_bytes());
        into.extend_from_slice(&self.extracted_at.to_le_bytes());
        into.push(self.topic as u8);
        into.push(self.key.len() as u8);
        into.extend_from_slice(&(self.datum.len() as u32).to_le_bytes());
        into.extend_from_slice(self.key);
        into.extend_from_slice(self.datum);
    }

    /// The record at the front, and what follows it; `None` where there is none.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (arrival, rest) = bytes.split_first_chunk::<8>()?;
        let (extracted_at, rest) = rest.split_first_chunk::<8>()?;
        let ([topic, key], rest) = rest.split_first_chunk::<2>()?;
        let (datum, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(usize::from(*key))?;
        let (datum, rest) = rest.split_at_checked(u32::from_le_bytes(*datum) as usize)?;
        let record = Self {
            arrival: i64::from_le_bytes(*arrival),
            extracted_at: i64::from_le_bytes(*extracted_at),
            topic: *SupplierTopic::ALL.get(usize::from(*topic))?,
            key,
            datum,
        };
        Some((record, rest))
    }
}

/// Waiting records by their hour of arrival.
//
//   put     → hour 0 |####|   hour 1 |##|   …        in memory
//             more than allowed: every hour's to the end of its file, in the order of putting
//   drain   → hour by hour: its file, then what is still in memory; sorted by arrival, ties in the order of putting
struct Hours {
    folder: PathBuf,
    allowed: usize,
    held: usize,
    waiting: BTreeMap<i64, Vec<u8>>,
    spilled: bool,
}

impl Hours {
    fn new(spill: &Path, allowed: usize) -> Self {
        Self {
            folder: spill.join(format!("gpad-live-simulate-{}", std::process::id())),
            allowed,
            held: 0,
            waiting: BTreeMap::new(),
            spilled: false,
        }
    }

    fn file(&self, hour: i64) -> PathBuf {
        self.folder.join(hour.to_string())
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::world(format!("cannot use {}", self.folder.display()), source)
    }

    fn put(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let hour = record.arrival.div_euclid(MILLIS_PER_HOUR);
        record.write(self.waiting.entry(hour).or_default());
        self.held += HEADER_BYTES + record.key.len() + record.datum.len();
        if self.held > self.allowed {
            self.spill().map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    fn spill(&mut self) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.spilled = true;
        let folder = self.folder.clone();
        for (hour, waiting) in &mut self.waiting {
            if !waiting.is_empty() {
                let path = folder.join(hour.to_string());
                let mut file = File::options().append(true).create(true).open(path)?;
                file.write_all(waiting)?;
                waiting.clear();
                waiting.shrink_to(4 << 10);
            }
        }
        self.held = 0;
        Ok(())
    }

    fn drain(
        mut self,
        take: &mut dyn FnMut(&Record<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut bytes = Vec::new();
        while let Some((hour, waiting)) = self.waiting.pop_first() {
            bytes.clear();
            let path = self.file(hour);
            if self.spilled && path.exists() {
                bytes = fs::read(&path).map_err(|source| self.failed(source))?;
                fs::remove_file(&path).map_err(|source| self.failed(source))?;
            }
            bytes.extend_from_slice(&waiting);
            let mut records = Vec::new();
            let mut rest = bytes.as_slice();
            while let Some((record, after)) = Record::read(rest) {
                records.push(record);
                rest = after;
            }
            if !rest.is_empty() {
                return Err(self.failed(std::io::ErrorKind::InvalidData.into()));
            }
            records.sort_by_key(|record| record.arrival);
            for record in &records {
                take(record)?;
            }
        }
        Ok(())
    }
}

impl Drop for Hours {
    fn drop(&mut self) {
        if self.spilled {
            // Nobody is left to tell; the folder lies among temporary files.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_by_arrival_whether_they_fit_in_memory_or_not() {
        let arrivals = [7_300_000, 5, 3_600_000, 5, 3_599_999, 9_000_000, 0, -1];
        let drained = |allowed: usize| {
            let folder = tempfile::tempdir().expect("a folder");
            let mut hours = Hours::new(folder.path(), allowed);
            for (index, arrival) in arrivals.into_iter().enumerate() {
                let datum = [index as u8; 3];
                let topic = SupplierTopic::ALL[index];
                let record = Record {
                    arrival,
                    extracted_at: arrival - 9,
                    topic,
                    key: b"A81001",
                    datum: &datum,
                };
                hours.put(&record).expect("put");
            }
            let mut drained = Vec::new();
            let take = &mut |record: &Record<'_>| {
                assert_eq!(record.key, b"A81001");
                assert_eq!(record.extracted_at, record.arrival - 9);
                assert_eq!(record.topic.index(), usize::from(record.datum[2]));
                drained.push((record.arrival, record.datum[0]));
                Ok(())
            };
            hours.drain(take).expect("drained");
            let left = fs::read_dir(folder.path()).expect("a folder").count();
            assert_eq!(left, 0, "nothing stays on the disk");
            drained
        };
        let expected = [
            (-1, 7),
            (0, 6),
            (5, 1),
            (5, 3),
            (3_599_999, 4),
            (3_600_000, 2),
            (7_300_000, 0),
            (9_000_000, 5),
        ];
        for allowed in [0, 60, 1_000_000] {
            assert_eq!(drained(allowed), expected, "{allowed} bytes");
        }
    }
}
