//! `/api/v1/places`: practices and what they belong to, by name, code or parent.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{AskedLevel, AskedRows, OfRows, level_of};
use super::problem::{Problem, Told};
use super::summary::iso;
use super::table::{Paged, respond};
use super::{App, Served, blocking};
use crate::adapters::figures::{Mark, State as Held};
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

/// Which places are asked for; all conditions hold together.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Words of the name, each from a word's beginning, or the beginning of the code.
    #[param(example = "dorset")]
    q: Option<String>,
    /// One code.
    #[param(example = "QVV")]
    code: Option<String>,
    /// A level of geography.
    #[param(inline)]
    level: Option<AskedLevel>,
    /// A code that the place lies in; alone, it asks for what is directly below.
    #[param(example = "Y58")]
    parent: Option<String>,
}

/// Places: a code that was typed in first, then what is larger, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlacesAnswer {
    /// The day that the register's rows are of.
    day: String,
    /// The time that the register stood at, where one was asked for.
    as_known_at: Option<String>,
    /// The greatest time of extraction that went into the figures; null of a time before.
    as_of: Option<String>,
    /// False while the register and the figures are still being read.
    is_complete: bool,
    /// Places of all pages.
    found: usize,
    /// There are more rows than these: `next` has them.
    is_truncated: bool,
    /// The address of the next page, of the same question.
    next: Option<String>,
    rows: Vec<Row>,
}

impl Paged for PlacesAnswer {
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

/// A place, and what it lies in; empty where the register does not say, or where it is the place itself or above it.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = PlaceRow)]
pub struct Row {
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

/// Practices and what they belong to, by name, code or parent, as the register of practices has them.
#[utoipa::path(
    get,
    path = "/api/v1/places",
    tag = "figures",
    params(Asked, OfRows),
    responses(
        (status = 200, description = "The places.", content((PlacesAnswer = "application/json"), (String = "text/csv")), headers(("etag" = String), ("link" = String, description = "The next page, rel=next."))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong, or `as_known_at` is not kept.", body = Told, content_type = "application/problem+json"),
        (status = 503, description = "`as_known_at`: others are being answered, or the figures are still being read.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn places(
    State(app): State<Served>,
    AskedRows {
        asked,
        common,
        format,
    }: AskedRows<Asked>,
) -> Result<Response, Problem> {
    blocking(move || Ok(respond(&answer(&app, &asked, &common)?, format))).await
}

fn answer(app: &App, asked: &Asked, common: &OfRows) -> Result<PlacesAnswer, Problem> {
    let geography: Vec<Level> = [Level::England].into_iter().chain(BELOW).collect();
    let level = (asked.level)
        .map(|level| level_of(Some(level), Level::England, &geography))
        .transpose()?;
    let question = [
        ("q", asked.q.as_deref()),
        ("code", asked.code.as_deref()),
        ("level", level.map(Level::label)),
        ("parent", asked.parent.as_deref()),
    ];
    let paging = common.paging("/api/v1/places", &question)?;
    let moment = common.moment(app);
    let state = moment.view(app, Vec::new)?;
    let today = moment.today;
    let words: Vec<String> = (asked.q.as_deref().unwrap_or_default().split_whitespace())
        .map(str::to_lowercase)
        .collect();
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
    let mut rows: Vec<(Mark, Row)> = rows
        .into_iter()
        .map(|(is_exact, row)| (mark(is_exact, &row), row))
        .collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let found = rows.len();
    let (rows, next) = paging.take(rows.into_iter());
    Ok(PlacesAnswer {
        day: iso(today),
        as_known_at: moment.told(),
        as_of: state.as_of().map(Timestamp::to_rfc3339),
        is_complete: state.is_complete,
        found,
        is_truncated: next.is_some(),
        next,
        rows,
    })
}

/// A code that was typed in comes first, then what is larger.
fn mark(is_exact: bool, row: &Row) -> Mark {
    let rank = BELOW.iter().position(|level| level.label() == row.level);
    let rank = rank.map_or(0, |at| at + 1);
    let first = i32::try_from(rank).unwrap_or(i32::MAX);
    Mark {
        window: if is_exact { first - 10 } else { first },
        code: format!("{}\0{}", row.name, row.code).into(),
        printed: 0,
        dimensions: 0,
    }
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
