//! `/api/v1/quality`: the score of the data, and what it is made of, by supplier, practice and day.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{AskedDay, AskedLevel, AskedRows, OfRows, in_order, level_of};
use super::disclosure::{Disclosure, DisclosureControl};
use super::known::quality_slice;
use super::problem::{Problem, Told};
use super::summary::iso;
use super::table::{Paged, respond};
use super::{App, Served, blocking};
use crate::adapters::figures::Mark;
use crate::adapters::figures::quality::{Beside, aggregate, read_at, rows};
use crate::analysis::score::{Component, Flaws, score};
use crate::domain::place::Level;
use crate::domain::time::{Day, Timestamp};

/// Whose quality is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// `supplier` without it.
    #[param(inline)]
    level: Option<AskedLevel>,
    /// One code of the level; all without it.
    #[param(example = "EMIS")]
    code: Option<String>,
    /// The first day; without it the first of the last one's month.
    #[param(inline)]
    from: Option<AskedDay>,
    /// The last day; without it today.
    #[param(inline)]
    to: Option<AskedDay>,
}

/// The score of the data, day by day.
#[derive(Debug, Serialize, ToSchema)]
pub struct QualityAnswer {
    /// What the score is.
    score: &'static str,
    level: &'static str,
    from: String,
    to: String,
    /// The time that the figures stood at, where one was asked for.
    as_known_at: Option<String>,
    as_of: Option<String>,
    is_complete: bool,
    /// There are more rows than these: `next` has them.
    is_truncated: bool,
    /// Days from which on all rows are held; null: all are.
    held_from: Option<String>,
    disclosure_control: DisclosureControl,
    /// The address of the next page, of the same question.
    next: Option<String>,
    rows: Vec<Row>,
}

impl Paged for QualityAnswer {
    type Row = Row;

    fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn blank(&self) -> Row {
        Row::default()
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// A place's day. A component stands as the count that is flawed, and the count that it is of.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = QualityRow)]
pub struct Row {
    day: String,
    level: &'static str,
    code: String,
    name: String,
    /// Of a practice: whose system the data came from.
    supplier: Option<&'static str>,
    score: Option<f64>,
    appointments: Option<i64>,
    category: Option<i64>,
    category_of: Option<i64>,
    status: Option<i64>,
    status_of: Option<i64>,
    mode: Option<i64>,
    mode_of: Option<i64>,
    hcp_type: Option<i64>,
    hcp_type_of: Option<i64>,
    wait: Option<i64>,
    wait_of: Option<i64>,
    contradictions: Option<i64>,
    contradictions_of: Option<i64>,
    unbooked: Option<i64>,
    unbooked_of: Option<i64>,
    /// Appointments of a supplier that sends no mode: not scored.
    mode_never_sent: Option<i64>,
}

/// The score of flaws to one decimal, as far as it may be told.
#[must_use]
pub fn told_score(flaws: &Flaws, disclosure: Disclosure) -> Option<f64> {
    let score = score(&flaws.parts(), |count| disclosure.assumed(count));
    score.map(|score| (score * 10.0).round() / 10.0)
}

/// What a score beside a figure is, for those who read the answer.
pub const SCORE: &str = "0 to 100: the mean, over the components that apply, of the share without flaw (category, status, mode, HCP type, wait, contradictions, unbooked consultations); /api/v1/quality has the components";

/// The score of the data and what it is made of, by supplier, practice or place, day by day.
#[utoipa::path(
    get,
    path = "/api/v1/quality",
    tag = "figures",
    params(Asked, OfRows),
    responses(
        (status = 200, description = "The rows, in the order of days and codes.", content((QualityAnswer = "application/json"), (String = "text/csv")), headers(("etag" = String), ("link" = String, description = "The next page, rel=next."))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong, or `as_known_at` is not kept.", body = Told, content_type = "application/problem+json"),
        (status = 404, description = "The aggregate `quality` is not declared as the score needs it.", body = Told, content_type = "application/problem+json"),
        (status = 503, description = "`as_known_at`: others are being answered, or the figures are still being read.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn quality(
    State(app): State<Served>,
    AskedRows {
        asked,
        common,
        format,
    }: AskedRows<Asked>,
) -> Result<Response, Problem> {
    blocking(move || Ok(respond(&answer(&app, &asked, &common)?, format))).await
}

fn answer(app: &App, asked: &Asked, common: &OfRows) -> Result<QualityAnswer, Problem> {
    let declared = aggregate(&app.figures).ok_or_else(|| {
        let why = "the score needs the aggregate `quality` by practice and supplier, with the dimension supplier, as deploy/aggregates.toml declares it";
        Problem::new(StatusCode::NOT_FOUND, why)
    })?;
    let level = level_of(asked.level, Level::Supplier, &Level::ALL)?;
    let moment = common.moment(app);
    let to = asked.to.map_or(moment.today, |AskedDay(day)| day);
    let first = to.month().first_day().min(to);
    let (from, to) = in_order(asked.from.map_or(first, |AskedDay(day)| day), to)?;
    let code = asked.code.as_deref();
    let known_at = moment.told();
    let question = [
        ("level", Some(level.label())),
        ("code", code),
        ("from", Some(&*iso(from))),
        ("to", Some(&*iso(to))),
    ];
    let paging = common.paging("/api/v1/quality", &question)?;
    let state = moment.view(app, || {
        let of = quality_slice(app, level, code, from, to);
        // Whichever the level: the days that have rows are those of the suppliers.
        let days = quality_slice(app, Level::Supplier, None, from, to);
        [of, days].into_iter().flatten().collect()
    })?;
    let disclosure = Disclosure::of(level);
    let is_asked = |asked: &str| code.is_none_or(|code| asked == code);
    let marked = |day: Day, code: &str, supplier: u64| Mark {
        window: day.0,
        code: Arc::from(code),
        printed: 0,
        dimensions: supplier,
    };
    let (found, next) = if level == Level::Practice {
        let of_practices = rows(&state, declared, level, from, to);
        let found = of_practices.filter(|row| is_asked(row.code)).map(|row| {
            let mark = marked(row.day, row.code, row.supplier as u64);
            let code = row.code.to_owned();
            (mark, (row.day, code, Some(row.supplier.label()), row.flaws))
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        paging.take(found.into_iter())
    } else {
        let mut beside = Beside::new(&app.figures, &state, level);
        // Days without a row are none: the days that are held bound the work, not those that are asked for.
        let held = rows(&state, declared, Level::Supplier, from, to);
        let days: BTreeSet<Day> = held.map(|row| row.day).collect();
        let found = days.into_iter().flat_map(|day| {
            let of_day = beside.day(day).iter().filter(|(code, _)| is_asked(code));
            let found = of_day.map(|(code, flaws)| {
                let row = (day, (*code).to_owned(), None, *flaws);
                (marked(day, code, 0), row)
            });
            found.collect::<Vec<_>>()
        });
        paging.take(found)
    };
    let rows = found.into_iter().map(|(day, code, supplier, flaws)| {
        let name = state.places.name(level, &code);
        row(day, (level, &code, name), supplier, &flaws)
    });
    let held_from = state.held_from(declared.0, (read_at(level), 0));
    Ok(QualityAnswer {
        rows: rows.collect(),
        score: SCORE,
        level: level.label(),
        from: iso(from),
        to: iso(to),
        as_known_at: known_at,
        as_of: state.as_of().map(Timestamp::to_rfc3339),
        is_complete: state.is_complete,
        is_truncated: next.is_some(),
        held_from: held_from.map(|from| iso(Day(from))),
        disclosure_control: disclosure.described(),
        next,
    })
}

fn row(
    day: Day,
    (level, code, name): (Level, &str, &str),
    supplier: Option<&'static str>,
    flaws: &Flaws,
) -> Row {
    let disclosure = Disclosure::of(level);
    let told = |count| disclosure.told(count);
    let mut row = Row {
        day: iso(day),
        level: level.label(),
        code: code.to_owned(),
        name: name.to_owned(),
        supplier,
        score: told_score(flaws, disclosure),
        appointments: told(flaws.appointments()),
        mode_never_sent: told(flaws.mode_never_sent()),
        ..Row::default()
    };
    for part in flaws.parts() {
        let (flawed, of) = match part.component {
            Component::Category => (&mut row.category, &mut row.category_of),
            Component::Status => (&mut row.status, &mut row.status_of),
            Component::Mode => (&mut row.mode, &mut row.mode_of),
            Component::HcpType => (&mut row.hcp_type, &mut row.hcp_type_of),
            Component::Wait => (&mut row.wait, &mut row.wait_of),
            Component::Contradictions => (&mut row.contradictions, &mut row.contradictions_of),
            Component::Unbooked => (&mut row.unbooked, &mut row.unbooked_of),
        };
        (*flawed, *of) = (told(part.flawed), told(part.of));
    }
    row
}
