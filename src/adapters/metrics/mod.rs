//! The service's metrics: names and labels from closed sets, and as many series as were promised at the start.

mod budget;
mod figures;
mod keeping;
mod progress;
mod requests;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::clock::Clock;
use super::figures::Figures;
use crate::domain::disposition::Disposition;
use crate::domain::topic::{Supplier, SupplierTopic};
use crate::engine::ledger::Counts;
use crate::engine::watermark::Watermarks;

pub use budget::{Budget, OverBudget, series_of};
pub use keeping::{Keeping, ORIGINS};
pub use progress::Progress;
pub use requests::{ROUTES, Requests, STREAM};
pub use text::Format;

/// Seconds: from a fast disk to a broker in trouble.
const COMMIT_BUCKETS: [f64; 12] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0,
];
/// Seconds, with an edge at the promise: commit interval plus 50 ms.
const END_TO_END_BUCKETS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0,
];

/// What one worker holds.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    pub entries: usize,
    pub bytes: usize,
    /// By supplier topic.
    pub pending: [i64; SupplierTopic::ALL.len()],
    pub watermarks: Watermarks,
}

/// What one worker last told.
#[derive(Debug, Default)]
struct Worker {
    holding: Holding,
    /// Bytes by aggregate, in the plan's order.
    aggregates: Vec<usize>,
    backlog: BTreeMap<String, i64>,
}

/// Everything that `/metrics` tells, of this process.
pub struct Metrics {
    registry: Registry,
    budget: Budget,
    figures: Arc<Figures>,
    clock: Clock,
    records: IntCounterVec,
    pending: IntGaugeVec,
    lag: IntGaugeVec,
    commit: Histogram,
    end_to_end: Histogram,
    unready: IntGauge,
    entries: IntGauge,
    bytes: IntGauge,
    aggregate_bytes: IntGaugeVec,
    series: IntGauge,
    reference: IntCounterVec,
    dead_letters: IntCounterVec,
    aggregate: GaugeVec,
    undecided: IntGaugeVec,
    keeping: Keeping,
    progress: Progress,
    requests: Requests,
    undecided_for: GaugeVec,
    workers: Mutex<BTreeMap<String, Worker>>,
}

impl Metrics {
    /// # Errors
    /// When the plan needs more series than `most`.
    ///
    /// # Panics
    /// Never: the names are constants that Prometheus accepts, each registered once.
    pub fn new(figures: Arc<Figures>, clock: Clock, most: usize) -> Result<Self, OverBudget> {
        let budget = Budget::of(&figures.plan, most)?;
        let made = "names and labels are constants that Prometheus accepts";
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect(made)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name, help), labels).expect(made)
        };
        let floats = |name: &str, help: &str, labels: &[&str]| {
            GaugeVec::new(Opts::new(name, help), labels).expect(made)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
                .expect(made)
        };
        let gauge = |name: &str, help: &str| IntGauge::new(name, help).expect(made);
        let metrics = Self {
            registry: Registry::new(),
            records: counter(
                "gpad_records_total",
                "Supplier records that came to their end in this process; with gpad_pending_records, every one read.",
                &["topic", "disposition", "reason"],
            ),
            pending: gauges(
                "gpad_pending_records",
                "Linked consultations that wait for their appointment.",
                &["topic"],
            ),
            lag: gauges(
                "gpad_consumer_lag_records",
                "Records committed to a topic that the tasks of this process have not read.",
                &["topic"],
            ),
            commit: histogram(
                "gpad_commit_duration_seconds",
                "From the begin of a transaction to its acknowledgement.",
                &COMMIT_BUCKETS,
            ),
            end_to_end: histogram(
                "gpad_end_to_end_seconds",
                "From the production of a transaction's oldest record to its commit by the first stage.",
                &END_TO_END_BUCKETS,
            ),
            entries: gauge("gpad_state_entries", "Live slots and consultations held."),
            bytes: gauge(
                "gpad_state_bytes",
                "Memory of what is held, aggregates left out.",
            ),
            aggregate_bytes: gauges(
                "gpad_aggregate_bytes",
                "Memory of the rows and panes held of an aggregate.",
                &["aggregate"],
            ),
            series: gauge("gpad_series", "Series told in this answer."),
            reference: counter(
                "gpad_reference_records_total",
                "Reference records read, over again at each start.",
                &["topic"],
            ),
            dead_letters: counter(
                "gpad_dead_letters_total",
                "Records refused in this process, which lie in gpad.dead-letters.",
                &["topic", "reason"],
            ),
            aggregate: floats(
                "gpad_aggregate",
                "Committed figures of the window that holds now, summed over the dimensions.",
                &["aggregate", "window", "level", "code", "measure"],
            ),
            keeping: Keeping::default(),
            progress: Progress::default(),
            requests: Requests::default(),
            undecided: gauges(
                "gpad_undecided_records",
                "Offsets of an input from its last stable offset to its high watermark: transactions of other producers are open.",
                &["topic"],
            ),
            undecided_for: floats(
                "gpad_undecided_seconds",
                "How long an input's last stable offset has stood still behind the high watermark, of the partition where it has longest.",
                &["topic"],
            ),
            unready: gauge(
                "gpad_unready_reasons",
                "Reasons why this instance is not ready, as /readyz tells them; 0 when it is.",
            ),
            workers: Mutex::default(),
            budget,
            figures,
            clock,
        };
        metrics.register();
        Ok(metrics)
    }

    fn register(&self) {
        let collectors: [Box<dyn prometheus::core::Collector>; 15] = [
            Box::new(self.records.clone()),
            Box::new(self.pending.clone()),
            Box::new(self.lag.clone()),
            Box::new(self.commit.clone()),
            Box::new(self.end_to_end.clone()),
            Box::new(self.entries.clone()),
            Box::new(self.bytes.clone()),
            Box::new(self.aggregate_bytes.clone()),
            Box::new(self.series.clone()),
            Box::new(self.reference.clone()),
            Box::new(self.dead_letters.clone()),
            Box::new(self.aggregate.clone()),
            Box::new(self.undecided.clone()),
            Box::new(self.undecided_for.clone()),
            Box::new(self.unready.clone()),
        ];
        let parts = (self.keeping.collectors().into_iter())
            .chain(self.progress.collectors())
            .chain(self.requests.collectors());
        for collector in collectors.into_iter().chain(parts) {
            self.registry
                .register(collector)
                .expect("every name is registered once");
        }
        // Known from the start, so that a rate sees the first increase.
        for topic in SupplierTopic::ALL {
            for disposition in Disposition::all().filter(|end| *end != Disposition::Pending) {
                let reason = disposition.reason().unwrap_or("");
                let labels = [topic.name(), disposition.label(), reason];
                self.records.with_label_values(&labels);
                if let Disposition::Rejected(_) = disposition {
                    self.dead_letters.with_label_values(&[topic.name(), reason]);
                }
            }
            self.pending.with_label_values(&[topic.name()]);
            self.undecided(topic.name(), 0, Duration::ZERO);
        }
        for topic in crate::domain::topic::ReferenceTopic::ALL {
            self.reference.with_label_values(&[topic.name()]);
            self.undecided(topic.name(), 0, Duration::ZERO);
        }
    }

    /// Of state that is kept safe.
    #[must_use]
    pub const fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    /// Records of an input behind other producers' open transactions, and for how long they have stood there.
    pub fn undecided(&self, topic: &str, records: i64, stood: Duration) {
        self.undecided.with_label_values(&[topic]).set(records);
        let seconds = self.undecided_for.with_label_values(&[topic]);
        seconds.set(stood.as_secs_f64());
    }

    /// Of event time.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Of HTTP.
    #[must_use]
    pub const fn requests(&self) -> &Requests {
        &self.requests
    }

    /// How many reasons there are not to be ready.
    pub fn unready(&self, reasons: usize) {
        self.unready.set(i64::try_from(reasons).unwrap_or(i64::MAX));
    }

    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// A transaction of the first or second stage is committed.
    pub fn committed(
        &self,
        counts: &Counts,
        took: Duration,
        oldest: Option<i64>,
        is_first_stage: bool,
    ) {
        for (topic, disposition, records) in counts.entries() {
            // Pending is a state that records leave: a gauge tells it, and the counter their end.
            let (Ok(records), false) =
                (u64::try_from(records), disposition == Disposition::Pending)
            else {
                continue;
            };
            let reason = disposition.reason().unwrap_or("");
            let labels = [topic.name(), disposition.label(), reason];
            self.records.with_label_values(&labels).inc_by(records);
            if let Disposition::Rejected(_) = disposition {
                self.dead_letters
                    .with_label_values(&[topic.name(), reason])
                    .inc_by(records);
            }
        }
        self.commit.observe(took.as_secs_f64());
        if let (Some(oldest), true) = (oldest, is_first_stage) {
            let passed = Clock::Wall.now().0.saturating_sub(oldest).max(0);
            self.end_to_end.observe(passed as f64 / 1_000.0);
        }
    }

    pub fn backlog(&self, worker: &str, topic: &str, records: i64) {
        let mut workers = self.workers();
        let worker = workers.entry(worker.to_owned()).or_default();
        worker.backlog.insert(topic.to_owned(), records);
    }

    pub fn holds(&self, worker: &str, holding: Holding) {
        self.workers().entry(worker.to_owned()).or_default().holding = holding;
    }

    /// Bytes of what a worker keeps of each aggregate, in the plan's order.
    pub fn keeps(&self, worker: &str, bytes: Vec<usize>) {
        let mut workers = self.workers();
        workers.entry(worker.to_owned()).or_default().aggregates = bytes;
    }

    /// The worker works elsewhere from now on, or nowhere.
    pub fn ended(&self, worker: &str) {
        self.workers().remove(worker);
    }

    pub fn reference(&self, topic: &str) {
        self.reference.with_label_values(&[topic]).inc();
    }

    /// By supplier: of the task furthest behind, and of the one furthest ahead, in milliseconds.
    #[must_use]
    pub fn watermarks(&self) -> Vec<(Supplier, i64, i64)> {
        let workers = self.workers();
        let of = |supplier| {
            let marks = || {
                workers
                    .values()
                    .filter_map(move |worker| worker.holding.watermarks.of(supplier))
            };
            Some((supplier, marks().min()?.0, marks().max()?.0))
        };
        Supplier::ALL.into_iter().filter_map(of).collect()
    }

    /// Records not read yet, of all topics of this process.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.workers()
            .values()
            .flat_map(|worker| worker.backlog.values())
            .sum()
    }

    /// The whole answer.
    #[must_use]
    pub fn encode(&self, format: Format) -> String {
        self.tell_workers();
        // Only the instance that adds up the levels tells them: a sum over instances must not count them twice.
        let adds_up = self
            .workers()
            .keys()
            .any(|name| name.starts_with("rollup-"));
        self.aggregate.reset();
        if adds_up {
            figures::tell(&self.figures, self.clock.now(), &self.aggregate);
        }
        let mut families = self.registry.gather();
        let series: usize = families.iter().map(text::series).sum();
        for family in &mut families {
            if family.name() == "gpad_series" {
                let mut gauge = prometheus::proto::Gauge::default();
                gauge.set_value(series as f64);
                family.set_metric(vec![prometheus::proto::Metric::from_gauge(gauge)]);
            }
        }
        text::encode(&families, format)
    }

    fn tell_workers(&self) {
        let watermarks = self.watermarks();
        let workers = self.workers();
        // The second stage holds none, and would be taken for a task that has closed nothing.
        let tasks = workers
            .iter()
            .filter(|(name, _)| !name.starts_with("rollup-"));
        let holdings = tasks.map(|(_, worker)| &worker.holding);
        self.progress.tell(&watermarks, holdings);
        let sum = |of: &dyn Fn(&Worker) -> i64| workers.values().map(of).sum::<i64>();
        self.entries
            .set(sum(&|worker| worker.holding.entries as i64));
        self.bytes.set(sum(&|worker| worker.holding.bytes as i64));
        for (at, aggregate) in self.figures.plan.aggregates.iter().enumerate() {
            let bytes = sum(&|worker| worker.aggregates.get(at).map_or(0, |bytes| *bytes as i64));
            self.aggregate_bytes
                .with_label_values(&[&aggregate.name])
                .set(bytes);
        }
        for topic in SupplierTopic::ALL {
            let pending = sum(&|worker| worker.holding.pending[topic.index()]);
            self.pending.with_label_values(&[topic.name()]).set(pending);
        }
        self.lag.reset();
        for worker in workers.values() {
            for (topic, records) in &worker.backlog {
                self.lag.with_label_values(&[topic]).add(*records);
            }
        }
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<String, Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
