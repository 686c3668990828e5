//! `/api/v1/variation`: practices against the groups that they belong to, with chance taken into account.

mod group;
mod month;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{AskedMonth, AskedRows, OfRows};
use super::disclosure::{Disclosure, DisclosureControl};
use super::known::{Moment, View, quality_slice};
use super::problem::{Problem, Told};
use super::quality::{SCORE, told_score};
use super::table::{Paged, respond, rounded};
use super::{App, Served, blocking};
use crate::adapters::figures::known::{Slice, Within};
use crate::adapters::figures::quality::Beside;
use crate::adapters::figures::{Mark, State as Held};
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

/// Which practices are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// What is compared.
    #[param(inline, required)]
    measure: Option<AskedMeasure>,
    /// One practice, against its PCN, sub-ICB, ICB and England.
    #[param(example = "L83001")]
    practice: Option<String>,
    /// A PCN, sub-ICB, ICB, region or England: all its practices, against it.
    #[param(example = "15N")]
    parent: Option<String>,
    /// Without it the latest that has anything; with `as_known_at` it must be named.
    #[param(inline)]
    month: Option<AskedMonth>,
}

/// What practices are compared by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, example = "dna_share")]
struct AskedMeasure(Indicator);

impl TryFrom<String> for AskedMeasure {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let none = || format!("`{text}` is none of {}", labels());
        Indicator::from_label(&text).map(Self).ok_or_else(none)
    }
}

fn labels() -> String {
    Indicator::ALL.map(Indicator::label).join(", ")
}

/// Practices against the groups that they belong to.
#[derive(Debug, Serialize, ToSchema)]
pub struct VariationAnswer {
    measure: &'static str,
    month: String,
    is_month_over: bool,
    /// Of the month, as far as it is over.
    working_weekdays: u32,
    /// What the limits are.
    limits: &'static str,
    /// What the adjusted limits are.
    adjusted: &'static str,
    /// What the score is.
    score: &'static str,
    /// The time that the figures stood at, where one was asked for.
    as_known_at: Option<String>,
    as_of: Option<String>,
    is_complete: bool,
    /// There are more rows than these: `next` has them.
    is_truncated: bool,
    disclosure_control: DisclosureControl,
    /// The address of the next page, of the same question.
    next: Option<String>,
    rows: Vec<Row>,
}

impl Paged for VariationAnswer {
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

/// A practice against one group. Limits are values of the measure; null where there is nothing to compare, and `note` says why.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = VariationRow)]
pub struct Row {
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

/// Practices against the groups that they belong to, with exact funnel limits.
#[utoipa::path(
    get,
    path = "/api/v1/variation",
    tag = "figures",
    params(Asked, OfRows),
    responses(
        (status = 200, description = "A practice against its groups, or the practices of a place in the order of their codes.", content((VariationAnswer = "application/json"), (String = "text/csv")), headers(("etag" = String), ("link" = String, description = "The next page, rel=next."))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong, or `as_known_at` is not kept.", body = Told, content_type = "application/problem+json"),
        (status = 404, description = "There is no such practice or place in the month.", body = Told, content_type = "application/problem+json"),
        (status = 503, description = "`as_known_at`: others are being answered, or the figures are still being read.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn variation(
    State(app): State<Served>,
    AskedRows {
        asked,
        common,
        format,
    }: AskedRows<Asked>,
) -> Result<Response, Problem> {
    blocking(move || Ok(respond(&answer(&app, &asked, &common)?, format))).await
}

fn answer(app: &App, asked: &Asked, common: &OfRows) -> Result<VariationAnswer, Problem> {
    let Some(AskedMeasure(indicator)) = asked.measure else {
        let labels = labels();
        return Err(Problem::wrong(format!(
            "measure: is missing; there are {labels}"
        )));
    };
    let moment = common.moment(app);
    let month = asked.month.map(|AskedMonth(month)| month);
    let state = view(app, moment, month)?;
    let practices = Practices::of(app, &state, month, moment.today)?;
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
    let (known_at, label) = (moment.told(), month.label());
    let question = [
        ("measure", Some(indicator.label())),
        ("practice", asked.practice.as_deref()),
        ("parent", asked.parent.as_deref()),
        ("month", Some(&*label)),
    ];
    let paging = common.paging("/api/v1/variation", &question)?;
    let marked = asked_for.into_iter().map(|(code, level)| {
        let mark = Mark {
            window: level as i32,
            code: code.into(),
            printed: 0,
            dimensions: 0,
        };
        (mark, (code, level))
    });
    let (asked_for, next) = paging.take(marked);
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
    Ok(VariationAnswer {
        rows,
        measure: indicator.label(),
        month: label,
        is_month_over: practices.is_over,
        working_weekdays: practices.working_weekdays,
        limits: "exact, by chance alone: 95 % and 99.8 % of practices that are as the benchmark lie within (Spiegelhalter 2005)",
        adjusted: "the same, widened by the variance between practices (additive, z-scores winsorised at 10 %)",
        score: SCORE,
        as_known_at: known_at,
        as_of: state.as_of().map(Timestamp::to_rfc3339),
        is_complete: state.is_complete,
        is_truncated: next.is_some(),
        disclosure_control: Disclosure::of(Level::Practice).described(),
        next,
    })
}

/// Of a time before: the month's practices, all of them, whichever are asked for.
fn view(app: &App, moment: Moment, month: Option<Month>) -> Result<View<'_>, Problem> {
    if moment.known_at.is_some() && month.is_none() {
        return Err(Problem::wrong("month: which? as_known_at needs one"));
    }
    moment.view(app, || {
        let Some(month) = month else {
            return Vec::new();
        };
        let (first, last) = (month.first_day(), month.last_day());
        let of = app.figures.plan.find(month::AGGREGATE);
        let practices = of.map(|(aggregate, _)| Slice {
            aggregate,
            level: Level::Practice,
            from: first.0,
            to: last.0,
            within: Within::All,
        });
        let quality = quality_slice(app, Level::Practice, None, first, last);
        [practices, quality].into_iter().flatten().collect()
    })
}

/// A code's level, of those that the month's practices lie in.
fn level_of(practices: &Practices, parent: &str) -> Option<Level> {
    (PARENTS.into_iter()).find(|level| practices.members(*level, parent).next().is_some())
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
