//! From values by key to settings: what each may be, and what its error tells.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, NaiveDate};
use toml::Value;

use super::source::{Source, integer, text, texts};
use super::{
    ClockSetting, Commit, ConfigError, Http, Kafka, Metrics, Registry, Seasons, Secret,
    ServicePeriod, Settings, Shown, State, Topics, TotalsSetting, Windows,
};
use crate::domain::time::{Day, Timestamp};

impl Settings {
    /// From a file, if one is named, with this process's environment over it.
    ///
    /// # Errors
    /// The first wrong key or value, with where it stands and what is allowed.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, std::env::vars()).map(|(settings, _)| settings)
    }

    /// As [`Settings::load`], with the environment given; also every setting with its origin.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn load_with(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<Shown>), ConfigError> {
        let mut source = Source::read(file, variables)?;
        let default = Self::default();
        let settings = Self {
            kafka: kafka(&mut source, default.kafka)?,
            topics: topics(&mut source, &default.topics)?,
            commit: Commit {
                interval: millis(
                    &mut source,
                    "commit.interval_ms",
                    default.commit.interval,
                    25..=60_000,
                )?,
                records: number(
                    &mut source,
                    "commit.records",
                    default.commit.records,
                    1..=1_000_000,
                )?,
            },
            state: state(&mut source, default.state)?,
            service_period: service_period(&mut source, default.service_period)?,
            horizon_days: number(&mut source, "horizon_days", default.horizon_days, 1..=3_660)?,
            windows: Windows {
                allowed_lateness: Duration::from_mins(number(
                    &mut source,
                    "windows.allowed_lateness_minutes",
                    default.windows.allowed_lateness.as_secs() / 60,
                    0..=525_600,
                )?),
                idle: Duration::from_secs(number(
                    &mut source,
                    "windows.idle_seconds",
                    default.windows.idle.as_secs(),
                    1..=86_400,
                )?),
                clock_ahead: Duration::from_secs(number(
                    &mut source,
                    "windows.clock_ahead_seconds",
                    default.windows.clock_ahead.as_secs(),
                    0..=86_400,
                )?),
            },
            ignorable_fields: source.take(
                "ignorable_fields",
                default.ignorable_fields,
                "a list of field names",
                texts,
                |list| format!("{list:?}"),
            )?,
            registry: registry(&mut source, &default.registry)?,
            http: http(&mut source, default.http)?,
            metrics: Metrics {
                series: number(
                    &mut source,
                    "metrics.series",
                    default.metrics.series,
                    100..=10_000_000,
                )?,
            },
            seasons: Seasons {
                published_totals: source.take(
                    "seasons.published_totals",
                    default.seasons.published_totals,
                    "built-in, off, or a file of the columns level,code,month,appointments",
                    |value| match text(value)?.as_str() {
                        "built-in" => Some(TotalsSetting::BuiltIn),
                        "off" => Some(TotalsSetting::Off),
                        path => Some(TotalsSetting::File(path.into())),
                    },
                    |totals| match totals {
                        TotalsSetting::BuiltIn => "\"built-in\"".to_owned(),
                        TotalsSetting::Off => "\"off\"".to_owned(),
                        TotalsSetting::File(path) => format!("\"{}\"", path.display()),
                    },
                )?,
            },
            clock: source.take(
                "clock",
                default.clock,
                ClockSetting::EXPECTED,
                ClockSetting::parse,
                |clock| format!("\"{clock}\""),
            )?,
            aggregates: source.take_value("aggregate"),
        };
        Ok((settings, source.finish()?))
    }
}

fn state(source: &mut Source, default: State) -> Result<State, ConfigError> {
    Ok(State {
        directory: source.take(
            "state.directory",
            default.directory,
            "a directory, or off",
            |value| match text(value)?.as_str() {
                "off" => Some(None),
                path => Some(Some(path.into())),
            },
            |directory| {
                directory.as_ref().map_or_else(
                    || "\"off\"".to_owned(),
                    |path| format!("\"{}\"", path.display()),
                )
            },
        )?,
        snapshot: Duration::from_secs(number(
            source,
            "state.snapshot_seconds",
            default.snapshot.as_secs(),
            1..=86_400,
        )?),
        standby: number(source, "state.standby", default.standby, 0..=1_000)?,
        history_days: number(
            source,
            "state.history_days",
            default.history_days,
            0..=3_660,
        )?,
        sweep: number(
            source,
            "state.sweep_entries",
            default.sweep,
            100..=100_000_000,
        )?,
    })
}

fn kafka(source: &mut Source, default: Kafka) -> Result<Kafka, ConfigError> {
    Ok(Kafka {
        brokers: source.take(
            "kafka.brokers",
            default.brokers,
            "HOST:PORT, or several with commas between",
            |value| text(value).filter(|list| list.split(',').all(is_host_and_port)),
            |brokers| format!("{brokers:?}"),
        )?,
        group: source.take(
            "kafka.group",
            default.group,
            "a name without spaces",
            name,
            |name| format!("{name:?}"),
        )?,
        instance: optional(source, "kafka.instance", "a name without spaces", name)?,
        // Above the 10 s after which a transaction of ours that nobody ends is aborted.
        session: Duration::from_secs(number(
            source,
            "kafka.session_seconds",
            default.session.as_secs(),
            11..=1_800,
        )?),
        undecided: Duration::from_secs(number(
            source,
            "kafka.undecided_seconds",
            default.undecided.as_secs(),
            1..=86_400,
        )?),
        patience: Duration::from_secs(number(
            source,
            "kafka.patience_seconds",
            default.patience.as_secs(),
            1..=3_600,
        )?),
        fetch_kib: number(source, "kafka.fetch_kib", default.fetch_kib, 64..=2_097_151)?,
        client: source.take_all("kafka.client.")?,
    })
}

fn topics(source: &mut Source, default: &Topics) -> Result<Topics, ConfigError> {
    Ok(Topics {
        partitions: number(source, "topics.partitions", default.partitions, 1..=1_000)?,
        row_partitions: number(
            source,
            "topics.row_partitions",
            default.row_partitions,
            1..=1_000,
        )?,
        delta_partitions: number(
            source,
            "topics.delta_partitions",
            default.delta_partitions,
            1..=100,
        )?,
        replication: source.take(
            "topics.replication",
            default.replication,
            "1 to 9, or -1 for the broker's default",
            |value| {
                integer(value)
                    .and_then(|n| i32::try_from(n).ok())
                    .filter(|n| *n == -1 || (1..=9).contains(n))
            },
            ToString::to_string,
        )?,
    })
}

fn service_period(
    source: &mut Source,
    default: ServicePeriod,
) -> Result<ServicePeriod, ConfigError> {
    let from = source.take(
        "service_period.from",
        default.from,
        "a day as YYYY-MM-DD",
        parse_day,
        |day| show_day(*day),
    )?;
    let to = source.take(
        "service_period.to",
        default.to,
        "a day as YYYY-MM-DD that is not before service_period.from, or open",
        |value| match value.as_str() {
            Some("open") => Some(None),
            _ => parse_day(value).filter(|to| *to >= from).map(Some),
        },
        |day| day.map_or_else(|| "\"open\"".to_owned(), show_day),
    )?;
    Ok(ServicePeriod { from, to })
}

fn http(source: &mut Source, default: Http) -> Result<Http, ConfigError> {
    Ok(Http {
        address: source.take(
            "http.address",
            default.address,
            "ADDRESS:PORT such as 127.0.0.1:9464, or off",
            |value| match value.as_str()?.trim() {
                "off" => Some(None),
                text => text.parse().ok().map(Some),
            },
            |address| address.map_or_else(|| "\"off\"".to_owned(), |a| format!("\"{a}\"")),
        )?,
        releases: source.take(
            "http.releases",
            default.releases,
            "the folder that publish has as --output, or off",
            |value| match text(value)?.as_str() {
                "off" => Some(None),
                path => Some(Some(path.into())),
            },
            |folder| {
                folder.as_ref().map_or_else(
                    || "\"off\"".to_owned(),
                    |path| format!("\"{}\"", path.display()),
                )
            },
        )?,
    })
}

fn registry(source: &mut Source, default: &Registry) -> Result<Registry, ConfigError> {
    Ok(Registry {
        url: optional(
            source,
            "registry.url",
            "a URL that begins with http:// or https://",
            |value| {
                text(value)
                    .filter(|url| url.starts_with("http://") || url.starts_with("https://"))
                    .map(|url| url.trim_end_matches('/').to_owned())
            },
        )?,
        username: optional(source, "registry.username", "text", text)?,
        password: source.take(
            "registry.password",
            None,
            "text",
            |value| text(value).map(|secret| Some(Secret(secret))),
            |secret| {
                if secret.is_some() {
                    "(hidden)".to_owned()
                } else {
                    "(none)".to_owned()
                }
            },
        )?,
        timeout: millis(source, "registry.timeout_ms", default.timeout, 100..=60_000)?,
    })
}

fn number<T>(
    source: &mut Source,
    key: &'static str,
    default: T,
    range: std::ops::RangeInclusive<i64>,
) -> Result<T, ConfigError>
where
    T: TryFrom<i64> + fmt::Display,
{
    source.take(
        key,
        default,
        &format!("a whole number from {} to {}", range.start(), range.end()),
        |value| {
            integer(value)
                .filter(|n| range.contains(n))
                .and_then(|n| T::try_from(n).ok())
        },
        ToString::to_string,
    )
}

fn millis(
    source: &mut Source,
    key: &'static str,
    default: Duration,
    range: std::ops::RangeInclusive<i64>,
) -> Result<Duration, ConfigError> {
    let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
    number(source, key, default, range).map(Duration::from_millis)
}

fn optional(
    source: &mut Source,
    key: &'static str,
    expected: &str,
    parse: impl FnOnce(&Value) -> Option<String>,
) -> Result<Option<String>, ConfigError> {
    source.take(
        key,
        None,
        expected,
        |value| parse(value).map(Some),
        |value| {
            value
                .as_ref()
                .map_or_else(|| "(none)".to_owned(), |text| format!("{text:?}"))
        },
    )
}

fn name(value: &Value) -> Option<String> {
    text(value).filter(|name| name.len() <= 200 && !name.contains(char::is_whitespace))
}

fn is_host_and_port(broker: &str) -> bool {
    broker.trim().rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// From text, or from TOML's own date.
fn parse_day(value: &Value) -> Option<Day> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Datetime(date) => date.to_string(),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Array(_)
        | Value::Table(_) => {
            return None;
        }
    };
    text.parse::<NaiveDate>().ok().map(Day::from_date)
}

fn show_day(day: Day) -> String {
    day.date()
        .map_or_else(String::new, |date| format!("\"{date}\""))
}

impl ClockSetting {
    const EXPECTED: &str = "wall, or fixed YYYY-MM-DDTHH:MM:SSZ, or scaled YYYY-MM-DDTHH:MM:SSZ SPEED (1 to 1,000,000)";

    fn parse(value: &Value) -> Option<Self> {
        let instant = |text: &str| {
            DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|time| Timestamp(time.timestamp_millis()))
        };
        let words: Vec<&str> = value.as_str()?.split_whitespace().collect();
        match words.as_slice() {
            ["wall"] => Some(Self::Wall),
            ["fixed", at] => instant(at).map(Self::Fixed),
            ["scaled", start, speed] => {
                let speed = speed
                    .parse()
                    .ok()
                    .filter(|speed| (1..=1_000_000).contains(speed))?;
                Some(Self::Scaled {
                    start: instant(start)?,
                    speed,
                })
            }
            _ => None,
        }
    }
}

impl fmt::Display for ClockSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wall => f.write_str("wall"),
            Self::Fixed(at) => write!(f, "fixed {}", at.to_rfc3339()),
            Self::Scaled { start, speed } => write!(f, "scaled {} {speed}", start.to_rfc3339()),
        }
    }
}
