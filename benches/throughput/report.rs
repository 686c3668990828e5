//! What the report says: medians and spread of all rounds, with what, on what.

use std::fmt::Write as _;

use super::steady::{Pace, Steady};
use super::support::proof::{machine, versions};
use super::{ALONE, BARE, Contender, Measured, SIMULATE, TASKS, WARM, WITHOUT, peers};

fn median(mut numbers: Vec<f64>) -> (f64, f64, f64) {
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len() - 1;
    (numbers[last / 2], numbers[0], numbers[last])
}

/// `–` where there is nothing to show.
fn shown((middle, low, high): (f64, f64, f64), digits: usize) -> String {
    if middle.is_nan() {
        "–".to_owned()
    } else {
        format!("{middle:.digits$} ({low:.digits$} to {high:.digits$})")
    }
}

/// The title, and what was run on what. `words`: the command's.
pub fn head(words: &[String]) -> String {
    let words: Vec<&str> = (words.iter().skip(1))
        .map(String::as_str)
        .filter(|word| *word != "--bench")
        .collect();
    let features = if cfg!(feature = "measure-without-transactions") {
        "--features measure-without-transactions "
    } else {
        ""
    };
    format!(
        "# Throughput\n\n| | |\n|---|---|\n| date | {} |\n| command | `cargo bench --bench throughput {features}-- {}` |\n\
         | versions | {} |\n| machine | {} |\n\
         | settings | defaults; one instance; {TASKS} partitions a topic; the broker's Java machine as Kafka's start script sets it |\n",
        chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
        words.join(" "),
        versions(),
        machine("release"),
    )
}

pub fn throughput(appointments: i64, contenders: &[Contender], all: &[Measured]) -> String {
    let of = |name: &str, what: &dyn Fn(&Measured) -> f64| {
        let of = all.iter().filter(|measured| measured.name == name);
        median(of.map(what).collect())
    };
    let rate = |measured: &Measured| measured.records / measured.seconds / 1e3;
    let by_process = |measured: &Measured| measured.records / measured.process / 1e3;
    let by_both =
        |measured: &Measured| measured.records / (measured.process + measured.broker) / 1e3;
    let records = of(BARE, &|measured| measured.records).0;
    let mut report = format!(
        "| input | {records:.0} records: every appointment of whole ICBs of England's February 2022, {appointments}, drawn by `simulate` |\n\n\
         Thousands of records, medians (spread) of all rounds. Who takes the records in is measured from when it has committed {WARM} of them to its last commit; the figures of `run` \
         add up to the appointments that were drawn.\n\n\
         | | a second | a core-second of the process | … and of the broker | of bare reading | cores idle | peak RSS, MiB |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    let bare = of(BARE, &rate).0;
    let names = contenders.iter().map(|contender| contender.name());
    for name in [SIMULATE, BARE].into_iter().chain(names) {
        let peak = of(name, &|measured| measured.peak.unwrap_or(f64::NAN));
        writeln!(
            report,
            "| {name} | {} | {} | {} | {:.2} | {} | {} |",
            shown(of(name, &rate), 0),
            shown(of(name, &by_process), 0),
            shown(of(name, &by_both), 0),
            of(name, &rate).0 / bare,
            shown(of(name, &|measured| measured.idle), 2),
            shown(peak, 0)
        )
        .unwrap();
    }
    if contenders.iter().any(|it| it.name() == WITHOUT) {
        let share = |what: &dyn Fn(&Measured) -> f64| {
            100.0 * (1.0 - of(ALONE, what).0 / of(WITHOUT, what).0)
        };
        writeln!(
            report,
            "\nExactly once costs {:.0} % of the records a second, {:.0} % of those a core-second of the process, {:.0} % of those of the process and the broker.",
            share(&rate),
            share(&by_process),
            share(&by_both)
        )
        .unwrap();
    }
    report
}

pub fn steady(pace: Pace, contenders: &[Contender], all: &[Steady]) -> String {
    let mut report = format!(
        "\n## At a steady rate\n\n{pace}, medians (spread) of all rounds. Latency: from the sender's call to when a committed reader is handed England's row, of {} appointments in the second third, \
         each in a row of its own. Restart: from `kill -9` and an immediate start to the first row that the new process has committed, while records go on coming; \
         afterwards every contender's rows are those of `run`, cell for cell.\n\n\
         | | records a second | latency, ms: p50 | p99 | cores: process | broker | restart, s |\n|---|---:|---:|---:|---:|---:|---:|\n",
        pace.probes(),
    );
    for contender in contenders {
        let of = |what: &dyn Fn(&Steady) -> f64, digits| {
            let of = all.iter().filter(|it| it.name == contender.name());
            shown(median(of.map(what).collect()), digits)
        };
        writeln!(
            report,
            "| {} | {} | {} | {} | {} | {} | {} |",
            contender.name(),
            of(&|it| it.rate, 0),
            of(&|it| it.latency(0.5), 0),
            of(&|it| it.latency(0.99), 0),
            of(&|it| it.process, 2),
            of(&|it| it.broker, 2),
            of(&|it| it.restart, 2),
        )
        .unwrap();
    }
    report
}

/// Versions and settings of the peers that took part.
pub fn peers(contenders: &[Contender], is_steady: bool) -> String {
    let peers: Vec<_> = (contenders.iter())
        .filter_map(|contender| match contender {
            Contender::Peer(peer) => Some(peer),
            Contender::Ours(_) => None,
        })
        .collect();
    if peers.is_empty() {
        return String::new();
    }
    let versions = peers::versions();
    let mut report = format!(
        "\nPeers: {versions}. Their rows are those of `run` with `activity` alone, cell for cell at every level.\n\n"
    );
    for peer in peers {
        write!(report, "- {}: `{}`", peer.name, peer.settings()).unwrap();
        if is_steady {
            write!(report, "; at a steady rate `{}`", peer.steady_settings()).unwrap();
        }
        report.push('\n');
    }
    report
}
