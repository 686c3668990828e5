//! What has happened to a slot's bookings, as an aggregate over event time counts it.

use crate::domain::aggregate::{Event, Follows};
use crate::domain::topic::Supplier;

use super::fact::{Events, Minute};
use super::fold::Side;
use super::places::Groups;
use super::plan::Aggregate;
use super::told::Told;

/// What happened, how often, when.
pub(super) type Counted = (Event, u16, Minute);

/// What has happened to a slot, as an aggregate counts it.
pub(super) struct Story<'a> {
    pub events: &'a Events,
    pub groups: Groups,
    pub supplier: Supplier,
    pub dimensions: u64,
}

impl<'a> Story<'a> {
    pub fn of(aggregate: &Aggregate, side: &Side<'a>) -> Option<Self> {
        let events = side.fact.events.as_ref()?;
        let dimensions = if aggregate.tells_bookings_apart() {
            let told = Told::of(side.fact, Follows::EventTime);
            aggregate.admits(&told).then(|| aggregate.pack(&told))?
        } else {
            0
        };
        Some(Self {
            events,
            groups: side.groups,
            supplier: side.fact.supplier,
            dimensions,
        })
    }

    /// What counts here and does not, the same, in the other: most versions add one event and leave the others.
    //
    // What stands in both, in other places of the list, is taken back and added: it comes to nothing.
    pub fn differing(&self, other: Option<&Self>) -> impl Iterator<Item = Counted> {
        let events = &self.events.happened;
        let others = other
            .filter(|other| self.counts_as(other))
            .map(|it| &it.events.happened);
        let happened = Event::ALL.into_iter().enumerate();
        let happened = happened.filter_map(move |(number, event)| {
            let at = events.at[number]?;
            let is_known = others.is_some_and(|others| others.at[number] == Some(at));
            (!is_known).then_some((event, 1, at))
        });
        let (count, at) = (events.replaced, events.replaced_at);
        let is_known = count == 0
            || others.is_some_and(|others| (others.replaced, others.replaced_at) == (count, at));
        let replaced = [Event::Booked, Event::Cancelled].map(|event| (event, count, at));
        let replaced = replaced.into_iter().take(if is_known { 0 } else { 2 });
        happened.chain(replaced)
    }

    /// Whether an event counts the same in both.
    fn counts_as(&self, other: &Self) -> bool {
        self.groups == other.groups
            && self.supplier == other.supplier
            && self.dimensions == other.dimensions
            && self.events.described.wait_days == other.events.described.wait_days
            && self.events.described.wait == other.events.described.wait
    }
}
