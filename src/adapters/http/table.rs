//! Answers that are rows: JSON with what they are about, or CSV with the rows alone.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Json,
    Csv,
}

impl Format {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }

    /// What a header `Accept` names first of those that there are; JSON without one.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let kinds = accept.unwrap_or_default().split(',');
        let mut kinds = kinds.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        let first = kinds.find_map(|kind| match kind {
            "text/csv" => Some(Self::Csv),
            "application/json" | "*/*" => Some(Self::Json),
            _ => None,
        });
        first.unwrap_or(Self::Json)
    }
}

/// An answer that is rows.
pub trait Paged: Serialize {
    type Row: Serialize;

    fn rows(&self) -> &[Self::Row];

    /// A row that has every column, for the line of columns.
    fn blank(&self) -> Self::Row;

    /// Where the next page is.
    fn next(&self) -> Option<&str>;
}

/// Writes an answer.
pub fn respond<T: Paged>(table: &T, format: Format) -> Response {
    let response = match format {
        Format::Json => Json(table).into_response(),
        Format::Csv => csv_response(sheet(&table.blank(), table.rows())),
    };
    linked(response, table.next())
}

/// Rows alone.
pub fn rows_as_csv<T: Serialize + Default>(rows: &[T]) -> Response {
    csv_response(sheet(&T::default(), rows))
}

/// A link to the next page, for those who read no body for it.
pub fn linked(mut response: Response, next: Option<&str>) -> Response {
    let link = next.map(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")));
    if let Some(Ok(link)) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

pub fn csv_response(text: Result<Vec<u8>, csv::Error>) -> Response {
    match text {
        Ok(text) => {
            let kind = "text/csv; charset=utf-8; header=present";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

/// Rows of one shape; the line of columns is there without a row, too.
fn sheet<T: Serialize>(blank: &T, rows: &[T]) -> Result<Vec<u8>, csv::Error> {
    let mut columns = csv::Writer::from_writer(Vec::new());
    columns.serialize(blank)?;
    let columns = finished(columns)?;
    let mut plain = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    for row in rows {
        plain.serialize(row)?;
    }
    let plain = finished(plain)?;
    let records = |text| {
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).from_reader(text)
    };
    let mut sheet = Sheet::default();
    for record in records(&*columns).records().take(1) {
        sheet.line(record?.iter())?;
    }
    for record in records(&*plain).records() {
        sheet.line(record?.iter())?;
    }
    sheet.finish()
}

fn finished(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    Ok(writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?)
}

/// CSV of cells that no spreadsheet takes for a formula.
pub struct Sheet(csv::Writer<Vec<u8>>);

impl Default for Sheet {
    fn default() -> Self {
        Self(csv::Writer::from_writer(Vec::new()))
    }
}

impl Sheet {
    /// # Errors
    /// Another number of cells than before.
    pub fn line<'c>(&mut self, cells: impl Iterator<Item = &'c str>) -> Result<(), csv::Error> {
        for cell in cells {
            self.0.write_field(&*safe(cell))?;
        }
        self.0.write_record(None::<&[u8]>)
    }

    /// # Errors
    /// None that memory knows of.
    pub fn finish(self) -> Result<Vec<u8>, csv::Error> {
        finished(self.0)
    }
}

/// A cell that a spreadsheet would work out gets an apostrophe in front, as OWASP advises; numbers stay numbers.
fn safe(cell: &str) -> Cow<'_, str> {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula && cell.parse::<f64>().is_err() {
        return format!("'{cell}").into();
    }
    cell.into()
}

/// To six decimals: more says nothing of a figure.
#[must_use]
pub fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Serialize)]
    struct Row {
        code: String,
        share: Option<f64>,
    }

    fn csv(rows: &[Row]) -> String {
        String::from_utf8(sheet(&Row::default(), rows).expect("a sheet")).expect("text")
    }

    #[test]
    fn csv_has_its_columns_also_without_rows() {
        assert_eq!(csv(&[]), "code,share\n");
        let row = |share| Row {
            code: "a,\"b\"".to_owned(),
            share,
        };
        assert_eq!(
            csv(&[row(Some(0.25)), row(None)]),
            "code,share\n\"a,\"\"b\"\"\",0.25\n\"a,\"\"b\"\"\",\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula_and_numbers_stay_numbers() {
        for text in ["=1+1", "+44", "-2+3", "@SUM(A1)", "\t=1", "-", "+x"] {
            let row = Row {
                code: text.to_owned(),
                share: Some(-0.25),
            };
            let is_number = text.parse::<f64>().is_ok();
            let text = csv(&[row]);
            let cell = text.lines().nth(1).expect("a row").trim_matches('"');
            assert_eq!(cell.starts_with('\''), !is_number, "{text}");
            assert!(text.ends_with(",-0.25\n"), "{text}");
        }
    }

    #[test]
    fn the_first_kind_that_is_accepted_decides() {
        let cases = [
            (None, Format::Json),
            (Some("text/csv"), Format::Csv),
            (Some("text/html, text/csv;q=0.9, */*;q=0.1"), Format::Csv),
            (Some("application/json, text/csv"), Format::Json),
            (Some("*/*"), Format::Json),
            (Some("image/png"), Format::Json),
        ];
        for (accept, format) in cases {
            assert_eq!(Format::accepted(accept), format, "{accept:?}");
        }
    }
}
