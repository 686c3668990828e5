//! One slot in memory: the newest admitted version of it, packed.

use crate::domain::category::Category;
use crate::domain::draft::{AppointmentDraft, SlotState};
use crate::domain::identity::Identity;
use crate::domain::time::{Day, Local, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{Mode, NationalCategory, SdsRoleGroup, ServiceSetting};

use super::block::Fields;
use super::consultations::ConsultationIndex;
use super::packed::{Maybe, Millis, Minutes, Seconds, Small};
use super::practices::PracticeNumber;
use super::slot_types::SlotTypeIndex;

/// Where the category of an appointment comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CategorySource {
    Own(Category),
    Mapping(SlotTypeIndex),
}

/// Which version is held: what a newer one is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    pub at: Timestamp,
    /// Fingerprint of all that follows the wrapper, 24 bits.
    pub content: u32,
    /// Fingerprint of the fields that an aggregate reads.
    pub read: u32,
}

/// The newest admitted version of a slot, unpacked.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent properties of a version, not states of a machine"
)]
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub practice: PracticeNumber,
    pub version: Version,
    /// To the second.
    pub start: Local,
    /// Days from booking to appointment; `None`: the booking's date is missing.
    pub wait_days: Option<i16>,
    /// 0…1440.
    pub planned_minutes: u16,
    actual_minutes: Minutes,
    pub category: CategorySource,
    pub state: SlotState,
    pub mode: Mode,
    /// `None`: the role field is missing.
    pub role: Option<SdsRoleGroup>,
    pub supplier: Supplier,
    pub is_visit: bool,
    /// EMIS: the version names a booking. Others: always.
    pub has_booking: bool,
    pub is_covid_vaccination: bool,
    pub times_reversed: bool,
}

impl Held {
    #[must_use]
    pub fn new(
        draft: &AppointmentDraft<'_>,
        practice: PracticeNumber,
        category: CategorySource,
        is_covid_vaccination: bool,
        read: u64,
    ) -> Self {
        let wait = |day: Day| {
            let days = i64::from(draft.start.day().0) - i64::from(day.0);
            days.clamp(i64::from(-i16::MAX), i64::from(i16::MAX)) as i16
        };
        Self {
            practice,
            version: Version {
                at: draft.version,
                content: Small::new(draft.content as u32).get(),
                read: read as u32,
            },
            start: Seconds::new(draft.start.0).local(),
            wait_days: draft.booked_on.map(wait),
            planned_minutes: u16::try_from(draft.planned_minutes)
                .unwrap_or(0)
                .min(PLANNED_MOST),
            actual_minutes: Minutes::new(draft.actual_minutes),
            category,
            state: draft.state,
            mode: draft.mode,
            role: draft.role,
            supplier: draft.supplier,
            is_visit: draft.is_visit,
            has_booking: draft.supplier != Supplier::Emis || draft.booking.is_some(),
            is_covid_vaccination,
            times_reversed: draft.times_reversed,
        }
    }

    #[must_use]
    pub const fn actual_minutes(&self) -> Option<u16> {
        self.actual_minutes.get()
    }
}

/// What is noted of a slot beside its newest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Mark {
    /// A version is held; without it only consultations have named the slot yet.
    Held = 1,
    /// Some admitted version named a booking: linked consultations no longer wait.
    WasBooked = 1 << 1,
    /// The fact that stands in the aggregates took the start for past.
    FoldedPast = 1 << 2,
    /// Its fact before the open transaction is noted.
    Touched = 1 << 3,
    /// It stands among the upcoming under the start it has.
    Upcoming = 1 << 4,
    /// Nothing is here.
    Vacant = 1 << 21,
}

const VISIT: u32 = 1 << 5;
const BOOKING: u32 = 1 << 6;
const COVID: u32 = 1 << 7;
const REVERSED: u32 = 1 << 8;
const STATE: u32 = 9;
const MODE: u32 = 12;
const SUPPLIER: u32 = 15;
const ROLE: u32 = 18;
const THREE: u32 = 0b111;
/// The planned minutes have eleven bits, as 1440 needs: ten from here on, and the highest where there is one left.
const PLANNED: u32 = 22;
const PLANNED_HIGHEST: u32 = 17;
const PLANNED_MOST: u16 = (1 << 11) - 1;
/// Marks that belong to the slot, whatever version it holds.
const OF_SLOT: u32 =
    Mark::WasBooked as u32 | Mark::FoldedPast as u32 | Mark::Touched as u32 | Mark::Upcoming as u32;

/// Marks that mean something in the memory of one process only.
const PASSING: u32 = Mark::Touched as u32 | Mark::Upcoming as u32;

/// The category's bits: the record's own, or a slot type.
const OWN: u32 = 1 << 23;
/// The same bit as it is written down.
const OWN_WRITTEN: u32 = 1 << 31;

const NO_WAIT: i16 = i16::MIN;

/// A slot, or the place that its consultations wait at: 44 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The low 80 bits of the identity: of 100 million in one task, two are alike once in 240 million times.
    identity: [u32; 2],
    marks: u32,
    version: Millis,
    start: Seconds,
    read: u32,
    first_consultation: Maybe,
    identity_high: u16,
    version_high: i16,
    wait_days: i16,
    actual_minutes: Minutes,
    practice: u16,
    content: Small,
    category: Small,
}

const _: () = assert!(
    size_of::<Slot>() == 44,
    "every byte counts a hundred million times"
);

impl Slot {
    pub(super) fn vacant() -> Self {
        Self {
            marks: Mark::Vacant as u32,
            ..Self::waiting(Identity(0))
        }
    }

    pub(super) const fn waiting(identity: Identity) -> Self {
        let (identity, identity_high) = parts(identity);
        Self {
            identity,
            marks: 0,
            version: Millis::from_low(0),
            start: Seconds::from_bits(0),
            read: 0,
            first_consultation: Maybe::NONE,
            identity_high,
            version_high: 0,
            wait_days: NO_WAIT,
            actual_minutes: Minutes::NONE,
            practice: 0,
            content: Small::new(0),
            category: Small::new(0),
        }
    }

    #[inline]
    #[must_use]
    pub const fn is(&self, mark: Mark) -> bool {
        self.marks & mark as u32 != 0
    }

    #[inline]
    pub const fn set(&mut self, mark: Mark, value: bool) {
        if value {
            self.marks |= mark as u32;
        } else {
            self.marks &= !(mark as u32);
        }
    }

    #[inline]
    #[must_use]
    pub const fn first_consultation(&self) -> Option<ConsultationIndex> {
        match self.first_consultation.get() {
            Some(number) => Some(ConsultationIndex(number)),
            None => None,
        }
    }

    pub fn set_first_consultation(&mut self, head: Option<ConsultationIndex>) {
        self.first_consultation = Maybe::new(head.map(|head| head.0));
    }

    /// The version held.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        if !self.is(Mark::Held) {
            return None;
        }
        Some(Version {
            at: Timestamp(self.version.join(self.version_high)),
            content: self.content.get(),
            read: self.read,
        })
    }

    /// The start of the version held.
    #[inline]
    #[must_use]
    pub const fn start(&self) -> Option<Local> {
        if !self.is(Mark::Held) {
            return None;
        }
        Some(self.start.local())
    }

    /// The practice of the version held.
    #[inline]
    #[must_use]
    pub const fn practice(&self) -> Option<PracticeNumber> {
        if !self.is(Mark::Held) {
            return None;
        }
        Some(PracticeNumber(self.practice))
    }

    /// The version held, unpacked.
    #[inline]
    #[must_use]
    pub fn held(&self) -> Option<Held> {
        let version = self.version()?;
        let role = (self.marks >> ROLE & THREE) as usize;
        Some(Held {
            practice: PracticeNumber(self.practice),
            version,
            start: self.start.local(),
            wait_days: (self.wait_days != NO_WAIT).then_some(self.wait_days),
            planned_minutes: planned(self.marks),
            actual_minutes: self.actual_minutes,
            category: unpack_category(self.category.get()),
            state: SlotState::ALL[(self.marks >> STATE & THREE) as usize],
            mode: Mode::from_index((self.marks >> MODE & THREE) as usize).unwrap_or(Mode::Unknown),
            role: SdsRoleGroup::from_index(role),
            supplier: Supplier::ALL[(self.marks >> SUPPLIER & 0b11) as usize],
            is_visit: self.marks & VISIT != 0,
            has_booking: self.marks & BOOKING != 0,
            is_covid_vaccination: self.marks & COVID != 0,
            times_reversed: self.marks & REVERSED != 0,
        })
    }

    /// Holds a version in place of the one before.
    pub fn hold(&mut self, held: &Held) {
        let bit = |is: bool, bit: u32| if is { bit } else { 0 };
        self.marks = self.marks & OF_SLOT
            | Mark::Held as u32
            | bit(held.is_visit, VISIT)
            | bit(held.has_booking, BOOKING)
            | bit(held.is_covid_vaccination, COVID)
            | bit(held.times_reversed, REVERSED)
            | (held.state as u32) << STATE
            | (held.mode as u32) << MODE
            | (held.supplier as u32) << SUPPLIER
            | held.role.map_or(THREE, |role| role as u32) << ROLE
            | pack_planned(held.planned_minutes);
        (self.version, self.version_high) = Millis::split(held.version.at.0);
        self.start = Seconds::new(held.start.0);
        self.content = Small::new(held.version.content);
        self.read = held.version.read;
        self.category = Small::new(pack_category(held.category));
        self.wait_days = held.wait_days.unwrap_or(NO_WAIT);
        self.actual_minutes = held.actual_minutes;
        self.practice = held.practice.0;
    }
}

impl Slot {
    /// Bytes written of one: as it was before it was packed more tightly, so that the format is the same.
    pub(super) const WRITTEN: usize = 52;
    /// The bits of the marks that are written.
    const MARKS: u32 = !PASSING & ((1 << PLANNED) - 1) & !(1 << PLANNED_HIGHEST);

    pub(super) fn write(&self, into: &mut Vec<u8>) {
        let mut put = |bytes: &[u8]| into.extend_from_slice(bytes);
        for word in self.identity {
            put(&word.to_le_bytes());
        }
        put(&u32::from(self.identity_high).to_le_bytes());
        put(&(self.marks & Self::MARKS).to_le_bytes());
        put(&self.version.low().to_le_bytes());
        put(&self.version_high.to_le_bytes());
        let (start, start_high) = Millis::split(self.start.local().0);
        put(&start.low().to_le_bytes());
        put(&start_high.to_le_bytes());
        put(&self.content.get().to_le_bytes());
        put(&self.read.to_le_bytes());
        let category = self.category.get();
        let own = if category & OWN == 0 { 0 } else { OWN_WRITTEN };
        put(&(category & !OWN | own).to_le_bytes());
        put(&self.first_consultation.bits().to_le_bytes());
        put(&self.wait_days.to_le_bytes());
        put(&planned(self.marks).to_le_bytes());
        put(&self.actual_minutes.bits().to_le_bytes());
        put(&self.practice.to_le_bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let identity = [fields.u32()?, fields.u32()?];
        let identity_high = fields.u32()? as u16;
        let marks = fields.u32()? & Self::MARKS;
        let (version, version_high) = (Millis::from_low(fields.u32()?), fields.i16()?);
        let start = Millis::from_low(fields.u32()?).join(fields.i16()?);
        let (content, read, category) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let own = if category & OWN_WRITTEN == 0 { 0 } else { OWN };
        let slot = Self {
            identity,
            version,
            start: Seconds::new(start),
            read,
            first_consultation: Maybe::from_bits(fields.u32()?),
            identity_high,
            version_high,
            wait_days: fields.i16()?,
            marks: marks | pack_planned(fields.u16()?),
            actual_minutes: Minutes::from_bits(fields.u16()?),
            practice: fields.u16()?,
            content: Small::new(content),
            category: Small::new(category | own),
        };
        fields.end().map(|()| slot)
    }

    pub(super) const fn identity(&self) -> Identity {
        let [low, middle] = self.identity;
        Identity(low as u128 | (middle as u128) << 32 | (self.identity_high as u128) << 64)
    }

    pub(super) const fn is_of(&self, (identity, high): ([u32; 2], u16)) -> bool {
        self.identity[0] == identity[0]
            && self.identity[1] == identity[1]
            && self.identity_high == high
    }
}

/// The bits of an identity that are kept.
#[inline]
pub(super) const fn parts(Identity(identity): Identity) -> ([u32; 2], u16) {
    (
        [identity as u32, (identity >> 32) as u32],
        (identity >> 64) as u16,
    )
}

#[inline]
const fn planned(marks: u32) -> u16 {
    (marks >> PLANNED | (marks >> PLANNED_HIGHEST & 1) << 10) as u16
}

fn pack_planned(minutes: u16) -> u32 {
    let minutes = u32::from(minutes.min(PLANNED_MOST));
    minutes << PLANNED | (minutes >> 10) << PLANNED_HIGHEST
}

fn pack_category(category: CategorySource) -> u32 {
    match category {
        CategorySource::Own(own) => {
            OWN | own.national as u32
                | (own.setting as u32) << 8
                | u32::from(own.is_unknown_text) << 16
        }
        CategorySource::Mapping(slot_type) => slot_type.0,
    }
}

#[inline]
fn unpack_category(packed: u32) -> CategorySource {
    if packed & OWN == 0 {
        return CategorySource::Mapping(SlotTypeIndex(packed));
    }
    CategorySource::Own(Category {
        national: NationalCategory::from_index((packed & 0xff) as usize)
            .unwrap_or(NationalCategory::Unmapped),
        setting: ServiceSetting::from_index((packed >> 8 & 0xff) as usize)
            .unwrap_or(ServiceSetting::Unmapped),
        is_unknown_text: packed >> 16 & 1 != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planned_duration_comes_back_and_touches_nothing_else() {
        let others = Slot::MARKS | PASSING;
        for minutes in 0..=1_440 {
            let packed = pack_planned(minutes);
            assert_eq!((planned(packed), packed & others), (minutes, 0));
            assert_eq!(planned(packed | others), minutes);
        }
    }
}
