//! The seam's contract, on a real Kafka.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gpad_live::adapters::kafka::{KafkaLog, NewTopic};
use gpad_live::adapters::log::*;
use support::proxy::{self, Weather};
use support::{Kafka, free_port, wait_for};

fn topic(log: &KafkaLog, name: &str, partitions: i32) {
    let new = NewTopic {
        name: name.to_owned(),
        partitions,
        settings: vec![("retention.ms", "-1".to_owned())],
    };
    assert_eq!(
        log.create_topics(std::slice::from_ref(&new), -1).unwrap(),
        [true]
    );
    assert_eq!(log.create_topics(&[new], -1).unwrap(), [false]);
    wait_for("the topic", Duration::from_secs(10), || {
        log.partitions(&[name]).unwrap() == [Some(partitions)]
    });
}

fn append(log: &KafkaLog, topic: &str, partition: i32, values: &[&str]) {
    let mut appender = log.appender().unwrap();
    for value in values {
        let record = NewRecord {
            topic,
            partition: Some(partition),
            key: Some(b"k"),
            value: Some(value.as_bytes()),
        };
        appender.append(&record).unwrap();
    }
    appender.flush().unwrap();
}

fn values(log: &KafkaLog, topic: &str, span: Span) -> (Vec<String>, i64) {
    let mut seen = Vec::new();
    let positions = log
        .scan(topic, &[span], &mut |message| {
            if let Some(message) = message {
                seen.push(String::from_utf8(message.value.unwrap().to_vec()).unwrap());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    (seen, positions[0].next)
}

fn transaction(value: &str, next: i64) -> Transaction {
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

#[test]
fn a_log_keeps_the_contract_of_the_seam() {
    let kafka = Kafka::start();
    let log = kafka.open("g");
    assert_eq!(log.partitions(&["in", "nowhere"]).unwrap(), [None, None]);
    topic(&log, "in", 2);
    topic(&log, "out", 1);
    a_scan_reads_to_the_end_and_says_where_to_go_on(&log);
    a_reader_reads_on_from_its_positions(&log);
    a_commit_shows_rows_positions_and_note_together(&log);
    a_newer_output_fences_the_older_one(&log);
    an_aborted_transaction_is_never_seen(&kafka, &log);
    a_member_without_units_is_heard_when_it_leaves(&kafka, &log);
    a_reader_that_is_cut_off_connects_anew_and_reads_on(kafka, &log);
}

fn a_scan_reads_to_the_end_and_says_where_to_go_on(log: &KafkaLog) {
    assert_eq!(values(log, "in", Span::whole(0)), (vec![], 0));
    append(log, "in", 0, &["a", "b", "c"]);
    assert_eq!(
        values(log, "in", Span::whole(0)),
        (vec!["a".into(), "b".into(), "c".into()], 3)
    );
    let part = Span {
        partition: 0,
        from: 1,
        until: Some(2),
    };
    assert_eq!(values(log, "in", part), (vec!["b".into()], 2));
    assert_eq!(
        values(
            log,
            "in",
            Span {
                partition: 0,
                from: 3,
                until: None
            }
        ),
        (vec![], 3)
    );
}

fn a_reader_reads_on_from_its_positions(log: &KafkaLog) {
    let at = Position {
        topic: "in".to_owned(),
        partition: 0,
        next: 1,
    };
    let mut reader = log.reader(&["out", "in"], &[at]).unwrap();
    let mut seen = Vec::new();
    wait_for("two records", Duration::from_secs(10), || {
        reader
            .read(10, Duration::from_millis(100), &mut |message| {
                seen.push((
                    message.topic,
                    message.offset,
                    message.key.map(<[u8]>::to_vec),
                ));
                ControlFlow::Continue(())
            })
            .unwrap();
        seen.len() >= 2
    });
    assert_eq!(
        seen,
        [(1, 1, Some(b"k".to_vec())), (1, 2, Some(b"k".to_vec()))]
    );
    append(log, "in", 0, &["d"]);
    wait_for("the backlog to be known", Duration::from_secs(10), || {
        // Statistics are served while polling; the record itself is taken in and counted off.
        reader
            .read(1, Duration::from_millis(100), &mut |_| {
                ControlFlow::Continue(())
            })
            .unwrap();
        reader.backlog() == [None, Some(0)]
    });
}

fn a_commit_shows_rows_positions_and_note_together(log: &KafkaLog) {
    let mut output = log.output("0").unwrap();
    assert_eq!(
        output.committed(&[("in", 0)]).unwrap(),
        Committed::default()
    );
    output.commit(&transaction("one", 2)).unwrap();
    let committed = output.committed(&[("in", 0), ("in", 1)]).unwrap();
    assert_eq!(committed.note.as_deref(), Some("note one"));
    assert_eq!(committed.positions, transaction("one", 2).positions);
    assert_eq!(values(log, "out", Span::whole(0)).0, ["one"]);
}

fn a_newer_output_fences_the_older_one(log: &KafkaLog) {
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
    assert_eq!(values(log, "out", Span::whole(0)).0, ["one", "two"]);
}

/// A record too large for its topic fails after others of its transaction were stored.
fn an_aborted_transaction_is_never_seen(kafka: &Kafka, log: &KafkaLog) {
    let mut output = log.output("0").unwrap();
    let mut torn = transaction("torn", 5);
    torn.put("out", Some(0), b"k", Some(&incompressible(3 << 20)));
    let error = output.commit(&torn).unwrap_err();
    assert_eq!(error.remedy, Remedy::Renew, "{error}");
    let mut output = log.output("0").unwrap();
    assert_eq!(
        output.committed(&[("in", 0)]).unwrap().note.as_deref(),
        Some("note two")
    );
    output.commit(&transaction("three", 4)).unwrap();
    // Through other clients, that know nothing of ours.
    let other = kafka.open("other");
    let (seen, next) = values(&other, "out", Span::whole(0));
    assert_eq!(seen, ["one", "two", "three"]);
    assert_eq!(
        other.ends("out", 0).unwrap(),
        Ends {
            first: 0,
            stable: next,
            end: next
        }
    );
}

/// Polls all members until the last of them has been told its units.
fn units_of_last(members: &mut [Box<dyn Membership>]) -> Vec<Unit> {
    let began = Instant::now();
    loop {
        let last = members.len() - 1;
        for (at, member) in members.iter_mut().enumerate() {
            match member.poll(Duration::from_millis(20)).unwrap() {
                Some(Change::Assigned(units)) if at == last => return units,
                Some(Change::Revoked(units) | Change::Lost(units)) => {
                    member.release(&units).unwrap();
                }
                Some(Change::Assigned(_)) | None => {}
            }
        }
        assert!(began.elapsed() < Duration::from_mins(1), "never assigned");
    }
}

/// Catches a leaver that the group waits for until its session of 15 s has run out.
fn a_member_without_units_is_heard_when_it_leaves(kafka: &Kafka, log: &KafkaLog) {
    topic(log, "single", 1);
    let logs: Vec<KafkaLog> = (0..3).map(|_| kafka.open("members")).collect();
    let mut members = vec![logs[0].join(&["single"]).unwrap()];
    assert_eq!(units_of_last(&mut members).len(), 1);
    members.push(logs[1].join(&["single"]).unwrap());
    assert_eq!(units_of_last(&mut members), [], "there is one unit");
    let leaver = members.pop().unwrap();
    leaver.leave(Duration::from_secs(5)).unwrap();
    let began = Instant::now();
    members.push(logs[2].join(&["single"]).unwrap());
    units_of_last(&mut members);
    let waited = began.elapsed();
    for member in members {
        member.leave(Duration::from_secs(5)).unwrap();
    }
    assert!(
        waited < Duration::from_secs(8),
        "the group waited {waited:?} for a member that had left"
    );
}

fn incompressible(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

#[test]
fn an_unreachable_broker_is_named_after_a_bounded_wait() {
    let port = free_port();
    let settings = gpad_live::config::Kafka {
        brokers: format!("127.0.0.1:{port}"),
        patience: Duration::from_secs(1),
        ..gpad_live::config::Settings::default().kafka
    };
    let began = Instant::now();
    let error = KafkaLog::open(&settings).err().unwrap().to_string();
    assert!(
        error.contains(&format!(
            "no Kafka broker answered at 127.0.0.1:{port} within 1 s"
        )),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// The first request to end a transaction reaches the broker long after librdkafka has asked again on another connection: inside
/// this producer's next transaction it would commit what is there of that (KAFKA-17754).
#[test]
fn a_producer_whose_end_of_a_transaction_may_come_late_is_given_up() {
    let (front, weather) = (free_port(), Arc::new(Weather::default()));
    let kafka = Kafka::start_with(|_, properties| {
        let behind = (properties.split_once("\nlisteners=PLAINTEXT://127.0.0.1:"))
            .and_then(|(_, rest)| rest.split_once(',')?.0.parse().ok());
        let behind: u16 = behind.unwrap();
        proxy::start(front, behind, &weather);
        let advertised = |port| format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}");
        properties.replace(&advertised(behind), &advertised(front))
    });
    let log = kafka.open("g");
    topic(&log, "in", 1);
    topic(&log, "out", 1);
    let mut output = log.output("late").unwrap();
    for (value, next) in [("a", 1), ("b", 2)] {
        output.commit(&transaction(value, next)).unwrap();
    }
    let late = Duration::from_secs(20);
    weather.delay_end_txn(1, late);
    let error = output.commit(&transaction("c", 3)).unwrap_err();
    assert_eq!(error.remedy, Remedy::Renew);
    assert!(error.to_string().contains("lost a connection"), "{error}");
    // It was committed all the same, and what comes late is refused.
    let mut output = log.output("late").unwrap();
    let committed = output.committed(&[("in", 0)]).unwrap();
    assert_eq!(committed.note.as_deref(), Some("note c"));
    wait_for("the late request's answer", late * 2, || {
        !weather.answers().is_empty()
    });
    assert_ne!(weather.answers(), [0]);
    output.commit(&transaction("d", 4)).unwrap();
    // What is told only after a commit counts before the next.
    weather.reset();
    std::thread::sleep(Duration::from_secs(1));
    let error = output.commit(&transaction("e", 5)).unwrap_err();
    assert!(error.to_string().contains("since its last one"), "{error}");
    let mut output = log.output("late").unwrap();
    let committed = output.committed(&[("in", 0)]).unwrap();
    assert_eq!(committed.note.as_deref(), Some("note d"));
    // What a new one has lost on its way to a broker is no reason not to begin.
    let brokers = format!("127.0.0.1:{},{}", free_port(), kafka.brokers());
    let log = support::open(&brokers, "g");
    for next in 5..15 {
        let note = format!("note {next}");
        if let Err(error) = log
            .output("late")
            .unwrap()
            .commit(&transaction(&next.to_string(), next))
        {
            assert!(error.to_string().contains("it was written"), "{error}");
        }
        let committed = log.output("late").unwrap().committed(&[("in", 0)]).unwrap();
        assert_eq!(committed.note, Some(note));
    }
}

/// What is logged while it is the thread's.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl io::Write for Told {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(part)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn a_reader_that_is_cut_off_connects_anew_and_reads_on(mut kafka: Kafka, log: &KafkaLog) {
    let told = Told::default();
    let to = told.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || to.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let end = log.ends("in", 1).unwrap().end;
    let at = Position {
        topic: "in".to_owned(),
        partition: 1,
        next: end,
    };
    let mut reader = log.reader(&["in"], &[at]).unwrap();
    let mut seen = Vec::new();
    let mut until = |what: &str, until: &dyn Fn(&[i64]) -> bool| {
        wait_for(what, Duration::from_mins(1), || {
            let read = reader.read(10, Duration::from_millis(100), &mut |message| {
                seen.push(message.offset);
                ControlFlow::Continue(())
            });
            // While the broker is away it may say so.
            assert!(read.is_ok() || read.is_err_and(|error| error.remedy == Remedy::Retry));
            until(&seen)
        });
    };
    append(log, "in", 1, &["one"]);
    until("the first record", &|seen| seen == [end]);
    kafka.kill();
    until("the reader to connect anew", &|_| {
        String::from_utf8_lossy(&told.0.lock().unwrap()).contains("connecting anew")
    });
    kafka.resume();
    append(log, "in", 1, &["two"]);
    until("the second record", &|seen| seen == [end, end + 1]);
}
