//! What stands of a task's rows in each compacted output, as a number and a digest kept up row by row.

use std::collections::BTreeMap;

use crate::adapters::effects;
use crate::domain::aggregate::{Figures, Row};
use crate::engine::state::block::{Fields, put_text};
use crate::wire::datum::Bytes;
use crate::wire::multiset::{self, Sum};
use crate::wire::output;

/// Of one output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    pub rows: i64,
    pub sum: Sum,
}

impl Standing {
    #[must_use]
    pub fn written(self) -> output::Standing {
        output::Standing {
            rows: self.rows,
            digest: Bytes(self.sum.to_bytes()),
        }
    }
}

/// Of every output of a task, by topic. It is part of the task's state, and written down with it.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    by_topic: BTreeMap<String, Standing>,
    figures: Vec<u8>,
}

impl Standings {
    /// Takes a row in: the figures that stood leave, those that stand enter. `key` is the datum of the row's key.
    pub fn apply(&mut self, topic: &str, key: &[u8], row: &Row) -> Standing {
        let encoded = |figures: &Figures, into: &mut Vec<u8>| {
            into.clear();
            effects::write_figures(figures, into);
            multiset::row(key, into)
        };
        if !self.by_topic.contains_key(topic) {
            self.by_topic.insert(topic.to_owned(), Standing::default());
        }
        let standing = self
            .by_topic
            .get_mut(topic)
            .expect("it was put there if it was not");
        if let Some(figures) = &row.stood {
            standing.sum.take(&encoded(figures, &mut self.figures));
            standing.rows -= 1;
        }
        if let Some(figures) = &row.figures {
            standing.sum.add(&encoded(figures, &mut self.figures));
            standing.rows += 1;
        }
        *standing
    }

    /// Appends all of it, to be read back by [`Self::read`].
    pub fn write(&self, into: &mut Vec<u8>) {
        for (topic, standing) in &self.by_topic {
            put_text(Some(topic), into);
            into.extend_from_slice(&standing.rows.to_le_bytes());
            into.extend_from_slice(&standing.sum.to_bytes());
        }
    }

    /// What was written; `None` if it makes no sense.
    pub fn read(&mut self, bytes: &[u8]) -> Option<()> {
        self.by_topic.clear();
        let mut fields = Fields(bytes);
        while fields.end().is_none() {
            let topic = fields.text()??.to_owned();
            let rows = fields.i64()?;
            let halves = [fields.sixteen()?, fields.sixteen()?];
            let sum = Sum::from_bytes(halves.as_flattened())?;
            self.by_topic.insert(topic, Standing { rows, sum });
        }
        Some(())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.by_topic.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::aggregate::{Finality, Published, Span};
    use crate::domain::place::Level;
    use crate::domain::time::{Day, Timestamp};

    fn row(stood: i64, stands: i64) -> Row {
        let figures = |count| {
            (count != 0).then(|| Figures {
                counts: vec![("appointments", count)],
                ratios: vec![],
            })
        };
        Row {
            aggregate: "activity".into(),
            level: Level::England,
            code: "E92000001".to_owned(),
            window: Span::Days(Day(1), Day(2)),
            dimensions: vec![],
            figures: figures(stands),
            stood: figures(stood),
            published: Published {
                as_of: Timestamp(0),
                revision: 1,
                finality: Finality::Provisional,
                by_idleness: false,
            },
        }
    }

    #[test]
    fn what_stands_depends_on_the_rows_and_not_on_the_way_to_them() {
        let mut there = Standings::default();
        there.apply("t", b"a", &row(0, 3));
        there.apply("t", b"b", &row(0, 4));
        there.apply("t", b"a", &row(3, 5));
        let last = there.apply("t", b"b", &row(4, 0));
        let mut restored = Standings::default();
        assert_eq!(restored.apply("t", b"a", &row(0, 5)), last);
        assert_eq!(last.rows, 1);
        assert_ne!(Standings::default().apply("t", b"b", &row(0, 5)), last);
        assert_ne!(Standings::default().apply("t", b"a", &row(0, 4)), last);
        assert_eq!(
            restored.apply("t", b"a", &row(5, 0)),
            Standing::default(),
            "nothing is left of a row that has returned to nothing"
        );
    }
}
