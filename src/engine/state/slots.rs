//! Slots in memory: the newest admitted version of each, and whom it is linked to.

use crate::domain::category::Category;
use crate::domain::draft::{AppointmentDraft, SlotState};
use crate::domain::identity::Identity;
use crate::domain::time::{Day, Local, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{Mode, NationalCategory, SdsRoleGroup, ServiceSetting};

use super::block::{Fields, Kept};
use super::chunks::Chunks;
use super::consultations::ConsultationIndex;
use super::index::Index;
use super::moments::AllMoments;
use super::packed::{Maybe, Millis, Minutes};
use super::practices::PracticeNumber;
use super::slot_types::SlotTypeIndex;

/// A slot of this task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotIndex(pub u32);

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
    /// Fingerprint of all that follows the wrapper.
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
    pub start: Local,
    /// Days from booking to appointment; `None`: the booking's date is missing.
    pub wait_days: Option<i16>,
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
                content: draft.content as u32,
                read: read as u32,
            },
            start: draft.start,
            wait_days: draft.booked_on.map(wait),
            planned_minutes: u16::try_from(draft.planned_minutes).unwrap_or(0),
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
/// Marks that belong to the slot, whatever version it holds.
const OF_SLOT: u32 =
    Mark::WasBooked as u32 | Mark::FoldedPast as u32 | Mark::Touched as u32 | Mark::Upcoming as u32;

/// Marks that mean something in the memory of one process only.
const PASSING: u32 = Mark::Touched as u32 | Mark::Upcoming as u32;

/// The category's bits: the record's own, or a slot type.
const OWN: u32 = 1 << 31;

const NO_WAIT: i16 = i16::MIN;

/// A slot, or the place that its consultations wait at: 52 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The low 96 bits of the identity.
    identity: [u32; 3],
    marks: u32,
    version: Millis,
    start: Millis,
    content: u32,
    read: u32,
    category: u32,
    first_consultation: Maybe,
    version_high: i16,
    start_high: i16,
    wait_days: i16,
    planned_minutes: u16,
    actual_minutes: Minutes,
    practice: u16,
}

const _: () = assert!(
    size_of::<Slot>() == 52,
    "every byte counts a hundred million times"
);

impl Slot {
    fn vacant() -> Self {
        Self {
            marks: Mark::Vacant as u32,
            ..Self::waiting([0; 3])
        }
    }

    fn waiting(identity: [u32; 3]) -> Self {
        Self {
            identity,
            marks: 0,
            version: Millis::default(),
            start: Millis::default(),
            content: 0,
            read: 0,
            category: 0,
            first_consultation: Maybe::NONE,
            version_high: 0,
            start_high: 0,
            wait_days: NO_WAIT,
            planned_minutes: 0,
            actual_minutes: Minutes::new(None),
            practice: 0,
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
            content: self.content,
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
        Some(Local(self.start.join(self.start_high)))
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
            start: Local(self.start.join(self.start_high)),
            wait_days: (self.wait_days != NO_WAIT).then_some(self.wait_days),
            planned_minutes: self.planned_minutes,
            actual_minutes: self.actual_minutes,
            category: unpack_category(self.category),
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
            | held.role.map_or(THREE, |role| role as u32) << ROLE;
        (self.version, self.version_high) = Millis::split(held.version.at.0);
        (self.start, self.start_high) = Millis::split(held.start.0);
        self.content = held.version.content;
        self.read = held.version.read;
        self.category = pack_category(held.category);
        self.wait_days = held.wait_days.unwrap_or(NO_WAIT);
        self.planned_minutes = held.planned_minutes;
        self.actual_minutes = held.actual_minutes;
        self.practice = held.practice.0;
    }
}

impl Slot {
    /// Bytes written of one.
    const WRITTEN: usize = 52;

    fn write(&self, into: &mut Vec<u8>) {
        let mut put = |bytes: &[u8]| into.extend_from_slice(bytes);
        for word in self.identity {
            put(&word.to_le_bytes());
        }
        put(&(self.marks & !PASSING).to_le_bytes());
        put(&self.version.low().to_le_bytes());
        put(&self.version_high.to_le_bytes());
        put(&self.start.low().to_le_bytes());
        put(&self.start_high.to_le_bytes());
        put(&self.content.to_le_bytes());
        put(&self.read.to_le_bytes());
        put(&self.category.to_le_bytes());
        put(&self.first_consultation.bits().to_le_bytes());
        put(&self.wait_days.to_le_bytes());
        put(&self.planned_minutes.to_le_bytes());
        put(&self.actual_minutes.bits().to_le_bytes());
        put(&self.practice.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let slot = Self {
            identity: [fields.u32()?, fields.u32()?, fields.u32()?],
            marks: fields.u32()? & !PASSING,
            version: Millis::from_low(fields.u32()?),
            version_high: fields.i16()?,
            start: Millis::from_low(fields.u32()?),
            start_high: fields.i16()?,
            content: fields.u32()?,
            read: fields.u32()?,
            category: fields.u32()?,
            first_consultation: Maybe::from_bits(fields.u32()?),
            wait_days: fields.i16()?,
            planned_minutes: fields.u16()?,
            actual_minutes: Minutes::from_bits(fields.u16()?),
            practice: fields.u16()?,
        };
        fields.end().map(|()| slot)
    }

    const fn identity(&self) -> Identity {
        let [low, middle, high] = self.identity;
        Identity(low as u128 | (middle as u128) << 32 | (high as u128) << 64)
    }
}

impl Kept for Slots {
    fn entries(&self) -> u32 {
        self.entries.len() as u32
    }

    fn write(&self, number: u32, into: &mut Vec<u8>) {
        self.entries.get(number).write(into);
        if let Some(moments) = &self.moments {
            moments.write(number, into);
        }
    }

    fn read(&mut self, number: u32, bytes: &[u8]) -> Option<()> {
        let (slot, rest) = bytes.split_at_checked(Slot::WRITTEN)?;
        self.entries.set(number, Slot::read(slot)?, Slot::vacant);
        match &mut self.moments {
            Some(moments) => moments.read(number, rest),
            None => rest.is_empty().then_some(()),
        }
    }
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

/// All slots of a task.
#[derive(Debug, Default)]
pub struct Slots {
    index: Index,
    entries: Chunks<Slot>,
    /// Kept where an aggregate follows event time.
    moments: Option<AllMoments>,
    /// Numbers that are vacant.
    free: Vec<u32>,
}

#[inline]
const fn words(identity: Identity) -> [u32; 3] {
    [
        identity.0 as u32,
        (identity.0 >> 32) as u32,
        (identity.0 >> 64) as u32,
    ]
}

/// An identity is a hash already.
#[inline]
const fn hash(identity: Identity) -> u64 {
    identity.0 as u64
}

impl Slots {
    /// From here on what happened to bookings is kept too.
    pub fn keep_moments(&mut self) {
        self.moments = Some(AllMoments::default());
    }

    #[must_use]
    pub const fn moments(&self) -> Option<&AllMoments> {
        self.moments.as_ref()
    }

    pub const fn moments_mut(&mut self) -> Option<&mut AllMoments> {
        self.moments.as_mut()
    }

    #[inline]
    #[must_use]
    pub fn find(&self, identity: Identity) -> Option<SlotIndex> {
        let words = words(identity);
        self.index
            .find(hash(identity), |found| {
                self.entries.get(found).identity == words
            })
            .map(SlotIndex)
    }

    /// The slot of an identity, made as a waiting place if it is new.
    pub fn find_or_wait(&mut self, identity: Identity) -> SlotIndex {
        if let Some(found) = self.find(identity) {
            return found;
        }
        let slot = Slot::waiting(words(identity));
        let number = if let Some(number) = self.free.pop() {
            *self.entries.get_mut(number) = slot;
            number
        } else {
            self.entries.push(slot)
        };
        self.index.insert(hash(identity), number);
        SlotIndex(number)
    }

    /// Brings near what a look-up will read first; the answer means nothing.
    #[inline]
    #[must_use]
    pub fn approach(&self, identity: Identity) -> u64 {
        self.index.approach(hash(identity))
    }

    #[inline]
    #[must_use]
    pub fn get(&self, index: SlotIndex) -> &Slot {
        self.entries.get(index.0)
    }

    #[inline]
    pub fn get_mut(&mut self, index: SlotIndex) -> &mut Slot {
        self.entries.get_mut(index.0)
    }

    /// Forgets a slot; its number goes to another one day.
    pub fn vacate(&mut self, index: SlotIndex) {
        let slot = self.entries.get_mut(index.0);
        if !slot.is(Mark::Vacant) {
            self.index.remove(hash(slot.identity()), index.0);
            *slot = Slot::vacant();
            self.free.push(index.0);
            if let Some(moments) = &mut self.moments {
                moments.vacate(index.0);
            }
        }
    }

    /// Makes what is read back ready to be looked up.
    pub fn restored(&mut self) {
        self.index = Index::default();
        self.free.clear();
        for number in 0..self.entries.len() as u32 {
            let slot = self.entries.get(number);
            if slot.is(Mark::Vacant) {
                self.free.push(number);
            } else {
                self.index.insert(hash(slot.identity()), number);
            }
        }
    }

    /// Numbers given so far, vacant ones too.
    #[must_use]
    pub const fn numbers(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Every index there is.
    pub fn indexes(&self) -> impl Iterator<Item = SlotIndex> + use<> {
        (0_u32..).map(SlotIndex).take(self.entries.len())
    }

    /// Slots that are not vacant.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let moments = self.moments.as_ref().map_or(0, AllMoments::bytes);
        self.entries.bytes()
            + self.index.bytes()
            + moments
            + self.free.capacity() * size_of::<u32>()
    }
}
