//! The aggregates of a configuration, checked and compiled into packed keys.

use std::sync::Arc;

use thiserror::Error;

use crate::domain::aggregate::{Basis, Declaration, Dimension, Measure, Ratio, Window};
use crate::domain::place::Level;
use crate::domain::time::Day;

use super::fact::{Differs, Fact};

/// Why a declaration cannot be compiled.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    #[error("aggregate `{0}`: the name must be 1 to 64 lower-case letters, digits or `_`")]
    Name(String),
    #[error("aggregate `{0}` is declared twice")]
    Repeated(String),
    #[error("aggregate `{name}`: `{list}` must name at least one value, and none twice")]
    List { name: String, list: &'static str },
    #[error(
        "aggregate `{name}`: dimension `{dimension}` is known of published appointments only, \
         but measure `{measure}` counts other things"
    )]
    Unfit {
        name: String,
        dimension: &'static str,
        measure: &'static str,
    },
    #[error(
        "aggregate `{name}`: ratio `{ratio}` needs the measures `{numerator}` and `{denominator}`"
    )]
    Ratio {
        name: String,
        ratio: &'static str,
        numerator: &'static str,
        denominator: &'static str,
    },
}

/// Where a dimension's value lies in a packed key.
#[derive(Debug, Clone, Copy)]
struct Packed {
    dimension: Dimension,
    shift: u32,
    mask: u64,
}

/// One aggregate, compiled.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent properties of a declaration, not states of a machine"
)]
#[derive(Debug, Clone)]
pub struct Aggregate {
    pub name: Arc<str>,
    pub window: Window,
    pub measures: Vec<Measure>,
    pub ratios: Vec<Ratio>,
    packed: Vec<Packed>,
    has_practice: bool,
    /// Levels of geography above the practice, finest first.
    above: Vec<Level>,
    has_supplier: bool,
    reads_publication: bool,
    reads_capacity: bool,
    reads_consultations: bool,
    ratio_parts: Vec<(usize, usize)>,
}

impl Aggregate {
    fn compile(declaration: &Declaration) -> Result<Self, PlanError> {
        let name = declaration.name.clone();
        check_lists(declaration)?;
        let mut shift = 0;
        let packed = declaration
            .dimensions
            .iter()
            .map(|dimension| {
                let bits = bits_for(dimension.values().len());
                let place = Packed {
                    dimension: *dimension,
                    shift,
                    mask: (1 << bits) - 1,
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
        let mut ratio_parts = Vec::new();
        for ratio in &declaration.ratios {
            let (numerator, denominator) = ratio.parts();
            let (Some(over), Some(under)) = (at(numerator), at(denominator)) else {
                return Err(PlanError::Ratio {
                    name,
                    ratio: ratio.label(),
                    numerator: numerator.label(),
                    denominator: denominator.label(),
                });
            };
            ratio_parts.push((over, under));
        }
        let mut above = declaration.levels.clone();
        above.retain(|level| !matches!(level, Level::Practice | Level::Supplier));
        above.sort_unstable();
        let reads = |basis| {
            let mut measures = declaration.measures.iter();
            measures.any(|measure| measure.basis() == basis)
        };
        Ok(Self {
            reads_publication: reads(Basis::Publication),
            reads_capacity: reads(Basis::Capacity),
            reads_consultations: reads(Basis::Consultations),
            name: declaration.name.as_str().into(),
            window: declaration.window,
            measures: declaration.measures.clone(),
            ratios: declaration.ratios.clone(),
            packed,
            has_practice: declaration.levels.contains(&Level::Practice),
            has_supplier: declaration.levels.contains(&Level::Supplier),
            above,
            ratio_parts,
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
    pub fn has_pcn(&self) -> bool {
        self.above.contains(&Level::Pcn)
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

    /// Whether a fact can add anything: publications alone are read by most aggregates, and most
    /// slots are not published yet.
    pub(super) fn concerns(&self, fact: &Fact) -> bool {
        let consulted = fact.contradictions > 0 || fact.unbooked_consultations > 0;
        self.reads_consultations && consulted
            || self.reads_capacity && fact.capacity.is_some()
            || self.reads_publication && fact.publication.is_some()
    }

    /// Whether two facts that differ so can differ in what they add here.
    pub(super) const fn reads_any(&self, differs: Differs) -> bool {
        self.reads_publication && differs.publication
            || self.reads_capacity && differs.capacity
            || self.reads_consultations && differs.consultations
    }

    /// What a fact adds, measure by measure; `false` if nothing.
    pub(super) fn measure(&self, fact: &Fact, sums: &mut [i64]) -> bool {
        let mut any = 0;
        for (sum, measure) in sums.iter_mut().zip(&self.measures) {
            *sum = fact.measure(*measure);
            any |= *sum;
        }
        any != 0
    }

    pub(super) fn pack(&self, fact: &Fact) -> u64 {
        self.packed.iter().fold(0, |key, place| {
            key | fact.dimension(place.dimension) << place.shift
        })
    }

    /// The names and values that a packed key stands for.
    #[must_use]
    pub fn labels(&self, packed: u64) -> Vec<(&'static str, &'static str)> {
        self.packed
            .iter()
            .map(|place| {
                let value = usize::try_from(packed >> place.shift & place.mask).unwrap_or(0);
                let values = place.dimension.values();
                (
                    place.dimension.label(),
                    values.get(value).copied().unwrap_or(""),
                )
            })
            .collect()
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
            let value = place
                .dimension
                .values()
                .iter()
                .position(|found| *found == value)?;
            Some(key | (value as u64) << place.shift)
        })
    }

    /// The ratios of a row's sums; none where the denominator is 0.
    #[must_use]
    pub fn ratios_of(&self, sums: &[i64]) -> Vec<(&'static str, f64)> {
        self.ratios
            .iter()
            .zip(&self.ratio_parts)
            .filter(|(_, (_, under))| sums[*under] != 0)
            .map(|(ratio, (over, under))| (ratio.label(), sums[*over] as f64 / sums[*under] as f64))
            .collect()
    }

    pub(super) fn window_of(&self, day: Day) -> Day {
        self.window.start(day)
    }
}

fn check_lists(declaration: &Declaration) -> Result<(), PlanError> {
    fn distinct<T: PartialEq>(values: &[T]) -> bool {
        values
            .iter()
            .enumerate()
            .all(|(at, value)| !values[..at].contains(value))
    }
    let name = declaration.name.clone();
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(is_plain) {
        return Err(PlanError::Name(name));
    }
    let lists = [
        (
            "levels",
            !declaration.levels.is_empty() && distinct(&declaration.levels),
        ),
        ("dimensions", distinct(&declaration.dimensions)),
        (
            "measures",
            !declaration.measures.is_empty() && distinct(&declaration.measures),
        ),
        ("ratios", distinct(&declaration.ratios)),
    ];
    if let Some((list, _)) = lists.into_iter().find(|(_, fits)| !fits) {
        return Err(PlanError::List { name, list });
    }
    let narrow = declaration
        .dimensions
        .iter()
        .find(|dimension| dimension.needs_publication());
    let wide = declaration
        .measures
        .iter()
        .find(|measure| measure.basis() != Basis::Publication);
    if let (Some(dimension), Some(measure)) = (narrow, wide) {
        return Err(PlanError::Unfit {
            name,
            dimension: dimension.label(),
            measure: measure.label(),
        });
    }
    Ok(())
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

    /// The aggregate of a name, with its index.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(usize, &Aggregate)> {
        self.aggregates
            .iter()
            .enumerate()
            .find(|(_, aggregate)| &*aggregate.name == name)
    }
}
