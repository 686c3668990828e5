//! The first stage: one task's records, up to the practice's rows and the deltas for the levels above.

use std::sync::Arc;

use super::decoders::Decoders;
use super::note::Note;
use super::observe::{Observation, Observer};
use super::outputs::{Draft, Outputs};
use super::readmission::{Again, Request};
use super::reference::{ReferenceFeed, Snapshot};
use super::stage::{Hindrance, Stage};
use super::standing::Standings;
use super::stop::Stop;
use super::topics::{Partitions, READMISSIONS};
use crate::adapters::log::{Log, LogError, Message, Position};
use crate::adapters::partitioner::partition_of;
use crate::adapters::schemas::Schemas;
use crate::domain::disposition::Disposition;
use crate::domain::time::Timestamp;
use crate::domain::topic::{Supplier, SupplierTopic};
use crate::engine::fold::Change;
use crate::engine::keep::CALLERS;
use crate::engine::ledger::Counts;
use crate::engine::state::block::{Blocks, Cursor, Damage};
use crate::pipeline::{Key, Payload, Pipeline, Plan, Record};

/// A stage's own entry of what is written down; the pipeline's is 0.
pub const STANDINGS: u32 = 1;

/// One partition number of all eight supplier topics.
pub struct FirstStage {
    name: String,
    partition: i32,
    /// Of each supplier topic.
    partitions: i32,
    plan: Arc<Plan>,
    log: Arc<dyn Log>,
    feed: Arc<ReferenceFeed>,
    outputs: Arc<Outputs>,
    decoders: Decoders,
    observer: Arc<dyn Observer>,
    stop: Stop,
    pipeline: Pipeline,
    standings: Standings,
    followed: Snapshot,
    /// By supplier topic.
    pending: [i64; SupplierTopic::ALL.len()],
    /// Since the last settlement, counted here and by the pipeline.
    taken: i64,
    again: Again,
}

/// What all tasks of one service share.
#[derive(Clone)]
pub struct Common {
    pub plan: Arc<Plan>,
    pub log: Arc<dyn Log>,
    pub feed: Arc<ReferenceFeed>,
    pub outputs: Arc<Outputs>,
    pub schemas: Arc<Schemas>,
    pub observer: Arc<dyn Observer>,
    pub stop: Stop,
    pub partitions: Partitions,
}

impl FirstStage {
    #[must_use]
    pub fn new(common: &Common, partition: i32) -> Self {
        let followed = common.feed.current();
        Self {
            name: partition.to_string(),
            partition,
            partitions: common.partitions.tasks,
            plan: common.plan.clone(),
            log: common.log.clone(),
            feed: common.feed.clone(),
            outputs: common.outputs.clone(),
            decoders: Decoders::new(common.schemas.clone()),
            observer: common.observer.clone(),
            stop: common.stop.clone(),
            pipeline: Pipeline::new(common.plan.clone(), followed.reference.clone()),
            standings: Standings::default(),
            followed,
            pending: [0; SupplierTopic::ALL.len()],
            taken: 0,
            again: Again::default(),
        }
    }

    /// Whether there is newer reference data.
    fn is_behind(&self) -> bool {
        self.feed.version() != self.followed.version
    }

    fn follow_news(&mut self) {
        if self.is_behind() {
            self.followed = self.feed.current();
            self.pipeline.follow(self.followed.reference.clone());
        }
    }
}

impl Stage for FirstStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn topics(&self) -> Vec<&'static str> {
        let suppliers = SupplierTopic::ALL.map(SupplierTopic::name).into_iter();
        suppliers.chain([READMISSIONS]).collect()
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn reset(&mut self, note: Option<&Note>) -> Result<(), LogError> {
        self.refer(note)?;
        let reference = self.followed.reference.clone();
        self.pipeline = Pipeline::new(self.plan.clone(), reference);
        self.standings.clear();
        (self.pending, self.taken) = ([0; SupplierTopic::ALL.len()], 0);
        self.again = Again::default();
        self.pipeline.keep_changes();
        Ok(())
    }

    fn refer(&mut self, note: Option<&Note>) -> Result<(), LogError> {
        self.followed = self.feed.current();
        let reference = match note.and_then(|note| note.reference.as_ref()) {
            // What the committed figures took for granted; what came since is followed afterwards.
            Some(positions) => {
                let reference = self.feed.as_of(positions, &self.stop)?;
                if *self.followed.positions != **positions {
                    self.followed.version = 0;
                }
                self.followed.positions = positions.as_slice().into();
                reference
            }
            None => self.followed.reference.clone(),
        };
        self.followed.reference = reference.clone();
        self.pipeline.refer(reference);
        Ok(())
    }

    fn read_block(
        &mut self,
        block: &[u8],
        others: &mut dyn FnMut(u32, &[u8]) -> Option<()>,
    ) -> Result<usize, Damage> {
        let standings = &mut self.standings;
        self.pipeline.read_block(block, |number, entry| {
            if number == STANDINGS {
                standings.read(entry)
            } else {
                others(number, entry)
            }
        })
    }

    fn restored(&mut self, note: &Note) -> Result<(), Damage> {
        let counts = self.pipeline.restored(note.now)?;
        (self.pending, self.taken) = (pending(&counts), 0);
        Ok(())
    }

    fn write_times(&self, blocks: &mut Blocks) {
        blocks.put(CALLERS, STANDINGS, |into| self.standings.write(into));
        self.pipeline.write_times(blocks);
    }

    fn write_changes(&mut self, blocks: &mut Blocks) {
        self.pipeline.write_changes(blocks);
    }

    fn write_part(&self, cursor: &mut Cursor, entries: usize, blocks: &mut Blocks) -> bool {
        self.pipeline.write_part(cursor, entries, blocks)
    }

    fn kept_entries(&self) -> u64 {
        self.pipeline.kept_entries()
    }

    fn changelog(&self) -> i32 {
        self.partition
    }

    fn take(&mut self, message: &Message<'_>) -> Result<usize, Hindrance> {
        let Some(topic) = SupplierTopic::ALL.get(message.topic) else {
            self.request(message)?;
            return Ok(1);
        };
        let payload = self
            .decoders
            .payload(*topic, message.value)
            .map_err(|error| Hindrance::Wait(error.to_string()))?;
        let key = key_of(message, self.partitions);
        self.pipeline.take(&record(*topic, message, key, payload));
        self.taken += 1;
        Ok(1)
    }

    fn read_again(&mut self, until: &[i64], go_on: &dyn Fn() -> bool) -> Result<bool, LogError> {
        if self.again.practices.is_empty() {
            return Ok(true);
        }
        self.follow_news();
        self.pipeline.read_again(true);
        let (log, decoders, pipeline) = (&*self.log, &mut self.decoders, &mut self.pipeline);
        let (partition, partitions) = (self.partition, self.partitions);
        let outcome = self
            .again
            .read(log, partition, until, go_on, &mut |topic, message| {
                let payload = decoders.payload(topic, message.value)?;
                let key = key_of(message, partitions);
                let taken = pipeline.take_at_once(&record(topic, message, key, payload));
                Ok(taken.disposition)
            });
        self.pipeline.read_again(false);
        outcome
    }

    fn begin(&mut self, now: Timestamp) {
        self.pipeline.tell_time(now);
    }

    fn has_unread(&mut self, topic: &str) {
        if let Some(topic) = SupplierTopic::from_name(topic) {
            self.pipeline.has_unread(topic.supplier());
        }
    }

    fn has_news(&self) -> bool {
        self.is_behind() || self.pipeline.task().is_closing()
    }

    fn settle(&mut self, now: Timestamp, draft: &mut Draft) -> bool {
        self.follow_news();
        self.pipeline.advance(now);
        let (outputs, standings) = (&self.outputs, &mut self.standings);
        let mut closed = None;
        let summary = self.pipeline.settle_into(&mut |change| match change {
            Change::Row(row) => draft.row(outputs, standings, row),
            Change::Delta(delta) => draft.delta(outputs, delta),
            Change::Closed(now_closed) => closed = Some(now_closed),
        });
        if let Some(closed) = closed {
            draft.closed(outputs, self.partition, closed, summary.as_of);
        }
        for (supplier, records) in Supplier::ALL.into_iter().zip(summary.ahead) {
            if records > 0 {
                (self.observer).observe(&Observation::Ahead { supplier, records });
            }
        }
        for (supplier, records) in Supplier::ALL.into_iter().zip(summary.covid_vaccinations) {
            if records > 0 {
                (self.observer).observe(&Observation::CovidVaccinations { supplier, records });
            }
        }
        if summary.too_old > 0 {
            let (worker, events) = (&self.name, summary.too_old);
            self.observer
                .observe(&Observation::TooOld { worker, events });
        }
        for letter in self.pipeline.take_dead_letters() {
            draft.letter(outputs, &letter);
        }
        let taken = std::mem::take(&mut self.taken);
        let again = std::mem::take(&mut self.again);
        let counts = again.apart_from(&summary.counts);
        assert_eq!(
            counts.total(),
            taken,
            "task {}: every record read ends in exactly one disposition; nothing of this is committed",
            self.name
        );
        for (pending, more) in self.pending.iter_mut().zip(pending(&summary.counts)) {
            *pending += more;
        }
        draft.pending = self.pending.iter().sum();
        draft.as_of = summary.as_of;
        draft.counts = counts;
        draft.readmitted = again.counts;
        taken > 0 || !again.practices.is_empty() || !draft.transaction.is_empty()
    }

    fn reference(&self) -> Option<Vec<Position>> {
        Some(self.followed.positions.to_vec())
    }

    fn tell(&self) {
        let task = self.pipeline.task();
        let (slots, consultations) = task.entries();
        self.observer.observe(&Observation::State {
            worker: &self.name,
            entries: slots + consultations,
            bytes: task.bytes(),
            pending: &self.pending,
            watermarks: task.watermarks(),
        });
        self.observer.observe(&Observation::Aggregates {
            worker: &self.name,
            bytes: task.bytes_by_aggregate(),
        });
    }
}

impl FirstStage {
    /// Takes up a request, once the reference data that it was made in knowledge of is here.
    fn request(&mut self, message: &Message<'_>) -> Result<(), Hindrance> {
        match Request::read(message.value) {
            Ok(request) => {
                let missing = request.missing(&self.feed.current().positions);
                if let Some(missing) = missing {
                    return Err(Hindrance::Wait(missing));
                }
                self.again.practices.insert(request.practice);
            }
            // Nobody is helped by a task that stands still for it.
            Err(why) => {
                tracing::error!(
                    partition = message.partition,
                    offset = message.offset,
                    "a request in {READMISSIONS} cannot be read: {why}"
                );
            }
        }
        Ok(())
    }
}

fn key_of<'m>(message: &Message<'m>, partitions: i32) -> Key<'m> {
    let key = message.key.unwrap_or_default();
    Key::Routed {
        key,
        is_at_home: message.key.is_some() && partition_of(key, partitions) == message.partition,
    }
}

fn record<'m>(
    topic: SupplierTopic,
    message: &Message<'_>,
    key: Key<'m>,
    payload: Payload<'m>,
) -> Record<'m> {
    Record {
        topic,
        partition: message.partition,
        offset: message.offset,
        key,
        payload,
    }
}

fn pending(counts: &Counts) -> [i64; SupplierTopic::ALL.len()] {
    SupplierTopic::ALL.map(|topic| counts.of(topic, Disposition::Pending))
}
