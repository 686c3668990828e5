//! One task: the newest versions of its practices, reconciled, and what they add to the aggregates.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::disposition::Disposition;
use crate::domain::draft::{AppointmentDraft, ConsultationDraft};
use crate::domain::reference::{PracticeIndex, Reference};
use crate::domain::time::Timestamp;
use crate::domain::topic::{Supplier, SupplierTopic};

use super::consultations::{ConsultationIndex, Consultations, Found};
use super::fact::Fact;
use super::fold::{Change, Fold};
use super::ledger::Counts;
use super::plan::AggregatePlan;
use super::read;
use super::slot_types::SlotTypes;
use super::slots::{CategorySource, Held, SlotIndex, Slots};
use super::watermark::Watermarks;
use crate::domain::category::Category;

/// Where the category of an admitted appointment comes from.
#[derive(Debug, Clone, Copy)]
pub struct Categorised<'a> {
    pub own: Option<Category>,
    /// Trimmed.
    pub slot_type: &'a str,
    pub is_covid_vaccination: bool,
}

/// Admitted versions go in, settled changes come out.
//
//   admit ──► slots, consultations          (the newest version of each, links, waiting)
//               │ touch: the fact that stands is noted before the first change
//   settle ──►  └ fold: − the fact that stood, + the fact that stands now
#[derive(Debug)]
pub struct Task {
    pub(super) reference: Arc<Reference>,
    pub(super) slots: Slots,
    pub(super) consultations: Consultations,
    pub(super) slot_types: SlotTypes,
    fold: Fold,
    counts: Counts,
    watermarks: Watermarks,
    now: Timestamp,
    /// Slots touched since the last settlement, with the fact that stood.
    touched: Vec<(SlotIndex, Option<Fact>)>,
    /// Slots whose start is to come, by that start: moving on in time visits only these.
    upcoming: BTreeMap<Timestamp, Vec<SlotIndex>>,
    /// While a backlog is loaded nothing is folded: the end of it folds everything once.
    is_loading: bool,
}

/// What the task tells of a settlement, beside what has changed.
#[derive(Debug)]
pub struct Settled {
    /// Records since the last settlement, by topic and disposition.
    pub counts: Counts,
    /// The greatest time of extraction admitted so far.
    pub as_of: Timestamp,
}

impl Task {
    #[must_use]
    pub fn new(plan: Arc<AggregatePlan>, reference: Arc<Reference>) -> Self {
        Self {
            fold: Fold::new(plan),
            reference,
            slots: Slots::default(),
            consultations: Consultations::default(),
            slot_types: SlotTypes::default(),
            counts: Counts::default(),
            watermarks: Watermarks::default(),
            now: Timestamp(i64::MIN),
            touched: Vec::new(),
            upcoming: BTreeMap::new(),
            is_loading: false,
        }
    }

    /// From here on versions are taken in without folding, until [`Self::finish_loading`].
    pub fn start_loading(&mut self) {
        self.is_loading = true;
    }

    /// Folds all that was loaded, as of the time last told.
    pub fn finish_loading(&mut self) {
        self.is_loading = false;
        for index in self.slots.indexes() {
            self.refold(index, None);
        }
        for index in self.consultations.indexes() {
            self.fold_unbooked(index, 1);
        }
    }

    /// Forgets what the fold has gathered: its rows were published before (restoration).
    pub fn discard_changes(&mut self) {
        self.counts = Counts::default();
        self.fold.settle(&self.watermarks, &mut drop);
    }

    /// Counts a record that never became an admitted version.
    pub fn count(&mut self, topic: SupplierTopic, disposition: Disposition) {
        self.counts.count(topic, disposition);
    }

    #[must_use]
    pub fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }

    /// Live entries: slots and consultations.
    #[must_use]
    pub fn entries(&self) -> (usize, usize) {
        (self.slots.len(), self.consultations.len())
    }

    /// Bytes of state on the heap, aggregates left out.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slots.bytes() + self.consultations.bytes()
    }

    /// Rows that stand at practice level.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.fold.rows()
    }

    /// Takes in an admitted version of a slot and counts where it ends.
    pub fn admit_appointment(
        &mut self,
        practice: PracticeIndex,
        draft: &AppointmentDraft<'_>,
        categorised: Categorised<'_>,
        topic: SupplierTopic,
    ) -> Disposition {
        self.watermarks.see(draft.supplier, draft.version);
        let category = match categorised.own {
            Some(own) => CategorySource::Own(own),
            None => CategorySource::Mapping(self.slot_types.intern(
                &self.reference,
                practice,
                categorised.slot_type,
            )),
        };
        let is_covid = categorised.is_covid_vaccination;
        let read = read::appointment(draft, category, is_covid);
        let index = self.slots.find_or_wait(draft.identity);
        let slot = self.slots.get(index);
        let (disposition, replaces) = match &slot.held {
            None => (Disposition::Accepted, true),
            Some(held) => compare(
                (held.version, held.content, held.read),
                (draft.version, draft.content, read),
            ),
        };
        let disposition = if is_covid && disposition == Disposition::Accepted {
            Disposition::Unchanged
        } else {
            disposition
        };
        self.counts.count(topic, disposition);
        let names_booking = draft.supplier != Supplier::Emis || draft.booking.is_some();
        let starts_booking = names_booking && !slot.was_booked;
        if replaces || starts_booking {
            self.touch(index);
        }
        let slot = self.slots.get_mut(index);
        if replaces {
            // Moved: it is noted anew under its new start; visiting it at the old one is harmless.
            slot.is_upcoming &= slot.held.is_some_and(|held| held.start == draft.start);
            slot.held = Some(Held::new(draft, practice, category, is_covid, read));
        }
        if starts_booking {
            slot.was_booked = true;
            self.end_waiting(index);
        }
        disposition
    }

    /// Takes in an admitted version of a consultation and counts where it ends.
    pub fn admit_consultation(
        &mut self,
        practice: PracticeIndex,
        draft: &ConsultationDraft<'_>,
        topic: SupplierTopic,
    ) -> Disposition {
        self.watermarks.see(draft.supplier, draft.version);
        let read = read::consultation(draft);
        let (index, disposition) = match self.consultations.find_or_insert(draft, practice, read) {
            Found::New(index) => (index, Disposition::Accepted),
            Found::Known(index) => {
                let held = self.consultations.get(index);
                let (disposition, replaces) = compare(
                    (held.version, held.content, held.read),
                    (draft.version, draft.content, read),
                );
                if !replaces {
                    self.counts.count(topic, disposition);
                    return disposition;
                }
                self.detach(index);
                self.consultations.hold(index, draft, practice, read);
                (index, disposition)
            }
        };
        let waits = self.attach(index, draft);
        if waits {
            self.consultations.get_mut(index).waits_for = Some(disposition);
        }
        let counted = if waits {
            Disposition::Pending
        } else {
            disposition
        };
        self.counts.count(topic, counted);
        counted
    }

    /// Moves on to newer reference data: what it covers leaves the old figures and enters the new.
    pub fn follow(&mut self, reference: Arc<Reference>) {
        let changed = reference.changed_since(&self.reference);
        if changed.is_empty() {
            self.reference = reference;
            return;
        }
        let slots: Vec<_> = self
            .slots
            .indexes()
            .filter(|index| {
                let held = self.slots.get(*index).held;
                held.is_some_and(|held| changed.contains(&held.practice))
            })
            .collect();
        for index in slots {
            self.touch(index);
        }
        let unbooked: Vec<_> = self
            .consultations
            .indexes()
            .filter(|index| {
                let held = self.consultations.get(*index);
                held.is_unbooked() && changed.contains(&held.practice)
            })
            .collect();
        for index in &unbooked {
            self.fold_unbooked(*index, -1);
        }
        self.slot_types.follow(&reference, &changed);
        self.reference = reference;
        for index in unbooked {
            self.fold_unbooked(index, 1);
        }
    }

    /// Moves on in time, never back: appointments whose start is before `now` become past.
    pub fn advance(&mut self, now: Timestamp) {
        if now <= self.now {
            return;
        }
        self.now = now;
        let still_to_come = self.upcoming.split_off(&now);
        let due = std::mem::replace(&mut self.upcoming, still_to_come);
        for index in due.into_values().flatten() {
            self.slots.get_mut(index).is_upcoming = false;
            self.touch(index);
        }
    }

    /// Folds every touched slot and hands over what has changed since the last settlement.
    pub fn settle(&mut self, out: &mut dyn FnMut(Change)) -> Settled {
        let touched = std::mem::take(&mut self.touched);
        for (index, stood) in &touched {
            self.slots.get_mut(*index).is_touched = false;
            self.refold(*index, *stood);
        }
        self.touched = touched;
        self.touched.clear();
        self.fold.settle(&self.watermarks, out);
        Settled {
            counts: std::mem::take(&mut self.counts),
            as_of: self.watermarks.as_of(),
        }
    }

    /// Replaces the fact that stood by the one that stands now.
    fn refold(&mut self, index: SlotIndex, stood: Option<Fact>) {
        let start = self.slots.get(index).held.map(|held| held.start.to_utc());
        let is_past = start.is_some_and(|start| start < self.now);
        let slot = self.slots.get_mut(index);
        slot.is_folded_past = is_past;
        if let Some(start) = start.filter(|_| !is_past && !slot.is_upcoming) {
            slot.is_upcoming = true;
            self.upcoming.entry(start).or_default().push(index);
        }
        let stands = self.fact(index);
        if stands != stood {
            self.fold
                .replace(&self.reference, stood.as_ref(), stands.as_ref());
        }
    }

    /// Notes the fact that stands before the first change of a transaction.
    fn touch(&mut self, index: SlotIndex) {
        if self.is_loading || self.slots.get(index).is_touched {
            return;
        }
        let fact = self.fact(index);
        self.slots.get_mut(index).is_touched = true;
        self.touched.push((index, fact));
    }

    fn fold_unbooked(&mut self, index: ConsultationIndex, sign: i64) {
        if self.is_loading {
            return;
        }
        let fact = self.unbooked_fact(index);
        let (stood, stands) = if sign < 0 { (fact, None) } else { (None, fact) };
        self.fold
            .replace(&self.reference, stood.as_ref(), stands.as_ref());
    }

    /// Takes a consultation out of the figures and of its slot's list, before it is replaced.
    fn detach(&mut self, index: ConsultationIndex) {
        self.fold_unbooked(index, -1);
        let held = self.consultations.get_mut(index);
        let supplier = held.supplier;
        if let Some(disposition) = held.waits_for.take() {
            // It is no longer the newest version, so it no longer waits.
            let topic = consultations_of(supplier);
            self.counts.leave_pending(topic, disposition);
        }
        if let Some(slot) = self.consultations.get(index).link {
            self.touch(slot);
            let head = self.slots.get(slot).first_consultation;
            let head = self.consultations.unlink(index, head);
            self.slots.get_mut(slot).first_consultation = head;
        }
    }

    /// Puts a consultation into its slot's list, or counts it as unbooked; answers whether it waits.
    fn attach(&mut self, index: ConsultationIndex, draft: &ConsultationDraft<'_>) -> bool {
        let Some(link) = draft.link else {
            self.fold_unbooked(index, 1);
            return false;
        };
        let slot = self.slots.find_or_wait(link);
        self.touch(slot);
        let head = self.slots.get(slot).first_consultation;
        let head = self.consultations.link(index, slot, head);
        let slot = self.slots.get_mut(slot);
        slot.first_consultation = head;
        !draft.withdrawn && !slot.was_booked
    }

    /// The appointment has come: its consultations end where they would have without waiting.
    fn end_waiting(&mut self, slot: SlotIndex) {
        let mut at = self.slots.get(slot).first_consultation;
        while let Some(index) = at {
            let consultation = self.consultations.get_mut(index);
            let ended = consultation.waits_for.take();
            let supplier = consultation.supplier;
            if let Some(disposition) = ended {
                let topic = consultations_of(supplier);
                self.counts.leave_pending(topic, disposition);
            }
            at = self.consultations.list(Some(index)).nth(1);
        }
    }
}

/// What a version is against the one held, and whether it takes its place.
//
//   new − held     < 0 superseded   = 0 and same content: duplicate, else conflicting   > 0 newer
fn compare(held: (Timestamp, u64, u64), new: (Timestamp, u64, u64)) -> (Disposition, bool) {
    match new.0.cmp(&held.0) {
        std::cmp::Ordering::Less => (Disposition::Superseded, false),
        std::cmp::Ordering::Equal if new.1 == held.1 => (Disposition::Duplicate, false),
        std::cmp::Ordering::Equal => (Disposition::Conflicting, true),
        std::cmp::Ordering::Greater if new.2 == held.2 => (Disposition::Unchanged, true),
        std::cmp::Ordering::Greater => (Disposition::Accepted, true),
    }
}

const fn consultations_of(supplier: Supplier) -> SupplierTopic {
    match supplier {
        Supplier::Emis => SupplierTopic::EmisConsultations,
        Supplier::Tpp => SupplierTopic::TppConsultations,
        Supplier::Inps => SupplierTopic::InpsConsultations,
        Supplier::Microtest => SupplierTopic::MicrotestConsultations,
    }
}
