//! The national summary, sections and metrics named as published.

use std::collections::BTreeMap;

use crate::domain::calendar::working_weekdays;
use crate::domain::time::Month;
use crate::domain::vocabulary::{
    HcpType, Mode, NationalCategory, PublishedStatus, SdsRoleGroup, ServiceSetting, WaitingBand,
};

use super::coverage::{Coverage, Covered};
use super::{Cells, Publication};

/// A metric's count, its share, or both.
pub type Metric = (Option<i64>, Option<f64>);

/// By section and metric.
pub type Summary = BTreeMap<(&'static str, &'static str), Metric>;

/// The summary of a month.
pub fn summarise(publication: &Publication, month: Month, coverage: &Coverage) -> Summary {
    let mut summary = Summary::new();
    let activity = |at: usize| by_value(&publication.activity, month, at);
    let category = |at: usize| by_value(&publication.category, month, at);
    let total: i64 = activity(0).values().sum();
    let mut section =
        |section, counts: &BTreeMap<u8, i64>, name: &dyn Fn(usize) -> &'static str| {
            let of_section: i64 = counts.values().sum();
            for (value, count) in counts {
                let metric = summary
                    .entry((section, name(usize::from(*value))))
                    .or_insert((Some(0), None));
                let count = metric.0.unwrap_or(0) + count;
                *metric = (Some(count), share(count, of_section));
            }
        };
    section(
        "Appointment Status",
        &activity(0),
        &|at| match PublishedStatus::ALL[at] {
            PublishedStatus::Attended => "Attended",
            PublishedStatus::Dna => "Did Not Attend",
            PublishedStatus::Unknown => "Unknown Status",
        },
    );
    section("Healthcare Professional", &activity(1), &|at| {
        renamed(HcpType::ALL[at].label(), "Unknown HCP")
    });
    section("Appointment Mode", &activity(2), &|at| {
        renamed(Mode::ALL[at].label(), "Unknown Mode")
    });
    section(
        "Time between Booking Date and Appointment Date",
        &activity(3),
        &|at| WaitingBand::ALL[at].label(),
    );
    section("Service Setting", &category(0), &|at| {
        renamed(ServiceSetting::ALL[at].label(), "Unmapped Service Setting")
    });
    section("National Category", &category(1), &|at| {
        renamed(
            NationalCategory::ALL[at].label(),
            "National Category Unmapped",
        )
    });
    section("Context Type", &category(1), &|at| {
        NationalCategory::ALL[at].context_type().label()
    });
    section("SDS Role Group", &category(2), &|at| {
        renamed(SdsRoleGroup::ALL[at].label(), "Unknown SDS Role Group")
    });
    add_coverage(&mut summary, total, &Covered::total(coverage.values()));
    let working = i64::from(working_weekdays(month));
    summary.insert(
        ("Working Days", "Number of working weekdays"),
        (Some(working), None),
    );
    summary.retain(|_, metric| *metric != (Some(0), None) && *metric != (None, None));
    summary
}

/// The summary names what is unknown or unmapped by its section.
fn renamed(label: &'static str, unknown: &'static str) -> &'static str {
    match label {
        "Unknown" | "Unmapped" => unknown,
        known => known,
    }
}

fn add_coverage(summary: &mut Summary, total: i64, covered: &Covered) {
    let count = |count| (Some(count), None);
    let only_share = |part, whole| (None, share(part, whole));
    summary.extend([
        (
            ("Coverage", "Count of practices included"),
            count(covered.included_practices),
        ),
        (
            ("Coverage", "Open active practices"),
            count(covered.open_practices),
        ),
        (
            ("Coverage", "Practice coverage"),
            only_share(covered.included_practices, covered.open_practices),
        ),
        (
            ("Coverage", "Registered patients at included practices"),
            count(covered.included_patients),
        ),
        (
            ("Coverage", "Registered patients at open active practices"),
            count(covered.open_patients),
        ),
        (
            ("Coverage", "Patient coverage"),
            only_share(covered.included_patients, covered.open_patients),
        ),
        (
            ("Appointment Count", "Total count of appointments"),
            count(total),
        ),
        (
            (
                "Appointment Count",
                "Estimated England total count of appointments",
            ),
            (estimated_total(total, covered), None),
        ),
    ]);
}

/// Total ÷ patient coverage, to the nearest 10,000 (domain.md §3.4); halves go up.
pub fn estimated_total(total: i64, covered: &Covered) -> Option<i64> {
    let [total, included, open] =
        [total, covered.included_patients, covered.open_patients].map(i128::from);
    if included <= 0 {
        return None;
    }
    let tens_of_thousands = (2 * total * open + 10_000 * included) / (20_000 * included);
    i64::try_from(tens_of_thousands * 10_000).ok()
}
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole != 0 && part != 0).then(|| part as f64 / whole as f64)
}

fn by_value<const N: usize>(cells: &Cells<N>, month: Month, at: usize) -> BTreeMap<u8, i64> {
    let mut counts = BTreeMap::new();
    for ((_, day, values), cell) in cells {
        if day.month() == month {
            *counts.entry(values[at]).or_default() += cell.count;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_totals_come_out_of_their_coverage() {
        // National summaries of February 2021, October 2021 and October 2022, as published.
        let february_2021 = Covered {
            included_patients: 60_314_724,
            open_patients: 60_607_094,
            ..Covered::default()
        };
        assert_eq!(
            estimated_total(22_399_569, &february_2021),
            Some(22_510_000)
        );
        let none = Covered::default();
        assert_eq!(estimated_total(22_399_569, &none), None);
        let half = Covered {
            included_patients: 1,
            open_patients: 1,
            ..Covered::default()
        };
        assert_eq!(estimated_total(4_999, &half), Some(0));
        assert_eq!(estimated_total(5_000, &half), Some(10_000));
    }
}
