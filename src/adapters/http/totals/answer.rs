//! The sums, and how they are told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::question::{PARENTS, Question};
use crate::adapters::figures::quality::Beside;
use crate::adapters::figures::{Held, Mark, State};
use crate::adapters::http::App;
use crate::adapters::http::disclosure::{Disclosure, DisclosureControl};
use crate::adapters::http::figure_rows::{PublishedAs, Row, figures, sheet};
use crate::adapters::http::paging::Paging;
use crate::adapters::http::quality::{SCORE, told_score};
use crate::adapters::http::summary::iso;
use crate::adapters::http::table::rounded;
use crate::domain::aggregate::{Dimension, Finality, Published};
use crate::domain::calendar::working_weekdays_between;
use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::{Day, Timestamp};

/// An aggregate's rows, added up.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotalsAnswer {
    aggregate: String,
    level: &'static str,
    code: Option<String>,
    parent: Option<String>,
    /// The level that the parent is of, where there is such a place.
    parent_level: Option<&'static str>,
    /// The first day.
    from: String,
    /// The last day.
    to: String,
    /// `period`, `day`, `week` or `month`.
    per: &'static str,
    by: Vec<&'static str>,
    /// Mondays to Fridays from the first day to the last, or today, less England's bank holidays.
    working_weekdays: u32,
    /// The level whose rows were added up.
    added_up_from: &'static str,
    /// The time that the figures stood at, where one was asked for.
    as_known_at: Option<String>,
    /// The greatest time of extraction that went in; null of a time before.
    as_of: Option<String>,
    /// False while the committed figures are still being read.
    is_complete: bool,
    /// There are more rows than these: `next` has them.
    is_truncated: bool,
    /// Days from which on all rows are held; null: all are. The topic has older ones.
    held_from: Option<String>,
    disclosure_control: DisclosureControl,
    /// What the score beside each row is.
    quality_score: &'static str,
    /// The address of the next page, of the same question.
    pub next: Option<String>,
    rows: Vec<Row>,
}

/// First day, code, and the values of the dimensions by their place in the vocabulary.
type Key<'s> = (Day, &'s str, Vec<usize>);

struct Sum {
    sums: Vec<i64>,
    published: Published,
    is_taken_back: bool,
}

impl Sum {
    fn add(&mut self, held: &Held) {
        for (sum, value) in self.sums.iter_mut().zip(&held.sums) {
            *sum += value;
        }
        self.is_taken_back |= held.is_taken_back;
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

pub fn of(app: &App, state: &State, question: &Question<'_>, paging: &Paging) -> TotalsAnswer {
    let disclosure = Disclosure::of(question.level);
    let (sums, parent_level) = sums(state, question);
    let today = question.moment.today;
    let mut beside = Beside::new(&app.figures, state, question.level);
    let mut scores: HashMap<(&str, Day), Option<f64>> = HashMap::new();
    let marked = sums
        .iter()
        .map(|(key, sum)| (mark(question, key), (key, sum)));
    let (page, next) = paging.take(marked);
    let rows = page.into_iter().map(|((from, code, values), sum)| {
        let (from, code) = (*from, *code);
        let to = question
            .per
            .map_or(Day(question.to.0 + 1), |per| per.end(from));
        let score = *scores.entry((code, from)).or_insert_with(|| {
            let flaws = beside.of(code, from, Day(to.0 - 1).min(today))?;
            told_score(&flaws, disclosure)
        });
        let label = |(dimension, value): (&Dimension, &usize)| {
            let label = dimension.values().get(*value).copied();
            (dimension.label(), label.unwrap_or_default())
        };
        let ratios = question.aggregate.ratios_of(&sum.sums);
        let ratios = ratios.map(|(name, ratio)| (name, rounded(ratio)));
        Row {
            code: code.to_owned(),
            name: state.places.name(question.level, code).to_owned(),
            window: [iso(from), iso(to)],
            dimensions: question.by.iter().zip(values).map(label).collect(),
            figures: figures(question.aggregate, &sum.sums, ratios, disclosure),
            published: PublishedAs::told(&sum.published, sum.is_taken_back),
            quality_score: score,
        }
    });
    let held_from = state.held_from(question.at, (question.read_at, 0));
    TotalsAnswer {
        rows: rows.collect(),
        aggregate: question.aggregate.name.to_string(),
        level: question.level.label(),
        code: question.code.clone(),
        parent: question.parent.clone(),
        parent_level: parent_level.map(Level::label),
        from: iso(question.from),
        to: iso(question.to),
        per: question.per(),
        by: question.by(),
        working_weekdays: working_weekdays_between(question.from, question.to.min(today)),
        added_up_from: question.read_at.label(),
        as_known_at: question.moment.told(),
        as_of: state.as_of().map(Timestamp::to_rfc3339),
        is_complete: state.is_complete,
        is_truncated: next.is_some(),
        held_from: held_from.map(|from| iso(Day(from))),
        disclosure_control: disclosure.described(),
        quality_score: SCORE,
        next,
    }
}

/// Where a row stands among the others: in the order of the keys.
fn mark(question: &Question<'_>, (from, code, values): &Key<'_>) -> Mark {
    let dimensions = question
        .by
        .iter()
        .zip(values)
        .fold(0, |sum: u64, (by, value)| {
            // One more than there are: what no value is comes last.
            let values = by.values().len();
            sum.wrapping_mul(values as u64 + 1) + (*value).min(values) as u64
        });
    Mark {
        window: from.0,
        code: Arc::from(*code),
        printed: 0,
        dimensions,
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
                is_taken_back: false,
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
    let labels: Vec<_> = question.aggregate.labels(packed).collect();
    let value = |name: &str| labels.iter().find(|(of, _)| *of == name).map(|(_, it)| *it);
    (question.by.iter())
        .map(|dimension| {
            let found = value(dimension.label());
            let at = (dimension.values().iter()).position(|known| Some(*known) == found);
            at.unwrap_or(usize::MAX)
        })
        .collect()
}

impl TotalsAnswer {
    pub fn csv(&self, question: &Question<'_>) -> Result<Vec<u8>, csv::Error> {
        sheet(question.aggregate, self.level, &self.by, &self.rows)
    }
}
