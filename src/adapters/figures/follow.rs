//! Keeps the figures up with their topics.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::{Figures, State};
use crate::adapters::clock::{monotonic, since};
use crate::adapters::effects;
use crate::adapters::log::{Log, LogError, Message, Position, Remedy, Span};
use crate::domain::topic::ReferenceTopic;
use crate::engine::plan::AggregatePlan;
use crate::stages::refer::Refer;
use crate::wire::datum::Datum;
use crate::wire::framing::unframe;
use crate::wire::output::{AggregateKey, AggregateValue, Manifest};
use crate::wire::reference::Practice;

const LEDGER: &str = "gpad.ledger";
/// Records that are taken in at once.
const BATCH: usize = 2_000;
/// Records that are held back so that those who look see whole transactions; beyond, they see parts for a moment.
const MOST_BETWEEN: usize = 100_000;
const WAIT: Duration = Duration::from_millis(200);
/// How long records are gathered: a row that several transactions change meanwhile is taken in once.
const GATHERED: Duration = Duration::from_millis(200);

/// A record taken out of the reader, so that the figures are locked for moments only.
struct Taken {
    topic: usize,
    partition: i32,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    offset: i64,
}

/// Records to be taken in together, of each row the newest.
#[derive(Default)]
struct Gathered {
    records: Vec<Taken>,
    /// Which of them is a row's, by a hash of its topic and key: of 128 bits, so that no two keys of a moment are alike.
    rows: HashMap<u128, usize>,
    /// When the last ones were taken in.
    put: Option<Instant>,
}

impl Gathered {
    /// Adds a record; `is_row`: it replaces the one before of its key.
    fn add(&mut self, taken: Taken, is_row: bool) {
        if !is_row {
            self.records.push(taken);
            return;
        }
        let key = xxhash_rust::xxh3::xxh3_128_with_seed(&taken.key, taken.topic as u64);
        let at = *self.rows.entry(key).or_insert(self.records.len());
        match self.records.get_mut(at) {
            Some(before) => *before = taken,
            None => self.records.push(taken),
        }
    }

    /// For how long more should be waited for.
    fn left(&self) -> Duration {
        match self.put {
            Some(put) if self.records.len() < MOST_BETWEEN => GATHERED.saturating_sub(since(put)),
            _ => Duration::ZERO,
        }
    }

    fn drain(&mut self) -> impl Iterator<Item = Taken> {
        self.rows.clear();
        self.put = Some(monotonic());
        self.records.drain(..)
    }
}

impl Figures {
    /// Reads the topics from their beginnings and then follows them, until `is_over` says so.
    /// Errors of the log are logged and waited out.
    pub fn follow(&self, log: &dyn Log, is_over: &dyn Fn() -> bool) {
        let mut topics: Vec<String> = (self.plan.aggregates.iter())
            .map(|aggregate| effects::aggregate_topic(&aggregate.name))
            .collect();
        topics.extend([
            LEDGER.to_owned(),
            ReferenceTopic::Practices.name().to_owned(),
        ]);
        let mut positions = BTreeMap::new();
        while !is_over() {
            if let Err(error) = self.follow_once(log, &topics, &mut positions, is_over) {
                tracing::warn!("reading the figures: {error}");
                let mut left = 10;
                while left > 0 && !is_over() {
                    std::thread::sleep(WAIT / 2);
                    left -= 1;
                }
            }
        }
    }

    fn follow_once(
        &self,
        log: &dyn Log,
        topics: &[String],
        positions: &mut BTreeMap<(usize, i32), i64>,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(), LogError> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let rows = self.plan.aggregates.len();
        let mut taken = Gathered::default();
        for (at, (name, count)) in names.iter().zip(log.partitions(&names)?).enumerate() {
            let count = count.ok_or_else(|| {
                LogError::new(
                    Remedy::Retry,
                    format!("reading {name}"),
                    "the topic does not exist",
                )
            })?;
            for partition in 0..count {
                let next = positions.entry((at, partition)).or_insert(0);
                let span = Span {
                    from: *next,
                    ..Span::whole(partition)
                };
                let take = &mut |message: Option<Message<'_>>| {
                    if let Some(message) = message {
                        taken.add(copy(at, &message), at < rows);
                        *next = message.offset + 1;
                        if taken.records.len() >= BATCH {
                            self.put(topics, &mut taken);
                        }
                    }
                    flow(!is_over())
                };
                let ends = log.scan(name, &[span], take);
                // Also after an error: what was handed over is not read again, and the ledger is a sum.
                self.put(topics, &mut taken);
                if is_over() {
                    return Ok(());
                }
                if let Some(end) = ends?.first() {
                    positions.insert((at, partition), end.next);
                }
            }
        }
        let start: Vec<Position> = (positions.iter())
            .map(|((at, partition), next)| Position {
                topic: topics[*at].clone(),
                partition: *partition,
                next: *next,
            })
            .collect();
        let mut reader = log.reader(&names, &start)?;
        let mut wait = Duration::ZERO;
        while !is_over() {
            let outcome = reader.read(BATCH, wait, &mut |message| {
                taken.add(copy(message.topic, &message), message.topic < rows);
                positions.insert((message.topic, message.partition), message.offset + 1);
                ControlFlow::Continue(())
            });
            // More is there already: until it is read, England may be ahead of its regions.
            let is_between = matches!(&outcome, Ok(BATCH)) && taken.records.len() < MOST_BETWEEN;
            let left = taken.left();
            let is_early = !left.is_zero();
            wait = match (is_between, is_early) {
                (true, _) => Duration::ZERO,
                (false, true) => left,
                (false, false) => {
                    self.put(topics, &mut taken);
                    WAIT
                }
            };
            match outcome {
                Err(error) if error.remedy != Remedy::Retry => {
                    // What was handed over is not read again.
                    self.put(topics, &mut taken);
                    return Err(error);
                }
                Ok(read) if read < BATCH && !is_early => self.write().is_complete = true,
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn put(&self, topics: &[String], taken: &mut Gathered) {
        if taken.records.is_empty() {
            return;
        }
        let mut state = self.write();
        for record in taken.drain() {
            // What cannot be read was not written by this service; its topics are its own.
            if take(&mut state, &self.plan, &topics[record.topic], &record).is_none() {
                tracing::debug!(topic = topics[record.topic], "a record that is not ours");
            }
            // Aggregates come first among the topics.
            if record.topic < self.plan.aggregates.len() {
                let place = (record.topic, record.partition);
                let next = state.positions.entry(place).or_default();
                *next = record.offset.saturating_add(1).max(*next);
            }
        }
        state.version += 1;
    }
}

fn take(state: &mut State, plan: &AggregatePlan, topic: &str, record: &Taken) -> Option<()> {
    let datum = |bytes| unframe(Some(bytes)).ok().map(|(_, datum)| datum);
    if topic == LEDGER {
        let manifest = Manifest::from_bytes(datum(record.value.as_deref()?)?).ok()?;
        state.ledger.take(&manifest);
    } else if topic == ReferenceTopic::Practices.name() {
        let practice = Practice::from_bytes(datum(record.value.as_deref()?)?).ok()?;
        state.places.take(&practice);
        // Records of a practice lie in one partition: their offsets grow with the order of reading.
        practice.refer(&mut state.register, record.offset.unsigned_abs());
    } else {
        let key = AggregateKey::from_bytes(datum(&record.key)?).ok()?;
        let value = match &record.value {
            Some(value) => Some(AggregateValue::from_bytes(datum(value)?).ok()?),
            None => None,
        };
        state.take(plan, &effects::row_of(key, value)?);
    }
    Some(())
}

fn copy(topic: usize, message: &Message<'_>) -> Taken {
    Taken {
        topic,
        partition: message.partition,
        key: message.key.unwrap_or_default().to_vec(),
        value: message.value.map(<[u8]>::to_vec),
        offset: message.offset,
    }
}

fn flow(go_on: bool) -> ControlFlow<()> {
    if go_on {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(topic: usize, key: &[u8], offset: i64) -> Taken {
        Taken {
            topic,
            partition: 0,
            key: key.to_vec(),
            value: None,
            offset,
        }
    }

    #[test]
    fn of_a_row_the_newest_is_taken_in_and_of_everything_else_all() {
        let mut gathered = Gathered::default();
        assert_eq!(
            gathered.left(),
            Duration::ZERO,
            "the first are taken in at once"
        );
        for round in 0..2 {
            gathered.add(taken(0, b"a", 1), true);
            gathered.add(taken(0, b"b", 2), true);
            gathered.add(taken(1, b"a", 7), true);
            gathered.add(taken(0, b"a", 3), true);
            gathered.add(taken(2, b"a", 0), false);
            gathered.add(taken(2, b"a", 1), false);
            let found: Vec<_> = gathered
                .drain()
                .map(|taken| (taken.topic, taken.offset))
                .collect();
            assert_eq!(
                found,
                [(0, 3), (0, 2), (1, 7), (2, 0), (2, 1)],
                "round {round}"
            );
        }
        assert!(gathered.left() > Duration::ZERO);
    }
}
