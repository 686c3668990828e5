//! Records against the manifests that account for them: number and digest by transaction and topic.

use std::collections::HashMap;

use super::fault::{Fault, Kind};
use super::names::Names;
use crate::wire::multiset::{self, Sum};

/// One transaction's part in one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    pub topic: u32,
    pub task: u32,
    pub sequence: i64,
}

/// Records of a part, stated or found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: i64,
    pub sum: Sum,
}

/// What manifests state and what topics hold. About 100 bytes for each transaction and topic.
#[derive(Debug, Default)]
pub struct Accounts {
    stated: HashMap<Part, Tally>,
    found: HashMap<Part, Tally>,
}

/// Whether a topic still holds everything that was written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Everything,
    /// Newer rows take the place of older ones, and tombstones name no transaction.
    Newest,
}

impl Accounts {
    pub fn state(&mut self, part: Part, tally: Tally) {
        self.stated.insert(part, tally);
    }

    pub fn find(&mut self, part: Part, key: &[u8], value: &[u8]) {
        let tally = self.found.entry(part).or_default();
        tally.count += 1;
        tally.sum.add(&multiset::record(key, Some(value)));
    }

    /// Compares the parts of one topic; what `is_settled` denies was committed while the topic was being read.
    pub fn compare(
        &self,
        topic: u32,
        keeps: Keeps,
        is_settled: &dyn Fn(&Part) -> bool,
        names: &Names,
        faults: &mut Vec<Fault>,
    ) {
        let mut parts: Vec<&Part> = (self.stated.keys())
            .chain(
                self.found
                    .keys()
                    .filter(|part| !self.stated.contains_key(part)),
            )
            .filter(|part| part.topic == topic)
            .collect();
        parts.sort_unstable();
        for part in parts {
            let found = self.found.get(part).copied().unwrap_or_default();
            let wrong = match self.stated.get(part) {
                None => Some((
                    Kind::Unaccounted,
                    format!("{} records are there and no manifest", found.count),
                )),
                Some(stated) if found.count > stated.count => Some((
                    Kind::Unaccounted,
                    format!(
                        "{} records are there and the manifest states {}",
                        found.count, stated.count
                    ),
                )),
                Some(stated)
                    if found.count < stated.count
                        && keeps == Keeps::Everything
                        && is_settled(part) =>
                {
                    Some((
                        Kind::Torn,
                        format!(
                            "{} records are there and the manifest states {}",
                            found.count, stated.count
                        ),
                    ))
                }
                Some(stated) if found.count == stated.count && found.sum != stated.sum => Some((
                    Kind::Altered,
                    format!(
                        "its {} records are not those that the manifest's digest is of",
                        found.count
                    ),
                )),
                Some(_) => None,
            };
            if let Some((kind, detail)) = wrong {
                faults.push(Fault {
                    kind,
                    task: names.of(part.task).to_owned(),
                    sequence: Some(part.sequence),
                    topic: names.of(topic).to_owned(),
                    detail,
                });
            }
        }
    }
}

/// One manifest's range of a partition.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub from: i64,
    pub to: i64,
    pub records: i64,
    pub task: u32,
    pub sequence: i64,
}

/// The ranges of one partition in the order of their chain, counted against its records.
#[derive(Debug, Default)]
pub struct Ranges {
    all: Vec<Range>,
    /// The one that records fall into now, and how many did.
    at: usize,
    count: i64,
}

impl Ranges {
    pub fn push(&mut self, range: Range) {
        self.all.push(range);
    }

    /// Where the last range ends.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.all.last().map_or(0, |range| range.to)
    }

    /// Takes the partition's next record.
    pub fn see(&mut self, offset: i64, wrong: &mut dyn FnMut(&Range, i64)) {
        while self
            .all
            .get(self.at)
            .is_some_and(|range| offset >= range.to)
        {
            self.close(wrong);
        }
        if self
            .all
            .get(self.at)
            .is_some_and(|range| offset >= range.from)
        {
            self.count += 1;
        }
    }

    /// Ends the count: no record comes any more.
    pub fn finish(&mut self, wrong: &mut dyn FnMut(&Range, i64)) {
        while self.at < self.all.len() {
            self.close(wrong);
        }
    }

    fn close(&mut self, wrong: &mut dyn FnMut(&Range, i64)) {
        let range = &self.all[self.at];
        if range.records != self.count {
            wrong(range, self.count);
        }
        (self.at, self.count) = (self.at + 1, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_counted_whatever_gaps_the_offsets_have() {
        let range = |from, to, records| Range {
            from,
            to,
            records,
            task: 0,
            sequence: from,
        };
        let mut ranges = Ranges::default();
        for range in [
            range(0, 4, 2),
            range(4, 9, 0),
            range(9, 12, 3),
            range(12, 13, 1),
        ] {
            ranges.push(range);
        }
        let mut wrong = Vec::new();
        for offset in [0, 3, 9, 11, 12, 20] {
            ranges.see(offset, &mut |range, found| {
                wrong.push((range.from, range.records, found));
            });
        }
        ranges.finish(&mut |_, _| unreachable!("the last was closed by a later record"));
        assert_eq!(wrong, [(9, 3, 2)]);
    }
}
