//! Metrics of state that is kept safe: how it came back, how far it is followed elsewhere, and how far behind it is.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Gauge, IntCounterVec, IntGauge, Opts};

/// What there was before the changelog was read, as labels.
pub const ORIGINS: [&str; 3] = ["changelog", "snapshot", "standby"];

/// A task that is followed: offsets behind, `None` while unknown, and entries held.
type Followed = (Option<i64>, u64);

pub struct Keeping {
    restored: Gauge,
    restored_entries: IntCounterVec,
    standby_tasks: IntGauge,
    standby_lag: IntGauge,
    standby_entries: IntGauge,
    standbys: Mutex<BTreeMap<String, Followed>>,
    backfill_tasks: IntGauge,
    backfill_left: Gauge,
    /// Seconds left, of each worker that is far behind; infinite while it does not gain.
    backfills: Mutex<BTreeMap<String, f64>>,
}

impl Default for Keeping {
    fn default() -> Self {
        let made = "names and labels are constants that Prometheus accepts";
        let gauge = |name: &str, help: &str| IntGauge::new(name, help).expect(made);
        let keeping = Self {
            restored: Gauge::new(
                "gpad_restore_seconds",
                "How long reading a task's state back took, of the task that did so last.",
            )
            .expect(made),
            restored_entries: IntCounterVec::new(
                Opts::new(
                    "gpad_restored_entries_total",
                    "Entries read from the changelog when tasks' state came back, by what was there before: nothing, a snapshot, a standby's.",
                ),
                &["origin"],
            )
            .expect(made),
            standby_tasks: gauge(
                "gpad_standby_tasks",
                "Tasks of other instances that this one follows.",
            ),
            standby_lag: gauge(
                "gpad_standby_lag_records",
                "Offsets of followed tasks' changelogs that are not read yet.",
            ),
            standby_entries: gauge(
                "gpad_standby_entries",
                "Entries of state held of followed tasks.",
            ),
            standbys: Mutex::default(),
            backfill_tasks: gauge(
                "gpad_backfill_tasks",
                "Tasks, the second stage's too, that are far behind and take longer transactions until they have caught up.",
            ),
            backfill_left: Gauge::new(
                "gpad_backfill_remaining_seconds",
                "Until the last of them has caught up, at its rate so far; 0 where none is far behind, +Inf while one does not gain.",
            )
            .expect(made),
            backfills: Mutex::default(),
        };
        // Known from the start, so that a rate sees the first increase.
        for origin in ORIGINS {
            keeping.restored_entries.with_label_values(&[origin]);
        }
        keeping
    }
}

impl Keeping {
    #[must_use]
    pub fn collectors(&self) -> [Box<dyn Collector>; 7] {
        [
            Box::new(self.restored.clone()),
            Box::new(self.restored_entries.clone()),
            Box::new(self.standby_tasks.clone()),
            Box::new(self.standby_lag.clone()),
            Box::new(self.standby_entries.clone()),
            Box::new(self.backfill_tasks.clone()),
            Box::new(self.backfill_left.clone()),
        ]
    }

    /// A task's state has come back; `origin`: what was there before the changelog was read, one of a few.
    pub fn restored(&self, origin: &str, read: u64, took: Duration) {
        self.restored.set(took.as_secs_f64());
        let entries = self.restored_entries.with_label_values(&[origin]);
        entries.inc_by(read);
    }

    /// A worker is far behind, and has caught up after so long, if it gains at all; `None`: it is not.
    pub fn catches_up(&self, worker: &str, left: Option<Option<Duration>>) {
        let mut all = (self.backfills.lock()).unwrap_or_else(PoisonError::into_inner);
        match left {
            Some(left) => {
                let seconds = left.map_or(f64::INFINITY, |left| left.as_secs_f64());
                all.insert(worker.to_owned(), seconds);
            }
            None => {
                all.remove(worker);
            }
        }
        self.backfill_tasks.set(all.len() as i64);
        self.backfill_left
            .set(all.values().copied().fold(0.0, f64::max));
    }

    /// How far a task is followed; `None`: it is followed no longer.
    pub fn follows(&self, task: &str, followed: Option<Followed>) {
        let mut standbys = self.standbys.lock().unwrap_or_else(PoisonError::into_inner);
        match followed {
            Some(followed) => standbys.insert(task.to_owned(), followed),
            None => standbys.remove(task),
        };
        self.standby_tasks.set(standbys.len() as i64);
        let behind = standbys.values().filter_map(|(behind, _)| *behind);
        self.standby_lag.set(behind.sum());
        let entries = standbys.values().map(|(_, entries)| *entries as i64);
        self.standby_entries.set(entries.sum());
    }
}
