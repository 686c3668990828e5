//! What `simulate` writes counts back to the cells it was drawn from, by a checker that shares no code with it.

#[path = "simulate/checker.rs"]
mod checker;

use std::collections::BTreeMap;
use std::path::Path;

use gpad_live::domain::time::{Day, Month};
use gpad_live::domain::topic::{Module, Supplier, SupplierTopic};
use gpad_live::domain::vocabulary::Mode;
use gpad_live::simulate::calendar::Service;
use gpad_live::simulate::cells::Cells;
use gpad_live::simulate::error::Error;
use gpad_live::simulate::faults::{
    IDENTIFIABLE_MARKER, REFUSED_MARKER, STRANGER_MARKER, WITHHELD_MARKER,
};
use gpad_live::simulate::run::{Options, Plan};
use gpad_live::simulate::sink::{Files, Sink, Topic};
use gpad_live::simulate::timeline::in_time_order;

use checker::Checker;

const DEVON: &str = "tests/data/Regional_CSV_Devon.csv";
const SOMERSET: &str = "tests/data/Regional_CSV_Somerset.csv";
const ICBS: &str = "tests/data/icb_cells_2022-02.csv";

fn cells(file: &str, month: &str) -> Cells {
    Cells::read(Path::new(file), Month::parse(month).expect("a month")).expect("readable cells")
}

fn drawn(cells: &Cells, options: Options) -> (Plan, Checker) {
    let plan = Plan::new(cells, options).expect("a plan");
    let mut checker = Checker::new(options.service);
    plan.run(&mut checker, 2, &mut |_| {}).expect("a run");
    (plan, checker)
}

#[test]
fn every_unit_of_every_cell_is_counted_once() {
    let cases = [
        (DEVON, "2019-03", 0.02),
        (DEVON, "2020-02", 0.02),
        (SOMERSET, "2021-08", 0.05),
        (ICBS, "2022-02", 0.002),
    ];
    for (file, month, scale) in cases {
        let cells = cells(file, month);
        let (plan, mut checker) = drawn(
            &cells,
            Options {
                scale,
                ..Options::default()
            },
        );
        assert_eq!(plan.cells(), &cells.scaled(scale));
        assert_eq!(checker.refused, 0, "{file} {month}");
        checker.compare(plan.cells());
    }
}

#[test]
fn the_seed_decides_the_bytes_and_the_number_of_threads_does_not() {
    let cells = cells(SOMERSET, "2020-10");
    let written = |seed: u64, threads: usize| {
        let options = Options {
            scale: 0.01,
            seed,
            ..Options::default()
        };
        let directory = tempfile::tempdir().expect("a directory");
        let mut files = Files::create(directory.path(), seed).expect("files");
        let plan = Plan::new(&cells, options).expect("a plan");
        plan.run(&mut files, threads, &mut |_| {}).expect("a run");
        files.finish().expect("written");
        Topic::ALL.map(|topic| {
            std::fs::read(directory.path().join(format!("{}.avro", topic.name()))).expect("a file")
        })
    };
    let first = written(1, 1);
    assert!(first.iter().all(|file| file.starts_with(b"Obj\x01")));
    assert!(first == written(1, 3));
    let other = written(2, 1);
    for (topic, (first, other)) in Topic::ALL.iter().zip(first.iter().zip(&other)) {
        assert_ne!(first, other, "{}", topic.name());
    }
}

#[test]
fn all_four_suppliers_occur_in_every_place_that_has_cells_without_a_mode() {
    let cells = cells(ICBS, "2022-02");
    let (plan, checker) = drawn(
        &cells,
        Options {
            scale: 0.005,
            ..Options::default()
        },
    );
    for (place, named) in plan.cells().places.iter().enumerate() {
        let found = checker.suppliers(&named.icb_ons_code);
        let modeless = plan
            .cells()
            .cells
            .iter()
            .any(|cell| cell.place == place && cell.kind.mode == Mode::Unknown);
        let expected: Vec<Supplier> = Supplier::ALL
            .into_iter()
            .filter(|supplier| modeless || *supplier != Supplier::Inps)
            .collect();
        assert_eq!(found, expected, "{}", named.icb_ons_code);
    }
}

#[test]
fn the_edges_of_service_are_kept_and_every_unit_is_still_counted() {
    let day = |year, month, day| Day::from_ymd(year, month, day).expect("a day");
    let narrow = Service {
        from: day(2020, 3, 20),
        to: day(2020, 4, 2),
    };
    let cases = [
        ("2019-03", Service::default()),
        ("2019-03", narrow),
        ("2020-03", narrow),
        ("2021-10", Service::default()),
        ("2023-02", Service::default()),
    ];
    for (month, service) in cases {
        let text = regional_file(
            &["15N,E38000230,NHS Devon CCG,E54000037,Devon  STP"],
            month,
            400,
        );
        let month = Month::parse(month).expect("a month");
        let cells = Cells::parse(Path::new("made.csv"), text.as_bytes(), month).expect("cells");
        let options = Options {
            service,
            ..Options::default()
        };
        let (plan, mut checker) = drawn(&cells, options);
        assert_eq!(checker.refused, 0, "{month:?} {service:?}");
        checker.compare(plan.cells());
    }
}

#[test]
fn places_that_the_mapping_lacks_get_real_practices_of_their_own() {
    let places = [
        "15N,E38000230,NHS Devon CCG,E54000037,Devon  STP",
        "99P,E38000129,NHS Northern Eastern and Western Devon CCG,E54000037,Devon  STP",
        "99Q,E38000152,NHS South Devon and Torbay CCG,E54000037,Devon  STP",
        "11X,E38000150,NHS Somerset CCG,E54000038,Somerset  STP",
        "ZZ9,E38999999,NHS Nowhere CCG,E54999999,Nowhere STP",
    ];
    let text = regional_file(&places, "2020-07", 300);
    let month = Month::parse("2020-07").expect("a month");
    let cells = Cells::parse(Path::new("made.csv"), text.as_bytes(), month).expect("cells");
    let (plan, mut checker) = drawn(&cells, Options::default());
    checker.compare(plan.cells());
    for icb in ["E54000037", "E54000038", "E54999999"] {
        assert_eq!(checker.suppliers(icb), Supplier::ALL, "{icb}");
    }
}

#[test]
fn faults_add_marked_records_and_change_no_other() {
    let cells = cells(SOMERSET, "2020-12");
    let sent = |faults: bool| {
        let options = Options {
            scale: 0.01,
            faults,
            ..Options::default()
        };
        let mut sent = Recorder::default();
        let plan = Plan::new(&cells, options).expect("a plan");
        plan.run(&mut sent, 1, &mut |_| {}).expect("a run");
        sent.0
    };
    let mut clean: BTreeMap<Sent, usize> = BTreeMap::new();
    for record in sent(false) {
        assert_eq!(marker(&record), None, "no fault without --faults");
        *clean.entry(record).or_default() += 1;
    }
    let mut marked: BTreeMap<(&str, Topic), usize> = BTreeMap::new();
    for record in sent(true) {
        if let Some(count) = clean.get_mut(&record).filter(|count| **count > 0) {
            *count -= 1;
        } else if let Topic::Supplier(_) = record.topic {
            let marker = marker(&record).expect("every faulty record has a marker");
            *marked.entry((marker, record.topic)).or_default() += 1;
        }
    }
    assert!(
        clean.values().all(|count| *count == 0),
        "all that is sound is still there"
    );
    for topic in SupplierTopic::ALL {
        for marker in [
            IDENTIFIABLE_MARKER,
            WITHHELD_MARKER,
            STRANGER_MARKER,
            REFUSED_MARKER,
        ] {
            let count = marked.get(&(marker, Topic::Supplier(topic))).copied();
            assert!(count >= Some(2), "{marker} {topic}: {count:?}");
        }
    }
}

#[test]
fn in_time_order_the_same_records_come_by_time_of_extraction_but_for_the_late() {
    let cells = cells(SOMERSET, "2021-03");
    let options = Options {
        scale: 0.02,
        ..Options::default()
    };
    let plan = Plan::new(&cells, options).expect("a plan");
    let (mut by_practice, mut by_time) = (Recorder::default(), Recorder::default());
    plan.run(&mut by_practice, 1, &mut |_| {}).expect("a run");
    let folder = tempfile::tempdir().expect("a folder");
    let summary = in_time_order(&plan, &mut by_time, 2, folder.path(), &mut |_| {}).expect("a run");
    assert_eq!(summary.counted, plan.cells().total());
    let times = |sent: &Recorder| -> Vec<i64> {
        let supplied = sent
            .0
            .iter()
            .filter(|record| matches!(record.topic, Topic::Supplier(_)));
        supplied.map(|record| record.extracted_at).collect()
    };
    let (mut latest, mut late) = (i64::MIN, 0);
    for at in times(&by_time) {
        late += usize::from(at < latest.saturating_sub(60_000));
        assert!(
            at > latest.saturating_sub(3 * 86_400_000),
            "none is more than days late"
        );
        latest = latest.max(at);
    }
    let all = times(&by_time).len();
    assert!(
        (all / 200..all / 20).contains(&late),
        "{late} of {all} come late"
    );
    by_practice.0.sort();
    by_time.0.sort();
    assert!(by_practice.0 == by_time.0);
}

#[test]
fn an_appointment_lives_through_three_to_five_versions() {
    let cells = cells(DEVON, "2020-10");
    let (plan, mut checker) = drawn(
        &cells,
        Options {
            scale: 0.02,
            ..Options::default()
        },
    );
    checker.compare(plan.cells());
    let appointments: u64 = SupplierTopic::ALL
        .into_iter()
        .filter(|topic| topic.module() == Module::Appointments)
        .map(|topic| checker.records[topic.name()])
        .sum();
    let consultations: u64 = SupplierTopic::ALL
        .into_iter()
        .filter(|topic| topic.module() == Module::Consultations)
        .map(|topic| checker.records[topic.name()])
        .sum();
    let total = plan.cells().total();
    assert!(
        (3 * total..4 * total).contains(&appointments),
        "{appointments} for {total}"
    );
    assert!(
        (3 * total / 10..5 * total / 10).contains(&consultations),
        "{consultations} for {total}"
    );
    assert!(
        checker.superseded > appointments / 200,
        "{} come after a newer version",
        checker.superseded
    );
    assert!(
        checker.repeated > appointments / 300,
        "{} are sent twice",
        checker.repeated
    );
    assert!(
        checker.rebooked > 0,
        "EMIS slots are given to another booking"
    );
    assert!(
        checker.finished > total / 50,
        "{} are finished by a consultation",
        checker.finished
    );
}

#[test]
fn a_sink_that_fails_ends_the_run_with_its_error() {
    struct Full(u32);
    impl Sink for Full {
        fn send(&mut self, _: Topic, _: &[u8], _: &[u8], _: i64) -> Result<(), Error> {
            self.0 += 1;
            if self.0 > 20_000 {
                return Err(Error::world("full", std::io::ErrorKind::StorageFull.into()));
            }
            Ok(())
        }
    }
    let cells = cells(ICBS, "2022-02");
    let options = Options {
        scale: 0.002,
        ..Options::default()
    };
    let plan = Plan::new(&cells, options).expect("a plan");
    for threads in [1, 4] {
        let mut sink = Full(0);
        let error = plan.run(&mut sink, threads, &mut |_| {}).expect_err("full");
        assert!(!error.is_wrong_use(), "{error}");
        assert_eq!(sink.0, 20_001, "nothing is sent after the failure");
    }
}

/// A regional file of places `CCG_CODE,CCG_ONS_CODE,CCG_NAME,STP_ONS,STPNM`, in the South West, with some of every kind.
fn regional_file(places: &[&str], month: &str, count: usize) -> String {
    let mut text = String::from(
        "CCG_CODE,CCG_ONS_CODE,CCG_NAME,STP_ONS,STPNM,REGION_ONS_CODE,REGION_NAME,Appointment_Month,APPT_STATUS,HCP_TYPE,\
         APPT_MODE,TIME_BETWEEN_BOOK_AND_APPT,COUNT_OF_APPOINTMENTS\n",
    );
    for place in places {
        for (status, mode, wait) in [
            ("Attended", "Face-to-Face", "Same Day"),
            ("Attended", "Unknown", "2 to 7 Days"),
            ("Attended", "Video Conference/Online", "15  to 21 Days"),
            ("DNA", "Home Visit", "More than 28 Days"),
            ("Unknown", "Telephone", "Unknown / Data Issue"),
            ("Unknown", "Unknown", "1 Day"),
        ] {
            for hcp in ["GP", "Other Practice staff", "Unknown"] {
                let row = [
                    place,
                    "E40000006,South West",
                    month,
                    status,
                    hcp,
                    mode,
                    wait,
                ];
                text.extend([row.join(","), format!(",{count}\n")]);
            }
        }
    }
    text
}

/// One record as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    topic: Topic,
    extracted_at: i64,
    key: Vec<u8>,
    datum: Vec<u8>,
}

/// Keeps all records.
#[derive(Default)]
struct Recorder(Vec<Sent>);

impl Sink for Recorder {
    fn send(
        &mut self,
        topic: Topic,
        key: &[u8],
        datum: &[u8],
        extracted_at: i64,
    ) -> Result<(), Error> {
        self.0.push(Sent {
            topic,
            extracted_at,
            key: key.to_vec(),
            datum: datum.to_vec(),
        });
        Ok(())
    }
}

fn marker(record: &Sent) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&record.datum);
    [
        WITHHELD_MARKER,
        IDENTIFIABLE_MARKER,
        STRANGER_MARKER,
        REFUSED_MARKER,
    ]
    .into_iter()
    .find(|marker| text.contains(marker))
}
