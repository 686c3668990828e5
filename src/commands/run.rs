//! `run`: the service, against Kafka or the embedded log.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::Failure;
use super::serve::{Shown, embedded, listen, published_totals, serve};
use super::status::Status;
use crate::adapters::clock::Clock;
use crate::adapters::http::Server;
use crate::adapters::kafka::KafkaLog;
use crate::adapters::log::Log;
use crate::adapters::registry::Registry;
use crate::adapters::schemas::Schemas;
use crate::config::Settings;
use crate::service::{Health, Service, Stop};

/// Run the service against Kafka, or against an embedded log.
///
/// Reads the eight supplier topics and the three reference topics, and keeps the aggregates' topics up to date,
/// exactly once. Started once or fifty times, alike: instances of one group share the tasks. It ends on SIGTERM or
/// Ctrl-C with its last transaction committed, in less than five seconds.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live run --config /etc/gpad-live.toml
  GPAD_KAFKA_BROKERS=broker-1:9092,broker-2:9092 gpad-live run
  gpad-live run --embedded /var/lib/gpad-live

Before the first start on Kafka: gpad-live topics create. An embedded log makes its topics itself; it is one
file that one process has open at a time, filled beforehand with: gpad-live simulate --embedded DIR")]
pub struct Arguments {
    /// Settings; without it the defaults. Variables such as GPAD_KAFKA_BROKERS go before the file.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Instead of Kafka, the embedded log in this directory: for a small site, on one machine, with nothing installed.
    #[arg(long, value_name = "DIR")]
    pub embedded: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Wrong configuration before anything starts; later what a person must see to.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = Settings::load(arguments.config.as_deref())?;
    if arguments.embedded.is_none() {
        KafkaLog::check(&settings.kafka).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let plan = Arc::new(super::plan_of(&settings, Some(settings.horizon_days))?);
    let published = Arc::new(published_totals(&settings.seasons.published_totals)?);
    let listener = listen(settings.http.address)?;
    let stop = Stop::default();
    stop_on_signals(&stop).map_err(Failure::Failed)?;
    let failed = |error: std::io::Error| Failure::Failed(error.into());
    // Whoever asks while a broker is waited for is answered.
    let waiting = match &arguments.embedded {
        Some(_) => "the embedded log is being opened",
        None => "the log is being opened: Kafka has not answered yet",
    };
    let early = (listener.as_ref()).map(|it| Server::start_waiting(it, waiting));
    let early = early.transpose().map_err(failed)?;
    let log: Arc<dyn Log> = if let Some(directory) = &arguments.embedded {
        Arc::new(embedded(directory, &plan.aggregates)?)
    } else {
        tracing::info!(brokers = %settings.kafka.brokers, group = %settings.kafka.group, "connecting");
        Arc::new(KafkaLog::open(&settings.kafka).map_err(|error| Failure::Failed(error.into()))?)
    };
    drop(early);
    let (clock, health) = (Clock::new(settings.clock), Arc::new(Health::default()));
    if let Some(name) = settings.kafka.instance.as_deref()
        && arguments.embedded.is_none()
    {
        let session = settings.kafka.session;
        tracing::info!(
            instance = name,
            session_s = session.as_secs(),
            "a static member: its tasks are kept for it while it restarts"
        );
        health.is_static_member(name, session);
    }
    let schemas = Arc::new(Schemas::new(Registry::new(&settings.registry)));
    let shown = Shown {
        plan: plan.aggregates.clone(),
        clock,
        health: health.clone(),
        stop: stop.clone(),
        banner: None,
        series: settings.metrics.series,
        published,
        schemas: schemas.clone(),
        history_days: settings.state.history_days,
        releases: settings.http.releases.clone(),
    };
    let serving = serve(&log, listener, shown)?;
    let status = Status::start(serving.figures.clone(), health.clone(), clock);
    let service = Service {
        log,
        schemas,
        plan,
        commit: settings.commit.clone(),
        clock,
        observer: serving.observer.clone(),
        health,
        undecided: settings.kafka.undecided,
        state: settings.state.clone(),
        group: settings.kafka.group.clone(),
        stop,
    };
    let outcome = service.run();
    drop((status, serving));
    outcome.map_err(|error| Failure::Failed(error.into()))?;
    tracing::info!("stopped");
    Ok(())
}

/// Asks for a stop on SIGTERM and Ctrl-C; the second signal ends the process where it stands.
///
/// # Errors
/// When signals cannot be listened to.
pub fn stop_on_signals(stop: &Stop) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("listening to signals")?;
    let stop = stop.clone();
    let (mut terminate, mut interrupt) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::terminate()).context("listening to SIGTERM")?,
            signal(SignalKind::interrupt()).context("listening to Ctrl-C")?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if stop.is_requested() {
                    std::process::exit(1);
                }
                tracing::info!("stopping: the last transaction is being committed");
                stop.request();
            }
        });
    });
    Ok(())
}
