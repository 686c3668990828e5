//! Simulated suppliers' records, held in memory: sent to Kafka as they are wanted, written to files for `replay`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use gpad_live::adapters::log::{Append, Log, NewRecord};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::domain::time::Month;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::simulate::cells::Cells;
use gpad_live::simulate::error::Error;
use gpad_live::simulate::run::{Options, Plan};
use gpad_live::simulate::sink::{Files, Sink, Topic};
use gpad_live::simulate::timeline::in_time_order;
use gpad_live::wire::framing::frame;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// "Now" of every run and of the replay that it is compared with: figures are a function of the input alone. Within the month, so
/// that there are days to come and windows that roll.
pub const NOW: &str = "2022-02-15T12:00:00Z";

/// Of four regions.
const ICBS: [&str; 6] = [
    "E54000008",
    "E54000022",
    "E54000025",
    "E54000029",
    "E54000041",
    "E54000050",
];
/// Records that an appointment makes, on average.
const VERSIONS: f64 = 3.95;
/// Refused and withheld records of a run, whatever its scale.
const FAULTS: usize = 500;

struct Drawn {
    topic: Topic,
    key: Vec<u8>,
    datum: Vec<u8>,
    extracted_at: i64,
}

/// What four suppliers send in a month, with refused and withheld records among it.
pub struct Input {
    seed: u64,
    reference: Vec<Drawn>,
    records: Vec<Drawn>,
}

impl Sink for Input {
    fn send(
        &mut self,
        topic: Topic,
        key: &[u8],
        datum: &[u8],
        extracted_at: i64,
    ) -> Result<(), Error> {
        let into = match topic {
            Topic::Reference(_) => &mut self.reference,
            Topic::Supplier(_) => &mut self.records,
        };
        let (key, datum) = (key.to_vec(), datum.to_vec());
        into.push(Drawn {
            topic,
            key,
            datum,
            extracted_at,
        });
        Ok(())
    }
}

impl Input {
    /// About so many records of February 2022, of six ICBs in several regions, in an order drawn at random: what is
    /// late and what is refused comes from the first moment to the last.
    pub fn draw(records: usize, seed: u64) -> Self {
        let mut input = Self::in_order(records, seed, true);
        input.records.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        for (topic, count) in input.by_topic() {
            assert!(count > 0, "{topic} has no records");
        }
        input
    }

    /// The same in the order of extraction, with refused and withheld records or without.
    pub fn in_order(records: usize, seed: u64, faults: bool) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/icb_cells_2022-02.csv");
        let text = fs::read_to_string(&path).unwrap();
        let is_wanted =
            |line: &&str| ICBS.iter().any(|icb| line.starts_with(icb)) || line.starts_with("icb_");
        let text = text
            .lines()
            .filter(is_wanted)
            .collect::<Vec<_>>()
            .join("\n");
        let cells = Cells::parse(&path, text.as_bytes(), Month::parse("2022-02").unwrap()).unwrap();
        let scale = records.saturating_sub(FAULTS) as f64 / (cells.total() as f64 * VERSIONS);
        let options = Options {
            scale,
            seed,
            faults,
            ..Options::default()
        };
        let plan = Plan::new(&cells, options).unwrap();
        let mut input = Self {
            seed,
            reference: Vec::new(),
            records: Vec::new(),
        };
        in_time_order(&plan, &mut input, 2, &std::env::temp_dir(), &mut |_| ()).unwrap();
        input
    }

    /// A sound record of every supplier topic: topic, key, datum.
    pub fn sound(records: usize, seed: u64) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
        let input = Self::in_order(records, seed, false);
        let first = |topic: SupplierTopic| {
            let found = input
                .records
                .iter()
                .find(|drawn| drawn.topic == Topic::Supplier(topic));
            let found = found.expect("every supplier sends something");
            (topic.name(), found.key.clone(), found.datum.clone())
        };
        SupplierTopic::ALL.into_iter().map(first).collect()
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Topic, key and datum of everything: reference data first, records in the order in which Kafka gets them.
    pub fn all(&self) -> impl Iterator<Item = (Topic, &[u8], &[u8])> {
        let both = self.reference.iter().chain(&self.records);
        both.map(|drawn| (drawn.topic, drawn.key.as_slice(), drawn.datum.as_slice()))
    }

    pub fn by_topic(&self) -> BTreeMap<&'static str, i64> {
        let mut counts: BTreeMap<_, i64> = SupplierTopic::ALL
            .into_iter()
            .map(|topic| (topic.name(), 0))
            .collect();
        for record in &self.records {
            *counts.entry(record.topic.name()).or_default() += 1;
        }
        counts
    }

    /// `<topic>.avro` for `replay`, each topic in the order in which Kafka gets it.
    pub fn write(&self, directory: &Path) {
        let mut files = Files::create(directory, self.seed).unwrap();
        for record in self.reference.iter().chain(&self.records) {
            files
                .send(
                    record.topic,
                    &record.key,
                    &record.datum,
                    record.extracted_at,
                )
                .unwrap();
        }
        files.finish().unwrap();
    }
}

impl Input {
    /// Sends all of it, and the records as often as said; answers how many bytes they are.
    pub fn send_often(&self, log: &dyn Log, schemas: &Schemas, times: usize) -> u64 {
        let mut sender = Sender::new(log, schemas);
        self.reference.iter().for_each(|drawn| sender.send(drawn));
        for _ in 0..times {
            self.records.iter().for_each(|drawn| sender.send(drawn));
        }
        sender.appender.flush().unwrap();
        let bytes = self
            .records
            .iter()
            .map(|drawn| drawn.key.len() + drawn.datum.len());
        (bytes.sum::<usize>() * times) as u64
    }
}

struct Sender {
    appender: Box<dyn Append>,
    ids: BTreeMap<&'static str, u32>,
    value: Vec<u8>,
}

impl Sender {
    fn new(log: &dyn Log, schemas: &Schemas) -> Self {
        let id = |name: &'static str| schemas.id(&format!("{name}-value"), name).unwrap();
        let ids = Topic::ALL
            .into_iter()
            .map(|topic| (topic.name(), id(topic.name())));
        Self {
            appender: log.appender().unwrap(),
            ids: ids.collect(),
            value: Vec::new(),
        }
    }

    fn send(&mut self, drawn: &Drawn) {
        let topic = drawn.topic.name();
        self.value.clear();
        frame(self.ids[topic], &drawn.datum, &mut self.value);
        let (key, value) = (Some(drawn.key.as_slice()), Some(self.value.as_slice()));
        // A record that the sender gave up would be missing from the log, and the comparison would say so.
        self.appender
            .append(&NewRecord {
                topic,
                partition: None,
                key,
                value,
            })
            .unwrap();
    }
}

/// Sends an input to Kafka from a thread of its own, as much of it as was released.
pub struct Flow {
    total: usize,
    released: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flow {
    /// The reference data are stored when this returns; supplier records wait for [`Flow::release`].
    pub fn start(log: &dyn Log, schemas: &Schemas, input: Arc<Input>) -> Self {
        let mut sender = Sender::new(log, schemas);
        input.reference.iter().for_each(|drawn| sender.send(drawn));
        sender.appender.flush().unwrap();
        let total = input.records.len();
        let (released, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let ends = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (released, sent, ends) = (released.clone(), sent.clone(), ends.clone());
            move || {
                for (at, drawn) in input.records.iter().enumerate() {
                    while released.load(Ordering::Acquire) <= at {
                        if ends.load(Ordering::Acquire) {
                            return;
                        }
                        sleep(Duration::from_millis(2));
                    }
                    sender.send(drawn);
                    sent.store(at + 1, Ordering::Release);
                }
                sender.appender.flush().unwrap();
            }
        });
        Self {
            total,
            released,
            sent,
            ends,
            thread: Some(thread),
        }
    }

    /// Lets `more` records go, as many as there are.
    pub fn release(&self, more: usize) {
        let before = self.released.load(Ordering::Acquire);
        let after = (before + more).min(self.total);
        self.released.fetch_max(after, Ordering::AcqRel);
    }

    /// Lets records go at a steady rate until all have gone.
    pub fn release_steadily(&self, per_second: usize) {
        let (released, ends, total) = (self.released.clone(), self.ends.clone(), self.total);
        let began = Instant::now();
        std::thread::spawn(move || {
            while !ends.load(Ordering::Acquire) && released.load(Ordering::Acquire) < total {
                let due = began.elapsed().as_millis() as usize * per_second / 1_000;
                released.fetch_max(due.min(total), Ordering::AcqRel);
                sleep(Duration::from_millis(10));
            }
        });
    }

    pub fn release_all(&self) {
        self.released.store(self.total, Ordering::Release);
    }

    /// Records that are still to be released.
    pub fn left(&self) -> usize {
        self.total - self.released.load(Ordering::Acquire)
    }

    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Acquire)
    }

    pub fn total(&self) -> usize {
        self.total
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
