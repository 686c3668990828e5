//! The aggregates' history: what each transaction's rows said before it, kept for some days.
//
// What stands is in the aggregates' topics; taken back record by record, it becomes what stood. So nothing has to be kept
// of rows that never change, and any time within what is kept can be asked for (docs/decisions/0024).

use std::ops::ControlFlow;
use std::time::Duration;

use super::note::Note;
use super::stop::Stop;
use crate::adapters::clock::Clock;
use crate::adapters::effects;
use crate::adapters::log::{Log, LogError, Span};
use crate::domain::aggregate::Row;
use crate::domain::time::{MILLIS_PER_DAY, Timestamp};
use crate::engine::plan::Aggregate;
use crate::wire::avro::encode;
use crate::wire::datum::Avro;
use crate::wire::framing::unframe;
use crate::wire::output::History;

/// What rows said before; partitioned by task.
pub const HISTORY: &str = "gpad.history";

/// A record of the topic is closed beyond this many bytes: rows of one transaction may take several.
const CLOSED_AT: usize = 128 * 1024;

/// Between two looks at what is no longer to be kept.
const PAUSE: Duration = Duration::from_hours(1);

/// Whether the rows of an aggregate have a history: those whose rows change because something became known, and not
/// because time went by.
#[must_use]
pub const fn is_kept(aggregate: &Aggregate) -> bool {
    !aggregate.follows_events() && aggregate.ahead_days.is_none()
}

/// From when on a task's history is complete that goes on behind the transaction of a note: from the very first, or from
/// when it was switched on.
#[must_use]
pub fn begun(before: Option<&Note>, now: Timestamp) -> Timestamp {
    before.map_or(Timestamp(i64::MIN), |note| note.history.unwrap_or(now))
}

/// What the rows of the transaction in the making said before it.
#[derive(Debug, Default)]
pub struct Before {
    /// Avro: the rows one behind the other.
    rows: Vec<u8>,
    count: i64,
}

impl Before {
    pub fn clear(&mut self) {
        self.rows.clear();
        self.count = 0;
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.rows.len() >= CLOSED_AT
    }

    /// A row that changes; `key` is the datum of its key.
    pub fn row(&mut self, key: &[u8], row: &Row) {
        self.rows.extend_from_slice(key);
        encode::optional(row.stood.as_ref(), &mut self.rows, effects::write_figures);
        let revision = i32::try_from(row.published.revision).unwrap_or(i32::MAX);
        revision.write(&mut self.rows);
        self.count += 1;
    }

    /// Appends the rows gathered as one [`History`](crate::wire::output::History), and forgets them.
    pub fn take(&mut self, task: &str, sequence: i64, known_at: Timestamp, into: &mut Vec<u8>) {
        task.to_owned().write(into);
        sequence.write(into);
        known_at.0.write(into);
        self.count.write(into);
        into.extend_from_slice(&self.rows);
        0_i64.write(into);
        self.clear();
    }
}

/// Gives up what is older than so many days, now and every hour, until told to stop. Every instance does: what one has
/// given up, another does not find.
pub fn keep(log: &dyn Log, days: u16, clock: Clock, stop: &Stop) {
    loop {
        let before = clock.now().0 - i64::from(days) * MILLIS_PER_DAY;
        if let Err(error) = give_up(log, Timestamp(before), stop) {
            tracing::warn!("{HISTORY} keeps more than it needs: {error}");
        }
        if stop.wait(PAUSE) {
            return;
        }
    }
}

fn give_up(log: &dyn Log, before: Timestamp, stop: &Stop) -> Result<(), LogError> {
    let partitions = log.partitions(&[HISTORY])?.first().copied().flatten();
    for partition in 0..partitions.unwrap_or(0) {
        let first = log.ends(HISTORY, partition)?.first;
        let span = Span {
            partition,
            from: first,
            until: None,
        };
        let mut kept_from = first;
        log.scan(HISTORY, &[span], &mut |message| {
            let Some(message) = message else {
                return if stop.is_requested() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                };
            };
            let known_at = unframe(message.value)
                .ok()
                .and_then(|(_, datum)| History::read_known_at(datum).ok());
            // What cannot be read helps nobody.
            let is_kept = known_at.is_some_and(|at| at >= before.0);
            if is_kept {
                return ControlFlow::Break(());
            }
            kept_from = message.offset + 1;
            ControlFlow::Continue(())
        })?;
        if kept_from > first {
            log.delete_before(HISTORY, partition, kept_from)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::embedded::{EmbeddedLog, Topic};
    use crate::adapters::log::NewRecord;
    use crate::domain::aggregate::{Figures, Finality, Published, Span as Window};
    use crate::domain::place::Level;
    use crate::domain::time::Day;
    use crate::wire::datum::Datum;
    use crate::wire::framing::frame;
    use crate::wire::output::{self, AggregateKey};

    fn row(stood: Option<i64>, revision: u32) -> Row {
        let figures = |count| Figures {
            counts: vec![("appointments", count)],
            ratios: vec![("share".into(), 0.5)],
        };
        Row {
            aggregate: "activity".into(),
            level: Level::SubIcb,
            code: "15N".to_owned(),
            window: Window::Days(Day(18_000), Day(18_001)),
            dimensions: vec![("status", "Attended".into())],
            figures: Some(figures(9)),
            stood: stood.map(figures),
            published: Published {
                as_of: Timestamp(0),
                revision,
                finality: Finality::Final,
                by_idleness: false,
            },
        }
    }

    #[test]
    fn rows_put_one_behind_the_other_are_read_as_the_schema_says() {
        let (first, second) = (row(None, 1), row(Some(7), 2));
        let mut before = Before::default();
        for row in [&first, &second] {
            let mut key = Vec::new();
            effects::write_key(row, &mut key);
            before.row(&key, row);
        }
        let mut datum = Vec::new();
        before.take("rollup-0", 41, Timestamp(5_000), &mut datum);
        assert!(before.is_empty());
        assert_eq!(History::read_known_at(&datum), Ok(5_000));
        let read = History::from_bytes(&datum).unwrap();
        assert_eq!(
            (read.task.as_str(), read.sequence, read.known_at),
            ("rollup-0", 41, 5_000)
        );
        let rows: Vec<_> = (read.rows.into_iter())
            .map(|row| (row.key, row.figures, row.revision))
            .collect();
        let mut key = Vec::new();
        effects::write_key(&first, &mut key);
        let key = AggregateKey::from_bytes(&key).unwrap();
        let figures = output::Figures {
            counts: vec![output::Count {
                measure: "appointments".to_owned(),
                value: 7,
            }],
            ratios: vec![output::Ratio {
                measure: "share".to_owned(),
                value: 0.5,
            }],
        };
        assert_eq!(rows, [(key.clone(), None, 1), (key, Some(figures), 2)]);
    }

    #[test]
    fn a_history_is_complete_from_the_first_transaction_or_from_where_it_was_switched_on() {
        let (now, earlier) = (Timestamp(9), Timestamp(4));
        let after = |history| Note {
            epoch: 0,
            sequence: 1,
            hash: Vec::new(),
            now: Timestamp(5),
            snapshot: None,
            history,
            reference: None,
        };
        assert_eq!(begun(None, now), Timestamp(i64::MIN));
        assert_eq!(begun(Some(&after(None)), now), now);
        assert_eq!(begun(Some(&after(Some(earlier))), now), earlier);
    }

    #[test]
    fn what_is_older_is_given_up_from_the_front_and_nothing_else() {
        let topic = Topic {
            name: HISTORY,
            partitions: 2,
            is_compacted: false,
        };
        let log = EmbeddedLog::in_memory(&[topic]).unwrap();
        let mut appender = log.appender().unwrap();
        for (partition, at) in [(0, 1_000), (0, 2_000), (0, 3_000), (1, 2_500), (0, 1_500)] {
            let (mut datum, mut value) = (Vec::new(), Vec::new());
            Before::default().take("0", 1, Timestamp(at), &mut datum);
            frame(27, &datum, &mut value);
            let record = NewRecord {
                topic: HISTORY,
                partition: Some(partition),
                key: None,
                value: Some(&value),
            };
            appender.append(&record).unwrap();
            // A block of its own: whole blocks are given up.
            appender.flush().unwrap();
        }
        let first = |before| {
            give_up(&log, Timestamp(before), &Stop::default()).unwrap();
            [0, 1].map(|partition| log.ends(HISTORY, partition).unwrap().first)
        };
        assert_eq!(first(1_000), [0, 0]);
        assert_eq!(
            first(2_001),
            [2, 0],
            "a clock that went back holds what came before it"
        );
        assert_eq!(first(3_000), [2, 1]);
        assert_eq!(first(3_001), [4, 1]);
    }
}
