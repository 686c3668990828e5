//! A row as it is published: what names it, what it says, and whether its window is closed.

use std::borrow::Cow;
use std::sync::Arc;

use crate::domain::aggregate::{Figures, Published, Row, Span};
use crate::domain::place::{Level, Place};
use crate::domain::time::{Day, Local, Timestamp};

use super::plan::Aggregate;
use super::rolling::Rolled;
use super::rows::{Rows, standing_of};
use super::table::Key;
use super::watermark::Closed;

/// Rows that a settlement publishes only because their windows have closed.
pub(super) const CLOSED_AT_ONCE: usize = 5_000;

/// Whether the window of days that begins there is closed, as [`Closed::of`] answers.
pub(super) fn closed_day(aggregate: &Aggregate, closed: Closed, window: i32) -> Option<bool> {
    let end = aggregate.window.end(Day(window));
    closed.of(Local::new(end, 0).to_utc())
}

/// The same of one day after the other: most follow one of the same window.
pub(super) fn closed_days(
    aggregate: &Aggregate,
    closed: Closed,
) -> impl FnMut(i32) -> Option<bool> {
    let mut last = None;
    move |window| match last {
        Some((known, is_closed)) if known == window => is_closed,
        _ => {
            let is_closed = closed_day(aggregate, closed, window);
            last = Some((window, is_closed));
            is_closed
        }
    }
}

/// Hands over rows of windows of days that have closed since they were published.
pub(super) fn close_days(
    aggregate: &Aggregate,
    rows: &mut Rows,
    (closed, as_of): (Closed, Timestamp),
    room: &mut usize,
    see: impl FnMut(Key, &[i64], Published),
) {
    let to = closed.to.map(Timestamp::london_day);
    let closed = |window| closed_day(aggregate, closed, window);
    rows.close(to, room, closed, as_of, see);
}

/// Room for one row as it is published: a settlement shows thousands of them, one after the other.
#[derive(Debug)]
pub(super) struct RowRoom {
    row: Row,
    /// What it had where this one has nothing.
    spare: [Figures; 2],
    stood: Vec<i64>,
}

impl Default for RowRoom {
    fn default() -> Self {
        Self {
            row: Row {
                aggregate: "".into(),
                level: Level::England,
                code: String::new(),
                window: Span::Days(Day(0), Day(0)),
                dimensions: Vec::new(),
                figures: None,
                stood: None,
                published: standing_of(0, Timestamp(0)),
            },
            spare: Default::default(),
            stood: Vec::new(),
        }
    }
}

impl RowRoom {
    /// A row of a window of event time.
    pub fn rolled(
        &mut self,
        aggregate: &Aggregate,
        at: (Level, &str, &Place),
        rolled: &Rolled<'_>,
        published: Published,
    ) -> &Row {
        let span = (
            aggregate.span(rolled.at, rolled.key.window),
            rolled.key.dimensions,
        );
        let sums = (rolled.figures, rolled.change);
        self.row(aggregate, at, span, sums, published)
    }

    /// A row: where it is, what it is called there, its sums, and by how much they have changed (not at all: nothing).
    pub fn row(
        &mut self,
        aggregate: &Aggregate,
        (level, code, place): (Level, &str, &Place),
        (window, dimensions): (Span, u64),
        (sums, change): (&[i64], &[i64]),
        published: Published,
    ) -> &Row {
        let row = &mut self.row;
        if !Arc::ptr_eq(&row.aggregate, &aggregate.name) {
            row.aggregate = aggregate.name.clone();
        }
        row.level = level;
        row.code.clear();
        row.code.push_str(code);
        row.window = window;
        let printed = place.printed_codes(level);
        row.dimensions.truncate(printed.len());
        for (at, (name, code)) in printed.iter().enumerate() {
            match row.dimensions.get_mut(at) {
                Some((known, Cow::Owned(text))) => {
                    *known = name;
                    text.clear();
                    text.push_str(code);
                }
                Some(known) => *known = (name, Cow::Owned((*code).to_owned())),
                None => row.dimensions.push((name, Cow::Owned((*code).to_owned()))),
            }
        }
        let labels = aggregate.labels(dimensions);
        (row.dimensions).extend(labels.map(|(name, value)| (name, Cow::Borrowed(value))));
        self.stood.clear();
        self.stood.extend_from_slice(sums);
        for (stood, change) in self.stood.iter_mut().zip(change) {
            *stood -= change;
        }
        let [of_figures, of_stood] = &mut self.spare;
        tell(aggregate, sums, &mut row.figures, of_figures);
        tell(aggregate, &self.stood, &mut row.stood, of_stood);
        row.published = published;
        row
    }
}

/// What sums say; `None` where there is nothing.
fn tell(aggregate: &Aggregate, sums: &[i64], into: &mut Option<Figures>, spare: &mut Figures) {
    let mut figures = into.take().unwrap_or_else(|| std::mem::take(spare));
    if sums.iter().all(|sum| *sum == 0) {
        *spare = figures;
        return;
    }
    let counts = aggregate.measures.iter().zip(sums);
    figures.counts.clear();
    (figures.counts).extend(counts.map(|(measure, sum)| (measure.label(), *sum)));
    figures.ratios.clear();
    figures.ratios.extend(aggregate.ratios_of(sums));
    *into = Some(figures);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::aggregate::{Declaration, Measure, Window};
    use crate::engine::plan::AggregatePlan;

    #[test]
    fn each_day_is_closed_by_its_own_end_in_whatever_order_they_are_asked_for() {
        let (levels, measures) = ([Level::Practice], [Measure::Appointments]);
        let declaration = Declaration::of_days("seen", Window::Day, &levels, &measures);
        let plan = AggregatePlan::compile(&[declaration]).expect("it holds together");
        let closed_to = |day| Some(Local::new(Day(day), 0).to_utc());
        let closed = Closed {
            by_events: closed_to(101),
            to: closed_to(102),
        };
        let mut of = closed_days(&plan.aggregates[0], closed);
        let expected = |day: i32| match day {
            ..=100 => Some(false),
            101 => Some(true),
            _ => None,
        };
        for day in [100, 101, 101, 102, 100, 100, 102, 101, 99] {
            assert_eq!(of(day), expected(day), "day {day}");
        }
    }
}
