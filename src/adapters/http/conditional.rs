//! Entity tags: who has an answer already is told so, and not sent it again (RFC 9110, 13.1.2).

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Tags what is answered.
///
/// The tag is a hash of the answer: an answer that is the same stays the same whatever was read in between. It is weak,
/// since compression changes the bytes and not what they say.
pub async fn tagged(request: Request, next: Next) -> Response {
    let is_get = request.method() == Method::GET;
    let response = next.run(request).await;
    if !is_get || response.status() != StatusCode::OK || is_stream(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        let why = "the answer could not be written";
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why).into_response();
    };
    let tag = format!("W/\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(&body));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    // It may be kept, and is asked for again each time: figures move.
    let kept = HeaderValue::from_static("no-cache");
    parts.headers.insert(header::CACHE_CONTROL, kept);
    let by = HeaderValue::from_static("accept");
    parts.headers.append(header::VARY, by);
    let nosniff = HeaderValue::from_static("nosniff");
    parts
        .headers
        .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    Response::from_parts(parts, body.into())
}

/// An answer, or 304 to who names its tag.
pub fn unless_known(known: Option<&HeaderValue>, answer: Response<Bytes>) -> Response {
    let tag = answer.headers().get(header::ETAG);
    let tag = tag.and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    let is_known = !tag.is_empty() && known.is_some_and(|known| names(known, tag));
    let (mut parts, body) = answer.into_parts();
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        for of_body in [
            header::CONTENT_TYPE,
            header::CONTENT_LENGTH,
            header::CONTENT_ENCODING,
        ] {
            parts.headers.remove(of_body);
        }
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, body.into())
}

/// It has no end that could be waited for.
fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Whether a list of tags names this one, weak or not.
fn names(known: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = known.to_str().unwrap_or_default();
    known.trim() == "*" || known.split(',').any(|one| opaque(one) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_several_weak_or_not() {
        let cases = [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ];
        for (known, is_named) in cases {
            let known = HeaderValue::from_static(known);
            assert_eq!(names(&known, "W/\"a\""), is_named, "{known:?}");
        }
    }
}
