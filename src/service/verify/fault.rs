//! What a verification finds wrong, named by task, sequence and topic.

use std::fmt;

/// Kinds of faults, closed: what can be wrong with a log of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A manifest is missing from its chain.
    Gap,
    /// A manifest of that sequence was there before.
    Repeated,
    /// A part of a transaction is there and another is not.
    Torn,
    /// A manifest is not what its hash, or the hash in the next one, says.
    Hash,
    /// Offset ranges that do not continue each other, or do not end where the group's positions stand.
    Offsets,
    /// Counts that do not add up to what was read or written.
    Sum,
    /// Records that are not those that were written.
    Altered,
    /// Records that no manifest accounts for.
    Unaccounted,
    /// Records that cannot be read.
    Unreadable,
}

impl Kind {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Repeated => "repeated",
            Self::Torn => "torn",
            Self::Hash => "hash",
            Self::Offsets => "offsets",
            Self::Sum => "sum",
            Self::Altered => "altered",
            Self::Unaccounted => "unaccounted",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    /// Empty where it is not known.
    pub task: String,
    pub sequence: Option<i64>,
    pub topic: String,
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.kind.label())?;
        if !self.task.is_empty() {
            write!(f, " task {},", self.task)?;
        }
        if let Some(sequence) = self.sequence {
            write!(f, " sequence {sequence},")?;
        }
        write!(f, " {}: {}", self.topic, self.detail)
    }
}
