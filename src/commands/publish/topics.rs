//! Reads the publication's rows and the reference data from their topics, until they stand still.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::months::{Months, chosen};
use crate::adapters::clock::{monotonic, since};
use crate::adapters::effects;
use crate::adapters::figures::history::Begun;
use crate::adapters::log::{Log, LogError, Message, Position, Span};
use crate::adapters::values::Values;
use crate::domain::aggregate::Row;
use crate::domain::reference::Reference;
use crate::domain::time::{Month, Timestamp};
use crate::domain::topic::ReferenceTopic;
use crate::publication::release::{Source, Transaction};
use crate::publication::{Publication, SOURCES};
use crate::service::{DELTAS, Note, TASKS};
use crate::stages::refer::Refer;
use crate::wire::datum::{Bytes, Datum};
use crate::wire::output::{AggregateKey, AggregateValue};
use crate::wire::reference::{Participation, Practice, SlotTypeMapping};

/// How long figures that move are waited for.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);

/// Rows as they stood when the topics stood still.
pub struct Read {
    pub publication: Publication,
    /// The months asked for.
    pub months: Vec<Month>,
    pub sources: Vec<Source>,
    pub transactions: Vec<Transaction>,
}

/// Reads the topics to their ends as they stand now, once.
///
/// # Errors
/// A topic that is missing or holds something else.
pub fn read_once(
    log: &dyn Log,
    values: &Values<'_>,
    tell: &dyn Fn(&str),
) -> anyhow::Result<Publication> {
    let mut publication = Publication::default();
    for name in SOURCES {
        let topic = effects::aggregate_topic(name);
        tell(&format!("reading {topic}"));
        read_on(log, &topic, None, &mut |message| {
            publication.take(&row(values, message)?);
            Ok(())
        })?;
    }
    Ok(publication)
}

/// Reads the topics to their ends, again and again until nothing more comes and every file of a month asked for has the
/// same appointments: the topics are read one after the other, and each task writes when it will.
///
/// # Errors
/// A topic that is missing or holds something else; a month that is not there; figures that do not come to rest.
pub fn read(
    log: &dyn Log,
    values: &Values<'_>,
    wanted: &[Months],
    tell: &dyn Fn(&str),
) -> anyhow::Result<Read> {
    let mut publication = Publication::default();
    let mut positions: BTreeMap<&str, Vec<Position>> = BTreeMap::new();
    let began = monotonic();
    loop {
        let mut news = 0_u64;
        let transactions = transactions(log)?;
        for name in SOURCES {
            let topic = effects::aggregate_topic(name);
            tell(&format!("reading {topic}"));
            let from = positions.remove(name);
            let next = read_on(log, &topic, from.as_deref(), &mut |message| {
                news += 1;
                publication.take(&row(values, message)?);
                Ok(())
            })?;
            positions.insert(name, next);
        }
        let is_late = since(began) > PATIENCE;
        let months = chosen(wanted, &publication.months());
        if news > 0 && !is_late {
            continue;
        }
        let months = months?;
        let moving = months.iter().find(|month| {
            let totals = publication.totals(**month);
            totals.iter().any(|total| *total != totals[0])
        });
        let Some(month) = moving else {
            if news > 0 {
                tracing::warn!(
                    "rows come faster than the topics are read: released as they were read last"
                );
            }
            let sources = positions.into_values().flatten();
            return Ok(Read {
                publication,
                months,
                sources: sources.map(source).collect(),
                transactions,
            });
        };
        if is_late {
            let totals = SOURCES.iter().zip(publication.totals(*month));
            let totals: Vec<_> = totals.map(|(name, sum)| format!("{name} {sum}")).collect();
            return Err(anyhow!(
                "{}: the topics do not hold the same appointments ({}); while records come in, try again; else `gpad-live verify` says what is missing",
                month.label(),
                totals.join(", ")
            ));
        }
        tell("waiting for the figures to come to rest");
        crate::adapters::threads::sleep(PAUSE);
    }
}

fn source(position: Position) -> Source {
    Source {
        topic: position.topic,
        partition: position.partition,
        next: position.next,
    }
}

/// What every task committed last: of the first stage, then of the second.
fn transactions(log: &dyn Log) -> anyhow::Result<Vec<Transaction>> {
    let transactions = notes(log)?.into_iter().map(|(task, note)| Transaction {
        task,
        sequence: note.sequence,
        hash: Bytes(note.hash).to_string(),
    });
    Ok(transactions.collect())
}

/// The note of every task that has committed anything, by the task's name.
///
/// # Errors
/// When the log cannot say.
pub fn notes(log: &dyn Log) -> Result<Vec<(String, Note)>, LogError> {
    let mut notes = Vec::new();
    for (topic, prefix) in [(TASKS, ""), (DELTAS, "rollup-")] {
        let partitions = log.partitions(&[topic])?.first().copied().flatten();
        for partition in 0..partitions.unwrap_or(0) {
            let committed = log.committed(&[(topic, partition)])?;
            if let Some(note) = committed.note.as_deref().and_then(Note::read) {
                notes.push((format!("{prefix}{partition}"), note));
            }
        }
    }
    Ok(notes)
}

/// Since when each task's history has no gap.
///
/// # Errors
/// As for `notes`.
pub fn begun(log: &dyn Log) -> Result<Begun, LogError> {
    let notes = notes(log)?.into_iter();
    Ok(notes.map(|(task, note)| (task, note.history)).collect())
}

/// Every record of a topic from some positions on, to its end as it stands now.
///
/// # Errors
/// A topic that is missing; those of the log and of `take`, with the record's place.
pub fn read_on(
    log: &dyn Log,
    topic: &str,
    from: Option<&[Position]>,
    take: &mut dyn FnMut(&Message<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Position>> {
    let spans: Vec<Span> = if let Some(from) = from {
        let spans = from.iter().map(|position| Span {
            partition: position.partition,
            from: position.next,
            until: None,
        });
        spans.collect()
    } else {
        let partitions = log.partitions(&[topic])?.first().copied().flatten();
        let partitions = partitions.with_context(|| {
            format!("topic {topic} is missing: `gpad-live topics create` makes it")
        })?;
        (0..partitions).map(Span::whole).collect()
    };
    let mut outcome = Ok(());
    let positions = log.scan(topic, &spans, &mut |message| {
        let Some(message) = message else {
            return ControlFlow::Continue(());
        };
        match take(&message) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                let (partition, offset) = (message.partition, message.offset);
                outcome =
                    Err(error.context(format!("{topic}, partition {partition}, offset {offset}")));
                ControlFlow::Break(())
            }
        }
    })?;
    outcome.map(|()| positions)
}

fn row(values: &Values<'_>, message: &Message<'_>) -> anyhow::Result<Row> {
    let key: AggregateKey = values.decode(message.key)?;
    let value = message
        .value
        .map(|value| values.decode::<AggregateValue>(Some(value)))
        .transpose()?;
    effects::row_of(key, value).context("the row is of no aggregate that is known here")
}

/// The reference data as it stands now, and how far each partition was read: behind its last record.
///
/// # Errors
/// As for [`read_on`].
pub fn read_reference(
    log: &dyn Log,
    values: &Values<'_>,
) -> anyhow::Result<(Arc<Reference>, Vec<Position>)> {
    reference_recorded_by(log, values, Timestamp(i64::MAX))
}

/// The reference data that had been recorded by a time.
///
/// # Errors
/// As for [`read_on`].
pub fn reference_recorded_by(
    log: &dyn Log,
    values: &Values<'_>,
    until: Timestamp,
) -> anyhow::Result<(Arc<Reference>, Vec<Position>)> {
    fn follow<T: Datum + Refer>(
        log: &dyn Log,
        values: &Values<'_>,
        topic: ReferenceTopic,
        read_so_far: (&mut Reference, &mut Vec<Position>),
        is_known: &dyn Fn(&T) -> bool,
    ) -> anyhow::Result<()> {
        let (reference, positions) = read_so_far;
        let (mut ordinal, mut last) = (0, BTreeMap::new());
        read_on(log, topic.name(), None, &mut |message| {
            ordinal += 1;
            last.insert(message.partition, message.offset + 1);
            // A tombstone takes nothing away that had been true: reference data only grows.
            if message.value.is_some() {
                let record = values.decode::<T>(message.value)?;
                if is_known(&record) {
                    record.refer(reference, ordinal);
                }
            }
            Ok(())
        })?;
        positions.extend(last.into_iter().map(|(partition, next)| Position {
            topic: topic.name().to_owned(),
            partition,
            next,
        }));
        Ok(())
    }
    use ReferenceTopic::{Participation as Agreements, Practices, SlotTypeMappings};
    let (mut reference, mut positions) = (Reference::default(), Vec::new());
    let so_far = &mut (&mut reference, &mut positions);
    let of = |recorded_at: i64| recorded_at <= until.0;
    follow::<Participation>(log, values, Agreements, (so_far.0, so_far.1), &|it| {
        of(it.recorded_at)
    })?;
    follow::<Practice>(log, values, Practices, (so_far.0, so_far.1), &|it| {
        of(it.recorded_at)
    })?;
    follow::<SlotTypeMapping>(log, values, SlotTypeMappings, (so_far.0, so_far.1), &|it| {
        of(it.recorded_at)
    })?;
    Ok((Arc::new(reference), positions))
}
