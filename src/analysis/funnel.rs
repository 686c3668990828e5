//! How far chance alone takes a count from its benchmark: exact funnel limits.
//!
//! Spiegelhalter, "Funnel plots for comparing institutional performance", Statistics in Medicine 24 (2005)
//! 1185–1202, appendix A.1: the lower limit at probability `p` is `r - (F(r) - p) / f(r)`, where `r` is the smallest count
//! with `F(r) >= p` under the benchmark, `F` the distribution and `f` its probabilities. The fraction makes limits
//! continuous in the denominator, so a limit is a count with decimals. The upper limit is the same of what is left,
//! `trials - count`: then a count lies beyond a limit exactly where it, or one more extreme, comes with a probability below
//! `p`. The appendix has it one count lower (docs/decisions/0021).

use statrs::distribution::{Binomial, Discrete, Poisson};

/// What a count would be drawn from if its practice were as the benchmark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Chance {
    /// So many trials, each with the benchmark's share in `[0, 1]`.
    Binomial { trials: u64, share: f64 },
    /// A count whose mean is the benchmark's rate times the practice's exposure.
    Poisson { mean: f64 },
}

/// Limits of a count: 95 in 100, and 998 in 1,000, lie within.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub lower_998: f64,
    pub lower_95: f64,
    pub upper_95: f64,
    pub upper_998: f64,
}

impl Limits {
    /// The same change to each.
    #[must_use]
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            lower_998: change(self.lower_998),
            lower_95: change(self.lower_95),
            upper_95: change(self.upper_95),
            upper_998: change(self.upper_998),
        }
    }

    #[must_use]
    pub fn verdict(&self, value: f64) -> Verdict {
        if value > self.upper_998 {
            Verdict::Above998
        } else if value > self.upper_95 {
            Verdict::Above95
        } else if value < self.lower_998 {
            Verdict::Below998
        } else if value < self.lower_95 {
            Verdict::Below95
        } else {
            Verdict::Within
        }
    }
}

/// Where a value lies; on a limit is within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Below998,
    Below95,
    Within,
    Above95,
    Above998,
}

impl Verdict {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Below998 => "below 99.8%",
            Self::Below95 => "below 95%",
            Self::Within => "within",
            Self::Above95 => "above 95%",
            Self::Above998 => "above 99.8%",
        }
    }
}

/// The probability beyond each limit of the two pairs.
const TAIL_95: f64 = 0.025;
const TAIL_998: f64 = 0.001;
/// Deviates of the normal distribution at those, where the search for a limit begins.
const DEVIATE_95: f64 = 1.96;
const DEVIATE_998: f64 = 3.09;
/// Terms smaller than this part of their sum cannot change it.
const NEGLIGIBLE: f64 = 1e-18;

impl Chance {
    /// Exact limits; `None` where nothing can be expected of a practice: no trials, or a mean that is no number.
    /// A benchmark of nothing or of everything leaves no room for chance: all limits are its own count.
    #[must_use]
    pub fn limits(self) -> Option<Limits> {
        if !self.is_known() {
            return None;
        }
        if let Some(certain) = self.certain() {
            return Some(Limits {
                lower_998: certain,
                lower_95: certain,
                upper_95: certain,
                upper_998: certain,
            });
        }
        let drawn = Drawn::of(self)?;
        Some(Limits {
            lower_998: drawn.lower(TAIL_998, DEVIATE_998),
            lower_95: drawn.lower(TAIL_95, DEVIATE_95),
            upper_95: drawn.upper(TAIL_95, DEVIATE_95),
            upper_998: drawn.upper(TAIL_998, DEVIATE_998),
        })
    }

    /// Whether there is such a distribution.
    fn is_known(self) -> bool {
        match self {
            Self::Binomial { trials, share } => trials > 0 && (0.0..=1.0).contains(&share),
            Self::Poisson { mean } => mean.is_finite() && mean >= 0.0,
        }
    }

    /// The only count that can come, if there is only one.
    fn certain(self) -> Option<f64> {
        match self {
            Self::Binomial { share, .. } if share <= 0.0 => Some(0.0),
            Self::Binomial { trials, share } => (share >= 1.0).then_some(trials as f64),
            Self::Poisson { mean } => (mean <= 0.0).then_some(0.0),
        }
    }
}

/// A distribution with its first two moments.
enum Law {
    Binomial(Binomial),
    Poisson(Poisson),
}

struct Drawn {
    law: Law,
    chance: Chance,
    mean: f64,
    deviation: f64,
    /// No count is greater.
    most: u64,
}

impl Drawn {
    fn of(chance: Chance) -> Option<Self> {
        let (law, mean, variance, most) = match chance {
            Chance::Binomial { trials, share } => {
                let mean = trials as f64 * share;
                let law = Law::Binomial(Binomial::new(share, trials).ok()?);
                (law, mean, mean * (1.0 - share), trials)
            }
            Chance::Poisson { mean } => {
                (Law::Poisson(Poisson::new(mean).ok()?), mean, mean, u64::MAX)
            }
        };
        Some(Self {
            law,
            chance,
            mean,
            deviation: variance.sqrt(),
            most,
        })
    }

    fn probability(&self, count: u64) -> f64 {
        match &self.law {
            Law::Binomial(law) => law.pmf(count),
            Law::Poisson(law) => law.pmf(count),
        }
    }

    /// `f(count + 1) / f(count)`.
    fn growth(&self, count: u64) -> f64 {
        let next = (count + 1) as f64;
        match self.chance {
            Chance::Binomial { trials, share } => {
                (trials - count) as f64 / next * (share / (1.0 - share))
            }
            Chance::Poisson { mean } => mean / next,
        }
    }

    // Tails are summed and not taken from the library's distribution functions: its incomplete beta function stops
    // after 140 terms, and is off by 1e-5 for half a million trials. A tail has some ten deviations of terms.

    /// `F(count)`, for a count that is not above the mode.
    fn at_most(&self, count: u64) -> f64 {
        let mut term = self.probability(count);
        let mut sum = term;
        for below in (0..count).rev() {
            term /= self.growth(below);
            sum += term;
            if term < sum * NEGLIGIBLE {
                break;
            }
        }
        sum
    }

    /// `1 - F(count)`, for a count that is not below the mode.
    fn beyond(&self, count: u64) -> f64 {
        if count >= self.most {
            return 0.0;
        }
        let mut at = count + 1;
        let mut term = self.probability(at);
        let mut sum = term;
        while at < self.most {
            term *= self.growth(at);
            sum += term;
            at += 1;
            if term < sum * NEGLIGIBLE || term == 0.0 {
                break;
            }
        }
        sum
    }

    fn lower(&self, tail: f64, deviate: f64) -> f64 {
        let mut count = (self.mean - deviate * self.deviation).max(0.0) as u64;
        let mut at_most = self.at_most(count);
        let mut own = self.probability(count);
        while count > 0 && at_most - own >= tail {
            at_most -= own;
            count -= 1;
            own = self.probability(count);
        }
        while at_most < tail && count < self.most {
            count += 1;
            own = self.probability(count);
            at_most += own;
        }
        (count as f64 - (at_most - tail) / own).max(0.0)
    }

    fn upper(&self, tail: f64, deviate: f64) -> f64 {
        let start = (self.mean + deviate * self.deviation).ceil() as u64;
        let mut count = start.min(self.most);
        let mut beyond = self.beyond(count);
        let mut own = self.probability(count);
        while beyond > tail && count < self.most {
            count += 1;
            own = self.probability(count);
            beyond -= own;
        }
        while count > 0 && beyond + own <= tail {
            beyond += own;
            count -= 1;
            own = self.probability(count);
        }
        (count as f64 + 1.0 - (tail - beyond) / own).min(self.most as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SciPy's values; `tests/data/independent/funnel.py` made them.
    const SCIPY: &str = include_str!("../../tests/data/independent/funnel_limits.csv");

    #[test]
    fn limits_are_those_of_an_independent_implementation() {
        let mut cases = 0;
        for line in SCIPY.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let number = |at: usize| fields[at].parse::<f64>().expect("a number");
            let chance = match fields[0] {
                "binomial" => Chance::Binomial {
                    trials: number(1) as u64,
                    share: number(2),
                },
                _ => Chance::Poisson { mean: number(2) },
            };
            let limits = chance.limits().expect("limits");
            let ours = [
                limits.lower_998,
                limits.lower_95,
                limits.upper_95,
                limits.upper_998,
            ];
            for (at, ours) in ours.into_iter().enumerate() {
                let theirs = number(3 + at);
                // A millionth of a count, and what a library's probabilities leave of counts in millions.
                let near = 1e-6 + 1e-11 * theirs;
                assert!(
                    (ours - theirs).abs() <= near,
                    "{line}: limit {at} is {ours}"
                );
            }
            cases += 1;
        }
        assert!(cases > 700, "{cases}");
    }

    /// Catches a limit that is a count off, on either side.
    #[test]
    fn a_count_is_beyond_a_limit_exactly_where_the_like_of_it_is_rarer_than_the_tail() {
        for trials in 1..60_u64 {
            for share in [0.003, 0.04, 0.2, 0.5, 0.77, 0.98] {
                let law = Binomial::new(share, trials).expect("a distribution");
                let limits = Chance::Binomial { trials, share }.limits().expect("limits");
                for count in 0..=trials {
                    let value = count as f64;
                    let at_most: f64 = (0..=count).map(|count| law.pmf(count)).sum();
                    let at_least: f64 = (count..=trials).map(|count| law.pmf(count)).sum();
                    let told = [
                        value < limits.lower_998,
                        value < limits.lower_95,
                        value > limits.upper_95,
                        value > limits.upper_998,
                    ];
                    let is = [
                        at_most < TAIL_998,
                        at_most < TAIL_95,
                        at_least < TAIL_95,
                        at_least < TAIL_998,
                    ];
                    assert_eq!(told, is, "{count} of {trials} at {share}: {limits:?}");
                }
            }
        }
    }

    /// Catches sides that are not alike: attended and not attended are one funnel upside down.
    #[test]
    fn what_is_left_has_the_limits_upside_down() {
        for (trials, share) in [(7, 0.3), (240, 0.042), (9_100, 0.461), (800_000, 0.0007)] {
            let of = |share| Chance::Binomial { trials, share }.limits().expect("limits");
            let (part, rest) = (of(share), of(1.0 - share));
            let all = trials as f64;
            for (one, other) in [
                (part.lower_998, rest.upper_998),
                (part.lower_95, rest.upper_95),
                (part.upper_95, rest.lower_95),
            ] {
                assert!((one + other - all).abs() < 1e-6, "{trials} at {share}");
            }
        }
    }

    #[test]
    fn where_nothing_can_be_expected_there_are_no_limits() {
        let none = [
            Chance::Binomial {
                trials: 0,
                share: 0.5,
            },
            Chance::Binomial {
                trials: 9,
                share: f64::NAN,
            },
            Chance::Binomial {
                trials: 9,
                share: 1.5,
            },
            Chance::Poisson { mean: f64::NAN },
            Chance::Poisson {
                mean: f64::INFINITY,
            },
            Chance::Poisson { mean: -1.0 },
        ];
        for chance in none {
            assert_eq!(chance.limits(), None, "{chance:?}");
        }
    }

    #[test]
    fn a_certain_benchmark_leaves_no_room_for_chance() {
        let cases = [
            (
                Chance::Binomial {
                    trials: 40,
                    share: 0.0,
                },
                0.0,
            ),
            (
                Chance::Binomial {
                    trials: 40,
                    share: 1.0,
                },
                40.0,
            ),
            (Chance::Poisson { mean: 0.0 }, 0.0),
        ];
        for (chance, count) in cases {
            let limits = chance.limits().expect("limits");
            assert_eq!(limits.map(|limit| limit - count), limits.map(|_| 0.0));
            assert_eq!(limits.verdict(count), Verdict::Within);
        }
    }

    #[test]
    fn a_verdict_is_of_the_widest_limit_passed_and_a_value_on_a_limit_is_within_it() {
        let limits = Limits {
            lower_998: 1.0,
            lower_95: 2.0,
            upper_95: 8.0,
            upper_998: 9.0,
        };
        let cases = [
            (0.5, Verdict::Below998),
            (1.0, Verdict::Below95),
            (2.0, Verdict::Within),
            (8.0, Verdict::Within),
            (8.5, Verdict::Above95),
            (9.0, Verdict::Above95),
            (9.5, Verdict::Above998),
        ];
        for (value, verdict) in cases {
            assert_eq!(limits.verdict(value), verdict, "{value}");
        }
    }
}
