//! The versions that an appointment or a consultation goes through, before any supplier writes them.

use crate::domain::time::{Day, MILLIS_PER_DAY, MILLIS_PER_MINUTE};

use super::calendar::Window;
use super::chance::Chance;

/// How far a slot has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Offered, nobody in it.
    Free,
    /// Not offered.
    Blocked,
    /// Booked.
    Booked,
    /// The patient is there.
    Arrived,
    /// The patient is being seen.
    InProgress,
    /// Seen.
    Attended,
    /// Did not attend.
    Dna,
    /// The booking was given up.
    Cancelled,
}

/// Which booking an EMIS slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booking {
    /// One that was given up before the slot was booked again.
    Earlier,
    /// The one that stands at last.
    Last,
}

/// A category in the record itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Category {
    /// National slot category.
    pub category: &'static str,
    /// Context type.
    pub context: Option<&'static str>,
    /// Service setting.
    pub setting: Option<&'static str>,
}

/// The whole state of a slot and its booking at one time; minutes are minutes of the local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Date of the appointment.
    pub day: Day,
    /// Start.
    pub start: i32,
    /// Planned minutes.
    pub planned: i32,
    /// How far it has come.
    pub stage: Stage,
    /// Which booking, where there is one.
    pub booking: Booking,
    /// When it was booked.
    pub booked: Option<(Day, i32)>,
    /// When it was cancelled.
    pub cancelled: Option<(Day, i32)>,
    /// When the patient came.
    pub arrived: Option<i32>,
    /// When the patient was called in.
    pub seen: Option<i32>,
    /// When the patient left.
    pub left: Option<i32>,
    /// Mode or contact, in the supplier's words.
    pub mode: Option<&'static str>,
    /// A home visit of TPP, in its own table.
    pub visit: bool,
    /// TPP's flag.
    pub telephone: bool,
    /// Role, in the supplier's code.
    pub role: Option<&'static str>,
    /// Local slot type.
    pub slot_type: &'static str,
    /// The record's own category.
    pub category: Option<Category>,
    /// Withdrawn.
    pub withdrawn: bool,
    /// Chooses between ways of writing the same.
    pub variant: u8,
}

impl State {
    /// The same slot with nobody in it.
    #[must_use]
    pub fn freed(self) -> Self {
        Self {
            stage: Stage::Free,
            booked: None,
            arrived: None,
            seen: None,
            left: None,
            ..self
        }
    }

    /// The same booking at an earlier stage, as it was known then.
    #[must_use]
    pub fn back_to(self, stage: Stage) -> Self {
        let came = matches!(stage, Stage::Arrived | Stage::InProgress);
        Self {
            stage,
            arrived: self.arrived.filter(|_| came),
            seen: self.seen.filter(|_| stage == Stage::InProgress),
            left: None,
            ..self
        }
    }

    /// Whether the slot holds a booking.
    #[must_use]
    pub const fn is_booked(&self) -> bool {
        !matches!(self.stage, Stage::Free | Stage::Blocked)
    }
}

/// A state of something at an instant of extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version<T> {
    /// UTC milliseconds; strictly growing once fitted.
    pub at: i64,
    /// What was so.
    pub state: T,
}

/// The whole state of a consultation at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encounter {
    /// Its date.
    pub day: Day,
    /// Start, minute of the local day.
    pub start: Option<i32>,
    /// End, minute of the local day.
    pub end: Option<i32>,
    /// Role, in the supplier's code.
    pub role: Option<&'static str>,
    /// Written to its end (EMIS, TPP).
    pub complete: bool,
    /// Withdrawn.
    pub withdrawn: bool,
    /// Names the appointment.
    pub linked: bool,
    /// Chooses between ways of writing the same.
    pub variant: u8,
}

/// Moves the versions' natural times into the window and apart, in order, the last one staying the newest.
//
//   natural   1 2   |   3   4  |     5
//   window          [from      to]
//   fitted          |1 2 3  4 5|          what came too early follows the start, what came too late precedes the end
pub fn fit<T>(versions: &mut [Version<T>], window: Window, chance: &mut Chance) {
    let length = window.to - window.from;
    // What was there before the service began is sent within its first days.
    let backlog = (length - MILLIS_PER_DAY / 2).clamp(0, 5 * MILLIS_PER_DAY);
    let mut floor = window.from + fraction(backlog, chance);
    let mut last = i64::MIN;
    for version in &mut *versions {
        if version.at < floor {
            floor += 1 + fraction(20 * MILLIS_PER_MINUTE, chance);
            version.at = floor;
        }
        if version.at <= last {
            version.at = last + 1 + fraction(MILLIS_PER_MINUTE, chance);
        }
        last = version.at;
    }
    if last <= window.to {
        return;
    }
    let mut ceiling = window.to - fraction(60 * MILLIS_PER_MINUTE, chance);
    for version in versions.iter_mut().rev() {
        if version.at <= ceiling {
            break;
        }
        version.at = ceiling;
        ceiling -= 1 + fraction(MILLIS_PER_MINUTE, chance);
    }
}

/// Some part of a stretch of milliseconds.
fn fraction(stretch: i64, chance: &mut Chance) -> i64 {
    i64::from(chance.below(u32::try_from(stretch).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitted_versions_grow_strictly_within_the_window() {
        let mut chance = Chance::of(5, "fit");
        for round in 0..2000 {
            let length = MILLIS_PER_DAY * i64::from(chance.between(1, 40)) - MILLIS_PER_DAY / 24;
            let window = Window {
                from: 1_000_000_000_000,
                to: 1_000_000_000_000 + length,
            };
            let mut versions: Vec<Version<usize>> = (0..10)
                .map(|state| Version {
                    at: window.from + i64::from(chance.between(-60, 60)) * MILLIS_PER_DAY,
                    state,
                })
                .collect();
            versions.sort_by_key(|version| version.at);
            let order: Vec<usize> = versions.iter().map(|version| version.state).collect();
            fit(&mut versions, window, &mut chance);
            assert!(
                versions.windows(2).all(|pair| pair[0].at < pair[1].at),
                "{round}"
            );
            assert!(
                versions
                    .iter()
                    .all(|version| version.at >= window.from && version.at <= window.to),
                "{round}"
            );
            assert!(
                order
                    .iter()
                    .eq(versions.iter().map(|version| &version.state)),
                "{round}"
            );
        }
    }

    #[test]
    fn times_that_fit_stay_as_they_are() {
        let mut chance = Chance::of(5, "fit");
        let window = Window {
            from: 0,
            to: 400 * MILLIS_PER_DAY,
        };
        let mut versions: Vec<Version<u8>> = (1..5)
            .map(|state| Version {
                at: i64::from(state) * 40 * MILLIS_PER_DAY,
                state,
            })
            .collect();
        let before = versions.clone();
        fit(&mut versions, window, &mut chance);
        assert_eq!(versions, before);
    }
}
