//! What `simulate` writes counts back to the cells it was drawn from, by a checker that shares no code with it.

#[path = "simulate/checker.rs"]
mod checker;

use std::path::Path;

use gpad_live::domain::time::Month;
use gpad_live::domain::topic::Supplier;
use gpad_live::domain::vocabulary::Mode;
use gpad_live::simulate::cells::Cells;
use gpad_live::simulate::run::{Options, Plan};
use gpad_live::simulate::sink::{Files, Topic};

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
