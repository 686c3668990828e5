//! `/api/v1/variation`: practices against the groups that they belong to, with chance taken into account.

mod group;
mod month;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::disclosure::Disclosure;
use super::problem::Problem;
use super::quality::{SCORE, told_score};
use super::table::{Format, Table, rounded};
use super::{App, Served, blocking};
use crate::adapters::figures::State as Held;
use crate::adapters::figures::quality::Beside;
use crate::analysis::variation::{Compared, Indicator, compare};
use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::{Month, Timestamp};
use group::{Group, Groups};
use month::{PracticeMonth, Practices};

/// The groups that a practice is compared with, finest first.
const AGAINST: [Level; 4] = [Level::Pcn, Level::SubIcb, Level::Icb, Level::England];
/// The groups whose practices can be asked for.
const PARENTS: [Level; 5] = [
    Level::Pcn,
    Level::SubIcb,
    Level::Icb,
    Level::Region,
    Level::England,
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    measure: Option<String>,
    practice: Option<String>,
    parent: Option<String>,
    month: Option<String>,
    format: Option<String>,
}

/// A practice against one group. Limits are values of the measure; null where there is nothing to compare, and `note` says why.
#[derive(Debug, Default, Serialize)]
struct Row {
    practice_code: String,
    practice_name: String,
    numerator: Option<i64>,
    /// Of a share.
    denominator: Option<i64>,
    /// Of a rate.
    registered_patients: Option<i64>,
    value: Option<f64>,
    benchmark_level: &'static str,
    benchmark_code: String,
    benchmark_name: String,
    benchmark_practices: usize,
    benchmark_value: Option<f64>,
    z: Option<f64>,
    lower_998: Option<f64>,
    lower_95: Option<f64>,
    upper_95: Option<f64>,
    upper_998: Option<f64>,
    verdict: Option<&'static str>,
    phi: Option<f64>,
    tau: Option<f64>,
    /// Where φ and τ are estimated: the group itself, or the next larger one with enough practices.
    dispersion_level: Option<&'static str>,
    dispersion_code: Option<String>,
    dispersion_practices: Option<usize>,
    adjusted_lower_998: Option<f64>,
    adjusted_lower_95: Option<f64>,
    adjusted_upper_95: Option<f64>,
    adjusted_upper_998: Option<f64>,
    adjusted_verdict: Option<&'static str>,
    quality_score: Option<f64>,
    note: Option<&'static str>,
}

pub async fn variation(
    State(app): State<Served>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::wrong(error.body_text()))?;
    let format = Format::asked(asked.format.as_deref(), &headers)?;
    blocking(move || Ok(answer(&app, &asked)?.respond(format))).await
}

fn answer(app: &App, asked: &Asked) -> Result<Table<Row>, Problem> {
    let labels = || Indicator::ALL.map(Indicator::label).join(", ");
    let indicator = match asked.measure.as_deref() {
        None => Err(Problem::wrong(format!(
            "measure: is missing; there are {}",
            labels()
        ))),
        Some(label) => Indicator::from_label(label)
            .ok_or_else(|| Problem::wrong(format!("measure: `{label}` is none of {}", labels()))),
    }?;
    let state = app.figures.read();
    let month = asked_month(asked)?;
    let practices = Practices::of(app, &state, month)?;
    let month = practices.month;
    let mut groups = Groups::new(indicator, &practices);
    let asked_for: Vec<(&str, Level)> = match (asked.practice.as_deref(), asked.parent.as_deref()) {
        (Some(code), None) => {
            let Some((code, _)) = practices.find(code) else {
                let why = format!("practice: `{code}` has no appointment in {}", month.label());
                return Err(Problem::new(StatusCode::NOT_FOUND, why));
            };
            AGAINST.map(|level| (code, level)).to_vec()
        }
        (None, Some(parent)) => {
            let level = level_of(&practices, parent).ok_or_else(|| {
                let why = format!(
                    "parent: `{parent}` is no PCN, sub-ICB, ICB or region with an appointment in {}, and not England's {ENGLAND}",
                    month.label()
                );
                Problem::new(StatusCode::NOT_FOUND, why)
            })?;
            let members = practices.members(level, parent);
            members.map(|(code, _)| (code, level)).collect()
        }
        _ => {
            let why = "name either a practice (against its PCN, sub-ICB, ICB and England) or a parent (all its practices against it)";
            return Err(Problem::wrong(why));
        }
    };
    let mut beside = Beside::new(&app.figures, &state, Level::Practice);
    let mut rows = Vec::with_capacity(asked_for.len());
    for (code, level) in asked_for {
        let Some((code, practice)) = practices.find(code) else {
            continue;
        };
        let mut row = row(
            &state,
            indicator,
            &practices,
            (code, practice),
            groups.of(practice, level),
        );
        let flaws = beside.of(code, month.first_day(), month.last_day());
        let disclosure = Disclosure::of(Level::Practice);
        row.quality_score = flaws.and_then(|flaws| told_score(&flaws, disclosure));
        rows.push(row);
    }
    Ok(Table {
        about: about(&state, indicator, &practices),
        rows,
    })
}

fn asked_month(asked: &Asked) -> Result<Option<Month>, Problem> {
    let parsed = asked.month.as_deref().map(|text| {
        Month::parse(text)
            .ok_or_else(|| Problem::wrong(format!("month: `{text}` is no month such as 2022-02")))
    });
    parsed.transpose()
}

/// A code's level, of those that the month's practices lie in.
fn level_of(practices: &Practices, parent: &str) -> Option<Level> {
    (PARENTS.into_iter()).find(|level| practices.members(*level, parent).next().is_some())
}

fn about(state: &Held, indicator: Indicator, practices: &Practices) -> serde_json::Value {
    json!({
        "measure": indicator.label(),
        "month": practices.month.label(),
        "is_month_over": practices.is_over,
        "working_weekdays": practices.working_weekdays,
        "limits": "exact, by chance alone: 95 % and 99.8 % of practices that are as the benchmark lie within (Spiegelhalter 2005)",
        "adjusted": "the same, widened by the variance between practices (additive, z-scores winsorised at 10 %)",
        "score": SCORE,
        "as_of": state.as_of().map(Timestamp::to_rfc3339),
        "is_complete": state.is_complete,
        "disclosure_control": Disclosure::of(Level::Practice).described(),
    })
}

fn row(
    state: &Held,
    indicator: Indicator,
    practices: &Practices,
    (code, practice): (&str, &PracticeMonth),
    group: &Group,
) -> Row {
    let disclosure = Disclosure::of(Level::Practice);
    let is_rate = indicator.denominator(&practice.counts).is_none();
    let name = |level, code: &str| state.places.name(level, code).to_owned();
    let told = practices.point(indicator, practice, |count| disclosure.told(count));
    let mut row = Row {
        practice_code: code.to_owned(),
        practice_name: name(Level::Practice, code),
        numerator: disclosure.told(indicator.numerator(&practice.counts)),
        denominator: (indicator.denominator(&practice.counts)).and_then(|of| disclosure.told(of)),
        registered_patients: practice.patients.filter(|_| is_rate),
        value: told.ok().map(|point| rounded(point.value())),
        benchmark_level: group.level.label(),
        benchmark_name: name(group.level, &group.code),
        benchmark_code: group.code.clone(),
        benchmark_practices: group.practices,
        benchmark_value: group.benchmark.map(rounded),
        phi: group
            .dispersion
            .as_ref()
            .map(|found| significant(found.of.phi)),
        tau: group
            .dispersion
            .as_ref()
            .map(|found| significant(found.of.tau2.sqrt())),
        dispersion_level: group.dispersion.as_ref().map(|found| found.level.label()),
        dispersion_code: group.dispersion.as_ref().map(|found| found.code.clone()),
        dispersion_practices: group.dispersion.as_ref().map(|found| found.of.practices),
        ..Row::default()
    };
    let point = match told {
        Ok(point) => point,
        Err(why) => {
            row.note = Some(why);
            return row;
        }
    };
    if group.code.is_empty() {
        row.note = Some("the register has no such group for the practice");
        return row;
    }
    if group.practices < 2 {
        row.note = Some("the group has no other practice to compare with");
        return row;
    }
    let dispersion = group.dispersion.as_ref().map(|found| &found.of);
    let compared = (group.benchmark)
        .and_then(|benchmark| compare(indicator.kind(), point, benchmark, dispersion));
    match compared {
        Some(compared) => filled(row, &compared),
        None => Row {
            note: Some("the group's count is suppressed, or nothing"),
            ..row
        },
    }
}

fn filled(mut row: Row, compared: &Compared) -> Row {
    let limits = compared.limits.map(rounded);
    row.z = Some(significant(compared.z));
    row.lower_998 = Some(limits.lower_998);
    row.lower_95 = Some(limits.lower_95);
    row.upper_95 = Some(limits.upper_95);
    row.upper_998 = Some(limits.upper_998);
    row.verdict = Some(compared.verdict.label());
    match compared.adjusted {
        Some((limits, verdict)) => {
            let limits = limits.map(rounded);
            row.adjusted_lower_998 = Some(limits.lower_998);
            row.adjusted_lower_95 = Some(limits.lower_95);
            row.adjusted_upper_95 = Some(limits.upper_95);
            row.adjusted_upper_998 = Some(limits.upper_998);
            row.adjusted_verdict = Some(verdict.label());
        }
        None => row.note = Some("too few practices to estimate how practices differ"),
    }
    row
}

/// To four significant digits.
fn significant(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}
