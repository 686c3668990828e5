//! Sends simulated suppliers' records to a log, as their senders do.

use std::time::{Duration, Instant};

use crate::simulate::error::Error;
use crate::simulate::sink::{Sink, Topic};
use crate::wire::framing::frame;

use super::clock::monotonic;
use super::log::{Append, Log, LogError, NewRecord};
use super::registry::RegistryError;
use super::schemas::Schemas;

/// A simulation's way to a log: framed with the schema's id, keyed and partitioned as feeds.md says.
pub struct LogSink {
    append: Box<dyn Append>,
    /// By the order of [`Topic::ALL`].
    ids: Vec<(Topic, u32)>,
    value: Vec<u8>,
    pace: Option<Pace>,
}

impl std::fmt::Debug for LogSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogSink")
            .field("ids", &self.ids)
            .finish_non_exhaustive()
    }
}

/// How fast simulated time passes.
#[derive(Debug, Clone, Copy)]
struct Pace {
    speed: f64,
    /// Simulated time of the first supplier record, and when it was sent.
    began: Option<(i64, Instant)>,
}

impl Pace {
    fn wait(&mut self, extracted_at: i64) {
        let (first, began) = *self
            .began
            .get_or_insert_with(|| (extracted_at, monotonic()));
        // Late records carry an older time: they are due at once.
        let due = (extracted_at - first).max(0) as f64 / 1_000.0 / self.speed;
        let early = Duration::from_secs_f64(due).saturating_sub(began.elapsed());
        if early > Duration::from_millis(1) {
            std::thread::sleep(early);
        }
    }
}

/// The log or the registry cannot take what is simulated.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error("topic {0} is missing: `gpad-live topics create` makes it")]
    Missing(&'static str),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl LogSink {
    /// `speed`: how many times faster than life; `None` sends as fast as the log takes it.
    ///
    /// # Errors
    /// When a topic is missing, or log or registry are away.
    pub fn new(log: &dyn Log, schemas: &Schemas, speed: Option<f64>) -> Result<Self, FeedError> {
        let names = Topic::ALL.map(Topic::name);
        for (name, partitions) in names.into_iter().zip(log.partitions(&names)?) {
            partitions.ok_or(FeedError::Missing(name))?;
        }
        let ids = Topic::ALL
            .into_iter()
            .map(|topic| {
                let name = topic.name();
                Ok((topic, schemas.id(&format!("{name}-value"), name)?))
            })
            .collect::<Result<_, RegistryError>>()?;
        Ok(Self {
            append: log.appender()?,
            ids,
            value: Vec::new(),
            pace: speed.map(|speed| Pace { speed, began: None }),
        })
    }

    /// Returns when everything sent so far is stored.
    ///
    /// # Errors
    /// When something was not delivered.
    pub fn flush(&mut self) -> Result<(), LogError> {
        self.append.flush()
    }

    /// Returns when everything sent is stored.
    ///
    /// # Errors
    /// When something was not delivered.
    pub fn finish(mut self) -> Result<(), LogError> {
        self.append.flush()
    }
}

impl Sink for LogSink {
    fn send(
        &mut self,
        topic: Topic,
        key: &[u8],
        datum: &[u8],
        extracted_at: i64,
    ) -> Result<(), Error> {
        if let (Topic::Supplier(_), Some(pace)) = (topic, &mut self.pace) {
            pace.wait(extracted_at);
        }
        let id = self
            .ids
            .iter()
            .find(|(known, _)| *known == topic)
            .map_or(0, |(_, id)| *id);
        self.value.clear();
        frame(id, datum, &mut self.value);
        self.append
            .append(&NewRecord {
                topic: topic.name(),
                partition: None,
                key: Some(key),
                value: Some(&self.value),
            })
            .map_err(|error| {
                Error::world(
                    format!("sending to {}", topic.name()),
                    std::io::Error::other(error),
                )
            })
    }
}
