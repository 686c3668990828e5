//! Slots in memory: the newest admitted version of each, and whom it is linked to.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::domain::category::Category;
use crate::domain::draft::{AppointmentDraft, SlotState};
use crate::domain::identity::Identity;
use crate::domain::reference::PracticeIndex;
use crate::domain::time::{Day, Local, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{Mode, SdsRoleGroup};

use super::consultations::ConsultationIndex;
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

/// The newest admitted version of a slot.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent properties of a version, not states of a machine"
)]
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub practice: PracticeIndex,
    pub version: Timestamp,
    /// Fingerprint of all that follows the wrapper.
    pub content: u64,
    /// Fingerprint of the fields that an aggregate reads.
    pub read: u64,
    pub start: Local,
    booked_on: i32,
    planned_minutes: u16,
    actual_minutes: u16,
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
    const NO_DAY: i32 = i32::MIN;
    const NO_MINUTES: u16 = u16::MAX;

    #[must_use]
    pub fn new(
        draft: &AppointmentDraft<'_>,
        practice: PracticeIndex,
        category: CategorySource,
        is_covid_vaccination: bool,
        read: u64,
    ) -> Self {
        Self {
            practice,
            version: draft.version,
            content: draft.content,
            read,
            start: draft.start,
            booked_on: draft.booked_on.map_or(Self::NO_DAY, |day| day.0),
            planned_minutes: u16::try_from(draft.planned_minutes).unwrap_or(0),
            actual_minutes: draft.actual_minutes.map_or(Self::NO_MINUTES, clamp_minutes),
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
    pub fn booked_on(&self) -> Option<Day> {
        (self.booked_on != Self::NO_DAY).then_some(Day(self.booked_on))
    }

    #[must_use]
    pub const fn planned_minutes(&self) -> u16 {
        self.planned_minutes
    }

    #[must_use]
    pub fn actual_minutes(&self) -> Option<u16> {
        (self.actual_minutes != Self::NO_MINUTES).then_some(self.actual_minutes)
    }
}

/// Minutes as they are held: beyond the published range it only matters that they are.
#[must_use]
pub fn clamp_minutes(minutes: i64) -> u16 {
    u16::try_from(minutes.clamp(0, i64::from(u16::MAX - 1))).unwrap_or(0)
}

/// A slot, or the place that its consultations wait at.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent marks, each for another table"
)]
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    identity: [u64; 2],
    /// `None`: only consultations have named it yet.
    pub held: Option<Held>,
    pub first_consultation: Option<ConsultationIndex>,
    /// Some admitted version named a booking: linked consultations no longer wait.
    pub was_booked: bool,
    /// Whether the fact that stands in the aggregates took the start for past.
    pub is_folded_past: bool,
    /// Its fact before the open transaction is noted.
    pub is_touched: bool,
    /// It stands among the upcoming under the start it has.
    pub is_upcoming: bool,
}

/// All slots of a task.
#[derive(Debug, Default)]
pub struct Slots {
    index: HashTable<u32>,
    slots: Vec<Slot>,
}

fn words(identity: Identity) -> [u64; 2] {
    [(identity.0 >> 64) as u64, identity.0 as u64]
}

impl Slots {
    /// The slot of an identity, made as a waiting place if it is new.
    pub fn find_or_wait(&mut self, identity: Identity) -> SlotIndex {
        let words = words(identity);
        let slots = &self.slots;
        // An identity is a hash already.
        let entry = self.index.entry(
            words[1],
            |found| slots[*found as usize].identity == words,
            |found| slots[*found as usize].identity[1],
        );
        match entry {
            Entry::Occupied(found) => SlotIndex(*found.get()),
            Entry::Vacant(room) => {
                let index = u32::try_from(self.slots.len()).expect("fewer than 2^32 slots");
                room.insert(index);
                self.slots.push(Slot {
                    identity: words,
                    held: None,
                    first_consultation: None,
                    was_booked: false,
                    is_folded_past: false,
                    is_touched: false,
                    is_upcoming: false,
                });
                SlotIndex(index)
            }
        }
    }

    #[must_use]
    pub fn get(&self, index: SlotIndex) -> &Slot {
        &self.slots[index.0 as usize]
    }

    pub fn get_mut(&mut self, index: SlotIndex) -> &mut Slot {
        &mut self.slots[index.0 as usize]
    }

    /// Every index there is.
    pub fn indexes(&self) -> impl Iterator<Item = SlotIndex> + use<> {
        (0_u32..).map(SlotIndex).take(self.slots.len())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.index.capacity() * 5
    }
}
