//! A real Prometheus with `deploy/prometheus`, and a gpad-live that it scrapes: whatever a rule or a dashboard asks is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gpad_live::adapters::clock::monotonic;
use serde_json::Value;

use super::grafana::{dashboards, filled_in, labels_of};
use super::{metrics_of, root, text};

/// A process that goes with its handle.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The demonstration, and where it is served: HOST:PORT.
fn demo(directory: &Path) -> (Process, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
        .args(["demo", "--scale", "0.0004", "--speed", "5000"])
        .args(["--address", "127.0.0.1:0", "--dir"])
        .arg(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gpad-live");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
    let process = Process(child);
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    let address = line.split("http://").nth(1).expect("an address");
    let address = address.trim().trim_end_matches('/').to_owned();
    // Whoever prints into a closed pipe would end.
    std::thread::spawn(move || said.read_to_string(&mut String::new()));
    (process, address)
}

fn get(address: &str) -> Option<String> {
    let answer = ureq::get(address).call().ok()?;
    answer.into_body().read_to_string().ok()
}

/// One series and its last value.
struct Sample {
    labels: BTreeMap<String, String>,
    value: f64,
}

struct Prometheus {
    _process: Process,
    url: String,
}

impl Prometheus {
    /// As `deploy/` has it, but for the address to scrape and how often: every two seconds.
    fn start(folder: &Path, target: &str) -> Self {
        for name in ["prometheus.yml", "alerts.yml", "recording.yml"] {
            let shipped = text(&format!("deploy/prometheus/{name}"));
            let faster = shipped.replace(": 15s", ": 2s").replace(": 10s", ": 2s");
            fs::write(folder.join(name), faster).expect("a writable folder");
        }
        fs::create_dir(folder.join("targets")).expect("a writable folder");
        let shipped = text("deploy/prometheus/targets/gpad-live.yml");
        let targets = shipped.replace("gpad-live:9464", target);
        assert!(
            targets.contains(&format!("targets: [{target}]")),
            "{targets}"
        );
        fs::write(folder.join("targets/gpad-live.yml"), targets).expect("a writable folder");
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let log = fs::File::create(folder.join("log")).expect("a writable folder");
        let child = Command::new("prometheus")
            .arg(format!(
                "--config.file={}",
                folder.join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus: tests/run installs it");
        let url = format!("http://127.0.0.1:{port}/api/v1");
        Self {
            _process: Process(child),
            url,
        }
    }

    fn json(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
        let request = ureq::get(format!("{}/{path}", self.url)).query_pairs(query.to_vec());
        let request = request.config().http_status_as_error(false).build();
        let mut answer = request.call().map_err(|error| error.to_string())?;
        let answer: Value = answer
            .body_mut()
            .read_json()
            .map_err(|error| error.to_string())?;
        if answer["status"] != "success" {
            return Err(answer["error"].as_str().unwrap_or("no answer").to_owned());
        }
        Ok(answer["data"].clone())
    }

    fn query(&self, expr: &str) -> Result<Vec<Sample>, String> {
        let data = self.json("query", &[("query", expr)])?;
        let samples = data["result"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(samples.iter().map(sample).collect())
    }
}

fn sample(of: &Value) -> Sample {
    let labels = of["metric"].as_object().into_iter().flatten();
    let labels =
        labels.map(|(label, value)| (label.clone(), value.as_str().unwrap_or("").to_owned()));
    let value = of["value"][1].as_str().and_then(|value| value.parse().ok());
    Sample {
        labels: labels.collect(),
        value: value.unwrap_or(f64::NAN),
    }
}

/// A question that must have an answer, whose series all have these labels.
struct Asked {
    by: String,
    expr: String,
    labels: BTreeSet<String>,
}

impl Asked {
    fn new<'a>(by: &str, expr: String, labels: impl IntoIterator<Item = &'a str>) -> Self {
        let labels = labels.into_iter().map(str::to_owned).collect();
        Self {
            by: by.to_owned(),
            expr,
            labels,
        }
    }

    fn fault(&self, prometheus: &Prometheus) -> Option<String> {
        let fault = match prometheus.query(&self.expr) {
            Err(error) => error,
            Ok(samples) if samples.is_empty() => "nothing is told".to_owned(),
            Ok(samples) => {
                let has_not =
                    |label: &&String| samples.iter().any(|it| !it.labels.contains_key(*label));
                let label = self.labels.iter().find(has_not)?;
                format!("no label {label}")
            }
        };
        Some(format!("{}: {}: {fault}", self.by, self.expr))
    }
}

/// `gpad_name`, `gpad_name{…}` or `up{…}`, wherever they stand in an expression.
fn selectors(expr: &str) -> Vec<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for name in metrics_of(expr).into_iter().chain(["up".to_owned()]) {
        for (at, _) in expr.match_indices(&name) {
            let rest = &expr[at + name.len()..];
            // A longer name that this one is part of is another's.
            if rest.starts_with(is_part) || expr[..at].ends_with(is_part) {
                continue;
            }
            let labels = rest.starts_with('{').then(|| rest.find('}')).flatten();
            found.push(format!("{name}{}", labels.map_or("", |end| &rest[..=end])));
        }
    }
    found
}

/// The labels of `by (…)`.
fn grouped_by(expr: &str) -> Vec<&str> {
    let lists = expr
        .split("by (")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let labels = lists.flat_map(|list| list.split(',')).map(str::trim);
    labels.filter(|label| !label.is_empty()).collect()
}

/// What alerts and recording rules stand on: every series they name is told, with every label that they group by.
fn of_rules(rules: &Value) -> Vec<Asked> {
    let groups = rules["groups"].as_array().map_or(&[][..], Vec::as_slice);
    let all = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let mut asked = Vec::new();
    for rule in all {
        let (name, expr) = (
            rule["name"].as_str().unwrap_or(""),
            rule["query"].as_str().unwrap_or(""),
        );
        assert_eq!(rule["health"], "ok", "{name}: {}", rule["lastError"]);
        let named = selectors(expr);
        assert!(!named.is_empty(), "{name} asks for nothing: {expr}");
        let labels = grouped_by(expr);
        asked.extend(
            named
                .into_iter()
                .map(|series| Asked::new(name, series, labels.iter().copied())),
        );
        if rule["type"] == "recording" {
            asked.push(Asked::new(name, name.to_owned(), []));
        }
    }
    asked
}

/// What every panel and every variable asks.
fn of_dashboards() -> Vec<Asked> {
    let mut asked = Vec::new();
    for dashboard in dashboards(root()) {
        for query in dashboard.queries() {
            assert!(!query.expr.is_empty(), "{}", query.panel);
            let expr = filled_in(&query.expr, "region", "7 d");
            asked.push(Asked::new(&query.panel, expr, labels_of(&query.legend)));
        }
        let levels = match &*dashboard.file {
            "figures.json" => dashboard.values_of("level"),
            _ => vec!["england"],
        };
        for (series, label) in dashboard.asked_for() {
            let of_level = |level: &&str| {
                Asked::new(&dashboard.file, filled_in(&series, level, "7 d"), [&*label])
            };
            asked.extend(levels.iter().map(of_level));
        }
    }
    asked
}

fn wait_for<T>(what: &str, mut holds: impl FnMut() -> Result<T, String>) -> T {
    let began = monotonic();
    loop {
        match holds() {
            Ok(value) => return value,
            Err(why) => assert!(began.elapsed() < Duration::from_mins(2), "{what}: {why}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_real_prometheus_answers_whatever_rules_and_dashboards_ask() {
    let [log, folder] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    // Killed once, so that the second has state to restore.
    let (first, address) = demo(log.path());
    wait_for("records before the kill", || {
        let metrics = get(&format!("http://{address}/metrics")).ok_or("no answer")?;
        let commits = metrics
            .lines()
            .find_map(|line| line.strip_prefix("gpad_commit_duration_seconds_count "));
        let commits = commits.and_then(|count| count.parse::<f64>().ok());
        commits
            .filter(|count| *count > 5.0)
            .ok_or("no commits".to_owned())
    });
    drop(first);
    let (_demo, address) = demo(log.path());
    let prometheus = Prometheus::start(folder.path(), &address);
    wait_for("the first scrape", || {
        let up = prometheus.query(r#"up{job="gpad-live"} == 1"#)?;
        (up.len() == 1)
            .then_some(())
            .ok_or(format!("{} are up", up.len()))
    });
    let rules = wait_for("rules", || {
        let rules = prometheus.json("rules", &[])?;
        let unknown = rules.to_string().contains(r#""health":"unknown""#);
        if unknown {
            Err("not evaluated yet".to_owned())
        } else {
            Ok(rules)
        }
    });
    let shipped = text("deploy/prometheus/alerts.yml") + &text("deploy/prometheus/recording.yml");
    let count = |word: &str| shipped.matches(word).count();
    assert_eq!(
        rules.to_string().matches(r#""health":"ok""#).count(),
        count("- alert:") + count("- record:")
    );
    let mut asked = of_rules(&rules);
    let rules_alone = asked.len();
    asked.extend(of_dashboards());
    assert!(
        rules_alone > 20 && asked.len() > rules_alone + 50,
        "{rules_alone}, {}",
        asked.len()
    );
    wait_for("an answer to each", || {
        let faults: Vec<_> = asked
            .iter()
            .filter_map(|asked| asked.fault(&prometheus))
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("\n"))
        }
    });
    // What is scraped is what is told.
    let told = get(&format!("http://{address}/metrics")).expect("an answer");
    let practices = r#"gpad_reference_records_total{topic="ods.practices"}"#;
    let of_told = told
        .lines()
        .find_map(|line| line.strip_prefix(practices))
        .expect("it is told");
    let scraped = prometheus.query(practices).expect("an answer");
    assert_eq!(Some(scraped[0].value), of_told.trim().parse().ok());
    assert!(scraped[0].value > 400.0);
}
