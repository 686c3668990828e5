//! The page: one record from bytes to a change of state, one stage a line.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::aggregate::Row;
use crate::domain::disposition::{Disposition, Rejection};
use crate::domain::reference::{PracticeIndex, Reference};
use crate::domain::time::{Day, Timestamp};
use crate::domain::topic::{Supplier, SupplierTopic};
use crate::engine::fold::Change;
use crate::engine::keep::CALLERS;
use crate::engine::ledger::Counts;
use crate::engine::plan::AggregatePlan;
use crate::engine::state::block::{Blocks, Cursor, Damage, Fields};
use crate::engine::task::{Categorised, Task};
use crate::engine::watermark::Closing;
use crate::stages::categorise::categorise;
use crate::stages::gate::{self, ServicePeriod};
use crate::stages::letter::{self, DeadLetter};
use crate::stages::normalise::{Draft, Normalise};
use crate::stages::screen::{FreeText, Screen};
use crate::stages::validate::{self, Extraction};
use crate::stages::wrapper::Wrapper;
use crate::wire::avro::{Decoded, Decoder};
use crate::wire::supplier::{SupplierRecord, emis, inps, microtest, tpp};

mod outcome;

use outcome::{Refused, Stop};
pub use outcome::{Settled, Summary, Taken};

/// The settings that decide figures, compiled.
#[derive(Debug)]
pub struct Plan {
    pub service: ServicePeriod,
    /// Days before and after the task's greatest day of extraction; `None` has no horizon (`replay`).
    pub horizon_days: Option<i32>,
    /// Fields that writers may add; they are skipped undecoded.
    pub ignorable_fields: BTreeSet<String>,
    pub aggregates: Arc<AggregatePlan>,
    pub closing: Closing,
}

/// A record as the log hands it over.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub topic: SupplierTopic,
    pub partition: i32,
    pub offset: i64,
    pub key: Key<'a>,
    pub payload: Payload<'a>,
}

/// The record's key, where the log has keys.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// A file: no keys, nothing misrouted.
    Absent,
    /// The practice's code by contract; whether it hashes to the partition it was found in.
    Routed { key: &'a [u8], is_at_home: bool },
}

/// What a record carries.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// One record and nothing else.
    Datum {
        decoder: &'a Decoder,
        datum: &'a [u8],
    },
    /// A record and what follows it: records of a file's block have no lengths.
    Front {
        decoder: &'a Decoder,
        front: &'a [u8],
    },
    /// Bytes that cannot be read, and why.
    Unreadable { raw: &'a [u8], detail: &'a str },
}

/// Entries that every settlement looks at for what lies behind the horizon: far more than come in a day, over a day.
const EVICTED: usize = 2_000;

/// The pipeline's own entry among what is written down.
const OWN: u32 = 0;

/// One task: one partition number across all eight supplier topics. Does no I/O, reads no clock.
#[derive(Debug)]
pub struct Pipeline {
    plan: Arc<Plan>,
    reference: Arc<Reference>,
    task: Task,
    screen: Screen,
    dead_letters: Vec<DeadLetter>,
    records: i64,
    now: Timestamp,
    newest_read: Option<Timestamp>,
    newest_admitted: Option<Day>,
    /// The day after "now", as it was told last, settled or not.
    tomorrow: Option<Day>,
    extraction: Option<Extraction>,
    scratch: Vec<u8>,
}

impl Pipeline {
    #[must_use]
    pub fn new(plan: Arc<Plan>, reference: Arc<Reference>) -> Self {
        let mut task = Task::new(plan.aggregates.clone(), reference.clone());
        task.close_by(plan.closing);
        Self {
            task,
            plan,
            reference,
            screen: Screen::default(),
            dead_letters: Vec::new(),
            records: 0,
            now: Timestamp(i64::MIN),
            newest_read: None,
            newest_admitted: None,
            tomorrow: None,
            extraction: None,
            scratch: Vec::new(),
        }
    }

    /// Takes in one record; answers the bytes of the payload that it took, `None` if it could not be decoded.
    /// An admitted version goes into the state a few records later, at the latest when anything is asked of it.
    pub fn take(&mut self, record: &Record<'_>) -> Option<usize> {
        self.hand_in(record).1
    }

    /// Takes in one record and says where it ended.
    pub fn take_at_once(&mut self, record: &Record<'_>) -> Taken {
        let (stopped, bytes) = self.hand_in(record);
        let admitted = self.task.drain();
        Taken {
            disposition: stopped
                .or(admitted)
                .expect("a record is stopped or admitted"),
            bytes,
        }
    }

    /// Where a record that goes no further ended, and the bytes that it took.
    fn hand_in(&mut self, record: &Record<'_>) -> (Option<Disposition>, Option<usize>) {
        match record.topic {
            SupplierTopic::EmisAppointments => self.way::<emis::Appointment<'_>>(record),
            SupplierTopic::EmisConsultations => self.way::<emis::Consultation<'_>>(record),
            SupplierTopic::TppAppointments => self.way::<tpp::Appointment<'_>>(record),
            SupplierTopic::TppConsultations => self.way::<tpp::Consultation<'_>>(record),
            SupplierTopic::InpsAppointments => self.way::<inps::Appointment<'_>>(record),
            SupplierTopic::InpsConsultations => self.way::<inps::Consultation<'_>>(record),
            SupplierTopic::MicrotestAppointments => self.way::<microtest::Appointment<'_>>(record),
            SupplierTopic::MicrotestConsultations => {
                self.way::<microtest::Consultation<'_>>(record)
            }
        }
    }

    fn way<'a, R>(&mut self, record: &Record<'a>) -> (Option<Disposition>, Option<usize>)
    where
        R: SupplierRecord<'a> + Wrapper<'a> + FreeText + Normalise<'a>,
    {
        self.records += 1;
        let mut read = R::default();
        let (decoded, decoder) = match self.decode(record, &mut read) {
            Ok(decoded) => decoded,
            Err(stop) => return (Some(self.stop(record, stop)), None),
        };
        let stopped = self
            .checks(record, &read, decoded.content, decoder)
            .err()
            .map(|stop| self.stop(record, stop));
        (stopped, Some(decoded.bytes))
    }

    /// feeds.md, "Order of the checks", from 2 on; then reconcile.
    fn checks<'a, R>(
        &mut self,
        record: &Record<'a>,
        read: &R,
        content: u64,
        decoder: &Decoder,
    ) -> Result<(), Stop>
    where
        R: SupplierRecord<'a> + Wrapper<'a> + FreeText + Normalise<'a>,
    {
        let extracted_at = read.extracted_at();
        let extraction = self.extraction(extracted_at.london_day());
        let extracted_on = extraction.day;
        self.newest_read = self.newest_read.max(Some(extracted_at));
        route(record, read)?;
        let practice = self.known_practice(read)?;
        gate::extraction(&self.reference, &self.plan.service, practice, extracted_on)?;
        self.screen(read, decoder, extraction.year)?;
        let draft = read.normalise(content).map_err(|refusal| {
            let field = Some(refusal.field);
            self.refuse(read, practice, refusal.reason, field, refusal.day)
        })?;
        let (day, planned_minutes) = match &draft {
            Draft::Appointment(draft) => (draft.start.day(), draft.planned_minutes),
            Draft::Consultation(draft) => (draft.start.day(), 0),
        };
        validate::date(day, &extraction)
            .and_then(|()| validate::planned_duration(planned_minutes))
            .map_err(|reason| self.refuse(read, practice, reason, None, Some(day)))?;
        gate::agreement(&self.reference, practice, day)?;
        self.within_horizon(day, extracted_on)
            .map_err(|reason| self.refuse(read, practice, reason, None, Some(day)))?;
        match &draft {
            Draft::Appointment(draft) => {
                let categorised = categorise(draft);
                let categorised = Categorised {
                    own: categorised.own,
                    slot_type: draft.slot_type,
                    is_covid_vaccination: categorised.is_covid_vaccination,
                };
                self.task
                    .admit_appointment(practice, draft, categorised, record.topic);
            }
            Draft::Consultation(draft) => {
                self.task.admit_consultation(practice, draft, record.topic);
            }
        }
        Ok(())
    }

    /// Check 1.
    fn decode<'a, R: SupplierRecord<'a>>(
        &mut self,
        record: &Record<'a>,
        into: &mut R,
    ) -> Result<(Decoded, &'a Decoder), Stop> {
        let undecodable = |detail: String| Refused {
            detail: Some(detail),
            ..Refused::bare(Rejection::Undecodable)
        };
        let scratch = &mut self.scratch;
        let (decoded, decoder) = match record.payload {
            Payload::Datum { decoder, datum } => (decoder.decode(datum, into, scratch), decoder),
            Payload::Front { decoder, front } => {
                (decoder.decode_prefix(front, into, scratch), decoder)
            }
            Payload::Unreadable { detail, .. } => return Err(undecodable(detail.to_owned()).into()),
        };
        match decoded {
            Ok(decoded) => Ok((decoded, decoder)),
            Err(error) => Err(undecodable(error.to_string()).into()),
        }
    }

    /// Check 2.
    fn known_practice<'a>(&self, read: &impl Wrapper<'a>) -> Result<PracticeIndex, Stop> {
        self.reference
            .known(read.practice_ods_code())
            .ok_or_else(|| Refused::bare(Rejection::UnknownPractice).into())
    }

    /// Check 5. A hit's dead letter names the field, and holds neither sender nor content.
    fn screen<R: FreeText>(
        &mut self,
        read: &R,
        decoder: &Decoder,
        extraction_year: i32,
    ) -> Result<(), Stop> {
        let unnamed = decoder
            .unnamed_fields()
            .iter()
            .find(|field| !self.plan.ignorable_fields.contains(*field));
        let (reason, field) = match unnamed {
            Some(field) => (Rejection::UnnamedField, field.clone()),
            None => match self.screen.hit(read, extraction_year) {
                Some(field) => (Rejection::IdentifiableData, field.to_owned()),
                None => return Ok(()),
            },
        };
        let refused = Refused {
            field: Some(field),
            ..Refused::bare(reason)
        };
        Err(refused.into())
    }

    fn extraction(&mut self, day: Day) -> Extraction {
        let known = self.extraction.filter(|known| known.day == day);
        *self
            .extraction
            .insert(known.unwrap_or_else(|| Extraction::on(day)))
    }

    fn within_horizon(&mut self, day: Day, extracted_on: Day) -> Result<(), Rejection> {
        let Some(days) = self.plan.horizon_days else {
            return Ok(());
        };
        // A clock that runs ahead does not take the others' records with it behind the horizon.
        let known = (self.tomorrow).map_or(extracted_on, |tomorrow| extracted_on.min(tomorrow));
        let newest = self.newest_admitted.max(Some(known)).unwrap_or(known);
        validate::horizon(day, newest, days)?;
        self.newest_admitted = Some(newest);
        self.task.live_from(Day(newest.0.saturating_sub(days)));
        Ok(())
    }

    /// The refusal of a record that passed the screen: its content goes with it only if the practice
    /// agreed on the record's own day, where that day is known (feeds.md, rule 12).
    fn refuse<'a, R>(
        &self,
        read: &R,
        practice: PracticeIndex,
        reason: Rejection,
        field: Option<&'static str>,
        day: Option<Day>,
    ) -> Stop
    where
        R: SupplierRecord<'a> + Wrapper<'a> + FreeText,
    {
        let may_tell =
            day.is_none_or(|day| gate::agreement(&self.reference, practice, day).is_ok());
        let refused = Refused {
            reason,
            field: field.map(str::to_owned),
            detail: None,
            sender: may_tell.then(|| (read.practice_ods_code().to_owned(), read.extracted_at())),
            content: may_tell.then(|| letter::content(read)),
        };
        refused.into()
    }

    /// Counts a record that goes no further, and writes its dead letter if it was refused.
    fn stop(&mut self, record: &Record<'_>, stop: Stop) -> Disposition {
        let disposition = match stop {
            Stop::Withheld(why) => Disposition::Withheld(why),
            Stop::Rejected(refused) => {
                let reason = refused.reason;
                let raw = (reason == Rejection::Undecodable)
                    .then(|| self.raw(record))
                    .flatten();
                let (practice, extracted_at) = refused.sender.unzip();
                self.dead_letters.push(DeadLetter {
                    topic: record.topic,
                    partition: record.partition,
                    offset: record.offset,
                    reason,
                    field: refused.field,
                    detail: refused.detail,
                    practice,
                    extracted_at,
                    raw,
                    content: refused.content,
                });
                Disposition::Rejected(reason)
            }
        };
        self.task.count(record.topic, disposition);
        disposition
    }

    /// Bytes that cannot be decoded are kept only if the key names a practice approved today.
    fn raw(&self, record: &Record<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
        let Key::Routed { key, .. } = record.key else {
            return None;
        };
        let practice = self.reference.known(std::str::from_utf8(key).ok()?)?;
        gate::agreement(&self.reference, practice, self.now.london_day()).ok()?;
        let raw = match record.payload {
            Payload::Datum { datum, .. } => datum,
            Payload::Front { front, .. } => front,
            Payload::Unreadable { raw, .. } => raw,
        };
        Some((key.to_vec(), raw.to_vec()))
    }

    /// What is read back from here on refers to these reference data; nothing is restated.
    pub fn refer(&mut self, reference: Arc<Reference>) {
        self.reference = reference.clone();
        self.task.refer(reference);
    }

    /// Moves on to newer reference data.
    pub fn follow(&mut self, reference: Arc<Reference>) {
        self.reference = reference.clone();
        self.task.follow(reference);
    }

    /// What time it is, before the first record; nothing is settled as of then.
    pub fn tell_time(&mut self, now: Timestamp) {
        let tomorrow = Day(now.london_day().0.saturating_add(1));
        self.tomorrow = self.tomorrow.max(Some(tomorrow));
        self.task.tell_time(now);
    }

    /// Records of a supplier wait to be read: it is not silent, though nothing of it is taken in.
    pub fn has_unread(&mut self, supplier: Supplier) {
        self.task.has_unread(supplier);
    }

    /// Another pipeline of the same input has admitted a version of a supplier.
    pub fn has_come_to(&mut self, supplier: Supplier, version: Timestamp) {
        self.task.has_come_to(supplier, version);
    }

    /// Moves on in time, never back.
    pub fn advance(&mut self, now: Timestamp) {
        self.tell_time(now);
        self.now = self.now.max(now);
        self.task.advance(now);
    }

    /// Whether the records taken from here on were taken before, and are read again.
    pub fn read_again(&mut self, reads_again: bool) {
        self.task.read_again(reads_again);
    }

    /// Takes records in without folding, for a backlog or a restoration.
    pub fn start_loading(&mut self) {
        self.task.start_loading();
    }

    /// Folds all that was loaded, as of the time last told.
    pub fn finish_loading(&mut self) {
        self.task.finish_loading();
    }

    /// Forgets what would be handed over next: it was committed before (restoration).
    pub fn discard(&mut self) {
        self.task.discard_changes();
        self.dead_letters.clear();
        self.records = 0;
    }

    /// From here on changes of the state are noted, to be written down by [`Self::write_changes`].
    pub fn keep_changes(&mut self) {
        self.task.keep_changes();
    }

    /// Appends how far the task has come.
    pub fn write_times(&self, block: &mut Blocks) {
        block.put(CALLERS, OWN, |into| {
            let newest_read = self.newest_read.map_or(i64::MIN, |newest| newest.0);
            let newest_admitted = self.newest_admitted.map_or(i32::MIN, |newest| newest.0);
            into.extend_from_slice(&newest_read.to_le_bytes());
            into.extend_from_slice(&newest_admitted.to_le_bytes());
        });
        self.task.write_times(block);
    }

    /// Appends what the last settlement has changed. Called after each settlement, once.
    pub fn write_changes(&mut self, block: &mut Blocks) {
        self.task.write_changes(block);
    }

    /// Entries that the state has.
    #[must_use]
    pub fn kept_entries(&self) -> u64 {
        self.task.kept_entries()
    }

    /// Appends a part of the whole state; `true` when all parts were written.
    pub fn write_part(&self, cursor: &mut Cursor, entries: usize, block: &mut Blocks) -> bool {
        self.task.write_part(cursor, entries, block)
    }

    /// Takes in a block of state; `stage` is given entries that a stage put in itself. Answers the entries read.
    ///
    /// # Errors
    /// When it is damaged; the pipeline is then good for nothing.
    pub fn read_block<'a>(
        &mut self,
        bytes: &'a [u8],
        mut stage: impl FnMut(u32, &'a [u8]) -> Option<()>,
    ) -> Result<usize, Damage> {
        let (newest_read, newest_admitted) = (&mut self.newest_read, &mut self.newest_admitted);
        self.task.read_block(bytes, |number, entry| {
            if number != OWN {
                return stage(number, entry);
            }
            let mut fields = Fields(entry);
            let (read, admitted) = (fields.i64()?, fields.u32()?.cast_signed());
            *newest_read = (read > i64::MIN).then_some(Timestamp(read));
            *newest_admitted = (admitted > i32::MIN).then_some(Day(admitted));
            fields.end()
        })
    }

    /// Makes what was read back ready to go on at a time; answers what is pending.
    ///
    /// # Errors
    /// When the reference data does not know a practice.
    pub fn restored(&mut self, now: Timestamp) -> Result<Counts, Damage> {
        self.tell_time(now);
        self.now = self.now.max(now);
        self.task.restored()
    }

    /// Hands over what one transaction must carry.
    ///
    /// # Panics
    /// If the dispositions do not add up to the records taken: a record would be lost, and stopping
    /// before the commit loses nothing.
    pub fn settle(&mut self) -> Settled {
        let (mut rows, mut deltas, mut closed) = (Vec::new(), Vec::new(), None);
        let summary = self.settle_into(&mut |change| match change {
            Change::Row(row) => rows.push(row.clone()),
            Change::Delta(delta) => deltas.push(delta),
            Change::Closed(now_closed) => closed = Some(now_closed),
        });
        Settled {
            rows,
            deltas,
            closed,
            dead_letters: std::mem::take(&mut self.dead_letters),
            counts: summary.counts,
            records: summary.records,
            as_of: summary.as_of,
        }
    }

    /// As [`Self::settle`], row by row: a whole month need not stand in memory twice. Dead letters
    /// stay for [`Self::take_dead_letters`].
    ///
    /// # Panics
    /// As [`Self::settle`].
    pub fn settle_into(&mut self, out: &mut dyn FnMut(Change<&Row>)) -> Summary {
        let settled = self.task.settle(out);
        self.task.evict(EVICTED);
        let records = std::mem::take(&mut self.records);
        assert_eq!(
            settled.counts.total(),
            records,
            "every record ends in exactly one disposition"
        );
        Summary {
            counts: settled.counts,
            records,
            as_of: settled.as_of,
            too_old: settled.too_old,
            ahead: settled.ahead,
            covid_vaccinations: settled.covid_vaccinations,
        }
    }

    /// Dead letters written since they were last taken.
    pub fn take_dead_letters(&mut self) -> Vec<DeadLetter> {
        std::mem::take(&mut self.dead_letters)
    }

    /// The greatest time of extraction read, refused records too: `replay`'s "now" without `--as-of`.
    #[must_use]
    pub const fn newest_read(&self) -> Option<Timestamp> {
        self.newest_read
    }

    /// The state, for metrics.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }
}

/// A record must lie where its practice's code hashes to (feeds.md, "Key").
fn route<'a>(record: &Record<'_>, read: &impl Wrapper<'a>) -> Result<(), Stop> {
    match record.key {
        Key::Absent => Ok(()),
        Key::Routed { key, is_at_home }
            if is_at_home && key == read.practice_ods_code().as_bytes() =>
        {
            Ok(())
        }
        Key::Routed { .. } => Err(Refused::bare(Rejection::Misrouted).into()),
    }
}
