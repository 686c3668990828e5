//! From hashes to the numbers of entries: about eight bytes an entry, however many there are.
//!
//! Many small tables, each an array ordered by hash with gaps (linear probing, kept in order). A table grows by
//! a twelfth, one at a time, by one pass in order: no record ever waits for the whole to be rebuilt.

/// Tables; a power of two. England's live window in one task leaves 100,000 entries in each.
const TABLES: usize = 1_024;
/// Places behind a table's last home, for what is pushed on.
const TAIL: usize = 32;
/// Homes that a small table grows by.
const FEWEST: u32 = 16;
/// Bits of a number in a place, and of a hash.
const BITS: u32 = 28;
const MASK: u32 = (1 << BITS) - 1;
/// No entry has this number and hash.
const EMPTY: u64 = (1 << (2 * BITS)) - 1;

/// `hash << 28 | number`, or [`EMPTY`], in seven bytes.
#[derive(Debug, Clone, Copy)]
struct Place([u8; 7]);

impl Place {
    const EMPTY: Self = Self([0xff; 7]);

    #[inline]
    const fn new(entry: u64) -> Self {
        let [bytes @ .., _] = entry.to_le_bytes();
        Self(bytes)
    }

    #[inline]
    const fn get(self) -> u64 {
        let mut bytes = [0; 8];
        bytes.split_at_mut(7).0.copy_from_slice(&self.0);
        u64::from_le_bytes(bytes)
    }
}

#[inline]
const fn hash_of(entry: u64) -> u32 {
    (entry >> BITS) as u32
}

/// A table: places ascend, but for empty ones.
#[derive(Debug, Default)]
struct Table {
    places: Vec<Place>,
    homes: u32,
    entries: u32,
}

impl Table {
    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * u64::from(self.homes)) >> BITS) as usize
    }

    /// Where entries of a hash begin, or would.
    #[inline]
    fn start(&self, hash: u32) -> usize {
        let mut at = self.home(hash);
        while let Some(place) = self.places.get(at) {
            if hash_of(place.get()) >= hash {
                break;
            }
            at += 1;
        }
        at
    }

    fn insert(&mut self, entry: u64) {
        if self.entries >= self.homes - self.homes / 10 {
            self.grow();
        }
        self.put(entry);
        self.entries += 1;
    }

    fn put(&mut self, entry: u64) {
        if self.places.last().is_none_or(|last| last.get() != EMPTY) {
            self.places.reserve_exact(TAIL);
            self.places.resize(self.places.len() + TAIL, Place::EMPTY);
        }
        let start = self.start(hash_of(entry));
        let behind = &self.places[start..];
        let free = behind.iter().position(|place| place.get() == EMPTY);
        let free = start + free.expect("the last place is empty");
        // All up to the next free place move on by one, in one go.
        self.places.copy_within(start..free, start + 1);
        self.places[start] = Place::new(entry);
    }

    fn grow(&mut self) {
        let homes = self.homes + (self.homes / 12).max(FEWEST);
        let old = std::mem::take(&mut self.places);
        self.homes = homes;
        self.places = vec![Place::EMPTY; homes as usize + TAIL];
        let mut last = 0;
        for place in old.into_iter().filter(|place| place.get() != EMPTY) {
            // In order, so each goes to its home or right behind the one before.
            let at = self.home(hash_of(place.get())).max(last);
            let Some(room) = self.places.get_mut(at) else {
                self.places.push(place);
                last = self.places.len();
                continue;
            };
            *room = place;
            last = at + 1;
        }
    }

    fn remove(&mut self, entry: u64) -> bool {
        let mut at = self.start(hash_of(entry));
        while let Some(place) = self.places.get(at).map(|place| place.get()) {
            if place == entry {
                break;
            }
            if place == EMPTY || hash_of(place) > hash_of(entry) {
                return false;
            }
            at += 1;
        }
        if at >= self.places.len() {
            return false;
        }
        // What was pushed on from its home moves back.
        while let Some(next) = self.places.get(at + 1).copied() {
            if next.get() == EMPTY || self.home(hash_of(next.get())) == at + 1 {
                break;
            }
            self.places[at] = next;
            at += 1;
        }
        self.places[at] = Place::EMPTY;
        self.entries -= 1;
        true
    }
}

/// Numbers of entries by 64-bit hashes, of which 38 bits are kept or implied.
#[derive(Debug)]
pub struct Index {
    tables: Vec<Table>,
}

impl Default for Index {
    fn default() -> Self {
        let mut tables = Vec::new();
        tables.resize_with(TABLES, Table::default);
        Self { tables }
    }
}

#[inline]
const fn split(hash: u64) -> (usize, u32) {
    ((hash >> 32) as usize % TABLES, hash as u32 & MASK)
}

impl Index {
    /// The entry of a hash that `is_it` knows.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (table, hash) = split(hash);
        let table = &self.tables[table];
        table.places[table.start(hash).min(table.places.len())..]
            .iter()
            .map(|place| place.get())
            .take_while(|entry| hash_of(*entry) == hash && *entry != EMPTY)
            .map(|entry| entry as u32 & MASK)
            .find(|number| is_it(*number))
    }

    /// Reads the place where a hash is at home, so that it is near when it is looked up.
    #[inline]
    #[must_use]
    pub fn approach(&self, hash: u64) -> u64 {
        let (table, hash) = split(hash);
        let table = &self.tables[table];
        let place = table.places.get(table.home(hash));
        place.map_or(0, |place| place.get())
    }

    /// Adds an entry that is not in yet.
    ///
    /// # Panics
    /// At the number 2²⁸ − 1.
    pub fn insert(&mut self, hash: u64, number: u32) {
        assert!(number < MASK, "fewer than 268 million entries in one task");
        let (table, hash) = split(hash);
        self.tables[table].insert(u64::from(hash) << BITS | u64::from(number));
    }

    /// Takes an entry out; `false` if it was not in.
    pub fn remove(&mut self, hash: u64, number: u32) -> bool {
        let (table, hash) = split(hash);
        self.tables[table].remove(u64::from(hash) << BITS | u64::from(number))
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let places: usize = self
            .tables
            .iter()
            .map(|table| table.places.capacity())
            .sum();
        places * size_of::<Place>() + self.tables.capacity() * size_of::<Table>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spreads numbers over all 64 bits.
    fn hash(number: u64) -> u64 {
        let mixed = (number ^ number >> 31).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ mixed >> 29).wrapping_mul(0xD6E8_FEB8_6659_FD93)
    }

    fn holds(index: &Index, numbers: impl Iterator<Item = u32>, is_in: bool) {
        for number in numbers {
            let found = index.find(hash(u64::from(number)), |found| found == number);
            assert_eq!(found, is_in.then_some(number));
        }
    }

    #[test]
    fn every_entry_is_found_and_no_other() {
        let mut index = Index::default();
        for number in 0..200_000 {
            index.insert(hash(u64::from(number)), number);
        }
        holds(&index, 0..200_000, true);
        holds(&index, 200_000..300_000, false);
        for number in (0..200_000).step_by(3) {
            assert!(index.remove(hash(u64::from(number)), number));
            assert!(!index.remove(hash(u64::from(number)), number));
        }
        holds(&index, (0..200_000).filter(|number| number % 3 == 0), false);
        holds(&index, (0..200_000).filter(|number| number % 3 > 0), true);
        for number in (0..200_000).step_by(3) {
            index.insert(hash(u64::from(number)), number);
        }
        holds(&index, 0..200_000, true);
    }

    #[test]
    fn entries_of_one_hash_stand_beside_each_other() {
        for hash in [0, u64::MAX, u64::from(MASK), hash(7)] {
            let mut index = Index::default();
            for number in 0..100 {
                index.insert(hash, number);
            }
            for number in 0..100 {
                assert_eq!(index.find(hash, |found| found == number), Some(number));
            }
            for number in 0..100 {
                assert!(index.remove(hash, number));
            }
            assert_eq!(index.find(hash, |_| true), None);
        }
    }

    #[test]
    fn an_entry_costs_about_eight_bytes() {
        let mut index = Index::default();
        for number in 0..1_000_000 {
            index.insert(hash(u64::from(number)), number);
        }
        let each = index.bytes() as f64 / 1_000_000.0;
        assert!((7.8..8.4).contains(&each), "{each}");
    }
}
