//! Disclosure control: what leaves of counts finer than a sub-ICB (domain.md §7).

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::place::Level;

/// Counts below this are not told; others are rounded to the nearest multiple.
const SMALL: i64 = 5;
/// What a suppressed count is taken for where a figure is derived from it: the middle of 1 to 4.
const ASSUMED: f64 = 2.5;

/// Which counts of an answer leave as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disclosure {
    applies: bool,
}

impl Disclosure {
    #[must_use]
    pub const fn of(level: Level) -> Self {
        Self {
            applies: matches!(level, Level::Practice | Level::Pcn),
        }
    }

    #[must_use]
    pub const fn applies(self) -> bool {
        self.applies
    }

    /// `None` is suppressed.
    #[must_use]
    pub fn told(self, count: i64) -> Option<i64> {
        match count {
            _ if !self.applies => Some(count),
            1..SMALL => None,
            _ => Some((count + SMALL / 2).div_euclid(SMALL) * SMALL),
        }
    }

    /// For figures derived from counts: a function of what is told alone, so that they say no more.
    #[must_use]
    pub fn assumed(self, count: i64) -> f64 {
        self.told(count).map_or(ASSUMED, |count| count as f64)
    }

    #[must_use]
    pub const fn described(self) -> DisclosureControl {
        DisclosureControl {
            applied: self.applies,
            rule: "finer than sub-ICB, counts of 1 to 4 are suppressed (null), others are rounded to the nearest 5; what is derived is derived from those",
        }
    }
}

/// Whether counts of an answer are suppressed and rounded, and how.
#[derive(Debug, Serialize, ToSchema)]
pub struct DisclosureControl {
    applied: bool,
    rule: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_counts_are_suppressed_and_others_rounded() {
        let cases = [
            (0, Some(0)),
            (1, None),
            (4, None),
            (5, Some(5)),
            (7, Some(5)),
            (8, Some(10)),
            (12, Some(10)),
            (13, Some(15)),
        ];
        let exact = Disclosure::of(Level::SubIcb);
        for (count, told) in cases {
            for level in [Level::Practice, Level::Pcn] {
                assert_eq!(Disclosure::of(level).told(count), told, "{count}");
            }
            assert_eq!(exact.told(count), Some(count));
        }
        let practice = Disclosure::of(Level::Practice);
        let assumed = [1, 4, 7].map(|count| practice.assumed(count));
        assert_eq!(
            (assumed, [exact.assumed(3)]),
            ([ASSUMED, ASSUMED, 5.0], [3.0])
        );
    }
}
