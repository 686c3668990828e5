//! The group of members within this process, and who works on what.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::log::{Change, LogError, Membership, Unit};

/// Shares units out evenly, and moves as few as that takes.
#[derive(Default)]
pub struct Group {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    members: BTreeMap<u64, VecDeque<Change>>,
    units: BTreeMap<Unit, Holding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    Nobody,
    Held(u64),
    /// Asked back; nobody else's until it is released.
    Asked(u64),
}

impl State {
    /// Asks back what is above a fair share, and gives away what nobody holds.
    fn share_out(&mut self) {
        let members: Vec<u64> = self.members.keys().copied().collect();
        for (rank, member) in members.iter().enumerate() {
            let share = self.units.len() / members.len()
                + usize::from(rank < self.units.len() % members.len());
            let held = self.with(Holding::Held(*member));
            if held.len() > share {
                self.hand(
                    *member,
                    &held[share..],
                    Holding::Asked(*member),
                    Change::Revoked,
                );
            }
            let room = share.saturating_sub(held.len());
            let free = self.with(Holding::Nobody);
            let given = &free[..room.min(free.len())];
            self.hand(*member, given, Holding::Held(*member), Change::Assigned);
        }
    }

    fn with(&self, holding: Holding) -> Vec<Unit> {
        let units = self.units.iter().filter(|(_, held)| **held == holding);
        units.map(|(unit, _)| *unit).collect()
    }

    fn hand(
        &mut self,
        member: u64,
        units: &[Unit],
        holding: Holding,
        change: fn(Vec<Unit>) -> Change,
    ) {
        if units.is_empty() {
            return;
        }
        for unit in units {
            self.units.insert(*unit, holding);
        }
        if let Some(changes) = self.members.get_mut(&member) {
            changes.push_back(change(units.to_vec()));
        }
    }

    fn free(&mut self, which: impl Fn(Unit, Holding) -> bool) {
        for (unit, holding) in &mut self.units {
            if which(*unit, *holding) {
                *holding = Holding::Nobody;
            }
        }
        if !self.members.is_empty() {
            self.share_out();
        }
    }
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One member; dropping it leaves the group.
pub struct Member {
    group: Arc<Group>,
    id: u64,
}

impl Member {
    /// Joins with the units that the joined topics have.
    pub fn join(group: &Arc<Group>, units: Vec<Unit>) -> Self {
        let mut state = group.state();
        let id = state.next;
        state.next += 1;
        for unit in units {
            state.units.entry(unit).or_insert(Holding::Nobody);
        }
        state.members.insert(id, VecDeque::new());
        state.share_out();
        drop(state);
        group.changed.notify_all();
        Self {
            group: Arc::clone(group),
            id,
        }
    }
}

impl Membership for Member {
    fn poll(&mut self, wait: Duration) -> Result<Option<Change>, LogError> {
        let nothing_yet =
            |state: &mut State| state.members.get(&self.id).is_none_or(VecDeque::is_empty);
        let (mut state, _) = (self.group.changed)
            .wait_timeout_while(self.group.state(), wait, nothing_yet)
            .unwrap_or_else(PoisonError::into_inner);
        Ok(state
            .members
            .get_mut(&self.id)
            .and_then(VecDeque::pop_front))
    }

    fn release(&mut self, units: &[Unit]) -> Result<(), LogError> {
        let id = self.id;
        self.group
            .state()
            .free(|unit, holding| holding == Holding::Asked(id) && units.contains(&unit));
        self.group.changed.notify_all();
        Ok(())
    }

    fn leave(self: Box<Self>, _: Duration) -> Result<(), LogError> {
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let id = self.id;
        let mut state = self.group.state();
        state.members.remove(&id);
        state.free(|_, holding| holding == Holding::Held(id) || holding == Holding::Asked(id));
        drop(state);
        self.group.changed.notify_all();
    }
}
