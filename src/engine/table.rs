//! Figures by packed key, each entry in one place: key, then as many words as the table has.

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
    const WORDS: usize = 2;

    #[inline]
    const fn pack(self) -> [i64; Self::WORDS] {
        let first = (self.place as u64) << 32 | self.window as u32 as u64;
        [first as i64, self.dimensions as i64]
    }

    #[inline]
    const fn unpack(words: &[i64]) -> Self {
        Self {
            place: (words[0] as u64 >> 32) as u32,
            window: words[0] as i32,
            dimensions: words[1] as u64,
        }
    }
}

#[inline]
const fn hash(key: &[i64]) -> u64 {
    let high = (key[0] as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (high ^ key[1] as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed ^ mixed >> 32
}

/// Entries are numbered in the order their keys came.
#[derive(Debug, Default)]
pub struct Table {
    /// Words of an entry, its key's too.
    stride: usize,
    index: HashTable<u32>,
    words: Vec<i64>,
}

impl Table {
    /// `words` of figures behind every key.
    #[must_use]
    pub fn new(words: usize) -> Self {
        Self {
            stride: Key::WORDS + words,
            ..Self::default()
        }
    }

    /// The words of a key, zeros if it is new.
    #[inline]
    pub fn words_of(&mut self, key: Key) -> &mut [i64] {
        let Self {
            stride,
            index,
            words,
        } = self;
        let packed = key.pack();
        let key_at = |at: u32| &words[at as usize * *stride..][..Key::WORDS];
        let entry = index.entry(
            hash(&packed),
            |found| key_at(*found) == packed,
            |found| hash(key_at(*found)),
        );
        let at = match entry {
            Entry::Occupied(found) => *found.get() as usize * *stride,
            Entry::Vacant(room) => {
                let at = words.len();
                let number = u32::try_from(at / *stride).expect("fewer than 2^32 rows");
                room.insert(number);
                words.extend_from_slice(&packed);
                words.resize(at + *stride, 0);
                at
            }
        };
        &mut words[at + Key::WORDS..at + *stride]
    }

    /// The key and words of an entry.
    #[inline]
    #[must_use]
    pub fn entry(&self, number: u32) -> (Key, &[i64]) {
        let entry = &self.words[number as usize * self.stride..][..self.stride];
        (Key::unpack(entry), &entry[Key::WORDS..])
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len().checked_div(self.stride).unwrap_or(0)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub fn clear(&mut self) {
        self.index.clear();
        self.words.clear();
    }
}
