//! `/api/v1/totals/{aggregate}`: an aggregate's rows added up over days, places and the dimensions not asked for.

mod answer;
mod question;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::asked::{AskedRows, Named, OfRows};
use super::problem::{Problem, Told};
use super::rows::found;
use super::table::{Format, csv_response, linked};
use super::{Served, blocking};
use answer::TotalsAnswer;
use question::{Asked, Question};

/// An aggregate's rows added up over days, places and the dimensions not asked for.
#[utoipa::path(
    get,
    path = "/api/v1/totals/{aggregate}",
    tag = "figures",
    params(("aggregate" = String, Path, description = "An aggregate of /api/v1/aggregates whose windows do not overlap.", example = "activity"), Asked, OfRows),
    responses(
        (status = 200, description = "The sums, in the order of days, codes and dimensions.", content((TotalsAnswer = "application/json"), (String = "text/csv")), headers(("etag" = String), ("link" = String, description = "The next page, rel=next."))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong, `as_known_at` is not kept, or the windows of the aggregate do not add up.", body = Told, content_type = "application/problem+json"),
        (status = 404, description = "There is no such aggregate.", body = Told, content_type = "application/problem+json"),
        (status = 503, description = "`as_known_at`: others are being answered, or the figures are still being read.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn totals(
    State(app): State<Served>,
    Named(name): Named,
    AskedRows {
        asked,
        common,
        format,
    }: AskedRows<Asked>,
) -> Result<Response, Problem> {
    blocking(move || {
        let question = Question::of(found(&app, &name)?, &asked, common.moment(&app))?;
        let paging = question.paging(&common)?;
        let state = question.view(&app)?;
        let answer = answer::of(&app, &state, &question, &paging);
        let response = match format {
            Format::Json => Json(&answer).into_response(),
            Format::Csv => csv_response(answer.csv(&question)),
        };
        Ok(linked(response, answer.next.as_deref()))
    })
    .await
}
