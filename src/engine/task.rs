//! One task: the newest versions of its practices, reconciled, and what they add to the aggregates.

use std::sync::Arc;

use crate::domain::aggregate::Row;
use crate::domain::category::Category;
use crate::domain::disposition::Disposition;
use crate::domain::reference::Reference;
use crate::domain::time::{Local, Timestamp};
use crate::domain::topic::{Supplier, SupplierTopic};

use super::fact::Fact;
use super::fold::{Change, Fold};
use super::horizon::Horizon;
use super::keep::Written;
use super::ledger::Counts;
use super::plan::AggregatePlan;
use super::queue::{Appointment, Consultation, Queued, TOGETHER};
use super::state::consultations::{ConsultationIndex, Consultations};
use super::state::native::Id;
use super::state::practices::Practices;
use super::state::slot::Mark;
use super::state::slot_types::SlotTypes;
use super::state::slots::{SlotIndex, Slots};
use super::upcoming::Upcoming;
use super::watermark::{Closed, Closing, STEP, Watermarks};

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
    pub(super) practices: Practices,
    /// Admitted versions that are not in yet.
    pub(super) queue: Vec<Queued>,
    /// How the version that went in last ended.
    pub(super) last: Option<Disposition>,
    pub(super) fold: Fold,
    counts: Counts,
    pub(super) watermarks: Watermarks,
    /// What the second stage was told of it, since the task began.
    told: Closed,
    pub(super) now: Timestamp,
    /// Slots touched since the last settlement, with the fact that stood.
    touched: Vec<(SlotIndex, Option<Fact>)>,
    pub(super) upcoming: Upcoming,
    /// While a backlog is loaded nothing is folded: the end of it folds everything once.
    is_loading: bool,
    /// Whether what changes is noted, to be written down.
    pub(super) keeps: bool,
    /// Slots that the last settlement has changed.
    pub(super) changed_slots: Vec<SlotIndex>,
    pub(super) written: Written,
    pub(super) horizon: Horizon,
    /// While records are read again, a held version that the rule no longer admits is as if it had never come.
    reads_again: bool,
    /// Versions of COVID-19 vaccinations, by supplier, since the last settlement.
    covid_vaccinations: [u64; Supplier::ALL.len()],
}

/// What the task tells of a settlement, beside what has changed.
#[derive(Debug)]
pub struct Settled {
    /// Records since the last settlement, by topic and disposition.
    pub counts: Counts,
    /// The greatest time of extraction admitted so far.
    pub as_of: Timestamp,
    /// Events too late for any practice's window that is kept.
    pub too_old: u64,
    /// Versions whose time of extraction was further ahead of "now" than is allowed, by supplier.
    pub ahead: [u64; Supplier::ALL.len()],
    /// Versions that would have been accepted and are in no figure, being COVID-19 vaccinations, by supplier.
    pub covid_vaccinations: [u64; Supplier::ALL.len()],
}

impl Task {
    #[must_use]
    pub fn new(plan: Arc<AggregatePlan>, reference: Arc<Reference>) -> Self {
        let mut slots = Slots::default();
        if plan.follows_events() {
            slots.keep_moments();
        }
        Self {
            fold: Fold::new(plan),
            reference,
            slots,
            consultations: Consultations::default(),
            slot_types: SlotTypes::default(),
            practices: Practices::default(),
            queue: Vec::new(),
            last: None,
            counts: Counts::default(),
            watermarks: Watermarks::new(Closing::default()),
            told: Closed::default(),
            now: Timestamp(i64::MIN),
            touched: Vec::new(),
            upcoming: Upcoming::new(Timestamp(i64::MIN)),
            is_loading: false,
            keeps: false,
            changed_slots: Vec::new(),
            written: Written::default(),
            horizon: Horizon::default(),
            covid_vaccinations: [0; Supplier::ALL.len()],
            reads_again: false,
        }
    }

    /// How windows close; to be told before anything else.
    pub fn close_by(&mut self, closing: Closing) {
        self.watermarks = Watermarks::new(closing);
    }

    /// What time it is, before anything is settled as of then.
    pub fn tell_time(&mut self, now: Timestamp) {
        self.watermarks.start(now);
    }

    /// Records of a supplier wait to be read: it is not silent, though nothing of it is taken in.
    pub fn has_unread(&mut self, supplier: Supplier) {
        self.watermarks.has_unread(supplier);
    }

    /// Another task of the same input has admitted a version of a supplier.
    pub fn has_come_to(&mut self, supplier: Supplier, version: Timestamp) {
        self.watermarks.see(supplier, version);
    }

    /// From here on versions are taken in without folding, until [`Self::finish_loading`].
    pub fn start_loading(&mut self) {
        self.is_loading = true;
    }

    /// Whether what is taken in from here on is read again: older versions may then take the place of newer ones
    /// that an agreement's change has removed (feeds.md, rule 10).
    pub fn read_again(&mut self, reads_again: bool) {
        self.drain();
        self.reads_again = reads_again;
    }

    /// Folds all that was loaded, as of the time last told.
    pub fn finish_loading(&mut self) {
        self.drain();
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
        self.fold.settle(&self.watermarks, self.now, &mut |_| {});
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

    /// Whether the last settlement left rows of closed windows to the next.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.fold.is_closing()
    }

    /// Bytes on the heap of what is kept of each aggregate, in the plan's order.
    #[must_use]
    pub fn bytes_by_aggregate(&self) -> Vec<usize> {
        self.fold.bytes().collect()
    }

    /// The time last told.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Rows that stand at practice level.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.fold.rows()
    }

    /// Takes in an admitted version of a slot and counts where it ends; `found` is where the slot was a moment ago.
    pub(super) fn take_appointment(
        &mut self,
        new: &Appointment,
        found: Option<SlotIndex>,
    ) -> Disposition {
        let held = &new.held;
        self.watermarks.see(held.supplier, held.version.at);
        let mut index = (found.filter(|found| self.slots.is_at(*found, new.identity)))
            .unwrap_or_else(|| self.slots.find_or_wait(new.identity));
        if self.is_behind(index) && self.forget(index) {
            // As if it had been forgotten before: when that happens must not matter.
            index = self.slots.find_or_wait(new.identity);
        }
        let slot = self.slots.get(index);
        let version = slot.version().filter(|old| {
            !self.reads_again
                || (slot.practice().zip(slot.start())).is_some_and(|(practice, start)| {
                    self.is_admitted(practice, old.at, start.day())
                })
        });
        let (disposition, replaces) = match version {
            None => (Disposition::Accepted, true),
            Some(old) => compare(
                held.version.at.cmp(&old.at),
                old.content == held.version.content,
                || old.read == held.version.read,
            ),
        };
        let disposition = if held.is_covid_vaccination && disposition == Disposition::Accepted {
            self.covid_vaccinations[held.supplier as usize] += 1;
            Disposition::Unchanged
        } else {
            disposition
        };
        self.counts.count(new.topic, disposition);
        let starts_booking = held.has_booking && !slot.is(Mark::WasBooked);
        let is_emis = held.supplier == Supplier::Emis;
        let names_another = is_emis
            && (self.slots.moments())
                .is_some_and(|moments| moments.is_new(index.0, new.moments.booking()));
        if replaces || starts_booking || names_another {
            self.touch(index);
        }
        if let Some(moments) = self.slots.moments_mut() {
            if names_another {
                moments.note(index.0, new.moments.booking());
            }
            if replaces {
                moments.hold(index.0, new.moments, is_emis);
            }
        }
        let slot = self.slots.get_mut(index);
        if replaces {
            // Moved: it is noted anew under its new start; visiting it at the old one is harmless.
            let stays = slot.is(Mark::Upcoming) && slot.start() == Some(held.start);
            slot.set(Mark::Upcoming, stays);
            slot.hold(held);
        }
        if starts_booking {
            slot.set(Mark::WasBooked, true);
            self.end_waiting(index);
        }
        disposition
    }

    /// Takes in an admitted version of a consultation and counts where it ends.
    pub(super) fn take_consultation(&mut self, new: &Consultation, id: Id<'_>) -> Disposition {
        let held = &new.held;
        self.watermarks.see(held.supplier, held.version);
        let found = self
            .consultations
            .find(new.identity, held.practice, held.supplier, id);
        let (index, disposition) = match found {
            None => (
                self.consultations.insert(new.identity, id, held),
                Disposition::Accepted,
            ),
            Some(index) => {
                let standing = self.consultations.get(index);
                let old = standing.held();
                let link = |slots: &Slots| new.link.map(|link| slots.find(link));
                let is_removed = self.reads_again
                    && !self.is_admitted(old.practice, old.version, old.start.day());
                let (disposition, replaces) = if is_removed {
                    (Disposition::Accepted, true)
                } else {
                    compare(
                        held.version.cmp(&old.version),
                        held.content == old.content,
                        || held.reads_as(&old) && standing.link().map(Some) == link(&self.slots),
                    )
                };
                if !replaces {
                    self.counts.count(new.topic, disposition);
                    return disposition;
                }
                self.detach(index);
                self.consultations.get_mut(index).hold(held);
                (index, disposition)
            }
        };
        let waits = self.attach(index, new);
        if waits {
            self.consultations.get_mut(index).wait(disposition);
        }
        let counted = if waits {
            Disposition::Pending
        } else {
            disposition
        };
        self.counts.count(new.topic, counted);
        counted
    }

    /// Moves on to newer reference data: what it covers leaves the old figures and enters the new.
    pub fn follow(&mut self, reference: Arc<Reference>) {
        self.drain();
        let changed = reference.changed_since(&self.reference);
        if changed.is_empty() {
            self.reference = reference;
            return;
        }
        let is_changed = |practice| changed.contains(&self.practices.index(practice));
        let slots: Vec<_> = self
            .slots
            .indexes()
            .filter(|index| self.slots.get(*index).practice().is_some_and(is_changed))
            .filter(|index| !self.is_behind(*index))
            .collect();
        let unbooked: Vec<_> = self
            .consultations
            .indexes()
            .filter(|index| {
                let consultation = self.consultations.get(*index);
                consultation.is_unbooked() && is_changed(consultation.practice())
            })
            .collect();
        for index in slots {
            self.touch(index);
        }
        for index in &unbooked {
            self.fold_unbooked(*index, -1);
        }
        self.slot_types
            .follow(&reference, &self.practices, &changed);
        self.reference = reference;
        for index in unbooked {
            self.fold_unbooked(index, 1);
        }
    }

    /// Moves on in time, never back: appointments whose start is before `now` become past.
    pub fn advance(&mut self, now: Timestamp) {
        self.drain();
        if now <= self.now {
            return;
        }
        self.now = now;
        for index in self.upcoming.take_past(now) {
            self.slots.get_mut(index).set(Mark::Upcoming, false);
            self.touch(index);
        }
    }

    /// Folds every touched slot and hands over what has changed since the last settlement.
    pub fn settle(&mut self, out: &mut dyn FnMut(Change<&Row>)) -> Settled {
        self.drain();
        let touched = std::mem::take(&mut self.touched);
        for some in touched.chunks(TOGETHER) {
            self.approach_slots(some.iter().map(|(index, _)| *index));
            for (index, stood) in some {
                self.slots.get_mut(*index).set(Mark::Touched, false);
                self.refold(*index, *stood);
            }
        }
        if self.keeps {
            self.changed_slots
                .extend(touched.iter().map(|(index, _)| *index));
        }
        self.touched = touched;
        self.touched.clear();
        self.watermarks.tell(self.now);
        self.fold.settle(&self.watermarks, self.now, out);
        let closed = self.watermarks.closed().floor(STEP);
        if closed != self.told {
            self.told = closed;
            out(Change::Closed(closed));
        }
        Settled {
            counts: std::mem::take(&mut self.counts),
            as_of: self.watermarks.as_of(),
            too_old: self.fold.take_too_old(),
            ahead: self.watermarks.take_ahead(),
            covid_vaccinations: std::mem::take(&mut self.covid_vaccinations),
        }
    }

    /// Replaces the fact that stood by the one that stands now.
    fn refold(&mut self, index: SlotIndex, stood: Option<Fact>) {
        let start = self.slots.get(index).start().map(Local::to_utc);
        let is_past = start.is_some_and(|start| start < self.now);
        let slot = self.slots.get_mut(index);
        slot.set(Mark::FoldedPast, is_past);
        if let Some(start) = start.filter(|_| !is_past && !slot.is(Mark::Upcoming)) {
            slot.set(Mark::Upcoming, true);
            self.upcoming.push(start, index);
        }
        let stands = self.fact(index);
        if stands != stood {
            self.fold
                .replace(&self.reference, stood.as_ref(), stands.as_ref());
        }
    }

    /// Notes the fact that stands before the first change of a transaction.
    fn touch(&mut self, index: SlotIndex) {
        if self.is_loading || self.slots.get(index).is(Mark::Touched) {
            return;
        }
        let fact = self.fact(index);
        self.slots.get_mut(index).set(Mark::Touched, true);
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
        let consultation = self.consultations.get_mut(index);
        let supplier = consultation.supplier();
        if let Some(disposition) = consultation.end_waiting() {
            // It is no longer the newest version, so it no longer waits.
            let topic = consultations_of(supplier);
            self.counts.leave_pending(topic, disposition);
        }
        if let Some(slot) = self.consultations.get(index).link() {
            self.touch(slot);
            let head = self.slots.get(slot).first_consultation();
            let head = self.consultations.unlink(index, head);
            self.slots.get_mut(slot).set_first_consultation(head);
        }
    }

    /// Puts a consultation into its slot's list, or counts it as unbooked; answers whether it waits.
    fn attach(&mut self, index: ConsultationIndex, new: &Consultation) -> bool {
        let Some(link) = new.link else {
            self.fold_unbooked(index, 1);
            return false;
        };
        let slot = self.slots.find_or_wait(link);
        self.touch(slot);
        let head = self.slots.get(slot).first_consultation();
        let head = self.consultations.link(index, slot, head);
        let slot = self.slots.get_mut(slot);
        slot.set_first_consultation(head);
        !new.held.is_withdrawn && !slot.is(Mark::WasBooked)
    }

    /// The appointment has come: its consultations end where they would have without waiting.
    fn end_waiting(&mut self, slot: SlotIndex) {
        let mut at = self.slots.get(slot).first_consultation();
        while let Some(index) = at {
            let consultation = self.consultations.get_mut(index);
            let supplier = consultation.supplier();
            if let Some(disposition) = consultation.end_waiting() {
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
fn compare(
    order: std::cmp::Ordering,
    is_same: bool,
    reads_the_same: impl FnOnce() -> bool,
) -> (Disposition, bool) {
    match order {
        std::cmp::Ordering::Less => (Disposition::Superseded, false),
        std::cmp::Ordering::Equal if is_same => (Disposition::Duplicate, false),
        std::cmp::Ordering::Equal => (Disposition::Conflicting, true),
        std::cmp::Ordering::Greater if reads_the_same() => (Disposition::Unchanged, true),
        std::cmp::Ordering::Greater => (Disposition::Accepted, true),
    }
}

pub(super) const fn consultations_of(supplier: Supplier) -> SupplierTopic {
    match supplier {
        Supplier::Emis => SupplierTopic::EmisConsultations,
        Supplier::Tpp => SupplierTopic::TppConsultations,
        Supplier::Inps => SupplierTopic::InpsConsultations,
        Supplier::Microtest => SupplierTopic::MicrotestConsultations,
    }
}
