//! What benchmarks measure beside: a bare librdkafka consumer of the supplier topics.

use std::time::{Duration, Instant};

use gpad_live::domain::topic::SupplierTopic;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Kafka, on_cores};

const LONG: Duration = Duration::from_mins(20);

/// What reading every record took.
#[derive(Clone, Copy)]
pub struct Reading {
    pub records: i64,
    pub seconds: f64,
    /// Of this process, on cores.
    pub core_seconds: f64,
}

/// A committed reader with librdkafka's defaults.
pub fn client(kafka: &Kafka, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka.brokers())
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false");
    config.create().unwrap()
}

/// From the beginning, so many of each supplier topic.
pub fn partitions(of_each: i32) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for topic in SupplierTopic::ALL {
        for partition in 0..of_each {
            list.add_partition_offset(topic.name(), partition, Offset::Beginning)
                .unwrap();
        }
    }
    list
}

/// Reads every record of the supplier topics and drops it.
pub fn read_bare(kafka: &Kafka, of_each: i32) -> Reading {
    let consumer = client(kafka, "bare");
    let list = partitions(of_each);
    let ends = list.elements().into_iter().map(|element| {
        let (topic, partition) = (element.topic(), element.partition());
        let ends = consumer.fetch_watermarks(topic, partition, Duration::from_secs(5));
        let (low, high) = ends.unwrap();
        high - low
    });
    let records: i64 = ends.sum();
    let (before, began) = (on_cores::process(std::process::id()), Instant::now());
    consumer.assign(&list).unwrap();
    let (mut read, mut bytes) = (0, 0);
    while read < records {
        assert!(
            began.elapsed() < LONG,
            "{read} of {records} records were read"
        );
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => {
                read += 1;
                bytes += message.payload_len();
            }
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    assert!(bytes > 0, "records have bytes");
    Reading {
        records,
        seconds: began.elapsed().as_secs_f64(),
        core_seconds: on_cores::process(std::process::id()) - before,
    }
}
