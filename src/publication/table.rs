//! One file of the publication before it is written: typed columns, and lines in the order of their keys.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::PublicationError;
use super::provenance::{COLUMNS, Provenance};

/// What a column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Tells the line from all others of its file.
    Key,
    /// Printed beside a code; changes with the register of practices.
    Name,
    /// A whole number.
    Count,
    /// A whole number, or nothing.
    Total,
    /// A decimal, or nothing.
    Share,
}

/// A column of a file.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// The columns of a file, in order.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Without its extension.
    pub file: &'static str,
    pub columns: &'static [Column],
}

impl Layout {
    /// Where the columns of one kind stand.
    pub fn at(&self, kind: Kind) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().enumerate();
        columns
            .filter(move |(_, column)| column.kind == kind)
            .map(|(at, _)| at)
    }
}

/// What stands in one column of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Count(i64),
    Share(f64),
    Nothing,
}

impl Value<'_> {
    fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            Value::Count(_) | Value::Share(_) | Value::Nothing => "",
        }
    }
}

impl Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Count(count) => write!(f, "{count}"),
            Value::Share(share) => write!(f, "{share}"),
            Value::Nothing => Ok(()),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// By column.
    pub values: Vec<Value<'a>>,
    /// The rows it is made of; `None` where it is made of reference data too.
    pub provenance: Option<Provenance>,
}

/// A file's lines, sorted by their key columns.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    pub layout: &'static Layout,
    lines: Vec<Line<'a>>,
}

impl<'a> Table<'a> {
    #[must_use]
    pub fn new(layout: &'static Layout, mut lines: Vec<Line<'a>>) -> Self {
        let keys: Vec<usize> = layout.at(Kind::Key).collect();
        lines.sort_unstable_by(|a, b| {
            let order = |at: &usize| a.values[*at].text().cmp(b.values[*at].text());
            keys.iter()
                .map(order)
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        Self { layout, lines }
    }

    #[must_use]
    pub fn lines(&self) -> &[Line<'a>] {
        &self.lines
    }

    /// The file as published: header and lines, separated by commas.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<(), PublicationError> {
        let fail = |error: csv::Error| PublicationError::new(path, error);
        let file = File::create(path).map_err(|error| fail(error.into()))?;
        self.csv_to(file).map_err(fail)
    }

    /// The same in memory.
    ///
    /// # Errors
    /// None that memory has.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut bytes = Vec::new();
        self.csv_to(&mut bytes)?;
        Ok(bytes)
    }

    fn csv_to(&self, to: impl Write) -> Result<(), csv::Error> {
        let header = self.layout.columns.iter().map(|column| column.name);
        let lines = self.lines.iter().map(|line| line.values.iter());
        write_to(to, header, lines.map(|values| values.map(Value::to_string)))
    }

    /// What the lines are made of, line for line as in the file; nothing is written where they are made of
    /// reference data too.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_provenance(&self, path: &Path) -> Result<bool, PublicationError> {
        let known: Option<Vec<&Provenance>> = (self.lines.iter())
            .map(|line| line.provenance.as_ref())
            .collect();
        let Some(known) = known else {
            return Ok(false);
        };
        write(path, COLUMNS.into_iter(), known.iter().map(|it| it.texts()))?;
        Ok(true)
    }
}

/// Writes a header and lines.
pub(super) fn write<'h, T: AsRef<[u8]>>(
    path: &Path,
    header: impl Iterator<Item = &'h str>,
    lines: impl Iterator<Item = impl IntoIterator<Item = T>>,
) -> Result<(), PublicationError> {
    let fail = |source: csv::Error| PublicationError::new(path, source);
    let file = File::create(path).map_err(|error| fail(error.into()))?;
    write_to(file, header, lines).map_err(fail)
}

fn write_to<'h, T: AsRef<[u8]>>(
    to: impl Write,
    header: impl Iterator<Item = &'h str>,
    lines: impl Iterator<Item = impl IntoIterator<Item = T>>,
) -> Result<(), csv::Error> {
    let mut to = csv::Writer::from_writer(to);
    to.write_record(header)?;
    for line in lines {
        to.write_record(line)?;
    }
    Ok(to.flush()?)
}
