//! Membership of the consumer group: which units are ours, never their records.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::super::log::{Change, LogError, Membership, Remedy, Unit};
use super::{Group, HEARTBEAT, Member, client, context, remedy};
use crate::config;

/// Longest that leaving may hold up a stop; the group notices a silent member by itself.
const LEAVING: Duration = Duration::from_secs(2);

pub(super) type GroupConsumer = BaseConsumer<Rebalances>;

/// Keeps rebalances for the caller of `poll` instead of answering them inside the callback: a revocation is
/// answered when the open transactions have ended, and other members wait for exactly that.
pub(super) struct Rebalances {
    topics: Vec<String>,
    changes: Mutex<VecDeque<Change>>,
    closing: AtomicBool,
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        context::warn(&error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let units = self.units(partitions);
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Members hold units and read their records elsewhere: no record is ever fetched here.
            let outcome = self.list(&units, Offset::End).and_then(|list| {
                consumer.incremental_assign(&list)?;
                consumer.pause(&list)
            });
            if let Err(error) = outcome {
                tracing::warn!("taking an assignment: {error}");
            }
            self.push(Change::Assigned(units));
        } else if self.closing.load(Ordering::Acquire) {
            // Everything was ended before the closing began.
            if let Err(error) = consumer.incremental_unassign(partitions) {
                tracing::warn!("giving up an assignment: {error}");
            }
        } else if consumer.assignment_lost() {
            self.push(Change::Lost(units));
        } else {
            self.push(Change::Revoked(units));
        }
    }
}

impl Rebalances {
    fn push(&self, change: Change) {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(change);
    }

    fn next(&self) -> Option<Change> {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    fn units(&self, partitions: &TopicPartitionList) -> Vec<Unit> {
        let mut units: Vec<Unit> = partitions
            .elements()
            .iter()
            .filter_map(|element| {
                let topic = self
                    .topics
                    .iter()
                    .position(|name| name == element.topic())?;
                Some(Unit {
                    topic,
                    partition: element.partition(),
                })
            })
            .collect();
        units.sort_unstable();
        units
    }

    fn list(&self, units: &[Unit], offset: Offset) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(units.len());
        for unit in units {
            list.add_partition_offset(&self.topics[unit.topic], unit.partition, offset)?;
        }
        Ok(list)
    }
}

/// Whether another member goes by our name now: joining again would take it from that one in turn, without end.
fn is_taken(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::FencedInstanceId)
}

struct KafkaMembership {
    consumer: Arc<GroupConsumer>,
}

pub(super) fn join(
    settings: &config::Kafka,
    group: &Group,
    topics: &[&str],
) -> Result<Box<dyn Membership>, LogError> {
    let doing = || format!("joining group {}", settings.group);
    let mut config = client(settings);
    config
        .set("group.id", &settings.group)
        // `classic`: with the new protocol, exceeding max.poll.interval is fatal until librdkafka 2.15.
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Longer than a transaction may stay open: who is presumed dead has none left that could still commit.
        .set(
            "session.timeout.ms",
            settings.session.as_millis().to_string(),
        )
        .set("heartbeat.interval.ms", HEARTBEAT.as_millis().to_string());
    if let Some(instance) = &settings.instance {
        config.set("group.instance.id", instance);
    }
    let context = Rebalances {
        topics: topics.iter().map(|&name| name.to_owned()).collect(),
        changes: Mutex::default(),
        closing: AtomicBool::new(false),
    };
    let consumer: GroupConsumer = config
        .create_with_context(context)
        .map_err(|error| LogError::new(Remedy::Stop, doing(), error))?;
    consumer
        .subscribe(topics)
        .map_err(|error| LogError::new(remedy(&error), doing(), error))?;
    let consumer = Arc::new(consumer);
    *group.member() = Member::Joined(Arc::downgrade(&consumer));
    Ok(Box::new(KafkaMembership { consumer }))
}

impl Membership for KafkaMembership {
    fn poll(&mut self, wait: Duration) -> Result<Option<Change>, LogError> {
        let context = self.consumer.context();
        if let Some(change) = context.next() {
            return Ok(Some(change));
        }
        match self.consumer.poll(wait) {
            None | Some(Ok(_)) => {}
            Some(Err(error)) if is_taken(&error) => {
                return Err(LogError::new(
                    Remedy::Stop,
                    "as a member of the group",
                    "another instance has joined under the same kafka.instance: one name an instance",
                ));
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                return Err(LogError::new(
                    Remedy::Renew,
                    "as a member of the group",
                    error,
                ));
            }
            Some(Err(error)) => {
                if remedy(&error) == Remedy::Stop {
                    return Err(LogError::new(
                        Remedy::Stop,
                        "as a member of the group",
                        error,
                    ));
                }
                // librdkafka goes on trying by itself; what it means for us comes as a rebalance.
                tracing::debug!("as a member of the group: {error}");
            }
        }
        Ok(context.next())
    }

    fn release(&mut self, units: &[Unit]) -> Result<(), LogError> {
        let outcome = self
            .consumer
            .context()
            .list(units, Offset::Invalid)
            .and_then(|list| self.consumer.incremental_unassign(&list));
        match outcome {
            // A loss on top of the revocation has taken them already.
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::InvalidArgument) => {
                Ok(())
            }
            Err(error) => Err(LogError::new(Remedy::Renew, "releasing units", error)),
            Ok(()) => Ok(()),
        }
    }

    fn leave(self: Box<Self>) -> Result<(), LogError> {
        self.consumer
            .context()
            .closing
            .store(true, Ordering::Release);
        // Closing waits for the coordinator, which may be away.
        let (left, heard) = mpsc::channel();
        std::thread::spawn(move || {
            drop(self);
            let _ = left.send(());
        });
        heard.recv_timeout(LEAVING).map_err(|error| {
            LogError::new(
                Remedy::Retry,
                format!("leaving the group within {} s", LEAVING.as_secs()),
                error,
            )
        })
    }
}
