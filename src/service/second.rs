//! The second stage: the tasks' deltas, up to every level above the practice.

use std::sync::Arc;

use super::first::{Common, STANDINGS};
use super::note::Note;
use super::observe::{Observation, Observer};
use super::outputs::{DELTAS, Draft, Outputs};
use super::stage::{Hindrance, Stage};
use super::standing::Standings;
use crate::adapters::deltas;
use crate::adapters::log::{LogError, Message, Position, Remedy};
use crate::domain::time::Timestamp;
use crate::engine::keep::CALLERS;
use crate::engine::rollup::Rollup;
use crate::engine::state::block::{Blocks, Cursor, Damage};
use crate::wire::datum::Datum;
use crate::wire::framing::unframe;
use crate::wire::output::Deltas;

/// One partition of `gpad.deltas`: the aggregates that go there.
pub struct SecondStage {
    name: String,
    partition: i32,
    /// Tasks of the first stage: their partitions of the changelog come first.
    tasks: i32,
    outputs: Arc<Outputs>,
    observer: Arc<dyn Observer>,
    rollup: Rollup,
    standings: Standings,
    as_of: Timestamp,
    taken: u64,
}

impl SecondStage {
    #[must_use]
    pub fn new(common: &Common, partition: i32) -> Self {
        let outputs = &common.outputs;
        Self {
            name: format!("rollup-{partition}"),
            partition,
            tasks: common.partitions.tasks,
            observer: common.observer.clone(),
            outputs: outputs.clone(),
            rollup: Rollup::new(outputs.plan.clone(), tasks_of(common.partitions.tasks)),
            standings: Standings::default(),
            as_of: Timestamp(0),
            taken: 0,
        }
    }
}

fn tasks_of(partitions: i32) -> usize {
    usize::try_from(partitions).unwrap_or(0)
}

impl Stage for SecondStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn topics(&self) -> Vec<&'static str> {
        vec![DELTAS]
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn reset(&mut self, _: Option<&Note>) -> Result<(), LogError> {
        self.rollup = Rollup::new(self.outputs.plan.clone(), tasks_of(self.tasks));
        self.standings.clear();
        (self.as_of, self.taken) = (Timestamp(0), 0);
        Ok(())
    }

    fn read_block(
        &mut self,
        block: &[u8],
        others: &mut dyn FnMut(u32, &[u8]) -> Option<()>,
    ) -> Result<usize, Damage> {
        let standings = &mut self.standings;
        self.rollup.read_block(block, |number, entry| {
            if number == STANDINGS {
                standings.read(entry)
            } else {
                others(number, entry)
            }
        })
    }

    fn restored(&mut self, _: &Note) -> Result<(), Damage> {
        self.rollup.restored();
        self.as_of = self.rollup.as_of();
        self.taken = 0;
        Ok(())
    }

    fn write_times(&self, blocks: &mut Blocks) {
        blocks.put(CALLERS, STANDINGS, |into| self.standings.write(into));
        self.rollup.write_times(blocks);
    }

    fn write_changes(&mut self, blocks: &mut Blocks) {
        self.rollup.write_changes(blocks);
    }

    fn write_part(&self, cursor: &mut Cursor, entries: usize, blocks: &mut Blocks) -> bool {
        self.rollup.write_part(cursor, entries, blocks)
    }

    fn kept_entries(&self) -> u64 {
        self.rollup.kept_entries()
    }

    fn changelog(&self) -> i32 {
        self.tasks + self.partition
    }

    fn take(&mut self, message: &Message<'_>) -> Result<usize, Hindrance> {
        let wrong = |why: String| {
            let doing = format!(
                "reading {DELTAS}/{} at {}",
                message.partition, message.offset
            );
            Hindrance::Fatal(LogError::new(Remedy::Stop, doing, why))
        };
        let (_, datum) = unframe(message.value).map_err(|error| wrong(error.to_string()))?;
        let deltas = Deltas::from_bytes(datum).map_err(|error| wrong(error.to_string()))?;
        if let Some(closed) = &deltas.closed {
            let (task, closed) = deltas::closed_from(closed);
            if !self.rollup.close(task, closed) {
                return Err(wrong(format!(
                    "task {task}, of {} that this configuration has; give a changed configuration a new kafka.group and a new {DELTAS}",
                    self.tasks
                )));
            }
            self.taken += 1;
            return Ok(1);
        }
        let aggregate = deltas.aggregate.clone();
        let deltas = deltas::deltas_from(deltas, &self.outputs.plan).ok_or_else(|| {
            wrong(format!(
                "deltas of `{aggregate}` as this configuration does not declare it; give a changed configuration a new kafka.group and a new {DELTAS}"
            ))
        })?;
        for delta in &deltas {
            self.as_of = self.as_of.max(delta.as_of);
            self.rollup.apply(delta);
        }
        self.taken += 1;
        Ok(deltas.len())
    }

    fn has_news(&self) -> bool {
        self.rollup.is_closing()
    }

    fn settle(&mut self, now: Timestamp, draft: &mut Draft) -> bool {
        let (outputs, standings) = (&self.outputs, &mut self.standings);
        self.rollup
            .settle(now, &mut |row| draft.row(outputs, standings, row));
        let events = self.rollup.take_too_old();
        if events > 0 {
            let worker = &self.name;
            self.observer
                .observe(&Observation::TooOld { worker, events });
        }
        draft.as_of = self.as_of;
        draft.pending = 0;
        std::mem::take(&mut self.taken) > 0 || !draft.transaction.is_empty()
    }

    fn reference(&self) -> Option<Vec<Position>> {
        None
    }

    fn tell(&self) {
        self.observer.observe(&Observation::Aggregates {
            worker: &self.name,
            bytes: self.rollup.bytes(),
        });
    }
}
