//! `/api/v1/seasons`: months per working weekday, against the same month of earlier years, and winter years.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::disclosure::Disclosure;
use super::problem::Problem;
use super::quality::{SCORE, told_score};
use super::summary::iso;
use super::table::{Format, Table, rounded};
use super::{App, Served, blocking};
use crate::adapters::figures::State as Held;
use crate::adapters::figures::quality::Beside;
use crate::analysis::seasons::{Counted, Months, Season, Source, Winter};
use crate::domain::aggregate::Measure;
use crate::domain::calendar::working_weekdays_between;
use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::{Day, Month, Timestamp};

const GEOGRAPHY: [Level; 6] = [
    Level::Practice,
    Level::Pcn,
    Level::SubIcb,
    Level::Icb,
    Level::Region,
    Level::England,
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    level: Option<String>,
    code: Option<String>,
    by: Option<String>,
    format: Option<String>,
}

/// A month against earlier ones; changes are relative and per working weekday: 0.1 is a tenth more.
#[derive(Debug, Default, Serialize)]
struct MonthRow {
    month: String,
    winter_year: String,
    /// `live`, or `published` where this service has not counted.
    source: &'static str,
    /// Of a month that is not over, or began before the service did: false.
    is_whole: bool,
    appointments: Option<i64>,
    working_weekdays: u32,
    per_working_weekday: Option<f64>,
    /// What was published of a month that is counted live.
    published_appointments: Option<i64>,
    year_before_source: Option<&'static str>,
    year_before_appointments: Option<i64>,
    year_before_working_weekdays: Option<u32>,
    year_before_per_working_weekday: Option<f64>,
    change_on_year_before: Option<f64>,
    pre_pandemic_source: Option<&'static str>,
    pre_pandemic_appointments: Option<i64>,
    pre_pandemic_working_weekdays: Option<u32>,
    pre_pandemic_per_working_weekday: Option<f64>,
    change_on_pre_pandemic: Option<f64>,
    /// Of the live data of the month.
    quality_score: Option<f64>,
}

/// Whole months of October to September.
#[derive(Debug, Default, Serialize)]
struct WinterRow {
    winter_year: String,
    months: u32,
    appointments: i64,
    working_weekdays: u32,
    per_working_weekday: Option<f64>,
    /// Months known of the year before, too, over which the change is.
    months_compared: u32,
    change_on_year_before: Option<f64>,
}

pub async fn seasons(
    State(app): State<Served>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::wrong(error.body_text()))?;
    let format = Format::asked(asked.format.as_deref(), &headers)?;
    blocking(move || answer(&app, &asked, format)).await
}

fn answer(app: &App, asked: &Asked, format: Format) -> Result<Response, Problem> {
    let level = match asked.level.as_deref() {
        None => Level::England,
        Some(label) => (GEOGRAPHY.into_iter())
            .find(|level| level.label() == label)
            .ok_or_else(|| {
                let labels = GEOGRAPHY.map(Level::label).join(", ");
                Problem::wrong(format!("level: `{label}` is none of {labels}"))
            })?,
    };
    let code = match asked.code.as_deref() {
        Some(code) => code,
        None if level == Level::England => ENGLAND,
        None => {
            let why = format!(
                "code: which {}? levels other than england need one",
                level.label()
            );
            return Err(Problem::wrong(why));
        }
    };
    let by_winter = match asked.by.as_deref() {
        None | Some("month") => false,
        Some("winter_year") => true,
        Some(other) => {
            let why = format!("by: `{other}` is neither month nor winter_year");
            return Err(Problem::wrong(why));
        }
    };
    let state = app.figures.read();
    let today = app.clock.now().london_day();
    let disclosure = Disclosure::of(level);
    let (at, counts) = days(app, &state, level, code, today)?;
    let held_from = state.held_from(at, (level, 0)).map(Day);
    let live = live(&counts, held_from, today);
    let codes = codes(&state, level, code, today);
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let published = app.published.of(level, &codes);
    if live.is_empty() && published.is_empty() {
        let why = format!(
            "code: nothing is known of {} `{code}`, live or published",
            level.label()
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, why));
    }
    let months = Months::new(
        live.iter()
            .filter_map(|counted| disclosed(counted, disclosure)),
        published,
    );
    let about = json!({
        "level": level.label(),
        "code": code,
        "name": state.places.name(level, code),
        "per_working_weekday": "appointments of all days, divided by the Mondays to Fridays less bank holidays",
        "score": SCORE,
        "as_of": state.as_of().map(Timestamp::to_rfc3339),
        "is_complete": state.is_complete,
        "held_from": held_from.map(iso),
        "disclosure_control": disclosure.described(),
    });
    if by_winter {
        let rows = months.winters().iter().map(winter).collect();
        return Ok(Table { about, rows }.respond(format));
    }
    let mut beside = Beside::new(&app.figures, &state, level);
    let mut scored = |month: Month| {
        let flaws = beside.of(code, month.first_day(), month.last_day())?;
        told_score(&flaws, disclosure)
    };
    let mut rows: Vec<MonthRow> = months.seasons().iter().map(row).collect();
    for (row, season) in rows.iter_mut().zip(months.seasons()) {
        row.quality_score = scored(season.counted.month);
    }
    // What may not be told is not left out: it is there without a count.
    let told: Vec<String> = rows.iter().map(|row| row.month.clone()).collect();
    let suppressed = live
        .iter()
        .filter(|live| !told.contains(&live.month.label()));
    rows.extend(suppressed.map(|live| MonthRow {
        appointments: None,
        per_working_weekday: None,
        ..row(&alone(live))
    }));
    rows.sort_by(|a, b| a.month.cmp(&b.month));
    Ok(Table { about, rows }.respond(format))
}

fn alone(counted: &Counted) -> Season {
    Season {
        counted: *counted,
        published: None,
        year_before: None,
        pre_pandemic: None,
    }
}

fn disclosed(counted: &Counted, disclosure: Disclosure) -> Option<Counted> {
    Some(Counted {
        appointments: disclosure.told(counted.appointments)?,
        ..*counted
    })
}

/// The place's appointments day by day before today, from the aggregate that has its level, and which that is.
fn days(
    app: &App,
    state: &Held,
    level: Level,
    code: &str,
    today: Day,
) -> Result<(usize, BTreeMap<Day, i64>), Problem> {
    let name = if Disclosure::of(level).applies() {
        "practice_day"
    } else {
        "activity"
    };
    let found = app.figures.plan.find(name).and_then(|(at, aggregate)| {
        let mut measures = aggregate.measures.iter();
        let measure = measures.position(|measure| *measure == Measure::Appointments)?;
        let is_practice = level == Level::Practice && aggregate.has_practice();
        let has = is_practice || aggregate.above_practice().contains(&level);
        has.then_some((at, measure))
    });
    let (at, measure) = found.ok_or_else(|| {
        let why = format!(
            "seasons of {} need the aggregate `{name}` with that level and the measure appointments",
            level.label()
        );
        Problem::new(StatusCode::NOT_FOUND, why)
    })?;
    let mut counts = BTreeMap::new();
    for (key, held) in state.rows(at, level, Day(i32::MIN), Day(today.0 - 1)) {
        if *key.code == *code {
            *counts.entry(Day(key.window)).or_default() += held.sums[measure];
        }
    }
    Ok((at, counts))
}

/// Months as far as they are counted: from the first day that has anything, before today.
fn live(counts: &BTreeMap<Day, i64>, held_from: Option<Day>, today: Day) -> Vec<Counted> {
    let Some(first) = counts.keys().next().copied() else {
        return Vec::new();
    };
    let mut months: BTreeMap<Month, i64> = BTreeMap::new();
    for (day, count) in counts {
        *months.entry(day.month()).or_default() += count;
    }
    let live = months.into_iter().map(|(month, appointments)| {
        let (begins, ends) = (month.first_day(), month.last_day());
        // A service that began within the month: the days before its first are not zero, but unknown.
        let from = if first <= begins {
            begins
        } else {
            first.min(ends)
        };
        let is_begun_late = working_weekdays_between(begins, Day(from.0 - 1)) > 0;
        let is_let_go = held_from.is_some_and(|held| held > begins);
        Counted {
            month,
            source: Source::Live,
            appointments,
            working_weekdays: working_weekdays_between(from, ends.min(Day(today.0 - 1))),
            is_whole: ends < today && !is_begun_late && !is_let_go,
        }
    });
    live.collect()
}

/// The codes of a place, its own first: published totals may go by its ONS code.
fn codes(state: &Held, level: Level, code: &str, today: Day) -> Vec<String> {
    let mut codes = vec![code.to_owned()];
    let places = (state.register.practices())
        .filter_map(|practice| state.register.row_on(practice, today))
        .map(|row| state.register.place(row.place));
    for place in places.filter(|place| place.code(level) == code) {
        let other = match level {
            Level::SubIcb => &place.sub_icb_ons,
            Level::Icb => &place.icb_ons,
            Level::Region => &place.region_ons,
            Level::Practice | Level::Pcn | Level::England | Level::Supplier => &None,
        };
        if let Some(other) = other
            && !codes.iter().any(|known| **known == **other)
        {
            codes.push(other.to_string());
        }
    }
    codes
}

fn row(season: &Season) -> MonthRow {
    let counted = &season.counted;
    let rate = |counted: &Counted| counted.per_working_weekday().map(rounded);
    let (before, early) = (season.year_before.as_ref(), season.pre_pandemic.as_ref());
    let change = |earlier: Option<&Counted>| counted.change_from(earlier?).map(rounded);
    MonthRow {
        month: counted.month.label(),
        winter_year: crate::analysis::seasons::WinterYear::of(counted.month).to_string(),
        source: counted.source.label(),
        is_whole: counted.is_whole,
        appointments: Some(counted.appointments),
        working_weekdays: counted.working_weekdays,
        per_working_weekday: rate(counted),
        published_appointments: season.published,
        year_before_source: before.map(|it| it.source.label()),
        year_before_appointments: before.map(|it| it.appointments),
        year_before_working_weekdays: before.map(|it| it.working_weekdays),
        year_before_per_working_weekday: before.and_then(rate),
        change_on_year_before: change(before),
        pre_pandemic_source: early.map(|it| it.source.label()),
        pre_pandemic_appointments: early.map(|it| it.appointments),
        pre_pandemic_working_weekdays: early.map(|it| it.working_weekdays),
        pre_pandemic_per_working_weekday: early.and_then(rate),
        change_on_pre_pandemic: change(early),
        quality_score: None,
    }
}

fn winter(winter: &Winter) -> WinterRow {
    WinterRow {
        winter_year: winter.year.to_string(),
        months: winter.total.months,
        appointments: winter.total.appointments,
        working_weekdays: winter.total.working_weekdays,
        per_working_weekday: winter.total.per_working_weekday().map(rounded),
        months_compared: winter.comparable_months(),
        change_on_year_before: winter.change().map(rounded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::from_date(text.parse().expect("a day"))
    }

    #[test]
    fn a_month_is_whole_when_it_is_over_and_was_counted_from_its_first_working_weekday() {
        // 1 and 2 January 2022 were a weekend, 3 January a bank holiday.
        let cases = [
            ("2022-01-04", None, "2022-02-01", (20, true)),
            ("2022-01-05", None, "2022-02-01", (19, false)),
            ("2021-12-01", None, "2022-02-01", (20, true)),
            // Today is not over.
            ("2022-01-04", None, "2022-01-31", (19, false)),
            ("2021-12-01", Some("2022-01-02"), "2022-02-01", (20, false)),
            ("2021-12-01", Some("2022-01-01"), "2022-02-01", (20, true)),
        ];
        for (first, held, today, expected) in cases {
            let counts = BTreeMap::from([(day(first), 7), (day("2022-01-20"), 3)]);
            let live = live(&counts, held.map(day), day(today));
            let last = live.last().expect("a month");
            assert_eq!(
                (last.working_weekdays, last.is_whole),
                expected,
                "{first} {today}"
            );
        }
        assert!(live(&BTreeMap::new(), None, day("2022-02-01")).is_empty());
    }
}
