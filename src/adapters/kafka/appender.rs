//! Appending outside transactions: what a supplier's sender does.

use std::time::Duration;

use rdkafka::producer::BaseProducer;

use super::super::log::{Append, LogError, NewRecord, Remedy};
use super::output::{Deliveries, LARGEST, ONLY_ERRORS, drain, send};
use super::{client, remedy};
use crate::config;

/// A broker may be away for this long before what was handed over counts as lost.
const PATIENCE: Duration = Duration::from_mins(2);

struct KafkaAppender(BaseProducer<Deliveries>);

pub(super) fn open(settings: &config::Kafka) -> Result<Box<dyn Append>, LogError> {
    let rather = [
        // Thirty-two partitions at 5 ms are thousands of small batches a second, whatever comes.
        ("linger.ms", "20"),
        ("compression.type", "lz4"),
    ];
    let producer = client(settings, &rather)
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("delivery.report.only.error", ONLY_ERRORS)
        .set("message.max.bytes", LARGEST.to_string())
        .create_with_context(Deliveries::default())
        .map_err(|error| LogError::new(Remedy::Stop, "making a producer", error))?;
    Ok(Box::new(KafkaAppender(producer)))
}

impl Append for KafkaAppender {
    fn append(&mut self, record: &NewRecord<'_>) -> Result<(), LogError> {
        send(&self.0, record, PATIENCE).map_err(|error| {
            LogError::new(
                remedy(&error),
                format!("appending to {}", record.topic),
                error,
            )
        })
    }

    fn flush(&mut self) -> Result<(), LogError> {
        drain(&self.0, PATIENCE).map_err(|failure| failure.into_error("appending records"))
    }
}
