//! `verify` on a real Kafka: beside a service at work, after it, and after a forgery.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::time::Duration;

use gpad_live::adapters::log::{Log, NewRecord};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::{frame, unframe};
use gpad_live::wire::output::AggregateValue;
use support::Kafka;
use support::feed::{Feed, PRACTICES};
use support::instance::{Instance, Seen, environment, gpad_live, succeed};

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn an_honest_log_is_proved_while_it_grows_and_a_forged_row_is_named() {
    let kafka = Kafka::start();
    let environment = environment(&kafka, None, 3);
    succeed(&environment, &["topics", "create"]);
    let log = kafka.open("feed");
    let mut feed = Feed::new(&log, Schemas::new(None));
    feed.reference();
    let seen = Seen::new(&kafka);
    let instance = Instance::start(&environment);
    let mut sent = 0;
    let mut send = |feed: &mut Feed, round: i32| {
        for practice in PRACTICES {
            for slot in 0..60 {
                let slot = format!("{}-{slot}", round % 3);
                feed.appointment(
                    practice,
                    &slot,
                    round % 3,
                    1 + i64::from(round),
                    round % 2 == 0,
                );
                sent += 1;
            }
            feed.send_raw("tpp.appointments", practice, b"no frame");
            sent += 1;
        }
        feed.flush();
        sent
    };
    let first = send(&mut feed, 0);
    seen.wait_until_accounted(first);
    // Beside a service that commits every 25 ms.
    for round in 1..=2 {
        let sender = std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let mut all = 0;
                for part in 0..4 {
                    all = send(&mut feed, round * 4 + part);
                    std::thread::sleep(Duration::from_millis(150));
                }
                all
            });
            let output = gpad_live(&environment, &["verify"]);
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(
                output.status.code(),
                Some(0),
                "{told}{}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(told.ends_with("no fault\n"), "{told}");
            sending.join().unwrap()
        });
        if round == 2 {
            seen.wait_until_accounted(sender);
        }
    }
    seen.wait_until_rolled_up();
    instance.stop();
    let transactions: usize = seen.manifests().values().map(Vec::len).sum();
    assert!(
        transactions > 15,
        "{transactions}: they were to be committed one by one"
    );
    let told = succeed(&environment, &["verify"]);
    let records = 9 * 8 * 61;
    assert!(
        told.contains(&format!("{records} records read, "))
            && told.contains(&format!("{records} records counted"))
            && told.contains("72 dead letters"),
        "{told}"
    );

    // A row that someone made better by hand: same key, same transaction, one appointment more.
    let topic = "gpad.aggregates.practice_day";
    let rows = seen.records(topic);
    let mut gone = std::collections::BTreeSet::new();
    let standing = rows.iter().rev().find(|(key, value)| {
        let is_newest = gone.insert(key.clone());
        is_newest && value.is_some()
    });
    let (key, value) = standing.unwrap();
    let (id, datum) = unframe(value.as_deref()).unwrap();
    let mut row = AggregateValue::from_bytes(datum).unwrap();
    row.figures.counts[0].value += 1;
    let mut forged = Vec::new();
    frame(id, &row.to_bytes(), &mut forged);
    let mut appender = log.appender().unwrap();
    appender
        .append(&NewRecord {
            topic,
            partition: None,
            key: Some(key),
            value: Some(&forged),
        })
        .unwrap();
    appender.flush().unwrap();
    let output = gpad_live(&environment, &["verify", "--skip-input"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let by = row.published.written_by.unwrap();
    assert!(
        told.contains(&format!("altered: task {}, sequence ", by.task)) && told.contains(topic),
        "{told}"
    );
}
