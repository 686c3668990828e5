//! Admitted versions on their way into the state: a few at a time, so that memory is waited for once.
//!
//! Taken in one by one, a version waits for the index, then for its slot, then for the slot's consultations,
//! each a line of memory that no cache holds. Of a whole queue the same lines are asked for together.

use std::hint::black_box;

use crate::domain::disposition::Disposition;
use crate::domain::draft::{AppointmentDraft, ConsultationDraft};
use crate::domain::identity::Identity;
use crate::domain::reference::PracticeIndex;
use crate::domain::topic::SupplierTopic;

use super::read;
use super::state::moments::Moments;
use super::state::native::{self, Id};
use super::state::slot::CategorySource;
use super::state::slots::SlotIndex;
use super::state::{consultations, slot};
use super::task::{Categorised, Task};

/// Versions that wait together: enough that their lines of memory come together, few enough that
/// they stay in the first cache.
pub(super) const TOGETHER: usize = 32;

/// One admitted version, as it will be held.
#[derive(Debug, Clone, Copy)]
pub(super) enum Queued {
    Appointment(Appointment),
    Consultation(Consultation, Id<'static>),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Appointment {
    pub identity: Identity,
    pub held: slot::Held,
    pub moments: Moments,
    pub topic: SupplierTopic,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Consultation {
    pub identity: Identity,
    pub link: Option<Identity>,
    pub held: consultations::Held,
    pub topic: SupplierTopic,
}

impl Task {
    /// Takes in an admitted version of a slot, at the latest when [`Self::drain`] is called.
    pub fn admit_appointment(
        &mut self,
        practice: PracticeIndex,
        draft: &AppointmentDraft<'_>,
        categorised: Categorised<'_>,
        topic: SupplierTopic,
    ) {
        let practice = self.practices.number(&self.reference, practice);
        let category = if let Some(own) = categorised.own {
            CategorySource::Own(own)
        } else {
            let (reference, practices) = (&self.reference, &self.practices);
            let text = categorised.slot_type;
            let index = (self.slot_types).intern(reference, practices, practice, text);
            CategorySource::Mapping(index)
        };
        let is_covid = categorised.is_covid_vaccination;
        let read = read::appointment(draft, category, is_covid);
        self.push(Queued::Appointment(Appointment {
            identity: draft.identity,
            held: slot::Held::new(draft, practice, category, is_covid, read),
            moments: Moments::new(draft),
            topic,
        }));
    }

    /// Takes in an admitted version of a consultation, at the latest when [`Self::drain`] is called.
    pub fn admit_consultation(
        &mut self,
        practice: PracticeIndex,
        draft: &ConsultationDraft<'_>,
        topic: SupplierTopic,
    ) {
        let consultation = Consultation {
            identity: draft.identity,
            link: draft.link,
            held: consultations::Held::new(draft, self.practices.number(&self.reference, practice)),
            topic,
        };
        match native::pack(draft.native_id) {
            Id::Packed(kind, packed) => {
                self.push(Queued::Consultation(consultation, Id::Packed(kind, packed)));
            }
            long @ Id::Long(_) => {
                // Its text is borrowed: it cannot wait.
                self.drain();
                self.last = Some(self.take_consultation(&consultation, long));
            }
        }
    }

    fn push(&mut self, queued: Queued) {
        self.queue.push(queued);
        if self.queue.len() == TOGETHER {
            self.drain();
        }
    }

    /// Takes in what waits, in the order it came; answers how the version admitted last ended.
    pub fn drain(&mut self) -> Option<Disposition> {
        let mut queue = std::mem::take(&mut self.queue);
        let found = if queue.len() > 1 {
            self.approach(&queue)
        } else {
            [None; TOGETHER]
        };
        for (queued, found) in queue.iter().zip(found) {
            self.last = Some(match queued {
                Queued::Appointment(appointment) => self.take_appointment(appointment, found),
                Queued::Consultation(consultation, id) => self.take_consultation(consultation, *id),
            });
        }
        queue.clear();
        self.queue = queue;
        self.last
    }

    /// Reads once, step by step for all, what taking them in will read one after the other; answers the slots that were there.
    fn approach(&self, queue: &[Queued]) -> [Option<SlotIndex>; TOGETHER] {
        let slot_of = |queued: &Queued| match queued {
            Queued::Appointment(appointment) => Some(appointment.identity),
            Queued::Consultation(consultation, _) => consultation.link,
        };
        let mut seen = 0;
        for queued in queue {
            if let Some(identity) = slot_of(queued) {
                seen ^= self.slots.approach(identity);
            }
            if let Queued::Consultation(consultation, _) = queued {
                seen ^= self.consultations.approach(consultation.identity);
            }
        }
        let (mut heads, mut found) = ([None; TOGETHER], [None; TOGETHER]);
        for ((head, found), queued) in heads.iter_mut().zip(&mut found).zip(queue) {
            let slot = slot_of(queued).and_then(|identity| self.slots.find(identity));
            if let (Some(slot), Some(moments)) = (slot, self.slots.moments()) {
                seen ^= moments.approach(slot.0);
            }
            *head = slot.and_then(|slot| self.slots.get(slot).first_consultation());
            *found = slot;
        }
        for head in heads.into_iter().flatten() {
            seen ^= self.consultations.get(head).version().0 as u64;
        }
        black_box(seen);
        found
    }

    /// As when versions are taken in, for slots that are about to be folded again: they were touched in no order.
    pub(super) fn approach_slots(&self, slots: impl Iterator<Item = SlotIndex>) {
        let mut seen = 0;
        let mut heads = [None; TOGETHER];
        for (head, slot) in heads.iter_mut().zip(slots) {
            if let Some(moments) = self.slots.moments() {
                seen ^= moments.approach(slot.0);
            }
            *head = self.slots.get(slot).first_consultation();
        }
        for head in heads.into_iter().flatten() {
            seen ^= self.consultations.get(head).version().0 as u64;
        }
        black_box(seen);
    }
}
