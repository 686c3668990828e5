//! Metrics of HTTP: what was asked, how it was answered, and how long that took.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

/// Seconds: from what is remembered to what is read from the log.
const BUCKETS: [f64; 10] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0,
];

/// Every route that is served, as the API's document writes it; the last is for all others.
pub const ROUTES: [&str; 22] = [
    "/",
    "/metrics",
    "/livez",
    "/readyz",
    "/definitions",
    "/assets/{version}/{*name}",
    "/releases/{number}/{*path}",
    "/publication/{month}/{file}",
    "/api/v1/summary",
    "/api/v1/ledger",
    "/api/v1/aggregates",
    "/api/v1/aggregates/{name}",
    "/api/v1/totals/{aggregate}",
    "/api/v1/places",
    "/api/v1/suppliers",
    "/api/v1/definitions",
    "/api/v1/releases",
    "/api/v1/quality",
    "/api/v1/seasons",
    "/api/v1/variation",
    "/api/v1/openapi.json",
    "other",
];
/// Not among [`ROUTES`]'s answers: a stream has no end to be waited for.
pub const STREAM: &str = "/api/v1/events";

/// Every status that is answered; the last is for all others.
const STATUSES: [&str; 8] = ["200", "304", "400", "404", "405", "500", "503", "other"];

/// What was asked over HTTP.
pub struct Requests {
    total: IntCounterVec,
    seconds: HistogramVec,
}

impl Default for Requests {
    fn default() -> Self {
        let made = "names and labels are constants that Prometheus accepts";
        let total = Opts::new(
            "gpad_http_requests_total",
            "Requests over HTTP by route and status; of a stream of events its beginning.",
        );
        let seconds = HistogramOpts::new(
            "gpad_http_request_duration_seconds",
            "From a request to its answer, streams of events left out.",
        );
        let requests = Self {
            total: IntCounterVec::new(total, &["route", "status"]).expect(made),
            seconds: HistogramVec::new(seconds.buckets(BUCKETS.to_vec()), &["route"]).expect(made),
        };
        for route in ROUTES.into_iter().chain([STREAM]) {
            // Known from the start, so that an alert sees the first that fails.
            for status in ["200", "500"] {
                requests.total.with_label_values(&[route, status]);
            }
        }
        requests
    }
}

impl Requests {
    /// The most series that there can be of each.
    pub const MOST: [(&'static str, usize); 2] = [
        (
            "gpad_http_request_duration_seconds",
            ROUTES.len() * (BUCKETS.len() + 3),
        ),
        (
            "gpad_http_requests_total",
            (ROUTES.len() + 1) * STATUSES.len(),
        ),
    ];

    #[must_use]
    pub fn collectors(&self) -> [Box<dyn Collector>; 2] {
        [Box::new(self.total.clone()), Box::new(self.seconds.clone())]
    }

    /// A request was answered; `None`: no route is served there.
    pub fn answered(&self, route: Option<&str>, status: u16, took: Duration) {
        let status = status.to_string();
        let known = STATUSES.iter().find(|known| **known == status);
        let status = known.copied().unwrap_or("other");
        if route == Some(STREAM) {
            self.total.with_label_values(&[STREAM, status]).inc();
            return;
        }
        let known = ROUTES.iter().find(|known| Some(**known) == route);
        let route = known.copied().unwrap_or("other");
        self.total.with_label_values(&[route, status]).inc();
        let seconds = self.seconds.with_label_values(&[route]);
        seconds.observe(took.as_secs_f64());
    }
}
