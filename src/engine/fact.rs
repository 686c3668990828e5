//! What one slot or consultation adds to the aggregates.

use crate::domain::aggregate::{Dimension, Event, Follows, Measure};
use crate::domain::category::Category;
use crate::domain::reference::PlaceIndex;
use crate::domain::time::Day;
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{
    DurationBand, HcpType, Mode, NationalCategory, PublishedStatus, SdsRoleGroup, WaitingBand,
};

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

impl Publication {
    fn duration_band(&self) -> DurationBand {
        DurationBand::from_minutes(self.actual_minutes.map(i32::from))
    }

    fn published_minutes(&self) -> Option<u16> {
        let is_published = self.duration_band() != DurationBand::Unknown;
        self.actual_minutes.filter(|_| is_published)
    }

    fn counts_for_two_weeks(&self) -> bool {
        self.category.national.in_two_week_indicator() && self.wait != WaitingBand::Unknown
    }
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

impl SlotUse {
    const fn is_booked(self) -> bool {
        !matches!(self, Self::Unused)
    }
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

/// In which parts two facts differ.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent parts of a fact, not states of a machine"
)]
#[derive(Debug, Clone, Copy)]
pub struct Differs {
    pub publication: bool,
    pub capacity: bool,
    pub consultations: bool,
    pub events: bool,
}

impl Differs {
    /// All parts differ where the place, the day or the supplier does, or one fact is missing.
    #[must_use]
    pub fn between(one: Option<&Fact>, other: Option<&Fact>) -> Self {
        let pair = one.zip(other).filter(|(one, other)| {
            one.place == other.place && one.day == other.day && one.supplier == other.supplier
        });
        let Some((one, other)) = pair else {
            return Self {
                publication: true,
                capacity: true,
                consultations: true,
                events: true,
            };
        };
        Self {
            publication: one.publication != other.publication,
            capacity: one.capacity != other.capacity,
            consultations: one.contradictions != other.contradictions
                || one.unbooked_consultations != other.unbooked_consultations,
            events: one.events != other.events,
        }
    }
}

impl Fact {
    /// What the fact adds to a measure.
    #[must_use]
    pub fn measure(&self, measure: Measure) -> i64 {
        let minutes = |counts: fn(SlotUse) -> bool| {
            let capacity = self.capacity.filter(|capacity| counts(capacity.slot_use));
            capacity.map_or(0, |capacity| i64::from(capacity.planned_minutes))
        };
        let slots = |counts: fn(SlotUse) -> bool| {
            i64::from(
                self.capacity
                    .is_some_and(|capacity| counts(capacity.slot_use)),
            )
        };
        let published = |holds: fn(&Publication) -> bool| {
            i64::from(self.publication.as_ref().is_some_and(holds))
        };
        match measure {
            Measure::Appointments => published(|_| true),
            Measure::Minutes => {
                let publication = self.publication.as_ref();
                i64::from(
                    publication
                        .and_then(Publication::published_minutes)
                        .unwrap_or(0),
                )
            }
            Measure::SlotsOffered => slots(|_| true),
            Measure::SlotsBooked => slots(SlotUse::is_booked),
            Measure::SlotsAttended => slots(|slot_use| slot_use == SlotUse::Attended),
            Measure::SlotsDna => slots(|slot_use| slot_use == SlotUse::Dna),
            Measure::SlotsUnused => slots(|slot_use| slot_use == SlotUse::Unused),
            Measure::MinutesOffered => minutes(|_| true),
            Measure::MinutesBooked => minutes(SlotUse::is_booked),
            Measure::MinutesAttended => minutes(|slot_use| slot_use == SlotUse::Attended),
            Measure::MinutesDna => minutes(|slot_use| slot_use == SlotUse::Dna),
            Measure::MinutesUnused => minutes(|slot_use| slot_use == SlotUse::Unused),
            Measure::TwoWeekNumerator => {
                published(|it| it.counts_for_two_weeks() && it.wait.within_two_weeks())
            }
            Measure::TwoWeekDenominator => published(Publication::counts_for_two_weeks),
            Measure::Unmapped => published(|it| it.category.national == NationalCategory::Unmapped),
            Measure::Inconsistent => {
                published(|it| it.category.national == NationalCategory::InconsistentMapping)
            }
            Measure::UnknownCategoryText => published(|it| it.category.is_unknown_text),
            Measure::UnknownStatus => published(|it| it.status == PublishedStatus::Unknown),
            Measure::UnknownMode => published(|it| it.mode == Mode::Unknown),
            Measure::UnknownHcp => published(|it| it.role.hcp_type() == HcpType::Unknown),
            Measure::UnknownWait => published(|it| it.wait == WaitingBand::Unknown),
            Measure::BookedAfterAppointment => published(|it| it.is_booked_after),
            Measure::TimesReversed => published(|it| it.times_reversed),
            Measure::Contradictions => i64::from(self.contradictions),
            Measure::UnbookedConsultations => i64::from(self.unbooked_consultations),
            // These follow event time: see `Events::counts_as`.
            Measure::Bookings
            | Measure::BookingsSameDay
            | Measure::Cancellations
            | Measure::Arrivals
            | Measure::Attended
            | Measure::Dna => 0,
        }
    }

    /// The packed value of a dimension; 0 where the fact has nothing to take it from.
    #[must_use]
    pub fn dimension(&self, dimension: Dimension, follows: Follows) -> u64 {
        let described = match follows {
            Follows::AppointmentDate => self.publication.as_ref(),
            Follows::EventTime => self.events.as_ref().map(|events| &events.described),
        };
        let value = match (dimension, described) {
            (Dimension::Supplier, _) => self.supplier as usize,
            (_, Some(publication)) => publication.dimension(dimension),
            (_, None) => 0,
        };
        value as u64
    }
}

impl Publication {
    fn dimension(&self, dimension: Dimension) -> usize {
        match dimension {
            Dimension::Status => self.status.index(),
            Dimension::HcpType => self.role.hcp_type().index(),
            Dimension::Mode => self.mode.index(),
            Dimension::WaitingBand => self.wait.index(),
            Dimension::ServiceSetting => self.category.setting.index(),
            Dimension::ContextType => self.category.national.context_type().index(),
            Dimension::NationalCategory => self.category.national.index(),
            Dimension::SdsRoleGroup => self.role.index(),
            Dimension::DurationBand => self.duration_band().index(),
            Dimension::Supplier => 0,
        }
    }
}
