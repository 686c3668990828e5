//! Reconciliation: from the newest versions of a slot and its consultations to the fact they make.

use crate::domain::draft::SlotState;
use crate::domain::time::{Day, Local, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{PublishedStatus, SdsRoleGroup, WaitingBand};

use super::fact::{Capacity, Events, Fact, Happened, Minute, Publication, SlotUse};
use super::state::consultations::ConsultationIndex;
use super::state::practices::PracticeNumber;
use super::state::slot::{CategorySource, Held, Mark};
use super::state::slots::SlotIndex;
use super::task::Task;

/// What the consultations of one appointment say together (feeds.md, rule 5).
#[derive(Debug, Clone, Copy, Default)]
struct Consulted {
    count: u16,
    minutes: Option<u16>,
    role: Option<SdsRoleGroup>,
}

impl Task {
    /// The fact of a slot, with the start past or to come as it was last folded.
    pub(super) fn fact(&self, index: SlotIndex) -> Option<Fact> {
        let slot = self.slots.get(index);
        let held = slot.held()?;
        let day = held.start.day();
        if held.is_covid_vaccination || !self.is_admitted(held.practice, held.version.at, day) {
            return None;
        }
        let is_past = slot.is(Mark::FoldedPast);
        let consulted = self.consulted(slot.first_consultation());
        let is_contradicted = if held.has_booking {
            matches!(held.state, SlotState::Dna | SlotState::Cancelled)
        } else {
            slot.is(Mark::WasBooked)
        };
        let contradictions = if is_contradicted { consulted.count } else { 0 };
        let state = if held.has_booking {
            attended_if_consulted(held.state, consulted.count > 0, is_past)
        } else {
            held.state
        };
        let is_published = state.is_booked() && is_past;
        let happened = self.happened(index, &held, state);
        let described = (is_published || happened.is_some())
            .then(|| self.publication(&held, state, day, consulted));
        let publication = described.filter(|_| is_published);
        let capacity = (state.is_offered() && !held.is_visit).then(|| Capacity {
            planned_minutes: held.planned_minutes,
            slot_use: slot_use(state),
        });
        let events = happened.zip(described).map(|(happened, described)| Events {
            happened,
            described,
        });
        if publication.is_none() && capacity.is_none() && contradictions == 0 && events.is_none() {
            return None;
        }
        let row = self
            .reference
            .row_on(self.practices.index(held.practice), day)?;
        Some(Fact {
            place: row.place,
            day,
            supplier: held.supplier,
            publication,
            capacity,
            contradictions,
            unbooked_consultations: 0,
            events,
        })
    }

    /// What has happened to the slot's bookings, where an aggregate asks; missing times are those of the extraction.
    fn happened(&self, index: SlotIndex, held: &Held, state: SlotState) -> Option<Happened> {
        let all = self.slots.moments()?;
        let moments = all.get(index.0)?;
        if state == SlotState::Withdrawn {
            return None;
        }
        let extracted_at = minute(held.version.at);
        let (start, day) = (held.start, held.start.day());
        let at =
            |time: Option<Local>| Some(time.map_or(extracted_at, |time| minute(time.to_utc())));
        let is_cancelled = state == SlotState::Cancelled;
        let has_arrived = matches!(state, SlotState::Arrived | SlotState::Attended);
        let booked_on = held.wait_days.map(|days| Day(day.0 - i32::from(days)));
        let planned_end = Local(start.0 + i64::from(held.planned_minutes) * 60_000);
        let happened = [
            (state.is_booked() || is_cancelled)
                .then(|| at(booked_on.and_then(|on| moments.booked(on)))),
            is_cancelled.then(|| at(moments.cancelled(start))),
            has_arrived.then(|| at(moments.arrived(start))),
            (state == SlotState::Attended).then(|| at(moments.left(start))),
            (state == SlotState::Dna).then(|| at(Some(planned_end))),
        ]
        .map(Option::flatten);
        let replaced = if held.supplier == Supplier::Emis {
            all.bookings(index.0)
                .saturating_sub(usize::from(held.has_booking))
        } else {
            0
        };
        if replaced == 0 && happened.iter().all(Option::is_none) {
            return None;
        }
        Some(Happened {
            at: happened,
            replaced: u16::try_from(replaced).unwrap_or(u16::MAX),
            replaced_at: extracted_at,
        })
    }

    /// The fact of a consultation that is linked to nothing.
    pub(super) fn unbooked_fact(&self, index: ConsultationIndex) -> Option<Fact> {
        let consultation = self.consultations.get(index);
        if !consultation.is_unbooked() {
            return None;
        }
        let held = consultation.held();
        let day = held.start.day();
        if !self.is_admitted(held.practice, held.version, day) {
            return None;
        }
        let row = self
            .reference
            .row_on(self.practices.index(held.practice), day)?;
        Some(Fact {
            place: row.place,
            day,
            supplier: held.supplier,
            publication: None,
            capacity: None,
            contradictions: 0,
            unbooked_consultations: 1,
            events: None,
        })
    }

    /// Approved on the London day of extraction and on the version's own day (feeds.md, rule 1).
    pub(super) fn is_admitted(
        &self,
        practice: PracticeNumber,
        version: Timestamp,
        day: Day,
    ) -> bool {
        let practice = self.practices.index(practice);
        let is_approved = |day| {
            self.reference
                .agreement_on(practice, day)
                .is_some_and(|state| state.withholding().is_none())
        };
        let extracted_on = version.london_day();
        is_approved(extracted_on) && (extracted_on == day || is_approved(day))
    }

    fn consulted(&self, head: Option<ConsultationIndex>) -> Consulted {
        let counts = |index: &ConsultationIndex| {
            let held = self.consultations.get(*index);
            held.counts() && self.is_admitted(held.practice(), held.version(), held.start().day())
        };
        let first = |has: &dyn Fn(ConsultationIndex) -> bool| {
            self.consultations
                .list(head)
                .filter(|index| counts(index) && has(*index))
                .min_by(|a, b| self.consultations.compare(*a, *b))
        };
        if head.is_none() {
            return Consulted::default();
        }
        let minutes = |index| self.consultations.get(index).minutes();
        let role = |index| self.consultations.get(index).role();
        let count = self.consultations.list(head).filter(counts).count();
        Consulted {
            count: u16::try_from(count).unwrap_or(u16::MAX),
            minutes: first(&|index| minutes(index).is_some()).and_then(minutes),
            role: first(&|index| role(index).is_some()).and_then(role),
        }
    }

    fn publication(
        &self,
        held: &Held,
        state: SlotState,
        day: Day,
        consulted: Consulted,
    ) -> Publication {
        // A consultation says nothing about an appointment that nobody attended.
        let consulted = if state == SlotState::Dna {
            Consulted::default()
        } else {
            consulted
        };
        let wait = held.wait_days.map(i32::from);
        Publication {
            status: match state {
                SlotState::Attended => PublishedStatus::Attended,
                SlotState::Dna => PublishedStatus::Dna,
                SlotState::Booked
                | SlotState::Arrived
                | SlotState::Available
                | SlotState::NotOffered
                | SlotState::Cancelled
                | SlotState::Withdrawn => PublishedStatus::Unknown,
            },
            role: held
                .role
                .or(consulted.role)
                .unwrap_or(SdsRoleGroup::Unknown),
            mode: held.mode,
            wait_days: held.wait_days,
            wait: wait.map_or(WaitingBand::Unknown, WaitingBand::from_days),
            category: match held.category {
                CategorySource::Own(own) => own,
                CategorySource::Mapping(slot_type) => self.slot_types.category(slot_type, day),
            },
            actual_minutes: held.actual_minutes().or(consulted.minutes),
            is_booked_after: wait.is_some_and(|days| days < 0),
            times_reversed: held.times_reversed,
        }
    }
}

/// The minute of a time from 1970 on.
fn minute(time: Timestamp) -> Minute {
    i32::try_from(time.0.div_euclid(60_000)).unwrap_or(i32::MAX)
}

/// (a) of rule 5: arrived or in progress, or booked and past, was attended if a consultation says so.
const fn attended_if_consulted(state: SlotState, is_consulted: bool, is_past: bool) -> SlotState {
    match state {
        SlotState::Arrived if is_consulted => SlotState::Attended,
        SlotState::Booked if is_consulted && is_past => SlotState::Attended,
        SlotState::Booked
        | SlotState::Arrived
        | SlotState::Attended
        | SlotState::Dna
        | SlotState::Available
        | SlotState::NotOffered
        | SlotState::Cancelled
        | SlotState::Withdrawn => state,
    }
}

const fn slot_use(state: SlotState) -> SlotUse {
    match state {
        SlotState::Booked | SlotState::Arrived => SlotUse::Booked,
        SlotState::Attended => SlotUse::Attended,
        SlotState::Dna => SlotUse::Dna,
        SlotState::Available
        | SlotState::Cancelled
        | SlotState::NotOffered
        | SlotState::Withdrawn => SlotUse::Unused,
    }
}
