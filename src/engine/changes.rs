//! Signed sums by packed key: what has changed since the last settlement.

use super::places::Ranks;
use super::table::{Key, Table};

/// Sums of as many measures as the aggregate has, by key.
#[derive(Debug)]
pub struct Changes {
    measures: usize,
    sums: Table,
    /// Room to put them in order.
    order: Vec<(u128, u32)>,
}

impl Changes {
    #[must_use]
    pub fn new(measures: usize) -> Self {
        Self {
            measures,
            sums: Table::new(measures),
            order: Vec::new(),
        }
    }

    /// Adds the measures, or takes them back where `sign` is below zero.
    #[inline]
    pub fn add(&mut self, key: Key, measures: &[i64], sign: i64) {
        let sums = self.sums.words_of(key);
        let both = sums.iter_mut().zip(measures);
        if sign > 0 {
            both.for_each(|(sum, measure)| *sum += measure);
        } else {
            both.for_each(|(sum, measure)| *sum -= measure);
        }
    }

    /// All sums of a key, to be added to.
    #[inline]
    pub fn sums_of(&mut self, key: Key) -> &mut [i64] {
        self.sums.words_of(key)
    }

    /// Hands over what is not zero, places by their rank, then by window and dimensions, and starts
    /// anew. Indexes of places follow the order of arrival; their ranks do not.
    pub fn drain(&mut self, ranks: &Ranks, mut see: impl FnMut(Key, &[i64])) {
        self.drain_all(ranks, |key, sums| {
            if sums.iter().any(|sum| *sum != 0) {
                see(key, sums);
            }
        });
    }

    /// As [`Self::drain`], zeros too.
    pub fn drain_all(&mut self, ranks: &Ranks, mut see: impl FnMut(Key, &[i64])) {
        let mut order = std::mem::take(&mut self.order);
        order.extend((0_u32..).take(self.sums.len()).map(|number| {
            let (key, _) = self.sums.entry(number);
            (key.order(ranks.of(key.place)), number)
        }));
        order.sort_unstable();
        for (_, number) in &order {
            let (key, sums) = self.sums.entry(*number);
            see(key, sums);
        }
        order.clear();
        self.order = order;
        self.clear();
    }

    /// Forgets everything, and gives back room beyond what a transaction usually needs.
    pub fn clear(&mut self) {
        const USUAL: usize = 65_536;
        if self.sums.len() > USUAL {
            *self = Self::new(self.measures);
        } else {
            self.sums.clear();
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }
}
