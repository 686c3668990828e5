//! Errors as RFC 9457 problem details.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

const KIND: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A problem as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Told {
    /// A URI of its kind; `about:blank`: the status says it all.
    r#type: &'static str,
    title: &'static str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, and what would be right.
    detail: String,
    /// Such as `earliest`, of a time that is no longer kept: the first that is.
    #[serde(flatten)]
    #[schema(ignore)]
    more: BTreeMap<&'static str, Value>,
}

/// What went wrong with a request.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    more: BTreeMap<&'static str, Value>,
    retry_after: Option<u32>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            more: BTreeMap::new(),
            retry_after: None,
        }
    }

    /// A request that asks for what there cannot be.
    pub fn wrong(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// It is worth asking again after so many seconds.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.more.insert(name, value);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!("an answer over HTTP failed: {}", self.detail);
        }
        let told = Told {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            more: self.more,
        };
        let mut response = (self.status, Json(told)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, KIND);
        if let Some(seconds) = self.retry_after {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
