//! `/api/v1/events`: tells open pages that figures have changed, by server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior};
use utoipa::ToSchema;

use super::Served;
use super::asked::{Asked, Nothing};
use super::problem::Told;
use crate::domain::time::Timestamp;

/// Where it is; what is answered there has no end.
pub const PATH: &str = "/api/v1/events";
/// An open page hears of changes at most once in this time.
const STEP: Duration = Duration::from_secs(1);
/// Something is said at least this often, so that whatever lies between does not close the connection.
const ALIVE: Duration = Duration::from_secs(15);
/// A page that lost its connection asks again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// What has changed since the event before; at first, all that is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changed {
    /// The service's time; simulated in a demonstration.
    now: String,
    /// The greatest time of extraction that went in.
    as_of: Option<String>,
    /// Grows with everything read; starts anew with the service.
    version: u64,
    /// False while the committed figures are still being read.
    is_complete: bool,
    /// Why the service is not ready; empty when it is.
    reasons: Vec<String>,
    /// The aggregates that have new rows.
    aggregates: Vec<String>,
}

struct Listener {
    app: Served,
    tick: Interval,
    version: Option<u64>,
    is_complete: bool,
    reasons: Vec<String>,
}

impl Listener {
    async fn next(&mut self) -> Event {
        loop {
            self.tick.tick().await;
            let Some(changed) = self.look() else { continue };
            let event = Event::default()
                .event("changed")
                .id(changed.version.to_string())
                .retry(RETRY);
            if let Ok(event) = event.json_data(changed) {
                return event;
            }
        }
    }

    fn look(&mut self) -> Option<Changed> {
        let reasons = (self.app.reasons)();
        let figures = &self.app.figures;
        let state = figures.read();
        let is_same = self.version == Some(state.version) && self.is_complete == state.is_complete;
        if is_same && self.reasons == reasons {
            return None;
        }
        let aggregates = (figures.plan.aggregates.iter())
            .zip(state.changed())
            .filter(|(_, changed)| self.version.is_none_or(|seen| *changed > seen))
            .map(|(aggregate, _)| aggregate.name.to_string());
        let changed = Changed {
            now: self.app.clock.now().to_rfc3339(),
            as_of: state.as_of().map(Timestamp::to_rfc3339),
            version: state.version,
            is_complete: state.is_complete,
            reasons: reasons.clone(),
            aggregates: aggregates.collect(),
        };
        self.version = Some(state.version);
        self.is_complete = state.is_complete;
        self.reasons = reasons;
        Some(changed)
    }
}

/// Tells that figures have changed, at most once a second, until the connection ends.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "service",
    responses(
        (status = 200, description = "Server-sent events called `changed`, whose `data` is this, the first within a second; a comment at least every 15 seconds.", body = Changed, content_type = "text/event-stream"),
        (status = 400, description = "There are no parameters.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn events(
    State(app): State<Served>,
    Asked(Nothing {}): Asked<Nothing>,
) -> impl IntoResponse {
    let mut tick = tokio::time::interval(STEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener {
        app,
        tick,
        version: None,
        is_complete: false,
        reasons: Vec::new(),
    };
    let events = futures_util::stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE))
}
