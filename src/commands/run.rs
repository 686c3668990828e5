//! `run`: the service, against Kafka.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::Failure;
use crate::adapters::clock::Clock;
use crate::adapters::kafka::KafkaLog;
use crate::adapters::registry::Registry;
use crate::adapters::schemas::Schemas;
use crate::config::Settings;
use crate::service::{Health, Service, Stop, Unobserved};

/// Run the service against Kafka.
///
/// Reads the eight supplier topics and the three reference topics, and keeps the aggregates' topics up to date,
/// exactly once. Started once or fifty times, alike: instances of one group share the tasks. It ends on SIGTERM or
/// Ctrl-C with its last transaction committed, in less than five seconds.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live run --config /etc/gpad-live.toml
  GPAD_KAFKA_BROKERS=broker-1:9092,broker-2:9092 gpad-live run

Before the first start: gpad-live topics create")]
pub struct Arguments {
    /// Settings; without it the defaults. Variables such as GPAD_KAFKA_BROKERS go before the file.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Wrong configuration before anything starts; later what a person must see to.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = Settings::load(arguments.config.as_deref())?;
    KafkaLog::check(&settings.kafka).map_err(|error| Failure::Usage(error.to_string()))?;
    let plan = Arc::new(super::plan_of(&settings, Some(settings.horizon_days))?);
    let stop = Stop::default();
    stop_on_signals(&stop).map_err(Failure::Failed)?;
    tracing::info!(brokers = %settings.kafka.brokers, group = %settings.kafka.group, "connecting");
    let log = KafkaLog::open(&settings.kafka).map_err(|error| Failure::Failed(error.into()))?;
    let service = Service {
        log: Arc::new(log),
        schemas: Arc::new(Schemas::new(Registry::new(&settings.registry))),
        plan,
        commit: settings.commit.clone(),
        clock: Clock::new(settings.clock),
        observer: Arc::new(Unobserved),
        health: Arc::new(Health::default()),
        stop,
    };
    service
        .run()
        .map_err(|error| Failure::Failed(error.into()))?;
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
