//! Hands what the service lets others see of it to the metrics.

use super::observe::{Observation, Observer};
use crate::adapters::metrics::{Holding, Metrics};

impl Observer for Metrics {
    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::Committed(commit) => {
                // Positions of the second stage are of deltas, which are no records of a supplier.
                let is_first_stage = !commit.worker.starts_with("rollup-");
                self.committed(commit.counts, commit.took, commit.oldest, is_first_stage);
            }
            Observation::Backlog {
                worker,
                topic,
                records,
            } => self.backlog(worker, topic, *records),
            Observation::State {
                worker,
                entries,
                bytes,
                pending,
                watermarks,
            } => self.holds(
                worker,
                Holding {
                    entries: *entries,
                    bytes: *bytes,
                    pending: **pending,
                    watermarks: (*watermarks).clone(),
                },
            ),
            Observation::Aggregates { worker, bytes } => self.keeps(worker, bytes.clone()),
            Observation::Undecided {
                topic,
                records,
                stood,
            } => self.undecided(topic, *records, *stood),
            Observation::Restored {
                origin, read, took, ..
            } => self.keeping().restored(origin.label(), *read, *took),
            Observation::Standby { worker, following } => {
                let following = following.map(|is| (is.behind, is.entries));
                self.keeping().follows(worker, following);
            }
            Observation::Backfill { worker, left } => self.keeping().catches_up(worker, *left),
            Observation::Ahead { supplier, records } => self.progress().ahead(*supplier, *records),
            Observation::CovidVaccinations { supplier, records } => {
                self.progress().covid_vaccinations(*supplier, *records);
            }
            Observation::TooOld { events, .. } => self.progress().too_old(*events),
            Observation::Ended { worker } => {
                self.keeping().catches_up(worker, None);
                self.ended(worker);
            }
            Observation::Reference { topic, .. } => self.reference(topic),
        }
    }
}
