//! `readmit`: asks the service to read a practice's records again, and waits for what comes of it.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::Failure;
use super::publish::read_reference;
use super::serve::embedded;
use crate::adapters::clock::{Clock, monotonic};
use crate::adapters::kafka::KafkaLog;
use crate::adapters::log::{Log, NewRecord, Position, Span};
use crate::adapters::partitioner::partition_of;
use crate::adapters::registry::Registry;
use crate::adapters::schemas::Schemas;
use crate::adapters::values::Values;
use crate::config::Settings;
use crate::service::{LEDGER, READMISSIONS, check_topics};
use crate::wire::datum::Datum;
use crate::wire::framing::{frame, unframe};
use crate::wire::output::{Manifest, Readmission, ReferencePosition};

/// How often it is looked whether the request was taken up.
const LOOK: Duration = Duration::from_millis(200);

/// Have a practice's records read again, once an agreement or a register entry covers them.
///
/// Of records that were withheld (no agreement) or refused as of an unknown practice nothing is kept. When the agreement or the
/// practice's row has come, this has the practice's task read them from the supplier topics again, in one transaction with what
/// comes of them. Versions that are held already are duplicates or superseded, and change nothing: asking twice is harmless.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live readmit --practice A81001
  gpad-live readmit --practice A81001 --embedded /var/lib/gpad-live   # with the service stopped; done when it runs next

Answers with the task, the transaction and what became of the records read again. These have counts of their own in
the ledger (`readmitted`), beside those of the first reading; refused ones are dead letters again, under the same key.")]
pub struct Arguments {
    /// The practice's ODS code.
    #[arg(long, value_name = "CODE")]
    pub practice: String,
    /// Settings; without it the defaults. Variables such as GPAD_KAFKA_BROKERS go before the file.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Instead of Kafka, the embedded log in this directory.
    #[arg(long, value_name = "DIR")]
    pub embedded: Option<PathBuf>,
    /// Leave the request in its topic and do not wait for it to be done.
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait, in seconds; the request stays when it is over.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,
}

/// Runs the command.
///
/// # Errors
/// Wrong configuration; a practice that is not in the register; a log that cannot be written; a service that does not
/// take the request up in time.
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
    check_topics(&*log, &plan.aggregates).map_err(|error| Failure::Failed(error.into()))?;
    let request = Request::send(&*log, &schemas, &arguments.practice).map_err(Failure::Failed)?;
    if arguments.embedded.is_some() || arguments.no_wait {
        return super::print(&format!(
            "asked for {} in {READMISSIONS}/{}; task {} takes it up when it runs\n",
            arguments.practice, request.partition, request.partition
        ));
    }
    let patience = Duration::from_secs(arguments.patience);
    let manifest = request.wait(&*log, patience).map_err(Failure::Failed)?;
    let mut told = format!(
        "{} read again by task {} in transaction {}:",
        arguments.practice, manifest.task, manifest.sequence
    );
    for count in &manifest.readmitted {
        let reason = count
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!("({reason})"));
        let _ = write!(
            told,
            " {} {}{reason} {},",
            count.topic, count.disposition, count.count
        );
    }
    let told = told.trim_end_matches([',', ':']);
    let nothing = if manifest.readmitted.is_empty() {
        ": no record"
    } else {
        ""
    };
    super::print(&format!("{told}{nothing}\n"))
}

/// A request that lies in its topic.
#[derive(Debug)]
pub struct Request {
    partition: i32,
    offset: i64,
    /// The ledger's end before it was sent: what comes of it lies behind.
    ledger: Vec<Position>,
}

impl Request {
    /// Sends it.
    ///
    /// # Errors
    /// A practice that is not in the register; a log that cannot be read or written.
    pub fn send(log: &dyn Log, schemas: &Schemas, practice: &str) -> anyhow::Result<Self> {
        let (reference, positions) = read_reference(log, &Values::new(schemas))?;
        if reference.known(practice).is_none() {
            return Err(anyhow!(
                "--practice {practice}: the register (ods.practices) has no row of it, so all its records would be refused again"
            ));
        }
        let partitions = count(log, READMISSIONS)?;
        let partition = partition_of(practice.as_bytes(), partitions);
        let ledger = (0..count(log, LEDGER)?)
            .map(|partition| {
                Ok(Position {
                    topic: LEDGER.to_owned(),
                    partition,
                    next: log.ends(LEDGER, partition)?.stable,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let from = log.ends(READMISSIONS, partition)?.end;
        let reference = positions.into_iter().map(|at| ReferencePosition {
            topic: at.topic,
            partition: at.partition,
            next: at.next,
        });
        let request = Readmission {
            practice_ods_code: practice.to_owned(),
            requested_at: Clock::Wall.now().0,
            reference: reference.collect(),
        };
        let id = schemas.id(&format!("{READMISSIONS}-value"), READMISSIONS)?;
        let mut value = Vec::new();
        frame(id, &request.to_bytes(), &mut value);
        let mut appender = log.appender()?;
        appender.append(&NewRecord {
            topic: READMISSIONS,
            partition: Some(partition),
            key: Some(practice.as_bytes()),
            value: Some(&value),
        })?;
        appender.flush()?;
        let mut offset = None;
        let span = Span {
            from,
            ..Span::whole(partition)
        };
        log.scan(READMISSIONS, &[span], &mut |message| {
            if let Some(message) = message
                && message.value == Some(&value)
            {
                offset = Some(message.offset);
            }
            ControlFlow::Continue(())
        })?;
        Ok(Self {
            partition,
            offset: offset.context("the request is not where it was sent to")?,
            ledger,
        })
    }

    /// Waits until the task has committed what came of it; answers the manifest.
    ///
    /// # Errors
    /// When it has not in time.
    pub fn wait(self, log: &dyn Log, patience: Duration) -> anyhow::Result<Manifest> {
        let began = monotonic();
        loop {
            let committed = log.committed(&[(READMISSIONS, self.partition)])?;
            if committed.positions.iter().any(|at| at.next > self.offset) {
                return self.manifest(log);
            }
            if began.elapsed() > patience {
                return Err(anyhow!(
                    "task {} has not taken the request up within {} s; it stays in {READMISSIONS}/{} at {} and is done when the task gets there",
                    self.partition,
                    patience.as_secs(),
                    self.partition,
                    self.offset
                ));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn manifest(&self, log: &dyn Log) -> anyhow::Result<Manifest> {
        let spans: Vec<Span> = (self.ledger.iter())
            .map(|at| Span {
                partition: at.partition,
                from: at.next,
                until: None,
            })
            .collect();
        let mut found = None;
        log.scan(LEDGER, &spans, &mut |message| {
            let manifest = message
                .and_then(|message| unframe(message.value).ok())
                .and_then(|(_, datum)| Manifest::from_bytes(datum).ok());
            let is_it = |manifest: &Manifest| {
                manifest.positions.iter().any(|read| {
                    read.topic == READMISSIONS
                        && read.partition == self.partition
                        && (read.from..read.to).contains(&self.offset)
                })
            };
            found = found.take().or(manifest.filter(is_it));
            ControlFlow::Continue(())
        })?;
        found.context("the request was taken up, and its manifest is not in the ledger: run `gpad-live verify`")
    }
}

fn count(log: &dyn Log, topic: &str) -> anyhow::Result<i32> {
    let count = log.partitions(&[topic])?.first().copied().flatten();
    count.with_context(|| format!("topic {topic} is missing: `gpad-live topics create` makes it"))
}
