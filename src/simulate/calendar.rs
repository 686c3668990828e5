//! Which days of the month can carry appointments, and when their versions can be extracted.

use chrono::{Datelike, Weekday};

use crate::domain::time::{Day, Local, MILLIS_PER_DAY, MILLIS_PER_MINUTE, Month};

use super::chance::Chance;
use super::error::Error;

/// The service period: the London days on which records may be extracted, both in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// First day.
    pub from: Day,
    /// Last day.
    pub to: Day,
}

impl Default for Service {
    /// 2020-03-01 to 2023-02-28 (feeds.md, rule 1).
    fn default() -> Self {
        Self {
            from: Month::new(2020, 2).first_day(),
            to: Month::new(2023, 1).last_day(),
        }
    }
}

/// The instants within which the versions of an appointment can be extracted, both in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// UTC milliseconds.
    pub from: i64,
    /// UTC milliseconds.
    pub to: i64,
}

impl Window {
    /// What lies in both; may be empty.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        }
    }

    /// Too short to hold a whole life cycle.
    #[must_use]
    pub const fn is_short(self) -> bool {
        self.to - self.from < MILLIS_PER_DAY / 2
    }
}

/// How far before and after the month tables of days reach.
const REACH_DAYS: i32 = 800;

/// The days of a simulated month.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// The month.
    pub month: Month,
    /// The service period.
    pub service: Service,
    /// The usable days with the sum of the weights up to and with each.
    days: Vec<(Day, u32)>,
    first: i32,
    /// By day from `first`: how far its noon is ahead of UTC, milliseconds.
    offsets: Vec<i64>,
    /// By day from `first`: `yyyyMMdd` and `yyyy-MM-dd`.
    texts: Vec<(String, String)>,
    /// By minute of the day: `HHmm`.
    times: Vec<String>,
}

impl Calendar {
    /// The days of `month` that `service` lets in.
    ///
    /// # Errors
    /// [`Error::OutsideService`] when it lets none in.
    pub fn new(month: Month, service: Service) -> Result<Self, Error> {
        let mut sum = 0;
        let days: Vec<(Day, u32)> = (month.first_day().0..=month.last_day().0)
            .map(Day)
            .filter(|day| {
                let (from, to) = extraction_days(*day, service);
                from <= to && *day <= to
            })
            .map(|day| {
                sum += weight(day);
                (day, sum)
            })
            .collect();
        if days.is_empty() {
            return Err(Error::OutsideService {
                month: month.label(),
                from: label(service.from),
                to: label(service.to),
                latest: label(month.last_day().shifted_by_years(1)),
                earliest: label(month.first_day()),
            });
        }
        let first = month.first_day().0 - REACH_DAYS;
        let reach = (first..month.last_day().0 + REACH_DAYS).map(Day);
        Ok(Self {
            month,
            service,
            days,
            first,
            offsets: reach
                .clone()
                .map(|day| {
                    let noon = Local::new(day, MILLIS_PER_DAY / 2);
                    noon.0 - noon.to_utc().0
                })
                .collect(),
            texts: reach
                .map(|day| {
                    let date = label(day);
                    (date.replace('-', ""), date)
                })
                .collect(),
            times: (0..24 * 60)
                .map(|minute| format!("{:02}{:02}", minute / 60, minute % 60))
                .collect(),
        })
    }

    /// A day for an appointment, weekdays before Saturdays before Sundays and bank holidays.
    pub fn draw(&self, chance: &mut Chance) -> Day {
        let all = self.days.last().map_or(0, |(_, sum)| *sum);
        let at = chance.below(all);
        let index = self.days.partition_point(|(_, sum)| *sum <= at);
        self.days[index.min(self.days.len() - 1)].0
    }

    /// The usable days, in order.
    #[must_use]
    pub fn days(&self) -> impl DoubleEndedIterator<Item = Day> + '_ {
        self.days.iter().map(|(day, _)| *day)
    }

    /// When versions with this appointment date can be extracted: within a calendar year of it and within the service.
    #[must_use]
    pub fn window(&self, day: Day) -> Window {
        let (from, to) = extraction_days(day, self.service);
        Window {
            from: Local::new(from, 0).to_utc().0,
            to: Local::new(Day(to.0 + 1), 0).to_utc().0 - 1,
        }
    }

    /// The instant of a minute of a local day. The hours in which the clocks change may be an hour out, which no rule
    /// reads: these are only the times at which something is extracted.
    #[inline]
    #[must_use]
    pub fn instant(&self, day: Day, minute: i32) -> i64 {
        i64::from(day.0) * MILLIS_PER_DAY + i64::from(minute) * MILLIS_PER_MINUTE
            - self.offsets[self.index(day)]
    }

    /// `yyyyMMdd`.
    #[inline]
    #[must_use]
    pub fn compact(&self, day: Day) -> &str {
        &self.texts[self.index(day)].0
    }

    /// `yyyy-MM-dd`.
    #[inline]
    #[must_use]
    pub fn iso(&self, day: Day) -> &str {
        &self.texts[self.index(day)].1
    }

    /// `HHmm` of a minute of the day; the day's last minute for what runs over it.
    #[inline]
    #[must_use]
    pub fn hhmm(&self, minute: i32) -> &str {
        &self.times[minute.clamp(0, 24 * 60 - 1).unsigned_abs() as usize]
    }

    fn index(&self, day: Day) -> usize {
        // Days beyond the reach share the last one's text: only extraction days far from the month would be, and
        // the window keeps those within a year and a month.
        (usize::try_from(day.0 - self.first).unwrap_or(0)).min(self.offsets.len() - 1)
    }
}

/// `yyyy-MM-dd`.
#[must_use]
pub fn label(day: Day) -> String {
    day.date().map_or_else(String::new, |date| date.to_string())
}

/// First and last day of extraction; the last may come before the first.
//
//   a year before        the appointment        a year after
//   |--------------------------|----------------------|        within one calendar year, both ends in
//            |---------- service ----------|                   both ends in
//            |======== extraction =========|
fn extraction_days(day: Day, service: Service) -> (Day, Day) {
    let mut earliest = day.shifted_by_years(-1);
    if earliest.shifted_by_years(1) < day {
        // 29 February: a year after the 28th is the 28th, a day short.
        earliest = Day(earliest.0 + 1);
    }
    (
        earliest.max(service.from),
        day.shifted_by_years(1).min(service.to),
    )
}

/// How many appointments a day draws, beside the others (an ordinary weekday: about a hundred).
fn weight(day: Day) -> u32 {
    let Some(date) = day.date() else { return 1 };
    if bank_holiday(date.month(), date.day(), date.weekday()) {
        return 2;
    }
    match date.weekday() {
        Weekday::Mon => 115,
        Weekday::Tue => 108,
        Weekday::Wed => 103,
        Weekday::Thu => 101,
        Weekday::Fri => 95,
        Weekday::Sat => 4,
        Weekday::Sun => 1,
    }
}

/// The bank holidays that fall on the same weekday every year, Christmas and New Year without their substitutes.
fn bank_holiday(month: u32, day: u32, weekday: Weekday) -> bool {
    match (month, day) {
        (1, 1) | (12, 25 | 26) => true,
        (5, 1..=7 | 25..=31) | (8, 25..=31) => weekday == Weekday::Mon,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> Day {
        Day::from_ymd(year, month, day).expect("a day")
    }

    #[test]
    fn an_old_month_is_extracted_from_the_first_day_of_service_to_a_year_after() {
        let service = Service::default();
        let cases = [
            (day(2019, 3, 1), day(2020, 3, 1), day(2020, 3, 1)),
            (day(2019, 3, 31), day(2020, 3, 1), day(2020, 3, 31)),
            (day(2020, 1, 15), day(2020, 3, 1), day(2021, 1, 15)),
            (day(2020, 2, 29), day(2020, 3, 1), day(2021, 2, 28)),
            (day(2022, 2, 10), day(2021, 2, 10), day(2023, 2, 10)),
            (day(2023, 2, 28), day(2022, 2, 28), day(2023, 2, 28)),
        ];
        for (appointment, from, to) in cases {
            assert_eq!(
                extraction_days(appointment, service),
                (from, to),
                "{}",
                label(appointment)
            );
        }
        let leap = Service {
            from: day(2018, 1, 1),
            to: day(2030, 1, 1),
        };
        assert_eq!(
            extraction_days(day(2020, 2, 29), leap),
            (day(2019, 3, 1), day(2021, 2, 28))
        );
    }

    #[test]
    fn a_month_that_no_day_of_service_reaches_is_refused() {
        let service = Service::default();
        assert!(Calendar::new(Month::new(2019, 2), service).is_ok());
        assert!(Calendar::new(Month::new(2023, 1), service).is_ok());
        let early = Calendar::new(Month::new(2019, 1), service)
            .expect_err("too early")
            .to_string();
        assert!(
            early.contains("2019-02") && early.contains("--service-from 2020-03-01"),
            "{early}"
        );
        assert!(early.contains("2020-02-28"), "{early}");
        let late = Calendar::new(Month::new(2023, 2), service)
            .expect_err("too late")
            .to_string();
        assert!(late.contains("2023-03-01"), "{late}");
    }

    #[test]
    fn a_month_that_service_reaches_in_part_uses_that_part() {
        let service = Service {
            from: day(2020, 3, 20),
            to: day(2023, 2, 28),
        };
        let calendar = Calendar::new(Month::new(2019, 2), service).expect("fits");
        assert_eq!(calendar.days().next(), Some(day(2019, 3, 20)));
        assert_eq!(calendar.days().last(), Some(day(2019, 3, 31)));
    }

    #[test]
    fn weekdays_carry_most_and_saturdays_some() {
        let calendar = Calendar::new(Month::new(2022, 1), Service::default()).expect("fits");
        let mut chance = Chance::of(3, "days");
        let mut counts = [0_u32; 7];
        for _ in 0..50_000 {
            let date = calendar.draw(&mut chance).date().expect("a date");
            assert_eq!((date.year(), date.month()), (2022, 2));
            counts[date.weekday().num_days_from_monday() as usize] += 1;
        }
        assert!(counts[..5].iter().all(|count| *count > 8000), "{counts:?}");
        assert!((100..2000).contains(&counts[5]), "{counts:?}");
    }

    #[test]
    fn a_window_is_whole_london_days() {
        let calendar = Calendar::new(Month::new(2020, 5), Service::default()).expect("fits");
        let window = calendar.window(day(2020, 6, 1));
        assert_eq!(window.from, 1_583_020_800_000, "2020-03-01T00:00Z");
        assert_eq!(
            window.to, 1_622_588_399_999,
            "2021-06-01T22:59:59.999Z, the end of a day in summer"
        );
    }
}
