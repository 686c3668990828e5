//! What lies behind the horizon leaves the memory; its figures stand.
//
//   days     … behind | horizon … greatest day of extraction … ahead
//                  └ figures are final for good: a version that comes is refused, or starts anew under its new day

use crate::domain::time::Day;

use super::state::consultations::ConsultationIndex;
use super::state::slot::Mark;
use super::state::slots::SlotIndex;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::aggregate::{Declaration, Measure, Window};
    use crate::domain::category::Category;
    use crate::domain::disposition::Disposition;
    use crate::domain::draft::{AppointmentDraft, SlotState};
    use crate::domain::identity::Identity;
    use crate::domain::place::{Level, Place};
    use crate::domain::reference::{Agreement, AgreementState, PracticeRow, Reference};
    use crate::domain::time::{Local, Timestamp};
    use crate::domain::topic::{Supplier, SupplierTopic};
    use crate::domain::vocabulary::{Mode, SdsRoleGroup};
    use crate::engine::fold::Change;
    use crate::engine::plan::AggregatePlan;
    use crate::engine::task::Categorised;

    const PRACTICE: &str = "A81001";
    const DAY: i64 = 86_400_000;
    const LIVE: i32 = 400;

    fn reference() -> Reference {
        let mut reference = Reference::default();
        let agreement = Agreement {
            service_id: "GPAD".into(),
            state: AgreementState::Approved,
            effective_from: Day(0),
            effective_to: None,
            recorded_at: Timestamp(0),
            ordinal: 0,
        };
        reference.apply_agreement(PRACTICE, agreement);
        let place = Place {
            practice: Some(PRACTICE.into()),
            ..Place::default()
        };
        reference.apply_row(PRACTICE, place, PracticeRow::blank(Day(0)));
        reference
    }

    fn task() -> Task {
        let (levels, measures) = ([Level::Practice], [Measure::Appointments]);
        let declaration = Declaration::of_days("seen", Window::Day, &levels, &measures);
        let plan = AggregatePlan::compile(&[declaration]).expect("it holds together");
        Task::new(Arc::new(plan), Arc::new(reference()))
    }

    /// Takes in an attended appointment, extracted the day after `seen_on`; answers how it ended.
    fn take(task: &mut Task, slot: u128, day: i32, seen_on: i32) -> Disposition {
        let practice = reference().find(PRACTICE).expect("it is known");
        let draft = AppointmentDraft {
            supplier: Supplier::Tpp,
            identity: Identity(slot.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
            booking: None,
            version: Timestamp(i64::from(seen_on + 1) * DAY),
            content: u64::from(day.unsigned_abs()),
            start: Local::new(Day(day), 0),
            planned_minutes: 10,
            state: SlotState::Attended,
            booked_on: None,
            booked_at: None,
            arrived_at: None,
            left_at: None,
            cancelled_at: None,
            actual_minutes: None,
            times_reversed: false,
            role: Some(SdsRoleGroup::Gp),
            mode: Mode::FaceToFace,
            slot_type: "",
            own_category: None,
            is_visit: false,
        };
        let categorised = Categorised {
            own: Some(Category::UNMAPPED),
            slot_type: "",
            is_covid_vaccination: false,
        };
        task.live_from(Day(seen_on - LIVE));
        task.admit_appointment(
            practice,
            &draft,
            categorised,
            SupplierTopic::TppAppointments,
        );
        task.drain().expect("it was admitted")
    }

    /// Settles as of a day: by how much the figures of each row are now more than nothing.
    fn settle(task: &mut Task, today: i32) -> Vec<(i32, i64)> {
        task.advance(Timestamp(i64::from(today + 2) * DAY));
        let mut rows = Vec::new();
        task.settle(&mut |change| {
            if let Change::Row(row) = change {
                let figures = row
                    .figures
                    .as_ref()
                    .map_or(0, |figures| figures.counts[0].1);
                let (day, _) = row.window.days().expect("it counts days");
                rows.push((day.0, figures));
            }
        });
        rows
    }

    #[test]
    fn memory_is_that_of_the_live_days_and_no_figure_goes() {
        let (mut task, mut slot) = (task(), 0);
        for today in 10_000..14_000 {
            for _ in 0..5 {
                slot += 1;
                assert_eq!(take(&mut task, slot, today, today), Disposition::Accepted);
            }
            assert_eq!(
                settle(&mut task, today),
                [(today, 5)],
                "nothing is taken back"
            );
            task.evict(20);
        }
        let (slots, _) = task.entries();
        let live = 5 * usize::try_from(LIVE).expect("positive");
        assert!((live..live + 2_000).contains(&slots), "{slots} slots");
        assert_eq!(task.rows(), 4_000);
    }

    #[test]
    fn whether_a_slot_was_forgotten_yet_does_not_matter() {
        let (mut forgets, mut remembers) = (task(), task());
        for task in [&mut forgets, &mut remembers] {
            take(task, 1, 10_000, 10_000);
            take(task, 2, 10_500, 10_500);
            settle(task, 10_500);
        }
        forgets.evict(100);
        assert_eq!((forgets.entries().0, remembers.entries().0), (1, 2));
        let outcome = |task: &mut Task| (take(task, 1, 10_501, 10_501), settle(task, 10_501));
        let (one, other) = (outcome(&mut forgets), outcome(&mut remembers));
        assert_eq!(one, other);
        assert_eq!(
            one,
            (Disposition::Accepted, vec![(10_501, 1)]),
            "the old figure stands"
        );
        assert_eq!((forgets.entries().0, remembers.entries().0), (2, 2));
    }
}
