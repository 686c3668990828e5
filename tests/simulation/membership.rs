//! An instance's membership of the simulated group.

use std::collections::BTreeSet;
use std::time::Duration;

use gpad_live::adapters::log::{Change, LogError, Membership, Remedy, Unit};

use super::broker::GROUP;
use super::log::SimLog;
use super::world::{MILLI, Time};

pub struct SimMembership {
    log: SimLog,
    topics: Vec<String>,
    member: Option<u64>,
    held: BTreeSet<Unit>,
    /// Asked back, and not released yet.
    asked: BTreeSet<Unit>,
}

impl SimMembership {
    pub fn new(log: &SimLog, topics: &[&str]) -> Self {
        Self {
            log: log.clone(),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            member: None,
            held: BTreeSet::new(),
            asked: BTreeSet::new(),
        }
    }

    fn look(&mut self) -> Option<Change> {
        let mut world = self.log.sim.world();
        if !world.is_reachable(self.log.process) {
            return None;
        }
        let member = match self
            .member
            .filter(|member| world.broker.group.knows(*member))
        {
            Some(member) => member,
            None if !self.held.is_empty() => {
                world.note("has lost everything");
                return Some(Change::Lost(self.held.iter().copied().collect()));
            }
            None => {
                let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
                let units = world.broker.units(&topics);
                let instance = world.processes[self.log.process].instance.clone();
                let member = world.broker.group.join(self.log.process, instance, &units);
                world.note(&format!("joins as member {member}"));
                world.processes[self.log.process].member = Some(member);
                world.broker.has_changed(GROUP);
                world.wake();
                self.member = Some(member);
                member
            }
        };
        let (mut revoked, gained) = world.broker.group.differences(member, &self.held);
        revoked.retain(|unit| !self.asked.contains(unit));
        if !revoked.is_empty() {
            world.note(&format!("gives up {revoked:?}"));
            self.asked.extend(&revoked);
            return Some(Change::Revoked(revoked));
        }
        if gained.is_empty() {
            return None;
        }
        world.note(&format!("is given {gained:?}"));
        world.broker.group.take(member, &gained);
        for unit in &gained {
            let given_up = &mut world.processes[self.log.process].given_up;
            given_up.remove(&task(unit));
        }
        self.held.extend(&gained);
        Some(Change::Assigned(gained))
    }
}

/// As the service names it.
fn task(unit: &Unit) -> String {
    match unit.topic {
        0 => unit.partition.to_string(),
        _ => format!("rollup-{}", unit.partition),
    }
}

impl Membership for SimMembership {
    fn poll(&mut self, wait: Duration) -> Result<Option<Change>, LogError> {
        let until = self.log.sim.world().now + wait.as_micros() as Time;
        self.log.wait_up_to(MILLI / 4);
        let mut world = self.log.sim.world();
        let renew = world.odds.renew / 4;
        if world.one_in(renew) {
            return Err(LogError::new(
                Remedy::Renew,
                "as a member",
                "as the simulation wants",
            ));
        }
        drop(world);
        loop {
            if let Some(change) = self.look() {
                return Ok(Some(change));
            }
            if self.log.sim.world().now >= until {
                return Ok(None);
            }
            self.log.sim.wait(until, &[GROUP]);
        }
    }

    fn release(&mut self, units: &[Unit]) -> Result<(), LogError> {
        self.log.way();
        let mut world = self.log.sim.world();
        for unit in units {
            self.held.remove(unit);
            self.asked.remove(unit);
            let given_up = &mut world.processes[self.log.process].given_up;
            given_up.insert(task(unit), 0);
        }
        if let Some(member) = self.member {
            world.broker.group.release(member, units);
        }
        world.broker.has_changed(GROUP);
        world.wake();
        Ok(())
    }

    fn leave(self: Box<Self>, within: Duration) -> Result<(), LogError> {
        self.log.way();
        let mut world = self.log.sim.world();
        world.processes[self.log.process].member = None;
        let Some(member) = self.member else {
            return Ok(());
        };
        let lost = world.odds.lost;
        if !world.is_reachable(self.log.process) || world.one_in(lost) {
            // The group finds out when the session is over.
            let now = world.now;
            world.broker.expect_silence(member, now);
            drop(world);
            self.log.sim.sleep(within.as_micros() as Time);
            return Err(LogError::new(
                Remedy::Retry,
                "leaving the group",
                "no answer",
            ));
        }
        world.note(&format!("member {member} leaves"));
        world.broker.group.remove(member);
        world.broker.has_changed(GROUP);
        world.wake();
        Ok(())
    }
}
