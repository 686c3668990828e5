//! The figures that stand, by packed key, with what was published of them.

use crate::domain::aggregate::Finality;

use super::table::{Key, Table};

/// Rows of one aggregate at one level. A row that returned to nothing keeps its key, so that its
/// revision goes on when it comes back.
//
//   words of an entry:  revision << 1 | was final,  then the figures
#[derive(Debug)]
pub struct Rows {
    rows: Table,
    /// Numbers of rows that have changed since they were last taken.
    changed: Vec<u32>,
}

/// A row after a change.
#[derive(Debug, Clone, Copy)]
pub struct Changed<'a> {
    /// All zero: the row has returned to nothing.
    pub figures: &'a [i64],
    pub revision: u32,
    pub finality: Finality,
}

/// Moves a row's standing on by one publication: its revision, from 1 on, and how sure it is.
pub fn publish(standing: &mut i64, is_closed: bool) -> (u32, Finality) {
    let was_final = *standing & 1 != 0;
    let revision = (*standing >> 1) + 1;
    let finality = match (is_closed, was_final) {
        (_, true) => Finality::Restated,
        (true, false) => Finality::Final,
        (false, false) => Finality::Provisional,
    };
    *standing = revision << 1 | i64::from(was_final || is_closed);
    (u32::try_from(revision).unwrap_or(u32::MAX), finality)
}

impl Rows {
    #[must_use]
    pub fn new(measures: usize) -> Self {
        Self {
            rows: Table::new(1 + measures),
            changed: Vec::new(),
        }
    }

    /// Adds sums to a row; `is_closed` says whether the watermark has passed its window.
    pub fn apply(&mut self, key: Key, sums: &[i64], is_closed: bool) -> Changed<'_> {
        let (number, words) = self.rows.words_of(key);
        self.changed.push(number);
        let (standing, figures) = words.split_first_mut().expect("a row has its revision");
        for (figure, sum) in figures.iter_mut().zip(sums) {
            *figure += sum;
        }
        let (revision, finality) = publish(standing, is_closed);
        Changed {
            figures,
            revision,
            finality,
        }
    }

    /// The standing and the figures of a row, which is about to change.
    pub fn change(&mut self, key: Key) -> (&mut i64, &mut [i64]) {
        let (number, words) = self.rows.words_of(key);
        self.changed.push(number);
        words.split_first_mut().expect("a row has its standing")
    }

    /// Forgets the rows of all windows before one.
    pub fn forget_before(&mut self, window: i32) {
        for number in self.rows.numbers() {
            if self.rows.entry(number).0.window < window {
                self.rows.vacate(number);
                self.changed.push(number);
            }
        }
    }

    /// The keys of the rows of some windows.
    pub fn keys_of(&self, windows: impl Fn(i32) -> bool) -> Vec<Key> {
        let keys = self.rows.numbers().map(|number| self.rows.entry(number).0);
        keys.filter(|key| windows(key.window)).collect()
    }

    /// The numbers of the rows that have changed since this was last asked, some perhaps twice.
    pub fn take_changed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.changed)
    }

    #[must_use]
    pub const fn kept(&self) -> &Table {
        &self.rows
    }

    pub const fn kept_mut(&mut self) -> &mut Table {
        &mut self.rows
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
