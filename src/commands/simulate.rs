//! `simulate`: published cells turned into supplier records.

use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use crate::adapters::feed::LogSink;
use crate::adapters::kafka::KafkaLog;
use crate::adapters::log::LogError;
use crate::adapters::registry::Registry;
use crate::adapters::schemas::Schemas;
use crate::config::{Settings, aggregates};
use crate::domain::time::{Day, Month};
use crate::simulate::calendar::Service;
use crate::simulate::cells::Cells;
use crate::simulate::run::{Options, Plan, Summary};
use crate::simulate::sink::Files;
use crate::simulate::timeline::in_time_order;

/// Turn published counts into lifelike supplier records that count back to the same cells.
///
/// One appointment is drawn for each counted unit, at real practices of the place, with the versions it goes through
/// (offered, booked, arrived, seen or not), and around it what no publication counts. Replaying the records gives the
/// published cells back exactly. The same cells, options and seed give the same bytes.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live simulate --cells Devon.csv --month 2022-02 --scale 0.01 --output records
  gpad-live simulate --cells Devon.csv --month 2022-02 --faults --embedded log
  gpad-live simulate --cells icb.csv --month 2022-02 --brokers localhost:9092 --speed 1440")]
pub struct Arguments {
    /// Published cells: a `Regional_CSV_*.csv`, or cells by ICB (recognised by the header).
    #[arg(long, value_name = "FILE")]
    pub cells: PathBuf,
    /// The month to take from the file, such as 2022-02.
    #[arg(long, value_name = "YYYY-MM", value_parser = month)]
    pub month: Month,
    /// Multiply every count, rounded so that the total is right; 0.001 makes a thousandth.
    #[arg(
        long,
        value_name = "FACTOR",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub scale: f64,
    /// Another seed draws other records for the same cells.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write `<topic>.avro` into this directory.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present_any = ["brokers", "embedded"],
        conflicts_with_all = ["brokers", "embedded"]
    )]
    pub output: Option<PathBuf>,
    /// Append to the embedded log in this directory, which no service has open meanwhile, in order of time;
    /// `run --embedded` then reads it. Done again after an interruption it changes nothing but the duplicates.
    #[arg(long, value_name = "DIR", conflicts_with = "brokers")]
    pub embedded: Option<PathBuf>,
    /// Send to these Kafka brokers.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub brokers: Option<String>,
    /// With --brokers: how many times faster than life, in order of time; without it, as fast as it goes.
    #[arg(long, value_name = "FACTOR", requires = "brokers")]
    pub speed: Option<f64>,
    /// Configuration of the log and the schema registry, for --brokers.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Add records that must be refused or withheld; no published cell changes.
    #[arg(long)]
    pub faults: bool,
    /// First day on which records may be extracted.
    #[arg(long, value_name = "DATE", default_value = "2020-03-01", value_parser = day)]
    pub service_from: Day,
    /// Last day on which records may be extracted.
    #[arg(long, value_name = "DATE", default_value = "2023-02-28", value_parser = day)]
    pub service_to: Day,
}

pub(super) fn month(text: &str) -> Result<Month, String> {
    Month::parse(text).ok_or_else(|| "a month such as 2022-02 is wanted".to_owned())
}

pub(super) fn day(text: &str) -> Result<Day, String> {
    text.parse()
        .map(Day::from_date)
        .map_err(|_| "a day such as 2020-03-01 is wanted".to_owned())
}

impl Arguments {
    /// The run's options.
    #[must_use]
    pub const fn options(&self) -> Options {
        Options {
            scale: self.scale,
            seed: self.seed,
            faults: self.faults,
            service: Service {
                from: self.service_from,
                to: self.service_to,
            },
        }
    }
}

/// Draws the records and writes or sends them.
///
/// # Errors
/// [`crate::simulate::error::Error`], whose `is_wrong_use` tells exit code 2 from 1; wrong configuration;
/// brokers or a registry that cannot be reached.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments
        .speed
        .is_some_and(|speed| !(speed > 0.0 && speed.is_finite()))
    {
        return Err(Failure::Usage(
            "--speed: expected a number above 0".to_owned(),
        ));
    }
    if !arguments.cells.is_file() {
        let file = arguments.cells.display();
        return Err(Failure::Usage(format!(
            "--cells {file}: there is no such file"
        )));
    }
    let cells = Cells::read(&arguments.cells, arguments.month).map_err(anyhow::Error::from)?;
    let plan = Plan::new(&cells, arguments.options()).map_err(anyhow::Error::from)?;
    let bar = bar(plan.cells().total());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let summary = match (&arguments.output, &arguments.embedded) {
        (Some(output), _) => write(arguments, &plan, output, threads, &bar)?,
        (None, Some(directory)) => append(arguments, &plan, directory, threads, &bar)?,
        (None, None) => send(arguments, &plan, threads, &bar)?,
    };
    bar.finish_and_clear();
    tracing::info!(
        appointments = summary.counted,
        practices = summary.practices,
        records = summary.records,
        reference_records = summary.reference_records,
        bytes = summary.bytes,
        "simulated {}",
        arguments.month.label()
    );
    Ok(())
}

fn write(
    arguments: &Arguments,
    plan: &Plan,
    output: &Path,
    threads: usize,
    bar: &ProgressBar,
) -> anyhow::Result<Summary> {
    let mut files = Files::create(output, arguments.seed)?;
    let summary = plan.run(&mut files, threads, &mut |counted| {
        bar.set_position(counted);
    })?;
    files
        .finish()
        .with_context(|| format!("--output {}", output.display()))?;
    Ok(summary)
}

fn append(
    arguments: &Arguments,
    plan: &Plan,
    directory: &Path,
    threads: usize,
    bar: &ProgressBar,
) -> Result<Summary, Failure> {
    let settings = Settings::load(arguments.config.as_deref())?;
    let aggregates = aggregates::plan(settings.aggregates.as_ref())?;
    let log = super::serve::embedded(directory, &aggregates)?;
    let mut sink = LogSink::new(&log, &Schemas::new(None), None).map_err(anyhow::Error::from)?;
    let mut progress = |counted| bar.set_position(counted);
    let summary = in_time_order(plan, &mut sink, threads, directory, &mut progress)
        .map_err(anyhow::Error::from)?;
    sink.finish()
        .map_err(|error| Failure::Failed(error.into()))?;
    Ok(summary)
}

fn send(
    arguments: &Arguments,
    plan: &Plan,
    threads: usize,
    bar: &ProgressBar,
) -> Result<Summary, Failure> {
    let mut settings = Settings::load(arguments.config.as_deref())?;
    if let Some(brokers) = &arguments.brokers {
        settings.kafka.brokers.clone_from(brokers);
    }
    let failed = |error: LogError| Failure::Failed(error.into());
    KafkaLog::check(&settings.kafka).map_err(failed)?;
    let log = KafkaLog::open(&settings.kafka).map_err(failed)?;
    let schemas = Schemas::new(Registry::new(&settings.registry));
    let mut sink = LogSink::new(&log, &schemas, arguments.speed).map_err(anyhow::Error::from)?;
    let mut progress = |counted| bar.set_position(counted);
    let summary = if arguments.speed.is_some() {
        in_time_order(
            plan,
            &mut sink,
            threads,
            &std::env::temp_dir(),
            &mut progress,
        )
    } else {
        plan.run(&mut sink, threads, &mut progress)
    };
    let summary = summary.map_err(anyhow::Error::from)?;
    sink.finish().map_err(failed)?;
    Ok(summary)
}

fn bar(appointments: u64) -> ProgressBar {
    let bar = ProgressBar::new(appointments);
    if let Ok(style) = ProgressStyle::with_template(
        "{elapsed_precise} {wide_bar} {human_pos}/{human_len} appointments, {eta} left",
    ) {
        bar.set_style(style);
    }
    bar
}
