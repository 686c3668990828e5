//! Whether a service that is fed without end grows: memory, file descriptors, threads, changelog.
//!
//! `cargo bench --bench soak -- MINUTES` (30 unless said) feeds the release build 20,000 records a second through a real
//! Kafka: every slot changes twenty times, and every 100 s a simulated day passes, so that slots enter and leave the
//! horizon (4 days) all the time. It samples the process every few seconds and fails when a straight line through the
//! second half of the samples climbs by more than it may. `GPADLIVE_PROOF_REPORT=FILE` writes the report there.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark's helpers fail as it does, and measure by the clock"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gpad_live::adapters::kafka::NewTopic;
use gpad_live::adapters::log::{Append, Log, NewRecord};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::domain::time::Day;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::service::CHANGELOG;
use gpad_live::wire::framing::frame;
use gpad_live::wire::reference::ParticipationState;
use gpad_live::wire::supplier::{SupplierRecord, emis};
use support::feed::{DAY_MILLIS, Feed};
use support::instance::{Environment, Instance, succeed};
use support::proof::{machine, versions};
use support::{Kafka, free_port};

const RATE: u64 = 20_000;
const TASKS: i32 = 8;
const PRACTICES: usize = 32;
/// How often each slot changes.
const CHANGES: u64 = 20;
/// Of wall time to one simulated day.
const SECONDS_A_DAY: u64 = 100;
const SLOTS_A_DAY: u64 = RATE * SECONDS_A_DAY / CHANGES;
const HORIZON: &str = "4";
const EVERY: Duration = Duration::from_secs(5);
const TOPIC: &str = SupplierTopic::EmisAppointments.name();

/// A sample of the process, and of what it leaves in Kafka.
#[derive(Clone, Copy)]
struct Sample {
    minutes: f64,
    rss_mib: f64,
    descriptors: f64,
    threads: f64,
    /// Between the first offset and the end, over all partitions.
    changelog: f64,
    /// On disk, deleted segments gone.
    changelog_mib: f64,
    /// Records that were sent and are not read.
    lag: f64,
    entries: f64,
}

/// A measure, how to see it, and how much it may climb over the second half: a share of its mean, or so much.
struct Rule {
    name: &'static str,
    of: fn(&Sample) -> f64,
    share: f64,
    least: f64,
}

const RULES: [Rule; 5] = [
    Rule {
        name: "RSS, MiB",
        of: |sample| sample.rss_mib,
        share: 0.05,
        least: 8.0,
    },
    Rule {
        name: "file descriptors",
        of: |sample| sample.descriptors,
        share: 0.0,
        least: 2.0,
    },
    Rule {
        name: "threads",
        of: |sample| sample.threads,
        share: 0.0,
        least: 2.0,
    },
    Rule {
        name: "changelog, offsets from its first to its end",
        of: |sample| sample.changelog,
        share: 0.15,
        least: 1_000.0,
    },
    Rule {
        name: "lag, records",
        of: |sample| sample.lag,
        share: 0.0,
        least: 20_000.0,
    },
];

fn codes() -> Vec<String> {
    let all = (0..PRACTICES).map(|number| format!("A9{number:04}"));
    all.collect()
}

/// Sends records at a steady rate until told to end.
fn feed(mut to: Box<dyn Append>, id: u32, ends: &AtomicBool, sent: &AtomicI64) {
    let codes = codes();
    let first = Day::from_ymd(2021, 4, 1).unwrap().0;
    let began = Instant::now();
    let (mut number, mut datum, mut value) = (0_u64, Vec::new(), Vec::new());
    while !ends.load(Ordering::Acquire) {
        let due = began.elapsed().as_millis() as u64 * RATE / 1_000;
        if number >= due {
            sleep(Duration::from_millis(2));
            continue;
        }
        let day = number / (SLOTS_A_DAY * CHANGES);
        let of_day = number % (SLOTS_A_DAY * CHANGES);
        // All slots of a day are offered one after the other, then all change, again and again.
        let (change, slot) = (
            of_day / SLOTS_A_DAY,
            day * SLOTS_A_DAY + of_day % SLOTS_A_DAY,
        );
        let code = &codes[(slot % PRACTICES as u64) as usize];
        let date = first + day as i32 + (slot % 7) as i32 - 3;
        let guid = slot.to_string();
        let attended = change % 2 == 0;
        let record = emis::Appointment {
            practice_ods_code: code,
            extract_id: "x",
            extracted_at: i64::from(first + day as i32) * DAY_MILLIS
                + change as i64 * (DAY_MILLIS / CHANGES as i64)
                + (slot % 1_000) as i64,
            schema_note: None,
            slot_guid: &guid,
            booking_guid: Some("b"),
            session_guid: "s",
            appointment_date: date,
            appointment_start_time: 36_000_000,
            planned_duration_minutes: 10,
            booked_date: Some(date - 1),
            booked_time: Some(36_000_000),
            send_in_time: attended.then_some(36_060_000),
            left_time: attended.then_some(36_600_000),
            did_not_attend: !attended,
            actual_duration_minutes: attended.then_some(9),
            slot_type_description: "GP Appointment",
            session_category: "General",
            job_category_code: Some("R0260"),
            appointment_mode: Some("Face-to-Face"),
            national_slot_category: Some("General Consultation Routine"),
            context_type: Some("Care Related Encounter"),
            service_setting: Some("General Practice"),
            blocked: false,
            deleted: false,
        };
        datum.clear();
        record.encode(&mut datum);
        value.clear();
        frame(id, &datum, &mut value);
        let record = NewRecord {
            topic: TOPIC,
            partition: None,
            key: Some(code.as_bytes()),
            value: Some(&value),
        };
        to.append(&record).unwrap();
        number += 1;
        sent.store(number as i64, Ordering::Release);
    }
    to.flush().unwrap();
}

fn metric(url: &str, name: &str) -> f64 {
    let text = ureq::get(url)
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    let of_name = |line: &&str| line.starts_with(name) && !line.starts_with('#');
    text.lines()
        .filter(of_name)
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

fn status(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Bytes of a topic's files.
fn on_disk(directory: &Path, topic: &str) -> u64 {
    let partitions = fs::read_dir(directory).unwrap().flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with(&format!("{topic}-"))
    });
    let files = partitions
        .filter_map(|entry| fs::read_dir(entry.path()).ok())
        .flatten();
    let live = files
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|end| end == "log"));
    live.filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// By how much a straight line through the samples climbs from the first to the last.
fn climb(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|sample| sample.minutes), mean(&of));
    let above: f64 = samples
        .iter()
        .map(|sample| (sample.minutes - x) * (of(sample) - y))
        .sum();
    let below: f64 = samples
        .iter()
        .map(|sample| (sample.minutes - x).powi(2))
        .sum();
    above / below * (samples[samples.len() - 1].minutes - samples[0].minutes)
}

fn main() {
    // `cargo test --benches` runs this too: there a benchmark has nothing to show.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let minutes: u64 = std::env::args()
        .find_map(|word| word.parse().ok())
        .unwrap_or(30);
    let kafka =
        Kafka::start_with(|_, properties| properties + "log.retention.check.interval.ms=20000\n");
    let address = format!("127.0.0.1:{}", free_port());
    let state = tempfile::tempdir().unwrap();
    let environment: Environment = vec![
        ("GPAD_KAFKA_BROKERS", kafka.brokers()),
        ("GPAD_KAFKA_GROUP", "soak".to_owned()),
        ("GPAD_TOPICS_PARTITIONS", TASKS.to_string()),
        ("GPAD_TOPICS_REPLICATION", "1".to_owned()),
        (
            "GPAD_STATE_DIRECTORY",
            state.path().to_str().unwrap().to_owned(),
        ),
        ("GPAD_HORIZON_DAYS", HORIZON.to_owned()),
        ("GPAD_HTTP_ADDRESS", address.clone()),
        ("RUST_LOG", "info".to_owned()),
    ];
    let log = kafka.open("soak-feed");
    // What was read long ago need not fill the disk.
    let records = NewTopic {
        name: TOPIC.to_owned(),
        partitions: TASKS,
        settings: vec![("retention.bytes", "200000000".to_owned())],
    };
    log.create_topics(&[records], 1).unwrap();
    succeed(&environment, &["topics", "create"]);
    let schemas = Schemas::new(None);
    let id = schemas.id(&format!("{TOPIC}-value"), TOPIC).unwrap();
    let mut reference = Feed::new(&log, schemas);
    for (at, code) in codes().iter().enumerate() {
        reference.practice(code, at % 2);
        reference.agreement(code, ParticipationState::Approved, 1_577_836_800_000);
    }
    reference.flush();
    let instance = Instance::start(&environment);
    let (ends, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicI64::new(0)),
    );
    let feeder = std::thread::spawn({
        let (to, ends, sent) = (log.appender().unwrap(), ends.clone(), sent.clone());
        move || feed(to, id, &ends, &sent)
    });
    let metrics = format!("http://{address}/metrics");
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < Duration::from_mins(minutes) {
        sleep(EVERY);
        let partitions = 0..=TASKS;
        let offsets = partitions.map(|partition| {
            let ends = log.ends(CHANGELOG, partition).unwrap();
            ends.end - ends.first
        });
        let pid = instance.pid();
        let sample = Sample {
            minutes: began.elapsed().as_secs_f64() / 60.0,
            rss_mib: status(pid, "VmRSS:") / 1024.0,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as f64,
            threads: status(pid, "Threads:"),
            changelog: offsets.sum::<i64>() as f64,
            changelog_mib: on_disk(&kafka.log_directory(), CHANGELOG) as f64 / (1024.0 * 1024.0),
            lag: sent.load(Ordering::Acquire) as f64 - metric(&metrics, "gpad_records_total"),
            entries: metric(&metrics, "gpad_state_entries"),
        };
        samples.push(sample);
    }
    let total = sent.load(Ordering::Acquire);
    let refused = metric(&metrics, "gpad_dead_letters_total");
    ends.store(true, Ordering::Release);
    feeder.join().unwrap();
    let (status, _, told) = instance.stop();
    assert!(status.success(), "{status}\n{told}");
    let passed = report(minutes, total, refused, &samples);
    assert!(passed, "something drifts, or was refused");
}

fn report(minutes: u64, total: i64, refused: f64, samples: &[Sample]) -> bool {
    let mut text = format!(
        "# Soak\n\n| | |\n|---|---|\n| date | {} |\n| command | `tests/prove soak --count {minutes}` |\n| versions | {} |\n\
         | machine | {} |\n| input | {total} records of EMIS appointments, {RATE} a second; {SLOTS_A_DAY} new slots every {SECONDS_A_DAY} s, which is \
         one simulated day; each changes {CHANGES} times; {PRACTICES} practices |\n\
         | settings | defaults but for `horizon_days = {HORIZON}` and `state.directory` |\n| refused | {refused} |\n\n",
        chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
        versions(),
        machine("release"),
    );
    text.push_str("| minute | RSS, MiB | descriptors | threads | changelog, offsets | on disk, MiB | lag, records | live slots |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for sample in samples
        .iter()
        .step_by(samples.len().div_ceil(30))
        .chain(samples.last())
    {
        writeln!(
            text,
            "| {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            sample.minutes,
            sample.rss_mib,
            sample.descriptors,
            sample.threads,
            sample.changelog,
            sample.changelog_mib,
            sample.lag,
            sample.entries
        )
        .unwrap();
    }
    let half = &samples[samples.len() / 2..];
    text.push_str(
        "\nThe rule: a straight line (least squares) through the samples of the second half, one each 5 s, must not climb by more than \
         allowed from its first to its last.\n\n| measure | mean of the second half | climbs by | allowed | |\n|---|---:|---:|---:|---|\n",
    );
    let mut passed = refused == 0.0;
    for rule in &RULES {
        let mean = half.iter().map(rule.of).sum::<f64>() / half.len() as f64;
        let (climbs, allowed) = (climb(half, rule.of), (mean * rule.share).max(rule.least));
        let holds = climbs <= allowed;
        passed &= holds;
        let verdict = if holds { "holds" } else { "**drifts**" };
        writeln!(
            text,
            "| {} | {mean:.1} | {climbs:.1} | {allowed:.1} | {verdict} |",
            rule.name
        )
        .unwrap();
    }
    let verdict = if passed { "passed" } else { "failed" };
    writeln!(
        text,
        "\nResult: **{verdict}**. Rows of past days stand for as long as the service does (docs/decisions/0014): {:.0} simulated days' rows, of \
         {PRACTICES} practices, are in the growth that is seen.",
        minutes as f64 * 60.0 / SECONDS_A_DAY as f64
    )
    .unwrap();
    eprintln!("{text}");
    if let Ok(path) = std::env::var("GPADLIVE_PROOF_REPORT") {
        fs::write(path, text).unwrap();
    }
    passed
}
