//! Golden cases: what arrives and what must be published, as data; a case is a file under `tests/golden`.
//!
//! A case is an object of
//!
//! * `why`: one sentence that quotes the rule;
//! * `as_of`: "now"; without it the greatest time of extraction read;
//! * `config`: the service's settings as TOML;
//! * `practices`, `participation`, `mappings`: reference records, each the fields that differ from the
//!   first default of its topic; without the list the defaults stand;
//! * `late`: the same three lists, of records that arrive after all others;
//! * `added_fields`: fields that a topic's writer has in its schema beside ours;
//! * `records`: in order, each its `topic` and the fields that differ from the topic's defaults; `key`
//!   and `at_home` where it comes from Kafka, `cut` (bytes lost) or `trailing` (bytes too many);
//! * `order_matters`: the figures depend on the order (same version, other content);
//! * `needs_readmit`: `late` lets in what was withheld, so a reader from the start sees more;
//! * `expect`: what must come out; of the sections given each is compared whole:
//!   `ledger`; `months`; `dead_letters`; `files` (a list: all lines but the header; `has` and `lacks`:
//!   lines); and `<aggregate>@<level>: <dimension>, …`, by default of England: appointments, or all
//!   measures that are not zero, by first day of the window (of event time: its end) and by the dimensions named.
//!
//! Every case runs four ways, and they must agree: the records as `replay` feeds them, one by one with
//! a settlement after each, in reverse order, and as files through `replay` itself.

mod feed;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use feed::{Core, Fed, Fields, ReferenceFeed, Writer};
use gpad_live::commands::{plan_of, replay};
use gpad_live::config::Settings;
use gpad_live::domain::reference::Reference;
use gpad_live::domain::time::{Day, Timestamp};
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::pipeline::Plan;
use gpad_live::publication::{PrintedNames, Publication};
use serde_json::{Map, Value as Json, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(path: &Path) -> Json {
    let text = fs::read_to_string(path).expect("a readable file");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

struct Case {
    json: Json,
    plan: Arc<Plan>,
    config: Option<tempfile::TempDir>,
    reference: ReferenceFeed,
    with_late: ReferenceFeed,
    fed: Vec<Fed>,
    writers: BTreeMap<SupplierTopic, Writer>,
    values: Vec<(SupplierTopic, Fields)>,
}

const KEYS: [&str; 11] = [
    "why",
    "as_of",
    "config",
    "practices",
    "participation",
    "mappings",
    "late",
    "added_fields",
    "records",
    "order_matters",
    "needs_readmit",
];

/// Keys of a record that are no fields.
const ASIDE: [&str; 5] = ["topic", "key", "at_home", "cut", "trailing"];

impl Case {
    fn of(json: Json, defaults: &Json) -> Self {
        for key in json.as_object().expect("an object").keys() {
            assert!(
                KEYS.contains(&&**key) || key == "expect",
                "unknown key `{key}`"
            );
        }
        let config = json["config"].as_str().map(|text| {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join("config.toml"), text).expect("a writable folder");
            folder
        });
        let file = config
            .as_ref()
            .map(|folder| folder.path().join("config.toml"));
        let none = std::iter::empty();
        let (settings, _) = Settings::load_with(file.as_deref(), none).expect("valid settings");
        let plan = Arc::new(plan_of(&settings, None).expect("valid aggregates"));
        let of = |list: &Json, topic: &str, else_default: bool| -> Vec<Fields> {
            let standing = defaults[topic].as_array().expect("defaults");
            match list.as_array() {
                Some(records) => records
                    .iter()
                    .map(|record| feed::over(&standing[0], record)),
                None if else_default => {
                    let whole = |record: &Json| record.as_object().expect("an object").clone();
                    return standing.iter().map(whole).collect();
                }
                None => return Vec::new(),
            }
            .collect()
        };
        let all = |from: &Json, else_default| ReferenceFeed {
            participation: of(&from["participation"], feed::PARTICIPATION, else_default),
            practices: of(&from["practices"], feed::PRACTICES, else_default),
            mappings: of(&from["mappings"], feed::MAPPINGS, else_default),
        };
        let reference = all(&json, true);
        let with_late = reference.chain(&all(&json["late"], false));
        let mut case = Self {
            plan,
            config,
            reference,
            with_late,
            fed: Vec::new(),
            writers: BTreeMap::new(),
            values: Vec::new(),
            json,
        };
        case.encode(defaults);
        case
    }

    fn encode(&mut self, defaults: &Json) {
        for topic in SupplierTopic::ALL {
            let added = self.json["added_fields"][topic.name()].as_array();
            let writer = Writer::of(topic.name(), added.map_or(&[], Vec::as_slice));
            self.writers.insert(topic, writer);
        }
        let mut decoders = BTreeMap::new();
        let mut offsets = BTreeMap::<_, i64>::new();
        for record in self.json["records"].as_array().into_iter().flatten() {
            let name = record["topic"].as_str().expect("a record names its topic");
            let topic = SupplierTopic::from_name(name).expect("a supplier topic");
            let writer = &self.writers[&topic];
            let decoder = decoders
                .entry(topic)
                .or_insert_with(|| feed::decoder(topic, writer));
            let mut fields = feed::over(&defaults[name], record);
            fields.retain(|name, _| !ASIDE.contains(&&**name));
            let mut datum = writer.datum(&fields);
            let lost = record["cut"]
                .as_u64()
                .map_or(0, |bytes| usize::try_from(bytes).expect("few bytes"));
            datum.truncate(datum.len() - lost);
            datum.extend_from_slice(record["trailing"].as_str().unwrap_or_default().as_bytes());
            let key = record["key"]
                .as_str()
                .map(|key| (key.to_owned(), record["at_home"].as_bool().unwrap_or(true)));
            let offset = offsets.entry(topic).or_default();
            self.fed.push(Fed {
                topic,
                datum,
                offset: *offset,
                key,
                decoder: decoder.clone(),
            });
            *offset += 1;
            self.values.push((topic, fields));
        }
    }

    fn is(&self, flag: &str) -> bool {
        self.json[flag].as_bool().unwrap_or(false)
    }

    /// The records are as a file can hold them.
    fn fits_files(&self) -> bool {
        let aside = ["key", "cut", "trailing"];
        let records = self.json["records"].as_array();
        !records
            .into_iter()
            .flatten()
            .any(|record| aside.iter().any(|key| !record[key].is_null()))
    }

    /// As `replay` feeds them: topic by topic, nothing folded before the end; all reference data first.
    fn loaded(&self) -> (Core, Timestamp, Arc<Reference>) {
        let reference = Arc::new(self.with_late.snapshot());
        let mut core = Core::new(&self.plan, reference.clone());
        core.pipeline.start_loading();
        for topic in SupplierTopic::ALL {
            for fed in self.fed.iter().filter(|fed| fed.topic == topic) {
                core.take(fed);
            }
        }
        let now = self.json["as_of"].as_str().map(feed::instant);
        let now = now.or(core.pipeline.newest_read()).unwrap_or(Timestamp(0));
        core.pipeline.advance(now);
        core.pipeline.finish_loading();
        core.settle();
        (core, now, reference)
    }

    /// One by one with a settlement after each; what is late, last.
    fn streamed<'a>(&self, now: Timestamp, order: impl Iterator<Item = &'a Fed>) -> Core {
        let reference = self.reference.snapshot();
        let mut core = Core::new(&self.plan, Arc::new(reference.clone()));
        core.pipeline.advance(now);
        for fed in order {
            core.take(fed);
            core.settle();
        }
        let followed = self.with_late.follow(&reference, &self.reference);
        core.pipeline.follow(Arc::new(followed));
        core.settle();
        core
    }

    fn run(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let (loaded, now, reference) = self.loaded();
        let streamed = self.streamed(now, self.fed.iter());
        let needs_readmit = self.is("needs_readmit");
        if !needs_readmit {
            compare(
                "one by one, the figures",
                &figures(&loaded),
                &figures(&streamed),
                &mut wrong,
            );
        }
        if !self.is("order_matters") {
            let reversed = self.streamed(now, self.fed.iter().rev());
            let (forth, back) = (figures(&streamed), figures(&reversed));
            compare("in reverse order, the figures", &forth, &back, &mut wrong);
        }
        let has_late = !self.json["late"].is_null();
        if !has_late {
            let (whole, single) = (feed::ledger(&loaded.counts), feed::ledger(&streamed.counts));
            compare("one by one, the ledger", &whole, &single, &mut wrong);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let months = publish(&streamed, &reference, folder.path());
        if self.fits_files() && !needs_readmit {
            self.replay(
                &feed::ledger(&loaded.counts),
                folder.path(),
                &months,
                &mut wrong,
            );
        }
        let expect = self.json["expect"].as_object().expect("`expect`");
        for (section, expected) in expect {
            let found = match &**section {
                "ledger" => feed::ledger(&streamed.counts),
                "months" => json!(months),
                "dead_letters" => dead_letters(&streamed, expected),
                "files" => files(folder.path(), expected),
                projection => project(&streamed, projection, expected),
            };
            compare(section, expected, &found, &mut wrong);
        }
        assert!(!expect.is_empty(), "a case expects something");
        wrong
    }

    /// Writes the records as apache-avro's container files and runs the command over them.
    fn replay(&self, ledger: &Json, published: &Path, months: &[String], wrong: &mut Vec<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |topic: &str, writer: &Writer, records: &[&Fields]| {
            let bytes =
                apache_avro::Writer::new(&writer.schema, Vec::new()).and_then(|mut file| {
                    for fields in records {
                        file.append_value(writer.value(fields))?;
                    }
                    file.into_inner()
                });
            let path = folder.path().join(format!("{topic}.avro"));
            fs::write(path, bytes.expect("a container file")).expect("a writable folder");
        };
        for (topic, records) in self.with_late.by_topic() {
            let records: Vec<_> = records.iter().collect();
            write(topic, &Writer::of(topic, &[]), &records);
        }
        for (topic, writer) in &self.writers {
            let of_topic = self.values.iter().filter(|(of, _)| of == topic);
            let records: Vec<_> = of_topic.map(|(_, fields)| fields).collect();
            write(topic.name(), writer, &records);
        }
        let output = folder.path().join("output");
        let done = replay::run(&replay::Arguments {
            input: folder.path().to_owned(),
            output: output.clone(),
            as_of: self.json["as_of"].as_str().map(feed::instant),
            config: self
                .config
                .as_ref()
                .map(|folder| folder.path().join("config.toml")),
        });
        if let Err(failure) = done {
            wrong.push(format!("replay: {failure}"));
            return;
        }
        let written = read(&output.join("ledger.json"));
        compare("replay's ledger", ledger, &by_reason(&written), wrong);
        for month in months {
            for name in FILES {
                let path = Path::new("publication").join(month).join(name);
                let of_replay = fs::read_to_string(output.join(&path)).unwrap_or_default();
                let ours = fs::read_to_string(published.join(&path)).unwrap_or_default();
                compare(
                    &path.to_string_lossy(),
                    &json!(ours),
                    &json!(of_replay),
                    wrong,
                );
            }
        }
    }
}

const FILES: [&str; 8] = [
    "regional.csv",
    "daily.csv",
    "duration.csv",
    "coverage.csv",
    "practice_crosstab.csv",
    "summary.csv",
    "category.csv",
    "sds_role_group.csv",
];

fn compare(section: &str, expected: &Json, found: &Json, wrong: &mut Vec<String>) {
    if expected != found {
        let text = |json| serde_json::to_string_pretty(json).expect("JSON");
        wrong.push(format!(
            "{section}\n expected {}\n    found {}",
            text(expected),
            text(found)
        ));
    }
}

fn figures(core: &Core) -> Json {
    let rows = core.figures.iter();
    let text = rows.map(|(key, counts)| (format!("{key:?}"), json!(counts)));
    Json::Object(text.collect())
}

/// `ledger.json` in the form of the cases.
fn by_reason(ledger: &Json) -> Json {
    let mut found = Map::new();
    for (topic, of_topic) in ledger["by_topic"].as_object().expect("by_topic") {
        let mut counts = of_topic["dispositions"]
            .as_object()
            .expect("dispositions")
            .clone();
        let reasons = of_topic["reasons"].as_object().expect("reasons");
        counts.retain(|disposition, _| !["rejected", "withheld"].contains(&&**disposition));
        for (reason, records) in reasons {
            let withheld = ["outside_service", "declined", "withdrawn", "no_agreement"];
            let kind = if withheld.contains(&&**reason) {
                "withheld"
            } else {
                "rejected"
            };
            counts.insert(format!("{kind}/{reason}"), records.clone());
        }
        if !counts.is_empty() {
            found.insert(topic.clone(), Json::Object(counts));
        }
    }
    Json::Object(found)
}

/// Writes the publication and answers its months.
fn publish(core: &Core, reference: &Reference, folder: &Path) -> Vec<String> {
    let mut publication = Publication::default();
    for row in core.rows.values() {
        publication.take(row);
    }
    let names = PrintedNames::of(reference);
    let write = |month: &gpad_live::domain::time::Month| {
        let folder = folder.join("publication").join(month.label());
        fs::create_dir_all(&folder).expect("a writable folder");
        publication
            .write(*month, reference, &names, &folder)
            .expect("a writable folder");
        month.label()
    };
    publication.months().iter().map(write).collect()
}

/// What the case names of each file: all lines, or of the lines it names those that are there.
fn files(folder: &Path, expected: &Json) -> Json {
    let mut found = Map::new();
    for (name, lines) in expected.as_object().expect("files by name") {
        let text = fs::read_to_string(folder.join("publication").join(name)).unwrap_or_default();
        let there: Vec<&str> = text.lines().skip(1).collect();
        let of = |key: &str| -> Vec<&Json> {
            let named = lines[key].as_array().into_iter().flatten();
            let is_there = |line: &&Json| line.as_str().is_some_and(|line| there.contains(&line));
            named
                .filter(|line| is_there(line) == (key == "has"))
                .collect()
        };
        let mut value = json!({"has": of("has"), "lacks": of("lacks")});
        match (lines.as_object(), value.as_object_mut()) {
            (Some(named), Some(value)) => value.retain(|key, _| named.contains_key(key)),
            _ => value = json!(there),
        }
        found.insert(name.clone(), value);
    }
    Json::Object(found)
}

/// The dead letters, each with the keys that the case looks at.
fn dead_letters(core: &Core, expected: &Json) -> Json {
    let letters = core.letters.iter().enumerate().map(|(at, letter)| {
        let content = letter.content.as_deref().unwrap_or_default();
        let mut found = json!({
            "topic": letter.topic.name(),
            "offset": letter.offset,
            "reason": letter.reason.label(),
            "field": letter.field,
            "practice": letter.practice,
            "content": letter.content.is_some(),
            "payload": letter.raw.is_some(),
        });
        let looked_at = &expected[at];
        let of = |key: &str, there: bool| -> Vec<&Json> {
            let texts = looked_at[key].as_array().into_iter().flatten();
            texts
                .filter(|text| text.as_str().is_some_and(|text| content.contains(text)) == there)
                .collect()
        };
        found["contains"] = json!(of("contains", true));
        found["lacks"] = json!(of("lacks", false));
        if let (Some(found), Some(looked_at)) = (found.as_object_mut(), looked_at.as_object()) {
            found.retain(|key, _| looked_at.contains_key(key));
        }
        found
    });
    Json::Array(letters.collect())
}

/// `<aggregate>@<level>: <dimension>, …`, as the case writes its cells.
fn project(core: &Core, projection: &str, expected: &Json) -> Json {
    let (head, by) = projection.split_once(':').unwrap_or((projection, ""));
    let (aggregate, level) = head.split_once('@').unwrap_or((head, "england"));
    let by: Vec<&str> = by
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let mut cells = BTreeMap::<String, BTreeMap<&str, i64>>::new();
    let mut is_known = false;
    for ((of, at, code, window, dimensions), counts) in &core.figures {
        if of != aggregate || *at != level {
            continue;
        }
        is_known = true;
        let is_rolling = dimensions.iter().any(|(name, _)| name == "minutes");
        let mut cell = vec![if is_rolling {
            Timestamp(i64::from(*window) * 60_000).to_rfc3339()
        } else {
            Day(*window).date().expect("a day").to_string()
        }];
        for name in &by {
            let found = dimensions.iter().find(|(dimension, _)| dimension == name);
            cell.push(match (*name, found) {
                ("code", _) => code.clone(),
                (_, Some((_, value))) => value.clone(),
                (name, None) => panic!("`{aggregate}` has no dimension `{name}` at {level}"),
            });
        }
        let cell = cells.entry(cell.join(" | ")).or_default();
        for (measure, count) in counts {
            *cell.entry(measure).or_default() += count;
        }
    }
    assert!(
        is_known || core.plan.aggregates.find(aggregate).is_some(),
        "no aggregate `{aggregate}`"
    );
    let is_plain = |cell: &str| expected[cell].is_number() || expected[cell].is_null();
    let value = |(cell, counts): (String, BTreeMap<&str, i64>)| {
        let found = match counts.get("appointments") {
            Some(appointments) if is_plain(&cell) => json!(appointments),
            _ => json!(
                counts
                    .iter()
                    .filter(|(_, count)| **count != 0)
                    .collect::<BTreeMap<_, _>>()
            ),
        };
        (cell, found)
    };
    let found: Map<String, Json> = cells.into_iter().map(value).collect();
    // A row of zeros in every measure looked at is as absent.
    Json::Object(
        found
            .into_iter()
            .filter(|(_, value)| *value != json!(0))
            .collect(),
    )
}

/// The cases of a folder, in order of their numbers.
fn cases(folder: &str) -> Vec<PathBuf> {
    let listed = fs::read_dir(root().join(folder)).expect("a folder of cases");
    let mut paths: Vec<_> = listed
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

fn check(folder: &str) {
    let defaults = feed::defaults();
    let only = std::env::var("GOLDEN").unwrap_or_default();
    let mut wrong = Vec::new();
    for path in cases(folder) {
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if !name.contains(&only) {
            continue;
        }
        let json = read(&path);
        let run = || Case::of(json.clone(), &defaults).run();
        let found = std::panic::catch_unwind(run).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            vec![text.unwrap_or_else(|| "panics".to_owned())]
        });
        let why = json["why"].as_str().unwrap_or_default();
        wrong.extend(
            found
                .into_iter()
                .map(|what| format!("{folder}/{name}: {why}\n{what}\n")),
        );
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_cases_of_emis_hold() {
    check("emis");
}

#[test]
fn the_cases_of_tpp_hold() {
    check("tpp");
}

#[test]
fn the_cases_of_inps_hold() {
    check("inps");
}

#[test]
fn the_cases_of_microtest_hold() {
    check("microtest");
}

#[test]
fn the_cases_that_all_suppliers_share_hold() {
    check("common");
}

#[test]
fn every_case_has_a_number_of_its_own_and_quotes_a_rule() {
    for folder in ["emis", "tpp", "inps", "microtest", "common"] {
        let mut numbers = Vec::new();
        for path in cases(folder) {
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let (number, words) = name.split_once('-').expect("NNN-name");
            assert!(number.len() == 3 && !words.is_empty(), "{name}");
            numbers.push(number.to_owned());
            let json = read(&path);
            let why = json["why"].as_str().unwrap_or_default();
            let quotes = [
                "rule ",
                "check ",
                "Publication",
                "Dispositions",
                "domain.md",
                "feeds.md",
                "design.md",
            ];
            assert!(
                quotes.iter().any(|quote| why.contains(quote)),
                "{name}: {why}"
            );
        }
        let all = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), all, "{folder}: a number is used twice");
    }
}
