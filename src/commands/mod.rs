//! One file a subcommand.

pub mod completions;
pub mod config;
pub mod demo;
pub mod feed;
pub mod health;
pub mod line;
pub mod man;
pub mod publish;
pub mod readmit;
pub mod reference;
pub mod replay;
pub mod run;
pub mod schemas;
pub mod serve;
pub mod simulate;
pub mod status;
pub mod topics;
pub mod verify;

use std::collections::BTreeSet;
use std::process::ExitCode;

pub use crate::adapters::schemas::reader_schema;
use crate::config::{ConfigError, Settings, aggregates};
use crate::engine::watermark::Closing;
use crate::pipeline::Plan;
use crate::simulate::error::Error as SimulateError;
use crate::stages::gate::ServicePeriod;

/// Why a command ended without doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Wrong use.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// Anything else.
    #[error("{}", told(.0))]
    Failed(anyhow::Error),
}

/// The error and its causes, without those that it tells of itself.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

impl Failure {
    /// 2 for wrong use or configuration, 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Configuration(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<SimulateError>() {
            Some(wrong) if wrong.is_wrong_use() => Self::Usage(error.to_string()),
            _ => Self::Failed(error),
        }
    }
}

/// A duration in milliseconds; settings allow none that is longer than an `i64` of them.
fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The settings that decide figures; without a horizon for commands that read files.
///
/// # Errors
/// Aggregates that do not compile.
pub fn plan_of(settings: &Settings, horizon_days: Option<u16>) -> Result<Plan, ConfigError> {
    Ok(Plan {
        service: ServicePeriod {
            from: settings.service_period.from,
            to: settings.service_period.to,
        },
        horizon_days: horizon_days.map(i32::from),
        ignorable_fields: settings
            .ignorable_fields
            .iter()
            .cloned()
            .collect::<BTreeSet<_>>(),
        aggregates: aggregates::plan(settings.aggregates.as_ref())?.into(),
        closing: Closing {
            lateness: millis(settings.windows.allowed_lateness),
            // What has no horizon is a whole input, behind which nothing comes.
            idle: horizon_days.map(|_| millis(settings.windows.idle)),
            ahead: millis(settings.windows.clock_ahead),
        },
    })
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Who asked has gone away, as `head` does: nothing is left to say.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|error| Failure::Failed(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::log::{LogError, Remedy};

    #[test]
    fn a_cause_that_an_error_tells_of_itself_is_told_once() {
        let error = LogError::new(Remedy::Stop, "opening the log", "it is in use");
        let failure = Failure::Failed(anyhow::Error::from(error).context("--dir here"));
        assert_eq!(
            failure.to_string(),
            "--dir here: opening the log: it is in use"
        );
    }
}
