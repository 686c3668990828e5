//! `publish`: months' files from the aggregates' topics, as a numbered release that is never changed.

mod edition;
mod known;
mod months;
mod one;
mod topics;

use std::path::PathBuf;

use anyhow::Context;

use crate::adapters::clock::Clock;
use crate::adapters::kafka::KafkaLog;
use crate::adapters::log::Log;
use crate::adapters::progress::Progress;
use crate::adapters::registry::Registry;
use crate::adapters::schemas::Schemas;
use crate::adapters::values::Values;
use crate::commands::serve::embedded;
use crate::config::Settings;
use crate::domain::time::Timestamp;
use crate::publication::release::{Release, Releases};
use crate::publication::{PrintedNames, parquet};

use super::Failure;

pub use crate::adapters::figures::history::KnownAt;
pub use edition::Compared;
pub use months::Months;
pub use one::file;
pub use topics::begun;
pub(super) use topics::read_reference;

/// Write the publication's files of months from the aggregates' topics, as they are committed now.
///
/// Each run makes a release, OUTPUT/releases/release-0001 and so on: for each month a folder with regional, daily, duration,
/// coverage, practice_crosstab, summary, category and sds_role_group; release.json with what it was made of and a hash of
/// every file; and what changed since the release before (changes.csv, changes.json). A release is never changed: if
/// one was, nothing more is published beside it. OUTPUT/publication/YYYY-MM has the newest files of each month.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live publish --month 2022-02 --output figures
  gpad-live publish --month 2020-01..2022-06 --output figures --parquet
  gpad-live publish --month 2022-02 --output figures --compare     # a release, and what is not as in the one before
  gpad-live publish --output figures --compare 3                   # no release: the newest against release 3
  gpad-live publish --month 2022-02 --output then --as-known-at 2022-04-03T09:00")]
pub struct Arguments {
    /// A month to publish, such as 2022-02, or all months from one to another that have appointments, such as
    /// 2020-01..2022-06; may be given several times.
    #[arg(long, value_name = "YYYY-MM", value_parser = Months::parse, required_unless_present = "compare")]
    pub month: Vec<Months>,
    /// Folder for `releases/` and `publication/<YYYY-MM>/`, made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// The same columns as Parquet too, beside each CSV file.
    #[arg(long, requires = "month")]
    pub parquet: bool,
    /// Tell what changed since release N (without N: the one before), cell by cell and why. Without --month no release is
    /// made: the newest is compared.
    #[arg(long, value_name = "N", num_args = 0..=1)]
    pub compare: Option<Option<u32>>,
    /// With --compare: most changes that are told one by one; changes.csv has them all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub most: usize,
    /// The figures as they stood at this time (UTC), by the transactions that had been settled: into
    /// OUTPUT/publication/YYYY-MM, and no release. Within state.history_days.
    #[arg(long, value_name = "TIME", value_parser = super::replay::parse_as_of, requires = "month", conflicts_with = "compare")]
    pub as_known_at: Option<Timestamp>,
    /// Configuration file; `GPAD_…` variables override it.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Instead of Kafka, the embedded log in this directory; no service may have it open.
    #[arg(long, value_name = "DIR", requires = "month")]
    pub embedded: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Wrong use or configuration; a log that cannot be reached or lacks a topic; a month without rows; figures that do not
/// come to rest; a release that was altered.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = Settings::load(arguments.config.as_deref())?;
    let progress = Progress::spinner("checking the releases");
    let tell = |doing: &str| progress.tell(doing);
    let mut is_first = false;
    if !arguments.month.is_empty() {
        let log: Box<dyn Log> = if let Some(directory) = &arguments.embedded {
            if !directory.join(crate::adapters::embedded::FILE).exists() {
                let why = format!("--embedded {}: there is no log", directory.display());
                return Err(Failure::Usage(why));
            }
            let plan = super::plan_of(&settings, Some(settings.horizon_days))?;
            Box::new(embedded(directory, &plan.aggregates)?)
        } else {
            let failed = |error: crate::adapters::log::LogError| Failure::Failed(error.into());
            KafkaLog::check(&settings.kafka).map_err(failed)?;
            Box::new(KafkaLog::open(&settings.kafka).map_err(failed)?)
        };
        let schemas = Schemas::new(Registry::new(&settings.registry));
        let now = Clock::new(settings.clock).now();
        let wanted = Wanted {
            months: &arguments.month,
            output: &arguments.output,
            parquet: arguments.parquet,
            now,
        };
        if let Some(at) = arguments.as_known_at {
            let days = settings.state.history_days;
            let known = KnownAt { at, now, days };
            publish_as_known(&*log, &schemas, &wanted, known, &tell).map_err(Failure::Failed)?;
            progress.finish();
            tracing::info!(as_known_at = at.to_rfc3339(), "published");
            return Ok(());
        }
        let release = publish(&*log, &schemas, &wanted, &tell).map_err(Failure::Failed)?;
        is_first = release.manifest.release == 1;
        tracing::info!(
            release = release.manifest.release,
            months = release.manifest.months.join(" "),
            folder = %release.folder.display(),
            "published"
        );
    }
    let told = match arguments.compare {
        // Who publishes each month by one line is not to fail in the first.
        Some(None) if is_first => {
            Some("release 1 is the first: there is none to compare it with\n".to_owned())
        }
        Some(since) => {
            let releases = Releases::open(&arguments.output, &tell).map_err(anyhow::Error::from)?;
            let compared = edition::compare(&releases, since, arguments.most)?;
            Some(compared.to_string())
        }
        None => None,
    };
    progress.finish();
    told.map_or(Ok(()), |told| super::print(&told))
}

/// What is to be published.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub months: &'a [Months],
    pub output: &'a std::path::Path,
    pub parquet: bool,
    /// When the release is made.
    pub now: Timestamp,
}

/// Makes a release from the topics of any log.
///
/// # Errors
/// As [`run`].
pub fn publish(
    log: &dyn Log,
    schemas: &Schemas,
    wanted: &Wanted<'_>,
    tell: &dyn Fn(&str),
) -> anyhow::Result<Release> {
    let releases = Releases::open(wanted.output, tell)?;
    tell("reading reference topics");
    let values = Values::new(schemas);
    let (reference, _) = read_reference(log, &values)?;
    let read = topics::read(log, &values, wanted.months, tell)?;
    edition::write(&releases, &read, &reference, wanted, tell)
        .with_context(|| format!("--output {}", wanted.output.display()))
}

/// Writes the files of months as they stood at a time, from the topics of any log.
///
/// # Errors
/// A time that the history does not reach; a folder of releases; as [`run`].
pub fn publish_as_known(
    log: &dyn Log,
    schemas: &Schemas,
    wanted: &Wanted<'_>,
    known: KnownAt,
    tell: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let output = wanted.output;
    if output.join(crate::publication::release::FOLDER).exists() {
        return Err(anyhow::anyhow!(
            "--output {}: releases are made there: give what was known at another time a folder of its own",
            output.display()
        ));
    }
    tell("reading reference topics");
    let values = Values::new(schemas);
    let (reference, _) = topics::reference_recorded_by(log, &values, known.at)?;
    let publication = known::read(log, &values, known, tell)?;
    let names = PrintedNames::of(&reference);
    for month in months::chosen(wanted.months, &publication.months())? {
        tell(&format!("writing {}", month.label()));
        let folder = output.join("publication").join(month.label());
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        publication.tables(month, &reference, &names, &mut |table| {
            let file = folder.join(table.layout.file);
            table.write_csv(&file.with_extension("csv"))?;
            if wanted.parquet {
                parquet::write(&table, &file.with_extension("parquet"))?;
            }
            anyhow::Ok(())
        })?;
    }
    Ok(())
}
