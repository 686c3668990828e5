//! The API's answers that are no rows: the summary, and which aggregates there are.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{Asked, AskedTime, Nothing};
use super::known::Moment;
use super::problem::{Problem, Told};
use super::rows::levels;
use super::summary::{self, Summary};
use super::{Served, blocking};
use crate::adapters::figures::history::has_history;
use crate::domain::aggregate::Dimension;
use crate::domain::place::Level;

/// Of when a summary is.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfWhen {
    /// The figures as they stood at this time, within `state.history_days`.
    #[param(inline)]
    as_known_at: Option<AskedTime>,
}

/// The figures in short: England, its regions and ICBs, today and this month.
#[utoipa::path(
    get,
    path = "/api/v1/summary",
    tag = "figures",
    params(OfWhen),
    responses(
        (status = 200, description = "The summary.", body = Summary, headers(("etag" = String))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong, or `as_known_at` is not kept.", body = Told, content_type = "application/problem+json"),
        (status = 503, description = "`as_known_at`: others are being answered, or the figures are still being read.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn summary(
    State(app): State<Served>,
    Asked(asked): Asked<OfWhen>,
) -> Result<Response, Problem> {
    blocking(move || {
        let moment = Moment::of(&app, asked.as_known_at);
        let figures = &app.figures;
        let state = moment.view(&app, || summary::slices(figures, moment.today))?;
        let now = moment.known_at.unwrap_or_else(|| app.clock.now());
        let summary = Summary {
            as_known_at: moment.told(),
            ..Summary::of(figures, &state, now)
        };
        Ok(Json(summary).into_response())
    })
    .await
}

/// Which aggregates there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct AggregatesAnswer {
    aggregates: Vec<Described>,
}

/// An aggregate: what its rows are of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Aggregate)]
struct Described {
    name: String,
    /// The time that it follows.
    follows: &'static str,
    windows: Vec<String>,
    /// Finest first.
    levels: Vec<&'static str>,
    dimensions: Vec<&'static str>,
    measures: Vec<&'static str>,
    ratios: Vec<String>,
    /// Whether `as_known_at` can be asked of it.
    has_history: bool,
}

/// The aggregates there are.
#[utoipa::path(
    get,
    path = "/api/v1/aggregates",
    tag = "figures",
    responses(
        (status = 200, description = "The aggregates.", body = AggregatesAnswer, headers(("etag" = String))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "There are no parameters.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn aggregates(
    State(app): State<Served>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Json<AggregatesAnswer> {
    let keeps_history = app.past.as_ref().is_some_and(|past| past.days > 0);
    let described = app
        .figures
        .plan
        .aggregates
        .iter()
        .map(|aggregate| Described {
            name: aggregate.name.to_string(),
            follows: aggregate.follows.label(),
            windows: aggregate.window_labels(),
            levels: levels(aggregate).into_iter().map(Level::label).collect(),
            dimensions: aggregate.dimensions().map(Dimension::label).collect(),
            measures: aggregate.measures.iter().map(|it| it.label()).collect(),
            ratios: aggregate.ratio_labels().map(str::to_owned).collect(),
            has_history: keeps_history && has_history(aggregate),
        });
    Json(AggregatesAnswer {
        aggregates: described.collect(),
    })
}
