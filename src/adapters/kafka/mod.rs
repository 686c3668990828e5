//! Kafka as the log: brokers reached through librdkafka.

mod admin;
mod appender;
mod context;
mod membership;
mod output;
mod reader;
mod scan;
mod security;
#[cfg(feature = "measure-without-transactions")]
mod without;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::clock::monotonic;
use super::log::{
    Append, Committed, Ends, Log, LogError, Membership, Message, Output, Position, Reader, Remedy,
    Span,
};
use crate::config;
pub use admin::{NewTopic, TopicState};
use context::Plain;
use membership::GroupConsumer;

/// One call that is answered from a broker's memory; more than this and it is not well.
const CALL: Duration = Duration::from_secs(5);
/// After this a call that may succeed later is given up for now; who made it decides.
const PATIENCE: Duration = Duration::from_secs(10);
/// A transaction left open by a death is aborted after this, so that readers are held up no longer.
const TRANSACTION: Duration = Duration::from_secs(10);
/// Longest that a request may go unanswered. Not longer than [`TRANSACTION`], as librdkafka demands of producers.
const SILENCE: Duration = Duration::from_secs(8);
/// Least that a consumer may hold, in KiB.
const LEAST_FETCH: u64 = 64;
/// How soon a member hears of a rebalance.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The brokers of one cluster, for one group.
pub struct KafkaLog {
    settings: config::Kafka,
    /// Sees what committed readers see.
    committed: BaseConsumer<Plain>,
    /// Sees everything; librdkafka answers watermarks by the client's own isolation level.
    everything: BaseConsumer<Plain>,
    group: Arc<Group>,
    /// Partitions of every topic, as listed last.
    listed: Mutex<HashMap<String, usize>>,
}

/// The group's offsets, and this process's membership while there is one.
struct Group {
    offsets: BaseConsumer<Plain>,
    member: Mutex<Member>,
}

enum Member {
    /// Never joined: a tool, whose offsets are fenced by the transactional id alone.
    Outside,
    Joined(Weak<GroupConsumer>),
}

impl Group {
    fn member(&self) -> MutexGuard<'_, Member> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KafkaLog {
    /// Connects, waiting for a broker no longer than the settings' patience.
    ///
    /// # Errors
    /// When an option is unknown to librdkafka, or no broker answers in time.
    pub fn open(settings: &config::Kafka) -> Result<Self, LogError> {
        let control = |isolation: &str, group: bool| {
            let mut config = client(settings, &[]);
            config
                .set("isolation.level", isolation)
                .set("enable.auto.commit", "false");
            if group {
                config.set("group.id", &settings.group);
            }
            config
                .create_with_context::<_, BaseConsumer<Plain>>(Plain::default())
                .map_err(|error| LogError::new(Remedy::Stop, "making a Kafka client", error))
        };
        let log = Self {
            committed: control("read_committed", false)?,
            everything: control("read_uncommitted", false)?,
            group: Arc::new(Group {
                offsets: control("read_committed", true)?,
                member: Mutex::new(Member::Outside),
            }),
            settings: settings.clone(),
            listed: Mutex::default(),
        };
        log.wait_for_a_broker()?;
        Ok(log)
    }

    /// Whether librdkafka knows every option, takes its value, and can do what it asks for.
    ///
    /// # Errors
    /// The first option that it refuses.
    pub fn check(settings: &config::Kafka) -> Result<(), LogError> {
        security::check(&settings.client)?;
        client(settings, &[])
            .create_native_config()
            .map(|_| ())
            .map_err(|error| LogError::new(Remedy::Stop, "kafka.client", error))
    }

    /// A consumer of so many partitions of these topics. It may hold that part of `kafka.fetch_kib`: all consumers of
    /// these topics together hold no more than all of it, however many partitions and consumers there are.
    fn consumer(&self, topics: &[&str], partitions: usize) -> ClientConfig {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let of = topics.iter().filter_map(|topic| listed.get(*topic));
        let all = of.sum::<usize>().max(partitions).max(1);
        let kib = u64::from(self.settings.fetch_kib) * partitions.max(1) as u64 / all as u64;
        consumer(&self.settings, kib.max(LEAST_FETCH))
    }

    fn wait_for_a_broker(&self) -> Result<(), LogError> {
        let began = monotonic();
        loop {
            let left = self.settings.patience.saturating_sub(began.elapsed());
            let Err(error) = self.committed.fetch_metadata(None, left.min(CALL)) else {
                return Ok(());
            };
            if began.elapsed() + Duration::from_millis(250) >= self.settings.patience {
                let doing = format!(
                    "no Kafka broker answered at {} within {} s",
                    self.settings.brokers,
                    self.settings.patience.as_secs()
                );
                let heard = self.committed.context().last_error();
                return Err(match heard {
                    Some(heard) => LogError::new(Remedy::Retry, doing, heard),
                    None => LogError::new(Remedy::Retry, doing, error),
                });
            }
            tracing::info!(brokers = %self.settings.brokers, "waiting for a Kafka broker");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// What every client of ours has in common, then what one of them would rather have, then the operator's own options. What must be so
/// is set on the answer.
fn client(settings: &config::Kafka, rather: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "gpad-live")
        .set("socket.keepalive.enable", "true")
        // A transaction is many small requests to one broker: each would wait for the acknowledgement of the last.
        .set("socket.nagle.disable", "true")
        // A connection that went silent is given up after this; the default of a minute stalls every task on it.
        .set("socket.timeout.ms", SILENCE.as_millis().to_string())
        .set("reconnect.backoff.max.ms", "2000");
    let operator = settings
        .client
        .iter()
        .map(|(key, value)| (&**key, &**value));
    for (key, value) in rather.iter().copied().chain(operator) {
        config.set(key, value);
    }
    config
}

/// What every consumer that is given records has in common. `kib`: what it may hold of fetched records.
fn consumer(settings: &config::Kafka, kib: u64) -> ClientConfig {
    let rather = [
        // Answered at the first record, every task asks hundreds of times a second, and the broker is busy with that
        // (docs/decisions/0032).
        ("fetch.min.bytes", "65536"),
        ("fetch.wait.max.ms", "20"),
        // The default of 1000 stalls whenever the bounded queue was full.
        ("fetch.queue.backoff.ms", "10"),
    ];
    let mut config = client(settings, &rather);
    config
        // An answer is held as a whole beside the queue, whatever an operator asks for of each partition. A batch that
        // is longer comes all the same, alone.
        .set("fetch.max.bytes", (kib * 1024).min(50 << 20).to_string())
        // Of senders; but librdkafka refuses answers that may be smaller.
        .set("message.max.bytes", (LEAST_FETCH * 1024).to_string())
        // Needed for `assign`; never subscribed, so it is no member.
        .set("group.id", &settings.group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A position that is gone is an error that a person must see, never a silent jump.
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("queued.max.messages.kbytes", kib.to_string());
    config
}

impl Log for KafkaLog {
    fn partitions(&self, topics: &[&str]) -> Result<Vec<Option<i32>>, LogError> {
        // The whole cluster's list: asking for one topic by name may create it.
        let metadata = self.committed.fetch_metadata(None, CALL).map_err(|error| {
            LogError::new(
                Remedy::Retry,
                format!("listing topics at {}", self.settings.brokers),
                error,
            )
        })?;
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in metadata.topics() {
            listed.insert(topic.name().to_owned(), topic.partitions().len());
        }
        let count = |name: &&str| {
            metadata
                .topics()
                .iter()
                .find(|topic| topic.name() == *name && topic.error().is_none())
                .and_then(|topic| i32::try_from(topic.partitions().len()).ok())
                .filter(|count| *count > 0)
        };
        Ok(topics.iter().map(count).collect())
    }

    fn ends(&self, topic: &str, partition: i32) -> Result<Ends, LogError> {
        let ask = |consumer: &BaseConsumer<Plain>| {
            consumer
                .fetch_watermarks(topic, partition, CALL)
                .map_err(|error| {
                    // A client that listed topics while a broker was fenced takes it for a quarter of an hour that there is no
                    // leader, and asks nobody again: it has to be told to (docs/decisions/0038).
                    if has_no_leader(&error) {
                        let _ = consumer.fetch_metadata(None, CALL);
                    }
                    LogError::new(
                        remedy(&error),
                        format!("asking for the ends of {topic}/{partition}"),
                        error,
                    )
                })
        };
        // The whole first: what is stable can only have grown when asked later.
        let (_, end) = patiently(|| ask(&self.everything))?;
        let (first, stable) = patiently(|| ask(&self.committed))?;
        Ok(Ends {
            first,
            stable: stable.min(end),
            end,
        })
    }

    fn join(&self, topics: &[&str]) -> Result<Box<dyn Membership>, LogError> {
        membership::join(&self.settings, &self.group, topics)
    }

    fn reader(&self, topics: &[&str], positions: &[Position]) -> Result<Box<dyn Reader>, LogError> {
        reader::open(self, topics, positions)
    }

    fn scan(
        &self,
        topic: &str,
        spans: &[Span],
        take: &mut dyn FnMut(Option<Message<'_>>) -> ControlFlow<()>,
    ) -> Result<Vec<Position>, LogError> {
        scan::scan(self, topic, spans, take)
    }

    fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        self.delete_records(topic, partition, offset)
    }

    fn committed(&self, partitions: &[(&str, i32)]) -> Result<Committed, LogError> {
        patiently(|| self.group.committed(partitions, &self.settings.group))
    }

    fn output(&self, name: &str) -> Result<Box<dyn Output>, LogError> {
        #[cfg(feature = "measure-without-transactions")]
        if let Some(output) = without::open(&self.settings, &self.group, name) {
            return output;
        }
        output::open(&self.settings, &self.group, name)
    }

    fn appender(&self) -> Result<Box<dyn Append>, LogError> {
        appender::open(&self.settings)
    }
}

/// Tries again what may succeed later: a leader is being elected, a connection made anew.
fn patiently<T>(mut call: impl FnMut() -> Result<T, LogError>) -> Result<T, LogError> {
    let began = monotonic();
    loop {
        match call() {
            Err(error) if error.remedy == Remedy::Retry && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            outcome => return outcome,
        }
    }
}

/// Whether librdkafka knows no leader to ask.
fn has_no_leader(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::LeaderNotAvailable)
    )
}

/// What to do about an error outside transactions.
fn remedy(error: &KafkaError) -> Remedy {
    use RDKafkaErrorCode as Code;
    let Some(code) = error.rdkafka_error_code() else {
        return Remedy::Renew;
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "librdkafka has some 150 codes, and adds more"
    )]
    match code {
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::OffsetOutOfRange
        | Code::AutoOffsetReset
        | Code::FencedInstanceId
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature => Remedy::Stop,
        Code::Fatal | Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch => {
            Remedy::Renew
        }
        _ => Remedy::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn an_operator_overrules_what_we_would_rather_have_and_not_what_must_be_so() {
        let mut settings = Settings::default().kafka;
        let ours = consumer(&settings, 1_024);
        assert_eq!(ours.get("fetch.wait.max.ms"), Some("20"));
        assert_eq!(output::producer(&settings).get("linger.ms"), Some("1"));
        let wishes = [
            ("fetch.wait.max.ms", "7"),
            ("isolation.level", "read_uncommitted"),
            ("linger.ms", "3"),
            ("partitioner", "random"),
        ];
        settings.client = wishes
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let reader = consumer(&settings, 1_024);
        assert_eq!(reader.get("fetch.wait.max.ms"), Some("7"));
        assert_eq!(reader.get("isolation.level"), Some("read_committed"));
        let writer = output::producer(&settings);
        assert_eq!(writer.get("linger.ms"), Some("3"));
        assert_eq!(writer.get("partitioner"), Some("murmur2_random"));
    }
}
