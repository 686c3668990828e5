//! How many series a plan can lead to, by metric: computed and printed before the first one is told.

use std::fmt;

use super::keeping::ORIGINS;
use super::{COMMIT_BUCKETS, END_TO_END_BUCKETS, Requests};
use crate::domain::disposition::{Disposition, Rejection};
use crate::domain::place::Level;
use crate::domain::topic::{ReferenceTopic, Supplier, SupplierTopic};
use crate::engine::plan::{Aggregate, AggregatePlan};

/// Levels whose figures are told as metrics, with the most codes that each may have. Reference data are data:
/// codes beyond these are not told, whatever the register says. England has 42 ICBs and 7 regions.
pub const LEVELS: [(Level, usize); 4] = [
    (Level::Icb, 64),
    (Level::Region, 16),
    (Level::England, 1),
    (Level::Supplier, Supplier::ALL.len()),
];

/// The most series of each metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub by_metric: Vec<(&'static str, usize)>,
    pub most: usize,
}

/// The plan needs more series than are allowed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the metrics of this configuration can grow to {needed} series ({0}), and metrics.series allows {allowed}: \
     declare fewer aggregates at ICB level and above, or allow more",
    budget
)]
pub struct OverBudget {
    needed: usize,
    allowed: usize,
    budget: Budget,
}

impl Budget {
    /// # Errors
    /// When they are more than `most`.
    pub fn of(plan: &AggregatePlan, most: usize) -> Result<Self, OverBudget> {
        let topics = SupplierTopic::ALL.len();
        let ends = Disposition::COUNT - 1;
        let histogram = |buckets: &[f64]| buckets.len() + 3;
        let budget = Self {
            by_metric: vec![
                ("gpad_aggregate", aggregates(plan)),
                ("gpad_aggregate_bytes", plan.aggregates.len()),
                ("gpad_backfill_remaining_seconds", 1),
                ("gpad_backfill_tasks", 1),
                ("gpad_clock_ahead_records_total", Supplier::ALL.len()),
                ("gpad_closed_timestamp_seconds", 1),
                ("gpad_commit_duration_seconds", histogram(&COMMIT_BUCKETS)),
                // The supplier topics, the deltas and the requests to read again.
                ("gpad_consumer_lag_records", topics + 2),
                ("gpad_covid_vaccination_records_total", Supplier::ALL.len()),
                ("gpad_dead_letters_total", topics * Rejection::ALL.len()),
                ("gpad_end_to_end_seconds", histogram(&END_TO_END_BUCKETS)),
                ("gpad_events_too_old_total", 1),
                Requests::MOST[0],
                Requests::MOST[1],
                ("gpad_idle_tasks", Supplier::ALL.len()),
                ("gpad_pending_records", topics),
                ("gpad_records_total", topics * ends),
                ("gpad_reference_records_total", ReferenceTopic::ALL.len()),
                ("gpad_restore_seconds", 1),
                ("gpad_restored_entries_total", ORIGINS.len()),
                ("gpad_series", 1),
                ("gpad_standby_entries", 1),
                ("gpad_standby_lag_records", 1),
                ("gpad_standby_tasks", 1),
                ("gpad_state_bytes", 1),
                ("gpad_state_entries", 1),
                ("gpad_undecided_records", topics + ReferenceTopic::ALL.len()),
                ("gpad_undecided_seconds", topics + ReferenceTopic::ALL.len()),
                ("gpad_unready_reasons", 1),
                ("gpad_watermark_timestamp_seconds", Supplier::ALL.len()),
            ],
            most,
        };
        let needed = budget.total();
        if needed > most {
            return Err(OverBudget {
                needed,
                allowed: most,
                budget,
            });
        }
        Ok(budget)
    }

    #[must_use]
    pub fn total(&self) -> usize {
        self.by_metric.iter().map(|(_, series)| series).sum()
    }
}

fn aggregates(plan: &AggregatePlan) -> usize {
    plan.aggregates.iter().map(series_of).sum()
}

/// The most series of one aggregate. Level by level: codes times figures, of the last window of each length.
#[must_use]
pub fn series_of(aggregate: &Aggregate) -> usize {
    let codes = |level: Level| {
        LEVELS
            .iter()
            .find(|(told, _)| *told == level)
            .map_or(0, |(_, most)| *most)
    };
    let above = aggregate.above_practice().iter().map(|level| codes(*level));
    let supplier = aggregate.has_supplier().then(|| codes(Level::Supplier));
    let places: usize = above.chain(supplier).sum();
    let figures = aggregate.measures.len() + aggregate.ratio_labels().count();
    places * figures * aggregate.window_labels().len()
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (metric, series)) in self.by_metric.iter().enumerate() {
            write!(f, "{}{metric} {series}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
