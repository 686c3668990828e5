//! Scenarios: what each record, and each hour that passes without one, changes in the figures.
//!
//! A script under `tests/scenarios` is a list of steps. A step is a line `INSTANT [TOPIC {fields}]`: the
//! record, its fields over the defaults of the golden cases, is extracted at the instant and taken in,
//! the core is told that it is the instant, and everything is settled. The lines `=> …` behind it are all
//! that it changes: the record's disposition, then England's figures that are not what they were,
//! appointments by status and slots by use, each with its day. A record that is extracted at another instant says so itself.
//!
//! A record of a reference topic, over the defaults too, is one more that is read. `[tell]` names what else is told:
//! `icb` (appointments by ICB and status), `mode`, `duration`, `supplier` (slots booked).
//!
//! A script that begins with `[windows]` settings plays as the running service does, to which silence means something;
//! its lines also tell how final England's capacity of a day is, and England's bookings of each whole hour.

mod feed;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use feed::{Core, Fed, ReferenceFeed, Writer, decoder, defaults, instant, ledger, over};
use gpad_live::adapters::effects;
use gpad_live::commands::plan_of;
use gpad_live::config::Settings;
use gpad_live::domain::aggregate::Span;
use gpad_live::domain::place::Level;
use gpad_live::domain::reference::Reference;
use gpad_live::domain::time::Day;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::output::AggregateValue;
use serde_json::{Value as Json, json};

const HOUR: i64 = 3_600_000;

/// England's figures, and others that are to be told, by what a script calls them.
fn figures(core: &Core, tell: &[&str]) -> BTreeMap<String, i64> {
    let mut figures = BTreeMap::new();
    for ((aggregate, level, code, day, dimensions), counts) in &core.figures {
        let of = |name: &str| {
            let dimension = dimensions.iter().find(|(found, _)| found == name);
            dimension.map_or("", |(_, value)| value.as_str())
        };
        let is_told = |name: &str| tell.contains(&name);
        let day = || Day(*day).date().expect("a day of the scenario");
        for (measure, count) in counts {
            let names = match (aggregate.as_str(), *level, measure.as_str()) {
                ("activity", "england", _) => vec![
                    Some(format!("{} {}", day(), of("status"))),
                    is_told("mode").then(|| format!("{} {}", day(), of("mode"))),
                ],
                ("activity", "icb", _) if is_told("icb") => {
                    vec![Some(format!("{} {} of {code}", day(), of("status")))]
                }
                ("duration", "england", "appointments") if is_told("duration") => {
                    vec![Some(format!("{} {}", day(), of("duration_band")))]
                }
                ("capacity", "england", measure) if measure.starts_with("slots_") => {
                    let is_booked = is_told("supplier") && measure == "slots_booked";
                    let supplier = || format!("{} {measure} of {}", day(), of("supplier"));
                    vec![
                        Some(format!("{} {measure}", day())),
                        is_booked.then(supplier),
                    ]
                }
                _ => continue,
            };
            for name in names.into_iter().flatten() {
                *figures.entry(name).or_default() += count;
            }
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

/// How England's capacity by day and bookings by hour stand, by what a script calls them.
fn standing(core: &Core) -> BTreeMap<String, String> {
    let told = core.rows.values().filter_map(|row| {
        let name = match (&*row.aggregate, row.level, row.window) {
            ("capacity", Level::England, Span::Days(from, _)) => {
                let (_, supplier) = row
                    .dimensions
                    .iter()
                    .find(|(name, _)| *name == "supplier")?;
                format!("{} of {supplier}", from.date()?)
            }
            ("pressure", Level::England, Span::Times(from, to)) => {
                let is_hour = to.0 - from.0 == HOUR && from.0 % HOUR == 0;
                is_hour.then(|| format!("the hour from {}", from.to_rfc3339()))?
            }
            _ => return None,
        };
        let mut datum = Vec::new();
        if !effects::write_value(row, None, &mut datum) {
            return None;
        }
        let value = AggregateValue::from_bytes(&datum).expect("a value");
        let published = value.published;
        let (finality, closed_by) = (published.finality.symbol(), published.closed_by.symbol());
        let bookings = value
            .figures
            .counts
            .iter()
            .find(|count| count.measure == "bookings");
        let bookings = bookings.map_or(String::new(), |count| format!("{} booked, ", count.value));
        let how = format!(
            "{bookings}{finality}, {closed_by}, revision {}",
            published.revision
        );
        Some((name, how))
    });
    told.collect()
}

/// What one step changes, as the script writes it.
fn step(
    core: &mut Core,
    (at, tells_finality, tell): (&str, bool, &[&str]),
    record: Option<(SupplierTopic, Json)>,
    reference: Option<Reference>,
    offset: i64,
) -> Vec<String> {
    let (before, stood) = (figures(core, tell), standing(core));
    let mut lines = Vec::new();
    if let Some(reference) = reference {
        core.pipeline.follow(Arc::new(reference));
    }
    if let Some((topic, mut fields)) = record {
        if fields["extracted_at"].is_null() {
            fields["extracted_at"] = json!(at);
        }
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
    lines.extend(changes(&before, &figures(core, tell)));
    if tells_finality {
        let now = standing(core).into_iter();
        let news = now.filter(|(day, how)| stood.get(day) != Some(how));
        lines.extend(news.map(|(day, how)| format!("=> {day} is {how}")));
    }
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
    let mut reference = ReferenceFeed {
        participation: all("cqrs.participation"),
        practices: all("ods.practices"),
        mappings: all("gpad.slot-type-mappings"),
    };
    let mut settings = Settings::default();
    let windows = script
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("[windows] "));
    if let Some(windows) = windows {
        let windows: toml::Table = windows.replace(", ", "\n").parse().expect("settings");
        let of = |key: &str| windows[key].as_integer().expect("a number").cast_unsigned();
        settings.windows.allowed_lateness = Duration::from_mins(of("allowed_lateness_minutes"));
        settings.windows.idle = Duration::from_secs(of("idle_seconds"));
    }
    let horizon = windows.map(|_| settings.horizon_days);
    let plan = Arc::new(plan_of(&settings, horizon).expect("the defaults compile"));
    let mut core = Core::new(&plan, Arc::new(reference.snapshot()));
    let tell = script
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("[tell] "));
    let tell: Vec<&str> = tell.map_or_else(Vec::new, |names| names.split(", ").collect());
    let mut snapshot = reference.snapshot();
    let mut played = Vec::new();
    for (offset, line) in (0..).zip(script.lines()) {
        if line.starts_with("=>") {
            continue;
        }
        played.push(line.to_owned());
        if line.is_empty() || line.starts_with('#') || line.starts_with('[') {
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let at = words.next().expect("a step begins with its instant");
        let name = words.next();
        let topic = name.and_then(SupplierTopic::from_name);
        let fields = words.next().map_or(json!({}), |text| {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}"))
        });
        let news = name.filter(|_| topic.is_none()).map(|name| {
            let before = reference.clone();
            let into = match name {
                "cqrs.participation" => &mut reference.participation,
                "ods.practices" => &mut reference.practices,
                "gpad.slot-type-mappings" => &mut reference.mappings,
                name => panic!("{name} is no topic"),
            };
            into.push(over(&defaults()[name][0], &fields));
            snapshot = reference.follow(&snapshot, &before);
            snapshot.clone()
        });
        played.extend(step(
            &mut core,
            (at, windows.is_some(), &tell),
            topic.map(|topic| (topic, fields)),
            news,
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
        let played = play(&script);
        assert_eq!(played, script, "{}\n{played}", path.display());
        scripts += 1;
    }
    assert!(scripts >= 17, "{scripts} scripts");
}
