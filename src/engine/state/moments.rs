//! When things happened to a slot's booking, beside the slot: kept where an aggregate follows event time.

use rustc_hash::FxHashMap;

use crate::domain::draft::AppointmentDraft;
use crate::domain::time::{Day, Local};
use crate::domain::topic::Supplier;

use super::block::Fields;
use super::chunks::Chunks;

const MINUTE: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;
/// Nothing, in the fields below.
const NONE: i16 = i16::MIN;

/// Minutes of one version, 10 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// EMIS: the fingerprint of a booking that some version has named, 0 for none. Others: the minute of the
    /// cancellation from 1970 on, local, 0 for none. Low and high half.
    other: [u16; 2],
    /// Minute of the day of the booking.
    booked: i16,
    /// Minutes from the start: 22 days at most, and what is further away is taken for missing.
    arrived: i16,
    left: i16,
}

const _: () = assert!(
    size_of::<Moments>() == 10,
    "every byte counts a hundred million times"
);

const EMPTY: Moments = Moments {
    other: [0; 2],
    // Of no version at all: no day has such a minute.
    booked: i16::MAX,
    arrived: NONE,
    left: NONE,
};

const fn halves(word: u32) -> [u16; 2] {
    [word as u16, (word >> 16) as u16]
}

fn minute(time: Local) -> i64 {
    time.0.div_euclid(MINUTE)
}

const fn local(minute: i64) -> Local {
    Local(minute * MINUTE)
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
            draft.booking.map_or(0, |booking| (booking.0 as u32).max(1))
        } else {
            let minute = draft.cancelled_at.map(minute);
            minute
                .and_then(|minute| u32::try_from(minute).ok())
                .unwrap_or(0)
        };
        let booked = draft
            .booked_at
            .map(|time| minute(time).rem_euclid(DAY_MINUTES) as i16);
        Self {
            other: halves(other),
            booked: booked.unwrap_or(NONE),
            arrived: from_start(draft.arrived_at),
            left: from_start(draft.left_at),
        }
    }

    const fn is_held(self) -> bool {
        self.booked != EMPTY.booked
    }

    const fn other(self) -> u32 {
        self.other[0] as u32 | (self.other[1] as u32) << 16
    }

    /// The booking was made on that day.
    #[must_use]
    pub fn booked(self, on: Day) -> Option<Local> {
        let minutes = i64::from(on.0) * DAY_MINUTES + i64::from(self.booked);
        (self.booked != NONE).then(|| local(minutes))
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
    pub fn cancelled(self) -> Option<Local> {
        let minute = self.other();
        (minute != 0).then(|| local(i64::from(minute)))
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
        self.get(slot).map_or(0, |moments| moments.left as u64)
    }

    /// The newest version's; the booking that was known first stays.
    pub fn hold(&mut self, slot: u32, moments: Moments, is_emis: bool) {
        let known = self.get(slot).map_or(0, Moments::other);
        let other = if is_emis && known != 0 {
            halves(known)
        } else {
            moments.other
        };
        self.by_slot
            .set(slot, Moments { other, ..moments }, || EMPTY);
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
        let known = known.unwrap_or(Moments {
            booked: NONE,
            ..EMPTY
        });
        if known.other() == 0 {
            let known = Moments {
                other: halves(booking),
                ..known
            };
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
        for minutes in [moments.booked, moments.arrived, moments.left] {
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
        let moments = Moments {
            other: halves(fields.u32()?),
            booked: fields.i16()?,
            arrived: fields.i16()?,
            left: fields.i16()?,
        };
        if !moments.is_held() {
            return None;
        }
        self.by_slot.set(slot, moments, || EMPTY);
        let mut bookings = Vec::new();
        while fields.end().is_none() {
            bookings.push(fields.u32()?);
        }
        if !bookings.is_empty() {
            self.bookings.insert(slot, bookings);
        }
        Some(())
    }
}
