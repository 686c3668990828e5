//! What a row covers: days of appointments, or a stretch of event time.

use super::time::{Day, Month, Timestamp};

/// What an aggregate's windows are cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Follows {
    AppointmentDate,
    /// When a booking was made, a patient arrived, and so on (design.md).
    EventTime,
}

impl Follows {
    pub const ALL: [Self; 2] = [Self::AppointmentDate, Self::EventTime];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AppointmentDate => "appointment_date",
            Self::EventTime => "event_time",
        }
    }

    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.label() == label)
    }
}

/// The span of appointment dates that one row covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    Day,
    /// Monday to Sunday.
    Week,
    Month,
}

impl Window {
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.label() == label)
    }

    /// The first day of the window that holds `day`.
    #[must_use]
    pub fn start(self, day: Day) -> Day {
        match self {
            Self::Day => day,
            // 1970-01-01 was a Thursday.
            Self::Week => Day(day.0 - (day.0 + 3).rem_euclid(7)),
            Self::Month => day.month().first_day(),
        }
    }

    /// The day after the last of the window that starts on `start`.
    #[must_use]
    pub fn end(self, start: Day) -> Day {
        match self {
            Self::Day => Day(start.0 + 1),
            Self::Week => Day(start.0 + 7),
            Self::Month => Month(start.month().0 + 1).first_day(),
        }
    }
}

/// A window of fixed length that moves on in steps, over event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rolling {
    /// 1 to 40,320 (28 days), a multiple of the step.
    pub minutes: i32,
    /// Minutes between the ends of windows, 1 to the length; divides an hour, or is a multiple of one and divides a day,
    /// or is a day.
    pub step: i32,
}

impl Rolling {
    pub const LONGEST: i32 = 28 * DAY_MINUTES;

    /// `15 min`, `24 h`, `7 d`: what `window` in a row's label says.
    #[must_use]
    pub fn label(self) -> String {
        match self.minutes {
            minutes if minutes % DAY_MINUTES == 0 && minutes > DAY_MINUTES => {
                format!("{} d", minutes / DAY_MINUTES)
            }
            minutes if minutes % 60 == 0 => format!("{} h", minutes / 60),
            minutes => format!("{minutes} min"),
        }
    }

    /// Reads `24 h every 1 h`; without `every`, the step is the length's 1/24, at least a minute, as far as that is allowed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let minutes_of = |text: &str| -> Option<i32> {
            let (number, unit) = text.trim().split_once(' ')?;
            let unit = match unit.trim() {
                "min" => 1,
                "h" => 60,
                "d" => DAY_MINUTES,
                _ => return None,
            };
            number.parse::<u16>().ok()?;
            number.parse::<i32>().ok()?.checked_mul(unit)
        };
        let (minutes, step) = if let Some((length, step)) = text.split_once(" every ") {
            (minutes_of(length)?, minutes_of(step)?)
        } else {
            let minutes = minutes_of(text)?;
            let fits = |step: &i32| Self::is_step(*step) && minutes % *step == 0;
            let most = (minutes / 24).max(1);
            (minutes, (1..=most).rev().find(fits)?)
        };
        let fits = (1..=Self::LONGEST).contains(&minutes) && Self::is_step(step);
        (fits && minutes % step == 0).then_some(Self { minutes, step })
    }

    const fn is_step(step: i32) -> bool {
        step >= 1 && (step <= 60 && 60 % step == 0 || step % 60 == 0 && DAY_MINUTES % step == 0)
    }
}

const DAY_MINUTES: i32 = 24 * 60;

/// What one row covers, `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// Days of appointments.
    Days(Day, Day),
    /// Event time.
    Times(Timestamp, Timestamp),
}

impl Span {
    /// The days; `None` for a window of event time.
    #[must_use]
    pub const fn days(self) -> Option<(Day, Day)> {
        match self {
            Self::Days(from, to) => Some((from, to)),
            Self::Times(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open_and_hold_their_day() {
        for day in 18_000..19_000 {
            for window in Window::ALL {
                let start = window.start(Day(day));
                let end = window.end(start);
                assert!(start.0 <= day && day < end.0, "{window:?} {day}");
                assert_eq!(window.start(Day(end.0 - 1)), start, "{window:?} {day}");
            }
        }
    }

    #[test]
    fn rolling_windows_are_multiples_of_steps_that_divide_an_hour_or_a_day() {
        let parsed = |text| Rolling::parse(text).map(|it| (it.minutes, it.step, it.label()));
        let right = [
            ("15 min every 5 min", (15, 5, "15 min")),
            ("1 h every 15 min", (60, 15, "1 h")),
            ("24 h every 1 h", (1_440, 60, "24 h")),
            ("7 d every 6 h", (10_080, 360, "7 d")),
            ("28 d every 24 h", (40_320, 1_440, "28 d")),
            ("24 h", (1_440, 60, "24 h")),
            ("15 min", (15, 1, "15 min")),
            ("90 min every 30 min", (90, 30, "90 min")),
        ];
        for (text, (minutes, step, label)) in right {
            assert_eq!(
                parsed(text),
                Some((minutes, step, label.to_owned())),
                "{text}"
            );
        }
        let wrong = [
            "",
            "15",
            "min",
            "15 min every",
            "0 min",
            "15 min every 7 min",
            "15 min every 10 min",
            "29 d",
            "-1 h",
            "5 h every 5 h",
            "1 h every 2 h",
            "24 hours",
            "1 h every 0 min",
        ];
        for text in wrong {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn a_week_starts_on_monday() {
        let wednesday = Day::from_ymd(2022, 2, 2).expect("a day");
        assert_eq!(
            Some(Window::Week.start(wednesday)),
            Day::from_ymd(2022, 1, 31)
        );
    }
}
