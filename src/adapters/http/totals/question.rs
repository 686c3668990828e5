//! What is asked of an aggregate: where, when, by what.

use axum::http::StatusCode;
use serde::Deserialize;

use crate::adapters::http::App;
use crate::adapters::http::problem::Problem;
use crate::domain::aggregate::Dimension;
use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::Day;
use crate::domain::window::Window;
use crate::engine::plan::Aggregate;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    level: Option<String>,
    code: Option<String>,
    parent: Option<String>,
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
    per: Option<String>,
    pub format: Option<String>,
}

/// Checked against the aggregate's declaration.
pub struct Question<'a> {
    /// Its index in the plan.
    pub at: usize,
    pub aggregate: &'a Aggregate,
    pub level: Level,
    /// Where the rows lie that are added up: the level itself, or the practices of a level that the aggregate does not have.
    pub read_at: Level,
    pub code: Option<String>,
    pub parent: Option<String>,
    /// The first day, and the last.
    pub from: Day,
    pub to: Day,
    pub by: Vec<Dimension>,
    /// `None`: the whole period is one.
    pub per: Option<Window>,
}

impl<'a> Question<'a> {
    pub fn of(app: &'a App, name: &str, asked: &Asked) -> Result<Self, Problem> {
        let plan = &app.figures.plan;
        let (at, aggregate) = plan.find(name).ok_or_else(|| {
            let names: Vec<_> = plan.aggregates.iter().map(|it| &*it.name).collect();
            let why = format!(
                "no aggregate is called `{name}`; there are {}",
                names.join(", ")
            );
            Problem::new(StatusCode::NOT_FOUND, why)
        })?;
        if aggregate.follows_events() {
            let why = format!(
                "`{name}` has windows that overlap, which do not add up: ask /api/v1/aggregates/{name}"
            );
            return Err(Problem::wrong(why));
        }
        let (level, read_at) = level(aggregate, asked.level.as_deref())?;
        let code = match asked.code.as_deref() {
            None if level == Level::England => Some(ENGLAND.to_owned()),
            code => code.map(str::to_owned),
        };
        let today = app.clock.now().london_day();
        let to = day("to", asked.to.as_deref())?;
        let from = day("from", asked.from.as_deref())?
            .unwrap_or_else(|| to.unwrap_or(today).month().first_day());
        let to = to.unwrap_or_else(|| today.max(from));
        if to < from {
            return Err(Problem::wrong("to: is before from"));
        }
        Ok(Self {
            at,
            aggregate,
            level,
            read_at,
            code,
            parent: asked.parent.clone(),
            from: aggregate.window.start(from),
            to,
            by: by(aggregate, asked.by.as_deref())?,
            per: per(aggregate, asked.per.as_deref())?,
        })
    }
}

/// Without a level the coarsest.
fn level(aggregate: &Aggregate, label: Option<&str>) -> Result<(Level, Level), Problem> {
    let supplier = aggregate.has_supplier().then_some(Level::Supplier);
    let practice = aggregate.has_practice().then_some(Level::Practice);
    let above = aggregate.above_practice().iter().copied();
    let own: Vec<Level> = practice.into_iter().chain(supplier).chain(above).collect();
    let level = match label {
        None => own.last().copied(),
        Some(label) => Level::from_label(label),
    };
    match level {
        Some(level) if own.contains(&level) => Ok((level, level)),
        Some(level) if aggregate.has_practice() && level != Level::Supplier => {
            Ok((level, Level::Practice))
        }
        _ => {
            let labels: Vec<_> = own.iter().map(|level| level.label()).collect();
            let (label, name) = (label.unwrap_or_default(), &aggregate.name);
            let why = format!("level: `{label}`: `{name}` has {}", labels.join(", "));
            Err(Problem::wrong(why))
        }
    }
}

fn day(name: &str, text: Option<&str>) -> Result<Option<Day>, Problem> {
    let parsed = text.map(|text| {
        (text.parse().map(Day::from_date))
            .map_err(|_| Problem::wrong(format!("{name}: `{text}` is no day such as 2022-02-28")))
    });
    parsed.transpose()
}

fn by(aggregate: &Aggregate, labels: Option<&str>) -> Result<Vec<Dimension>, Problem> {
    let mut by = Vec::new();
    for label in labels.unwrap_or_default().split(',') {
        if label.is_empty() {
            continue;
        }
        let mut known = aggregate.dimensions();
        let Some(found) = known.find(|dimension| dimension.label() == label) else {
            let labels: Vec<_> = aggregate.dimensions().map(Dimension::label).collect();
            let (name, labels) = (&aggregate.name, labels.join(", "));
            let labels = if labels.is_empty() {
                "no dimension"
            } else {
                &labels
            };
            return Err(Problem::wrong(format!(
                "by: `{label}`: `{name}` has {labels}"
            )));
        };
        if by.contains(&found) {
            return Err(Problem::wrong(format!("by: `{label}` is there twice")));
        }
        by.push(found);
    }
    Ok(by)
}

fn per(aggregate: &Aggregate, label: Option<&str>) -> Result<Option<Window>, Problem> {
    let window = match label {
        None | Some("period") => return Ok(None),
        Some(label) => Window::from_label(label).ok_or_else(|| {
            Problem::wrong(format!(
                "per: `{label}` is none of period, day, week, month"
            ))
        })?,
    };
    let own = aggregate.window;
    let fits = own == Window::Day || own == window;
    fits.then_some(Some(window)).ok_or_else(|| {
        let (name, own, asked) = (&aggregate.name, own.label(), window.label());
        Problem::wrong(format!(
            "per: `{name}` is by {own}, which does not make a {asked}"
        ))
    })
}
