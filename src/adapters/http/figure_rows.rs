//! A row of figures as answers tell it: what an aggregate says of a place and a stretch of time, in JSON and as a line of CSV.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::disclosure::Disclosure;
use super::summary::label_of;
use super::table::Sheet;
use crate::adapters::figures::Held;
use crate::domain::aggregate::Published;
use crate::engine::plan::Aggregate;

/// A row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AggregateRow)]
pub struct Row {
    pub code: String,
    /// Empty where the register has none.
    pub name: String,
    /// Beginning and end, the end not in it: days, or instants of rolling windows.
    pub window: [String; 2],
    pub dimensions: BTreeMap<&'static str, &'static str>,
    /// The measures and ratios; null is suppressed.
    #[schema(value_type = BTreeMap<String, Option<f64>>)]
    pub figures: BTreeMap<String, Figure>,
    pub published: PublishedAs,
    /// Of the data behind the row, 0 to 100; null where nothing is known of it.
    pub quality_score: Option<f64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub enum Figure {
    Count(Option<i64>),
    Ratio(f64),
}

/// How a row was published; of rows added up: the newest time, the greatest revision, the least sure finality.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublishedAs {
    /// Event time up to which the row is complete; null of a row that has changed since the time asked for.
    as_of: Option<String>,
    /// 1 at first, one more with every correction.
    revision: u32,
    /// `provisional`, `final` or `restated`; null of a row that has changed since the time asked for.
    finality: Option<&'static str>,
}

impl PublishedAs {
    pub fn of(held: &Held) -> Self {
        Self::told(&held.published, held.is_taken_back)
    }

    /// Of what was taken back to a time before, no more than the revision is kept.
    pub fn told(published: &Published, is_taken_back: bool) -> Self {
        Self {
            as_of: (!is_taken_back).then(|| published.as_of.to_rfc3339()),
            revision: published.revision,
            finality: (!is_taken_back).then(|| label_of(published.finality)),
        }
    }
}

/// Counts as they may be told, and ratios where no count is suppressed.
pub fn figures<N: ToString>(
    aggregate: &Aggregate,
    counts: &[i64],
    ratios: impl IntoIterator<Item = (N, f64)>,
    disclosure: Disclosure,
) -> BTreeMap<String, Figure> {
    let measures = aggregate.measures.iter().zip(counts);
    let counts = measures.map(|(measure, count)| {
        let told = Figure::Count(disclosure.told(*count));
        (measure.label().to_owned(), told)
    });
    let mut figures: BTreeMap<String, Figure> = counts.collect();
    if !disclosure.applies() {
        let ratios = ratios.into_iter();
        figures.extend(ratios.map(|(name, value)| (name.to_string(), Figure::Ratio(value))));
    }
    figures
}

/// The columns of the JSON, with the aggregate's measures and ratios as it declares them.
pub fn sheet(
    aggregate: &Aggregate,
    level: &str,
    dimensions: &[&'static str],
    rows: &[Row],
) -> Result<Vec<u8>, csv::Error> {
    let measures = aggregate.measures.iter().map(|it| it.label());
    let figures: Vec<_> = measures.chain(aggregate.ratio_labels()).collect();
    let mut sheet = Sheet::default();
    let first = ["level", "code", "name", "window_start", "window_end"];
    let last = ["as_of", "revision", "finality", "quality_score"];
    let columns = first.iter().chain(dimensions).chain(&figures).chain(&last);
    sheet.line(columns.copied())?;
    for row in rows {
        let [start, end] = &row.window;
        let mut cells = vec![
            level.to_owned(),
            row.code.clone(),
            row.name.clone(),
            start.clone(),
            end.clone(),
        ];
        cells.extend(dimensions.iter().map(|it| row.dimensions[it].to_owned()));
        cells.extend(figures.iter().map(|it| match row.figures.get(*it) {
            Some(Figure::Count(Some(count))) => count.to_string(),
            Some(Figure::Ratio(ratio)) => ratio.to_string(),
            Some(Figure::Count(None)) | None => String::new(),
        }));
        let published = &row.published;
        cells.extend([
            published.as_of.clone().unwrap_or_default(),
            published.revision.to_string(),
            published.finality.unwrap_or_default().to_owned(),
            row.quality_score
                .map_or_else(String::new, |score| score.to_string()),
        ]);
        sheet.line(cells.iter().map(String::as_str))?;
    }
    sheet.finish()
}
