//! What rows said at a time: the history, read as far back as it is asked (docs/decisions/0024).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::adapters::effects;
use crate::adapters::log::{Log, LogError, Span};
use crate::adapters::values::{Unreadable, Values};
use crate::domain::aggregate::Row;
use crate::domain::time::{MILLIS_PER_DAY, Timestamp};
use crate::engine::plan::Aggregate;
use crate::wire::output::{
    AggregateValue, Before, ClosedBy, Finality, History as Record, Published,
};

/// What rows said before; partitioned by task.
pub const HISTORY: &str = "gpad.history";

/// Records between two places of the index.
const STRIDE: i64 = 512;

/// Whether the rows of an aggregate have a history: not those that move with the clock.
#[must_use]
pub fn has_history(aggregate: &Aggregate) -> bool {
    !aggregate.follows_events() && aggregate.ahead_days.is_none()
}

/// A time that was asked for, and what bounds it.
#[derive(Debug, Clone, Copy)]
pub struct KnownAt {
    pub at: Timestamp,
    pub now: Timestamp,
    /// For how long the history is kept.
    pub days: u16,
}

/// Since when each task's history has no gap, by the task's name; `None`: it keeps none.
pub type Begun = Vec<(String, Option<Timestamp>)>;

/// Why it cannot be told what was known at a time.
#[derive(Debug, thiserror::Error)]
pub enum NotKnown {
    #[error("it is {} now, and what will be known is not known", .0.to_rfc3339())]
    ToCome(Timestamp),
    #[error("no history is kept (state.history_days is 0)")]
    Off,
    #[error("task {0} keeps no history: start the service with state.history_days above 0")]
    TaskKeepsNone(String),
    #[error("the history is kept from {} on (state.history_days is {days})", from.to_rfc3339())]
    TooEarly { from: Timestamp, days: u16 },
    #[error("of `{0}` no history is kept: its rows move with the clock")]
    Moves(String),
    #[error(
        "more than {0} rows would have to be held to tell it: ask for fewer days, a coarser level or one code"
    )]
    TooMany(usize),
    #[error("the figures are still being read")]
    NotYet,
    #[error(
        "reading what was known then takes longer than an answer may; what was read is not lost: ask again"
    )]
    TooSlow,
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{HISTORY}, partition {partition}, offset {offset}: {source}")]
    Unreadable {
        partition: i32,
        offset: i64,
        source: Unreadable,
    },
}

impl KnownAt {
    /// Whether the time lies within what is kept, as far as the settings and the tasks say.
    ///
    /// # Errors
    /// A time to come, or before what is kept, with the time from which on all of it is.
    pub fn check(self, begun: &Begun) -> Result<(), NotKnown> {
        if self.at > self.now {
            return Err(NotKnown::ToCome(self.now));
        }
        if self.days == 0 {
            return Err(NotKnown::Off);
        }
        let mut from = Timestamp(self.now.0 - i64::from(self.days) * MILLIS_PER_DAY);
        for (task, since) in begun {
            let since = since.ok_or_else(|| NotKnown::TaskKeepsNone(task.clone()))?;
            from = from.max(since);
        }
        self.not_before(from)
    }

    fn not_before(self, from: Timestamp) -> Result<(), NotKnown> {
        if from > self.at {
            let days = self.days;
            return Err(NotKnown::TooEarly { from, days });
        }
        Ok(())
    }
}

/// Places in the history's partitions, so that what was settled before a time need not be read again. Grows by 16 bytes
/// every 512 records read.
#[derive(Debug, Default)]
pub struct Index {
    partitions: BTreeMap<i32, Vec<Place>>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    offset: i64,
    /// The latest time of all records before the offset.
    latest: i64,
}

impl Index {
    /// Where to begin, so that everything settled after a time is read.
    fn before(&self, partition: i32, at: Timestamp) -> Place {
        let first = Place {
            offset: 0,
            latest: i64::MIN,
        };
        let Some(places) = self.partitions.get(&partition) else {
            return first;
        };
        let behind = places.partition_point(|place| place.latest <= at.0);
        behind.checked_sub(1).map_or(first, |last| places[last])
    }

    fn see(&mut self, partition: i32, seen: Place) {
        let places = self.partitions.entry(partition).or_default();
        let next = places.last().map_or(0, |place| place.offset) + STRIDE;
        if seen.offset >= next {
            places.push(seen);
        }
    }
}

/// Hands over what every row said before each transaction that was settled after a time, in the order of each row's
/// transactions: of each row the first says what stood then.
///
/// # Errors
/// A time before what is kept; a log or a record that cannot be read; [`NotKnown::TooSlow`] when told not to go on.
pub fn take_back(
    log: &dyn Log,
    values: &Values<'_>,
    known: KnownAt,
    index: &mut Index,
    go_on: &dyn Fn() -> bool,
    take: &mut dyn FnMut(Before) -> Result<(), NotKnown>,
) -> Result<(), NotKnown> {
    let partitions = log.partitions(&[HISTORY])?.first().copied().flatten();
    let mut spans = Vec::new();
    let mut latest = BTreeMap::new();
    // Partitions from whose front something was given up that may be asked for, until their first record is seen.
    let mut shortened = Vec::new();
    for partition in 0..partitions.unwrap_or(0) {
        let first = log.ends(HISTORY, partition)?.first;
        let place = index.before(partition, known.at);
        if first > place.offset {
            shortened.push(partition);
        }
        latest.insert(partition, place.latest);
        spans.push(Span {
            partition,
            from: place.offset.max(first),
            until: None,
        });
    }
    let (mut from, mut failed, mut is_whole) = (known.at, None, true);
    log.scan(HISTORY, &spans, &mut |message| {
        if !go_on() {
            is_whole = false;
            return ControlFlow::Break(());
        }
        let Some(message) = message else {
            return ControlFlow::Continue(());
        };
        let (partition, offset) = (message.partition, message.offset);
        let taken = values
            .decode::<Record>(message.value)
            .map_err(|source| NotKnown::Unreadable {
                partition,
                offset,
                source,
            });
        let taken = taken.and_then(|history| {
            if let Some(at) = shortened.iter().position(|of| *of == partition) {
                // What was given up was older than what is first now.
                shortened.swap_remove(at);
                from = from.max(Timestamp(history.known_at));
            }
            let latest = latest.entry(partition).or_insert(i64::MIN);
            *latest = history.known_at.max(*latest);
            index.see(
                partition,
                Place {
                    offset: offset + 1,
                    latest: *latest,
                },
            );
            if history.known_at > known.at.0 {
                history.rows.into_iter().try_for_each(&mut *take)?;
            }
            Ok(())
        });
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    known.not_before(from)?;
    if !is_whole {
        return Err(NotKnown::TooSlow);
    }
    Ok(())
}

/// The row that stood before a transaction; `None` if it is of no plan of closed vocabularies. Its revision is that of the
/// transaction.
#[must_use]
pub fn row_of(before: Before) -> Option<Row> {
    // Nothing else was kept of how it was published.
    let published = Published {
        as_of: 0,
        revision: before.revision,
        finality: Finality::Provisional,
        closed_by: ClosedBy::Open,
        written_by: None,
    };
    let value = before
        .figures
        .map(|figures| AggregateValue { figures, published });
    effects::row_of(before.key, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::embedded::{EmbeddedLog, Topic};
    use crate::adapters::log::NewRecord;
    use crate::adapters::schemas::{Schemas, bundled};
    use crate::wire::datum::Datum;
    use crate::wire::framing::frame;
    use crate::wire::output::AggregateKey;

    const RECORDS: i64 = 2_000;

    /// The time at which a record's transaction was settled: a clock that goes back for a while.
    const fn at(partition: i32, number: i64) -> i64 {
        let back = if number % 700 > 600 { 300 } else { 0 };
        1_000 * (10 * number + partition as i64 - back)
    }

    fn log() -> EmbeddedLog {
        let topic = Topic {
            name: HISTORY,
            partitions: 2,
            is_compacted: false,
        };
        let log = EmbeddedLog::in_memory(&[topic]).unwrap();
        let mut appender = log.appender().unwrap();
        let id = bundled("gpad.history").unwrap().id;
        for number in 0..RECORDS {
            for partition in [0, 1] {
                let key = AggregateKey {
                    aggregate: "activity".to_owned(),
                    level: "icb".to_owned(),
                    code: format!("{partition}-{number}"),
                    window_start: String::new(),
                    window_end: String::new(),
                    dimensions: Vec::new(),
                };
                let row = Before {
                    key,
                    figures: None,
                    revision: 1,
                };
                let record = Record {
                    task: partition.to_string(),
                    sequence: number,
                    known_at: at(partition, number),
                    rows: vec![row],
                };
                let mut value = Vec::new();
                frame(id, &record.to_bytes(), &mut value);
                let record = NewRecord {
                    topic: HISTORY,
                    partition: Some(partition),
                    key: None,
                    value: Some(&value),
                };
                appender.append(&record).unwrap();
            }
            if number % 100 == 99 {
                // Whole blocks are given up.
                appender.flush().unwrap();
            }
        }
        log
    }

    fn taken(log: &EmbeddedLog, since: i64, index: &mut Index) -> Result<Vec<String>, NotKnown> {
        let known = KnownAt {
            at: Timestamp(since),
            now: Timestamp(i64::MAX),
            days: 1,
        };
        let schemas = Schemas::new(None);
        let mut codes = Vec::new();
        take_back(
            log,
            &Values::new(&schemas),
            known,
            index,
            &|| true,
            &mut |row| {
                codes.push(row.key.code);
                Ok(())
            },
        )?;
        Ok(codes)
    }

    fn expected(since: i64) -> Vec<String> {
        let of = |partition| {
            let numbers = (0..RECORDS).filter(move |number| at(partition, *number) > since);
            numbers.map(move |number| format!("{partition}-{number}"))
        };
        of(0).chain(of(1)).collect()
    }

    /// Catches an index that skips what was settled after the time, however the clock went.
    #[test]
    fn what_is_skipped_was_settled_before_the_time() {
        let (log, mut index) = (log(), Index::default());
        let times = [0, 5_005_000, 6_500_000, 12_345_678, 19_999_000, 30_000_000];
        for since in times {
            assert_eq!(
                taken(&log, since, &mut Index::default()).unwrap(),
                expected(since)
            );
            assert_eq!(
                taken(&log, since, &mut index).unwrap(),
                expected(since),
                "{since}"
            );
        }
        let place = index.before(0, Timestamp(12_345_678));
        assert!(
            place.offset >= 512 && place.latest <= 12_345_678,
            "{place:?}"
        );
        assert!(index.before(1, Timestamp(30_000_000)).offset >= 1_500);
    }

    #[test]
    fn a_time_before_what_is_kept_is_told_the_first_that_is() {
        let (log, mut index) = (log(), Index::default());
        taken(&log, 30_000_000, &mut index).unwrap();
        log.delete_before(HISTORY, 1, 800).unwrap();
        let first = log.ends(HISTORY, 1).unwrap().first;
        assert!(first > 512, "{first}");
        let from = at(1, first);
        for index in [&mut index, &mut Index::default()] {
            assert_eq!(taken(&log, from, index).unwrap(), expected(from));
            match taken(&log, from - 1, index) {
                Err(NotKnown::TooEarly {
                    from: told,
                    days: 1,
                }) => assert_eq!(told.0, from),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn reading_that_is_stopped_tells_so_and_what_was_read_is_not_read_again() {
        let (log, mut index) = (log(), Index::default());
        let known = KnownAt {
            at: Timestamp(15_000_000),
            now: Timestamp(i64::MAX),
            days: 1,
        };
        let left = std::cell::Cell::new(1_400);
        let go_on = || left.replace(left.get() - 1) > 0;
        let schemas = Schemas::new(None);
        let outcome = take_back(
            &log,
            &Values::new(&schemas),
            known,
            &mut index,
            &go_on,
            &mut |_| Ok(()),
        );
        assert!(matches!(outcome, Err(NotKnown::TooSlow)), "{outcome:?}");
        assert!(index.before(0, known.at).offset >= 1_024);
    }

    #[test]
    fn a_time_is_checked_against_the_clock_the_settings_and_every_task() {
        let known = |at, days| KnownAt {
            at: Timestamp(at),
            now: Timestamp(100 * MILLIS_PER_DAY),
            days,
        };
        let begun = |since: Option<i64>| -> Begun {
            let first = ("0".to_owned(), Some(Timestamp(i64::MIN)));
            vec![first, ("1".to_owned(), since.map(Timestamp))]
        };
        let told = |known: KnownAt, since| known.check(&begun(since)).map_err(|it| it.to_string());
        let long_ago = Some(i64::MIN);
        assert_eq!(told(known(99 * MILLIS_PER_DAY, 1), long_ago), Ok(()));
        let cases = [
            (
                known(101 * MILLIS_PER_DAY, 1),
                long_ago,
                "what will be known",
            ),
            (
                known(99 * MILLIS_PER_DAY, 0),
                long_ago,
                "state.history_days is 0",
            ),
            (
                known(99 * MILLIS_PER_DAY - 1, 1),
                long_ago,
                "from 1970-04-10T00:00:00.000Z",
            ),
            (
                known(98 * MILLIS_PER_DAY, 9),
                Some(99 * MILLIS_PER_DAY),
                "from 1970-04-10T00:00:00.000Z",
            ),
            (
                known(99 * MILLIS_PER_DAY, 1),
                None,
                "task 1 keeps no history",
            ),
        ];
        for (known, since, expected) in cases {
            let error = told(known, since).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
