//! Flaws of the data behind a place's figures, day by day.

use std::collections::{BTreeMap, HashMap};

use super::{Figures, State};
use crate::analysis::score::Flaws;
use crate::domain::aggregate::Dimension;
use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::Day;
use crate::domain::topic::Supplier;
use crate::engine::plan::Aggregate;

const QUALITY: &str = "quality";

/// The aggregate `quality`, if it is declared as the score needs it: by practice and supplier.
#[must_use]
pub fn aggregate(figures: &Figures) -> Option<(usize, &Aggregate)> {
    let (at, aggregate) = figures.plan.find(QUALITY)?;
    let by_supplier = aggregate.dimensions().eq([Dimension::Supplier]);
    let fits = by_supplier && aggregate.has_practice() && aggregate.has_supplier();
    fits.then_some((at, aggregate))
}

/// Where the rows lie that a level's flaws are worked out from.
#[must_use]
pub const fn read_at(level: Level) -> Level {
    match level {
        Level::Supplier | Level::England => Level::Supplier,
        Level::Practice | Level::Pcn | Level::SubIcb | Level::Icb | Level::Region => {
            Level::Practice
        }
    }
}

/// One row's flaws: whose system, where.
pub struct Flawed<'s> {
    pub day: Day,
    /// As the row has it: the practice or the supplier.
    pub code: &'s str,
    pub supplier: Supplier,
    pub flaws: Flaws,
}

/// The rows of the days `[from, to]` by practice, or by supplier.
pub fn rows<'s>(
    state: &'s State,
    (at, aggregate): (usize, &'s Aggregate),
    level: Level,
    from: Day,
    to: Day,
) -> impl Iterator<Item = Flawed<'s>> {
    // A page reads a month of England: four packed keys, unpacked once.
    let packed = |supplier: &Supplier| {
        let label = (Dimension::Supplier.label(), supplier.label());
        aggregate.pack_labels([label].into_iter())
    };
    let packed = Supplier::ALL.map(|supplier| packed(&supplier));
    let rows = state.rows(at, level, from, to);
    rows.filter_map(move |(key, held)| {
        let of = packed
            .iter()
            .position(|packed| *packed == Some(key.dimensions))?;
        let supplier = Supplier::ALL[of];
        let mut flaws = Flaws::default();
        for (measure, count) in aggregate.measures.iter().zip(&held.sums) {
            flaws.add(supplier, *measure, *count);
        }
        Some(Flawed {
            day: Day(key.window),
            code: &key.code,
            supplier,
            flaws,
        })
    })
}

/// Flaws by place, worked out a day at a time and kept: windows overlap.
pub struct Beside<'s> {
    state: &'s State,
    aggregate: Option<(usize, &'s Aggregate)>,
    level: Level,
    days: HashMap<Day, BTreeMap<&'s str, Flaws>>,
}

impl<'s> Beside<'s> {
    /// Nothing is found where `quality` is not declared as the score needs it.
    #[must_use]
    pub fn new(figures: &'s Figures, state: &'s State, level: Level) -> Self {
        Self {
            state,
            aggregate: aggregate(figures),
            level,
            days: HashMap::new(),
        }
    }

    /// Flaws of a place over the days `[from, to]`; `None` where nothing is known of it.
    pub fn of(&mut self, code: &str, from: Day, to: Day) -> Option<Flaws> {
        let mut sum: Option<Flaws> = None;
        for day in from.0..=to.0 {
            let flaws = self.day(Day(day)).get(code).copied();
            if let Some(flaws) = flaws {
                sum.get_or_insert_default().merge(&flaws);
            }
        }
        sum
    }

    /// Every place of the level that has rows on a day. A practice lies where the register has it on that day.
    pub fn day(&mut self, day: Day) -> &BTreeMap<&'s str, Flaws> {
        let (state, aggregate, level) = (self.state, self.aggregate, self.level);
        self.days.entry(day).or_insert_with(|| {
            let mut places: BTreeMap<&'s str, Flaws> = BTreeMap::new();
            let Some(aggregate) = aggregate else {
                return places;
            };
            for row in rows(state, aggregate, read_at(level), day, day) {
                let code = match level {
                    Level::Supplier | Level::Practice => row.code,
                    Level::England => ENGLAND,
                    Level::Pcn | Level::SubIcb | Level::Icb | Level::Region => {
                        let place = state.place_on(row.code, day);
                        place.map_or("", |place| place.code(level))
                    }
                };
                places.entry(code).or_default().merge(&row.flaws);
            }
            places
        })
    }
}
