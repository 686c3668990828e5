//! `/publication/MONTH/FILE`: a file of the publication as the figures stand, in the publication's own columns, as CSV or as Parquet.

use std::sync::{Arc, Mutex, TryLockError};

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::{Served, blocking};
use crate::adapters::log::Log;
use crate::adapters::schemas::Schemas;
use crate::domain::time::Month;
use crate::publication::LAYOUTS;
use crate::publication::table::Layout;

/// Seconds after which it is worth asking again.
const SOON: u32 = 10;

/// A file that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub month: Month,
    pub layout: &'static Layout,
    pub kind: Kind,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Csv,
    Parquet,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Csv, Self::Parquet];

    const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Why a file is not made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    #[error("the topics hold no published appointment of {}", .0.label())]
    NoMonth(Month),
    #[error("more than {0} rows go into it: `gpad-live publish --month` writes files of any size")]
    TooLarge(usize),
    #[error(
        "reading the topics takes longer than {0} s: `gpad-live publish --month` takes its time"
    )]
    TooSlow(u64),
    #[error("the service stops")]
    Closing,
    #[error("the log does not answer: {0}")]
    Away(String),
    #[error("{0}")]
    Failed(String),
}

/// Makes a file from the topics; asked now and then whether the service stops.
pub type Make = Box<
    dyn Fn(&dyn Log, &Schemas, Wanted, &dyn Fn() -> bool) -> Result<Vec<u8>, NotMade> + Send + Sync,
>;

/// Makes files of the publication, one at a time: each reads a topic.
pub struct Publisher {
    pub log: Arc<dyn Log>,
    pub schemas: Arc<Schemas>,
    pub make: Make,
    /// Held by the one that is being made.
    pub turn: Mutex<()>,
}

pub(super) async fn file(
    State(app): State<Served>,
    Path((month, file)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let wanted = wanted(&month, &file).map_err(|why| Problem::new(StatusCode::NOT_FOUND, why))?;
    blocking(move || {
        let Some(publisher) = &app.publisher else {
            let why = "no log is at hand that files could be made from";
            return Err(Problem::new(StatusCode::NOT_FOUND, why));
        };
        let _turn = match publisher.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let why = "a file is being made for somebody else: ask again in a moment";
                let busy = Problem::new(StatusCode::SERVICE_UNAVAILABLE, why);
                return Err(busy.retry_after(SOON));
            }
        };
        let is_over = || app.is_closing();
        let made = (publisher.make)(&*publisher.log, &publisher.schemas, wanted, &is_over);
        let bytes = made.map_err(|why| told(&why))?;
        let name = format!("attachment; filename=\"{month}-{file}\"");
        let kind = wanted.kind.content_type();
        let about = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_DISPOSITION, &*name),
        ];
        Ok((about, bytes).into_response())
    })
    .await
}

fn wanted(month: &str, file: &str) -> Result<Wanted, String> {
    let parsed = Month::parse(month);
    let month = parsed.ok_or_else(|| format!("`{month}` is no month such as 2022-02"))?;
    let known = LAYOUTS.into_iter().flat_map(|layout| {
        let kinds = Kind::ALL.into_iter();
        kinds.map(move |kind| {
            (
                format!("{}.{}", layout.file, kind.extension()),
                layout,
                kind,
            )
        })
    });
    let found = known.clone().find(|(name, ..)| name == file);
    let (_, layout, kind) = found.ok_or_else(|| {
        let names: Vec<_> = known.map(|(name, ..)| name).collect();
        format!("`{file}` is none of {}", names.join(", "))
    })?;
    Ok(Wanted {
        month,
        layout,
        kind,
    })
}

fn told(why: &NotMade) -> Problem {
    let status = match why {
        NotMade::NoMonth(_) => StatusCode::NOT_FOUND,
        NotMade::TooLarge(_) => StatusCode::BAD_REQUEST,
        NotMade::TooSlow(_) | NotMade::Closing | NotMade::Away(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        NotMade::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Problem::new(status, why.to_string())
}
