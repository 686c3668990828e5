//! The groups that practices are compared with: their benchmarks, and how their practices differ.

use std::collections::HashMap;

use super::month::{PracticeMonth, Practices};
use crate::adapters::http::disclosure::Disclosure;
use crate::analysis::dispersion::{Dispersion, Point};
use crate::analysis::variation::{Indicator, benchmark};
use crate::domain::place::Level;

/// Where the variance between practices is estimated: never in a PCN, which has too few practices and is too fine for
/// its exact counts to be drawn upon.
const ESTIMATED: [Level; 4] = [Level::SubIcb, Level::Icb, Level::Region, Level::England];

/// A group of practices.
pub struct Group {
    pub level: Level,
    /// Empty where the register has none.
    pub code: String,
    /// Practices with a value.
    pub practices: usize,
    pub benchmark: Option<f64>,
    /// `None` where no group up to England has enough practices.
    pub dispersion: Option<Estimated>,
}

#[derive(Clone)]
pub struct Estimated {
    pub level: Level,
    pub code: String,
    pub of: Dispersion,
}

/// Groups, each worked out once.
pub struct Groups<'p> {
    indicator: Indicator,
    practices: &'p Practices,
    known: HashMap<(Level, String), Group>,
    estimated: HashMap<(Level, String), Option<Dispersion>>,
}

impl<'p> Groups<'p> {
    pub fn new(indicator: Indicator, practices: &'p Practices) -> Self {
        Self {
            indicator,
            practices,
            known: HashMap::new(),
            estimated: HashMap::new(),
        }
    }

    /// The group of a level that a practice belongs to.
    pub fn of(&mut self, practice: &PracticeMonth, level: Level) -> &Group {
        let key = (level, practice.place.code(level).to_owned());
        if !self.known.contains_key(&key) {
            let group = self.made(practice, level);
            self.known.insert(key.clone(), group);
        }
        &self.known[&key]
    }

    fn made(&mut self, practice: &PracticeMonth, level: Level) -> Group {
        let code = practice.place.code(level).to_owned();
        let points = self.exact(level, &code);
        let benchmark = if Disclosure::of(level).applies() {
            self.told(level, &code)
        } else {
            benchmark(&points)
        };
        let mut larger = ESTIMATED.into_iter().filter(|at| *at >= level);
        let dispersion = larger.find_map(|level| {
            let code = practice.place.code(level).to_owned();
            let of = self.dispersion(level, &code)?;
            Some(Estimated { level, code, of })
        });
        Group {
            level,
            code,
            practices: points.len(),
            benchmark,
            dispersion,
        }
    }

    fn exact(&self, level: Level, code: &str) -> Vec<Point> {
        let members = self.practices.members(level, code);
        let points = members
            .filter_map(|(_, practice)| self.practices.point(self.indicator, practice, Some).ok());
        points.collect()
    }

    /// The benchmark from the sums that may be told.
    fn told(&self, level: Level, code: &str) -> Option<f64> {
        let disclosure = Disclosure::of(level);
        let (mut numerator, mut denominator, mut exposure) = (0, 0, 0.0);
        for (_, practice) in self.practices.members(level, code) {
            if let Ok(point) = self.practices.point(self.indicator, practice, Some) {
                numerator += self.indicator.numerator(&practice.counts);
                denominator += self.indicator.denominator(&practice.counts).unwrap_or(0);
                exposure += point.size;
            }
        }
        let is_rate = self.indicator == Indicator::Rate;
        let size = if is_rate {
            exposure
        } else {
            disclosure.told(denominator)? as f64
        };
        (size > 0.0).then_some(disclosure.told(numerator)? as f64 / size)
    }

    fn dispersion(&mut self, level: Level, code: &str) -> Option<Dispersion> {
        let key = (level, code.to_owned());
        if let Some(known) = self.estimated.get(&key) {
            return *known;
        }
        let points = self.exact(level, code);
        let found = benchmark(&points)
            .and_then(|target| Dispersion::of(self.indicator.kind(), &points, target));
        self.estimated.insert(key, found);
        found
    }
}
