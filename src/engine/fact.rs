//! What one slot or consultation adds to the aggregates.

use crate::domain::aggregate::{Event, Measure};
use crate::domain::category::Category;
use crate::domain::reference::PlaceIndex;
use crate::domain::time::Day;
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{Mode, PublishedStatus, SdsRoleGroup, WaitingBand};

/// A published appointment: past, booked, not cancelled, not withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    pub status: PublishedStatus,
    pub role: SdsRoleGroup,
    pub mode: Mode,
    pub wait: WaitingBand,
    /// Days from booking to appointment.
    pub wait_days: Option<i16>,
    pub category: Category,
    /// Whole minutes, any.
    pub actual_minutes: Option<u16>,
    pub is_booked_after: bool,
    pub times_reversed: bool,
}

/// What an offered slot was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotUse {
    Unused,
    /// Booked, arrived or in progress.
    Booked,
    Attended,
    Dna,
}

/// An offered slot (feeds.md, rule 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    pub planned_minutes: u16,
    pub slot_use: SlotUse,
}

/// A minute of event time, counted from 1970 in UTC.
pub type Minute = i32;

/// What has happened to a slot's bookings, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// By [`Event`]; `None`: it has not.
    pub at: [Option<Minute>; Event::ALL.len()],
    /// EMIS: bookings that another or none has taken the place of; made and cancelled at `replaced_at`.
    pub replaced: u16,
    pub replaced_at: Minute,
    /// The booking, as it would be published.
    pub described: Publication,
}

impl Events {
    /// Whether an event is counted by a measure.
    pub(super) fn counts_as(&self, event: Event, measure: Measure) -> bool {
        match event {
            Event::Booked if measure == Measure::BookingsSameDay => {
                self.described.wait == WaitingBand::SameDay
            }
            Event::Booked => measure == Measure::Bookings,
            Event::Cancelled => measure == Measure::Cancellations,
            Event::Arrived => measure == Measure::Arrivals,
            Event::Attended => measure == Measure::Attended,
            Event::Dna => measure == Measure::Dna,
        }
    }
}

/// All that one slot or consultation adds; a function of the newest versions, the reference data and
/// whether its start is past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    pub place: PlaceIndex,
    pub day: Day,
    pub supplier: Supplier,
    pub publication: Option<Publication>,
    pub capacity: Option<Capacity>,
    pub contradictions: u16,
    pub unbooked_consultations: u16,
    pub events: Option<Events>,
}

/// Parts of a fact: those that it has, those in which two differ, or those that somebody reads.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent parts of a fact, not states of a machine"
)]
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    pub publication: bool,
    pub capacity: bool,
    pub consultations: bool,
    pub events: bool,
}

impl Parts {
    const ALL: Self = Self {
        publication: true,
        capacity: true,
        consultations: true,
        events: true,
    };

    /// Those that a fact has.
    #[must_use]
    pub const fn of(fact: &Fact) -> Self {
        Self {
            publication: fact.publication.is_some(),
            capacity: fact.capacity.is_some(),
            consultations: fact.contradictions > 0 || fact.unbooked_consultations > 0,
            events: fact.events.is_some(),
        }
    }

    /// In which two facts differ: in all where the place, the day or the supplier does, or one fact is missing.
    #[must_use]
    pub fn that_differ(one: Option<&Fact>, other: Option<&Fact>) -> Self {
        let pair = one.zip(other).filter(|(one, other)| {
            one.place == other.place && one.day == other.day && one.supplier == other.supplier
        });
        let Some((one, other)) = pair else {
            return Self::ALL;
        };
        Self {
            publication: one.publication != other.publication,
            capacity: one.capacity != other.capacity,
            consultations: one.contradictions != other.contradictions
                || one.unbooked_consultations != other.unbooked_consultations,
            events: one.events != other.events,
        }
    }

    /// Whether any is among the others.
    #[inline]
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.publication && other.publication
            || self.capacity && other.capacity
            || self.consultations && other.consultations
            || self.events && other.events
    }
}
