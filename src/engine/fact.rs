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

impl Fact {
    /// What the fact adds to a measure.
    #[must_use]
    pub fn measure(&self, measure: Measure) -> i64 {
        match measure {
            Measure::SlotsOffered
            | Measure::SlotsBooked
            | Measure::SlotsAttended
            | Measure::SlotsDna
            | Measure::SlotsUnused => i64::from(self.uses(measure)),
            Measure::MinutesOffered
            | Measure::MinutesBooked
            | Measure::MinutesAttended
            | Measure::MinutesDna
            | Measure::MinutesUnused => match &self.capacity {
                Some(capacity) if self.uses(measure) => i64::from(capacity.planned_minutes),
                _ => 0,
            },
            Measure::Contradictions => i64::from(self.contradictions),
            Measure::UnbookedConsultations => i64::from(self.unbooked_consultations),
            Measure::Appointments
            | Measure::Minutes
            | Measure::TwoWeekNumerator
            | Measure::TwoWeekDenominator
            | Measure::Unmapped
            | Measure::Inconsistent
            | Measure::UnknownCategoryText
            | Measure::UnknownStatus
            | Measure::UnknownMode
            | Measure::UnknownHcp
            | Measure::UnknownWait
            | Measure::BookedAfterAppointment
            | Measure::TimesReversed => self
                .publication
                .as_ref()
                .map_or(0, |publication| publication.measure(measure)),
        }
    }

    fn uses(&self, measure: Measure) -> bool {
        let Some(capacity) = &self.capacity else {
            return false;
        };
        match measure {
            Measure::SlotsOffered | Measure::MinutesOffered => true,
            Measure::SlotsBooked | Measure::MinutesBooked => capacity.slot_use != SlotUse::Unused,
            Measure::SlotsAttended | Measure::MinutesAttended => {
                capacity.slot_use == SlotUse::Attended
            }
            Measure::SlotsDna | Measure::MinutesDna => capacity.slot_use == SlotUse::Dna,
            Measure::SlotsUnused | Measure::MinutesUnused => capacity.slot_use == SlotUse::Unused,
            _ => false,
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

    fn measure(&self, measure: Measure) -> i64 {
        let holds = match measure {
            Measure::Appointments => true,
            Measure::Minutes => {
                let published = self.duration_band() != DurationBand::Unknown;
                return self
                    .actual_minutes
                    .filter(|_| published)
                    .map_or(0, i64::from);
            }
            Measure::TwoWeekDenominator => self.counts_for_two_weeks(),
            Measure::TwoWeekNumerator => {
                self.counts_for_two_weeks() && self.wait.within_two_weeks()
            }
            Measure::Unmapped => self.category.national == NationalCategory::Unmapped,
            Measure::Inconsistent => {
                self.category.national == NationalCategory::InconsistentMapping
            }
            Measure::UnknownCategoryText => self.category.is_unknown_text,
            Measure::UnknownStatus => self.status == PublishedStatus::Unknown,
            Measure::UnknownMode => self.mode == Mode::Unknown,
            Measure::UnknownHcp => self.role.hcp_type() == HcpType::Unknown,
            Measure::UnknownWait => self.wait == WaitingBand::Unknown,
            Measure::BookedAfterAppointment => self.is_booked_after,
            Measure::TimesReversed => self.times_reversed,
            _ => false,
        };
        i64::from(holds)
    }
}
