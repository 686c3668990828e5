//! What goes out: rows, dead letters, manifests, deltas, canonical appointments (`schemas/out`).

use super::avro::{Cursor, Fault};
use super::datum::{Avro, Bytes, Datum, shape, symbols};
use sha2::{Digest, Sha256};

shape! {
    /// One dimension of a row.
    pub struct Dimension {
        /// The dimension, as the aggregate declares it.
        name: String,
        /// The row's value of it, as published.
        value: String,
    }
}

shape! {
    /// Which row of an aggregate.
    pub struct AggregateKey of "out/gpad.aggregates-key" {
        /// Name of the aggregate.
        aggregate: String,
        /// Level of geography or organisation.
        level: String,
        /// Code of the place at that level.
        code: String,
        /// Start, inclusive: an ISO local date, or a UTC instant where the aggregate follows event time.
        window_start: String,
        /// End, exclusive.
        window_end: String,
        /// In the order of the declaration.
        dimensions: Vec<Dimension>,
    }
}

shape! {
    /// A measure that is counted or added up.
    pub struct Count {
        /// The measure.
        measure: String,
        /// Its value.
        value: i64,
    }
}

shape! {
    /// A measure that is a quotient or a quantile.
    pub struct Ratio {
        /// The measure.
        measure: String,
        /// Its value; shares as decimals.
        value: f64,
    }
}

shape! {
    /// The measures of a row: a function of the input alone.
    pub struct Figures {
        /// In the order of the declaration.
        counts: Vec<Count>,
        /// In the order of the declaration.
        ratios: Vec<Ratio>,
    }
}

symbols! {
    /// How final a row is.
    pub enum Finality {
        /// Its window is open.
        Provisional = "PROVISIONAL",
        /// Its window is closed.
        Final = "FINAL",
        /// It was corrected after its window had closed.
        Restated = "RESTATED",
    }
}

symbols! {
    /// What closed a row's window.
    pub enum ClosedBy {
        /// Event time passed its end.
        Event = "EVENT",
        /// The input was silent.
        Idle = "IDLE",
        /// Nothing yet.
        Open = "OPEN",
    }
}

shape! {
    /// The transaction that wrote a record: which manifest of the ledger accounts for it.
    pub struct WrittenBy {
        /// The task.
        task: String,
        /// Number of its manifest in the task's chain.
        sequence: i64,
    }
}

shape! {
    /// How and when a row was published; may differ between runs.
    pub struct Published {
        /// Event time up to which the row is complete, milliseconds since 1970-01-01T00:00:00Z.
        as_of: i64,
        /// 1 at first, one more with every correction.
        revision: i32,
        /// How final it is.
        finality: Finality,
        /// What closed its window.
        closed_by: ClosedBy,
        /// Its transaction; none in a file.
        written_by: Option<WrittenBy>,
    }
}

shape! {
    /// What a row of an aggregate says.
    pub struct AggregateValue of "out/gpad.aggregates-value" {
        /// The measures.
        figures: Figures,
        /// How and when.
        published: Published,
    }
}

shape! {
    /// A row of an aggregate's file.
    pub struct AggregateRow of "out/gpad.aggregates-row" {
        /// Which row.
        key: AggregateKey,
        /// What it says.
        value: AggregateValue,
    }
}

shape! {
    /// What a row said before a transaction changed it.
    pub struct Before {
        /// Which row.
        key: AggregateKey,
        /// What it said; none where there was no row.
        figures: Option<Figures>,
        /// The revision that the transaction gave it.
        revision: i32,
    }
}

shape! {
    /// What rows said before a transaction changed them.
    pub struct History of "out/gpad.history" {
        /// The task.
        task: String,
        /// Number of the transaction's manifest in the task's chain.
        sequence: i64,
        /// The service's clock when it was settled, milliseconds since 1970-01-01T00:00:00Z.
        known_at: i64,
        /// In the order in which they were written.
        rows: Vec<Before>,
    }
}

impl History {
    /// The time alone, from a record's front.
    ///
    /// # Errors
    /// When it has no such front.
    pub fn read_known_at(datum: &[u8]) -> Result<i64, Fault> {
        let cursor = &mut Cursor::new(datum);
        String::read(cursor)?;
        i64::read(cursor)?;
        i64::read(cursor)
    }
}

shape! {
    /// A record that was refused: where it stands and why.
    pub struct DeadLetter of "out/gpad.dead-letters" {
        /// Topic of the record.
        topic: String,
        /// Partition of the record.
        partition: i32,
        /// Offset of the record; in a file its number from 0.
        offset: i64,
        /// Reason of the refusal.
        reason: String,
        /// Field that the reason is about.
        field: Option<String>,
        /// Practice of the record, where it is known.
        practice_ods_code: Option<String>,
        /// What a person needs besides, never a value of the record.
        detail: Option<String>,
        /// The record's key.
        key: Option<Bytes>,
        /// The value as it came, only of an undecodable record of an approved practice.
        payload: Option<Bytes>,
        /// The decoded and screened content as JSON, where it may be kept.
        content: Option<String>,
        /// Milliseconds since 1970-01-01T00:00:00Z.
        extracted_at: Option<i64>,
        /// Its transaction; none in a file.
        written_by: Option<WrittenBy>,
    }
}

shape! {
    /// Offsets read of one partition: `[from, to)`.
    pub struct Positions {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// First offset read.
        from: i64,
        /// Next offset to read.
        to: i64,
        /// Records read; fewer than offsets where transaction markers or aborted records lie between.
        records: i64,
    }
}

shape! {
    /// How many records of a topic ended in a disposition.
    pub struct DispositionCount {
        /// Topic.
        topic: String,
        /// The disposition.
        disposition: String,
        /// Reason of a withheld or a rejected record.
        reason: Option<String>,
        /// Number of records.
        count: i64,
    }
}

shape! {
    /// All rows of a task that stand in a compacted output.
    pub struct Standing {
        /// Their number.
        rows: i64,
        /// Sum modulo 2^256 of the hashes of their keys and figures ([`super::multiset`]).
        digest: Bytes,
    }
}

shape! {
    /// What went to an output.
    pub struct Written {
        /// Topic of the output.
        output: String,
        /// Number of records, tombstones too.
        count: i64,
        /// Sum modulo 2^256 of the hashes of the records ([`super::multiset`]).
        digest: Bytes,
        /// What stands there after it, of a compacted output.
        standing: Option<Standing>,
    }
}

shape! {
    /// What one transaction of one task did.
    pub struct Manifest of "out/gpad.ledger" {
        /// The task.
        task: String,
        /// Which ownership of the task it is.
        epoch: i64,
        /// Number in the task's chain.
        sequence: i64,
        /// `hash` of the manifest before; empty in the first.
        previous_hash: Bytes,
        /// SHA-256 of the encoding with this field empty.
        hash: Bytes,
        /// What was read.
        positions: Vec<Positions>,
        /// What became of it.
        dispositions: Vec<DispositionCount>,
        /// What became of records that `readmit` read again.
        readmitted: Vec<DispositionCount>,
        /// Records that are pending after this transaction.
        pending: i64,
        /// What was written.
        rows: Vec<Written>,
        /// Event time that the task had reached, milliseconds since 1970-01-01T00:00:00Z.
        as_of: i64,
        /// SHA-256 of a snapshot of the task's state that may be used from here on; empty if none was completed.
        snapshot: Bytes,
    }
}

impl Manifest {
    /// The hash that the manifest should carry, whatever it does carry.
    #[must_use]
    pub fn expected_hash(&self) -> Bytes {
        let open = Self {
            hash: Bytes::default(),
            ..self.clone()
        };
        Bytes(Sha256::digest(open.to_bytes()).to_vec())
    }

    /// The manifest with its hash.
    #[must_use]
    pub fn sealed(self) -> Self {
        Self {
            hash: self.expected_hash(),
            ..self
        }
    }
}

shape! {
    /// Up to when the windows of a task are closed.
    pub struct Closed {
        /// The task's number.
        task: i32,
        /// By what came of every supplier ever heard of, milliseconds since 1970-01-01T00:00:00Z.
        by_events: Option<i64>,
        /// With silent suppliers left out, likewise.
        to: Option<i64>,
    }
}

shape! {
    /// A place that changes are added to.
    pub struct DeltaPlace {
        /// `geography` or `supplier`.
        level: String,
        /// Codes of the place, from the level upwards.
        codes: Vec<String>,
    }
}

shape! {
    /// A window that changes are of.
    pub struct DeltaWindow {
        /// Start, inclusive.
        start: String,
        /// End, exclusive.
        end: String,
    }
}

shape! {
    /// A signed change of an aggregate's measures.
    pub struct DeltaChange {
        /// Index into the places.
        place: i32,
        /// Index into the windows.
        window: i32,
        /// Index into the values of dimensions.
        values: i32,
        /// Changes, in the order of the declaration.
        measures: Vec<i64>,
    }
}

shape! {
    /// Signed changes of one aggregate's measures; without an aggregate it tells up to when its task's windows are closed.
    #[derive(Default)]
    pub struct Deltas of "out/gpad.deltas" {
        /// Name of the aggregate.
        aggregate: String,
        /// Names of its dimensions, in the order of the declaration.
        dimensions: Vec<String>,
        /// Places, each once.
        places: Vec<DeltaPlace>,
        /// Windows, each once.
        windows: Vec<DeltaWindow>,
        /// Values of the dimensions, each combination once.
        values: Vec<Vec<String>>,
        /// Changes.
        changes: Vec<DeltaChange>,
        /// Event time that the task had reached, milliseconds since 1970-01-01T00:00:00Z.
        as_of: i64,
        /// Its transaction.
        written_by: Option<WrittenBy>,
        /// Behind the deltas of a transaction; none in them.
        closed: Option<Closed>,
    }
}

shape! {
    /// How far a partition of a reference topic must have been read.
    pub struct ReferencePosition {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Next offset to read.
        next: i64,
    }
}

shape! {
    /// A request to read a practice's supplier records again.
    pub struct Readmission of "out/gpad.readmissions" {
        /// ODS code of the practice.
        practice_ods_code: String,
        /// Milliseconds since 1970-01-01T00:00:00Z.
        requested_at: i64,
        /// Not to be taken up before this was read.
        reference: Vec<ReferencePosition>,
    }
}

shape! {
    /// An appointment as categorised and reconciled; pseudonymous.
    pub struct CanonicalAppointment of "out/gpad.appointments" {
        /// Feed that sent it.
        supplier: String,
        /// ODS code of the practice.
        practice_ods_code: String,
        /// Fingerprint of its identity.
        fingerprint: Bytes,
        /// Version of the record that decided, milliseconds since 1970-01-01T00:00:00Z.
        version: i64,
        /// Local date, days since 1970-01-01.
        appointment_date: i32,
        /// Planned start, Europe/London wall clock, milliseconds since 1970-01-01T00:00:00.
        start: i64,
        /// Planned length, minutes.
        planned_minutes: i32,
        /// Status.
        status: String,
        /// Published status; none where it is not published.
        published_status: Option<String>,
        /// HCP type.
        hcp_type: String,
        /// SDS role group.
        sds_role_group: String,
        /// Mode.
        mode: String,
        /// Time between booking and appointment, as published.
        waiting_band: String,
        /// National category.
        national_category: String,
        /// Context type.
        context_type: String,
        /// Service setting.
        service_setting: String,
        /// Actual length, minutes.
        actual_duration_minutes: Option<i32>,
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Manifest, Positions};
    use crate::wire::datum::Datum;

    fn manifest() -> Manifest {
        Manifest {
            task: "3".to_owned(),
            epoch: 1,
            sequence: 9,
            previous_hash: Bytes(vec![1; 32]),
            hash: Bytes::default(),
            positions: vec![Positions {
                topic: "emis.appointments".to_owned(),
                partition: 3,
                from: 5,
                to: 8,
                records: 2,
            }],
            dispositions: Vec::new(),
            readmitted: Vec::new(),
            pending: 0,
            rows: Vec::new(),
            as_of: 1_650_000_000_000,
            snapshot: Bytes::default(),
        }
    }

    #[test]
    fn a_sealed_manifest_carries_the_hash_of_everything_else() {
        let sealed = manifest().sealed();
        assert_eq!(sealed.hash.0.len(), 32);
        assert_eq!(sealed.hash, sealed.expected_hash());
        let mut changed = sealed.clone();
        changed.positions[0].to += 1;
        assert_ne!(changed.hash, changed.expected_hash());
        assert_eq!(sealed.clone().sealed(), sealed);
    }

    #[test]
    fn bytes_are_shown_as_hexadecimal_digits() {
        assert_eq!(
            serde_json::to_string(&Bytes(vec![0, 0xab])).unwrap(),
            "\"00ab\""
        );
    }

    #[test]
    fn a_datum_is_all_of_its_bytes() {
        let bytes = manifest().to_bytes();
        assert_eq!(Manifest::from_bytes(&bytes), Ok(manifest()));
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Manifest::from_bytes(&longer).unwrap_err().at, bytes.len());
        for cut in 0..bytes.len() {
            assert!(Manifest::from_bytes(&bytes[..cut]).is_err());
        }
    }
}
