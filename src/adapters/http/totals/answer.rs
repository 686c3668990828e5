//! The sums, and how they are told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::question::Question;
use crate::adapters::figures::quality::Beside;
use crate::adapters::figures::{Held, State};
use crate::adapters::http::App;
use crate::adapters::http::disclosure::Disclosure;
use crate::adapters::http::quality::{SCORE, told_score};
use crate::adapters::http::summary::{iso, label_of};
use crate::adapters::http::table::{Format, Sheet, csv_response, rounded};
use crate::domain::aggregate::{Finality, Published};
use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::{Day, Timestamp};

/// Rows of one answer.
const MOST_ROWS: usize = 10_000;

/// Levels of geography, coarsest first: where a parent's code is looked for.
const PARENTS: [Level; 5] = [
    Level::England,
    Level::Region,
    Level::Icb,
    Level::SubIcb,
    Level::Pcn,
];

/// Rows added up.
#[derive(Debug, Serialize)]
pub struct Total {
    code: String,
    name: String,
    /// The first day, and the day after the last.
    window: [String; 2],
    /// By the name of the dimension.
    dimensions: BTreeMap<&'static str, &'static str>,
    /// By measure; null is suppressed. With ratios and quantiles where nothing is.
    figures: BTreeMap<String, Value>,
    published: Told,
    /// Of the place's data in these days, 0 to 100.
    quality_score: Option<f64>,
}

/// What holds of all rows that went in.
#[derive(Debug, Serialize)]
struct Told {
    /// The newest.
    as_of: String,
    /// The greatest.
    revision: i64,
    /// The least sure.
    finality: &'static str,
}

pub struct Answer {
    about: Value,
    columns: Columns,
    rows: Vec<Total>,
}

struct Columns {
    dimensions: Vec<&'static str>,
    figures: Vec<String>,
}

/// First day, code, and the values of the dimensions by their place in the vocabulary.
type Key<'s> = (Day, &'s str, Vec<usize>);

struct Sum {
    sums: Vec<i64>,
    published: Published,
}

impl Sum {
    fn add(&mut self, held: &Held) {
        for (sum, value) in self.sums.iter_mut().zip(&held.sums) {
            *sum += value;
        }
        let (own, other) = (&mut self.published, &held.published);
        own.as_of = own.as_of.max(other.as_of);
        own.revision = own.revision.max(other.revision);
        own.finality = least_sure(own.finality, other.finality);
    }
}

const fn least_sure(a: Finality, b: Finality) -> Finality {
    match (a, b) {
        (Finality::Provisional, _) | (_, Finality::Provisional) => Finality::Provisional,
        (Finality::Restated, _) | (_, Finality::Restated) => Finality::Restated,
        (Finality::Final, Finality::Final) => Finality::Final,
    }
}

/// Which places are asked for, and as which their rows count.
struct Where<'s, 'q> {
    state: &'s State,
    question: &'q Question<'q>,
    parent_level: Option<Level>,
    known: HashMap<(&'s str, Day), Option<&'s str>>,
}

impl<'s> Where<'s, '_> {
    /// The code that a row counts for; `None`: it is not asked for.
    fn code(&mut self, code: &'s str, day: Day) -> Option<&'s str> {
        if let Some(known) = self.known.get(&(code, day)) {
            return *known;
        }
        let found = self.find(code, day);
        self.known.insert((code, day), found);
        found
    }

    fn find(&self, code: &'s str, day: Day) -> Option<&'s str> {
        let Question { level, read_at, .. } = *self.question;
        let place = || self.state.place_on(code, day);
        let counted = if read_at == level {
            code
        } else if level == Level::England {
            ENGLAND
        } else {
            place().map_or("", |place| place.code(level))
        };
        let is_asked = (self.question.code.as_deref()).is_none_or(|asked| asked == counted);
        is_asked.then_some(counted)
    }
}

pub fn of(app: &App, question: &Question<'_>) -> Answer {
    let state = app.figures.read();
    let disclosure = Disclosure::of(question.level);
    let (sums, parent_level) = sums(&state, question);
    let today = app.clock.now().london_day();
    let mut beside = Beside::new(&app.figures, &state, question.level);
    let mut scores: HashMap<(&str, Day), Option<f64>> = HashMap::new();
    let is_truncated = sums.len() > MOST_ROWS;
    let rows = (sums.into_iter().take(MOST_ROWS)).map(|((from, code, values), sum)| {
        let to = question
            .per
            .map_or(Day(question.to.0 + 1), |per| per.end(from));
        let score = *scores.entry((code, from)).or_insert_with(|| {
            let flaws = beside.of(code, from, Day(to.0 - 1).min(today))?;
            told_score(&flaws, disclosure)
        });
        let dimensions = question.by.iter().zip(values);
        Total {
            code: code.to_owned(),
            name: state.places.name(question.level, code).to_owned(),
            window: [iso(from), iso(to)],
            dimensions: dimensions
                .map(|(dimension, value)| {
                    let label = dimension.values().get(value).copied();
                    (dimension.label(), label.unwrap_or_default())
                })
                .collect(),
            figures: figures(question, &sum.sums, disclosure),
            published: Told {
                as_of: sum.published.as_of.to_rfc3339(),
                revision: i64::from(sum.published.revision),
                finality: label_of(sum.published.finality),
            },
            quality_score: score,
        }
    });
    let rows: Vec<Total> = rows.collect();
    let about = json!({
        "aggregate": &*question.aggregate.name,
        "level": question.level.label(),
        "code": question.code,
        "parent": question.parent,
        "parent_level": parent_level.map(Level::label),
        "from": iso(question.from),
        "to": iso(question.to),
        "per": question.per.map_or("period", crate::domain::window::Window::label),
        "by": question.by.iter().map(|by| by.label()).collect::<Vec<_>>(),
        "added_up_from": question.read_at.label(),
        "as_of": state.as_of().map(Timestamp::to_rfc3339),
        "is_complete": state.is_complete,
        "is_truncated": is_truncated,
        // Older windows were let go of to bound the memory; the topic has them.
        "held_from": state.held_from(question.at, (question.read_at, 0)).map(|from| iso(Day(from))),
        "disclosure_control": disclosure.described(),
        "quality_score": SCORE,
    });
    let measures = question.aggregate.measures.iter();
    let mut columns: Vec<String> = measures.map(|it| it.label().to_owned()).collect();
    columns.extend(question.aggregate.ratio_labels().map(str::to_owned));
    Answer {
        about,
        columns: Columns {
            dimensions: question.by.iter().map(|by| by.label()).collect(),
            figures: columns,
        },
        rows,
    }
}

fn sums<'s>(state: &'s State, question: &Question<'_>) -> (BTreeMap<Key<'s>, Sum>, Option<Level>) {
    let parent = question
        .parent
        .as_deref()
        .map(|code| Within::of(state, question, code));
    let mut places = Where {
        state,
        question,
        parent_level: parent.as_ref().and_then(|parent| parent.level),
        known: HashMap::new(),
    };
    // Two in three rows of a month repeat the dimensions of another: each packed key is unpacked once.
    let mut values: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut sums: BTreeMap<Key<'s>, Sum> = BTreeMap::new();
    for (key, held) in state.rows(question.at, question.read_at, question.from, question.to) {
        let day = Day(key.window);
        let Some(code) = places.code(&key.code, day) else {
            continue;
        };
        if parent
            .as_ref()
            .is_some_and(|parent| !parent.codes.contains(code))
        {
            continue;
        }
        let values = values
            .entry(key.dimensions)
            .or_insert_with(|| unpacked(question, key.dimensions));
        let from = question.per.map_or(question.from, |per| per.start(day));
        let sum = sums
            .entry((from, code, values.clone()))
            .or_insert_with(|| Sum {
                sums: vec![0; held.sums.len()],
                published: held.published,
            });
        sum.add(held);
    }
    let level = places.parent_level;
    (sums, level)
}

/// The places of the asked level that lie in a parent, as of the period's last day.
struct Within {
    level: Option<Level>,
    codes: BTreeSet<String>,
}

impl Within {
    fn of(state: &State, question: &Question<'_>, parent: &str) -> Self {
        let mut within = Self {
            level: None,
            codes: BTreeSet::new(),
        };
        for practice in state.register.practices() {
            let Some(row) = state.register.row_on(practice, question.to) else {
                continue;
            };
            let place = state.register.place(row.place);
            let lies_in = |level: &Level| place.code(*level) == parent;
            if let Some(level) = PARENTS.into_iter().find(lies_in) {
                within.level = Some(level);
                within.codes.insert(place.code(question.level).to_owned());
            }
        }
        within
    }
}

fn unpacked(question: &Question<'_>, packed: u64) -> Vec<usize> {
    let labels = question.aggregate.labels(packed);
    let value = |name: &str| labels.iter().find(|(of, _)| *of == name).map(|(_, it)| *it);
    (question.by.iter())
        .map(|dimension| {
            let found = value(dimension.label());
            let at = (dimension.values().iter()).position(|known| Some(*known) == found);
            at.unwrap_or(usize::MAX)
        })
        .collect()
}

fn figures(
    question: &Question<'_>,
    sums: &[i64],
    disclosure: Disclosure,
) -> BTreeMap<String, Value> {
    let measures = question.aggregate.measures.iter().zip(sums);
    let mut figures: BTreeMap<String, Value> = measures
        .map(|(measure, sum)| (measure.label().to_owned(), disclosure.told(*sum).into()))
        .collect();
    if !disclosure.applies() {
        let ratios = question.aggregate.ratios_of(sums);
        figures
            .extend((ratios.into_iter()).map(|(name, it)| (name.to_string(), rounded(it).into())));
    }
    figures
}

impl Answer {
    pub fn respond(self, format: Format) -> Response {
        match format {
            Format::Json => {
                let mut body = self.about;
                body["rows"] = json!(self.rows);
                Json(body).into_response()
            }
            Format::Csv => csv_response(self.csv()),
        }
    }

    fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut sheet = Sheet::default();
        let Columns {
            dimensions,
            figures,
        } = &self.columns;
        let mut line: Vec<&str> = vec!["from", "before", "code", "name"];
        line.extend(dimensions);
        line.extend(figures.iter().map(String::as_str));
        line.extend(["as_of", "revision", "finality", "quality_score"]);
        sheet.line(line.into_iter())?;
        for row in &self.rows {
            let [from, before] = row.window.clone();
            let mut line = vec![from, before, row.code.clone(), row.name.clone()];
            line.extend(dimensions.iter().map(|it| row.dimensions[it].to_owned()));
            let told = |name| row.figures.get(name).filter(|value| !value.is_null());
            line.extend(
                (figures.iter()).map(|name| told(name).map_or_else(String::new, Value::to_string)),
            );
            line.extend([
                row.published.as_of.clone(),
                row.published.revision.to_string(),
                row.published.finality.to_owned(),
                row.quality_score
                    .map_or_else(String::new, |score| score.to_string()),
            ]);
            sheet.line(line.iter().map(String::as_str))?;
        }
        sheet.finish()
    }
}
