//! HTTP: metrics, health, the page and the API.
#![allow(
    unused_qualifications,
    reason = "the macros of the API's document write every path in full"
)]

mod answers;
mod api;
mod asked;
mod assets;
mod conditional;
pub mod definitions;
mod disclosure;
mod document;
mod figure_rows;
mod known;
mod ledger;
mod live;
mod paging;
mod places;
mod problem;
pub mod publication;
mod quality;
mod releases;
mod rows;
mod seasons;
pub mod summary;
mod suppliers;
mod table;
mod totals;
mod variation;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::clock::{Clock, monotonic};
use super::figures::Figures;
use super::figures::known::Past;
use super::metrics::{Format, Metrics};
use super::page;
use crate::analysis::published::PublishedTotals;
use answers::Answers;
use problem::Problem;
use publication::Publisher;
use summary::Summary;

/// A page is made at most once in this time, however many look at it.
const FRESH: Duration = Duration::from_millis(900);
/// Requests under way have this long when the service stops.
const CLOSING: Duration = Duration::from_millis(500);

/// What the server shows.
pub struct App {
    pub figures: Arc<Figures>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    /// Why the service is not ready; nothing when it is.
    pub reasons: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// What the page says on top, where it is not the real world that it shows.
    pub banner: Option<String>,
    /// What seasons are compared with where there is nothing live.
    pub published: Arc<PublishedTotals>,
    /// What was known at times before; none where no log is at hand.
    pub past: Option<Past>,
    /// Where releases lie, if they are to be offered.
    pub releases: Option<PathBuf>,
    /// Makes files of the publication as it stands; none where no log is at hand.
    pub publisher: Option<Publisher>,
    answers: Answers,
    cache: Mutex<Option<(Instant, Arc<str>)>>,
    closing: AtomicBool,
}

type Served = Arc<App>;

impl App {
    pub fn new(
        figures: Arc<Figures>,
        metrics: Arc<Metrics>,
        clock: Clock,
        reasons: Box<dyn Fn() -> Vec<String> + Send + Sync>,
        banner: Option<String>,
        published: Arc<PublishedTotals>,
    ) -> Self {
        let cache = Mutex::default();
        Self {
            figures,
            metrics,
            clock,
            reasons,
            banner,
            published,
            past: None,
            releases: None,
            publisher: None,
            answers: Answers::default(),
            cache,
            closing: AtomicBool::new(false),
        }
    }

    /// Also answers for times before.
    #[must_use]
    pub fn with_past(self, past: Past) -> Self {
        Self {
            past: Some(past),
            ..self
        }
    }

    /// The server stops: nothing that takes long is to be gone on with.
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Also offers the releases that lie in a folder.
    #[must_use]
    pub fn with_releases(self, releases: Option<PathBuf>) -> Self {
        Self { releases, ..self }
    }

    /// Also offers the publication as it stands.
    #[must_use]
    pub fn with_publisher(self, publisher: Publisher) -> Self {
        Self {
            publisher: Some(publisher),
            ..self
        }
    }

    fn summary(&self) -> Summary {
        Summary::of(&self.figures, &self.figures.read(), self.clock.now())
    }

    fn page(&self) -> Arc<str> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, page)) = &*cache
            && at.elapsed() < FRESH
        {
            return Arc::clone(page);
        }
        let page: Arc<str> = page::render(self, &self.summary()).into();
        *cache = Some((monotonic(), Arc::clone(&page)));
        page
    }
}

/// The address cannot be served at.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{0} is in use: another program listens there; stop it, or choose another address")]
    InUse(SocketAddr),
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
}

/// A server at work.
pub struct Server {
    pub address: SocketAddr,
    /// None while there is nothing to show yet.
    app: Option<Arc<App>>,
    stop: tokio::sync::watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Takes the address, so that a wrong one is known before anything else starts.
    ///
    /// # Errors
    /// When it is in use, or not ours.
    pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
        TcpListener::bind(address).map_err(|source| {
            if source.kind() == std::io::ErrorKind::AddrInUse {
                ServeError::InUse(address)
            } else {
                ServeError::Listen { address, source }
            }
        })
    }

    /// Serves from a thread of its own.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start(listener: TcpListener, app: Arc<App>) -> std::io::Result<Self> {
        let routes = routes(Arc::clone(&app));
        Self::serve(listener, routes, Some(app))
    }

    /// Until there is something to show: live, and not ready for this reason.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start_waiting(listener: &TcpListener, reason: &'static str) -> std::io::Result<Self> {
        let unready = move || async move { unready(&[reason.to_owned()]) };
        let routes = Router::new().route("/livez", get(live)).fallback(unready);
        Self::serve(listener.try_clone()?, routes, None)
    }

    fn serve(
        listener: TcpListener,
        routes: Router,
        app: Option<Arc<App>>,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!("http: {error}"),
                };
                let mut ordered = stopped.clone();
                let graceful = async move {
                    // The sender being gone is an order, too.
                    let _ = ordered.wait_for(|stop| *stop).await;
                };
                let serving = axum::serve(listener, routes).with_graceful_shutdown(graceful).into_future();
                let overdue = async move {
                    let _ = stopped.wait_for(|stop| *stop).await;
                    tokio::time::sleep(CLOSING).await;
                };
                tokio::select! {
                    outcome = serving => if let Err(error) = outcome { tracing::error!("http: {error}") },
                    () = overdue => {}
                }
            });
        })?;
        Ok(Self {
            address,
            app,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(app) = &self.app {
            app.closing.store(true, Ordering::Relaxed);
        }
        // Nobody listens any more if the thread has ended.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn routes(app: Served) -> Router {
    let (api, _) = document::router().split_for_parts();
    let compressed = || CompressionLayer::new().quality(CompressionLevel::Fastest);
    let api = (api.layer(middleware::from_fn(conditional::tagged)))
        .layer(compressed())
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            answers::kept,
        ));
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .merge(api)
        .route("/releases/{number}/{*path}", get(releases::file))
        .route("/publication/{month}/{file}", get(publication::file))
        .route("/definitions", get(definitions::page))
        .route("/assets/{version}/{*name}", get(assets::asset))
        .fallback(|| async {
            Problem::new(
                StatusCode::NOT_FOUND,
                "nothing is served at this path; see / and /api/v1/openapi.json",
            )
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here")
        })
        // What came compressed stays as it is.
        .layer(compressed())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), counted))
        .with_state(app)
}

/// Counts requests by their route, and takes the time until an answer's body begins.
async fn counted(State(app): State<Served>, request: Request, next: Next) -> Response {
    let began = monotonic();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    let took = monotonic().duration_since(began);
    let requests = app.metrics.requests();
    requests.answered(route, response.status().as_u16(), took);
    response
}

/// Works an answer out beside the server's own thread: those of England take a while.
async fn blocking(
    work: impl FnOnce() -> Result<Response, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        let why = "the answer could not be worked out";
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why))
    })
}

#[derive(Debug, Default, Deserialize)]
struct Look {
    refresh: Option<String>,
}

async fn index(State(app): State<Served>, look: Result<Query<Look>, QueryRejection>) -> Response {
    let stands_still = look.is_ok_and(|Query(look)| look.refresh.as_deref() == Some("off"));
    let made = tokio::task::spawn_blocking(move || app.page()).await;
    let Ok(page) = made else {
        return Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the page could not be made",
        )
        .into_response();
    };
    let page = if stands_still {
        page::still(&page)
    } else {
        page.to_string()
    };
    (page::headers("no-store"), Html(page)).into_response()
}

async fn metrics(State(app): State<Served>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    let format = Format::asked(accept);
    let kind = [(header::CONTENT_TYPE, format.content_type())];
    app.metrics.unready((app.reasons)().len());
    (kind, app.metrics.encode(format)).into_response()
}

async fn live() -> Response {
    Json(json!({ "status": "live" })).into_response()
}

async fn ready(State(app): State<Served>) -> Response {
    let reasons = (app.reasons)();
    if reasons.is_empty() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    unready(&reasons)
}

fn unready(reasons: &[String]) -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, reasons.join("; "))
        .with("reasons", json!(reasons))
        .into_response()
}

#[cfg(test)]
mod tests;
