//! `schemas`: tells the registry of our schemas, or asks whether they would do.

use std::path::PathBuf;

use super::Failure;
use crate::adapters::effects::aggregate_topic;
use crate::adapters::registry::{Compatibility, Registry};
use crate::adapters::schemas::BUNDLED;
use crate::config::Settings;
use crate::engine::plan::AggregatePlan;

/// New readers must read what old writers wrote: records stay on their topics for years.
const COMPATIBILITY: &str = "BACKWARD";

/// Register the schemas of everything that comes in and goes out, or check them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Register every schema under its topic's subject, and have later versions stay compatible (BACKWARD).
    #[command(after_help = REGISTER)]
    Register(Options),
    /// Ask the registry whether every schema is there or may be registered.
    #[command(after_help = CHECK)]
    Check(Options),
    /// Print the subjects, and the ids that are used where no registry is configured.
    #[command(after_help = LIST)]
    List(Options),
}

const REGISTER: &str = "\
Examples:
  gpad-live schemas register --config /etc/gpad-live.toml";
const CHECK: &str = "\
Examples:
  gpad-live schemas check --config /etc/gpad-live.toml";
const LIST: &str = "\
Examples:
  gpad-live schemas list";

#[derive(Debug, clap::Args)]
struct Options {
    /// Settings; the registry is its section [registry].
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    config: Option<PathBuf>,
}

/// A schema under the name that the registry keeps it by.
struct Subject {
    name: String,
    id: u32,
    text: &'static str,
}

/// Runs the command.
///
/// # Errors
/// Wrong configuration; a registry that is away, refuses a schema or, with `check`, would refuse it.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (Command::Register(options) | Command::Check(options) | Command::List(options)) =
        &arguments.command;
    let settings = Settings::load(options.config.as_deref())?;
    let plan = super::plan_of(&settings, None)?;
    let subjects = subjects(&plan.aggregates);
    if let Command::List(_) = arguments.command {
        let lines: Vec<String> = subjects
            .iter()
            .map(|subject| format!("{:3} {}", subject.id, subject.name))
            .collect();
        return super::print(&(lines.join("\n") + "\n"));
    }
    let registry = Registry::new(&settings.registry).ok_or_else(|| {
        Failure::Usage(
            "registry.url is not set: give it in the file or as GPAD_REGISTRY_URL".to_owned(),
        )
    })?;
    if let Command::Register(_) = arguments.command {
        register(&registry, &subjects)
    } else {
        check(&registry, &subjects)
    }
}

fn register(registry: &Registry, subjects: &[Subject]) -> Result<(), Failure> {
    for subject in subjects {
        let id = registry
            .register(&subject.name, subject.text)
            .and_then(|id| {
                registry
                    .set_compatibility(&subject.name, COMPATIBILITY)
                    .map(|()| id)
            })
            .map_err(|error| Failure::Failed(error.into()))?;
        super::print(&format!("{} is schema {id}\n", subject.name))?;
    }
    Ok(())
}

fn check(registry: &Registry, subjects: &[Subject]) -> Result<(), Failure> {
    let mut refused = Vec::new();
    for subject in subjects {
        let compatibility = registry
            .compatibility(&subject.name, subject.text)
            .map_err(|error| Failure::Failed(error.into()))?;
        let says = match compatibility {
            Compatibility::Same => "registered".to_owned(),
            Compatibility::Compatible => "may replace the registered one".to_owned(),
            Compatibility::New => "not registered yet".to_owned(),
            Compatibility::Incompatible(reasons) => {
                refused.push(subject.name.as_str());
                format!("INCOMPATIBLE: {}", reasons.join(" "))
            }
        };
        super::print(&format!("{}: {says}\n", subject.name))?;
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(anyhow::anyhow!(
        "incompatible schemas: {}",
        refused.join(", ")
    )))
}

/// Values under `<topic>-value`; the rows' keys too, under `<topic>-key`.
fn subjects(plan: &AggregatePlan) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for bundled in BUNDLED {
        let mut add = |name| {
            subjects.push(Subject {
                name,
                id: bundled.id,
                text: bundled.text,
            });
        };
        let part = bundled.name.strip_prefix("gpad.aggregates-");
        match part {
            Some(part) => {
                for aggregate in &plan.aggregates {
                    add(format!("{}-{part}", aggregate_topic(&aggregate.name)));
                }
            }
            None => add(format!("{}-value", bundled.name)),
        }
    }
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_its_subjects() {
        let plan = super::super::plan_of(&Settings::default(), None).unwrap();
        let names: Vec<String> = subjects(&plan.aggregates)
            .into_iter()
            .map(|subject| subject.name)
            .collect();
        for name in [
            "tpp.appointments-value",
            "cqrs.participation-value",
            "gpad.aggregates.activity-key",
            "gpad.aggregates.activity-value",
            "gpad.ledger-value",
        ] {
            assert!(
                names.iter().any(|known| known == name),
                "{name} is not among {names:?}"
            );
        }
    }
}
