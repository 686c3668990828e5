//! The practices of a task, numbered in the order they came.

use crate::domain::reference::PracticeIndex;

/// A practice of this task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PracticeNumber(pub u16);

/// Numbers of sixteen bits for practices, so that entries stay small.
#[derive(Debug, Default)]
pub struct Practices {
    by_number: Vec<PracticeIndex>,
    by_index: Vec<Option<PracticeNumber>>,
}

impl Practices {
    /// The practice's number, given on first sight.
    ///
    /// # Panics
    /// At 65,536 practices in one task; England has fewer than 7,000.
    #[inline]
    pub fn number(&mut self, practice: PracticeIndex) -> PracticeNumber {
        let at = practice.0 as usize;
        if let Some(Some(known)) = self.by_index.get(at) {
            return *known;
        }
        let number = u16::try_from(self.by_number.len()).expect("at most 65,536 practices a task");
        let number = PracticeNumber(number);
        self.by_number.push(practice);
        if self.by_index.len() <= at {
            self.by_index.resize(at + 1, None);
        }
        self.by_index[at] = Some(number);
        number
    }

    #[inline]
    #[must_use]
    pub fn index(&self, number: PracticeNumber) -> PracticeIndex {
        self.by_number[usize::from(number.0)]
    }
}
