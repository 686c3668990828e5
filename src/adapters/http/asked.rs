//! What a request asks for: every parameter is read in one way, and one that is not known is an error.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::problem::Problem;
use super::table::Format;
use crate::domain::place::Level;
use crate::domain::time::{Day, Month, Timestamp};

/// The parameters of an endpoint.
pub struct Asked<T>(pub T);

/// The parameters of an endpoint that answers rows, and how they are to be written.
pub struct AskedRows<T> {
    pub asked: T,
    pub format: Format,
}

/// Parameters that say how rows are to be written.
pub trait Rows {
    /// `None`: as the header `Accept` says.
    fn format(&self) -> Option<Format>;
}

/// Parameters of an endpoint that has none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        query(parts).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Rows> FromRequestParts<S> for AskedRows<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let asked: T = query(parts)?;
        let accept = parts.headers.get(header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        let format = (asked.format()).unwrap_or_else(|| Format::accepted(accept));
        Ok(Self { asked, format })
    }
}

fn query<T: DeserializeOwned>(parts: &Parts) -> Result<T, Problem> {
    match Query::try_from_uri(&parts.uri) {
        Ok(Query(asked)) => Ok(asked),
        Err(error) => {
            let told = error.body_text();
            let told = told.strip_prefix("Failed to deserialize query string: ");
            Err(Problem::wrong(
                told.map_or_else(|| error.body_text(), str::to_owned),
            ))
        }
    }
}

/// The last part of a path.
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) = named.map_err(|error| Problem::wrong(error.body_text()))?;
        Ok(Self(name))
    }
}

/// A level of geography, or the supplier.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^(practice|pcn|sub_icb|icb|region|england|supplier)$", example = "icb")]
pub struct AskedLevel(pub Level);

impl TryFrom<String> for AskedLevel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let none = || format!("`{text}` is none of {}", labels(&Level::ALL));
        Level::from_label(&text).map(Self).ok_or_else(none)
    }
}

fn labels(levels: &[Level]) -> String {
    let labels: Vec<_> = levels.iter().map(|level| level.label()).collect();
    labels.join(", ")
}

/// The level asked for, of those that there are.
///
/// # Errors
/// One that there is not, naming those that there are.
pub fn level_of(
    asked: Option<AskedLevel>,
    otherwise: Level,
    there: &[Level],
) -> Result<Level, Problem> {
    let level = asked.map_or(otherwise, |AskedLevel(level)| level);
    if there.contains(&level) {
        return Ok(level);
    }
    let (label, there) = (level.label(), labels(there));
    Err(Problem::wrong(format!(
        "level: `{label}` is none of {there}"
    )))
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Date, example = "2022-02-28")]
pub struct AskedDay(pub Day);

impl TryFrom<String> for AskedDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let day = text.parse().map(Day::from_date);
        day.map(Self)
            .map_err(|_| format!("`{text}` is no day such as 2022-02-28"))
    }
}

/// A month of the calendar.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[0-9]{4}-[0-9]{2}$", example = "2022-02")]
pub struct AskedMonth(pub Month);

impl TryFrom<String> for AskedMonth {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let none = || format!("`{text}` is no month such as 2022-02");
        Month::parse(&text).map(Self).ok_or_else(none)
    }
}

/// An instant, in UTC unless it says otherwise.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = DateTime, example = "2022-03-03T09:00:00Z")]
pub struct AskedTime(pub Timestamp);

impl TryFrom<String> for AskedTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let none = || format!("`{text}` is no instant such as 2022-03-03T09:00:00Z");
        Timestamp::parse(&text).map(Self).ok_or_else(none)
    }
}

/// Whether a stretch is one.
///
/// # Errors
/// The end is before the beginning.
pub fn in_order<T: PartialOrd>(from: T, to: T) -> Result<(T, T), Problem> {
    if to < from {
        return Err(Problem::wrong("to: is before from"));
    }
    Ok((from, to))
}
