//! What an aggregate is made of: windows, levels, dimensions and measures, as closed sets.

use std::borrow::Cow;
use std::sync::Arc;

use super::place::Level;
use super::time::Timestamp;
use super::topic::Supplier;
use super::vocabulary::{
    ContextType, DurationBand, HcpType, Mode, NationalCategory, PublishedStatus, SdsRoleGroup,
    ServiceSetting, WaitingBand,
};
pub use super::window::{Follows, Rolling, Span, Window};

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
    /// What happened to bookings, at the time it happened.
    Events,
}

/// Something that happens to a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Event {
    Booked,
    Cancelled,
    Arrived,
    Attended,
    Dna,
}

impl Event {
    pub const ALL: [Self; 5] = [
        Self::Booked,
        Self::Cancelled,
        Self::Arrived,
        Self::Attended,
        Self::Dna,
    ];
}

/// A figure that is read off a histogram of waits, which rows add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantile {
    /// Days from booking to appointment: half of the bookings waited no longer.
    WaitMedian,
    /// Nine of ten waited no longer.
    Wait90th,
}

impl Quantile {
    pub const ALL: [Self; 2] = [Self::WaitMedian, Self::Wait90th];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::WaitMedian => "wait_median",
            Self::Wait90th => "wait_90th",
        }
    }

    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.label() == label)
    }

    /// In tenths.
    #[must_use]
    pub const fn tenths(self) -> i64 {
        match self {
            Self::WaitMedian => 5,
            Self::Wait90th => 9,
        }
    }
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
    /// Bookings made.
    Bookings,
    /// Bookings made for the day they were made on.
    BookingsSameDay,
    Cancellations,
    Arrivals,
    Attended,
    Dna,
}

impl Measure {
    pub const ALL: [Self; 31] = [
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
        Self::Bookings,
        Self::BookingsSameDay,
        Self::Cancellations,
        Self::Arrivals,
        Self::Attended,
        Self::Dna,
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
            Self::Bookings => "bookings",
            Self::BookingsSameDay => "bookings_same_day",
            Self::Cancellations => "cancellations",
            Self::Arrivals => "arrivals",
            Self::Attended => "attended",
            Self::Dna => "dna",
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
            Self::Bookings
            | Self::BookingsSameDay
            | Self::Cancellations
            | Self::Arrivals
            | Self::Attended
            | Self::Dna => Basis::Events,
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Share {
    /// Lower-case letters, digits and `_`.
    pub name: Arc<str>,
    pub of: Measure,
    pub over: Measure,
}

impl Share {
    /// Shares that have a name of their own: utilisation (feeds.md, rule 7), ACC-08 (domain.md §2), and the share of
    /// bookings for the day they were made on.
    pub const KNOWN: [(&'static str, Measure, Measure); 4] = [
        (
            "utilisation",
            Measure::MinutesBooked,
            Measure::MinutesOffered,
        ),
        (
            "slot_utilisation",
            Measure::SlotsBooked,
            Measure::SlotsOffered,
        ),
        (
            "two_week_share",
            Measure::TwoWeekNumerator,
            Measure::TwoWeekDenominator,
        ),
        (
            "same_day_share",
            Measure::BookingsSameDay,
            Measure::Bookings,
        ),
    ];

    #[must_use]
    pub fn known(label: &str) -> Option<Self> {
        let (name, of, over) = (Self::KNOWN.into_iter()).find(|(name, ..)| *name == label)?;
        Some(Self {
            name: name.into(),
            of,
            over,
        })
    }
}

/// Rows count only what has one of these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub dimension: Dimension,
    /// Bit n: the dimension's n-th value.
    pub values: u64,
}

/// An aggregate as declared: checked when the plan is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Lower-case letters, digits and `_`; its topic is `gpad.aggregates.<name>`.
    pub name: String,
    pub follows: Follows,
    /// Of appointment dates; of no meaning where event time is followed.
    pub window: Window,
    /// Of event time.
    pub rolling: Vec<Rolling>,
    /// Rows are kept for so many days from today on, and for no other day.
    pub ahead_days: Option<u16>,
    /// Windows of event time that ended so many days ago and before are not kept.
    pub kept_days: u16,
    pub levels: Vec<Level>,
    pub dimensions: Vec<Dimension>,
    pub measures: Vec<Measure>,
    pub shares: Vec<Share>,
    pub quantiles: Vec<Quantile>,
    /// All must hold.
    pub filters: Vec<Filter>,
}

impl Declaration {
    /// Days for which windows of event time are kept where nothing is said.
    pub const KEPT_DAYS: u16 = 35;

    /// Days of appointments at some levels, and nothing else yet.
    #[must_use]
    pub fn of_days(name: &str, window: Window, levels: &[Level], measures: &[Measure]) -> Self {
        Self {
            name: name.to_owned(),
            follows: Follows::AppointmentDate,
            window,
            rolling: Vec::new(),
            ahead_days: None,
            kept_days: Self::KEPT_DAYS,
            levels: levels.to_vec(),
            dimensions: Vec::new(),
            measures: measures.to_vec(),
            shares: Vec::new(),
            quantiles: Vec::new(),
            filters: Vec::new(),
        }
    }
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
    /// Whether it was closed because nothing came any more, not by what came.
    pub by_idleness: bool,
}

/// One row: the figures under a key, or their end.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub aggregate: Arc<str>,
    pub level: Level,
    pub code: String,
    pub window: Span,
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
    /// Shares and quantiles.
    pub ratios: Vec<(Arc<str>, f64)>,
}
