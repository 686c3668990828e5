//! What of a task and of the second stage is written down, and how it comes back.
//
//   table   0 times   1 the caller's   2 practices   3 slot types   4 long ids   5 slots with their moments   6 consultations
//           7 places   8… rows, aggregate by aggregate (second stage: and level by level); of rolling windows panes, then rows

use std::sync::Arc;

use crate::domain::disposition::Disposition;
use crate::domain::reference::Reference;
use crate::domain::time::{Local, Timestamp};
use crate::domain::topic::SupplierTopic;

use super::ledger::Counts;
use super::packed_table::PackedTable;
use super::plan::AggregatePlan;
use super::rollup::Rollup;
use super::state::block::{self, Blocks, Cursor, Damage, Fields, Kept};
use super::state::slot::Mark;
use super::task::{Task, consultations_of};
use super::upcoming::Upcoming;
use super::watermark::Closed;

const TIMES: u8 = 0;
/// The table that a stage may put entries of its own into; it is handed back by [`Task::read_block`].
pub const CALLERS: u8 = 1;
const PRACTICES: u8 = 2;
const SLOT_TYPES: u8 = 3;
const TEXTS: u8 = 4;
const SLOTS: u8 = 5;
const CONSULTATIONS: u8 = 6;
const PLACES: u8 = 7;
const ROWS: u8 = 8;

/// How many entries of the tables that only grow have been written down.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    practices: u32,
    slot_types: u32,
    texts: u32,
    places: u32,
}

impl AggregatePlan {
    /// What state written under this plan can be read back under: names, windows, keys and measures.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let lines = self.aggregates.iter().map(|aggregate| {
            let dimensions: Vec<_> = aggregate.dimensions().collect();
            let days = format!(
                "{} {:?} {:?} {dimensions:?} {} {:?} {}",
                aggregate.name,
                aggregate.window,
                aggregate.measures,
                aggregate.has_practice(),
                aggregate.above_practice(),
                aggregate.has_supplier(),
            );
            // As it was before there was anything else, for those that have nothing else.
            let others = aggregate.others();
            if others.is_empty() {
                days
            } else {
                format!("{days} {others}")
            }
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    }
}

fn put_new(table: u8, kept: &dyn Kept, written: &mut u32, block: &mut Blocks) {
    while *written < kept.entries() {
        block.put(table, *written, |into| kept.write(*written, into));
        *written += 1;
    }
}

fn put_rows<'a>(
    tables: impl Iterator<Item = &'a PackedTable>,
    changed: Vec<Vec<u32>>,
    block: &mut Blocks,
) {
    for ((at, rows), changed) in (ROWS..).zip(tables).zip(changed) {
        for number in changed {
            block.put(at, number, |into| rows.write(number, into));
        }
    }
}

fn rows_at<'a>(table: u8, mut rows: impl Iterator<Item = &'a PackedTable>) -> Option<&'a dyn Kept> {
    let rows = rows.nth(usize::from(table.checked_sub(ROWS)?))?;
    Some(rows)
}

fn read_row<'a>(
    mut rows: impl Iterator<Item = &'a mut PackedTable>,
    (table, number): (u8, u32),
    bytes: &[u8],
) -> Result<(), Damage> {
    table
        .checked_sub(ROWS)
        .and_then(|at| rows.nth(usize::from(at)))
        .ok_or(Damage::Table(table))?
        .read(number, bytes)
        .ok_or(Damage::Entry(table))
}

impl Task {
    /// From here on changes are noted, to be written down by [`Self::write_changes`].
    pub fn keep_changes(&mut self) {
        self.keeps = true;
        self.consultations.keep_changes();
    }

    /// Appends how far the task has come.
    pub fn write_times(&self, block: &mut Blocks) {
        block.put(TIMES, 0, |into| self.put_times(into));
    }

    /// Appends every entry that the last settlement has changed. Called after each settlement, once.
    pub fn write_changes(&mut self, block: &mut Blocks) {
        let written = &mut self.written;
        put_new(PRACTICES, &self.practices, &mut written.practices, block);
        put_new(SLOT_TYPES, &self.slot_types, &mut written.slot_types, block);
        let texts = self.consultations.texts();
        put_new(TEXTS, texts, &mut written.texts, block);
        // The last piece may still grow.
        written.texts = written.texts.min(texts.piece());
        put_new(PLACES, self.fold.places(), &mut written.places, block);
        for index in self.changed_slots.drain(..) {
            block.put(SLOTS, index.0, |into| self.slots.write(index.0, into));
        }
        for number in self.consultations.take_changed() {
            block.put(CONSULTATIONS, number, |into| {
                self.consultations.write(number, into);
            });
        }
        let changed = self.fold.take_changed();
        put_rows(self.fold.tables(), changed, block);
    }

    /// Appends a part of the whole; `true` when all parts were written.
    pub fn write_part(&self, cursor: &mut Cursor, entries: usize, block: &mut Blocks) -> bool {
        cursor.walk(PRACTICES, |table| self.table(table), entries, block)
    }

    /// Entries of all tables.
    #[must_use]
    pub fn kept_entries(&self) -> u64 {
        (PRACTICES..)
            .map_while(|table| self.table(table))
            .map(|kept| u64::from(kept.entries()))
            .sum()
    }

    fn table(&self, table: u8) -> Option<&dyn Kept> {
        Some(match table {
            PRACTICES => &self.practices,
            SLOT_TYPES => &self.slot_types,
            TEXTS => self.consultations.texts(),
            SLOTS => &self.slots,
            CONSULTATIONS => &self.consultations,
            PLACES => self.fold.places(),
            table => return rows_at(table, self.fold.tables()),
        })
    }

    /// Takes in a block; entries of the caller's table go to `callers`. Answers the number of entries.
    ///
    /// # Errors
    /// When it is damaged; the task is then good for nothing.
    pub fn read_block<'a>(
        &mut self,
        bytes: &'a [u8],
        mut callers: impl FnMut(u32, &'a [u8]) -> Option<()>,
    ) -> Result<usize, Damage> {
        let plan = self.fold.plan().fingerprint();
        block::read(bytes, plan, |table, number, entry| {
            let kept: &mut dyn Kept = match table {
                TIMES => return self.read_times(entry).ok_or(Damage::Entry(table)),
                CALLERS => return callers(number, entry).ok_or(Damage::Entry(table)),
                PRACTICES => &mut self.practices,
                SLOT_TYPES => &mut self.slot_types,
                TEXTS => self.consultations.texts_mut(),
                SLOTS => &mut self.slots,
                CONSULTATIONS => &mut self.consultations,
                PLACES => self.fold.places_mut(),
                table => {
                    return read_row(self.fold.tables_mut(), (table, number), entry);
                }
            };
            kept.read(number, entry).ok_or(Damage::Entry(table))
        })
    }

    /// What was read back refers to these reference data, once it is [`Self::restored`].
    pub fn refer(&mut self, reference: Arc<Reference>) {
        self.reference = reference;
    }

    /// Makes what was read back ready to go on; answers what is pending, as counts.
    ///
    /// # Errors
    /// When the reference data does not know a practice.
    pub fn restored(&mut self) -> Result<Counts, Damage> {
        self.practices.restored(&self.reference)?;
        self.slot_types.restored(&self.reference, &self.practices);
        self.slots.restored();
        let practices = &self.practices;
        self.consultations.restored(|number| practices.code(number));
        self.fold.restored(self.now);
        self.written = Written {
            practices: self.practices.entries(),
            slot_types: self.slot_types.entries(),
            texts: self.consultations.texts().piece(),
            places: self.fold.places().entries(),
        };
        self.upcoming = Upcoming::new(self.now);
        for index in self.slots.indexes() {
            let slot = self.slots.get_mut(index);
            if slot.is(Mark::FoldedPast) || slot.is(Mark::Vacant) {
                continue;
            }
            if let Some(start) = slot.start().map(Local::to_utc) {
                slot.set(Mark::Upcoming, true);
                self.upcoming.push(start, index);
            }
        }
        let mut counts = Counts::default();
        for index in self.consultations.indexes() {
            let consultation = self.consultations.get(index);
            if consultation.waits_for().is_some() {
                let topic: SupplierTopic = consultations_of(consultation.supplier());
                counts.count(topic, Disposition::Pending);
            }
        }
        Ok(counts)
    }

    fn put_times(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.now.0.to_le_bytes());
        self.watermarks.write(into);
    }

    fn read_times(&mut self, bytes: &[u8]) -> Option<()> {
        let mut fields = Fields(bytes);
        self.now = Timestamp(fields.i64()?);
        self.watermarks.read(&mut fields)?;
        fields.end()
    }
}

impl Rollup {
    /// Appends how far it has come.
    pub fn write_times(&self, block: &mut Blocks) {
        block.put(TIMES, 0, |into| {
            into.extend_from_slice(&self.as_of.0.to_le_bytes());
            into.extend_from_slice(&self.now.0.to_le_bytes());
        });
        for (task, closed) in (1_u32..).zip(&self.closed) {
            block.put(TIMES, task, |into| closed.write(into));
        }
    }

    /// Appends every row that the last settlement has changed. Called after each settlement, once.
    pub fn write_changes(&mut self, block: &mut Blocks) {
        put_new(PLACES, &self.places, &mut self.places_written, block);
        let changed = self.take_changed();
        put_rows(self.tables(), changed, block);
    }

    /// Appends a part of the whole; `true` when all parts were written.
    pub fn write_part(&self, cursor: &mut Cursor, entries: usize, block: &mut Blocks) -> bool {
        cursor.walk(PLACES, |table| self.table(table), entries, block)
    }

    /// Entries of all tables.
    #[must_use]
    pub fn kept_entries(&self) -> u64 {
        (PLACES..)
            .map_while(|table| self.table(table))
            .map(|kept| u64::from(kept.entries()))
            .sum()
    }

    fn table(&self, table: u8) -> Option<&dyn Kept> {
        match table {
            PLACES => Some(&self.places),
            table => rows_at(table, self.tables()),
        }
    }

    /// As [`Task::read_block`].
    ///
    /// # Errors
    /// When it is damaged.
    pub fn read_block<'a>(
        &mut self,
        bytes: &'a [u8],
        mut callers: impl FnMut(u32, &'a [u8]) -> Option<()>,
    ) -> Result<usize, Damage> {
        let plan = self.plan().fingerprint();
        block::read(bytes, plan, |table, number, entry| match table {
            TIMES if number > 0 => {
                let told = self.closed.get_mut(number as usize - 1);
                let closed = Closed::read(&mut Fields(entry));
                // As many tasks as now, or it is of another configuration.
                let (told, closed) = told.zip(closed).ok_or(Damage::Entry(table))?;
                *told = closed;
                Ok(())
            }
            TIMES => {
                let mut fields = Fields(entry);
                self.as_of = fields.i64().map(Timestamp).ok_or(Damage::Entry(table))?;
                // Before there were windows of event time it was not told the time.
                self.now = fields.i64().map_or(self.now, Timestamp);
                Ok(())
            }
            CALLERS => callers(number, entry).ok_or(Damage::Entry(table)),
            PLACES => self.places.read(number, entry).ok_or(Damage::Entry(table)),
            table => read_row(self.tables_mut(), (table, number), entry),
        })
    }

    /// Makes what was read back ready to go on.
    pub fn restored(&mut self) {
        self.places.restored();
        self.places_written = self.places.entries();
        self.restore_levels();
    }
}
