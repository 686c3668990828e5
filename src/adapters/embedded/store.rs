//! The store: one redb file, or memory, that holds every record, position and note.
//
//   TOPICS     name                       → id, partitions, compacted
//   ENDS       topic, partition           → next offset
//   BLOCKS     topic, partition, LAST     → records up to and including offset LAST
//   NEWEST     topic, partition, hash(key)→ offset of the key's newest record    (compacted topics)
//   POSITIONS  topic, partition           → next to read, note
//
// A block of an ordinary topic holds a run of records without gaps. A compacted topic has one record a block, and
// a newer record of a key removes the older one in the same transaction: reading it from the start is bounded by
// the number of keys, always. Tombstones stay, as their keys' newest records.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::super::clock::{Clock, monotonic};
use super::super::log::{LogError, NewRecord, Position, Remedy};
use super::super::partitioner::partition_of;
use super::blocks;
use super::{Failure, Topic};

const TOPICS: TableDefinition<'_, &str, (u32, u32, bool)> = TableDefinition::new("topics");
const ENDS: TableDefinition<'_, (u32, u32), u64> = TableDefinition::new("ends");
pub const BLOCKS: TableDefinition<'_, (u32, u32, u64), &[u8]> = TableDefinition::new("blocks");
const NEWEST: TableDefinition<'_, (u32, u32, u128), u64> = TableDefinition::new("newest");
const POSITIONS: TableDefinition<'_, (&str, u32), (u64, &str)> = TableDefinition::new("positions");

/// Memory for pages of the file.
const CACHE: usize = 64 << 20;

/// A topic as it stands in the store.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub id: u32,
    pub partitions: u32,
    pub is_compacted: bool,
}

/// Where everything lies; `None` is memory.
pub struct Store {
    path: Option<PathBuf>,
    pub topics: HashMap<String, Known>,
    /// `None` after a failure of the disk: then the file must be opened again.
    database: Mutex<Option<Arc<Database>>>,
    /// Held by whoever writes.
    writing: Mutex<Writing>,
    ends: Mutex<HashMap<(u32, u32), u64>>,
    grown: Condvar,
}

#[derive(Default)]
struct Writing {
    /// The newest output of each name.
    epochs: HashMap<String, u64>,
}

/// Proof that an output is the newest of its name.
#[derive(Debug, Clone)]
pub struct Pass {
    pub name: String,
    pub epoch: u64,
}

impl Store {
    /// Opens the file, or makes it, with these topics in it. Topics that are there already stay as they are.
    pub fn open(path: Option<&Path>, topics: &[Topic<'_>]) -> Result<Self, Failure> {
        let database = match path {
            Some(path) => file(path)?,
            None => Builder::new()
                .set_cache_size(CACHE)
                .create_with_backend(InMemoryBackend::new())?,
        };
        let (topics, ends) = prepare(&database, topics)?;
        Ok(Self {
            path: path.map(Path::to_owned),
            topics,
            database: Mutex::new(Some(Arc::new(database))),
            writing: Mutex::default(),
            ends: Mutex::new(ends),
            grown: Condvar::new(),
        })
    }

    pub fn topic(&self, name: &str) -> Result<Known, Failure> {
        let found = self.topics.get(name).copied();
        found.ok_or_else(|| Failure::stop(format!("the topic {name} does not exist")))
    }

    /// The database, opened again if the disk had failed.
    pub fn database(&self) -> Result<Arc<Database>, Failure> {
        let mut slot = lock(&self.database);
        if let Some(database) = &*slot {
            return Ok(Arc::clone(database));
        }
        let path = self.path.as_deref().ok_or_else(|| {
            Failure::stop("the log in memory has failed, and nothing is left of it".to_owned())
        })?;
        let database = Arc::new(file(path)?);
        let (_, ends) = prepare(&database, &[])?;
        *lock(&self.ends) = ends;
        Ok(Arc::clone(slot.insert(database)))
    }

    /// What failed, and whether the file must be opened again before anything else is done with it.
    pub fn failed(&self, failure: Failure, doing: impl Into<String>) -> LogError {
        if failure.must_reopen {
            lock(&self.database).take();
        }
        LogError::new(failure.remedy, doing, failure.source)
    }

    /// The end of a partition, as of the last commit.
    pub fn end(&self, topic: u32, partition: u32) -> u64 {
        let ends = lock(&self.ends);
        ends.get(&(topic, partition)).copied().unwrap_or(0)
    }

    /// The ends of these partitions, all as of one commit.
    pub fn ends_of(&self, places: impl Iterator<Item = (u32, u32)>) -> Vec<u64> {
        let ends = lock(&self.ends);
        places
            .map(|place| ends.get(&place).copied().unwrap_or(0))
            .collect()
    }

    /// Waits until one of these partitions is longer than that, or the time is over.
    pub fn wait(&self, places: &[(u32, u32, u64)], until: Instant) -> bool {
        let mut ends = lock(&self.ends);
        loop {
            let is_longer = |(topic, partition, next): &(u32, u32, u64)| {
                ends.get(&(*topic, *partition))
                    .is_some_and(|end| end > next)
            };
            if places.iter().any(is_longer) {
                return true;
            }
            let left = until.saturating_duration_since(monotonic());
            if left.is_zero() {
                return false;
            }
            ends = (self.grown.wait_timeout(ends, left))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Fences every earlier output of the name; waits for one that is writing.
    pub fn enter(&self, name: &str) -> Pass {
        let mut writing = lock(&self.writing);
        let epoch = writing.epochs.entry(name.to_owned()).or_default();
        *epoch += 1;
        let epoch = *epoch;
        let name = name.to_owned();
        Pass { name, epoch }
    }

    /// Writes records, positions and note, all or nothing, and returns when they are on the disk.
    pub fn write<'a>(
        &self,
        pass: Option<&Pass>,
        records: impl Iterator<Item = NewRecord<'a>>,
        positions: &[Position],
        note: &str,
    ) -> Result<(), Failure> {
        let writing = lock(&self.writing);
        if let Some(pass) = pass
            && writing.epochs.get(&pass.name) != Some(&pass.epoch)
        {
            let why = format!("a newer output of the name {} has taken over", pass.name);
            return Err(Failure {
                remedy: Remedy::Fenced,
                ..Failure::stop(why)
            });
        }
        let database = self.database()?;
        let transaction = database.begin_write()?;
        let grown = {
            let mut batch = Batch {
                store: self,
                open: BTreeMap::new(),
                ends: BTreeMap::new(),
            };
            let mut tables = Tables {
                blocks: transaction.open_table(BLOCKS)?,
                newest: transaction.open_table(NEWEST)?,
            };
            let now = Clock::Wall.now().0;
            for record in records {
                batch.add(&mut tables, &record, now)?;
            }
            let grown = batch.finish(&mut tables)?;
            let mut ends = transaction.open_table(ENDS)?;
            for (place, end) in &grown {
                ends.insert(place, end)?;
            }
            let mut stored = transaction.open_table(POSITIONS)?;
            for at in positions {
                let place = (at.topic.as_str(), at.partition.unsigned_abs());
                stored.insert(place, (at.next.unsigned_abs(), note))?;
            }
            grown
        };
        transaction.commit()?;
        lock(&self.ends).extend(grown);
        self.grown.notify_all();
        Ok(())
    }

    /// The first offset that an ordinary partition still holds; its end if it holds nothing.
    pub fn first(&self, topic: u32, partition: u32) -> Result<u64, Failure> {
        let end = self.end(topic, partition);
        let blocks = self.database()?.begin_read()?.open_table(BLOCKS)?;
        let range = (topic, partition, 0)..=(topic, partition, u64::MAX);
        let Some(block) = blocks.range(range)?.next() else {
            return Ok(end);
        };
        let (last, bytes) = block?;
        let count = blocks::Records(bytes.value()).count() as u64;
        Ok((last.value().2 + 1).saturating_sub(count))
    }

    /// Gives up the blocks of an ordinary partition that lie before an offset.
    pub fn delete_before(&self, topic: u32, partition: u32, offset: u64) -> Result<(), Failure> {
        let Some(last) = offset.checked_sub(1) else {
            return Ok(());
        };
        let _writing = lock(&self.writing);
        let transaction = self.database()?.begin_write()?;
        transaction
            .open_table(BLOCKS)?
            .retain_in((topic, partition, 0)..=(topic, partition, last), |_, _| {
                false
            })?;
        transaction.commit()?;
        Ok(())
    }

    /// Positions and note as committed last.
    pub fn positions(
        &self,
        partitions: &[(&str, i32)],
    ) -> Result<(Vec<Position>, Option<String>), Failure> {
        // Whoever is writing may be writing these.
        let _writing = lock(&self.writing);
        let table = self.database()?.begin_read()?.open_table(POSITIONS)?;
        let (mut positions, mut newest) = (Vec::new(), None);
        for &(topic, partition) in partitions {
            if let Some(found) = table.get((topic, partition.unsigned_abs()))? {
                let (next, note) = found.value();
                if newest.is_none() && !note.is_empty() {
                    newest = Some(note.to_owned());
                }
                let (topic, next) = (topic.to_owned(), next.cast_signed());
                positions.push(Position {
                    topic,
                    partition,
                    next,
                });
            }
        }
        Ok((positions, newest))
    }
}

struct Tables<'t> {
    blocks: redb::Table<'t, (u32, u32, u64), &'static [u8]>,
    newest: redb::Table<'t, (u32, u32, u128), u64>,
}

/// The records of one transaction, gathered into blocks.
struct Batch<'s> {
    store: &'s Store,
    /// By partition of an ordinary topic: the block that is being filled.
    open: BTreeMap<(u32, u32), Vec<u8>>,
    ends: BTreeMap<(u32, u32), u64>,
}

impl Batch<'_> {
    fn add(
        &mut self,
        tables: &mut Tables<'_>,
        record: &NewRecord<'_>,
        now: i64,
    ) -> Result<(), Failure> {
        let topic = self.store.topic(record.topic)?;
        let partition = match record.partition {
            Some(partition) => partition.unsigned_abs(),
            None => partition_of(
                record.key.unwrap_or_default(),
                topic.partitions.cast_signed(),
            )
            .unsigned_abs(),
        };
        if partition >= topic.partitions {
            let why = format!("{} has no partition {partition}", record.topic);
            return Err(Failure::stop(why));
        }
        let place = (topic.id, partition);
        let store = self.store;
        let end = self
            .ends
            .entry(place)
            .or_insert_with(|| store.end(place.0, place.1));
        let offset = *end;
        *end += 1;
        if topic.is_compacted {
            let mut block = Vec::new();
            blocks::push(&mut block, record, now);
            tables
                .blocks
                .insert((place.0, place.1, offset), block.as_slice())?;
            // 128 bits: two keys of one hash are not to be expected in any number of rows that a disk holds.
            let hash = xxhash_rust::xxh3::xxh3_128(record.key.unwrap_or_default());
            let before = tables
                .newest
                .insert((place.0, place.1, hash), offset)?
                .map(|found| found.value());
            if let Some(before) = before {
                tables.blocks.remove((place.0, place.1, before))?;
            }
            return Ok(());
        }
        let block = self.open.entry(place).or_default();
        blocks::push(block, record, now);
        if block.len() >= blocks::CLOSED_AT {
            tables
                .blocks
                .insert((place.0, place.1, offset), block.as_slice())?;
            block.clear();
        }
        Ok(())
    }

    /// Stores the blocks that are not full; answers the new ends.
    fn finish(self, tables: &mut Tables<'_>) -> Result<BTreeMap<(u32, u32), u64>, Failure> {
        for (place, block) in self.open {
            if !block.is_empty() {
                let last = self.ends[&place] - 1;
                tables
                    .blocks
                    .insert((place.0, place.1, last), block.as_slice())?;
            }
        }
        Ok(self.ends)
    }
}

/// Opens or makes the file; a lock that the process before us is just giving back is waited for.
fn file(path: &Path) -> Result<Database, Failure> {
    const PATIENCE: Duration = Duration::from_secs(1);
    let began = monotonic();
    loop {
        let opened = Builder::new()
            .set_cache_size(CACHE)
            .set_repair_callback(|repair| {
                tracing::info!(
                    "the log was not closed: checking it, {:.0} %",
                    repair.progress() * 100.0
                );
            })
            .create(path);
        match opened {
            Ok(database) => return Ok(database),
            Err(redb::DatabaseError::DatabaseAlreadyOpen) if began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

type Prepared = (HashMap<String, Known>, HashMap<(u32, u32), u64>);

/// Makes the tables and topics that are missing; reads what is there.
fn prepare(database: &Database, wanted: &[Topic<'_>]) -> Result<Prepared, Failure> {
    let transaction = database.begin_write()?;
    let (mut topics, mut ends) = (HashMap::new(), HashMap::new());
    {
        let mut table = transaction.open_table(TOPICS)?;
        transaction.open_table(BLOCKS)?;
        transaction.open_table(NEWEST)?;
        transaction.open_table(POSITIONS)?;
        let mut next = 0;
        for entry in table.iter()? {
            let (name, found) = entry?;
            let (id, partitions, is_compacted) = found.value();
            next = next.max(id + 1);
            topics.insert(
                name.value().to_owned(),
                Known {
                    id,
                    partitions,
                    is_compacted,
                },
            );
        }
        for topic in wanted {
            if !topics.contains_key(topic.name) {
                let (id, partitions) = (next, topic.partitions.max(1).unsigned_abs());
                table.insert(topic.name, (id, partitions, topic.is_compacted))?;
                let is_compacted = topic.is_compacted;
                topics.insert(
                    topic.name.to_owned(),
                    Known {
                        id,
                        partitions,
                        is_compacted,
                    },
                );
                next += 1;
            }
        }
        for entry in transaction.open_table(ENDS)?.iter()? {
            let (place, end) = entry?;
            ends.insert(place.value(), end.value());
        }
    }
    transaction.commit()?;
    Ok((topics, ends))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
