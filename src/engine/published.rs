//! A row as it is published: what names it, what it says, and whether its window is closed.

use std::borrow::Cow;

use crate::domain::aggregate::{Figures, Published, Row, Span};
use crate::domain::place::{Level, Place};
use crate::domain::time::{Day, Local, Timestamp};

use super::plan::Aggregate;
use super::rolling::Rolled;
use super::rows::Rows;
use super::table::Key;
use super::watermark::Closed;

/// Rows that a settlement publishes only because their windows have closed.
pub(super) const CLOSED_AT_ONCE: usize = 5_000;

/// Whether the window of days that begins there is closed, as [`Closed::of`] answers.
pub(super) fn closed_day(aggregate: &Aggregate, closed: Closed, window: i32) -> Option<bool> {
    let end = aggregate.window.end(Day(window));
    closed.of(Local::new(end, 0).to_utc())
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

/// A row of a window of event time, as it is published.
pub(super) fn rolled_row(
    aggregate: &Aggregate,
    at: (Level, &Place),
    rolled: &Rolled<'_>,
    published: Published,
) -> Row {
    let span = (
        aggregate.span(rolled.at, rolled.key.window),
        rolled.key.dimensions,
    );
    let sums = (rolled.figures, rolled.change);
    row(aggregate, at, span, sums, published)
}

/// A row as it is published: its sums, and by how much they have changed (not at all: nothing).
pub(super) fn row(
    aggregate: &Aggregate,
    (level, place): (Level, &Place),
    (window, dimensions): (Span, u64),
    (sums, change): (&[i64], &[i64]),
    published: Published,
) -> Row {
    let printed = place.printed_codes(level);
    let labels = aggregate.labels(dimensions);
    let mut named = Vec::with_capacity(printed.len() + labels.len());
    let printed = printed.into_iter();
    named.extend(printed.map(|(name, code)| (name, Cow::Owned(code.to_owned()))));
    named.extend(labels.map(|(name, value)| (name, Cow::Borrowed(value))));
    let mut stood = sums.to_vec();
    for (stood, change) in stood.iter_mut().zip(change) {
        *stood -= change;
    }
    Row {
        aggregate: aggregate.name.clone(),
        level,
        code: place.code(level).to_owned(),
        window,
        dimensions: named,
        figures: figures(aggregate, sums),
        stood: figures(aggregate, &stood),
        published,
    }
}

/// What sums say; `None` where there is nothing.
fn figures(aggregate: &Aggregate, sums: &[i64]) -> Option<Figures> {
    let is_empty = sums.iter().all(|sum| *sum == 0);
    (!is_empty).then(|| Figures {
        counts: aggregate
            .measures
            .iter()
            .zip(sums)
            .map(|(measure, sum)| (measure.label(), *sum))
            .collect(),
        ratios: aggregate.ratios_of(sums),
    })
}
