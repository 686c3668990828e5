//! What surrounds the counted appointments: slots that stay free, cancellations, vaccinations, withdrawn rows.

use crate::domain::time::{Day, MILLIS_PER_DAY, MILLIS_PER_MINUTE, Month};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{HcpType, Mode, PublishedStatus, WaitingBand};

use super::batch::Batch;
use super::cells::Kind;
use super::consult::{self, Fate};
use super::draw::Draw;
use super::life::{Booking, Stage, State};
use super::texts::COVID_SLOT_TYPE;

/// The month from which COVID vaccinations are left out of every count (feeds.md, rule 4).
const WITHOUT_VACCINATIONS: Month = Month::new(2020, 11);

impl Draw<'_> {
    /// Now and then writes something that no publication counts.
    pub fn aside(&mut self, batch: &mut Batch) {
        match self.chance.below(1000) {
            0..70 => self.stays_free(batch),
            70..105 => self.cancelled(batch),
            105..109 => self.blocked(batch),
            109..112 => self.withdrawn(batch),
            112..120 if self.calendar().month >= WITHOUT_VACCINATIONS => self.vaccination(batch),
            _ => {}
        }
    }

    /// Any kind of appointment that this system can hold.
    fn any_kind(&mut self) -> Kind {
        let mode = match self.scene.supplier {
            Supplier::Inps => Mode::Unknown,
            Supplier::Emis | Supplier::Tpp | Supplier::Microtest => {
                self.chance
                    .pick(&[Mode::FaceToFace, Mode::FaceToFace, Mode::Telephone])
            }
        };
        Kind {
            status: PublishedStatus::Attended,
            hcp: self
                .chance
                .pick(&[HcpType::Gp, HcpType::OtherPracticeStaff]),
            mode,
            wait: self.chance.pick(&[
                WaitingBand::SameDay,
                WaitingBand::TwoToSevenDays,
                WaitingBand::EightToFourteenDays,
            ]),
        }
    }

    /// A new slot with nobody in it.
    fn empty_slot(&mut self) -> (Kind, State) {
        let kind = self.any_kind();
        let state = State {
            stage: Stage::Free,
            ..self.base(kind).freed()
        };
        self.renew_ids(&state);
        self.versions.clear();
        (kind, state)
    }

    fn opened_at(&mut self, state: &State) -> i64 {
        self.calendar()
            .instant(Day(state.day.0 - self.chance.between(10, 40)), 150)
    }

    fn stays_free(&mut self, batch: &mut Batch) {
        let (_, state) = self.empty_slot();
        let opened = self.opened_at(&state);
        self.add(opened, state);
        if self.chance.per_mille(200) {
            // Still free on the day, sent again.
            self.add(self.calendar().instant(state.day, state.start), state);
        }
        self.write(self.calendar().window(state.day), batch);
    }

    fn blocked(&mut self, batch: &mut Batch) {
        let (_, state) = self.empty_slot();
        let opened = self.opened_at(&state);
        self.add(opened, state);
        if self.scene.supplier != Supplier::Microtest {
            // Microtest has no such state.
            self.add(
                opened + MILLIS_PER_DAY,
                State {
                    stage: Stage::Blocked,
                    ..state
                },
            );
        }
        self.write(self.calendar().window(state.day), batch);
    }

    /// Booked and given up: an EMIS slot is free again, the others keep the cancelled booking.
    fn cancelled(&mut self, batch: &mut Batch) {
        let (kind, mut free) = self.empty_slot();
        let booked_on = Day(free.day.0 - self.chance.between(1, 20));
        let minute = self.chance.between(480, 1080);
        free.booking = Booking::Earlier;
        let booked = State {
            stage: Stage::Booked,
            booked: Some((booked_on, minute)),
            ..free
        };
        let given_up_on = Day(self.chance.between(booked_on.0, free.day.0));
        let given_up_at = self.calendar().instant(given_up_on, minute + 30);
        let opened = self.opened_at(&free);
        let booked_at = self.calendar().instant(booked_on, minute);
        if self.chance.per_mille(500) {
            self.add(opened.min(booked_at - MILLIS_PER_DAY), free);
        }
        self.add(booked_at, booked);
        let after = if self.scene.supplier == Supplier::Emis {
            free
        } else {
            State {
                stage: Stage::Cancelled,
                cancelled: Some((given_up_on, minute + 30)),
                ..booked
            }
        };
        self.add(given_up_at, after);
        self.write(self.calendar().window(free.day), batch);
        if self.chance.per_mille(20) {
            // Seen all the same, by the consultation module: a contradiction, which changes nothing.
            consult::linked(self, kind, &after, Fate::Complete, batch);
        }
    }

    /// Entered by mistake, taken out again.
    fn withdrawn(&mut self, batch: &mut Batch) {
        let kind = self.any_kind();
        let state = self.base(kind);
        self.renew_ids(&state);
        self.versions.clear();
        let entered = self.calendar().instant(state.day, state.start);
        self.add(entered, state);
        let noticed = i64::from(self.chance.between(5, 3_000)) * MILLIS_PER_MINUTE;
        self.add(
            entered + noticed,
            State {
                withdrawn: true,
                ..state
            },
        );
        self.write(self.calendar().window(state.day), batch);
    }

    /// A COVID vaccination, which is in no aggregate from 2020-12-01 on.
    fn vaccination(&mut self, batch: &mut Batch) {
        let kind = self.any_kind();
        let state = State {
            slot_type: COVID_SLOT_TYPE,
            ..self.base(kind)
        };
        self.renew_ids(&state);
        self.versions.clear();
        let booked_at = self.calendar().instant(Day(state.day.0 - 6), 600);
        self.add(booked_at, state.back_to(Stage::Booked));
        self.add(self.calendar().instant(state.day, state.start + 5), state);
        self.write(self.calendar().window(state.day), batch);
    }
}
