//! Commits without transactions: measured, never offered.
//!
//! Compiled by the feature `measure-without-transactions` alone, which no build that runs a service has. What a commit holds goes
//! out by a producer that is merely idempotent, then the offsets go to the group as any consumer's would: a death in between repeats
//! records, and readers see half of a commit. The difference from [`super::output`] is what exactly once costs.

use std::sync::Arc;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::super::log::{Committed, LogError, Output, Remedy, Transaction};
use super::output::{Deliveries, Failure, drain, positions, producer, send};
use super::{Group, Member, TRANSACTION};
use crate::config;

/// Present, whatever its value: outputs are those of this module.
/// Not `GPAD_…`: those are keys of the configuration, which has none for this.
const ASKED: &str = "GPADLIVE_MEASURE_WITHOUT_TRANSACTIONS";

struct Idempotent {
    name: String,
    producer: BaseProducer<Deliveries>,
    group: Arc<Group>,
}

/// `None` unless the environment asks for it.
pub(super) fn open(
    settings: &config::Kafka,
    group: &Arc<Group>,
    name: &str,
) -> Option<Result<Box<dyn Output>, LogError>> {
    std::env::var_os(ASKED)?;
    let producer = producer(settings)
        .set("enable.idempotence", "true")
        .create_with_context(Deliveries::default())
        .map_err(|error| LogError::new(Remedy::Stop, "making a producer", error));
    Some(producer.map(|producer| -> Box<dyn Output> {
        Box::new(Idempotent {
            name: name.to_owned(),
            producer,
            group: Arc::clone(group),
        })
    }))
}

impl Output for Idempotent {
    fn committed(&mut self, partitions: &[(&str, i32)]) -> Result<Committed, LogError> {
        self.group.committed(partitions, &self.name)
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<(), LogError> {
        write(&self.producer, transaction, &self.group)
            .map_err(|failure| failure.into_error("committing without a transaction"))
    }
}

fn write(
    producer: &BaseProducer<Deliveries>,
    transaction: &Transaction,
    group: &Group,
) -> Result<(), Failure> {
    for record in transaction.records() {
        send(producer, &record, TRANSACTION)?;
    }
    drain(producer, TRANSACTION)?;
    Ok(commit(&positions(transaction)?, group)?)
}

/// Waits for the answer, as a transaction's end does.
fn commit(list: &TopicPartitionList, group: &Group) -> Result<(), KafkaError> {
    let consumer = match &*group.member() {
        Member::Outside => return group.offsets.commit(list, CommitMode::Sync),
        Member::Joined(consumer) => consumer.upgrade(),
    };
    // Without the lock: every task commits.
    consumer.map_or(Ok(()), |consumer| consumer.commit(list, CommitMode::Sync))
}
