//! Membership of the consumer group: which units are ours, never their records.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use serde::Deserialize;

use super::super::clock::monotonic;
use super::super::log::{Change, LogError, Membership, Remedy, Unit};
use super::context::{BrokerStatistics, Since};
use super::{Group, HEARTBEAT, Member, client, context, remedy};
use crate::config;

/// How often librdkafka says how the membership stands.
const TOLD: Duration = Duration::from_millis(100);
/// Left for closing the client, once it can be heard.
const CLOSING: Duration = Duration::from_secs(1);

/// A client that knows no broker for so long, not even those of `kafka.brokers`, will know none again
/// (docs/decisions/0038). One whose brokers are away knows them.
const FORSAKEN: Duration = Duration::from_secs(15);

pub(super) type GroupConsumer = BaseConsumer<Rebalances>;

/// Keeps rebalances for the caller of `poll` instead of answering them inside the callback: a revocation is
/// answered when the open transactions have ended, and other members wait for exactly that.
pub(super) struct Rebalances {
    topics: Vec<String>,
    changes: Mutex<VecDeque<Change>>,
    closing: AtomicBool,
    /// Before the client was created.
    created: Instant,
    /// When librdkafka last found that it is a member and no rebalance is on.
    steady_at: Mutex<Option<Instant>>,
    /// Whether librdkafka knows any broker.
    has_brokers: Since,
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        context::warn(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) {
            // Statistics lie in a queue until somebody polls: what they say was so when they were made.
            let made_at = self.created + Duration::from_micros(statistics.age);
            let is_steady = statistics.cgrp.join_state == "steady";
            *self.steadiness() = is_steady.then_some(made_at);
            let mut brokers = statistics.brokers.values();
            self.has_brokers
                .note(brokers.any(BrokerStatistics::is_real));
        }
    }
}

/// The little that is read of librdkafka's statistics.
#[derive(Deserialize)]
struct Statistics {
    /// Microseconds since the client was created.
    age: u64,
    cgrp: GroupStatistics,
    brokers: HashMap<String, BrokerStatistics>,
}

#[derive(Deserialize)]
struct GroupStatistics {
    join_state: String,
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
    fn steadiness(&self) -> MutexGuard<'_, Option<Instant>> {
        self.steady_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

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
    let mut config = client(settings, &[]);
    config
        .set("group.id", &settings.group)
        // `classic`: with the new protocol, exceeding max.poll.interval is fatal until librdkafka 2.15.
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("statistics.interval.ms", TOLD.as_millis().to_string())
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
        created: monotonic(),
        steady_at: Mutex::default(),
        has_brokers: Since::default(),
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
        if context.has_brokers.is_longer_than(FORSAKEN) {
            return Err(LogError::new(
                Remedy::Renew,
                "as a member of the group",
                "the client has lost all brokers, those it was told of too",
            ));
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

    fn leave(mut self: Box<Self>, within: Duration) -> Result<(), LogError> {
        while let Some(change) = self.consumer.context().next() {
            if let Change::Revoked(units) | Change::Lost(units) = change {
                self.release(&units)?;
            }
        }
        self.consumer
            .context()
            .closing
            .store(true, Ordering::Release);
        // The coordinator hears nothing from a member that is joining until all have joined, and librdkafka does not wait
        // for that: it would be gone unheard, and every rebalance would wait until its session has run out.
        let began = monotonic();
        while began.elapsed() + CLOSING < within {
            // Revocations are answered at once now; nothing of ours is open any more. In short steps: a rebalance that
            // begins between the news and the closing is what all this is to prevent.
            let _ = self.consumer.poll(TOLD / 50);
            let steady_at = *self.consumer.context().steadiness();
            if steady_at.is_some_and(|at| at >= began) {
                break;
            }
        }
        // Closing alone does not leave where nothing is assigned: librdkafka 2.12 skips the request with the rejoin.
        self.consumer.unsubscribe();
        // Closing waits for the coordinator, which may be away.
        let within = within.saturating_sub(began.elapsed());
        let (left, heard) = mpsc::channel();
        std::thread::spawn(move || {
            drop(self);
            let _ = left.send(());
        });
        heard.recv_timeout(within).map_err(|error| {
            LogError::new(
                Remedy::Retry,
                format!("leaving the group within {:.1} s", within.as_secs_f64()),
                error,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member whose statistics are these, before and now.
    fn member(brokers: &str) -> KafkaMembership {
        let long_ago = monotonic()
            .checked_sub(FORSAKEN * 2)
            .expect("the machine is up");
        let context = Rebalances {
            topics: Vec::new(),
            changes: Mutex::default(),
            closing: AtomicBool::new(false),
            created: monotonic(),
            steady_at: Mutex::default(),
            has_brokers: Since::was(long_ago),
        };
        let statistics =
            format!(r#"{{"age":1,"cgrp":{{"join_state":"init"}},"brokers":{brokers}}}"#);
        context.stats_raw(statistics.as_bytes());
        let mut config = rdkafka::ClientConfig::new();
        config
            .set("bootstrap.servers", "127.0.0.1:1")
            .set("group.id", "g");
        let consumer = config.create_with_context(context).expect("a consumer");
        KafkaMembership {
            consumer: Arc::new(consumer),
        }
    }

    #[test]
    fn a_member_that_knows_no_broker_ends_and_one_whose_brokers_are_away_does_not() {
        let own = r#"{"GroupCoordinator":{"source":"logical","state":"INIT"}}"#;
        let polled = member(own).poll(Duration::ZERO);
        assert_eq!(polled.expect_err("the end").remedy, Remedy::Renew);
        let away = r#"{"b:9092/bootstrap":{"source":"configured","state":"DOWN"}}"#;
        assert_eq!(member(away).poll(Duration::ZERO).expect("no end"), None);
    }
}
