//! The figures that stand, by packed key, with what was published of them.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::domain::aggregate::Finality;

use super::changes::Key;

/// What was published of a row.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    revision: u32,
    was_final: bool,
}

/// Rows of one aggregate at one level. A row that returned to nothing keeps its key, so that its
/// revision goes on when it comes back.
#[derive(Debug, Default)]
pub struct Rows {
    stride: usize,
    index: HashTable<u32>,
    keys: Vec<Key>,
    figures: Vec<i64>,
    standing: Vec<Standing>,
}

/// A row after a change.
#[derive(Debug, Clone, Copy)]
pub struct Changed<'a> {
    /// All zero: the row has returned to nothing.
    pub figures: &'a [i64],
    pub revision: u32,
    pub finality: Finality,
}

impl Rows {
    #[must_use]
    pub fn new(stride: usize) -> Self {
        Self {
            stride,
            ..Self::default()
        }
    }

    /// Adds sums to a row; `is_closed` says whether the watermark has passed its window.
    pub fn apply(&mut self, key: Key, sums: &[i64], is_closed: bool) -> Changed<'_> {
        let keys = &self.keys;
        let entry = self.index.entry(
            key.hash(),
            |found| keys[*found as usize] == key,
            |found| keys[*found as usize].hash(),
        );
        let at = match entry {
            Entry::Occupied(found) => *found.get() as usize,
            Entry::Vacant(room) => {
                let at = self.keys.len();
                room.insert(u32::try_from(at).expect("fewer than 2^32 rows fit in memory"));
                self.keys.push(key);
                self.figures.resize(self.figures.len() + self.stride, 0);
                self.standing.push(Standing::default());
                at
            }
        };
        let figures = &mut self.figures[at * self.stride..][..self.stride];
        for (figure, sum) in figures.iter_mut().zip(sums) {
            *figure += sum;
        }
        let standing = &mut self.standing[at];
        standing.revision += 1;
        let finality = match (is_closed, standing.was_final) {
            (_, true) => Finality::Restated,
            (true, false) => Finality::Final,
            (false, false) => Finality::Provisional,
        };
        standing.was_final |= is_closed;
        Changed {
            figures,
            revision: standing.revision,
            finality,
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
