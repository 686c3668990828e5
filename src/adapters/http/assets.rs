//! `/assets/VERSION/NAME`: the page's scripts and styles, which never change under one version.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::page::assets;
use super::problem::Problem;

pub async fn asset(
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = (version == assets::version())
        .then(|| assets::find(&name))
        .flatten();
    let asset = found.ok_or_else(|| {
        let why = "this part of the page belongs to another version of the service; load / again";
        Problem::new(StatusCode::NOT_FOUND, why)
    })?;
    let tag = format!("\"{version}\"");
    let kept = [
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::ETAG, &*tag),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    let kind = [(header::CONTENT_TYPE, asset.kind)];
    Ok((kept, kind, asset.bytes).into_response())
}
