//! What the service lets others see of it: its health, and what each commit did.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::outputs::Tally;
use crate::adapters::clock::monotonic;
use crate::domain::time::Timestamp;
use crate::domain::topic::{Supplier, SupplierTopic};
use crate::engine::ledger::Counts;
use crate::engine::watermark::Watermarks;

/// One thing that happened, told to whoever keeps metrics.
#[derive(Debug)]
pub enum Observation<'a> {
    /// A transaction is committed.
    Committed(Commit<'a>),
    /// Records of a topic that a worker has not read yet.
    Backlog {
        worker: &'a str,
        topic: &'a str,
        records: i64,
    },
    /// A worker is far behind, or (`None`) no longer.
    Backfill {
        worker: &'a str,
        /// Until it has caught up, at the rate so far; `None` while it does not gain.
        left: Option<Option<Duration>>,
    },
    /// What a first-stage worker holds, each time it says.
    State {
        worker: &'a str,
        entries: usize,
        bytes: usize,
        /// Records pending, by supplier topic.
        pending: &'a [i64; SupplierTopic::ALL.len()],
        watermarks: &'a Watermarks,
    },
    /// Bytes of what a worker keeps of each aggregate, in the plan's order.
    Aggregates { worker: &'a str, bytes: Vec<usize> },
    /// Records of an input's partitions that nobody can read yet: transactions of other producers are open.
    Undecided {
        topic: &'a str,
        records: i64,
        /// How long the one that was open first has held its readers up.
        stood: Duration,
    },
    /// A worker has its state back.
    Restored {
        worker: &'a str,
        /// Of the whole state.
        entries: u64,
        origin: Origin,
        /// Entries read from the changelog for it; an entry that was written often counts as often.
        read: u64,
        took: Duration,
    },
    /// How far a task of another instance is followed here; `None`: no longer.
    Standby {
        worker: &'a str,
        following: Option<Following>,
    },
    /// Versions came whose time of extraction is further ahead of the clock than is allowed.
    Ahead { supplier: Supplier, records: u64 },
    /// Versions were taken out of every figure, being COVID-19 vaccinations.
    CovidVaccinations { supplier: Supplier, records: u64 },
    /// Events came that are too old for any window that is kept.
    TooOld { worker: &'a str, events: u64 },
    /// A worker has ended, here or for good: what it held is no longer ours to tell.
    Ended { worker: &'a str },
    /// A reference record was read; `false`: it could not be.
    Reference { topic: &'a str, is_readable: bool },
}

/// How far a task is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Following {
    /// Offsets of its changelog that are not read yet; `None` while unknown.
    pub behind: Option<i64>,
    /// Of the state gathered so far.
    pub entries: u64,
}

/// What a worker's state was before the rest of the changelog was read on top of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: all of it is from the changelog.
    Changelog,
    Snapshot,
    /// What a standby here had followed.
    Standby,
}

impl Origin {
    pub const ALL: [Self; 3] = [Self::Changelog, Self::Snapshot, Self::Standby];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Changelog => "changelog",
            Self::Snapshot => "snapshot",
            Self::Standby => "standby",
        }
    }
}

/// What one committed transaction did.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The task by its number, or `rollup-<n>`.
    pub worker: &'a str,
    /// Read in it, by topic and disposition; of the first stage.
    pub counts: &'a Counts,
    /// What went to each output topic.
    pub written: &'a BTreeMap<String, Tally>,
    /// From the begin to the acknowledgement of the commit.
    pub took: Duration,
    /// When the oldest record in it was produced, milliseconds since 1970-01-01T00:00:00Z.
    pub oldest: Option<i64>,
    /// The greatest time of extraction that went in.
    pub as_of: Timestamp,
    /// Records pending after it.
    pub pending: i64,
}

/// Keeps metrics. Called from the workers' threads, so it must be quick.
pub trait Observer: Send + Sync {
    fn observe(&self, observation: &Observation<'_>);
}

/// For those who need no metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _: &Observation<'_>) {}
}

/// How a worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Reading back what it had committed.
    Restoring,
    Running,
    /// Takes no records until this has passed.
    Waiting(String),
}

/// Whether the service is ready, and why not.
#[derive(Debug, Default)]
pub struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    has_reference: bool,
    is_member: bool,
    is_stopping: bool,
    /// A name that the group keeps tasks for, and for how long.
    static_member: Option<(String, Duration)>,
    /// Why the log cannot be reached, while it cannot.
    away: Option<String>,
    /// Inputs that other producers' open transactions hold up, one text each.
    undecided: Vec<String>,
    workers: BTreeMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    condition: Condition,
    /// When the worker was heard of last.
    at: Instant,
}

/// A worker at work that is not heard of for so long hangs: every call that it makes ends before.
const HANGS: Duration = Duration::from_mins(1);

impl State {
    fn hanging(&self, now: Instant) -> BTreeMap<String, String> {
        let hanging = self.workers.iter().filter_map(|(name, seen)| {
            let silent = now.duration_since(seen.at);
            (seen.condition == Condition::Running && silent >= HANGS).then(|| {
                let why = format!(
                    "task {name} hangs: its thread has not come round for {} s or more; restart this instance",
                    HANGS.as_secs()
                );
                (name.clone(), why)
            })
        });
        hanging.collect()
    }
}

impl Health {
    /// Why the service is not ready; nothing when it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let state = self.state();
        let no_member = match &state.static_member {
            None => "not a member of the group yet".to_owned(),
            Some((name, session)) => format!(
                "not a member of the group yet: the tasks of static member {name} are kept for it for {} s after it was heard of last",
                session.as_secs()
            ),
        };
        let general = [
            (state.is_stopping, "stopping".to_owned()),
            (
                !state.has_reference,
                "the reference topics are being read".to_owned(),
            ),
            (!state.is_member, no_member),
        ];
        let general = general
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, why)| why);
        let workers = state
            .workers
            .iter()
            .filter_map(|(name, seen)| match &seen.condition {
                Condition::Running => None,
                Condition::Restoring => Some(format!("task {name} is being restored")),
                Condition::Waiting(why) => Some(format!("task {name} waits: {why}")),
            });
        general
            .chain(state.away.clone())
            .chain(workers)
            .chain(state.hanging(monotonic()).into_values())
            .chain(state.undecided.iter().cloned())
            .collect()
    }

    /// Workers and how they are.
    #[must_use]
    pub fn workers(&self) -> BTreeMap<String, Condition> {
        let state = self.state();
        let workers = state.workers.iter();
        workers
            .map(|(name, seen)| (name.clone(), seen.condition.clone()))
            .collect()
    }

    /// Workers that should be at work and have not come round for long, and what to say of each.
    pub(super) fn hanging(&self) -> BTreeMap<String, String> {
        self.state().hanging(monotonic())
    }

    /// A worker has come round.
    pub(super) fn heard(&self, name: &str) {
        if let Some(seen) = self.state().workers.get_mut(name) {
            seen.at = monotonic();
        }
    }

    /// The service joins the group under a name, and is waited for that long when it goes.
    pub fn is_static_member(&self, name: &str, session: Duration) {
        self.state().static_member = Some((name.to_owned(), session));
    }

    pub(super) fn undecided(&self, inputs: Vec<String>) {
        self.state().undecided = inputs;
    }

    pub(super) fn away(&self, why: Option<String>) {
        self.state().away = why;
    }

    pub(super) fn has_reference(&self) {
        self.state().has_reference = true;
    }

    pub(super) fn is_member(&self, is_member: bool) {
        self.state().is_member = is_member;
    }

    pub(super) fn is_stopping(&self) {
        self.state().is_stopping = true;
    }

    /// Notes a worker's condition, and logs it when it has changed.
    pub(super) fn worker(&self, name: &str, condition: Condition) {
        let seen = Seen {
            condition: condition.clone(),
            at: monotonic(),
        };
        let before = self.state().workers.insert(name.to_owned(), seen);
        if before.is_some_and(|before| before.condition == condition) {
            return;
        }
        match condition {
            Condition::Restoring => tracing::info!(task = name, "restoring"),
            Condition::Running => tracing::info!(task = name, "running"),
            Condition::Waiting(why) => tracing::warn!(task = name, "waiting: {why}"),
        }
    }

    pub(super) fn ended(&self, name: &str) {
        self.state().workers.remove(name);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_ready_when_nothing_is_left_to_wait_for() {
        let health = Health::default();
        assert_eq!(
            health.reasons(),
            [
                "the reference topics are being read",
                "not a member of the group yet"
            ]
        );
        health.has_reference();
        health.is_member(true);
        health.worker("3", Condition::Restoring);
        assert_eq!(health.reasons(), ["task 3 is being restored"]);
        health.worker("3", Condition::Waiting("registry away".to_owned()));
        assert_eq!(health.reasons(), ["task 3 waits: registry away"]);
        health.worker("3", Condition::Running);
        assert_eq!(health.reasons(), Vec::<String>::new());
        health.undecided(vec!["emis.appointments/3: open".to_owned()]);
        assert_eq!(health.reasons(), ["emis.appointments/3: open"]);
        health.undecided(Vec::new());
        health.away(Some("the log is away".to_owned()));
        assert_eq!(health.reasons(), ["the log is away"]);
        health.away(None);
        health.is_stopping();
        assert_eq!(health.reasons(), ["stopping"]);
    }

    #[test]
    fn a_worker_that_is_not_heard_of_any_more_is_told() {
        let health = Health::default();
        let far = || monotonic() + HANGS;
        health.worker("3", Condition::Restoring);
        // It says so itself.
        assert!(health.state().hanging(far()).is_empty());
        health.worker("3", Condition::Running);
        let at = far();
        assert_eq!(
            health.state().hanging(at)["3"],
            "task 3 hangs: its thread has not come round for 60 s or more; restart this instance"
        );
        std::thread::sleep(Duration::from_millis(2));
        health.heard("3");
        assert!(health.state().hanging(at).is_empty());
        health.ended("3");
        assert!(health.state().hanging(far()).is_empty());
    }

    #[test]
    fn a_static_member_that_is_not_back_yet_says_how_long_it_is_waited_for() {
        let health = Health::default();
        health.has_reference();
        health.is_static_member("gpad-live-0", Duration::from_secs(45));
        assert_eq!(
            health.reasons(),
            [
                "not a member of the group yet: the tasks of static member gpad-live-0 are kept for it for 45 s after it was heard of last"
            ]
        );
        health.is_member(true);
        assert_eq!(health.reasons(), Vec::<String>::new());
    }
}
