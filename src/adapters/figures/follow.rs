//! Keeps the figures up with their topics.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::{Codes, Figures, Held, RowKey, State};
use crate::adapters::clock::{monotonic, since};
use crate::adapters::effects;
use crate::adapters::log::{Log, LogError, Message, Position, Remedy, Span};
use crate::domain::aggregate::{self, Quantile};
use crate::domain::place::Level;
use crate::domain::time::Timestamp;
use crate::domain::topic::ReferenceTopic;
use crate::engine::plan::AggregatePlan;
use crate::stages::refer::Refer;
use crate::wire::datum::Datum;
use crate::wire::framing::unframe;
use crate::wire::output::Manifest;
use crate::wire::reference::Practice;
use crate::wire::row;

const LEDGER: &str = "gpad.ledger";
/// Records that are taken in at once.
const BATCH: usize = 2_000;
/// Records that are held back so that those who look see whole transactions; beyond, they see parts for a moment.
const MOST_BETWEEN: usize = 100_000;
const WAIT: Duration = Duration::from_millis(200);
/// How long records are gathered: a row that several transactions change meanwhile is taken in once.
const GATHERED: Duration = Duration::from_millis(250);

/// A record taken out of the reader, so that the figures are locked for moments only.
struct Taken {
    topic: usize,
    partition: i32,
    offset: i64,
    what: What,
}

enum What {
    /// A row of the aggregate that the topic is of; without figures it is a tombstone.
    Row(RowKey, Option<Held>),
    /// The value of another topic's record.
    Other(Option<Vec<u8>>),
    /// It was not written by this service; its topics are its own.
    Foreign,
}

/// Reads records, one after the other.
struct Records<'a> {
    plan: &'a AggregatePlan,
    codes: Codes,
    /// Of the row before, as it was written: many rows have one window.
    window: (String, String, aggregate::Span),
}

impl<'a> Records<'a> {
    fn new(plan: &'a AggregatePlan) -> Self {
        let none = aggregate::Span::Times(Timestamp(0), Timestamp(0));
        Self {
            plan,
            codes: Codes::default(),
            window: (String::new(), String::new(), none),
        }
    }

    /// A record, and its row's hash if it is a row: of 128 bits, so that no two keys of a moment are alike.
    fn read(&mut self, topic: usize, message: &Message<'_>) -> (Taken, Option<u128>) {
        // Aggregates come first among the topics.
        let is_row = topic < self.plan.aggregates.len();
        let what = if is_row {
            let row = self.row(topic, message);
            row.map_or(What::Foreign, |(key, held)| What::Row(key, held))
        } else {
            What::Other(message.value.map(<[u8]>::to_vec))
        };
        let key = message.key.unwrap_or_default();
        let hash = matches!(what, What::Row(..))
            .then(|| xxhash_rust::xxh3::xxh3_128_with_seed(key, topic as u64));
        let taken = Taken {
            topic,
            partition: message.partition,
            offset: message.offset,
            what,
        };
        (taken, hash)
    }

    fn row(&mut self, topic: usize, message: &Message<'_>) -> Option<(RowKey, Option<Held>)> {
        let aggregate = &self.plan.aggregates[topic];
        let key = row::Key::from_bytes(unframe(message.key).ok()?.1).ok()?;
        if key.aggregate != &*aggregate.name {
            return None;
        }
        let is_same = self.window.0 == key.window_start && self.window.1 == key.window_end;
        if !is_same {
            let window = effects::span_of(key.window_start, key.window_end)?;
            self.window = (key.window_start.into(), key.window_end.into(), window);
        }
        let place = (Level::from_label(key.level)?, key.code);
        let codes = &mut self.codes;
        let of = codes.key(aggregate, place, self.window.2, &key.dimensions)?;
        let Some(value) = message.value else {
            return Some((of, None));
        };
        let value = row::Value::from_bytes(unframe(Some(value)).ok()?.1).ok()?;
        let told = value.counts.iter().map(|(measure, _)| *measure);
        if !told.eq(aggregate.measures.iter().map(|measure| measure.label())) {
            return None;
        }
        // What cannot be worked out from the measures: the topics have no histograms.
        let quantiles = value.ratios.iter().filter_map(|(name, value)| {
            Quantile::from_label(name).map(|_| (codes.one(name), *value))
        });
        let held = Held {
            quantiles: quantiles.collect(),
            sums: value.counts.iter().map(|(_, count)| *count).collect(),
            published: effects::published_of(
                value.as_of,
                value.revision,
                value.finality,
                value.closed_by,
            ),
            is_taken_back: false,
        };
        Some((of, Some(held)))
    }
}

/// Records to be taken in together, of each row the newest.
#[derive(Default)]
struct Gathered {
    records: Vec<Taken>,
    /// Which of them is a row's, by its hash.
    rows: HashMap<u128, usize>,
    /// When the last ones were taken in.
    put: Option<Instant>,
}

impl Gathered {
    /// Adds a record; one of a row replaces the one before.
    fn add(&mut self, (taken, row): (Taken, Option<u128>)) {
        let Some(row) = row else {
            self.records.push(taken);
            return;
        };
        let at = *self.rows.entry(row).or_insert(self.records.len());
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
        let mut records = Records::new(&self.plan);
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
                        taken.add(records.read(at, &message));
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
                taken.add(records.read(message.topic, &message));
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
                Ok(read) if read < BATCH && !is_early => self.complete(),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn put(&self, topics: &[String], taken: &mut Gathered) {
        if taken.records.is_empty() {
            return;
        }
        self.change(|state| {
            for record in taken.drain() {
                // Aggregates come first among the topics.
                if record.topic < self.plan.aggregates.len() {
                    let place = (record.topic, record.partition);
                    let next = state.positions.entry(place).or_default();
                    *next = record.offset.saturating_add(1).max(*next);
                }
                let topic = &topics[record.topic];
                let took = match record.what {
                    What::Row(key, held) => {
                        state.put(record.topic, key, held);
                        Some(())
                    }
                    What::Other(value) => take(state, topic, record.offset, value.as_deref()),
                    What::Foreign => None,
                };
                if took.is_none() {
                    tracing::debug!(topic, "a record that is not ours");
                }
            }
        });
    }

    /// The topics were read to their ends.
    fn complete(&self) {
        if !self.read().is_complete {
            self.change(|state| state.is_complete = true);
        }
    }
}

/// Takes in a manifest, or a row of the register.
fn take(state: &mut State, topic: &str, offset: i64, value: Option<&[u8]>) -> Option<()> {
    let (_, datum) = unframe(value).ok()?;
    if topic == LEDGER {
        state.ledger.take(&Manifest::from_bytes(datum).ok()?);
    } else {
        let practice = Practice::from_bytes(datum).ok()?;
        state.places.take(&practice);
        // Records of a practice lie in one partition: their offsets grow with the order of reading.
        practice.refer(&mut state.register, offset.unsigned_abs());
    }
    Some(())
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
    use super::super::known;
    use super::*;
    use crate::domain::aggregate::{Published, Row};
    use crate::wire::framing::frame;

    fn taken(topic: usize, row: Option<u128>, offset: i64) -> (Taken, Option<u128>) {
        let taken = Taken {
            topic,
            partition: 0,
            offset,
            what: What::Foreign,
        };
        (taken, row)
    }

    /// What a row's record is read as.
    fn read(plan: &AggregatePlan, topic: usize, row: &Row) -> What {
        let (mut datum, mut key, mut value) = (Vec::new(), Vec::new(), Vec::new());
        effects::write_key(row, &mut datum);
        frame(1, &datum, &mut key);
        datum.clear();
        let has_figures = effects::write_value(row, Some(("0", 7)), &mut datum);
        frame(2, &datum, &mut value);
        let message = Message {
            topic,
            partition: 0,
            offset: 5,
            timestamp: None,
            key: Some(&key),
            value: has_figures.then_some(&value),
        };
        let (taken, hash) = Records::new(plan).read(topic, &message);
        assert_eq!(hash.is_some(), !matches!(taken.what, What::Foreign));
        taken.what
    }

    #[test]
    fn a_row_is_read_as_it_was_written_and_no_other_is() {
        let plan = crate::config::aggregates::plan(None).unwrap();
        let (at, pressure) = plan.find("pressure").unwrap();
        let mut row = Row {
            aggregate: pressure.name.clone(),
            level: Level::Icb,
            code: "QVV".to_owned(),
            window: aggregate::Span::Times(Timestamp(0), Timestamp(3_600_000)),
            dimensions: Vec::new(),
            figures: Some(aggregate::Figures {
                counts: (pressure.measures.iter().zip(1..))
                    .map(|(measure, count)| (measure.label(), count))
                    .collect(),
                ratios: vec![("a_share".into(), 0.5), ("wait_90th".into(), 9.5)],
            }),
            stood: None,
            published: Published {
                as_of: Timestamp(9),
                revision: 3,
                finality: aggregate::Finality::Final,
                by_idleness: true,
            },
        };
        let What::Row(key, Some(held)) = read(&plan, at, &row) else {
            panic!("a row of ours")
        };
        let mut state = State::default();
        assert_eq!(Some(key), state.key(pressure, &row));
        let expected = known::held(&row).unwrap();
        assert_eq!(
            (held.sums, held.quantiles),
            (expected.sums, expected.quantiles)
        );
        assert_eq!(held.published, row.published);
        assert!(matches!(read(&plan, at - 1, &row), What::Foreign));
        // As another declaration would have it.
        row.figures.as_mut().unwrap().counts.swap(0, 1);
        assert!(matches!(read(&plan, at, &row), What::Foreign));
        row.figures = None;
        assert!(matches!(read(&plan, at, &row), What::Row(_, None)));
        // It has no measures that would tell.
        row.aggregate = "another".into();
        assert!(matches!(read(&plan, at, &row), What::Foreign));
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
            gathered.add(taken(0, Some(1), 1));
            gathered.add(taken(0, Some(2), 2));
            gathered.add(taken(1, Some(3), 7));
            gathered.add(taken(0, Some(1), 3));
            gathered.add(taken(2, None, 0));
            gathered.add(taken(2, None, 1));
            let drained = gathered.drain();
            let found: Vec<_> = drained.map(|taken| (taken.topic, taken.offset)).collect();
            assert_eq!(
                found,
                [(0, 3), (0, 2), (1, 7), (2, 0), (2, 1)],
                "round {round}"
            );
        }
        assert!(gathered.left() > Duration::ZERO);
    }
}
