//! Answers that are tables: JSON with what they are about, or CSV with the rows alone.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
}

impl Format {
    /// `format=csv` goes before `Accept: text/csv`.
    ///
    /// # Errors
    /// A format that is neither.
    pub fn asked(format: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        match format {
            Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some(other) => Err(Problem::wrong(format!(
                "format: `{other}` is neither json nor csv"
            ))),
            None => {
                let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
                let wants_csv = accept.is_some_and(|accept| accept.starts_with("text/csv"));
                Ok(if wants_csv { Self::Csv } else { Self::Json })
            }
        }
    }
}

/// Rows of one shape, with what they are about.
#[derive(Debug, Serialize)]
pub struct Table<T> {
    #[serde(flatten)]
    pub about: Value,
    pub rows: Vec<T>,
}

impl<T: Serialize + Default> Table<T> {
    #[must_use]
    pub fn respond(&self, format: Format) -> Response {
        match format {
            Format::Json => Json(self).into_response(),
            Format::Csv => match self.csv() {
                Ok(text) => {
                    let kind = [(
                        header::CONTENT_TYPE,
                        "text/csv; charset=utf-8; header=present",
                    )];
                    (kind, text).into_response()
                }
                Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
                    .into_response(),
            },
        }
    }

    /// The line of columns is there without a row, too.
    fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut columns = csv::Writer::from_writer(Vec::new());
        columns.serialize(T::default())?;
        let mut text = columns
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?;
        let first = text.iter().position(|byte| *byte == b'\n');
        text.truncate(first.map_or(0, |end| end + 1));
        let mut rows = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(text);
        for row in &self.rows {
            rows.serialize(row)?;
        }
        Ok(rows.into_inner().map_err(csv::IntoInnerError::into_error)?)
    }
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

    #[test]
    fn csv_has_its_columns_also_without_rows() {
        let mut table = Table {
            about: Value::Null,
            rows: Vec::new(),
        };
        assert_eq!(table.csv().expect("text"), b"code,share\n");
        for share in [Some(0.25), None] {
            let code = "a,\"b\"".to_owned();
            table.rows.push(Row { code, share });
        }
        let text = String::from_utf8(table.csv().expect("text")).expect("text");
        assert_eq!(text, "code,share\n\"a,\"\"b\"\"\",0.25\n\"a,\"\"b\"\"\",\n");
    }

    #[test]
    fn the_parameter_goes_before_the_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(Format::asked(None, &headers).expect("known"), Format::Json);
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("text/csv"));
        assert_eq!(Format::asked(None, &headers).expect("known"), Format::Csv);
        assert_eq!(
            Format::asked(Some("json"), &headers).expect("known"),
            Format::Json
        );
        assert!(Format::asked(Some("xls"), &headers).is_err());
    }
}
