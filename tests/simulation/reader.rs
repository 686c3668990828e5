//! Reading the simulated partitions: committed records, a few of one partition at a time.

use std::ops::ControlFlow;
use std::time::Duration;

use gpad_live::adapters::log::{LogError, Message, Reader, Remedy};
use rand::Rng;

use super::broker::{Entry, Place};
use super::log::SimLog;
use super::world::{MILLI, Time};

/// Records that one answer brings at most.
pub const FETCH: i64 = 40;

/// A record on its way to a reader.
pub struct Fetched {
    pub offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

pub fn fetch<'e>(entries: impl Iterator<Item = &'e Entry>, limit: i64) -> Vec<Fetched> {
    let fetched = |entry: &Entry| Fetched {
        offset: entry.offset,
        timestamp: entry.timestamp,
        key: entry.key.clone(),
        value: entry.value.clone(),
    };
    entries.take(limit as usize).map(fetched).collect()
}

impl Fetched {
    pub fn message(&self, topic: usize, partition: i32) -> Message<'_> {
        Message {
            topic,
            partition,
            offset: self.offset,
            timestamp: Some(self.timestamp),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
        }
    }
}

pub struct SimReader {
    pub log: SimLog,
    pub topics: usize,
    /// Topic as the caller numbers it, place, next offset.
    pub next: Vec<(usize, Place, i64)>,
}

impl SimReader {
    /// What is there of one partition, drawn among those that have something.
    fn fetch(&self, limit: usize) -> Result<Option<(usize, Vec<Fetched>)>, LogError> {
        let mut world = self.log.sim.world();
        if !world.is_reachable(self.log.process) {
            return Ok(None);
        }
        let mut some = Vec::new();
        for (at, (_, place, next)) in self.next.iter().enumerate() {
            let partition = world.broker.partition(*place);
            if *next != 0 && *next < partition.first {
                return Err(LogError::new(
                    Remedy::Stop,
                    format!("reading on from {next}"),
                    "it is gone",
                ));
            }
            let sees = world.sees(self.log.process, *place);
            if sees && partition.committed(*next, i64::MAX).next().is_some() {
                some.push(at);
            }
        }
        if some.is_empty() {
            return Ok(None);
        }
        let at = some[world.chance.random_range(0..some.len())];
        let limit = world.chance.random_range(1..=FETCH).min(limit as i64);
        let (_, place, next) = self.next[at];
        let fetched = fetch(
            world.broker.partition(place).committed(next, i64::MAX),
            limit,
        );
        Ok(Some((at, fetched)))
    }
}

impl Reader for SimReader {
    fn read(
        &mut self,
        limit: usize,
        wait: Duration,
        take: &mut dyn FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<usize, LogError> {
        let until = self.log.sim.world().now + (wait.as_micros() as Time).max(50);
        let places: Vec<Place> = self.next.iter().map(|(_, place, _)| *place).collect();
        self.log.wait_up_to(MILLI / 4);
        let odds = self.log.sim.world().odds;
        for (chance, remedy) in [(odds.retry, Remedy::Retry), (odds.renew, Remedy::Renew)] {
            if self.log.sim.world().one_in(chance) {
                return Err(LogError::new(
                    remedy,
                    "reading on",
                    "as the simulation wants",
                ));
            }
        }
        let fetched = loop {
            if let Some(fetched) = self.fetch(limit)? {
                break fetched;
            }
            if self.log.sim.world().now >= until {
                return Ok(0);
            }
            self.log.sim.wait(until, &places);
        };
        let (at, records) = fetched;
        let (topic, (_, partition), _) = self.next[at];
        for (read, record) in records.iter().enumerate() {
            self.next[at].2 = record.offset + 1;
            if take(record.message(topic, partition)).is_break() {
                return Ok(read + 1);
            }
        }
        Ok(records.len())
    }

    fn backlog(&self) -> Vec<Option<i64>> {
        vec![None; self.topics]
    }
}
