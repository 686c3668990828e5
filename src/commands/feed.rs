//! Simulated records on their way into a log by a clock, continued where they ended.

use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crate::adapters::clock::{Clock, monotonic};
use crate::adapters::feed::{FeedError, LogSink};
use crate::adapters::log::{Log, LogError};
use crate::adapters::schemas::Schemas;
use crate::domain::time::Timestamp;
use crate::domain::topic::{ReferenceTopic, SupplierTopic};
use crate::service::Stop;
use crate::simulate::error::Error;
use crate::simulate::sink::{Sink, Topic};

/// Records that go out slowly are stored this often.
const FLUSH: Duration = Duration::from_millis(40);
/// How soon a wait notices a stop.
const TICK: Duration = Duration::from_millis(50);

/// When records go out.
pub struct Pace {
    /// What happened until then goes out at once.
    pub start: Timestamp,
    /// Told, once all of that is out, which time it is now: `start`, or later where an earlier run went on.
    pub ready: Sender<Timestamp>,
    /// Answers with the clock that the rest waits for.
    pub clock: Receiver<Clock>,
}

/// Sends a run's records when their time has come.
pub struct Feed {
    sink: LogSink,
    /// Records that the log has already: reference data, suppliers' records.
    stored: [u64; 2],
    /// Until everything before the start is out.
    pace: Option<Pace>,
    clock: Option<Clock>,
    /// The greatest version sent: about when the records in hand arrive.
    newest: Timestamp,
    flushed: Instant,
    stop: Stop,
}

impl Feed {
    /// # Errors
    /// When a topic is missing, or log or registry are away.
    pub fn new(
        log: &dyn Log,
        schemas: &Schemas,
        pace: Pace,
        stop: &Stop,
    ) -> Result<Self, FeedError> {
        Ok(Self {
            sink: LogSink::new(log, schemas, None)?,
            stored: [0, 0],
            pace: Some(pace),
            clock: None,
            newest: Timestamp(i64::MIN),
            flushed: monotonic(),
            stop: stop.clone(),
        })
    }

    /// Leaves out what the log holds already. A run gives the same records in the same order each time and they are
    /// stored in that order, so how many there are says which.
    ///
    /// # Errors
    /// When the log cannot say.
    pub fn continuing(mut self, log: &dyn Log) -> Result<Self, LogError> {
        let sum = |names: Vec<&'static str>| -> Result<u64, LogError> {
            let mut sum = 0;
            for (name, count) in names.iter().zip(log.partitions(&names)?) {
                for partition in 0..count.unwrap_or(0) {
                    sum += log.ends(name, partition)?.end.unsigned_abs();
                }
            }
            Ok(sum)
        };
        self.stored = [
            sum(ReferenceTopic::ALL.map(ReferenceTopic::name).to_vec())?,
            sum(SupplierTopic::ALL.map(SupplierTopic::name).to_vec())?,
        ];
        Ok(self)
    }

    /// Stores what is left, and lets those go on who wait for the start.
    ///
    /// # Errors
    /// When the log refuses.
    pub fn finish(mut self) -> Result<(), Error> {
        self.flush()?;
        self.begin()
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.flushed = monotonic();
        self.sink.flush().map_err(failed)
    }

    /// Everything before the start is out: asks for the clock.
    fn begin(&mut self) -> Result<(), Error> {
        let Some(pace) = self.pace.take() else {
            return Ok(());
        };
        self.flush()?;
        let now = pace.start.max(self.newest);
        // Whoever asked has gone: then the service is stopping.
        pace.ready.send(now).map_err(|_| stopped())?;
        self.clock = Some(pace.clock.recv().map_err(|_| stopped())?);
        Ok(())
    }

    /// Waits until it is time for a record of this version.
    fn wait(&mut self, version: Timestamp) -> Result<(), Error> {
        if let Some(pace) = &self.pace
            && version > pace.start
        {
            self.begin()?;
        }
        self.newest = self.newest.max(version);
        let Some(clock) = self.clock else {
            return Ok(());
        };
        while clock.now() < self.newest {
            if self.flushed.elapsed() >= FLUSH {
                self.flush()?;
            }
            let left = self
                .newest
                .0
                .saturating_sub(clock.now().0)
                .max(0)
                .unsigned_abs();
            if self
                .stop
                .wait(Duration::from_millis(left).min(FLUSH).min(TICK))
            {
                return Err(stopped());
            }
        }
        if self.flushed.elapsed() >= FLUSH {
            self.flush()?;
        }
        Ok(())
    }
}

impl Sink for Feed {
    fn send(
        &mut self,
        topic: Topic,
        key: &[u8],
        datum: &[u8],
        extracted_at: i64,
    ) -> Result<(), Error> {
        if self.stop.is_requested() {
            return Err(stopped());
        }
        let is_supplier = matches!(topic, Topic::Supplier(_));
        let stored = &mut self.stored[usize::from(is_supplier)];
        if *stored > 0 {
            *stored -= 1;
            if is_supplier {
                self.newest = self.newest.max(Timestamp(extracted_at));
            }
            return Ok(());
        }
        if is_supplier {
            self.wait(Timestamp(extracted_at))?;
        }
        self.sink.send(topic, key, datum, extracted_at)
    }
}

fn failed(error: LogError) -> Error {
    Error::world("storing simulated records", std::io::Error::other(error))
}

/// Not a failure: the service was asked to stop.
fn stopped() -> Error {
    Error::world("stopped", std::io::ErrorKind::Interrupted.into())
}

/// Whether a run ended because it was asked to.
#[must_use]
pub fn is_stop(error: &Error) -> bool {
    matches!(error, Error::World { source, .. } if source.kind() == std::io::ErrorKind::Interrupted)
}
