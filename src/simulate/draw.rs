//! One counted appointment: the life that ends as the unit of its cell.

use crate::domain::time::{Day, MILLIS_PER_DAY, MILLIS_PER_MINUTE};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{HcpType, Mode, PublishedStatus};

use super::batch::Batch;
use super::calendar::{Calendar, Window};
use super::cells::Kind;
use super::chance::Chance;
use super::consult;
use super::emit::{Ids, Scene, appt_id, guid};
use super::life::{Booking, Category, Encounter, Stage, State, Version, fit};
use super::texts::{self, ENCOUNTER, OTHER_CONTEXTS, SLOT_TYPES};
use super::times::{booked, start_minute};

/// The last minute of the day by which everything about an appointment has happened.
const LAST_MINUTE: i32 = 22 * 60;

/// Draws and writes the records of one system of one practice.
pub struct Draw<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) chance: Chance,
    /// Whether the records carry the category themselves, mostly.
    pub(super) own_categories: bool,
    pub(super) next_row: i64,
    pub(super) next_visit: i64,
    pub(super) next_encounter: i64,
    pub(super) ids: Ids,
    pub(super) versions: Vec<Version<State>>,
}

impl<'a> Draw<'a> {
    /// For a system of a practice; `seed` also tells the runs of other months apart.
    #[must_use]
    pub fn new(seed: u64, practice: &'a str, supplier: Supplier, calendar: &'a Calendar) -> Self {
        let name = format!("{practice} {supplier} {}", calendar.month.label());
        let mut chance = Chance::of(seed, &name);
        // Ten million rows for each month, so that months never share an identity.
        let first = i64::from(calendar.month.0 - 12 * 2_000) * 10_000_000;
        Self {
            scene: Scene {
                practice,
                supplier,
                calendar,
            },
            own_categories: chance.per_mille(350),
            chance,
            next_row: first + 1,
            next_visit: first + 1,
            next_encounter: first + 1,
            ids: Ids::default(),
            versions: Vec::new(),
        }
    }

    pub(super) fn calendar(&self) -> &'a Calendar {
        self.scene.calendar
    }

    /// Writes one appointment that the publication counts as `kind`.
    pub fn counted(&mut self, kind: Kind, batch: &mut Batch) {
        let mut state = self.base(kind);
        let needs = self.leave_to_consultation(kind, &mut state);
        self.renew_ids(&state);
        let window = self.calendar().window(state.day);
        self.live(kind, state, window);
        self.write(window, batch);
        consult::after(self, kind, &state, needs, batch);
    }

    /// Takes out of some attended appointments what a consultation will say of them: that the patient came, how long
    /// it took, who it was. Gives whether one has to.
    fn leave_to_consultation(&mut self, kind: Kind, state: &mut State) -> bool {
        let chance = &mut self.chance;
        if kind.status != PublishedStatus::Attended || state.visit || !chance.per_mille(150) {
            return false;
        }
        match chance.below(10) {
            0..4 => *state = state.back_to(Stage::Arrived),
            4..6 => *state = state.back_to(Stage::InProgress),
            6..8 => *state = state.back_to(Stage::Booked),
            _ => state.seen = None,
        }
        if chance.per_mille(250) {
            state.role = None;
        }
        true
    }

    /// The final state of a new appointment.
    pub(super) fn base(&mut self, kind: Kind) -> State {
        let supplier = self.scene.supplier;
        let day = self.calendar().draw(&mut self.chance);
        let chance = &mut self.chance;
        let start = start_minute(chance, kind.mode, day);
        let planned = chance.pick(&[5, 10, 10, 10, 10, 12, 15, 15, 20, 30]);
        let arrived = (start + chance.between(-12, 6)).max(1);
        let seen = arrived.max(start - 3) + chance.between(0, 14);
        let left = (seen + chance.actual_minutes()).min(LAST_MINUTE);
        let visit =
            supplier == Supplier::Tpp && kind.mode == Mode::HomeVisit && chance.per_mille(700);
        let flagged =
            supplier == Supplier::Tpp && kind.mode == Mode::Telephone && chance.per_mille(500);
        let mode = match supplier {
            // The table or the flag says it, unless the record says it too.
            Supplier::Tpp if (visit || flagged) && chance.per_mille(700) => None,
            Supplier::Tpp | Supplier::Emis => texts::native_mode(chance, kind.mode),
            Supplier::Inps => None,
            Supplier::Microtest => texts::contact(chance, kind.mode),
        };
        let role = if kind.hcp == HcpType::Unknown && chance.per_mille(400) {
            None
        } else {
            Some(texts::role(chance, supplier, kind.hcp))
        };
        let slot_type = SLOT_TYPES[texts::slot_type(chance, kind.hcp, kind.mode)];
        let stage = match kind.status {
            PublishedStatus::Attended => Stage::Attended,
            PublishedStatus::Dna => Stage::Dna,
            PublishedStatus::Unknown => chance.pick(&[
                Stage::Booked,
                Stage::Booked,
                Stage::Booked,
                Stage::Arrived,
                Stage::InProgress,
            ]),
        };
        let came = matches!(stage, Stage::Attended | Stage::Arrived | Stage::InProgress);
        let booked = booked(chance, kind.wait, day, start);
        let category = self.category(slot_type);
        let chance = &mut self.chance;
        State {
            day,
            start,
            planned,
            stage,
            booking: Booking::Last,
            booked,
            cancelled: None,
            arrived: (came && !visit).then_some(arrived),
            seen: (stage == Stage::Attended || stage == Stage::InProgress).then_some(seen),
            left: (stage == Stage::Attended).then_some(left.max(seen)),
            mode,
            visit,
            telephone: flagged,
            role,
            slot_type: slot_type.text,
            category,
            withdrawn: false,
            variant: chance.below(256) as u8,
        }
    }

    /// What the record itself says of its category: mostly nothing, where the practice's mapping says it.
    pub(super) fn category(&mut self, slot_type: texts::SlotType) -> Option<Category> {
        let share = if self.own_categories { 900 } else { 30 };
        if !self.chance.per_mille(share) {
            return None;
        }
        let category = if self.chance.per_mille(5) {
            "Admin slot"
        } else {
            slot_type.category
        };
        let context = match self.chance.below(100) {
            0 | 1 => Some(self.chance.pick(&OTHER_CONTEXTS)),
            2..5 => None,
            _ => Some(ENCOUNTER),
        };
        let setting = (!self.chance.per_mille(30)).then_some(slot_type.setting);
        Some(Category {
            category,
            context,
            setting,
        })
    }

    /// New identities for the next slot.
    pub(super) fn renew_ids(&mut self, state: &State) {
        let chance = &mut self.chance;
        if self.scene.supplier == Supplier::Emis {
            guid(chance.bits(), chance.bits(), &mut self.ids.slot);
            for booking in &mut self.ids.bookings {
                guid(chance.bits(), chance.bits(), booking);
            }
            // A clinician's day: the same for one slot in eight of that day.
            let day = state.day.0.unsigned_abs();
            let session = u64::from(day) << 8 | u64::from(state.variant & 7);
            guid(
                session.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                u64::from(day),
                &mut self.ids.session,
            );
        }
        let next = if state.visit {
            &mut self.next_visit
        } else {
            &mut self.next_row
        };
        self.ids.row = *next;
        *next += 1;
        if self.scene.supplier == Supplier::Inps {
            appt_id(self.ids.row, &mut self.ids.appt);
        }
    }

    /// The versions that lead to `last`, and corrections after it, at their natural times.
    fn live(&mut self, kind: Kind, last: State, window: Window) {
        self.versions.clear();
        let calendar = self.calendar();
        let end = last
            .left
            .unwrap_or(last.start + last.planned)
            .min(LAST_MINUTE);
        let entered_late = last.booked.is_some_and(|(day, _)| day > last.day);
        let walked_in = entered_late
            || last
                .booked
                .is_some_and(|(day, minute)| day == last.day && minute >= last.start - 5);
        let booked_at = match last.booked {
            Some((day, minute)) => calendar.instant(day, minute),
            None => calendar.instant(
                Day(last.day.0 - self.chance.between(0, 9)),
                self.chance.between(480, 1080),
            ),
        };
        // Before: the slot on offer, given to somebody else first, or meant for another day.
        if !last.visit && !walked_in {
            if self.chance.per_mille(500) {
                let opened = calendar.instant(Day(last.day.0 - self.chance.between(14, 42)), 150);
                let ahead = i64::from(self.chance.between(1, 8)) * MILLIS_PER_DAY;
                self.add(opened.min(booked_at - ahead), last.freed());
            }
            if self.scene.supplier == Supplier::Emis && self.chance.per_mille(60) {
                self.given_up(last, booked_at);
            }
        }
        if !walked_in {
            let mut first = last.back_to(Stage::Booked);
            if self.chance.per_mille(25)
                && let Some(moved) = self.moved(last, window)
            {
                self.add(booked_at + 1, moved);
            }
            if self.chance.per_mille(30) {
                first.slot_type = SLOT_TYPES[31].text;
                first.category = None;
            }
            self.add(booked_at + 2, first);
        }
        // The day itself.
        if last.arrived.is_some() && last.stage != Stage::Arrived && self.chance.per_mille(550) {
            self.on_the_day(last.arrived, last, Stage::Arrived);
        }
        if last.seen.is_some() && last.stage != Stage::InProgress && self.chance.per_mille(350) {
            self.on_the_day(last.seen, last, Stage::InProgress);
        }
        let entered = match last.booked {
            Some((day, minute)) if entered_late => calendar.instant(day, minute.max(end)),
            _ => calendar.instant(last.day, end),
        };
        let delay = if self.chance.per_mille(30) {
            self.chance.between(1, 9)
        } else {
            0
        };
        let entered = entered + i64::from(delay) * MILLIS_PER_DAY;
        if self.chance.per_mille(35) {
            self.corrected(kind, last, entered);
        } else {
            self.add(entered, last);
        }
    }

    /// The slot held another booking before, and maybe none in between (EMIS).
    fn given_up(&mut self, last: State, booked_at: i64) {
        let ahead = |chance: &mut Chance| i64::from(chance.between(60, 20_000)) * MILLIS_PER_MINUTE;
        let freed_at = booked_at - ahead(&mut self.chance) / 4;
        let earlier_at = freed_at - ahead(&mut self.chance);
        let day = Day(i32::try_from(earlier_at.div_euclid(MILLIS_PER_DAY)).unwrap_or(last.day.0));
        let earlier = State {
            booking: Booking::Earlier,
            booked: Some((day, 600)),
            ..last.back_to(Stage::Booked)
        };
        self.add(earlier_at, earlier);
        if self.chance.per_mille(500) {
            self.add(freed_at, last.freed());
        }
    }

    /// The same booking on another day, where that can be extracted at the same times.
    fn moved(&mut self, last: State, window: Window) -> Option<State> {
        let day = Day(last.day.0 + self.chance.pick(&[-14, -7, -3, -1, 1, 2, 7, 21]));
        let common = window.meet(self.calendar().window(day));
        (common == window).then(|| State {
            day,
            ..last.back_to(Stage::Booked)
        })
    }

    /// A wrong state first, the right one days later.
    fn corrected(&mut self, kind: Kind, last: State, entered: i64) {
        let wrong = match (self.chance.below(5), kind.status) {
            (0, _) => State {
                withdrawn: true,
                ..last
            },
            (1, PublishedStatus::Attended) => {
                // There and back: the first entry was right after all.
                self.add(entered, last);
                State {
                    stage: Stage::Dna,
                    seen: None,
                    left: None,
                    ..last
                }
            }
            (2, PublishedStatus::Dna | PublishedStatus::Unknown) => State {
                stage: Stage::Attended,
                seen: Some(last.start),
                left: Some(last.start + last.planned),
                ..last
            },
            (3, _) => State {
                planned: last.planned + 5,
                ..last
            },
            (1 | 4, _) if self.scene.supplier != Supplier::Emis => State {
                stage: Stage::Cancelled,
                cancelled: Some((last.day, last.start)),
                ..last
            },
            _ => State {
                category: None,
                slot_type: SLOT_TYPES[30].text,
                ..last
            },
        };
        let step = |chance: &mut Chance| i64::from(chance.between(20, 6_000)) * MILLIS_PER_MINUTE;
        let noticed = entered + step(&mut self.chance);
        self.add(noticed, wrong);
        let righted = noticed + step(&mut self.chance);
        self.add(righted, last);
    }

    fn on_the_day(&mut self, minute: Option<i32>, last: State, stage: Stage) {
        if let Some(minute) = minute {
            self.add(
                self.calendar().instant(last.day, minute),
                last.back_to(stage),
            );
        }
    }

    /// Adds a version some seconds after `at`; natural times may cross, so a later addition is never earlier.
    pub(super) fn add(&mut self, at: i64, state: State) {
        let at = at + i64::from(self.chance.between(2_000, 90_000));
        let at = self
            .versions
            .last()
            .map_or(at, |last| at.max(last.at + 1_000));
        self.versions.push(Version { at, state });
    }

    /// Fits the versions into the window and writes them.
    pub(super) fn write(&mut self, window: Window, batch: &mut Batch) {
        fit(&mut self.versions, window, &mut self.chance);
        for version in &self.versions {
            self.scene
                .appointment(&self.ids, version, &mut self.chance, batch);
        }
    }

    /// Writes the versions of one consultation under a new identity.
    pub(super) fn encounter(&mut self, versions: &mut [Version<Encounter>], batch: &mut Batch) {
        if self.scene.supplier == Supplier::Emis {
            let (high, low) = (self.chance.bits(), self.chance.bits());
            guid(high, low, &mut self.ids.encounter);
        }
        self.ids.encounter_row = self.next_encounter;
        self.next_encounter += 1;
        let Some(day) = versions.first().map(|version| version.state.day) else {
            return;
        };
        fit(versions, self.calendar().window(day), &mut self.chance);
        for version in &*versions {
            self.scene
                .consultation(&self.ids, version, &mut self.chance, batch);
        }
    }
}
