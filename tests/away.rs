//! What the service needs is away, or does not take what it writes: it waits, says so, skips nothing and goes on.
//!
//! Short here; in full: `tests/prove away`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::BTreeMap;
use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gpad_live::adapters::kafka::NewTopic;
use gpad_live::service::DEAD_LETTERS;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use support::input::Input;
use support::instance::Instance;
use support::proof::{Proof, size};
use support::{Kafka, Registry, free_port, tool, wait_for};

const PARTITIONS: i32 = 3;

/// One instance, and what it says of itself over HTTP.
struct Watched {
    instance: Instance,
    url: String,
}

impl Watched {
    fn start(proof: &Proof) -> Self {
        Self::start_with(proof, &[])
    }

    fn start_with(proof: &Proof, more: &[(&'static str, &str)]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let more = [more, &[("GPAD_HTTP_ADDRESS", &address)]].concat();
        let instance = Instance::start(&proof.with(&more));
        Self {
            instance,
            url: format!("http://{address}"),
        }
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        let request = ureq::get(format!("{}{path}", self.url))
            .config()
            .http_status_as_error(false)
            .build();
        let mut response = request.call().ok()?;
        let body = response.body_mut().read_to_string().ok()?;
        Some((response.status().as_u16(), body))
    }

    fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|(status, _)| status == 200)
    }

    /// Whether it says that it is not ready for a reason that has `words` in it, and the metrics say so too.
    fn says(&self, words: &[&str]) -> bool {
        let Some((503, why)) = self.get("/readyz") else {
            return false;
        };
        let metrics = self.get("/metrics").unwrap().1;
        let reasons = metrics
            .lines()
            .find_map(|line| line.strip_prefix("gpad_unready_reasons "));
        words.iter().all(|word| why.contains(word)) && reasons.is_some_and(|reasons| reasons != "0")
    }

    fn wait_until_it_says(&self, words: &[&str], within: Duration) {
        wait_for(&format!("{words:?} in /readyz"), within, || {
            self.says(words)
        });
    }
}

fn alter(brokers: &str, topic: &str, setting: &str, value: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(setting, value);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for outcome in runtime
        .block_on(admin.alter_configs([&change], &AdminOptions::new()))
        .unwrap()
    {
        outcome.unwrap();
    }
}

fn delete(brokers: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for outcome in runtime
        .block_on(admin.delete_topics(&[topic], &AdminOptions::new()))
        .unwrap()
    {
        outcome.unwrap();
    }
}

#[test]
fn dead_letters_that_cannot_be_written_stop_the_reading_and_nothing_is_skipped() {
    let _alone = support::alone();
    let kafka = Kafka::start();
    let proof = Proof::prepare(&kafka.brokers(), Input::draw(2_000, 3), PARTITIONS, 1);
    let watched = Watched::start(&proof);
    wait_for("readiness", Duration::from_secs(30), || watched.is_ready());

    // A marker that ends a transaction fits, and no dead letter does.
    alter(&proof.brokers, DEAD_LETTERS, "max.message.bytes", "120");
    proof.flow.release_all();
    watched.wait_until_it_says(
        &[DEAD_LETTERS, "MessageSizeTooLarge"],
        Duration::from_secs(30),
    );
    sleep(Duration::from_secs(5));
    let before = proof.accounted();
    assert!(
        before < i64::try_from(proof.flow.total()).unwrap() / 2,
        "it went on: {before} records"
    );
    sleep(Duration::from_secs(5));
    assert_eq!(proof.accounted(), before, "it waits");
    assert!(
        watched.says(&[DEAD_LETTERS, "MessageSizeTooLarge"]),
        "and still says why"
    );

    alter(
        &proof.brokers,
        DEAD_LETTERS,
        "max.message.bytes",
        "16777216",
    );
    proof.finish(Duration::from_mins(1));
    proof.compare();
    wait_for("readiness", Duration::from_secs(30), || watched.is_ready());
    let (status, _, log) = watched.instance.stop();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn a_dead_letter_topic_that_is_gone_stops_the_reading_and_nothing_is_skipped() {
    let _alone = support::alone();
    let kafka = Kafka::start();
    let proof = Proof::prepare(&kafka.brokers(), Input::draw(2_000, 3), PARTITIONS, 1);
    let watched = Watched::start(&proof);
    wait_for("readiness", Duration::from_secs(30), || watched.is_ready());
    delete(&proof.brokers, DEAD_LETTERS);
    proof.flow.release_all();
    watched.wait_until_it_says(&[DEAD_LETTERS], Duration::from_mins(1));
    let before = proof.accounted();
    assert!(
        before < i64::try_from(proof.flow.total()).unwrap() / 2,
        "it went on: {before} records"
    );
    let topic = NewTopic {
        name: DEAD_LETTERS.to_owned(),
        partitions: PARTITIONS,
        settings: vec![("max.message.bytes", "16777216".to_owned())],
    };
    support::open(&proof.brokers, "again")
        .create_topics(&[topic], 1)
        .unwrap();
    proof.finish(Duration::from_mins(2));
    proof.compare();
    let (status, _, log) = watched.instance.stop();
    assert!(status.success(), "{status}\n{log}");
}

/// Lets a user do things with the topic of dead letters, and no others: where no list is, everything is allowed.
fn only(brokers: &str, user: &str, operations: &[&str]) {
    let principal = format!("User:{user}");
    let mut arguments = vec![
        "--bootstrap-server",
        brokers,
        "--add",
        "--topic",
        DEAD_LETTERS,
        "--allow-principal",
        &principal,
    ];
    for operation in operations {
        arguments.extend(["--operation", operation]);
    }
    tool("org.apache.kafka.tools.AclCommand", &arguments);
}

#[test]
fn dead_letters_that_may_not_be_written_stop_the_reading_and_nothing_is_skipped() {
    let _alone = support::alone();
    let port = free_port();
    // The test itself comes by the listener that asks for no name, and may do everything; the service has a name.
    let kafka = Kafka::start_with(|controller, properties| {
        let named = format!("CONTROLLER://127.0.0.1:{controller},NAMED://127.0.0.1:{port}");
        let plain = properties.replacen(
            &format!("CONTROLLER://127.0.0.1:{controller}\n"),
            &format!("{named}\n"),
            1,
        );
        let plain = plain.replacen(
            "advertised.listeners=",
            &format!("advertised.listeners=NAMED://127.0.0.1:{port},"),
            1,
        );
        plain
            + "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,NAMED:SASL_PLAINTEXT\n\
               inter.broker.listener.name=PLAINTEXT\n\
               sasl.enabled.mechanisms=PLAIN\n\
               listener.name.named.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_service=\"secret\";\n\
               authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
               super.users=User:ANONYMOUS\nallow.everyone.if.no.acl.found=true\n"
    });
    let proof = Proof::prepare(&kafka.brokers(), Input::draw(2_000, 3), PARTITIONS, 1);
    only(&proof.brokers, "service", &["Describe"]);
    let named = format!("127.0.0.1:{port}");
    let watched = Watched::start_with(
        &proof,
        &[
            ("GPAD_KAFKA_BROKERS", &named),
            ("GPAD_KAFKA_CLIENT_SECURITY_PROTOCOL", "sasl_plaintext"),
            ("GPAD_KAFKA_CLIENT_SASL_MECHANISM", "PLAIN"),
            ("GPAD_KAFKA_CLIENT_SASL_USERNAME", "service"),
            ("GPAD_KAFKA_CLIENT_SASL_PASSWORD", "secret"),
        ],
    );
    wait_for("readiness", Duration::from_secs(30), || watched.is_ready());
    proof.flow.release_all();
    watched.wait_until_it_says(&[DEAD_LETTERS, "uthoriz"], Duration::from_secs(30));
    sleep(Duration::from_secs(5));
    let before = proof.accounted();
    assert!(
        before < i64::try_from(proof.flow.total()).unwrap() / 2,
        "it went on: {before} records"
    );
    sleep(Duration::from_secs(5));
    assert_eq!(proof.accounted(), before, "it waits");
    assert!(
        watched.says(&[DEAD_LETTERS, "uthoriz"]),
        "and still says why"
    );
    only(&proof.brokers, "service", &["Write"]);
    proof.finish(Duration::from_mins(1));
    proof.compare();
    wait_for("readiness", Duration::from_secs(30), || watched.is_ready());
    let (status, _, log) = watched.instance.stop();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn kafka_that_is_away_is_waited_for_and_the_service_says_so() {
    let _alone = support::alone();
    let away = Duration::from_secs(size("GPADLIVE_PROOF_COUNT", 5));
    let mut kafka = Kafka::start();
    let proof = Proof::prepare(&kafka.brokers(), Input::draw(3_000, 3), PARTITIONS, 1);
    let watched = Watched::start(&proof);
    proof.flow.release(1_000);
    proof.wait_until_accounted(500, Duration::from_mins(1));
    wait_for("readiness", Duration::from_secs(30), || watched.is_ready());
    let began = Instant::now();
    kafka.kill();
    // A commit gives up after ten seconds; without anything to commit, a log that does not answer is told as soon.
    watched.wait_until_it_says(&["waits"], Duration::from_secs(30));
    let told = began.elapsed();
    while began.elapsed() < away {
        assert!(!watched.is_ready(), "{}", watched.instance.log());
        sleep(Duration::from_secs(1));
    }
    let before = proof.accounted();
    kafka.resume();
    // Now, and not before: a sender gives its own records up after five minutes.
    proof.flow.release(1_000);
    let began = Instant::now();
    proof.wait_until_accounted(usize::try_from(before).unwrap() + 1, Duration::from_mins(1));
    let back = began.elapsed();
    wait_for("readiness", Duration::from_mins(1), || watched.is_ready());
    proof.finish(Duration::from_mins(1));
    proof.compare();
    let facts = BTreeMap::from([
        (
            "Kafka away".to_owned(),
            format!("{} s (SIGKILL)", away.as_secs()),
        ),
        (
            "told in /readyz and `gpad_unready_reasons`".to_owned(),
            format!("after {:.1} s, until it was back", told.as_secs_f64()),
        ),
        (
            "first record accounted for after Kafka was back".to_owned(),
            format!("{:.1} s", back.as_secs_f64()),
        ),
    ]);
    proof.report(
        "Kafka away",
        &format!("tests/prove away --count {}", away.as_secs()),
        &facts,
    );
    let (status, _, log) = watched.instance.stop();
    assert!(status.success(), "{status}\n{log}");
}

/// Passes bytes to a server, or is as good as not there.
#[derive(Clone)]
struct Relay {
    url: String,
    is_open: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn start(url: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (_, rest) = url.split_once("//").unwrap();
        let (server, path) = rest.split_once('/').unwrap();
        let relay = Self {
            url: format!("http://{}/{path}", listener.local_addr().unwrap()),
            is_open: Arc::new(AtomicBool::new(true)),
            streams: Arc::default(),
        };
        let (of, server) = (relay.clone(), server.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !of.is_open.load(Ordering::Acquire) {
                    continue;
                }
                let server = TcpStream::connect(&server).unwrap();
                of.streams
                    .lock()
                    .unwrap()
                    .extend([&client, &server].map(|stream| stream.try_clone().unwrap()));
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || copy(&mut from, &mut to));
                let (mut from, mut to) = (server, client);
                std::thread::spawn(move || copy(&mut from, &mut to));
            }
        });
        relay
    }

    fn close(&self) {
        self.is_open.store(false, Ordering::Release);
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }
}

#[test]
fn a_registry_that_is_away_is_waited_for_and_the_service_says_so() {
    let _alone = support::alone();
    let away = Duration::from_secs(size("GPADLIVE_PROOF_COUNT", 5));
    let (kafka, registry) = (Kafka::start(), Registry::start());
    let relay = Relay::start(&registry.url);
    let input = Input::draw(2_000, 3);
    let mut proof =
        Proof::prepare_with(&kafka.brokers(), input, PARTITIONS, 1, Some(&registry.url));
    proof
        .environment
        .push(("GPAD_REGISTRY_URL", relay.url.clone()));
    let watched = Watched::start(&proof);
    wait_for("readiness", Duration::from_secs(30), || watched.is_ready());
    // It knows what it writes with, and has seen no supplier's schema yet.
    relay.close();
    proof.flow.release_all();
    let closed = Instant::now();
    watched.wait_until_it_says(&["schema registry", &relay.url], Duration::from_secs(20));
    let told = closed.elapsed();
    let began = Instant::now();
    while began.elapsed() < away {
        assert!(
            watched.says(&["schema registry"]),
            "{}",
            watched.instance.log()
        );
        sleep(Duration::from_secs(1));
    }
    assert_eq!(proof.accounted(), 0, "nothing is taken, nothing is refused");
    relay.open();
    let opened = Instant::now();
    proof.wait_until_accounted(1, Duration::from_mins(1));
    let first = opened.elapsed();
    proof.finish(Duration::from_mins(1));
    proof.compare();
    wait_for("readiness", Duration::from_secs(30), || watched.is_ready());
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let facts = BTreeMap::from([
        (
            "registry away".to_owned(),
            format!(
                "{} s (connections to it are closed at once)",
                away.as_secs()
            ),
        ),
        (
            "told in /readyz and `gpad_unready_reasons`".to_owned(),
            format!("after {}, until it was back", seconds(told)),
        ),
        (
            "records taken or refused meanwhile".to_owned(),
            "0".to_owned(),
        ),
        (
            "first record accounted for after it was back".to_owned(),
            seconds(first),
        ),
    ]);
    let command = format!("tests/prove registry --count {}", away.as_secs());
    proof.report("A schema registry away", &command, &facts);
    let (status, _, log) = watched.instance.stop();
    assert!(status.success(), "{status}\n{log}");
}
