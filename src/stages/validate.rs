//! Bounds of dates and durations (feeds.md, rule 3).

use crate::domain::disposition::Rejection;
use crate::domain::time::Day;

/// What the London day of extraction allows; most records share it with the one before.
#[derive(Debug, Clone, Copy)]
pub struct Extraction {
    pub day: Day,
    pub year: i32,
    first: Day,
    last: Day,
}

impl Extraction {
    #[must_use]
    pub fn on(day: Day) -> Self {
        Self {
            day,
            year: day.month().year(),
            first: day.shifted_by_years(-1),
            last: day.shifted_by_years(1),
        }
    }
}

/// Check 8: at most one calendar year before or after the London day of extraction, both ends in.
///
/// # Errors
/// [`Rejection::DateOutOfRange`].
pub fn date(day: Day, extraction: &Extraction) -> Result<(), Rejection> {
    if (extraction.first..=extraction.last).contains(&day) {
        Ok(())
    } else {
        Err(Rejection::DateOutOfRange)
    }
}

/// Check 9: 0…1440 minutes.
///
/// # Errors
/// [`Rejection::DurationOutOfRange`].
pub fn planned_duration(minutes: i64) -> Result<(), Rejection> {
    if (0..=1440).contains(&minutes) {
        Ok(())
    } else {
        Err(Rejection::DurationOutOfRange)
    }
}

/// The running service's horizon: `days` before and after the greatest day of extraction.
///
/// # Errors
/// [`Rejection::BeyondHorizon`].
pub fn horizon(day: Day, newest: Day, days: i32) -> Result<(), Rejection> {
    if (i64::from(day.0) - i64::from(newest.0)).abs() <= i64::from(days) {
        Ok(())
    } else {
        Err(Rejection::BeyondHorizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> Day {
        Day::from_ymd(year, month, day).expect("a day")
    }

    #[test]
    fn both_ends_of_the_year_are_in() {
        let extracted = &Extraction::on(day(2022, 2, 10));
        assert!(date(day(2021, 2, 10), extracted).is_ok());
        assert!(date(day(2023, 2, 10), extracted).is_ok());
        assert!(date(day(2021, 2, 9), extracted).is_err());
        assert!(date(day(2023, 2, 11), extracted).is_err());
    }

    #[test]
    fn a_year_from_the_leap_day_ends_on_the_28th() {
        let extracted = &Extraction::on(day(2020, 2, 29));
        assert!(date(day(2021, 2, 28), extracted).is_ok());
        assert!(date(day(2021, 3, 1), extracted).is_err());
        assert!(date(day(2019, 2, 28), extracted).is_ok());
        assert!(date(day(2019, 2, 27), extracted).is_err());
    }

    #[test]
    fn planned_durations_end_at_a_day() {
        assert!(planned_duration(0).is_ok() && planned_duration(1440).is_ok());
        assert!(planned_duration(-1).is_err() && planned_duration(1441).is_err());
    }
}
