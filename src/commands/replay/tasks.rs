//! Records of files, taken in by several threads.
//
//   files ─ walk: whose is each record? ─┬─► thread: tasks 0, 2, 4, 6 ─┬─► changes, task by task ─► files
//                                        └─► thread: tasks 1, 3, 5, 7 ─┘
//
// A task has the records of some practices, as in `run`: there those of a partition, here those of some sub-ICBs. There are as
// many tasks on every machine, so that what comes out does not depend on the number of its threads.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use crate::domain::reference::{PracticeIndex, Reference};
use crate::domain::time::{Day, Timestamp};
use crate::domain::topic::{Supplier, SupplierTopic};
use crate::engine::fold::Change;
use crate::engine::ledger::Counts;
use crate::pipeline::{Key, Payload, Pipeline, Plan, Record};
use crate::stages::letter::DeadLetter;
use crate::wire::avro::{Decoder, Stepper};

/// Among which practices are divided.
pub const TASKS: usize = 8;
/// Bytes of blocks that are walked over before the first of them is done: dozens of practices, whose records lie one practice's
/// behind the other's, so that no thread waits for another's.
const AHEAD: usize = 64 << 20;
/// Changes that are handed over at once, and so many times as many may wait.
const CHANGES: usize = 1_024;
const WAITING: usize = 16;

/// How a file's records are read, or why they cannot be.
pub type Reading = Result<(Decoder, Stepper), String>;

/// One record of a block.
struct Entry {
    task: u8,
    /// Where it begins.
    at: u32,
    /// Which of the block's.
    number: u32,
}

/// What one thread has to take in of a block.
struct Part {
    topic: SupplierTopic,
    reading: Arc<Reading>,
    block: Arc<Vec<u8>>,
    /// The offset of the block's first record.
    first: i64,
    entries: Vec<Entry>,
    /// Offsets that no record can be found for, and why.
    lost: Option<(Range<i64>, String)>,
}

/// Which task takes in a practice's records.
struct Division(Vec<u8>);

impl Division {
    /// Those of a sub-ICB stay together, since what they add to the levels above is handed over as one; the largest
    /// first, each to the task that has fewest practices so far.
    fn of(reference: &Reference) -> Self {
        let mut groups: BTreeMap<_, Vec<PracticeIndex>> = BTreeMap::new();
        let mut count = 0;
        for practice in reference.practices() {
            let row = reference.row_on(practice, Day(i32::MAX));
            let sub_icb = row.and_then(|row| reference.place(row.place).sub_icb.clone());
            groups.entry(sub_icb).or_default().push(practice);
            count += 1;
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|practices| std::cmp::Reverse(practices.len()));
        let mut tasks = vec![0; count];
        let mut sizes = [0; TASKS];
        for practices in groups {
            let least = (0..TASKS).min_by_key(|task| sizes[*task]).unwrap_or(0);
            sizes[least] += practices.len();
            for practice in practices {
                tasks[practice.0 as usize] = least as u8;
            }
        }
        Self(tasks)
    }

    /// What names no practice goes no further, whoever refuses it.
    fn of_record(&self, reference: &Reference, practice: Option<&str>) -> u8 {
        let practice = practice.and_then(|code| reference.known(code));
        practice.map_or(0, |practice| self.0[practice.0 as usize])
    }
}

/// A thread's pipelines, by the number of their task.
type Pipelines = BTreeMap<usize, Pipeline>;

/// What has been taken in, and is to be settled.
pub struct Loaded {
    pipelines: Vec<Pipelines>,
    /// The greatest time of extraction read, refused records too.
    pub newest_read: Option<Timestamp>,
}

/// A block that was walked over, until all threads are done with it.
type Walked = VecDeque<Arc<Vec<u8>>>;

/// Takes blocks in, in their order.
pub struct Loader<'scope> {
    reference: Arc<Reference>,
    division: Division,
    threads: Vec<Taker<'scope>>,
    walked: Walked,
    /// Bytes of them.
    ahead: usize,
    spare: Vec<Vec<u8>>,
}

struct Taker<'scope> {
    parts: Sender<Part>,
    letters: Receiver<Vec<DeadLetter>>,
    thread: ScopedJoinHandle<'scope, Pipelines>,
}

fn taker<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    mut pipelines: Pipelines,
) -> Taker<'scope> {
    let (parts, taken) = channel::<Part>();
    let (done, letters) = channel();
    let thread = scope.spawn(move || {
        for pipeline in pipelines.values_mut() {
            pipeline.start_loading();
        }
        for part in taken {
            let refused = take(&mut pipelines, &part);
            drop(part);
            if done.send(refused).is_err() {
                break;
            }
        }
        pipelines
    });
    Taker {
        parts,
        letters,
        thread,
    }
}

/// Takes in a thread's part of a block; answers what was refused.
fn take(pipelines: &mut Pipelines, part: &Part) -> Vec<DeadLetter> {
    let mut take = |task: usize, offset, payload| {
        let pipeline = pipelines.get_mut(&task).expect("a task of this thread");
        pipeline.take(&Record {
            topic: part.topic,
            partition: 0,
            offset,
            key: Key::Absent,
            payload,
        });
    };
    if let Ok((decoder, _)) = &*part.reading {
        for entry in &part.entries {
            let front = &part.block[entry.at as usize..];
            let payload = Payload::Front { decoder, front };
            let offset = part.first + i64::from(entry.number);
            take(usize::from(entry.task), offset, payload);
        }
    }
    if let Some((offsets, detail)) = &part.lost {
        for offset in offsets.clone() {
            take(0, offset, Payload::Unreadable { raw: &[], detail });
        }
    }
    let letters = pipelines.values_mut().map(Pipeline::take_dead_letters);
    letters.flatten().collect()
}

impl<'scope> Loader<'scope> {
    /// With as many threads as there are cores, at most one for each task.
    pub fn new(
        scope: &'scope thread::Scope<'scope, '_>,
        plan: &Arc<Plan>,
        reference: &Arc<Reference>,
    ) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.min(TASKS);
        let mut pipelines = Vec::new();
        pipelines.resize_with(threads, Pipelines::new);
        for task in 0..TASKS {
            let pipeline = Pipeline::new(plan.clone(), reference.clone());
            pipelines[task % threads].insert(task, pipeline);
        }
        let threads = pipelines.into_iter();
        Self {
            reference: reference.clone(),
            division: Division::of(reference),
            threads: threads.map(|its| taker(scope, its)).collect(),
            walked: Walked::new(),
            ahead: 0,
            spare: Vec::new(),
        }
    }

    /// Room for a block.
    pub fn room(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes in a block of so many records, the first of which has that offset. Answers what was refused in blocks before it, in
    /// order.
    ///
    /// A record that cannot be decoded is stepped over by its writer's schema; where not even that is possible no further record can
    /// be found, and the rest is undecodable with it.
    pub fn take(
        &mut self,
        topic: SupplierTopic,
        reading: &Arc<Reading>,
        block: Vec<u8>,
        (first, count): (i64, i64),
    ) -> Vec<DeadLetter> {
        let mut refused = Vec::new();
        while self.ahead > AHEAD {
            refused.append(&mut self.done());
        }
        let mut entries: Vec<Vec<Entry>> = Vec::new();
        entries.resize_with(self.threads.len(), Vec::new);
        let lost = match &**reading {
            Ok(reading) => self.walk(reading, &block, (first, count), &mut entries),
            Err(detail) => Some((first..first + count, detail.clone())),
        };
        let block = Arc::new(block);
        for (at, (thread, entries)) in self.threads.iter().zip(entries).enumerate() {
            // A thread that has ended in a panic is found out when it is asked what it refused.
            let _ = thread.parts.send(Part {
                topic,
                reading: reading.clone(),
                block: block.clone(),
                first,
                entries,
                lost: lost.clone().filter(|_| at == 0),
            });
        }
        self.ahead += block.len();
        self.walked.push_back(block);
        refused
    }

    /// Finds out whose each record of a block is; answers the offsets of those that cannot be found.
    fn walk(
        &self,
        (decoder, stepper): &(Decoder, Stepper),
        block: &[u8],
        (first, count): (i64, i64),
        entries: &mut [Vec<Entry>],
    ) -> Option<(Range<i64>, String)> {
        let mut at = 0;
        for number in 0..count {
            let front = &block[at..];
            let practice = decoder.first_text(front);
            let task = self.division.of_record(&self.reference, practice);
            // Blocks are of 256 MiB at most.
            entries[usize::from(task) % self.threads.len()].push(Entry {
                task,
                at: at as u32,
                number: number as u32,
            });
            let Ok(bytes) = stepper.step(front) else {
                let offset = first + number;
                let detail = format!("the block has no end of record {offset}");
                return Some((offset + 1..first + count, detail));
            };
            at += bytes;
        }
        None
    }

    /// Waits for the first block that was walked over; answers what was refused of it.
    fn done(&mut self) -> Vec<DeadLetter> {
        let Some(block) = self.walked.pop_front() else {
            return Vec::new();
        };
        self.ahead -= block.len();
        // One that has ended in a panic refuses nothing more; it is joined in the end.
        let letters = self.threads.iter().filter_map(|it| it.letters.recv().ok());
        let mut refused: Vec<DeadLetter> = letters.flatten().collect();
        refused.sort_by_key(|letter| letter.offset);
        self.spare.extend(Arc::into_inner(block));
        refused
    }

    /// When all blocks are taken in: what was refused of the last of them, and what is to be settled.
    pub fn finish(mut self) -> (Vec<DeadLetter>, Loaded) {
        let mut refused = Vec::new();
        while !self.walked.is_empty() {
            refused.append(&mut self.done());
        }
        let threads = self.threads.into_iter().map(|taker| {
            drop(taker.parts);
            joined(taker.thread)
        });
        let pipelines: Vec<Pipelines> = threads.collect();
        let all = || pipelines.iter().flat_map(BTreeMap::values);
        let newest_read = all().filter_map(Pipeline::newest_read).max();
        let newest = Supplier::ALL.map(|supplier| {
            let newest = all().filter_map(|it| it.task().watermarks().of(supplier));
            newest.max()
        });
        let mut loaded = Loaded {
            pipelines,
            newest_read,
        };
        // Each is as far as all are: what is closed, and as of when, is one for the whole input.
        for pipeline in loaded.pipelines.iter_mut().flat_map(BTreeMap::values_mut) {
            for (supplier, newest) in Supplier::ALL.into_iter().zip(newest) {
                if let Some(newest) = newest {
                    pipeline.has_come_to(supplier, newest);
                }
            }
        }
        (refused, loaded)
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
}

impl Loaded {
    /// Folds everything as of `now` and hands over what comes out of each task, one after the other.
    pub fn settle(self, now: Timestamp, see: &mut dyn FnMut(usize, Change)) -> Counts {
        thread::scope(|scope| {
            let (mut threads, mut changes) = (Vec::new(), BTreeMap::new());
            for pipelines in self.pipelines {
                let mut to = BTreeMap::new();
                for task in pipelines.keys() {
                    let (out, seen) = sync_channel(WAITING);
                    to.insert(*task, out);
                    changes.insert(*task, seen);
                }
                threads.push(scope.spawn(move || fold(pipelines, to, now)));
            }
            for (task, seen) in changes {
                seen.into_iter()
                    .flatten()
                    .for_each(|change| see(task, change));
            }
            let mut counts = Counts::default();
            for thread in threads {
                counts.merge(&joined(thread));
            }
            counts
        })
    }
}

/// Folds a thread's pipelines and hands over what each comes to.
fn fold(
    pipelines: Pipelines,
    mut to: BTreeMap<usize, SyncSender<Vec<Change>>>,
    now: Timestamp,
) -> Counts {
    let mut counts = Counts::default();
    for (task, mut pipeline) in pipelines {
        let out = to.remove(&task).expect("a way for each task");
        pipeline.advance(now);
        pipeline.finish_loading();
        let mut some = Vec::with_capacity(CHANGES);
        // Nobody is there any more where the other side has failed.
        let summary = pipeline.settle_into(&mut |change| {
            some.push(change.kept());
            if some.len() == CHANGES {
                let full = std::mem::replace(&mut some, Vec::with_capacity(CHANGES));
                let _ = out.send(full);
            }
        });
        let _ = out.send(some);
        counts.merge(&summary.counts);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::place::Place;
    use crate::domain::reference::PracticeRow;

    /// Practices A00000 and on; so many of each sub-ICB, one after the other.
    fn reference(sub_icbs: &[usize]) -> Reference {
        let mut reference = Reference::default();
        let of = sub_icbs.iter().enumerate();
        let of = of.flat_map(|(sub_icb, count)| std::iter::repeat_n(sub_icb, *count));
        for (practice, sub_icb) in of.enumerate() {
            let place = Place {
                sub_icb: Some(format!("S{sub_icb}").into()),
                ..Place::default()
            };
            reference.apply_row(
                &format!("A{practice:05}"),
                place,
                PracticeRow::blank(Day(0)),
            );
        }
        reference
    }

    #[test]
    fn sub_icbs_stay_whole_and_shares_are_even() {
        let counts = [9, 40, 3, 41, 17, 5, 38, 36, 44, 2, 39, 40, 12, 42, 7, 25];
        let reference = reference(&counts);
        let division = Division::of(&reference);
        let task =
            |practice: usize| division.of_record(&reference, Some(&format!("A{practice:05}")));
        let (mut first, mut sizes) = (0, [0; TASKS]);
        for count in counts {
            let tasks: Vec<u8> = (first..first + count).map(task).collect();
            assert!(tasks.iter().all(|it| *it == tasks[0]), "{tasks:?}");
            sizes[usize::from(tasks[0])] += count;
            first += count;
        }
        assert_eq!(sizes.iter().sum::<usize>(), 400);
        let (least, most) = (sizes.iter().min(), sizes.iter().max());
        assert!(
            most.zip(least)
                .is_some_and(|(most, least)| most - least <= 20),
            "{sizes:?}"
        );
        for nobody in [Some("A99999"), Some("no practice"), None] {
            assert_eq!(division.of_record(&reference, nobody), 0);
        }
    }
}
