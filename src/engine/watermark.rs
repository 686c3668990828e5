//! How far each supplier has come in event time.

use crate::domain::time::Timestamp;
use crate::domain::topic::Supplier;

/// The greatest time of extraction admitted, by supplier. Only moves forward.
#[derive(Debug, Clone, Default)]
pub struct Watermarks {
    newest: [Option<Timestamp>; Supplier::ALL.len()],
}

impl Watermarks {
    pub(super) fn see(&mut self, supplier: Supplier, version: Timestamp) {
        let newest = &mut self.newest[supplier as usize];
        *newest = (*newest).max(Some(version));
    }

    /// `None`: nothing of the supplier was admitted yet.
    #[must_use]
    pub const fn of(&self, supplier: Supplier) -> Option<Timestamp> {
        self.newest[supplier as usize]
    }

    /// The promise over all suppliers heard of: nothing older is expected, but for lateness.
    #[must_use]
    pub fn all(&self) -> Option<Timestamp> {
        self.newest.iter().flatten().min().copied()
    }

    /// The greatest of all; the least time there is before the first record.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.newest
            .iter()
            .flatten()
            .max()
            .copied()
            .unwrap_or(Timestamp(0))
    }
}
