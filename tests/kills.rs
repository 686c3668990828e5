//! Instances killed by SIGKILL, at armed points of their transactions and at random moments, while input flows.
//!
//! Short here; in full: `tests/prove kills --count 1000 --seed 1`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use gpad_live::adapters::crash::Point;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::Kafka;
use support::input::Input;
use support::instance::Instance;
use support::proof::{Proof, size};

const VARIABLE: &str = "GPADLIVE_CRASH_AT";
const SIGKILL: i32 = 9;
const PARTITIONS: i32 = 3;
/// Records for each kill: enough that transactions of every task are under way while it is waited for.
const RECORDS_PER_KILL: usize = 150;
/// Points that every instance with a task passes all the time. Others lie in work that is rarer: they are drawn as often,
/// and who has not reached one in good time dies at random.
const ALWAYS: [Point; 5] = [
    Point::Begun,
    Point::Produced,
    Point::OffsetsSent,
    Point::Committing,
    Point::Committed,
];
/// An armed instance that was not given the task that would pass its point is killed after this.
const PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE_IF_RARE: Duration = Duration::from_secs(6);

/// How an instance is to die.
struct Fate {
    point: Option<Point>,
    armed: String,
    at: Instant,
}

impl Fate {
    /// One of every point and one at random, in turn.
    fn draw(number: usize, chance: &mut ChaCha8Rng) -> Self {
        let point = Point::UNASKED
            .get(number % (Point::UNASKED.len() + 1))
            .copied();
        let at = Instant::now();
        match point {
            None => Self {
                point,
                armed: String::new(),
                at: at + Duration::from_millis(chance.random_range(0..3_000)),
            },
            Some(point) => {
                let is_rare = !ALWAYS.contains(&point);
                let nth = chance.random_range(1..=if is_rare { 2 } else { 12 });
                let patience = if is_rare { PATIENCE_IF_RARE } else { PATIENCE };
                // Into the middle of the call that commits.
                let delay = if point == Point::Committing {
                    format!(":{}", chance.random_range(0..4_000))
                } else {
                    String::new()
                };
                let armed = format!("{}:{nth}{delay}", point.label());
                Self {
                    point: Some(point),
                    armed,
                    at: at + patience,
                }
            }
        }
    }
}

struct Victim {
    name: &'static str,
    instance: Instance,
    fate: Fate,
}

impl Victim {
    fn start(proof: &Proof, name: &'static str, fate: Fate) -> Self {
        let armed: &[(&str, &str)] = if fate.point.is_some() {
            &[(VARIABLE, &fate.armed)]
        } else {
            &[]
        };
        Self {
            name,
            instance: proof.start_named(name, armed),
            fate,
        }
    }

    /// How it died, once it has.
    fn died(&mut self) -> Option<&'static str> {
        if let Some(status) = self.instance.ended() {
            assert_eq!(
                status.signal(),
                Some(SIGKILL),
                "{status}: {}",
                self.instance.log()
            );
            return Some(self.fate.point.map_or("at random", Point::label));
        }
        if Instant::now() < self.fate.at {
            return None;
        }
        self.instance.signal("KILL");
        while self.instance.ended().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Some("at random")
    }
}

#[test]
fn killed_instances_lose_nothing_and_repeat_nothing() {
    let (count, seed) = (
        size("GPADLIVE_PROOF_COUNT", 20),
        size("GPADLIVE_PROOF_SEED", 1),
    );
    let kills = usize::try_from(count).unwrap();
    let input = Input::draw(kills * RECORDS_PER_KILL, seed);
    let kafka = Kafka::start();
    let proof = Proof::prepare(&kafka.brokers(), input, PARTITIONS, 1);
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = 0;
    let mut draw = |drawn: &mut usize| {
        *drawn += 1;
        Fate::draw(*drawn, &mut chance)
    };
    let mut victims: Vec<Victim> = ["a", "b"]
        .into_iter()
        .map(|name| Victim::start(&proof, name, draw(&mut drawn)))
        .collect();
    let mut by_point: BTreeMap<&str, usize> = BTreeMap::new();
    let mut done = 0;
    while done < kills {
        // A share of the input for each kill, let go in drips: every kill hits work under way.
        let drip = (proof.flow.left() / (kills - done))
            .div_ceil(60)
            .min(proof.flow.left() / 2);
        proof.flow.release(drip);
        std::thread::sleep(Duration::from_millis(20));
        for victim in &mut victims {
            let Some(how) = victim.died() else { continue };
            assert!(
                proof.flow.left() > 0,
                "the input ran dry after {done} kills"
            );
            *by_point.entry(how).or_default() += 1;
            done += 1;
            *victim = Victim::start(&proof, victim.name, draw(&mut drawn));
            if done.is_multiple_of(50) {
                eprintln!("{done} kills, {} records accounted for", proof.accounted());
            }
        }
        proof.auditor.look(|_| ());
    }
    for victim in victims {
        victim.instance.kill();
    }
    let last = [proof.start_named("a", &[]), proof.start_named("b", &[])];
    proof.finish(Duration::from_mins(3));
    proof.compare();
    for point in ALWAYS {
        assert!(
            by_point.contains_key(point.label()),
            "nobody died {}",
            point.label()
        );
    }
    let mut facts = BTreeMap::from([
        ("kills".to_owned(), done.to_string()),
        ("seed".to_owned(), seed.to_string()),
        (
            "instances".to_owned(),
            format!(
                "2, static members; {PARTITIONS} tasks and the second stage; commit interval 25 ms"
            ),
        ),
    ]);
    for (point, kills) in &by_point {
        facts.insert(format!("kills, {point}"), kills.to_string());
    }
    let command = format!("tests/prove kills --count {count} --seed {seed}");
    proof.report("Killed instances", &command, &facts);
    for instance in last {
        let (status, _, log) = instance.stop();
        assert!(status.success(), "{status}\n{log}");
    }
}
