//! What must be true once the faults have ceased: everything is done in time, and equal to a batch run.

use gpad_live::adapters::schemas::Schemas;
use gpad_live::domain::time::Timestamp;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::service::verify::{Options, verify};
use gpad_live::service::{DELTAS, READMISSIONS};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::output::AggregateKey;

use super::broker::Place;
use super::course::{Course, LAST};
use super::input::{Batch, PLAN};
use super::log::SimLog;
use super::world::{MILLI, SECOND, Time, World};
use crate::support::expected::Rows;

/// After the faults have ceased everything must be done within this.
const LIVELY: Time = 120 * SECOND;
/// Nothing happens any more: longer than anything of the service waits before it looks again.
const QUIET: Time = 3 * SECOND;

impl Course {
    /// Waits until all is done that there is to do, and compares.
    pub fn settle(&mut self, when: &str) -> Result<(), String> {
        let began = self.sim.world().now;
        let mut last = (-1, began);
        loop {
            self.sim.sleep(200 * MILLI);
            self.check()?;
            let (transactions, now, left) = {
                let world = self.sim.world();
                (world.books.transactions(), world.now, Self::left(&world))
            };
            if transactions != last.0 || left.is_some() {
                last = (transactions, now);
            }
            if now > last.1 + QUIET {
                break;
            }
            if now > began + LIVELY {
                return Err(format!(
                    "{when}: {} s later {}",
                    LIVELY / SECOND,
                    left.unwrap_or_else(|| "there is no end".to_owned())
                ));
            }
        }
        self.compare().map_err(|wrong| format!("{when}: {wrong}"))?;
        self.verify().map_err(|wrong| format!("{when}: {wrong}"))
    }

    /// What is not read yet.
    fn left(world: &World) -> Option<String> {
        let topics = SupplierTopic::ALL
            .map(SupplierTopic::name)
            .into_iter()
            .chain([READMISSIONS, DELTAS]);
        for topic in topics {
            let (number, _) = world.broker.place(topic, 0);
            for (at, partition) in (0..).zip(&world.broker.topics[number].partitions) {
                let place: Place = (number, at);
                let next = world.books.position(place);
                if partition.ends().end < partition.next
                    || partition.committed(next, i64::MAX).next().is_some()
                {
                    return Some(format!(
                        "{topic}/{at} is read up to {next} of {}",
                        partition.next
                    ));
                }
            }
        }
        (!world.broker.is_quiet()).then(|| "a transaction is open".to_owned())
    }

    fn compare(&self) -> Result<(), String> {
        let world = self.sim.world();
        let batch = Batch::of(&world.broker, &self.reference, Timestamp(LAST));
        let books = &world.books.audited;
        if books.accounted != batch.records {
            return Err(format!(
                "{} records are accounted for, of {}",
                books.accounted, batch.records
            ));
        }
        if let Some(topic) = batch.rows.keys().chain(books.rows.keys()).find(|topic| {
            let of = |rows: &Rows| rows.get(*topic).cloned().unwrap_or_default();
            of(&batch.rows) != of(&books.rows)
        }) {
            let (wanted, is) = (
                batch.rows.get(topic).cloned().unwrap_or_default(),
                books.rows.get(topic).cloned().unwrap_or_default(),
            );
            let key = wanted
                .keys()
                .chain(is.keys())
                .find(|key| wanted.get(*key) != is.get(*key))
                .expect("they differ");
            let row = AggregateKey::from_bytes(key).map_err(|error| error.to_string())?;
            return Err(format!(
                "{topic}: {row:?} is {:?}, and {:?} is right",
                is.get(key),
                wanted.get(key)
            ));
        }
        let letters = &world.books.letters;
        let mut keys = batch.letters.keys().chain(letters.keys());
        if let Some(key) = keys.find(|key| batch.letters.get(*key) != letters.get(*key)) {
            return Err(format!(
                "the dead letter of {} is {:?}, and {:?} is right",
                String::from_utf8_lossy(key),
                letters.get(key),
                batch.letters.get(key)
            ));
        }
        Ok(())
    }

    /// `verify` from outside.
    fn verify(&self) -> Result<(), String> {
        let process = self.sim.world().start_process(0, None);
        let log = SimLog::new(&self.sim, process);
        let report = verify(
            &log,
            &Schemas::new(None),
            &PLAN.aggregates,
            Options { counts_input: true },
            &|_| (),
        );
        let report = report.map_err(|error| format!("verify: {error}"))?;
        match report.faults.first() {
            Some(fault) => Err(format!("verify: {fault}")),
            None => Ok(()),
        }
    }
}
