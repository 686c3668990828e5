//! Settings, typed and validated: a file and the environment in, or one clear error.

pub mod aggregates;
mod parse;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use crate::domain::time::{Day, Timestamp};
pub use source::{ConfigError, Origin, Shown};

/// Every setting of the service. The defaults are those of `deploy/gpad-live.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub kafka: Kafka,
    pub topics: Topics,
    pub commit: Commit,
    pub state: State,
    pub service_period: ServicePeriod,
    /// Appointment dates within this many days before and after the greatest `extracted_at` are live.
    pub horizon_days: u16,
    pub windows: Windows,
    /// Fields of writer schemas that are skipped undecoded instead of refused (feeds.md, rule 2).
    pub ignorable_fields: Vec<String>,
    pub registry: Registry,
    pub http: Http,
    pub metrics: Metrics,
    pub seasons: Seasons,
    pub clock: ClockSetting,
    /// `[[aggregate]]` as it stands in the file, and the file; the defaults where there is none.
    pub aggregates: Option<(Value, Origin)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// The consumer group, and the first half of every transactional id.
    pub group: String,
    /// Static membership: a restart under the same name moves no task.
    pub instance: Option<String>,
    /// How long the group waits for a member that it does not hear of before it gives its tasks away.
    pub session: Duration,
    /// An input whose last stable offset stands still for longer is held up by another producer's transaction.
    pub undecided: Duration,
    /// How long a broker that does not answer is waited for before a start gives up.
    pub patience: Duration,
    /// Most memory that an instance's fetched, unread records of its inputs may take, in KiB, shared by its tasks.
    pub fetch_kib: u32,
    /// Passed on to librdkafka by name: security, above all.
    pub client: BTreeMap<String, String>,
}

/// What `topics create` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Of each supplier topic: the greatest number of tasks.
    pub partitions: i32,
    /// Of each aggregate's topic.
    pub row_partitions: i32,
    /// Of `gpad.deltas`: how many parts the second stage has.
    pub delta_partitions: i32,
    /// `-1`: the broker's default.
    pub replication: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The longest that a record taken in waits for its transaction.
    pub interval: Duration,
    /// A transaction is closed at this many records even before its time.
    pub records: usize,
}

/// Both days in (feeds.md, rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServicePeriod {
    pub from: Day,
    /// `None`: open-ended.
    pub to: Option<Day>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// `None`: no snapshots, a restart reads the changelog alone.
    pub directory: Option<PathBuf>,
    /// From the end of one snapshot to the beginning of the next.
    pub snapshot: Duration,
    /// Tasks of other instances that one instance follows at most, to take them over warm.
    pub standby: usize,
    /// Entries that the changelog takes at least before the whole state is written to it again.
    pub sweep: u64,
    /// For how long what the aggregates' rows said before is kept; 0: not at all.
    pub history_days: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// How long after a window's end its figures stay provisional.
    pub allowed_lateness: Duration,
    /// After this silence a supplier, or a partition of its, no longer holds the others back.
    pub idle: Duration,
    /// A time of extraction further ahead of the clock is counted.
    pub clock_ahead: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Base of the Confluent API. `None`: the compiled-in schemas under their fixed ids.
    pub url: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// Of one call.
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// `None`: no server.
    pub address: Option<SocketAddr>,
    /// Where `publish` puts its releases, for the page to offer them. `None`: it offers none.
    pub releases: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// A configuration whose metrics could grow to more series than this does not start.
    pub series: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seasons {
    pub published_totals: TotalsSetting,
}

/// Where published totals of earlier months come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TotalsSetting {
    /// `deploy/reference/published_totals.csv`.
    BuiltIn,
    Off,
    File(PathBuf),
}

/// What time it is: the wall's, one instant, or simulated time that runs `speed` times as fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockSetting {
    Wall,
    Fixed(Timestamp),
    Scaled { start: Timestamp, speed: u32 },
}

/// Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kafka: Kafka {
                brokers: "localhost:9092".to_owned(),
                group: "gpad-live".to_owned(),
                instance: None,
                session: Duration::from_secs(15),
                undecided: Duration::from_mins(1),
                patience: Duration::from_secs(30),
                fetch_kib: 128 * 1024,
                client: BTreeMap::new(),
            },
            topics: Topics {
                partitions: 8,
                row_partitions: 1,
                delta_partitions: 1,
                replication: -1,
            },
            commit: Commit {
                interval: Duration::from_millis(100),
                records: 20_000,
            },
            state: State {
                directory: None,
                snapshot: Duration::from_mins(1),
                standby: 0,
                sweep: 20_000,
                history_days: 35,
            },
            service_period: ServicePeriod {
                from: day(2020, 3, 1),
                to: Some(day(2023, 2, 28)),
            },
            horizon_days: 400,
            windows: Windows {
                allowed_lateness: Duration::from_hours(72),
                idle: Duration::from_mins(5),
                clock_ahead: Duration::from_mins(1),
            },
            ignorable_fields: Vec::new(),
            registry: Registry {
                url: None,
                username: None,
                password: None,
                timeout: Duration::from_secs(5),
            },
            http: Http {
                address: Some(SocketAddr::from(([127, 0, 0, 1], 9464))),
                releases: None,
            },
            metrics: Metrics { series: 10_000 },
            seasons: Seasons {
                published_totals: TotalsSetting::BuiltIn,
            },
            clock: ClockSetting::Wall,
            aggregates: None,
        }
    }
}

fn day(year: i32, month: u32, day: u32) -> Day {
    Day::from_ymd(year, month, day).expect("the calendar has the day")
}

#[cfg(test)]
mod tests;
