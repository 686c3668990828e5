//! The figures that stand, by packed key: two bytes a figure, as nearly all of them fit.
//
//   entry   key 16 bytes | standing 6 bytes, where rows have one | figures, 2 bytes each
//   wide    of an entry one of whose figures does not fit: its figures, 8 bytes each; its first figure says so

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxHashMap;

use super::state::block::{Fields, Kept, put_varint};
use super::table::Key;

/// Entries of a chunk.
const LENGTH: usize = 1_024;
/// Words of a key.
const KEY: usize = 8;
/// Words of a standing.
const STANDING: usize = 3;
/// The place of an entry that is vacant.
const VACANT: u32 = u32::MAX;
/// The first figure of an entry whose figures are wide.
const WIDE: i16 = i16::MIN;

#[inline]
const fn pack(key: Key) -> [i16; KEY] {
    let Key {
        place,
        window,
        dimensions,
    } = key;
    [
        place as i16,
        (place >> 16) as i16,
        window as i16,
        (window >> 16) as i16,
        dimensions as i16,
        (dimensions >> 16) as i16,
        (dimensions >> 32) as i16,
        (dimensions >> 48) as i16,
    ]
}

#[inline]
fn unpack(words: &[i16]) -> Key {
    let bits = |at: usize| u64::from(words[at].cast_unsigned());
    Key {
        place: (bits(0) | bits(1) << 16) as u32,
        window: (bits(2) | bits(3) << 16) as i32,
        dimensions: bits(4) | bits(5) << 16 | bits(6) << 32 | bits(7) << 48,
    }
}

/// Whether a figure takes two bytes; the least value means something else.
#[inline]
const fn fits(figure: i64) -> bool {
    figure as i16 as i64 == figure && figure != WIDE as i64
}

/// Words by the number of their entry: nothing is copied when they grow past a chunk, and at most one chunk is partly empty.
#[derive(Debug, Default)]
struct Words {
    /// Words of an entry.
    stride: usize,
    chunks: Vec<Vec<i16>>,
    entries: usize,
}

impl Words {
    #[inline]
    fn get(&self, number: u32) -> &[i16] {
        let at = number as usize;
        &self.chunks[at / LENGTH][at % LENGTH * self.stride..][..self.stride]
    }

    #[inline]
    fn get_mut(&mut self, number: u32) -> &mut [i16] {
        let at = number as usize;
        &mut self.chunks[at / LENGTH][at % LENGTH * self.stride..][..self.stride]
    }

    #[inline]
    fn key(&self, number: u32) -> &[i16] {
        &self.get(number)[..KEY]
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

    fn bytes(&self) -> usize {
        let words: usize = self.chunks.iter().map(Vec::capacity).sum();
        words * size_of::<i16>() + self.chunks.capacity() * size_of::<Vec<i16>>()
    }
}

/// Figures by key, with how each row stands where that is kept. Entries keep their numbers until they are forgotten.
#[derive(Debug, Default)]
pub struct PackedTable {
    index: HashTable<u32>,
    words: Words,
    wide: FxHashMap<u32, Box<[i64]>>,
    /// Words in front of the figures.
    front: usize,
    /// Numbers that are vacant.
    free: Vec<u32>,
}

impl PackedTable {
    /// Sums of so many figures, and nothing else.
    #[must_use]
    pub fn of_sums(figures: usize) -> Self {
        Self::new(KEY, figures)
    }

    /// Rows of so many figures, each with its standing.
    #[must_use]
    pub fn of_rows(figures: usize) -> Self {
        Self::new(KEY + STANDING, figures)
    }

    fn new(front: usize, figures: usize) -> Self {
        let words = Words {
            // One at least, to say that it is wide.
            stride: front + figures.max(1),
            ..Words::default()
        };
        Self {
            words,
            front,
            ..Self::default()
        }
    }

    const fn has_standing(&self) -> bool {
        self.front > KEY
    }

    /// The number of a key's entry, all zero if it is new.
    #[inline]
    pub fn number_of(&mut self, key: Key) -> u32 {
        let Self {
            index, words, free, ..
        } = self;
        let packed = pack(key);
        let entry = index.entry(
            key.hash(),
            |found| *words.key(*found) == packed,
            |found| unpack(words.key(*found)).hash(),
        );
        let room = match entry {
            Entry::Occupied(found) => return *found.get(),
            Entry::Vacant(room) => room,
        };
        // What was forgotten left zeros.
        let number = free.pop().unwrap_or_else(|| words.push());
        room.insert(number);
        words.get_mut(number)[..KEY].copy_from_slice(&packed);
        number
    }

    #[inline]
    #[must_use]
    pub fn key(&self, number: u32) -> Key {
        unpack(self.words.key(number))
    }

    /// How a row stands.
    #[inline]
    #[must_use]
    pub fn standing(&self, number: u32) -> i64 {
        let words = &self.words.get(number)[KEY..KEY + STANDING];
        let bits = |at: usize| i64::from(words[at].cast_unsigned());
        bits(0) | bits(1) << 16 | bits(2) << 32
    }

    /// Of 48 bits, none of them a sign's.
    #[inline]
    pub fn stand(&mut self, number: u32, standing: i64) {
        let words = [
            standing as i16,
            (standing >> 16) as i16,
            (standing >> 32) as i16,
        ];
        self.words.get_mut(number)[KEY..KEY + STANDING].copy_from_slice(&words);
    }

    /// Writes the figures of an entry behind what is there.
    #[inline]
    pub fn read_into(&self, number: u32, figures: &mut Vec<i64>) {
        let narrow = &self.words.get(number)[self.front..];
        if narrow[0] == WIDE {
            figures.extend_from_slice(&self.wide[&number]);
        } else {
            figures.extend(narrow.iter().copied().map(i64::from));
        }
    }

    /// Puts figures in place of an entry's.
    pub fn replace(&mut self, number: u32, figures: &[i64]) {
        let narrow = &mut self.words.get_mut(number)[self.front..];
        let was_wide = narrow[0] == WIDE;
        if figures.iter().all(|figure| fits(*figure)) {
            for (word, figure) in narrow.iter_mut().zip(figures) {
                *word = *figure as i16;
            }
            if was_wide {
                self.wide.remove(&number);
            }
        } else {
            narrow[0] = WIDE;
            let wide = self.wide.entry(number).or_insert_with(|| figures.into());
            wide.copy_from_slice(figures);
        }
    }

    /// Adds `sign` times some sums to an entry's figures.
    #[inline]
    pub fn add(&mut self, number: u32, sums: &[i64], sign: i64) {
        let narrow = &mut self.words.get_mut(number)[self.front..];
        let fits = narrow[0] != WIDE
            && (narrow.iter().zip(sums)).fold(true, |all, (word, sum)| {
                all & fits(i64::from(*word) + sign * sum)
            });
        if fits {
            for (word, sum) in narrow.iter_mut().zip(sums) {
                *word = (i64::from(*word) + sign * sum) as i16;
            }
            return;
        }
        let mut figures = Vec::with_capacity(sums.len());
        self.read_into(number, &mut figures);
        for (figure, sum) in figures.iter_mut().zip(sums) {
            *figure += sign * sum;
        }
        self.replace(number, &figures);
    }

    /// Whether all figures of an entry are zero.
    #[must_use]
    pub fn is_zero(&self, number: u32) -> bool {
        let narrow = &self.words.get(number)[self.front..];
        narrow.iter().all(|word| *word == 0)
    }

    /// Forgets an entry; its number goes to another one day.
    pub fn vacate(&mut self, number: u32) {
        let hash = self.key(number).hash();
        if let Ok(found) = self.index.find_entry(hash, |found| *found == number) {
            found.remove();
            let vacant = Key {
                place: VACANT,
                window: 0,
                dimensions: 0,
            };
            let words = self.words.get_mut(number);
            words.fill(0);
            words[..KEY].copy_from_slice(&pack(vacant));
            self.wide.remove(&number);
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
        let figures = self.words.stride - self.front;
        let wide = self.wide.capacity() * size_of::<(u32, Box<[i64]>)>()
            + self.wide.len() * figures * size_of::<i64>();
        self.words.bytes() + self.index.allocation_size() + free + wide
    }

    /// Makes what is read back ready to be looked up.
    pub fn restored(&mut self) {
        let Self {
            index, words, free, ..
        } = self;
        index.clear();
        free.clear();
        for number in 0..words.entries as u32 {
            let key = unpack(words.key(number));
            if key.place == VACANT {
                free.push(number);
                continue;
            }
            index.insert_unique(key.hash(), number, |found| unpack(words.key(*found)).hash());
        }
    }
}

impl Kept for PackedTable {
    fn entries(&self) -> u32 {
        self.words.entries as u32
    }

    fn write(&self, number: u32, into: &mut Vec<u8>) {
        let key = self.key(number);
        into.extend_from_slice(&key.place.to_le_bytes());
        put_varint(i64::from(key.window), into);
        put_varint(key.dimensions as i64, into);
        if self.has_standing() {
            put_varint(self.standing(number), into);
        }
        let narrow = &self.words.get(number)[self.front..];
        if narrow[0] == WIDE {
            for figure in &self.wide[&number] {
                put_varint(*figure, into);
            }
        } else {
            for figure in narrow {
                put_varint(i64::from(*figure), into);
            }
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
        self.words.get_mut(number)[..KEY].copy_from_slice(&pack(key));
        if self.has_standing() {
            let standing = fields.varint()?;
            self.stand(number, standing);
        }
        let mut figures = Vec::with_capacity(self.words.stride - self.front);
        for _ in self.front..self.words.stride {
            figures.push(fields.varint()?);
        }
        self.replace(number, &figures);
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MANY: i32 = 2 * LENGTH as i32 + 7;

    fn key(number: i32) -> Key {
        Key {
            place: number.unsigned_abs() % 5,
            window: number,
            dimensions: u64::MAX - 9,
        }
    }

    fn figures(table: &PackedTable, number: u32) -> Vec<i64> {
        let mut figures = Vec::new();
        table.read_into(number, &mut figures);
        figures
    }

    /// Every seventh row is wide.
    fn of(number: i32) -> [i64; 2] {
        let much = if number % 7 == 0 { 1 << 40 } else { 0 };
        [i64::from(number) + much, -1]
    }

    fn filled() -> PackedTable {
        let mut table = PackedTable::of_rows(2);
        for number in 0..MANY {
            let entry = table.number_of(key(number));
            table.add(entry, &of(number), 1);
            table.stand(entry, i64::from(number) << 20 | 1);
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
            let entry = table.number_of(key(number));
            let (standing, stood) = if number % 3 == 0 {
                (0, [0, 0])
            } else {
                (i64::from(number) << 20 | 1, of(number))
            };
            assert_eq!(table.standing(entry), standing, "{number}");
            assert_eq!(figures(&table, entry), stood, "{number}");
            assert_eq!(table.is_zero(entry), number % 3 == 0);
            assert_eq!(table.key(entry), key(number));
        }
        // Their numbers went to those that came back.
        assert_eq!(table.entries(), MANY as u32);
    }

    #[test]
    fn entries_are_read_back_in_any_order() {
        for forgets in [false, true] {
            let (mut table, mut restored) = (filled(), PackedTable::of_rows(2));
            if forgets {
                (0..MANY as u32).for_each(|number| table.vacate(number));
            }
            // What stood there before is gone.
            let before = restored.number_of(key(-1));
            restored.replace(before, &[1 << 40, 1]);
            for number in (0..MANY as u32).rev() {
                let mut written = Vec::new();
                table.write(number, &mut written);
                assert_eq!(restored.read(number, &written), Some(()));
                assert_eq!(restored.read(number, &written[..written.len() - 1]), None);
                assert_eq!(restored.read(number, &written), Some(()));
            }
            restored.restored();
            assert_eq!(restored.len(), if forgets { 0 } else { MANY as usize });
            if forgets {
                assert!(restored.wide.is_empty());
                // Their numbers go to others.
                let number = restored.number_of(key(0));
                assert_eq!(figures(&restored, number), [0, 0]);
                assert_eq!(restored.entries(), MANY as u32);
                continue;
            }
            for number in 0..MANY {
                let found = restored.number_of(key(number));
                assert_eq!(found, number.unsigned_abs());
                assert_eq!(figures(&restored, found), of(number));
                assert_eq!(restored.standing(found), i64::from(number) << 20 | 1);
            }
        }
    }

    #[test]
    fn a_figure_takes_two_bytes_and_an_entry_that_needs_more_eight() {
        let many = 100_000;
        let mut table = PackedTable::of_sums(50);
        for number in 0..many {
            table.number_of(key(number));
        }
        let each = table.bytes() as f64 / f64::from(many);
        assert!((116.0..130.0).contains(&each), "{each}");
        let narrow = table.bytes();
        table.add(0, &[i64::MAX; 50], 1);
        assert!((400..600).contains(&(table.bytes() - narrow)));
        // A table without figures has keys.
        let mut keys = PackedTable::of_rows(0);
        let number = keys.number_of(key(1));
        keys.add(number, &[], 1);
        assert!(keys.is_zero(number));
    }

    proptest! {
        /// Whatever is added, replaced and forgotten, figures are the sums.
        #[test]
        fn figures_are_sums_however_large(
            changes in vec((0..4_i32, prop_oneof![
                -3..4_i64, Just(32_767), Just(-32_767), Just(-32_768), Just(32_768), Just(1 << 62), any::<i32>().prop_map(i64::from),
            ], -1..2_i64, 0..20_u8), 1..60),
        ) {
            let (mut table, mut sums) = (PackedTable::of_sums(2), BTreeMap::<i32, [i64; 2]>::new());
            for (at, sum, sign, what) in changes {
                let number = table.number_of(key(at));
                let expected = sums.entry(at).or_default();
                match what {
                    0 => {
                        table.vacate(number);
                        sums.remove(&at);
                        continue;
                    }
                    1 => {
                        *expected = [sum, 1];
                        table.replace(number, &[sum, 1]);
                    }
                    _ if expected[0].checked_add(sign * sum).is_none() => continue,
                    _ => {
                        expected[0] += sign * sum;
                        expected[1] += sign;
                        table.add(number, &[sum, 1], sign);
                    }
                }
                prop_assert_eq!(figures(&table, number), expected.to_vec());
                prop_assert_eq!(table.is_zero(number), *expected == [0, 0]);
            }
            for (at, expected) in &sums {
                let number = table.number_of(key(*at));
                prop_assert_eq!(figures(&table, number), expected.to_vec());
            }
            let wide = sums.values().filter(|sums| !sums.iter().all(|sum| fits(*sum))).count();
            prop_assert_eq!(table.wide.len(), wide);
        }
    }
}
