//! What the manifests add up to: records read, where they ended, and how far each task is.

use std::collections::BTreeMap;

use crate::adapters::effects;
use crate::domain::time::Timestamp;
use crate::domain::topic::SupplierTopic;
use crate::engine::ledger::Counts;
use crate::wire::output::Manifest;

/// Sums over all manifests of the ledger's topic, whoever wrote them.
#[derive(Debug, Default)]
pub struct Ledger {
    pub counts: Counts,
    topics: BTreeMap<&'static str, TopicLedger>,
    /// By name.
    pub tasks: BTreeMap<String, TaskState>,
    pub transactions: u64,
    /// Rows and records written, by topic.
    pub written: BTreeMap<String, i64>,
}

/// One supplier topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct TopicLedger {
    /// The sum of all offset ranges.
    pub offsets: i64,
    /// Records read in them; fewer where transaction markers or aborted records lie between.
    pub records: i64,
}

/// What a task's newest manifest says.
#[derive(Debug, Clone, Copy)]
pub struct TaskState {
    pub epoch: i64,
    pub sequence: i64,
    pub pending: i64,
    pub as_of: Timestamp,
}

impl Ledger {
    pub(super) fn take(&mut self, manifest: &Manifest) {
        self.transactions += 1;
        self.counts
            .merge(&effects::counts_from(&manifest.dispositions));
        for read in &manifest.positions {
            if let Some(topic) = SupplierTopic::from_name(&read.topic) {
                let sums = self.topics.entry(topic.name()).or_default();
                sums.offsets += read.to - read.from;
                sums.records += read.records;
            }
        }
        for row in &manifest.rows {
            *self.written.entry(row.output.clone()).or_default() += row.count;
        }
        let state = TaskState {
            epoch: manifest.epoch,
            sequence: manifest.sequence,
            pending: manifest.pending,
            as_of: Timestamp(manifest.as_of),
        };
        let newest = self.tasks.entry(manifest.task.clone()).or_insert(state);
        if newest.sequence <= state.sequence {
            *newest = state;
        }
    }

    #[must_use]
    pub fn topic(&self, topic: SupplierTopic) -> TopicLedger {
        self.topics.get(topic.name()).copied().unwrap_or_default()
    }

    /// Whether every record read ended in exactly one disposition.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        SupplierTopic::ALL
            .into_iter()
            .all(|topic| self.counts.records(topic) == self.topic(topic).records)
    }
}
