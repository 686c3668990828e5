//! `/api/v1/suppliers`: how far this instance is with each supplier's records.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::problem::Problem;
use super::table::{Format, Table};
use super::{Served, blocking};
use crate::domain::time::Timestamp;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    format: Option<String>,
}

/// A supplier that this instance has read records of.
#[derive(Debug, Default, Serialize)]
struct Row {
    supplier: &'static str,
    /// Everything before is in the figures: of the task furthest behind.
    watermark: String,
    /// The newest record's time, of all tasks.
    newest: String,
    /// From the watermark to the service's time, in seconds; below 0 where a clock runs ahead.
    behind_seconds: i64,
}

pub async fn suppliers(
    State(app): State<Served>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::wrong(error.body_text()))?;
    let format = Format::asked(asked.format.as_deref(), &headers)?;
    blocking(move || {
        let now = app.clock.now();
        let rows = (app.metrics.watermarks().into_iter()).map(|(supplier, behind, ahead)| Row {
            supplier: supplier.label(),
            watermark: Timestamp(behind).to_rfc3339(),
            newest: Timestamp(ahead).to_rfc3339(),
            behind_seconds: (now.0 - behind).div_euclid(1_000),
        });
        let table = Table {
            rows: rows.collect(),
            about: json!({
                "now": now.to_rfc3339(),
                "of": "the tasks of this instance",
                "lag_records": app.metrics.lag(),
            }),
        };
        Ok(table.respond(format))
    })
    .await
}
