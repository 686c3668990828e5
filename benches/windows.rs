//! What a rolling window costs, whatever it is divided into.
//!
//! `cargo bench --bench windows` takes a million events of a week through a window of 24 hours of one level (64 places), whose
//! step goes from a day down to a minute: in the order of event time, and again with one event in twenty up to two hours
//! late. A transaction is settled every 2,000 events (a second of England at its busiest). For comparison each event is
//! also added to every window that it will ever be in, as is done without panes. Core-seconds of one thread; medians of five runs
//! in turn, of the comparison one run. Every row that is handed over is counted: a row whose figures change has to be published, and
//! how many there are is the step's choice, not the engine's.

#[path = "../tests/support/on_cores.rs"]
mod on_cores;

use gpad_live::domain::aggregate::{Declaration, Follows, Measure, Rolling, Window};
use gpad_live::domain::place::Level;
use gpad_live::domain::time::Timestamp;
use gpad_live::engine::changes::Changes;
use gpad_live::engine::places::Ranks;
use gpad_live::engine::plan::{Aggregate, AggregatePlan};
use gpad_live::engine::rolling::Windows;
use gpad_live::engine::table::Key;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

const RUNS: usize = 5;
const EVENTS: usize = 1_000_000;
const PLACES: u32 = 64;
const TRANSACTION: usize = 2_000;
const MINUTE: i64 = 60_000;
/// 2022-02-01, in minutes since 1970.
const START: i32 = 27_394_560;
const WEEK: i32 = 7 * 24 * 60;
/// A day, by these steps, in minutes.
const STEPS: [i32; 6] = [24 * 60, 4 * 60, 60, 15, 5, 1];

/// The minute at which an event comes, the minute it is of, and where.
type Event = (i32, i32, u32);

fn events(share_late: f64) -> Vec<Event> {
    let mut chance = ChaCha8Rng::seed_from_u64(1);
    let come = |at: usize| START + (at as i64 * i64::from(WEEK) / EVENTS as i64) as i32;
    (0..EVENTS)
        .map(|at| {
            let late = if chance.random_bool(share_late) {
                chance.random_range(0..120)
            } else {
                0
            };
            (come(at), come(at) - late, chance.random_range(0..PLACES))
        })
        .collect()
}

fn aggregate(step: i32) -> Aggregate {
    let (levels, measures) = ([Level::Icb], [Measure::Bookings]);
    let declaration = Declaration {
        follows: Follows::EventTime,
        rolling: vec![Rolling {
            minutes: 24 * 60,
            step,
        }],
        kept_days: 2,
        ..Declaration::of_days("windows", Window::Day, &levels, &measures)
    };
    let mut plan = AggregatePlan::compile(&[declaration]).expect("it holds together");
    plan.aggregates.remove(0)
}

/// Core-seconds and rows handed over.
fn panes(events: &[Event], step: i32) -> (f64, u64) {
    let aggregate = aggregate(step);
    let (mut windows, mut changes) = (Windows::new(&aggregate), Changes::new(1));
    let ranks = Ranks::identity(PLACES as usize);
    let mut rows = 0;
    let start = on_cores::thread();
    for transaction in events.chunks(TRANSACTION) {
        for (_, of, place) in transaction {
            let key = Key {
                place: *place,
                window: of.div_euclid(aggregate.pane()),
                dimensions: 0,
            };
            changes.add(key, &[1], 1);
        }
        let now = transaction.last().map_or(START, |(now, ..)| *now);
        windows.settle(
            &mut changes,
            Timestamp(i64::from(now) * MINUTE),
            &ranks,
            |rolled| {
                *rolled.standing += 2;
                rows += 1;
            },
        );
    }
    (on_cores::thread() - start, rows)
}

/// As it is done without panes: core-seconds, and a sum so that nothing is left out.
fn every_window(events: &[Event], step: i32) -> (f64, u64) {
    let mut windows: FxHashMap<(u32, i32), i64> = FxHashMap::default();
    let start = on_cores::thread();
    for (_, of, place) in events {
        let first = (of.div_euclid(step) + 1) * step;
        for end in (first..=of + 24 * 60).step_by(step as usize) {
            *windows.entry((*place, end)).or_default() += 1;
        }
    }
    (on_cores::thread() - start, windows.len() as u64)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[expect(
    clippy::print_stdout,
    reason = "the report is what the benchmark is for"
)]
fn main() {
    // `cargo test --benches` runs this too: there a benchmark has nothing to show.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!(
        "{EVENTS} events of a week, {PLACES} places, a window of 24 h; nanoseconds of a core an event, medians of {RUNS} runs"
    );
    for (name, share_late) in [("in order", 0.0), ("one in twenty up to 2 h late", 0.05)] {
        let events = events(share_late);
        let mut seconds = [const { Vec::new() }; STEPS.len()];
        let mut rows = [0; STEPS.len()];
        for _ in 0..RUNS {
            for ((seconds, rows), step) in seconds.iter_mut().zip(&mut rows).zip(STEPS) {
                let (taken, handed_over) = panes(&events, step);
                seconds.push(taken);
                *rows = handed_over;
            }
        }
        println!("{name}:");
        for ((seconds, rows), step) in seconds.into_iter().zip(rows).zip(STEPS) {
            let (every, held) = every_window(&events, step);
            assert!(held > 0, "something was counted");
            let [panes, every] = [median(seconds), every].map(|taken| taken * 1e9 / EVENTS as f64);
            println!(
                "  window ÷ step {:5}  panes {panes:6.0} ns  each window by itself {every:8.0} ns  rows handed over {rows:9}, {:.2} for each event",
                24 * 60 / step,
                rows as f64 / EVENTS as f64,
            );
        }
    }
}
