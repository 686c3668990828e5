//! Reading on from positions: the records of one task, borrowed from librdkafka's fetched batches.

use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::super::log::{LogError, Message, Position, Reader, Remedy};
use super::{KafkaLog, context::Plain, remedy};

struct KafkaReader {
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
    let failed = |error: KafkaError| {
        LogError::new(
            remedy(&error),
            format!("starting to read {}", topics.join(", ")),
            error,
        )
    };
    let consumer: BaseConsumer<Plain> = log
        .consumer(topics, positions.len())
        .set("statistics.interval.ms", "1000")
        .create_with_context(Plain::default())
        .map_err(failed)?;
    let mut list = TopicPartitionList::with_capacity(positions.len());
    let mut next = Vec::with_capacity(positions.len());
    for position in positions {
        list.add_partition_offset(&position.topic, position.partition, offset(position.next))
            .map_err(failed)?;
        let topic = topics.iter().position(|name| *name == position.topic);
        next.push((topic.unwrap_or_default(), position.partition, position.next));
    }
    consumer.assign(&list).map_err(failed)?;
    Ok(Box::new(KafkaReader {
        consumer,
        topics: topics.iter().map(|&name| name.to_owned()).collect(),
        next,
        last: 0,
    }))
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
                None => return Ok(read),
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
