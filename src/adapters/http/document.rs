//! `/api/v1/openapi.json`: the API's document, made from the code that answers.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asked::{Asked, Nothing};
use super::problem::Told;
use super::{
    Served, api, definitions, ledger, live, places, quality, releases, rows, seasons, suppliers,
    totals, variation,
};

/// What is said of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "gpad-live",
        description = "Live statistics of appointments in general practice. Every answer says how far it goes (`as_of`), whether all committed figures are in it (`is_complete`) and what is suppressed (`disclosure_control`); every row says how often it was published (`revision`), how final it is (`finality`) and how good its data are (`quality_score`). Errors are problem details (RFC 9457). Answers carry an entity tag; `If-None-Match` answers 304. docs/api.md has examples, docs/figures.md what each figure means."
    ),
    tags(
        (name = "figures", description = "Figures as they stand, or stood"),
        (name = "service", description = "The service itself")
    )
)]
struct Document;

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let document = router().split_for_parts().1;
    document.to_json().expect("a document of strings is JSON")
});

/// Every endpoint of the API: what answers, and what the document says of it, in one.
pub fn router() -> OpenApiRouter<Served> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(api::summary))
        .routes(routes!(ledger::ledger))
        .routes(routes!(api::aggregates))
        .routes(routes!(rows::rows))
        .routes(routes!(variation::variation))
        .routes(routes!(seasons::seasons))
        .routes(routes!(quality::quality))
        .routes(routes!(totals::totals))
        .routes(routes!(places::places))
        .routes(routes!(suppliers::suppliers))
        .routes(routes!(definitions::definitions))
        .routes(routes!(releases::releases))
        .routes(routes!(live::events))
        .routes(routes!(document))
}

/// This document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "service",
    responses(
        (status = 200, description = "An OpenAPI 3.1 document.", body = Object, headers(("etag" = String))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "There are no parameters.", body = Told, content_type = "application/problem+json"),
    )
)]
async fn document(Asked(Nothing {}): Asked<Nothing>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}
