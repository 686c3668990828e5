//! `verify`: walks the chain of manifests and recounts what they state.

use std::fmt::Write;
use std::path::PathBuf;

use super::Failure;
use super::serve::embedded;
use crate::adapters::kafka::KafkaLog;
use crate::adapters::log::Log;
use crate::adapters::progress::Progress;
use crate::adapters::registry::Registry;
use crate::adapters::schemas::Schemas;
use crate::config::Settings;
use crate::service::verify::{Options, Report, verify};

/// Prove that nothing was lost, counted twice, or altered.
///
/// Reads the ledger, the group's positions, the aggregates' topics, the deltas, the dead letters and the supplier
/// topics, committed records only, and compares them: every task's chain of manifests without gap or repetition, hashes
/// that follow from each other, offset ranges that continue each other up to the group's positions, dispositions that
/// add up to the records read, as many dead letters as refusals, and in every topic the records that the manifests'
/// digests are of. The service may go on working meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live verify --config /etc/gpad-live.toml
  gpad-live verify --embedded /var/lib/gpad-live        # with the service stopped
  gpad-live verify --skip-input

Answers with a summary and exit code 0, or with each fault on a line of its own and exit code 1:
  gap, repeated, torn, hash, offsets, sum, altered, unaccounted, unreadable: task, sequence, topic, and what is wrong

Memory: about 100 bytes for each transaction and topic, and 120 for each row that stands.")]
pub struct Arguments {
    /// Settings; without it the defaults. Variables such as GPAD_KAFKA_BROKERS go before the file.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Instead of Kafka, the embedded log in this directory; no service may have it open.
    #[arg(long, value_name = "DIR")]
    pub embedded: Option<PathBuf>,
    /// Believe the manifests how many supplier records lie in the ranges read: reading them all takes longest.
    #[arg(long)]
    pub skip_input: bool,
    /// Most faults that are told one by one.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub most: usize,
}

/// Runs the command.
///
/// # Errors
/// Wrong configuration; a log that cannot be read; faults.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = Settings::load(arguments.config.as_deref())?;
    let plan = super::plan_of(&settings, Some(settings.horizon_days))?;
    let log: Box<dyn Log> = if let Some(directory) = &arguments.embedded {
        if !directory.join(crate::adapters::embedded::FILE).exists() {
            let why = format!("--embedded {}: there is no log", directory.display());
            return Err(Failure::Usage(why));
        }
        Box::new(embedded(directory, &plan.aggregates)?)
    } else {
        KafkaLog::check(&settings.kafka).map_err(|error| Failure::Usage(error.to_string()))?;
        Box::new(KafkaLog::open(&settings.kafka).map_err(|error| Failure::Failed(error.into()))?)
    };
    let schemas = Schemas::new(Registry::new(&settings.registry));
    let progress = Progress::spinner("verifying");
    let options = Options {
        counts_input: !arguments.skip_input,
    };
    let told = |doing: &str| progress.tell(doing);
    let report = verify(&*log, &schemas, &plan.aggregates, options, &told)
        .map_err(|error| Failure::Failed(error.into()))?;
    progress.finish();
    super::print(&told_of(&report, arguments.most))?;
    match report.faults.len() {
        0 => Ok(()),
        1 => Err(Failure::Failed(anyhow::anyhow!("1 fault"))),
        faults => Err(Failure::Failed(anyhow::anyhow!("{faults} faults"))),
    }
}

/// The report as text.
fn told_of(report: &Report, most: usize) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!(
        "{} tasks, {} transactions",
        report.tasks, report.transactions
    ));
    let mut records = format!("{} records read", report.records);
    for ((disposition, reason), count) in &report.dispositions {
        let _ = match reason {
            Some(reason) => write!(records, ", {disposition}({reason}) {count}"),
            None => write!(records, ", {disposition} {count}"),
        };
    }
    line(records);
    line(format!(
        "{} records pending, {} left pending since; {} read again by readmit",
        report.pending, report.left_pending, report.readmitted
    ));
    line(match report.counted {
        Some(counted) => format!("{counted} records counted in the supplier topics"),
        None => "supplier topics not counted (--skip-input)".to_owned(),
    });
    line(format!(
        "{} deltas, {} dead letters",
        report.deltas, report.dead_letters
    ));
    for (topic, rows) in &report.rows {
        line(format!("{rows} rows stand in {topic}"));
    }
    for note in &report.notes {
        line(format!("note: {note}"));
    }
    for fault in report.faults.iter().take(most) {
        line(fault.to_string());
    }
    if report.faults.len() > most {
        line(format!("and {} faults more", report.faults.len() - most));
    }
    if report.faults.is_empty() {
        line("no fault".to_owned());
    }
    text
}
