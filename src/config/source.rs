//! Where settings come from: one TOML file, `GPAD_…` of the environment over it, defaults under it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::engine::plan::PlanError;

/// Variables under this prefix override the file; `kafka.brokers` is `GPAD_KAFKA_BROKERS`.
const PREFIX: &str = "GPAD_";
/// Belong to the tests, never to the service.
const TESTS: &str = "GPAD_TEST_";
/// Names the configuration file itself.
const FILE: &str = "GPAD_CONFIG";

/// Who gave a setting its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    /// Tables of a file, with the lines of their keys, 1 the first.
    Tables(PathBuf, Vec<BTreeMap<String, usize>>),
    Line(PathBuf, usize),
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) | Self::Tables(path, _) => write!(f, "{}", path.display()),
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Wrong configuration: what it is, where it stands, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{origin}: {key} = {value}: expected {expected}")]
    Value {
        origin: Origin,
        key: String,
        value: String,
        expected: String,
    },
    #[error("{origin}: unknown key {key}{hint}")]
    Unknown {
        origin: Origin,
        key: String,
        hint: String,
    },
    #[error("{origin}: {source}")]
    Unsound {
        origin: Origin,
        source: Box<PlanError>,
    },
    #[error("{}: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Syntax {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
}

/// A setting as `config show` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub key: &'static str,
    pub value: String,
    /// What it may be, in words.
    pub expected: String,
    pub origin: Origin,
}

/// Where the keys of each `[[aggregate]]` stand.
fn lines_of_aggregates(text: &str) -> Vec<BTreeMap<String, usize>> {
    #[derive(serde::Deserialize)]
    struct File {
        aggregate: Vec<BTreeMap<toml::Spanned<String>, toml::Spanned<Value>>>,
    }
    let file: Result<File, _> = toml::from_str(text);
    let line = |at: usize| 1 + text[..at].matches('\n').count();
    // What is no table at all is told without its line.
    let tables = file.map_or_else(|_| Vec::new(), |file| file.aggregate);
    let lines = tables.into_iter().map(|table| {
        let keys = table.into_keys();
        keys.map(|key| (key.get_ref().clone(), line(key.span().start)))
            .collect()
    });
    lines.collect()
}

/// Values by dotted key, taken one by one; what is left over is unknown.
#[derive(Debug, Default)]
pub struct Source {
    values: BTreeMap<String, (Value, Origin)>,
    variables: BTreeMap<String, String>,
    known: Vec<&'static str>,
    pub shown: Vec<Shown>,
}

impl Source {
    /// Reads `file`, if any, and keeps the `GPAD_…` of `variables`.
    ///
    /// # Errors
    /// When the file cannot be read or is not TOML.
    pub fn read(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut source = Self {
            variables: variables
                .filter(|(name, _)| {
                    name.starts_with(PREFIX) && !name.starts_with(TESTS) && name != FILE
                })
                .collect(),
            ..Self::default()
        };
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
            let table: Table = text.parse().map_err(|error| ConfigError::Syntax {
                path: path.to_owned(),
                source: Box::new(error),
            })?;
            source.flatten("", table, &Origin::File(path.to_owned()));
            if let Some((_, origin)) = source.values.get_mut("aggregate") {
                *origin = Origin::Tables(path.to_owned(), lines_of_aggregates(&text));
            }
        }
        Ok(source)
    }

    fn flatten(&mut self, prefix: &str, table: Table, origin: &Origin) {
        for (key, value) in table {
            let key = if prefix.is_empty() {
                key
            } else {
                format!("{prefix}.{key}")
            };
            if let Value::Table(inner) = value {
                self.flatten(&key, inner, origin);
            } else {
                self.values.insert(key, (value, origin.clone()));
            }
        }
    }

    /// The value of `key` by `parse`, or the default; `expected` is what the error tells.
    ///
    /// # Errors
    /// When there is a value and `parse` refuses it.
    pub fn take<T>(
        &mut self,
        key: &'static str,
        default: T,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
        show: impl FnOnce(&T) -> String,
    ) -> Result<T, ConfigError> {
        self.known.push(key);
        let (value, origin) = match self.entry(key) {
            Some((value, origin)) => match parse(&value) {
                Some(parsed) => (parsed, origin),
                None => {
                    return Err(ConfigError::Value {
                        origin,
                        key: key.to_owned(),
                        value: value.to_string(),
                        expected: expected.to_owned(),
                    });
                }
            },
            None => (default, Origin::Default),
        };
        self.shown.push(Shown {
            key,
            value: show(&value),
            expected: expected.to_owned(),
            origin,
        });
        Ok(value)
    }

    fn entry(&mut self, key: &str) -> Option<(Value, Origin)> {
        let variable = format!("{PREFIX}{}", key.replace('.', "_").to_uppercase());
        let from_file = self.values.remove(key);
        match self.variables.remove(&variable) {
            Some(text) => Some((Value::String(text), Origin::Variable(variable))),
            None => from_file,
        }
    }

    /// Everything below `prefix` (which ends in a dot), as text: options that are passed on by name.
    ///
    /// # Errors
    /// When one of them is neither text, number nor boolean.
    pub fn take_all(
        &mut self,
        prefix: &'static str,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut taken = BTreeMap::new();
        let keys: Vec<String> = self
            .values
            .keys()
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect();
        for key in keys {
            let Some((value, origin)) = self.values.remove(&key) else {
                continue;
            };
            let Some(text) = plain(&value) else {
                return Err(ConfigError::Value {
                    origin,
                    key,
                    value: value.to_string(),
                    expected: "text, a number, true or false".to_owned(),
                });
            };
            taken.insert(key[prefix.len()..].to_owned(), text);
        }
        let variables = format!("{PREFIX}{}", prefix.replace('.', "_").to_uppercase());
        let names: Vec<String> = self
            .variables
            .keys()
            .filter(|name| name.starts_with(&variables))
            .cloned()
            .collect();
        for name in names {
            if let Some(text) = self.variables.remove(&name) {
                taken.insert(
                    name[variables.len()..].to_lowercase().replace('_', "."),
                    text,
                );
            }
        }
        Ok(taken)
    }

    /// A whole value of the file that others read, `[[aggregate]]` for one, and the file's name.
    pub fn take_value(&mut self, key: &'static str) -> Option<(Value, Origin)> {
        self.known.push(key);
        self.values.remove(key)
    }

    /// # Errors
    /// When a key or variable was not taken: it is unknown, most likely misspelt.
    pub fn finish(self) -> Result<Vec<Shown>, ConfigError> {
        if let Some((key, (_, origin))) = self.values.iter().next() {
            return Err(ConfigError::Unknown {
                origin: origin.clone(),
                key: key.clone(),
                hint: self.hint(key),
            });
        }
        if let Some(name) = self.variables.keys().next() {
            let key = name[PREFIX.len()..].to_lowercase();
            return Err(ConfigError::Unknown {
                origin: Origin::Variable(name.clone()),
                hint: self.hint(&key),
                key,
            });
        }
        Ok(self.shown)
    }

    fn hint(&self, key: &str) -> String {
        let plain = |text: &str| text.replace('.', "_");
        let near = self
            .known
            .iter()
            .map(|known| (distance(&plain(known), &plain(key)), known))
            .min()
            .filter(|(distance, _)| *distance <= 3);
        near.map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"))
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

/// How many letters must be put in, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// An integer, also from a variable's text.
pub fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::String(text) => text.trim().parse().ok(),
        Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => None,
    }
}

/// Text that says something.
pub fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// A list of texts, or one text with commas (a variable's form).
pub fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::String(list) => Some(
            list.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Table(_) => None,
    }
}
