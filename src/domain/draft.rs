//! Drafts: one version of a slot or a consultation, the same shape for all suppliers.

use super::identity::{BookingId, Identity, NativeId};
use super::time::{Day, Local, Timestamp};
use super::topic::Supplier;
use super::vocabulary::{Mode, SdsRoleGroup};

/// The state of a slot and its booking that a version reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotState {
    /// Offered, not booked.
    Available,
    /// Blocked: not offered.
    NotOffered,
    Booked,
    /// Arrived, or in progress.
    Arrived,
    Attended,
    Dna,
    Cancelled,
    /// Deleted by its sender: as if never sent, but for its identity.
    Withdrawn,
}

impl SlotState {
    /// In the order of their discriminants.
    pub const ALL: [Self; 8] = [
        Self::Available,
        Self::NotOffered,
        Self::Booked,
        Self::Arrived,
        Self::Attended,
        Self::Dna,
        Self::Cancelled,
        Self::Withdrawn,
    ];

    /// Holds a live booking.
    #[must_use]
    pub const fn is_booked(self) -> bool {
        matches!(
            self,
            Self::Booked | Self::Arrived | Self::Attended | Self::Dna
        )
    }

    /// Counts as offered capacity (feeds.md, rule 7).
    #[must_use]
    pub const fn is_offered(self) -> bool {
        !matches!(self, Self::NotOffered | Self::Withdrawn)
    }
}

/// The category texts as one source gives them, trimmed; blank ones missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CategoryTexts<'a> {
    pub category: &'a str,
    pub context: Option<&'a str>,
    pub setting: Option<&'a str>,
}

/// One version of a slot, with its booking if it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AppointmentDraft<'a> {
    pub supplier: Supplier,
    pub identity: Identity,
    /// EMIS only: the booking that the version names.
    pub booking: Option<BookingId>,
    pub version: Timestamp,
    /// Fingerprint of all that follows the wrapper.
    pub content: u64,
    pub start: Local,
    /// As sent; [`crate::stages::validate`] bounds it to 0…1440.
    pub planned_minutes: i64,
    pub state: SlotState,
    pub booked_on: Option<Day>,
    /// Event times, for those who follow events: when booked, arrived, left, cancelled.
    pub booked_at: Option<Local>,
    pub arrived_at: Option<Local>,
    pub left_at: Option<Local>,
    pub cancelled_at: Option<Local>,
    /// Whole minutes; any value ≥ 0.
    pub actual_minutes: Option<i64>,
    /// Both ends of the actual duration are there, in the wrong order.
    pub times_reversed: bool,
    /// `None`: the role field is missing.
    pub role: Option<SdsRoleGroup>,
    pub mode: Mode,
    /// Trimmed.
    pub slot_type: &'a str,
    /// The record's own category, if it names one.
    pub own_category: Option<CategoryTexts<'a>>,
    /// A TPP visit: an appointment that is no slot.
    pub is_visit: bool,
}

/// One version of a consultation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConsultationDraft<'a> {
    pub supplier: Supplier,
    pub identity: Identity,
    /// For the order of several consultations of one appointment.
    pub native_id: NativeId<'a>,
    pub version: Timestamp,
    pub content: u64,
    /// Midnight where the time is missing.
    pub start: Local,
    /// Whole minutes ≥ 0.
    pub minutes: Option<i64>,
    pub role: Option<SdsRoleGroup>,
    /// The slot or appointment it belongs to.
    pub link: Option<Identity>,
    pub complete: bool,
    pub withdrawn: bool,
}
