//! What a published cell is made of: how many rows, how often they were published, and how sure they are.

use xxhash_rust::xxh3::Xxh3Default;

use crate::domain::aggregate::{Finality, Row};
use crate::domain::time::Timestamp;

/// The header of the files that tell it.
pub const COLUMNS: [&str; 6] = [
    "ROWS",
    "REVISIONS",
    "FINALITY",
    "CLOSED_BY",
    "AS_OF",
    "DIGEST",
];

/// The rows behind one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    pub rows: u32,
    /// How often they were published, added up; of a single row its revision.
    pub revisions: u64,
    /// Of the least sure: provisional before restated before final.
    pub finality: Finality,
    /// One of them was closed because nothing came any more.
    pub by_idleness: bool,
    /// Event time: the greatest time of extraction that went into any.
    pub as_of: Timestamp,
    /// Sum modulo 2^64 of a hash of each row's key and revision: another one, other rows.
    pub digest: u64,
}

impl Provenance {
    /// Of one row.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        let published = &row.published;
        Self {
            rows: 1,
            digest: digest(row),
            revisions: u64::from(published.revision),
            finality: published.finality,
            by_idleness: published.by_idleness,
            as_of: published.as_of,
        }
    }

    /// Of both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let less_sure = |finality| match finality {
            Finality::Provisional => 2,
            Finality::Restated => 1,
            Finality::Final => 0,
        };
        Self {
            rows: self.rows + other.rows,
            revisions: self.revisions + other.revisions,
            finality: if less_sure(other.finality) > less_sure(self.finality) {
                other.finality
            } else {
                self.finality
            },
            by_idleness: self.by_idleness || other.by_idleness,
            as_of: self.as_of.max(other.as_of),
            digest: self.digest.wrapping_add(other.digest),
        }
    }

    /// By [`COLUMNS`].
    pub(super) fn texts(&self) -> [String; 6] {
        let (finality, closed_by) = match (self.finality, self.by_idleness) {
            (Finality::Provisional, _) => ("provisional", "open"),
            (Finality::Final, false) => ("final", "event"),
            (Finality::Final, true) => ("final", "idle"),
            (Finality::Restated, false) => ("restated", "event"),
            (Finality::Restated, true) => ("restated", "idle"),
        };
        [
            self.rows.to_string(),
            self.revisions.to_string(),
            finality.to_owned(),
            closed_by.to_owned(),
            self.as_of.to_rfc3339(),
            format!("{:016x}", self.digest),
        ]
    }
}

fn digest(row: &Row) -> u64 {
    let mut hash = Xxh3Default::new();
    let mut text = |text: &str| {
        hash.update(text.as_bytes());
        // No text has it, so none runs into the next.
        hash.update(&[0xff]);
    };
    text(&row.aggregate);
    text(row.level.label());
    text(&row.code);
    for (name, value) in &row.dimensions {
        text(name);
        text(value);
    }
    if let Some((from, to)) = row.window.days() {
        hash.update(&from.0.to_le_bytes());
        hash.update(&to.0.to_le_bytes());
    }
    hash.update(&row.published.revision.to_le_bytes());
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::aggregate::{Published, Span};
    use crate::domain::place::Level;
    use crate::domain::time::Day;

    fn row(day: i32, revision: u32, finality: Finality, by_idleness: bool) -> Provenance {
        Provenance::of(&Row {
            aggregate: "activity".into(),
            level: Level::SubIcb,
            code: "15N".to_owned(),
            window: Span::Days(Day(day), Day(day + 1)),
            dimensions: vec![("status", "Attended".into())],
            figures: None,
            stood: None,
            published: Published {
                as_of: Timestamp(i64::from(revision) * 1_000),
                revision,
                finality,
                by_idleness,
            },
        })
    }

    #[test]
    fn the_digest_tells_rows_and_revisions_apart_in_any_order() {
        let of = |day, revision| row(day, revision, Finality::Final, false);
        let both = of(1, 1).and(of(2, 3));
        assert_eq!(both, of(2, 3).and(of(1, 1)));
        for other in [
            of(1, 2).and(of(2, 2)),
            of(1, 3).and(of(2, 1)),
            of(1, 1).and(of(3, 3)),
        ] {
            assert_eq!((other.rows, other.revisions), (both.rows, both.revisions));
            assert_ne!(other.digest, both.digest);
        }
    }

    #[test]
    fn a_cell_is_as_sure_as_its_least_sure_row() {
        let cases = [
            (Finality::Final, Finality::Final, "final idle"),
            (Finality::Restated, Finality::Final, "restated idle"),
            (
                Finality::Restated,
                Finality::Provisional,
                "provisional open",
            ),
            (Finality::Final, Finality::Provisional, "provisional open"),
        ];
        for (one, other, expected) in cases {
            for (a, b) in [(one, other), (other, one)] {
                let both = row(1, 2, a, false).and(row(2, 5, b, true));
                let [rows, revisions, finality, closed_by, as_of, _] = both.texts();
                assert_eq!((rows.as_str(), revisions.as_str()), ("2", "7"));
                assert_eq!(format!("{finality} {closed_by}"), expected);
                assert_eq!(as_of, "1970-01-01T00:00:05.000Z");
            }
        }
    }
}
