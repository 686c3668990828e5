//! Working weekdays: Monday to Friday less the bank holidays of England and Wales (domain.md §2).

use chrono::{Datelike, NaiveDate, Weekday};

use super::time::{Day, Month};

/// Year, month, day.
type Ymd = (i32, u32, u32);

/// Bank holidays that no rule gives.
const ONE_OFF: [Ymd; 6] = [
    (2011, 4, 29),
    (2012, 6, 5),
    (2022, 6, 3),
    (2022, 9, 19),
    (2023, 5, 8),
    (2002, 6, 3),
];

/// Bank holidays moved for one year: the rule's date, then the date kept.
const MOVED: [(Ymd, Ymd); 4] = [
    ((2002, 5, 27), (2002, 6, 4)),
    ((2012, 5, 28), (2012, 6, 4)),
    ((2020, 5, 4), (2020, 5, 8)),
    ((2022, 5, 30), (2022, 6, 2)),
];

/// The bank holidays of a year, in no order, substitute days in place of those at weekends.
#[must_use]
pub fn bank_holidays(year: i32) -> Vec<NaiveDate> {
    let date = |month, day| NaiveDate::from_ymd_opt(year, month, day);
    let mut holidays = Vec::with_capacity(10);
    holidays.extend(date(1, 1).map(to_weekday));
    if let Some(easter) = easter_sunday(year) {
        holidays.push(easter - chrono::Days::new(2));
        holidays.push(easter + chrono::Days::new(1));
    }
    holidays.extend(NaiveDate::from_weekday_of_month_opt(
        year,
        5,
        Weekday::Mon,
        1,
    ));
    holidays.extend(last_monday(year, 5));
    holidays.extend(last_monday(year, 8));
    if let (Some(christmas), Some(boxing)) = (date(12, 25), date(12, 26)) {
        let christmas = to_weekday(christmas);
        let mut boxing = to_weekday(boxing);
        if boxing <= christmas {
            boxing = to_weekday(christmas + chrono::Days::new(1));
        }
        holidays.extend([christmas, boxing]);
    }
    for (from, to) in MOVED {
        let (from, to) = (ymd(from), ymd(to));
        for holiday in &mut holidays {
            if Some(*holiday) == from {
                *holiday = to.unwrap_or(*holiday);
            }
        }
    }
    holidays.extend(
        ONE_OFF
            .into_iter()
            .filter(|(of, _, _)| *of == year)
            .filter_map(ymd),
    );
    holidays
}

/// Working weekdays of a month.
#[must_use]
pub fn working_weekdays(month: Month) -> u32 {
    working_weekdays_between(month.first_day(), month.last_day())
}

/// Working weekdays of the days `[from, to]`; 0 where `to` is before `from`.
#[must_use]
pub fn working_weekdays_between(from: Day, to: Day) -> u32 {
    let (mut working, mut holidays, mut of_year) = (0, Vec::new(), None);
    for date in (from.0..=to.0).filter_map(|day| Day(day).date()) {
        if of_year != Some(date.year()) {
            of_year = Some(date.year());
            holidays = bank_holidays(date.year());
        }
        let is_weekend = matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
        working += u32::from(!is_weekend && !holidays.contains(&date));
    }
    working
}

fn ymd((year, month, day): Ymd) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month, day)
}

fn to_weekday(date: NaiveDate) -> NaiveDate {
    let days = match date.weekday() {
        Weekday::Sat => 2,
        Weekday::Sun => 1,
        Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu | Weekday::Fri => 0,
    };
    date + chrono::Days::new(days)
}

fn last_monday(year: i32, month: u32) -> Option<NaiveDate> {
    NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Mon, 5)
        .or_else(|| NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Mon, 4))
}

/// The Gregorian calendar's Easter Sunday (the anonymous algorithm of 1876).
fn easter_sunday(year: i32) -> Option<NaiveDate> {
    let golden = year % 19;
    let (century, of_century) = (year / 100, year % 100);
    let moon = (19 * golden + century - century / 4 - (century - (century + 8) / 25 + 1) / 3 + 15)
        .rem_euclid(30);
    let weekday =
        (32 + 2 * (century % 4) + 2 * (of_century / 4) - moon - of_century % 4).rem_euclid(7);
    let late = (golden + 11 * moon + 22 * weekday) / 451;
    let day = moon + weekday - 7 * late + 114;
    NaiveDate::from_ymd_opt(
        year,
        u32::try_from(day / 31).ok()?,
        u32::try_from(day % 31 + 1).ok()?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_their_working_weekdays() {
        // gov.uk bank holidays; the months of one-off and substitute days.
        let cases = [
            ("2021-02", 20),
            ("2021-12", 21),
            ("2022-01", 20),
            ("2022-05", 21),
            ("2022-06", 20),
            ("2022-09", 21),
            ("2023-05", 20),
            ("2020-05", 19),
            ("2020-04", 20),
            ("2024-03", 20),
        ];
        for (month, days) in cases {
            let parsed = Month::parse(month).expect("a month");
            assert_eq!(working_weekdays(parsed), days, "{month}");
        }
    }

    /// By the `holidays` package; `tests/data/independent/working_weekdays.py` made it.
    const INDEPENDENT: &str = include_str!("../../tests/data/independent/working_weekdays.csv");

    #[test]
    fn months_of_eighteen_years_have_the_working_weekdays_and_holidays_of_an_independent_calendar()
    {
        let mut months = 0;
        for line in INDEPENDENT.lines().skip(1) {
            let [label, days, off] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let month = Month::parse(label).expect("a month");
            assert_eq!(working_weekdays(month).to_string(), days, "{label}");
            let mut holidays = bank_holidays(month.year());
            holidays.retain(|date| date.month() == month.number());
            holidays.sort_unstable();
            let holidays: Vec<String> = holidays.iter().map(ToString::to_string).collect();
            assert_eq!(holidays.join(" "), off, "{label}");
            months += 1;
        }
        assert_eq!(months, 18 * 12);
    }
}
