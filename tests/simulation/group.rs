//! The group's coordinator: who is a member, which units it should have, which it has.
//
//   revoked    a unit that should be another's is asked back; it is free once its member has released it
//   given up   a member that is not heard of within its session: its units are free at once, and it learns so later

use std::collections::{BTreeMap, BTreeSet};

use gpad_live::adapters::log::Unit;

use super::world::{SECOND, Time};

pub struct Group {
    pub session: Time,
    members: BTreeMap<u64, Member>,
    units: BTreeSet<Unit>,
    owners: BTreeMap<Unit, u64>,
    target: BTreeMap<Unit, u64>,
    next: u64,
}

struct Member {
    process: usize,
    instance: Option<String>,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            session: 6 * SECOND,
            members: BTreeMap::new(),
            units: BTreeSet::new(),
            owners: BTreeMap::new(),
            target: BTreeMap::new(),
            next: 1,
        }
    }
}

impl Group {
    pub fn knows(&self, member: u64) -> bool {
        self.members.contains_key(&member)
    }

    pub fn process(&self, member: u64) -> Option<usize> {
        self.members.get(&member).map(|member| member.process)
    }

    /// A new member. One of the same instance name takes the place of the one before.
    pub fn join(&mut self, process: usize, instance: Option<String>, units: &[Unit]) -> u64 {
        self.units.extend(units);
        let id = self.next;
        self.next += 1;
        let same = |member: &Member| instance.is_some() && member.instance == instance;
        let before = (self.members.iter()).find(|(_, member)| same(member));
        let before = before.map(|(id, _)| *id);
        self.members.insert(id, Member { process, instance });
        if let Some(before) = before {
            self.members.remove(&before);
            for owner in self.owners.values_mut().chain(self.target.values_mut()) {
                if *owner == before {
                    *owner = id;
                }
            }
            // What was being asked back of the one before is held by nobody any more.
            let target = &self.target;
            self.owners
                .retain(|unit, owner| *owner != id || target.get(unit) == Some(&id));
        }
        self.balance();
        id
    }

    /// Its units are free.
    pub fn remove(&mut self, member: u64) {
        self.members.remove(&member);
        self.owners.retain(|_, owner| *owner != member);
        self.balance();
    }

    /// As even as can be, with as few moves.
    fn balance(&mut self) {
        let members: Vec<u64> = self.members.keys().copied().collect();
        let mut load: BTreeMap<u64, usize> = members.iter().map(|id| (*id, 0)).collect();
        let most = self.units.len().div_ceil(members.len().max(1));
        let before = std::mem::take(&mut self.target);
        let mut homeless = Vec::new();
        for unit in &self.units {
            let kept = before
                .get(unit)
                .filter(|owner| load.get(owner).is_some_and(|load| *load < most));
            match kept {
                Some(owner) => {
                    *load.get_mut(owner).expect("a member") += 1;
                    self.target.insert(*unit, *owner);
                }
                None => homeless.push(*unit),
            }
        }
        for unit in homeless {
            let Some(least) = load
                .iter()
                .min_by_key(|(id, load)| (**load, **id))
                .map(|(id, _)| *id)
            else {
                return;
            };
            *load.get_mut(&least).expect("a member") += 1;
            self.target.insert(unit, least);
        }
    }

    /// What a member holds and should not, and what it may take and does not hold.
    pub fn differences(&self, member: u64, held: &BTreeSet<Unit>) -> (Vec<Unit>, Vec<Unit>) {
        let is_target = |unit: &Unit| self.target.get(unit) == Some(&member);
        let is_free = |unit: &Unit| self.owners.get(unit).is_none_or(|owner| *owner == member);
        let revoked = held.iter().filter(|unit| !is_target(unit)).copied();
        let gained = (self.units.iter())
            .filter(|unit| is_target(unit) && is_free(unit) && !held.contains(unit))
            .copied();
        (revoked.collect(), gained.collect())
    }

    pub fn take(&mut self, member: u64, units: &[Unit]) {
        self.owners.extend(units.iter().map(|unit| (*unit, member)));
    }

    pub fn release(&mut self, member: u64, units: &[Unit]) {
        for unit in units {
            if self.owners.get(unit) == Some(&member) {
                self.owners.remove(unit);
            }
        }
    }
}
