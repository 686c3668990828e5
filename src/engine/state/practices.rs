//! The practices of a task, numbered in the order they came.

use std::sync::Arc;

use crate::domain::reference::{PracticeIndex, Reference};

use super::block::{Damage, Kept};

/// A practice of this task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PracticeNumber(pub u16);

/// Numbers of sixteen bits for practices, so that entries stay small.
#[derive(Debug, Default)]
pub struct Practices {
    codes: Vec<Arc<str>>,
    by_number: Vec<PracticeIndex>,
    by_index: Vec<Option<PracticeNumber>>,
}

impl Practices {
    /// The practice's number, given on first sight.
    ///
    /// # Panics
    /// At 65,536 practices in one task; England has fewer than 7,000.
    #[inline]
    pub fn number(&mut self, reference: &Reference, practice: PracticeIndex) -> PracticeNumber {
        if let Some(Some(known)) = self.by_index.get(practice.0 as usize) {
            return *known;
        }
        let number = u16::try_from(self.codes.len()).expect("at most 65,536 practices a task");
        let number = PracticeNumber(number);
        self.codes.push(reference.code(practice).clone());
        self.note(practice, number);
        number
    }

    fn note(&mut self, practice: PracticeIndex, number: PracticeNumber) {
        let at = practice.0 as usize;
        self.by_number.push(practice);
        if self.by_index.len() <= at {
            self.by_index.resize(at + 1, None);
        }
        self.by_index[at] = Some(number);
    }

    #[inline]
    #[must_use]
    pub fn index(&self, number: PracticeNumber) -> PracticeIndex {
        self.by_number[usize::from(number.0)]
    }

    #[must_use]
    pub fn code(&self, number: PracticeNumber) -> &Arc<str> {
        &self.codes[usize::from(number.0)]
    }

    /// Finds the practices read back in the reference data.
    ///
    /// # Errors
    /// When no reference record names one.
    pub fn restored(&mut self, reference: &Reference) -> Result<(), Damage> {
        self.by_number.clear();
        self.by_index.clear();
        for (number, code) in (0_u16..).zip(self.codes.clone()) {
            let practice = reference
                .find(&code)
                .ok_or_else(|| Damage::Practice(code.as_ref().to_owned()))?;
            self.note(practice, PracticeNumber(number));
        }
        Ok(())
    }
}

impl Kept for Practices {
    fn entries(&self) -> u32 {
        self.codes.len() as u32
    }

    fn write(&self, number: u32, into: &mut Vec<u8>) {
        into.extend_from_slice(self.codes[number as usize].as_bytes());
    }

    fn read(&mut self, number: u32, bytes: &[u8]) -> Option<()> {
        let number = usize::from(u16::try_from(number).ok()?);
        if self.codes.len() <= number {
            self.codes.resize(number + 1, Arc::from(""));
        }
        self.codes[number] = std::str::from_utf8(bytes).ok()?.into();
        Some(())
    }
}
