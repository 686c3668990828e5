//! What one slot or consultation adds to the aggregates.

use crate::domain::aggregate::Event;
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
    pub happened: Happened,
    /// The booking, as it would be published.
    pub described: Publication,
}

/// What has happened, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happened {
    /// By [`Event`]; `None`: it has not.
    pub at: [Option<Minute>; Event::ALL.len()],
    /// EMIS: bookings that another or none has taken the place of; made and cancelled at `replaced_at`.
    pub replaced: u16,
    pub replaced_at: Minute,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    pub const PUBLICATION: Self = Self(1);
    pub const CAPACITY: Self = Self(1 << 1);
    pub const CONSULTATIONS: Self = Self(1 << 2);
    pub const EVENTS: Self = Self(1 << 3);
    const ALL: Self = Self(0b1111);

    /// Those whose condition holds.
    #[inline]
    #[must_use]
    pub fn of_those(parts: [(Self, bool); 4]) -> Self {
        let bits = parts.map(|(part, holds)| part.0 * u8::from(holds));
        Self(bits.into_iter().fold(0, |all, bit| all | bit))
    }

    /// Those that a fact has.
    #[must_use]
    pub fn of(fact: &Fact) -> Self {
        let has_consultations = fact.contradictions > 0 || fact.unbooked_consultations > 0;
        Self::of_those([
            (Self::PUBLICATION, fact.publication.is_some()),
            (Self::CAPACITY, fact.capacity.is_some()),
            (Self::CONSULTATIONS, has_consultations),
            (Self::EVENTS, fact.events.is_some()),
        ])
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
        let consultations = one.contradictions != other.contradictions
            || one.unbooked_consultations != other.unbooked_consultations;
        Self::of_those([
            (Self::PUBLICATION, one.publication != other.publication),
            (Self::CAPACITY, one.capacity != other.capacity),
            (Self::CONSULTATIONS, consultations),
            (Self::EVENTS, one.events != other.events),
        ])
    }

    /// Whether any is among the others.
    #[inline]
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
