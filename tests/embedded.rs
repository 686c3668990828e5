//! The embedded log keeps the seam's contract: in memory, on disk, across restarts and kills.
#![allow(clippy::unwrap_used, reason = "a test ends there")]

mod contract;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use contract::{all, append, transaction, values};
use gpad_live::adapters::embedded::{EmbeddedLog, FILE, Topic};
use gpad_live::adapters::log::*;

const TOPICS: [Topic<'static>; 3] = [
    Topic {
        name: "in",
        partitions: 2,
        is_compacted: false,
    },
    Topic {
        name: "out",
        partitions: 1,
        is_compacted: false,
    },
    Topic {
        name: "rows",
        partitions: 1,
        is_compacted: true,
    },
];

fn open(directory: &Path) -> EmbeddedLog {
    EmbeddedLog::open(directory, &TOPICS).unwrap()
}

#[test]
fn the_contract_holds_in_memory() {
    contract::holds(&EmbeddedLog::in_memory(&TOPICS).unwrap());
}

#[test]
fn the_contract_holds_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    contract::holds(&open(directory.path()));
}

#[test]
fn everything_committed_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    {
        let log = open(directory.path());
        append(&log, "in", &["a", "b"]);
        log.output("0")
            .unwrap()
            .commit(&transaction("one", 1))
            .unwrap();
    }
    let log = open(directory.path());
    assert_eq!(
        values(&log, "in", Span::whole(0)),
        (vec!["a".into(), "b".into()], 2)
    );
    assert_eq!(all(&log, "out"), ["one"]);
    let committed = log.output("0").unwrap().committed(&[("in", 0)]).unwrap();
    assert_eq!(committed.note.as_deref(), Some("note one"));
    assert_eq!(committed.positions[0].next, 1);
    append(&log, "in", &["c"]);
    assert_eq!(log.ends("in", 0).unwrap().end, 3);
}

#[test]
fn topics_that_are_there_stay_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let other = [
        Topic {
            name: "in",
            partitions: 9,
            is_compacted: true,
        },
        Topic {
            name: "new",
            partitions: 3,
            is_compacted: false,
        },
    ];
    let log = EmbeddedLog::open(directory.path(), &other).unwrap();
    assert_eq!(
        log.partitions(&["in", "out", "new"]).unwrap(),
        [Some(2), Some(1), Some(3)]
    );
}

#[test]
fn a_scan_ends_where_it_is_told_to_though_the_records_before_it_are_compacted_away() {
    let log = EmbeddedLog::in_memory(&TOPICS).unwrap();
    append(&log, "rows", &["a", "b", "c", "d"]);
    let span = |from, until| Span {
        partition: 0,
        from,
        until: Some(until),
    };
    assert_eq!(values(&log, "rows", span(0, 3)), (vec![], 3));
    assert_eq!(values(&log, "rows", span(1, 2)), (vec![], 2));
    assert_eq!(values(&log, "rows", span(0, 4)), (vec!["d".to_owned()], 4));
}

#[test]
fn a_compacted_topic_holds_the_newest_record_of_each_key_at_its_own_offset() {
    let log = EmbeddedLog::in_memory(&TOPICS).unwrap();
    let mut output = log.output("0").unwrap();
    for round in 0..50 {
        let mut transaction = Transaction::default();
        transaction.note = format!("round {round}");
        for key in ["a", "b", "a"] {
            transaction.put(
                "rows",
                Some(0),
                key.as_bytes(),
                Some(format!("{key}{round}").as_bytes()),
            );
        }
        output.commit(&transaction).unwrap();
    }
    let mut tombstone = Transaction::default();
    tombstone.put("rows", Some(0), b"b", None);
    output.commit(&tombstone).unwrap();
    let mut seen = Vec::new();
    let take = &mut |message: Option<Message<'_>>| {
        let message = message.unwrap();
        seen.push((message.offset, message.value.map(<[u8]>::to_vec)));
        ControlFlow::Continue(())
    };
    let positions = log.scan("rows", &[Span::whole(0)], take).unwrap();
    assert_eq!(seen, [(149, Some(b"a49".to_vec())), (150, None)]);
    assert_eq!(positions[0].next, 151);
    // A reader that was left behind goes on with what is still there.
    let at = Position {
        topic: "rows".to_owned(),
        partition: 0,
        next: 7,
    };
    let mut reader = log.reader(&["rows"], &[at]).unwrap();
    let mut offsets = Vec::new();
    let take = &mut |message: Message<'_>| {
        offsets.push(message.offset);
        ControlFlow::Continue(())
    };
    assert_eq!(reader.read(10, Duration::ZERO, take).unwrap(), 2);
    assert_eq!(offsets, [149, 150]);
    assert_eq!(reader.backlog(), [Some(0)]);
}

#[test]
fn large_and_many_records_come_back_in_order() {
    let log = EmbeddedLog::in_memory(&TOPICS).unwrap();
    let long = "x".repeat(200_000);
    let mut expected = Vec::new();
    for at in 0..5_000 {
        expected.push(if at % 1_000 == 7 {
            format!("{at}{long}")
        } else {
            format!("{at}")
        });
    }
    append(
        &log,
        "in",
        &expected.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert_eq!(all(&log, "in"), expected);
    let part = Span {
        partition: 0,
        from: 4_000,
        until: Some(4_010),
    };
    assert_eq!(values(&log, "in", part).0, expected[4_000..4_010]);
}

#[test]
fn a_reader_gives_every_partition_its_share() {
    let log = EmbeddedLog::in_memory(&TOPICS).unwrap();
    let mut appender = log.appender().unwrap();
    for partition in [0, 0, 0, 0, 0, 0, 1] {
        let record = NewRecord {
            topic: "in",
            partition: Some(partition),
            key: None,
            value: Some(b"v"),
        };
        appender.append(&record).unwrap();
    }
    appender.flush().unwrap();
    let positions: Vec<_> = (0..2)
        .map(|partition| Position {
            topic: "in".to_owned(),
            partition,
            next: 0,
        })
        .collect();
    let mut reader = log.reader(&["in"], &positions).unwrap();
    let mut seen = [0, 0];
    let take = &mut |message: Message<'_>| {
        seen[message.partition as usize] += 1;
        ControlFlow::Continue(())
    };
    assert_eq!(reader.read(4, Duration::ZERO, take).unwrap(), 4);
    assert_eq!(seen, [3, 1]);
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let directory = tempfile::tempdir().unwrap();
    let message = |directory: &Path| {
        EmbeddedLog::open(directory, &TOPICS)
            .err()
            .unwrap()
            .to_string()
    };
    let first = open(directory.path());
    let held = message(directory.path());
    assert!(
        held.contains(FILE) && held.contains("another process has it open"),
        "{held}"
    );
    drop(first);
    let other = tempfile::tempdir().unwrap();
    std::fs::write(
        other.path().join(FILE),
        "not a log, by any means".repeat(1_000),
    )
    .unwrap();
    let foreign = message(other.path());
    assert!(foreign.contains("is not a log of gpad-live"), "{foreign}");
    let file = other.path().join("file");
    std::fs::write(&file, "").unwrap();
    let no_directory = message(&file);
    assert!(
        no_directory.contains("opening the log") && no_directory.contains("file"),
        "{no_directory}"
    );
    let log = EmbeddedLog::in_memory(&TOPICS).unwrap();
    let error = log
        .scan("nowhere", &[Span::whole(0)], &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "reading nowhere: the topic nowhere does not exist"
    );
    assert_eq!(error.remedy, Remedy::Stop);
}

/// What the killed child does: commits transactions of 1 to 40 records, numbered, as fast as it can.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(directory) = std::env::var_os("GPAD_TEST_COMMIT_INTO") else {
        return;
    };
    let log = open(Path::new(&directory));
    let mut output = log.output("0").unwrap();
    let start = output
        .committed(&[("in", 0)])
        .unwrap()
        .positions
        .first()
        .map_or(0, |at| at.next);
    for next in start + 1.. {
        let mut transaction = transaction(&next.to_string(), next);
        for _ in 0..next % 40 {
            transaction.put("out", Some(0), b"k", Some(next.to_string().as_bytes()));
            transaction.put("rows", Some(0), next.to_string().as_bytes(), Some(b"v"));
        }
        output.commit(&transaction).unwrap();
    }
}

#[test]
fn a_process_killed_while_it_commits_leaves_whole_transactions_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 1..=6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_commits_until_it_is_killed"])
            .env("GPAD_TEST_COMMIT_INTO", directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300 + 37 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let log = open(directory.path());
        let committed = log.output("0").unwrap().committed(&[("in", 0)]).unwrap();
        let last = committed.positions.first().map_or(0, |at| at.next);
        assert!(last > before, "round {round}: nothing was committed");
        before = last;
        assert_eq!(committed.note, Some(format!("note {last}")));
        let expected: Vec<String> = (1..=last)
            .flat_map(|n| std::iter::repeat_n(n.to_string(), 1 + (n % 40) as usize))
            .collect();
        assert!(
            all(&log, "out") == expected,
            "round {round}: torn or lost before {last}"
        );
        let keys = all(&log, "rows").len() as i64;
        assert_eq!(keys, (1..=last).filter(|n| n % 40 > 0).count() as i64);
    }
}

#[test]
fn readers_see_a_transaction_whole_or_not_at_all() {
    let log = EmbeddedLog::in_memory(&TOPICS).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut output = log.output("0").unwrap();
            for round in 0..200 {
                let mut transaction = Transaction::default();
                transaction.note = round.to_string();
                for partition in [0, 1, 0, 1] {
                    transaction.put("in", Some(partition), b"k", Some(b"v"));
                }
                output.commit(&transaction).unwrap();
            }
        });
        let positions: Vec<_> = (0..2)
            .map(|partition| Position {
                topic: "in".to_owned(),
                partition,
                next: 0,
            })
            .collect();
        let mut reader = log.reader(&["in"], &positions).unwrap();
        let mut seen = 0;
        while seen < 800 {
            let read = reader
                .read(10_000, Duration::from_secs(5), &mut |_| {
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert!(read > 0 && read % 4 == 0, "{read} records");
            seen += read;
        }
    });
}
