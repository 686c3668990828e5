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
    let minute = i32::try_from(now.0.div_euclid(60_000)).unwrap_or(i32::MAX);
    let state = figures.read();
    let windows = figures
        .plan
        .aggregates
        .iter()
        .enumerate()
        .flat_map(|(at, aggregate)| {
            let labels = aggregate.window_labels().into_iter().enumerate();
            labels.map(move |(of, label)| (at, aggregate, of, label))
        });
    for (at, aggregate, of, label) in windows {
        // The last window of event time that has ended: it is whole.
        let window = match aggregate.rolling.get(of) {
            None => aggregate.window.start(today).0,
            Some(rolling) => minute.div_euclid(rolling.step) * rolling.step,
        };
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
            for (key, held) in state.rows_of(at, (level, of), window, window) {
                let sums = sums
                    .entry(&key.code)
                    .or_insert_with(|| vec![0; held.sums.len()]);
                for (sum, figure) in sums.iter_mut().zip(&held.sums) {
                    *sum += figure;
                }
            }
            for (code, sums) in sums.into_iter().take(most) {
                let set = |measure: &str, value: f64| {
                    let labels = [&*aggregate.name, &*label, level.label(), code, measure];
                    gauge.with_label_values(&labels).set(value);
                };
                for (measure, sum) in aggregate.measures.iter().zip(&sums) {
                    set(measure.label(), *sum as f64);
                }
                for (ratio, value) in aggregate.ratios_of(&sums) {
                    set(&ratio, value);
                }
            }
        }
    }
}
