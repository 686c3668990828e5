//! `config`: what the settings are, and whether they are right.

use std::path::PathBuf;

use super::Failure;
use crate::adapters::kafka::KafkaLog;
use crate::config::Settings;

/// Check the settings, or show what is in force.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say whether the settings are right, without starting anything.
    Check(File),
    /// Print every setting in force, and where it comes from.
    Show(File),
}

#[derive(Debug, clap::Args)]
struct File {
    /// Settings; without it the defaults and the environment.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The first wrong key or value.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (Command::Check(file) | Command::Show(file)) = &arguments.command;
    let (settings, shown) = Settings::load_with(file.config.as_deref(), std::env::vars())?;
    KafkaLog::check(&settings.kafka).map_err(|error| Failure::Usage(error.to_string()))?;
    let plan = super::plan_of(&settings, Some(settings.horizon_days))?;
    let mut lines = Vec::new();
    if let Command::Show(_) = arguments.command {
        for setting in shown {
            let (key, value, origin) = (setting.key, setting.value, setting.origin);
            lines.push(format!("{key} = {value}  # {origin}"));
        }
        for (key, value) in &settings.kafka.client {
            // Whatever is passed on to the client may be a secret.
            let value = if is_secret(key) { "(hidden)" } else { value };
            lines.push(format!("kafka.client.{key} = {value:?}"));
        }
        let names: Vec<&str> = plan
            .aggregates
            .aggregates
            .iter()
            .map(|a| &*a.name)
            .collect();
        lines.push(format!("# aggregates: {}", names.join(", ")));
    } else {
        lines.push("the settings are right".to_owned());
    }
    super::print(&(lines.join("\n") + "\n"))
}

fn is_secret(key: &str) -> bool {
    [
        "password",
        "secret",
        "token",
        "key.pem",
        "sasl.oauthbearer.config",
    ]
    .iter()
    .any(|word| key.contains(word))
}
