//! What librdkafka tells its clients besides records: log lines, errors, statistics.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;

use super::super::clock::monotonic;

/// How often the same error is told.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// For clients that need nothing special: logs, and remembers the last error heard.
#[derive(Default)]
pub(super) struct Plain {
    last_error: Mutex<Option<String>>,
    /// Whether all that it reads can be had.
    reached: Since,
    /// The end of what may be read, by topic and partition, from the statistics.
    stable_ends: Mutex<HashMap<(String, i32), i64>>,
}

impl Plain {
    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn stable_end(&self, topic: &str, partition: i32) -> Option<i64> {
        let ends = self
            .stable_ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ends.get(&(topic.to_owned(), partition)).copied()
    }

    /// Whether, by the statistics, no broker has been connected for so long, or one of the partitions that are read has had none.
    pub(super) fn is_cut_off_for(&self, time: Duration) -> bool {
        self.reached.is_longer_than(time)
    }
}

/// Since when something has not been so.
#[derive(Default)]
pub(super) struct Since(Mutex<Option<Instant>>);

impl Since {
    pub(super) fn note(&self, is_so: bool) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if is_so {
            None
        } else {
            since.or_else(|| Some(monotonic()))
        };
    }

    #[cfg(test)]
    pub(super) fn was(at: Instant) -> Self {
        Self(Mutex::new(Some(at)))
    }

    pub(super) fn is_longer_than(&self, time: Duration) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() > time)
    }
}

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        warn(&error, reason);
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) else {
            return;
        };
        let partitions = || {
            let topics = statistics.topics.values();
            topics.flat_map(|topic| topic.partitions.values())
        };
        self.reached.note(
            (statistics.brokers.values()).any(|broker| broker.state == "UP")
                && partitions().all(|partition| !partition.desired || partition.broker >= 0),
        );
        let mut ends = self
            .stable_ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (topic, partitions) in statistics.topics {
            for (partition, state) in partitions.partitions {
                if let (Ok(partition), 0..) = (partition.parse(), state.ls_offset) {
                    ends.insert((topic.clone(), partition), state.ls_offset);
                }
            }
        }
    }
}

impl ConsumerContext for Plain {}

/// The little that is read of librdkafka's statistics.
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: HashMap<String, BrokerStatistics>,
    #[serde(default)]
    topics: HashMap<String, TopicStatistics>,
}

#[derive(Deserialize)]
pub(super) struct BrokerStatistics {
    /// `configured`, `learned`; others are librdkafka's own.
    source: String,
    state: String,
}

impl BrokerStatistics {
    /// Whether it is one of the cluster's.
    pub(super) fn is_real(&self) -> bool {
        ["configured", "learned"].contains(&&*self.source)
    }
}

#[derive(Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: HashMap<String, PartitionStatistics>,
}

#[derive(Deserialize)]
struct PartitionStatistics {
    /// Whether it is read.
    #[serde(default)]
    desired: bool,
    /// The broker that it is read from; -1 while there is none.
    #[serde(default)]
    broker: i32,
    /// Last stable offset; -1001 while unknown.
    #[serde(default = "unknown")]
    ls_offset: i64,
}

const fn unknown() -> i64 {
    -1001
}

/// An error that librdkafka has told, once in a while: every client tells of a broker that is away, several times a
/// second.
pub(super) fn warn(error: &KafkaError, reason: &str) {
    static TOLD: LazyLock<Mutex<HashMap<String, Instant>>> = LazyLock::new(Mutex::default);
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
        // Asked for by a scan, and told once more as an error.
        return;
    }
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let now = monotonic();
    let is_news =
        (told.get(&error.to_string())).is_none_or(|at| now.duration_since(*at) >= TELL_AGAIN);
    if is_news {
        told.insert(error.to_string(), now);
        tracing::warn!(target: "librdkafka", "{error}: {reason}");
    }
}

/// librdkafka's log line in ours.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::warn!(target: "librdkafka", "{facility} {message}");
        }
        // What matters of these comes as an error too, and is told once in a while.
        RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
        | RDKafkaLogLevel::Notice
        | RDKafkaLogLevel::Info
        | RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{facility} {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_give_the_end_of_what_may_be_read() {
        let plain = Plain::default();
        plain.stats_raw(
            br#"{"topics":{"a":{"partitions":{"3":{"ls_offset":7,"hi_offset":9},"-1":{"ls_offset":-1001}}}}}"#,
        );
        assert_eq!(plain.stable_end("a", 3), Some(7));
        assert_eq!(plain.stable_end("a", -1), None);
        assert_eq!(plain.stable_end("b", 3), None);
    }

    #[test]
    fn statistics_tell_who_is_cut_off() {
        let is_cut_off = |brokers: &str, partition: &str| {
            let plain = Plain::default();
            let topics = format!(r#"{{"a":{{"partitions":{{"3":{partition}}}}}}}"#);
            plain.stats_raw(format!(r#"{{"brokers":{brokers},"topics":{topics}}}"#).as_bytes());
            plain.is_cut_off_for(Duration::ZERO)
        };
        let up = r#"{"b:9092/1":{"source":"learned","state":"UP"}}"#;
        let down = r#"{"b:9092/bootstrap":{"source":"configured","state":"TRY_CONNECT"}}"#;
        let read = r#"{"desired":true,"broker":1}"#;
        assert!(!is_cut_off(up, read));
        assert!(is_cut_off(down, read));
        assert!(is_cut_off("{}", read));
        assert!(is_cut_off(up, r#"{"desired":true,"broker":-1}"#));
        assert!(!is_cut_off(up, r#"{"desired":false,"broker":-1}"#));
    }
}
