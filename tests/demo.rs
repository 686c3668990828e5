//! The demonstration, as people start it: figures within seconds, conservation, and exactly once across kills.
#![allow(clippy::unwrap_used, reason = "a test ends there")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gpad_live::adapters::clock::{Clock, monotonic};
use gpad_live::adapters::effects::aggregate_topic;
use gpad_live::adapters::embedded::EmbeddedLog;
use gpad_live::adapters::log::{Log, NewRecord, Span};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::commands::{plan_of, serve};
use gpad_live::config::Settings;
use gpad_live::domain::time::Timestamp;
use gpad_live::domain::topic::{ReferenceTopic, SupplierTopic};
use gpad_live::service::{DELTAS, Health, LEDGER, Service, Stop, Unobserved};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe;
use gpad_live::wire::output::{AggregateValue, Manifest};
use serde_json::Value;
use tempfile::NamedTempFile;

struct Demo {
    child: Child,
    address: SocketAddr,
    /// What it printed on stderr, for whoever asks why it ended.
    log: NamedTempFile,
}

impl Demo {
    fn start(directory: &Path) -> Self {
        let log = NamedTempFile::new().unwrap();
        let mut child = demo(directory, "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line
            .split("http://")
            .nth(1)
            .unwrap()
            .trim()
            .trim_end_matches('/')
            .parse()
            .unwrap();
        // Whoever prints into a closed pipe would end.
        std::thread::spawn(move || said.read_to_string(&mut String::new()));
        Self {
            child,
            address,
            log,
        }
    }

    fn get(&self, path: &str, accept: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: demo\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head[9..12].parse().unwrap(),
            head.to_lowercase(),
            body.to_owned(),
        )
    }

    fn json(&self, path: &str) -> Value {
        let (status, _, body) = self.get(path, "*/*");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = monotonic();
        while !holds(self) {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "{what}: not within a minute"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_ready(&self) -> bool {
        self.get("/readyz", "*/*").0 == 200
    }

    fn terminate(mut self) -> Duration {
        let began = monotonic();
        let killed = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(killed.success());
        let status = self.child.wait().unwrap();
        let said = std::fs::read_to_string(&self.log).unwrap();
        assert!(status.success(), "{status}\n{said}");
        began.elapsed()
    }
}

/// A test that fails leaves no process behind.
impl Drop for Demo {
    fn drop(&mut self) {
        // It has mostly ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn demo(directory: &Path, address: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpad-live"));
    command
        .args([
            "demo",
            "--scale",
            "0.0004",
            "--speed",
            "5000",
            "--address",
            address,
            "--dir",
        ])
        .arg(directory);
    command
}

fn records(ledger: &Value) -> i64 {
    ledger["records"].as_i64().unwrap()
}

/// What `health` prints on either stream, and its exit code.
fn health(address: &str, more: &[&str]) -> (String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
        .args(["health", "--patience-seconds", "20"])
        .args(more)
        .env_remove("GPAD_CONFIG")
        .env("GPAD_HTTP_ADDRESS", address)
        // As where everything goes through a proxy.
        .env("http_proxy", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (said, output.status.code().unwrap())
}

#[test]
fn an_instance_is_asked_for_its_health_by_the_program_itself() {
    // Nobody is there; nobody may be.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = nobody.local_addr().unwrap().to_string();
    let (said, code) = health(&nobody, &[]);
    assert!(
        code == 1 && said.contains(&format!("/readyz at {nobody}")),
        "{said}"
    );
    let (said, code) = health("off", &[]);
    assert!(code == 2 && said.contains("http.address"), "{said}");

    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start(directory.path());
    demo.wait_for("the service", Demo::is_ready);
    // As an image has it: every interface.
    let every = format!("0.0.0.0:{}", demo.address.port());
    assert_eq!(
        health(&every, &[]),
        ("{\"status\":\"ready\"}\n".to_owned(), 0)
    );
    let live = ["--live", "--address", &demo.address.to_string()];
    assert_eq!(
        health("off", &live),
        ("{\"status\":\"live\"}\n".to_owned(), 0)
    );
}

/// Live, and not ready: its brokers do not answer.
#[test]
fn an_instance_that_waits_is_live_and_not_ready() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let at = address.to_string();
    let log = NamedTempFile::new().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
        .arg("run")
        .env_remove("GPAD_CONFIG")
        .env("GPAD_HTTP_ADDRESS", &at)
        .env("GPAD_KAFKA_BROKERS", "127.0.0.1:1")
        .env("GPAD_KAFKA_PATIENCE_SECONDS", "60")
        .stderr(log.reopen().unwrap())
        .spawn()
        .unwrap();
    let waiting = Demo {
        child,
        address,
        log,
    };
    waiting.wait_for("it to listen", |_| TcpStream::connect(address).is_ok());
    let (said, code) = health(&at, &[]);
    let is_told = said.contains("answers 503") && said.contains("Kafka has not answered yet");
    assert!(code == 1 && is_told, "{said}");
    assert_eq!(health(&at, &["--live"]).1, 0);
}

#[test]
fn the_demonstration_shows_figures_and_goes_on_exactly_once_after_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = 0;
    for _ in 0..3 {
        let mut demo = Demo::start(directory.path());
        demo.wait_for("ready", Demo::is_ready);
        demo.wait_for("more records", |demo| {
            records(&demo.json("/api/v1/ledger")) > before + 100
        });
        let ledger = demo.json("/api/v1/ledger");
        assert_eq!(ledger["adds_up"], true, "{ledger}");
        before = records(&ledger);
        demo.child.kill().unwrap();
        demo.child.wait().unwrap();
    }
    let demo = Demo::start(directory.path());
    demo.wait_for("ready", Demo::is_ready);
    demo.wait_for("figures", |demo| {
        let summary = demo.json("/api/v1/summary");
        let appointments = summary["england"]["month"]["appointments"].as_i64();
        // 7 regions and 42 ICBs: the backlog is worked off.
        let has_all = summary["places"]
            .as_array()
            .is_some_and(|all| all.len() == 49);
        let hour = demo.json("/api/v1/aggregates/pressure?level=england&window=1%20h");
        let rolls = !hour["rows"].as_array().unwrap().is_empty();
        summary["is_complete"] == true && has_all && rolls && appointments > Some(1_000)
    });
    it_shows_what_it_promises(&demo);
    an_address_in_use_is_named(demo.address);
    let took = demo.terminate();
    assert!(took < Duration::from_secs(5), "{took:?}");
    the_chains_are_whole(directory.path());
    the_figures_are_those_of_one_run_without_a_kill(directory.path());
}

fn it_shows_what_it_promises(demo: &Demo) {
    let summary = demo.json("/api/v1/summary");
    let places = summary["places"].as_array().unwrap();
    let of = |level: &str| {
        places
            .iter()
            .filter(|place| place["level"] == level)
            .collect::<Vec<_>>()
    };
    assert_eq!((of("region").len(), of("icb").len()), (7, 42));
    let month = |place: &&Value| place["month"]["appointments"].as_i64().unwrap();
    let england = summary["england"]["month"]["appointments"]
        .as_i64()
        .unwrap();
    assert_eq!(of("region").iter().map(month).sum::<i64>(), england);
    assert_eq!(of("icb").iter().map(month).sum::<i64>(), england);
    let (_, head, page) = demo.get("/", "text/html");
    assert!(head.contains("content-security-policy"));
    for part in [
        "Demonstration",
        "Every record read ended in exactly one of these.",
        "Greater Manchester",
        "MICROTEST",
        "Capacity",
        "/metrics",
    ] {
        assert!(page.contains(part), "the page does not show {part}");
    }
    let (_, head, metrics) = demo.get("/metrics", "*/*");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    for metric in [
        "gpad_records_total{",
        "gpad_pending_records{",
        "gpad_aggregate{",
        "gpad_watermark_timestamp_seconds{",
        "gpad_consumer_lag_records{",
        "gpad_commit_duration_seconds_bucket{",
        "gpad_end_to_end_seconds_bucket{",
        "gpad_state_entries ",
        "gpad_state_bytes ",
        "gpad_series ",
        "gpad_reference_records_total{",
        "gpad_dead_letters_total{",
        "gpad_events_too_old_total ",
        "gpad_undecided_records{",
        "gpad_undecided_seconds{",
        "gpad_unready_reasons 0",
    ] {
        assert!(
            metrics.lines().any(|line| line.starts_with(metric)),
            "no {metric}"
        );
    }
    let (_, head, metrics) = demo.get("/metrics", "application/openmetrics-text;version=1.0.0");
    assert!(
        head.contains("application/openmetrics-text; version=1.0.0")
            && metrics.ends_with("# EOF\n")
    );
    let practices = demo.json("/api/v1/aggregates/practice_day?level=practice");
    assert_eq!(practices["disclosure_control"]["applied"], true);
    for row in practices["rows"].as_array().unwrap() {
        let told = &row["figures"]["appointments"];
        assert!(told.is_null() || told.as_i64().unwrap() % 5 == 0, "{row}");
    }
    let hour = demo.json("/api/v1/aggregates/pressure?level=england&window=1%20h");
    let row = &hour["rows"][0];
    let instant = |at: usize| {
        let text = row["window"][at].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(text).unwrap()
    };
    assert_eq!((instant(1) - instant(0)).num_minutes(), 60, "{hour}");
    assert!(row["figures"]["bookings"].is_i64(), "{hour}");
    let today = demo.json("/api/v1/aggregates/forward_look?level=england");
    let offered = today["rows"][0]["figures"]["slots_offered"].as_i64();
    assert!(offered > Some(0), "{today}");
    let quality = demo.json("/api/v1/quality");
    let suppliers: BTreeSet<_> = (quality["rows"].as_array().unwrap().iter())
        .map(|row| row["code"].as_str().unwrap())
        .collect();
    assert_eq!(suppliers.len(), 4, "{quality}");
    let months = demo.json("/api/v1/seasons");
    assert_eq!(months["rows"][0]["winter_year"], "2021/22", "{months}");
    let asked = "/api/v1/variation?measure=same_day_share&parent=E92000001";
    let (status, head, table) = demo.get(asked, "text/csv");
    assert!(status == 200 && head.contains("text/csv"), "{table}");
    let practices = demo.json(asked);
    let practices = practices["rows"].as_array().unwrap();
    assert!(practices.len() > 100 && table.lines().count() > 100);
    let (status, _, body) = demo.get("/api/v1/aggregates/pressure?window=2%20h", "*/*");
    assert!(
        status == 400 && body.contains("15 min, 1 h, 24 h, 7 d, 28 d"),
        "{body}"
    );
    let (status, head, body) = demo.get("/api/v1/aggregates/nothing", "*/*");
    assert!(
        status == 404 && head.contains("application/problem+json") && body.contains("activity"),
        "{body}"
    );
}

fn an_address_in_use_is_named(address: SocketAddr) {
    let other = tempfile::tempdir().unwrap();
    let outcome = demo(other.path(), &address.to_string()).output().unwrap();
    let said = String::from_utf8(outcome.stderr).unwrap();
    assert_eq!(outcome.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("{address} is in use")), "{said}");
}

type Take<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

fn read(log: &dyn Log, topic: &str, take: &mut Take<'_>) {
    let partitions = log.partitions(&[topic]).unwrap()[0].unwrap();
    let spans: Vec<Span> = (0..partitions).map(Span::whole).collect();
    log.scan(topic, &spans, &mut |message| {
        let message = message.unwrap();
        take(message.key.unwrap_or_default(), message.value);
        ControlFlow::Continue(())
    })
    .unwrap();
}

fn open(directory: &Path) -> EmbeddedLog {
    let plan = plan_of(&Settings::default(), None).unwrap();
    serve::embedded(directory, &plan.aggregates).unwrap()
}

/// No offset is read twice or left out, whoever read it, and every one of them has its disposition.
fn the_chains_are_whole(directory: &Path) {
    let log = open(directory);
    let mut next: BTreeMap<(String, i32), i64> = BTreeMap::new();
    let (mut counted, mut offsets, mut epochs) = (0, 0, 0);
    read(&log, LEDGER, &mut |_, value| {
        let manifest = Manifest::from_bytes(unframe(value).unwrap().1).unwrap();
        epochs = epochs.max(manifest.epoch);
        for read in &manifest.positions {
            let next = next
                .entry((read.topic.clone(), read.partition))
                .or_insert(0);
            assert_eq!(*next, read.from, "{} {}", read.topic, read.partition);
            *next = read.to;
            offsets += if read.topic == DELTAS {
                0
            } else {
                read.to - read.from
            };
        }
        counted += manifest
            .dispositions
            .iter()
            .map(|ended| ended.count)
            .sum::<i64>();
    });
    assert_eq!(counted, offsets);
    assert!(epochs >= 1, "no task went on after a kill");
    for ((topic, partition), next) in next {
        assert!(next <= log.ends(&topic, partition).unwrap().end);
    }
}

/// Both logs are brought to the same instant: the killed one, and a new one with the same records.
fn the_figures_are_those_of_one_run_without_a_kill(directory: &Path) {
    let killed = Arc::new(open(directory));
    let fresh = tempfile::tempdir().unwrap();
    let fresh = Arc::new(open(fresh.path()));
    let mut appender = fresh.appender().unwrap();
    let suppliers = SupplierTopic::ALL.map(SupplierTopic::name);
    for topic in ReferenceTopic::ALL
        .map(ReferenceTopic::name)
        .into_iter()
        .chain(suppliers)
    {
        read(&*killed, topic, &mut |key, value| {
            let record = NewRecord {
                topic,
                partition: None,
                key: Some(key),
                value,
            };
            appender.append(&record).unwrap();
        });
    }
    appender.flush().unwrap();
    let [killed, fresh] = [killed, fresh].map(|log| {
        bring_up(&log);
        figures(&*log)
    });
    assert!(killed.len() > 1_000, "{} rows", killed.len());
    assert!(
        killed == fresh,
        "{} rows and {} rows, or others",
        killed.len(),
        fresh.len()
    );
}

/// Whether the second stage has read every delta.
fn everything_is_read(log: &Arc<EmbeddedLog>) -> bool {
    let end = log.ends(DELTAS, 0).unwrap().end;
    let committed = log.committed(&[(DELTAS, 0)]).unwrap();
    committed.positions.iter().any(|at| at.next == end)
}

/// Runs the service until nothing is left to read.
fn bring_up(log: &Arc<EmbeddedLog>) {
    let settings = Settings::default();
    let stop = Stop::default();
    let service = Service {
        log: log.clone(),
        schemas: Arc::new(Schemas::new(None)),
        plan: Arc::new(plan_of(&settings, Some(settings.horizon_days)).unwrap()),
        commit: settings.commit,
        // The first of March 2022.
        clock: Clock::Fixed(Timestamp(1_646_092_800_000)),
        observer: Arc::new(Unobserved),
        health: Arc::new(Health::default()),
        undecided: settings.kafka.undecided,
        state: settings.state.clone(),
        group: settings.kafka.group.clone(),
        stop: stop.clone(),
    };
    std::thread::scope(|scope| {
        let running = scope.spawn(|| service.run());
        let began = monotonic();
        let mut still = 0;
        let mut last = 0;
        // Windows of event time of some weeks may take a settlement of the second stage some seconds.
        while still < 40 || !everything_is_read(log) {
            assert!(began.elapsed() < Duration::from_mins(1) && !running.is_finished());
            std::thread::sleep(Duration::from_millis(100));
            let written = [LEDGER, DELTAS]
                .map(|topic| log.ends(topic, 0).unwrap().end)
                .iter()
                .sum();
            still = if written == last && written > 0 && service.health.reasons().is_empty() {
                still + 1
            } else {
                0
            };
            last = written;
        }
        stop.request();
        running.join().unwrap().unwrap();
    });
}

type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// The bytes of the figures by topic and key, without rows that have returned to nothing.
fn figures(log: &dyn Log) -> Rows {
    let mut rows = BTreeMap::new();
    for aggregate in &plan_of(&Settings::default(), None)
        .unwrap()
        .aggregates
        .aggregates
    {
        let topic = aggregate_topic(&aggregate.name);
        read(log, &topic, &mut |key, value| {
            if let Some(value) = value {
                let value = AggregateValue::from_bytes(unframe(Some(value)).unwrap().1).unwrap();
                let mut figures = Vec::new();
                gpad_live::wire::datum::Avro::write(&value.figures, &mut figures);
                rows.insert((topic.clone(), key.to_vec()), figures);
            }
        });
    }
    rows
}

#[test]
fn wrong_use_is_told_with_what_would_be_right() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--today", "2022-03-01"], 2, "--today 2022-03-01"),
        (&["--scale", "0"], 2, "--scale"),
        (
            &["--cells", "nowhere.csv", "--month", "2022-02"],
            1,
            "nowhere.csv",
        ),
        (&["--month", "2022-02"], 2, "--cells"),
    ];
    for (arguments, code, named) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpad-live"));
        command
            .args(["demo", "--address", &free.to_string(), "--dir"])
            .arg(directory.path())
            .args(arguments);
        let outcome = command.output().unwrap();
        let said = String::from_utf8(outcome.stderr).unwrap();
        assert_eq!(outcome.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
    std::fs::write(directory.path().join("demo.txt"), "another").unwrap();
    let outcome = demo(directory.path(), &free.to_string()).output().unwrap();
    let said = String::from_utf8(outcome.stderr).unwrap();
    assert!(
        outcome.status.code() == Some(1) && said.contains("--fresh begins anew"),
        "{said}"
    );
}
