//! What an operator does with a running service on a real Kafka, and what happens to it there.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use gpad_live::adapters::log::Log;
use gpad_live::adapters::partitioner::partition_of;
use gpad_live::adapters::schemas::Schemas;
use gpad_live::service::LEDGER;
use gpad_live::wire::reference::ParticipationState;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use support::feed::{Feed, PRACTICES};
use support::instance::{Environment, Instance, Seen, environment, succeed};
use support::printed::{self, Typist};
use support::{Kafka, free_port, wait_for};

/// Status and body.
fn get(url: &str) -> Option<(u16, String)> {
    let request = ureq::get(url).config().http_status_as_error(false).build();
    let mut response = request.call().ok()?;
    let body = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), body))
}

fn with(environment: &Environment, more: &[(&'static str, &str)]) -> Environment {
    let mut environment = environment.clone();
    environment.extend(
        more.iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    environment
}

/// The tasks that an instance says it has, after the last change.
fn tasks(log: &str) -> Vec<String> {
    let last = (log.lines())
        .rfind(|line| line.contains("tasks assigned") || line.contains("tasks given up"));
    let line: serde_json::Value = last.map_or(serde_json::Value::Null, |line| {
        serde_json::from_str(line).unwrap()
    });
    let tasks = line["fields"]["tasks"].as_str().unwrap_or_default();
    tasks.split_whitespace().map(str::to_owned).collect()
}

/// The broker neither answers nor refuses.
fn a_broker_that_stands_still_is_told(kafka: &Kafka, seen: &Seen<'_>, url: &str) {
    let to_broker = |signal: &str| {
        let pid = kafka.pid().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    to_broker("-STOP");
    wait_for("readiness to say so", Duration::from_secs(40), || {
        get(&format!("{url}/readyz")).is_some_and(|(status, body)| {
            let why = "the service waits for its log, which has not answered for ";
            status == 503 && body.contains(why)
        })
    });
    let unready = |reasons: &str| {
        let (_, text) = get(&format!("{url}/metrics")).unwrap();
        text.contains(&format!("\ngpad_unready_reasons {reasons}\n"))
    };
    assert!(!unready("0"));
    to_broker("-CONT");
    // The controller has fenced it meanwhile: for some seconds its partitions have no leader.
    let log = kafka.open("back");
    wait_for("the broker to lead again", Duration::from_mins(1), || {
        let ends = log.ends(LEDGER, 0);
        ends.inspect_err(|error| eprintln!("{error}")).is_ok()
    });
    // A sender's own outage is not what this looks at (docs/decisions/0038).
    let mut feed = Feed::new(&log, Schemas::new(None));
    feed.appointment(PRACTICES[0], "four", 0, 1, true);
    feed.flush();
    // Tasks whose producers were given up meanwhile read their state again first.
    wait_for("what came then", Duration::from_mins(3), || {
        seen.accounted() == 4
    });
    wait_for("readiness when it is back", Duration::from_mins(1), || {
        get(&format!("{url}/readyz")).is_some_and(|(status, _)| status == 200)
    });
    assert!(unready("0"));
}

#[test]
fn a_transaction_left_open_and_a_broker_that_stands_still_are_told_and_pass() {
    let kafka = Kafka::start();
    let port = free_port();
    let environment = with(
        &environment(&kafka, None, 3),
        &[
            ("GPAD_HTTP_ADDRESS", &format!("127.0.0.1:{port}")),
            ("GPAD_KAFKA_UNDECIDED_SECONDS", "2"),
        ],
    );
    succeed(&environment, &["topics", "create"]);
    let mut feed = Feed::new(&kafka.open("feed"), Schemas::new(None));
    feed.reference();
    let seen = Seen::new(&kafka);
    let instance = Instance::start(&environment);
    let practice = PRACTICES[0];
    feed.appointment(practice, "one", 0, 1, true);
    feed.flush();
    seen.wait_until_accounted(1);
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let ready = || get(&url("/readyz")).is_some_and(|(status, _)| status == 200);
    wait_for("the instance to be ready", Duration::from_secs(30), ready);

    // A sender with transactions of its own begins one and is silent.
    let foreign: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.brokers())
        .set("transactional.id", "a-supplier")
        .set("transaction.timeout.ms", "60000")
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    foreign.init_transactions(Duration::from_secs(20)).unwrap();
    foreign.begin_transaction().unwrap();
    let record = BaseRecord::to("emis.appointments")
        .key(practice)
        .payload("never to be seen");
    foreign.send(record).unwrap();
    foreign.flush(Duration::from_secs(10)).unwrap();
    // What comes behind it waits.
    for slot in ["two", "three"] {
        feed.appointment(practice, slot, 0, 1, true);
    }
    feed.flush();

    let place = format!("emis.appointments/{}", partition_of(practice.as_bytes(), 3));
    wait_for(
        "readiness to name the place",
        Duration::from_secs(20),
        || {
            get(&url("/readyz")).is_some_and(|(status, body)| {
            status == 503
                && body.contains(&format!(
                    "{place}: a transaction of another producer has been open for 2 s or more, and 3 offsets from 1 on wait for its end"
                ))
        })
        },
    );
    let metric = |name: &str| -> f64 {
        let (_, text) = get(&url("/metrics")).unwrap();
        let line = format!("{name}{{topic=\"emis.appointments\"}} ");
        let value = text.lines().find_map(|told| told.strip_prefix(&line));
        value
            .unwrap_or_else(|| panic!("no {line}in {text}"))
            .parse()
            .unwrap()
    };
    assert!((metric("gpad_undecided_records") - 3.0).abs() < 0.5);
    assert!(metric("gpad_undecided_seconds") >= 2.0);
    assert!(
        instance
            .log()
            .contains(&format!("{place}: a transaction of another producer"))
    );
    assert_eq!(seen.accounted(), 1, "nobody may read behind it");

    foreign.abort_transaction(Duration::from_secs(20)).unwrap();
    seen.wait_until_accounted(3);
    wait_for(
        "the instance to be ready again",
        Duration::from_secs(20),
        ready,
    );
    assert!((metric("gpad_undecided_records")).abs() < 0.5);
    assert!(metric("gpad_undecided_seconds").abs() < 0.001);
    assert!(instance.log().contains(&format!(
        "{place}: no transaction holds its readers up any more"
    )));
    assert_eq!(seen.letters().len(), 0, "what was aborted is never read");

    let url = format!("http://127.0.0.1:{port}");
    a_broker_that_stands_still_is_told(&kafka, &seen, &url);
    assert!(instance.log().contains("the log answers again"));
    let (status, ..) = instance.stop();
    assert!(status.success());
}

#[test]
fn a_restart_under_its_own_name_within_the_session_moves_nothing() {
    let kafka = Kafka::start();
    let environment = environment(&kafka, None, 4);
    succeed(&environment, &["topics", "create"]);
    let mut feed = Feed::new(&kafka.open("feed"), Schemas::new(None));
    feed.reference();
    let named = |name: &str| {
        let session = [
            ("GPAD_KAFKA_SESSION_SECONDS", "40"),
            ("GPAD_KAFKA_INSTANCE", name),
        ];
        Instance::start(&with(&environment, &session))
    };
    let (first, second) = (named("one"), named("two"));
    wait_for("an even share", Duration::from_secs(30), || {
        let (a, b) = (tasks(&first.log()), tasks(&second.log()));
        a.len() + b.len() == 5 && a.len().abs_diff(b.len()) == 1
    });
    let send = |feed: &mut Feed, round: i32| {
        for practice in PRACTICES {
            for slot in 0..20 {
                feed.appointment(practice, &format!("{round}-{slot}"), round, 1, true);
            }
        }
        feed.flush();
    };
    send(&mut feed, 0);
    let seen = Seen::new(&kafka);
    seen.wait_until_accounted(160);
    let changes = |log: &str| log.lines().filter(|line| line.contains("\"tasks ")).count();
    let (had, others, of_other) = (
        tasks(&first.log()),
        tasks(&second.log()),
        changes(&second.log()),
    );

    // A rolling restart: stopped, records come in meanwhile, back again; then a crash.
    first.stop();
    send(&mut feed, 1);
    let again = named("one");
    seen.wait_until_accounted(320);
    assert_eq!(tasks(&again.log()), had);
    again.kill();
    send(&mut feed, 2);
    let again = named("one");
    seen.wait_until_accounted(480);
    assert_eq!(tasks(&again.log()), had);
    assert_eq!(tasks(&second.log()), others);
    assert_eq!(
        changes(&second.log()),
        of_other,
        "the other has noticed nothing:\n{}",
        second.log()
    );
    assert!(
        again
            .log()
            .contains("a static member: its tasks are kept for it while it restarts")
    );

    // Someone starts a second one under the same name: the older ends, and says why.
    let twin = named("one");
    wait_for("the older to end", Duration::from_secs(30), || {
        again
            .log()
            .contains("another instance has joined under the same kafka.instance")
    });
    send(&mut feed, 3);
    seen.wait_until_accounted(640);
    seen.wait_until_rolled_up();
    assert_eq!(seen.sum("activity", "england"), 640);
    for instance in [twin, second] {
        let (status, _, log) = instance.stop();
        assert!(status.success(), "{log}");
    }
    seen.check_chains();
    succeed(&environment, &["verify"]);
}

#[test]
fn a_death_in_the_middle_of_reading_again_leaves_all_of_it_undone_and_it_is_done_once() {
    let kafka = Kafka::start();
    let environment = environment(&kafka, None, 3);
    succeed(&environment, &["topics", "create"]);
    let mut feed = Feed::new(&kafka.open("feed"), Schemas::new(None));
    let recorded = 1_577_836_800_000;
    for practice in PRACTICES {
        feed.practice(practice, 0);
        if practice != PRACTICES[0] {
            feed.agreement(practice, ParticipationState::Approved, recorded);
        }
    }
    for practice in PRACTICES {
        for slot in 0..100 {
            feed.appointment(practice, &slot.to_string(), slot % 5, 1, true);
        }
    }
    feed.flush();
    let seen = Seen::new(&kafka);
    let named = ("GPAD_KAFKA_INSTANCE", "only");
    let mut victim = Instance::start(&with(
        &environment,
        &[named, ("GPADLIVE_CRASH_AT", "readmitting:60")],
    ));
    seen.wait_until_accounted(800);
    seen.wait_until_rolled_up();
    assert_eq!(seen.sum("activity", "england"), 700);
    feed.agreement(PRACTICES[0], ParticipationState::Approved, recorded + 1);
    feed.flush();
    let asked = succeed(
        &environment,
        &["readmit", "--practice", PRACTICES[0], "--no-wait"],
    );
    assert!(
        asked.starts_with("asked for A81001 in gpad.readmissions/"),
        "{asked}"
    );
    wait_for("the death", Duration::from_secs(30), || {
        victim.ended().is_some()
    });
    assert_eq!(
        seen.sum("practice_day", "practice"),
        700,
        "nothing of it is visible"
    );

    let instance = Instance::start(&with(&environment, &[named]));
    // The second request is taken up behind the first, which the dead instance left.
    let again = succeed(&environment, &["readmit", "--practice", PRACTICES[0]]);
    assert!(
        again.contains("emis.appointments duplicate 100")
            || again.contains("emis.appointments accepted 100"),
        "{again}"
    );
    seen.wait_until_rolled_up();
    assert_eq!(seen.sum("practice_day", "practice"), 800);
    assert_eq!(seen.sum("activity", "england"), 800);
    let accepted: i64 = (seen.manifests().values().flatten())
        .flat_map(|manifest| &manifest.readmitted)
        .filter(|count| count.disposition == "accepted")
        .map(|count| count.count)
        .sum();
    assert_eq!(accepted, 100, "once");
    let (status, ..) = instance.stop();
    assert!(status.success());
    let told = succeed(&environment, &["verify"]);
    assert!(told.contains("800 records read, "), "{told}");
}

/// A broker with authorisation: nobody may do anything but who comes by the listener that asks for no name, and `gpad-live`, who comes by
/// the one at `port`, what it was granted.
fn with_authorisation(port: u16) -> Kafka {
    Kafka::start_with(|controller, properties| {
        let listeners = format!("CONTROLLER://127.0.0.1:{controller}\n");
        let named = format!("CONTROLLER://127.0.0.1:{controller},NAMED://127.0.0.1:{port}\n");
        let advertised = format!("advertised.listeners=NAMED://127.0.0.1:{port},");
        let properties = properties.replacen(&listeners, &named, 1).replacen(
            "advertised.listeners=",
            &advertised,
            1,
        );
        properties
            + "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,NAMED:SASL_PLAINTEXT\n\
               inter.broker.listener.name=PLAINTEXT\n\
               sasl.enabled.mechanisms=PLAIN\n\
               listener.name.named.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_gpad-live=\"secret\";\n\
               authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
               super.users=User:ANONYMOUS\n"
    })
}

/// As the runbook prints it, for the group of this test, with Kafka's script as the package without scripts has it.
fn grant_as_printed(kafka: &Kafka) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("kafka-acls.sh");
    let libs = support::component("kafka").join("libs/*");
    let class = "org.apache.kafka.tools.AclCommand";
    let java = format!(
        "#!/bin/sh\nexec java -XX:TieredStopAtLevel=1 -cp '{}' {class} \"$@\"\n",
        libs.display()
    );
    fs::write(&script, java).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let properties = folder.path().join("admin.properties");
    fs::write(&properties, "").unwrap();
    for printed in printed::of(Typist::Rights) {
        let typed = (printed.text)
            .replace("deploy/kafka/acls", "deploy/kafka/acls --group test")
            .replace("broker:9092", &kafka.brokers())
            .replace("admin.properties", properties.to_str().unwrap());
        let path = format!(
            "{}:{}",
            folder.path().display(),
            std::env::var("PATH").unwrap()
        );
        let done = Command::new("sh")
            .args(["-c", &typed])
            .env("PATH", path)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{typed}: {done:?}");
    }
}

#[test]
fn the_rights_that_deploy_grants_are_enough() {
    let port = free_port();
    let kafka = with_authorisation(port);
    let everybody = environment(&kafka, None, 2);
    succeed(&everybody, &["topics", "create"]);
    let named = with(
        &everybody,
        &[
            ("GPAD_KAFKA_BROKERS", &format!("127.0.0.1:{port}")),
            ("GPAD_KAFKA_CLIENT_SECURITY_PROTOCOL", "sasl_plaintext"),
            ("GPAD_KAFKA_CLIENT_SASL_MECHANISM", "PLAIN"),
            ("GPAD_KAFKA_CLIENT_SASL_USERNAME", "gpad-live"),
            ("GPAD_KAFKA_CLIENT_SASL_PASSWORD", "secret"),
            // So that parts of the changelog are deleted within the test.
            ("GPAD_STATE_SWEEP_ENTRIES", "100"),
        ],
    );
    grant_as_printed(&kafka);
    let mut feed = Feed::new(&kafka.open("feed"), Schemas::new(None));
    feed.reference();
    let seen = Seen::new(&kafka);
    let instance = Instance::start(&named);
    let practice = PRACTICES[0];
    for number in 0..400 {
        feed.appointment(practice, &number.to_string(), 0, 1, true);
        if number % 20 == 0 {
            feed.flush();
            seen.wait_until_accounted(number + 1);
        }
    }
    feed.send_raw("tpp.appointments", practice, b"no record");
    feed.flush();
    seen.wait_until_accounted(401);
    seen.wait_until_rolled_up();
    assert_eq!(seen.letters().len(), 1);
    let told = succeed(&named, &["readmit", "--practice", practice]);
    assert!(told.contains("read again"), "{told}");
    let log = instance.log();
    assert!(!log.contains("uthoriz"), "{log}");
    let (status, _, log) = instance.stop();
    assert!(status.success(), "{status}\n{log}");
    assert!(succeed(&named, &["verify"]).contains("no fault"));
}
