//! A month of every practice: its counts, where it lies, how many patients it has.

use std::collections::BTreeMap;

use axum::http::StatusCode;

use crate::adapters::figures::State as Held;
use crate::adapters::http::App;
use crate::adapters::http::problem::Problem;
use crate::analysis::dispersion::Point;
use crate::analysis::variation::{Counts, Indicator};
use crate::domain::aggregate::{Dimension, Measure};
use crate::domain::calendar::working_weekdays_between;
use crate::domain::place::{Level, Place};
use crate::domain::time::{Day, Month};
use crate::domain::vocabulary::{PublishedStatus, WaitingBand};
use crate::engine::plan::Aggregate;

pub const AGGREGATE: &str = "practice_month";

pub struct PracticeMonth {
    pub counts: Counts,
    /// By the register's row in force on the month's last day.
    pub place: Place,
    pub patients: Option<i64>,
}

/// Every practice that has an appointment in the month.
pub struct Practices {
    pub month: Month,
    pub is_over: bool,
    /// Of the month, or of its days up to today.
    pub working_weekdays: u32,
    /// Of the whole month.
    all_weekdays: u32,
    by_code: BTreeMap<String, PracticeMonth>,
}

/// Why a practice has no value.
pub type Why = &'static str;

/// Which columns of a row are which counts.
struct Columns {
    appointments: usize,
    unmapped: usize,
    numerator: usize,
    denominator: usize,
}

impl Practices {
    /// Without a month, the latest that has anything.
    ///
    /// # Errors
    /// The aggregate is not declared, or has nothing of the month.
    pub fn of(app: &App, state: &Held, month: Option<Month>, today: Day) -> Result<Self, Problem> {
        let (at, aggregate, columns) = declared(app).ok_or_else(|| {
            let why = format!(
                "variation needs the aggregate `{AGGREGATE}` as deploy/aggregates.toml declares it"
            );
            Problem::new(StatusCode::NOT_FOUND, why)
        })?;
        let none = |why: String| Problem::new(StatusCode::NOT_FOUND, why);
        let month = match month {
            Some(month) => month,
            None => (state.latest_window(at, Level::Practice, today))
                .ok_or_else(|| none("month: no practice has an appointment yet".to_owned()))?
                .month(),
        };
        let (first, last) = (month.first_day(), month.last_day());
        if let Some(held) = state.held_from(at, (Level::Practice, 0))
            && held > first.0
        {
            let held = Day(held).month().label();
            let why = format!(
                "month: {} is no longer held here, {held} is the first; the topic gpad.aggregates.{AGGREGATE} has it",
                month.label()
            );
            return Err(none(why));
        }
        let mut by_code: BTreeMap<String, PracticeMonth> = BTreeMap::new();
        for (key, held) in state.rows(at, Level::Practice, first, first) {
            let counts = counts(aggregate, &columns, key.dimensions, &held.sums);
            if let Some(known) = by_code.get_mut(&*key.code) {
                known.counts.add(&counts);
                continue;
            }
            let row = state.practice_on(&key.code, last);
            let place = row.map(|row| state.register.place(row.place).as_ref().clone());
            let practice = PracticeMonth {
                counts,
                place: place.unwrap_or_default(),
                patients: row.and_then(|row| row.registered_patients).map(i64::from),
            };
            by_code.insert(key.code.to_string(), practice);
        }
        if by_code.is_empty() {
            return Err(none(format!(
                "month: no practice has an appointment in {}",
                month.label()
            )));
        }
        Ok(Self {
            month,
            is_over: last < today,
            working_weekdays: working_weekdays_between(first, last.min(today)),
            all_weekdays: working_weekdays_between(first, last),
            by_code,
        })
    }

    #[must_use]
    pub fn find(&self, code: &str) -> Option<(&str, &PracticeMonth)> {
        let (code, practice) = self.by_code.get_key_value(code)?;
        Some((code, practice))
    }

    /// The practices of a place.
    pub fn members<'p>(
        &'p self,
        level: Level,
        code: &'p str,
    ) -> impl Iterator<Item = (&'p str, &'p PracticeMonth)> {
        let practices = self.by_code.iter();
        practices
            .filter(move |(_, practice)| !code.is_empty() && practice.place.code(level) == code)
            .map(|(code, practice)| (&**code, practice))
    }

    /// A practice's point of the funnel from the counts that may be told, or why it has none.
    pub fn point(
        &self,
        indicator: Indicator,
        practice: &PracticeMonth,
        told: impl Fn(i64) -> Option<i64>,
    ) -> Result<Point, Why> {
        const SUPPRESSED: Why = "a count is suppressed";
        let count = told(indicator.numerator(&practice.counts)).ok_or(SUPPRESSED)?;
        let size = match indicator.denominator(&practice.counts) {
            Some(0) => return Err("no appointment to take a share of"),
            Some(of) => told(of).ok_or(SUPPRESSED)? as f64,
            None => {
                let patients = practice.patients.filter(|patients| *patients > 0);
                let patients = patients.ok_or("the register has no registered patients")?;
                if self.working_weekdays == 0 {
                    return Err("the month has had no working weekday yet");
                }
                if !self.reports(count, patients) {
                    return Err(
                        "fewer than one appointment for each patient a year: does not report in full",
                    );
                }
                Indicator::exposure(patients, self.working_weekdays)
            }
        };
        Ok(Point {
            count: count as f64,
            size,
        })
    }

    /// The publication's rule of inclusion (domain.md §3.3), for the part of the month that is over.
    fn reports(&self, appointments: i64, patients: i64) -> bool {
        12 * appointments * i64::from(self.all_weekdays)
            >= patients * i64::from(self.working_weekdays)
    }
}

fn declared(app: &App) -> Option<(usize, &Aggregate, Columns)> {
    let (at, aggregate) = app.figures.plan.find(AGGREGATE)?;
    let is_month = aggregate.window == crate::domain::aggregate::Window::Month;
    let dimensions = [Dimension::Status, Dimension::WaitingBand];
    if !is_month || !aggregate.has_practice() || !aggregate.dimensions().eq(dimensions) {
        return None;
    }
    let column = |of: Measure| aggregate.measures.iter().position(|measure| *measure == of);
    let columns = Columns {
        appointments: column(Measure::Appointments)?,
        unmapped: column(Measure::Unmapped)?,
        numerator: column(Measure::TwoWeekNumerator)?,
        denominator: column(Measure::TwoWeekDenominator)?,
    };
    Some((at, aggregate, columns))
}

/// What one row adds to its practice.
fn counts(aggregate: &Aggregate, columns: &Columns, dimensions: u64, sums: &[i64]) -> Counts {
    let labels: Vec<_> = aggregate.labels(dimensions).collect();
    let is = |value: &str| labels.iter().any(|(_, label)| *label == value);
    let appointments = sums[columns.appointments];
    let those = |holds: bool| if holds { appointments } else { 0 };
    Counts {
        appointments,
        dna: those(is(PublishedStatus::Dna.label())),
        same_day: those(is(WaitingBand::SameDay.label())),
        beyond_28_days: those(is(WaitingBand::MoreThanTwentyEightDays.label())),
        two_week_numerator: sums[columns.numerator],
        two_week_denominator: sums[columns.denominator],
        unmapped: sums[columns.unmapped],
    }
}
