//! Grafana's dashboards as what they ask Prometheus for.

use std::fs;
use std::path::Path;
use std::process::Command;

use gpad_live::config::aggregates;
use serde_json::Value;

use super::tools::{fetched, succeeds};

/// One query of a panel, with variables.
pub struct Query {
    pub panel: String,
    pub expr: String,
    pub legend: String,
}

pub struct Dashboard {
    pub file: String,
    content: Value,
}

/// All that are shipped.
pub fn dashboards(root: &Path) -> Vec<Dashboard> {
    let folder = root.join("deploy/grafana/dashboards");
    let files = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| Dashboard {
        file: path.file_name().expect("a name").to_string_lossy().into(),
        content: serde_json::from_str(&fs::read_to_string(path).expect("text")).expect("JSON"),
    };
    paths.iter().map(read).collect()
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn word<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

impl Dashboard {
    pub fn queries(&self) -> Vec<Query> {
        let panels = list(&self.content, "panels").iter();
        panels
            .flat_map(|panel| list(panel, "targets").iter().map(move |it| (panel, it)))
            .map(|(panel, target)| Query {
                panel: format!("{}, {:?}", self.file, word(panel, "title")),
                expr: word(target, "expr").to_owned(),
                legend: word(target, "legendFormat").to_owned(),
            })
            .collect()
    }

    fn variables(&self) -> &[Value] {
        list(&self.content["templating"], "list")
    }

    /// Of a variable that lists its values itself.
    pub fn values_of(&self, name: &str) -> Vec<&str> {
        let found = self.variables().iter().find(|it| word(it, "name") == name);
        let variable = found.unwrap_or_else(|| panic!("{} has no variable {name}", self.file));
        let options = list(variable, "options").iter();
        let values: Vec<_> = options.map(|option| word(option, "value")).collect();
        assert_eq!(values.join(","), word(variable, "query"), "{name}");
        assert!(
            values.contains(&word(&variable["current"], "value")),
            "{name}"
        );
        values
    }

    /// Of the variables that ask Prometheus: the series, and the label that values are taken from.
    pub fn asked_for(&self) -> Vec<(String, String)> {
        let queries = self
            .variables()
            .iter()
            .filter(|it| word(it, "type") == "query");
        queries
            .map(|variable| {
                let query = word(&variable["query"], "query");
                let inner = query.strip_prefix("label_values(").expect("label_values");
                let (series, label) = inner.trim_end_matches(')').rsplit_once(", ").expect("two");
                (series.to_owned(), label.to_owned())
            })
            .collect()
    }
}

/// As Grafana fills variables in, over a minute, with a sample every two seconds.
pub fn filled_in(text: &str, level: &str, window: &str) -> String {
    let text = text
        .replace("$__rate_interval", "30s")
        .replace("$__range", "60s");
    let text = text.replace("$instance", ".*").replace("$code", ".*");
    let text = text.replace("$level", level).replace("$window", window);
    assert!(
        !text.contains('$'),
        "a variable that nothing fills in: {text}"
    );
    text
}

/// `{{label}}` in a legend.
pub fn labels_of(legend: &str) -> Vec<&str> {
    let parts = legend.split("{{").skip(1);
    parts
        .map(|part| part.split("}}").next().unwrap_or(part).trim())
        .collect()
}

fn files() -> Vec<String> {
    let all = dashboards(super::root());
    assert!(all.len() > 1);
    let path = |it: &Dashboard| format!("deploy/grafana/dashboards/{}", it.file);
    all.iter().map(path).collect()
}

#[test]
fn the_dashboards_have_the_keys_and_types_of_grafanas_own_schema() {
    let mut check = Command::new("node");
    let check = check.arg("tests/deploy/dashboards.mjs").arg(fetched(""));
    succeeds(check.args(files()));
}

#[test]
fn the_dashboards_are_read_and_written_again_without_a_loss() {
    let mut check = Command::new(fetched("venv/bin/python"));
    succeeds(check.arg("tests/deploy/dashboards.py").args(files()));
}

#[test]
fn the_dashboards_choices_are_those_that_figures_have() {
    let plan = aggregates::plan(None).expect("the defaults compile");
    let mut pressure = plan.aggregates.iter().filter(|it| *it.name == *"pressure");
    let windows = pressure.next().expect("a default").window_labels();
    let all = dashboards(super::root());
    let figures = all
        .iter()
        .find(|it| it.file == "figures.json")
        .expect("it is there");
    assert_eq!(figures.values_of("window"), windows);
}

#[test]
fn the_table_of_places_names_every_region_and_icb_of_the_register() {
    let all = dashboards(super::root());
    let figures = all
        .iter()
        .find(|it| it.file == "figures.json")
        .expect("it is there");
    let table = list(&figures.content, "panels")
        .iter()
        .find(|it| word(it, "type") == "table");
    let overrides = list(&table.expect("a table")["fieldConfig"], "overrides").iter();
    let names = overrides
        .flat_map(|it| list(it, "properties"))
        .find(|property| word(property, "id") == "mappings");
    let names = &names.expect("names")["value"][0]["options"];
    let register = super::root().join("deploy/reference/practice_mapping_2025-08.csv");
    let mut register = csv::Reader::from_path(register).expect("a readable file");
    let heads = register.headers().expect("a head").clone();
    let column = |name: &str| {
        heads
            .iter()
            .position(|head| head == name)
            .expect("a column")
    };
    let places =
        ["REGION", "ICB"].map(|at| (column(&format!("{at}_CODE")), column(&format!("{at}_NAME"))));
    let mut rows = 0;
    for row in register.records() {
        let row = row.expect("a row");
        for (code, name) in places {
            let name = row[name].replace(" Integrated Care Board", " ICB");
            assert_eq!(names[&row[code]]["text"], name, "{}", &row[code]);
        }
        rows += 1;
    }
    assert!(rows > 6_000, "{rows}");
}
