//! Metrics of event time: how far suppliers have come, who is silent, up to when windows are closed.

use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};

use super::Holding;
use crate::domain::topic::Supplier;

pub struct Progress {
    watermark: GaugeVec,
    closed: Gauge,
    idle: IntGaugeVec,
    ahead: IntCounterVec,
    too_old: IntCounter,
    covid_vaccinations: IntCounterVec,
}

impl Default for Progress {
    fn default() -> Self {
        let made = "names and labels are constants that Prometheus accepts";
        let by_supplier = &["supplier"][..];
        let progress = Self {
            watermark: GaugeVec::new(
                Opts::new(
                    "gpad_watermark_timestamp_seconds",
                    "Event time up to which a supplier has sent everything, of the task that is furthest behind.",
                ),
                by_supplier,
            )
            .expect(made),
            closed: Gauge::new(
                "gpad_closed_timestamp_seconds",
                "Event time up to which windows are closed and figures final, of the task that is furthest behind; 0 before any is.",
            )
            .expect(made),
            idle: IntGaugeVec::new(
                Opts::new(
                    "gpad_idle_tasks",
                    "Tasks that nothing of a supplier has come to for windows.idle_seconds: it holds none of them back.",
                ),
                by_supplier,
            )
            .expect(made),
            ahead: IntCounterVec::new(
                Opts::new(
                    "gpad_clock_ahead_records_total",
                    "Admitted versions extracted more than windows.clock_ahead_seconds after this machine's clock.",
                ),
                by_supplier,
            )
            .expect(made),
            too_old: IntCounter::new(
                "gpad_events_too_old_total",
                "Events too old for any rolling window that is kept: changes of panes, of each stage that keeps windows.",
            )
            .expect(made),
            covid_vaccinations: IntCounterVec::new(
                Opts::new(
                    "gpad_covid_vaccination_records_total",
                    "Versions that would have been accepted and are in no figure: COVID-19 vaccinations, by their slot type, from December 2020 on.",
                ),
                by_supplier,
            )
            .expect(made),
        };
        for supplier in Supplier::ALL {
            progress.idle.with_label_values(&[supplier.label()]);
            progress.ahead.with_label_values(&[supplier.label()]);
            (progress.covid_vaccinations).with_label_values(&[supplier.label()]);
        }
        progress
    }
}

impl Progress {
    #[must_use]
    pub fn collectors(&self) -> [Box<dyn Collector>; 6] {
        [
            Box::new(self.watermark.clone()),
            Box::new(self.closed.clone()),
            Box::new(self.idle.clone()),
            Box::new(self.ahead.clone()),
            Box::new(self.too_old.clone()),
            Box::new(self.covid_vaccinations.clone()),
        ]
    }

    /// Versions came that are further ahead of the clock than is allowed.
    pub fn ahead(&self, supplier: Supplier, records: u64) {
        let counter = self.ahead.with_label_values(&[supplier.label()]);
        counter.inc_by(records);
    }

    /// Versions were taken out of every figure, being COVID-19 vaccinations.
    pub fn covid_vaccinations(&self, supplier: Supplier, records: u64) {
        let counter = (self.covid_vaccinations).with_label_values(&[supplier.label()]);
        counter.inc_by(records);
    }

    /// Events came that are too old for any window.
    pub fn too_old(&self, events: u64) {
        self.too_old.inc_by(events);
    }

    /// What the tasks of this process hold.
    pub(super) fn tell<'a>(
        &self,
        watermarks: &[(Supplier, i64, i64)],
        tasks: impl Iterator<Item = &'a Holding> + Clone,
    ) {
        for (supplier, behind, _) in watermarks {
            let mark = self.watermark.with_label_values(&[supplier.label()]);
            mark.set(*behind as f64 / 1_000.0);
        }
        for supplier in Supplier::ALL {
            let idle = tasks
                .clone()
                .filter(|task| task.watermarks.is_idle(supplier));
            let gauge = self.idle.with_label_values(&[supplier.label()]);
            gauge.set(idle.count() as i64);
        }
        let closed = tasks.map(|task| task.watermarks.closed().to).min();
        let closed = closed.flatten().map_or(0, |to| to.0);
        self.closed.set(closed as f64 / 1_000.0);
    }
}
