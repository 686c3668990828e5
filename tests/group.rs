//! Instances of one group: zombies, a storm of rebalances, and the same figures whatever their number.
//!
//! Short here; in full: `tests/prove storm`, `tests/prove zombies`.
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
use support::input::Input;
use support::instance::Instance;
use support::proof::{Proof, size};
use support::{Kafka, wait_for};

/// Tasks that an instance's log says it holds.
fn tasks(instance: &Instance) -> usize {
    let log = instance.log();
    let is_news =
        |line: &&str| line.contains("\"tasks assigned\"") || line.contains("\"tasks given up\"");
    let Some(last) = log.lines().rfind(is_news) else {
        return 0;
    };
    let line: serde_json::Value = serde_json::from_str(last).unwrap();
    line["fields"]["tasks"]
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .count()
}

/// Ends instances that have slept: how many were told of a newer one, and how many gave up at their own deadline.
/// What they had begun is over whichever comes first.
fn end(zombies: Vec<Instance>) -> [usize; 2] {
    let mut ends = [0; 2];
    for zombie in zombies {
        let log = zombie.log();
        assert!(log.contains("tasks lost"), "{log}");
        let said = [
            "has been fenced by a newer instance",
            "ending though not all is committed",
        ];
        for (end, said) in ends.iter_mut().zip(said) {
            *end += usize::from(log.contains(said));
        }
        let (status, _, log) = zombie.stop();
        assert!(status.success(), "{status}\n{log}");
    }
    ends
}

#[test]
fn zombies_are_fenced_and_none_of_their_rows_is_seen() {
    let _alone = support::alone();
    let rounds = size("GPADLIVE_PROOF_COUNT", 1);
    let seed = size("GPADLIVE_PROOF_SEED", 1);
    let kafka = Kafka::start();
    let records = usize::try_from(rounds).unwrap() * 4_000;
    let proof = Proof::prepare(&kafka.brokers(), Input::draw(records, seed), 4, 1);
    let healthy = proof.start();
    let (mut slept, mut fenced, mut given_up) = (0, 0, 0);
    for round in 0..rounds {
        // Inside a transaction: its records on the way, all of it stored, its commit asked for.
        let points = [Point::Produced, Point::OffsetsSent, Point::Committing];
        let zombies: Vec<Instance> = (points.into_iter())
            .map(|point| {
                let delay = if point == Point::Committing {
                    ":1000"
                } else {
                    ""
                };
                let at = format!("{}:{}{delay}", point.label(), 2 + (seed + round) % 4);
                Instance::start(&proof.with(&[("GPADLIVE_STOP_AT", &at)]))
            })
            .collect();
        wait_for("everyone to hold a task", Duration::from_mins(1), || {
            zombies
                .iter()
                .chain([&healthy])
                .all(|instance| tasks(instance) > 0)
        });
        let goal = proof.flow.total() * usize::try_from(round + 1).unwrap()
            / usize::try_from(rounds).unwrap();
        let drip = || {
            if proof.flow.left() > proof.flow.total() - goal + 500 {
                proof.flow.release(2);
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let began = Instant::now();
        while !zombies.iter().all(Instance::is_stopped) {
            drip();
            let told = zombies
                .iter()
                .map(Instance::log)
                .collect::<Vec<_>>()
                .join("\n");
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "not all are asleep\n{told}"
            );
        }
        // The healthy one is given everything once their sessions have run out.
        wait_for("a takeover", Duration::from_mins(1), || {
            drip();
            tasks(&healthy) == 5
        });
        proof.wait_until_accounted(proof.flow.sent(), Duration::from_mins(1));
        for zombie in &zombies {
            zombie.signal("CONT");
        }
        // They notice, and are of use again.
        wait_for(
            "the zombies to be given tasks again",
            Duration::from_mins(1),
            || {
                drip();
                tasks(&healthy) < 5 && zombies.iter().any(|zombie| tasks(zombie) > 0)
            },
        );
        slept += zombies.len();
        let ended = end(zombies);
        (fenced, given_up) = (fenced + ended[0], given_up + ended[1]);
        assert!(
            fenced + given_up > 0,
            "no zombie was in a transaction of its own"
        );
    }
    proof.finish(Duration::from_mins(2));
    proof.compare();
    let aborted = proof.aborted();
    assert!(
        aborted >= i64::try_from(rounds).unwrap(),
        "{aborted} transactions were aborted"
    );
    let facts = BTreeMap::from([
        (
            "zombies".to_owned(),
            format!("{slept}, asleep inside a transaction for longer than the session of 15 s"),
        ),
        (
            "told of a newer instance; gave up at their own deadline".to_owned(),
            format!("{fenced}; {given_up}"),
        ),
        ("seed".to_owned(), seed.to_string()),
    ]);
    proof.report(
        "Zombies",
        &format!("tests/prove zombies --count {rounds} --seed {seed}"),
        &facts,
    );
    let (status, _, log) = healthy.stop();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn a_storm_of_rebalances_does_not_stop_the_work() {
    let _alone = support::alone();
    let (seconds, seed) = (
        size("GPADLIVE_PROOF_COUNT", 20),
        size("GPADLIVE_PROOF_SEED", 1),
    );
    let per_second = 100;
    let kafka = Kafka::start();
    let records = usize::try_from(seconds).unwrap() * per_second;
    let proof = Proof::prepare(&kafka.brokers(), Input::draw(records, seed), 4, 1);
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut members = vec![proof.start()];
    let mut leaving: Vec<Instance> = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    let (mut joined, mut left) = (1, 0);
    proof.flow.release(100);
    proof.wait_until_accounted(1, Duration::from_secs(30));
    proof.flow.release_steadily(per_second);
    let began = Instant::now();
    let (mut last, mut since, mut longest) = (0, Instant::now(), Duration::ZERO);
    let mut next = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(seconds) {
        if began.elapsed() >= next {
            next += Duration::from_secs(1);
            if members.len() < 2 || (members.len() < 5 && chance.random_bool(0.5)) {
                members.push(proof.start());
                joined += 1;
            } else {
                let member = members.remove(chance.random_range(0..members.len()));
                member.signal("TERM");
                leaving.push(member);
                left += 1;
            }
        }
        leaving.retain_mut(|member| match member.ended() {
            None => true,
            Some(status) => {
                assert!(status.success(), "{status}\n{}", member.log());
                gone.push(member.log());
                false
            }
        });
        let accounted = proof.accounted();
        if accounted > last {
            longest = longest.max(since.elapsed());
            (last, since) = (accounted, Instant::now());
        }
        if since.elapsed() > Duration::from_secs(10) {
            let gone = gone.join("\n\n");
            panic!("no progress for 10 s: {accounted} records; of those that have left:\n{gone}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    proof.finish(Duration::from_mins(2));
    proof.compare();
    let unheard = gone
        .iter()
        .filter(|log| log.contains("leaving the group within"));
    let unheard = unheard.count();
    let facts = BTreeMap::from([
        (
            "left without the group's hearing of it".to_owned(),
            unheard.to_string(),
        ),
        (
            "joins, leaves".to_owned(),
            format!("{joined}, {left}, one a second; 2 to 5 members"),
        ),
        (
            "longest time without a record accounted for".to_owned(),
            format!("{:.1} s (10 s allowed)", longest.as_secs_f64()),
        ),
        ("seed".to_owned(), seed.to_string()),
    ]);
    proof.report(
        "A storm of rebalances",
        &format!("tests/prove storm --count {seconds} --seed {seed}"),
        &facts,
    );
}

#[test]
fn one_two_and_eight_instances_give_the_same_figures() {
    let _alone = support::alone();
    for instances in [1, 2, 8] {
        let kafka = Kafka::start();
        let proof = Proof::prepare(&kafka.brokers(), Input::draw(4_000, 7), 8, 1);
        let members: Vec<Instance> = (0..instances).map(|_| proof.start()).collect();
        // Eight tasks and the second stage, evenly.
        wait_for("an even share", Duration::from_mins(2), || {
            let shares: Vec<usize> = members.iter().map(tasks).collect();
            let most = 9_usize.div_ceil(instances);
            shares.iter().sum::<usize>() == 9
                && shares.iter().all(|share| (1..=most).contains(share))
        });
        proof.finish(Duration::from_mins(2));
        // Each the same as `replay`: each the same as the others.
        proof.compare();
        for member in members {
            let (status, _, log) = member.stop();
            assert!(status.success(), "{status}\n{log}");
        }
    }
}
