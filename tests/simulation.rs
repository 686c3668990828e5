//! The real service on a simulated broker and clock, under one seed: whatever befalls it, the laws hold.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

#[path = "simulation/books.rs"]
mod books;
#[path = "simulation/broker.rs"]
mod broker;
#[path = "simulation/course.rs"]
mod course;
#[path = "simulation/events.rs"]
mod events;
#[path = "simulation/group.rs"]
mod group;
#[path = "simulation/input.rs"]
mod input;
#[path = "simulation/judge.rs"]
mod judge;
#[path = "simulation/log.rs"]
mod log;
#[path = "simulation/membership.rs"]
mod membership;
#[path = "simulation/reader.rs"]
mod reader;
#[path = "simulation/scenarios.rs"]
mod scenarios;
mod support;
#[path = "simulation/weather.rs"]
mod weather;
#[path = "simulation/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use course::{Outcome, run};
use support::proof::{size, stamp};
use weather::Limits;

/// Runs every seed of a range, on every core; answers the outcomes by seed.
fn run_all(first: u64, count: u64) -> BTreeMap<u64, Outcome> {
    let (next, outcomes) = (AtomicU64::new(first), Mutex::new(BTreeMap::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let outcome = run(seed, Limits::default());
                    if let Some(wrong) = &outcome.wrong {
                        eprintln!("seed {seed}: {wrong}\nagain: {}", again(seed));
                    }
                    let mut outcomes = outcomes.lock().unwrap();
                    outcomes.insert(seed, outcome);
                    if outcomes.len().is_multiple_of(1_000) {
                        eprintln!("{} seeds", outcomes.len());
                    }
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

/// The command that runs one seed again, with more of what happened.
fn again(seed: u64) -> String {
    format!(
        "GPADLIVE_SIMULATION_TRACE=1000 GPADLIVE_PROOF_COUNT=1 GPADLIVE_PROOF_SEED={seed} cargo test --test simulation {TEST}"
    )
}

const TEST: &str = "whatever_befalls_them_instances_lose_nothing_and_repeat_nothing";

#[test]
fn whatever_befalls_them_instances_lose_nothing_and_repeat_nothing() {
    let (count, first) = (
        size("GPADLIVE_PROOF_COUNT", 200),
        size("GPADLIVE_PROOF_SEED", 1),
    );
    let began = Instant::now();
    let outcomes = run_all(first, count);
    let failed = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.wrong.is_some());
    let failed: Vec<u64> = failed.map(|(seed, _)| *seed).collect();
    report(first, &outcomes, &failed, began.elapsed().as_secs());
    assert!(failed.is_empty(), "failing seeds: {failed:?}");
    let sum = |of: fn(&Outcome) -> u64| outcomes.values().map(of).sum::<u64>();
    assert!(sum(|outcome| outcome.letters) > 0 && sum(|outcome| outcome.sums) > 0);
    for kind in weather::FAULTS.into_iter().chain(weather::COUNTED) {
        let met = outcomes
            .values()
            .filter(|outcome| outcome.counts.contains_key(kind));
        assert!(met.count() > 0 || count < 100, "no seed has met: {kind}");
    }
}

#[test]
fn one_seed_is_one_course_of_events() {
    for seed in 1..=6 {
        let (once, again) = (run(seed, Limits::default()), run(seed, Limits::default()));
        assert_eq!(once.digest, again.digest, "seed {seed}");
        assert!(
            once.digest.0 > 1_000,
            "seed {seed}: {} turns",
            once.digest.0
        );
    }
}

fn report(first: u64, outcomes: &BTreeMap<u64, Outcome>, failed: &[u64], seconds: u64) {
    let sum = |of: fn(&Outcome) -> u64| outcomes.values().map(of).sum::<u64>().to_string();
    let count = outcomes.len();
    let mut text = "# Simulated instances\n\n".to_owned();
    let mut line = |name: &str, value: &str| writeln!(text, "| {name} | {value} |").unwrap();
    line("", "");
    line("---", "---");
    for (name, value) in stamp(&format!(
        "tests/prove simulation --count {count} --seed {first}"
    )) {
        line(name, &value);
    }
    line("seeds", &format!("{count}, from {first}"));
    line("turns of threads", &sum(|outcome| outcome.digest.0));
    line("simulated seconds", &sum(|outcome| outcome.simulated));
    line("instances started", &sum(|outcome| outcome.processes));
    for kind in weather::FAULTS.into_iter().chain(weather::COUNTED) {
        let of_kind = outcomes
            .values()
            .filter_map(|outcome| outcome.counts.get(kind));
        line(kind, &of_kind.sum::<u64>().to_string());
    }
    line(
        "transactions committed",
        &sum(|outcome| outcome.transactions),
    );
    line("records accounted for", &sum(|outcome| outcome.records));
    line(
        "sums across levels compared in committed states",
        &sum(|outcome| outcome.sums),
    );
    line(
        "rows equal to a batch run, key and figures",
        &sum(|outcome| outcome.rows),
    );
    line(
        "dead letters, each once, equal to a batch run",
        &sum(|outcome| outcome.letters),
    );
    line("duration", &format!("{seconds} s"));
    let result = if failed.is_empty() {
        "**passed**".to_owned()
    } else {
        format!("**failed** under these seeds: {failed:?}")
    };
    line("result", &result);
    eprintln!("{text}");
    if let Ok(path) = std::env::var("GPADLIVE_PROOF_REPORT") {
        fs::write(path, text).unwrap();
    }
}
