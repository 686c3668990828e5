//! The rows that stand in one compacted topic, against what the manifests say must stand.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::fault::{Fault, Kind};
use super::names::Names;
use crate::wire::multiset::{Hash, Sum};

/// The newest row of a key.
#[derive(Debug, Clone, Copy)]
struct Row {
    hash: Hash,
    task: u32,
    sequence: i64,
}

/// What a manifest says of its task's rows.
#[derive(Debug, Clone, Copy)]
pub struct Stated {
    pub sequence: i64,
    pub rows: i64,
    pub sum: Sum,
}

/// One task's rows as they should stand: of the newest manifest before the topic was read, and of all after.
#[derive(Debug, Default)]
pub struct Statements(Vec<Stated>);

impl Statements {
    /// `is_before`: the topic has not been read yet, and older statements are of no use any more.
    pub fn push(&mut self, stated: Stated, is_before: bool) {
        if is_before {
            self.0.clear();
        }
        self.0.push(stated);
    }

    fn newest(&self) -> Option<i64> {
        self.0.last().map(|stated| stated.sequence)
    }

    fn as_of(&self, sequence: i64) -> Option<&Stated> {
        self.0.iter().rfind(|stated| stated.sequence <= sequence)
    }
}

/// The rows of one topic. About 120 bytes a row.
#[derive(Debug, Default)]
pub struct Rows {
    by_key: HashMap<u128, Row>,
    /// By task: the transaction whose rows are compared. Set between the first and the second reading.
    targets: BTreeMap<u32, i64>,
    is_second: bool,
    /// Tasks of which it cannot be told what stands: rows went while the topic was being read.
    moved: BTreeSet<u32>,
}

impl Rows {
    /// A row in the order of its partition.
    pub fn stand(&mut self, key: &[u8], hash: Hash, task: u32, sequence: i64) {
        let is_beyond = self.is_second && self.targets.get(&task).is_none_or(|at| sequence > *at);
        if !is_beyond {
            let row = Row {
                hash,
                task,
                sequence,
            };
            self.by_key.insert(fingerprint(key), row);
        }
    }

    /// A tombstone. It names no transaction: in the second reading it may be beyond the target.
    pub fn go(&mut self, key: &[u8]) {
        let key = fingerprint(key);
        if !self.is_second {
            self.by_key.remove(&key);
        } else if let Some(row) = self.by_key.get(&key) {
            self.moved.insert(row.task);
        }
    }

    /// The first reading is over: rows seen may be of transactions whose other rows came too late to be seen, and a
    /// second reading must bring those.
    pub fn aim(&mut self, statements: &BTreeMap<u32, Statements>) {
        self.is_second = true;
        for (task, statements) in statements {
            self.targets
                .extend(statements.newest().map(|newest| (*task, newest)));
        }
        for row in self.by_key.values() {
            let target = self.targets.entry(row.task).or_insert(row.sequence);
            *target = (*target).max(row.sequence);
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Compares; answers the tasks of which nothing can be told.
    pub fn compare(
        &self,
        topic: u32,
        statements: &BTreeMap<u32, Statements>,
        names: &Names,
        faults: &mut Vec<Fault>,
    ) -> Vec<u32> {
        let mut standing: BTreeMap<u32, (i64, Sum)> = BTreeMap::new();
        for row in self.by_key.values() {
            let (rows, sum) = standing.entry(row.task).or_default();
            *rows += 1;
            sum.add(&row.hash);
        }
        let mut unclear = Vec::new();
        for (task, target) in &self.targets {
            let stated = statements.get(task).and_then(|all| all.as_of(*target));
            let (rows, sum) = standing.get(task).copied().unwrap_or_default();
            let fault = |kind, sequence, detail| Fault {
                kind,
                task: names.of(*task).to_owned(),
                sequence,
                topic: names.of(topic).to_owned(),
                detail,
            };
            let Some(stated) = stated else {
                let detail =
                    format!("{rows} rows stand and no manifest of the task names the topic");
                faults.push(fault(Kind::Unaccounted, None, detail));
                continue;
            };
            if (rows, sum) == (stated.rows, stated.sum) {
                continue;
            }
            if self.moved.contains(task) {
                unclear.push(*task);
                continue;
            }
            let (kind, detail) = match rows.cmp(&stated.rows) {
                std::cmp::Ordering::Less => (
                    Kind::Torn,
                    format!("{rows} rows stand and the manifest states {}", stated.rows),
                ),
                std::cmp::Ordering::Equal => (
                    Kind::Altered,
                    format!(
                        "the {rows} rows that stand are not those that the manifest's digest is of"
                    ),
                ),
                std::cmp::Ordering::Greater => (
                    Kind::Unaccounted,
                    format!("{rows} rows stand and the manifest states {}", stated.rows),
                ),
            };
            faults.push(fault(kind, Some(stated.sequence), detail));
        }
        unclear
    }
}

/// Of a key; two keys with one are not to be expected in any number of rows that fits in memory.
fn fingerprint(key: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(key)
}
