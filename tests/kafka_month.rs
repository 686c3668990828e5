//! A published month through a real Kafka and a real registry: in by topic, out by file.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use gpad_live::adapters::log::Log;
use gpad_live::domain::time::Timestamp;
use gpad_live::domain::topic::SupplierTopic;
use support::instance::{Environment, Instance, Seen, environment, succeed};
use support::printed::{self, Typist};
use support::{Kafka, Registry, free_port, wait_for};

const PARTITIONS: i32 = 4;

/// Lines of a month in a file of the publication, in order, old labels by their new names.
fn lines(file: &Path, month: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| line.contains(month))
        .map(|line| {
            line.replace("Unknown / Data Issue", "Unknown / Data Quality")
                .replace('"', "")
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// Records that the supplier topics hold.
fn offsets(kafka: &Kafka) -> i64 {
    let log = kafka.open("offsets");
    SupplierTopic::ALL
        .into_iter()
        .flat_map(|topic| (0..PARTITIONS).map(move |partition| (topic, partition)))
        .map(|(topic, partition)| {
            let ends = log.ends(topic.name(), partition).unwrap();
            ends.end - ends.first
        })
        .sum()
}

/// Rows by output, as the manifests state them.
fn stated(seen: &Seen<'_>) -> BTreeMap<String, i64> {
    let mut stated = BTreeMap::new();
    for manifest in seen.manifests().values().flatten() {
        for rows in &manifest.rows {
            *stated.entry(rows.output.clone()).or_default() += rows.count;
        }
    }
    stated
}

/// The log of a small site, whose service has taken something in and was stopped.
fn embedded_log_at_rest(directory: &Path) {
    let place = directory.to_str().unwrap().to_owned();
    let environment: Environment = vec![
        ("GPAD_HTTP_ADDRESS", "off".to_owned()),
        ("RUST_LOG", "info".to_owned()),
    ];
    let cells = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/Regional_CSV_Dorset.csv");
    let cells = cells.to_str().unwrap();
    let draw = ["simulate", "--cells", cells, "--month", "2021-03"];
    let to = ["--scale", "0.0005", "--embedded", &place];
    succeed(&environment, &[&draw[..], &to[..]].concat());
    let arguments = ["--embedded".to_owned(), place.clone()];
    let instance = Instance::start_with(&environment, &arguments);
    wait_for("its tasks", Duration::from_secs(20), || {
        instance.log().contains("tasks assigned")
    });
    let (status, ..) = instance.stop();
    assert!(status.success());
}

/// What the documents tell people to type works as it is printed, beside a service at work; files and places of an installation are
/// replaced by those of this test, and simulations are small.
fn what_the_documents_print_works(environment: &Environment, practice: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gpad-live.toml");
    fs::copy(root.join("deploy/gpad-live.toml"), &config).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    embedded_log_at_rest(&folder.path().join("embedded"));
    let now = now();
    let mut failed = Vec::new();
    for printed in printed::of(Typist::Month) {
        let line = &printed.text;
        let words = line.split_whitespace();
        let words = words.map(|word| match word {
            "gpad-live" => env!("CARGO_BIN_EXE_gpad-live").to_owned(),
            "/etc/gpad-live.toml" => path("gpad-live.toml"),
            "/var/lib/gpad-live" => path("embedded"),
            "/srv/gpad" => path("gpad"),
            "A81001" => practice.to_owned(),
            "2021-04-03T09:00" => now.to_rfc3339(),
            _ if word.starts_with("tests/") => root.join(word).display().to_string(),
            _ => word.to_owned(),
        });
        let mut typed = words.collect::<Vec<_>>().join(" ");
        if line.starts_with("gpad-live simulate") {
            typed += " --scale 0.0005";
        }
        // An embedded log has settings of its own.
        let is_of_kafka = !line.contains("--embedded");
        let environment = environment.iter().filter(|_| is_of_kafka);
        let is_in_a_release = line.contains("SHA256SUMS");
        let place = if is_in_a_release {
            "figures/releases/release-0001"
        } else {
            ""
        };
        let output = Command::new("sh")
            .args(["-c", &typed])
            .envs(environment.map(|(name, value)| (*name, value)))
            .current_dir(folder.path().join(place))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || !error.is_empty() && !line.starts_with("gpad-live") {
            failed.push(format!(
                "{}:{}: {line}: {error}",
                printed.document, printed.line
            ));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    // What `head` shows of, and the month that the service had taken in.
    for file in [
        "figures/publication/2021-03/regional.csv",
        "then/publication/2021-03/daily.csv",
    ] {
        assert!(
            fs::metadata(folder.path().join(file)).unwrap().len() > 1_000,
            "{file}"
        );
    }
}

fn now() -> Timestamp {
    Timestamp(i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap())
}

/// Another draw of the month is sent, and taken in.
fn more_came(kafka: &Kafka, environment: &Environment, seen: &Seen<'_>, simulate: &[&str]) {
    let before = offsets(kafka);
    let another = ["--seed", "7", "--scale", "0.005"];
    succeed(environment, &[simulate, &another].concat());
    let records = offsets(kafka);
    assert!(records > before, "{records}");
    wait_for("what came later", Duration::from_mins(2), || {
        seen.accounted() == records
    });
    seen.wait_until_rolled_up();
}

#[test]
fn dorset_march_2021_comes_back_from_kafka_line_for_line() {
    let (kafka, registry) = (Kafka::start(), Registry::start());
    let mut environment = environment(&kafka, Some(&registry), PARTITIONS);
    // What asks the instance itself is printed too.
    let address = format!("127.0.0.1:{}", free_port());
    environment.push(("GPAD_HTTP_ADDRESS", address));
    succeed(&environment, &["topics", "create"]);
    succeed(&environment, &["schemas", "register"]);
    let cells = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/Regional_CSV_Dorset.csv");
    let brokers = kafka.brokers();
    let simulate = [
        "simulate",
        "--cells",
        cells.to_str().unwrap(),
        "--month",
        "2021-03",
        "--brokers",
        &brokers,
    ];
    succeed(&environment, &simulate);
    let records = offsets(&kafka);
    assert!(records > 1_500_000, "{records} records");

    let instance = Instance::start(&environment);
    let seen = Seen::new(&kafka);
    // While it works, a committed reader sees whole transactions: what stands in an output's topic lies
    // between what the manifests state before and after it was read.
    let mut whole = 0;
    wait_for("the month's records", Duration::from_mins(8), || {
        let before = stated(&seen);
        let rows = i64::try_from(seen.records("gpad.deltas").len()).unwrap();
        let after = stated(&seen);
        let of = |stated: &BTreeMap<String, i64>| stated.get("gpad.deltas").copied().unwrap_or(0);
        assert!((of(&before)..=of(&after)).contains(&rows), "{rows} deltas");
        whole += i32::from(rows > 0);
        seen.accounted() == records
    });
    assert!(whole > 0, "the topic was read while rows stood in it");
    seen.wait_until_rolled_up();

    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().to_str().unwrap();
    succeed(
        &environment,
        &["publish", "--month", "2021-03", "--output", output],
    );
    let published = lines(&cells, ",MAR2021,");
    let ours = folder.path().join("publication/2021-03/regional.csv");
    assert_eq!(lines(&ours, ",MAR2021,"), published);
    assert_eq!(published.len(), 165);
    let known_at = now();
    more_came(&kafka, &environment, &seen, &simulate);
    let of = |name: &str, more: &[&str]| {
        let folder = folder.path().join(name);
        let into = folder.to_str().unwrap();
        let publish = ["publish", "--month", "2021-03", "--output", into];
        succeed(&environment, &[&publish[..], more].concat());
        lines(
            &folder.join("publication/2021-03/regional.csv"),
            ",MAR2021,",
        )
    };
    assert_ne!(of("later", &[]), published, "more has come");
    let then = of("then", &["--as-known-at", &known_at.to_rfc3339()]);
    assert_eq!(then, published, "as it stood before");
    let records = offsets(&kafka);

    let (key, _) = seen.records("ods.practices").swap_remove(0);
    let (practice, _) = std::str::from_utf8(&key).unwrap().split_once('|').unwrap();
    what_the_documents_print_works(&environment, practice);

    let (status, took, log) = instance.stop();
    assert!(
        status.success() && took < Duration::from_secs(5),
        "{status} after {took:?}\n{log}"
    );
    seen.check_chains();
    assert_eq!(
        seen.accounted(),
        records,
        "the ledger adds up to the offsets"
    );
}
