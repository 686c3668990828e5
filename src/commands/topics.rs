//! `topics`: makes the topics that the service needs, and checks those that are there.

use std::path::PathBuf;

use super::Failure;
use crate::adapters::kafka::{KafkaLog, NewTopic, TopicState};
use crate::config::Settings;
use crate::domain::topic::{ReferenceTopic, SupplierTopic};
use crate::engine::plan::AggregatePlan;
use crate::service::{CHANGELOG, DEAD_LETTERS, DELTAS, HISTORY, LEDGER, READMISSIONS};

/// A dead letter may carry a refused record of more than Kafka's usual 1 MiB.
const DEAD_LETTER_BYTES: &str = "16777216";
/// Looked at by `check`.
const POLICY: &str = "cleanup.policy";

/// Make the topics, or check them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make those topics that are missing: inputs, reference data, outputs.
    #[command(after_help = CREATE)]
    Create(Options),
    /// Say what is missing, or not as it must be.
    #[command(after_help = CHECK)]
    Check(Options),
}

const CREATE: &str = "\
Examples:
  gpad-live topics create --config /etc/gpad-live.toml
  GPAD_TOPICS_PARTITIONS=32 gpad-live topics create";
const CHECK: &str = "\
Examples:
  gpad-live topics check --config /etc/gpad-live.toml";

#[derive(Debug, clap::Args)]
struct Options {
    /// Settings; without it the defaults. Partitions and replication are its section [topics].
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Wrong configuration; a broker that is away or refuses; with `check`, topics that are not as they must be.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (Command::Create(options) | Command::Check(options)) = &arguments.command;
    let settings = Settings::load(options.config.as_deref())?;
    KafkaLog::check(&settings.kafka).map_err(|error| Failure::Usage(error.to_string()))?;
    let plan = super::plan_of(&settings, Some(settings.horizon_days))?;
    let wanted = wanted(&settings, &plan.aggregates);
    let failed = |error: crate::adapters::log::LogError| Failure::Failed(error.into());
    let log = KafkaLog::open(&settings.kafka).map_err(failed)?;
    if let Command::Create(_) = arguments.command {
        let made = log
            .create_topics(&wanted, settings.topics.replication)
            .map_err(failed)?;
        for (topic, made) in wanted.iter().zip(made) {
            super::print(&format!(
                "{} {}\n",
                if made { "made " } else { "there" },
                topic.name
            ))?;
        }
        return Ok(());
    }
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    let found = log.describe_topics(&names, &[POLICY]).map_err(failed)?;
    let wrong = faults(&wanted, &found);
    if wrong.is_empty() {
        return super::print("the topics are as they must be\n");
    }
    Err(Failure::Failed(anyhow::anyhow!("{}", wrong.join("; "))))
}

/// Every topic, as it is made.
fn wanted(settings: &Settings, plan: &AggregatePlan) -> Vec<NewTopic> {
    let keep = ("retention.ms", "-1".to_owned());
    let delete = (POLICY, "delete".to_owned());
    let compact = (POLICY, "compact".to_owned());
    let topic = |name: &str, partitions: i32, settings: &[(&'static str, String)]| NewTopic {
        name: name.to_owned(),
        partitions,
        settings: settings.to_vec(),
    };
    let partitions = settings.topics.partitions;
    let mut topics = Vec::new();
    for supplier in SupplierTopic::ALL {
        topics.push(topic(
            supplier.name(),
            partitions,
            &[delete.clone(), keep.clone()],
        ));
    }
    for reference in ReferenceTopic::ALL {
        // State stands on the reference data of its time (docs/decisions/0014): 30 days of it stay as they came.
        let lag = ("min.compaction.lag.ms", "2592000000".to_owned());
        topics.push(topic(reference.name(), 1, &[compact.clone(), lag]));
    }
    for aggregate in &plan.aggregates {
        let name = crate::adapters::effects::aggregate_topic(&aggregate.name);
        topics.push(topic(
            &name,
            settings.topics.row_partitions,
            std::slice::from_ref(&compact),
        ));
    }
    let large = ("max.message.bytes", DEAD_LETTER_BYTES.to_owned());
    topics.push(topic(
        DEAD_LETTERS,
        partitions,
        &[delete.clone(), keep.clone(), large],
    ));
    topics.push(topic(LEDGER, partitions, &[delete.clone(), keep.clone()]));
    topics.push(topic(
        DELTAS,
        settings.topics.delta_partitions,
        &[delete.clone(), keep.clone()],
    ));
    topics.push(topic(
        READMISSIONS,
        partitions,
        &[delete.clone(), keep.clone()],
    ));
    // One for each task, then one for each of the second stage. Small segments: deleting goes by them.
    let segment = ("segment.bytes", "67108864".to_owned());
    topics.push(topic(
        CHANGELOG,
        partitions + settings.topics.delta_partitions,
        &[delete.clone(), keep.clone(), segment.clone()],
    ));
    // The service gives up what is older than state.history_days.
    topics.push(topic(HISTORY, partitions, &[delete, keep, segment]));
    topics
}

/// What is missing or wrong, one text each.
fn faults(wanted: &[NewTopic], found: &[TopicState]) -> Vec<String> {
    let of = |name: &str| found.iter().find(|topic| topic.name == name);
    let mut faults = Vec::new();
    let missing: Vec<&str> = wanted
        .iter()
        .map(|topic| topic.name.as_str())
        .filter(|name| of(name).is_none())
        .collect();
    if !missing.is_empty() {
        faults.push(format!(
            "missing topics: {}; `gpad-live topics create` makes them",
            missing.join(", ")
        ));
    }
    let counts: Vec<(&str, i32)> = SupplierTopic::ALL
        .into_iter()
        .filter_map(|topic| Some((topic.name(), of(topic.name())?.partitions)))
        .collect();
    if counts.iter().any(|(_, count)| *count != counts[0].1) {
        let counts: Vec<String> = counts
            .iter()
            .map(|(topic, count)| format!("{topic} has {count}"))
            .collect();
        faults.push(format!(
            "the supplier topics must have the same number of partitions: {}",
            counts.join(", ")
        ));
    }
    for topic in wanted {
        let policy = topic.settings.iter().find(|(key, _)| *key == POLICY);
        let is = of(&topic.name)
            .and_then(|found| found.settings.iter().find(|(key, _)| key == POLICY))
            .map(|(_, value)| value.as_str());
        if let (Some((_, wanted)), Some(is)) = (policy, is)
            && wanted != is
        {
            faults.push(format!(
                "{}: {POLICY} is {is} and must be {wanted}",
                topic.name
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_wanted() -> (Vec<NewTopic>, Vec<TopicState>) {
        let settings = Settings::default();
        let plan = super::super::plan_of(&settings, None).unwrap();
        let wanted = wanted(&settings, &plan.aggregates);
        let found = wanted
            .iter()
            .map(|topic| TopicState {
                name: topic.name.clone(),
                partitions: topic.partitions,
                settings: topic
                    .settings
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), v.clone()))
                    .collect(),
            })
            .collect();
        (wanted, found)
    }

    #[test]
    fn topics_as_they_are_made_are_without_fault() {
        let (wanted, found) = as_wanted();
        assert_eq!(faults(&wanted, &found), Vec::<String>::new());
        assert!(
            wanted
                .iter()
                .any(|topic| topic.name == "gpad.aggregates.practice_crosstab")
        );
    }

    #[test]
    fn partitions_are_those_that_the_settings_say() {
        let mut settings = Settings::default();
        settings.topics.partitions = 6;
        settings.topics.row_partitions = 2;
        settings.topics.delta_partitions = 3;
        let plan = super::super::plan_of(&settings, None).unwrap();
        let wanted = wanted(&settings, &plan.aggregates);
        for (name, partitions) in [
            ("emis.appointments", 6),
            ("ods.practices", 1),
            ("gpad.aggregates.activity", 2),
            (LEDGER, 6),
            (DELTAS, 3),
            (CHANGELOG, 9),
        ] {
            let topic = wanted.iter().find(|topic| topic.name == name);
            assert_eq!(
                topic.map(|topic| topic.partitions),
                Some(partitions),
                "{name}"
            );
        }
    }

    #[test]
    fn every_fault_is_named() {
        let (wanted, mut found) = as_wanted();
        found[2].partitions = 3;
        found.retain(|topic| topic.name != "gpad.ledger");
        let activity = found
            .iter_mut()
            .find(|topic| topic.name == "gpad.aggregates.activity")
            .unwrap();
        activity.settings = vec![("cleanup.policy".to_owned(), "delete".to_owned())];
        let faults = faults(&wanted, &found);
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert_eq!(
            faults[0],
            "missing topics: gpad.ledger; `gpad-live topics create` makes them"
        );
        assert!(
            faults[1].contains(
                "emis.appointments has 8, emis.consultations has 8, tpp.appointments has 3"
            )
        );
        assert_eq!(
            faults[2],
            "gpad.aggregates.activity: cleanup.policy is delete and must be compact"
        );
    }
}
