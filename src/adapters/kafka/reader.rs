//! Reading on from positions: the records of one task, borrowed from librdkafka's fetched batches.

use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::super::log::{LogError, Message, Position, Reader, Remedy};
use super::{KafkaLog, context::Plain, remedy};

/// A reader without a broker for so long is made anew: librdkafka may have lost them all for good (docs/decisions/0038).
const CUT_OFF: Duration = Duration::from_secs(15);

struct KafkaReader {
    config: ClientConfig,
    consumer: BaseConsumer<Plain>,
    topics: Vec<String>,
    /// Where each assigned partition is, by index into `topics`.
    next: Vec<(usize, i32, i64)>,
    /// The topic of the last message: runs of one topic are long.
    last: usize,
}

pub(super) fn open(
    log: &KafkaLog,
    topics: &[&str],
    positions: &[Position],
) -> Result<Box<dyn Reader>, LogError> {
    let mut config = log.consumer(topics, positions.len());
    config.set("statistics.interval.ms", "1000");
    let index = |position: &Position| {
        let topic = topics.iter().position(|name| *name == position.topic);
        (topic.unwrap_or_default(), position.partition, position.next)
    };
    let next: Vec<_> = positions.iter().map(index).collect();
    let topics: Vec<_> = topics.iter().map(|&name| name.to_owned()).collect();
    Ok(Box::new(KafkaReader {
        consumer: begin(&config, &topics, &next)?,
        config,
        topics,
        next,
        last: 0,
    }))
}

/// A consumer of partitions of these topics, from there on.
fn begin(
    config: &ClientConfig,
    topics: &[String],
    next: &[(usize, i32, i64)],
) -> Result<BaseConsumer<Plain>, LogError> {
    let begin = || {
        let consumer: BaseConsumer<Plain> = config.create_with_context(Plain::default())?;
        let mut list = TopicPartitionList::with_capacity(next.len());
        for &(topic, partition, next) in next {
            list.add_partition_offset(&topics[topic], partition, offset(next))?;
        }
        consumer.assign(&list)?;
        Ok(consumer)
    };
    begin().map_err(|error| {
        LogError::new(
            remedy(&error),
            format!("starting to read {}", topics.join(", ")),
            error,
        )
    })
}

/// Nothing read yet means from whatever is the first record now.
fn offset(next: i64) -> Offset {
    if next == 0 {
        Offset::Beginning
    } else {
        Offset::Offset(next)
    }
}

/// A message as the seam has it.
pub(super) fn message<'a>(topic: usize, from: &'a BorrowedMessage<'_>) -> Message<'a> {
    Message {
        topic,
        partition: from.partition(),
        offset: from.offset(),
        timestamp: from.timestamp().to_millis(),
        key: from.key(),
        value: from.payload(),
    }
}

impl KafkaReader {
    fn renew(&mut self) -> Result<(), LogError> {
        tracing::warn!(
            topics = self.topics.join(", "),
            "connecting anew: nothing could be read for {} s, as no broker was connected, or none leads",
            CUT_OFF.as_secs()
        );
        let new = begin(&self.config, &self.topics, &self.next)?;
        let old = std::mem::replace(&mut self.consumer, new);
        // Closing waits for what has been asked of brokers.
        std::thread::spawn(move || drop(old));
        Ok(())
    }

    fn failed(&self, error: KafkaError) -> LogError {
        let doing = format!("reading {}", self.topics.join(", "));
        match remedy(&error) {
            Remedy::Stop => LogError::new(Remedy::Stop, doing, error),
            // librdkafka reconnects and goes on where it was.
            Remedy::Retry if !matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                LogError::new(Remedy::Retry, doing, error)
            }
            Remedy::Retry | Remedy::Renew | Remedy::Fenced => {
                LogError::new(Remedy::Renew, doing, error)
            }
        }
    }
}

impl Reader for KafkaReader {
    fn read(
        &mut self,
        limit: usize,
        wait: Duration,
        take: &mut dyn FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<usize, LogError> {
        let mut wait = wait;
        for read in 0..limit {
            let borrowed = match self.consumer.poll(wait) {
                None => {
                    if read == 0
                        && !self.next.is_empty()
                        && self.consumer.context().is_cut_off_for(CUT_OFF)
                    {
                        self.renew()?;
                    }
                    return Ok(read);
                }
                Some(Err(error)) => return Err(self.failed(error)),
                Some(Ok(borrowed)) => borrowed,
            };
            wait = Duration::ZERO;
            let name = borrowed.topic();
            if self.topics[self.last] != name {
                self.last = self
                    .topics
                    .iter()
                    .position(|known| known == name)
                    .unwrap_or(self.last);
            }
            let (topic, partition) = (self.last, borrowed.partition());
            if let Some(at) = self
                .next
                .iter_mut()
                .find(|at| (at.0, at.1) == (topic, partition))
            {
                at.2 = borrowed.offset() + 1;
            }
            if take(message(topic, &borrowed)).is_break() {
                return Ok(read + 1);
            }
        }
        Ok(limit)
    }

    fn backlog(&self) -> Vec<Option<i64>> {
        let mut backlog = vec![None; self.topics.len()];
        for &(topic, partition, next) in &self.next {
            if let Some(end) = self
                .consumer
                .context()
                .stable_end(&self.topics[topic], partition)
            {
                *backlog[topic].get_or_insert(0) += (end - next).max(0);
            }
        }
        backlog
    }
}
