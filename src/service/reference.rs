//! The reference topics: read to their ends before anything else, then followed.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use apache_avro::Schema;

use super::observe::{Observation, Observer};
use super::stop::Stop;
use crate::adapters::clock::{monotonic, since};
use crate::adapters::log::{Log, LogError, Message, Position, Remedy, Span};
use crate::adapters::schemas::{NoSchema, Schemas};
use crate::domain::reference::Reference;
use crate::domain::topic::ReferenceTopic;
use crate::stages::refer::Refer;
use crate::wire::datum::Datum;
use crate::wire::framing::unframe;
use crate::wire::reference::{Participation, Practice, SlotTypeMapping};

/// Changes are gathered for this long before the tasks are told: each telling may restate a month.
const GATHER: Duration = Duration::from_millis(100);

/// The reference data as of positions in its topics.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub reference: Arc<Reference>,
    /// Every partition's, in the order of topics and partitions.
    pub positions: Arc<[Position]>,
    /// Grows with every snapshot of this process.
    pub version: u64,
}

/// Where the newest snapshot is to be had.
pub struct ReferenceFeed {
    log: Arc<dyn Log>,
    schemas: Arc<Schemas>,
    observer: Arc<dyn Observer>,
    current: Mutex<Snapshot>,
    version: AtomicU64,
}

impl ReferenceFeed {
    /// Reads the reference topics to their ends.
    ///
    /// # Errors
    /// When the log fails, or a topic is missing.
    pub fn read(
        log: Arc<dyn Log>,
        schemas: Arc<Schemas>,
        observer: Arc<dyn Observer>,
        stop: &Stop,
    ) -> Result<Self, LogError> {
        let mut loader = Loader::new(&schemas, &*observer, stop);
        let mut positions = Vec::new();
        for topic in ReferenceTopic::ALL {
            let partitions = partitions_of(&*log, topic)?;
            let spans: Vec<Span> = (0..partitions).map(Span::whole).collect();
            positions.extend(log.scan(topic.name(), &spans, &mut |message| {
                loader.take(topic, message)
            })?);
        }
        let practices = loader.reference.practices().count();
        tracing::info!(records = loader.read, practices, "reference data read");
        let snapshot = Snapshot {
            reference: Arc::new(loader.reference),
            positions: positions.into(),
            version: 1,
        };
        Ok(Self {
            log,
            schemas,
            observer,
            current: Mutex::new(snapshot),
            version: AtomicU64::new(1),
        })
    }

    #[must_use]
    pub fn current(&self) -> Snapshot {
        self.lock().clone()
    }

    /// Of the newest snapshot, without taking it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The reference data as it was read up to `positions`. What has been compacted away since is missing
    /// from it: such records were replaced by later ones of the same key.
    ///
    /// # Errors
    /// When the log fails, or this process has not read so far yet: who goes on from there would go back to what is
    /// read here, and indexes that only the newer data have would name nothing, or something else.
    pub fn as_of(&self, positions: &[Position], stop: &Stop) -> Result<Arc<Reference>, LogError> {
        let current = self.current();
        if *current.positions == *positions {
            return Ok(current.reference);
        }
        if let Some(behind) = behind(&current.positions, positions) {
            return Err(LogError::new(
                Remedy::Retry,
                "reading the reference data that committed figures are of",
                behind,
            ));
        }
        let mut loader = Loader::new(&self.schemas, &*self.observer, stop);
        loader.reference = current.reference.emptied();
        for topic in ReferenceTopic::ALL {
            let spans: Vec<Span> = positions
                .iter()
                .filter(|at| at.topic == topic.name())
                .map(|at| Span {
                    partition: at.partition,
                    from: 0,
                    until: Some(at.next),
                })
                .collect();
            self.log.scan(topic.name(), &spans, &mut |message| {
                loader.take(topic, message)
            })?;
        }
        Ok(Arc::new(loader.reference))
    }

    /// Follows the topics until told to stop; errors are waited out.
    pub fn follow(&self, stop: &Stop) {
        while !stop.is_requested() {
            if let Err(error) = self.follow_once(stop) {
                tracing::warn!("following the reference topics: {error}");
                if stop.wait(Duration::from_secs(1)) {
                    return;
                }
            }
        }
    }

    fn follow_once(&self, stop: &Stop) -> Result<(), LogError> {
        let names = ReferenceTopic::ALL.map(ReferenceTopic::name);
        let start = self.current();
        let mut positions = start.positions.to_vec();
        let mut reader = self.log.reader(&names, &positions)?;
        let mut loader = Loader::new(&self.schemas, &*self.observer, stop);
        loader.reference = (*start.reference).clone();
        let mut changed_since = None;
        while !stop.is_requested() {
            let outcome = reader.read(10_000, GATHER / 2, &mut |message| {
                let topic = ReferenceTopic::ALL[message.topic];
                let place = positions
                    .iter_mut()
                    .find(|at| at.topic == topic.name() && at.partition == message.partition);
                if loader.take(topic, Some(message)).is_break() {
                    return ControlFlow::Break(());
                }
                if let Some(at) = place {
                    at.next = message.offset + 1;
                }
                changed_since.get_or_insert_with(monotonic);
                ControlFlow::Continue(())
            });
            match outcome {
                Ok(_) => {}
                Err(error) if error.remedy == Remedy::Retry => tracing::debug!("{error}"),
                Err(error) => return Err(error),
            }
            if changed_since.is_some_and(|changed| since(changed) >= GATHER) {
                changed_since = None;
                self.publish(Arc::new(loader.reference.clone()), &positions);
            }
        }
        Ok(())
    }

    fn publish(&self, reference: Arc<Reference>, positions: &[Position]) {
        let mut current = self.lock();
        current.version += 1;
        current.reference = reference;
        current.positions = positions.into();
        self.version.store(current.version, Ordering::Release);
        tracing::info!(version = current.version, "reference data has changed");
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is not read yet of what others have read.
fn behind(here: &[Position], there: &[Position]) -> Option<String> {
    there.iter().find_map(|there| {
        let (topic, partition) = (&there.topic, there.partition);
        let here = (here.iter()).find(|at| (&at.topic, at.partition) == (topic, partition));
        let next = here.map_or(0, |at| at.next);
        (next < there.next).then(|| {
            format!(
                "{topic}/{partition} is read up to {next} here, and was up to {} there",
                there.next
            )
        })
    })
}

fn partitions_of(log: &dyn Log, topic: ReferenceTopic) -> Result<i32, LogError> {
    let counts = log.partitions(&[topic.name()])?;
    counts.first().copied().flatten().ok_or_else(|| {
        LogError::new(
            Remedy::Stop,
            format!("reading {topic}"),
            "the topic does not exist",
        )
    })
}

/// Takes records of the reference topics into reference data.
struct Loader<'s> {
    schemas: &'s Schemas,
    observer: &'s dyn Observer,
    stop: &'s Stop,
    reference: Reference,
    read: u64,
    /// Of each writer: `None` where its schema is ours.
    writers: HashMap<(ReferenceTopic, u32), Option<Arc<Schema>>>,
}

impl<'s> Loader<'s> {
    fn new(schemas: &'s Schemas, observer: &'s dyn Observer, stop: &'s Stop) -> Self {
        let (reference, writers) = (Reference::default(), HashMap::new());
        Self {
            schemas,
            observer,
            stop,
            reference,
            read: 0,
            writers,
        }
    }

    fn take(&mut self, topic: ReferenceTopic, message: Option<Message<'_>>) -> ControlFlow<()> {
        if self.stop.is_requested() {
            return ControlFlow::Break(());
        }
        // A tombstone takes nothing back: what was recorded stands until something newer does.
        let Some((message, Some(value))) = message.map(|message| (message, message.value)) else {
            return ControlFlow::Continue(());
        };
        let outcome = match topic {
            ReferenceTopic::Participation => self.apply::<Participation>(topic, &message, value),
            ReferenceTopic::Practices => self.apply::<Practice>(topic, &message, value),
            ReferenceTopic::SlotTypeMappings => {
                self.apply::<SlotTypeMapping>(topic, &message, value)
            }
        };
        self.read += 1;
        let is_readable = outcome.is_ok();
        self.observer.observe(&Observation::Reference {
            topic: topic.name(),
            is_readable,
        });
        match outcome {
            Err(Unreadable::Stopped) => ControlFlow::Break(()),
            Err(Unreadable::Because(why)) => {
                tracing::error!(%topic, partition = message.partition, offset = message.offset, "a reference record cannot be read: {why}");
                ControlFlow::Continue(())
            }
            Ok(()) => ControlFlow::Continue(()),
        }
    }

    fn apply<T: Datum + Refer>(
        &mut self,
        topic: ReferenceTopic,
        message: &Message<'_>,
        value: &[u8],
    ) -> Result<(), Unreadable> {
        let (id, datum) = unframe(Some(value)).map_err(Unreadable::because)?;
        let record = match self.writer::<T>(topic, id)? {
            None => T::from_bytes(datum).map_err(Unreadable::because)?,
            Some(schema) => T::decode(schema, datum).map_err(Unreadable::because)?,
        };
        record.refer(&mut self.reference, message.offset.unsigned_abs());
        Ok(())
    }

    fn writer<T: Datum>(
        &mut self,
        topic: ReferenceTopic,
        id: u32,
    ) -> Result<Option<&Schema>, Unreadable> {
        if !self.writers.contains_key(&(topic, id)) {
            let schema = self.schema(id)?;
            let is_ours =
                serde_json::to_value(&*schema).ok() == serde_json::to_value(T::schema()).ok();
            self.writers
                .insert((topic, id), (!is_ours).then_some(schema));
        }
        Ok(self.writers.get(&(topic, id)).and_then(Option::as_deref))
    }

    /// Waits for a registry that is away: without a mapping, records would be published as unmapped.
    fn schema(&self, id: u32) -> Result<Arc<Schema>, Unreadable> {
        loop {
            match self.schemas.schema(id) {
                Ok(schema) => return Ok(schema),
                Err(NoSchema::Registry(error)) => {
                    tracing::warn!("reading reference data: {error}");
                    if self.stop.wait(Duration::from_secs(1)) {
                        return Err(Unreadable::Stopped);
                    }
                }
                Err(error @ (NoSchema::Unknown | NoSchema::Unreadable)) => {
                    return Err(Unreadable::because(format!("schema {id}: {error}")));
                }
            }
        }
    }
}

enum Unreadable {
    Stopped,
    Because(String),
}

impl Unreadable {
    fn because(why: impl std::fmt::Display) -> Self {
        Self::Because(format!("{why}"))
    }
}
