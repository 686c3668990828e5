//! What happens at the simulated brokers without anybody asking for it then.

use super::broker::{GROUP, Place};
use super::world::{Time, World};
use rand::Rng;

/// What happens without anybody asking for it.
pub enum Event {
    Marker {
        producer: String,
        place: Place,
        commits: bool,
    },
    OffsetsMarker {
        producer: String,
        commits: bool,
    },
    Timeout {
        producer: String,
        serial: u64,
    },
    High {
        place: Place,
        to: i64,
    },
    Foreign {
        id: u64,
        place: Place,
        commits: bool,
    },
    Silence {
        member: u64,
        since: Time,
    },
    /// A request that was given up by who sent it.
    Late(Box<dyn FnOnce(&mut World) + Send>),
}

impl World {
    /// Draws how long something takes that takes `at_most`.
    pub fn spread(&mut self, at_most: Time) -> Time {
        self.chance.random_range(1..=at_most.max(1))
    }

    pub fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Marker {
                producer,
                place,
                commits,
            } => self.broker.mark_place(&producer, place, commits, now),
            Event::OffsetsMarker { producer, commits } => {
                self.broker.mark_offsets(&producer, commits);
            }
            Event::Timeout { producer, serial } => {
                let Self { broker, chance, .. } = self;
                let spread = &mut |at_most: Time| chance.random_range(1..=at_most.max(1));
                if broker.time_out(&producer, serial, now, spread) {
                    self.note(&format!("transaction of {producer} times out"));
                }
            }
            Event::High { place, to } => self.broker.show(place, to),
            Event::Foreign { id, place, commits } => self.broker.mark(id, place, commits, now),
            Event::Silence { member, since } => self.silence(member, since),
            Event::Late(request) => request(self),
        }
    }

    fn silence(&mut self, member: u64, since: Time) {
        let process = self.broker.group.process(member);
        let is_silent = process.is_some_and(|process| {
            let process = &self.processes[process];
            process.member != Some(member) || process.silent_since.is_some_and(|at| at <= since)
        });
        if is_silent {
            self.note(&format!("member {member} is given up"));
            self.broker.group.remove(member);
            self.broker.has_changed(GROUP);
        }
    }
}
