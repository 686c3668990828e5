//! Sums by packed key within one transaction: all of a key in one place.

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

    /// What puts keys in order: the rank of their place, their window, their dimensions.
    #[inline]
    pub(super) const fn order(self, rank: u32) -> u128 {
        let window = self.window.cast_unsigned() ^ 1 << 31;
        (rank as u128) << 96 | (window as u128) << 64 | self.dimensions as u128
    }
}

/// Words of a key.
const KEY: usize = 2;

#[inline]
const fn pack(key: Key) -> [i64; KEY] {
    let place = (key.place as u64) << 32;
    let window = key.window.cast_unsigned() as u64;
    [(place | window).cast_signed(), key.dimensions.cast_signed()]
}

#[inline]
const fn unpack(words: &[i64]) -> Key {
    let first = words[0].cast_unsigned();
    Key {
        place: (first >> 32) as u32,
        window: first as i32,
        dimensions: words[1].cast_unsigned(),
    }
}

/// Entries are numbered in the order their keys came. A key and its figures lie together: who finds one has the other.
#[derive(Debug, Default)]
pub struct Table {
    finder: Finder,
    /// Words of an entry.
    stride: usize,
    words: Vec<i64>,
}

/// Where keys are: a line of memory for most look-ups, beside the entry's own.
//
//   place:  upper half of the hash << 32 | number of the entry + 1, or 0; linear probing, at most half full
#[derive(Debug, Default)]
struct Finder {
    places: Vec<u64>,
    entries: usize,
}

/// Places of a table that has its first entry.
const FEWEST: usize = 64;

impl Finder {
    /// The number of the entry of a hash that `is_it` knows, or the place for a new one.
    #[inline]
    fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Result<u32, usize> {
        let last = self.places.len() - 1;
        let mut at = hash as usize & last;
        loop {
            let place = self.places[at];
            if place == 0 {
                return Err(at);
            }
            if place >> 32 == hash >> 32 {
                let number = place as u32 - 1;
                if is_it(number) {
                    return Ok(number);
                }
            }
            at = (at + 1) & last;
        }
    }

    fn put(&mut self, at: usize, hash: u64, number: u32) {
        self.places[at] = hash >> 32 << 32 | (u64::from(number) + 1);
        self.entries += 1;
    }

    /// Room for one more; `hash_of` tells the hashes of the entries that are there.
    #[inline]
    fn reserve(&mut self, hash_of: impl Fn(u32) -> u64) {
        if (self.entries + 1) * 2 > self.places.len() {
            self.grow(hash_of);
        }
    }

    #[cold]
    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let room = (self.places.len() * 2).max(FEWEST);
        let entries = std::mem::take(&mut self.entries);
        self.places.clear();
        self.places.resize(room, 0);
        for number in 0..entries as u32 {
            let hash = hash_of(number);
            if let Err(at) = self.find(hash, |_| false) {
                self.put(at, hash, number);
            }
        }
    }

    fn clear(&mut self) {
        self.places.fill(0);
        self.entries = 0;
    }
}

impl Table {
    /// `words` of figures behind every key.
    #[must_use]
    pub fn new(words: usize) -> Self {
        Self {
            stride: KEY + words,
            ..Self::default()
        }
    }

    /// The words of a key, zeros if it is new.
    ///
    /// # Panics
    /// At 2³² − 1 entries.
    #[inline]
    pub fn words_of(&mut self, key: Key) -> &mut [i64] {
        let Self {
            finder,
            stride,
            words,
        } = self;
        let (packed, hash) = (pack(key), key.hash());
        let key_at = |number: u32| &words[number as usize * *stride..][..KEY];
        finder.reserve(|number| unpack(key_at(number)).hash());
        let at = match finder.find(hash, |number| *key_at(number) == packed) {
            Ok(number) => number as usize * *stride,
            Err(room) => {
                let at = words.len();
                let number = u32::try_from(at / *stride).ok();
                let number = number.filter(|number| *number < u32::MAX);
                finder.put(room, hash, number.expect("fewer than 2^32 - 1 rows"));
                words.extend_from_slice(&packed);
                words.resize(at + *stride, 0);
                at
            }
        };
        &mut words[at + KEY..at + *stride]
    }

    /// The key and words of an entry.
    #[inline]
    #[must_use]
    pub fn entry(&self, number: u32) -> (Key, &[i64]) {
        let entry = &self.words[number as usize * self.stride..][..self.stride];
        let (key, figures) = entry.split_at(KEY);
        (unpack(key), figures)
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.finder.entries
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all entries, and keeps their room.
    pub fn clear(&mut self) {
        self.finder.clear();
        self.words.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is added to whatever keys, and however often all is forgotten: every key has its sums, in the order it came.
        #[test]
        fn words_are_those_of_their_key(rounds in vec(vec((0..300_u32, -2..3_i32, 1..5_i64), 0..400), 1..4)) {
            let mut table = Table::new(2);
            for round in rounds {
                let (mut sums, mut order) = (BTreeMap::new(), Vec::new());
                for (place, window, count) in round {
                    let key = Key { place, window, dimensions: u64::MAX - u64::from(place % 3) };
                    let words = table.words_of(key);
                    words[0] += count;
                    words[1] -= 1;
                    let known = sums.entry(key).or_insert_with(|| {
                        order.push(key);
                        [0, 0]
                    });
                    known[0] += count;
                    known[1] -= 1;
                }
                prop_assert_eq!(table.len(), order.len());
                for (number, key) in (0..).zip(order) {
                    prop_assert_eq!(table.entry(number), (key, &sums[&key][..]));
                }
                table.clear();
                prop_assert!(table.is_empty());
            }
        }
    }

    /// Hashes that agree in what decides the place, and in what is kept of them.
    #[test]
    fn keys_whose_hashes_collide_are_told_apart() {
        let mut finder = Finder::default();
        let hashes = |number: u32| u64::from(number % 2) << 32 | 63;
        for number in 0..100 {
            finder.reserve(hashes);
            let room = finder.find(hashes(number), |found| found == number);
            finder.put(room.expect_err("it is new"), hashes(number), number);
        }
        for number in 0..100 {
            assert_eq!(
                finder.find(hashes(number), |found| found == number),
                Ok(number)
            );
        }
        assert!(finder.find(hashes(0), |found| found % 2 == 1).is_err());
    }
}
