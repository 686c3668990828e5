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

/// Entries of a chunk of words.
const LENGTH: usize = 1_024;

/// Words by the number of their entry: nothing is copied when they grow past a chunk, and at most one chunk is partly empty.
#[derive(Debug, Default)]
struct Words {
    /// Words of an entry, its key's too.
    stride: usize,
    chunks: Vec<Vec<i64>>,
    entries: usize,
}

impl Words {
    #[inline]
    fn get(&self, number: u32) -> &[i64] {
        let at = number as usize;
        &self.chunks[at / LENGTH][at % LENGTH * self.stride..][..self.stride]
    }

    #[inline]
    fn get_mut(&mut self, number: u32) -> &mut [i64] {
        let at = number as usize;
        &mut self.chunks[at / LENGTH][at % LENGTH * self.stride..][..self.stride]
    }

    #[inline]
    fn key(&self, number: u32) -> &[i64] {
        &self.get(number)[..Key::WORDS]
    }

    /// Appends an entry of zeros and answers its number.
    fn push(&mut self) -> u32 {
        let number = u32::try_from(self.entries).expect("fewer than 2^32 rows");
        let chunk = self.entries / LENGTH;
        if chunk == self.chunks.len() {
            // A small table stays small.
            let most = if chunk == 0 { 0 } else { LENGTH * self.stride };
            self.chunks.push(Vec::with_capacity(most));
        }
        let chunk = &mut self.chunks[chunk];
        chunk.resize(chunk.len() + self.stride, 0);
        self.entries += 1;
        number
    }

    fn clear(&mut self) {
        self.chunks.iter_mut().for_each(Vec::clear);
        self.entries = 0;
    }

    fn bytes(&self) -> usize {
        let words: usize = self.chunks.iter().map(Vec::capacity).sum();
        words * size_of::<i64>() + self.chunks.capacity() * size_of::<Vec<i64>>()
    }
}

/// Entries are numbered in the order their keys came.
#[derive(Debug, Default)]
pub struct Table {
    index: HashTable<u32>,
    words: Words,
    /// Numbers that are vacant.
    free: Vec<u32>,
}

/// The place of an entry that is vacant.
const VACANT: u32 = u32::MAX;

impl Table {
    /// `words` of figures behind every key.
    #[must_use]
    pub fn new(words: usize) -> Self {
        let words = Words {
            stride: Key::WORDS + words,
            ..Words::default()
        };
        Self {
            words,
            ..Self::default()
        }
    }

    /// The number and the words of a key, zeros if it is new.
    #[inline]
    pub fn words_of(&mut self, key: Key) -> (u32, &mut [i64]) {
        let Self { index, words, free } = self;
        let packed = key.pack();
        let entry = index.entry(
            hash(&packed),
            |found| *words.key(*found) == packed,
            |found| hash(words.key(*found)),
        );
        let number = match entry {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(room) => {
                // What was forgotten left zeros.
                let number = free.pop().unwrap_or_else(|| words.push());
                room.insert(number);
                words.get_mut(number)[..Key::WORDS].copy_from_slice(&packed);
                number
            }
        };
        (number, &mut words.get_mut(number)[Key::WORDS..])
    }

    /// The key and words of an entry.
    #[inline]
    #[must_use]
    pub fn entry(&self, number: u32) -> (Key, &[i64]) {
        let (key, words) = self.words.get(number).split_at(Key::WORDS);
        (Key::unpack(key), words)
    }

    /// As [`Self::entry`], to change the words.
    #[inline]
    pub fn entry_mut(&mut self, number: u32) -> (Key, &mut [i64]) {
        let (key, words) = self.words.get_mut(number).split_at_mut(Key::WORDS);
        (Key::unpack(key), words)
    }

    /// Forgets an entry; its number goes to another one day.
    pub fn vacate(&mut self, number: u32) {
        let hash = hash(self.words.key(number));
        if let Ok(found) = self.index.find_entry(hash, |found| *found == number) {
            found.remove();
            let (key, words) = self.words.get_mut(number).split_at_mut(Key::WORDS);
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
        let free = self.free.capacity() * size_of::<u32>();
        self.words.bytes() + self.index.allocation_size() + free
    }

    /// Makes what is read back ready to be looked up.
    pub fn restored(&mut self) {
        let Self { index, words, free } = self;
        index.clear();
        free.clear();
        for number in 0..words.entries as u32 {
            let key = words.key(number);
            if Key::unpack(key).place == VACANT {
                free.push(number);
                continue;
            }
            index.insert_unique(hash(key), number, |found| hash(words.key(*found)));
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
        self.words.entries as u32
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
        while self.words.entries <= number as usize {
            self.words.push();
        }
        let (packed, words) = self.words.get_mut(number).split_at_mut(Key::WORDS);
        packed.copy_from_slice(&key.pack());
        for word in words {
            *word = fields.varint()?;
        }
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: i32 = 2 * LENGTH as i32 + 7;

    fn key(number: i32) -> Key {
        Key {
            place: number.unsigned_abs() % 5,
            window: number,
            dimensions: 9,
        }
    }

    fn filled() -> Table {
        let mut table = Table::new(2);
        for number in 0..MANY {
            let (_, words) = table.words_of(key(number));
            words.copy_from_slice(&[number.into(), -1]);
        }
        table
    }

    #[test]
    fn entries_of_every_chunk_are_found_and_those_that_were_forgotten_are_new() {
        let mut table = filled();
        for number in (0..MANY as u32).step_by(3) {
            table.vacate(number);
        }
        assert_eq!(table.numbers().count(), table.len());
        for number in 0..MANY {
            let stood = if number % 3 == 0 {
                [0, 0]
            } else {
                [number.into(), -1]
            };
            assert_eq!(table.words_of(key(number)).1, stood, "{number}");
        }
        // Their numbers went to those that came back.
        assert_eq!(table.entries(), MANY as u32);
        table.clear();
        assert!(table.is_empty());
        assert_eq!(table.words_of(key(1)), (0, &mut [0, 0][..]));
    }

    #[test]
    fn entries_are_read_back_in_any_order() {
        let (table, mut restored) = (filled(), Table::new(2));
        for number in (0..MANY as u32).rev() {
            let mut written = Vec::new();
            table.write(number, &mut written);
            assert_eq!(restored.read(number, &written), Some(()));
        }
        restored.restored();
        for number in 0..MANY {
            let found = restored.words_of(key(number));
            assert_eq!(found, (number as u32, &mut [number.into(), -1][..]));
        }
    }
}
