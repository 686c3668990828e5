//! Laws of windows that roll over event time.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::aggregate::{Declaration, Finality, Follows, Measure, Window};
use crate::domain::place::Level;
use crate::engine::plan::AggregatePlan;
use crate::engine::rows::publish;

const MINUTE: i64 = 60_000;
const START: i32 = 27_000_000;

fn aggregate(kept_days: u16) -> Aggregate {
    let (levels, measures) = ([Level::England], [Measure::Bookings]);
    let declaration = Declaration {
        follows: Follows::EventTime,
        rolling: ["15 min every 5 min", "1 h every 30 min", "2 d every 24 h"]
            .map(|text| Rolling::parse(text).expect("a window"))
            .into(),
        kept_days,
        ..Declaration::of_days("seen", Window::Day, &levels, &measures)
    };
    let mut plan = AggregatePlan::compile(&[declaration]).expect("it holds together");
    plan.aggregates.remove(0)
}

type Shown = BTreeMap<(u32, usize, i32), i64>;

/// Settles, and applies what is handed over as a compacted topic would.
fn settle(windows: &mut Windows, changes: &mut Changes, now: i32, shown: &mut Shown) {
    let now = Timestamp(i64::from(now) * MINUTE);
    windows.settle(changes, now, &Ranks::identity(3), |rolled| {
        *rolled.standing += 2;
        let key = (rolled.key.place, rolled.at, rolled.key.window);
        let stood = shown.remove(&key).unwrap_or(0);
        assert_eq!(stood + rolled.change[0], rolled.figures[0], "{key:?}");
        if rolled.figures[0] != 0 {
            shown.insert(key, rolled.figures[0]);
        }
    });
}

/// Each window from scratch.
fn recount(aggregate: &Aggregate, events: &[(u32, i32, i64)], now: i32) -> Shown {
    let mut shown = Shown::new();
    let oldest = now - i32::from(aggregate.kept_days) * DAY;
    for (at, rolling) in aggregate.rolling.iter().enumerate() {
        let mut end = oldest.div_euclid(rolling.step) * rolling.step + rolling.step;
        while end - rolling.step <= now {
            for (place, minute, count) in events {
                if (end - rolling.minutes..end).contains(minute) {
                    *shown.entry((*place, at, end)).or_default() += count;
                }
            }
            end += rolling.step;
        }
    }
    shown.retain(|_, count| *count != 0);
    shown
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever came when, in whatever batches, late, ahead of time or taken back: each window that is kept is the sum of
    /// its events.
    #[test]
    fn windows_are_recounts(
        batches in vec((vec((0..3_u32, -4_000..2_000_i32, -1..4_i64), 0..6), 0..2_500_i32), 1..12),
        restarts in 0..12_usize,
    ) {
        let aggregate = aggregate(3);
        let (mut windows, mut changes) = (Windows::new(&aggregate), Changes::new(1));
        let (mut shown, mut now, mut events) = (Shown::new(), START, Vec::new());
        // Some before any time was told, as tests and loading do.
        let early = Key { place: 0, window: (START - 7).div_euclid(aggregate.pane()), dimensions: 0 };
        changes.add(early, &[1], 1);
        events.push((0, START - 7, 1));
        windows.settle(&mut changes, Timestamp(i64::MIN), &Ranks::identity(3), |_| unreachable!("no window has begun"));
        for (number, (batch, passes)) in batches.into_iter().enumerate() {
            for (place, minute, count) in batch {
                let minute = now + minute;
                let key = Key { place, window: minute.div_euclid(aggregate.pane()), dimensions: 0 };
                changes.add(key, &[count], 1);
                events.push((place, minute, count));
            }
            now += passes;
            settle(&mut windows, &mut changes, now, &mut shown);
            prop_assert_eq!(&shown, &recount(&aggregate, &events, now));
            if number == restarts {
                let mut again = Windows::new(&aggregate);
                for (from, to) in windows.tables().into_iter().zip(again.tables_mut()) {
                    use crate::engine::state::block::Kept;
                    for number in 0..from.entries() {
                        let mut bytes = Vec::new();
                        from.write(number, &mut bytes);
                        prop_assert_eq!(to.read(number, &bytes), Some(()));
                    }
                }
                again.restored(Timestamp(i64::from(now) * MINUTE));
                windows = again;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever changes when, however few are closed at a time, and whether it restarts: each row of a closed window that
    /// stands becomes final, once, as it stood, and none whose window is open does.
    #[test]
    fn each_row_of_a_closed_window_becomes_final_once(
        batches in vec((vec((0..3_u32, -4_000..200_i32, 1..4_i64), 0..6), 0..1_500_i32, 0..6_usize), 1..10),
        behind in 0..300_i32,
    ) {
        let aggregate = aggregate(3);
        let (mut windows, mut changes) = (Windows::new(&aggregate), Changes::new(1));
        let ranks = Ranks::identity(3);
        let as_of = Timestamp(0);
        let mut now = START;
        windows.settle(&mut changes, Timestamp(i64::from(now) * MINUTE), &ranks, |_| ());
        // By window: the figure that stands, and how often it was told as final.
        let mut told: BTreeMap<(u32, usize, i32), (i64, u32)> = BTreeMap::new();
        let last = (Vec::new(), 0, usize::MAX);
        for (batch, passes, mut room) in batches.into_iter().chain([last]) {
            for (place, minute, count) in batch {
                let window = (now + minute).div_euclid(aggregate.pane());
                changes.add(Key { place, window, dimensions: 0 }, &[count], 1);
            }
            now += passes;
            let closed = Closed {
                to: Some(Timestamp(i64::from(now - behind) * MINUTE)),
                by_events: None,
            };
            let is_closed = |end: i32| end <= now - behind;
            windows.settle(&mut changes, Timestamp(i64::from(now) * MINUTE), &ranks, |rolled| {
                let before = *rolled.standing;
                let published = publish(rolled.standing, closed.of(end_of(rolled.key)), as_of);
                let row = told.entry((rolled.key.place, rolled.at, rolled.key.window)).or_default();
                row.0 = rolled.figures[0];
                // Once final, a change restates it.
                if published.finality == Finality::Final {
                    row.1 += 1;
                } else {
                    assert_eq!(published.finality == Finality::Restated, before != 0 && !is_provisional(before));
                }
                assert_eq!(published.finality != Finality::Provisional, row.1 > 0);
                if rolled.figures[0] == 0 {
                    told.remove(&(rolled.key.place, rolled.at, rolled.key.window));
                }
            });
            let asked = room;
            windows.close(closed, &mut room, |rolled| {
                let row = told.get_mut(&(rolled.key.place, rolled.at, rolled.key.window));
                let row = row.expect("it was published");
                assert_eq!(row.0, rolled.figures[0]);
                row.1 += 1;
            });
            for ((_, at, end), (_, finals)) in &told {
                prop_assert!(*finals <= 1, "window {} to {}: {} times", at, end, finals);
                prop_assert!(*finals == 0 || is_closed(*end));
                prop_assert!(room == 0 && asked < usize::MAX || *finals == u32::from(is_closed(*end)));
            }
        }
    }
}

#[test]
fn what_is_too_old_for_any_window_is_counted_and_the_memory_is_that_of_what_is_kept() {
    let aggregate = aggregate(1);
    let (mut windows, mut changes) = (Windows::new(&aggregate), Changes::new(1));
    let mut shown = Shown::new();
    for day in 0..40 {
        for hour in 0..24 {
            let minute = START + day * DAY + hour * 60;
            let window = minute.div_euclid(aggregate.pane());
            changes.add(
                Key {
                    place: 0,
                    window,
                    dimensions: 0,
                },
                &[1],
                1,
            );
            settle(&mut windows, &mut changes, minute, &mut shown);
        }
    }
    let [panes, rows] = windows.tables().map(PackedTable::len);
    assert!(panes <= 24 * 4, "{panes} panes");
    assert!(rows <= 25 * (3 + 2) + 3, "{rows} rows");
    assert_eq!(windows.take_too_old(), 0);
    let window = START.div_euclid(aggregate.pane());
    changes.add(
        Key {
            place: 0,
            window,
            dimensions: 0,
        },
        &[1],
        1,
    );
    settle(&mut windows, &mut changes, START + 40 * DAY, &mut shown);
    assert_eq!(windows.take_too_old(), 1);
}
