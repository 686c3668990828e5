//! What an aggregate is made of: windows, levels, dimensions and measures, as closed sets.

use std::borrow::Cow;
use std::sync::Arc;

use super::place::Level;
use super::time::{Day, Month, Timestamp};
use super::topic::Supplier;
use super::vocabulary::{
    ContextType, DurationBand, HcpType, Mode, NationalCategory, PublishedStatus, SdsRoleGroup,
    ServiceSetting, WaitingBand,
};

/// The span of appointment dates that one row covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    Day,
    /// Monday to Sunday.
    Week,
    Month,
}

impl Window {
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.label() == label)
    }

    /// The first day of the window that holds `day`.
    #[must_use]
    pub fn start(self, day: Day) -> Day {
        match self {
            Self::Day => day,
            // 1970-01-01 was a Thursday.
            Self::Week => Day(day.0 - (day.0 + 3).rem_euclid(7)),
            Self::Month => day.month().first_day(),
        }
    }

    /// The day after the last of the window that starts on `start`.
    #[must_use]
    pub fn end(self, start: Day) -> Day {
        match self {
            Self::Day => Day(start.0 + 1),
            Self::Week => Day(start.0 + 7),
            Self::Month => Month(start.month().0 + 1).first_day(),
        }
    }
}

/// A property that rows of one aggregate differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    Status,
    HcpType,
    Mode,
    WaitingBand,
    ServiceSetting,
    ContextType,
    NationalCategory,
    SdsRoleGroup,
    DurationBand,
    Supplier,
}

impl Dimension {
    pub const ALL: [Self; 10] = [
        Self::Status,
        Self::HcpType,
        Self::Mode,
        Self::WaitingBand,
        Self::ServiceSetting,
        Self::ContextType,
        Self::NationalCategory,
        Self::SdsRoleGroup,
        Self::DurationBand,
        Self::Supplier,
    ];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::HcpType => "hcp_type",
            Self::Mode => "mode",
            Self::WaitingBand => "waiting_band",
            Self::ServiceSetting => "service_setting",
            Self::ContextType => "context_type",
            Self::NationalCategory => "national_category",
            Self::SdsRoleGroup => "sds_role_group",
            Self::DurationBand => "duration_band",
            Self::Supplier => "supplier",
        }
    }

    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.label() == label)
    }

    /// Values that a published appointment alone has.
    #[must_use]
    pub const fn needs_publication(self) -> bool {
        !matches!(self, Self::Supplier)
    }

    /// The labels of its values, by packed value.
    #[must_use]
    pub fn values(self) -> Vec<&'static str> {
        macro_rules! labels {
            ($set:ty) => {
                <$set>::ALL.iter().map(|value| value.label()).collect()
            };
        }
        match self {
            Self::Status => labels!(PublishedStatus),
            Self::HcpType => labels!(HcpType),
            Self::Mode => labels!(Mode),
            Self::WaitingBand => labels!(WaitingBand),
            Self::ServiceSetting => labels!(ServiceSetting),
            Self::ContextType => labels!(ContextType),
            Self::NationalCategory => labels!(NationalCategory),
            Self::SdsRoleGroup => labels!(SdsRoleGroup),
            Self::DurationBand => labels!(DurationBand),
            Self::Supplier => Supplier::ALL.iter().map(|value| value.label()).collect(),
        }
    }
}

/// What a measure looks at, so that a plan can tell which dimensions fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Published appointments: past, booked, not cancelled.
    Publication,
    /// Slots on any day, past or to come.
    Capacity,
    /// Consultations.
    Consultations,
}

/// A figure that rows add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    Appointments,
    /// Actual minutes of appointments whose actual duration is published (1 to 60).
    Minutes,
    SlotsOffered,
    SlotsBooked,
    SlotsAttended,
    SlotsDna,
    SlotsUnused,
    MinutesOffered,
    MinutesBooked,
    MinutesAttended,
    MinutesDna,
    MinutesUnused,
    /// ACC-08: seen within 14 days of booking.
    TwoWeekNumerator,
    /// ACC-08: in one of the eight categories, with a known waiting band.
    TwoWeekDenominator,
    Unmapped,
    Inconsistent,
    /// A category text that is neither one of the 17 nor an old label.
    UnknownCategoryText,
    UnknownStatus,
    UnknownMode,
    UnknownHcp,
    UnknownWait,
    BookedAfterAppointment,
    TimesReversed,
    /// Consultations linked to an appointment that is DNA or cancelled.
    Contradictions,
    UnbookedConsultations,
}

impl Measure {
    pub const ALL: [Self; 25] = [
        Self::Appointments,
        Self::Minutes,
        Self::SlotsOffered,
        Self::SlotsBooked,
        Self::SlotsAttended,
        Self::SlotsDna,
        Self::SlotsUnused,
        Self::MinutesOffered,
        Self::MinutesBooked,
        Self::MinutesAttended,
        Self::MinutesDna,
        Self::MinutesUnused,
        Self::TwoWeekNumerator,
        Self::TwoWeekDenominator,
        Self::Unmapped,
        Self::Inconsistent,
        Self::UnknownCategoryText,
        Self::UnknownStatus,
        Self::UnknownMode,
        Self::UnknownHcp,
        Self::UnknownWait,
        Self::BookedAfterAppointment,
        Self::TimesReversed,
        Self::Contradictions,
        Self::UnbookedConsultations,
    ];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Appointments => "appointments",
            Self::Minutes => "minutes",
            Self::SlotsOffered => "slots_offered",
            Self::SlotsBooked => "slots_booked",
            Self::SlotsAttended => "slots_attended",
            Self::SlotsDna => "slots_dna",
            Self::SlotsUnused => "slots_unused",
            Self::MinutesOffered => "minutes_offered",
            Self::MinutesBooked => "minutes_booked",
            Self::MinutesAttended => "minutes_attended",
            Self::MinutesDna => "minutes_dna",
            Self::MinutesUnused => "minutes_unused",
            Self::TwoWeekNumerator => "two_week_numerator",
            Self::TwoWeekDenominator => "two_week_denominator",
            Self::Unmapped => "unmapped",
            Self::Inconsistent => "inconsistent",
            Self::UnknownCategoryText => "unknown_category_text",
            Self::UnknownStatus => "unknown_status",
            Self::UnknownMode => "unknown_mode",
            Self::UnknownHcp => "unknown_hcp",
            Self::UnknownWait => "unknown_wait",
            Self::BookedAfterAppointment => "booked_after_appointment",
            Self::TimesReversed => "times_reversed",
            Self::Contradictions => "contradictions",
            Self::UnbookedConsultations => "unbooked_consultations",
        }
    }

    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.label() == label)
    }

    #[must_use]
    pub const fn basis(self) -> Basis {
        match self {
            Self::SlotsOffered
            | Self::SlotsBooked
            | Self::SlotsAttended
            | Self::SlotsDna
            | Self::SlotsUnused
            | Self::MinutesOffered
            | Self::MinutesBooked
            | Self::MinutesAttended
            | Self::MinutesDna
            | Self::MinutesUnused => Basis::Capacity,
            Self::Contradictions | Self::UnbookedConsultations => Basis::Consultations,
            Self::Appointments
            | Self::Minutes
            | Self::TwoWeekNumerator
            | Self::TwoWeekDenominator
            | Self::Unmapped
            | Self::Inconsistent
            | Self::UnknownCategoryText
            | Self::UnknownStatus
            | Self::UnknownMode
            | Self::UnknownHcp
            | Self::UnknownWait
            | Self::BookedAfterAppointment
            | Self::TimesReversed => Basis::Publication,
        }
    }
}

/// A figure derived from two measures of the same row when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ratio {
    /// Booked ÷ offered minutes (feeds.md, rule 7).
    Utilisation,
    /// Booked ÷ offered slots.
    SlotUtilisation,
    /// ACC-08 (domain.md §2).
    TwoWeekShare,
}

impl Ratio {
    pub const ALL: [Self; 3] = [Self::Utilisation, Self::SlotUtilisation, Self::TwoWeekShare];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Utilisation => "utilisation",
            Self::SlotUtilisation => "slot_utilisation",
            Self::TwoWeekShare => "two_week_share",
        }
    }

    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.label() == label)
    }

    /// Numerator and denominator.
    #[must_use]
    pub const fn parts(self) -> (Measure, Measure) {
        match self {
            Self::Utilisation => (Measure::MinutesBooked, Measure::MinutesOffered),
            Self::SlotUtilisation => (Measure::SlotsBooked, Measure::SlotsOffered),
            Self::TwoWeekShare => (Measure::TwoWeekNumerator, Measure::TwoWeekDenominator),
        }
    }
}

/// An aggregate as declared: checked when the plan is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Lower-case letters, digits and `_`; its topic is `gpad.aggregates.<name>`.
    pub name: String,
    pub window: Window,
    pub levels: Vec<Level>,
    pub dimensions: Vec<Dimension>,
    pub measures: Vec<Measure>,
    pub ratios: Vec<Ratio>,
}

/// How sure a row is (design.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finality {
    /// The watermark has not passed its window.
    Provisional,
    Final,
    /// Changed after it was final.
    Restated,
}

/// What a row says of how it was published; may differ between runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Event time: the greatest time of extraction that went in.
    pub as_of: Timestamp,
    /// 1 when the row first appears.
    pub revision: u32,
    pub finality: Finality,
}

/// One row: the figures under a key, or their end.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub aggregate: Arc<str>,
    pub level: Level,
    pub code: String,
    /// `[start, end)` in days of the appointment.
    pub window: (Day, Day),
    /// Name and value, in declared order, the printed codes of the level first.
    pub dimensions: Vec<(&'static str, Cow<'static, str>)>,
    /// `None`: the row has returned to nothing.
    pub figures: Option<Figures>,
    /// What stood under the key before; `None`: nothing, or the row was read back from where it lies.
    pub stood: Option<Figures>,
    pub published: Published,
}

/// The figures of a row: a function of the input alone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    pub counts: Vec<(&'static str, i64)>,
    pub ratios: Vec<(&'static str, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open_and_hold_their_day() {
        for day in 18_000..19_000 {
            for window in Window::ALL {
                let start = window.start(Day(day));
                let end = window.end(start);
                assert!(start.0 <= day && day < end.0, "{window:?} {day}");
                assert_eq!(window.start(Day(end.0 - 1)), start, "{window:?} {day}");
            }
        }
    }

    #[test]
    fn a_week_starts_on_monday() {
        let wednesday = Day::from_ymd(2022, 2, 2).expect("a day");
        assert_eq!(
            Some(Window::Week.start(wednesday)),
            Day::from_ymd(2022, 1, 31)
        );
    }
}
