//! What `deploy/` ships: checked by the tools that will read it.

#[path = "deploy/documents.rs"]
mod documents;
#[path = "deploy/grafana.rs"]
mod grafana;
#[path = "deploy/live.rs"]
mod live;
#[path = "deploy/manifests.rs"]
mod manifests;
#[path = "support/printed.rs"]
mod printed;
#[path = "deploy/tools.rs"]
mod tools;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpad_live::adapters::metrics::Budget;
use gpad_live::config::aggregates;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn prometheus(file: &str) -> PathBuf {
    root().join("deploy/prometheus").join(file)
}

fn promtool(arguments: &[&str], files: &[&str]) {
    let output = Command::new("promtool")
        .args(arguments)
        .args(files.iter().map(|file| prometheus(file)))
        .output()
        .expect("promtool: tests/run installs it with the package prometheus");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{told}");
}

#[test]
fn rules_are_rules() {
    promtool(&["check", "rules"], &["alerts.yml", "recording.yml"]);
}

#[test]
fn the_configuration_of_prometheus_is_one() {
    promtool(&["check", "config"], &["prometheus.yml"]);
}

#[test]
fn alerts_fire_when_they_should_and_not_otherwise() {
    promtool(&["test", "rules"], &["alerts.test.yml"]);
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).expect("a readable file")
}

/// Words that begin with `gpad_` in the expressions.
fn metrics_of(rules: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = rules.split(|letter| !is_part(letter));
    words
        .filter(|word| word.starts_with("gpad_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_that_a_rule_names_is_told() {
    let plan = aggregates::plan(None).expect("the defaults compile");
    let budget = Budget::of(&plan, 100_000).expect("room for all");
    let told: BTreeSet<&str> = budget.by_metric.iter().map(|(name, _)| *name).collect();
    let rules = text("deploy/prometheus/alerts.yml") + &text("deploy/prometheus/recording.yml");
    let named = metrics_of(&rules);
    assert!(named.len() > 8, "{named:?}");
    for name in named {
        let parts = ["_bucket", "_count", "_sum"];
        let of_histogram = parts.iter().find_map(|part| name.strip_suffix(part));
        assert!(
            told.contains(name.as_str()) || of_histogram.is_some_and(|name| told.contains(name)),
            "{name} is told by nobody"
        );
    }
}

/// As a heading's address is made.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .replace(' ', "-");
    kept.chars()
        .filter(|letter| letter.is_alphanumeric() || *letter == '-')
        .collect()
}

#[test]
fn every_alert_has_its_section_of_the_runbook() {
    let runbook = text("docs/operations.md");
    let sections: BTreeSet<String> = runbook
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(anchor)
        .collect();
    let alerts = text("deploy/prometheus/alerts.yml");
    let count = |word: &str| alerts.matches(word).count();
    assert_eq!(count("- alert:"), count("runbook: docs/operations.md#"));
    for line in alerts.lines() {
        if let Some((_, section)) = line.split_once("runbook: docs/operations.md#") {
            assert!(sections.contains(section), "no section {section}");
        }
    }
}
