//! What a request asks for: every parameter is read in one way, and one that is not known is an error.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::uri::InvalidUri;
use axum::http::{Uri, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::known::Moment;
use super::paging::{AskedLimit, Paging};
use super::problem::Problem;
use super::table::Format;
use crate::domain::place::Level;
use crate::domain::time::{Day, Month, Timestamp};

/// The parameters of an endpoint.
pub struct Asked<T>(pub T);

/// The parameters of an endpoint that answers rows: its own, those of all such, and how the rows are to be written.
pub struct AskedRows<T, C = OfRows> {
    pub asked: T,
    pub common: C,
    pub format: Format,
}

/// What all endpoints that answer pages of rows are asked alike.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct OfRows {
    /// Most rows of one answer.
    #[param(inline)]
    limit: Option<AskedLimit>,
    /// Behind which row to begin: from the `next` of the answer before.
    cursor: Option<String>,
    /// The answer as it stood at this time, within `state.history_days`.
    #[param(inline)]
    pub as_known_at: Option<AskedTime>,
    /// How the rows are written; without it as the header `Accept` says.
    #[param(inline)]
    format: Option<Format>,
}

/// What endpoints are asked that answer a few rows as they are now.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Written {
    /// How the rows are written; without it as the header `Accept` says.
    #[param(inline)]
    format: Option<Format>,
}

/// Parameters that say how rows are to be written.
pub trait Rows {
    /// `None`: as the header `Accept` says.
    fn format(&self) -> Option<Format>;
}

impl Rows for OfRows {
    fn format(&self) -> Option<Format> {
        self.format
    }
}

impl Rows for Written {
    fn format(&self) -> Option<Format> {
        self.format
    }
}

impl OfRows {
    pub fn moment(&self, app: &App) -> Moment {
        Moment::of(app, self.as_known_at)
    }

    /// The page of a question; it is named by everything else that decides the rows, with what was left open filled in.
    ///
    /// # Errors
    /// A cursor that is none, or of another question.
    pub fn paging(
        &self,
        path: &str,
        question: &[(&'static str, Option<&str>)],
    ) -> Result<Paging, Problem> {
        let known_at = self.as_known_at.map(|AskedTime(at)| at.to_rfc3339());
        let mut question = question.to_vec();
        question.extend([
            ("as_known_at", known_at.as_deref()),
            ("format", self.format.map(Format::label)),
        ]);
        Paging::new(path, &question, self.limit, self.cursor.as_deref())
    }
}

/// Parameters of an endpoint that has none.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.uri).map(Self)
    }
}

impl<S, T, C> FromRequestParts<S> for AskedRows<T, C>
where
    S: Send + Sync,
    T: DeserializeOwned + IntoParams,
    C: DeserializeOwned + IntoParams + Rows,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let (own, common) = (names::<T>(), names::<C>());
        let mut queries = [(); 2].map(|()| form_urlencoded::Serializer::new(String::new()));
        for (name, value) in
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        {
            let at = [&own, &common]
                .iter()
                .position(|of| of.iter().any(|it| *it == name));
            let Some(at) = at else {
                let known: Vec<_> = own
                    .iter()
                    .chain(&common)
                    .map(|it| format!("`{it}`"))
                    .collect();
                let why = format!(
                    "unknown field `{name}`, expected one of {}",
                    known.join(", ")
                );
                return Err(Problem::wrong(why));
            };
            queries[at].append_pair(&name, &value);
        }
        let [own, common] = queries.map(|mut query| Uri::try_from(format!("/?{}", query.finish())));
        let refused = |error: InvalidUri| Problem::wrong(error.to_string());
        let asked: T = read(&own.map_err(refused)?)?;
        let common: C = read(&common.map_err(refused)?)?;
        let accept = parts.headers.get(header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        let format = (common.format()).unwrap_or_else(|| Format::accepted(accept));
        Ok(Self {
            asked,
            common,
            format,
        })
    }
}

/// The parameters that the document names.
fn names<T: IntoParams>() -> Vec<String> {
    let parameters = T::into_params(|| Some(ParameterIn::Query));
    parameters.into_iter().map(|it| it.name).collect()
}

fn read<T: DeserializeOwned>(address: &Uri) -> Result<T, Problem> {
    match Query::try_from_uri(address) {
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
