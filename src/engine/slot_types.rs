//! Local slot types of the practices, with what they mean by date.

use rustc_hash::FxHashMap;

use crate::domain::category::Category;
use crate::domain::draft::CategoryTexts;
use crate::domain::reference::{PracticeIndex, Reference, in_force};
use crate::domain::time::Day;

/// A slot type of one practice, interned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotTypeIndex(pub u32);

#[derive(Debug)]
struct SlotType {
    practice: PracticeIndex,
    /// Never leaves the service (domain.md §4.8).
    text: Box<str>,
}

/// Interned slot types: a slot keeps four bytes of its free text.
#[derive(Debug, Default)]
pub struct SlotTypes {
    indexes: FxHashMap<PracticeIndex, FxHashMap<Box<str>, SlotTypeIndex>>,
    types: Vec<SlotType>,
}

impl SlotTypes {
    pub fn intern(&mut self, practice: PracticeIndex, text: &str) -> SlotTypeIndex {
        let indexes = self.indexes.entry(practice).or_default();
        if let Some(found) = indexes.get(text) {
            return *found;
        }
        let index = SlotTypeIndex(u32::try_from(self.types.len()).expect("fewer than 2^32 texts"));
        indexes.insert(text.into(), index);
        self.types.push(SlotType {
            practice,
            text: text.into(),
        });
        index
    }

    /// What the mapping in force on a day says; unmapped without one.
    #[must_use]
    pub fn category(&self, reference: &Reference, index: SlotTypeIndex, day: Day) -> Category {
        let slot_type = &self.types[index.0 as usize];
        let mapping = reference
            .mappings(slot_type.practice, &slot_type.text)
            .and_then(|mappings| in_force(mappings, day));
        let Some(mapping) = mapping else {
            return Category::UNMAPPED;
        };
        Category::resolve(&CategoryTexts {
            category: mapping.national_slot_category.trim(),
            context: present(&mapping.context_type),
            setting: present(&mapping.service_setting),
        })
    }
}

fn present(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}
