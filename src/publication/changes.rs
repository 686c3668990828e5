//! What changed from one release to another: cell by cell, and why.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::Path;

use csv::StringRecord;
use serde::Serialize;

use super::PublicationError;
use super::files::LAYOUTS;
use super::provenance::COLUMNS;
use super::release::Release;
use super::table::{Kind, Layout};

/// Why a cell is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// There was no such line.
    Appeared,
    /// There is no such line any more: its rows have returned to nothing.
    Vanished,
    /// Its rows were published anew.
    Revised,
    /// The register of practices prints another name beside the code.
    Renamed,
    /// It follows from other cells and from reference data: coverage, and the summary.
    Derived,
    /// Its rows were not published anew, and yet it differs: one of the releases was made of other topics.
    Unexplained,
}

impl Why {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Vanished => "vanished",
            Self::Revised => "revised",
            Self::Renamed => "renamed",
            Self::Derived => "derived",
            Self::Unexplained => "unexplained",
        }
    }
}

/// A cell that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub month: String,
    pub file: &'static str,
    /// The key columns of its line, with their values.
    pub cell: Vec<(&'static str, String)>,
    pub column: &'static str,
    /// Empty: there was no such line, or nothing in it.
    pub old: String,
    pub new: String,
    pub why: Why,
    /// By `COLUMNS`; empty where there is no line, or it is not made of rows alone.
    pub old_rows: Vec<String>,
    pub new_rows: Vec<String>,
}

/// The header of `changes.csv`.
pub const HEADER: [&str; 20] = [
    "MONTH",
    "FILE",
    "CELL",
    "COLUMN",
    "OLD",
    "NEW",
    "DIFFERENCE",
    "WHY",
    "OLD_ROWS",
    "OLD_REVISIONS",
    "OLD_FINALITY",
    "OLD_CLOSED_BY",
    "OLD_AS_OF",
    "OLD_DIGEST",
    "NEW_ROWS",
    "NEW_REVISIONS",
    "NEW_FINALITY",
    "NEW_CLOSED_BY",
    "NEW_AS_OF",
    "NEW_DIGEST",
];

impl Change {
    /// New less old, nothing counting as 0; `None` where it is no whole number.
    #[must_use]
    pub fn difference(&self) -> Option<i64> {
        let number = |text: &str| match text {
            "" => Some(0),
            text => text.parse::<i64>().ok(),
        };
        Some(number(&self.new)? - number(&self.old)?)
    }

    /// `A=1;B=2`
    fn cell(&self) -> String {
        let parts = self
            .cell
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        parts.collect::<Vec<_>>().join(";")
    }

    /// By [`HEADER`].
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let difference = self.difference().map_or(String::new(), |it| it.to_string());
        let mut texts = vec![
            self.month.clone(),
            self.file.to_owned(),
            self.cell(),
            self.column.to_owned(),
            self.old.clone(),
            self.new.clone(),
            difference,
            self.why.label().to_owned(),
        ];
        for rows in [&self.old_rows, &self.new_rows] {
            let rows = rows.iter().cloned().chain(std::iter::repeat(String::new()));
            texts.extend(rows.take(COLUMNS.len()));
        }
        texts
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: Vec<&str> = self.cell.iter().map(|(_, value)| value.as_str()).collect();
        let shown = |text: &str| if text.is_empty() { "nothing" } else { text }.to_owned();
        write!(
            f,
            "{} {} {}: {} {} → {} ({}",
            self.month,
            self.file,
            key.join(" · "),
            self.column,
            shown(&self.old),
            shown(&self.new),
            self.why.label()
        )?;
        let of = |rows: &[String], at: usize| rows.get(at).map_or(String::new(), Clone::clone);
        if !self.old_rows.is_empty() || !self.new_rows.is_empty() {
            let at = |at| {
                (
                    shown(&of(&self.old_rows, at)),
                    shown(&of(&self.new_rows, at)),
                )
            };
            let ((before, after), (was, is)) = (at(1), at(2));
            write!(f, "; revisions {before} → {after}, {was} → {is}")?;
        }
        f.write_str(")")
    }
}

/// A file's appointments before and after, and how many of its cells changed why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// None where the file counts no appointments.
    pub old: Option<i64>,
    pub new: Option<i64>,
    pub cells: BTreeMap<Why, u64>,
}

/// What `changes.json` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overview {
    pub release: u32,
    pub since: u32,
    /// In the later release only: none of their cells are listed.
    pub months_added: Vec<String>,
    pub months_left_out: Vec<String>,
    /// Files that only one of the releases has of a month.
    pub files_not_compared: Vec<String>,
    /// By month and file.
    pub months: BTreeMap<String, BTreeMap<String, Totals>>,
}

impl Overview {
    /// Cells that changed, by why.
    #[must_use]
    pub fn cells(&self) -> BTreeMap<Why, u64> {
        let mut sums = BTreeMap::new();
        for totals in self.months.values().flat_map(BTreeMap::values) {
            for (why, cells) in &totals.cells {
                *sums.entry(*why).or_default() += cells;
            }
        }
        sums
    }
}

/// Compares the months that both releases have; `take` is given each change, by month, file and key.
///
/// # Errors
/// When a file cannot be read, or has other columns than this version writes; or those of `take`.
pub fn compare<E: From<PublicationError>>(
    old: &Release,
    new: &Release,
    take: &mut dyn FnMut(&Change) -> Result<(), E>,
) -> Result<Overview, E> {
    let (of_old, of_new) = (&old.manifest.months, &new.manifest.months);
    let only = |months: &[String], others: &[String]| -> Vec<String> {
        let only = months.iter().filter(|month| !others.contains(month));
        only.cloned().collect()
    };
    let mut overview = Overview {
        release: new.manifest.release,
        since: old.manifest.release,
        months_added: only(of_new, of_old),
        months_left_out: only(of_old, of_new),
        ..Overview::default()
    };
    for month in of_new {
        let (Some(before), Some(after)) = (old.month(month), new.month(month)) else {
            continue;
        };
        for layout in LAYOUTS {
            let name = format!("{}.csv", layout.file);
            let there = [&before, &after].map(|folder| folder.join(&name).is_file());
            if there != [true, true] {
                if there != [false, false] {
                    overview.files_not_compared.push(format!("{month}/{name}"));
                }
                continue;
            }
            let lines = [Lines::open(&before, layout)?, Lines::open(&after, layout)?];
            let totals = join(month, layout, lines, take)?;
            let of_month = overview.months.entry(month.clone()).or_default();
            of_month.insert(layout.file.to_owned(), totals);
        }
    }
    Ok(overview)
}

/// Both files are sorted by their keys, so one pass finds what differs.
fn join<E: From<PublicationError>>(
    month: &str,
    layout: &'static Layout,
    [mut old, mut new]: [Lines; 2],
    take: &mut dyn FnMut(&Change) -> Result<(), E>,
) -> Result<Totals, E> {
    let keys: Vec<usize> = layout.at(Kind::Key).collect();
    let counted = (layout.columns.iter()).position(|column| column.name == "COUNT_OF_APPOINTMENTS");
    let mut totals = Totals::default();
    let count = |line: &Option<Both>| -> i64 {
        let text = line.as_ref().and_then(|line| line.line.get(counted?));
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let mut sums = (0, 0);
    let (mut before, mut after) = (old.next()?, new.next()?);
    loop {
        let order = match (&before, &after) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => by_key(&keys, &a.line, &b.line),
        };
        let (a, b) = (
            before.take_if(|_| order.is_le()),
            after.take_if(|_| order.is_ge()),
        );
        sums = (sums.0 + count(&a), sums.1 + count(&b));
        for change in differences(month, layout, &keys, a.as_ref(), b.as_ref()) {
            *totals.cells.entry(change.why).or_default() += 1;
            take(&change)?;
        }
        if order.is_le() {
            before = old.next()?;
        }
        if order.is_ge() {
            after = new.next()?;
        }
    }
    if counted.is_some() {
        (totals.old, totals.new) = (Some(sums.0), Some(sums.1));
    }
    Ok(totals)
}

fn by_key(keys: &[usize], a: &StringRecord, b: &StringRecord) -> Ordering {
    let orders = keys.iter().map(|at| a[*at].cmp(&b[*at]));
    orders
        .into_iter()
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// The columns in which a line differs; at least one of the two is there.
fn differences(
    month: &str,
    layout: &'static Layout,
    keys: &[usize],
    old: Option<&Both>,
    new: Option<&Both>,
) -> Vec<Change> {
    let Some(either) = new.or(old) else {
        return Vec::new();
    };
    let text = |line: Option<&Both>, at: usize| line.map_or("", |it| &it.line[at]).to_owned();
    let rows = |line: Option<&Both>| line.map_or(Vec::new(), |it| it.rows.clone());
    let mut changes = Vec::new();
    for (at, column) in layout.columns.iter().enumerate() {
        let (was, is) = (text(old, at), text(new, at));
        if column.kind == Kind::Key || was == is {
            continue;
        }
        let both = old.is_some() && new.is_some();
        if column.kind == Kind::Name && !both {
            // The line's counts tell of it.
            continue;
        }
        let (old_rows, new_rows) = (rows(old), rows(new));
        let why = match (column.kind, old, new) {
            (_, None, _) => Why::Appeared,
            (_, _, None) => Why::Vanished,
            (Kind::Name, ..) => Why::Renamed,
            _ if old_rows.is_empty() && new_rows.is_empty() => Why::Derived,
            // The last column is the rows' digest.
            _ if old_rows.last() != new_rows.last() => Why::Revised,
            _ => Why::Unexplained,
        };
        let cell = keys.iter().map(|key| {
            let value = either.line[*key].to_owned();
            (layout.columns[*key].name, value)
        });
        changes.push(Change {
            month: month.to_owned(),
            file: layout.file,
            cell: cell.collect(),
            column: column.name,
            old: was,
            new: is,
            why,
            old_rows,
            new_rows,
        });
    }
    changes
}

/// A line, and what it is made of.
struct Both {
    line: StringRecord,
    /// By [`COLUMNS`], or empty.
    rows: Vec<String>,
}

/// The lines of one file of a month.
struct Lines {
    path: std::path::PathBuf,
    file: csv::Reader<File>,
    beside: Option<csv::Reader<File>>,
}

impl Lines {
    fn open(folder: &Path, layout: &Layout) -> Result<Self, PublicationError> {
        let name = format!("{}.csv", layout.file);
        let path = folder.join(&name);
        let open = |path: &Path| {
            csv::Reader::from_path(path).map_err(|error| PublicationError::reading(path, error))
        };
        let mut file = open(&path)?;
        let header = file
            .headers()
            .map_err(|error| PublicationError::reading(&path, error))?;
        let columns = layout.columns.iter().map(|column| column.name);
        if !header.iter().eq(columns) {
            let why = format!(
                "its columns are {}",
                header.iter().collect::<Vec<_>>().join(",")
            );
            return Err(PublicationError::reading(&path, why));
        }
        let beside = folder.join(super::PROVENANCE).join(&name);
        let beside = if beside.is_file() {
            Some(open(&beside)?)
        } else {
            None
        };
        Ok(Self { path, file, beside })
    }

    fn next(&mut self) -> Result<Option<Both>, PublicationError> {
        let failed = |error: csv::Error| PublicationError::reading(&self.path, error);
        let mut line = StringRecord::new();
        if !self.file.read_record(&mut line).map_err(failed)? {
            return Ok(None);
        }
        let mut rows = StringRecord::new();
        if let Some(beside) = &mut self.beside {
            beside.read_record(&mut rows).map_err(failed)?;
        }
        let rows = rows.iter().map(str::to_owned).collect();
        Ok(Some(Both { line, rows }))
    }
}
