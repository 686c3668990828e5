//! A run: from cells and options to every record, practice by practice.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use super::batch::Batch;
use super::calendar::{Calendar, Service};
use super::cells::{Cell, Cells};
use super::draw::Draw;
use super::error::Error;
use super::faults;
use super::places::{Feed, assign};
use super::quotas::Quotas;
use super::reference::Reference;
use super::registers;
use super::sink::{Sink, Topic};

/// What a run is told beside its cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// By what every cell's count is multiplied, see [`Cells::scaled`].
    pub scale: f64,
    /// Another seed, other records; the same cells.
    pub seed: u64,
    /// Also records that are refused or withheld; no published cell changes.
    pub faults: bool,
    /// The days on which records may be extracted.
    pub service: Service,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scale: 1.0,
            seed: 1,
            faults: false,
            service: Service::default(),
        }
    }
}

/// What a run wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Appointments that the publication counts.
    pub counted: u64,
    /// Practices that report.
    pub practices: u64,
    /// Reference records.
    pub reference_records: u64,
    /// Supplier records.
    pub records: u64,
    /// Bytes of the records, without framing.
    pub bytes: u64,
}

/// One practice's part of a run.
struct Job {
    place: usize,
    practice: usize,
    /// Positions of its feeds among the place's.
    feeds: std::ops::Range<usize>,
}

/// A run that is ready to be drawn, as often as wanted, always alike.
pub struct Plan {
    pub(super) options: Options,
    pub(super) reference: Reference,
    pub(super) cells: Cells,
    pub(super) calendar: Calendar,
    /// By place.
    pub(super) feeds: Vec<Vec<Feed>>,
    quotas: Vec<Quotas>,
    /// By place: where its cells stand.
    spans: Vec<std::ops::Range<usize>>,
    jobs: Vec<Job>,
}

impl Plan {
    /// Scales the cells, finds their practices and shares them out.
    ///
    /// # Errors
    /// [`Error::Option`], [`Error::OutsideService`], [`Error::TooFewPractices`].
    pub fn new(cells: &Cells, options: Options) -> Result<Self, Error> {
        if !(options.scale.is_finite() && options.scale > 0.0 && options.scale <= 100.0) {
            return Err(Error::Option {
                option: "--scale",
                value: options.scale.to_string(),
                range: "a number above 0, at most 100",
            });
        }
        if options.service.to < options.service.from {
            return Err(Error::Option {
                option: "--service-to",
                value: super::calendar::label(options.service.to),
                range: "a day on or after --service-from",
            });
        }
        let calendar = Calendar::new(cells.month, options.service)?;
        let cells = cells.scaled(options.scale);
        let reference = Reference::embedded();
        let feeds = assign(&reference, &cells, options.scale)?;
        let mut spans = Vec::with_capacity(cells.places.len());
        let mut jobs = Vec::new();
        let mut quotas = Vec::with_capacity(cells.places.len());
        for (place, feeds) in feeds.iter().enumerate() {
            let start = cells.cells.partition_point(|cell| cell.place < place);
            let end = cells.cells.partition_point(|cell| cell.place <= place);
            quotas.push(Quotas::new(feeds, &cells.cells[start..end], options.seed));
            spans.push(start..end);
            let mut first = 0;
            for chunk in feeds.chunk_by(|a, b| a.practice == b.practice) {
                jobs.push(Job {
                    place,
                    practice: chunk[0].practice,
                    feeds: first..first + chunk.len(),
                });
                first += chunk.len();
            }
        }
        Ok(Self {
            options,
            reference,
            cells,
            calendar,
            feeds,
            quotas,
            spans,
            jobs,
        })
    }

    /// The cells that the records count back to.
    #[must_use]
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// How many practices report, which is how often `progress` is told of one more.
    #[must_use]
    pub fn practices(&self) -> usize {
        self.jobs.len()
    }

    /// The cells of a place.
    fn cells_of(&self, place: usize) -> &[Cell] {
        &self.cells.cells[self.spans[place].clone()]
    }

    /// How many appointments of each cell of the place a feed has.
    fn shares(&self, place: usize, feed: usize) -> impl Iterator<Item = (Cell, u64)> + '_ {
        self.cells_of(place)
            .iter()
            .map(move |cell| (*cell, self.quotas[place].share(cell, feed)))
            .filter(|(_, share)| *share > 0)
    }

    /// How many batches a run has: one for each practice, then those of its faults.
    fn batches(&self) -> usize {
        self.jobs.len() + faults::batches(self)
    }

    /// Draws the records of the batch at `index` into `batch`, in order of arrival; gives the appointments counted.
    pub(super) fn draw(&self, index: usize, batch: &mut Batch) -> u64 {
        let Some(job) = self.jobs.get(index) else {
            faults::draw(self, index - self.jobs.len(), batch);
            return 0;
        };
        let code = self.reference.practices[job.practice].code;
        batch.restart(code);
        let mut counted = 0;
        for feed in job.feeds.clone() {
            let supplier = self.feeds[job.place][feed].supplier;
            let mut draw = Draw::new(self.options.seed, code, supplier, &self.calendar);
            for (cell, share) in self.shares(job.place, feed) {
                for _ in 0..share {
                    draw.counted(cell.kind, batch);
                    draw.aside(batch);
                }
                counted += share;
            }
        }
        batch.sort();
        counted
    }

    /// Sends every record: reference data first, then practice by practice in order of arrival, drawn by `threads`
    /// threads at once. `progress` is told the appointments counted so far after each practice.
    ///
    /// # Errors
    /// The sink's.
    pub fn run(
        &self,
        sink: &mut dyn Sink,
        threads: usize,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Summary, Error> {
        let mut summary = Summary {
            practices: self.jobs.len() as u64,
            ..Summary::default()
        };
        summary.reference_records = registers::send(self, sink)?;
        self.in_order(threads, &mut |batch, counted| {
            for (entry, datum) in batch.records() {
                sink.send(
                    Topic::Supplier(entry.topic),
                    batch.key.as_bytes(),
                    datum,
                    entry.extracted_at,
                )?;
                summary.bytes += datum.len() as u64;
            }
            summary.records += batch.len() as u64;
            summary.counted += counted;
            progress(summary.counted);
            Ok(())
        })?;
        Ok(summary)
    }

    /// Gives every batch in order, drawn by several threads.
    //
    // A thread takes a spare batch, then the next index: the lowest index that is not yet given is always being drawn
    // or waiting to be given, and no more batches are in memory than there are spare ones.
    pub(super) fn in_order(
        &self,
        threads: usize,
        take: &mut dyn FnMut(&Batch, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let threads = threads.max(1);
        let batches = self.batches();
        let next = AtomicUsize::new(0);
        let (back, spare) = mpsc::channel::<Batch>();
        for _ in 0..threads + 2 {
            // The receiver lives to the end of this function.
            let _ = back.send(Batch::default());
        }
        let spare = Mutex::new(spare);
        thread::scope(|scope| {
            let (done, drawn) = mpsc::channel::<(usize, Batch, thread::Result<u64>)>();
            for _ in 0..threads {
                let done = done.clone();
                let (next, spare) = (&next, &spare);
                scope.spawn(move || {
                    // Spare batches and the receiver of drawn ones are gone when the sink failed.
                    while let Some(mut batch) =
                        spare.lock().ok().and_then(|spare| spare.recv().ok())
                    {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= batches {
                            return;
                        }
                        // A thread that died in silence would leave the others waiting for its turn.
                        let draw = AssertUnwindSafe(|| self.draw(index, &mut batch));
                        let counted = panic::catch_unwind(draw);
                        if done.send((index, batch, counted)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            let mut early = BTreeMap::new();
            let mut result = Ok(());
            for turn in 0..batches {
                while !early.contains_key(&turn) {
                    let Ok((index, batch, counted)) = drawn.recv() else {
                        break;
                    };
                    early.insert(index, (batch, counted));
                }
                let Some((batch, counted)) = early.remove(&turn) else {
                    break;
                };
                let counted = counted.unwrap_or_else(|panicked| panic::resume_unwind(panicked));
                result = take(&batch, counted);
                if result.is_err() {
                    break;
                }
                // Nobody wants spare batches once all are drawn.
                let _ = back.send(batch);
            }
            drop((back, drawn));
            result
        })
    }

    /// The practices that report, with their place and feeds, in order.
    pub(super) fn reporting(&self) -> impl Iterator<Item = (usize, usize, &[Feed])> {
        self.jobs.iter().map(|job| {
            (
                job.place,
                job.practice,
                &self.feeds[job.place][job.feeds.clone()],
            )
        })
    }
}
