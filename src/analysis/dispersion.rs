//! How much more practices differ than chance explains, and limits that allow for it.
//!
//! z-scores on the scale where their variance does not depend on the benchmark (inverse sine of the root of a share, root
//! of a ratio), winsorised at a tenth of each end; φ their mean square; the variance between practices τ² by the
//! method of moments (DerSimonian and Laird): Spiegelhalter 2005, A.3, and Spiegelhalter et al., "Statistical
//! methods for healthcare regulation", Journal of the Royal Statistical Society A 175 (2012) 1–47. Additive and not
//! multiplicative: docs/decisions/0021.

use std::f64::consts::FRAC_PI_2;

use super::funnel::{Chance, Limits};

/// Fewer practices than this say too little of how practices differ: a tenth of each end would be none of them.
pub const FEWEST: usize = 10;
/// The part of each end that is drawn in.
const WINSORISED: f64 = 0.1;

/// What the points of a funnel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counts of trials: binomial.
    Share,
    /// Counts by exposure: Poisson.
    Rate,
}

impl Kind {
    #[must_use]
    pub fn chance(self, size: f64, benchmark: f64) -> Chance {
        match self {
            Self::Share => Chance::Binomial {
                trials: size as u64,
                share: benchmark,
            },
            Self::Rate => Chance::Poisson {
                mean: size * benchmark,
            },
        }
    }

    /// Where variance does not depend on the benchmark: angles of shares, roots of ratios to it.
    fn transformed(self, value: f64, benchmark: f64) -> f64 {
        match self {
            Self::Share => value.clamp(0.0, 1.0).sqrt().asin(),
            Self::Rate => (value / benchmark).sqrt(),
        }
    }

    fn restored(self, transformed: f64, benchmark: f64) -> f64 {
        match self {
            Self::Share => transformed.clamp(0.0, FRAC_PI_2).sin().powi(2),
            Self::Rate => benchmark * transformed.max(0.0).powi(2),
        }
    }

    /// 1 ÷ variance of a transformed value.
    fn precision(self, size: f64, benchmark: f64) -> f64 {
        match self {
            Self::Share => 4.0 * size,
            Self::Rate => 4.0 * size * benchmark,
        }
    }
}

/// A practice's count and what it is divided by: trials, or exposure. The size is above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub count: f64,
    pub size: f64,
}

impl Point {
    #[must_use]
    pub fn value(self) -> f64 {
        self.count / self.size
    }

    /// Standard deviations of chance from the benchmark; 0 where the benchmark leaves no room for chance.
    #[must_use]
    pub fn z(self, kind: Kind, benchmark: f64) -> f64 {
        let z = (kind.transformed(self.value(), benchmark)
            - kind.transformed(benchmark, benchmark))
            * kind.precision(self.size, benchmark).sqrt();
        if z.is_finite() { z } else { 0.0 }
    }
}

/// How practices of a group differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dispersion {
    /// Variance of z: 1 where chance explains all.
    pub phi: f64,
    /// Variance between practices, on the transformed scale.
    pub tau2: f64,
    /// Practices that it is estimated from.
    pub practices: usize,
}

impl Dispersion {
    /// Of points around their benchmark; `None` for fewer than [`FEWEST`].
    #[must_use]
    pub fn of(kind: Kind, points: &[Point], benchmark: f64) -> Option<Self> {
        if points.len() < FEWEST {
            return None;
        }
        let mut sorted: Vec<f64> = (points.iter())
            .map(|point| point.z(kind, benchmark))
            .collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (low, high) = (
            quantile(&sorted, WINSORISED),
            quantile(&sorted, 1.0 - WINSORISED),
        );
        let squares: f64 = sorted.iter().map(|z| z.clamp(low, high).powi(2)).sum();
        let precisions = || (points.iter()).map(|point| kind.precision(point.size, benchmark));
        let sum: f64 = precisions().sum();
        let spread = sum - precisions().map(|it| it * it).sum::<f64>() / sum;
        let count = points.len() as f64;
        let tau2 = ((squares - (count - 1.0)) / spread).max(0.0);
        Some(Self {
            phi: squares / count,
            // A benchmark of 0 has no precision to divide by, and nothing to explain.
            tau2: if tau2.is_finite() { tau2 } else { 0.0 },
            practices: points.len(),
        })
    }

    /// Limits moved away from the benchmark by the factor that the practice's standard deviation grows by: with no
    /// variance between practices they stay the exact ones. `limits` are values, not counts.
    #[must_use]
    pub fn widened(&self, kind: Kind, limits: Limits, size: f64, benchmark: f64) -> Limits {
        let factor = (1.0 + self.tau2 * kind.precision(size, benchmark)).sqrt();
        let centre = kind.transformed(benchmark, benchmark);
        if !centre.is_finite() {
            return limits;
        }
        limits.map(|limit| {
            let from = kind.transformed(limit, benchmark) - centre;
            kind.restored(centre + from * factor, benchmark)
        })
    }
}

/// Between the two nearest, in proportion (R's type 7, NumPy's default).
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * at;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NumPy's and SciPy's values; `tests/data/independent/funnel.py` made them.
    const NUMPY: &str = include_str!("../../tests/data/independent/dispersion.csv");

    #[test]
    fn dispersion_and_widened_limits_are_those_of_an_independent_implementation() {
        let near = |ours: f64, theirs: f64| (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0);
        let (mut cases, mut dispersed) = (0, 0);
        for line in NUMPY.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let number = |at: usize| fields[at].parse::<f64>().expect("a number");
            let kind = if fields[0] == "binomial" {
                Kind::Share
            } else {
                Kind::Rate
            };
            let list = |at: usize| {
                fields[at]
                    .split(' ')
                    .map(|it| it.parse().expect("a number"))
            };
            let points: Vec<Point> = (list(7).zip(list(8)))
                .map(|(count, size)| Point { count, size })
                .collect();
            let sum = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>();
            let benchmark = sum(|point| point.count) / sum(|point| point.size);
            let found = Dispersion::of(kind, &points, benchmark).expect("enough practices");
            assert!(
                near(found.phi, number(1)) && near(found.tau2, number(2)),
                "{found:?} {line}"
            );
            let size = points[0].size;
            let exact = kind.chance(size, benchmark).limits().expect("limits");
            let widened = found.widened(kind, exact.map(|it| it / size), size, benchmark);
            let ours = [
                widened.lower_998,
                widened.lower_95,
                widened.upper_95,
                widened.upper_998,
            ];
            for (at, ours) in ours.into_iter().enumerate() {
                assert!(near(ours, number(3 + at)), "{at}: {ours} {line}");
            }
            cases += 1;
            dispersed += usize::from(found.tau2 > 0.0);
        }
        assert!(
            cases == 120 && (40..110).contains(&dispersed),
            "{cases} {dispersed}"
        );
    }

    #[test]
    fn too_few_practices_tell_nothing_of_how_practices_differ() {
        let points = [Point {
            count: 5.0,
            size: 100.0,
        }; FEWEST];
        assert_eq!(Dispersion::of(Kind::Share, &points[1..], 0.05), None);
        assert!(Dispersion::of(Kind::Share, &points, 0.05).is_some());
        assert_eq!(Dispersion::of(Kind::Share, &[], 0.05), None);
    }

    #[test]
    fn benchmarks_of_nothing_and_of_everything_are_numbers_too() {
        for (kind, count, benchmark) in [
            (Kind::Share, 0.0, 0.0),
            (Kind::Share, 100.0, 1.0),
            (Kind::Rate, 0.0, 0.0),
        ] {
            let points = [Point { count, size: 100.0 }; 12];
            let found = Dispersion::of(kind, &points, benchmark).expect("enough");
            assert_eq!((found.phi, found.tau2), (0.0, 0.0), "{kind:?} {benchmark}");
            let limits = kind.chance(100.0, benchmark).limits().expect("limits");
            let limits = limits.map(|limit| limit / 100.0);
            let widened = found.widened(kind, limits, 100.0, benchmark);
            assert!((widened.upper_998 - benchmark).abs() < 1e-12, "{widened:?}");
        }
    }
}
