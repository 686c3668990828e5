//! Walks the manifests of one task in the order of the ledger: what each says must follow from the one before.

use std::collections::BTreeMap;

use super::fault::{Fault, Kind};
use crate::adapters::log::{Committed, Position};
use crate::service::note::Note;
use crate::service::outputs::{DEAD_LETTERS, LEDGER};
use crate::service::topics::READMISSIONS;
use crate::wire::datum::Bytes;
use crate::wire::output::{DispositionCount, Manifest};

const PENDING: &str = "pending";
const REJECTED: &str = "rejected";

/// Where the group says that a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub sequence: i64,
    hash: Vec<u8>,
    positions: Vec<Position>,
}

impl Head {
    /// `None` before a task's first transaction.
    ///
    /// # Errors
    /// Positions that this program did not commit.
    pub fn of(committed: Committed) -> Result<Option<Self>, String> {
        let Some(text) = committed.note else {
            return if committed.positions.is_empty() {
                Ok(None)
            } else {
                Err("the group's positions carry no note: they were set by hand".to_owned())
            };
        };
        let note = Note::read(&text).ok_or("the group's positions carry another program's note")?;
        Ok(Some(Self {
            sequence: note.sequence,
            hash: note.hash,
            positions: committed.positions,
        }))
    }
}

/// The chain of one task, as far as it was walked.
#[derive(Debug, Default)]
pub struct Chain {
    pub task: String,
    /// The newest link.
    last: Option<Link>,
    /// Next to read, by topic, as the ranges add up.
    positions: BTreeMap<String, i64>,
    /// Records that wait for their appointment.
    pub pending: i64,
    /// Records that waited and do no longer.
    pub left_pending: i64,
    pub transactions: u64,
    pub records: i64,
    pub dispositions: BTreeMap<(String, Option<String>), i64>,
    pub readmitted: i64,
    /// What the group had committed before the walk began.
    head: Option<Head>,
    head_is_met: bool,
}

#[derive(Debug)]
struct Link {
    epoch: i64,
    sequence: i64,
    hash: Bytes,
}

impl Chain {
    #[must_use]
    pub fn new(task: &str, head: Option<Head>) -> Self {
        Self {
            task: task.to_owned(),
            head,
            ..Self::default()
        }
    }

    /// Sequence of the newest manifest walked.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        self.last.as_ref().map(|link| link.sequence)
    }

    /// Takes the next manifest of the ledger; whether it is a link of the chain, and not a repetition.
    pub fn walk(&mut self, manifest: &Manifest, faults: &mut Vec<Fault>) -> bool {
        let mut found = Found {
            task: &self.task,
            sequence: manifest.sequence,
            faults,
        };
        if manifest.hash != manifest.expected_hash() {
            found.fault(
                Kind::Hash,
                LEDGER,
                "the manifest is not what its own hash says".to_owned(),
            );
        }
        let next = self.last.as_ref().map_or(0, |last| last.sequence + 1);
        if manifest.sequence < next {
            let is_same = (self.last.as_ref()).is_some_and(|last| {
                last.sequence == manifest.sequence && last.hash == manifest.hash
            });
            let what = if is_same {
                "the same transaction"
            } else {
                "a transaction of that number"
            };
            found.fault(
                Kind::Repeated,
                LEDGER,
                format!(
                    "{what} is in the chain already, which stands at {}",
                    next - 1
                ),
            );
            return false;
        }
        let follows = manifest.sequence == next;
        if !follows {
            found.fault(
                Kind::Gap,
                LEDGER,
                format!("manifests {next} to {} are missing", manifest.sequence - 1),
            );
        }
        if let Some(last) = &self.last {
            if follows && manifest.previous_hash != last.hash {
                found.fault(
                    Kind::Hash,
                    LEDGER,
                    format!(
                        "it does not follow from manifest {}: its previous_hash is another",
                        last.sequence
                    ),
                );
            }
            if manifest.epoch < last.epoch {
                found.fault(
                    Kind::Hash,
                    LEDGER,
                    format!(
                        "its epoch {} is older than the {} before",
                        manifest.epoch, last.epoch
                    ),
                );
            }
        } else if follows && !manifest.previous_hash.0.is_empty() {
            found.fault(
                Kind::Hash,
                LEDGER,
                "the first manifest follows from another".to_owned(),
            );
        }
        self.last = Some(Link {
            epoch: manifest.epoch,
            sequence: manifest.sequence,
            hash: manifest.hash.clone(),
        });
        self.transactions += 1;
        self.ranges(manifest, follows, faults);
        self.sums(manifest, follows, faults);
        self.meet_head(manifest, faults);
        true
    }

    /// Offset ranges against those before.
    fn ranges(&mut self, manifest: &Manifest, follows: bool, faults: &mut Vec<Fault>) {
        let mut found = Found {
            task: &self.task,
            sequence: manifest.sequence,
            faults,
        };
        for read in &manifest.positions {
            let next = self.positions.get(&read.topic).copied();
            // Behind a gap nobody knows where the range should begin.
            if read.from != next.unwrap_or(0) && follows {
                let expected = next.unwrap_or(0);
                found.fault(
                    Kind::Offsets,
                    &read.topic,
                    format!(
                        "partition {} is read from {} and was read up to {expected} before",
                        read.partition, read.from
                    ),
                );
            }
            if read.records < 0 || read.to <= read.from || read.records > read.to - read.from {
                found.fault(
                    Kind::Sum,
                    &read.topic,
                    format!(
                        "{} records cannot lie in offsets {} to {}",
                        read.records, read.from, read.to
                    ),
                );
            }
            self.positions.insert(read.topic.clone(), read.to);
        }
    }

    /// Dispositions against what was read, letters against refusals, pending against what waits.
    fn sums(&mut self, manifest: &Manifest, follows: bool, faults: &mut Vec<Fault>) {
        let mut found = Found {
            task: &self.task,
            sequence: manifest.sequence,
            faults,
        };
        let mut by_topic: BTreeMap<&str, i64> = BTreeMap::new();
        for count in &manifest.dispositions {
            *by_topic.entry(&count.topic).or_default() += count.count;
            let key = (count.disposition.clone(), count.reason.clone());
            *self.dispositions.entry(key).or_default() += count.count;
        }
        if !self.task.starts_with("rollup-") {
            let mut read: BTreeMap<&str, i64> = by_topic.keys().map(|topic| (*topic, 0)).collect();
            for range in &manifest.positions {
                *read.entry(&range.topic).or_default() += range.records;
            }
            read.remove(READMISSIONS);
            for (topic, records) in read {
                let ended = by_topic.get(topic).copied().unwrap_or(0);
                self.records += records;
                if ended != records {
                    found.fault(
                        Kind::Sum,
                        topic,
                        format!(
                            "{records} records were read and the dispositions add up to {ended}"
                        ),
                    );
                }
            }
        }
        let refused = of(&manifest.dispositions, REJECTED) + of(&manifest.readmitted, REJECTED);
        let letters = (manifest.rows.iter())
            .filter(|written| written.output == DEAD_LETTERS)
            .map(|written| written.count)
            .sum::<i64>();
        if refused != letters {
            found.fault(
                Kind::Sum,
                DEAD_LETTERS,
                format!("{refused} records were rejected and {letters} dead letters written"),
            );
        }
        let change = of(&manifest.dispositions, PENDING) + of(&manifest.readmitted, PENDING);
        self.pending += change;
        if self.pending != manifest.pending && follows {
            found.fault(
                Kind::Sum,
                LEDGER,
                format!(
                    "{} records are pending by the dispositions and {} by the manifest",
                    self.pending, manifest.pending
                ),
            );
        }
        self.pending = manifest.pending;
        let left = |counts: &[DispositionCount]| {
            let pending = counts.iter().filter(|count| count.disposition == PENDING);
            pending.map(|count| (-count.count).max(0)).sum::<i64>()
        };
        self.left_pending += left(&manifest.dispositions) + left(&manifest.readmitted);
        self.readmitted += (manifest.readmitted.iter())
            .map(|count| count.count)
            .sum::<i64>();
    }

    /// Compares the chain with what the group says, at the manifest that it names.
    fn meet_head(&mut self, manifest: &Manifest, faults: &mut Vec<Fault>) {
        let Some(head) = self
            .head
            .as_ref()
            .filter(|head| head.sequence == manifest.sequence)
        else {
            return;
        };
        self.head_is_met = true;
        let mut found = Found {
            task: &self.task,
            sequence: manifest.sequence,
            faults,
        };
        if head.hash != manifest.hash.0 {
            found.fault(
                Kind::Hash,
                LEDGER,
                "the group committed another manifest of that number".to_owned(),
            );
        }
        for at in &head.positions {
            let read = self.positions.get(&at.topic).copied().unwrap_or(0);
            if read != at.next {
                found.fault(
                    Kind::Offsets,
                    &at.topic,
                    format!(
                        "partition {}: the manifests end at {read} and the group's position is {}",
                        at.partition, at.next
                    ),
                );
            }
        }
    }

    /// The chain is walked to its end; `now` is what the group says after that.
    pub fn finish(&self, now: Option<&Head>, faults: &mut Vec<Fault>) {
        let newest = self.newest();
        match &self.head {
            Some(head) if !self.head_is_met => faults.push(Fault {
                kind: Kind::Torn,
                task: self.task.clone(),
                sequence: Some(head.sequence),
                topic: LEDGER.to_owned(),
                detail: format!(
                    "the group's positions were committed with this manifest, and the chain {}",
                    newest.map_or_else(|| "is empty".to_owned(), |at| format!("ends at {at}"))
                ),
            }),
            head => {
                let committed = head.as_ref().map(|head| head.sequence);
                // Nothing was committed meanwhile, so what is beyond was never committed with positions.
                if self.head.as_ref() == now && newest > committed {
                    faults.push(Fault {
                        kind: Kind::Torn,
                        task: self.task.clone(),
                        sequence: newest,
                        topic: LEDGER.to_owned(),
                        detail: format!(
                            "the manifest is there and the group's positions are those of {}",
                            committed.map_or_else(
                                || "no transaction".to_owned(),
                                |at| format!("sequence {at}")
                            )
                        ),
                    });
                }
            }
        }
    }
}

fn of(counts: &[DispositionCount], disposition: &str) -> i64 {
    let counts = counts
        .iter()
        .filter(|count| count.disposition == disposition);
    counts.map(|count| count.count).sum()
}

/// Where the faults of one manifest go.
struct Found<'f> {
    task: &'f str,
    sequence: i64,
    faults: &'f mut Vec<Fault>,
}

impl Found<'_> {
    fn fault(&mut self, kind: Kind, topic: &str, detail: String) {
        self.faults.push(Fault {
            kind,
            task: self.task.to_owned(),
            sequence: Some(self.sequence),
            topic: topic.to_owned(),
            detail,
        });
    }
}
