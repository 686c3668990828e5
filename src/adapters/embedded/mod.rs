//! The embedded log: the seam kept by one process on one file, with nothing to install.
//!
//! A transaction of the seam is one transaction of the file, synced before it is answered: records, positions and
//! note are in it together or not at all, also after a crash or a power cut. The file belongs to one process at a
//! time, so fencing and group membership are matters of this process alone.

mod blocks;
mod group;
mod output;
mod reader;
mod store;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::log::{
    Append, Committed, Ends, Log, LogError, Membership, Message, Output, Position, Reader, Remedy,
    Span,
};
use group::Group;
use store::Store;

/// The file of a log within its directory.
pub const FILE: &str = "log.redb";

/// A topic to be made where it is missing.
#[derive(Debug, Clone, Copy)]
pub struct Topic<'a> {
    pub name: &'a str,
    /// At least 1.
    pub partitions: i32,
    /// Only the newest record of each key is kept.
    pub is_compacted: bool,
}

/// The log of one process.
pub struct EmbeddedLog {
    store: Arc<Store>,
    group: Arc<Group>,
}

impl EmbeddedLog {
    /// Opens the log in `directory`, or makes it. Topics that are there stay as they are.
    ///
    /// # Errors
    /// When the directory cannot be used, another process has the log open, or the file is not a log.
    pub fn open(directory: &Path, topics: &[Topic<'_>]) -> Result<Self, LogError> {
        let path = directory.join(FILE);
        let doing = || format!("opening the log {}", path.display());
        std::fs::create_dir_all(directory)
            .map_err(|error| LogError::new(Remedy::Stop, doing(), error))?;
        Self::with(Some(&path), topics)
            .map_err(|failure| LogError::new(failure.remedy, doing(), failure.source))
    }

    /// A log in memory, gone with the process.
    ///
    /// # Errors
    /// When memory cannot be had.
    pub fn in_memory(topics: &[Topic<'_>]) -> Result<Self, LogError> {
        Self::with(None, topics).map_err(|failure| {
            LogError::new(failure.remedy, "making a log in memory", failure.source)
        })
    }

    fn with(path: Option<&Path>, topics: &[Topic<'_>]) -> Result<Self, Failure> {
        let store = Arc::new(Store::open(path, topics)?);
        Ok(Self {
            store,
            group: Arc::default(),
        })
    }
}

impl Log for EmbeddedLog {
    fn partitions(&self, topics: &[&str]) -> Result<Vec<Option<i32>>, LogError> {
        let of = |name: &&str| {
            self.store
                .topics
                .get(*name)
                .map(|topic| topic.partitions.cast_signed())
        };
        Ok(topics.iter().map(of).collect())
    }

    fn ends(&self, topic: &str, partition: i32) -> Result<Ends, LogError> {
        let ends = || {
            let (id, at) = reader::place(&self.store, topic, partition)?;
            let end = self.store.end(id, at).cast_signed();
            let first = if self.store.topic(topic)?.is_compacted {
                0
            } else {
                self.store.first(id, at)?.cast_signed()
            };
            Ok(Ends {
                first: first.min(end),
                stable: end,
                end,
            })
        };
        ends().map_err(|failure| {
            self.store.failed(
                failure,
                format!("asking for the ends of {topic}/{partition}"),
            )
        })
    }

    fn join(&self, topics: &[&str]) -> Result<Box<dyn Membership>, LogError> {
        let counts = self.partitions(topics)?;
        let mut units = Vec::new();
        for (at, (name, count)) in topics.iter().zip(counts).enumerate() {
            let count = count.ok_or_else(|| {
                LogError::new(
                    Remedy::Stop,
                    "joining the group",
                    format!("the topic {name} does not exist"),
                )
            })?;
            units.extend((0..count).map(|partition| super::log::Unit {
                topic: at,
                partition,
            }));
        }
        Ok(Box::new(group::Member::join(&self.group, units)))
    }

    fn reader(&self, topics: &[&str], positions: &[Position]) -> Result<Box<dyn Reader>, LogError> {
        reader::EmbeddedReader::new(&self.store, topics, positions)
            .map(|reader| Box::new(reader) as Box<dyn Reader>)
            .map_err(|failure| self.store.failed(failure, "making a reader"))
    }

    fn scan(
        &self,
        topic: &str,
        spans: &[Span],
        take: &mut dyn FnMut(Option<Message<'_>>) -> ControlFlow<()>,
    ) -> Result<Vec<Position>, LogError> {
        reader::scan(&self.store, topic, spans, take)
            .map_err(|failure| self.store.failed(failure, format!("reading {topic}")))
    }

    fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        reader::place(&self.store, topic, partition)
            .and_then(|(id, at)| {
                self.store
                    .delete_before(id, at, u64::try_from(offset).unwrap_or(0))
            })
            .map_err(|failure| {
                self.store.failed(
                    failure,
                    format!("deleting {topic}/{partition} before {offset}"),
                )
            })
    }

    fn committed(&self, partitions: &[(&str, i32)]) -> Result<Committed, LogError> {
        let (positions, note) = (self.store.positions(partitions))
            .map_err(|failure| self.store.failed(failure, "asking what was committed"))?;
        Ok(Committed { positions, note })
    }

    fn output(&self, name: &str) -> Result<Box<dyn Output>, LogError> {
        Ok(Box::new(output::EmbeddedOutput::new(&self.store, name)))
    }

    fn appender(&self) -> Result<Box<dyn Append>, LogError> {
        Ok(Box::new(output::Appender::new(&self.store)))
    }
}

/// The file could not do what was asked.
struct Failure {
    remedy: Remedy,
    source: Box<dyn std::error::Error + Send + Sync>,
    /// The database refuses everything from here on, until it is opened again.
    must_reopen: bool,
}

impl Failure {
    fn stop(why: String) -> Self {
        Self {
            remedy: Remedy::Stop,
            source: why.into(),
            must_reopen: false,
        }
    }

    fn of(error: redb::Error) -> Self {
        use redb::Error as E;
        use std::io::ErrorKind::{InvalidData, StorageFull};
        let is_io = |wanted| matches!(&error, E::Io(io) if io.kind() == wanted);
        // redb may add to its errors; what is not known here is tried again.
        let (remedy, why) = if matches!(error, E::DatabaseAlreadyOpen) {
            let why = "another process has it open: stop that one, or name another directory";
            (Remedy::Stop, Some(why))
        } else if is_io(InvalidData) {
            (Remedy::Stop, Some("the file is not a log of gpad-live"))
        } else if matches!(error, E::UpgradeRequired(_)) {
            (Remedy::Stop, Some("the file is of an older version"))
        } else if matches!(error, E::Corrupted(_)) {
            (Remedy::Stop, None)
        } else if is_io(StorageFull) {
            let why =
                "the disk is full: nothing of this is stored, and work goes on when there is room";
            (Remedy::Renew, Some(why))
        } else {
            (Remedy::Renew, None)
        };
        let must_reopen = remedy == Remedy::Renew
            && matches!(error, E::Io(_) | E::PreviousIo | E::DatabaseClosed);
        let source = why.map_or_else(|| error.into(), Into::into);
        Self {
            remedy,
            source,
            must_reopen,
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(error.into())
    }
}
