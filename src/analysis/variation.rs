//! How a practice lies against a group that it belongs to, with chance taken into account.

use super::dispersion::{Dispersion, Kind, Point};
use super::funnel::{Limits, Verdict};

/// What practices are compared by (`docs/figures.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indicator {
    /// Appointments for each 1,000 registered patients and working weekday.
    Rate,
    /// Of all appointments, those that the patient did not attend.
    Dna,
    /// Of all appointments, those on the day of booking.
    SameDay,
    /// ACC-08 (domain.md §2): of its eight categories, those within 14 days.
    TwoWeeks,
    /// Of all appointments, those more than 28 days after booking.
    Beyond28Days,
    /// Of all appointments, those without a national category.
    Unmapped,
}

/// A practice's month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub appointments: i64,
    pub dna: i64,
    pub same_day: i64,
    pub beyond_28_days: i64,
    pub two_week_numerator: i64,
    pub two_week_denominator: i64,
    pub unmapped: i64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.appointments += other.appointments;
        self.dna += other.dna;
        self.same_day += other.same_day;
        self.beyond_28_days += other.beyond_28_days;
        self.two_week_numerator += other.two_week_numerator;
        self.two_week_denominator += other.two_week_denominator;
        self.unmapped += other.unmapped;
    }
}

impl Indicator {
    pub const ALL: [Self; 6] = [
        Self::Rate,
        Self::Dna,
        Self::SameDay,
        Self::TwoWeeks,
        Self::Beyond28Days,
        Self::Unmapped,
    ];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rate => "appointments_per_1000_patients_per_working_weekday",
            Self::Dna => "dna_share",
            Self::SameDay => "same_day_share",
            Self::TwoWeeks => "two_week_share",
            Self::Beyond28Days => "beyond_28_days_share",
            Self::Unmapped => "unmapped_share",
        }
    }

    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.label() == label)
    }

    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Rate => Kind::Rate,
            Self::Dna | Self::SameDay | Self::TwoWeeks | Self::Beyond28Days | Self::Unmapped => {
                Kind::Share
            }
        }
    }

    #[must_use]
    pub const fn numerator(self, counts: &Counts) -> i64 {
        match self {
            Self::Rate => counts.appointments,
            Self::Dna => counts.dna,
            Self::SameDay => counts.same_day,
            Self::TwoWeeks => counts.two_week_numerator,
            Self::Beyond28Days => counts.beyond_28_days,
            Self::Unmapped => counts.unmapped,
        }
    }

    /// The appointments that a share is of; `None` for a rate, which is divided by patients and days.
    #[must_use]
    pub const fn denominator(self, counts: &Counts) -> Option<i64> {
        match self {
            Self::Rate => None,
            Self::TwoWeeks => Some(counts.two_week_denominator),
            Self::Dna | Self::SameDay | Self::Beyond28Days | Self::Unmapped => {
                Some(counts.appointments)
            }
        }
    }

    /// What a rate is divided by: thousands of registered patients times working weekdays.
    #[must_use]
    pub fn exposure(patients: i64, working_weekdays: u32) -> f64 {
        patients as f64 / 1_000.0 * f64::from(working_weekdays)
    }
}

/// The value of all practices of a group together; `None` without any size.
#[must_use]
pub fn benchmark(points: &[Point]) -> Option<f64> {
    let size: f64 = points.iter().map(|point| point.size).sum();
    let count: f64 = points.iter().map(|point| point.count).sum();
    (size > 0.0).then(|| count / size)
}

/// A point against a benchmark, in the unit of the indicator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    pub value: f64,
    /// Standard deviations of chance alone from the benchmark, on the transformed scale.
    pub z: f64,
    /// By chance alone.
    pub limits: Limits,
    pub verdict: Verdict,
    /// By chance and by how practices differ anyway; `None` where that could not be estimated.
    pub adjusted: Option<(Limits, Verdict)>,
}

/// `None` where the point has no size, or nothing can be expected of it.
#[must_use]
pub fn compare(
    kind: Kind,
    point: Point,
    benchmark: f64,
    dispersion: Option<&Dispersion>,
) -> Option<Compared> {
    if point.size <= 0.0 {
        return None;
    }
    let limits = kind.chance(point.size, benchmark).limits()?;
    // Shares of whole trials only: the size of a share is a count.
    let limits = limits.map(|limit| limit / point.size);
    let value = point.value();
    let adjusted = dispersion.map(|dispersion| {
        let widened = dispersion.widened(kind, limits, point.size, benchmark);
        (widened, widened.verdict(value))
    });
    Some(Compared {
        value,
        z: point.z(kind, benchmark),
        limits,
        verdict: limits.verdict(value),
        adjusted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indicators_take_their_counts_and_are_found_by_their_names() {
        let counts = Counts {
            appointments: 1,
            dna: 2,
            same_day: 3,
            beyond_28_days: 4,
            two_week_numerator: 5,
            two_week_denominator: 6,
            unmapped: 7,
        };
        let cases = [
            (Indicator::Rate, 1, None),
            (Indicator::Dna, 2, Some(1)),
            (Indicator::SameDay, 3, Some(1)),
            (Indicator::TwoWeeks, 5, Some(6)),
            (Indicator::Beyond28Days, 4, Some(1)),
            (Indicator::Unmapped, 7, Some(1)),
        ];
        for (indicator, numerator, denominator) in cases {
            assert_eq!(indicator.numerator(&counts), numerator);
            assert_eq!(indicator.denominator(&counts), denominator);
            assert_eq!(Indicator::from_label(indicator.label()), Some(indicator));
        }
        assert!((Indicator::exposure(8_500, 20) - 170.0).abs() < 1e-12);
    }

    #[test]
    fn a_large_practice_that_differs_as_practices_do_is_told_apart_by_the_unadjusted_limits_alone()
    {
        // DNA shares of 2 % and 7 % by turns, and one of 30 %.
        let share = |count: f64| Point {
            count,
            size: 10_000.0,
        };
        let mut points: Vec<Point> = (0..40)
            .map(|at| share(if at % 2 == 0 { 200.0 } else { 700.0 }))
            .collect();
        points.push(share(3_000.0));
        let target = benchmark(&points).expect("sizes");
        let dispersion = Dispersion::of(Kind::Share, &points, target);
        let told = |point| {
            let compared = compare(Kind::Share, point, target, dispersion.as_ref());
            let compared = compared.expect("a comparison");
            (compared.verdict, compared.adjusted.expect("estimated").1)
        };
        assert_eq!(told(points[1]), (Verdict::Above998, Verdict::Within));
        assert_eq!(told(points[0]), (Verdict::Below998, Verdict::Within));
        assert_eq!(told(points[40]), (Verdict::Above998, Verdict::Above998));
    }

    #[test]
    fn what_has_no_size_is_not_compared() {
        let none = Point {
            count: 0.0,
            size: 0.0,
        };
        assert_eq!(compare(Kind::Share, none, 0.1, None), None);
        assert_eq!(compare(Kind::Rate, none, 0.1, None), None);
        assert_eq!(benchmark(&[none]), None);
        let whole = Point {
            count: 5.0,
            size: 5.0,
        };
        let alone = compare(Kind::Share, whole, 1.0, None).expect("a comparison");
        assert_eq!((alone.verdict, alone.adjusted), (Verdict::Within, None));
    }
}
