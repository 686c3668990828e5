//! Consultations in memory: the newest admitted version of each, in a list at its slot.

use std::cmp::Ordering;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::domain::disposition::Disposition;
use crate::domain::draft::ConsultationDraft;
use crate::domain::identity::{Identity, NativeId};
use crate::domain::reference::PracticeIndex;
use crate::domain::time::{Local, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::SdsRoleGroup;

use super::slots::{SlotIndex, clamp_minutes};

/// A consultation of this task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsultationIndex(pub u32);

/// An id as its supplier writes it, texts in the common store.
#[derive(Debug, Clone, Copy)]
enum HeldId {
    Number(i64),
    Text { at: u64, length: u32 },
}

/// The newest admitted version of a consultation.
#[derive(Debug, Clone, Copy)]
pub struct Consultation {
    identity: [u64; 2],
    native_id: HeldId,
    pub practice: PracticeIndex,
    pub version: Timestamp,
    pub content: u64,
    /// Fingerprint of the fields that an aggregate reads.
    pub read: u64,
    pub start: Local,
    pub minutes: Option<u16>,
    pub role: Option<SdsRoleGroup>,
    pub supplier: Supplier,
    pub is_complete: bool,
    pub is_withdrawn: bool,
    /// The slot in whose list it stands.
    pub link: Option<SlotIndex>,
    next: Option<ConsultationIndex>,
    /// Where its newest version ends once it no longer waits.
    pub waits_for: Option<Disposition>,
}

impl Consultation {
    /// Counts as an unbooked consultation: live, complete, linked to nothing.
    #[must_use]
    pub const fn is_unbooked(&self) -> bool {
        self.is_complete && !self.is_withdrawn && self.link.is_none()
    }
}

/// What became of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    New(ConsultationIndex),
    Known(ConsultationIndex),
}

/// All consultations of a task.
#[derive(Debug, Default)]
pub struct Consultations {
    index: HashTable<u32>,
    entries: Vec<Consultation>,
    texts: Vec<u8>,
}

fn words(identity: Identity) -> [u64; 2] {
    [(identity.0 >> 64) as u64, identity.0 as u64]
}

impl Consultations {
    /// Finds the draft's consultation, or makes it of the draft, not linked yet.
    pub fn find_or_insert(
        &mut self,
        draft: &ConsultationDraft<'_>,
        practice: PracticeIndex,
        read: u64,
    ) -> Found {
        let words = words(draft.identity);
        let known = &self.entries;
        let entry = self.index.entry(
            words[1],
            |found| known[*found as usize].identity == words,
            |found| known[*found as usize].identity[1],
        );
        match entry {
            Entry::Occupied(found) => Found::Known(ConsultationIndex(*found.get())),
            Entry::Vacant(room) => {
                let index =
                    u32::try_from(self.entries.len()).expect("fewer than 2^32 consultations");
                room.insert(index);
                let native_id = match draft.native_id {
                    NativeId::Number(number) => HeldId::Number(number),
                    NativeId::Text(text) => {
                        let at = self.texts.len() as u64;
                        self.texts.extend_from_slice(text.as_bytes());
                        let length = u32::try_from(text.len()).expect("a record is below 1 MiB");
                        HeldId::Text { at, length }
                    }
                };
                self.entries.push(Consultation {
                    identity: words,
                    native_id,
                    practice,
                    version: draft.version,
                    content: draft.content,
                    read,
                    start: draft.start,
                    minutes: None,
                    role: None,
                    supplier: draft.supplier,
                    is_complete: false,
                    is_withdrawn: false,
                    link: None,
                    next: None,
                    waits_for: None,
                });
                let index = ConsultationIndex(index);
                self.hold(index, draft, practice, read);
                Found::New(index)
            }
        }
    }

    /// Puts a draft in place of the version held; its link stays for the caller to set.
    pub fn hold(
        &mut self,
        index: ConsultationIndex,
        draft: &ConsultationDraft<'_>,
        practice: PracticeIndex,
        read: u64,
    ) {
        let held = self.get_mut(index);
        held.practice = practice;
        held.version = draft.version;
        held.content = draft.content;
        held.read = read;
        held.start = draft.start;
        held.minutes = draft.minutes.map(clamp_minutes);
        held.role = draft.role;
        held.is_complete = draft.complete;
        held.is_withdrawn = draft.withdrawn;
    }

    #[must_use]
    pub fn get(&self, index: ConsultationIndex) -> &Consultation {
        &self.entries[index.0 as usize]
    }

    pub fn get_mut(&mut self, index: ConsultationIndex) -> &mut Consultation {
        &mut self.entries[index.0 as usize]
    }

    /// Puts a consultation at the head of a slot's list; answers the new head.
    pub fn link(
        &mut self,
        index: ConsultationIndex,
        slot: SlotIndex,
        head: Option<ConsultationIndex>,
    ) -> Option<ConsultationIndex> {
        let consultation = self.get_mut(index);
        consultation.link = Some(slot);
        consultation.next = head;
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
        consultation.link = None;
        consultation.next = None;
        if head == Some(index) {
            return next;
        }
        let mut at = head;
        while let Some(before) = at {
            at = self.get(before).next;
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
        std::iter::successors(head, |at| self.get(*at).next)
    }

    /// feeds.md, rule 5: by start, then identity; numbers as numbers, texts by code point.
    #[must_use]
    pub fn compare(&self, a: ConsultationIndex, b: ConsultationIndex) -> Ordering {
        let (a, b) = (self.get(a), self.get(b));
        a.start
            .cmp(&b.start)
            .then_with(|| self.native(a.native_id).cmp(&self.native(b.native_id)))
    }

    fn native(&self, id: HeldId) -> (i64, &[u8]) {
        match id {
            HeldId::Number(number) => (number, &[]),
            HeldId::Text { at, length } => {
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                (0, &self.texts[at..at + length as usize])
            }
        }
    }

    /// Every index there is.
    pub fn indexes(&self) -> impl Iterator<Item = ConsultationIndex> + use<> {
        (0_u32..).map(ConsultationIndex).take(self.entries.len())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Consultation>()
            + self.index.capacity() * 5
            + self.texts.capacity()
    }
}
