//! `/api/v1/ledger`: what became of every record, from the manifests, whoever wrote them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Served;
use super::asked::{AskedRows, Written};
use super::problem::{Problem, Told};
use super::table::{Format, rows_as_csv};
use crate::adapters::figures::State as Held;
use crate::domain::topic::SupplierTopic;

/// Which rows of the ledger are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Of CSV, which part: `dispositions` (also without it), `tasks` or `written`. JSON has all three.
    #[param(inline)]
    of: Option<Part>,
}

/// A part of the ledger.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    #[default]
    Dispositions,
    Tasks,
    Written,
}

/// What became of every record since the first start.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerAnswer {
    records: i64,
    /// Every record read ended in exactly one disposition.
    adds_up: bool,
    /// False while the ledger is still being read.
    is_complete: bool,
    transactions: u64,
    by_topic: BTreeMap<&'static str, TopicLedger>,
    /// By name.
    tasks: BTreeMap<String, TaskLedger>,
    /// Records written, by topic.
    written: BTreeMap<String, i64>,
}

/// A supplier topic's records.
#[derive(Debug, Serialize, ToSchema)]
struct TopicLedger {
    records: i64,
    /// The sum of all offset ranges read; above `records` by transaction markers and aborted records.
    offsets: i64,
    dispositions: BTreeMap<&'static str, i64>,
    reasons: BTreeMap<&'static str, i64>,
}

/// What a task's newest manifest says.
#[derive(Debug, Serialize, ToSchema)]
struct TaskLedger {
    epoch: i64,
    sequence: i64,
    pending: i64,
    as_of: String,
}

/// Records of a topic that came to one end.
#[derive(Debug, Default, Serialize)]
struct Ended {
    topic: &'static str,
    disposition: &'static str,
    reason: &'static str,
    records: i64,
}

/// A task.
#[derive(Debug, Default, Serialize)]
struct TaskLine<'s> {
    task: &'s str,
    epoch: i64,
    sequence: i64,
    pending: i64,
    as_of: String,
}

/// A topic that was written to.
#[derive(Debug, Default, Serialize)]
struct WrittenLine<'s> {
    topic: &'s str,
    records: i64,
}

/// Totals of the whole service since its first start, from the manifests, whoever wrote them.
#[utoipa::path(
    get,
    path = "/api/v1/ledger",
    tag = "service",
    params(Asked, Written),
    responses(
        (status = 200, description = "The ledger; as CSV the part that is asked for.", content((LedgerAnswer = "application/json"), (String = "text/csv")), headers(("etag" = String))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn ledger(
    State(app): State<Served>,
    AskedRows { asked, format, .. }: AskedRows<Asked, Written>,
) -> Result<Response, Problem> {
    let state = app.figures.read();
    Ok(match format {
        Format::Json => Json(answer(&state)).into_response(),
        Format::Csv => lines(&state, asked.of.unwrap_or_default()),
    })
}

fn lines(state: &Held, part: Part) -> Response {
    let ledger = &state.ledger;
    match part {
        Part::Dispositions => {
            let entries = ledger.counts.entries().map(|(topic, end, records)| Ended {
                topic: topic.name(),
                disposition: end.label(),
                reason: end.reason().unwrap_or_default(),
                records,
            });
            let mut lines: Vec<Ended> = entries.collect();
            lines.sort_by_key(|line| (line.topic, line.disposition, line.reason));
            rows_as_csv(&lines)
        }
        Part::Tasks => {
            let lines = ledger.tasks.iter().map(|(name, task)| TaskLine {
                task: name,
                epoch: task.epoch,
                sequence: task.sequence,
                pending: task.pending,
                as_of: task.as_of.to_rfc3339(),
            });
            rows_as_csv(&lines.collect::<Vec<_>>())
        }
        Part::Written => {
            let lines = ledger.written.iter().map(|(topic, records)| WrittenLine {
                topic,
                records: *records,
            });
            rows_as_csv(&lines.collect::<Vec<_>>())
        }
    }
}

fn answer(state: &Held) -> LedgerAnswer {
    let ledger = &state.ledger;
    let by_topic = SupplierTopic::ALL.into_iter().map(|topic| {
        let mut told = TopicLedger {
            records: ledger.counts.records(topic),
            offsets: ledger.topic(topic).offsets,
            dispositions: BTreeMap::new(),
            reasons: BTreeMap::new(),
        };
        let entries = ledger.counts.entries();
        for (_, disposition, records) in entries.filter(|(of, ..)| *of == topic) {
            *told.dispositions.entry(disposition.label()).or_default() += records;
            if let Some(reason) = disposition.reason() {
                *told.reasons.entry(reason).or_default() += records;
            }
        }
        (topic.name(), told)
    });
    let tasks = ledger.tasks.iter().map(|(name, task)| {
        let told = TaskLedger {
            epoch: task.epoch,
            sequence: task.sequence,
            pending: task.pending,
            as_of: task.as_of.to_rfc3339(),
        };
        (name.clone(), told)
    });
    LedgerAnswer {
        records: ledger.counts.total(),
        adds_up: ledger.adds_up(),
        is_complete: state.is_complete,
        transactions: ledger.transactions,
        by_topic: by_topic.collect(),
        tasks: tasks.collect(),
        written: ledger.written.clone(),
    }
}
