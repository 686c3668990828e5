//! A task's state in a file beside the service, so that a restart need not read all of it from the log.
//
//   file     MAGIC | length, block | length, block | … | 0
//   first    where to read on in the changelog, and how many entries it holds before that since its last round
//   then     the parts of the whole, each as it stood when it was written: what changed between the first part
//            and the last stands in the changelog from there on
//
// The parts are written between transactions, a few milliseconds of each, and stored by a thread of their own.
// Its hash goes into the next transaction's manifest and note: a file is used only if the note names it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::changelog::{Base, WRITTEN_BY, sign, signature};
use super::note::Note;
use super::stage::Stage;
use crate::adapters::clock::{monotonic, since};
use crate::adapters::crash::{self, Point};
use crate::adapters::threads::{self, Thread};
use crate::config;
use crate::engine::keep::CALLERS;
use crate::engine::state::block::{Blocks, Cursor, Fields};
use crate::wire::datum::Bytes;

const MAGIC: &[u8; 8] = b"GPADSNP1";
/// The file's own entry among what is written down: where the changelog goes on.
const FILE: u32 = 3;
/// Longest that one step keeps the worker from its records.
const STEP: Duration = Duration::from_millis(5);
/// Entries written between two looks at the time.
const ENTRIES: usize = 2_000;
/// Blocks on their way to the disk.
const WAITING: usize = 8;
/// Longer than any block: what claims to be is damage.
const LONGEST: u32 = 16 << 20;

pub type Hash = [u8; 32];

/// The snapshots of one task.
pub struct Snapshots {
    directory: PathBuf,
    task: String,
    every: Duration,
    last: Instant,
    job: Option<Job>,
}

struct Job {
    cursor: Cursor,
    blocks: Blocks,
    unsent: Vec<Vec<u8>>,
    /// Everything is written, if not sent.
    is_complete: bool,
    sender: SyncSender<Vec<u8>>,
    thread: Thread<io::Result<Hash>>,
}

impl Snapshots {
    /// `None` if none are wanted.
    #[must_use]
    pub fn new(settings: &config::State, group: &str, task: &str) -> Option<Self> {
        Some(Self {
            directory: settings.directory.as_ref()?.join(group),
            task: task.to_owned(),
            every: settings.snapshot,
            last: monotonic(),
            job: None,
        })
    }

    fn path(&self, hash: &[u8]) -> PathBuf {
        let name = format!("{}-{}.snapshot", self.task, Bytes(hash.to_vec()));
        self.directory.join(name)
    }

    /// Goes on with a snapshot that is being taken, or begins one if it is time. The state must be that of a
    /// committed transaction; `changelog` says where the changelog ends then, and what was written to it.
    pub fn step<E: std::fmt::Display>(
        &mut self,
        stage: &impl Stage,
        committed: Option<&Note>,
        changelog: impl FnOnce() -> Result<(i64, u64), E>,
    ) {
        let Some(note) = committed else {
            return;
        };
        if self.job.is_none() {
            if since(self.last) < self.every {
                return;
            }
            self.last = monotonic();
            match changelog() {
                Ok(at) => self.begin(stage, at),
                Err(error) => tracing::warn!("no snapshot of task {}: {error}", self.task),
            }
        }
        let Some(job) = &mut self.job else {
            return;
        };
        let began = monotonic();
        while job.send() && !job.is_complete && since(began) < STEP {
            job.blocks.begin(stage.outputs().plan.fingerprint());
            job.is_complete = stage.write_part(&mut job.cursor, ENTRIES, &mut job.blocks);
            if job.is_complete {
                stage.write_times(&mut job.blocks);
                sign(&mut job.blocks, note.epoch, note.sequence);
            }
            job.unsent.extend(job.blocks.iter().map(<[u8]>::to_vec));
            if job.is_complete {
                // An empty block is the end: a channel that merely closes is a snapshot given up.
                job.unsent.push(Vec::new());
            }
        }
    }

    fn begin(&mut self, stage: &impl Stage, (from, changes): (i64, u64)) {
        let (sender, receiver) = sync_channel(WAITING);
        let mut blocks = Blocks::default();
        blocks.begin(stage.outputs().plan.fingerprint());
        blocks.put(CALLERS, FILE, |into| {
            into.extend_from_slice(&from.to_le_bytes());
            into.extend_from_slice(&changes.to_le_bytes());
        });
        let first = blocks.iter().map(<[u8]>::to_vec).collect();
        let (directory, task) = (self.directory.clone(), self.task.clone());
        let storing = threads::spawn(&format!("snapshot-{task}"), move || {
            store(&directory, &task, &receiver)
        });
        match storing {
            Ok(thread) => {
                self.job = Some(Job {
                    cursor: Cursor::default(),
                    blocks,
                    unsent: first,
                    is_complete: false,
                    sender,
                    thread,
                });
            }
            Err(error) => tracing::warn!("no snapshot of task {}: {error}", self.task),
        }
    }

    /// The hash of a snapshot that is complete since this was last asked.
    pub fn taken(&mut self) -> Option<Hash> {
        let job = self.job.take_if(|job| job.thread.is_finished())?;
        self.last = monotonic();
        match job.thread.join() {
            Ok(Ok(hash)) => Some(hash),
            Ok(Err(error)) => {
                let (task, directory) = (&self.task, self.directory.display());
                tracing::warn!(
                    "no snapshot of task {task} in {directory}: {error}; the one before and the changelog serve"
                );
                None
            }
            Err(_) => None,
        }
    }

    /// The state was lost or put back: what is being taken is of no use.
    pub fn abandon(&mut self) {
        self.job = None;
    }

    /// Only the snapshot of this hash is needed from here on.
    pub fn keep(&self, hash: &[u8]) {
        let (kept, prefix) = (self.path(hash), format!("{}-", self.task));
        let Ok(files) = fs::read_dir(&self.directory) else {
            return;
        };
        for file in files.flatten() {
            let name = file.file_name();
            let is_ours = name.to_str().is_some_and(|name| {
                name.strip_prefix(&prefix)
                    .is_some_and(|rest| rest.ends_with(".snapshot"))
            });
            if is_ours && file.path() != kept {
                // What cannot be removed now is tried again with the next.
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// Reads the note's snapshot into a stage that was just reset, and says where the changelog goes on. `None`:
    /// there is none, or it is not what the note names; `Err`: the stage must be reset before anything else.
    ///
    /// # Errors
    /// What is wrong with a file whose hash is right.
    pub fn restore(&self, note: &Note, stage: &mut impl Stage) -> Result<Option<Base>, String> {
        let Some(hash) = &note.snapshot else {
            return Ok(None);
        };
        let path = self.path(hash);
        match hash_of(&path) {
            Ok(found) if found[..] == hash[..] => {}
            Ok(_) => {
                tracing::warn!("{} is damaged: the changelog serves alone", path.display());
                return Ok(None);
            }
            Err(error) => {
                tracing::info!("no snapshot {}: {error}", path.display());
                return Ok(None);
            }
        }
        let (mut place, mut written_by) = (None, None);
        let read = blocks(&path, |block| {
            crash::pass(Point::Restoring);
            stage
                .read_block(block, &mut |number, entry| {
                    if number == FILE {
                        let mut fields = Fields(entry);
                        let from = fields.i64()?;
                        // Files of before say nothing of it.
                        let changes = fields.end().map_or_else(|| fields.u64(), |()| Some(0))?;
                        place = Some((from, changes));
                        return fields.end();
                    }
                    if number == WRITTEN_BY {
                        written_by = Some(signature(entry)?);
                    }
                    Some(())
                })
                .map(drop)
                .map_err(|damage| damage.to_string())
        });
        match (read, place.zip(written_by)) {
            (Ok(()), Some(((from, written), written_by))) => Ok(Some(Base {
                from,
                written_by,
                written,
            })),
            (Ok(()), None) => Err(format!("{} does not say where it ends", path.display())),
            (Err(error), _) => Err(format!("{}: {error}", path.display())),
        }
    }
}

impl Job {
    /// Hands over what waits, without waiting itself; `false` if the disk is behind or has failed.
    fn send(&mut self) -> bool {
        let mut sent = 0;
        for block in &mut self.unsent {
            match self.sender.try_send(std::mem::take(block)) {
                Ok(()) => sent += 1,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                    *block = back;
                    break;
                }
            }
        }
        self.unsent.drain(..sent);
        self.unsent.is_empty()
    }
}

/// Writes, syncs and renames; answers the hash of the file.
fn store(directory: &Path, task: &str, blocks: &Receiver<Vec<u8>>) -> io::Result<Hash> {
    fs::create_dir_all(directory)?;
    let temporary = directory.join(format!("{task}.tmp"));
    let written = write(&temporary, blocks);
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    let hash = written?;
    let name = format!("{task}-{}.snapshot", Bytes(hash.to_vec()));
    fs::rename(&temporary, directory.join(name))?;
    File::open(directory)?.sync_all()?;
    Ok(hash)
}

fn write(path: &Path, blocks: &Receiver<Vec<u8>>) -> io::Result<Hash> {
    let (mut file, mut hash) = (BufWriter::new(File::create(path)?), Sha256::new());
    let mut put = |bytes: &[u8]| {
        hash.update(bytes);
        file.write_all(bytes)
    };
    put(MAGIC)?;
    loop {
        let block = threads::receive(blocks)
            .map_err(|_| io::Error::other("given up: the state has changed hands"))?;
        put(&u32::try_from(block.len())
            .map_err(io::Error::other)?
            .to_le_bytes())?;
        if block.is_empty() {
            break;
        }
        put(&block)?;
        crash::pass(Point::Snapshot);
    }
    file.into_inner()?.sync_all()?;
    Ok(hash.finalize().into())
}

fn hash_of(path: &Path) -> io::Result<Hash> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..read]);
    }
}

/// Hands over the blocks of a file.
fn blocks(path: &Path, mut take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let mut magic = [0; 8];
    file.read_exact(&mut magic).map_err(failed)?;
    if magic != *MAGIC {
        return Err("not a snapshot, or of another version".to_owned());
    }
    let mut block = Vec::new();
    loop {
        let mut length = [0; 4];
        file.read_exact(&mut length).map_err(failed)?;
        let length = u32::from_le_bytes(length);
        if length == 0 {
            return Ok(());
        }
        if length > LONGEST {
            return Err(format!("a block of {length} bytes"));
        }
        block.resize(length as usize, 0);
        file.read_exact(&mut block).map_err(failed)?;
        take(&block)?;
    }
}
