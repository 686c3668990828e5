//! Answers are kept for a moment: a thousand requests a second that ask a dozen things are worked out a dozen times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::OnceCell;

use super::problem::Problem;
use super::{Served, conditional, live};
use crate::adapters::clock::{monotonic, since};

/// How old what an answer says of anything but the figures can be: readiness, releases, the time.
const KEPT: Duration = Duration::from_secs(1);

/// What an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    uri: Uri,
    accept: Option<HeaderValue>,
    encoding: Option<HeaderValue>,
}

impl Asked {
    fn of(request: &Parts) -> Self {
        let header = |name| request.headers.get(name).cloned();
        Self {
            uri: request.uri.clone(),
            accept: header(header::ACCEPT),
            encoding: header(header::ACCEPT_ENCODING),
        }
    }
}

/// An answer as it is sent, compressed already; none where it could not be written.
type Worked = Arc<OnceCell<Option<Response<Bytes>>>>;

/// The answers of one moment of the figures. They are given up together, when the figures change or are [`KEPT`]: whoever
/// asks after an answer has come finds figures no older than that had, whatever either asked. They are as many as a
/// moment's different requests.
#[derive(Debug, Default)]
pub struct Answers(Mutex<Moment>);

#[derive(Debug, Default)]
struct Moment {
    began: Option<Instant>,
    figures: u64,
    answers: HashMap<Asked, Worked>,
}

impl Answers {
    /// The answer to what is asked of the figures of a moment, worked out already or not.
    fn of(&self, asked: Asked, figures: u64) -> Worked {
        let mut moment = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = moment.began.is_none_or(|began| since(began) >= KEPT);
        // Who looked at the figures and was overtaken here finds newer ones.
        if is_over || figures > moment.figures {
            moment.answers.clear();
            moment.figures = figures.max(moment.figures);
            moment.began = Some(monotonic());
        }
        Arc::clone(moment.answers.entry(asked).or_default())
    }
}

/// Answers with what was worked out a moment ago, for whoever asked; one works it out for all who wait.
pub async fn kept(State(app): State<Served>, request: Request, next: Next) -> Response {
    if request.method() != Method::GET || request.uri().path() == live::PATH {
        return next.run(request).await;
    }
    let (mut asked, body) = request.into_parts();
    let known = asked.headers.remove(header::IF_NONE_MATCH);
    let worked = app.answers.of(Asked::of(&asked), app.figures.moment());
    let work = || async {
        let answer = next.run(Request::from_parts(asked, body)).await;
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.ok()?;
        Some(Response::from_parts(parts, body))
    };
    let Some(answer) = worked.get_or_init(work).await.clone() else {
        let why = "the answer could not be written";
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why).into_response();
    };
    conditional::unless_known(known.as_ref(), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &'static str, accept: Option<&'static str>) -> Asked {
        Asked {
            uri: Uri::from_static(uri),
            accept: accept.map(HeaderValue::from_static),
            encoding: None,
        }
    }

    #[test]
    fn one_moment_s_answers_are_shared_and_given_up_together() {
        let answers = Answers::default();
        let of = |uri, accept, figures| answers.of(asked(uri, accept), figures);
        let count = || answers.0.lock().unwrap().answers.len();
        let json = of("/a?b=1", None, 7);
        assert!(Arc::ptr_eq(&json, &of("/a?b=1", None, 7)));
        for other in [of("/a?b=2", None, 7), of("/a?b=1", Some("text/csv"), 7)] {
            assert!(!Arc::ptr_eq(&json, &other));
        }
        assert_eq!(count(), 3);
        let newer = of("/a?b=1", None, 8);
        assert!(!Arc::ptr_eq(&json, &newer));
        assert!(Arc::ptr_eq(&newer, &of("/a?b=1", None, 7)), "overtaken");
        assert_eq!(count(), 1);
        answers.0.lock().unwrap().began = monotonic().checked_sub(KEPT);
        assert!(!Arc::ptr_eq(&newer, &of("/a?b=1", None, 8)), "of readiness");
        assert_eq!(count(), 1);
    }
}
