//! Published months, drawn as records and replayed, come back cell for cell.
//! England at one per cent; in full: `tests/prove truth`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and measure by the clock"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use apache_avro::Schema;
use gpad_live::domain::time::Month;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::simulate::cells::Cells;
use gpad_live::simulate::faults::{
    IDENTIFIABLE_MARKER, REFUSED_MARKER, STRANGER_MARKER, WITHHELD_MARKER,
};
use gpad_live::wire::avro::Stepper;
use gpad_live::wire::container::{ContainerReader, ContainerWriter, Packing};
use gpad_live::wire::output::{AggregateRow, DeadLetter};
use gpad_live::wire::records::Records;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::proof::{cores, size, versions};

const DORSET: &str = "Regional_CSV_Dorset.csv";

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(file)
}

fn gpad_live(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
        .args(arguments)
        .output()
        .expect("the command starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

fn simulate(file: &str, month: &str, into: &Path, more: &[&str]) {
    let cells = data(file);
    let arguments = [
        "simulate",
        "--cells",
        text(&cells),
        "--month",
        month,
        "--output",
        text(into),
    ];
    gpad_live(&[&arguments, more].concat());
}

fn replay(from: &Path, into: &Path) {
    gpad_live(&["replay", "--input", text(from), "--output", text(into)]);
}

/// Cells by key columns, those that `ignored` names left out.
fn cells(file: &Path, ignored: &[&str]) -> BTreeMap<Vec<String>, i64> {
    let mut reader = csv::Reader::from_path(file).expect("the file is there");
    let headers = reader.headers().expect("the file has a header").clone();
    let mut cells = BTreeMap::new();
    for record in reader.records() {
        let record = record.expect("the file is CSV");
        let (mut key, mut count) = (Vec::new(), 0);
        for (name, value) in headers.iter().zip(&record) {
            if name.eq_ignore_ascii_case("count_of_appointments") {
                count = value.parse().expect("a count");
            } else if !ignored.contains(&name) {
                key.push(value.replace("Unknown / Data Issue", "Unknown / Data Quality"));
            }
        }
        *cells.entry(key).or_default() += count;
    }
    cells
}

fn ledger(folder: &Path) -> serde_json::Value {
    let text = fs::read_to_string(folder.join("ledger.json")).expect("replay writes its ledger");
    serde_json::from_str(&text).expect("the ledger is JSON")
}

fn count(value: &serde_json::Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

#[test]
fn dorset_comes_back_with_its_codes_and_names_line_for_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    simulate(DORSET, "2021-03", &input, &[]);
    replay(&input, &output);
    let mut published = cells(&data(DORSET), &[]);
    published.retain(|key, _| key.contains(&"MAR2021".to_owned()));
    let ours = cells(&output.join("publication/2021-03/regional.csv"), &[]);
    assert_eq!(ours.values().sum::<i64>(), 409_778);
    assert_eq!(ours, published);
    let daily = cells(
        &output.join("publication/2021-03/daily.csv"),
        &["Appointment_Date"],
    );
    assert_eq!(daily.values().sum::<i64>(), 409_778);
    for file in ["duration.csv", "practice_crosstab.csv"] {
        let all = cells(&output.join("publication/2021-03").join(file), &[]);
        assert_eq!(all.values().sum::<i64>(), 409_778, "{file}");
    }
    let ledger = ledger(&output);
    let dispositions = ledger["dispositions"].as_object().expect("an object");
    assert_eq!(
        dispositions.values().map(count).sum::<i64>(),
        count(&ledger["records"])
    );
}

/// Whoever took its records in: all rows are complete up to one time, and those of one window are equally final.
fn rows_are_as_of_one_time(replayed: &Path) {
    let mut times = BTreeSet::new();
    let mut windows: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    for file in fs::read_dir(replayed.join("aggregates")).expect("a folder") {
        let file = file.expect("an entry").path();
        for row in Records::<AggregateRow>::open(&file).expect("aggregates") {
            let AggregateRow { key, value } = row.expect("a row");
            let published = value.published;
            times.insert(published.as_of);
            let said = format!("{:?} by {:?}", published.finality, published.closed_by);
            let window = vec![key.aggregate, key.level, key.window_start, key.window_end];
            windows.entry(window).or_default().insert(said);
        }
    }
    assert_eq!(times.len(), 1, "{times:?}");
    windows.retain(|_, said| said.len() > 1);
    assert_eq!(windows, BTreeMap::new());
}

const ENGLAND: [(&str, &str); 2] = [
    ("icb_cells_2022-02.csv", "2022-02"),
    // Before the collection began: its records are extracted from 1 March 2020 on, as those of a first return are.
    ("icb_cells_2020-01.csv", "2020-01"),
];

/// One per cent of two months; whole by `tests/prove truth`, whose count is per cent.
#[test]
fn england_comes_back_by_icb() {
    let percent = size("GPADLIVE_PROOF_COUNT", 1);
    let mut report = format!(
        "# Truth\n\n| | |\n|---|---|\n| date | {} |\n| command | `tests/prove truth --count {percent}` |\n| versions | {} |\n\
         | machine | {}; test build |\n\n\
         Published cells drawn as records by `simulate`, replayed with all default aggregates; \
         every cell by ICB, status, HCP, mode and time from booking is equal.\n\n\
         | month | appointments | cells | records | simulate | replay | records a second | memory of replay |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
        chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
        versions(),
        cores(),
    );
    for (file, month) in ENGLAND {
        report += &england_comes_back((file, month), percent as f64 / 100.0);
    }
    eprintln!("{report}");
    if let Ok(path) = std::env::var("GPADLIVE_PROOF_REPORT") {
        fs::write(path, report).expect("a report");
    }
}

/// Whoever refused them.
#[test]
fn dead_letters_lie_in_the_order_of_their_records() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let (file, month) = ENGLAND[0];
    simulate(file, month, &input, &["--scale", "0.005", "--faults"]);
    replay(&input, &output);
    let mut offsets = BTreeMap::<String, Vec<i64>>::new();
    for letter in Records::<DeadLetter>::open(&output.join("dead-letters.avro")).expect("letters") {
        let letter = letter.expect("a letter");
        offsets.entry(letter.topic).or_default().push(letter.offset);
    }
    assert!(offsets.values().any(|offsets| offsets.len() > 20));
    for (topic, offsets) in offsets {
        assert!(offsets.is_sorted(), "{topic}");
    }
}

/// What a process has had resident at most, in GB; none once it has ended.
fn peak(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024.0 / 1e9)
}

/// Draws a part of a month and replays it; answers a line for the report.
fn england_comes_back((file, month): (&str, &str), scale: f64) -> String {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let began = Instant::now();
    simulate(file, month, &input, &["--scale", &scale.to_string()]);
    let drawn = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
        .args(["replay", "--input", text(&input), "--output", text(&output)])
        .spawn()
        .expect("the command starts");
    let mut most = 0.0;
    let status = loop {
        most = peak(child.id()).unwrap_or(most);
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let replayed = began.elapsed().as_secs_f64();
    assert!(status.success(), "replay of {month}: {status}");
    rows_are_as_of_one_time(&output);
    let parsed = Month::parse(month).expect("a month");
    let published = Cells::read(&data(file), parsed)
        .expect("published cells")
        .scaled(scale);
    let published: BTreeMap<Vec<String>, i64> = published
        .cells
        .iter()
        .map(|cell| {
            let key = vec![
                published.places[cell.place].icb_ons_code.clone(),
                cell.kind.status.label().to_owned(),
                cell.kind.hcp.label().to_owned(),
                cell.kind.mode.label().to_owned(),
                cell.kind.wait.label().to_owned(),
            ];
            (key, i64::try_from(cell.count).expect("a count"))
        })
        .collect();
    let below_icb = [
        "CCG_CODE",
        "CCG_ONS_CODE",
        "CCG_NAME",
        "STPNM",
        "REGION_ONS_CODE",
        "REGION_NAME",
        "Appointment_Month",
    ];
    let regional = format!("publication/{month}/regional.csv");
    assert!(published.len() > 4_000, "{} cells", published.len());
    assert_eq!(cells(&output.join(regional), &below_icb), published);
    let records = count(&ledger(&output)["records"]);
    format!(
        "| {month} | {} | {} | {records} | {drawn:.0} s | {replayed:.0} s | {:.0} | {most:.2} GB |\n",
        published.values().sum::<i64>(),
        published.len(),
        records as f64 / replayed,
    )
}

/// Every datum of a container file.
fn datums(path: &Path) -> (Schema, Vec<Vec<u8>>) {
    let mut file = ContainerReader::open(path).expect("a container file");
    let schema = file.writer_schema().clone();
    let stepper = Stepper::compile(&schema).expect("our own schema");
    let (mut block, mut datums) = (Vec::new(), Vec::new());
    while let Some(header) = file.next_block(&mut block).expect("a whole file") {
        let mut front = &block[..];
        for _ in 0..header.count {
            let (datum, rest) = front.split_at(stepper.step(front).expect("a whole record"));
            datums.push(datum.to_vec());
            front = rest;
        }
    }
    (schema, datums)
}

fn publication_of(output: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![output.join("publication")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("a text file");
                files.insert(path.strip_prefix(output).expect("below").to_owned(), text);
            }
        }
    }
    files
}

#[test]
fn shuffled_repeated_and_with_consultations_first_no_cell_changes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    simulate(DORSET, "2021-03", &at("in"), &["--scale", "0.05"]);
    replay(&at("in"), &at("out"));
    fs::create_dir(at("shuffled")).expect("a folder");
    let mut chance = ChaCha8Rng::seed_from_u64(7);
    for entry in fs::read_dir(at("in")).expect("the records") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_owned();
        let into = at("shuffled").join(&name);
        let topic = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a topic");
        if SupplierTopic::from_name(topic).is_none() {
            fs::copy(&path, into).expect("copied");
            continue;
        }
        let (schema, datums) = datums(&path);
        let mut repeated: Vec<_> = datums
            .iter()
            .flat_map(|datum| std::iter::repeat_n(datum, chance.random_range(1..=5)))
            .collect();
        repeated.shuffle(&mut chance);
        let schema = serde_json::to_string(&schema).expect("a schema is JSON");
        let mut file = ContainerWriter::create(&into, &schema, Packing::Deflate, 0).expect("made");
        for datum in repeated {
            file.append(datum).expect("written");
        }
        file.finish().expect("written");
    }
    replay(&at("shuffled"), &at("again"));
    let (once, again) = (publication_of(&at("out")), publication_of(&at("again")));
    assert!(once.len() >= 6, "{:?}", once.keys());
    assert_eq!(once, again);
    let (before, after) = (ledger(&at("out")), ledger(&at("again")));
    assert!(count(&after["records"]) > 2 * count(&before["records"]));
}

/// Whether any file of a folder holds the text.
fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = fs::read(&path).expect("a file");
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

#[test]
fn faults_are_dead_lettered_or_withheld_without_a_trace_and_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    simulate(DORSET, "2021-03", &at("in"), &["--scale", "0.05"]);
    simulate(
        DORSET,
        "2021-03",
        &at("faulty"),
        &["--scale", "0.05", "--faults"],
    );
    replay(&at("in"), &at("out"));
    replay(&at("faulty"), &at("refused"));
    let month = "publication/2021-03";
    for file in [
        "regional.csv",
        "daily.csv",
        "duration.csv",
        "practice_crosstab.csv",
    ] {
        let of = |out: &str| fs::read_to_string(at(out).join(month).join(file)).expect("written");
        assert_eq!(of("out"), of("refused"), "{file}");
    }
    for marker in [WITHHELD_MARKER, IDENTIFIABLE_MARKER, STRANGER_MARKER] {
        assert!(holds(&at("faulty"), marker), "{marker} went in");
        assert!(!holds(&at("refused"), marker), "{marker} came out");
    }
    let ledger = ledger(&at("refused"));
    let mut refused = BTreeMap::<(String, String), i64>::new();
    let mut reasons = BTreeSet::new();
    for (topic, of_topic) in ledger["by_topic"].as_object().expect("an object") {
        for (reason, records) in of_topic["reasons"].as_object().expect("an object") {
            reasons.insert(reason.clone());
            refused.insert((topic.clone(), reason.clone()), count(records));
        }
    }
    for reason in [
        "unknown_practice",
        "identifiable_data",
        "unparseable_date",
        "unknown_status",
        "date_out_of_range",
        "duration_out_of_range",
        "declined",
        "withdrawn",
        "no_agreement",
        "outside_service",
    ] {
        assert!(
            reasons.contains(reason),
            "{reason} is not among {reasons:?}"
        );
    }
    let letters: Vec<DeadLetter> = Records::open(&at("refused").join("dead-letters.avro"))
        .expect("replay writes its dead letters")
        .collect::<Result<_, _>>()
        .expect("dead letters are whole");
    let mut lettered = BTreeMap::<(String, String), i64>::new();
    for letter in &letters {
        *lettered
            .entry((letter.topic.clone(), letter.reason.clone()))
            .or_default() += 1;
        let may_tell = !matches!(
            letter.reason.as_str(),
            "identifiable_data" | "unknown_practice" | "unnamed_field" | "undecodable"
        );
        assert_eq!(letter.content.is_some(), may_tell, "{letter:?}");
        assert!(letter.payload.is_none(), "{letter:?}");
    }
    refused.retain(|(_, reason), _| {
        !["declined", "withdrawn", "no_agreement", "outside_service"].contains(&reason.as_str())
    });
    assert_eq!(lettered, refused);
    // What was refused for another reason is told, but for its free text.
    assert!(holds(&at("faulty"), REFUSED_MARKER));
    assert!(!holds(&at("refused"), REFUSED_MARKER));
}
