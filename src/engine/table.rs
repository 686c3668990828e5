//! Sums by packed key within one transaction: all of a key in one place.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// A row of one aggregate at one level, packed: where, from which day, which dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub place: u32,
    pub window: i32,
    pub dimensions: u64,
}

impl Key {
    #[inline]
    pub(super) const fn hash(self) -> u64 {
        let first = (self.place as u64) << 32 | self.window as u32 as u64;
        let high = first.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (high ^ self.dimensions).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ mixed >> 32
    }
}

/// Entries are numbered in the order their keys came.
#[derive(Debug, Default)]
pub struct Table {
    index: HashTable<u32>,
    keys: Vec<Key>,
    /// Words behind every key.
    stride: usize,
    words: Vec<i64>,
}

impl Table {
    /// `words` of figures behind every key.
    #[must_use]
    pub fn new(words: usize) -> Self {
        Self {
            stride: words,
            ..Self::default()
        }
    }

    /// The words of a key, zeros if it is new.
    ///
    /// # Panics
    /// At 2³² entries.
    #[inline]
    pub fn words_of(&mut self, key: Key) -> &mut [i64] {
        let entry = self.index.entry(
            key.hash(),
            |found| self.keys[*found as usize] == key,
            |found| self.keys[*found as usize].hash(),
        );
        let number = match entry {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(room) => {
                let number = u32::try_from(self.keys.len()).expect("fewer than 2^32 rows");
                room.insert(number);
                self.keys.push(key);
                self.words.resize(self.words.len() + self.stride, 0);
                number
            }
        };
        &mut self.words[number as usize * self.stride..][..self.stride]
    }

    /// The key and words of an entry.
    #[inline]
    #[must_use]
    pub fn entry(&self, number: u32) -> (Key, &[i64]) {
        let at = number as usize;
        (
            self.keys[at],
            &self.words[at * self.stride..][..self.stride],
        )
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets all entries, and keeps their room.
    pub fn clear(&mut self) {
        self.index.clear();
        self.keys.clear();
        self.words.clear();
    }
}
