//! All slots of a task in memory, found by identity, and the consultations' places to wait at.

use crate::domain::identity::Identity;

use super::block::Kept;
use super::chunks::Chunks;
use super::index::Index;
use super::moments::AllMoments;
use super::slot::{Mark, Slot, parts};

/// A slot of this task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotIndex(pub u32);

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
        let parts = parts(identity);
        self.index
            .find(hash(identity), |found| self.entries.get(found).is_of(parts))
            .map(SlotIndex)
    }

    /// Whether the slot of an identity is there.
    #[inline]
    #[must_use]
    pub fn is_at(&self, index: SlotIndex, identity: Identity) -> bool {
        let slot = self.entries.get(index.0);
        slot.is_of(parts(identity)) && !slot.is(Mark::Vacant)
    }

    /// The slot of an identity, made as a waiting place if it is new.
    pub fn find_or_wait(&mut self, identity: Identity) -> SlotIndex {
        if let Some(found) = self.find(identity) {
            return found;
        }
        let slot = Slot::waiting(identity);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_where_it_was_put_until_its_slot_is_forgotten_or_given_to_another() {
        let mut slots = Slots::default();
        let (one, other) = (Identity(1 << 70 | 7), Identity(1 << 71 | 7));
        let at = slots.find_or_wait(one);
        let beside = slots.find_or_wait(other);
        assert!(slots.is_at(at, one) && slots.is_at(beside, other));
        assert!(!slots.is_at(at, other) && !slots.is_at(beside, one));
        slots.vacate(at);
        assert!(!slots.is_at(at, one) && !slots.is_at(at, Identity(0)));
        let new = Identity(3);
        assert_eq!(slots.find_or_wait(new), at, "its number is given again");
        assert!(slots.is_at(at, new) && !slots.is_at(at, one));
    }
}
