//! `/api/v1/places`: practices and what they belong to, by name, code or parent.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::problem::Problem;
use super::summary::iso;
use super::table::{Format, Table};
use super::{App, Served, blocking};
use crate::adapters::figures::State as Held;
use crate::domain::place::{ENGLAND, Level, Place};
use crate::domain::time::{Day, Timestamp};

/// The levels below England, coarsest first.
const BELOW: [Level; 5] = [
    Level::Region,
    Level::Icb,
    Level::SubIcb,
    Level::Pcn,
    Level::Practice,
];
/// Rows of one answer, unless told otherwise, and at most.
const ROWS: usize = 50;
const MOST_ROWS: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// Words of the name, each from a word's beginning, or the beginning of the code.
    q: Option<String>,
    code: Option<String>,
    level: Option<String>,
    /// A code that the place lies in; alone, it asks for what is directly below.
    parent: Option<String>,
    limit: Option<usize>,
    format: Option<String>,
}

/// A place, and what it lies in; empty where the register does not say, or where it is the place itself or above it.
#[derive(Debug, Default, Serialize)]
struct Row {
    level: &'static str,
    code: String,
    name: String,
    /// Of all its practices.
    registered_patients: i64,
    practices: u32,
    pcn_code: String,
    pcn_name: String,
    sub_icb_code: String,
    sub_icb_name: String,
    icb_code: String,
    icb_name: String,
    region_code: String,
    region_name: String,
}

/// A place as the register's rows of a day have it.
struct Found<'s> {
    place: &'s Place,
    patients: i64,
    practices: u32,
}

pub async fn places(
    State(app): State<Served>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::wrong(error.body_text()))?;
    let format = Format::asked(asked.format.as_deref(), &headers)?;
    blocking(move || Ok(answer(&app, &asked)?.respond(format))).await
}

fn answer(app: &App, asked: &Asked) -> Result<Table<Row>, Problem> {
    let level = asked.level.as_deref().map(level).transpose()?;
    let limit = asked.limit.unwrap_or(ROWS);
    if !(1..=MOST_ROWS).contains(&limit) {
        let why = format!("limit: `{limit}` is not between 1 and {MOST_ROWS}");
        return Err(Problem::wrong(why));
    }
    let words: Vec<String> = (asked.q.as_deref().unwrap_or_default().split_whitespace())
        .map(str::to_lowercase)
        .collect();
    let state = app.figures.read();
    let today = app.clock.now().london_day();
    let all = all(&state, today);
    let below = asked.parent.as_deref().and_then(|parent| {
        let is_alone = level.is_none() && words.is_empty() && asked.code.is_none();
        is_alone.then(|| below(&all, parent)).flatten()
    });
    let mut rows: Vec<(bool, Row)> = all
        .iter()
        .filter(|((of, _), _)| level.or(below).is_none_or(|level| level == *of))
        .filter(|((_, code), _)| asked.code.as_deref().is_none_or(|asked| asked == *code))
        .filter(|((of, _), found)| {
            (asked.parent.as_deref()).is_none_or(|parent| lies_in(found.place, *of, parent))
        })
        .filter_map(|((of, code), found)| {
            let name = state.places.name(*of, code);
            let exactness = matches(&words, code, name)?;
            Some((exactness, row(&state, (*of, code), found)))
        })
        .collect();
    if let Some(england) = england(&state, &all, asked, (level, below), &words) {
        rows.push((true, england));
    }
    let rank = |label: &str| {
        let at = BELOW.iter().position(|level| level.label() == label);
        at.map_or(0, |at| at + 1)
    };
    // A code that was typed in comes first, then what is larger.
    rows.sort_by(|(a_exact, a), (b_exact, b)| {
        let order = (!a_exact, rank(a.level), &a.name, &a.code);
        order.cmp(&(!b_exact, rank(b.level), &b.name, &b.code))
    });
    let count = rows.len();
    let rows: Vec<Row> = rows.into_iter().take(limit).map(|(_, row)| row).collect();
    Ok(Table {
        about: json!({
            "day": iso(today),
            "as_of": state.as_of().map(Timestamp::to_rfc3339),
            "is_complete": state.is_complete,
            "found": count,
            "is_truncated": count > rows.len(),
        }),
        rows,
    })
}

fn level(label: &str) -> Result<Level, Problem> {
    let known = std::iter::once(Level::England).chain(BELOW);
    known
        .clone()
        .find(|level| level.label() == label)
        .ok_or_else(|| {
            let labels: Vec<_> = known.map(Level::label).collect();
            Problem::wrong(format!("level: `{label}` is none of {}", labels.join(", ")))
        })
}

/// Every place of the register, by level and code, as of a day.
fn all(state: &Held, day: Day) -> BTreeMap<(Level, &str), Found<'_>> {
    let mut all = BTreeMap::new();
    let rows = (state.register.practices()).filter_map(|it| state.register.row_on(it, day));
    for row in rows {
        let place: &Place = state.register.place(row.place);
        for level in BELOW {
            let code = place.code(level);
            if code.is_empty() {
                continue;
            }
            let found = all.entry((level, code)).or_insert(Found {
                place,
                patients: 0,
                practices: 0,
            });
            found.patients += i64::from(row.registered_patients.unwrap_or(0));
            found.practices += 1;
        }
    }
    all
}

/// Whether a place of a level lies in the place of a code, and is not it.
fn lies_in(place: &Place, level: Level, parent: &str) -> bool {
    let above = BELOW.into_iter().take_while(|above| *above != level);
    parent == ENGLAND || { above }.any(|above| place.code(above) == parent)
}

/// The level directly below a place.
fn below(all: &BTreeMap<(Level, &str), Found<'_>>, parent: &str) -> Option<Level> {
    if parent == ENGLAND {
        return Some(Level::Region);
    }
    let at = (BELOW.iter()).position(|level| all.contains_key(&(*level, parent)))?;
    BELOW.get(at + 1).copied()
}

/// Whether all words are found, and whether the code is what was typed in.
fn matches(words: &[String], code: &str, name: &str) -> Option<bool> {
    let code = code.to_lowercase();
    if let [only] = words
        && code.starts_with(only.as_str())
    {
        return Some(*only == code);
    }
    let name = name.to_lowercase();
    let has = |word: &String| {
        let mut begins = name.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
        begins.any(|begin| begin.starts_with(word.as_str()))
    };
    words.iter().all(has).then_some(false)
}

fn row(state: &Held, (level, code): (Level, &str), found: &Found<'_>) -> Row {
    let above = |of: Level| {
        let is_above = BELOW
            .into_iter()
            .take_while(|it| *it != level)
            .any(|it| it == of);
        let code = if is_above { found.place.code(of) } else { "" };
        (code.to_owned(), state.places.name(of, code).to_owned())
    };
    let [pcn, sub_icb, icb, region] =
        [Level::Pcn, Level::SubIcb, Level::Icb, Level::Region].map(above);
    Row {
        level: level.label(),
        code: code.to_owned(),
        name: state.places.name(level, code).to_owned(),
        registered_patients: found.patients,
        practices: found.practices,
        pcn_code: pcn.0,
        pcn_name: pcn.1,
        sub_icb_code: sub_icb.0,
        sub_icb_name: sub_icb.1,
        icb_code: icb.0,
        icb_name: icb.1,
        region_code: region.0,
        region_name: region.1,
    }
}

/// England is in no row of the register, and is asked for like any other.
fn england(
    state: &Held,
    all: &BTreeMap<(Level, &str), Found<'_>>,
    asked: &Asked,
    (level, below): (Option<Level>, Option<Level>),
    words: &[String],
) -> Option<Row> {
    let is_asked = asked.parent.is_none()
        && level.or(below).is_none_or(|level| level == Level::England)
        && asked.code.as_deref().is_none_or(|code| code == ENGLAND);
    let name = state.places.name(Level::England, ENGLAND);
    if !is_asked || matches(words, ENGLAND, name).is_none() {
        return None;
    }
    let practices = all.iter().filter(|((of, _), _)| *of == Level::Practice);
    let (count, patients) = practices.fold((0, 0), |(count, patients), (_, found)| {
        (count + 1, patients + found.patients)
    });
    Some(Row {
        level: Level::England.label(),
        code: ENGLAND.to_owned(),
        name: name.to_owned(),
        registered_patients: patients,
        practices: count,
        ..Row::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_from_their_beginnings_and_codes_from_theirs() {
        let cases = [
            ("", Some(false)),
            ("park", Some(false)),
            ("ark", None),
            ("the st", Some(false)),
            ("mary's", Some(false)),
            ("j81", Some(false)),
            ("J81006", Some(true)),
            ("j81 park", None),
        ];
        for (typed, expected) in cases {
            let words: Vec<String> = typed.split_whitespace().map(str::to_lowercase).collect();
            let found = matches(&words, "J81006", "THE PARK (ST. MARY'S) SURGERY");
            assert_eq!(found, expected, "{typed}");
        }
    }
}
