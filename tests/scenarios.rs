//! Scenarios: what each record, and each hour that passes without one, changes in the figures.
//!
//! A script under `tests/scenarios` is a list of steps. A step is a line `INSTANT [TOPIC {fields}]`: the
//! record, its fields over the defaults of the golden cases, is extracted at the instant and taken in,
//! the core is told that it is the instant, and everything is settled. The lines `=> …` behind it are all
//! that it changes: the record's disposition, then England's figures that are not what they were,
//! appointments by status and slots by use, each with its day.

mod feed;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use feed::{Core, Fed, ReferenceFeed, Writer, decoder, defaults, instant, ledger, over};
use gpad_live::commands::plan_of;
use gpad_live::config::Settings;
use gpad_live::domain::time::Day;
use gpad_live::domain::topic::SupplierTopic;
use serde_json::{Value as Json, json};

/// England's figures, by what a script calls them.
fn england(core: &Core) -> BTreeMap<String, i64> {
    let mut figures = BTreeMap::new();
    for ((aggregate, level, _, day, dimensions), counts) in &core.figures {
        let day = Day(*day).date().expect("a day of the scenario");
        for (measure, count) in counts {
            let name = match (aggregate.as_str(), *level) {
                ("activity", "england") => {
                    let status = dimensions.iter().find(|(name, _)| name == "status");
                    format!("{day} {}", status.expect("activity is by status").1)
                }
                ("capacity", "england") if measure.starts_with("slots_") => {
                    format!("{day} {measure}")
                }
                _ => continue,
            };
            *figures.entry(name).or_default() += count;
        }
    }
    figures.retain(|_, count| *count != 0);
    figures
}

fn changes(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> Vec<String> {
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |figures: &BTreeMap<String, i64>, name| figures.get(name).copied().unwrap_or(0);
    names
        .into_iter()
        .map(|name| (name, of(before, name), of(after, name)))
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| format!("=> {name} {before} to {after}"))
        .collect()
}

/// What one step changes, as the script writes it.
fn step(
    core: &mut Core,
    at: &str,
    record: Option<(SupplierTopic, Json)>,
    offset: i64,
) -> Vec<String> {
    let before = england(core);
    let mut lines = Vec::new();
    if let Some((topic, mut fields)) = record {
        fields["extracted_at"] = json!(at);
        let writer = Writer::of(topic.name(), &[]);
        let fields = over(&defaults()[topic.name()], &fields);
        core.take(&Fed {
            topic,
            datum: writer.datum(&fields),
            offset,
            key: None,
            decoder: decoder(topic, &writer),
        });
        let taken = core.dispositions.last().expect("a record was taken");
        lines.push(format!("=> {}", taken.label()));
    }
    core.pipeline.advance(instant(at));
    core.settle();
    lines.extend(changes(&before, &england(core)));
    lines
}

fn play(script: &str) -> String {
    let all = |topic: &str| {
        let records = defaults()[topic]
            .as_array()
            .expect("reference defaults")
            .clone();
        records
            .iter()
            .map(|record| over(record, &json!({})))
            .collect()
    };
    let reference = ReferenceFeed {
        participation: all("cqrs.participation"),
        practices: all("ods.practices"),
        mappings: all("gpad.slot-type-mappings"),
    };
    let plan = Arc::new(plan_of(&Settings::default(), None).expect("the defaults compile"));
    let mut core = Core::new(&plan, Arc::new(reference.snapshot()));
    let mut played = Vec::new();
    for (offset, line) in (0..).zip(script.lines()) {
        if line.starts_with("=>") {
            continue;
        }
        played.push(line.to_owned());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let at = words.next().expect("a step begins with its instant");
        let topic = words
            .next()
            .map(|name| SupplierTopic::from_name(name).expect("a topic"));
        let fields = words.next().map_or(json!({}), |text| {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}"))
        });
        played.extend(step(
            &mut core,
            at,
            topic.map(|topic| (topic, fields)),
            offset,
        ));
    }
    let by_topic = ledger(&core.counts);
    let settled = by_topic.as_object().expect("an object").values();
    let settled = settled.flat_map(|counts| counts.as_object().expect("an object").values());
    let settled: i64 = settled.filter_map(Json::as_i64).sum();
    assert_eq!(
        settled,
        core.dispositions.len() as i64,
        "every record ends once"
    );
    played.join("\n") + "\n"
}

#[test]
fn every_scenario_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut scripts = 0;
    for entry in fs::read_dir(folder).expect("the scripts") {
        let path = entry.expect("a script").path();
        let script = fs::read_to_string(&path).expect("a readable script");
        assert_eq!(play(&script), script, "{}", path.display());
        scripts += 1;
    }
    assert!(scripts >= 4, "{scripts} scripts");
}
