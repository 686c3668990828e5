//! Three brokers that come and go, and a network in bad weather.
//!
//! Short here; in full: `tests/prove brokers`, `tests/prove network`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gpad_live::adapters::crash::Point;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::cluster::{BROKERS, Cluster};
use support::input::Input;
use support::instance::Instance;
use support::proof::{Proof, size};
use support::wait_for;

const PARTITIONS: i32 = 3;
const REPLICATION: i32 = 3;
/// What a commit may take before its outcome is in doubt is 10 s: a request this late finds the next transaction.
const LATE: Duration = Duration::from_secs(30);

/// Waits until so many more records are accounted for; how long it took.
fn progress(proof: &Proof, records: i64) -> Duration {
    let (began, before) = (Instant::now(), proof.accounted());
    wait_for("the work to go on", Duration::from_mins(2), || {
        proof.accounted() >= before + records
    });
    began.elapsed()
}

/// Stops an instance and starts it again, to sleep at `place`.
fn restart<'i>(proof: &Proof, instance: &'i mut Instance, name: &str, place: &str) -> &'i Instance {
    instance.signal("KILL");
    wait_for("its end", Duration::from_secs(10), || {
        instance.ended().is_some()
    });
    *instance = proof.start_named(name, &[("GPADLIVE_STOP_AT", place)]);
    instance
}

#[test]
fn brokers_bounced_hard_and_clean_and_in_the_middle_of_transactions_cost_nothing() {
    let _alone = support::alone();
    let (bounces, seed) = (
        size("GPADLIVE_PROOF_COUNT", 2),
        size("GPADLIVE_PROOF_SEED", 1),
    );
    let mut cluster = Cluster::start();
    let input = Input::draw(2_500 * usize::try_from(bounces).unwrap(), seed);
    let proof = Proof::prepare(&cluster.brokers(), input, PARTITIONS, REPLICATION);
    let mut instances = ["a", "b"].map(|name| proof.start_named(name, &[]));
    proof.flow.release(100);
    proof.wait_until_accounted(50, Duration::from_mins(1));
    proof.flow.release_steadily(50);
    let mut longest = Duration::ZERO;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for bounce in 0..usize::try_from(bounces).unwrap() {
        // Each broker in turn; every second bounce is in the middle of a transaction.
        let (at, how) = (bounce % BROKERS, [0, 2, 1, 3][bounce % 4]);
        let at = match how {
            0 => {
                cluster.kill(at);
                *counts.entry("bounced by SIGKILL").or_default() += 1;
                at
            }
            1 => {
                cluster.stop(at);
                *counts.entry("bounced by SIGTERM").or_default() += 1;
                at
            }
            _ => {
                let point = [Point::Produced, Point::OffsetsSent][how - 2];
                let place = format!("{}:{}", point.label(), 2 + bounce % 5);
                let name = ["a", "b"][how - 2];
                let sleeper = restart(&proof, &mut instances[how - 2], name, &place);
                wait_for(
                    "an instance to sleep inside a transaction",
                    Duration::from_mins(1),
                    || sleeper.is_stopped(),
                );
                let coordinator = cluster.coordinator();
                cluster.kill(coordinator);
                sleeper.signal("CONT");
                *counts
                    .entry("coordinator killed inside a transaction")
                    .or_default() += 1;
                coordinator
            }
        };
        longest = longest.max(progress(&proof, 50));
        cluster.resume(at);
        longest = longest.max(progress(&proof, 50));
    }
    proof.finish(Duration::from_mins(3));
    proof.compare();
    let mut facts = BTreeMap::from([
        (
            "brokers".to_owned(),
            "3, replication factor 3, min.insync.replicas 2".to_owned(),
        ),
        (
            "longest until 50 more records were accounted for".to_owned(),
            format!("{:.1} s", longest.as_secs_f64()),
        ),
        ("seed".to_owned(), seed.to_string()),
    ]);
    for (what, count) in counts {
        facts.insert(what.to_owned(), count.to_string());
    }
    proof.report(
        "Bounced brokers",
        &format!("tests/prove brokers --count {bounces} --seed {seed}"),
        &facts,
    );
    for instance in instances {
        let (status, _, log) = instance.stop();
        assert!(status.success(), "{status}\n{log}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn late_commits_resets_jitter_and_half_open_connections_cost_nothing() {
    let _alone = support::alone();
    let (runs, seed) = (
        size("GPADLIVE_PROOF_COUNT", 4),
        size("GPADLIVE_PROOF_SEED", 1),
    );
    let cluster = Cluster::start();
    let records = 2_500 * usize::try_from(runs).unwrap();
    let mut proof = Proof::prepare(
        &cluster.brokers(),
        Input::draw(records, seed),
        PARTITIONS,
        REPLICATION,
    );
    // Instances go through the weather; the feed and the auditor do not.
    for (name, value) in &mut proof.environment {
        if *name == "GPAD_KAFKA_BROKERS" {
            value.clone_from(&cluster.proxied);
        }
    }
    let instances = ["a", "b"].map(|name| proof.start_named(name, &[]));
    proof.flow.release(100);
    proof.wait_until_accounted(50, Duration::from_mins(1));
    proof.flow.release_steadily(50);
    let weather = &cluster.weather;
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut longest: BTreeMap<&str, Duration> = BTreeMap::new();
    let mut note = |what: &'static str, took: Duration| {
        let longest = longest.entry(what).or_default();
        *longest = took.max(*longest);
    };
    for run in 0..runs {
        match run % 4 {
            0 => {
                let before = weather.held();
                weather.delay_end_txn(1 + run / 4 % 3, LATE);
                wait_for("a commit to be held back", Duration::from_mins(1), || {
                    weather.held() > before
                });
                note("late EndTxn", progress(&proof, 20));
            }
            1 => {
                for _ in 0..5 {
                    weather.reset();
                    std::thread::sleep(Duration::from_millis(chance.random_range(0..1_000)));
                }
                note("resets", progress(&proof, 20));
            }
            2 => {
                weather.jitter(Duration::from_millis(chance.random_range(20..200)));
                std::thread::sleep(Duration::from_secs(4));
                note("jitter", progress(&proof, 20));
                weather.jitter(Duration::ZERO);
            }
            _ => {
                weather.half_open();
                note("half-open connections", progress(&proof, 20));
            }
        }
    }
    proof.finish(Duration::from_mins(4));
    wait_for(
        "late commits to be delivered and answered",
        LATE * 2,
        || weather.answers().len() as u64 == weather.held(),
    );
    // Most carry an epoch that is no longer the producer's. One whose producer nobody has replaced yet is answered 0, and ends
    // the transaction that it was meant to end; had it ended another, `verify` would find that one torn.
    assert!(weather.held() > 0);
    let refused = weather.answers().iter().filter(|code| **code != 0).count();
    assert!(
        refused * 2 > weather.answers().len(),
        "{:?}",
        weather.answers()
    );
    proof.finish(Duration::from_mins(1));
    proof.compare();
    let mut facts = BTreeMap::from([
        (
            "brokers".to_owned(),
            "3, replication factor 3, min.insync.replicas 2, each behind a proxy".to_owned(),
        ),
        (
            "runs".to_owned(),
            format!("{runs}: a quarter each of late EndTxn, resets, jitter, half-open connections"),
        ),
        (
            "EndTxn delivered 30 s late, and Kafka's answers".to_owned(),
            format!("{}: error codes {:?}", weather.held(), weather.answers()),
        ),
        ("seed".to_owned(), seed.to_string()),
    ]);
    for (what, took) in longest {
        facts.insert(
            format!("longest until 20 more records, {what}"),
            format!("{:.1} s", took.as_secs_f64()),
        );
    }
    proof.report(
        "A network in bad weather",
        &format!("tests/prove network --count {runs} --seed {seed}"),
        &facts,
    );
    for instance in instances {
        let (status, _, log) = instance.stop();
        assert!(status.success(), "{status}\n{log}");
    }
}
