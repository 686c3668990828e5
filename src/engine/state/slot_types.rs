//! Local slot types of the practices, with what they mean by date.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::domain::category::Category;
use crate::domain::draft::CategoryTexts;
use crate::domain::reference::{PracticeIndex, Reference, SlotTypeMapping};
use crate::domain::time::Day;

/// A slot type of one practice, interned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotTypeIndex(pub u32);

#[derive(Debug)]
struct SlotType {
    practice: PracticeIndex,
    /// Never leaves the service (domain.md §4.8).
    text: Box<str>,
    /// By effective date ascending, as of the reference data last followed.
    meanings: Box<[Meaning]>,
}

/// What a slot type means on the days `[from, to)`.
#[derive(Debug, Clone, Copy)]
struct Meaning {
    from: Day,
    to: Option<Day>,
    category: Category,
}

/// Interned slot types: a slot keeps four bytes of its free text, and texts are matched once.
#[derive(Debug, Default)]
pub struct SlotTypes {
    indexes: FxHashMap<PracticeIndex, FxHashMap<Box<str>, SlotTypeIndex>>,
    types: Vec<SlotType>,
}

impl SlotTypes {
    pub fn intern(
        &mut self,
        reference: &Reference,
        practice: PracticeIndex,
        text: &str,
    ) -> SlotTypeIndex {
        let indexes = self.indexes.entry(practice).or_default();
        if let Some(found) = indexes.get(text) {
            return *found;
        }
        let index = SlotTypeIndex(u32::try_from(self.types.len()).expect("fewer than 2^32 texts"));
        indexes.insert(text.into(), index);
        self.types.push(SlotType {
            practice,
            text: text.into(),
            meanings: meanings(reference, practice, text),
        });
        index
    }

    /// Moves on to newer reference data of some practices.
    pub fn follow(&mut self, reference: &Reference, changed: &BTreeSet<PracticeIndex>) {
        for slot_type in &mut self.types {
            if changed.contains(&slot_type.practice) {
                slot_type.meanings = meanings(reference, slot_type.practice, &slot_type.text);
            }
        }
    }

    /// What the mapping in force on a day says: among those that hold it the one with the greatest
    /// effective date; unmapped without one (feeds.md, rule 4).
    #[must_use]
    pub fn category(&self, index: SlotTypeIndex, day: Day) -> Category {
        self.types[index.0 as usize]
            .meanings
            .iter()
            .rev()
            .find(|meaning| meaning.from <= day && meaning.to.is_none_or(|end| day < end))
            .map_or(Category::UNMAPPED, |meaning| meaning.category)
    }
}

fn meanings(reference: &Reference, practice: PracticeIndex, text: &str) -> Box<[Meaning]> {
    let mappings = reference.mappings(practice, text);
    mappings
        .into_iter()
        .flat_map(|mappings| mappings.iter())
        .map(|mapping| Meaning {
            from: mapping.effective_from,
            to: mapping.effective_to,
            category: category(mapping),
        })
        .collect()
}

fn category(mapping: &SlotTypeMapping) -> Category {
    Category::resolve(&CategoryTexts {
        category: mapping.national_slot_category.trim(),
        context: present(&mapping.context_type),
        setting: present(&mapping.service_setting),
    })
}

fn present(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}
