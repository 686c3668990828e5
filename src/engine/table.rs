//! Figures by packed key, each entry in one place: key, then as many words as the table has.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::state::block::{Fields, Kept, put_varint};

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

    /// The number and the words of a key, zeros if it is new.
    #[inline]
    pub fn words_of(&mut self, key: Key) -> (u32, &mut [i64]) {
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
        let number = (at / *stride) as u32;
        (number, &mut words[at + Key::WORDS..at + *stride])
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

    /// Makes what is read back ready to be looked up.
    pub fn restored(&mut self) {
        let Self {
            stride,
            index,
            words,
        } = self;
        let hash_of = |number: u32| hash(&words[number as usize * *stride..][..Key::WORDS]);
        index.clear();
        for number in 0..(words.len() / *stride) as u32 {
            index.insert_unique(hash_of(number), number, |found| hash_of(*found));
        }
    }

    pub fn clear(&mut self) {
        self.index.clear();
        self.words.clear();
    }
}

impl Kept for Table {
    fn entries(&self) -> u32 {
        Self::len(self) as u32
    }

    fn write(&self, number: u32, into: &mut Vec<u8>) {
        let (key, words) = self.entry(number);
        into.extend_from_slice(&key.place.to_le_bytes());
        put_varint(i64::from(key.window), into);
        put_varint(key.dimensions as i64, into);
        for word in words {
            put_varint(*word, into);
        }
    }

    fn read(&mut self, number: u32, bytes: &[u8]) -> Option<()> {
        let mut fields = Fields(bytes);
        let key = Key {
            place: fields.u32()?,
            window: i32::try_from(fields.varint()?).ok()?,
            dimensions: fields.varint()? as u64,
        };
        let at = number as usize * self.stride;
        if self.words.len() < at + self.stride {
            self.words.resize(at + self.stride, 0);
        }
        let entry = &mut self.words[at..at + self.stride];
        let (packed, words) = entry.split_at_mut(Key::WORDS);
        packed.copy_from_slice(&key.pack());
        for word in words {
            *word = fields.varint()?;
        }
        fields.end()
    }
}
