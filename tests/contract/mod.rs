//! The contract of the seam, as laws over any log. The caller makes the topics: `in` with 2 partitions, `out` with 1.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test ends there")]

use std::ops::ControlFlow;
use std::time::Duration;

use gpad_live::adapters::log::*;

/// Every law, on a log whose topics `in` and `out` are empty and whose names were never used.
pub fn holds(log: &dyn Log) {
    a_missing_topic_has_no_partitions(log);
    a_scan_reads_to_the_end_and_says_where_to_go_on(log);
    a_reader_reads_on_from_its_positions_and_waits_for_more(log);
    a_break_counts_as_read_and_is_the_last(log);
    keys_decide_the_partition_as_the_java_client_does(log);
    a_commit_shows_rows_positions_and_note_together(log);
    a_newer_output_fences_the_older_one(log);
    an_output_in_doubt_is_used_no_more_and_its_note_tells(log);
    units_go_to_one_member_at_a_time(log);
}

pub fn append(log: &dyn Log, topic: &str, values: &[&str]) {
    let mut appender = log.appender().unwrap();
    for value in values {
        let record = NewRecord {
            topic,
            partition: Some(0),
            key: Some(b"k"),
            value: Some(value.as_bytes()),
        };
        appender.append(&record).unwrap();
    }
    appender.flush().unwrap();
}

pub fn values(log: &dyn Log, topic: &str, span: Span) -> (Vec<String>, i64) {
    let mut seen = Vec::new();
    let take = &mut |message: Option<Message<'_>>| {
        if let Some(message) = message {
            seen.push(String::from_utf8(message.value.unwrap_or(b"(none)").to_vec()).unwrap());
        }
        ControlFlow::Continue(())
    };
    let positions = log.scan(topic, &[span], take).unwrap();
    (seen, positions[0].next)
}

pub fn all(log: &dyn Log, topic: &str) -> Vec<String> {
    values(log, topic, Span::whole(0)).0
}

pub fn transaction(value: &str, next: i64) -> Transaction {
    let mut transaction = Transaction::default();
    transaction.note = format!("note {value}");
    transaction.put("out", Some(0), b"k", Some(value.as_bytes()));
    transaction.positions.push(Position {
        topic: "in".to_owned(),
        partition: 0,
        next,
    });
    transaction
}

fn a_missing_topic_has_no_partitions(log: &dyn Log) {
    assert_eq!(
        log.partitions(&["in", "nowhere", "out"]).unwrap(),
        [Some(2), None, Some(1)]
    );
}

fn a_scan_reads_to_the_end_and_says_where_to_go_on(log: &dyn Log) {
    assert_eq!(values(log, "in", Span::whole(0)), (vec![], 0));
    append(log, "in", &["a", "b", "c"]);
    append(log, "in", &["d"]);
    let whole = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    assert_eq!(values(log, "in", Span::whole(0)), (whole, 4));
    let part = Span {
        partition: 0,
        from: 1,
        until: Some(2),
    };
    assert_eq!(values(log, "in", part), (vec!["b".to_owned()], 2));
    let nothing = Span {
        partition: 0,
        from: 4,
        until: None,
    };
    assert_eq!(values(log, "in", nothing), (vec![], 4));
    assert_eq!(
        log.ends("in", 0).unwrap(),
        Ends {
            first: 0,
            stable: 4,
            end: 4
        }
    );
}

fn a_reader_reads_on_from_its_positions_and_waits_for_more(log: &dyn Log) {
    let at = Position {
        topic: "in".to_owned(),
        partition: 0,
        next: 2,
    };
    let mut reader = log.reader(&["out", "in"], &[at]).unwrap();
    assert_eq!(take(&mut *reader, 2), [(1, 0, 2), (1, 0, 3)]);
    append(log, "in", &["e"]);
    assert_eq!(take(&mut *reader, 1), [(1, 0, 4)]);
    assert_eq!(reader.backlog(), [None, Some(0)]);
}

fn a_break_counts_as_read_and_is_the_last(log: &dyn Log) {
    let at = Position {
        topic: "in".to_owned(),
        partition: 0,
        next: 0,
    };
    let mut reader = log.reader(&["in"], &[at]).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let before = seen.len();
        let take = &mut |message: Message<'_>| {
            seen.push(message.offset);
            ControlFlow::Break(())
        };
        let read = reader.read(10, Duration::from_millis(200), take).unwrap();
        assert_eq!(read, seen.len() - before);
        assert!(read <= 1);
    }
    assert_eq!(seen, [0, 1]);
}

fn keys_decide_the_partition_as_the_java_client_does(log: &dyn Log) {
    let mut appender = log.appender().unwrap();
    // Of Kafka's own tests: murmur2 of `21` is odd, of `foobar` even.
    for key in ["21", "foobar"] {
        let record = NewRecord {
            topic: "in",
            partition: None,
            key: Some(key.as_bytes()),
            value: Some(key.as_bytes()),
        };
        appender.append(&record).unwrap();
    }
    appender.flush().unwrap();
    let homes = [0, 1].map(|partition| values(log, "in", Span::whole(partition)).0);
    for key in ["21", "foobar"] {
        let home = gpad_live::adapters::partitioner::partition_of(key.as_bytes(), 2);
        assert!(
            homes[home as usize].contains(&key.to_owned()),
            "{key} in {homes:?}"
        );
    }
}

fn a_commit_shows_rows_positions_and_note_together(log: &dyn Log) {
    let mut output = log.output("0").unwrap();
    assert_eq!(
        output.committed(&[("in", 0)]).unwrap(),
        Committed::default()
    );
    output.commit(&transaction("one", 2)).unwrap();
    let committed = output.committed(&[("in", 0), ("in", 1)]).unwrap();
    assert_eq!(committed.note.as_deref(), Some("note one"));
    assert_eq!(committed.positions, transaction("one", 2).positions);
    assert_eq!(all(log, "out"), ["one"]);
}

fn a_newer_output_fences_the_older_one(log: &dyn Log) {
    let mut old = log.output("0").unwrap();
    old.commit(&transaction("two", 3)).unwrap();
    let mut new = log.output("0").unwrap();
    let error = old.commit(&transaction("zombie", 99)).unwrap_err();
    assert_eq!(error.remedy, Remedy::Fenced, "{error}");
    let again = old.commit(&transaction("zombie", 99)).unwrap_err();
    assert_eq!(again.remedy, Remedy::Renew, "{again}");
    assert_eq!(
        new.committed(&[("in", 0)]).unwrap().note.as_deref(),
        Some("note two")
    );
    assert_eq!(all(log, "out"), ["one", "two"]);
}

/// A record for a partition that is not there fails after others of its transaction were handed over.
fn an_output_in_doubt_is_used_no_more_and_its_note_tells(log: &dyn Log) {
    let mut output = log.output("0").unwrap();
    let mut torn = transaction("torn", 5);
    torn.put("out", Some(77), b"k", Some(b"nowhere"));
    output.commit(&torn).unwrap_err();
    output.commit(&transaction("after", 5)).unwrap_err();
    let mut output = log.output("0").unwrap();
    let committed = output.committed(&[("in", 0)]).unwrap();
    assert_eq!(committed.note.as_deref(), Some("note two"));
    assert_eq!(committed.positions[0].next, 3);
    output.commit(&transaction("three", 4)).unwrap();
    assert_eq!(all(log, "out"), ["one", "two", "three"]);
}

fn units_go_to_one_member_at_a_time(log: &dyn Log) {
    let unit = |partition| Unit {
        topic: 0,
        partition,
    };
    let mut first = log.join(&["in"]).unwrap();
    assert_eq!(
        change(&mut *first),
        Change::Assigned(vec![unit(0), unit(1)])
    );
    let second = std::thread::scope(|scope| {
        let joining = scope.spawn(|| {
            let mut second = log.join(&["in"]).unwrap();
            let change = change(&mut *second);
            (second, change)
        });
        let Change::Revoked(asked) = change(&mut *first) else {
            panic!("not asked back")
        };
        assert_eq!(asked.len(), 1);
        assert!(!joining.is_finished(), "given away before it was released");
        first.release(&asked).unwrap();
        let (second, given) = joining.join().unwrap();
        assert_eq!(given, Change::Assigned(asked));
        second
    });
    second.leave(Duration::from_secs(2)).unwrap();
    let Change::Assigned(back) = change(&mut *first) else {
        panic!("not given back")
    };
    assert_eq!(back.len(), 1);
    first.leave(Duration::from_secs(2)).unwrap();
}

/// The next change; a broker may take its time.
fn change(membership: &mut dyn Membership) -> Change {
    for _ in 0..300 {
        if let Some(change) = membership.poll(Duration::from_millis(100)).unwrap() {
            return change;
        }
    }
    panic!("no change within 30 s");
}

/// Topic, partition and offset of the next `count` records.
fn take(reader: &mut dyn Reader, count: usize) -> Vec<(usize, i32, i64)> {
    let mut seen = Vec::new();
    for _ in 0..100 {
        let take = &mut |message: Message<'_>| {
            seen.push((message.topic, message.partition, message.offset));
            ControlFlow::Continue(())
        };
        reader.read(10, Duration::from_millis(100), take).unwrap();
        if seen.len() >= count {
            break;
        }
    }
    seen
}
