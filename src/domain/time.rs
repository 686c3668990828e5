//! Days, local times and instants: everything local is Europe/London.

use chrono::{DateTime, Months, NaiveDate, NaiveDateTime, Offset, TimeZone};

pub const MILLIS_PER_SECOND: i64 = 1_000;
pub const MILLIS_PER_MINUTE: i64 = 60_000;
pub const MILLIS_PER_HOUR: i64 = 3_600_000;
pub const MILLIS_PER_DAY: i64 = 86_400_000;

/// A calendar day, in days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i32);

impl Day {
    #[must_use]
    pub const fn from_date(date: NaiveDate) -> Self {
        Self(date.to_epoch_days())
    }

    /// `None` beyond chrono's years (about ±262,000).
    #[must_use]
    pub const fn date(self) -> Option<NaiveDate> {
        NaiveDate::from_epoch_days(self.0)
    }

    /// Whether the calendar has it. Every record asks several times and needs no date: [`Self::date`] would make one.
    #[inline]
    #[must_use]
    pub const fn has_date(self) -> bool {
        NaiveDate::MIN.to_epoch_days() <= self.0 && self.0 <= NaiveDate::MAX.to_epoch_days()
    }

    /// `year`, `month` 1–12, `day` 1–31; `None` if there is no such day.
    #[must_use]
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).map(Self::from_date)
    }

    /// The same day a calendar year on (`years` > 0) or back; 29 February becomes the 28th.
    #[must_use]
    pub fn shifted_by_years(self, years: i32) -> Self {
        let months = Months::new(years.unsigned_abs().saturating_mul(12));
        self.date()
            .and_then(|date| {
                if years >= 0 {
                    date.checked_add_months(months)
                } else {
                    date.checked_sub_months(months)
                }
            })
            .map_or(self, Self::from_date)
    }

    /// The month that the day lies in.
    #[must_use]
    pub fn month(self) -> Month {
        // Every fact asks for the month of its day. Days are counted from 1 March of year 0, so that
        // the leap day ends a year: 146,097 days are 400 years, 153 days five months from March on.
        let day = i64::from(self.0) + 719_468;
        let era = day.div_euclid(146_097);
        let of_era = day.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        Month(((era * 400 + year_of_era) * 12 + from_march + 2) as i32)
    }
}

/// A calendar month, counted from January of year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month(pub i32);

impl Month {
    /// `month0` is 0 for January.
    #[must_use]
    pub const fn new(year: i32, month0: u32) -> Self {
        Self(year * 12 + month0 as i32)
    }

    /// From `YYYY-MM`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        if year.len() != 4 || month.len() != 2 {
            return None;
        }
        let (year, month): (u16, u32) = (year.parse().ok()?, month.parse().ok()?);
        (1..=12)
            .contains(&month)
            .then(|| Self::new(i32::from(year), month - 1))
    }

    #[must_use]
    pub const fn year(self) -> i32 {
        self.0.div_euclid(12)
    }

    /// 1 for January.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.rem_euclid(12) as u32 + 1
    }

    #[must_use]
    pub const fn first_day(self) -> Day {
        let from_march = self.0 - 2;
        let (year, month) = (from_march.div_euclid(12), from_march.rem_euclid(12));
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        Day(365 * year + leap_days + (153 * month + 2) / 5 - 719_468)
    }

    #[must_use]
    pub const fn last_day(self) -> Day {
        Day(self.next().first_day().0 - 1)
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// As in the publication's file names and our folders: `2022-02`.
    #[must_use]
    pub fn label(self) -> String {
        format!("{:04}-{:02}", self.year(), self.number())
    }

    /// The three upper-case letters that the published files use.
    #[must_use]
    pub const fn abbreviation(self) -> &'static str {
        const NAMES: [&str; 12] = [
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ];
        NAMES[self.0.rem_euclid(12) as usize]
    }
}

/// An instant, in milliseconds since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The calendar day in London.
    #[must_use]
    pub fn london_day(self) -> Day {
        let local = self.0.saturating_add(london_offset_at(self.0));
        Day(i32::try_from(local.div_euclid(MILLIS_PER_DAY)).unwrap_or(i32::MAX))
    }

    /// Reads an instant as RFC 3339 has it, or in UTC without saying so, down to a day alone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Some(Self(at.timestamp_millis()));
        }
        let formats = [
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%dT%H:%MZ",
            "%Y-%m-%d %H:%M:%S",
        ];
        let mut formats = formats.into_iter();
        let at = formats.find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        let midnight = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
        let at = at.or_else(midnight)?;
        Some(Self(at.and_utc().timestamp_millis()))
    }

    /// RFC 3339 in UTC with milliseconds, or the bare number beyond chrono's years.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        DateTime::from_timestamp_millis(self.0).map_or_else(
            || self.0.to_string(),
            |at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        )
    }
}

/// A London wall-clock reading, in milliseconds as if it were UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Local(pub i64);

impl Local {
    #[must_use]
    pub const fn new(day: Day, millis_of_day: i64) -> Self {
        Self(day.0 as i64 * MILLIS_PER_DAY + millis_of_day)
    }

    #[must_use]
    pub fn day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(MILLIS_PER_DAY)).unwrap_or(i32::MAX))
    }

    /// Whether the calendar has its day.
    #[inline]
    #[must_use]
    pub const fn has_date(self) -> bool {
        const FIRST: i64 = NaiveDate::MIN.to_epoch_days() as i64 * MILLIS_PER_DAY;
        const BEHIND: i64 = (NaiveDate::MAX.to_epoch_days() as i64 + 1) * MILLIS_PER_DAY;
        FIRST <= self.0 && self.0 < BEHIND
    }

    #[must_use]
    pub const fn millis_of_day(self) -> i64 {
        self.0.rem_euclid(MILLIS_PER_DAY)
    }

    /// The instant (domain.md §4.7): of an hour that repeats, the earlier one; for an hour that is
    /// missing, the first minute after it.
    //
    //   spring  local 00:59 | 01:00 … 01:59 missing | 02:00      → 01:00Z for all of the gap
    //   autumn  local 01:00 … 01:59 BST | 01:00 … 01:59 GMT      → the BST reading
    #[must_use]
    pub fn to_utc(self) -> Timestamp {
        let summer = self.0.saturating_sub(MILLIS_PER_HOUR);
        let Some((start, end)) = summer_time_at(summer) else {
            return self.to_utc_by_tables();
        };
        Timestamp(if (start..end).contains(&summer) {
            summer
        } else if (summer..self.0).contains(&(start - 1)) {
            // Neither reading holds: the reading lies in the gap, whose end is the change itself.
            start
        } else {
            self.0
        })
    }

    /// For the years without one rule.
    fn to_utc_by_tables(self) -> Timestamp {
        let summer = Timestamp(self.0.saturating_sub(MILLIS_PER_HOUR));
        if london_offset_at(summer.0) == MILLIS_PER_HOUR {
            return summer;
        }
        Timestamp(self.0.saturating_sub(london_offset_at(self.0)))
    }

    /// Whole minutes of real time from `self` to `end`, rounded down; negative if reversed.
    #[must_use]
    pub fn minutes_until(self, end: Self) -> i64 {
        (end.to_utc().0 - self.to_utc().0).div_euclid(MILLIS_PER_MINUTE)
    }
}

/// Milliseconds that London is ahead of UTC at an instant: 0 or an hour.
#[must_use]
pub fn london_offset_at(utc_millis: i64) -> i64 {
    match summer_time_at(utc_millis) {
        Some((start, end)) if (start..end).contains(&utc_millis) => MILLIS_PER_HOUR,
        Some(_) => 0,
        None => DateTime::from_timestamp_millis(utc_millis).map_or(0, |at| {
            let offset = chrono_tz::Europe::London.offset_from_utc_datetime(&at.naive_utc());
            i64::from(offset.fix().local_minus_utc()) * MILLIS_PER_SECOND
        }),
    }
}

/// The years that one rule has held for, as far as the time-zone tables go.
const RULED: std::ops::Range<i64> = 1996..2038;
const RULED_YEARS: usize = (RULED.end - RULED.start) as usize;

/// Every record asks for the summer time of its year.
static SUMMER_TIMES: [(i64, i64); RULED_YEARS] = summer_times();

const fn summer_times() -> [(i64, i64); RULED_YEARS] {
    let mut all = [(0, 0); RULED_YEARS];
    let mut at = 0;
    while at < RULED_YEARS {
        all[at] = summer_time_by_rule(RULED.start as i32 + at as i32);
        at += 1;
    }
    all
}

/// Summer time `[start, end)` of the year that an instant lies in, in UTC milliseconds. Years without the rule go through
/// the time-zone tables.
fn summer_time_at(utc_millis: i64) -> Option<(i64, i64)> {
    /// Of a leap year: every four years are as long from there on.
    const FIRST: i64 = Month::new(RULED.start as i32, 0).first_day().0 as i64;
    // What lies before it wraps around to years that have no rule either.
    let since = utc_millis
        .wrapping_sub(FIRST * MILLIS_PER_DAY)
        .cast_unsigned();
    let year = since / MILLIS_PER_DAY.cast_unsigned() * 4 / 1461;
    SUMMER_TIMES.get(usize::try_from(year).ok()?).copied()
}

/// The last Sundays of March and October at 01:00Z, the rule in force since 1996.
const fn summer_time_by_rule(year: i32) -> (i64, i64) {
    const fn last_sunday(month: Month) -> i64 {
        let last = month.last_day().0 as i64;
        // 1970-01-01 was a Thursday.
        last - (last + 4).rem_euclid(7)
    }
    const fn at_one(day: i64) -> i64 {
        day * MILLIS_PER_DAY + MILLIS_PER_HOUR
    }
    (
        at_one(last_sunday(Month::new(year, 2))),
        at_one(last_sunday(Month::new(year, 9))),
    )
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;

    use super::*;

    fn local(text: &str) -> Local {
        let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").expect("a local time");
        Local(at.and_utc().timestamp_millis())
    }

    fn utc(text: &str) -> Timestamp {
        Timestamp(
            DateTime::parse_from_rfc3339(text)
                .expect("an instant")
                .timestamp_millis(),
        )
    }

    #[test]
    fn local_times_become_instants_on_the_days_the_clocks_change() {
        let cases = [
            ("2022-02-01T09:00", "2022-02-01T09:00:00Z"),
            ("2022-07-01T09:00", "2022-07-01T08:00:00Z"),
            ("2022-03-27T00:59", "2022-03-27T00:59:00Z"),
            ("2022-03-27T01:00", "2022-03-27T01:00:00Z"),
            ("2022-03-27T01:30", "2022-03-27T01:00:00Z"),
            ("2022-03-27T02:00", "2022-03-27T01:00:00Z"),
            ("2022-10-30T00:59", "2022-10-29T23:59:00Z"),
            ("2022-10-30T01:30", "2022-10-30T00:30:00Z"),
            ("2022-10-30T02:00", "2022-10-30T02:00:00Z"),
        ];
        for (text, instant) in cases {
            assert_eq!(local(text).to_utc(), utc(instant), "{text}");
        }
    }

    #[test]
    fn the_rule_of_summer_time_agrees_with_the_time_zone_tables() {
        let mut at = utc("1996-01-01T00:00:00Z").0;
        while at < utc("2037-12-31T00:00:00Z").0 {
            let moment = DateTime::from_timestamp_millis(at)
                .expect("in range")
                .naive_utc();
            let offset = chrono_tz::Europe::London.offset_from_utc_datetime(&moment);
            assert_eq!(
                london_offset_at(at),
                i64::from(offset.fix().local_minus_utc()) * 1000,
                "{moment}"
            );
            at += MILLIS_PER_HOUR;
        }
    }

    #[test]
    fn the_london_day_starts_an_hour_early_in_summer() {
        assert_eq!(
            utc("2022-07-01T23:30:00Z").london_day(),
            Day::from_ymd(2022, 7, 2).expect("a day")
        );
        assert_eq!(
            utc("2022-01-01T23:30:00Z").london_day(),
            Day::from_ymd(2022, 1, 1).expect("a day")
        );
    }

    #[test]
    fn the_leap_day_a_year_on_is_the_28th() {
        let leap = Day::from_ymd(2020, 2, 29).expect("a day");
        assert_eq!(Some(leap.shifted_by_years(1)), Day::from_ymd(2021, 2, 28));
        assert_eq!(Some(leap.shifted_by_years(-1)), Day::from_ymd(2019, 2, 28));
    }

    #[test]
    fn minutes_are_real_where_the_clocks_change_between() {
        assert_eq!(
            local("2022-03-27T00:50").minutes_until(local("2022-03-27T02:10")),
            20
        );
        assert_eq!(
            local("2022-10-30T01:50").minutes_until(local("2022-10-30T02:10")),
            80
        );
    }

    #[test]
    fn a_day_has_a_date_where_the_calendar_has_one() {
        let (first, last) = (
            NaiveDate::MIN.to_epoch_days(),
            NaiveDate::MAX.to_epoch_days(),
        );
        for day in [i32::MIN, first - 1, first, 0, last, last + 1, i32::MAX] {
            assert_eq!(Day(day).has_date(), Day(day).date().is_some(), "{day}");
            for time in [0, MILLIS_PER_DAY - 1] {
                let local = Local::new(Day(day), time);
                assert_eq!(local.has_date(), Day(day).has_date(), "{day}, {time}");
            }
        }
    }

    #[test]
    fn months_of_days_agree_with_the_calendar() {
        for day in (-800_000..800_000).step_by(7).chain(10_000..30_000) {
            let date = Day(day).date().expect("within chrono's years");
            let month = Day(day).month();
            assert_eq!(month, Month::new(date.year(), date.month0()), "{date}");
            assert_eq!(
                Some(month.first_day().0),
                date.with_day(1).map(|d| d.to_epoch_days())
            );
        }
    }

    #[test]
    fn a_month_knows_its_days_and_names() {
        let month = Month::parse("2024-02").expect("a month");
        assert_eq!(Some(month.last_day()), Day::from_ymd(2024, 2, 29));
        assert_eq!(month.label(), "2024-02");
        assert_eq!(month.abbreviation(), "FEB");
        assert_eq!(Month::parse("2024-13"), None);
        assert_eq!(Month::parse("24-01"), None);
    }
}
