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

/// Minutes of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// EMIS: the fingerprint of a booking that some version has named, 0 for none. Others: the minute of the
    /// cancellation from 1970 on, local, without what is known of it from the start: 32 years around it. 25 bits.
    other: u32,
    /// Minute of the day of the booking.
    booked: u64,
    /// Minutes from the start: 22 days at most, and what is further away is taken for missing.
    arrived: i16,
    left: i16,
}

/// The same as they are held, 8 bytes.
//
//   bits    0…24 other   25…35 booked   36…49 arrived   50…63 left: of both what is within 5.6 days of the start
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed(u64);

const _: () = assert!(
    size_of::<Packed>() == 8,
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
/// The next: of both, minutes that are further away and lie elsewhere.
const FAR: u64 = MISSING + 1;
const FURTHEST: i16 = (1 << 13) - 2;

const EMPTY: Packed = Packed::of(0, NO_VERSION, MISSING, MISSING);

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
const fn pack(minutes: i16) -> u64 {
    match minutes {
        NONE => MISSING,
        near if near.unsigned_abs() <= FURTHEST.unsigned_abs() => near as u64 & FROM_START,
        _ => FAR,
    }
}

/// Of 14 bits that are not [`FAR`].
const fn unpack(bits: u64) -> i16 {
    if bits == MISSING {
        return NONE;
    }
    // The highest of them is the sign.
    (((bits << LEFT) as i64) >> LEFT) as i16
}

impl Packed {
    const fn of(other: u32, booked: u64, arrived: u64, left: u64) -> Self {
        Self(other as u64 | booked << BOOKED | arrived << ARRIVED | left << LEFT)
    }

    const fn field(self, at: u32) -> u64 {
        self.0 >> at & FROM_START
    }

    const fn booked(self) -> u64 {
        self.0 >> BOOKED & BOOKED_MASK
    }

    /// Arrival or leaving lie elsewhere.
    const fn is_far(self) -> bool {
        self.field(ARRIVED) == FAR || self.field(LEFT) == FAR
    }
}

impl Moments {
    #[must_use]
    pub fn new(draft: &AppointmentDraft<'_>) -> Self {
        let start = minute(draft.start);
        let from_start = |time: Option<Local>| {
            let minutes = time.map(|time| minute(time) - start);
            let minutes = minutes.and_then(|minutes| i16::try_from(minutes).ok());
            minutes.unwrap_or(NONE)
        };
        let other = if draft.supplier == Supplier::Emis {
            draft.booking.map_or(0, |booking| kept(booking.0 as u32))
        } else {
            draft.cancelled_at.map_or(0, |at| kept(minute(at) as u32))
        };
        let booked = draft
            .booked_at
            .map(|time| minute(time).rem_euclid(DAY_MINUTES) as u64);
        Self {
            other,
            booked: booked.unwrap_or(NOT_TOLD),
            arrived: from_start(draft.arrived_at),
            left: from_start(draft.left_at),
        }
    }

    /// The booking was made on that day.
    #[must_use]
    pub fn booked(self, on: Day) -> Option<Local> {
        let of_day = self.booked as i64;
        (of_day < DAY_MINUTES).then(|| local(i64::from(on.0) * DAY_MINUTES + of_day))
    }

    #[must_use]
    pub fn arrived(self, start: Local) -> Option<Local> {
        (self.arrived != NONE).then(|| local(minute(start) + i64::from(self.arrived)))
    }

    #[must_use]
    pub fn left(self, start: Local) -> Option<Local> {
        (self.left != NONE).then(|| local(minute(start) + i64::from(self.left)))
    }

    /// Of a slot that is not EMIS's.
    #[must_use]
    pub fn cancelled(self, start: Local) -> Option<Local> {
        let (start, all) = (minute(start), i64::from(OTHER) + 1);
        // The one next to the start that ends in these bits.
        let behind = (i64::from(self.other) - start).rem_euclid(all);
        let away = if behind > all / 2 {
            behind - all
        } else {
            behind
        };
        (self.other != 0).then(|| local(start + away))
    }

    /// EMIS: which booking the version names, 0 for none.
    #[must_use]
    pub const fn booking(self) -> u32 {
        self.other
    }
}

/// The moments of all slots, by their numbers, and EMIS's bookings.
#[derive(Debug, Default)]
pub struct AllMoments {
    by_slot: Chunks<Packed>,
    /// Of slots whose arrival or leaving is far from the start: both.
    far: FxHashMap<u32, [i16; 2]>,
    /// Of slots that were booked more than once: every booking that some version has named, in order.
    bookings: FxHashMap<u32, Vec<u32>>,
}

impl AllMoments {
    #[must_use]
    pub fn get(&self, slot: u32) -> Option<Moments> {
        let is_there = (slot as usize) < self.by_slot.len();
        let packed = is_there.then(|| *self.by_slot.get(slot));
        let packed = packed.filter(|packed| packed.booked() != NO_VERSION)?;
        let far = packed.is_far().then(|| self.far.get(&slot)).flatten();
        let [arrived, left] = far
            .copied()
            .unwrap_or_else(|| [unpack(packed.field(ARRIVED)), unpack(packed.field(LEFT))]);
        Some(Moments {
            other: packed.0 as u32 & OTHER,
            booked: packed.booked(),
            arrived,
            left,
        })
    }

    fn set(&mut self, slot: u32, moments: Moments) {
        let (arrived, left) = (pack(moments.arrived), pack(moments.left));
        let packed = Packed::of(moments.other, moments.booked, arrived, left);
        if packed.is_far() {
            self.far.insert(slot, [moments.arrived, moments.left]);
        } else if !self.far.is_empty() {
            self.far.remove(&slot);
        }
        self.by_slot.set(slot, packed, || EMPTY);
    }

    /// Brings near what is kept of a slot; the answer means nothing.
    #[inline]
    #[must_use]
    pub fn approach(&self, slot: u32) -> u64 {
        let is_there = (slot as usize) < self.by_slot.len();
        if is_there {
            self.by_slot.get(slot).0
        } else {
            0
        }
    }

    /// The newest version's; the booking that was known first stays.
    pub fn hold(&mut self, slot: u32, moments: Moments, is_emis: bool) {
        let known = self.get(slot).map_or(0, |known| known.other);
        let other = if is_emis && known != 0 {
            known
        } else {
            moments.other
        };
        self.set(slot, Moments { other, ..moments });
    }

    /// Whether a version of an EMIS slot names a booking that none has named before.
    #[must_use]
    pub fn is_new(&self, slot: u32, booking: u32) -> bool {
        booking != 0
            && match (self.bookings.get(&slot), self.get(slot)) {
                (Some(known), _) => !known.contains(&booking),
                (None, Some(known)) => known.other != booking,
                (None, None) => true,
            }
    }

    /// Notes a booking of an EMIS slot, whose version may be an old one.
    pub fn note(&mut self, slot: u32, booking: u32) {
        if !self.is_new(slot, booking) {
            return;
        }
        let known = self.get(slot);
        let known = known.unwrap_or(Moments {
            other: 0,
            booked: NOT_TOLD,
            arrived: NONE,
            left: NONE,
        });
        if known.other == 0 {
            let other = booking;
            self.set(slot, Moments { other, ..known });
            return;
        }
        let all = self
            .bookings
            .entry(slot)
            .or_insert_with(|| vec![known.other]);
        let at = all.partition_point(|other| *other < booking);
        all.insert(at, booking);
    }

    /// How many bookings of an EMIS slot some version has named.
    #[must_use]
    pub fn bookings(&self, slot: u32) -> usize {
        match (self.bookings.get(&slot), self.get(slot)) {
            (Some(all), _) => all.len(),
            (None, Some(known)) if known.other != 0 => 1,
            _ => 0,
        }
    }

    pub fn vacate(&mut self, slot: u32) {
        if (slot as usize) < self.by_slot.len() {
            *self.by_slot.get_mut(slot) = EMPTY;
        }
        self.bookings.remove(&slot);
        self.far.remove(&slot);
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let several = self.bookings.capacity() * (4 + size_of::<Vec<u32>>() + 8);
        let far = self.far.capacity() * (size_of::<(u32, [i16; 2])>() + 1);
        self.by_slot.bytes() + several + far
    }

    pub(super) fn write(&self, slot: u32, into: &mut Vec<u8>) {
        let Some(moments) = self.get(slot) else {
            return;
        };
        into.extend_from_slice(&moments.other.to_le_bytes());
        let booked = if moments.booked == NOT_TOLD {
            NONE
        } else {
            moments.booked as i16
        };
        for minutes in [booked, moments.arrived, moments.left] {
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
        let moments = Moments {
            other,
            booked,
            arrived: fields.i16()?,
            left: fields.i16()?,
        };
        self.set(slot, moments);
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

    fn moments(other: u32, booked: u64, arrived: i16, left: i16) -> Moments {
        Moments {
            other,
            booked,
            arrived,
            left,
        }
    }

    /// Held and read back, and in what room.
    fn held(moments: Moments) -> (Option<Moments>, usize) {
        let mut all = AllMoments::default();
        all.hold(3, moments, false);
        let found = all.get(3);
        // Not far any more.
        let far = all.far.len();
        all.hold(
            3,
            Moments {
                arrived: 0,
                left: 0,
                ..moments
            },
            false,
        );
        assert!(all.far.is_empty());
        (found, far)
    }

    #[test]
    fn moments_come_back_to_the_minute_however_far_from_the_start() {
        let begin = minute(START);
        let near = [0, 1, -1, 600, FURTHEST, -FURTHEST, NONE];
        let far = [
            FURTHEST + 1,
            -FURTHEST - 1,
            -FURTHEST - 2,
            i16::MAX,
            -i16::MAX,
        ];
        for (minutes, is_far) in near
            .map(|it| (it, 0))
            .into_iter()
            .chain(far.map(|it| (it, 1)))
        {
            for moments in [
                moments(0, 1_439, minutes, NONE),
                moments(OTHER, NOT_TOLD, NONE, minutes),
                moments(7, 0, minutes, -5),
            ] {
                assert_eq!(held(moments), (Some(moments), is_far), "{minutes}");
            }
        }
        let told = moments(0, 1_439, -9, 13_145);
        assert_eq!(told.arrived(START), Some(local(begin - 9)));
        assert_eq!(told.left(START), Some(local(begin + 13_145)));
        assert_eq!(
            told.booked(Day(19_000)),
            Some(local(19_001 * DAY_MINUTES - 1))
        );
        let untold = moments(0, NOT_TOLD, NONE, NONE);
        assert_eq!((untold.arrived(START), untold.left(START)), (None, None));
        assert_eq!(
            (untold.booked(Day(19_000)), untold.cancelled(START)),
            (None, None)
        );
    }

    #[test]
    fn a_cancellation_is_the_one_next_to_its_start() {
        let years = |years: i64| years * 365 * DAY_MINUTES;
        // Whatever the bits begin with where the time is.
        for start in [0, minute(START), years(63), years(64), years(130)] {
            for away in [0, 1, -1, -DAY_MINUTES * 91, years(31), -years(31)] {
                let (at, start) = (start + away, local(start));
                let found = moments(kept(at as u32), NOT_TOLD, NONE, NONE).cancelled(start);
                // No minute is kept as none.
                let expected = if at as u32 & OTHER == 0 { at + 1 } else { at };
                assert_eq!(found.map(minute), Some(expected), "{at}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_older_states_with_more_bits_too() {
        let mut all = AllMoments::default();
        all.hold(1, moments(kept(77), 5, -9, NONE), true);
        all.note(1, kept(88));
        all.hold(2, moments(0, NOT_TOLD, NONE, 30_000), false);
        let mut again = AllMoments::default();
        for slot in 0..3 {
            let mut bytes = Vec::new();
            all.write(slot, &mut bytes);
            assert_eq!(again.read(slot, &bytes), Some(()));
            let told = |all: &AllMoments| (all.get(slot), all.bookings(slot));
            assert_eq!(told(&again), told(&all));
        }
        assert_eq!(all.bookings(1), 2);
        all.vacate(2);
        assert!(all.far.is_empty() && all.get(2).is_none());
        // A fingerprint of 32 bits.
        let mut older = 0xfe00_0007_u32.to_le_bytes().to_vec();
        older.extend(
            [NONE, 30_000, -30_000]
                .into_iter()
                .flat_map(i16::to_le_bytes),
        );
        assert_eq!(again.read(3, &older), Some(()));
        assert_eq!(again.get(3), Some(moments(7, NOT_TOLD, 30_000, -30_000)));
        assert!(!again.is_new(3, kept(0xfe00_0007)));
        for wrong in [1_440, -1, i16::MAX] {
            older[4..6].copy_from_slice(&wrong.to_le_bytes());
            assert_eq!(again.read(3, &older), None, "{wrong}");
        }
    }
}
