//! What the core hands over, in the shapes that topics and files carry, and back.

use std::borrow::Cow;

use crate::domain::aggregate::{Dimension, Figures, Finality, Measure, Published, Row, Span};
use crate::domain::disposition::Disposition;
use crate::domain::place::Level;
use crate::domain::time::{Day, Timestamp};
use crate::domain::topic::SupplierTopic;
use crate::engine::ledger::Counts;
use crate::stages::letter::DeadLetter;
use crate::wire::datum::Bytes;
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

/// The key of a row.
#[must_use]
pub fn key_of(row: &Row) -> output::AggregateKey {
    let (start, end) = texts_of(row.window);
    output::AggregateKey {
        aggregate: row.aggregate.to_string(),
        level: row.level.label().to_owned(),
        code: row.code.clone(),
        window_start: start,
        window_end: end,
        dimensions: row
            .dimensions
            .iter()
            .map(|(name, value)| output::Dimension {
                name: (*name).to_owned(),
                value: value.clone().into_owned(),
            })
            .collect(),
    }
}

/// The figures of a row.
#[must_use]
pub fn written_figures(figures: &Figures) -> output::Figures {
    output::Figures {
        counts: figures
            .counts
            .iter()
            .map(|(measure, value)| output::Count {
                measure: (*measure).to_owned(),
                value: *value,
            })
            .collect(),
        ratios: figures
            .ratios
            .iter()
            .map(|(measure, value)| output::Ratio {
                measure: measure.to_string(),
                value: *value,
            })
            .collect(),
    }
}

/// The value of a row; `None` is a tombstone. `written_by` is missing in files.
#[must_use]
pub fn value_of(row: &Row, written_by: Option<WrittenBy>) -> Option<output::AggregateValue> {
    let figures = row.figures.as_ref()?;
    let finality = match row.published.finality {
        Finality::Provisional => output::Finality::Provisional,
        Finality::Final => output::Finality::Final,
        Finality::Restated => output::Finality::Restated,
    };
    Some(output::AggregateValue {
        figures: written_figures(figures),
        published: output::Published {
            as_of: row.published.as_of.0,
            revision: i32::try_from(row.published.revision).unwrap_or(i32::MAX),
            closed_by: if finality == output::Finality::Provisional {
                output::ClosedBy::Open
            } else if row.published.by_idleness {
                output::ClosedBy::Idle
            } else {
                output::ClosedBy::Event
            },
            finality,
            written_by,
        },
    })
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
        |value| Published {
            by_idleness: value.published.closed_by == output::ClosedBy::Idle,
            as_of: Timestamp(value.published.as_of),
            revision: u32::try_from(value.published.revision).unwrap_or(0),
            finality: match value.published.finality {
                output::Finality::Provisional => Finality::Provisional,
                output::Finality::Final => Finality::Final,
                output::Finality::Restated => Finality::Restated,
            },
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
        Span::Days(from, to) => (iso(from), iso(to)),
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

fn iso(day: Day) -> String {
    day.date()
        .map_or_else(|| day.0.to_string(), |date| date.to_string())
}

fn day(text: &str) -> Option<Day> {
    text.parse::<chrono::NaiveDate>().ok().map(Day::from_date)
}
