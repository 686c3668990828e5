//! The declaration language of aggregates: `[[aggregate]]` tables to a compiled plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::{Table, Value};

use crate::domain::aggregate::{
    Declaration, Dimension, Filter, Follows, Measure, Quantile, Rolling, Share, Window,
};
use crate::domain::place::Level;
use crate::engine::plan::AggregatePlan;

use super::{ConfigError, Origin};

/// What is kept where the configuration declares nothing.
const DEFAULT: &str = include_str!("../../deploy/aggregates.toml");

/// The plan of the declared aggregates, or of the defaults where none is declared.
///
/// # Errors
/// When a declaration has an unknown key or value, or does not hold together.
///
/// # Panics
/// Never: the defaults are part of the program and parse, by test.
pub fn plan(declared: Option<&(Value, Origin)>) -> Result<AggregatePlan, ConfigError> {
    let default;
    let (tables, origin) = if let Some((tables, origin)) = declared {
        (tables, origin)
    } else {
        let file: Table = DEFAULT
            .parse()
            .expect("deploy/aggregates.toml is TOML, by test");
        default = Value::Table(file)["aggregate"].clone();
        (&default, &Origin::Default)
    };
    let none = BTreeMap::new();
    let tables = tables.as_array().ok_or_else(|| ConfigError::Value {
        origin: origin.clone(),
        key: "aggregate".to_owned(),
        value: tables.to_string(),
        expected: "tables that begin with [[aggregate]]".to_owned(),
    })?;
    let mut declarations = Vec::with_capacity(tables.len());
    for (at, table) in tables.iter().enumerate() {
        let lines = match origin {
            Origin::Tables(path, lines) => Some((path, lines.get(at).unwrap_or(&none))),
            Origin::Default | Origin::File(_) | Origin::Line(..) | Origin::Variable(_) => None,
        };
        let place = Place {
            origin,
            lines,
            name: "?",
        };
        let table = table
            .as_table()
            .ok_or_else(|| place.wrong("name", &table.to_string(), "a table".to_owned()))?;
        let name = table.get("name").and_then(Value::as_str).unwrap_or("?");
        let place = Place { name, ..place };
        let declaration = declaration(table, &place)?;
        // Alone, so that what does not hold together is told with its line.
        AggregatePlan::compile(std::slice::from_ref(&declaration)).map_err(|source| {
            ConfigError::Unsound {
                origin: place.of(source.key()),
                source: Box::new(source),
            }
        })?;
        declarations.push(declaration);
    }
    AggregatePlan::compile(&declarations).map_err(|source| ConfigError::Unsound {
        origin: origin.clone(),
        source: Box::new(source),
    })
}

/// Where a declaration stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    origin: &'a Origin,
    lines: Option<(&'a PathBuf, &'a BTreeMap<String, usize>)>,
    name: &'a str,
}

impl Place<'_> {
    /// The line of a key; of its declaration where it has none of its own.
    fn of(&self, key: &str) -> Origin {
        let line = self.lines.and_then(|(path, lines)| {
            let line = lines.get(key).or_else(|| lines.values().min())?;
            Some(Origin::Line(path.clone(), *line))
        });
        line.unwrap_or_else(|| self.origin.clone())
    }

    fn wrong(&self, key: &str, value: &str, expected: String) -> ConfigError {
        ConfigError::Value {
            origin: self.of(key),
            key: format!("aggregate `{}`: {key}", self.name),
            value: value.to_owned(),
            expected,
        }
    }
}

const KEYS: [&str; 12] = [
    "name",
    "follows",
    "window",
    "rolling",
    "ahead_days",
    "keep_days",
    "levels",
    "dimensions",
    "measures",
    "ratios",
    "quantiles",
    "where",
];

fn declaration(table: &Table, place: &Place<'_>) -> Result<Declaration, ConfigError> {
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(ConfigError::Unknown {
            origin: place.of(unknown),
            key: format!("aggregate `{}`: {unknown}", place.name),
            hint: format!("; known are {}", KEYS.join(", ")),
        });
    }
    let text = |key: &str, default: &'static str| match table.get(key) {
        None => Ok(default.to_owned()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(place.wrong(key, &other.to_string(), "a text".to_owned())),
    };
    let days = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(value) => match value.as_integer().and_then(|days| u16::try_from(days).ok()) {
            Some(days @ 1..=400) => Ok(Some(days)),
            _ => Err(place.wrong(key, &value.to_string(), "1 to 400".to_owned())),
        },
    };
    let (window, follows) = (text("window", "day")?, text("follows", "appointment_date")?);
    let rolling = "windows such as \"24 h\" or \"24 h every 1 h\": 1 min to 28 d, a multiple of a step that divides an hour or a day";
    Ok(Declaration {
        window: Window::from_label(&window).ok_or_else(|| {
            place.wrong("window", &window, one_of(Window::ALL.map(Window::label)))
        })?,
        follows: Follows::from_label(&follows).ok_or_else(|| {
            place.wrong(
                "follows",
                &follows,
                one_of(Follows::ALL.map(Follows::label)),
            )
        })?,
        rolling: list(table, "rolling", place, Rolling::parse, rolling)?,
        ahead_days: days("ahead_days")?,
        kept_days: days("keep_days")?.unwrap_or(Declaration::KEPT_DAYS),
        levels: list(
            table,
            "levels",
            place,
            Level::from_label,
            &one_of(Level::ALL.map(Level::label)),
        )?,
        dimensions: list(
            table,
            "dimensions",
            place,
            Dimension::from_label,
            &one_of(Dimension::ALL.map(Dimension::label)),
        )?,
        measures: list(
            table,
            "measures",
            place,
            Measure::from_label,
            &one_of(Measure::ALL.map(Measure::label)),
        )?,
        shares: shares(table, place)?,
        quantiles: list(
            table,
            "quantiles",
            place,
            Quantile::from_label,
            &one_of(Quantile::ALL.map(Quantile::label)),
        )?,
        filters: filters(table, place)?,
        name: place.name.to_owned(),
    })
}

fn list<T>(
    table: &Table,
    key: &str,
    place: &Place<'_>,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<Vec<T>, ConfigError> {
    let Some(value) = table.get(key) else {
        return Ok(Vec::new());
    };
    let values = value
        .as_array()
        .ok_or_else(|| place.wrong(key, &value.to_string(), format!("a list of {expected}")))?;
    values
        .iter()
        .map(|value| {
            value
                .as_str()
                .and_then(&parse)
                .ok_or_else(|| place.wrong(key, &value.to_string(), expected.to_owned()))
        })
        .collect()
}

/// Shares by their known names, or as `{ name, of, over }`.
fn shares(table: &Table, place: &Place<'_>) -> Result<Vec<Share>, ConfigError> {
    let expected = || {
        let known = one_of(Share::KNOWN.map(|(name, ..)| name));
        format!(
            "a list of {known}, or of {{ name = \"…\", of = \"a measure\", over = \"a measure\" }}"
        )
    };
    let wrong = |value: &Value| place.wrong("ratios", &value.to_string(), expected());
    let Some(value) = table.get("ratios") else {
        return Ok(Vec::new());
    };
    let values = value.as_array().ok_or_else(|| wrong(value))?;
    let share = |value: &Value| match value {
        Value::String(label) => Share::known(label),
        Value::Table(parts) => {
            let text = |key| parts.get(key).and_then(Value::as_str);
            let name = text("name").filter(|name| crate::engine::plan::is_name(name))?;
            (parts.len() == 3).then_some(())?;
            Some(Share {
                name: name.into(),
                of: Measure::from_label(text("of")?)?,
                over: Measure::from_label(text("over")?)?,
            })
        }
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_) => None,
    };
    values
        .iter()
        .map(|value| share(value).ok_or_else(|| wrong(value)))
        .collect()
}

/// `where = { mode = ["Telephone"] }`.
fn filters(table: &Table, place: &Place<'_>) -> Result<Vec<Filter>, ConfigError> {
    let Some(value) = table.get("where") else {
        return Ok(Vec::new());
    };
    let dimensions = one_of(Dimension::ALL.map(Dimension::label));
    let asked = value.as_table().ok_or_else(|| {
        let expected = format!("{{ dimension = [values] }} of {dimensions}");
        place.wrong("where", &value.to_string(), expected)
    })?;
    asked
        .iter()
        .map(|(name, values)| {
            let dimension = Dimension::from_label(name)
                .ok_or_else(|| place.wrong("where", name, dimensions.clone()))?;
            let known = dimension.values();
            let wrong = |value: &Value| {
                let quoted: Vec<_> = known.iter().map(|value| format!("{value:?}")).collect();
                let expected = format!("{name} = a list of {}", quoted.join(", "));
                place.wrong("where", &value.to_string(), expected)
            };
            let listed = values.as_array().filter(|values| !values.is_empty());
            let bits = listed.ok_or_else(|| wrong(values))?.iter().map(|value| {
                let at = known
                    .iter()
                    .position(|known| Some(*known) == value.as_str());
                at.map(|at| 1_u64 << at).ok_or_else(|| wrong(value))
            });
            let values = bits
                .into_iter()
                .try_fold(0, |all, bit| bit.map(|bit| all | bit))?;
            Ok(Filter { dimension, values })
        })
        .collect()
}

fn one_of<'a>(labels: impl IntoIterator<Item = &'a str>) -> String {
    labels.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Result<AggregatePlan, String> {
        let file: Table = text.parse().expect("TOML");
        let declared = (Value::Table(file)["aggregate"].clone(), Origin::Default);
        plan(Some(&declared)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_design_and_the_month_by_practice() {
        let plan = plan(None).expect("the defaults compile");
        let names: Vec<_> = plan
            .aggregates
            .iter()
            .map(|aggregate| &*aggregate.name)
            .collect();
        assert_eq!(
            names,
            [
                "activity",
                "practice_day",
                "category",
                "duration",
                "practice_crosstab",
                "capacity",
                "forward_look",
                "pressure",
                "two_week",
                "practice_month",
                "quality"
            ]
        );
    }

    #[test]
    fn a_wrong_declaration_is_named_with_what_would_be_right() {
        let cases = [
            (
                "[[aggregate]]\nname='a'\nlevels=['county']\nmeasures=['appointments']",
                "county",
            ),
            (
                "[[aggregate]]\nname='a'\nlevels=['england']\nmeasures=['visits']",
                "visits",
            ),
            (
                "[[aggregate]]\nname='a'\nlevels=['england']\nmeasure=['appointments']",
                "measure",
            ),
            (
                "[[aggregate]]\nname='A'\nlevels=['england']\nmeasures=['appointments']",
                "lower-case",
            ),
            (
                "[[aggregate]]\nname='a'\nlevels=['england']\nmeasures=[]",
                "measures",
            ),
            (
                "[[aggregate]]\nname='a'\nlevels=['england']\ndimensions=['status']\nmeasures=['slots_offered']",
                "slots_offered",
            ),
            (
                "[[aggregate]]\nname='a'\nlevels=['england']\nmeasures=['slots_offered']\nratios=['utilisation']",
                "minutes_booked",
            ),
        ];
        for (text, named) in cases {
            let error = compile(text).expect_err(text);
            assert!(error.contains(named), "{error}");
        }
    }
}
