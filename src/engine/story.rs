//! What has happened to a slot's bookings, as an aggregate over event time counts it.

use crate::domain::aggregate::Event;
use crate::domain::topic::Supplier;

use super::fact::{Events, Fact, Minute};
use super::fold::Groups;
use super::plan::Aggregate;

/// What happened, how often, when.
pub(super) type Happened = (Event, u16, Minute);

/// What has happened to a slot, as an aggregate counts it.
pub(super) struct Story<'a> {
    pub events: &'a Events,
    pub groups: Groups,
    pub supplier: Supplier,
    pub dimensions: u64,
}

impl<'a> Story<'a> {
    pub fn of(aggregate: &Aggregate, (fact, groups): (&'a Fact, Groups)) -> Option<Self> {
        let events = fact.events.as_ref().filter(|_| aggregate.admits(fact))?;
        Some(Self {
            events,
            groups,
            supplier: fact.supplier,
            dimensions: aggregate.pack(fact),
        })
    }

    pub fn all(&self) -> impl Iterator<Item = Happened> {
        let happened = Event::ALL.into_iter().zip(self.events.at);
        let happened = happened.filter_map(|(event, at)| Some((event, 1, at?)));
        let (count, at) = (self.events.replaced, self.events.replaced_at);
        let replaced = [Event::Booked, Event::Cancelled].map(|event| (event, count, at));
        happened.chain(replaced.into_iter().filter(|(_, count, _)| *count > 0))
    }

    /// Whether an event of one is the same in the other: most versions add one and leave the others.
    pub fn tells(&self, happened: Happened, other: Option<&Self>) -> bool {
        // The same may have happened twice in a minute.
        let times = |story: &Self| story.all().filter(|known| *known == happened).count();
        other.is_some_and(|other| {
            self.groups == other.groups
                && self.supplier == other.supplier
                && self.dimensions == other.dimensions
                && self.events.described.wait_days == other.events.described.wait_days
                && times(self) == times(other)
        })
    }
}
