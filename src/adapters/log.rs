//! The seam to a partitioned, durable log: what the service asks of Kafka, or of the embedded log in its place.
//!
//! # The exactly-once contract
//!
//! 1. [`Log::output`] **fences, then answers**: when it returns, every earlier output of that name can write no
//!    more, and whatever it had begun is committed or gone. Only then is [`Output::committed`] asked.
//! 2. [`Output::commit`] is **all or nothing**: rows, manifest, positions and note are seen together or not at
//!    all by [`Reader`], [`Log::scan`] and [`Output::committed`], which show committed records only.
//! 3. An error of `commit` leaves the outcome **in doubt**. The caller drops the output, makes a new one under
//!    the same name, and asks `committed`: the note says whether the transaction is in, and it is written again
//!    only if it is not. So every transaction's note must differ from the one before.
//! 4. A unit is worked on by one member at a time: after [`Change::Revoked`] the member ends its open work and
//!    says so with [`Membership::release`]; only then is the unit given to another. After [`Change::Lost`]
//!    another may hold it already: nothing may be committed any more, and rule 1 makes sure of it.
//!
//! Everything is pulled: who does not call [`Reader::read`] is not given records, and an implementation keeps a
//! bounded number ready. That is the back-pressure.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

/// A log that one process has opened. Cheap to share; every handle it makes belongs to one thread.
pub trait Log: Send + Sync {
    /// How many partitions each topic has, in the order asked; `None` where the topic is missing.
    ///
    /// # Errors
    /// When the log cannot be reached within its bounded wait.
    fn partitions(&self, topics: &[&str]) -> Result<Vec<Option<i32>>, LogError>;

    /// Where a partition begins and ends now.
    ///
    /// # Errors
    /// When the log cannot say within its bounded wait.
    fn ends(&self, topic: &str, partition: i32) -> Result<Ends, LogError>;

    /// Joins the group of instances that share the partitions of `topics`.
    ///
    /// # Errors
    /// When the membership cannot even be asked for; a broker that is away is waited for.
    fn join(&self, topics: &[&str]) -> Result<Box<dyn Membership>, LogError>;

    /// Reads on from `positions`, without end. The topic of a message is given as the index into `topics`.
    ///
    /// # Errors
    /// When no reader can be made.
    fn reader(&self, topics: &[&str], positions: &[Position]) -> Result<Box<dyn Reader>, LogError>;

    /// Reads spans of one topic, each to its end as it stands now, and says where to read on.
    /// `take` is called with `None` at least every 100 ms while nothing comes, and can stop the scan.
    ///
    /// # Errors
    /// When the log fails for good, or a span begins before what the log still holds.
    fn scan(
        &self,
        topic: &str,
        spans: &[Span],
        take: &mut dyn FnMut(Option<Message<'_>>) -> ControlFlow<()>,
    ) -> Result<Vec<Position>, LogError>;

    /// What the last committed transactions left for these partitions, without fencing anybody: for those who look
    /// on. Transactions may be committed while it is asked.
    ///
    /// # Errors
    /// When the log cannot say within its bounded wait.
    fn committed(&self, partitions: &[(&str, i32)]) -> Result<Committed, LogError>;

    /// Gives up the records of a partition before an offset; those from it on stay as they are.
    ///
    /// # Errors
    /// When they could not be given up; nothing is lost by trying again later.
    fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError>;

    /// The output of that name, all earlier ones fenced.
    ///
    /// # Errors
    /// When fencing did not succeed within the bounded wait; trying again is safe.
    fn output(&self, name: &str) -> Result<Box<dyn Output>, LogError>;

    /// Appends records outside any transaction: what simulated suppliers and files do.
    ///
    /// # Errors
    /// When no appender can be made.
    fn appender(&self) -> Result<Box<dyn Append>, LogError>;
}

/// Membership of the group that shares the work. A unit of work is one partition of a joined topic.
pub trait Membership: Send {
    /// Waits at most `wait` for a change. Must be called at least every few seconds, or the group gives up on
    /// this member.
    ///
    /// # Errors
    /// When the membership is finished; a new one may be asked for.
    fn poll(&mut self, wait: Duration) -> Result<Option<Change>, LogError>;

    /// Answers [`Change::Revoked`] and [`Change::Lost`]: nothing of these units is open any more.
    ///
    /// # Errors
    /// As for [`Membership::poll`].
    fn release(&mut self, units: &[Unit]) -> Result<(), LogError>;

    /// Leaves the group, waiting at most `within`, so that others need not wait for a session to time out.
    ///
    /// # Errors
    /// When leaving could not be said in time; the group then finds out by itself.
    fn leave(self: Box<Self>, within: Duration) -> Result<(), LogError>;
}

/// Records of fixed topics, in the order of each partition, committed ones only.
pub trait Reader: Send {
    /// Hands at most `limit` messages to `take`, waiting at most `wait` for the first and not at all for more.
    /// A message for which `take` answers `Break` counts as read, and is the last.
    ///
    /// # Errors
    /// `Retry`: go on reading. Other kinds: this reader is finished.
    fn read(
        &mut self,
        limit: usize,
        wait: Duration,
        take: &mut dyn FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<usize, LogError>;

    /// Records not yet read of each topic, as far as known without asking anyone.
    fn backlog(&self) -> Vec<Option<i64>>;
}

/// One task's way out, all or nothing.
pub trait Output: Send {
    /// What the last committed transaction left for these partitions, and its note.
    ///
    /// # Errors
    /// When the log cannot say within its bounded wait; nothing may be assumed then.
    fn committed(&mut self, partitions: &[(&str, i32)]) -> Result<Committed, LogError>;

    /// Writes one transaction.
    ///
    /// # Errors
    /// The outcome is in doubt, whatever the kind (see the module's rule 3).
    fn commit(&mut self, transaction: &Transaction) -> Result<(), LogError>;
}

/// Appends without transaction.
pub trait Append: Send {
    /// Hands over one record; may wait while too many are on the way.
    ///
    /// # Errors
    /// When the record cannot be taken, or an earlier one was not delivered.
    fn append(&mut self, record: &NewRecord<'_>) -> Result<(), LogError>;

    /// Returns when everything handed over is stored.
    ///
    /// # Errors
    /// When something handed over was not delivered.
    fn flush(&mut self) -> Result<(), LogError>;
}

/// A record to append.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    pub topic: &'a str,
    /// `None`: by the key, as Kafka's Java client does (murmur2).
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// One partition of a joined topic, the topic as the index into what was joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit {
    pub topic: usize,
    pub partition: i32,
}

/// What happened to the units that this member holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These are now ours; nobody else works on them.
    Assigned(Vec<Unit>),
    /// These are to be given up: end what is open, then release them.
    Revoked(Vec<Unit>),
    /// These were taken from us: drop what is open, then release them.
    Lost(Vec<Unit>),
}

/// The next offset to read of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub topic: String,
    pub partition: i32,
    pub next: i64,
}

/// A stretch of one partition: from an offset, before another one or to the end as it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub partition: i32,
    pub from: i64,
    pub until: Option<i64>,
}

impl Span {
    /// The whole partition, as it stands now.
    #[must_use]
    pub const fn whole(partition: i32) -> Self {
        Self {
            partition,
            from: 0,
            until: None,
        }
    }
}

/// The offsets at which a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The first offset still held.
    pub first: i64,
    /// The end of what committed readers are shown. Behind `end`: a transaction is open.
    pub stable: i64,
    /// The end of everything.
    pub end: i64,
}

/// One record as it lies in the log, borrowed from the reader.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Index into the topics the reader was made for; 0 in a scan.
    pub topic: usize,
    pub partition: i32,
    pub offset: i64,
    /// When it was produced or stored, milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// What the last committed transaction left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Only of partitions that have one.
    pub positions: Vec<Position>,
    /// `None` before the first transaction.
    pub note: Option<String>,
}

/// Everything that one commit must make visible at once. Reused: clearing keeps what is allocated.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    topics: Vec<String>,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    pub positions: Vec<Position>,
    /// Kept with the positions; differs from the note before it. At most 2,000 bytes.
    pub note: String,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    topic: usize,
    partition: Option<i32>,
    start: usize,
    key_end: usize,
    /// `None` for a tombstone.
    value_end: Option<usize>,
}

impl Transaction {
    /// Adds one record; no value is a tombstone.
    pub fn put(&mut self, topic: &str, partition: Option<i32>, key: &[u8], value: Option<&[u8]>) {
        let topic = self.topic(topic);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        let value_end = value.map(|value| {
            self.bytes.extend_from_slice(value);
            self.bytes.len()
        });
        self.entries.push(Entry {
            topic,
            partition,
            start,
            key_end,
            value_end,
        });
    }

    fn topic(&mut self, name: &str) -> usize {
        // Fewer than twenty names, and the last one added is mostly meant again.
        if let Some(index) = self.topics.iter().rposition(|known| known == name) {
            return index;
        }
        self.topics.push(name.to_owned());
        self.topics.len() - 1
    }

    /// The records in the order they were put.
    pub fn records(&self) -> impl Iterator<Item = NewRecord<'_>> {
        self.entries.iter().map(|entry| NewRecord {
            topic: &self.topics[entry.topic],
            partition: entry.partition,
            key: Some(&self.bytes[entry.start..entry.key_end]),
            value: entry.value_end.map(|end| &self.bytes[entry.key_end..end]),
        })
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.positions.clear();
        self.note.clear();
    }
}

/// What to do about an error of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same call may succeed later.
    Retry,
    /// This handle is finished: make a new one and go back to what is committed.
    Renew,
    /// Another instance holds this output's name: this one has lost the task.
    Fenced,
    /// Only a person can help: configuration, permission, or records that are gone.
    Stop,
}

/// The log could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub struct LogError {
    pub remedy: Remedy,
    /// What was being done, with the names that matter.
    pub doing: String,
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl LogError {
    pub fn new(
        remedy: Remedy,
        doing: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            remedy,
            doing: doing.into(),
            source: source.into(),
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_gives_back_what_was_put_in_order() {
        let mut transaction = Transaction::default();
        transaction.put("rows", None, b"k1", Some(b"v1"));
        transaction.put("ledger", Some(3), b"k2", None);
        transaction.put("rows", None, b"", Some(b""));
        let seen: Vec<_> = transaction
            .records()
            .map(|r| {
                (
                    r.topic,
                    r.partition,
                    r.key.map(<[u8]>::to_vec),
                    r.value.map(<[u8]>::to_vec),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("rows", None, Some(b"k1".to_vec()), Some(b"v1".to_vec())),
                ("ledger", Some(3), Some(b"k2".to_vec()), None),
                ("rows", None, Some(vec![]), Some(vec![])),
            ]
        );
    }

    #[test]
    fn a_cleared_transaction_is_empty() {
        let mut transaction = Transaction::default();
        transaction.put("rows", None, b"k", Some(b"v"));
        transaction.note.push('n');
        transaction.clear();
        assert!(transaction.is_empty() && transaction.note.is_empty());
        assert_eq!(transaction.records().count(), 0);
    }
}
