//! `/api/v1/aggregates/{name}`: the rows of an aggregate.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{AskedDay, AskedLevel, AskedRows, AskedTime, Named, OfRows, in_order, level_of};
use super::disclosure::{Disclosure, DisclosureControl};
use super::figure_rows::{PublishedAs, Row, figures, sheet};
use super::known::{Moment, View, quality_slice};
use super::paging::Paging;
use super::problem::{Problem, Told};
use super::quality::{SCORE, told_score};
use super::summary::iso;
use super::table::{Format, csv_response, linked};
use super::{App, Served, blocking};
use crate::adapters::figures::known::{Slice, Within};
use crate::adapters::figures::quality::Beside;
use crate::adapters::figures::{Held, RowKey, State as Figures};
use crate::domain::aggregate::{Dimension, Span};
use crate::domain::place::Level;
use crate::domain::time::{Day, Timestamp};
use crate::engine::plan::Aggregate;

/// What rows are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Of the aggregate's levels; the coarsest without it.
    #[param(inline)]
    level: Option<AskedLevel>,
    /// Of the aggregate's windows, such as `day` or `1 h`; its first without it.
    window: Option<String>,
    /// One code of the level; all without it.
    #[param(example = "QVV")]
    code: Option<String>,
    /// The first day; of rolling windows the first end (an instant). Without it the window that holds today, or that ended last.
    #[param(example = "2022-02-01")]
    from: Option<String>,
    /// The last day; of rolling windows the last end (an instant).
    #[param(example = "2022-02-28")]
    to: Option<String>,
}

/// Rows of an aggregate.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowsAnswer {
    aggregate: String,
    level: &'static str,
    window: String,
    /// The first window told; of rolling windows its end.
    from: String,
    /// The last window told.
    to: String,
    /// The time that the figures stood at, where one was asked for.
    as_known_at: Option<String>,
    /// The greatest time of extraction that went in; null of a time before.
    as_of: Option<String>,
    /// False while the committed figures are still being read.
    is_complete: bool,
    /// There are more rows than these: `next` has them.
    is_truncated: bool,
    /// Windows of this level from which on all rows are held; null: all are. The topic has older ones.
    held_from: Option<String>,
    disclosure_control: DisclosureControl,
    /// What the score beside each row is.
    quality_score: &'static str,
    /// The address of the next page, of the same question.
    next: Option<String>,
    rows: Vec<Row>,
}

/// The rows of an aggregate: one level, one kind of window, from one day to another.
#[utoipa::path(
    get,
    path = "/api/v1/aggregates/{name}",
    tag = "figures",
    params(("name" = String, Path, description = "An aggregate of /api/v1/aggregates.", example = "activity"), Asked, OfRows),
    responses(
        (status = 200, description = "The rows, in the order of windows, codes and dimensions.", content((RowsAnswer = "application/json"), (String = "text/csv")), headers(("etag" = String), ("link" = String, description = "The next page, rel=next."))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong, or `as_known_at` is not kept.", body = Told, content_type = "application/problem+json"),
        (status = 404, description = "There is no such aggregate.", body = Told, content_type = "application/problem+json"),
        (status = 503, description = "`as_known_at`: others are being answered, or the figures are still being read.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn rows(
    State(app): State<Served>,
    Named(name): Named,
    AskedRows {
        asked,
        common,
        format,
    }: AskedRows<Asked>,
) -> Result<Response, Problem> {
    blocking(move || {
        let found = found(&app, &name)?;
        let question = Question::of(&app, found, &asked, &common)?;
        let paging = question.paging(found.1, &common)?;
        let view = question.view(&app, found.0)?;
        let answer = answer(&app, &view, found, &question, &paging);
        let response = match format {
            Format::Json => Json(&answer).into_response(),
            Format::Csv => csv_response(csv(found.1, &answer)),
        };
        Ok(linked(response, answer.next.as_deref()))
    })
    .await
}

fn csv(aggregate: &Aggregate, answer: &RowsAnswer) -> Result<Vec<u8>, csv::Error> {
    let dimensions: Vec<_> = aggregate.dimensions().map(Dimension::label).collect();
    sheet(aggregate, answer.level, &dimensions, &answer.rows)
}

pub fn found<'a>(app: &'a App, name: &str) -> Result<(usize, &'a Aggregate), Problem> {
    let plan = &app.figures.plan;
    plan.find(name).ok_or_else(|| {
        let names: Vec<_> = plan.aggregates.iter().map(|known| &*known.name).collect();
        let names = names.join(", ");
        let why = format!("no aggregate is called `{name}`; there are {names}");
        Problem::new(StatusCode::NOT_FOUND, why)
    })
}

/// Finest first.
pub fn levels(aggregate: &Aggregate) -> Vec<Level> {
    let supplier = aggregate.has_supplier().then_some(Level::Supplier);
    let practice = aggregate.has_practice().then_some(Level::Practice);
    let above = aggregate.above_practice().iter().copied();
    practice.into_iter().chain(supplier).chain(above).collect()
}

struct Question {
    moment: Moment,
    level: Level,
    /// Which of the aggregate's windows.
    at: usize,
    window: String,
    code: Option<String>,
    /// First days, or minutes of ends.
    from: i32,
    to: i32,
    /// Days that the last window may go on to.
    until: Day,
}

impl Question {
    /// Without a level the coarsest; without days the window that holds today, or that was published last.
    fn of(
        app: &Arc<App>,
        (number, aggregate): (usize, &Aggregate),
        asked: &Asked,
        common: &OfRows,
    ) -> Result<Self, Problem> {
        let levels = levels(aggregate);
        let coarsest = levels.last().copied().unwrap_or(Level::England);
        let level = level_of(asked.level, coarsest, &levels)?;
        let windows = aggregate.window_labels();
        let at = match asked.window.as_deref() {
            None => Some(0),
            Some(label) => windows.iter().position(|window| window == label),
        };
        let at = at.ok_or_else(|| {
            let windows = windows.join(", ");
            Problem::wrong(format!("window: `{}` has {windows}", aggregate.name))
        })?;
        let moment = common.moment(app);
        let (from, to) = if aggregate.follows_events() {
            let minute = |name, text: &Option<String>| match text {
                None => Ok(None),
                Some(text) => {
                    let AskedTime(at) = named(name, text)?;
                    Ok(i32::try_from(at.0.div_euclid(60_000)).ok())
                }
            };
            let (from, to) = (minute("from", &asked.from)?, minute("to", &asked.to)?);
            let last = || app.figures.read().latest_end(number, (level, at), i32::MAX);
            let to = to
                .or_else(|| from.is_none().then(last).flatten())
                .unwrap_or(i32::MAX);
            in_order(from.unwrap_or(to), to)?
        } else {
            let day = |name, text: &Option<String>, otherwise| match text {
                None => Ok(otherwise),
                Some(text) => named(name, text).map(|AskedDay(day)| day),
            };
            let from = day("from", &asked.from, moment.today)?;
            let to = day("to", &asked.to, from.max(moment.today))?;
            let (from, to) = in_order(from, to)?;
            (aggregate.window.start(from).0, to.0)
        };
        let until = match aggregate.span(at, to) {
            Span::Days(_, end) => Day(end.0 - 1).min(moment.today),
            Span::Times(..) => moment.today,
        };
        Ok(Self {
            moment,
            level,
            at,
            window: windows[at].clone(),
            code: asked.code.clone(),
            from,
            to,
            until,
        })
    }

    fn paging(&self, aggregate: &Aggregate, common: &OfRows) -> Result<Paging, Problem> {
        let question = [
            ("level", Some(self.level.label())),
            ("window", Some(&*self.window)),
            ("from", Some(&*told(aggregate, self.from))),
            ("to", Some(&*told(aggregate, self.to))),
            ("code", self.code.as_deref()),
        ];
        let path = format!("/api/v1/aggregates/{}", aggregate.name);
        common.paging(&path, &question)
    }

    fn view<'a>(&self, app: &'a App, aggregate: usize) -> Result<View<'a>, Problem> {
        let (level, code) = (self.level, self.code.as_deref());
        self.moment.view(app, || {
            let within = code.map_or(Within::All, |code| Within::Code(code.to_owned()));
            let rows = Slice {
                aggregate,
                level,
                from: self.from,
                to: self.to,
                within,
            };
            let quality = quality_slice(app, level, code, Day(self.from), self.until);
            [Some(rows), quality].into_iter().flatten().collect()
        })
    }
}

fn named<T: TryFrom<String, Error = String>>(name: &str, text: &str) -> Result<T, Problem> {
    T::try_from(text.to_owned()).map_err(|why| Problem::wrong(format!("{name}: {why}")))
}

fn answer(
    app: &App,
    state: &Figures,
    (at, aggregate): (usize, &Aggregate),
    question: &Question,
    paging: &Paging,
) -> RowsAnswer {
    let disclosure = Disclosure::of(question.level);
    let of = (question.level, question.at);
    let found: Box<dyn Iterator<Item = (&RowKey, &Held)>> = match paging.after() {
        None => Box::new(state.rows_of(at, of, question.from, question.to)),
        Some(row) => Box::new(state.rows_behind(at, of, row, question.to)),
    };
    let is_asked = |code: &str| question.code.as_deref().is_none_or(|asked| asked == code);
    let found = found.filter(|(key, _)| is_asked(&key.code));
    let (rows, next) = paging.take(found.map(|(key, held)| (key.mark(), (key, held))));
    let mut scores = Scores {
        beside: Beside::new(&app.figures, state, question.level),
        today: question.moment.today,
        known: HashMap::new(),
    };
    let rows = rows.into_iter().map(|(key, held)| Row {
        name: state.places.name(key.level, &key.code).to_owned(),
        quality_score: scores.of(aggregate, key),
        ..row(aggregate, key, held, disclosure)
    });
    RowsAnswer {
        rows: rows.collect(),
        aggregate: aggregate.name.to_string(),
        level: question.level.label(),
        window: question.window.clone(),
        from: told(aggregate, question.from),
        to: told(aggregate, question.to),
        as_known_at: question.moment.told(),
        as_of: state.as_of().map(Timestamp::to_rfc3339),
        is_complete: state.is_complete,
        is_truncated: next.is_some(),
        held_from: (state.held_from(at, of)).map(|from| told(aggregate, from)),
        disclosure_control: disclosure.described(),
        quality_score: SCORE,
        next,
    }
}

/// The score of the data behind each row: of its place, over the days of its window up to today.
struct Scores<'s> {
    beside: Beside<'s>,
    today: Day,
    known: HashMap<(Arc<str>, Day, Day), Option<f64>>,
}

impl Scores<'_> {
    fn of(&mut self, aggregate: &Aggregate, key: &RowKey) -> Option<f64> {
        let (from, to) = match aggregate.span(key.at, key.window) {
            Span::Days(from, to) => (from, Day(to.0 - 1)),
            Span::Times(from, to) => (from.london_day(), Timestamp(to.0 - 1).london_day()),
        };
        let to = to.min(self.today);
        let known = (key.code.clone(), from, to);
        if let Some(score) = self.known.get(&known) {
            return *score;
        }
        let flaws = self.beside.of(&key.code, from, to);
        let score = flaws.and_then(|flaws| told_score(&flaws, Disclosure::of(key.level)));
        self.known.insert(known, score);
        score
    }
}

fn row(aggregate: &Aggregate, key: &RowKey, held: &Held, disclosure: Disclosure) -> Row {
    Row {
        code: key.code.to_string(),
        name: String::new(),
        window: match aggregate.span(key.at, key.window) {
            Span::Days(from, to) => [iso(from), iso(to)],
            Span::Times(from, to) => [from.to_rfc3339(), to.to_rfc3339()],
        },
        dimensions: aggregate.labels(key.dimensions).collect(),
        figures: figures(aggregate, &held.sums, held.ratios(aggregate), disclosure),
        published: PublishedAs::of(held),
        quality_score: None,
    }
}

/// The first day of a window, or the end of one of event time.
fn told(aggregate: &Aggregate, window: i32) -> String {
    if aggregate.follows_events() {
        Timestamp(i64::from(window) * 60_000).to_rfc3339()
    } else {
        iso(Day(window))
    }
}
