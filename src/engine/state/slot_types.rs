//! Local slot types of the practices, with what they mean by date.

use std::collections::BTreeSet;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::category::Category;
use crate::domain::draft::CategoryTexts;
use crate::domain::reference::{PracticeIndex, Reference, SlotTypeMapping};
use crate::domain::time::Day;

use super::block::{Fields, Kept};
use super::practices::{PracticeNumber, Practices};

/// A slot type of one practice, interned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotTypeIndex(pub u32);

#[derive(Debug)]
struct SlotType {
    practice: PracticeNumber,
    /// Fingerprint of its text, which is not kept: free text never leaves the service (domain.md §4.8), and
    /// what is not there cannot. Among the thousands of one practice the chance that two share one is below
    /// one in a million million.
    text: u64,
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
    index: HashTable<u32>,
    types: Vec<SlotType>,
}

#[inline]
fn hash(practice: PracticeNumber, text: u64) -> u64 {
    text ^ u64::from(practice.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl SlotTypes {
    /// `text` is trimmed.
    pub fn intern(
        &mut self,
        reference: &Reference,
        practices: &Practices,
        practice: PracticeNumber,
        text: &str,
    ) -> SlotTypeIndex {
        let print = xxh3_64(text.as_bytes());
        let types = &self.types;
        let entry = self.index.entry(
            hash(practice, print),
            |found| {
                let found = &types[*found as usize];
                found.text == print && found.practice == practice
            },
            |found| {
                let found = &types[*found as usize];
                hash(found.practice, found.text)
            },
        );
        let room = match entry {
            Entry::Occupied(found) => return SlotTypeIndex(*found.get()),
            Entry::Vacant(room) => room,
        };
        let index = u32::try_from(self.types.len()).ok();
        let index = index
            .filter(|index| *index < 1 << 23)
            .expect("fewer than 2^23 slot types in one task");
        room.insert(index);
        self.types.push(SlotType {
            practice,
            text: print,
            meanings: reference
                .mappings(practices.index(practice), text)
                .map_or_else(Box::default, |mappings| meanings(mappings)),
        });
        SlotTypeIndex(index)
    }

    /// Moves on to newer reference data of some practices.
    pub fn follow(
        &mut self,
        reference: &Reference,
        practices: &Practices,
        changed: &BTreeSet<PracticeIndex>,
    ) {
        let known: FxHashMap<_, _> = changed
            .iter()
            .flat_map(|practice| {
                let texts = reference.slot_types(*practice);
                texts.map(|(text, mappings)| ((*practice, xxh3_64(text.as_bytes())), mappings))
            })
            .collect();
        for slot_type in &mut self.types {
            let practice = practices.index(slot_type.practice);
            if changed.contains(&practice) {
                let mappings = known.get(&(practice, slot_type.text));
                slot_type.meanings =
                    mappings.map_or_else(Box::default, |mappings| meanings(mappings));
            }
        }
    }

    /// Makes what is read back ready to be looked up.
    pub fn restored(&mut self, reference: &Reference, practices: &Practices) {
        self.index.clear();
        let types = &self.types;
        let hash_of = |number: u32| {
            let found = &types[number as usize];
            hash(found.practice, found.text)
        };
        for number in 0..types.len() as u32 {
            self.index
                .insert_unique(hash_of(number), number, |found| hash_of(*found));
        }
        let all = types.iter().map(|found| practices.index(found.practice));
        let all = all.collect();
        self.follow(reference, practices, &all);
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

impl Kept for SlotTypes {
    fn entries(&self) -> u32 {
        self.types.len() as u32
    }

    fn write(&self, number: u32, into: &mut Vec<u8>) {
        let slot_type = &self.types[number as usize];
        into.extend_from_slice(&slot_type.practice.0.to_le_bytes());
        into.extend_from_slice(&slot_type.text.to_le_bytes());
    }

    fn read(&mut self, number: u32, bytes: &[u8]) -> Option<()> {
        let mut fields = Fields(bytes);
        let (practice, text) = (PracticeNumber(fields.u16()?), fields.u64()?);
        let slot_type = |practice, text| SlotType {
            practice,
            text,
            meanings: Box::default(),
        };
        let number = number as usize;
        while self.types.len() <= number {
            self.types.push(slot_type(practice, 0));
        }
        self.types[number] = slot_type(practice, text);
        fields.end()
    }
}

fn meanings(mappings: &[SlotTypeMapping]) -> Box<[Meaning]> {
    mappings
        .iter()
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
