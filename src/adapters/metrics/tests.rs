//! What the metrics tell, and that it is what was promised.

use super::*;
use crate::domain::disposition::{Rejection, Withholding};
use crate::domain::time::Timestamp;

fn metrics() -> Metrics {
    let plan = crate::config::aggregates::plan(None).unwrap();
    Metrics::new(
        Arc::new(Figures::new(plan.into())),
        Clock::Fixed(Timestamp(0)),
        10_000,
    )
    .unwrap()
}

fn told(metrics: &Metrics, sample: &str) -> Option<String> {
    let text = metrics.encode(Format::Prometheus);
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{sample} ")))?;
    Some(line.rsplit_once(' ').unwrap().1.to_owned())
}

#[test]
fn records_are_counted_by_their_end_and_pending_ones_only_when_they_come_to_it() {
    let metrics = metrics();
    let topic = SupplierTopic::TppConsultations;
    let mut counts = Counts::default();
    counts.add(topic, Disposition::Pending, 3);
    counts.add(topic, Disposition::Withheld(Withholding::Declined), 2);
    counts.add(topic, Disposition::Rejected(Rejection::Misrouted), 5);
    metrics.committed(&counts, Duration::from_millis(3), None, true);
    let mut counts = Counts::default();
    counts.leave_pending(topic, Disposition::Accepted);
    metrics.committed(&counts, Duration::from_millis(3), None, true);
    let of = |disposition: &str, reason: &str| {
        told(
            &metrics,
            &format!(
                "gpad_records_total{{disposition=\"{disposition}\",reason=\"{reason}\",topic=\"tpp.consultations\"}}"
            ),
        )
    };
    assert_eq!(of("accepted", "").as_deref(), Some("1"));
    assert_eq!(of("withheld", "declined").as_deref(), Some("2"));
    assert_eq!(of("rejected", "misrouted").as_deref(), Some("5"));
    assert_eq!(of("pending", ""), None, "a state is no counter");
    assert_eq!(
        told(
            &metrics,
            "gpad_dead_letters_total{reason=\"misrouted\",topic=\"tpp.consultations\"}"
        )
        .as_deref(),
        Some("5")
    );
    assert_eq!(
        told(&metrics, "gpad_commit_duration_seconds_count").as_deref(),
        Some("2")
    );
    let mut pending = [0; 8];
    pending[topic.index()] = 2;
    metrics.holds(
        "3",
        Holding {
            pending,
            entries: 7,
            ..Holding::default()
        },
    );
    assert_eq!(
        told(
            &metrics,
            "gpad_pending_records{topic=\"tpp.consultations\"}"
        )
        .as_deref(),
        Some("2")
    );
    assert_eq!(told(&metrics, "gpad_state_entries").as_deref(), Some("7"));
    metrics.ended("3");
    assert_eq!(told(&metrics, "gpad_state_entries").as_deref(), Some("0"));
}

#[test]
fn there_are_never_more_series_than_the_budget_says() {
    let metrics = metrics();
    // Whatever is asked over HTTP, and however it is answered.
    for route in ROUTES.into_iter().chain([STREAM, "/made/up"]) {
        for status in 100..600 {
            let took = Duration::from_millis(3);
            metrics.requests().answered(Some(route), status, took);
        }
    }
    let told: usize = told(&metrics, "gpad_series").unwrap().parse().unwrap();
    let lines = metrics
        .encode(Format::Prometheus)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .count();
    assert_eq!(told, lines);
    assert!(
        told <= metrics.budget().total(),
        "{told} of {}",
        metrics.budget()
    );
}

#[test]
fn a_plan_with_more_series_than_are_allowed_is_refused_with_the_numbers() {
    let plan = crate::config::aggregates::plan(None).unwrap();
    let error = Metrics::new(Arc::new(Figures::new(plan.into())), Clock::Wall, 500)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("metrics.series allows 500"), "{error}");
    assert!(error.contains("gpad_records_total 160"), "{error}");
}

#[test]
fn what_may_come_is_there_with_zero_from_the_start() {
    let metrics = metrics();
    let zero = |sample: &str| {
        assert_eq!(told(&metrics, sample).as_deref(), Some("0"), "{sample}");
    };
    for origin in ORIGINS {
        zero(&format!(
            "gpad_restored_entries_total{{origin=\"{origin}\"}}"
        ));
    }
    for route in ROUTES.into_iter().chain([STREAM]) {
        for status in ["200", "500"] {
            let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
            zero(&format!("gpad_http_requests_total{labels}"));
        }
    }
}

#[test]
fn the_format_is_the_one_asked_for() {
    let cases = [
        (None, Format::Prometheus),
        (Some("*/*"), Format::Prometheus),
        (Some("application/openmetrics-text"), Format::OpenMetrics),
        (
            Some(
                "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ),
            Format::OpenMetrics,
        ),
        (
            Some("application/openmetrics-text;version=0.0.1;q=0.8,text/plain;version=0.0.4;q=0.5"),
            Format::Prometheus,
        ),
        (
            Some("application/openmetrics-text;q=0.2, text/plain;q=0.7"),
            Format::Prometheus,
        ),
    ];
    for (accept, format) in cases {
        assert_eq!(Format::asked(accept), format, "{accept:?}");
    }
}

#[test]
fn openmetrics_names_counters_without_their_suffix_and_ends_with_eof() {
    let metrics = metrics();
    let mut counts = Counts::default();
    counts.count(SupplierTopic::EmisAppointments, Disposition::Accepted);
    metrics.committed(&counts, Duration::from_millis(700), None, true);
    let text = metrics.encode(Format::OpenMetrics);
    assert!(text.contains("# TYPE gpad_records counter\n"));
    assert!(text.contains(
        "gpad_records_total{disposition=\"accepted\",reason=\"\",topic=\"emis.appointments\"} 1\n"
    ));
    assert!(text.contains("gpad_commit_duration_seconds_bucket{le=\"1.0\"} 1\n"));
    assert!(text.contains("# UNIT gpad_commit_duration_seconds seconds\n"));
    assert!(text.ends_with("\n# EOF\n"));
    assert!(!metrics.encode(Format::Prometheus).contains("# EOF"));
}
