//! What becomes of a record, and what a settlement hands over.

use crate::domain::aggregate::Row;
use crate::domain::disposition::Disposition;
use crate::domain::time::Timestamp;
use crate::domain::topic::Supplier;
use crate::engine::fold::Delta;
use crate::engine::ledger::Counts;
use crate::engine::watermark::Closed;
use crate::stages::letter::DeadLetter;

/// Where a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub disposition: Disposition,
    /// Bytes of the payload that the record took; `None` if it could not be decoded.
    pub bytes: Option<usize>,
}

/// What one transaction must carry.
#[derive(Debug)]
pub struct Settled {
    /// Of practices; the deltas are for the second stage.
    pub rows: Vec<Row>,
    pub deltas: Vec<Delta>,
    /// Up to when windows are closed, where that has changed.
    pub closed: Option<Closed>,
    pub dead_letters: Vec<DeadLetter>,
    pub counts: Counts,
    /// Records taken; equals `counts.total()`.
    pub records: i64,
    /// The greatest time of extraction admitted so far.
    pub as_of: Timestamp,
}

/// A settlement in short; the last three as in [`Settled`](crate::engine::task::Settled).
#[derive(Debug)]
pub struct Summary {
    pub counts: Counts,
    pub records: i64,
    pub as_of: Timestamp,
    pub too_old: u64,
    pub ahead: [u64; Supplier::ALL.len()],
    pub covid_vaccinations: [u64; Supplier::ALL.len()],
}
