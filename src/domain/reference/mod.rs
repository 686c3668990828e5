//! Reference data that decides: agreements, practices' rows and slot-type mappings.
//!
//! A [`Reference`] is an immutable snapshot shared by the tasks; a newer one is a clone that took in
//! further records. Indexes of practices and places only grow, so they mean the same in every later
//! snapshot of one process.

mod agreement;
mod mapping;
mod practice;

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::place::Place;
use super::text::number;
use super::time::Day;

pub use agreement::{Agreement, AgreementState};
pub use mapping::SlotTypeMapping;
pub use practice::{Names, PracticeRow};

/// A practice in this process, by its place in [`Reference`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PracticeIndex(pub u32);

/// An interned [`Place`] of a practice's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaceIndex(pub u32);

/// Six characters, `^[A-HJ-NPY]\d{5}$` (domain.md §2).
#[must_use]
pub fn is_well_formed_practice_code(code: &str) -> bool {
    CodeNumber::of(code).is_some()
}

/// A well-formed practice code as a number: every record looks its practice up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CodeNumber(u32);

impl CodeNumber {
    fn of(code: &str) -> Option<Self> {
        let [letter, digits @ ..] = <[u8; 6]>::try_from(code.as_bytes()).ok()?;
        let is_letter = matches!(letter, b'A'..=b'H' | b'J'..=b'N' | b'P' | b'Y');
        let number = number(digits).filter(|_| is_letter)?;
        Some(Self(u32::from(letter) * 100_000 + number))
    }
}

/// Everything known of one practice.
#[derive(Debug, Clone, Default)]
struct Practice {
    code: Arc<str>,
    agreements: Vec<Agreement>,
    /// The same, day by day.
    agreed: Vec<agreement::Span>,
    /// By (effective from), ascending; of one day only the row that stands.
    rows: Vec<PracticeRow>,
    mappings: FxHashMap<Arc<str>, Arc<[SlotTypeMapping]>>,
}

/// A snapshot of the three reference topics.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    by_code: FxHashMap<Arc<str>, PracticeIndex>,
    /// Those whose code is well-formed.
    by_number: FxHashMap<CodeNumber, PracticeIndex>,
    practices: Vec<Arc<Practice>>,
    places: Vec<Arc<Place>>,
    place_indexes: FxHashMap<Arc<Place>, PlaceIndex>,
}

impl Reference {
    /// The practice's index, if any reference record names it.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<PracticeIndex> {
        self.by_code.get(code).copied()
    }

    /// Well-formed and with a row in `ods.practices` (feeds.md, check 2).
    #[must_use]
    pub fn known(&self, code: &str) -> Option<PracticeIndex> {
        let found = *self.by_number.get(&CodeNumber::of(code)?)?;
        (!self.practice(found).rows.is_empty()).then_some(found)
    }

    #[must_use]
    pub fn code(&self, practice: PracticeIndex) -> &Arc<str> {
        &self.practice(practice).code
    }

    /// What the agreements say of a day (feeds.md, rule 1).
    #[must_use]
    pub fn agreement_on(&self, practice: PracticeIndex, day: Day) -> Option<AgreementState> {
        agreement::state_in(&self.practice(practice).agreed, day)
    }

    /// The row in force on a day, if the practice has any (feeds.md, rule 9).
    #[must_use]
    pub fn row_on(&self, practice: PracticeIndex, day: Day) -> Option<&PracticeRow> {
        let rows = &self.practice(practice).rows;
        let after = rows.partition_point(|row| row.effective_from <= day);
        rows.get(after.saturating_sub(1))
    }

    #[must_use]
    pub fn place(&self, index: PlaceIndex) -> &Arc<Place> {
        &self.places[index.0 as usize]
    }

    /// The mappings of a slot type, by effective date ascending.
    #[must_use]
    pub fn mappings(
        &self,
        practice: PracticeIndex,
        slot_type: &str,
    ) -> Option<&Arc<[SlotTypeMapping]>> {
        self.practice(practice).mappings.get(slot_type)
    }

    /// All slot types of a practice that have mappings.
    pub fn slot_types(
        &self,
        practice: PracticeIndex,
    ) -> impl Iterator<Item = (&Arc<str>, &Arc<[SlotTypeMapping]>)> {
        self.practice(practice).mappings.iter()
    }

    /// Every practice, by index.
    pub fn practices(&self) -> impl Iterator<Item = PracticeIndex> {
        (0_u32..).map(PracticeIndex).take(self.practices.len())
    }

    /// Every row that stands, of all practices.
    pub fn rows(&self) -> impl Iterator<Item = (&Arc<str>, &PracticeRow)> {
        self.practices
            .iter()
            .flat_map(|practice| practice.rows.iter().map(|row| (&practice.code, row)))
    }

    /// Takes in an agreement; `true` if it changed what stands.
    pub fn apply_agreement(&mut self, code: &str, agreement: Agreement) -> bool {
        let practice = self.intern(code);
        let practice = self.practice_mut(practice);
        let is_changed = agreement::upsert(&mut practice.agreements, agreement);
        practice.agreed = agreement::spans(&practice.agreements);
        is_changed
    }

    /// Takes in a practice's row; `true` if it changed what stands.
    pub fn apply_row(&mut self, code: &str, place: Place, mut row: PracticeRow) -> bool {
        let practice = self.intern(code);
        row.place = self.intern_place(place);
        practice::upsert(&mut self.practice_mut(practice).rows, row)
    }

    /// Takes in a mapping of a slot type, its text trimmed here; `true` if it changed what stands.
    pub fn apply_mapping(&mut self, code: &str, slot_type: &str, mapping: SlotTypeMapping) -> bool {
        let practice = self.intern(code);
        let mappings = &mut self.practice_mut(practice).mappings;
        let slot_type = slot_type.trim();
        let standing = mappings.get(slot_type).map_or(&[][..], |found| found);
        let Some(changed) = mapping::upserted(standing, mapping) else {
            return false;
        };
        mappings.insert(slot_type.into(), changed.into());
        true
    }

    /// One with the same indexes and nothing recorded: what is read into it anew, in whatever order, means the same
    /// by them as in every later snapshot of this process.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let unrecorded = |practice: &Arc<Practice>| {
            let code = practice.code.clone();
            Arc::new(Practice {
                code,
                ..Practice::default()
            })
        };
        Self {
            practices: self.practices.iter().map(unrecorded).collect(),
            ..self.clone()
        }
    }

    /// The practices that differ from an older snapshot of the same process.
    #[must_use]
    pub fn changed_since(&self, older: &Self) -> BTreeSet<PracticeIndex> {
        self.practices()
            .filter(|index| {
                older
                    .practices
                    .get(index.0 as usize)
                    .is_none_or(|old| !Arc::ptr_eq(old, &self.practices[index.0 as usize]))
            })
            .collect()
    }

    fn practice(&self, index: PracticeIndex) -> &Practice {
        &self.practices[index.0 as usize]
    }

    fn practice_mut(&mut self, index: PracticeIndex) -> &mut Practice {
        Arc::make_mut(&mut self.practices[index.0 as usize])
    }

    fn intern(&mut self, code: &str) -> PracticeIndex {
        if let Some(found) = self.by_code.get(code) {
            return *found;
        }
        let index = PracticeIndex(u32::try_from(self.practices.len()).unwrap_or(u32::MAX));
        let code: Arc<str> = code.into();
        self.practices.push(Arc::new(Practice {
            code: code.clone(),
            ..Practice::default()
        }));
        if let Some(number) = CodeNumber::of(&code) {
            self.by_number.insert(number, index);
        }
        self.by_code.insert(code, index);
        index
    }

    fn intern_place(&mut self, place: Place) -> PlaceIndex {
        if let Some(found) = self.place_indexes.get(&place) {
            return *found;
        }
        let index = PlaceIndex(u32::try_from(self.places.len()).unwrap_or(u32::MAX));
        let place = Arc::new(place);
        self.places.push(place.clone());
        self.place_indexes.insert(place, index);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn an_emptied_one_keeps_its_indexes_whatever_comes_first_into_it() {
        let agreement = Agreement {
            service_id: "GPAD".into(),
            state: AgreementState::Approved,
            effective_from: Day(1),
            effective_to: None,
            recorded_at: Timestamp(1),
            ordinal: 0,
        };
        let mut first = Reference::default();
        first.apply_agreement("A81001", agreement.clone());
        first.apply_agreement("B82002", agreement.clone());
        let mut second = first.emptied();
        assert_eq!(second.agreement_on(PracticeIndex(0), Day(2)), None);
        second.apply_agreement("B82002", agreement.clone());
        second.apply_agreement("C83003", agreement);
        for (code, index) in [("A81001", 0), ("B82002", 1), ("C83003", 2)] {
            assert_eq!(second.find(code), Some(PracticeIndex(index)), "{code}");
        }
    }
}
