//! What is asked of an aggregate: where, when, by what.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::adapters::figures::known::{Slice, Within};
use crate::adapters::http::App;
use crate::adapters::http::asked::{AskedDay, AskedLevel, OfRows, in_order};
use crate::adapters::http::known::{Moment, View, quality_slice};
use crate::adapters::http::paging::Paging;
use crate::adapters::http::problem::Problem;
use crate::adapters::http::rows::levels;
use crate::adapters::http::summary::iso;
use crate::domain::aggregate::Dimension;
use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::Day;
use crate::domain::window::Window;
use crate::engine::plan::Aggregate;

/// What is to be added up.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// A level of the aggregate; of one that has practices any level of geography. The coarsest without it.
    #[param(inline)]
    level: Option<AskedLevel>,
    /// One code of the level; all without it.
    #[param(example = "QVV")]
    code: Option<String>,
    /// The code of a place: a row for each place of the level that lies in it on the last day.
    #[param(example = "Y58")]
    parent: Option<String>,
    /// The first day; without it the first of the last one's month.
    #[param(inline)]
    from: Option<AskedDay>,
    /// The last day; without it today.
    #[param(inline)]
    to: Option<AskedDay>,
    /// Dimensions that rows stay apart by, with commas between; the others are added up.
    #[param(example = "status,mode")]
    by: Option<String>,
    /// `period` (one row of all days, also without it), `day`, `week` or `month`.
    #[param(example = "week")]
    per: Option<String>,
}

/// Levels of geography, coarsest first: where a parent's code is looked for.
pub const PARENTS: [Level; 5] = [
    Level::England,
    Level::Region,
    Level::Icb,
    Level::SubIcb,
    Level::Pcn,
];

/// Checked against the aggregate's declaration.
pub struct Question<'a> {
    /// Its index in the plan.
    pub at: usize,
    pub aggregate: &'a Aggregate,
    pub moment: Moment,
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
    /// # Errors
    /// What the aggregate has not, or cannot be added up.
    pub fn of(
        (at, aggregate): (usize, &'a Aggregate),
        asked: &Asked,
        moment: Moment,
    ) -> Result<Self, Problem> {
        if aggregate.follows_events() {
            let name = &aggregate.name;
            let why = format!(
                "`{name}` has windows that overlap, which do not add up: ask /api/v1/aggregates/{name}"
            );
            return Err(Problem::wrong(why));
        }
        let (level, read_at) = level(aggregate, asked.level)?;
        let code = match asked.code.as_deref() {
            None if level == Level::England => Some(ENGLAND.to_owned()),
            code => code.map(str::to_owned),
        };
        let today = moment.today;
        let to = asked.to.map(|AskedDay(day)| day);
        let first = to.unwrap_or(today).month().first_day();
        let from = asked.from.map_or(first, |AskedDay(day)| day);
        let (from, to) = in_order(from, to.unwrap_or_else(|| today.max(from)))?;
        Ok(Self {
            at,
            aggregate,
            moment,
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

    /// As answers tell it.
    pub fn per(&self) -> &'static str {
        self.per.map_or("period", Window::label)
    }

    pub fn by(&self) -> Vec<&'static str> {
        self.by.iter().map(|by| by.label()).collect()
    }

    pub fn paging(&self, common: &OfRows) -> Result<Paging, Problem> {
        let path = format!("/api/v1/totals/{}", self.aggregate.name);
        let by = self.by().join(",");
        let question = [
            ("level", Some(self.level.label())),
            ("code", self.code.as_deref()),
            ("parent", self.parent.as_deref()),
            ("from", Some(&*iso(self.from))),
            ("to", Some(&*iso(self.to))),
            ("by", Some(&*by)),
            ("per", Some(self.per())),
        ];
        common.paging(&path, &question)
    }

    /// Of a time before: the rows that may count, and what scores are worked out from.
    pub fn view<'v>(&self, app: &'v App) -> Result<View<'v>, Problem> {
        self.moment.view(app, || {
            let rows = Slice {
                aggregate: self.at,
                level: self.read_at,
                from: self.from.0,
                to: self.to.0,
                within: self.within(app),
            };
            let until = self.to.min(self.moment.today);
            let quality = quality_slice(app, self.level, self.code.as_deref(), self.from, until);
            [Some(rows), quality].into_iter().flatten().collect()
        })
    }

    fn within(&self, app: &App) -> Within {
        let is_practice = self.read_at == Level::Practice;
        match (self.code.as_deref(), self.parent.as_deref()) {
            (Some(code), _) if self.read_at == self.level => Within::Code(code.to_owned()),
            (Some(code), _) if is_practice && self.level != Level::England => {
                Within::Place(self.level, code.to_owned())
            }
            (None, Some(parent)) if is_practice => {
                let state = app.figures.read();
                let level = PARENTS.into_iter().skip(1).find(|level| {
                    let mut rows = state.register.rows();
                    rows.any(|(_, row)| state.register.place(row.place).code(*level) == parent)
                });
                level.map_or(Within::All, |level| Within::Place(level, parent.to_owned()))
            }
            _ => Within::All,
        }
    }
}

/// Without a level the coarsest.
fn level(aggregate: &Aggregate, asked: Option<AskedLevel>) -> Result<(Level, Level), Problem> {
    let own = levels(aggregate);
    let level = match asked {
        None => own.last().copied(),
        Some(AskedLevel(level)) => Some(level),
    };
    match level {
        Some(level) if own.contains(&level) => Ok((level, level)),
        Some(level) if aggregate.has_practice() && level != Level::Supplier => {
            Ok((level, Level::Practice))
        }
        _ => {
            let labels: Vec<_> = own.iter().map(|level| level.label()).collect();
            let (label, name) = (level.map_or("", Level::label), &aggregate.name);
            let why = format!("level: `{label}`: `{name}` has {}", labels.join(", "));
            Err(Problem::wrong(why))
        }
    }
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
