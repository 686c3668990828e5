//! `/api/v1/totals/{aggregate}`: an aggregate's rows added up over days, places and the dimensions not asked for.

mod answer;
mod question;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::problem::Problem;
use super::table::Format;
use super::{Served, blocking};
use question::{Asked, Question};

pub async fn totals(
    State(app): State<Served>,
    Path(name): Path<String>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::wrong(error.body_text()))?;
    let format = Format::asked(asked.format.as_deref(), &headers)?;
    blocking(move || {
        let question = Question::of(&app, &name, &asked)?;
        Ok(answer::of(&app, &question).respond(format))
    })
    .await
}
