//! What a transaction leaves with its positions: where the chain stands, and what the figures took for granted.

use crate::adapters::log::Position;
use crate::domain::time::Timestamp;
use crate::wire::datum::Bytes;

/// Longest note that is kept with positions.
const MOST_BYTES: usize = 2_000;

/// Kept with the positions of a committed transaction, and gone if it is not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Which ownership of the task wrote it.
    pub epoch: i64,
    /// Of the manifest in its chain.
    pub sequence: i64,
    /// Of that manifest, SHA-256.
    pub hash: Vec<u8>,
    /// The time that the core was told last.
    pub now: Timestamp,
    /// The snapshot that this state can be read back from, SHA-256.
    pub snapshot: Option<Vec<u8>>,
    /// From when on what the task's rows said before is kept without a gap; `None`: it is not.
    pub history: Option<Timestamp>,
    /// How far the reference topics had been read, in their fixed order; `None` where it would not fit.
    pub reference: Option<Vec<Position>>,
}

impl Note {
    /// One line of text; differs from the one before it by its sequence and hash.
    #[must_use]
    pub fn write(&self) -> String {
        let hash = Bytes(self.hash.clone());
        let mut start = format!("1 {} {} {hash} {}", self.epoch, self.sequence, self.now.0);
        if let Some(snapshot) = &self.snapshot {
            let snapshot = Bytes(snapshot.clone()).to_string();
            start.extend([" s ", &snapshot]);
        }
        if let Some(since) = &self.history {
            start.extend([" h ", &since.0.to_string()]);
        }
        let reference = self.reference.as_ref().map(|positions| {
            positions
                .iter()
                .map(|at| format!("{}:{}:{}", at.topic, at.partition, at.next))
                .collect::<Vec<_>>()
                .join(" ")
        });
        match reference {
            Some(reference) if start.len() + reference.len() + 3 <= MOST_BYTES => {
                format!("{start} r {reference}").trim_end().to_owned()
            }
            _ => start,
        }
    }

    /// `None` if it is not a note of ours.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some("1") {
            return None;
        }
        let epoch = words.next()?.parse().ok()?;
        let sequence = words.next()?.parse().ok()?;
        let hash = unhex(words.next()?)?;
        let now = Timestamp(words.next()?.parse().ok()?);
        let mut next = words.next();
        let snapshot = if next == Some("s") {
            let hash = unhex(words.next()?)?;
            next = words.next();
            Some(hash)
        } else {
            None
        };
        let history = if next == Some("h") {
            let since = words.next()?.parse().ok()?;
            next = words.next();
            Some(Timestamp(since))
        } else {
            None
        };
        let reference = match next {
            None => None,
            Some("r") => Some(words.map(position).collect::<Option<_>>()?),
            Some(_) => return None,
        };
        Some(Self {
            epoch,
            sequence,
            hash,
            now,
            snapshot,
            history,
            reference,
        })
    }
}

fn position(word: &str) -> Option<Position> {
    let (rest, next) = word.rsplit_once(':')?;
    let (topic, partition) = rest.rsplit_once(':')?;
    Some(Position {
        topic: topic.to_owned(),
        partition: partition.parse().ok()?,
        next: next.parse().ok()?,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(partitions: i32) -> Note {
        let reference = (0..partitions)
            .map(|partition| Position {
                topic: "ods.practices".to_owned(),
                partition,
                next: 123_456,
            })
            .collect();
        Note {
            epoch: 2,
            sequence: 41,
            hash: (0..32).collect(),
            now: Timestamp(-1),
            snapshot: (partitions % 2 == 0).then(|| vec![7; 32]),
            history: (partitions % 3 == 0).then_some(Timestamp(i64::MIN)),
            reference: Some(reference),
        }
    }

    #[test]
    fn a_note_comes_back_as_it_was() {
        for partitions in [0, 1, 12] {
            let note = note(partitions);
            assert_eq!(Note::read(&note.write()), Some(note));
        }
    }

    #[test]
    fn a_note_that_would_be_too_long_leaves_the_reference_out() {
        let written = note(200).write();
        assert!(written.len() <= MOST_BYTES);
        assert_eq!(
            Note::read(&written),
            Some(Note {
                reference: None,
                history: None,
                ..note(0)
            })
        );
    }

    #[test]
    fn other_texts_are_no_notes() {
        for text in [
            "",
            "1",
            "2 1 1 00 0",
            "1 x 1 00 0",
            "1 1 1 0 0",
            "1 1 1 zz 0",
            "1 1 1 00 0 q",
        ] {
            assert_eq!(Note::read(text), None, "{text}");
        }
    }
}
