//! Parts of packed entries.

use crate::domain::time::Local;

/// Milliseconds of ±4,459 years in 48 bits; what is beyond stands at the bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct Millis {
    low: u32,
}

impl Millis {
    const BOUND: i64 = 1 << 47;

    /// The low half, kept here, and the high half, which the entry keeps where it has room.
    #[inline]
    #[must_use]
    pub const fn split(millis: i64) -> (Self, i16) {
        let held = if millis >= Self::BOUND {
            Self::BOUND - 1
        } else if millis < -Self::BOUND {
            -Self::BOUND
        } else {
            millis
        };
        (Self { low: held as u32 }, (held >> 32) as i16)
    }

    #[must_use]
    pub const fn from_low(low: u32) -> Self {
        Self { low }
    }

    #[must_use]
    pub const fn low(self) -> u32 {
        self.low
    }

    #[inline]
    #[must_use]
    pub const fn join(self, high: i16) -> i64 {
        (high as i64) << 32 | self.low as i64
    }
}

/// A local time to the second, from 1970 on 136 years, in 32 bits; what is beyond stands at the bound.
#[derive(Debug, Clone, Copy)]
pub struct Seconds(u32);

impl Seconds {
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Of milliseconds, rounded down.
    #[inline]
    #[must_use]
    pub fn new(millis: i64) -> Self {
        let seconds = millis.div_euclid(1_000).clamp(0, i64::from(u32::MAX));
        Self(seconds as u32)
    }

    #[inline]
    #[must_use]
    pub const fn local(self) -> Local {
        Local(self.0 as i64 * 1_000)
    }
}

/// The low 24 bits of a number.
#[derive(Debug, Clone, Copy)]
pub struct Small([u8; 3]);

impl Small {
    #[inline]
    #[must_use]
    pub const fn new(number: u32) -> Self {
        let [low, middle, high, _] = number.to_le_bytes();
        Self([low, middle, high])
    }

    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        let [low, middle, high] = self.0;
        u32::from_le_bytes([low, middle, high, 0])
    }
}

/// A number from 0, or none, in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maybe(u32);

impl Maybe {
    pub const NONE: Self = Self(u32::MAX);

    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    #[inline]
    #[must_use]
    pub const fn new(number: Option<u32>) -> Self {
        match number {
            Some(number) => Self(number),
            None => Self::NONE,
        }
    }

    #[inline]
    #[must_use]
    pub const fn get(self) -> Option<u32> {
        if self.0 == u32::MAX {
            None
        } else {
            Some(self.0)
        }
    }
}

/// Whole minutes, or none, in 16 bits.
#[derive(Debug, Clone, Copy)]
pub struct Minutes(u16);

impl Minutes {
    pub const NONE: Self = Self(u16::MAX);

    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    #[must_use]
    pub fn new(minutes: Option<i64>) -> Self {
        Self(minutes.map_or(u16::MAX, clamp_minutes))
    }

    #[must_use]
    pub const fn get(self) -> Option<u16> {
        if self.0 == u16::MAX {
            None
        } else {
            Some(self.0)
        }
    }
}

/// Minutes as they are held: beyond the published range it only matters that they are.
#[must_use]
pub fn clamp_minutes(minutes: i64) -> u16 {
    u16::try_from(minutes.clamp(0, i64::from(u16::MAX - 1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_136_years_come_back_and_what_is_beyond_stands_at_the_bound() {
        let last = i64::from(u32::MAX) * 1_000;
        for (millis, held) in [
            (0, 0),
            (1_614_556_800_999, 1_614_556_800_000),
            (last + 999, last),
            (last + 1_000, last),
            (-1, 0),
            (i64::MIN, 0),
            (i64::MAX, last),
        ] {
            assert_eq!(Seconds::new(millis).local(), Local(held));
        }
    }

    #[test]
    fn small_numbers_come_back() {
        for number in [0, 1, 0xff, 0x100, 0x12_34_56, 0xff_ff_ff] {
            assert_eq!(Small::new(number).get(), number);
        }
        assert_eq!(Small::new(0x7f00_0001).get(), 1);
    }

    #[test]
    fn times_within_their_bounds_come_back() {
        let bound = Millis::BOUND;
        for millis in [
            0,
            1,
            -1,
            1_614_556_800_123,
            -bound,
            bound - 1,
            1 << 32,
            -(1 << 32),
        ] {
            let (low, high) = Millis::split(millis);
            assert_eq!(low.join(high), millis);
        }
        for (millis, held) in [
            (i64::MAX, bound - 1),
            (i64::MIN, -bound),
            (bound, bound - 1),
        ] {
            let (low, high) = Millis::split(millis);
            assert_eq!(low.join(high), held);
        }
    }
}
