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
    /// Numbers that are vacant.
    free: Vec<u32>,
}

/// The place of an entry that is vacant.
const VACANT: u32 = u32::MAX;

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
            free,
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
                if let Some(number) = free.pop() {
                    room.insert(number);
                    let at = number as usize * *stride;
                    words[at..at + *stride].fill(0);
                    words[at..at + Key::WORDS].copy_from_slice(&packed);
                    at
                } else {
                    let at = words.len();
                    let number = u32::try_from(at / *stride).expect("fewer than 2^32 rows");
                    room.insert(number);
                    words.extend_from_slice(&packed);
                    words.resize(at + *stride, 0);
                    at
                }
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

    /// As [`Self::entry`], to change the words.
    #[inline]
    pub fn entry_mut(&mut self, number: u32) -> (Key, &mut [i64]) {
        let entry = &mut self.words[number as usize * self.stride..][..self.stride];
        let (key, words) = entry.split_at_mut(Key::WORDS);
        (Key::unpack(key), words)
    }

    /// Forgets an entry; its number goes to another one day.
    pub fn vacate(&mut self, number: u32) {
        let entry = &self.words[number as usize * self.stride..][..Key::WORDS];
        let hash = hash(entry);
        if let Ok(found) = self.index.find_entry(hash, |found| *found == number) {
            found.remove();
            let (key, words) =
                self.words[number as usize * self.stride..][..self.stride].split_at_mut(Key::WORDS);
            let vacant = Key {
                place: VACANT,
                window: 0,
                dimensions: 0,
            };
            key.copy_from_slice(&vacant.pack());
            words.fill(0);
            self.free.push(number);
        }
    }

    /// The numbers of all entries.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        let mut all: Vec<u32> = self.index.iter().copied().collect();
        all.sort_unstable();
        all.into_iter()
    }

    /// Entries, vacant ones left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let words = self.words.capacity() * size_of::<i64>();
        words + self.index.allocation_size() + self.free.capacity() * size_of::<u32>()
    }

    /// Makes what is read back ready to be looked up.
    pub fn restored(&mut self) {
        let Self {
            stride,
            index,
            words,
            free,
        } = self;
        let hash_of = |number: u32| hash(&words[number as usize * *stride..][..Key::WORDS]);
        index.clear();
        free.clear();
        for number in 0..(words.len() / *stride) as u32 {
            let key = &words[number as usize * *stride..][..Key::WORDS];
            if Key::unpack(key).place == VACANT {
                free.push(number);
                continue;
            }
            index.insert_unique(hash_of(number), number, |found| hash_of(*found));
        }
    }

    pub fn clear(&mut self) {
        self.index.clear();
        self.words.clear();
        self.free.clear();
    }
}

impl Kept for Table {
    fn entries(&self) -> u32 {
        self.words.len().checked_div(self.stride).unwrap_or(0) as u32
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
