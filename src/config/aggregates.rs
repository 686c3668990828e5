//! The declaration language of aggregates: `[[aggregate]]` tables to a compiled plan.

use toml::{Table, Value};

use crate::domain::aggregate::{Declaration, Dimension, Measure, Ratio, Window};
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
    let wrong = |key: &str, value: &Value, expected: &str| ConfigError::Value {
        origin: origin.clone(),
        key: key.to_owned(),
        value: value.to_string(),
        expected: expected.to_owned(),
    };
    let tables = tables
        .as_array()
        .ok_or_else(|| wrong("aggregate", tables, "tables that begin with [[aggregate]]"))?;
    let declarations = tables
        .iter()
        .map(|table| {
            let table = table
                .as_table()
                .ok_or_else(|| wrong("aggregate", table, "a table"))?;
            declaration(table, origin)
        })
        .collect::<Result<Vec<_>, _>>()?;
    AggregatePlan::compile(&declarations).map_err(|error| ConfigError::Value {
        origin: origin.clone(),
        key: "aggregate".to_owned(),
        value: error.to_string(),
        expected: "declarations that hold together".to_owned(),
    })
}

fn declaration(table: &Table, origin: &Origin) -> Result<Declaration, ConfigError> {
    const KEYS: [&str; 6] = [
        "name",
        "window",
        "levels",
        "dimensions",
        "measures",
        "ratios",
    ];
    let name = table
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("?")
        .to_owned();
    let wrong = |key: &str, value: &str, expected: String| ConfigError::Value {
        origin: origin.clone(),
        key: format!("aggregate `{name}`: {key}"),
        value: value.to_owned(),
        expected,
    };
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(ConfigError::Unknown {
            origin: origin.clone(),
            key: format!("aggregate `{name}`: {unknown}"),
            hint: format!("; known are {}", KEYS.join(", ")),
        });
    }
    let window = table.get("window").and_then(Value::as_str).unwrap_or("day");
    Ok(Declaration {
        window: Window::from_label(window)
            .ok_or_else(|| wrong("window", window, one_of(Window::ALL.map(Window::label))))?,
        levels: list(
            table,
            "levels",
            &wrong,
            Level::from_label,
            &Level::ALL.map(Level::label),
        )?,
        dimensions: list(
            table,
            "dimensions",
            &wrong,
            Dimension::from_label,
            &Dimension::ALL.map(Dimension::label),
        )?,
        measures: list(
            table,
            "measures",
            &wrong,
            Measure::from_label,
            &Measure::ALL.map(Measure::label),
        )?,
        ratios: list(
            table,
            "ratios",
            &wrong,
            Ratio::from_label,
            &Ratio::ALL.map(Ratio::label),
        )?,
        name,
    })
}

fn list<T>(
    table: &Table,
    key: &str,
    wrong: &impl Fn(&str, &str, String) -> ConfigError,
    parse: impl Fn(&str) -> Option<T>,
    known: &[&str],
) -> Result<Vec<T>, ConfigError> {
    let Some(value) = table.get(key) else {
        return Ok(Vec::new());
    };
    let expected = || one_of(known.iter().copied());
    let values = value
        .as_array()
        .ok_or_else(|| wrong(key, &value.to_string(), format!("a list of {}", expected())))?;
    values
        .iter()
        .map(|value| {
            value
                .as_str()
                .and_then(&parse)
                .ok_or_else(|| wrong(key, &value.to_string(), expected()))
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
    fn the_defaults_are_the_eight_of_the_design() {
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
                "two_week",
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
