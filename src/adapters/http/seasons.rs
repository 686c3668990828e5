//! `/api/v1/seasons`: months per working weekday, against the same month of earlier years, and winter years.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{AskedLevel, AskedRows, OfRows, level_of};
use super::disclosure::{Disclosure, DisclosureControl};
use super::known::{Moment, View, quality_slice};
use super::paging::Paging;
use super::problem::{Problem, Told};
use super::quality::{SCORE, told_score};
use super::summary::iso;
use super::table::{Paged, respond, rounded};
use super::{App, Served, blocking};
use crate::adapters::figures::known::{Slice, Within};
use crate::adapters::figures::quality::Beside;
use crate::adapters::figures::{Mark, State as Held};
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

/// Whose seasons are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// A level of geography; `england` without it.
    #[param(inline)]
    level: Option<AskedLevel>,
    /// The place; every level other than england needs one.
    #[param(example = "QVV")]
    code: Option<String>,
    /// Months, or winter years of October to September; `month` without it.
    #[param(inline)]
    by: Option<By>,
}

/// What rows are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Month,
    WinterYear,
}

/// What rows are about.
#[derive(Debug, Serialize, ToSchema)]
struct About {
    level: &'static str,
    code: String,
    name: String,
    /// How the rate is made.
    per_working_weekday: &'static str,
    /// What the score is.
    score: &'static str,
    /// The time that live figures stood at, where one was asked for.
    as_known_at: Option<String>,
    as_of: Option<String>,
    is_complete: bool,
    /// Days from which on all rows are held; null: all are.
    held_from: Option<String>,
    disclosure_control: DisclosureControl,
}

/// A place's seasons.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeasonsAnswer {
    #[serde(flatten)]
    about: About,
    /// There are more rows than these: `next` has them.
    is_truncated: bool,
    /// The address of the next page, of the same question.
    next: Option<String>,
    rows: Vec<SeasonsRow>,
    #[serde(skip)]
    by: By,
}

/// By what was asked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SeasonsRow {
    Month(Box<MonthRow>),
    WinterYear(WinterRow),
}

impl Paged for SeasonsAnswer {
    type Row = SeasonsRow;

    fn rows(&self) -> &[SeasonsRow] {
        &self.rows
    }

    fn blank(&self) -> SeasonsRow {
        match self.by {
            By::Month => SeasonsRow::Month(Box::default()),
            By::WinterYear => SeasonsRow::WinterYear(WinterRow::default()),
        }
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// A month against earlier ones; changes are relative and per working weekday: 0.1 is a tenth more.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct MonthRow {
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
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct WinterRow {
    winter_year: String,
    months: u32,
    appointments: i64,
    working_weekdays: u32,
    per_working_weekday: Option<f64>,
    /// Months known of the year before, too, over which the change is.
    months_compared: u32,
    change_on_year_before: Option<f64>,
}

/// Months per working weekday against the same month of earlier years, or winter years.
#[utoipa::path(
    get,
    path = "/api/v1/seasons",
    tag = "figures",
    params(Asked, OfRows),
    responses(
        (status = 200, description = "Months, or winter years, in their order.", content((SeasonsAnswer = "application/json"), (String = "text/csv")), headers(("etag" = String), ("link" = String, description = "The next page, rel=next."))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong, or `as_known_at` is not kept.", body = Told, content_type = "application/problem+json"),
        (status = 404, description = "Nothing is known of the place, live or published.", body = Told, content_type = "application/problem+json"),
        (status = 503, description = "`as_known_at`: others are being answered, or the figures are still being read.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn seasons(
    State(app): State<Served>,
    AskedRows {
        asked,
        common,
        format,
    }: AskedRows<Asked>,
) -> Result<Response, Problem> {
    blocking(move || Ok(respond(&answer(&app, &asked, &common)?, format))).await
}

fn answer(app: &App, asked: &Asked, common: &OfRows) -> Result<SeasonsAnswer, Problem> {
    let level = level_of(asked.level, Level::England, &GEOGRAPHY)?;
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
    let by = asked.by.unwrap_or(By::Month);
    let moment = common.moment(app);
    let known_at = moment.told();
    let question = [
        ("level", Some(level.label())),
        ("code", Some(code)),
        ("by", (by == By::WinterYear).then_some("winter_year")),
    ];
    let paging = common.paging("/api/v1/seasons", &question)?;
    let (at, measure) = declared(app, level)?;
    let state = view(app, moment, at, (level, code))?;
    let today = moment.today;
    let disclosure = Disclosure::of(level);
    let counts = days(&state, (at, measure), (level, code), today);
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
    let about = About {
        level: level.label(),
        code: code.to_owned(),
        name: state.places.name(level, code).to_owned(),
        per_working_weekday: "appointments of all days, divided by the Mondays to Fridays less bank holidays",
        score: SCORE,
        as_known_at: known_at,
        as_of: state.as_of().map(Timestamp::to_rfc3339),
        is_complete: state.is_complete,
        held_from: held_from.map(iso),
        disclosure_control: disclosure.described(),
    };
    if by == By::WinterYear {
        let rows = months.winters().into_iter().map(|found| {
            let row = SeasonsRow::WinterYear(winter(&found));
            (mark(found.year.0), row)
        });
        return Ok(paged(about, by, &paging, rows));
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
    let number = |row: &MonthRow| Month::parse(&row.month).map_or(0, |month| month.0);
    let rows = rows.into_iter().map(|row| {
        let mark = mark(number(&row));
        (mark, SeasonsRow::Month(row.into()))
    });
    Ok(paged(about, by, &paging, rows))
}

/// Rows are in the order of time.
fn mark(number: i32) -> Mark {
    Mark {
        window: number,
        code: "".into(),
        printed: 0,
        dimensions: 0,
    }
}

fn paged(
    about: About,
    by: By,
    paging: &Paging,
    rows: impl Iterator<Item = (Mark, SeasonsRow)>,
) -> SeasonsAnswer {
    let (rows, next) = paging.take(rows);
    SeasonsAnswer {
        about,
        by,
        is_truncated: next.is_some(),
        next,
        rows,
    }
}

fn view<'a>(
    app: &'a App,
    moment: Moment,
    aggregate: usize,
    (level, code): (Level, &str),
) -> Result<View<'a>, Problem> {
    moment.view(app, || {
        let (from, to) = (Day(i32::MIN), moment.today);
        let days = Slice {
            aggregate,
            level,
            from: from.0,
            to: to.0,
            within: Within::Code(code.to_owned()),
        };
        let quality = quality_slice(app, level, Some(code), from, to);
        [Some(days), quality].into_iter().flatten().collect()
    })
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

/// The aggregate that has a level's days, and which of its measures are the appointments.
fn declared(app: &App, level: Level) -> Result<(usize, usize), Problem> {
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
    found.ok_or_else(|| {
        let why = format!(
            "seasons of {} need the aggregate `{name}` with that level and the measure appointments",
            level.label()
        );
        Problem::new(StatusCode::NOT_FOUND, why)
    })
}

/// The place's appointments day by day before today.
fn days(
    state: &Held,
    (at, measure): (usize, usize),
    (level, code): (Level, &str),
    today: Day,
) -> BTreeMap<Day, i64> {
    let mut counts = BTreeMap::new();
    for (key, held) in state.rows(at, level, Day(i32::MIN), Day(today.0 - 1)) {
        if *key.code == *code {
            *counts.entry(Day(key.window)).or_default() += held.sums[measure];
        }
    }
    counts
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
