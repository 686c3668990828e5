//! The API: rows of aggregates and the ledger, as JSON.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::disclosure::Disclosure;
use super::problem::Problem;
use super::quality::{SCORE, told_score};
use super::summary::{Summary, iso, label_of};
use super::{App, Served, blocking};
use crate::adapters::figures::quality::Beside;
use crate::adapters::figures::{Held, RowKey};
use crate::domain::aggregate::Span;
use crate::domain::place::Level;
use crate::domain::time::{Day, Timestamp};
use crate::domain::topic::SupplierTopic;
use crate::engine::plan::Aggregate;

/// Rows of one answer, unless fewer are asked for.
const MOST_ROWS: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    level: Option<String>,
    window: Option<String>,
    code: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
}

pub async fn summary(State(app): State<Served>) -> Json<Summary> {
    Json(app.summary())
}

/// Totals of the whole service since its first start, from the manifests, whoever wrote them.
pub async fn ledger(State(app): State<Served>) -> Json<Value> {
    let state = app.figures.read();
    let ledger = &state.ledger;
    let topics: Map<String, Value> = SupplierTopic::ALL
        .into_iter()
        .map(|topic| {
            let (mut dispositions, mut reasons) =
                (BTreeMap::<_, i64>::new(), BTreeMap::<_, i64>::new());
            for (_, disposition, records) in ledger.counts.entries().filter(|(of, ..)| *of == topic)
            {
                *dispositions.entry(disposition.label()).or_default() += records;
                if let Some(reason) = disposition.reason() {
                    *reasons.entry(reason).or_default() += records;
                }
            }
            let told = json!({
                "records": ledger.counts.records(topic),
                "offsets": ledger.topic(topic).offsets,
                "dispositions": dispositions,
                "reasons": reasons,
            });
            (topic.name().to_owned(), told)
        })
        .collect();
    let tasks: Map<String, Value> = (ledger.tasks.iter())
        .map(|(name, task)| {
            let told = json!({
                "epoch": task.epoch,
                "sequence": task.sequence,
                "pending": task.pending,
                "as_of": task.as_of.to_rfc3339(),
            });
            (name.clone(), told)
        })
        .collect();
    Json(json!({
        "records": ledger.counts.total(),
        "adds_up": ledger.adds_up(),
        "is_complete": state.is_complete,
        "transactions": ledger.transactions,
        "by_topic": topics,
        "tasks": tasks,
        "written": ledger.written,
    }))
}

/// The aggregates there are.
pub async fn aggregates(State(app): State<Served>) -> Json<Value> {
    let described = app.figures.plan.aggregates.iter().map(|aggregate| {
        let levels: Vec<_> = levels(aggregate).into_iter().map(Level::label).collect();
        json!({
            "name": &*aggregate.name,
            "follows": aggregate.follows.label(),
            "windows": aggregate.window_labels(),
            "levels": levels,
            "dimensions": aggregate.dimensions().map(crate::domain::aggregate::Dimension::label).collect::<Vec<_>>(),
            "measures": aggregate.measures.iter().map(|measure| measure.label()).collect::<Vec<_>>(),
            "ratios": aggregate.ratio_labels().collect::<Vec<_>>(),
        })
    });
    Json(json!({ "aggregates": described.collect::<Vec<_>>() }))
}

pub async fn rows(
    State(app): State<Served>,
    Path(name): Path<String>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::wrong(error.body_text()))?;
    blocking(move || {
        let (at, aggregate) = found(&app, &name)?;
        let question = Question::of(&app, (at, aggregate), &asked)?;
        Ok(Json(answer(&app, (at, aggregate), &question)).into_response())
    })
    .await
}

fn found<'a>(app: &'a App, name: &str) -> Result<(usize, &'a Aggregate), Problem> {
    app.figures.plan.find(name).ok_or_else(|| {
        let names: Vec<_> = app
            .figures
            .plan
            .aggregates
            .iter()
            .map(|known| &*known.name)
            .collect();
        Problem::new(
            StatusCode::NOT_FOUND,
            format!(
                "no aggregate is called `{name}`; there are {}",
                names.join(", ")
            ),
        )
    })
}

struct Question {
    level: Level,
    /// Which of the aggregate's windows.
    at: usize,
    code: Option<String>,
    /// First days, or minutes of ends.
    from: i32,
    to: i32,
    limit: usize,
}

impl Question {
    /// Without a level the coarsest; without days the window that holds today, or that was published last.
    fn of(
        app: &Arc<App>,
        (number, aggregate): (usize, &Aggregate),
        asked: &Asked,
    ) -> Result<Self, Problem> {
        let levels = levels(aggregate);
        let level = match asked.level.as_deref() {
            None => levels.last().copied(),
            Some(label) => levels.iter().copied().find(|level| level.label() == label),
        };
        let level = level.ok_or_else(|| {
            let labels: Vec<_> = levels.iter().map(|level| level.label()).collect();
            Problem::wrong(format!(
                "level: `{}` has {}",
                aggregate.name,
                labels.join(", ")
            ))
        })?;
        let windows = aggregate.window_labels();
        let at = match asked.window.as_deref() {
            None => Some(0),
            Some(label) => windows.iter().position(|window| window == label),
        };
        let at = at.ok_or_else(|| {
            let windows = windows.join(", ");
            Problem::wrong(format!("window: `{}` has {windows}", aggregate.name))
        })?;
        let (code, limit) = (
            asked.code.clone(),
            asked.limit.unwrap_or(MOST_ROWS).min(MOST_ROWS),
        );
        if aggregate.follows_events() {
            let minute = |name: &str, text: &Option<String>| match text {
                None => Ok(None),
                Some(text) => match chrono::DateTime::parse_from_rfc3339(text) {
                    Ok(time) => Ok(i32::try_from(time.timestamp().div_euclid(60)).ok()),
                    Err(_) => Err(Problem::wrong(format!(
                        "{name}: `{text}` is no instant such as 2022-02-28T09:15:00Z"
                    ))),
                },
            };
            let (from, to) = (minute("from", &asked.from)?, minute("to", &asked.to)?);
            let last = || app.figures.read().latest_end(number, (level, at), i32::MAX);
            let to = to
                .or_else(|| from.is_none().then(last).flatten())
                .unwrap_or(i32::MAX);
            let from = from.unwrap_or(to);
            if to < from {
                return Err(Problem::wrong("to: is before from"));
            }
            return Ok(Self {
                level,
                at,
                code,
                from,
                to,
                limit,
            });
        }
        let today = app.clock.now().london_day();
        let day = |name: &str, text: &Option<String>, otherwise| match text {
            None => Ok(otherwise),
            Some(text) => (text.parse().map(Day::from_date)).map_err(|_| {
                Problem::wrong(format!("{name}: `{text}` is no day such as 2022-02-28"))
            }),
        };
        let from = day("from", &asked.from, today)?;
        let to = day("to", &asked.to, from.max(today))?;
        if to < from {
            return Err(Problem::wrong("to: is before from"));
        }
        Ok(Self {
            level,
            at,
            code,
            from: aggregate.window.start(from).0,
            to: to.0,
            limit,
        })
    }
}

/// Finest first.
fn levels(aggregate: &Aggregate) -> Vec<Level> {
    let supplier = aggregate.has_supplier().then_some(Level::Supplier);
    let practice = aggregate.has_practice().then_some(Level::Practice);
    let above = aggregate.above_practice().iter().copied();
    practice.into_iter().chain(supplier).chain(above).collect()
}

fn answer(app: &App, (at, aggregate): (usize, &Aggregate), question: &Question) -> Value {
    let disclosure = Disclosure::of(question.level);
    let state = app.figures.read();
    let mut found = (state.rows_of(
        at,
        (question.level, question.at),
        question.from,
        question.to,
    ))
    .filter(|(key, _)| {
        question
            .code
            .as_deref()
            .is_none_or(|code| *key.code == *code)
    });
    let mut scores = Scores {
        beside: Beside::new(&app.figures, &state, question.level),
        today: app.clock.now().london_day(),
        known: HashMap::new(),
    };
    let rows: Vec<Value> = (found.by_ref().take(question.limit))
        .map(|(key, held)| {
            let mut row = row(aggregate, key, held, disclosure);
            row["name"] = state.places.name(key.level, &key.code).into();
            row["quality_score"] = scores.of(aggregate, key).into();
            row
        })
        .collect();
    let is_truncated = found.next().is_some();
    json!({
        "aggregate": &*aggregate.name,
        "level": question.level.label(),
        "window": aggregate.window_labels()[question.at],
        "from": told(aggregate, question.from),
        "to": told(aggregate, question.to),
        "as_of": state.as_of().map(Timestamp::to_rfc3339),
        "is_complete": state.is_complete,
        "is_truncated": is_truncated,
        // Older windows of this level were let go of to bound the memory; the topic has them.
        "held_from": state.held_from(at, (question.level, question.at)).map(|from| told(aggregate, from)),
        "disclosure_control": disclosure.described(),
        "quality_score": SCORE,
        "rows": rows,
    })
}

/// The score of the data behind each row: of its place, over the days of its window up to today.
struct Scores<'s> {
    beside: Beside<'s>,
    today: Day,
    known: HashMap<(Arc<str>, Day, Day), Option<f64>>,
}

impl Scores<'_> {
    fn of(&mut self, aggregate: &Aggregate, key: &RowKey) -> Option<f64> {
        let (from, to) = match aggregate.span(key.at, key.window) {
            Span::Days(from, to) => (from, Day(to.0 - 1)),
            Span::Times(from, to) => (from.london_day(), Timestamp(to.0 - 1).london_day()),
        };
        let to = to.min(self.today);
        let known = (key.code.clone(), from, to);
        if let Some(score) = self.known.get(&known) {
            return *score;
        }
        let flaws = self.beside.of(&key.code, from, to);
        let score = flaws.and_then(|flaws| told_score(&flaws, Disclosure::of(key.level)));
        self.known.insert(known, score);
        score
    }
}

fn row(aggregate: &Aggregate, key: &RowKey, held: &Held, disclosure: Disclosure) -> Value {
    let dimensions: Map<String, Value> = (aggregate.labels(key.dimensions).into_iter())
        .map(|(dimension, value)| (dimension.to_owned(), value.into()))
        .collect();
    let mut figures: Map<String, Value> = (aggregate.measures.iter().zip(&held.sums))
        .map(|(measure, count)| (measure.label().to_owned(), disclosure.told(*count).into()))
        .collect();
    if !disclosure.applies() {
        let ratios = aggregate.ratios_of(&held.sums);
        figures.extend(
            ratios
                .into_iter()
                .map(|(ratio, value)| (ratio.to_string(), value.into())),
        );
    }
    json!({
        "code": &*key.code,
        "window": window(aggregate, key),
        "dimensions": dimensions,
        "figures": figures,
        "published": {
            "as_of": held.published.as_of.to_rfc3339(),
            "revision": held.published.revision,
            "finality": label_of(held.published.finality),
        },
    })
}

/// The first day of a window, or the end of one of event time.
fn told(aggregate: &Aggregate, window: i32) -> String {
    if aggregate.follows_events() {
        Timestamp(i64::from(window) * 60_000).to_rfc3339()
    } else {
        iso(Day(window))
    }
}

fn window(aggregate: &Aggregate, key: &RowKey) -> [String; 2] {
    match aggregate.span(key.at, key.window) {
        Span::Days(from, to) => [iso(from), iso(to)],
        Span::Times(from, to) => [from.to_rfc3339(), to.to_rfc3339()],
    }
}
