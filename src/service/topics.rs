//! The topics that a service needs, checked before it starts.

use crate::adapters::effects::aggregate_topic;
use crate::adapters::log::{Log, LogError};
use crate::domain::topic::{ReferenceTopic, SupplierTopic};
use crate::engine::plan::AggregatePlan;

use super::history::HISTORY;
use super::outputs::{CHANGELOG, DEAD_LETTERS, DELTAS, LEDGER};

/// The topic whose partitions are the tasks: the group shares these, and who holds partition n of it works on
/// partition n of all eight.
pub const TASKS: &str = "emis.appointments";

/// Requests to read a practice's records again; partitioned as the supplier topics are.
pub const READMISSIONS: &str = "gpad.readmissions";

/// Topics that are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    #[error("missing topics: {}; `gpad-live topics create` makes them", .0.join(", "))]
    Missing(Vec<String>),
    #[error("the supplier topics must have the same number of partitions: {}", counts(.0))]
    Unequal(Vec<(&'static str, i32)>),
    #[error(
        "{CHANGELOG} has {found} partitions, and {needed} are needed: one for each of {tasks} tasks, one for each of the {deltas} of {DELTAS}"
    )]
    Changelog {
        found: i32,
        needed: i32,
        tasks: i32,
        deltas: i32,
    },
    #[error(
        "{READMISSIONS} must have as many partitions as the supplier topics: it has {0} and they have {1}"
    )]
    Readmissions(i32, i32),
    #[error(transparent)]
    Log(#[from] LogError),
}

fn counts(topics: &[(&'static str, i32)]) -> String {
    topics
        .iter()
        .map(|(topic, count)| format!("{topic} has {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Partition counts that the service goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions {
    /// Of each supplier topic.
    pub tasks: i32,
    pub deltas: i32,
}

/// What goes out, by topic.
#[must_use]
pub fn output_topics(plan: &AggregatePlan) -> Vec<String> {
    let fixed = [DEAD_LETTERS, LEDGER, DELTAS, CHANGELOG, HISTORY].map(str::to_owned);
    plan.aggregates
        .iter()
        .map(|aggregate| aggregate_topic(&aggregate.name))
        .chain(fixed)
        .collect()
}

/// Whether everything is there, and the supplier topics fit together.
///
/// # Errors
/// The topics that are missing, or all eight with their counts.
pub fn check_topics(log: &dyn Log, plan: &AggregatePlan) -> Result<Partitions, TopicsError> {
    let outputs = output_topics(plan);
    let suppliers = SupplierTopic::ALL.map(SupplierTopic::name);
    let references = ReferenceTopic::ALL.map(ReferenceTopic::name);
    let names: Vec<&str> = suppliers
        .into_iter()
        .chain(references)
        .chain([READMISSIONS])
        .chain(outputs.iter().map(String::as_str))
        .collect();
    let found = log.partitions(&names)?;
    let missing: Vec<String> = (names.iter().zip(&found))
        .filter(|(_, count)| count.is_none())
        .map(|(name, _)| (*name).to_owned())
        .collect();
    if !missing.is_empty() {
        return Err(TopicsError::Missing(missing));
    }
    let of = |name: &str| {
        let at = names.iter().position(|known| *known == name);
        at.and_then(|at| found[at]).unwrap_or_default()
    };
    let by_supplier = suppliers.map(|name| (name, of(name)));
    let tasks = by_supplier[0].1;
    if by_supplier.iter().any(|(_, count)| *count != tasks) {
        return Err(TopicsError::Unequal(by_supplier.to_vec()));
    }
    let readmissions = of(READMISSIONS);
    if readmissions != tasks {
        return Err(TopicsError::Readmissions(readmissions, tasks));
    }
    let (deltas, found) = (of(DELTAS), of(CHANGELOG));
    if found < tasks + deltas {
        return Err(TopicsError::Changelog {
            found,
            needed: tasks + deltas,
            tasks,
            deltas,
        });
    }
    Ok(Partitions { tasks, deltas })
}
