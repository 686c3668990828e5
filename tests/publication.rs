//! What was published, from what was published beside it: coverage and the estimated total, month by month.

use std::collections::BTreeMap;
use std::path::Path;

use gpad_live::publication::{Covered, estimated_total};

fn rows(file: &str) -> impl Iterator<Item = BTreeMap<String, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(file);
    let reader = csv::Reader::from_path(path).expect("the published file");
    reader
        .into_deserialize()
        .map(|row| row.expect("a row of the published file"))
}

/// Metrics of the summaries by month; of two editions of a month the earlier, which has the estimate.
fn summaries() -> BTreeMap<String, BTreeMap<String, i64>> {
    let mut months: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for row in rows("national_summary_2021-02_2025-12.csv") {
        if row["unit"] == "count" {
            let value = row["value"].parse().expect("a count");
            let metrics = months.entry(row["month"].clone()).or_default();
            metrics.entry(row["metric"].clone()).or_insert(value);
        }
    }
    months
}

fn covered(metrics: &BTreeMap<String, i64>) -> Covered {
    Covered {
        included_practices: metrics["Count of practices included"],
        open_practices: metrics["Open active practices"],
        included_patients: metrics["Registered patients at included practices"],
        open_patients: metrics["Registered patients at open active practices"],
    }
}

/// The coverage file added up, by month as the summaries name it.
fn coverage() -> BTreeMap<String, Covered> {
    let mut months: BTreeMap<String, Covered> = BTreeMap::new();
    let number = |name: &str| {
        let names = [
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ];
        1 + names
            .iter()
            .position(|month| *month == name)
            .expect("a month")
    };
    for row in rows("coverage_2020-08_2023-01.csv") {
        let date = &row["Appointment_Month"];
        let month = format!("{}-{:02}", &date[5..], number(&date[2..5]));
        let of = |column: &str| -> i64 { row[column].parse().expect("a count") };
        let sum = months.entry(month).or_default();
        *sum = Covered::total(&[
            *sum,
            Covered {
                included_practices: of("Included Practices"),
                open_practices: of("Open Practices"),
                included_patients: of("Patients registered at included practices"),
                open_patients: of("Patients registered at open practices"),
            },
        ]);
    }
    months
}

#[test]
fn every_published_estimate_comes_out_of_its_total_and_coverage() {
    let (mut estimates, mut named) = (0, BTreeMap::new());
    for (month, metrics) in &summaries() {
        let total = metrics["Total count of appointments"];
        let ours = estimated_total(total, &covered(metrics)).expect("some practices are included");
        let published = metrics.get("Estimated England total count of appointments");
        if let Some(published) = published {
            assert_eq!(ours, *published, "{month}");
            estimates += 1;
            named.insert(month.clone(), ours);
        } else {
            // From August 2023 on the estimate is no longer published: it is the total within half a per cent.
            assert!(
                (total..=total + total / 200 + 10_000).contains(&ours),
                "{month}"
            );
        }
    }
    assert_eq!(estimates, 30, "of 59 months");
    assert_eq!(named["2021-02"], 22_510_000);
    assert_eq!(named["2021-10"], 30_400_000);
    assert_eq!(named["2022-10"], 32_050_000);
}

#[test]
fn coverage_by_sub_icb_adds_up_to_the_summaries_of_its_edition() {
    let (coverage, summaries) = (coverage(), summaries());
    assert_eq!(coverage.len(), 30);
    let both: Vec<_> = (coverage.iter())
        .filter_map(|(month, by_sub_icb)| Some((month, by_sub_icb, summaries.get(month)?)))
        .collect();
    assert_eq!(both.len(), 24);
    for (month, by_sub_icb, metrics) in both {
        let summary = covered(metrics);
        assert_eq!(by_sub_icb.open_practices, summary.open_practices, "{month}");
        assert_eq!(by_sub_icb.open_patients, summary.open_patients, "{month}");
        if month.as_str() <= "2022-06" {
            assert_eq!(*by_sub_icb, summary, "{month}");
            let total = metrics["Total count of appointments"];
            let estimate = metrics["Estimated England total count of appointments"];
            assert_eq!(
                estimated_total(total, by_sub_icb),
                Some(estimate),
                "{month}"
            );
        } else {
            // A later edition includes up to five practices more: months are restated (domain.md §3.6).
            let more = summary.included_practices - by_sub_icb.included_practices;
            assert!((1..=5).contains(&more), "{month}: {more}");
            assert!(
                summary.included_patients > by_sub_icb.included_patients,
                "{month}"
            );
        }
    }
}
