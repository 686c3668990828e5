//! Signed sums by packed key: what has changed since the last settlement.

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
    pub(super) const fn hash(self) -> u64 {
        let high = ((self.place as u64) << 32 | self.window as u32 as u64)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (high ^ self.dimensions).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ mixed >> 32
    }
}

/// The order of places in what goes out, by their index.
#[derive(Debug, Default)]
pub struct Ranks(Vec<u32>);

impl Ranks {
    /// Indexes that are their own rank.
    #[must_use]
    pub fn identity(places: usize) -> Self {
        Self((0..).take(places).collect())
    }

    /// Ranks places by their order, if any came since.
    pub fn refresh<P: Ord>(&mut self, places: &[P]) {
        if self.0.len() == places.len() {
            return;
        }
        let mut sorted: Vec<usize> = (0..places.len()).collect();
        sorted.sort_unstable_by_key(|at| &places[*at]);
        self.0.resize(places.len(), 0);
        for (rank, at) in (0_u32..).zip(sorted) {
            self.0[at] = rank;
        }
    }
}

/// Places of keys in the order they go out.
pub(super) fn order(keys: &[Key], ranks: &Ranks) -> Vec<u32> {
    let mut order: Vec<u32> = (0_u32..).take(keys.len()).collect();
    order.sort_unstable_by_key(|at| {
        let key = keys[*at as usize];
        (ranks.0[key.place as usize], key.window, key.dimensions)
    });
    order
}

/// Sums of as many measures as the aggregate has, by key.
#[derive(Debug, Default)]
pub struct Changes {
    stride: usize,
    index: HashTable<u32>,
    keys: Vec<Key>,
    sums: Vec<i64>,
}

impl Changes {
    #[must_use]
    pub fn new(stride: usize) -> Self {
        Self {
            stride,
            ..Self::default()
        }
    }

    /// Adds `sign` times the measures.
    pub fn add(&mut self, key: Key, measures: &[i64], sign: i64) {
        let keys = &self.keys;
        let entry = self.index.entry(
            key.hash(),
            |found| keys[*found as usize] == key,
            |found| keys[*found as usize].hash(),
        );
        let at = match entry {
            Entry::Occupied(found) => *found.get() as usize,
            Entry::Vacant(room) => {
                let at = self.keys.len();
                room.insert(u32::try_from(at).expect("fewer than 2^32 keys fit in memory"));
                self.keys.push(key);
                self.sums.resize(self.sums.len() + self.stride, 0);
                at
            }
        };
        let sums = &mut self.sums[at * self.stride..][..self.stride];
        for (sum, measure) in sums.iter_mut().zip(measures) {
            *sum += sign * measure;
        }
    }

    /// Hands over what is not zero, places by their rank, then by window and dimensions, and starts
    /// anew. Indexes of places follow the order of arrival; their ranks do not.
    pub fn drain(&mut self, ranks: &Ranks, mut see: impl FnMut(Key, &[i64])) {
        for at in order(&self.keys, ranks) {
            let sums = &self.sums[at as usize * self.stride..][..self.stride];
            if sums.iter().any(|sum| *sum != 0) {
                see(self.keys[at as usize], sums);
            }
        }
        self.clear();
    }

    /// Forgets everything, and gives back room beyond what a transaction usually needs.
    pub fn clear(&mut self) {
        const USUAL: usize = 65_536;
        if self.keys.len() > USUAL {
            *self = Self::new(self.stride);
        } else {
            self.index.clear();
            self.keys.clear();
            self.sums.clear();
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
