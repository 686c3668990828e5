//! Reading a topic from a place to its end as it stands now.

use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::super::log::{Log, LogError, Message, Position, Remedy, Span};
use super::reader::message;
use super::{KafkaLog, context::Plain, remedy};

/// How often the caller is asked whether to go on while nothing comes.
const IDLE: Duration = Duration::from_millis(100);

type Take<'t> = &'t mut dyn FnMut(Option<Message<'_>>) -> ControlFlow<()>;

/// A span on its way.
struct Going {
    partition: i32,
    /// The first offset to ask for. By its number: librdkafka looks a symbolic beginning up only half a second after
    /// the start, and a restart scans a dozen topics.
    first: i64,
    next: i64,
    /// The first offset that no longer belongs to it.
    until: i64,
    done: bool,
}

pub(super) fn scan(
    log: &KafkaLog,
    topic: &str,
    spans: &[Span],
    take: Take<'_>,
) -> Result<Vec<Position>, LogError> {
    let failed =
        |error: KafkaError| LogError::new(remedy(&error), format!("reading {topic}"), error);
    let Some(mut going) = bounds(log, topic, spans, take)? else {
        return Ok(positions(
            topic,
            spans.iter().map(|span| (span.partition, span.from)),
        ));
    };
    let mut list = TopicPartitionList::new();
    for span in going.iter().filter(|span| !span.done) {
        list.add_partition_offset(topic, span.partition, Offset::Offset(span.first))
            .map_err(failed)?;
    }
    if list.count() > 0 {
        // One topic a consumer: the sign of the end carries a partition number and no topic.
        let consumer: BaseConsumer<Plain> = log
            .consumer(&[topic], list.count())
            .set("enable.partition.eof", "true")
            .create_with_context(Plain::default())
            .map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        let outcome = run(&consumer, &mut going, take).map_err(failed);
        // Closing takes a tenth of a second, and nobody needs to see it done.
        std::thread::spawn(move || drop(consumer));
        outcome?;
    }
    Ok(positions(
        topic,
        going.iter().map(|span| (span.partition, span.next)),
    ))
}

/// Where each span ends. Waits until everything below is decided, committed or aborted: a reader of committed
/// records stops at the first open transaction, and would take that for the end (KAFKA-10167).
fn bounds(
    log: &KafkaLog,
    topic: &str,
    spans: &[Span],
    take: Take<'_>,
) -> Result<Option<Vec<Going>>, LogError> {
    let mut going = Vec::with_capacity(spans.len());
    for span in spans {
        let mut ends = log.ends(topic, span.partition)?;
        let until = span.until.map_or(ends.end, |until| until.min(ends.end));
        if span.from != 0 && span.from < ends.first && span.from < until {
            let gone = format!("{topic}/{} begins at {} now", span.partition, ends.first);
            return Err(LogError::new(
                Remedy::Stop,
                format!("reading from {}", span.from),
                gone,
            ));
        }
        while ends.stable < until {
            if take(None).is_break() {
                return Ok(None);
            }
            std::thread::sleep(IDLE / 10);
            ends = log.ends(topic, span.partition)?;
        }
        let done = span.from >= until || ends.first >= until;
        going.push(Going {
            partition: span.partition,
            first: span.from.max(ends.first),
            next: span.from,
            until,
            done,
        });
    }
    Ok(Some(going))
}

fn run(
    consumer: &BaseConsumer<Plain>,
    going: &mut [Going],
    take: Take<'_>,
) -> Result<(), KafkaError> {
    let mut left = going.iter().filter(|span| !span.done).count();
    let mut finish = |span: &mut Going| {
        if !span.done {
            span.done = true;
            span.next = span.next.max(span.until);
            left -= 1;
        }
        left
    };
    loop {
        let borrowed = match consumer.poll(IDLE) {
            None => {
                if take(None).is_break() {
                    return Ok(());
                }
                continue;
            }
            // Markers and aborted records leave no message behind: the last offset may never be seen.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some(span) = going.iter_mut().find(|span| span.partition == partition)
                    && finish(span) == 0
                {
                    return Ok(());
                }
                continue;
            }
            Some(Err(error)) if remedy(&error) == Remedy::Retry => {
                tracing::debug!("{error}");
                continue;
            }
            Some(Err(error)) => return Err(error),
            Some(Ok(borrowed)) => borrowed,
        };
        let Some(span) = going
            .iter_mut()
            .find(|span| span.partition == borrowed.partition())
        else {
            continue;
        };
        if borrowed.offset() < span.until && !span.done {
            span.next = borrowed.offset() + 1;
            if take(Some(message(0, &borrowed))).is_break() {
                return Ok(());
            }
        }
        if borrowed.offset() + 1 >= span.until && finish(span) == 0 {
            return Ok(());
        }
    }
}

fn positions(topic: &str, at: impl Iterator<Item = (i32, i64)>) -> Vec<Position> {
    at.map(|(partition, next)| Position {
        topic: topic.to_owned(),
        partition,
        next,
    })
    .collect()
}
