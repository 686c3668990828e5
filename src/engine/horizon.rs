//! What lies behind the horizon leaves the memory; its figures stand.
//
//   days     … behind | horizon … greatest day of extraction … ahead
//                  └ figures are final for good: a version that comes is refused, or starts anew under its new day

use crate::domain::time::Day;

use super::state::consultations::ConsultationIndex;
use super::state::slots::{Mark, SlotIndex};
use super::task::Task;

/// The first day that is live, and how far the search for what is behind it has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Horizon {
    first: Day,
    slot: u32,
    consultation: u32,
}

impl Default for Horizon {
    fn default() -> Self {
        Self {
            first: Day(i32::MIN),
            slot: 0,
            consultation: 0,
        }
    }
}

/// The next number of a walk round and round.
fn next(at: &mut u32, numbers: u32) -> u32 {
    let number = if *at < numbers { *at } else { 0 };
    *at = number + 1;
    number
}

impl Task {
    /// Moves on to a later first day that is live, never back.
    pub fn live_from(&mut self, first: Day) {
        self.horizon.first = self.horizon.first.max(first);
    }

    /// Whether a slot's figures are final for good.
    pub(super) fn is_behind(&self, index: SlotIndex) -> bool {
        let slot = self.slots.get(index);
        slot.start()
            .is_some_and(|start| start.day() < self.horizon.first)
            && slot.is(Mark::FoldedPast)
            && !slot.is(Mark::Touched)
    }

    /// Looks at some entries, and forgets those behind the horizon. Called between transactions.
    pub fn evict(&mut self, entries: usize) {
        if self.horizon.first == Day(i32::MIN) {
            return;
        }
        for _ in 0..entries.min(self.slots.numbers() as usize) {
            let index = SlotIndex(next(&mut self.horizon.slot, self.slots.numbers()));
            if self.is_behind(index) {
                self.forget(index);
            }
        }
        for _ in 0..entries.min(self.consultations.numbers() as usize) {
            let numbers = self.consultations.numbers();
            let index = ConsultationIndex(next(&mut self.horizon.consultation, numbers));
            let consultation = self.consultations.get(index);
            let is_behind = consultation.start().day() < self.horizon.first;
            if is_behind && !consultation.is_vacant() && consultation.link().is_none() {
                self.vacate(index);
            }
        }
    }

    /// Forgets a slot and its consultations, unless one of them still waits: it is counted as pending.
    pub(super) fn forget(&mut self, index: SlotIndex) -> bool {
        let head = self.slots.get(index).first_consultation();
        let consultations: Vec<_> = self.consultations.list(head).collect();
        let waits = |at: &ConsultationIndex| self.consultations.get(*at).waits_for().is_some();
        if consultations.iter().any(waits) {
            return false;
        }
        for consultation in consultations {
            self.vacate(consultation);
        }
        self.slots.vacate(index);
        if self.keeps {
            self.changed_slots.push(index);
        }
        true
    }

    fn vacate(&mut self, index: ConsultationIndex) {
        let practice = self.consultations.get(index).practice();
        let code = self.practices.code(practice).clone();
        self.consultations.vacate(index, &code);
    }
}
