//! A service in this process, on an embedded log in memory, and what it has committed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use gpad_live::adapters::clock::Clock;
use gpad_live::adapters::embedded::EmbeddedLog;
use gpad_live::adapters::log::{Log, Span};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::commands::{plan_of, serve};
use gpad_live::config::{Commit, Settings};
use gpad_live::pipeline::Plan;
use gpad_live::service::verify::{Options, Report, verify};
use gpad_live::service::{Health, Observer, Service, Stop, Unobserved};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe;
use gpad_live::wire::output::{AggregateKey, AggregateValue, Manifest};

use super::wait_for;

pub fn plan() -> Arc<Plan> {
    static PLAN: LazyLock<Arc<Plan>> =
        LazyLock::new(|| plan_of(&Settings::default(), Some(400)).unwrap().into());
    PLAN.clone()
}

pub fn in_memory() -> EmbeddedLog {
    serve::with_topics(&plan().aggregates, EmbeddedLog::in_memory).unwrap()
}

/// One record of a log.
#[derive(Debug, Clone)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

impl Record {
    pub fn read<T: Datum>(&self) -> T {
        T::from_bytes(unframe(self.value.as_deref()).unwrap().1).unwrap()
    }
}

/// Every record of a topic.
pub fn records(log: &dyn Log, topic: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let partitions = log.partitions(&[topic]).unwrap()[0].unwrap();
    let spans: Vec<Span> = (0..partitions).map(Span::whole).collect();
    log.scan(topic, &spans, &mut |message| {
        records.extend(message.map(|message| Record {
            topic: topic.to_owned(),
            partition: message.partition,
            key: message.key.unwrap_or_default().to_vec(),
            value: message.value.map(<[u8]>::to_vec),
        }));
        ControlFlow::Continue(())
    })
    .unwrap();
    records
}

pub fn manifests(log: &dyn Log) -> Vec<Manifest> {
    let records = records(log, "gpad.ledger");
    records.iter().map(Record::read).collect()
}

/// The first measure of a practice's rows, by status.
pub fn by_status(log: &dyn Log, practice: &str) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for record in records(log, "gpad.aggregates.practice_day") {
        let key = AggregateKey::from_bytes(unframe(Some(&record.key)).unwrap().1).unwrap();
        if key.level != "practice" || key.code != practice || record.value.is_none() {
            continue;
        }
        let status = key
            .dimensions
            .iter()
            .find(|part| part.name == "status")
            .unwrap();
        let row = record.read::<AggregateValue>();
        *sums.entry(status.value.clone()).or_default() += row.figures.counts[0].value;
    }
    sums
}

pub fn verified(log: &dyn Log) -> Report {
    let options = Options { counts_input: true };
    verify(
        log,
        &Schemas::new(None),
        &plan().aggregates,
        options,
        &|_| (),
    )
    .unwrap()
}

/// A service at work on a log of this process.
pub struct Running {
    log: Arc<EmbeddedLog>,
    stop: Stop,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    pub fn start(log: &Arc<EmbeddedLog>) -> Self {
        Self::start_with(log, 10)
    }

    /// With so many records in a transaction.
    pub fn start_with(log: &Arc<EmbeddedLog>, records: usize) -> Self {
        Self::start_observed(log, records, Clock::Wall, Arc::new(Unobserved))
    }

    /// Told the time by a clock, and looked at.
    pub fn start_observed(
        log: &Arc<EmbeddedLog>,
        records: usize,
        clock: Clock,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let stop = Stop::default();
        let service = Service {
            log: log.clone(),
            schemas: Arc::new(Schemas::new(None)),
            plan: plan(),
            commit: Commit {
                interval: Duration::from_millis(25),
                records,
            },
            clock,
            observer,
            health: Arc::new(Health::default()),
            undecided: Duration::from_mins(1),
            state: Settings::default().state,
            group: "gpad-live".to_owned(),
            stop: stop.clone(),
        };
        Self {
            log: log.clone(),
            stop,
            thread: std::thread::spawn(move || service.run().unwrap()),
        }
    }

    /// Waits until the manifests satisfy a wish and the second stage has all deltas.
    pub fn wait(&self, wish: impl Fn(&[Manifest]) -> bool) {
        wait_for("the service", Duration::from_mins(1), || {
            let manifests = manifests(&*self.log);
            let rolled_up = (manifests.iter())
                .filter(|manifest| manifest.task == "rollup-0")
                .flat_map(|manifest| &manifest.positions)
                .map(|read| read.to)
                .max();
            let end = self.log.ends("gpad.deltas", 0).unwrap().end;
            wish(&manifests) && rolled_up.unwrap_or(0) == end
        });
    }

    pub fn wait_until_read(&self, records: i64) {
        self.wait(|manifests| {
            let counts = manifests.iter().flat_map(|manifest| &manifest.dispositions);
            counts.map(|count| count.count).sum::<i64>() == records
        });
    }

    pub fn stop(self) {
        self.stop.request();
        self.thread.join().unwrap();
    }
}
