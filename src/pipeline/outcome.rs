//! What becomes of a record, and what a settlement hands over.

use crate::domain::aggregate::Row;
use crate::domain::disposition::{Disposition, Rejection, Withholding};
use crate::domain::time::Timestamp;
use crate::domain::topic::Supplier;
use crate::engine::fold::Delta;
use crate::engine::ledger::Counts;
use crate::engine::watermark::Closed;
use crate::stages::letter::DeadLetter;

/// Why a record goes no further. Nearly all go on: what is told of the others lies elsewhere.
pub(super) enum Stop {
    Withheld(Withholding),
    Rejected(Box<Refused>),
}

/// A refusal and what its dead letter may tell.
pub(super) struct Refused {
    pub reason: Rejection,
    pub field: Option<String>,
    pub detail: Option<String>,
    /// Who sent it, and when; missing where not even that may be told.
    pub sender: Option<(String, Timestamp)>,
    pub content: Option<String>,
}

impl Refused {
    pub const fn bare(reason: Rejection) -> Self {
        Self {
            reason,
            field: None,
            detail: None,
            sender: None,
            content: None,
        }
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Rejected(Box::new(refused))
    }
}

impl From<Withholding> for Stop {
    fn from(why: Withholding) -> Self {
        Self::Withheld(why)
    }
}

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
