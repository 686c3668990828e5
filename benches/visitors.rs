//! What those who look cost those who wait for figures: the way of a record beside 1,000 requests a second and 200 open pages.
//!
//! `cargo bench --bench visitors -- [RATE] [SECONDS]` (1,000 records a second, England's peak, and 20 s unless said) feeds a service through a real
//! Kafka at a steady rate, and takes the time from each record's production until a committed reader sees the transaction
//! that has it: in turns alone and with visitors, three times each. It reports the quantiles, their ratio, and
//! how the visitors were served, and fails when the 99th centile with visitors is more than 1.2 times that without.
//! `GPADLIVE_PROOF_REPORT=FILE` writes the report there.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark's helpers fail as it does, and measure by the clock"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gpad_live::adapters::log::{Log, Span};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::service::LEDGER;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe_ours;
use gpad_live::wire::output::Manifest;
use rdkafka::consumer::Consumer;
use rdkafka::{Message, Offset, TopicPartitionList};
use support::input::{Flow, Input, NOW};
use support::instance::{Instance, succeed};
use support::proof::{machine, versions};
use support::{Kafka, free_port, on_cores, prompt_reader, wait_for};

const PARTITIONS: i32 = 2;
const TURNS: u64 = 3;
/// A goal of the project.
const MOST: f64 = 1.2;
const REQUESTS_PER_SECOND: u64 = 1_000;
const PAGES: usize = 200;
/// Connections that requests come over.
const CLIENTS: u64 = 25;
/// What the page's views ask, and what an analyst does.
const ASKED: [&str; 12] = [
    "/api/v1/summary",
    "/api/v1/totals/activity?level=england&from=2022-02-01&to=2022-02-15&by=status,waiting_band",
    "/api/v1/totals/activity?level=icb&from=2022-02-01&to=2022-02-15&by=status",
    "/api/v1/totals/activity?level=england&from=2022-02-01&to=2022-02-15&per=day",
    "/api/v1/totals/capacity?level=england&from=2022-02-01&to=2022-02-15",
    "/api/v1/totals/forward_look?level=england&from=2022-02-15&to=2022-03-31&per=week",
    "/api/v1/aggregates/pressure?level=england&window=1%20h",
    "/api/v1/aggregates/activity?level=region&from=2022-02-15&limit=500",
    "/api/v1/places?level=england&code=E92000001",
    "/api/v1/quality?level=supplier&from=2022-02-01",
    "/api/v1/ledger",
    "/api/v1/suppliers",
];

/// Milliseconds since 1970, as Kafka stamps records.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Offsets of a partition that a transaction read, and when a committed reader saw it.
struct Seen {
    topic: String,
    partition: i32,
    from: i64,
    to: i64,
    at: i64,
}

/// Reads the ledger as it is committed.
fn watch(brokers: &str, ends: Arc<AtomicBool>) -> (Arc<Mutex<Vec<Seen>>>, JoinHandle<()>) {
    let consumer = prompt_reader(brokers, "visitors");
    let wait = Duration::from_secs(10);
    let metadata = consumer.fetch_metadata(Some(LEDGER), wait).unwrap();
    let mut places = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        let offset = Offset::Beginning;
        places
            .add_partition_offset(LEDGER, partition.id(), offset)
            .unwrap();
    }
    consumer.assign(&places).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = seen.clone();
    let thread = std::thread::spawn(move || {
        while !ends.load(Ordering::Acquire) {
            let Some(message) = consumer.poll(Duration::from_millis(100)) else {
                continue;
            };
            let (message, at) = (message.unwrap(), now());
            let manifest =
                Manifest::from_bytes(unframe_ours(message.payload()).unwrap().1).unwrap();
            // Of the first stage: the second's tasks have names.
            let Ok(partition) = manifest.task.parse() else {
                continue;
            };
            let read = manifest.positions.into_iter().map(|read| Seen {
                topic: read.topic,
                partition,
                from: read.from,
                to: read.to,
                at,
            });
            into.lock().unwrap().extend(read);
        }
    });
    (seen, thread)
}

/// Milliseconds that each record took, by when it was produced.
fn latencies(log: &dyn Log, seen: &[Seen]) -> Vec<(i64, i64)> {
    let mut taken = Vec::new();
    for topic in SupplierTopic::ALL {
        let mut of_topic: BTreeMap<(i32, i64), &Seen> = BTreeMap::new();
        for read in seen
            .iter()
            .filter(|read| read.topic == topic.name() && read.to > read.from)
        {
            of_topic.insert((read.partition, read.from), read);
        }
        let spans: Vec<Span> = (0..PARTITIONS).map(Span::whole).collect();
        log.scan(topic.name(), &spans, &mut |message| {
            if let Some(message) = message {
                let place = (message.partition, message.offset);
                let read = of_topic.range(..=place).next_back();
                let read = read.filter(|((partition, _), read)| {
                    *partition == message.partition && message.offset < read.to
                });
                if let (Some((_, read)), Some(produced)) = (read, message.timestamp) {
                    taken.push((produced, read.at - produced));
                }
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    }
    taken
}

/// How visitors were served.
#[derive(Default)]
struct Served {
    requests: AtomicU64,
    events: AtomicU64,
    failed: AtomicU64,
    micros: Mutex<Vec<u64>>,
}

/// Visitors at work; gone when told to end.
struct Visitors {
    served: Arc<Served>,
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Visitors {
    fn come(root: &str) -> Self {
        let (served, ends) = (
            Arc::new(Served::default()),
            Arc::new(AtomicBool::new(false)),
        );
        let small = || Builder::new().stack_size(256 * 1024);
        let mut threads = Vec::new();
        for page in 0..PAGES {
            let (url, served, ends) = (
                format!("{root}/api/v1/events"),
                served.clone(),
                ends.clone(),
            );
            let open = move || {
                // People do not come at one moment.
                sleep(Duration::from_millis(page as u64 * 5));
                let Ok(answer) = ureq::get(&url).call() else {
                    served.failed.fetch_add(1, Ordering::Relaxed);
                    return;
                };
                let lines = BufReader::new(answer.into_body().into_reader()).lines();
                for line in lines.map_while(Result::ok) {
                    let is_event = line.starts_with("data:");
                    served
                        .events
                        .fetch_add(u64::from(is_event), Ordering::Relaxed);
                    if ends.load(Ordering::Acquire) {
                        return;
                    }
                }
            };
            threads.push(small().spawn(open).unwrap());
        }
        for client in 0..CLIENTS {
            let (root, served, ends) = (root.to_owned(), served.clone(), ends.clone());
            let ask = move || asking(&root, client, &served, &ends);
            threads.push(small().spawn(ask).unwrap());
        }
        Self {
            served,
            ends,
            threads,
        }
    }

    fn go(self) -> Arc<Served> {
        self.ends.store(true, Ordering::Release);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.served
    }
}

/// Asks at its share of the rate, over one connection; what is late is made up for.
fn asking(root: &str, client: u64, served: &Served, ends: &AtomicBool) {
    let agent = ureq::Agent::new_with_defaults();
    let step = Duration::from_micros(1_000_000 * CLIENTS / REQUESTS_PER_SECOND);
    let began =
        Instant::now() + step * u32::try_from(client).unwrap() / u32::try_from(CLIENTS).unwrap();
    let mut number = 0_u32;
    let mut micros = Vec::new();
    while !ends.load(Ordering::Acquire) {
        let due = began + step * number;
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            sleep(wait);
        }
        let path = ASKED[(u64::from(number) * 7 + client) as usize % ASKED.len()];
        number += 1;
        let answer = agent
            .get(format!("{root}{path}"))
            .header("accept-encoding", "gzip")
            .call();
        let read = answer.map(|answer| {
            let mut body = Vec::new();
            answer
                .into_body()
                .into_reader()
                .read_to_end(&mut body)
                .map(|_| body.len())
        });
        if !matches!(read, Ok(Ok(1..))) {
            served.failed.fetch_add(1, Ordering::Relaxed);
        }
        served.requests.fetch_add(1, Ordering::Relaxed);
        // From when it was due: a service that is slow does not hide what waits behind it.
        micros.push(due.elapsed().as_micros() as u64);
    }
    served.micros.lock().unwrap().extend(micros);
}

fn quantile<T: Copy + Ord>(values: &mut [T], of: f64) -> T {
    values.sort_unstable();
    values[((values.len() - 1) as f64 * of).round() as usize]
}

fn argument(at: usize, otherwise: u64) -> u64 {
    let mut given = std::env::args().skip(1).filter(|it| !it.starts_with("--"));
    given
        .nth(at)
        .map_or(otherwise, |text| text.parse().expect("a number"))
}

/// What was run, and where.
fn head(rate: u64, seconds: u64) -> String {
    format!(
        "# Visitors\n\n| | |\n|---|---|\n| date | {} |\n| command | `cargo bench --bench visitors -- {rate} {seconds}` |\n\
         | versions | {} |\n| machine | {} |\n\
         | settings | {rate} records a second; all default aggregates; one instance, {PARTITIONS} tasks; commit interval 100 ms; \
         {TURNS} turns of {seconds} s of each kind, one after the other |\n\n\
         Milliseconds from a record's production until a committed reader has the transaction that took it in.\n\n\
         | | records | p50 | p90 | p99 | most | cores of the service |\n|---|---:|---:|---:|---:|---:|---:|\n",
        chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
        versions(),
        machine("release"),
    )
}

/// What was measured, turn by turn.
struct Spans {
    /// With visitors or without, from when until when.
    turns: Vec<(bool, i64, i64)>,
    /// Core-seconds of the service without visitors, and with.
    processor: [f64; 2],
    /// Of all turns of a kind.
    seconds: f64,
}

impl Spans {
    /// Reports how long records took by when they were produced; answers the ratio of the 99th centiles.
    fn tell(&self, taken: &[(i64, i64)], report: &mut String) -> f64 {
        let last = [false, true].map(|with| {
            let during = |produced: i64| {
                (self.turns.iter())
                    .any(|(of, from, to)| *of == with && (*from..*to).contains(&produced))
            };
            let of = taken.iter().filter(|(produced, _)| during(*produced));
            let mut of: Vec<i64> = of.map(|(_, took)| *took).collect();
            writeln!(
                report,
                "| {} | {} | {} | {} | {} | {} | {:.2} |",
                if with { "with visitors" } else { "alone" },
                of.len(),
                quantile(&mut of, 0.5),
                quantile(&mut of, 0.9),
                quantile(&mut of, 0.99),
                quantile(&mut of, 1.0),
                self.processor[usize::from(with)] / self.seconds,
            )
            .unwrap();
            quantile(&mut of, 0.99) as f64
        });
        last[1] / last[0]
    }
}

/// Reports how visitors were served; answers how many were not.
fn tell_visits(visits: &[Arc<Served>], seconds: f64, report: &mut String) -> u64 {
    let sum = |of: fn(&Served) -> &AtomicU64| -> u64 {
        (visits.iter())
            .map(|served| of(served).load(Ordering::Relaxed))
            .sum()
    };
    let failed = sum(|it| &it.failed);
    let mut micros: Vec<u64> = Vec::new();
    for served in visits {
        micros.extend(served.micros.lock().unwrap().iter());
    }
    // Visitors also ask while the first and the last of a turn come and go.
    let seconds = seconds + (3 * TURNS) as f64 / 2.0;
    writeln!(
        report,
        "\nVisitors: {PAGES} open pages with {:.0} events a second, {:.0} requests a second, {failed} failed; from when a request \
         was due to its whole answer p50 {:.1} ms, p99 {:.1} ms. They ask on the same two cores.\n",
        sum(|it| &it.events) as f64 / seconds,
        sum(|it| &it.requests) as f64 / seconds,
        quantile(&mut micros, 0.5) as f64 / 1e3,
        quantile(&mut micros, 0.99) as f64 / 1e3,
    )
    .unwrap();
    failed
}

fn main() {
    // `cargo test --benches` runs this too: there a benchmark has nothing to show.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (rate, seconds) = (argument(0, 1_000), argument(1, 20));
    let turn = Duration::from_secs(seconds);
    // A turn of each kind, and what warms up before.
    let total = rate * (2 * TURNS + 2) * (seconds + 3);
    let kafka = Kafka::start();
    let address = format!("127.0.0.1:{}", free_port());
    let mut environment = support::instance::environment(&kafka, None, PARTITIONS);
    environment.extend([
        ("GPAD_HTTP_ADDRESS", address.clone()),
        ("GPAD_COMMIT_INTERVAL_MS", "100".to_owned()),
        ("GPAD_CLOCK", format!("fixed {NOW}")),
        ("GPAD_TOPICS_ROW_PARTITIONS", "1".to_owned()),
    ]);
    succeed(&environment, &["topics", "create"]);
    let input = Arc::new(Input::draw(usize::try_from(total).unwrap(), 11));
    let log = kafka.open("feed");
    let flow = Flow::start(&log, &Schemas::new(None), input);
    let instance = Instance::start(&environment);
    let root = format!("http://{address}");
    let is_ready = || ureq::get(format!("{root}/readyz")).call().is_ok();
    wait_for("the service", Duration::from_mins(1), is_ready);
    let ends = Arc::new(AtomicBool::new(false));
    let (seen, watching) = watch(&kafka.brokers(), ends.clone());
    flow.release_steadily(usize::try_from(rate).unwrap());
    sleep(turn);

    let mut turns: Vec<(bool, i64, i64)> = Vec::new();
    let (mut processor, mut visits) = ([0.0; 2], Vec::new());
    for _ in 0..TURNS {
        for with in [false, true] {
            let visitors = with.then(|| Visitors::come(&root));
            // Until all pages are open.
            sleep(Duration::from_millis(1_500));
            let (from, spent) = (now(), on_cores::process(instance.pid()));
            sleep(turn);
            turns.push((with, from, now()));
            processor[usize::from(with)] += on_cores::process(instance.pid()) - spent;
            visits.extend(visitors.map(Visitors::go));
            sleep(Duration::from_millis(1_500));
        }
    }
    assert!(flow.left() > 0, "there were records until the end");
    ends.store(true, Ordering::Release);
    watching.join().unwrap();
    let taken = latencies(&log, &seen.lock().unwrap());

    let mut report = head(rate, seconds);
    let spans = Spans {
        turns,
        processor,
        seconds: (TURNS * seconds) as f64,
    };
    let ratio = spans.tell(&taken, &mut report);
    let failed = tell_visits(&visits, spans.seconds, &mut report);
    writeln!(
        report,
        "The 99th centile with visitors is {ratio:.2} times that without; {MOST} is allowed."
    )
    .unwrap();
    eprintln!("{report}");
    if let Ok(path) = std::env::var("GPADLIVE_PROOF_REPORT") {
        std::fs::write(path, report).unwrap();
    }
    assert!(failed == 0, "{failed} requests or pages failed");
    assert!(ratio <= MOST, "visitors hold the figures up");
}
