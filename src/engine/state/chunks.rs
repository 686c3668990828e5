//! A growing list whose entries stay where they are.

/// Entries of a chunk.
const LENGTH: usize = 4_096;

/// Grows by one chunk at a time: at most one chunk is partly empty, and nothing is ever copied.
#[derive(Debug)]
pub struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    length: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            length: 0,
        }
    }
}

impl<T> Chunks<T> {
    /// Appends an entry and answers its number.
    ///
    /// # Panics
    /// At 2³² − 1 entries.
    pub fn push(&mut self, entry: T) -> u32 {
        let number = u32::try_from(self.length)
            .ok()
            .filter(|number| *number != u32::MAX)
            .expect("fewer than 2^32 - 1 entries in one task");
        if self.length.is_multiple_of(LENGTH) {
            self.chunks.push(Vec::with_capacity(LENGTH));
        }
        self.chunks[self.length / LENGTH].push(entry);
        self.length += 1;
        number
    }

    /// Puts an entry in the place of its number; places before it that have none yet hold `vacant`.
    pub fn set(&mut self, number: u32, entry: T, vacant: impl Fn() -> T) {
        while self.length <= number as usize {
            self.push(vacant());
        }
        *self.get_mut(number) = entry;
    }

    #[inline]
    #[must_use]
    pub fn get(&self, number: u32) -> &T {
        let at = number as usize;
        &self.chunks[at / LENGTH][at % LENGTH]
    }

    #[inline]
    pub fn get_mut(&mut self, number: u32) -> &mut T {
        let at = number as usize;
        &mut self.chunks[at / LENGTH][at % LENGTH]
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunks.len() * LENGTH * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}
