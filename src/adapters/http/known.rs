//! The figures that an answer is made of: as they stand, or as they stood at a time.

use std::ops::Deref;
use std::sync::{Arc, RwLockReadGuard};

use axum::http::StatusCode;
use serde_json::json;

use super::App;
use super::asked::AskedTime;
use super::problem::Problem;
use crate::adapters::figures::history::NotKnown;
use crate::adapters::figures::known::{Slice, Within};
use crate::adapters::figures::{State, quality};
use crate::domain::place::Level;
use crate::domain::time::{Day, Timestamp};

/// Seconds after which it is worth asking again.
const SOON: u32 = 5;

/// The figures that an answer is made of.
pub enum View<'a> {
    Now(RwLockReadGuard<'a, State>),
    Then(Arc<State>),
}

impl Deref for View<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        match self {
            Self::Now(state) => state,
            Self::Then(state) => state,
        }
    }
}

/// When it is for an answer: now, or the time that it is asked to be of.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub known_at: Option<Timestamp>,
    pub today: Day,
}

impl Moment {
    pub fn of(app: &App, as_known_at: Option<AskedTime>) -> Self {
        let known_at = as_known_at.map(|AskedTime(at)| at);
        Self {
            known_at,
            today: known_at.unwrap_or_else(|| app.clock.now()).london_day(),
        }
    }

    /// As answers tell it.
    pub fn told(self) -> Option<String> {
        self.known_at.map(Timestamp::to_rfc3339)
    }

    /// The figures, of a time before no more than the slices.
    ///
    /// # Errors
    /// Why it cannot be told what was known then.
    pub fn view(self, app: &App, slices: impl FnOnce() -> Vec<Slice>) -> Result<View<'_>, Problem> {
        let Some(at) = self.known_at else {
            return Ok(View::Now(app.figures.read()));
        };
        let Some(past) = &app.past else {
            return Err(told(&NotKnown::Off));
        };
        let is_over = || app.is_closing();
        match past.at(&app.figures, at, &slices(), &is_over) {
            Ok(Ok(state)) => Ok(View::Then(state)),
            Ok(Err(why)) => Err(told(&why)),
            Err(_) => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "as_known_at: others are being answered, one at a time: ask again in a moment",
            )
            .retry_after(SOON)),
        }
    }
}

fn told(why: &NotKnown) -> Problem {
    let detail = format!("as_known_at: {why}");
    match why {
        NotKnown::TooEarly { from, .. } => {
            Problem::wrong(detail).with("earliest", json!(from.to_rfc3339()))
        }
        NotKnown::ToCome(_)
        | NotKnown::Off
        | NotKnown::TaskKeepsNone(_)
        | NotKnown::Moves(_)
        | NotKnown::TooMany(_) => Problem::wrong(detail),
        NotKnown::NotYet | NotKnown::TooSlow | NotKnown::Log(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(SOON)
        }
        NotKnown::Unreadable { .. } => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail),
    }
}

/// What the scores of a level are worked out from: of one place, or of all.
pub fn quality_slice(
    app: &App,
    level: Level,
    code: Option<&str>,
    from: Day,
    to: Day,
) -> Option<Slice> {
    let (aggregate, _) = quality::aggregate(&app.figures)?;
    let read = quality::read_at(level);
    let within = match code {
        Some(code) if level == read => Within::Code(code.to_owned()),
        Some(code) if level != Level::England => Within::Place(level, code.to_owned()),
        Some(_) | None => Within::All,
    };
    Some(Slice {
        aggregate,
        level: read,
        from: from.0,
        to: to.0,
        within,
    })
}
