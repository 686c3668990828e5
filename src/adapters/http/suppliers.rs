//! `/api/v1/suppliers`: how far this instance is with each supplier's records.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::{AskedRows, Nothing, Written};
use super::problem::{Problem, Told};
use super::table::{Paged, respond};
use super::{Served, blocking};
use crate::domain::time::Timestamp;

/// How far this instance is; another tells its own.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuppliersAnswer {
    /// The service's time, simulated in a demonstration.
    now: String,
    /// Whose records these are.
    of: &'static str,
    /// Records that are still to be read.
    lag_records: i64,
    rows: Vec<Row>,
}

impl Paged for SuppliersAnswer {
    type Row = Row;

    fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn blank(&self) -> Row {
        Row::default()
    }

    fn next(&self) -> Option<&str> {
        None
    }
}

/// A supplier that this instance has read records of.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = SupplierRow)]
pub struct Row {
    supplier: &'static str,
    /// Everything before is in the figures: of the task furthest behind.
    watermark: String,
    /// The newest record's time, of all tasks.
    newest: String,
    /// From the watermark to the service's time, in seconds; below 0 where a clock runs ahead.
    behind_seconds: i64,
}

/// How far this instance is with each supplier's records.
#[utoipa::path(
    get,
    path = "/api/v1/suppliers",
    tag = "service",
    params(Written),
    responses(
        (status = 200, description = "A row for each supplier that something was read of since the start.", content((SuppliersAnswer = "application/json"), (String = "text/csv")), headers(("etag" = String))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn suppliers(
    State(app): State<Served>,
    AskedRows { format, .. }: AskedRows<Nothing, Written>,
) -> Result<Response, Problem> {
    blocking(move || {
        let now = app.clock.now();
        let rows = (app.metrics.watermarks().into_iter()).map(|(supplier, behind, ahead)| Row {
            supplier: supplier.label(),
            watermark: Timestamp(behind).to_rfc3339(),
            newest: Timestamp(ahead).to_rfc3339(),
            behind_seconds: (now.0 - behind).div_euclid(1_000),
        });
        let answer = SuppliersAnswer {
            rows: rows.collect(),
            now: now.to_rfc3339(),
            of: "the tasks of this instance",
            lag_records: app.metrics.lag(),
        };
        Ok(respond(&answer, format))
    })
    .await
}
