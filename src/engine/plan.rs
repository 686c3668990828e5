//! The aggregates of a configuration, checked and compiled into packed keys.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::domain::aggregate::{
    Basis, Declaration, Dimension, Event, Filter, Follows, Measure, Quantile, Rolling, Share, Span,
    Window,
};
use crate::domain::place::Level;
use crate::domain::time::{Day, Timestamp};
use crate::domain::vocabulary::WaitingBand;

use super::declared::{check_lists, check_windows};
use super::fact::{Parts, Publication};
use super::told::Told;
use super::waits;

pub use super::declared::{PlanError, is_name};

/// Where a dimension's value lies in a packed key.
#[derive(Debug, Clone)]
struct Packed {
    dimension: Dimension,
    shift: u32,
    mask: u64,
    /// The labels of its values.
    values: Arc<[&'static str]>,
}

/// One aggregate, compiled.
#[derive(Debug, Clone)]
pub struct Aggregate {
    pub name: Arc<str>,
    pub follows: Follows,
    pub window: Window,
    /// Windows of event time, shortest first; some exactly where event time is followed.
    pub rolling: Vec<Rolling>,
    pub ahead_days: Option<u16>,
    /// Windows of event time that ended so many days ago and before are not kept.
    pub kept_days: u16,
    pub measures: Vec<Measure>,
    pub shares: Vec<Share>,
    pub quantiles: Vec<Quantile>,
    filters: Vec<Filter>,
    packed: Vec<Packed>,
    has_practice: bool,
    /// Levels of geography above the practice, finest first.
    above: Vec<Level>,
    has_pcn: bool,
    has_supplier: bool,
    columns: usize,
    /// Parts of a fact that the measures look at.
    reads: Parts,
    share_parts: Vec<(usize, usize)>,
    /// Minutes of event time that are summed as one: what all steps are multiples of.
    pane: i32,
    /// The columns that an event counts in, by [`Event`].
    by_event: [Vec<Column>; Event::ALL.len()],
}

/// The columns that an event counts in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns<'a> {
    measures: &'a [Column],
    is_same_day: bool,
    /// That of its wait, where waits are asked of.
    wait: Option<usize>,
}

impl Columns<'_> {
    /// Adds so many events to all sums of a row.
    #[inline]
    pub fn add(self, sums: &mut [i64], count: i64) {
        for column in self.measures {
            if self.is_same_day || !column.for_same_day {
                sums[column.at] += count;
            }
        }
        if let Some(wait) = self.wait {
            sums[wait] += count;
        }
    }
}

/// A column that an event counts in.
#[derive(Debug, Clone, Copy)]
struct Column {
    at: usize,
    /// A booking counts if it is for the day it is made on.
    for_same_day: bool,
}

impl Aggregate {
    fn compile(declaration: &Declaration) -> Result<Self, PlanError> {
        let name = declaration.name.clone();
        check_lists(declaration)?;
        check_windows(declaration)?;
        let mut shift = 0;
        let packed = declaration
            .dimensions
            .iter()
            .map(|dimension| {
                let values = dimension.values();
                let bits = bits_for(values.len());
                let place = Packed {
                    dimension: *dimension,
                    shift,
                    mask: (1 << bits) - 1,
                    values: values.into(),
                };
                shift += bits;
                place
            })
            .collect();
        let at = |measure| {
            declaration
                .measures
                .iter()
                .position(|found| *found == measure)
        };
        let mut share_parts = Vec::new();
        for share in &declaration.shares {
            let (Some(of), Some(over)) = (at(share.of), at(share.over)) else {
                return Err(PlanError::Share {
                    name,
                    share: share.name.clone(),
                    numerator: share.of.label(),
                    denominator: share.over.label(),
                });
            };
            share_parts.push((of, over));
        }
        let mut rolling = declaration.rolling.clone();
        rolling.sort_unstable_by_key(|rolling| (rolling.minutes, rolling.step));
        let pane = (rolling.iter()).fold(0, |pane, rolling| gcd(pane, rolling.step));
        let mut above = declaration.levels.clone();
        above.retain(|level| !matches!(level, Level::Practice | Level::Supplier));
        above.sort_unstable();
        let histogram = if declaration.quantiles.is_empty() {
            0
        } else {
            waits::BUCKETS
        };
        let reads = |basis| {
            let mut measures = declaration.measures.iter();
            measures.any(|measure| measure.basis() == basis)
        };
        Ok(Self {
            reads: Parts::of_those([
                (Parts::PUBLICATION, reads(Basis::Publication)),
                (Parts::CAPACITY, reads(Basis::Capacity)),
                (Parts::CONSULTATIONS, reads(Basis::Consultations)),
                (Parts::EVENTS, declaration.follows == Follows::EventTime),
            ]),
            by_event: Event::ALL.map(|event| columns_of(event, &declaration.measures)),
            name: declaration.name.as_str().into(),
            follows: declaration.follows,
            window: declaration.window,
            rolling,
            ahead_days: declaration.ahead_days,
            kept_days: declaration.kept_days,
            measures: declaration.measures.clone(),
            shares: declaration.shares.clone(),
            quantiles: declaration.quantiles.clone(),
            filters: declaration.filters.clone(),
            packed,
            has_practice: declaration.levels.contains(&Level::Practice),
            has_supplier: declaration.levels.contains(&Level::Supplier),
            has_pcn: above.contains(&Level::Pcn),
            above,
            columns: declaration.measures.len() + histogram,
            share_parts,
            pane,
        })
    }

    #[must_use]
    pub const fn has_practice(&self) -> bool {
        self.has_practice
    }

    #[must_use]
    pub const fn has_supplier(&self) -> bool {
        self.has_supplier
    }

    /// Levels of geography above the practice, finest first.
    #[must_use]
    pub fn above_practice(&self) -> &[Level] {
        &self.above
    }

    /// Whether deltas must tell PCNs apart.
    #[must_use]
    pub const fn has_pcn(&self) -> bool {
        self.has_pcn
    }

    /// The declared dimensions, in order.
    pub fn dimensions(&self) -> impl Iterator<Item = Dimension> {
        self.packed.iter().map(|place| place.dimension)
    }

    /// Rows that one code and window can have.
    #[must_use]
    pub fn combinations(&self) -> u64 {
        self.dimensions()
            .map(|dimension| dimension.values().len() as u64)
            .product()
    }

    /// Words of a row's sums: its measures, then the histogram of waits if a quantile is asked for.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Memory of a row, its share of the index with it: two words of key, one for its standing, its columns.
    #[must_use]
    pub const fn bytes_per_row(&self) -> usize {
        8 * (3 + self.columns()) + 8
    }

    #[must_use]
    pub const fn follows_events(&self) -> bool {
        matches!(self.follows, Follows::EventTime)
    }

    /// Minutes of event time that are summed as one.
    #[must_use]
    pub const fn pane(&self) -> i32 {
        self.pane
    }

    /// The longest window of event time, in minutes.
    #[must_use]
    pub fn longest(&self) -> i32 {
        self.rolling
            .iter()
            .map(|rolling| rolling.minutes)
            .max()
            .unwrap_or(0)
    }

    /// What a declaration says beside windows of days, levels, dimensions and measures; empty if nothing.
    pub(super) fn others(&self) -> String {
        let mut others = String::new();
        if self.follows_events() {
            write!(others, "{:?} {}", self.rolling, self.kept_days).expect("a text takes any");
        }
        if let Some(days) = self.ahead_days {
            write!(others, " ahead {days}").expect("a text takes any");
        }
        if !self.quantiles.is_empty() {
            others.push_str(" waits");
        }
        if !self.filters.is_empty() {
            write!(others, " {:?}", self.filters).expect("a text takes any");
        }
        others
    }

    /// What the windows are called, in the order of their index.
    #[must_use]
    pub fn window_labels(&self) -> Vec<String> {
        if self.rolling.is_empty() {
            vec![self.window.label().to_owned()]
        } else {
            self.rolling.iter().map(|rolling| rolling.label()).collect()
        }
    }

    /// What a row of the `at`-th window covers: from its first day, or to its last minute.
    #[must_use]
    pub fn span(&self, at: usize, window: i32) -> Span {
        match self.rolling.get(at) {
            None => Span::Days(Day(window), self.window.end(Day(window))),
            Some(rolling) => Span::Times(
                minute(window.saturating_sub(rolling.minutes)),
                minute(window),
            ),
        }
    }

    /// The inverse of [`Self::span`]: which window, and its first day or the minute of its end.
    #[must_use]
    pub fn window_of_span(&self, span: Span) -> Option<(usize, i32)> {
        match span {
            Span::Days(from, to) => {
                let fits = self.rolling.is_empty() && self.window.end(from) == to;
                fits.then_some((0, from.0))
            }
            Span::Times(from, to) => {
                let minutes = (to.0 - from.0) / 60_000;
                let at = (self.rolling.iter())
                    .position(|rolling| i64::from(rolling.minutes) == minutes)?;
                Some((at, i32::try_from(to.0.div_euclid(60_000)).ok()?))
            }
        }
    }

    /// Whether it matters what was booked: for a filter, or for a dimension.
    #[inline]
    pub(super) const fn tells_bookings_apart(&self) -> bool {
        !self.filters.is_empty() || !self.packed.is_empty()
    }

    /// Whether a fact has what the filters ask for.
    pub(super) fn admits(&self, told: &Told) -> bool {
        self.filters.iter().all(|filter| {
            let value = told.dimension(filter.dimension);
            filter.values >> value & 1 != 0
        })
    }

    /// Whether what has these parts can add anything, or two facts that differ in them can differ in what they add:
    /// publications alone are read by most aggregates, and most slots are not published yet.
    #[inline]
    pub(super) const fn reads(&self, parts: Parts) -> bool {
        self.reads.meets(parts)
    }

    /// What a fact adds, column by column; `false` if nothing.
    #[inline]
    pub(super) fn measure(&self, told: &Told, sums: &mut [i64]) -> bool {
        let mut any = 0;
        for (sum, measure) in sums.iter_mut().zip(&self.measures) {
            *sum = told.measure(*measure);
            any |= *sum;
        }
        if any != 0 && !self.quantiles.is_empty() {
            let histogram = &mut sums[self.measures.len()..];
            histogram.fill(0);
            if let Some(bucket) = told.wait_days().and_then(waits::bucket) {
                histogram[bucket] = 1;
            }
        }
        any != 0
    }

    /// Where an event counts, of a booking as it is described; `None` where no measure counts it.
    #[inline]
    pub(super) fn columns_of(&self, event: Event, described: &Publication) -> Option<Columns<'_>> {
        let measures = &self.by_event[event as usize][..];
        let is_same_day = described.wait == WaitingBand::SameDay;
        if !measures
            .iter()
            .any(|column| is_same_day || !column.for_same_day)
        {
            return None;
        }
        let asks_waits = event == Event::Booked && !self.quantiles.is_empty();
        let wait = described.wait_days.filter(|_| asks_waits);
        Some(Columns {
            measures,
            is_same_day,
            wait: wait
                .and_then(waits::bucket)
                .map(|bucket| self.measures.len() + bucket),
        })
    }

    #[inline]
    pub(super) fn pack(&self, told: &Told) -> u64 {
        self.packed.iter().fold(0, |key, place| {
            key | told.dimension(place.dimension) << place.shift
        })
    }

    /// The names and values that a packed key stands for.
    #[must_use]
    pub fn labels(
        &self,
        packed: u64,
    ) -> impl ExactSizeIterator<Item = (&'static str, &'static str)> {
        self.packed.iter().map(move |place| {
            let value = usize::try_from(packed >> place.shift & place.mask).unwrap_or(0);
            let value = place.values.get(value).copied().unwrap_or("");
            (place.dimension.label(), value)
        })
    }

    /// The inverse of [`Self::labels`]; `None` if the labels are not this aggregate's.
    #[must_use]
    pub fn pack_labels<'a>(
        &self,
        mut labels: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    ) -> Option<u64> {
        if labels.len() != self.packed.len() {
            return None;
        }
        self.packed.iter().try_fold(0, |key, place| {
            let (_, value) = labels
                .next()
                .filter(|(name, _)| *name == place.dimension.label())?;
            let value = place.values.iter().position(|found| *found == value)?;
            Some(key | (value as u64) << place.shift)
        })
    }

    /// Shares and quantiles of a row's sums; none where the denominator is 0, or nothing waited.
    pub fn ratios_of<'a>(&'a self, sums: &'a [i64]) -> impl Iterator<Item = (Arc<str>, f64)> + 'a {
        let shares = self.shares.iter().zip(&self.share_parts);
        let shares = shares.filter(move |(_, (_, over))| sums[*over] != 0).map(
            move |(share, (of, over))| (share.name.clone(), sums[*of] as f64 / sums[*over] as f64),
        );
        let waits = &sums[self.measures.len()..];
        let quantiles = self.quantiles.iter().filter_map(move |quantile| {
            let value = waits::quantile(waits, quantile.tenths())?;
            Some((quantile.label().into(), value))
        });
        shares.chain(quantiles)
    }

    /// What [`Self::ratios_of`] can name.
    pub fn ratio_labels(&self) -> impl Iterator<Item = &str> {
        let shares = self.shares.iter().map(|share| &*share.name);
        shares.chain(self.quantiles.iter().map(|quantile| quantile.label()))
    }
}

/// The columns of measures that count an event.
fn columns_of(event: Event, measures: &[Measure]) -> Vec<Column> {
    let counted_as = match event {
        Event::Booked => Measure::Bookings,
        Event::Cancelled => Measure::Cancellations,
        Event::Arrived => Measure::Arrivals,
        Event::Attended => Measure::Attended,
        Event::Dna => Measure::Dna,
    };
    let all = measures.iter().enumerate().filter_map(|(at, measure)| {
        let for_same_day = event == Event::Booked && *measure == Measure::BookingsSameDay;
        (for_same_day || *measure == counted_as).then_some(Column { at, for_same_day })
    });
    all.collect()
}

fn minute(minutes: i32) -> Timestamp {
    Timestamp(i64::from(minutes) * 60_000)
}

const fn gcd(one: i32, other: i32) -> i32 {
    if other == 0 {
        one
    } else {
        gcd(other, one % other)
    }
}

const fn bits_for(values: usize) -> u32 {
    usize::BITS - (values - 1).leading_zeros()
}

/// Every aggregate of a configuration, in declared order.
#[derive(Debug, Clone, Default)]
pub struct AggregatePlan {
    pub aggregates: Vec<Aggregate>,
}

impl AggregatePlan {
    /// Checks and compiles.
    ///
    /// # Errors
    /// The first declaration that does not hold together, by name.
    pub fn compile(declarations: &[Declaration]) -> Result<Self, PlanError> {
        let mut aggregates: Vec<Aggregate> = Vec::with_capacity(declarations.len());
        for declaration in declarations {
            if aggregates
                .iter()
                .any(|known| *known.name == *declaration.name)
            {
                return Err(PlanError::Repeated(declaration.name.clone()));
            }
            aggregates.push(Aggregate::compile(declaration)?);
        }
        Ok(Self { aggregates })
    }

    /// Whether any aggregate follows event time: what it needs is kept for none else.
    #[must_use]
    pub fn follows_events(&self) -> bool {
        self.aggregates.iter().any(Aggregate::follows_events)
    }

    /// The aggregate of a name, with its index.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(usize, &Aggregate)> {
        self.aggregates
            .iter()
            .enumerate()
            .find(|(_, aggregate)| &*aggregate.name == name)
    }
}
