//! The service above the log: which tasks are ours, their workers, and a stop that loses nothing.

mod backfill;
mod changelog;
mod decoders;
mod first;
mod history;
mod metered;
mod note;
mod observe;
mod outputs;
mod readmission;
mod reference;
mod restore;
mod second;
mod snapshot;
mod stage;
mod standby;
mod standing;
mod stop;
mod topics;
mod undecided;
pub mod verify;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::adapters::clock::{Clock, monotonic, since};
use crate::adapters::log::{Change, Log, LogError, Membership, Remedy, Unit};
use crate::adapters::registry::RegistryError;
use crate::adapters::schemas::Schemas;
use crate::adapters::threads::{self, Thread};
use crate::config::{self, Commit};
use crate::pipeline::Plan;

pub use history::HISTORY;
pub use note::Note;
pub use observe::{
    Commit as CommitReport, Condition, Following, Health, Observation, Observer, Origin, Unobserved,
};
pub use outputs::{CHANGELOG, DEAD_LETTERS, DELTAS, LEDGER, Tally};
pub use stop::Stop;
pub use topics::{READMISSIONS, TASKS, TopicsError, check_topics, output_topics};

use first::{Common, FirstStage};
use outputs::Outputs;
use reference::ReferenceFeed;
use second::SecondStage;
use stage::Stage;
use standby::{Handed, Standbys};
use worker::{Order, Orders, Surroundings, Worker};

/// How long a stop takes at most, the last commits and leaving the group together.
const STOPPING: Duration = Duration::from_millis(4_500);
/// How much of it the workers have to commit what is open.
const FINISHING: Duration = Duration::from_millis(3_500);
/// How long a rebalance waits for them: less than the session that others would otherwise wait for.
const RELEASING: Duration = Duration::from_secs(8);
/// Of the second stage: it adds to the latency of the first, so it hardly waits.
const ROLLUP_INTERVAL: Duration = Duration::from_millis(10);
const POLL: Duration = Duration::from_millis(50);

/// Everything that a service is made of.
pub struct Service {
    pub log: Arc<dyn Log>,
    pub schemas: Arc<Schemas>,
    pub plan: Arc<Plan>,
    pub commit: Commit,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
    pub health: Arc<Health>,
    /// A transaction of another producer that is open for longer holds an input up.
    pub undecided: Duration,
    /// Where snapshots of the tasks' state go.
    pub state: config::State,
    /// The group whose state it is.
    pub group: String,
    pub stop: Stop,
}

/// Why a service could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Topics(#[from] TopicsError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("task {task} ended unexpectedly: {why}")]
    Task { task: String, why: String },
    #[error(
        "tasks {tasks}: the last transaction was not finished in time; their next owner reads its records again"
    )]
    Unfinished { tasks: String },
}

/// A task at work.
struct Running {
    name: String,
    orders: Arc<Orders>,
    thread: Thread<Result<(), LogError>>,
}

impl Service {
    /// Works until stopped.
    ///
    /// # Errors
    /// When it cannot start, or something happens that a person must see to.
    pub fn run(&self) -> Result<(), ServiceError> {
        let partitions = check_topics(&*self.log, &self.plan.aggregates)?;
        let outputs = Outputs::new(
            self.plan.aggregates.clone(),
            &self.schemas,
            partitions.deltas,
            self.state.history_days > 0,
        )?;
        self.keep_history()?;
        self.watch()?;
        let feed = Arc::new(ReferenceFeed::read(
            self.log.clone(),
            self.schemas.clone(),
            self.observer.clone(),
            &self.stop,
        )?);
        if self.stop.is_requested() {
            return Ok(());
        }
        self.health.has_reference();
        let common = Common {
            plan: self.plan.clone(),
            log: self.log.clone(),
            feed: feed.clone(),
            outputs: Arc::new(outputs),
            schemas: self.schemas.clone(),
            observer: self.observer.clone(),
            stop: self.stop.clone(),
            partitions,
        };
        let stop = self.stop.clone();
        threads::spawn("reference", move || feed.follow(&stop))
            .map_err(|error| unexpected("reference", &error))?;
        let outcome = self.supervise(&common);
        self.stop.request();
        outcome
    }

    /// Looks out for open transactions, from before the reference topics are read: that waits for their end too.
    fn watch(&self) -> Result<(), ServiceError> {
        let watch = undecided::Watch {
            log: self.log.clone(),
            health: self.health.clone(),
            observer: self.observer.clone(),
            stop: self.stop.clone(),
            patience: self.undecided,
        };
        threads::spawn("undecided", move || watch.run())
            .map_err(|error| unexpected("undecided", &error))?;
        Ok(())
    }

    /// Gives up what is no longer to be kept of the history, all of it where none is.
    fn keep_history(&self) -> Result<(), ServiceError> {
        let (log, clock, stop) = (self.log.clone(), self.clock, self.stop.clone());
        let days = self.state.history_days;
        threads::spawn("history", move || history::keep(&*log, days, clock, &stop))
            .map_err(|error| unexpected("history", &error))?;
        Ok(())
    }

    /// Joins the group, and again whenever a membership has ended.
    fn supervise(&self, common: &Common) -> Result<(), ServiceError> {
        let mut running = BTreeMap::new();
        let mut standbys = Standbys::new(self.state.standby);
        while !self.stop.is_requested() {
            let mut membership = self.log.join(&[TASKS, DELTAS])?;
            let outcome = self.serve(&mut *membership, common, &mut running, &mut standbys);
            let is_stopping = self.stop.is_requested()
                || !matches!(&outcome, Err(ServiceError::Log(error)) if error.remedy == Remedy::Renew);
            if is_stopping {
                self.health.is_stopping();
            }
            self.health.is_member(false);
            let order = if is_stopping {
                Order::Finish
            } else {
                Order::Drop
            };
            let began = monotonic();
            let ended = end(&mut running, |_| true, order, FINISHING, || ());
            // All that is left: who goes unheard is waited for by everyone else until its session has run out.
            if let Err(error) = membership.leave(STOPPING.saturating_sub(since(began))) {
                tracing::warn!("{error}");
            }
            if is_stopping {
                return outcome.and(ended);
            }
            tracing::warn!("joining the group again");
        }
        Ok(())
    }

    fn serve(
        &self,
        membership: &mut dyn Membership,
        common: &Common,
        running: &mut BTreeMap<Unit, Running>,
        standbys: &mut Standbys,
    ) -> Result<(), ServiceError> {
        while !self.stop.is_requested() {
            match membership.poll(POLL)? {
                None => {}
                Some(Change::Assigned(units)) => {
                    self.health.is_member(true);
                    for unit in units {
                        running.insert(unit, self.start(common, unit, standbys)?);
                    }
                    tracing::info!(tasks = names(running), "tasks assigned");
                }
                Some(Change::Revoked(units)) => {
                    let ended = end(
                        running,
                        |unit| units.contains(unit),
                        Order::Finish,
                        RELEASING,
                        || (),
                    );
                    membership.release(&units)?;
                    match ended {
                        // The next owner fences it; the group must not wait for it, nor our other tasks end for it.
                        Err(error @ ServiceError::Unfinished { .. }) => tracing::warn!("{error}"),
                        ended => ended?,
                    }
                    tracing::info!(tasks = names(running), "tasks given up");
                }
                Some(Change::Lost(units)) => {
                    let ended = end(
                        running,
                        |unit| units.contains(unit),
                        Order::Drop,
                        RELEASING,
                        || (),
                    );
                    membership.release(&units)?;
                    ended?;
                    tracing::warn!(tasks = names(running), "tasks lost");
                }
            }
            standbys.tend(common, running.keys());
            let finished: Vec<Unit> = running
                .iter()
                .filter(|(_, task)| task.thread.is_finished())
                .map(|(unit, _)| *unit)
                .collect();
            if !finished.is_empty() {
                // A worker ends by itself only for something that a person must see to.
                end(
                    running,
                    |unit| finished.contains(unit),
                    Order::Drop,
                    Duration::ZERO,
                    || (),
                )?;
            }
        }
        Ok(())
    }

    fn start(
        &self,
        common: &Common,
        unit: Unit,
        standbys: &mut Standbys,
    ) -> Result<Running, ServiceError> {
        let orders = Arc::new(Orders::default());
        let mut around = Surroundings {
            log: self.log.clone(),
            clock: self.clock,
            commit: self.commit.clone(),
            health: self.health.clone(),
            observer: self.observer.clone(),
            state: self.state.clone(),
            group: self.group.clone(),
        };
        let (name, work): (String, Box<dyn FnOnce() -> Result<(), LogError> + Send>) =
            if unit.topic == 0 {
                let handed = standbys.hand_first(unit.partition);
                let (common, orders) = (common.clone(), orders.clone());
                let anew = move || FirstStage::new(&common, unit.partition);
                (
                    unit.partition.to_string(),
                    Box::new(|| work(handed, anew, around, orders)),
                )
            } else {
                around.commit.interval = around.commit.interval.min(ROLLUP_INTERVAL);
                let handed = standbys.hand_second(unit.partition);
                let (common, orders) = (common.clone(), orders.clone());
                let anew = move || SecondStage::new(&common, unit.partition);
                (
                    format!("rollup-{}", unit.partition),
                    Box::new(|| work(handed, anew, around, orders)),
                )
            };
        let thread = threads::spawn(&format!("task-{name}"), work)
            .map_err(|error| unexpected(&name, &error))?;
        Ok(Running {
            name,
            orders,
            thread,
        })
    }
}

/// A task's thread: from what a standby has gathered, or from nothing.
fn work<S: Stage>(
    handed: Option<Handed<S>>,
    anew: impl FnOnce() -> S,
    around: Surroundings,
    orders: Arc<Orders>,
) -> Result<(), LogError> {
    let (stage, base) = match handed.and_then(Handed::wait) {
        Some(warm) => (warm.stage, Some(warm.base)),
        None => (anew(), None),
    };
    Worker::new(stage, around, orders).on_top_of(base).run()
}

/// Orders workers to end and waits for them, `within` at most.
fn end(
    running: &mut BTreeMap<Unit, Running>,
    which: impl Fn(&Unit) -> bool,
    order: Order,
    within: Duration,
    meanwhile: impl Fn(),
) -> Result<(), ServiceError> {
    let units: Vec<Unit> = running.keys().filter(|unit| which(unit)).copied().collect();
    for unit in &units {
        running[unit].orders.give(order);
    }
    let began = monotonic();
    while since(began) < within && units.iter().any(|unit| !running[unit].thread.is_finished()) {
        meanwhile();
        threads::sleep(Duration::from_millis(2));
    }
    let mut outcome = Ok(());
    let mut unfinished = Vec::new();
    for unit in units {
        let Some(task) = running.remove(&unit) else {
            continue;
        };
        let ended = if task.thread.is_finished() {
            match task.thread.join() {
                Ok(ended) => ended.map_err(ServiceError::from),
                Err(panic) => Err(panicked(task.name, &*panic)),
            }
        } else {
            // It must not go on once it notices; the transaction it is in is fenced or aborted.
            task.orders.give(Order::Drop);
            if order == Order::Finish && task.orders.has_open() {
                unfinished.push(task.name);
            }
            Ok(())
        };
        if outcome.is_ok() {
            outcome = ended;
        }
    }
    if outcome.is_ok() && !unfinished.is_empty() {
        let tasks = unfinished.join(" ");
        return Err(ServiceError::Unfinished { tasks });
    }
    outcome
}

fn names(running: &BTreeMap<Unit, Running>) -> String {
    running
        .values()
        .map(|task| task.name.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn unexpected(task: &str, error: &std::io::Error) -> ServiceError {
    ServiceError::Task {
        task: task.to_owned(),
        why: error.to_string(),
    }
}

fn panicked(task: String, panic: &(dyn std::any::Any + Send)) -> ServiceError {
    let why = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned()))
        .unwrap_or_else(|| "a panic".to_owned());
    ServiceError::Task { task, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tasks that end by no order until the sender is dropped: whether each has something open.
    fn stuck(open: &[bool]) -> (BTreeMap<Unit, Running>, std::sync::mpsc::Sender<()>) {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let ended = Arc::new(std::sync::Mutex::new(ended));
        let running = (0..).zip(open).map(|(partition, open)| {
            let orders = Arc::new(Orders::default());
            orders.set_open(*open);
            let ended = ended.clone();
            let thread = threads::spawn("stuck", move || {
                assert!(ended.lock().unwrap().recv().is_err());
                Ok(())
            });
            let unit = Unit {
                topic: 0,
                partition,
            };
            let running = Running {
                name: partition.to_string(),
                orders,
                thread: thread.unwrap(),
            };
            (unit, running)
        });
        (running.collect(), end)
    }

    #[test]
    fn only_tasks_with_something_open_are_unfinished() {
        let now = Duration::ZERO;
        let (mut running, _held) = stuck(&[false, true, false, true]);
        let error = end(&mut running, |_| true, Order::Finish, now, || ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tasks 1 3: the last transaction was not finished in time; their next owner reads its records again"
        );
        assert!(running.is_empty());

        // One that restores, or waits for a broker, has nothing to finish; one that is to be dropped is not waited for.
        let (mut running, _held) = stuck(&[false, false]);
        end(&mut running, |_| true, Order::Finish, now, || ()).unwrap();
        let (mut running, _held) = stuck(&[true]);
        end(&mut running, |_| true, Order::Drop, now, || ()).unwrap();
    }
}
