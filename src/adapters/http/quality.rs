//! `/api/v1/quality`: the score of the data, and what it is made of, by supplier, practice and day.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::disclosure::Disclosure;
use super::problem::Problem;
use super::summary::iso;
use super::table::{Format, Table};
use super::{App, Served, blocking};
use crate::adapters::figures::quality::{Beside, aggregate, rows};
use crate::analysis::score::{Component, Flaws, score};
use crate::domain::place::Level;
use crate::domain::time::{Day, Timestamp};

/// Rows of one answer.
const MOST_ROWS: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    level: Option<String>,
    code: Option<String>,
    from: Option<String>,
    to: Option<String>,
    format: Option<String>,
}

/// A place's day. A component stands as the count that is flawed, and the count that it is of.
#[derive(Debug, Default, Serialize)]
struct Row {
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

pub async fn quality(
    State(app): State<Served>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::wrong(error.body_text()))?;
    let format = Format::asked(asked.format.as_deref(), &headers)?;
    blocking(move || Ok(answer(&app, &asked)?.respond(format))).await
}

fn answer(app: &App, asked: &Asked) -> Result<Table<Row>, Problem> {
    let declared = aggregate(&app.figures).ok_or_else(|| {
        let why = "the score needs the aggregate `quality` by practice and supplier, with the dimension supplier, as deploy/aggregates.toml declares it";
        Problem::new(StatusCode::NOT_FOUND, why)
    })?;
    let level = match asked.level.as_deref() {
        None => Level::Supplier,
        Some(label) => Level::from_label(label).ok_or_else(|| {
            let labels = Level::ALL.map(Level::label).join(", ");
            Problem::wrong(format!("level: `{label}` is none of {labels}"))
        })?,
    };
    let today = app.clock.now().london_day();
    let day = |name, text: &Option<String>, otherwise| match text {
        None => Ok(otherwise),
        Some(text) => (text.parse().map(Day::from_date))
            .map_err(|_| Problem::wrong(format!("{name}: `{text}` is no day such as 2022-02-28"))),
    };
    let to = day("to", &asked.to, today)?;
    let from = day("from", &asked.from, to.month().first_day().min(to))?;
    if to < from {
        return Err(Problem::wrong("to: is before from"));
    }
    let state = app.figures.read();
    let disclosure = Disclosure::of(level);
    let is_asked = |code: &str| asked.code.as_deref().is_none_or(|asked| asked == code);
    let mut found = Vec::new();
    if level == Level::Practice {
        let of_practices = rows(&state, declared, level, from, to);
        found.extend(
            (of_practices.filter(|row| is_asked(row.code)))
                .take(MOST_ROWS + 1)
                .map(|row| (row.day, row.code, Some(row.supplier.label()), row.flaws)),
        );
    } else {
        let mut beside = Beside::new(&app.figures, &state, level);
        // Days without a row are none: the days that are held bound the work, not those that are asked for.
        let held = rows(&state, declared, Level::Supplier, from, to);
        let days: std::collections::BTreeSet<Day> = held.map(|row| row.day).collect();
        for day in days {
            let of_day = beside.day(day).iter().filter(|(code, _)| is_asked(code));
            found.extend(of_day.map(|(code, flaws)| (day, *code, None, *flaws)));
            if found.len() > MOST_ROWS {
                break;
            }
        }
    }
    let is_truncated = found.len() > MOST_ROWS;
    found.truncate(MOST_ROWS);
    let rows = found.into_iter().map(|(day, code, supplier, flaws)| {
        let name = state.places.name(level, code);
        row(day, (level, code, name), supplier, &flaws)
    });
    Ok(Table {
        rows: rows.collect(),
        about: json!({
            "score": SCORE,
            "level": level.label(),
            "from": iso(from),
            "to": iso(to),
            "as_of": state.as_of().map(Timestamp::to_rfc3339),
            "is_complete": state.is_complete,
            "is_truncated": is_truncated,
            "held_from": state.held_from(declared.0, (read_at(level), 0)).map(|from| iso(Day(from))),
            "disclosure_control": disclosure.described(),
        }),
    })
}

/// Where the rows lie that a level's flaws are worked out from.
const fn read_at(level: Level) -> Level {
    match level {
        Level::Supplier | Level::England => Level::Supplier,
        Level::Practice | Level::Pcn | Level::SubIcb | Level::Icb | Level::Region => {
            Level::Practice
        }
    }
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
