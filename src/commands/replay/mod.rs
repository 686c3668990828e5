//! `replay`: the core over files, to the publication, the aggregates, the dead letters, the ledger.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;

use crate::adapters::effects;
use crate::adapters::progress::Progress;
use crate::config::Settings;
use crate::domain::disposition::Disposition;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::domain::topic::{ReferenceTopic, SupplierTopic};
use crate::engine::fold::Change;
use crate::engine::ledger::Counts;
use crate::engine::rollup::Rollup;
use crate::pipeline::Plan;
use crate::publication::{PrintedNames, Publication};
use crate::stages::letter;
use crate::stages::refer::Refer;
use crate::wire::avro::{Decoder, Stepper};
use crate::wire::container::{ContainerReader, ContainerWriter, Packing};
use crate::wire::datum::Datum;
use crate::wire::output::{AggregateRow, DeadLetter};
use crate::wire::records::Records;
use crate::wire::reference::{Participation, Practice, SlotTypeMapping};

use super::Failure;
use tasks::{Loaded, Loader, TASKS};

mod tasks;

/// Run the core over files: a folder of `<topic>.avro` in, the publication out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live replay --input records --output figures
  gpad-live replay --input records --output figures --as-of 2022-03-01T00:00:00Z

Files to try it with: gpad-live simulate --cells FILE --month YYYY-MM --output records")]
pub struct Arguments {
    /// Folder with `<topic>.avro` files: eight supplier topics, three reference topics. A topic
    /// without a file has no records.
    #[arg(long, value_name = "DIR")]
    pub input: PathBuf,
    /// Folder for `publication/`, `aggregates/`, `dead-letters.avro` and `ledger.json`; made if it is
    /// not there.
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// "Now", UTC: an appointment is past when its start is before it. Without it the greatest time
    /// of extraction read.
    #[arg(long, value_name = "TIME", value_parser = parse_as_of)]
    pub as_of: Option<Timestamp>,
    /// Service period, ignorable fields and aggregates are taken from here.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    pub config: Option<PathBuf>,
}

pub(super) fn parse_as_of(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| "expected a time in UTC such as 2022-03-01T00:00:00Z".to_owned())
}

/// Runs the command.
///
/// # Errors
/// Wrong use or configuration before anything is read; a file that cannot be read or written.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = Settings::load(arguments.config.as_deref())?;
    let plan = Arc::new(super::plan_of(&settings, None)?);
    check_input(&arguments.input)?;
    replay(arguments, &plan).map_err(Failure::Failed)
}

/// The files of the folder that are there.
fn check_input(folder: &Path) -> Result<(), Failure> {
    if !folder.is_dir() {
        return Err(Failure::Usage(format!(
            "--input {}: there is no such folder",
            folder.display()
        )));
    }
    if !SupplierTopic::ALL
        .iter()
        .any(|topic| file_of(folder, topic.name()).is_file())
    {
        return Err(Failure::Usage(format!(
            "--input {}: the folder has none of the supplier topics' files, such as {}.avro",
            folder.display(),
            SupplierTopic::EmisAppointments
        )));
    }
    Ok(())
}

fn file_of(folder: &Path, topic: &str) -> PathBuf {
    folder.join(format!("{topic}.avro"))
}

fn replay(arguments: &Arguments, plan: &Arc<Plan>) -> anyhow::Result<()> {
    let output = &arguments.output;
    fs::create_dir_all(output.join("aggregates"))
        .with_context(|| format!("cannot make the folder {}", output.display()))?;
    let reference = Arc::new(read_reference(&arguments.input)?);
    let mut letters = Letters::create(&output.join("dead-letters.avro"))?;
    let progress = Progress::bytes("reading", total_bytes(&arguments.input));
    let loaded = std::thread::scope(|scope| {
        let mut loader = Loader::new(scope, plan, &reference);
        for topic in SupplierTopic::ALL {
            let path = file_of(&arguments.input, topic.name());
            if path.is_file() {
                read_topic(&mut loader, topic, &path, &mut letters, &progress)?;
            }
        }
        let (refused, loaded) = loader.finish();
        letters.take(refused)?;
        anyhow::Ok(loaded)
    })?;
    progress.finish();
    let now = arguments
        .as_of
        .or(loaded.newest_read)
        .unwrap_or(Timestamp(0));
    let progress = Progress::spinner("adding up");
    let (publication, counts) = write_aggregates(loaded, plan, now, output)?;
    letters.finish()?;
    let names = PrintedNames::of(&reference);
    for month in publication.months() {
        progress.tell(&format!("writing publication {}", month.label()));
        let folder = output.join("publication").join(month.label());
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        publication.write(month, &reference, &names, &folder)?;
    }
    write_ledger(&counts, &output.join("ledger.json"))?;
    progress.finish();
    tracing::info!(
        records = counts.total(),
        months = publication.months().len(),
        as_of = now.to_rfc3339(),
        output = %output.display(),
        "replayed"
    );
    Ok(())
}

/// The reference topics, read to their ends.
fn read_reference(folder: &Path) -> anyhow::Result<Reference> {
    fn read<T: Datum + Refer>(
        folder: &Path,
        topic: ReferenceTopic,
        reference: &mut Reference,
    ) -> anyhow::Result<()> {
        let path = file_of(folder, topic.name());
        if !path.is_file() {
            tracing::warn!(topic = topic.name(), file = %path.display(), "no such file: the topic has no records");
            return Ok(());
        }
        for (ordinal, record) in (0..).zip(Records::<T>::open(&path)?) {
            record?.refer(reference, ordinal);
        }
        Ok(())
    }
    let mut reference = Reference::default();
    read::<Participation>(folder, ReferenceTopic::Participation, &mut reference)?;
    read::<Practice>(folder, ReferenceTopic::Practices, &mut reference)?;
    read::<SlotTypeMapping>(folder, ReferenceTopic::SlotTypeMappings, &mut reference)?;
    Ok(reference)
}

fn total_bytes(folder: &Path) -> u64 {
    SupplierTopic::ALL
        .into_iter()
        .filter_map(|topic| fs::metadata(file_of(folder, topic.name())).ok())
        .map(|file| file.len())
        .sum()
}

/// Takes in every record of one file; its offset is its number from 0.
fn read_topic(
    loader: &mut Loader<'_>,
    topic: SupplierTopic,
    path: &Path,
    letters: &mut Letters,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut file = ContainerReader::open(path)?;
    let writer = file.writer_schema();
    let reading = Decoder::compile(writer, super::reader_schema(topic))
        .and_then(|decoder| Ok((decoder, Stepper::compile(writer)?)))
        .map_err(|error| {
            tracing::warn!(file = %path.display(), %error, "the file's schema cannot be read as this topic's: its records are undecodable");
            error.to_string()
        });
    let reading = Arc::new(reading);
    let (mut offset, mut before) = (0, 0);
    loop {
        let mut block = loader.room();
        let Some(header) = file.next_block(&mut block)? else {
            return Ok(());
        };
        let count = i64::try_from(header.count).context("a block's count is beyond any file")?;
        letters.take(loader.take(topic, &reading, block, (offset, count)))?;
        offset += count;
        progress.advance(file.position() - before);
        before = file.position();
    }
}

/// `dead-letters.avro`, written as it comes.
struct Letters {
    file: ContainerWriter,
}

impl Letters {
    fn create(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            file: ContainerWriter::create(path, DeadLetter::SCHEMA, Packing::Null, 0)?,
        })
    }

    fn take(&mut self, refused: Vec<letter::DeadLetter>) -> anyhow::Result<()> {
        for letter in refused {
            self.file
                .append(&effects::dead_letter_of(&letter, None).to_bytes())?;
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        self.file.finish()?;
        Ok(())
    }
}

/// Settles, adds up to every level, and writes each aggregate's file.
fn write_aggregates(
    loaded: Loaded,
    plan: &Plan,
    now: Timestamp,
    output: &Path,
) -> anyhow::Result<(Publication, Counts)> {
    let aggregates = &plan.aggregates.aggregates;
    let mut files = aggregates
        .iter()
        .map(|aggregate| {
            let path = output
                .join("aggregates")
                .join(format!("{}.avro", aggregate.name));
            ContainerWriter::create(&path, AggregateRow::SCHEMA, Packing::Null, 0)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut publication = Publication::default();
    let mut rollup = Rollup::new(plan.aggregates.clone(), TASKS);
    let (mut failed, mut datum) = (None, Vec::new());
    let mut write = |row: &crate::domain::aggregate::Row| {
        publication.take(row);
        // An aggregate's row in a file is its key, then its value.
        datum.clear();
        effects::write_key(row, &mut datum);
        if !effects::write_value(row, None, &mut datum) {
            return;
        }
        let at = aggregates
            .iter()
            .position(|aggregate| aggregate.name == row.aggregate);
        let file = &mut files[at.expect("rows come from the plan's aggregates")];
        if let Err(error) = file.append(&datum) {
            failed.get_or_insert(error);
        }
    };
    let counts = loaded.settle(now, &mut |task, change| match change {
        Change::Row(row) => write(&row),
        Change::Delta(delta) => rollup.apply(&delta),
        Change::Closed(closed) => {
            rollup.close(task, closed);
        }
    });
    rollup.settle(now, &mut |row| write(row));
    if let Some(error) = failed {
        return Err(error.into());
    }
    for file in files {
        file.finish()?;
    }
    Ok((publication, counts))
}

/// `ledger.json`, as design.md contracts it.
#[derive(Debug, Serialize)]
struct Ledger {
    records: i64,
    dispositions: BTreeMap<&'static str, i64>,
    by_topic: BTreeMap<&'static str, TopicLedger>,
}

#[derive(Debug, Default, Serialize)]
struct TopicLedger {
    records: i64,
    dispositions: BTreeMap<&'static str, i64>,
    reasons: BTreeMap<&'static str, i64>,
}

fn write_ledger(counts: &Counts, path: &Path) -> anyhow::Result<()> {
    let mut ledger = Ledger {
        records: counts.total(),
        dispositions: BTreeMap::new(),
        by_topic: SupplierTopic::ALL
            .into_iter()
            .map(|topic| (topic.name(), TopicLedger::default()))
            .collect(),
    };
    for (topic, disposition, records) in counts.entries() {
        let of_topic = ledger.by_topic.entry(topic.name()).or_default();
        of_topic.records += records;
        for dispositions in [&mut ledger.dispositions, &mut of_topic.dispositions] {
            *dispositions
                .entry(Disposition::label(disposition))
                .or_default() += records;
        }
        if let Some(reason) = disposition.reason() {
            *of_topic.reasons.entry(reason).or_default() += records;
        }
    }
    let text = serde_json::to_string_pretty(&ledger)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
