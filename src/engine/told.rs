//! What one fact tells, laid out by measure and by dimension, so that every aggregate picks what it declares.

use crate::domain::aggregate::{Dimension, Follows, Measure, Window};
use crate::domain::time::Day;
use crate::domain::vocabulary::{
    DurationBand, HcpType, Mode, NationalCategory, PublishedStatus, WaitingBand,
};

use super::fact::{Capacity, Fact, Publication, SlotUse};

/// The first days of the windows that a day lies in, by [`Window`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Starts([Day; Window::ALL.len()]);

impl Starts {
    pub fn of(day: Day) -> Self {
        Self(Window::ALL.map(|window| window.start(day)))
    }

    /// Of days, that is the day itself.
    pub const fn are_of(self, day: Day) -> bool {
        self.0[Window::Day as usize].0 == day.0
    }
}

/// Worked out once a fact: a plan asks each measure and dimension of it several times over.
#[derive(Debug, Clone)]
pub(super) struct Told {
    measures: [i32; Measure::ALL.len()],
    /// Packed values; 0 where the fact has nothing to take them from.
    dimensions: [u8; Dimension::ALL.len()],
    /// Days from booking to appointment.
    wait_days: Option<i16>,
    starts: Starts,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            measures: [0; Measure::ALL.len()],
            dimensions: [0; Dimension::ALL.len()],
            wait_days: None,
            starts: Starts::of(Day(0)),
        }
    }
}

impl Told {
    /// What an aggregate over appointment dates, or one over event time, can ask of a fact. The measures of event time
    /// are not among them: they are counted event by event (`Aggregate::columns_of`).
    pub fn of(fact: &Fact, follows: Follows) -> Self {
        let mut told = Self::default();
        told.tell(fact, follows, Starts::of(fact.day));
        told
    }

    /// The same in place: it is too large to be handed about for every fact.
    pub fn tell(&mut self, fact: &Fact, follows: Follows, starts: Starts) {
        *self = Self {
            starts,
            ..Self::default()
        };
        self.describe(Dimension::Supplier, fact.supplier as usize);
        match follows {
            Follows::EventTime => {
                if let Some(events) = &fact.events {
                    self.describe_all(&events.described);
                }
            }
            Follows::AppointmentDate => {
                if let Some(publication) = &fact.publication {
                    self.describe_all(publication);
                    self.count_publication(publication);
                }
                if let Some(capacity) = fact.capacity {
                    self.count_capacity(capacity);
                }
                self.count(Measure::Contradictions, fact.contradictions.into());
                self.count(
                    Measure::UnbookedConsultations,
                    fact.unbooked_consultations.into(),
                );
            }
        }
    }

    #[inline]
    pub fn measure(&self, measure: Measure) -> i64 {
        i64::from(self.measures[measure as usize])
    }

    #[inline]
    pub fn dimension(&self, dimension: Dimension) -> u64 {
        u64::from(self.dimensions[dimension as usize])
    }

    /// The first day of the window that the fact's day lies in.
    #[inline]
    pub const fn window(&self, window: Window) -> Day {
        self.starts.0[window as usize]
    }

    #[inline]
    pub const fn wait_days(&self) -> Option<i16> {
        self.wait_days
    }

    #[inline]
    fn count(&mut self, measure: Measure, count: i32) {
        self.measures[measure as usize] = count;
    }

    #[inline]
    fn describe(&mut self, dimension: Dimension, value: usize) {
        self.dimensions[dimension as usize] = value as u8;
    }

    fn describe_all(&mut self, it: &Publication) {
        let national = it.category.national;
        self.describe(Dimension::Status, it.status.index());
        self.describe(Dimension::HcpType, it.role.hcp_type().index());
        self.describe(Dimension::Mode, it.mode.index());
        self.describe(Dimension::WaitingBand, it.wait.index());
        self.describe(Dimension::ServiceSetting, it.category.setting.index());
        self.describe(Dimension::ContextType, national.context_type().index());
        self.describe(Dimension::NationalCategory, national.index());
        self.describe(Dimension::SdsRoleGroup, it.role.index());
        self.describe(Dimension::DurationBand, duration_band(it).index());
    }

    fn count_publication(&mut self, it: &Publication) {
        let national = it.category.national;
        let is_known = duration_band(it) != DurationBand::Unknown;
        let minutes = it.actual_minutes.filter(|_| is_known).unwrap_or(0);
        let for_two_weeks = national.in_two_week_indicator() && it.wait != WaitingBand::Unknown;
        self.wait_days = it.wait_days;
        self.count(Measure::Appointments, 1);
        self.count(Measure::Minutes, minutes.into());
        for (measure, holds) in [
            (
                Measure::TwoWeekNumerator,
                for_two_weeks && it.wait.within_two_weeks(),
            ),
            (Measure::TwoWeekDenominator, for_two_weeks),
            (Measure::Unmapped, national == NationalCategory::Unmapped),
            (
                Measure::Inconsistent,
                national == NationalCategory::InconsistentMapping,
            ),
            (Measure::UnknownCategoryText, it.category.is_unknown_text),
            (
                Measure::UnknownStatus,
                it.status == PublishedStatus::Unknown,
            ),
            (Measure::UnknownMode, it.mode == Mode::Unknown),
            (Measure::UnknownHcp, it.role.hcp_type() == HcpType::Unknown),
            (Measure::UnknownWait, it.wait == WaitingBand::Unknown),
            (Measure::BookedAfterAppointment, it.is_booked_after),
            (Measure::TimesReversed, it.times_reversed),
        ] {
            self.count(measure, holds.into());
        }
    }

    fn count_capacity(&mut self, capacity: Capacity) {
        use Measure::{
            MinutesAttended, MinutesBooked, MinutesDna, MinutesOffered, MinutesUnused,
            SlotsAttended, SlotsBooked, SlotsDna, SlotsOffered, SlotsUnused,
        };
        let used_for = match capacity.slot_use {
            SlotUse::Unused => [Some((SlotsUnused, MinutesUnused)), None],
            SlotUse::Booked => [Some((SlotsBooked, MinutesBooked)), None],
            SlotUse::Attended => [
                Some((SlotsBooked, MinutesBooked)),
                Some((SlotsAttended, MinutesAttended)),
            ],
            SlotUse::Dna => [
                Some((SlotsBooked, MinutesBooked)),
                Some((SlotsDna, MinutesDna)),
            ],
        };
        let offered = Some((SlotsOffered, MinutesOffered));
        for (slots, minutes) in [offered].into_iter().chain(used_for).flatten() {
            self.count(slots, 1);
            self.count(minutes, capacity.planned_minutes.into());
        }
    }
}

fn duration_band(it: &Publication) -> DurationBand {
    DurationBand::from_minutes(it.actual_minutes.map(i32::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Told` goes by a value's number: the sets' order is what makes it so.
    #[test]
    fn measures_and_dimensions_are_numbered_as_they_are_listed() {
        for (number, measure) in Measure::ALL.into_iter().enumerate() {
            assert_eq!(measure as usize, number);
        }
        for (number, dimension) in Dimension::ALL.into_iter().enumerate() {
            assert_eq!(dimension as usize, number);
        }
        for (number, window) in Window::ALL.into_iter().enumerate() {
            assert_eq!(window as usize, number);
        }
    }
}
