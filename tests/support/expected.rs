//! What a batch `replay` makes of an input: the yardstick of every run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gpad_live::domain::topic::SupplierTopic;
use gpad_live::wire::datum::{Avro, Datum};
use gpad_live::wire::output::{AggregateRow, DeadLetter, Figures};
use gpad_live::wire::records::Records;

use super::input::{Input, NOW};
use super::instance::succeed;

/// Rows by topic: bytes of the key, bytes of the figures.
pub type Rows = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;
/// Records by topic, disposition and reason.
pub type Dispositions = BTreeMap<(String, String, String), i64>;

pub struct Expected {
    pub rows: Rows,
    pub dispositions: Dispositions,
    /// How many letters say each thing.
    pub letters: BTreeMap<String, usize>,
}

impl Expected {
    pub fn of(input: &Input) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("in"), folder.path().join("out"));
        input.write(&from);
        let arguments = [
            "replay",
            "--as-of",
            NOW,
            "--input",
            from.to_str().unwrap(),
            "--output",
        ];
        succeed(&vec![], &[&arguments[..], &[to.to_str().unwrap()]].concat());
        Self {
            rows: rows(&to),
            dispositions: dispositions(&to),
            letters: letters(&to),
        }
    }
}

fn rows(folder: &Path) -> Rows {
    let mut rows = Rows::new();
    for entry in fs::read_dir(folder.join("aggregates")).unwrap() {
        let path = entry.unwrap().path();
        let topic = format!(
            "gpad.aggregates.{}",
            path.file_stem().unwrap().to_str().unwrap()
        );
        let of_topic = rows.entry(topic).or_default();
        for row in Records::<AggregateRow>::open(&path).unwrap() {
            let row = row.unwrap();
            of_topic.insert(row.key.to_bytes(), bytes(&row.value.figures));
        }
    }
    rows
}

fn dispositions(folder: &Path) -> Dispositions {
    let text = fs::read_to_string(folder.join("ledger.json")).unwrap();
    let ledger: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut counts = Dispositions::new();
    for topic in SupplierTopic::ALL {
        let of_topic = &ledger["by_topic"][topic.name()];
        for part in ["dispositions", "reasons"] {
            for (name, count) in of_topic[part].as_object().unwrap() {
                let key = (topic.name().to_owned(), part.to_owned(), name.clone());
                counts.insert(key, count.as_i64().unwrap());
            }
        }
    }
    counts
}

fn letters(folder: &Path) -> BTreeMap<String, usize> {
    let mut letters = BTreeMap::new();
    for letter in Records::<DeadLetter>::open(&folder.join("dead-letters.avro")).unwrap() {
        *letters.entry(said(&letter.unwrap())).or_default() += 1;
    }
    letters
}

/// What a letter says but for its record's coordinates and bytes, which a file has otherwise.
pub fn said(letter: &DeadLetter) -> String {
    format!(
        "{} {} {:?} {:?} {:?} {:?} {:?}",
        letter.topic,
        letter.reason,
        letter.field,
        letter.practice_ods_code,
        letter.detail,
        letter.content,
        letter.extracted_at
    )
}

/// The bytes of figures, as they begin a row's value.
pub fn bytes(figures: &Figures) -> Vec<u8> {
    let mut bytes = Vec::new();
    figures.write(&mut bytes);
    bytes
}
