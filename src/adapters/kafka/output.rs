//! One task's transactional producer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::super::clock::monotonic;
use super::super::crash::{self, Point};
use super::super::log::{Committed, LogError, NewRecord, Output, Position, Remedy, Transaction};
use super::{CALL, Group, Member, TRANSACTION, client, context};
use crate::config;

/// The longest a producer may take to be fenced in: another's open transaction is being aborted.
const FENCING: Duration = Duration::from_secs(20);
/// What librdkafka is given beyond its time before a call of it is left behind.
const GRACE: Duration = Duration::from_secs(1);
/// Deliveries that went well are not reported: each report would pass through this process's hands ([`Deliveries`]).
pub(super) const ONLY_ERRORS: &str = "true";
/// What librdkafka names a lost connection, and requests that were not answered in time.
const LOSSES: [&str; 2] = ["FAIL", "REQTMOUT"];
/// How often deliveries that are waited for are looked at.
const LOOK: Duration = Duration::from_micros(500);
/// Room for a dead letter that carries a refused record of more than the usual 1 MiB.
pub(super) const LARGEST: u32 = 16 * 1024 * 1024;

/// Counts what could not be delivered; the rest of a delivery report is of no interest.
#[derive(Default)]
pub(super) struct Deliveries {
    failed: AtomicU64,
    purged: AtomicU64,
    /// Connections lost, and requests that nobody answered in time.
    lost: AtomicU64,
    /// Whatever librdkafka has told.
    heard: AtomicU64,
    first: Mutex<Option<String>>,
}

impl Deliveries {
    /// Records that were given up because another one failed, whose own report may still come.
    fn purged(&self) -> Option<String> {
        let purged = self.purged.load(Ordering::Acquire);
        (purged > 0).then(|| format!("{purged} records were given up with another that failed"))
    }

    pub(super) fn failure(&self) -> Option<String> {
        if self.failed.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.heard.fetch_add(1, Ordering::Release);
        // A connection that a broker has closed is told in no other way.
        if LOSSES.contains(&facility) {
            self.lost.fetch_add(1, Ordering::Release);
        }
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.fetch_add(1, Ordering::Release);
        self.lost.fetch_add(1, Ordering::Release);
        context::warn(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.heard.fetch_add(1, Ordering::Release);
        if let Err((error, message)) = result {
            use rdkafka::message::Message as _;
            let code = error.rdkafka_error_code();
            if matches!(
                code,
                Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
            ) {
                self.purged.fetch_add(1, Ordering::Release);
                return;
            }
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| format!("to {}: {error}", message.topic()));
            self.failed.fetch_add(1, Ordering::Release);
        }
    }
}

struct KafkaOutput {
    name: String,
    /// `None` once its outcome was in doubt: it must not be used again.
    producer: Option<Arc<BaseProducer<Deliveries>>>,
    /// Whether it has ended a transaction.
    has_committed: bool,
    group: Arc<Group>,
}

pub(super) fn open(
    settings: &config::Kafka,
    group: &Arc<Group>,
    name: &str,
) -> Result<Box<dyn Output>, LogError> {
    let name = format!("{}-{name}", settings.group);
    let doing = || format!("fencing earlier producers of {name}");
    let producer: BaseProducer<Deliveries> = producer(settings)
        .set("transactional.id", &name)
        .set(
            "transaction.timeout.ms",
            TRANSACTION.as_millis().to_string(),
        )
        .create_with_context(Deliveries::default())
        .map_err(|error| LogError::new(Remedy::Stop, doing(), error))?;
    producer.init_transactions(FENCING).map_err(|error| {
        let remedy = match transaction_remedy(&error) {
            Remedy::Renew => Remedy::Retry,
            kept @ (Remedy::Retry | Remedy::Fenced | Remedy::Stop) => kept,
        };
        LogError::new(remedy, doing(), error)
    })?;
    Ok(Box::new(KafkaOutput {
        name,
        producer: Some(Arc::new(producer)),
        has_committed: false,
        group: Arc::clone(group),
    }))
}

/// What a task's producer is, whatever its guarantee.
pub(super) fn producer(settings: &config::Kafka) -> ClientConfig {
    let rather = [
        // `flush` does not override it: every commit would wait this long.
        ("linger.ms", "1"),
        ("compression.type", "lz4"),
        ("queue.buffering.max.messages", "1000000"),
    ];
    let mut config = client(settings, &rather);
    config
        // A connection that its broker has closed is told as a log line of this level, whatever the operator wants to see.
        .set_log_level(RDKafkaLogLevel::Info)
        // Of the Java client, so that a key lands in the same partition whoever sends it.
        .set("partitioner", "murmur2_random")
        .set("delivery.report.only.error", ONLY_ERRORS)
        .set("message.max.bytes", LARGEST.to_string());
    config
}

impl Output for KafkaOutput {
    fn committed(&mut self, partitions: &[(&str, i32)]) -> Result<Committed, LogError> {
        self.group.committed(partitions, &self.name)
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<(), LogError> {
        let doing = || format!("committing a transaction of {}", self.name);
        let Some(producer) = self.producer.take() else {
            return Err(LogError::new(
                Remedy::Renew,
                doing(),
                "its outcome is in doubt since an error",
            ));
        };
        // What was lost before its first is of no matter; what has been told since its last may have been the end of that.
        let is_safe = !self.has_committed || !has_lost_a_connection(&producer);
        let outcome = (is_safe.then_some(()))
            .ok_or_else(|| Failure::renew("this producer has lost a connection since its last one"))
            .and_then(|()| self.member())
            .and_then(|member| write(&producer, transaction, &Arc::new(member)));
        match outcome {
            Ok(()) => {
                self.has_committed = true;
                self.producer = Some(producer);
                Ok(())
            }
            Err(Failure { remedy, source }) => {
                // Waits up to half a second for what it still holds, which nobody wants any more.
                std::thread::spawn(move || drop(producer));
                Err(LogError::new(remedy, doing(), source))
            }
        }
    }
}

impl Group {
    /// What the group has committed; `whose` is told in an error.
    pub(super) fn committed(
        &self,
        partitions: &[(&str, i32)],
        whose: &str,
    ) -> Result<Committed, LogError> {
        let failed = |error| {
            LogError::new(
                Remedy::Retry,
                format!("asking what {whose} committed"),
                error,
            )
        };
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for &(topic, partition) in partitions {
            list.add_partition(topic, partition);
        }
        let list = self.offsets.committed_offsets(list, CALL).map_err(failed)?;
        let mut committed = Committed::default();
        for element in list.elements() {
            element.error().map_err(failed)?;
            if let Offset::Offset(next) = element.offset() {
                let (topic, partition) = (element.topic().to_owned(), element.partition());
                committed.positions.push(Position {
                    topic,
                    partition,
                    next,
                });
                if committed.note.is_none() && !element.metadata().is_empty() {
                    committed.note = Some(element.metadata().to_owned());
                }
            }
        }
        Ok(committed)
    }
}

impl KafkaOutput {
    /// The proof that we are still the member that these units were given to.
    fn member(&self) -> Result<ConsumerGroupMetadata, Failure> {
        let metadata = match &*self.group.member() {
            Member::Outside => self.group.offsets.group_metadata(),
            Member::Joined(consumer) => consumer
                .upgrade()
                .and_then(|consumer| consumer.group_metadata()),
        };
        metadata.ok_or_else(|| Failure {
            remedy: Remedy::Fenced,
            source: "this instance is no longer a member of the group".into(),
        })
    }
}

pub(super) struct Failure {
    remedy: Remedy,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        Self {
            remedy: transaction_remedy(&error),
            source: error.into(),
        }
    }
}

fn write(
    producer: &Arc<BaseProducer<Deliveries>>,
    transaction: &Transaction,
    member: &Arc<ConsumerGroupMetadata>,
) -> Result<(), Failure> {
    producer.begin_transaction()?;
    crash::pass(Point::Begun);
    for record in transaction.records() {
        send(producer, &record, TRANSACTION)?;
    }
    crash::pass(Point::Produced);
    let list = Arc::new(positions(transaction)?);
    let offsets = |within| {
        let (producer, list, member) = (producer.clone(), list.clone(), member.clone());
        answered(within + GRACE, move || {
            producer.send_offsets_to_transaction(&list, &member, within)
        })
    };
    offsets(TRANSACTION)
        .ok_or_else(Failure::unanswered)?
        .map_err(Failure::from)
        .and_then(|()| drain(producer, TRANSACTION))
        .map_err(|failure| {
            // Nothing of this transaction is committed any more: asking once more tells why, and does nothing.
            let why = offsets(CALL).and_then(Result::err);
            explained(failure, why, producer, transaction)
        })?;
    crash::pass(Point::OffsetsSent);
    crash::pass(Point::Committing);
    producer.commit_transaction(TRANSACTION)?;
    crash::pass(Point::Committed);
    // librdkafka asks again on a new connection, and the first EndTxn may arrive later, inside this producer's next
    // transaction (KAFKA-17754). A new producer has a new epoch, and what comes late is refused. A loss of before this
    // transaction counts too: librdkafka does not report the same one twice within 30 s.
    if has_lost_a_connection(producer) {
        return Err(Failure::renew(
            "it was written, but this producer has lost a connection",
        ));
    }
    Ok(())
}

/// By all that librdkafka has told so far: it is handed over piece by piece, and what was lost stands behind log lines about it.
fn has_lost_a_connection(producer: &BaseProducer<Deliveries>) -> bool {
    let context = producer.context();
    loop {
        let heard = context.heard.load(Ordering::Acquire);
        producer.poll(Duration::ZERO);
        if context.heard.load(Ordering::Acquire) == heard {
            return context.lost.load(Ordering::Acquire) > 0;
        }
    }
}

/// What a call answers, unless it takes longer; then its thread is left behind with all that it holds.
//
// librdkafka waits without end for the answer to `send_offsets_to_transaction`. The time that it was given it looks at only
// when a broker's connection comes or goes, and a FindCoordinator that was lost with its broker is sent again only then
// (rdkafka_coord.c of 2.12.1). Where no connection changed afterwards, a task stood still for as long as it was left
// alone, and said nothing. See docs/decisions/0035.
fn answered<T: Send + 'static>(
    within: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more to an answer that comes too late.
        let _ = answer.send(call());
    });
    answered.recv_timeout(within).ok()
}

/// What is committed with a transaction's records: the positions, and its note beside each.
pub(super) fn positions(transaction: &Transaction) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(transaction.positions.len());
    for position in &transaction.positions {
        let mut element = list.add_partition(&position.topic, position.partition);
        element.set_offset(Offset::Offset(position.next))?;
        element.set_metadata(&transaction.note);
    }
    Ok(list)
}

/// Says which topics of the transaction there are not, or what librdkafka has given it up for and which topics it is
/// about: of the records it only says that they were not stored, of the rest it names no topic.
fn explained(
    failure: Failure,
    why: Option<KafkaError>,
    producer: &BaseProducer<Deliveries>,
    transaction: &Transaction,
) -> Failure {
    let Ok(metadata) = producer.client().fetch_metadata(None, CALL) else {
        return failure;
    };
    let is_there = |topic: &str| metadata.topics().iter().any(|known| known.name() == topic);
    let topics: BTreeSet<&str> = transaction.records().map(|record| record.topic).collect();
    let missing: Vec<&str> = topics
        .iter()
        .copied()
        .filter(|topic| !is_there(topic))
        .collect();
    let source = match why {
        _ if !missing.is_empty() => {
            format!("{}; missing topics: {}", failure.source, missing.join(", "))
        }
        Some(why)
            if why.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) =>
        {
            let topics: Vec<&str> = topics.into_iter().collect();
            format!(
                "{}: {why}; it may not write to one of {}",
                failure.source,
                topics.join(", ")
            )
        }
        // A delivery has said of which topic it was.
        Some(why) if producer.context().failure().is_none() => {
            format!("{}: {why}", failure.source)
        }
        Some(_) | None => return failure,
    };
    Failure {
        source: source.into(),
        ..failure
    }
}

/// Hands one record to librdkafka, waiting while its queue is full.
pub(super) fn send(
    producer: &BaseProducer<Deliveries>,
    record: &NewRecord<'_>,
    patience: Duration,
) -> Result<(), KafkaError> {
    let mut message = BaseRecord::<[u8], [u8]>::to(record.topic);
    message.partition = record.partition;
    message.key = record.key;
    message.payload = record.value;
    let mut since = None;
    loop {
        match producer.send(message) {
            Ok(()) => return Ok(()),
            Err((error, refused)) => {
                let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                if !full || since.get_or_insert_with(monotonic).elapsed() > patience {
                    return Err(error);
                }
                producer.poll(Duration::ZERO);
                std::thread::sleep(LOOK);
                message = refused;
            }
        }
    }
}

/// Waits until everything handed over is stored. `flush` and `commit_transaction` would do so in steps of
/// 100 ms that never return early.
pub(super) fn drain(
    producer: &BaseProducer<Deliveries>,
    patience: Duration,
) -> Result<(), Failure> {
    let began = monotonic();
    // One that failed decides: those beside it may be kept back for as long as nobody gives the transaction up.
    loop {
        let waiting = producer.in_flight_count();
        if waiting == 0 || producer.context().failure().is_some() {
            break;
        }
        // Not with a time to wait: `poll` waits whole milliseconds, and spins through what is left of them. Eight tasks
        // that waited for their brokers so were a core at full load.
        producer.poll(Duration::ZERO);
        if producer.in_flight_count() == waiting {
            std::thread::sleep(LOOK);
        }
        if began.elapsed() > patience {
            let source = format!(
                "{} records were not stored in time",
                producer.in_flight_count()
            );
            return Err(Failure {
                remedy: Remedy::Renew,
                source: source.into(),
            });
        }
    }
    let context = producer.context();
    match context.failure().or_else(|| context.purged()) {
        Some(failure) => Err(Failure {
            remedy: Remedy::Renew,
            source: failure.into(),
        }),
        None => Ok(()),
    }
}

impl Failure {
    fn renew(why: &str) -> Self {
        Self {
            remedy: Remedy::Renew,
            source: why.into(),
        }
    }

    fn unanswered() -> Self {
        Self::renew("librdkafka did not say in time whether the group took the positions")
    }

    pub(super) fn into_error(self, doing: impl Into<String>) -> LogError {
        LogError::new(self.remedy, doing, self.source)
    }
}

/// Inside a transaction nothing is merely retried: librdkafka has done that already, and what is left is doubt
/// (KAFKA-17754).
fn transaction_remedy(error: &KafkaError) -> Remedy {
    use RDKafkaErrorCode as Code;
    let Some(code) = error.rdkafka_error_code() else {
        return Remedy::Renew;
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "librdkafka has some 150 codes, and adds more"
    )]
    match code {
        Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::FencedInstanceId
        | Code::UnknownMemberId => Remedy::Fenced,
        Code::TransactionalIdAuthorizationFailed | Code::ClusterAuthorizationFailed => Remedy::Stop,
        _ => Remedy::Renew,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_other_news_is_heard() {
        // Nobody listens there: refused at once. Told behind a dozen lines of what the client is about to do.
        let settings = config::Kafka {
            brokers: "127.0.0.1:1".to_owned(),
            ..config::Settings::default().kafka
        };
        let producer: BaseProducer<Deliveries> = producer(&settings)
            .set("debug", "generic,broker")
            .set_log_level(RDKafkaLogLevel::Debug)
            .create_with_context(Deliveries::default())
            .expect("a producer");
        super::super::super::threads::sleep(Duration::from_secs(1));
        assert!(has_lost_a_connection(&producer));
    }

    #[test]
    fn a_connection_that_its_broker_has_closed_is_lost() {
        let settings = config::Settings::default().kafka;
        // Its line is of this level, and there is no error behind it.
        assert!(producer(&settings).log_level as i32 >= RDKafkaLogLevel::Info as i32);
        let lost = |facility: &str| {
            let deliveries = Deliveries::default();
            deliveries.log(RDKafkaLogLevel::Info, facility, "Disconnected");
            deliveries.lost.load(Ordering::Acquire) > 0
        };
        assert!(lost("FAIL") && lost("REQTMOUT"));
        assert!(!lost("GETPID"));
    }

    #[test]
    fn a_call_that_does_not_return_is_left_behind() {
        let (holds, held) = mpsc::channel::<()>();
        let began = monotonic();
        let answer = answered(Duration::from_millis(20), move || held.recv().is_ok());
        assert_eq!(answer, None);
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(holds);
        assert_eq!(answered(Duration::from_secs(5), || 7), Some(7));
    }
}
