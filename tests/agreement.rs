//! The same figures from five places: the page, the API, `/metrics`, the topics, and the files of `publish`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gpad_live::adapters::clock::Clock;
use gpad_live::adapters::embedded::EmbeddedLog;
use gpad_live::adapters::log::Log;
use gpad_live::adapters::metrics::ORIGINS;
use gpad_live::adapters::schemas::Schemas;
use gpad_live::commands::publish::{Months, Wanted, publish};
use gpad_live::commands::serve::{Serving, Shown, listen, serve};
use gpad_live::domain::time::{Month, Timestamp};
use gpad_live::publication::LAYOUTS;
use gpad_live::service::{Origin, Stop};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe;
use gpad_live::wire::output::{AggregateKey, AggregateValue};
use serde_json::Value;
use support::feed::{Feed, PRACTICES};
use support::input::{Input, NOW};
use support::local::{Running, in_memory, plan, records};
use support::wait_for;

const TODAY: &str = "2022-02-15";
const DAY: &str = "from=2022-02-15&to=2022-02-15";
const MONTH: &str = "from=2022-02-01&to=2022-02-15";
const LEVELS: [&str; 3] = ["england", "region", "icb"];

/// By level and code.
type Places = BTreeMap<(String, String), i64>;
/// By published label; no zeros.
type Labels = BTreeMap<String, i64>;

/// What one of the five says; empty where it does not tell that at all.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// Appointments of today.
    day: Places,
    /// Appointments of the month so far.
    month: Places,
    /// England's of today.
    status: Labels,
    /// England's slots and minutes of today.
    capacity: Labels,
}

fn add<K: Ord>(into: &mut BTreeMap<K, i64>, key: K, count: i64) {
    *into.entry(key).or_default() += count;
}

fn place(level: &str, code: &str) -> (String, String) {
    (level.to_owned(), code.to_owned())
}

fn get(root: &str, path: &str) -> String {
    let mut answer = ureq::get(format!("{root}{path}")).call().unwrap();
    answer.body_mut().read_to_string().unwrap()
}

fn json(root: &str, path: &str) -> Value {
    serde_json::from_str(&get(root, path)).unwrap()
}

fn rows(root: &str, path: &str) -> Vec<Value> {
    json(root, path)["rows"].as_array().unwrap().clone()
}

fn appointments(row: &Value) -> i64 {
    row["figures"]["appointments"].as_i64().unwrap()
}

fn of_api(root: &str) -> Said {
    let mut said = Said::default();
    for level in LEVELS {
        for (span, into) in [(DAY, &mut said.day), (MONTH, &mut said.month)] {
            for row in rows(
                root,
                &format!("/api/v1/totals/activity?level={level}&{span}"),
            ) {
                add(
                    into,
                    place(level, row["code"].as_str().unwrap()),
                    appointments(&row),
                );
            }
        }
    }
    let path = format!("/api/v1/totals/activity?level=england&by=status&{DAY}");
    for row in rows(root, &path) {
        let label = row["dimensions"]["status"].as_str().unwrap().to_owned();
        add(&mut said.status, label, appointments(&row));
    }
    let path = format!("/api/v1/totals/capacity?level=england&{DAY}");
    for (measure, count) in rows(root, &path)[0]["figures"].as_object().unwrap() {
        if let Some(count) = count.as_i64() {
            add(&mut said.capacity, measure.clone(), count);
        }
    }
    said
}

fn of_topics(log: &dyn Log) -> Said {
    let mut said = Said::default();
    for aggregate in ["activity", "capacity"] {
        for record in records(log, &format!("gpad.aggregates.{aggregate}")) {
            let key = AggregateKey::from_bytes(unframe(Some(&record.key)).unwrap().1).unwrap();
            if record.value.is_none() || !LEVELS.contains(&&*key.level) {
                continue;
            }
            let first = &*key.window_start;
            let figures = record.read::<AggregateValue>().figures;
            if aggregate == "capacity" {
                if first == TODAY && key.level == "england" {
                    for count in figures.counts {
                        add(&mut said.capacity, count.measure, count.value);
                    }
                }
                continue;
            }
            let count = figures.counts[0].value;
            assert_eq!(figures.counts[0].measure, "appointments");
            if first <= TODAY {
                add(&mut said.month, place(&key.level, &key.code), count);
            }
            if first == TODAY {
                add(&mut said.day, place(&key.level, &key.code), count);
                if key.level == "england" {
                    let status = key.dimensions.iter().find(|it| it.name == "status");
                    add(&mut said.status, status.unwrap().value.clone(), count);
                }
            }
        }
    }
    said
}

fn of_metrics(root: &str) -> Said {
    let mut said = Said::default();
    for line in get(root, "/metrics").lines() {
        let Some(labels) = line.strip_prefix("gpad_aggregate{") else {
            continue;
        };
        let (labels, value) = labels.rsplit_once("} ").unwrap();
        let label = |name: &str| {
            let (_, after) = labels.split_once(&format!("{name}=\"")).unwrap();
            after.split('"').next().unwrap()
        };
        let count = || value.parse::<f64>().unwrap() as i64;
        let is_ours = LEVELS.contains(&label("level")) && label("window") == "day";
        match label("aggregate") {
            "activity" if is_ours => {
                add(&mut said.day, place(label("level"), label("code")), count());
            }
            // Shares are no counts, and are the API's from the same sums.
            "capacity"
                if label("level") == "england" && !label("measure").ends_with("utilisation") =>
            {
                add(&mut said.capacity, label("measure").to_owned(), count());
            }
            _ => {}
        }
    }
    said
}

/// The files are by sub-ICB: `above` has the codes of what those lie in.
fn of_files(folder: &Path, above: &BTreeMap<String, [String; 2]>) -> Said {
    let mut said = Said::default();
    let file = folder.join("publication/2022-02/daily.csv");
    for row in csv::Reader::from_path(file).unwrap().into_deserialize() {
        let row: BTreeMap<String, String> = row.unwrap();
        let count: i64 = row["COUNT_OF_APPOINTMENTS"].parse().unwrap();
        let [icb, region] = &above[&row["SUB_ICB_LOCATION_CODE"]];
        let places = [
            place("england", "E92000001"),
            place("region", region),
            place("icb", icb),
        ];
        let is_today = row["Appointment_Date"] == "15FEB2022";
        for place in places {
            if is_today {
                add(&mut said.day, place.clone(), count);
            }
            add(&mut said.month, place, count);
        }
        if is_today {
            add(&mut said.status, row["APPT_STATUS"].clone(), count);
        }
    }
    said
}

/// The rows of the first table behind a text: their classes, and the text of their cells.
fn table(page: &str, behind: &str) -> Vec<(String, Vec<String>)> {
    let (_, part) = page.split_once(behind).unwrap();
    let rows = part.split("</table>").next().unwrap().split("<tr").skip(1);
    let read = rows.map(|row| {
        let (head, row) = row.split_once('>').unwrap();
        let class = head.split('"').nth(1).unwrap_or_default().to_owned();
        (class, cells(row))
    });
    read.collect()
}

fn cells(row: &str) -> Vec<String> {
    let cells = row.split("<td").flat_map(|part| part.split("<th"));
    let text = |cell: &str| {
        let (_, inside) = cell.split_once('>')?;
        Some(inside.split("</t").next()?.to_owned())
    };
    cells.skip(1).filter_map(text).collect()
}

fn number(cell: &str) -> i64 {
    cell.replace(',', "")
        .parse()
        .unwrap_or_else(|_| panic!("{cell} is no count"))
}

/// Places stand in the order of the summary, by name.
fn of_page(root: &str) -> Said {
    let mut said = Said::default();
    let page = get(root, "/");
    assert!(
        page.contains("England: Today, Tuesday 15 February 2022"),
        "{page}"
    );
    let summary = json(root, "/api/v1/summary");
    let mut codes = vec![place("england", "E92000001")];
    for listed in summary["places"].as_array().unwrap() {
        codes.push(place(
            listed["level"].as_str().unwrap(),
            listed["code"].as_str().unwrap(),
        ));
    }
    let rows = table(&page, "<table class=\"places\">");
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|(class, _)| LEVELS.contains(&&**class))
        .collect();
    assert_eq!(rows.len(), codes.len());
    for ((class, cells), code) in rows.into_iter().zip(codes) {
        assert_eq!(class, code.0);
        add(&mut said.day, code.clone(), number(&cells[1]));
        add(&mut said.month, code, number(&cells[2]));
    }
    for (_, cells) in table(&page, "<h3>Status</h3>").into_iter().skip(1) {
        let count = number(&cells[1]);
        if count > 0 {
            add(&mut said.status, cells[0].clone(), count);
        }
    }
    for (_, cells) in table(&page, "<h3>Capacity</h3>").into_iter().skip(2) {
        let kind = match &*cells[0] {
            "Did not attend" => "dna".to_owned(),
            other => other.to_lowercase(),
        };
        for (unit, cell) in ["slots", "minutes"].into_iter().zip(&cells[1..]) {
            add(&mut said.capacity, format!("{unit}_{kind}"), number(cell));
        }
    }
    said
}

/// A service at work on a log, and what shows it.
struct Site {
    running: Running,
    serving: Serving,
    root: String,
}

impl Site {
    fn start(log: &Arc<EmbeddedLog>, clock: Clock) -> Self {
        let serving = shown(log, clock);
        let root = format!("http://{}", serving.address().unwrap());
        let observer = serving.observer.clone();
        let running = Running::start_observed(log, 1_000, clock, observer);
        Self {
            running,
            serving,
            root,
        }
    }

    /// Until so many records are accounted for, and what is shown has all transactions.
    fn wait_until_read(&self, log: &EmbeddedLog, records: i64) {
        self.running.wait_until_read(records);
        wait_for("the figures", Duration::from_mins(1), || {
            let ledger = json(&self.root, "/api/v1/ledger");
            let manifests = support::local::manifests(log).len();
            ledger["is_complete"] == true && ledger["transactions"] == manifests
        });
    }

    fn stop(self) {
        drop(self.serving);
        self.running.stop();
    }
}

fn shown(log: &Arc<EmbeddedLog>, clock: Clock) -> Serving {
    let shown = Shown {
        plan: plan().aggregates.clone(),
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
    serve(&log, listener, shown).unwrap()
}

/// Catches a figure that is added up, read, rounded or written in another way in one of the five.
#[test]
fn page_api_metrics_topics_and_files_have_the_same_figures() {
    let clock = Clock::Fixed(Timestamp::parse(NOW).unwrap());
    let log = Arc::new(in_memory());
    let input = Input::draw(12_000, 7);
    input.send_often(&*log, &Schemas::new(None), 1);
    let site = Site::start(&log, clock);
    site.wait_until_read(&log, i64::try_from(input.len()).unwrap());
    let root = site.root.clone();

    let topics = of_topics(&*log);
    // Rows come after the ledger's line about them.
    wait_for("the rows", Duration::from_secs(20), || {
        of_api(&root) == topics
    });
    assert!(topics.day.len() > 8, "{topics:?}");
    let total = topics.month[&place("england", "E92000001")];
    assert!(total > 1_000 && topics.status.len() == 3, "{topics:?}");

    // A page is made at most once in 900 ms.
    wait_for("the page", Duration::from_secs(5), || {
        of_page(&root).day == topics.day
    });
    let page = of_page(&root);
    assert_eq!((&page.month, &page.status), (&topics.month, &topics.status));
    for (kind, count) in &page.capacity {
        assert_eq!(topics.capacity[kind], *count, "{kind}");
    }
    assert_eq!(page.capacity.len(), 10, "{:?}", page.capacity);

    let metrics = of_metrics(&root);
    assert_eq!(
        (&metrics.day, &metrics.capacity),
        (&topics.day, &topics.capacity)
    );

    let folder = tempfile::tempdir().unwrap();
    let month = Month::parse("2022-02").unwrap();
    let wanted = Wanted {
        months: &[Months {
            from: month,
            to: month,
        }],
        output: folder.path(),
        parquet: true,
        now: Timestamp::parse(NOW).unwrap(),
    };
    publish(&*log, &Schemas::new(None), &wanted, &|_| ()).unwrap();
    let above = rows(&root, "/api/v1/places?level=sub_icb")
        .into_iter()
        .map(|row| {
            let code = |name: &str| row[name].as_str().unwrap().to_owned();
            (code("code"), [code("icb_code"), code("region_code")])
        });
    let files = of_files(folder.path(), &above.collect());
    assert_eq!(
        (&files.day, &files.month, &files.status),
        (&topics.day, &topics.month, &topics.status)
    );
    offered_as_published(&root, &folder.path().join("publication/2022-02"));
    site.stop();
}

/// What is downloaded from the service is byte for byte what `publish` writes.
fn offered_as_published(root: &str, published: &Path) {
    let mut files = 0;
    for entry in std::fs::read_dir(published).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut answer = ureq::get(format!("{root}/publication/2022-02/{name}"))
            .call()
            .unwrap();
        let offered = answer.body_mut().read_to_vec().unwrap();
        assert!(offered == std::fs::read(&path).unwrap(), "{name}");
        files += 1;
    }
    assert_eq!(files, 2 * LAYOUTS.len());
    for (path, why) in [
        (
            "2022-02/weekly.csv",
            "`weekly.csv` is none of regional.csv, ",
        ),
        ("2022-2/daily.csv", "`2022-2` is no month such as 2022-02"),
        ("2019-02/daily.csv", "no published appointment of 2019-02"),
    ] {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent
            .get(format!("{root}/publication/{path}"))
            .call()
            .unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        let told = answer.body_mut().read_to_string().unwrap();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn metrics_have_a_zero_for_every_origin_of_state() {
    assert_eq!(Origin::ALL.map(Origin::label), ORIGINS);
}

/// Catches a vaccination that is in a figure, or that is left out of all of them without being counted.
#[test]
fn covid_vaccinations_are_counted_where_people_see_it_and_in_no_figure() {
    let clock = Clock::Fixed(Timestamp::parse(NOW).unwrap());
    let log = Arc::new(in_memory());
    let mut feed = Feed::new(&*log, Schemas::new(None));
    feed.reference();
    let vaccinations = ["COVID-19 Vaccination", "Covid jab clinic", "covid imms"];
    for (at, slot_type) in vaccinations.into_iter().enumerate() {
        feed.appointment_of(slot_type, PRACTICES[at], "vaccination", (1, 1), true);
    }
    // Sent again, it would not have been accepted; what only sounds like one is in the figures.
    feed.appointment_of(vaccinations[0], PRACTICES[0], "vaccination", (1, 1), true);
    feed.appointment_of("Covid clinic", PRACTICES[3], "clinic", (1, 1), true);
    feed.appointment(PRACTICES[4], "plain", 1, 1, true);
    feed.flush();
    let site = Site::start(&log, clock);
    site.wait_until_read(&log, 6);
    let counted = || {
        let metrics = get(&site.root, "/metrics");
        let lines = metrics.lines().filter_map(|line| {
            let line = line.strip_prefix("gpad_covid_vaccination_records_total{supplier=\"")?;
            let (supplier, count) = line.split_once("\"} ")?;
            Some((supplier.to_owned(), count.to_owned()))
        });
        lines.collect::<BTreeMap<String, String>>()
    };
    let expected = [
        ("EMIS", "3"),
        ("INPS", "0"),
        ("MICROTEST", "0"),
        ("TPP", "0"),
    ];
    let expected = expected.map(|(supplier, count)| (supplier.to_owned(), count.to_owned()));
    assert_eq!(counted(), BTreeMap::from(expected));
    let dispositions = &json(&site.root, "/api/v1/ledger")["by_topic"]["emis.appointments"];
    assert_eq!(
        dispositions["dispositions"]["duplicate"], 1,
        "{dispositions}"
    );
    let csv = get(&site.root, "/api/v1/ledger?format=csv");
    assert!(csv.contains("\nemis.appointments,duplicate,,1\n"), "{csv}");
    let csv = get(&site.root, "/api/v1/ledger?format=csv&of=written");
    assert!(csv.contains("\ngpad.aggregates.activity,"), "{csv}");
    let path = "/api/v1/totals/activity?level=england&from=2022-02-01&to=2022-02-28";
    wait_for("the two others", Duration::from_secs(20), || {
        rows(&site.root, path).iter().map(appointments).sum::<i64>() == 2
    });
    assert_eq!(of_topics(&*log).month[&place("england", "E92000001")], 2);
    site.stop();
}
