//! The figures in short: England, its regions and ICBs, today and this month; what the page shows and
//! `/api/v1/summary` answers.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use utoipa::ToSchema;

use super::disclosure::Disclosure;
use super::quality::told_score;
use crate::adapters::figures::known::{Slice, Within};
use crate::adapters::figures::quality::Beside;
use crate::adapters::figures::{Figures, State};
use crate::analysis::score::Flaws;
use crate::domain::aggregate::{Dimension, Finality, Measure};
use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::{Day, Timestamp};
use crate::domain::vocabulary::{HcpType, Mode, PublishedStatus, WaitingBand};
use crate::engine::plan::Aggregate;

/// Aggregates that the summary is made of; what a configuration does not declare is left out.
const ACTIVITY: &str = "activity";
const CAPACITY: &str = "capacity";
const QUALITY: &str = "quality";

/// England, its regions and ICBs: today and this month.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// The service's time, simulated in a demonstration; or the time that was asked for.
    pub now: String,
    /// The time that the figures stood at, where one was asked for.
    pub as_known_at: Option<String>,
    /// The greatest time of extraction that went in; null of a time before.
    pub as_of: Option<String>,
    /// Today, or the latest day before that has figures.
    pub day: String,
    pub day_is_today: bool,
    pub month: String,
    /// False while the committed figures are still being read.
    pub is_complete: bool,
    pub england: Place,
    /// Each region, followed by its ICBs.
    pub places: Vec<Place>,
    /// England, day by day of the month.
    pub days: Vec<DayCount>,
    /// How sure the month's rows of England are: how many are `provisional`, `final`, `restated`; `not_kept` of rows that
    /// have changed since the time asked for.
    pub finality: BTreeMap<&'static str, u64>,
    /// By supplier, this month.
    pub quality: Vec<Quality>,
}

/// A place's day and month.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = SummaryPlace)]
pub struct Place {
    pub level: &'static str,
    pub code: String,
    pub name: String,
    pub region: String,
    pub day: Block,
    pub month: Block,
}

/// What was published of some days at one place.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = SummaryBlock)]
pub struct Block {
    pub appointments: i64,
    pub status: BTreeMap<&'static str, i64>,
    pub hcp_type: BTreeMap<&'static str, i64>,
    pub mode: BTreeMap<&'static str, i64>,
    pub waiting_band: BTreeMap<&'static str, i64>,
    pub capacity: BTreeMap<&'static str, i64>,
    /// Of the data behind these figures, 0 to 100; none where nothing is known of it.
    pub quality_score: Option<f64>,
}

/// A day's appointments.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayCount {
    pub day: String,
    pub appointments: i64,
}

/// A supplier's data of the month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SupplierQuality)]
pub struct Quality {
    pub supplier: String,
    /// 0 to 100.
    pub score: Option<f64>,
    pub figures: BTreeMap<&'static str, i64>,
}

impl Block {
    fn share(&self, count: i64) -> Option<f64> {
        (self.appointments > 0).then(|| count as f64 / self.appointments as f64)
    }

    #[must_use]
    pub fn dna_rate(&self) -> Option<f64> {
        self.share(of(&self.status, PublishedStatus::Dna.label()))
    }

    #[must_use]
    pub fn same_day(&self) -> Option<f64> {
        self.share(of(&self.waiting_band, WaitingBand::SameDay.label()))
    }

    #[must_use]
    pub fn face_to_face(&self) -> Option<f64> {
        self.share(of(&self.mode, Mode::FaceToFace.label()))
    }

    #[must_use]
    pub fn by_gp(&self) -> Option<f64> {
        self.share(of(&self.hcp_type, HcpType::Gp.label()))
    }

    /// Booked ÷ offered minutes.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        let offered = of(&self.capacity, Measure::MinutesOffered.label());
        let booked = of(&self.capacity, Measure::MinutesBooked.label());
        (offered > 0).then(|| booked as f64 / offered as f64)
    }
}

/// A count by its label; none is 0.
#[must_use]
pub fn of(counts: &BTreeMap<&'static str, i64>, label: &str) -> i64 {
    counts.get(label).copied().unwrap_or(0)
}

/// The days that the two halves are of.
#[derive(Clone, Copy)]
struct Span {
    from: Day,
    day: Day,
}

impl Summary {
    /// Of the figures as they stand, or stood.
    #[must_use]
    pub fn of(figures: &Figures, state: &State, now: Timestamp) -> Self {
        let today = now.london_day();
        let activity = figures.plan.find(ACTIVITY);
        let day = activity
            .and_then(|(at, _)| state.latest_window(at, Level::England, today))
            .unwrap_or(today);
        let span = Span {
            from: day.month().first_day(),
            day,
        };
        let mut places: BTreeMap<(Level, String), Place> = BTreeMap::new();
        for level in [Level::England, Level::Region, Level::Icb] {
            if let Some((at, aggregate)) = activity {
                add_activity(state, (at, aggregate), level, span, &mut places);
            }
            if let Some((at, aggregate)) = figures.plan.find(CAPACITY) {
                add_capacity(state, (at, aggregate), level, span, &mut places);
            }
        }
        for ((level, code), place) in &mut places {
            place.level = level.label();
            state.places.name(*level, code).clone_into(&mut place.name);
            state
                .places
                .region_of(*level, code)
                .clone_into(&mut place.region);
            place.code.clone_from(code);
        }
        add_scores(figures, state, span, &mut places);
        let (days, finality) =
            activity.map_or_else(Default::default, |(at, _)| days(state, at, span));
        Self {
            now: now.to_rfc3339(),
            as_known_at: None,
            as_of: state.as_of().map(Timestamp::to_rfc3339),
            day: iso(day),
            day_is_today: day == today,
            month: day.month().label(),
            is_complete: state.is_complete,
            england: places
                .remove(&(Level::England, ENGLAND.to_owned()))
                .unwrap_or_else(|| Place {
                    level: Level::England.label(),
                    code: ENGLAND.to_owned(),
                    name: "England".to_owned(),
                    ..Place::default()
                }),
            places: in_regions(places),
            days,
            finality,
            quality: quality(state, figures, span),
        }
    }
}

/// What a summary of a time before is made of: the days of its month so far.
#[must_use]
pub fn slices(figures: &Figures, today: Day) -> Vec<Slice> {
    let levels = [Level::England, Level::Region, Level::Icb];
    let sources = [
        (ACTIVITY, &levels[..]),
        (CAPACITY, &levels[..]),
        (QUALITY, &[Level::Supplier, Level::Practice][..]),
    ];
    let slices = sources.into_iter().flat_map(|(name, levels)| {
        let found = figures.plan.find(name).map(|(at, _)| at);
        found.into_iter().flat_map(|aggregate| {
            levels.iter().map(move |level| Slice {
                aggregate,
                level: *level,
                from: today.month().first_day().0,
                to: today.0,
                within: Within::All,
            })
        })
    });
    slices.collect()
}

/// An ISO date.
#[must_use]
pub fn iso(day: Day) -> String {
    day.date().map_or_else(String::new, |date| date.to_string())
}

/// Values of a packed key, by dimension; worked out once for each key.
struct Labels<'p> {
    aggregate: &'p Aggregate,
    known: HashMap<u64, [&'static str; 4]>,
}

impl Labels<'_> {
    const TOLD: [Dimension; 4] = [
        Dimension::Status,
        Dimension::HcpType,
        Dimension::Mode,
        Dimension::WaitingBand,
    ];

    fn of(&mut self, packed: u64) -> [&'static str; 4] {
        *self.known.entry(packed).or_insert_with(|| {
            let labels: Vec<_> = self.aggregate.labels(packed).collect();
            Self::TOLD.map(|dimension| {
                labels
                    .iter()
                    .find(|(name, _)| *name == dimension.label())
                    .map_or("", |(_, value)| *value)
            })
        })
    }
}

fn add_activity(
    state: &State,
    (at, aggregate): (usize, &Aggregate),
    level: Level,
    span: Span,
    places: &mut BTreeMap<(Level, String), Place>,
) {
    let mut labels = Labels {
        aggregate,
        known: HashMap::new(),
    };
    let Some(measure) = aggregate
        .measures
        .iter()
        .position(|measure| *measure == Measure::Appointments)
    else {
        return;
    };
    for (key, held) in state.rows(at, level, span.from, span.day) {
        let place = places.entry((level, key.code.to_string())).or_default();
        let count = held.sums[measure];
        let [status, hcp_type, mode, waiting_band] = labels.of(key.dimensions);
        let is_day = key.window == span.day.0;
        for block in [Some(&mut place.month), is_day.then_some(&mut place.day)]
            .into_iter()
            .flatten()
        {
            block.appointments += count;
            let sets = [
                &mut block.status,
                &mut block.hcp_type,
                &mut block.mode,
                &mut block.waiting_band,
            ];
            for (set, label) in sets.into_iter().zip([status, hcp_type, mode, waiting_band]) {
                *set.entry(label).or_default() += count;
            }
        }
    }
}

fn add_capacity(
    state: &State,
    (at, aggregate): (usize, &Aggregate),
    level: Level,
    span: Span,
    places: &mut BTreeMap<(Level, String), Place>,
) {
    for (key, held) in state.rows(at, level, span.from, span.day) {
        let place = places.entry((level, key.code.to_string())).or_default();
        let is_day = key.window == span.day.0;
        for block in [Some(&mut place.month), is_day.then_some(&mut place.day)]
            .into_iter()
            .flatten()
        {
            for (measure, count) in aggregate.measures.iter().zip(&held.sums) {
                *block.capacity.entry(measure.label()).or_default() += count;
            }
        }
    }
}

fn add_scores(
    figures: &Figures,
    state: &State,
    span: Span,
    places: &mut BTreeMap<(Level, String), Place>,
) {
    let score = |flaws: Option<Flaws>, level| told_score(&flaws?, Disclosure::of(level));
    for level in [Level::England, Level::Region, Level::Icb] {
        let mut beside = Beside::new(figures, state, level);
        for ((_, code), place) in places.iter_mut().filter(|((of, _), _)| *of == level) {
            place.day.quality_score = score(beside.of(code, span.day, span.day), level);
            place.month.quality_score = score(beside.of(code, span.from, span.day), level);
        }
    }
}

type Days = (Vec<DayCount>, BTreeMap<&'static str, u64>);

fn days(state: &State, at: usize, span: Span) -> Days {
    let mut counts: BTreeMap<Day, i64> = (span.from.0..=span.from.month().last_day().0)
        .map(|day| (Day(day), 0))
        .collect();
    let mut finality = BTreeMap::from([("provisional", 0), ("final", 0), ("restated", 0)]);
    for (key, held) in state.rows(at, Level::England, span.from, span.day) {
        *counts.entry(Day(key.window)).or_default() += held.sums.first().copied().unwrap_or(0);
        let label = if held.is_taken_back {
            "not_kept"
        } else {
            label_of(held.published.finality)
        };
        *finality.entry(label).or_default() += 1;
    }
    let days = counts.into_iter().map(|(day, appointments)| DayCount {
        day: iso(day),
        appointments,
    });
    (days.collect(), finality)
}

/// As topics spell it, in lower case.
#[must_use]
pub const fn label_of(finality: Finality) -> &'static str {
    match finality {
        Finality::Provisional => "provisional",
        Finality::Final => "final",
        Finality::Restated => "restated",
    }
}

fn quality(state: &State, figures: &Figures, span: Span) -> Vec<Quality> {
    let Some((at, aggregate)) = figures.plan.find(QUALITY) else {
        return Vec::new();
    };
    let mut suppliers: BTreeMap<&str, BTreeMap<&'static str, i64>> = BTreeMap::new();
    for (key, held) in state.rows(at, Level::Supplier, span.from, span.day) {
        let counts = suppliers.entry(&key.code).or_default();
        for (measure, count) in aggregate.measures.iter().zip(&held.sums) {
            *counts.entry(measure.label()).or_default() += count;
        }
    }
    let mut beside = Beside::new(figures, state, Level::Supplier);
    let named = |(supplier, figures): (&str, _)| Quality {
        supplier: supplier.to_owned(),
        score: (beside.of(supplier, span.from, span.day))
            .and_then(|flaws| told_score(&flaws, Disclosure::of(Level::Supplier))),
        figures,
    };
    suppliers.into_iter().map(named).collect()
}

/// Regions by name, each followed by its ICBs by name.
fn in_regions(places: BTreeMap<(Level, String), Place>) -> Vec<Place> {
    let (mut regions, mut icbs): (Vec<Place>, Vec<Place>) = places
        .into_values()
        .partition(|place| place.level == Level::Region.label());
    regions.sort_by(|a, b| (&a.name, &a.code).cmp(&(&b.name, &b.code)));
    icbs.sort_by(|a, b| (&a.name, &a.code).cmp(&(&b.name, &b.code)));
    let mut ordered = Vec::with_capacity(regions.len() + icbs.len());
    for region in regions {
        let (own, others) = icbs.into_iter().partition(|icb| icb.region == region.code);
        icbs = others;
        ordered.push(region);
        ordered.extend::<Vec<Place>>(own);
    }
    ordered.extend(icbs);
    ordered
}
