//! `config`: what the settings are, and whether they are right.

use std::path::PathBuf;

use super::Failure;
use crate::adapters::kafka::KafkaLog;
use crate::adapters::metrics::series_of;
use crate::config::Settings;
use crate::domain::aggregate::Dimension;
use crate::domain::place::Level;
use crate::engine::plan::Aggregate;

/// Check the settings, or show what is in force.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say whether the settings are right, without starting anything.
    #[command(after_help = CHECK)]
    Check(File),
    /// Print every setting in force, and where it comes from; then the aggregates as they were compiled.
    #[command(after_help = SHOW)]
    Show(File),
    /// Print the reference of the configuration, as Markdown: docs/configuration.md.
    #[command(after_help = REFERENCE)]
    Reference,
}

const CHECK: &str = "\
Examples:
  gpad-live config check --config /etc/gpad-live.toml
  GPAD_COMMIT_INTERVAL_MS=50 gpad-live config check";
const SHOW: &str = "\
Examples:
  gpad-live config show --config /etc/gpad-live.toml
  gpad-live config show | grep -v default";
const REFERENCE: &str = "\
Examples:
  gpad-live config reference > docs/configuration.md";

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
    let file = match &arguments.command {
        Command::Check(file) | Command::Show(file) => file,
        Command::Reference => return super::print(&super::reference::reference()?),
    };
    let (settings, shown) = Settings::load_with(file.config.as_deref(), std::env::vars())?;
    KafkaLog::check(&settings.kafka).map_err(|error| Failure::Usage(error.to_string()))?;
    let plan = super::plan_of(&settings, Some(settings.horizon_days))?;
    super::serve::published_totals(&settings.seasons.published_totals)?;
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
        let aggregates = &plan.aggregates.aggregates;
        lines.extend(aggregates.iter().map(described));
    } else {
        lines.push("the settings are right".to_owned());
    }
    super::print(&(lines.join("\n") + "\n"))
}

/// An aggregate as it was compiled: what its rows are of, and what they cost.
fn described(aggregate: &Aggregate) -> String {
    let practice = aggregate.has_practice().then_some(Level::Practice);
    let supplier = aggregate.has_supplier().then_some(Level::Supplier);
    let levels = practice
        .into_iter()
        .chain(aggregate.above_practice().iter().copied());
    let levels: Vec<_> = levels.chain(supplier).map(Level::label).collect();
    let dimensions: Vec<_> = aggregate.dimensions().map(Dimension::label).collect();
    let measures: Vec<_> = aggregate
        .measures
        .iter()
        .map(|measure| measure.label())
        .collect();
    let ratios: Vec<_> = aggregate.ratio_labels().collect();
    let ahead = aggregate
        .ahead_days
        .map(|days| format!(", {days} days from today on"));
    let text = |list: &[&str]| {
        if list.is_empty() {
            "none".to_owned()
        } else {
            list.join(", ")
        }
    };
    format!(
        "# aggregate {}: follows {}; windows {}{}; levels {}; dimensions {}; measures {}; ratios {}; {} bytes a key{}; at most {} combinations a code and window, {} series",
        aggregate.name,
        aggregate.follows.label(),
        aggregate.window_labels().join(", "),
        ahead.unwrap_or_default(),
        text(&levels),
        text(&dimensions),
        text(&measures),
        text(&ratios),
        aggregate.bytes_per_row(),
        if aggregate.follows_events() {
            format!(" and window, and a pane of {} min", aggregate.pane())
        } else {
            String::new()
        },
        aggregate.combinations(),
        series_of(aggregate),
    )
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
