//! When appointments start, and when they were booked.

use crate::domain::time::Day;
use crate::domain::vocabulary::{Mode, WaitingBand};

use super::chance::Chance;

/// When an appointment starts, in five-minute steps: mornings before afternoons, some early visits, evenings, Saturdays.
pub fn start_minute(chance: &mut Chance, mode: Mode, day: Day) -> i32 {
    let drawn = chance.below(1000);
    // 1970-01-01 was a Thursday.
    let weekend = matches!((day.0 + 3).rem_euclid(7), 5 | 6);
    let (from, to) = match (drawn, mode) {
        (0, _) => (0, 6 * 60),
        (1..150, Mode::HomeVisit) => (6 * 60, 6 * 60 + 20),
        _ if weekend => (9 * 60, 17 * 60),
        (1..30, _) => (18 * 60 + 30, 20 * 60),
        (30..600, _) => (8 * 60, 12 * 60 + 30),
        _ => (13 * 60, 18 * 60 + 20),
    };
    chance.between(from / 5, to / 5 - 1) * 5
}

/// When it was booked, in the band: calendar days before, or not known, or entered after the appointment.
pub fn booked(chance: &mut Chance, wait: WaitingBand, day: Day, start: i32) -> Option<(Day, i32)> {
    let (least, most) = match wait {
        WaitingBand::SameDay => {
            let ahead = chance.between(0, 300);
            let minute = if chance.per_mille(60) {
                start + ahead / 20
            } else {
                (start - ahead).max(start.min(480))
            };
            return Some((day, minute));
        }
        WaitingBand::OneDay => (1, 1),
        WaitingBand::TwoToSevenDays => (2, 7),
        WaitingBand::EightToFourteenDays => (8, 14),
        WaitingBand::FifteenToTwentyOneDays => (15, 21),
        WaitingBand::TwentyTwoToTwentyEightDays => (22, 28),
        WaitingBand::MoreThanTwentyEightDays => (29, if chance.per_mille(100) { 120 } else { 56 }),
        WaitingBand::Unknown => {
            if chance.per_mille(500) {
                return None;
            }
            (-9, -1)
        }
    };
    let minute = chance.between(480, 1080);
    let mut booked = Day(day.0 - chance.between(least, most));
    // Bookings are mostly made on weekdays: another draw where the first fell on a weekend.
    if matches!((booked.0 + 3).rem_euclid(7), 5 | 6) && chance.per_mille(850) {
        booked = Day(day.0 - chance.between(least, most));
    }
    Some((booked, minute))
}
