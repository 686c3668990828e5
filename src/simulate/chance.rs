//! Draws that come out the same on every machine: integers only, from a seeded ChaCha stream.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Quantiles of actual durations in minutes, at (i + ½) / 128: log-normal with s = 0.7 and scale 12 (domain.md §5).
/// A table, because the exponential's last bit differs between machines.
const DURATION_MINUTES: [u8; 128] = [
    2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7,
    8, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 10, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 11,
    11, 11, 12, 12, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 14, 14, 14, 14, 14, 15, 15, 15, 15, 16,
    16, 16, 16, 17, 17, 17, 17, 18, 18, 18, 18, 19, 19, 19, 20, 20, 20, 21, 21, 22, 22, 23, 23, 24,
    24, 25, 25, 26, 26, 27, 28, 29, 30, 31, 32, 33, 34, 36, 38, 40, 43, 46, 51, 59, 77,
];

/// A hash of text under a seed, the same on every machine.
#[must_use]
pub fn hash(seed: u64, text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), seed)
}

/// One stream of draws.
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed and a name, such as a practice's code.
    #[must_use]
    pub fn of(seed: u64, name: &str) -> Self {
        Self(ChaCha8Rng::seed_from_u64(hash(seed, name)))
    }

    /// Any 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// One of `0..bound`; 0 if `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        // The bias of the multiplication is under one in a thousand for every bound used here.
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// One of `low..=high`.
    #[inline]
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low + 1).unsigned_abs()).cast_signed()
    }

    /// True `share` times in a thousand.
    #[inline]
    pub fn per_mille(&mut self, share: u32) -> bool {
        self.below(1000) < share
    }

    /// One of several, all as likely; `items` is not empty.
    #[inline]
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }

    /// Minutes that an appointment took; rarely 0 or above 60.
    #[inline]
    pub fn actual_minutes(&mut self) -> i32 {
        if self.per_mille(4) {
            return self.pick(&[0, 0, 90, 124, 185]);
        }
        i32::from(DURATION_MINUTES[self.below(128) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_the_same_from_release_to_release() {
        let mut chance = Chance::of(7, "A81001");
        let drawn: Vec<u32> = (0..6).map(|_| chance.below(1000)).collect();
        assert_eq!(drawn, [839, 371, 408, 0, 64, 491]);
    }

    #[test]
    fn draws_cover_their_range_and_no_more() {
        let mut chance = Chance::of(1, "range");
        let drawn: Vec<i32> = (0..2000).map(|_| chance.between(-3, 3)).collect();
        assert_eq!(drawn.iter().min(), Some(&-3));
        assert_eq!(drawn.iter().max(), Some(&3));
        let minutes: Vec<i32> = (0..20_000).map(|_| chance.actual_minutes()).collect();
        let mean = minutes.iter().sum::<i32>() / 20_000;
        assert!(
            (14..=17).contains(&mean),
            "the mean of the log-normal is 15.3, drawn {mean}"
        );
    }
}
