//! When things happened to a slot's booking, beside the slot: kept where an aggregate follows event time.

use rustc_hash::FxHashMap;

use crate::domain::draft::AppointmentDraft;
use crate::domain::time::{Day, Local};
use crate::domain::topic::Supplier;

use super::block::Fields;
use super::chunks::Chunks;

const MINUTE: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;
/// Nothing, as it is written.
const NONE: i16 = i16::MIN;

/// Minutes of one version, 8 bytes.
//
//   bits    0…24   EMIS: the fingerprint of a booking that some version has named, 0 for none. Others: the minute of the
//                  cancellation from 1970 on, local, without what is known of it from the start: 32 years around it
//          25…35   minute of the day of the booking
//          36…49   minutes from the start to the arrival: 5.6 days at most, and what is further away is taken for missing
//          50…63   the same, to the leaving
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments(u64);

const _: () = assert!(
    size_of::<Moments>() == 8,
    "every byte counts a hundred million times"
);

const OTHER: u32 = (1 << 25) - 1;
const BOOKED: u32 = 25;
const BOOKED_MASK: u64 = (1 << 11) - 1;
/// Which no day has.
const NOT_TOLD: u64 = BOOKED_MASK - 1;
/// Of no version at all.
const NO_VERSION: u64 = BOOKED_MASK;
const ARRIVED: u32 = 36;
const LEFT: u32 = 50;
const FROM_START: u64 = (1 << 14) - 1;
/// The least that 14 bits hold.
const MISSING: u64 = 1 << 13;
const FURTHEST: i64 = (1 << 13) - 1;

const EMPTY: Moments = Moments::of(0, NO_VERSION, MISSING, MISSING);

fn minute(time: Local) -> i64 {
    time.0.div_euclid(MINUTE)
}

const fn local(minute: i64) -> Local {
    Local(minute * MINUTE)
}

/// What is kept of a fingerprint or a minute that is there.
const fn kept(other: u32) -> u32 {
    match other & OTHER {
        0 => 1,
        other => other,
    }
}

/// Minutes from the start in 14 bits.
fn from_start(minutes: Option<i64>) -> u64 {
    minutes
        .filter(|minutes| minutes.abs() <= FURTHEST)
        .map_or(MISSING, |minutes| minutes as u64 & FROM_START)
}

impl Moments {
    const fn of(other: u32, booked: u64, arrived: u64, left: u64) -> Self {
        Self(other as u64 | booked << BOOKED | arrived << ARRIVED | left << LEFT)
    }

    #[must_use]
    pub fn new(draft: &AppointmentDraft<'_>) -> Self {
        let start = minute(draft.start);
        let away = |time: Option<Local>| from_start(time.map(|time| minute(time) - start));
        let other = if draft.supplier == Supplier::Emis {
            draft.booking.map_or(0, |booking| kept(booking.0 as u32))
        } else {
            draft.cancelled_at.map_or(0, |at| kept(minute(at) as u32))
        };
        let booked = draft
            .booked_at
            .map(|time| minute(time).rem_euclid(DAY_MINUTES) as u64);
        let booked = booked.unwrap_or(NOT_TOLD);
        Self::of(other, booked, away(draft.arrived_at), away(draft.left_at))
    }

    const fn booked_bits(self) -> u64 {
        self.0 >> BOOKED & BOOKED_MASK
    }

    const fn is_held(self) -> bool {
        self.booked_bits() != NO_VERSION
    }

    const fn other(self) -> u32 {
        self.0 as u32 & OTHER
    }

    const fn with_other(self, other: u32) -> Self {
        Self(self.0 & !(OTHER as u64) | other as u64)
    }

    /// The booking was made on that day.
    #[must_use]
    pub fn booked(self, on: Day) -> Option<Local> {
        let of_day = self.booked_bits() as i64;
        (of_day < DAY_MINUTES).then(|| local(i64::from(on.0) * DAY_MINUTES + of_day))
    }

    /// Minutes from the start, by where they stand.
    const fn away(self, at: u32) -> Option<i64> {
        let bits = self.0 >> at & FROM_START;
        if bits == MISSING {
            return None;
        }
        // The highest of the 14 bits is the sign.
        Some(((bits << LEFT) as i64) >> LEFT)
    }

    #[must_use]
    pub fn arrived(self, start: Local) -> Option<Local> {
        let away = self.away(ARRIVED);
        away.map(|away| local(minute(start) + away))
    }

    #[must_use]
    pub fn left(self, start: Local) -> Option<Local> {
        let away = self.away(LEFT);
        away.map(|away| local(minute(start) + away))
    }

    /// Of a slot that is not EMIS's.
    #[must_use]
    pub fn cancelled(self, start: Local) -> Option<Local> {
        let (start, all) = (minute(start), i64::from(OTHER) + 1);
        // The one next to the start that ends in these bits.
        let behind = (i64::from(self.other()) - start).rem_euclid(all);
        let away = if behind > all / 2 {
            behind - all
        } else {
            behind
        };
        (self.other() != 0).then(|| local(start + away))
    }

    /// EMIS: which booking the version names, 0 for none.
    #[must_use]
    pub const fn booking(self) -> u32 {
        self.other()
    }
}

/// The moments of all slots, by their numbers, and EMIS's bookings.
#[derive(Debug, Default)]
pub struct AllMoments {
    by_slot: Chunks<Moments>,
    /// Of slots that were booked more than once: every booking that some version has named, in order.
    bookings: FxHashMap<u32, Vec<u32>>,
}

impl AllMoments {
    #[must_use]
    pub fn get(&self, slot: u32) -> Option<Moments> {
        let is_there = (slot as usize) < self.by_slot.len();
        let moments = is_there.then(|| *self.by_slot.get(slot));
        moments.filter(|moments| moments.is_held())
    }

    /// Brings near what is kept of a slot; the answer means nothing.
    #[inline]
    #[must_use]
    pub fn approach(&self, slot: u32) -> u64 {
        self.get(slot).map_or(0, |moments| moments.0)
    }

    /// The newest version's; the booking that was known first stays.
    pub fn hold(&mut self, slot: u32, moments: Moments, is_emis: bool) {
        let known = self.get(slot).map_or(0, Moments::other);
        let other = if is_emis && known != 0 {
            known
        } else {
            moments.other()
        };
        self.by_slot.set(slot, moments.with_other(other), || EMPTY);
    }

    /// Whether a version of an EMIS slot names a booking that none has named before.
    #[must_use]
    pub fn is_new(&self, slot: u32, booking: u32) -> bool {
        booking != 0
            && match (self.bookings.get(&slot), self.get(slot)) {
                (Some(known), _) => !known.contains(&booking),
                (None, Some(known)) => known.other() != booking,
                (None, None) => true,
            }
    }

    /// Notes a booking of an EMIS slot, whose version may be an old one.
    pub fn note(&mut self, slot: u32, booking: u32) {
        if !self.is_new(slot, booking) {
            return;
        }
        let known = self.get(slot);
        let known = known.unwrap_or(Moments::of(0, NOT_TOLD, MISSING, MISSING));
        if known.other() == 0 {
            let known = known.with_other(booking);
            self.by_slot.set(slot, known, || EMPTY);
            return;
        }
        let all = self
            .bookings
            .entry(slot)
            .or_insert_with(|| vec![known.other()]);
        let at = all.partition_point(|other| *other < booking);
        all.insert(at, booking);
    }

    /// How many bookings of an EMIS slot some version has named.
    #[must_use]
    pub fn bookings(&self, slot: u32) -> usize {
        match (self.bookings.get(&slot), self.get(slot)) {
            (Some(all), _) => all.len(),
            (None, Some(known)) if known.other() != 0 => 1,
            _ => 0,
        }
    }

    pub fn vacate(&mut self, slot: u32) {
        if (slot as usize) < self.by_slot.len() {
            *self.by_slot.get_mut(slot) = EMPTY;
        }
        self.bookings.remove(&slot);
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let several = self.bookings.capacity() * (4 + size_of::<Vec<u32>>() + 8);
        self.by_slot.bytes() + several
    }

    pub(super) fn write(&self, slot: u32, into: &mut Vec<u8>) {
        let Some(moments) = self.get(slot) else {
            return;
        };
        into.extend_from_slice(&moments.other().to_le_bytes());
        let booked = Some(moments.booked_bits() as i64).filter(|booked| *booked < DAY_MINUTES);
        for minutes in [booked, moments.away(ARRIVED), moments.away(LEFT)] {
            let minutes = minutes.map_or(NONE, |minutes| minutes as i16);
            into.extend_from_slice(&minutes.to_le_bytes());
        }
        for booking in self.bookings.get(&slot).into_iter().flatten() {
            into.extend_from_slice(&booking.to_le_bytes());
        }
    }

    /// What was written of a slot behind the slot itself; `None` if it makes no sense.
    pub(super) fn read(&mut self, slot: u32, bytes: &[u8]) -> Option<()> {
        self.vacate(slot);
        if bytes.is_empty() {
            return Some(());
        }
        let mut fields = Fields(bytes);
        // Whatever wrote it may have kept more bits.
        let narrow = |other| if other == 0 { 0 } else { kept(other) };
        let other = narrow(fields.u32()?);
        let booked = match fields.i16()? {
            NONE => NOT_TOLD,
            minutes => u64::try_from(minutes)
                .ok()
                .filter(|minutes| *minutes < DAY_MINUTES as u64)?,
        };
        let mut away = || {
            let minutes = fields.i16()?;
            Some(from_start((minutes != NONE).then_some(i64::from(minutes))))
        };
        let (arrived, left) = (away()?, away()?);
        let moments = Moments::of(other, booked, arrived, left);
        self.by_slot.set(slot, moments, || EMPTY);
        let mut bookings = Vec::new();
        while fields.end().is_none() {
            bookings.push(narrow(fields.u32()?));
        }
        if !bookings.is_empty() {
            self.bookings.insert(slot, bookings);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Local = Local(1_646_300_040_000);

    #[test]
    fn moments_come_back_to_the_minute_and_what_is_too_far_away_is_missing() {
        let begin = minute(START);
        for away in [0, 1, -1, 600, FURTHEST, -FURTHEST] {
            let other = from_start(Some(-away));
            let moments = Moments::of(0, 1_439, from_start(Some(away)), other);
            assert_eq!(moments.arrived(START), Some(local(begin + away)), "{away}");
            assert_eq!(moments.left(START), Some(local(begin - away)), "{away}");
            assert_eq!(
                moments.booked(Day(19_000)),
                Some(local(19_001 * DAY_MINUTES - 1))
            );
            assert!(moments.is_held() && moments.cancelled(START).is_none());
        }
        for away in [FURTHEST + 1, -FURTHEST - 1, i64::from(i16::MAX), 1 << 40] {
            let moments = Moments::of(0, NOT_TOLD, from_start(Some(away)), from_start(None));
            assert_eq!((moments.arrived(START), moments.left(START)), (None, None));
            assert_eq!(moments.booked(Day(19_000)), None);
        }
        assert!(!EMPTY.is_held() && EMPTY.booked(Day(0)).is_none());
    }

    #[test]
    fn a_cancellation_is_the_one_next_to_its_start() {
        let years = |years: i64| years * 365 * DAY_MINUTES;
        // Whatever the bits begin with where the time is.
        for start in [0, minute(START), years(63), years(64), years(130)] {
            for away in [0, 1, -1, -DAY_MINUTES * 91, years(31), -years(31)] {
                let (at, start) = (start + away, local(start));
                let moments = EMPTY.with_other(kept(at as u32));
                let found = moments.cancelled(start).map(minute);
                // No minute is kept as none.
                let expected = if at as u32 & OTHER == 0 { at + 1 } else { at };
                assert_eq!(found, Some(expected), "{at}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_older_states_with_more_bits_too() {
        let mut all = AllMoments::default();
        all.hold(
            1,
            Moments::of(kept(77), 5, from_start(Some(-9)), MISSING),
            true,
        );
        all.note(1, kept(88));
        all.hold(
            2,
            Moments::of(0, NOT_TOLD, MISSING, from_start(Some(12))),
            false,
        );
        let mut again = AllMoments::default();
        for slot in 0..3 {
            let mut bytes = Vec::new();
            all.write(slot, &mut bytes);
            assert_eq!(again.read(slot, &bytes), Some(()));
            assert_eq!(
                (again.get(slot), again.bookings(slot)),
                (all.get(slot), all.bookings(slot))
            );
        }
        assert_eq!(all.bookings(1), 2);
        // 32 bits, and 22 days.
        let mut older = 0xfe00_0007_u32.to_le_bytes().to_vec();
        older.extend(
            [NONE, 30_000, -30_000]
                .into_iter()
                .flat_map(i16::to_le_bytes),
        );
        assert_eq!(again.read(3, &older), Some(()));
        assert_eq!(
            again.get(3),
            Some(Moments::of(7, NOT_TOLD, MISSING, MISSING))
        );
        assert!(!again.is_new(3, kept(0xfe00_0007)));
        for wrong in [1_440, -1, i16::MAX] {
            older[4..6].copy_from_slice(&wrong.to_le_bytes());
            assert_eq!(again.read(3, &older), None, "{wrong}");
        }
    }
}
