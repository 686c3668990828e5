//! The figures of now as a gauge: each aggregate's window that holds now, summed over its dimensions.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::GaugeVec;

use super::budget::LEVELS;
use crate::adapters::figures::Figures;
use crate::domain::place::Level;
use crate::domain::time::Timestamp;

pub fn tell(figures: &Figures, now: Timestamp, gauge: &GaugeVec) {
    let today = now.london_day();
    let state = figures.read();
    for (at, aggregate) in figures.plan.aggregates.iter().enumerate() {
        let window = aggregate.window.start(today);
        for (level, most) in LEVELS {
            let has_level = match level {
                Level::Supplier => aggregate.has_supplier(),
                Level::Practice
                | Level::Pcn
                | Level::SubIcb
                | Level::Icb
                | Level::Region
                | Level::England => aggregate.above_practice().contains(&level),
            };
            if !has_level {
                continue;
            }
            let mut sums: BTreeMap<&Arc<str>, Vec<i64>> = BTreeMap::new();
            for (key, held) in state.rows(at, level, window, window) {
                let sums = sums
                    .entry(&key.code)
                    .or_insert_with(|| vec![0; held.sums.len()]);
                for (sum, figure) in sums.iter_mut().zip(&held.sums) {
                    *sum += figure;
                }
            }
            for (code, sums) in sums.into_iter().take(most) {
                let set = |measure: &str, value: f64| {
                    let labels = [
                        &*aggregate.name,
                        aggregate.window.label(),
                        level.label(),
                        code,
                        measure,
                    ];
                    gauge.with_label_values(&labels).set(value);
                };
                for (measure, sum) in aggregate.measures.iter().zip(&sums) {
                    set(measure.label(), *sum as f64);
                }
                for (ratio, value) in aggregate.ratios_of(&sums) {
                    set(ratio, value);
                }
            }
        }
    }
}
