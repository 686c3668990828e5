//! A log with rows of two counties’ practices, and a server that shows it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::super::*;
use crate::adapters::effects;
use crate::adapters::embedded::{EmbeddedLog, Topic};
use crate::adapters::log::{Log, NewRecord};
use crate::adapters::schemas::Schemas;
use crate::domain::aggregate::{Dimension, Finality, Measure, Published, Row, Span};
use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::{Day, Timestamp};
use crate::wire::datum::Datum;
use crate::wire::framing::frame;
use crate::wire::reference::Practice;

/// Saturday, 5 March 2022, 10:00.
pub const NOW: Timestamp = Timestamp(1_646_474_400_000);

pub fn day(text: &str) -> Day {
    Day::from_date(text.parse().expect("a day"))
}

/// A practice's February: appointments, DNA, unmapped.
#[derive(Debug, Clone)]
pub struct Surgery {
    pub code: String,
    pub pcn: &'static str,
    pub sub_icb: &'static str,
    pub icb: (&'static str, &'static str),
    pub patients: Option<i32>,
    pub appointments: i64,
    pub dna: i64,
    pub unmapped: i64,
}

/// Dorset with 30 practices, one of them alone in its PCN; Devon with five.
pub fn surgeries() -> Vec<Surgery> {
    let mut all: Vec<Surgery> = (0..30)
        .map(|at| Surgery {
            code: format!("J810{at:02}"),
            pcn: if at == 0 {
                "U00001"
            } else {
                ["U00002", "U00003"][at % 2]
            },
            sub_icb: "11J",
            icb: ("QVV", "E54000041"),
            patients: Some(8_000 + 100 * at as i32),
            appointments: 3_500 + 97 * at as i64,
            dna: 90 + 13 * (at as i64 * 7 % 11),
            unmapped: 0,
        })
        .collect();
    // A small one, one without a list, one that hardly sends, one that does too well.
    (all[3].appointments, all[3].dna) = (412, 3);
    all[4].patients = None;
    (all[5].appointments, all[5].dna) = (61, 0);
    all[6].dna = 1_100;
    all[7].unmapped = 33;
    all.extend((0..5).map(|at| Surgery {
        code: format!("L830{at:02}"),
        pcn: "U00009",
        sub_icb: "15N",
        icb: ("QJK", "E54000037"),
        patients: Some(6_000),
        appointments: 3_000,
        dna: 150 + at,
        unmapped: 0,
    }));
    all
}

/// The crosstab's cell that all activity lies in.
const CROSS: [(Dimension, &str); 4] = [
    (Dimension::Status, "Attended"),
    (Dimension::HcpType, "GP"),
    (Dimension::Mode, "Telephone"),
    (Dimension::WaitingBand, "Same Day"),
];

/// A log with the rows that the engine would have written of them.
pub struct World {
    log: Arc<EmbeddedLog>,
    plan: Arc<crate::engine::plan::AggregatePlan>,
}

impl World {
    pub fn of(surgeries: &[Surgery]) -> Self {
        let plan = Arc::new(crate::config::aggregates::plan(None).expect("the defaults"));
        let mut names: Vec<String> = (plan.aggregates.iter())
            .map(|aggregate| effects::aggregate_topic(&aggregate.name))
            .collect();
        let others = ["gpad.ledger", "gpad.history", "ods.practices"];
        names.extend(others.map(str::to_owned));
        let topics: Vec<Topic<'_>> = (names.iter())
            .map(|name| Topic {
                name,
                partitions: 1,
                is_compacted: !others[..2].contains(&name.as_str()),
            })
            .collect();
        let log = Arc::new(EmbeddedLog::in_memory(&topics).expect("memory"));
        let world = Self { log, plan };
        for surgery in surgeries {
            world.practice(surgery);
        }
        world.month(surgeries);
        world.days(surgeries);
        world
    }

    fn append(&self, topic: &str, key: &[u8], datum: &[u8]) {
        let mut value = Vec::new();
        frame(1, datum, &mut value);
        let mut appender = self.log.appender().expect("an appender");
        let record = NewRecord {
            topic,
            partition: Some(0),
            key: Some(key),
            value: Some(&value),
        };
        appender.append(&record).expect("room");
        appender.flush().expect("room");
    }

    fn practice(&self, surgery: &Surgery) {
        let some = |text: &str| Some(text.to_owned());
        let row = Practice {
            practice_ods_code: surgery.code.clone(),
            name: format!("SURGERY {}", surgery.code),
            suppliers: Vec::new(),
            pcn_code: some(surgery.pcn),
            // What a spreadsheet would take for a formula.
            pcn_name: some("=A PCN"),
            sub_icb_code: some(surgery.sub_icb),
            sub_icb_ons_code: None,
            sub_icb_name: some("A sub-ICB"),
            icb_code: some(surgery.icb.0),
            icb_ons_code: some(surgery.icb.1),
            icb_name: some("An ICB"),
            region_code: some("Y58"),
            region_ons_code: None,
            region_name: some("South West"),
            registered_patients: surgery.patients,
            open_date: None,
            close_date: None,
            effective_from: day("2020-01-01").0,
            recorded_at: 0,
        };
        self.append("ods.practices", surgery.code.as_bytes(), &row.to_bytes());
    }

    /// A row with the measures that are named; the others are 0.
    fn row(
        &self,
        aggregate: &str,
        (level, code): (Level, &str),
        first: Day,
        dimensions: &[(Dimension, &'static str)],
        counts: &[(Measure, i64)],
    ) {
        let (_, declared) = self.plan.find(aggregate).expect("declared");
        let printed: &[&str] = match level {
            Level::Practice => &["pcn_code", "sub_icb_code"],
            Level::SubIcb => &["sub_icb_ons_code", "icb_ons_code", "region_ons_code"],
            Level::Pcn | Level::Icb | Level::Region | Level::England | Level::Supplier => &[],
        };
        let printed = printed.iter().map(|name| (*name, "".into()));
        let own = dimensions
            .iter()
            .map(|(name, value)| (name.label(), (*value).into()));
        let of = |measure: &Measure| {
            let count = counts.iter().find(|(named, _)| named == measure);
            (measure.label(), count.map_or(0, |(_, count)| *count))
        };
        let row = Row {
            aggregate: declared.name.clone(),
            level,
            code: code.to_owned(),
            window: Span::Days(first, declared.window.end(first)),
            dimensions: printed.chain(own).collect(),
            figures: Some(crate::domain::aggregate::Figures {
                counts: declared.measures.iter().map(of).collect(),
                ratios: Vec::new(),
            }),
            stood: None,
            published: Published {
                as_of: NOW,
                revision: 1,
                finality: Finality::Final,
                by_idleness: false,
            },
        };
        let (mut datum, mut key, mut value) = (Vec::new(), Vec::new(), Vec::new());
        effects::write_key(&row, &mut datum);
        frame(1, &datum, &mut key);
        assert!(effects::write_value(&row, None, &mut value), "figures");
        self.append(&effects::aggregate_topic(aggregate), &key, &value);
    }

    fn month(&self, surgeries: &[Surgery]) {
        let first = day("2022-02-01");
        for surgery in surgeries {
            let attended = surgery.appointments - surgery.dna;
            let cells = [
                ("DNA", "More than 28 Days", surgery.dna, surgery.unmapped, 0),
                ("Attended", "Same Day", attended / 2, 0, attended / 2),
                ("Attended", "15  to 21 Days", attended - attended / 2, 0, 0),
            ];
            for (status, wait, count, unmapped, within) in cells {
                if count > 0 {
                    let counts = [
                        (Measure::Appointments, count),
                        (Measure::Unmapped, unmapped),
                        (Measure::TwoWeekNumerator, within),
                        (Measure::TwoWeekDenominator, count),
                    ];
                    let dimensions = [(Dimension::Status, status), (Dimension::WaitingBand, wait)];
                    let place = (Level::Practice, surgery.code.as_str());
                    self.row("practice_month", place, first, &dimensions, &counts);
                }
            }
        }
    }

    /// All of February on its first working weekday, and a tenth on the last; quality by supplier.
    fn days(&self, surgeries: &[Surgery]) {
        let mut suppliers: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
        for (at, surgery) in surgeries.iter().enumerate() {
            let supplier = if at % 3 == 0 { "INPS" } else { "EMIS" };
            let counts = [
                (Measure::Appointments, surgery.appointments),
                (Measure::Unmapped, surgery.unmapped),
                (
                    Measure::UnknownMode,
                    if at % 3 == 0 { surgery.appointments } else { 0 },
                ),
            ];
            let dimensions = [(Dimension::Supplier, supplier)];
            let place = (Level::Practice, surgery.code.as_str());
            self.row("quality", place, day("2022-02-01"), &dimensions, &counts);
            let sums = suppliers.entry(supplier).or_default();
            sums[0] += surgery.appointments;
            sums[1] += surgery.unmapped;
            let dimensions = [CROSS[0], CROSS[1]];
            let count = [(
                Measure::Appointments,
                if at == 0 { 3 } else { surgery.appointments },
            )];
            self.row(
                "practice_day",
                place,
                day("2022-02-01"),
                &dimensions,
                &count,
            );
        }
        for (supplier, [appointments, unmapped]) in suppliers {
            let counts = [
                (Measure::Appointments, appointments),
                (Measure::Unmapped, unmapped),
                (
                    Measure::UnknownMode,
                    if supplier == "INPS" { appointments } else { 0 },
                ),
            ];
            let dimensions = [(Dimension::Supplier, supplier)];
            let place = (Level::Supplier, supplier);
            self.row("quality", place, day("2022-02-01"), &dimensions, &counts);
        }
        for (code, total) in [("QVV", 379_052_i64), ("E54000037", 5_000)] {
            for (on, count) in [
                ("2022-02-01", total),
                ("2022-02-28", total / 10),
                ("2022-03-01", 800),
            ] {
                let count = [(Measure::Appointments, count)];
                self.row("activity", (Level::Icb, code), day(on), &CROSS, &count);
            }
        }
        self.england(25_000_000);
    }

    /// England's first day of February, or what it is now.
    pub fn england(&self, appointments: i64) {
        let count = [(Measure::Appointments, appointments)];
        let place = (Level::England, ENGLAND);
        self.row("activity", place, day("2022-02-01"), &CROSS, &count);
    }

    /// Serves the log until everything asked for is answered.
    pub fn serve(&self, asks: impl FnOnce(&Served)) {
        self.serve_with(None, asks);
    }

    /// The same, with releases that lie in a folder.
    pub fn serve_with(&self, releases: Option<PathBuf>, asks: impl FnOnce(&Served)) {
        let figures = Arc::new(Figures::new(Arc::clone(&self.plan)));
        let clock = Clock::Fixed(NOW);
        let metrics = Metrics::new(Arc::clone(&figures), clock, 10_000).expect("series");
        let text = include_str!("../../../../deploy/reference/published_totals.csv");
        let published = PublishedTotals::parse(text).expect("totals").into();
        let app = App::new(
            Arc::clone(&figures),
            Arc::new(metrics),
            clock,
            Box::new(Vec::new),
            None,
            published,
        );
        let begun = vec![("0".to_owned(), Some(Timestamp(i64::MIN)))];
        let begun = Box::new(move |_: &dyn Log| Ok(begun.clone()));
        let schemas = Arc::new(Schemas::new(None));
        let app = app.with_releases(releases).with_past(Past::new(
            self.log.clone(),
            schemas,
            clock,
            35,
            begun,
        ));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| figures.follow(&*self.log, &|| is_over.load(Ordering::Relaxed)));
            let server = Server::start(listener, Arc::new(app)).expect("a server");
            let served = Served {
                address: server.address,
            };
            // A test that fails ends the follower, too.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let began = monotonic();
                while !figures.read().is_complete && began.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                asks(&served);
            }));
            is_over.store(true, Ordering::Relaxed);
            if let Err(panic) = outcome {
                std::panic::resume_unwind(panic);
            }
        });
    }
}

/// A folder with releases of February 2022, made on the days of March that their numbers say.
pub fn releases(numbers: &[u32]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for number in numbers {
        let release = folder.path().join(format!("releases/release-{number:04}"));
        std::fs::create_dir_all(release.join("2022-02")).expect("a folder");
        let manifest = serde_json::json!({
            "release": number, "months": ["2022-02"], "as_of": null, "made_at": format!("2022-03-{:02}T10:00:00Z", number + 2),
            "made_by": "a test", "sources": [], "transactions": [], "appointments": { "2022-02": 7 }, "previous": null,
            "files": [
                { "path": "2022-02/daily.csv", "bytes": 4, "rows": 1, "sha256": "00ff" },
                { "path": "changes.json", "bytes": 2, "rows": null, "sha256": "01ff" },
            ],
        });
        std::fs::write(release.join("release.json"), manifest.to_string()).expect("written");
        std::fs::write(release.join("2022-02/daily.csv"), "a\nb\n").expect("written");
        std::fs::write(release.join("2022-02/other.csv"), "c\n").expect("written");
    }
    folder
}

pub struct Served {
    pub address: SocketAddr,
}

/// A response as it came.
pub struct Answer {
    pub status: u16,
    /// In lower case.
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next().unwrap_or_default()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Served {
    pub fn get(&self, path: &str) -> (u16, String) {
        let answer = self.ask("GET", path, "");
        (answer.status, answer.text().to_owned())
    }

    /// With further headers, each ended by a line feed.
    pub fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        let headers = headers.replace('\n', "\r\n");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n"
        )
        .expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let ends = |at: &[u8]| at == b"\r\n\r\n";
        let end = answer.windows(4).position(ends).expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        Answer {
            status: head[9..12].parse().expect("a status"),
            body: answer.split_off(end + 4),
            head,
        }
    }

    /// The data of the first of an endless stream's events.
    pub fn first_event(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
        let lines = BufReader::new(stream).lines();
        let mut data = lines.filter_map(|line| Some(line.ok()?.strip_prefix("data: ")?.to_owned()));
        serde_json::from_str(&data.next().expect("an event")).expect("JSON")
    }

    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    pub fn rows(&self, path: &str) -> Vec<Value> {
        self.json(path)["rows"].as_array().expect("rows").clone()
    }
}
