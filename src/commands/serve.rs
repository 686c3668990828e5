//! What `run` and `demo` have in common: the embedded log's topics, the figures, the metrics and the HTTP server.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::Failure;
use crate::adapters::clock::Clock;
use crate::adapters::effects::aggregate_topic;
use crate::adapters::embedded::{EmbeddedLog, Topic};
use crate::adapters::figures::Figures;
use crate::adapters::figures::known::Past;
use crate::adapters::http::publication::Publisher;
use crate::adapters::http::{App, Server};
use crate::adapters::log::Log;
use crate::adapters::metrics::Metrics;
use crate::adapters::schemas::Schemas;
use crate::analysis::published::PublishedTotals;
use crate::config::TotalsSetting;
use crate::domain::topic::{ReferenceTopic, SupplierTopic};
use crate::engine::plan::AggregatePlan;
use crate::service::{
    CHANGELOG, DEAD_LETTERS, DELTAS, HISTORY, Health, LEDGER, Observer, READMISSIONS, Stop,
    Unobserved,
};

/// Tasks of an embedded log: a small site's machine has few cores, and each task syncs the file.
const PARTITIONS: i32 = 4;

/// Opens the embedded log in a directory, with every topic of the service in it.
///
/// # Errors
/// When it cannot be opened.
pub fn embedded(directory: &Path, plan: &AggregatePlan) -> Result<EmbeddedLog, Failure> {
    with_topics(plan, |topics| EmbeddedLog::open(directory, topics))
        .map_err(|error| Failure::Failed(error.into()))
}

/// The topics of an embedded log that has every topic of the service.
pub fn with_topics<T>(plan: &AggregatePlan, make: impl FnOnce(&[Topic<'_>]) -> T) -> T {
    let aggregates: Vec<String> = (plan.aggregates.iter())
        .map(|aggregate| aggregate_topic(&aggregate.name))
        .collect();
    let topic = |name, partitions, is_compacted| Topic {
        name,
        partitions,
        is_compacted,
    };
    let topics: Vec<Topic<'_>> = (SupplierTopic::ALL.iter())
        .map(|supplier| topic(supplier.name(), PARTITIONS, false))
        // A restart reads them as they were when its figures were made (docs/decisions/0014): what is sent again, under the
        // key that it had, must not take away what stood before it.
        .chain(
            ReferenceTopic::ALL
                .iter()
                .map(|reference| topic(reference.name(), 1, false)),
        )
        .chain(aggregates.iter().map(|name| topic(name, 1, true)))
        .chain([topic(READMISSIONS, PARTITIONS, false)])
        .chain([DEAD_LETTERS, LEDGER, DELTAS, HISTORY].map(|name| topic(name, 1, false)))
        // One partition for each task, one for the second stage.
        .chain([topic(CHANGELOG, PARTITIONS + 1, false)])
        .collect();
    make(&topics)
}

/// Takes the address, before anything else starts.
///
/// # Errors
/// When another program has it.
pub fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Failure> {
    let bound = address.map(Server::bind).transpose();
    bound.map_err(|error| Failure::Failed(error.into()))
}

/// Crown copyright, Open Government Licence v3.0.
const PUBLISHED_TOTALS: &str = include_str!("../../deploy/reference/published_totals.csv");

/// The published totals of earlier months that a configuration names.
///
/// # Errors
/// A file that cannot be read, or a line that is wrong.
pub fn published_totals(setting: &TotalsSetting) -> Result<PublishedTotals, Failure> {
    let (name, text) = match setting {
        TotalsSetting::Off => return Ok(PublishedTotals::default()),
        TotalsSetting::BuiltIn => ("built-in".to_owned(), PUBLISHED_TOTALS.to_owned()),
        TotalsSetting::File(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::Usage(format!("seasons.published_totals = {name}: {error}"))
            })?;
            (name, text)
        }
    };
    let wrong = |error| Failure::Usage(format!("seasons.published_totals = {name}: {error}"));
    PublishedTotals::parse(&text).map_err(wrong)
}

/// What is shown of a service.
pub struct Shown {
    pub plan: Arc<AggregatePlan>,
    pub clock: Clock,
    pub health: Arc<Health>,
    pub stop: Stop,
    /// What the page says on top.
    pub banner: Option<String>,
    /// Most series that the metrics may grow to.
    pub series: usize,
    /// What seasons are compared with where there is nothing live.
    pub published: Arc<PublishedTotals>,
    pub schemas: Arc<Schemas>,
    /// For how long what the figures said before is kept.
    pub history_days: u16,
    /// What `publish` has as `--output`.
    pub releases: Option<PathBuf>,
}

/// Metrics and HTTP at work; ends when dropped.
pub struct Serving {
    pub observer: Arc<dyn Observer>,
    /// Followed while it serves; nothing where there is no listener.
    pub figures: Option<Arc<Figures>>,
    server: Option<Server>,
    stop: Stop,
    follower: Option<JoinHandle<()>>,
}

/// Starts everything that shows the service; nothing where there is no listener.
///
/// # Errors
/// More metrics than are allowed; a listener that cannot be used.
pub fn serve(
    log: &Arc<dyn Log>,
    listener: Option<TcpListener>,
    shown: Shown,
) -> Result<Serving, Failure> {
    let figures = Arc::new(Figures::new(shown.plan));
    let metrics = Metrics::new(Arc::clone(&figures), shown.clock, shown.series)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    tracing::info!(
        series = metrics.budget().total(),
        most = metrics.budget().most,
        "series at most: {}",
        metrics.budget()
    );
    let Some(listener) = listener else {
        return Ok(Serving {
            observer: Arc::new(Unobserved),
            figures: None,
            server: None,
            stop: shown.stop,
            follower: None,
        });
    };
    let metrics = Arc::new(metrics);
    let health = shown.health;
    let reasons = Box::new(move || health.reasons());
    let app = App::new(
        Arc::clone(&figures),
        Arc::clone(&metrics),
        shown.clock,
        reasons,
        shown.banner,
        shown.published,
    );
    let begun = Box::new(|log: &dyn Log| super::publish::begun(log));
    let publisher = Publisher {
        log: Arc::clone(log),
        schemas: Arc::clone(&shown.schemas),
        make: Box::new(super::publish::file),
        turn: Mutex::default(),
    };
    let past = Past::new(
        Arc::clone(log),
        shown.schemas,
        shown.clock,
        shown.history_days,
        begun,
    );
    let app = app
        .with_past(past)
        .with_releases(shown.releases)
        .with_publisher(publisher);
    let failed = |error: std::io::Error| Failure::Failed(error.into());
    let server = Server::start(listener, Arc::new(app)).map_err(failed)?;
    tracing::info!("serving http://{}/", server.address);
    let (log, stop) = (Arc::clone(log), shown.stop.clone());
    let shown_of = Arc::clone(&figures);
    let follower = std::thread::Builder::new()
        .name("figures".to_owned())
        .spawn(move || figures.follow(&*log, &|| stop.is_requested()))
        .map_err(failed)?;
    Ok(Serving {
        observer: metrics,
        figures: Some(shown_of),
        server: Some(server),
        stop: shown.stop,
        follower: Some(follower),
    })
}

impl Serving {
    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(|server| server.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.request();
        self.server.take();
        if let Some(follower) = self.follower.take() {
            // It has panicked, which its thread has said.
            let _ = follower.join();
        }
    }
}
