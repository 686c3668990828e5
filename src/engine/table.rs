//! Sums by packed key within one transaction: all of a key in one place.

use hashbrown::HashTable;

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
    /// Where entries begin.
    index: HashTable<u32>,
    /// Words of an entry.
    stride: usize,
    words: Vec<i64>,
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
    /// At 2³² words.
    #[inline]
    pub fn words_of(&mut self, key: Key) -> &mut [i64] {
        let Self {
            index,
            stride,
            words,
        } = self;
        let packed = pack(key);
        let key_at = |begin: &u32| words[*begin as usize..].first_chunk::<KEY>();
        let hash = key.hash();
        // Most keys are there: nothing is made ready for one that is not.
        let at = if let Some(found) = index.find(hash, |found| key_at(found) == Some(&packed)) {
            *found as usize
        } else {
            let at = words.len();
            let begin = u32::try_from(at).expect("fewer than 2^32 words");
            index.insert_unique(hash, begin, |found| {
                key_at(found).map_or(0, |words| unpack(words).hash())
            });
            words.extend_from_slice(&packed);
            words.resize(at + *stride, 0);
            at
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
    pub fn len(&self) -> usize {
        self.index.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Forgets all entries, and keeps their room.
    pub fn clear(&mut self) {
        self.index.clear();
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

        /// By place, then window, then dimensions: the numbers of all of them ascend as they do.
        #[test]
        fn keys_are_put_in_order_by_what_they_are_made_of(
            one in (any::<u32>(), any::<i32>(), any::<u64>()), other in (any::<u32>(), any::<i32>(), any::<u64>()), same in 0..3_u8,
        ) {
            let other = match same {
                0 => other,
                1 => (one.0, other.1, other.2),
                _ => (one.0, one.1, other.2),
            };
            let order = |(place, window, dimensions): (u32, i32, u64)| Key { place: 0, window, dimensions }.order(place);
            prop_assert_eq!(order(one).cmp(&order(other)), one.cmp(&other));
        }
    }
}
