//! Reads the publication's rows and the reference data from their topics, until they stand still.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::months::{Months, chosen};
use crate::adapters::clock::{monotonic, since};
use crate::adapters::effects;
use crate::adapters::log::{Log, Message, Position, Span};
use crate::adapters::schemas::Schemas;
use crate::domain::aggregate::Row;
use crate::domain::reference::Reference;
use crate::domain::time::Month;
use crate::domain::topic::ReferenceTopic;
use crate::publication::release::{Source, Transaction};
use crate::publication::{Publication, SOURCES};
use crate::service::{DELTAS, Note, TASKS};
use crate::stages::refer::Refer;
use crate::wire::datum::{Bytes, Datum};
use crate::wire::framing::unframe;
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

/// Reads the topics to their ends, again and again until nothing more comes and every file of a month asked for has the
/// same appointments: the topics are read one after the other, and each task writes when it will.
///
/// # Errors
/// A topic that is missing or holds something else; a month that is not there; figures that do not come to rest.
pub fn read(
    log: &dyn Log,
    schemas: &Schemas,
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
                publication.take(&row(schemas, message)?);
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
    let mut transactions = Vec::new();
    for (topic, prefix) in [(TASKS, ""), (DELTAS, "rollup-")] {
        let partitions = log.partitions(&[topic])?.first().copied().flatten();
        for partition in 0..partitions.unwrap_or(0) {
            let committed = log.committed(&[(topic, partition)])?;
            if let Some(note) = committed.note.as_deref().and_then(Note::read) {
                transactions.push(Transaction {
                    task: format!("{prefix}{partition}"),
                    sequence: note.sequence,
                    hash: Bytes(note.hash).to_string(),
                });
            }
        }
    }
    Ok(transactions)
}

/// Every record of a topic from some positions on, to its end as it stands now.
fn read_on(
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

fn row(schemas: &Schemas, message: &Message<'_>) -> anyhow::Result<Row> {
    let key: AggregateKey = decode(schemas, message.key)?;
    let value = message
        .value
        .map(|value| decode::<AggregateValue>(schemas, Some(value)))
        .transpose()?;
    effects::row_of(key, value).context("the row is of no aggregate that is known here")
}

fn decode<T: Datum>(schemas: &Schemas, framed: Option<&[u8]>) -> anyhow::Result<T> {
    let (id, datum) = unframe(framed)?;
    let writer = schemas.schema(id)?;
    Ok(T::decode(&writer, datum)?)
}

/// The reference data as it stands now, and how far each partition was read: behind its last record.
pub fn read_reference(
    log: &dyn Log,
    schemas: &Schemas,
) -> anyhow::Result<(Arc<Reference>, Vec<Position>)> {
    fn follow<T: Datum + Refer>(
        log: &dyn Log,
        schemas: &Schemas,
        topic: ReferenceTopic,
        read_so_far: (&mut Reference, &mut Vec<Position>),
    ) -> anyhow::Result<()> {
        let (reference, positions) = read_so_far;
        let (mut ordinal, mut last) = (0, BTreeMap::new());
        read_on(log, topic.name(), None, &mut |message| {
            ordinal += 1;
            last.insert(message.partition, message.offset + 1);
            // A tombstone takes nothing away that had been true: reference data only grows.
            if message.value.is_some() {
                decode::<T>(schemas, message.value)?.refer(reference, ordinal);
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
    follow::<Participation>(log, schemas, Agreements, (so_far.0, so_far.1))?;
    follow::<Practice>(log, schemas, Practices, (so_far.0, so_far.1))?;
    follow::<SlotTypeMapping>(log, schemas, SlotTypeMappings, (so_far.0, so_far.1))?;
    Ok((Arc::new(reference), positions))
}
