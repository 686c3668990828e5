//! `publish`: a month's files from the aggregates' topics.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use crate::adapters::effects;
use crate::adapters::kafka::KafkaLog;
use crate::adapters::log::{Log, Message, Position, Span};
use crate::adapters::progress::Progress;
use crate::adapters::registry::Registry;
use crate::adapters::schemas::Schemas;
use crate::config::Settings;
use crate::domain::reference::Reference;
use crate::domain::time::Month;
use crate::domain::topic::ReferenceTopic;
use crate::publication::{PrintedNames, Publication, SOURCES};
use crate::stages::refer::Refer;
use crate::wire::datum::Datum;
use crate::wire::framing::unframe;
use crate::wire::output::{AggregateKey, AggregateValue};
use crate::wire::reference::{Participation, Practice, SlotTypeMapping};

use super::Failure;

/// Write the publication's files of a month from the aggregates' topics, as they are committed now.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The month to publish, such as 2022-02.
    #[arg(long, value_name = "YYYY-MM", value_parser = parse_month)]
    pub month: Month,
    /// Folder for `publication/<YYYY-MM>/`, made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Configuration file; `GPAD_…` variables override it.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    pub config: Option<PathBuf>,
}

fn parse_month(text: &str) -> Result<Month, String> {
    Month::parse(text).ok_or_else(|| "expected a month such as 2022-02".to_owned())
}

/// Runs the command.
///
/// # Errors
/// Wrong configuration; a log that cannot be reached or lacks a topic; a month without rows.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = Settings::load(arguments.config.as_deref())?;
    KafkaLog::check(&settings.kafka).map_err(|error| Failure::Failed(error.into()))?;
    let log = KafkaLog::open(&settings.kafka).map_err(|error| Failure::Failed(error.into()))?;
    let registry = Registry::new(&settings.registry);
    publish(arguments, &log, &Schemas::new(registry)).map_err(Failure::Failed)
}

/// Reads the topics of any log and writes the files.
///
/// # Errors
/// As [`run`].
pub fn publish(arguments: &Arguments, log: &dyn Log, schemas: &Schemas) -> anyhow::Result<()> {
    let progress = Progress::spinner("reading reference topics");
    let (reference, _) = read_reference(log, schemas)?;
    let mut publication = Publication::default();
    for name in SOURCES {
        let topic = effects::aggregate_topic(name);
        progress.tell(&format!("reading {topic}"));
        read(log, &topic, &mut |message| {
            take_row(&mut publication, schemas, message)
        })?;
    }
    let month = arguments.month;
    let months = publication.months();
    if !months.contains(&month) {
        let there: Vec<_> = months.into_iter().map(Month::label).collect();
        let there = if there.is_empty() {
            "none".to_owned()
        } else {
            there.join(", ")
        };
        return Err(anyhow!(
            "--month {}: the topics hold no published appointment of it; months there are: {there}",
            month.label()
        ));
    }
    let folder = arguments.output.join("publication").join(month.label());
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    progress.tell("writing");
    publication.write(month, &reference, &PrintedNames::of(&reference), &folder)?;
    progress.finish();
    tracing::info!(month = month.label(), folder = %folder.display(), "published");
    Ok(())
}

/// Every record of a topic, as it stands now.
fn read(
    log: &dyn Log,
    topic: &str,
    take: &mut dyn FnMut(&Message<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let partitions = log
        .partitions(&[topic])?
        .first()
        .copied()
        .flatten()
        .with_context(|| format!("topic {topic} is missing: `gpad-live topics create` makes it"))?;
    let spans: Vec<_> = (0..partitions).map(Span::whole).collect();
    let mut outcome = Ok(());
    log.scan(topic, &spans, &mut |message| {
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
    outcome
}

fn take_row(
    publication: &mut Publication,
    schemas: &Schemas,
    message: &Message<'_>,
) -> anyhow::Result<()> {
    let key: AggregateKey = decode(schemas, message.key)?;
    let value = message
        .value
        .map(|value| decode::<AggregateValue>(schemas, Some(value)))
        .transpose()?;
    let row =
        effects::row_of(key, value).context("the row is of no aggregate that is known here")?;
    publication.take(&row);
    Ok(())
}

fn decode<T: Datum>(schemas: &Schemas, framed: Option<&[u8]>) -> anyhow::Result<T> {
    let (id, datum) = unframe(framed)?;
    let writer = schemas.schema(id)?;
    Ok(T::decode(&writer, datum)?)
}

/// The reference data as it stands now, and how far each partition was read: behind its last record.
pub(super) fn read_reference(
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
        read(log, topic.name(), &mut |message| {
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
