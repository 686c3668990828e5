//! However much lies before it, an instance holds no more of it: many partitions of all topics, large fetches.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::fs;
use std::time::Duration;

use gpad_live::adapters::schemas::Schemas;
use support::input::{Input, NOW};
use support::instance::{Environment, Instance, succeed};
use support::{Kafka, free_port, wait_for};

const PARTITIONS: i32 = 16;
/// What an instance may hold of its inputs.
const FETCH_KIB: u64 = 4 * 1024;
/// What four times the backlog may take more than the backlog, in MiB: what the allocator does not give back between
/// many threads. While an answer to each of the sixteen tasks could be 1 MiB, compressed, it was 94 at a third of these
/// backlogs.
const MOST_MORE: u64 = 72;

fn status(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.unwrap().split_whitespace().next();
    number.unwrap().parse().unwrap()
}

/// Records of all topics and no reference data but theirs; every one as often as is said, so that state stays small.
/// Answers the most memory that the instance ever had resident, in MiB, and the backlog's size.
fn peak(input: &Input, times: usize) -> (u64, u64) {
    let kafka = Kafka::start();
    let address = format!("127.0.0.1:{}", free_port());
    let environment: Environment = vec![
        ("GPAD_KAFKA_BROKERS", kafka.brokers()),
        ("GPAD_KAFKA_GROUP", "memory".to_owned()),
        ("GPAD_KAFKA_FETCH_KIB", FETCH_KIB.to_string()),
        // As large as fetches get.
        (
            "GPAD_KAFKA_CLIENT_FETCH_MESSAGE_MAX_BYTES",
            "50000000".to_owned(),
        ),
        ("GPAD_TOPICS_PARTITIONS", PARTITIONS.to_string()),
        ("GPAD_TOPICS_REPLICATION", "1".to_owned()),
        // Of a transaction's records the drafts of rows are held as well.
        ("GPAD_COMMIT_RECORDS", "1000".to_owned()),
        ("GPAD_HTTP_ADDRESS", address.clone()),
        ("GPAD_CLOCK", format!("fixed {NOW}")),
        ("RUST_LOG", "info".to_owned()),
        ("MALLOC_ARENA_MAX", "2".to_owned()),
    ];
    succeed(&environment, &["topics", "create"]);
    let log = kafka.open("backlog");
    let bytes = input.send_often(&log, &Schemas::new(None), times);
    let instance = Instance::start(&environment);
    let records = input.len() * times;
    let url = format!("http://{address}/metrics");
    let read = || -> Option<usize> {
        let text = ureq::get(&url)
            .call()
            .ok()?
            .body_mut()
            .read_to_string()
            .ok()?;
        let ends = text
            .lines()
            .filter(|line| line.starts_with("gpad_records_total{"));
        let counts = ends.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok());
        Some(counts.sum())
    };
    // A few consultations wait for an appointment that never comes.
    wait_for("the backlog", Duration::from_mins(5), || {
        read().is_some_and(|read| read * 100 >= records * 99)
    });
    let peak = status(instance.pid(), "VmHWM:") / 1024;
    let (status, _, told) = instance.stop();
    assert!(status.success(), "{status}\n{told}");
    (peak, bytes >> 20)
}

#[test]
fn four_times_the_backlog_takes_no_more_memory() {
    let _alone = support::alone();
    let input = Input::draw(3_000, 9);
    let (small, of) = peak(&input, 80);
    let (large, of_large) = peak(&input, 320);
    eprintln!("{small} MiB with {of} MiB before it, {large} MiB with {of_large} MiB");
    assert!(
        of_large > of + 3 * MOST_MORE / 2,
        "the backlogs differ by more than the memory may"
    );
    assert!(
        large <= small + MOST_MORE,
        "{small} MiB with {of} MiB before it, {large} MiB with {of_large} MiB"
    );
}
