//! What one slot or consultation adds to the aggregates.

use crate::domain::aggregate::{Dimension, Measure};
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
}

/// In which parts two facts differ.
#[derive(Debug, Clone, Copy)]
pub struct Differs {
    pub publication: bool,
    pub capacity: bool,
    pub consultations: bool,
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
            };
        };
        Self {
            publication: one.publication != other.publication,
            capacity: one.capacity != other.capacity,
            consultations: one.contradictions != other.contradictions
                || one.unbooked_consultations != other.unbooked_consultations,
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
        }
    }

    /// The packed value of a dimension; 0 where the fact has no publication to take it from.
    #[must_use]
    pub fn dimension(&self, dimension: Dimension) -> u64 {
        let value = match (dimension, &self.publication) {
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
