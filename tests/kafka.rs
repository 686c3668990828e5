//! The service on a real Kafka.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::time::Duration;

use gpad_live::adapters::kafka::NewTopic;
use gpad_live::adapters::registry;
use gpad_live::adapters::schemas::Schemas;
use gpad_live::config;
use support::feed::{Feed, PRACTICES};
use support::instance::{Instance, Seen, environment, gpad_live, succeed};
use support::{Kafka, Registry, wait_for};

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn records_come_out_as_rows_once_through_the_registry_across_a_restart() {
    let (kafka, registry) = (Kafka::start(), Registry::start());
    let environment = environment(&kafka, Some(&registry), 3);

    let missing = gpad_live(&environment, &["run"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("missing topics: emis.appointments, ")
            && stderr(&missing).contains("`gpad-live topics create` makes them"),
        "{}",
        stderr(&missing)
    );
    let none = gpad_live(&environment, &["topics", "check"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(
        stderr(&none).contains("emis.appointments") && !stderr(&none).contains("InvalidArgument"),
        "{}",
        stderr(&none)
    );
    succeed(&environment, &["topics", "create"]);
    assert!(
        succeed(&environment, &["topics", "create"])
            .lines()
            .all(|line| line.starts_with("there "))
    );
    succeed(&environment, &["topics", "check"]);
    succeed(&environment, &["schemas", "register"]);
    assert!(
        succeed(&environment, &["schemas", "check"])
            .lines()
            .all(|line| line.ends_with(": registered"))
    );

    let settings = config::Registry {
        url: Some(registry.url.clone()),
        ..config::Settings::default().registry
    };
    let schemas = Schemas::new(registry::Registry::new(&settings));
    let mut feed = Feed::new(&kafka.open("feed"), schemas);
    feed.reference();
    for practice in PRACTICES {
        feed.appointment(practice, "one", 0, 1, true);
        feed.appointment(practice, "two", 0, 1, false);
        feed.appointment(practice, "two", 0, 1, false);
    }
    feed.send_raw("emis.appointments", PRACTICES[0], b"no frame");
    feed.send_raw("emis.appointments", PRACTICES[0], &[0, 0, 15, 66, 64, 1, 2]);
    feed.flush();

    let seen = Seen::new(&kafka);
    let instance = Instance::start(&environment);
    seen.wait_until_accounted(26);
    seen.wait_until_rolled_up();
    for level in ["england", "region", "icb", "sub_icb"] {
        assert_eq!(seen.sum("activity", level), 16, "{level}");
    }
    assert_eq!(seen.sum("practice_day", "practice"), 16);
    let mut details: Vec<_> = seen
        .letters()
        .into_iter()
        .map(|letter| (letter.reason, letter.detail))
        .collect();
    details.sort();
    assert_eq!(
        details,
        [
            (
                "undecodable".to_owned(),
                Some("the registry does not know schema 1000000".to_owned())
            ),
            (
                "undecodable".to_owned(),
                Some("wrong magic byte 0x6e".to_owned())
            ),
        ]
    );

    let (status, took, log) = instance.stop();
    assert!(
        status.success() && took < Duration::from_secs(5),
        "{status} after {took:?}\n{log}"
    );

    // A correction, a new appointment, and a duplicate of what was read before the restart.
    feed.appointment(PRACTICES[0], "one", 0, 5, false);
    feed.appointment(PRACTICES[1], "three", 1, 1, true);
    feed.appointment(PRACTICES[2], "one", 0, 1, true);
    feed.flush();
    let instance = Instance::start(&environment);
    seen.wait_until_accounted(29);
    seen.wait_until_rolled_up();
    for level in ["england", "region", "icb", "sub_icb"] {
        assert_eq!(seen.sum("activity", level), 17, "{level}");
    }
    let day_of_first: Vec<_> = (seen.rows("practice_day").into_iter())
        .filter(|row| row.level.label() == "practice" && row.code == PRACTICES[0])
        .map(|row| {
            (
                row.dimensions
                    .iter()
                    .find(|(name, _)| *name == "status")
                    .unwrap()
                    .1
                    .clone(),
                row.figures.unwrap().counts[0].1,
            )
        })
        .collect();
    assert_eq!(
        day_of_first,
        [("DNA".into(), 2)],
        "the attended one is taken back"
    );
    let (status, took, log) = instance.stop();
    assert!(
        status.success() && took < Duration::from_secs(5),
        "{status} after {took:?}\n{log}"
    );
    seen.check_chains();
    let epochs: Vec<i64> = seen.manifests()["rollup-0"]
        .iter()
        .map(|manifest| manifest.epoch)
        .collect();
    assert!(
        epochs.first() == Some(&0) && epochs.last() == Some(&1),
        "{epochs:?}"
    );
}

#[test]
fn unequal_partition_counts_are_refused_by_name() {
    let kafka = Kafka::start();
    let environment = environment(&kafka, None, 3);
    let odd = NewTopic {
        name: "tpp.consultations".to_owned(),
        partitions: 2,
        settings: vec![],
    };
    kafka.open("test").create_topics(&[odd], -1).unwrap();
    succeed(&environment, &["topics", "create"]);
    for command in [&["run"][..], &["topics", "check"]] {
        let refused = gpad_live(&environment, command);
        assert_eq!(refused.status.code(), Some(1));
        let told = stderr(&refused);
        assert!(
            told.contains("the supplier topics must have the same number of partitions: emis.appointments has 3")
                && told.contains("tpp.consultations has 2"),
            "{told}"
        );
    }
}

#[test]
fn wrong_use_and_an_unreachable_broker_are_told_apart_by_the_exit_code() {
    let port = support::free_port();
    let away = vec![
        ("GPAD_KAFKA_BROKERS", format!("127.0.0.1:{port}")),
        ("GPAD_KAFKA_PATIENCE_SECONDS", "1".to_owned()),
    ];
    for command in [&["run"][..], &["topics", "create"], &["topics", "check"]] {
        let output = gpad_live(&away, command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(
            stderr(&output).contains(&format!("127.0.0.1:{port} within 1 s")),
            "{}",
            stderr(&output)
        );
    }
    let wrong = vec![("GPAD_KAFKA_BROKER", "x:1".to_owned())];
    let option = vec![("GPAD_KAFKA_CLIENT_NO_SUCH_OPTION", "x".to_owned())];
    for command in [
        &["run"][..],
        &["topics", "create"],
        &["schemas", "list"],
        &["config", "check"],
    ] {
        let output = gpad_live(&wrong, command);
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(
            stderr(&output).contains("did you mean kafka.brokers?"),
            "{}",
            stderr(&output)
        );
    }
    let output = gpad_live(&option, &["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("no.such.option"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        gpad_live(&vec![], &["schemas", "check"]).status.code(),
        Some(2),
        "no registry is configured"
    );
    assert_eq!(gpad_live(&vec![], &["fly"]).status.code(), Some(2));
}

#[test]
fn instances_share_the_tasks_and_take_over_from_each_other() {
    let kafka = Kafka::start();
    let environment = environment(&kafka, None, 4);
    succeed(&environment, &["topics", "create"]);
    let mut feed = Feed::new(&kafka.open("feed"), Schemas::new(None));
    feed.reference();
    let mut send = |round: i32| {
        for practice in PRACTICES {
            for slot in 0..50 {
                feed.appointment(practice, &format!("{round}-{slot}"), round, 1, slot % 3 > 0);
            }
        }
        feed.flush();
    };
    let seen = Seen::new(&kafka);

    send(0);
    let first = Instance::start(&environment);
    seen.wait_until_accounted(400);
    let second = Instance::start(&environment);
    let tasks = |log: &str| -> Vec<String> {
        let last = log
            .lines()
            .rfind(|line| line.contains("tasks assigned") || line.contains("tasks given up"));
        let line: serde_json::Value = last.map_or(serde_json::Value::Null, |line| {
            serde_json::from_str(line).unwrap()
        });
        line["fields"]["tasks"]
            .as_str()
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    wait_for("an even share", Duration::from_secs(30), || {
        let (a, b) = (tasks(&first.log()), tasks(&second.log()));
        let mut all: Vec<_> = a.iter().chain(&b).cloned().collect();
        all.sort();
        a.len().abs_diff(b.len()) == 1 && all == ["0", "1", "2", "3", "rollup-0"]
    });
    send(1);
    seen.wait_until_accounted(800);

    // The first dies while records come in; the second takes over everything.
    send(2);
    first.kill();
    send(3);
    seen.wait_until_accounted(1_600);
    let third = Instance::start(&environment);
    send(4);
    seen.wait_until_accounted(2_000);
    seen.wait_until_rolled_up();
    for level in ["england", "region", "icb", "sub_icb"] {
        assert_eq!(seen.sum("activity", level), 2_000, "{level}");
    }
    assert_eq!(seen.sum("practice_day", "practice"), 2_000);
    for instance in [second, third] {
        let (status, took, log) = instance.stop();
        assert!(
            status.success() && took < Duration::from_secs(5),
            "{status} after {took:?}\n{log}"
        );
    }
    seen.check_chains();
}

#[test]
fn a_broker_that_dies_and_a_registry_that_is_away_are_waited_for() {
    let (mut kafka, registry) = (Kafka::start(), Registry::start());
    let environment = environment(&kafka, Some(&registry), 2);
    succeed(&environment, &["topics", "create"]);
    let settings = config::Registry {
        url: Some(registry.url.clone()),
        ..config::Settings::default().registry
    };
    let log = kafka.open("feed");
    let schemas = || Schemas::new(registry::Registry::new(&settings));
    let mut feed = Feed::new(&log, schemas());
    feed.reference();
    let send = |feed: &mut Feed, round: i32| {
        for practice in PRACTICES {
            for slot in 0..100 {
                feed.appointment(practice, &format!("{round}-{slot}"), round, 1, slot % 3 > 0);
            }
        }
        feed.flush();
    };
    send(&mut feed, 0);
    let instance = Instance::start(&environment);
    Seen::new(&kafka).wait_until_accounted(800);

    // Killed with transactions on the way, twice.
    for round in 1..=2 {
        send(&mut feed, round);
        std::thread::sleep(Duration::from_millis(20));
        kafka.kill();
        std::thread::sleep(Duration::from_secs(1));
        kafka.resume();
    }
    Seen::new(&kafka).wait_until_accounted(2_400);

    // An id that the instance has not seen, and nobody to ask about it: nothing is refused, nothing is lost.
    let id = schemas()
        .id("emis.appointments-value", "emis.appointments")
        .unwrap();
    drop(registry);
    let unknown = [&[0][..], &(id + 1_000).to_be_bytes(), &[1, 2]].concat();
    feed.send_raw("emis.appointments", PRACTICES[0], &unknown);
    feed.flush();
    wait_for(
        "the instance to say what it waits for",
        Duration::from_secs(30),
        || instance.log().contains("waiting: schema registry http://"),
    );
    let seen = Seen::new(&kafka);
    assert_eq!((seen.accounted(), seen.letters().len()), (2_400, 0));
    seen.wait_until_rolled_up();
    assert_eq!(seen.sum("activity", "england"), 2_400);
    assert_eq!(seen.sum("practice_day", "practice"), 2_400);
    let (status, took, log) = instance.stop();
    assert!(
        status.success() && took < Duration::from_secs(5),
        "{status} after {took:?}\n{log}"
    );
    seen.check_chains();
}

#[test]
fn figures_are_the_same_however_often_instances_are_killed() {
    let kafka = Kafka::start();
    let environment = environment(&kafka, None, 2);
    succeed(&environment, &["topics", "create"]);
    let mut feed = Feed::new(&kafka.open("feed"), Schemas::new(None));
    feed.reference();
    let mut environment = environment;
    // One name: the group gives a restarted instance its tasks back without waiting for the dead one's session.
    environment.push(("GPAD_KAFKA_INSTANCE", "only".to_owned()));
    let seen = Seen::new(&kafka);
    let mut sent = 0;
    for round in 0..8 {
        let instance = Instance::start(&environment);
        for slot in 0..300 {
            for practice in PRACTICES {
                // Every slot is booked, then seen to be attended, then corrected.
                feed.appointment(
                    practice,
                    &format!("{slot}"),
                    slot % 25,
                    i64::from(round),
                    (slot + round) % 2 == 0,
                );
                sent += 1;
            }
        }
        feed.flush();
        std::thread::sleep(Duration::from_millis(
            1_500 + 130 * u64::try_from(round).unwrap(),
        ));
        instance.kill();
    }
    let instance = Instance::start(&environment);
    seen.wait_until_accounted(sent);
    seen.wait_until_rolled_up();
    for level in ["england", "region", "icb", "sub_icb"] {
        assert_eq!(seen.sum("activity", level), 2_400, "{level}");
    }
    assert_eq!(seen.sum("practice_day", "practice"), 2_400);
    let attended = |row: &gpad_live::domain::aggregate::Row| {
        row.level.label() == "england"
            && row.dimensions.iter().any(|(_, value)| value == "Attended")
    };
    let attended: i64 = (seen.rows("activity").iter())
        .filter(|row| attended(row))
        .map(|row| row.figures.as_ref().unwrap().counts[0].1)
        .sum();
    assert_eq!(
        attended, 1_200,
        "the last version of each slot alone counts"
    );
    let (status, _, log) = instance.stop();
    assert!(status.success(), "{status}\n{log}");
    seen.check_chains();
}
