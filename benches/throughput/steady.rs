//! A contender at a steady rate: from the sender's call to a committed row, and from a kill to the next one.
//!
//! Records of simulated suppliers are sent at so many a second. The first third is warm-up. In the second third appointments of
//! our own are sent beside them, each of a day and with dimensions that nothing else has: a committed reader that is handed the row
//! of England with that key has been handed that appointment, whoever wrote it, and whatever the way through its stages. Then the
//! contender is killed by SIGKILL and started again at once, while the last third goes on coming: its first new row is the first
//! whose record was made after the kill. When all is committed its rows must be those of `run`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime};

use gpad_live::adapters::effects::row_of;
use gpad_live::adapters::log::{Log, NewRecord};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::domain::place::Level;
use gpad_live::domain::time::{Day, MILLIS_PER_DAY};
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::simulate::sink::Topic;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::{frame, unframe_ours};
use gpad_live::wire::output::AggregateKey;
use gpad_live::wire::supplier::{SupplierRecord, emis};
use rdkafka::consumer::Consumer;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::peers::{self, Cell, Cells, Running};
use super::support::input::{Flow, Input};
use super::support::instance::{Environment, Instance, Seen, succeed};
use super::support::{Kafka, prompt_reader, wait_for};
use super::{Contender, GROUP, client, committed, environment, on_cores, tried};

/// The words that say how fast, and for how long.
pub const RATE: &str = "rate=";
pub const SECONDS: &str = "seconds=";

const OUR_ROWS: &str = "gpad.aggregates.activity";
/// Appointments of our own a second.
const PROBES: usize = 50;
const LONG: Duration = Duration::from_mins(5);
/// What a probe is made of. None is of a status, a mode or a band that is not known: those may be drawn for others.
const ROLES: [&str; 2] = ["R0260", "R0600"];
const MODES: [&str; 4] = [
    "Face to Face (Surgery)",
    "Telephone/Audio",
    "Face to Face (Home Visit)",
    "Video with Audio",
];
/// Days before the appointment: one of each band.
const WAITS: [i32; 7] = [0, 1, 5, 10, 18, 25, 40];
/// Indexes of status and HCP type, mode and band, as [`Cells`] have them.
const ATTENDED: usize = 0;
const DNA: usize = 1;

/// How fast, and for how long.
#[derive(Clone, Copy)]
pub struct Pace {
    rate: usize,
    seconds: usize,
}

impl Pace {
    /// Of the command's words; `None` where none says a rate.
    pub fn of(words: &[String]) -> Option<Self> {
        let said = |name: &str| {
            let said = words.iter().find_map(|word| word.strip_prefix(name));
            said.map(|number| number.parse().expect("a number"))
        };
        said(RATE).map(|rate| Self {
            rate,
            seconds: said(SECONDS).unwrap_or(90),
        })
    }

    pub fn input(self) -> Arc<Input> {
        Arc::new(Input::in_order(self.rate * self.seconds, 1, false))
    }

    pub fn probes(self) -> usize {
        PROBES * self.seconds / 3
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records a second for {} s", self.rate, self.seconds)
    }
}

/// What one contender did in one round.
pub struct Steady {
    pub name: &'static str,
    /// Records a second that were sent while latency was measured.
    pub rate: f64,
    /// In milliseconds, sorted.
    latencies: Vec<f64>,
    /// Cores in use meanwhile.
    pub process: f64,
    pub broker: f64,
    /// Seconds.
    pub restart: f64,
}

impl Steady {
    pub fn latency(&self, share: f64) -> f64 {
        self.latencies[((self.latencies.len() - 1) as f64 * share) as usize]
    }
}

/// Milliseconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs_f64() * 1e3
}

/// A contender at work.
enum AtWork {
    Ours(Instance),
    Peer(Running),
}

impl AtWork {
    fn start(
        contender: Contender,
        kafka: &Kafka,
        environment: &Environment,
        directory: &Path,
    ) -> Self {
        match contender {
            Contender::Ours(_) => Self::Ours(Instance::start(environment)),
            Contender::Peer(peer) => Self::Peer(peer.start(kafka, directory, true)),
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Ours(instance) => instance.pid(),
            Self::Peer(running) => running.pid(),
        }
    }

    fn log(&self) -> String {
        match self {
            Self::Ours(instance) => instance.log(),
            Self::Peer(running) => running.log(),
        }
    }

    /// Waits for something that comes of its work.
    fn wait(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let began = Instant::now();
        while !condition() {
            let is_there = Path::new(&format!("/proc/{}/exe", self.pid())).exists();
            assert!(is_there, "it ended before {what}:\n{}", self.log());
            assert!(began.elapsed() < LONG, "no {what} in time:\n{}", self.log());
            sleep(Duration::from_millis(5));
        }
    }
}

/// Appointments of our own.
struct Probes {
    practice: String,
    appender: Box<dyn gpad_live::adapters::log::Append>,
    schema: u32,
}

impl Probes {
    /// Of a practice in the input that EMIS serves.
    fn new(log: &dyn Log, input: &Input) -> Self {
        let topic = SupplierTopic::EmisAppointments;
        let of_emis = input
            .all()
            .find(|(of, _, _)| *of == Topic::Supplier(topic))
            .expect("EMIS sends something");
        let name = topic.name();
        Self {
            practice: String::from_utf8(of_emis.1.to_vec()).unwrap(),
            appender: log.appender().unwrap(),
            schema: Schemas::new(None)
                .id(&format!("{name}-value"), name)
                .unwrap(),
        }
    }

    /// The one at `index`: its row of England. The days lie before the month that is simulated.
    fn cell(index: usize) -> Cell {
        let (index, wait) = (index / WAITS.len(), index % WAITS.len());
        let (index, mode) = (index / MODES.len(), index % MODES.len());
        let (index, hcp) = (index / ROLES.len(), index % ROLES.len());
        let (day, status) = (index / 2, index % 2);
        let day = Day::from_ymd(2021, 6, 1).unwrap().0 + day as i32;
        let status = if status == 0 { ATTENDED } else { DNA };
        ('e', String::new(), day, [status, hcp, mode, wait])
    }

    fn send(&mut self, index: usize) {
        let (_, _, date, [status, hcp, mode, wait]) = Self::cell(index);
        let is_attended = status == ATTENDED;
        let slot = format!("probe-{index}");
        let record = emis::Appointment {
            practice_ods_code: &self.practice,
            extract_id: "x",
            extracted_at: i64::from(date + 1) * MILLIS_PER_DAY,
            schema_note: None,
            slot_guid: &slot,
            booking_guid: Some("b"),
            session_guid: "s",
            appointment_date: date,
            appointment_start_time: 36_000_000,
            planned_duration_minutes: 10,
            booked_date: Some(date - WAITS[wait]),
            booked_time: Some(30_000_000),
            send_in_time: is_attended.then_some(36_060_000),
            left_time: is_attended.then_some(36_600_000),
            did_not_attend: !is_attended,
            actual_duration_minutes: is_attended.then_some(9),
            slot_type_description: "GP Appointment",
            session_category: "General",
            job_category_code: Some(ROLES[hcp]),
            appointment_mode: Some(MODES[mode]),
            national_slot_category: Some("General Consultation Routine"),
            context_type: Some("Care Related Encounter"),
            service_setting: Some("General Practice"),
            blocked: false,
            deleted: false,
        };
        let (mut datum, mut value) = (Vec::new(), Vec::new());
        record.encode(&mut datum);
        frame(self.schema, &datum, &mut value);
        let record = NewRecord {
            topic: SupplierTopic::EmisAppointments.name(),
            partition: None,
            key: Some(self.practice.as_bytes()),
            value: Some(&value),
        };
        self.appender.append(&record).unwrap();
    }
}

/// What a committed reader of the rows is handed, and when.
#[derive(Default)]
struct Handed {
    /// Rows of England before the month that is simulated, the first time each.
    rows: BTreeMap<Cell, f64>,
    /// The first row whose record was made after the kill.
    after: Option<f64>,
}

struct Reader {
    ends: Arc<AtomicBool>,
    killed: Arc<AtomicI64>,
    handed: Arc<Mutex<Handed>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Waits for the topic: a peer makes its own.
    fn start(kafka: &Kafka, topic: &'static str) -> Self {
        let consumer = prompt_reader(&kafka.brokers(), "steady");
        let mut partitions = 0;
        wait_for("the topic of rows", LONG, || {
            let metadata = consumer.fetch_metadata(None, LONG).unwrap();
            let found = metadata.topics().iter().find(|it| it.name() == topic);
            partitions = found.map_or(0, |topic| topic.partitions().len() as i32);
            partitions > 0
        });
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let killed = Arc::new(AtomicI64::new(i64::MAX));
        let handed = Arc::new(Mutex::new(Handed::default()));
        let first = Day::from_ymd(2022, 1, 1).unwrap().0;
        let thread = std::thread::spawn({
            let (ends, killed, handed) = (ends.clone(), killed.clone(), handed.clone());
            move || {
                while !ends.load(Ordering::Acquire) {
                    let Some(message) = consumer.poll(Duration::from_millis(20)) else {
                        continue;
                    };
                    let (message, at) = (message.unwrap(), now());
                    let made = message.timestamp().to_millis().unwrap();
                    let row = cell_of(topic, message.key().unwrap());
                    let mut handed = handed.lock().unwrap();
                    if made > killed.load(Ordering::Acquire) {
                        handed.after.get_or_insert(at);
                    }
                    if let Some(row) = row.filter(|row| row.2 < first) {
                        handed.rows.entry(row).or_insert(at);
                    }
                }
            }
        });
        Self {
            ends,
            killed,
            handed,
            thread: Some(thread),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The cell of England that a row's key names; `None` of other levels.
fn cell_of(topic: &str, key: &[u8]) -> Option<Cell> {
    if topic == peers::ROWS {
        return Some(peers::their_cell(key)).filter(|cell| cell.0 == 'e');
    }
    let key = AggregateKey::from_bytes(unframe_ours(Some(key)).unwrap().1).unwrap();
    let row = row_of(key, None).unwrap();
    (row.level == Level::England).then(|| peers::cell_of(&row))
}

/// Takes the input in at its pace, is killed, is started again, takes the rest in.
///
/// # Panics
/// When its rows are not `rows`, which the first contender's become.
pub fn measure(contender: Contender, pace: Pace, input: &Arc<Input>, rows: &mut Cells) -> Steady {
    let name = contender.name();
    let kafka = Kafka::start_measured();
    let directory = tempfile::tempdir().unwrap();
    let mut environment = environment(contender, &kafka, directory.path());
    let state = directory.path().join("state").display().to_string();
    environment.push(("GPAD_KAFKA_INSTANCE", "one".to_owned()));
    environment.push(("GPAD_STATE_DIRECTORY", state));
    succeed(&environment, &["topics", "create"]);
    let environment = tried(environment);
    let log = kafka.open("steady-feed");
    let mut probes = Probes::new(&log, input);
    let flow = Flow::start(&log, &Schemas::new(None), input.clone());
    let mut at_work = AtWork::start(contender, &kafka, &environment, directory.path());
    let (group, topic) = match contender {
        Contender::Ours(_) => (GROUP, OUR_ROWS),
        Contender::Peer(_) => (peers::GROUP, peers::ROWS),
    };
    let reader = Reader::start(&kafka, topic);
    flow.release_steadily(pace.rate);
    let on_cores = |pid| (on_cores::process(pid), Instant::now());
    at_work.wait("a third of the records", || flow.sent() * 3 > flow.total());
    let before = (on_cores(at_work.pid()), on_cores(kafka.pid()), flow.sent());
    let mut sent = Vec::new();
    for index in 0..pace.probes() {
        let due = Duration::from_secs_f64(index as f64 / PROBES as f64);
        sleep(due.saturating_sub(before.0.1.elapsed()));
        sent.push(now());
        probes.send(index);
    }
    let after = (on_cores(at_work.pid()), on_cores(kafka.pid()), flow.sent());
    let seconds = before.0.1.elapsed().as_secs_f64();
    at_work.wait("every probe", || {
        reader.handed.lock().unwrap().rows.len() == sent.len()
    });
    match at_work {
        AtWork::Ours(instance) => instance.kill(),
        AtWork::Peer(running) => drop(running),
    }
    let killed = now();
    reader.killed.store(killed as i64, Ordering::Release);
    let is_done = flow.sent() == flow.total();
    assert!(
        !is_done,
        "{name} is so far behind that nothing is left to come"
    );
    at_work = AtWork::start(contender, &kafka, &environment, directory.path());
    at_work.wait("a row after the kill", || {
        reader.handed.lock().unwrap().after.is_some()
    });
    let handed = std::mem::take(&mut *reader.handed.lock().unwrap());
    let restart = (handed.after.unwrap() - killed) / 1e3;
    let latencies = sent.iter().enumerate();
    let latencies = latencies.map(|(index, at)| handed.rows[&Probes::cell(index)] - at);
    let mut latencies: Vec<f64> = latencies.collect();
    latencies.sort_by(f64::total_cmp);
    at_work.wait("the end", || flow.sent() == flow.total());
    // The sender's last batch is stored, too.
    drop(flow);
    let all = (input.len() + pace.probes()) as f64;
    let watch = client(&kafka, group);
    at_work.wait("its last commit", || committed(&watch) >= all);
    finish(contender, at_work, &kafka, rows);
    let used = |before: (f64, Instant), after: (f64, Instant)| {
        (after.0 - before.0) / (after.1 - before.1).as_secs_f64()
    };
    let steady = Steady {
        name,
        rate: (after.2 - before.2) as f64 / seconds,
        latencies,
        process: used(before.0, after.0),
        broker: used(before.1, after.1),
        restart,
    };
    eprintln!(
        "{name}: p50 {:.0} ms, p99 {:.0} ms, restart {restart:.2} s",
        steady.latency(0.5),
        steady.latency(0.99)
    );
    steady
}

/// Holds the contender's rows against those of `run`.
fn finish(contender: Contender, at_work: AtWork, kafka: &Kafka, rows: &mut Cells) {
    let name = contender.name();
    match at_work {
        AtWork::Ours(instance) => {
            Seen::new(kafka).wait_until_rolled_up();
            let (status, _, log) = instance.stop();
            assert!(status.success(), "{name}: {status}\n{log}");
            let ours = peers::ours(kafka);
            if rows.is_empty() {
                *rows = ours;
            } else {
                peers::must_be(name, &ours, rows);
            }
        }
        AtWork::Peer(running) => {
            peers::must_come_to(name, kafka, rows);
            drop(running);
        }
    }
}
