//! What of everything that may happen does happen in a seed, and how often.

use std::time::Duration;

use gpad_live::config::Commit;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::world::Odds;

pub const KILLED: &str = "instances killed";
pub const ASLEEP: &str = "instances put to sleep";
pub const CUT: &str = "instances cut off";
pub const COMING: &str = "instances told to come or go";
pub const AWAY: &str = "times that all brokers were away";
pub const SLOW: &str = "times that a topic or markers became slow or fast";
pub const BLIND: &str = "times that an instance could not read a topic";
pub const READMITTED: &str = "practices readmitted";
pub const COMPACTED: &str = "times that a reference topic was compacted";
pub const SNAPSHOTS: &str = "states restored from a snapshot";
pub const STANDBYS: &str = "states restored from what a standby had followed";
pub const CHANGELOGS: &str = "states restored from the changelog alone";
pub const SWEPT: &str = "times that the changelog was swept";
pub const DOUBTS: &str = "requests of transactions that were lost, unheard or late";
/// What else is counted.
pub const COUNTED: [&str; 5] = [DOUBTS, SNAPSHOTS, STANDBYS, CHANGELOGS, SWEPT];
/// In the order of their weights.
pub const FAULTS: [&str; 9] = [
    KILLED, ASLEEP, CUT, COMING, AWAY, SLOW, COMPACTED, BLIND, READMITTED,
];

/// What a seed may do. The default is everything.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub records: usize,
    pub seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 220,
            seconds: 16,
        }
    }
}

/// What of everything that may happen does, in this seed.
pub struct Weather {
    /// Tasks.
    pub partitions: usize,
    pub has_newcomers: bool,
    pub commit: Commit,
    pub snapshot: Duration,
    /// Entries between two sweeps of the changelog.
    pub sweep: u64,
    pub shares_directory: bool,
    pub has_names: bool,
    pub most: usize,
    pub odds: Odds,
    pub nothing: u32,
    pub kills: u32,
    pub sleeps: u32,
    pub cuts: u32,
    pub comings: u32,
    pub away: u32,
    pub slow: u32,
    pub foreign: u32,
    pub compaction: u32,
    pub blindness: u32,
    pub readmissions: u32,
    pub skew: i64,
    /// Tasks that each instance follows.
    pub standby: usize,
}

impl Weather {
    pub fn draw(chance: &mut ChaCha8Rng) -> Self {
        let mut odds = |most: u32| {
            if chance.random_bool(0.5) {
                chance.random_range(0..=most)
            } else {
                0
            }
        };
        let odds = Odds {
            lost: odds(100),
            unheard: odds(200),
            late: odds(200),
            retry: odds(200),
            renew: odds(100),
            slow: odds(200),
        };
        let mut weight = || {
            if chance.random_bool(0.6) {
                chance.random_range(1..10)
            } else {
                0
            }
        };
        let weights: [u32; 10] = [(); 10].map(|()| weight());
        Self {
            commit: Commit {
                interval: Duration::from_millis(chance.random_range(10..=200)),
                records: chance.random_range(3..=100),
            },
            snapshot: Duration::from_millis(chance.random_range(100..=2_000)),
            sweep: chance.random_range(40..=2_000),
            shares_directory: chance.random_bool(0.5),
            has_names: chance.random_bool(0.4),
            most: chance.random_range(1..=4),
            odds,
            nothing: chance.random_range(30..600),
            kills: weights[0],
            sleeps: weights[1],
            cuts: weights[2],
            comings: weights[3],
            away: weights[4] / 3,
            slow: weights[5],
            foreign: weights[6],
            compaction: weights[7],
            blindness: weights[8],
            readmissions: weights[9],
            partitions: chance.random_range(1..=3),
            has_newcomers: chance.random_bool(0.3),
            skew: chance.random_range(0..=3_600_000),
            // All or none: which of several an instance prefers is not drawn here.
            standby: if chance.random_bool(0.5) { 100 } else { 0 },
        }
    }

    /// Nothing befalls anybody but what a scenario wants.
    pub fn calm(partitions: usize) -> Self {
        Self {
            partitions,
            has_newcomers: false,
            commit: Commit {
                interval: Duration::from_millis(20),
                records: 20,
            },
            snapshot: Duration::from_millis(300),
            sweep: 200,
            shares_directory: false,
            has_names: false,
            most: 4,
            odds: Odds::default(),
            nothing: 1,
            kills: 0,
            sleeps: 0,
            cuts: 0,
            comings: 0,
            away: 0,
            slow: 0,
            foreign: 0,
            compaction: 0,
            blindness: 0,
            readmissions: 0,
            skew: 0,
            standby: 0,
        }
    }
}
