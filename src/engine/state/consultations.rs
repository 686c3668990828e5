//! Consultations in memory: the newest admitted version of each, in a list at its slot.

use std::cmp::Ordering;

use crate::domain::disposition::Disposition;
use crate::domain::draft::ConsultationDraft;
use crate::domain::identity::{IdSpace, Identity, NativeId};
use crate::domain::time::{Local, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::SdsRoleGroup;

use super::block::{Fields, Kept};
use super::chunks::Chunks;
use super::index::Index;
use super::native::{self, Id, Kind, Packed};
use super::packed::{Maybe, Millis, Minutes};
use super::practices::PracticeNumber;
use super::slots::SlotIndex;
use super::texts::Texts;

/// A consultation of this task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsultationIndex(pub u32);

/// One version of a consultation as it is held, its id and link aside.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub practice: PracticeNumber,
    pub version: Timestamp,
    /// Fingerprint of all that follows the wrapper.
    pub content: u32,
    /// Midnight where the time is missing.
    pub start: Local,
    minutes: Minutes,
    pub role: Option<SdsRoleGroup>,
    pub supplier: Supplier,
    pub is_complete: bool,
    pub is_withdrawn: bool,
}

impl Held {
    #[must_use]
    pub fn new(draft: &ConsultationDraft<'_>, practice: PracticeNumber) -> Self {
        Self {
            practice,
            version: draft.version,
            content: draft.content as u32,
            start: draft.start,
            minutes: Minutes::new(draft.minutes),
            role: draft.role,
            supplier: draft.supplier,
            is_complete: draft.complete,
            is_withdrawn: draft.withdrawn,
        }
    }

    #[must_use]
    pub const fn minutes(&self) -> Option<u16> {
        self.minutes.get()
    }

    /// Whether an aggregate reads the same in both, their links aside.
    #[must_use]
    pub fn reads_as(&self, other: &Self) -> bool {
        self.start == other.start
            && self.minutes() == other.minutes()
            && self.role == other.role
            && self.is_complete == other.is_complete
            && self.is_withdrawn == other.is_withdrawn
    }
}

const COMPLETE: u16 = 1;
const WITHDRAWN: u16 = 1 << 1;
const SUPPLIER: u16 = 2;
const ROLE: u16 = 4;
const KIND: u16 = 7;
const WAITS: u16 = 10;
/// It has changed since changes were last taken.
const CHANGED: u16 = 1 << 12;
/// Nothing is here.
const VACANT: u16 = 1 << 13;
const TWO: u16 = 0b11;
const THREE: u16 = 0b111;

/// How a version ends that waited, by its bits; 0: it does not wait.
const ENDS: [Option<Disposition>; 4] = [
    None,
    Some(Disposition::Accepted),
    Some(Disposition::Unchanged),
    Some(Disposition::Conflicting),
];

/// The newest admitted version of a consultation: 46 bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(2))]
pub struct Consultation {
    id: Packed,
    marks: u16,
    version: Millis,
    start: Millis,
    content: u32,
    link: Maybe,
    next: Maybe,
    version_high: i16,
    start_high: i16,
    minutes: Minutes,
    practice: u16,
}

const _: () = assert!(size_of::<Consultation>() == 46, "every byte counts");

impl Consultation {
    fn new(kind: Kind, id: Packed, held: &Held) -> Self {
        let mut new = Self {
            id,
            marks: (kind as u16) << KIND,
            version: Millis::default(),
            start: Millis::default(),
            content: 0,
            link: Maybe::NONE,
            next: Maybe::NONE,
            version_high: 0,
            start_high: 0,
            minutes: Minutes::new(None),
            practice: 0,
        };
        new.hold(held);
        new
    }

    /// Holds a version in place of the one before; its link stays for the caller to set.
    pub fn hold(&mut self, held: &Held) {
        self.marks = self.marks & (THREE << KIND | TWO << WAITS | CHANGED)
            | u16::from(held.is_complete)
            | u16::from(held.is_withdrawn) << 1
            | (held.supplier as u16) << SUPPLIER
            | held.role.map_or(THREE, |role| role as u16) << ROLE;
        (self.version, self.version_high) = Millis::split(held.version.0);
        (self.start, self.start_high) = Millis::split(held.start.0);
        self.content = held.content;
        self.minutes = held.minutes;
        self.practice = held.practice.0;
    }

    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            practice: self.practice(),
            version: self.version(),
            content: self.content,
            start: self.start(),
            minutes: self.minutes,
            role: self.role(),
            supplier: self.supplier(),
            is_complete: self.marks & COMPLETE != 0,
            is_withdrawn: self.marks & WITHDRAWN != 0,
        }
    }

    #[must_use]
    pub const fn practice(&self) -> PracticeNumber {
        PracticeNumber(self.practice)
    }

    #[must_use]
    pub const fn version(&self) -> Timestamp {
        Timestamp(self.version.join(self.version_high))
    }

    #[must_use]
    pub const fn start(&self) -> Local {
        Local(self.start.join(self.start_high))
    }

    #[must_use]
    pub const fn minutes(&self) -> Option<u16> {
        self.minutes.get()
    }

    #[must_use]
    pub fn role(&self) -> Option<SdsRoleGroup> {
        SdsRoleGroup::from_index((self.marks >> ROLE & THREE) as usize)
    }

    #[must_use]
    pub const fn supplier(&self) -> Supplier {
        Supplier::ALL[(self.marks >> SUPPLIER & TWO) as usize]
    }

    /// Live and complete: it says something of its appointment, or of none.
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.marks & (COMPLETE | WITHDRAWN) == COMPLETE
    }

    /// Counts as an unbooked consultation: live, complete, linked to nothing.
    #[must_use]
    pub const fn is_unbooked(&self) -> bool {
        self.counts() && self.link.get().is_none()
    }

    /// The slot in whose list it stands.
    #[must_use]
    pub const fn link(&self) -> Option<SlotIndex> {
        match self.link.get() {
            Some(number) => Some(SlotIndex(number)),
            None => None,
        }
    }

    /// Notes that it waits, and how its newest version ends once it no longer does.
    ///
    /// # Panics
    /// If no version that is held can end so.
    pub fn wait(&mut self, ends: Disposition) {
        let bits = ENDS.iter().position(|end| *end == Some(ends));
        let bits = bits.expect("a version that is held was accepted, unchanged or conflicting");
        self.marks = self.marks & !(TWO << WAITS) | (bits as u16) << WAITS;
    }

    /// How its newest version will end, if it waits.
    #[must_use]
    pub const fn waits_for(&self) -> Option<Disposition> {
        ENDS[(self.marks >> WAITS & TWO) as usize]
    }

    /// Ends its waiting, if it waited.
    pub const fn end_waiting(&mut self) -> Option<Disposition> {
        let ended = ENDS[(self.marks >> WAITS & TWO) as usize];
        self.marks &= !(TWO << WAITS);
        ended
    }

    const fn kind(&self) -> Kind {
        Kind::ALL[(self.marks >> KIND & THREE) as usize]
    }

    fn next(&self) -> Option<ConsultationIndex> {
        self.next.get().map(ConsultationIndex)
    }
}

impl Consultation {
    fn write(&self, into: &mut Vec<u8>) {
        let mut put = |bytes: &[u8]| into.extend_from_slice(bytes);
        put(&self.id);
        // As it was when there were more of them.
        put(&u32::from(self.marks & !CHANGED).to_le_bytes());
        put(&self.version.low().to_le_bytes());
        put(&self.version_high.to_le_bytes());
        put(&self.start.low().to_le_bytes());
        put(&self.start_high.to_le_bytes());
        put(&self.content.to_le_bytes());
        put(&self.link.bits().to_le_bytes());
        put(&self.next.bits().to_le_bytes());
        put(&self.minutes.bits().to_le_bytes());
        put(&self.practice.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let read = Self {
            id: fields.sixteen()?,
            marks: u16::try_from(fields.u32()?).ok()? & !CHANGED,
            version: Millis::from_low(fields.u32()?),
            version_high: fields.i16()?,
            start: Millis::from_low(fields.u32()?),
            start_high: fields.i16()?,
            content: fields.u32()?,
            link: Maybe::from_bits(fields.u32()?),
            next: Maybe::from_bits(fields.u32()?),
            minutes: Minutes::from_bits(fields.u16()?),
            practice: fields.u16()?,
        };
        let is_known = (read.marks >> KIND & THREE) < Kind::ALL.len() as u16;
        fields.end().filter(|()| is_known).map(|()| read)
    }

    /// Nothing is here.
    #[must_use]
    pub const fn is_vacant(&self) -> bool {
        self.marks & VACANT != 0
    }

    fn vacant() -> Self {
        Self {
            id: [0; 16],
            marks: VACANT,
            version: Millis::default(),
            start: Millis::default(),
            content: 0,
            link: Maybe::NONE,
            next: Maybe::NONE,
            version_high: 0,
            start_high: 0,
            minutes: Minutes::from_bits(0),
            practice: 0,
        }
    }
}

/// All consultations of a task.
#[derive(Debug, Default)]
pub struct Consultations {
    index: Index,
    entries: Chunks<Consultation>,
    /// Ids that do not fit their entries.
    texts: Texts,
    /// Numbers that are vacant.
    free: Vec<u32>,
    /// Whether changes are noted.
    keeps: bool,
    /// Numbers of entries that have changed since they were last taken.
    changed: Vec<u32>,
}

impl Kept for Consultations {
    fn entries(&self) -> u32 {
        self.entries.len() as u32
    }

    fn write(&self, number: u32, into: &mut Vec<u8>) {
        self.entries.get(number).write(into);
    }

    fn read(&mut self, number: u32, bytes: &[u8]) -> Option<()> {
        let entry = Consultation::read(bytes)?;
        self.entries.set(number, entry, Consultation::vacant);
        Some(())
    }
}

#[inline]
const fn hash(identity: Identity) -> u64 {
    identity.0 as u64
}

impl Consultations {
    #[inline]
    #[must_use]
    pub fn find(
        &self,
        identity: Identity,
        practice: PracticeNumber,
        supplier: Supplier,
        id: Id<'_>,
    ) -> Option<ConsultationIndex> {
        let is_it = |found: u32| {
            let entry = self.entries.get(found);
            if entry.practice != practice.0 || entry.supplier() != supplier {
                return false;
            }
            match id {
                Id::Packed(kind, id) => entry.kind() == kind && entry.id == id,
                Id::Long(text) => {
                    entry.kind() == Kind::Long
                        && native::unpack(Kind::Long, &entry.id, self.texts.bytes()).text()
                            == text.as_bytes()
                }
            }
        };
        self.index
            .find(hash(identity), is_it)
            .map(ConsultationIndex)
    }

    /// Adds a consultation that is not in yet, linked to nothing.
    pub fn insert(&mut self, identity: Identity, id: Id<'_>, held: &Held) -> ConsultationIndex {
        let (kind, packed) = match id {
            Id::Packed(kind, packed) => (kind, packed),
            Id::Long(text) => {
                let (at, length) = self.texts.push(text);
                (Kind::Long, native::pack_long(at, length))
            }
        };
        let new = Consultation::new(kind, packed, held);
        let number = if let Some(number) = self.free.pop() {
            // Its change may be noted already.
            let place = self.entries.get_mut(number);
            let changed = place.marks & CHANGED;
            *place = new;
            place.marks |= changed;
            number
        } else {
            self.entries.push(new)
        };
        self.index.insert(hash(identity), number);
        self.get_mut(ConsultationIndex(number));
        ConsultationIndex(number)
    }

    /// From here on what changes is noted.
    pub const fn keep_changes(&mut self) {
        self.keeps = true;
    }

    /// The numbers of the entries that have changed since this was last asked.
    pub fn take_changed(&mut self) -> Vec<u32> {
        let changed = std::mem::take(&mut self.changed);
        for number in &changed {
            self.entries.get_mut(*number).marks &= !CHANGED;
        }
        changed
    }

    #[must_use]
    pub const fn texts(&self) -> &Texts {
        &self.texts
    }

    pub const fn texts_mut(&mut self) -> &mut Texts {
        &mut self.texts
    }

    /// Makes what is read back ready to be looked up; `code` is that of a practice.
    pub fn restored<'a>(&mut self, code: impl Fn(PracticeNumber) -> &'a str) {
        self.index = Index::default();
        self.free.clear();
        for number in 0..self.entries.len() as u32 {
            let entry = self.entries.get(number);
            if entry.is_vacant() {
                self.free.push(number);
            } else {
                let identity = self.identity(entry, code(entry.practice()));
                self.index.insert(hash(identity), number);
            }
        }
    }

    /// Forgets a consultation that stands in no list; its number goes to another one day. `code` is that of its
    /// practice.
    pub fn vacate(&mut self, index: ConsultationIndex, code: &str) {
        let entry = self.entries.get(index.0);
        if entry.is_vacant() {
            return;
        }
        let identity = self.identity(entry, code);
        self.index.remove(hash(identity), index.0);
        let entry = self.get_mut(index);
        let changed = entry.marks & CHANGED;
        *entry = Consultation::vacant();
        entry.marks |= changed;
        self.free.push(index.0);
    }

    fn identity(&self, entry: &Consultation, code: &str) -> Identity {
        let id = self.id(entry);
        let text = std::str::from_utf8(id.text()).unwrap_or_default();
        let native = match id {
            native::Unpacked::Number(number) => NativeId::Number(number),
            native::Unpacked::Guid(_) | native::Unpacked::Text(_) => NativeId::Text(text),
        };
        Identity::new(entry.supplier(), IdSpace::Consultation, code, native)
    }

    /// Brings near what a look-up will read first; the answer means nothing.
    #[inline]
    #[must_use]
    pub fn approach(&self, identity: Identity) -> u64 {
        self.index.approach(hash(identity))
    }

    #[inline]
    #[must_use]
    pub fn get(&self, index: ConsultationIndex) -> &Consultation {
        self.entries.get(index.0)
    }

    #[inline]
    pub fn get_mut(&mut self, index: ConsultationIndex) -> &mut Consultation {
        let entry = self.entries.get_mut(index.0);
        if self.keeps && entry.marks & CHANGED == 0 {
            entry.marks |= CHANGED;
            self.changed.push(index.0);
        }
        entry
    }

    /// Puts a consultation at the head of a slot's list; answers the new head.
    pub fn link(
        &mut self,
        index: ConsultationIndex,
        slot: SlotIndex,
        head: Option<ConsultationIndex>,
    ) -> Option<ConsultationIndex> {
        let consultation = self.get_mut(index);
        consultation.link = Maybe::new(Some(slot.0));
        consultation.next = Maybe::new(head.map(|head| head.0));
        Some(index)
    }

    /// Takes a consultation out of a slot's list; answers the new head.
    pub fn unlink(
        &mut self,
        index: ConsultationIndex,
        head: Option<ConsultationIndex>,
    ) -> Option<ConsultationIndex> {
        let next = self.get(index).next;
        let consultation = self.get_mut(index);
        consultation.link = Maybe::NONE;
        consultation.next = Maybe::NONE;
        if head == Some(index) {
            return next.get().map(ConsultationIndex);
        }
        let mut at = head;
        while let Some(before) = at {
            at = self.get(before).next();
            if at == Some(index) {
                self.get_mut(before).next = next;
                break;
            }
        }
        head
    }

    /// A slot's consultations, in no order that means anything.
    pub fn list(
        &self,
        head: Option<ConsultationIndex>,
    ) -> impl Iterator<Item = ConsultationIndex> + '_ {
        std::iter::successors(head, |at| self.get(*at).next())
    }

    /// feeds.md, rule 5: by start, then identity; numbers as numbers, texts by code point.
    #[must_use]
    pub fn compare(&self, a: ConsultationIndex, b: ConsultationIndex) -> Ordering {
        let (a, b) = (self.get(a), self.get(b));
        a.start().cmp(&b.start()).then_with(|| {
            let id = |entry| self.id(entry);
            id(a).compare(&id(b))
        })
    }

    fn id<'a>(&'a self, entry: &'a Consultation) -> native::Unpacked<'a> {
        native::unpack(entry.kind(), &entry.id, self.texts.bytes())
    }

    /// Every index there is.
    pub fn indexes(&self) -> impl Iterator<Item = ConsultationIndex> + use<> {
        (0_u32..).map(ConsultationIndex).take(self.entries.len())
    }

    /// Consultations that are not vacant.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers given so far, vacant ones too.
    #[must_use]
    pub const fn numbers(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.bytes()
            + self.index.bytes()
            + self.texts.bytes().len()
            + self.changed.capacity() * size_of::<u32>()
    }
}
