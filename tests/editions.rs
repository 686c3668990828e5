//! Releases month after month, with corrections in between that cross months: every cell of every edition is that of a batch
//! run, every edition stays as it was, and what changed is told cell by cell.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use gpad_live::adapters::clock::Clock;
use gpad_live::adapters::embedded::EmbeddedLog;
use gpad_live::adapters::log::Log;
use gpad_live::adapters::schemas::Schemas;
use gpad_live::commands::publish::{KnownAt, Months, Wanted, publish, publish_as_known};
use gpad_live::commands::replay;
use gpad_live::commands::serve::{Shown, listen, serve};
use gpad_live::domain::time::{Month, Timestamp};
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::publication::release::{Release, Releases};
use gpad_live::service::Stop;
use gpad_live::simulate::cells::Cells;
use gpad_live::simulate::error::Error;
use gpad_live::simulate::run::{Options, Plan};
use gpad_live::simulate::sink::{Sink, Topic};
use gpad_live::wire::container::{ContainerWriter, Packing};
use support::feed::{DAY_MILLIS, Feed};
use support::local::{Running, in_memory};

const FIRST: &str = "2020-09";
const LAST: &str = "2021-08";
const SCALE: f64 = 0.0004;
const EMIS: Topic = Topic::Supplier(SupplierTopic::EmisAppointments);
const FILES: [&str; 8] = [
    "regional",
    "daily",
    "duration",
    "practice_crosstab",
    "coverage",
    "summary",
    "category",
    "sds_role_group",
];

fn month(label: &str) -> Month {
    Month::parse(label).unwrap()
}

/// The published cells of Devon and Somerset as one file.
fn two_counties() -> String {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        fs::read_to_string(path.join(name)).unwrap()
    };
    let devon = read("Regional_CSV_Devon.csv");
    let somerset = read("Regional_CSV_Somerset.csv");
    let (_, somerset) = somerset.split_once('\n').unwrap();
    format!("{}\n{somerset}", devon.trim_end())
}

/// Everything that was ever sent, and the newest version of each EMIS slot.
struct World {
    log: Arc<EmbeddedLog>,
    feed: Feed,
    sent: BTreeMap<&'static str, (Topic, Vec<Vec<u8>>)>,
    slots: BTreeMap<(String, String), (i64, Vec<u8>)>,
    corrected: BTreeSet<(String, String)>,
    records: i64,
}

impl World {
    fn send(&mut self, topic: Topic, key: &[u8], datum: &[u8]) {
        self.feed
            .send(topic.name(), std::str::from_utf8(key).unwrap(), datum);
        let (_, sent) = (self.sent.entry(topic.name())).or_insert_with(|| (topic, Vec::new()));
        sent.push(datum.to_vec());
        self.records += i64::from(matches!(topic, Topic::Supplier(_)));
    }

    /// Corrects one attended appointment of a month that was never corrected.
    fn correct(&mut self, of: Month, change: impl Fn(&mut [(String, Value)])) {
        let found = self.slots.iter().find_map(|(slot, (at, datum))| {
            let fields = decoded(datum);
            let of = |date: i32| gpad_live::domain::time::Day(date).month() == of;
            let is_wanted = !self.corrected.contains(slot)
                && matches!(field(&fields, "appointment_date"), Value::Date(date) if of(*date))
                && matches!(field(&fields, "left_time"), Value::Union(1, _))
                && matches!(field(&fields, "booking_guid"), Value::Union(1, _))
                && matches!(field(&fields, "deleted"), Value::Boolean(false));
            is_wanted.then(|| (slot.clone(), *at, fields))
        });
        let (slot, at, mut fields) = found.expect("an attended appointment of the month");
        // Before the service period ends, and within a year of any appointment here.
        *field_mut(&mut fields, "extracted_at") = Value::TimestampMillis(at + 45 * DAY_MILLIS);
        change(&mut fields);
        let writer = GenericDatumWriter::builder(&APPOINTMENT).build().unwrap();
        let datum = writer.write_value_to_vec(Value::Record(fields)).unwrap();
        let key = slot.0.clone();
        self.corrected.insert(slot);
        self.send(EMIS, key.as_bytes(), &datum);
    }

    /// One appointment of the month before did not take place, one is withdrawn, one is moved into the month before that; at last
    /// one of the first month is withdrawn.
    fn correct_before(&mut self, this: Month, first: Month, last: Month) {
        let before = Month(this.0 - 1);
        if before >= first {
            self.correct(before, did_not_attend);
            self.correct(before, withdrawn);
        }
        if before > first {
            self.correct(before, moved_back);
        }
        if this == last {
            self.correct(first, withdrawn);
        }
    }

    /// What a batch run over everything sent so far publishes.
    fn batch(&self, folder: &Path) -> PathBuf {
        let (input, output) = (folder.join("records"), folder.join("figures"));
        fs::create_dir_all(&input).unwrap();
        for (name, (topic, datums)) in &self.sent {
            let path = input.join(format!("{name}.avro"));
            let mut file =
                ContainerWriter::create(&path, topic.schema(), Packing::Null, 0).unwrap();
            for datum in datums {
                file.append(datum).unwrap();
            }
            file.finish().unwrap();
        }
        replay::run(&replay::Arguments {
            input,
            output: output.clone(),
            as_of: Some(Timestamp(1_700_000_000_000)),
            config: None,
        })
        .unwrap();
        output.join("publication")
    }
}

impl Sink for World {
    fn send(&mut self, topic: Topic, key: &[u8], datum: &[u8], at: i64) -> Result<(), Error> {
        World::send(self, topic, key, datum);
        if topic == EMIS {
            let fields = decoded(datum);
            let Value::String(slot) = field(&fields, "slot_guid") else {
                panic!("a slot has its identity")
            };
            let practice = std::str::from_utf8(key).unwrap().to_owned();
            let newest = self.slots.entry((practice, slot.clone())).or_default();
            if at >= newest.0 {
                *newest = (at, datum.to_vec());
            }
        }
        Ok(())
    }
}

/// Compiled once: there are thousands of records.
static APPOINTMENT: LazyLock<Schema> = LazyLock::new(|| Schema::parse_str(EMIS.schema()).unwrap());
static READER: LazyLock<GenericDatumReader<'static>> =
    LazyLock::new(|| GenericDatumReader::builder(&APPOINTMENT).build().unwrap());

fn decoded(datum: &[u8]) -> Vec<(String, Value)> {
    let Value::Record(fields) = READER.read_value(&mut &datum[..]).unwrap() else {
        panic!("an appointment is a record")
    };
    fields
}

fn field<'a>(fields: &'a [(String, Value)], name: &str) -> &'a Value {
    &fields.iter().find(|(found, _)| found == name).unwrap().1
}

fn field_mut<'a>(fields: &'a mut [(String, Value)], name: &str) -> &'a mut Value {
    &mut fields
        .iter_mut()
        .find(|(found, _)| found == name)
        .unwrap()
        .1
}

fn none() -> Value {
    Value::Union(0, Box::new(Value::Null))
}

fn did_not_attend(fields: &mut [(String, Value)]) {
    *field_mut(fields, "did_not_attend") = Value::Boolean(true);
    for time in ["send_in_time", "left_time", "actual_duration_minutes"] {
        *field_mut(fields, time) = none();
    }
}

fn withdrawn(fields: &mut [(String, Value)]) {
    *field_mut(fields, "deleted") = Value::Boolean(true);
}

/// Booked and held on the last day of the month before.
fn moved_back(fields: &mut [(String, Value)]) {
    let Value::Date(date) = *field(fields, "appointment_date") else {
        panic!("an appointment has its date")
    };
    let before = gpad_live::domain::time::Day(date).month().first_day().0 - 1;
    *field_mut(fields, "appointment_date") = Value::Date(before);
    *field_mut(fields, "booked_date") = Value::Union(1, Box::new(Value::Date(before)));
}

/// Lines of a file by their key columns, the counts with their columns' names.
fn lines(path: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let is_value = |name: &str| {
        let name = name.to_lowercase();
        let practices = ["practices", "patients"].iter().any(|it| name.contains(it));
        name == "count_of_appointments" || name == "count" || name == "share" || practices
    };
    let is_name = |name: &str| name.ends_with("_NAME") || name == "STPNM";
    let mut lines = BTreeMap::new();
    for line in reader.records() {
        let line = line.unwrap();
        let (mut key, mut values) = (Vec::new(), BTreeMap::new());
        for (name, text) in header.iter().zip(&line) {
            if is_value(name) {
                values.insert(name.to_owned(), text.to_owned());
            } else if !is_name(name) {
                key.push(format!("{name}={text}"));
            }
        }
        assert!(
            lines.insert(key.join(";"), values).is_none(),
            "one line a key"
        );
    }
    lines
}

type Told = BTreeSet<(String, String, String, String, String, String)>;

/// What differs between two editions, found the slow way.
fn differences(old: &Release, new: &Release) -> Told {
    let mut told = Told::new();
    for month in &old.manifest.months {
        for file in FILES {
            let of =
                |release: &Release| lines(&release.folder.join(month).join(format!("{file}.csv")));
            let (before, after) = (of(old), of(new));
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let (was, is) = (before.get(key), after.get(key));
                let columns = was.or(is).unwrap().keys();
                for column in columns {
                    let text = |line: Option<&BTreeMap<String, String>>| {
                        line.map_or(String::new(), |line| line[column].clone())
                    };
                    let (was, is) = (text(was), text(is));
                    if was != is {
                        told.insert((
                            month.clone(),
                            file.to_owned(),
                            key.clone(),
                            column.clone(),
                            was,
                            is,
                        ));
                    }
                }
            }
        }
    }
    told
}

/// `changes.csv` of a release, and how many cells changed for each reason.
fn told(release: &Release) -> (Told, BTreeMap<String, u64>) {
    let (mut told, mut whys) = (Told::new(), BTreeMap::new());
    let mut reader = csv::Reader::from_path(release.folder.join("changes.csv")).unwrap();
    for row in reader.deserialize() {
        let row: BTreeMap<String, String> = row.unwrap();
        let of = |name: &str| row[name].clone();
        if of("WHY") == "revised" {
            let revisions = |name: &str| row[name].parse::<u64>().unwrap();
            assert!(
                revisions("OLD_REVISIONS") != revisions("NEW_REVISIONS")
                    || of("OLD_DIGEST") != of("NEW_DIGEST"),
                "{row:?}"
            );
        }
        *whys.entry(of("WHY")).or_default() += 1;
        told.insert((
            of("MONTH"),
            of("FILE"),
            of("CELL"),
            of("COLUMN"),
            of("OLD"),
            of("NEW"),
        ));
    }
    (told, whys)
}

/// The month's cells of the regional file, as they were published, made smaller.
fn published(cells: &Cells) -> BTreeMap<String, i64> {
    let scaled = cells.scaled(SCALE);
    let cells = scaled.cells.iter().map(|cell| {
        let place = &scaled.places[cell.place];
        let key = [
            place.icb_ons_code.as_str(),
            cell.kind.status.label(),
            cell.kind.hcp.label(),
            cell.kind.mode.label(),
            cell.kind.wait.label(),
        ];
        (key.join("|"), i64::try_from(cell.count).unwrap())
    });
    cells.collect()
}

fn regional(folder: &Path) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    let mut reader = csv::Reader::from_path(folder.join("regional.csv")).unwrap();
    for row in reader.deserialize() {
        let row: BTreeMap<String, String> = row.unwrap();
        let columns = [
            "STP_ONS",
            "APPT_STATUS",
            "HCP_TYPE",
            "APPT_MODE",
            "TIME_BETWEEN_BOOK_AND_APPT",
        ];
        let key = columns.map(|column| row[column].as_str()).join("|");
        *sums.entry(key).or_default() += row["COUNT_OF_APPOINTMENTS"].parse::<i64>().unwrap();
    }
    sums
}

/// Every file of a folder, by path.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Of so many corrections, of which one withdraws, and one more if `withdraws_another`.
fn what_changed_is_told(
    before: &Release,
    edition: &Release,
    corrected: i64,
    withdraws_another: bool,
) {
    let (told, whys) = told(edition);
    let number = edition.manifest.release;
    assert_eq!(told, differences(before, edition), "{number}");
    for why in ["unexplained", "renamed"] {
        assert_eq!(whys.get(why), None, "{whys:?}");
    }
    let daily: i64 = (told.iter())
        .filter(|(_, file, ..)| file == "daily")
        .map(|(.., was, is)| {
            let count = |text: &str| text.parse::<i64>().unwrap_or(0);
            (count(is) - count(was)).abs()
        })
        .sum();
    // One cell less and one more for each; a withdrawn appointment has no other cell.
    let expected = 2 * corrected - 1 + i64::from(withdraws_another);
    assert_eq!(daily, expected, "{whys:?}");
}

#[test]
fn twelve_months_of_devon_and_somerset_stay_as_they_were_published() {
    // Every file of a release is synced: in memory, where there is such a folder, that takes no time.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    };
    let output = folder.path().join("figures");
    let cells_file = two_counties();
    let log = Arc::new(in_memory());
    let mut world = World {
        feed: Feed::new(&*log, Schemas::new(None)),
        log: log.clone(),
        sent: BTreeMap::new(),
        slots: BTreeMap::new(),
        corrected: BTreeSet::new(),
        records: 0,
    };
    let (first, last) = (month(FIRST), month(LAST));
    let all = [Months {
        from: first,
        to: last,
    }];
    let mut editions: Vec<Release> = Vec::new();
    let mut known_at: Vec<Timestamp> = Vec::new();
    let mut as_they_were: Vec<BTreeMap<PathBuf, Vec<u8>>> = Vec::new();
    let mut answers: Vec<Answers> = Vec::new();
    for number in first.0..=last.0 {
        let this = Month(number);
        let cells = Cells::parse(Path::new("two counties"), cells_file.as_bytes(), this).unwrap();
        let options = Options {
            scale: SCALE,
            ..Options::default()
        };
        let plan = Plan::new(&cells, options).unwrap();
        plan.run(&mut world, 1, &mut |_| ()).unwrap();
        world.correct_before(this, first, last);
        world.feed.flush();
        // Started when the month's reference data is there: it is read to its end first.
        let running = Running::start_with(&log, 5_000);
        running.wait_until_read(world.records);
        running.stop();
        let wanted = Wanted {
            months: &all,
            output: &output,
            parquet: number == last.0,
            now: Timestamp(1_700_000_000_000),
        };
        let edition = publish(&*world.log, &Schemas::new(None), &wanted, &|_| ()).unwrap();
        let months: Vec<String> = (first.0..=number).map(|it| Month(it).label()).collect();
        assert_eq!(edition.manifest.months, months);

        // The month as it was published, and all months so far as a batch run has them.
        assert_eq!(
            regional(&edition.folder.join(this.label())),
            published(&cells),
            "{}",
            this.label()
        );
        let batch = folder.path().join(format!("batch-{number}"));
        let batch = world.batch(&batch);
        for month in &months {
            for file in FILES {
                let name = format!("{month}/{file}.csv");
                let of = |root: &Path| fs::read_to_string(root.join(&name)).unwrap();
                assert_eq!(of(&edition.folder), of(&batch), "{name}");
                assert_eq!(of(&output.join("publication")), of(&batch), "{name}");
            }
        }

        if let Some(before) = editions.last() {
            let corrected = if number == first.0 + 1 { 2 } else { 3 };
            what_changed_is_told(before, &edition, corrected, this == last);
        }
        answers.push(asked(&log, None));
        known_at.push(Clock::Wall.now());
        std::thread::sleep(std::time::Duration::from_millis(5));
        as_they_were.push(contents(&edition.folder));
        editions.push(edition);
    }
    for (edition, files) in editions.iter().zip(&as_they_were) {
        assert_eq!(&contents(&edition.folder), files);
    }
    for (edition, at) in editions.iter().zip(&known_at) {
        it_was_known(edition, &log, &all, folder.path(), *at);
    }
    the_api_tells_what_was_known(&log, &answers, &known_at);
    times_that_cannot_be_answered_for_are_told(&log, &all, folder.path(), known_at[11]);
    let releases = Releases::open(&output, &|_| ()).unwrap();
    assert_eq!(releases.newest().unwrap().manifest, editions[11].manifest);
    assert_eq!(editions[11].manifest.release, 12);
    parquet_is_csv(&editions[11].folder);
    no_release_is_made_beside_an_altered_one(&output, &world, &all);
}

/// The files of an edition are those that are written of the time when it was made.
fn it_was_known(
    edition: &Release,
    log: &EmbeddedLog,
    months: &[Months],
    folder: &Path,
    at: Timestamp,
) {
    let folder = folder.join(format!("known-{}", at.0));
    as_known(log, months, &folder, at, Clock::Wall.now(), 35).unwrap();
    let of = |root: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
        let files = contents(root).into_iter().filter(|(path, _)| {
            let month = path.parent().unwrap().file_name().unwrap();
            month.to_str().unwrap().starts_with("202")
                && path.extension().is_some_and(|it| it == "csv")
        });
        files
            .map(|(path, bytes)| (path.strip_prefix(root).unwrap().to_owned(), bytes))
            .collect()
    };
    let (then, now) = (of(&edition.folder), of(&folder.join("publication")));
    assert_eq!(
        then.keys().collect::<Vec<_>>(),
        now.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in &then {
        assert_eq!(
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&now[path]),
            "{} in edition {}",
            path.display(),
            edition.manifest.release
        );
    }
}

/// What is asked of the API: every kind of answer that can be asked of a time before.
const QUESTIONS: [&str; 10] = [
    "aggregates/activity?level=england&from=2020-09-01&to=2021-08-31",
    "aggregates/activity?level=sub_icb&from=2020-12-01&to=2020-12-31",
    "aggregates/practice_crosstab?level=practice&from=2020-09-01&to=2020-10-31",
    "aggregates/two_week?level=icb&from=2020-09-01&to=2021-08-31",
    "aggregates/quality?level=supplier&from=2020-09-01&to=2021-08-31",
    "quality?level=icb&from=2020-09-01&to=2021-08-31",
    "seasons?level=england",
    "variation?measure=dna_share&parent=E92000001&month=2020-09",
    "totals/activity?level=england&from=2020-09-01&to=2021-08-31&per=month&by=status",
    "totals/practice_crosstab?level=icb&from=2020-09-01&to=2020-10-31&per=month&by=mode",
];

type Answers = Vec<serde_json::Value>;

/// The rows of the API's answers as they stand, or stood. How final a row was is not kept of those that have changed.
fn asked(log: &Arc<EmbeddedLog>, at: Option<Timestamp>) -> Answers {
    let clock = Clock::Wall;
    let shown = Shown {
        plan: support::local::plan().aggregates.clone(),
        clock,
        health: Arc::default(),
        stop: Stop::default(),
        banner: None,
        releases: None,
        series: 100_000,
        published: Arc::default(),
        schemas: Arc::new(Schemas::new(None)),
        history_days: 35,
    };
    let listener = listen(Some("127.0.0.1:0".parse().unwrap())).unwrap();
    let log: Arc<dyn Log> = log.clone();
    let serving = serve(&log, listener, shown).unwrap();
    let root = format!("http://{}/api/v1", serving.address().unwrap());
    support::wait_for("the figures", std::time::Duration::from_mins(1), || {
        get(&root, "ledger").1["is_complete"] == true
    });
    if let Some(at) = at {
        refusals(&root, at);
    }
    let answers = QUESTIONS.map(|question| {
        let known = at.map_or_else(String::new, |at| {
            format!("&as_known_at={}", at.to_rfc3339())
        });
        let (status, mut answer) = get(&root, &format!("{question}{known}"));
        assert_eq!(
            (status, &answer["next"]),
            (200, &serde_json::Value::Null),
            "{question}: {answer}"
        );
        answer["rows"].take()
    });
    answers.into()
}

fn get(root: &str, path: &str) -> (u16, serde_json::Value) {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build(),
    );
    let mut answer = agent.get(format!("{root}/{path}")).call().unwrap();
    (
        answer.status().as_u16(),
        answer
            .body_mut()
            .with_config()
            .limit(1 << 28)
            .read_json()
            .unwrap(),
    )
}

fn refusals(root: &str, at: Timestamp) {
    let day = |days: i64| Timestamp(at.0 + days * DAY_MILLIS).to_rfc3339();
    let cases = [
        (
            format!("summary?as_known_at={}", day(1)),
            "what will be known is not known",
        ),
        (
            format!("summary?as_known_at={}", day(-36)),
            "the history is kept from ",
        ),
        (
            format!("aggregates/pressure?as_known_at={}", day(0)),
            "`pressure`",
        ),
    ];
    for (path, expected) in cases {
        let (status, problem) = get(root, &path);
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            status == 400 && detail.contains(expected),
            "{path}: {status} {detail}"
        );
        let is_early = expected.contains("is kept from");
        assert_eq!(problem["earliest"].is_string(), is_early, "{path}");
    }
}

/// Figures, revisions, scores and limits are those that the API gave then.
fn the_api_tells_what_was_known(
    log: &Arc<EmbeddedLog>,
    answers: &[Answers],
    known_at: &[Timestamp],
) {
    let (mut changed, mut unchanged) = (0, 0);
    for at in [0, 5, 11] {
        let then = asked(log, Some(known_at[at]));
        for ((question, expected), found) in QUESTIONS.iter().zip(&answers[at]).zip(then) {
            let rows = |of: &serde_json::Value| of.as_array().unwrap().clone();
            let (expected, found) = (rows(expected), rows(&found));
            assert_eq!(found.len(), expected.len(), "{question} at edition {at}");
            for (mut expected, found) in expected.into_iter().zip(found) {
                if found["published"].is_object() && found["published"]["finality"].is_null() {
                    changed += 1;
                    for unknown in ["as_of", "finality"] {
                        expected["published"][unknown] = serde_json::Value::Null;
                    }
                } else {
                    unchanged += 1;
                }
                assert_eq!(found, expected, "{question} at edition {at}");
            }
        }
    }
    assert!(changed > 100 && unchanged > 1_000, "{changed} {unchanged}");
    let differs = |question: usize| answers[0][question] != answers[11][question];
    assert!((0..QUESTIONS.len()).all(|question| question == 1 || differs(question)));
}

fn as_known(
    log: &EmbeddedLog,
    months: &[Months],
    output: &Path,
    at: Timestamp,
    now: Timestamp,
    days: u16,
) -> anyhow::Result<()> {
    let wanted = Wanted {
        months,
        output,
        parquet: false,
        now,
    };
    let known = KnownAt { at, now, days };
    publish_as_known(log, &Schemas::new(None), &wanted, known, &|_| ())
}

fn times_that_cannot_be_answered_for_are_told(
    log: &EmbeddedLog,
    months: &[Months],
    folder: &Path,
    at: Timestamp,
) {
    let later = |days: i64| Timestamp(at.0 + days * DAY_MILLIS);
    let cases = [
        (later(1), at, 35, "what will be known is not known"),
        (at, later(36), 35, "the history is kept from "),
        (at, later(1), 0, "no history is kept"),
        (later(-1), at, 35, "months there are: none"),
    ];
    for (asked, now, days, expected) in cases {
        let output = folder.join("nothing");
        let error = as_known(log, months, &output, asked, now, days).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(expected), "{error}");
        assert!(!output.exists(), "{error}");
    }
    let error = as_known(log, months, &folder.join("figures"), at, at, 35).unwrap_err();
    assert!(
        error.to_string().contains("releases are made there"),
        "{error}"
    );
}

/// Each Parquet file has the columns and the cells of the CSV file beside it.
fn parquet_is_csv(folder: &Path) {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    let mut files = 0;
    for path in contents(folder).into_keys() {
        if path.extension().is_none_or(|it| it != "parquet") {
            continue;
        }
        files += 1;
        let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
        let mut csv = csv::Reader::from_path(path.with_extension("csv")).unwrap();
        let header: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
        let mut lines = csv.records();
        for row in reader.get_row_iter(None).unwrap() {
            let (row, line) = (row.unwrap(), lines.next().unwrap().unwrap());
            let columns: Vec<&String> = row.get_column_iter().map(|(name, _)| name).collect();
            assert_eq!(columns, header.iter().collect::<Vec<_>>());
            for ((name, field), text) in row.get_column_iter().zip(&line) {
                let is_count = ["COUNT_OF_APPOINTMENTS", "count"].contains(&name.as_str())
                    || name.contains("ractices")
                    || name.contains("atients");
                let read = if let Field::Long(count) = field {
                    assert!(is_count, "{name}");
                    count.to_string()
                } else if let Field::Double(share) = field {
                    assert_eq!(name, "share");
                    share.to_string()
                } else if let Field::Str(text) = field {
                    assert!(!is_count && name != "share", "{name}");
                    text.clone()
                } else {
                    assert!(name == "share" || name == "count", "{name}: {field:?}");
                    String::new()
                };
                assert_eq!(read, text, "{}: {name}", path.display());
            }
        }
        assert!(lines.next().is_none(), "{}", path.display());
    }
    assert_eq!(files, 12 * FILES.len());
}

fn no_release_is_made_beside_an_altered_one(output: &Path, world: &World, months: &[Months]) {
    let release = output.join("releases/release-0003");
    let path = release.join("2020-10/daily.csv");
    let whole = fs::read(&path).unwrap();
    let publish = || {
        let wanted = Wanted {
            months,
            output,
            parquet: false,
            now: Timestamp(1_700_000_000_000),
        };
        publish(&*world.log, &Schemas::new(None), &wanted, &|_| ())
    };
    let refused = |what: &str| {
        let error = publish().expect_err(what).to_string();
        assert!(
            error.contains("releases are never changed"),
            "{what}: {error}"
        );
        error
    };
    // Release files cannot be written to; who insists must say so.
    let write = |path: &Path, bytes: &[u8]| {
        let _ = fs::remove_file(path);
        fs::write(path, bytes).unwrap();
    };
    assert!(fs::metadata(&path).unwrap().permissions().readonly());
    let mut other = whole.clone();
    let last = other.len() - 2;
    other[last] = if other[last] == b'1' { b'2' } else { b'1' };
    write(&path, &other);
    assert!(refused("a cell").contains("release-0003/2020-10/daily.csv"));
    fs::remove_file(&path).unwrap();
    assert!(refused("a file is missing").contains("it is missing"));
    write(&path, &whole);
    write(&release.join("2020-10/more.csv"), b"x\n");
    assert!(refused("a file more").contains("more.csv: it does not belong"));
    fs::remove_file(release.join("2020-10/more.csv")).unwrap();
    let manifest = fs::read_to_string(release.join("release.json")).unwrap();
    write(
        &release.join("release.json"),
        manifest.replace("2020-10", "2020-1o").as_bytes(),
    );
    refused("a manifest");
    write(&release.join("release.json"), manifest.as_bytes());
    fs::rename(&release, output.join("releases/.away")).unwrap();
    assert!(refused("a release is missing").contains("release-0003: it is missing"));
    fs::rename(output.join("releases/.away"), &release).unwrap();
    assert_eq!(publish().unwrap().manifest.release, 13);
}
