//! Kafka as the service can tell it: partitions, transactions with their coordinator, the group's offsets, time.
//
//   commit    the coordinator decides; then markers go to each partition by themselves, at moments of their own.
//             Readers of committed records stop before the first transaction that has no marker yet.
//   fencing   a producer of the same name gets the next epoch once what is open is decided and every marker is written;
//             requests of earlier epochs are refused, whenever they arrive.

use std::collections::{BTreeMap, BTreeSet};

use super::books::Written;
use super::events::Event;
use super::group::Group;
use super::world::{MILLI, SECOND, Time};
use gpad_live::adapters::log::{Ends, Unit};
use gpad_live::adapters::partitioner::partition_of;

/// Topic by number, and partition.
pub type Place = (usize, i32);
/// Draws how long something takes that takes no longer than that.
pub type Spread<'s> = &'s mut dyn FnMut(Time) -> Time;
/// What members of the group wait for.
pub const GROUP: Place = (usize::MAX, 0);
/// A transaction that is open for longer is aborted.
const TRANSACTION: Time = 10 * SECOND;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Plain,
    Open(u64),
    Committed,
    Aborted,
    Marker,
}

pub struct Entry {
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub state: State,
}

#[derive(Default)]
pub struct Partition {
    pub entries: Vec<Entry>,
    pub first: i64,
    pub next: i64,
    /// The high watermark: nothing from it on is shown.
    high: i64,
    high_due: Time,
    /// First offsets of open transactions.
    open: BTreeMap<u64, i64>,
}

impl Partition {
    pub fn stable(&self) -> i64 {
        self.open
            .values()
            .copied()
            .min()
            .unwrap_or(self.high)
            .min(self.high)
    }

    pub fn ends(&self) -> Ends {
        Ends {
            first: self.first,
            stable: self.stable(),
            end: self.high,
        }
    }

    /// Committed records from an offset on, before `until` and what is stable.
    pub fn committed(&self, from: i64, until: i64) -> impl Iterator<Item = &Entry> {
        let until = until.min(self.stable());
        let start = self.entries.partition_point(|entry| entry.offset < from);
        self.entries[start..]
            .iter()
            .take_while(move |entry| entry.offset < until)
            .filter(|entry| matches!(entry.state, State::Plain | State::Committed))
    }
}

pub struct Topic {
    pub name: String,
    pub partitions: Vec<Partition>,
    /// Records are acknowledged before they are shown.
    pub slow: Time,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Empty,
    Ongoing,
    /// Decided; this many markers are still to be written.
    Ending(usize),
}

/// What the coordinator knows of a transactional id.
struct Producer {
    id: u64,
    epoch: u32,
    phase: Phase,
    places: BTreeSet<Place>,
    records: Vec<(Place, i64)>,
    offsets: Option<Offsets>,
    /// Numbers its transactions.
    serial: u64,
}

pub struct Offsets {
    pub positions: Vec<(Place, i64)>,
    pub note: String,
}

/// Why a request was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Something of the transaction before is not written yet: ask again.
    Concurrent,
    /// Another producer has the name, or the group does not know the member.
    Fenced,
    /// There is no transaction to do this with.
    Invalid,
}

pub struct Broker {
    pub topics: Vec<Topic>,
    pub group: Group,
    pub offsets: BTreeMap<Place, (i64, String)>,
    /// How long a marker takes at most.
    pub markers: Time,
    numbers: BTreeMap<String, usize>,
    producers: BTreeMap<String, Producer>,
    events: BTreeMap<(Time, u64), Event>,
    changed: Vec<Place>,
    serial: u64,
}

impl Broker {
    pub fn new(topics: Vec<(String, usize)>) -> Self {
        let numbers = (topics.iter().enumerate())
            .map(|(number, (name, _))| (name.clone(), number))
            .collect();
        let topic = |(name, partitions): (String, usize)| Topic {
            name,
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            slow: 0,
        };
        Self {
            topics: topics.into_iter().map(topic).collect(),
            group: Group::default(),
            offsets: BTreeMap::new(),
            markers: 3 * MILLI,
            numbers,
            producers: BTreeMap::new(),
            events: BTreeMap::new(),
            changed: Vec::new(),
            serial: 0,
        }
    }

    pub fn number(&self, topic: &str) -> Option<usize> {
        self.numbers.get(topic).copied()
    }

    pub fn place(&self, topic: &str, partition: i32) -> Place {
        let number = self.number(topic);
        (
            number.unwrap_or_else(|| panic!("no topic {topic}")),
            partition,
        )
    }

    pub fn partition(&self, place: Place) -> &Partition {
        &self.topics[place.0].partitions[place.1 as usize]
    }

    fn partition_mut(&mut self, place: Place) -> &mut Partition {
        &mut self.topics[place.0].partitions[place.1 as usize]
    }

    pub fn at(&mut self, time: Time, event: Event) {
        self.serial += 1;
        self.events.insert((time, self.serial), event);
    }

    pub fn due(&mut self, now: Time) -> Option<Event> {
        let (at, _) = *self.events.keys().next()?;
        (at <= now).then(|| self.events.pop_first().expect("it is there").1)
    }

    pub fn next_event(&self) -> Option<Time> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    pub fn take_changed(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.changed)
    }

    pub fn has_changed(&mut self, place: Place) {
        self.changed.push(place);
    }

    /// Where a record goes: its own partition, or its key's.
    pub fn home(&self, topic: &str, partition: Option<i32>, key: &[u8]) -> Place {
        let (number, _) = self.place(topic, 0);
        let partitions = self.topics[number].partitions.len() as i32;
        (
            number,
            partition.unwrap_or_else(|| partition_of(key, partitions)),
        )
    }

    fn append(
        &mut self,
        place: Place,
        record: (Option<Vec<u8>>, Option<Vec<u8>>),
        state: State,
        now: Time,
    ) -> i64 {
        let slow = self.topics[place.0].slow;
        let partition = self.partition_mut(place);
        let offset = partition.next;
        partition.next += 1;
        partition.entries.push(Entry {
            offset,
            key: record.0,
            value: record.1,
            timestamp: (now / MILLI) as i64,
            state,
        });
        if let State::Open(id) = state {
            partition.open.entry(id).or_insert(offset);
        }
        partition.high_due = partition.high_due.max(now + slow);
        let due = partition.high_due;
        if due <= now {
            partition.high = offset + 1;
            self.has_changed(place);
        } else {
            self.at(
                due,
                Event::High {
                    place,
                    to: offset + 1,
                },
            );
        }
        offset
    }

    /// Appends outside transactions, or in one of a producer that is not ours.
    pub fn feed(
        &mut self,
        place: Place,
        key: &[u8],
        value: &[u8],
        foreign: Option<u64>,
        now: Time,
    ) {
        let state = foreign.map_or(State::Plain, State::Open);
        self.append(
            place,
            (Some(key.to_vec()), Some(value.to_vec())),
            state,
            now,
        );
    }

    pub fn delete_before(&mut self, place: Place, offset: i64) {
        let partition = self.partition_mut(place);
        partition.first = partition.first.max(offset.min(partition.high));
        let first = partition.first;
        partition.entries.retain(|entry| entry.offset >= first);
    }

    /// Keeps the last record of each key, of those that are stable.
    pub fn compact(&mut self, place: Place) {
        let partition = self.partition_mut(place);
        let stable = partition.stable();
        let mut last = BTreeMap::new();
        for entry in partition
            .entries
            .iter()
            .filter(|entry| entry.offset < stable)
        {
            last.insert(entry.key.clone(), entry.offset);
        }
        partition
            .entries
            .retain(|entry| entry.offset >= stable || last.get(&entry.key) == Some(&entry.offset));
    }

    /// InitProducerId: the epoch of the new producer of that name, once nothing of an earlier one is undecided.
    pub fn init(&mut self, name: &str, now: Time, spread: Spread<'_>) -> Result<u32, Refused> {
        self.serial += 1;
        let fresh = Producer {
            id: self.serial,
            epoch: 0,
            phase: Phase::Empty,
            places: BTreeSet::new(),
            records: Vec::new(),
            offsets: None,
            serial: 0,
        };
        let producer = self.producers.entry(name.to_owned()).or_insert(fresh);
        match producer.phase {
            Phase::Empty => {
                producer.epoch += 1;
                Ok(producer.epoch)
            }
            Phase::Ongoing => {
                producer.epoch += 1;
                self.decide(name, false, now, spread);
                Err(Refused::Concurrent)
            }
            Phase::Ending(_) => Err(Refused::Concurrent),
        }
    }

    fn producer(&mut self, name: &str, epoch: u32) -> Result<&mut Producer, Refused> {
        let producer = self.producers.get_mut(name).ok_or(Refused::Invalid)?;
        if producer.epoch != epoch {
            return Err(Refused::Fenced);
        }
        match producer.phase {
            Phase::Ending(_) => Err(Refused::Concurrent),
            Phase::Empty | Phase::Ongoing => Ok(producer),
        }
    }

    fn begin(&mut self, name: &str, epoch: u32, now: Time) -> Result<&mut Producer, Refused> {
        self.serial += 1;
        let serial = self.serial;
        let producer = self.producer(name, epoch)?;
        if producer.phase == Phase::Empty {
            producer.phase = Phase::Ongoing;
            producer.serial = serial;
            let producer = name.to_owned();
            self.at(now + TRANSACTION, Event::Timeout { producer, serial });
        }
        self.producer(name, epoch)
    }

    pub fn produce(
        &mut self,
        name: &str,
        epoch: u32,
        records: &[Written],
        now: Time,
    ) -> Result<(), Refused> {
        let id = self.begin(name, epoch, now)?.id;
        for record in records {
            let place = self.home(&record.topic, record.partition, &record.key);
            let offset = self.append(
                place,
                (Some(record.key.clone()), record.value.clone()),
                State::Open(id),
                now,
            );
            let producer = self.producer(name, epoch)?;
            producer.places.insert(place);
            producer.records.push((place, offset));
        }
        Ok(())
    }

    /// TxnOffsetCommit, as a member of the group.
    pub fn send_offsets(
        &mut self,
        name: &str,
        epoch: u32,
        member: u64,
        offsets: Offsets,
        now: Time,
    ) -> Result<(), Refused> {
        if !self.group.knows(member) {
            return Err(Refused::Fenced);
        }
        self.begin(name, epoch, now)?.offsets = Some(offsets);
        Ok(())
    }

    /// Whether EndTxn of this epoch would be heeded.
    pub fn may_end(&mut self, name: &str, epoch: u32) -> Result<(), Refused> {
        match self.producer(name, epoch)?.phase {
            Phase::Empty => Err(Refused::Invalid),
            Phase::Ongoing | Phase::Ending(_) => Ok(()),
        }
    }

    /// EndTxn.
    pub fn end(&mut self, name: &str, now: Time, spread: Spread<'_>) {
        self.decide(name, true, now, spread);
    }

    /// What the ongoing transaction of a producer holds, in the order in which it was written.
    pub fn ongoing(&self, name: &str) -> Option<(Vec<Written>, &Offsets)> {
        let producer = self.producers.get(name)?;
        let record = |(place, offset): &(Place, i64)| {
            let entries = &self.partition(*place).entries;
            let at = entries.binary_search_by_key(offset, |entry| entry.offset);
            let entry = &entries[at.expect("what is open is not deleted")];
            Written {
                topic: self.topics[place.0].name.clone(),
                partition: Some(place.1),
                offset: *offset,
                key: entry.key.clone().unwrap_or_default(),
                value: entry.value.clone(),
            }
        };
        Some((
            producer.records.iter().map(record).collect(),
            producer.offsets.as_ref()?,
        ))
    }

    /// From here on it is committed, or aborted; markers say so to each partition.
    fn decide(&mut self, name: &str, commits: bool, now: Time, spread: Spread<'_>) {
        let producer = self.producers.get_mut(name).expect("it is known");
        let places = std::mem::take(&mut producer.places);
        producer.records.clear();
        let offsets = usize::from(producer.offsets.is_some());
        producer.phase = Phase::Ending(places.len() + offsets);
        if places.len() + offsets == 0 {
            producer.phase = Phase::Empty;
        }
        let latest = self.markers;
        for place in places {
            let event = Event::Marker {
                producer: name.to_owned(),
                place,
                commits,
            };
            self.at(now + spread(latest), event);
        }
        if offsets > 0 {
            let event = Event::OffsetsMarker {
                producer: name.to_owned(),
                commits,
            };
            self.at(now + spread(latest), event);
        }
    }

    pub fn mark(&mut self, id: u64, place: Place, commits: bool, now: Time) {
        let partition = self.partition_mut(place);
        let first = partition.open.remove(&id).unwrap_or(i64::MAX);
        let start = partition
            .entries
            .partition_point(|entry| entry.offset < first);
        for entry in &mut partition.entries[start..] {
            if entry.state == State::Open(id) {
                entry.state = if commits {
                    State::Committed
                } else {
                    State::Aborted
                };
            }
        }
        self.append(place, (None, None), State::Marker, now);
        self.has_changed(place);
    }

    fn marked(&mut self, name: &str) {
        let producer = self.producers.get_mut(name).expect("it is known");
        if let Phase::Ending(left) = producer.phase {
            producer.phase = if left == 1 {
                Phase::Empty
            } else {
                Phase::Ending(left - 1)
            };
        }
    }

    /// A marker is written to one partition of a producer's transaction.
    pub fn mark_place(&mut self, producer: &str, place: Place, commits: bool, now: Time) {
        self.mark(self.producers[producer].id, place, commits, now);
        self.marked(producer);
    }

    /// Positions that were sent become the group's, or nothing.
    pub fn mark_offsets(&mut self, producer: &str, commits: bool) {
        let known = self.producers.get_mut(producer).expect("it is known");
        let offsets = known.offsets.take().expect("they were sent");
        let positions = offsets.positions.iter().filter(|_| commits);
        for (place, next) in positions {
            self.offsets.insert(*place, (*next, offsets.note.clone()));
        }
        self.marked(producer);
    }

    /// Aborts a transaction that has been open for too long; whether it was still open.
    pub fn time_out(&mut self, name: &str, serial: u64, now: Time, spread: Spread<'_>) -> bool {
        let producer = self.producers.get_mut(name).expect("it is known");
        let is_open = producer.serial == serial && producer.phase == Phase::Ongoing;
        if is_open {
            producer.epoch += 1;
            self.decide(name, false, now, spread);
        }
        is_open
    }

    /// What is before an offset is shown.
    pub fn show(&mut self, place: Place, to: i64) {
        let partition = self.partition_mut(place);
        partition.high = partition.high.max(to);
        self.has_changed(place);
    }

    /// Whether a transaction has sent positions of a partition, and its marker is not written.
    pub fn is_unstable(&self, places: &[Place]) -> bool {
        let sent = self
            .producers
            .values()
            .filter_map(|producer| producer.offsets.as_ref());
        let mut places_sent = sent.flat_map(|offsets| &offsets.positions);
        places_sent.any(|(place, _)| places.contains(place))
    }

    /// Transactions that are open or whose markers are not all written.
    pub fn is_quiet(&self) -> bool {
        self.producers
            .values()
            .all(|producer| producer.phase == Phase::Empty)
    }

    /// A member is given up unless it is heard of before its session has run out.
    pub fn expect_silence(&mut self, member: u64, now: Time) {
        let session = self.group.session;
        self.at(now + session, Event::Silence { member, since: now });
    }

    pub fn units(&self, topics: &[&str]) -> Vec<Unit> {
        let of = |(topic, name): (usize, &&str)| {
            let partitions = self.topics[self.place(name, 0).0].partitions.len() as i32;
            (0..partitions).map(move |partition| Unit { topic, partition })
        };
        topics.iter().enumerate().flat_map(of).collect()
    }
}
