//! What the core hands over, in the shapes that topics and files carry, and back.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::io::Write as _;

use crate::domain::aggregate::{Dimension, Figures, Finality, Measure, Published, Row, Span};
use crate::domain::disposition::Disposition;
use crate::domain::place::Level;
use crate::domain::time::{Day, Timestamp};
use crate::domain::topic::SupplierTopic;
use crate::engine::ledger::Counts;
use crate::stages::letter::DeadLetter;
use crate::wire::avro::encode;
use crate::wire::datum::{Avro, Bytes};
use crate::wire::output::{self, WrittenBy};

/// Names of dimensions that levels are printed with.
const PRINTED: [&str; 5] = [
    "pcn_code",
    "sub_icb_code",
    "sub_icb_ons_code",
    "icb_ons_code",
    "region_ons_code",
];

/// The topic of an aggregate's rows.
#[must_use]
pub fn aggregate_topic(name: &str) -> String {
    format!("gpad.aggregates.{name}")
}

/// Appends the key of a row: an [`output::AggregateKey`].
//
// These write what they are given, borrowed: a record that comes in may change a dozen rows, and an owned shape of each
// would be thirty allocations.
pub fn write_key(row: &Row, into: &mut Vec<u8>) {
    encode::text(&row.aggregate, into);
    encode::text(row.level.label(), into);
    encode::text(&row.code, into);
    write_span(row.window, into);
    encode::array(&row.dimensions, into, |(name, value), into| {
        encode::text(name, into);
        encode::text(value, into);
    });
}

/// Appends the figures of a row: [`output::Figures`].
pub fn write_figures(figures: &Figures, into: &mut Vec<u8>) {
    encode::array(&figures.counts, into, |(measure, value), into| {
        encode::text(measure, into);
        encode::long(*value, into);
    });
    encode::array(&figures.ratios, into, |(measure, value), into| {
        encode::text(measure, into);
        encode::double(*value, into);
    });
}

/// Appends the value of a row, an [`output::AggregateValue`]; `false`, and nothing, of a tombstone. `written_by`, a task and the
/// number of its manifest, is missing in files.
pub fn write_value(row: &Row, written_by: Option<(&str, i64)>, into: &mut Vec<u8>) -> bool {
    let Some(figures) = &row.figures else {
        return false;
    };
    write_figures(figures, into);
    let published = &row.published;
    let (finality, closed_by) = match published.finality {
        Finality::Provisional => (output::Finality::Provisional, output::ClosedBy::Open),
        Finality::Final => (output::Finality::Final, closed_by(published)),
        Finality::Restated => (output::Finality::Restated, closed_by(published)),
    };
    published.as_of.0.write(into);
    let revision = i32::try_from(published.revision).unwrap_or(i32::MAX);
    revision.write(into);
    finality.write(into);
    closed_by.write(into);
    encode::optional(written_by, into, |(task, sequence), into| {
        encode::text(task, into);
        encode::long(sequence, into);
    });
    true
}

const fn closed_by(published: &Published) -> output::ClosedBy {
    if published.by_idleness {
        output::ClosedBy::Idle
    } else {
        output::ClosedBy::Event
    }
}

/// A row as it was read back; `None` if it was not written by a plan of closed vocabularies.
#[must_use]
pub fn row_of(key: output::AggregateKey, value: Option<output::AggregateValue>) -> Option<Row> {
    let dimensions = key
        .dimensions
        .into_iter()
        .map(|dimension| {
            let printed = PRINTED.into_iter().find(|name| *name == dimension.name);
            let name =
                printed.or_else(|| Dimension::from_label(&dimension.name).map(Dimension::label))?;
            Some((name, Cow::Owned(dimension.value)))
        })
        .collect::<Option<_>>()?;
    let published = value.as_ref().map_or(
        Published {
            as_of: Timestamp(0),
            revision: 0,
            finality: Finality::Provisional,
            by_idleness: false,
        },
        |value| {
            let told = &value.published;
            published_of(told.as_of, told.revision, told.finality, told.closed_by)
        },
    );
    let figures = value
        .map(|value| figures_of(value.figures))
        .map_or(Some(None), |figures| figures.map(Some))?;
    Some(Row {
        aggregate: key.aggregate.into(),
        level: Level::from_label(&key.level)?,
        code: key.code,
        window: span_of(&key.window_start, &key.window_end)?,
        dimensions,
        figures,
        stood: None,
        published,
    })
}

/// How a row that was read back was published.
#[must_use]
pub fn published_of(
    as_of: i64,
    revision: i32,
    finality: output::Finality,
    closed_by: output::ClosedBy,
) -> Published {
    Published {
        by_idleness: closed_by == output::ClosedBy::Idle,
        as_of: Timestamp(as_of),
        revision: u32::try_from(revision).unwrap_or(0),
        finality: match finality {
            output::Finality::Provisional => Finality::Provisional,
            output::Finality::Final => Finality::Final,
            output::Finality::Restated => Finality::Restated,
        },
    }
}

fn figures_of(figures: output::Figures) -> Option<Figures> {
    Some(Figures {
        counts: figures
            .counts
            .into_iter()
            .map(|count| Some((Measure::from_label(&count.measure)?.label(), count.value)))
            .collect::<Option<_>>()?,
        ratios: figures
            .ratios
            .into_iter()
            .map(|ratio| (ratio.measure.as_str().into(), ratio.value))
            .collect(),
    })
}

/// A dead letter.
#[must_use]
pub fn dead_letter_of(letter: &DeadLetter, written_by: Option<WrittenBy>) -> output::DeadLetter {
    let (key, payload) = letter.raw.clone().unzip();
    output::DeadLetter {
        topic: letter.topic.name().to_owned(),
        partition: letter.partition,
        offset: letter.offset,
        reason: letter.reason.label().to_owned(),
        field: letter.field.clone(),
        practice_ods_code: letter.practice.clone(),
        detail: letter.detail.clone(),
        key: key.map(Bytes),
        payload: payload.map(Bytes),
        content: letter.content.clone(),
        extracted_at: letter.extracted_at.map(|at| at.0),
        written_by,
    }
}

/// Dispositions of a transaction.
#[must_use]
pub fn counts_of(counts: &Counts) -> Vec<output::DispositionCount> {
    counts
        .entries()
        .map(|(topic, disposition, count)| output::DispositionCount {
            topic: topic.name().to_owned(),
            disposition: disposition.label().to_owned(),
            reason: disposition.reason().map(str::to_owned),
            count,
        })
        .collect()
}

/// Dispositions read back; what no topic or disposition is called is passed over.
#[must_use]
pub fn counts_from(counts: &[output::DispositionCount]) -> Counts {
    let mut known = Counts::default();
    for count in counts {
        let disposition = Disposition::all().find(|disposition| {
            disposition.label() == count.disposition
                && disposition.reason() == count.reason.as_deref()
        });
        if let (Some(topic), Some(disposition)) =
            (SupplierTopic::from_name(&count.topic), disposition)
        {
            known.add(topic, disposition, count.count);
        }
    }
    known
}

/// PCN, sub-ICB and its ONS code, ICB likewise, region likewise; empty where missing.
/// Where a row's window begins and ends: days such as `2022-02-28`, instants such as `2022-02-28T09:15:00.000Z`.
pub(super) fn texts_of(span: Span) -> (String, String) {
    match span {
        Span::Days(from, to) => (Iso(from).to_string(), Iso(to).to_string()),
        Span::Times(from, to) => (from.to_rfc3339(), to.to_rfc3339()),
    }
}

/// The inverse of [`texts_of`].
pub(super) fn span_of(from: &str, to: &str) -> Option<Span> {
    if let (Some(from), Some(to)) = (day(from), day(to)) {
        return Some(Span::Days(from, to));
    }
    let instant = |text| {
        let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
        Some(Timestamp(time.timestamp_millis()))
    };
    Some(Span::Times(instant(from)?, instant(to)?))
}

/// Appends both texts of [`texts_of`]; days, as most windows are of, without one being made.
fn write_span(span: Span, into: &mut Vec<u8>) {
    match span {
        Span::Days(from, to) => {
            for day in [from, to] {
                let at = into.len();
                into.push(0);
                write!(into, "{}", Iso(day)).expect("a list of bytes takes any");
                // A length below 64 is a byte: its double.
                into[at] = ((into.len() - at - 1) << 1) as u8;
            }
        }
        Span::Times(from, to) => {
            encode::text(&from.to_rfc3339(), into);
            encode::text(&to.to_rfc3339(), into);
        }
    }
}

/// A day such as `2022-02-28`; its number where the calendar has none.
struct Iso(Day);

impl Display for Iso {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.date() {
            Some(date) => Display::fmt(&date, f),
            None => Display::fmt(&self.0.0, f),
        }
    }
}

fn day(text: &str) -> Option<Day> {
    text.parse::<chrono::NaiveDate>().ok().map(Day::from_date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::datum::Datum;
    use crate::wire::output::{AggregateKey, AggregateValue, WrittenBy};

    fn row() -> Row {
        Row {
            aggregate: "practice_day".into(),
            level: Level::Practice,
            code: "J81012".to_owned(),
            window: Span::Days(Day(19_024), Day(19_025)),
            dimensions: vec![("sub_icb_code", "11J".into()), ("status", "DNA".into())],
            figures: Some(Figures {
                counts: vec![("appointments", 3), ("minutes", -70)],
                ratios: vec![("share".into(), 0.25)],
            }),
            stood: None,
            published: Published {
                as_of: Timestamp(1_643_702_400_000),
                revision: 4,
                finality: Finality::Restated,
                by_idleness: true,
            },
        }
    }

    fn key(row: &Row) -> AggregateKey {
        let mut datum = Vec::new();
        write_key(row, &mut datum);
        AggregateKey::from_bytes(&datum).expect("a key")
    }

    /// What is written without an owned shape is what the shape reads.
    #[test]
    fn a_row_is_written_as_its_schemas_say() {
        let named = |name: &str, value: &str| output::Dimension {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let expected = AggregateKey {
            aggregate: "practice_day".to_owned(),
            level: "practice".to_owned(),
            code: "J81012".to_owned(),
            window_start: "2022-02-01".to_owned(),
            window_end: "2022-02-02".to_owned(),
            dimensions: vec![named("sub_icb_code", "11J"), named("status", "DNA")],
        };
        assert_eq!(key(&row()), expected);
        let counted = |measure: &str, value| output::Count {
            measure: measure.to_owned(),
            value,
        };
        let expected = AggregateValue {
            figures: output::Figures {
                counts: vec![counted("appointments", 3), counted("minutes", -70)],
                ratios: vec![output::Ratio {
                    measure: "share".to_owned(),
                    value: 0.25,
                }],
            },
            published: output::Published {
                as_of: 1_643_702_400_000,
                revision: 4,
                finality: output::Finality::Restated,
                closed_by: output::ClosedBy::Idle,
                written_by: Some(WrittenBy {
                    task: "3".to_owned(),
                    sequence: 9,
                }),
            },
        };
        let mut datum = Vec::new();
        assert!(write_value(&row(), Some(("3", 9)), &mut datum));
        assert_eq!(AggregateValue::from_bytes(&datum), Ok(expected));
    }

    #[test]
    fn what_closed_a_window_is_told_once_it_is() {
        for (finality, by_idleness, expected) in [
            (Finality::Provisional, false, output::ClosedBy::Open),
            (Finality::Provisional, true, output::ClosedBy::Open),
            (Finality::Final, false, output::ClosedBy::Event),
            (Finality::Final, true, output::ClosedBy::Idle),
        ] {
            let mut row = row();
            (row.published.finality, row.published.by_idleness) = (finality, by_idleness);
            let mut datum = Vec::new();
            assert!(write_value(&row, None, &mut datum));
            let published = AggregateValue::from_bytes(&datum)
                .expect("a value")
                .published;
            assert_eq!(
                (published.closed_by, published.written_by),
                (expected, None)
            );
        }
    }

    #[test]
    fn a_row_without_figures_has_no_value() {
        let mut datum = Vec::new();
        let gone = Row {
            figures: None,
            ..row()
        };
        assert!(!write_value(&gone, None, &mut datum));
        assert!(datum.is_empty());
    }

    #[test]
    fn windows_are_read_back_as_they_were_written() {
        for window in [
            Span::Days(Day(0), Day(1)),
            Span::Days(Day(-719_529), Day(-719_528)),
            Span::Days(Day(2_932_896), Day(2_932_897)),
            Span::Times(Timestamp(1_643_702_400_000), Timestamp(1_643_706_000_000)),
        ] {
            let key = key(&Row { window, ..row() });
            assert_eq!(
                (key.window_start.clone(), key.window_end.clone()),
                texts_of(window)
            );
            assert_eq!(span_of(&key.window_start, &key.window_end), Some(window));
        }
    }
}
