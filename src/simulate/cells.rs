//! The published cells of one month, read from either shape of file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::domain::time::Month;
use crate::domain::vocabulary::{HcpType, Mode, PublishedStatus, WaitingBand};

use super::error::Error;

/// The codes and names that the rows of one place carry; what a file does not give is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// `CCG_CODE`; empty in a file by ICB.
    pub code: String,
    /// `CCG_ONS_CODE`; empty in a file by ICB.
    pub ons_code: String,
    /// `CCG_NAME`; empty in a file by ICB.
    pub name: String,
    /// `STP_ONS`, or the ICB's ONS code.
    pub icb_ons_code: String,
    /// `STPNM`; empty in a file by ICB.
    pub icb_name: String,
    /// `REGION_ONS_CODE`; empty in a file by ICB.
    pub region_ons_code: String,
    /// `REGION_NAME`; empty in a file by ICB.
    pub region_name: String,
}

/// What the publication counts by, below a place and a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// `APPT_STATUS`.
    pub status: PublishedStatus,
    /// `HCP_TYPE`.
    pub hcp: HcpType,
    /// `APPT_MODE`.
    pub mode: Mode,
    /// `TIME_BETWEEN_BOOK_AND_APPT`.
    pub wait: WaitingBand,
}

/// One published cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Index into [`Cells::places`].
    pub place: usize,
    /// What is counted.
    pub kind: Kind,
    /// Appointments, at least 1.
    pub count: u64,
}

/// Which file the cells came from, which decides what geography the practices carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `icb_cells_*.csv`: one month by ICB.
    Icb,
    /// `Regional_CSV_*.csv`: several months by CCG.
    Regional,
}

/// The cells of one month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// The file's shape.
    pub shape: Shape,
    /// The month.
    pub month: Month,
    /// In order of their codes.
    pub places: Vec<Place>,
    /// In order of place and kind, none zero, no key twice.
    pub cells: Vec<Cell>,
}

const ICB_COLUMNS: [&str; 7] = [
    "icb_ons_code",
    "appointment_month",
    "appointment_status",
    "hcp_type",
    "appointment_mode",
    "time_between_book_and_appointment",
    "count_of_appointments",
];
const REGIONAL_COLUMNS: [&str; 13] = [
    "CCG_CODE",
    "CCG_ONS_CODE",
    "CCG_NAME",
    "STP_ONS",
    "STPNM",
    "REGION_ONS_CODE",
    "REGION_NAME",
    "Appointment_Month",
    "APPT_STATUS",
    "HCP_TYPE",
    "APPT_MODE",
    "TIME_BETWEEN_BOOK_AND_APPT",
    "COUNT_OF_APPOINTMENTS",
];

impl Cells {
    /// Reads the cells of `month`.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line number, [`Error::NoSuchMonth`] with the months there are, [`Error::World`].
    pub fn read(file: &Path, month: Month) -> Result<Self, Error> {
        let text = std::fs::read(file)
            .map_err(|source| Error::world(format!("cannot read {}", file.display()), source))?;
        Self::parse(file, &text, month)
    }

    /// As [`Self::read`], of a file's content; `file` only names it in errors.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(file: &Path, text: &[u8], month: Month) -> Result<Self, Error> {
        let malformed = |line: u64, problem: String| Error::Malformed {
            file: file.to_owned(),
            line,
            problem,
        };
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new().from_reader(text);
        let header = reader
            .headers()
            .map_err(|error| malformed(1, error.to_string()))?
            .clone();
        let (shape, columns) = columns(&header).ok_or_else(|| {
            malformed(
                1,
                format!(
                    "the header is neither that of a regional file ({}) nor that of cells by ICB ({})",
                    REGIONAL_COLUMNS.join(","),
                    ICB_COLUMNS.join(",")
                ),
            )
        })?;
        let mut months = BTreeSet::new();
        let mut counts: BTreeMap<Place, BTreeMap<Kind, u64>> = BTreeMap::new();
        let mut names = Names::default();
        let mut record = csv::StringRecord::new();
        loop {
            let before = reader.position().line();
            let more = reader.read_record(&mut record).map_err(|error| {
                let line = error.position().map_or(before, csv::Position::line);
                malformed(line, error.to_string())
            })?;
            if !more {
                break;
            }
            let line = record.position().map_or(before, csv::Position::line);
            let row = row(shape, &columns, &record).map_err(|problem| malformed(line, problem))?;
            months.insert(row.month);
            if row.month == month {
                names
                    .agree(&row.place, line)
                    .map_err(|problem| malformed(line, problem))?;
                let count = counts
                    .entry(row.place)
                    .or_default()
                    .entry(row.kind)
                    .or_default();
                *count = count
                    .checked_add(row.count)
                    .ok_or_else(|| malformed(line, "the counts overflow".to_owned()))?;
            }
        }
        if !months.contains(&month) {
            let there: Vec<String> = months.into_iter().map(Month::label).collect();
            return Err(Error::NoSuchMonth {
                file: file.to_owned(),
                asked: month.label(),
                there: if there.is_empty() {
                    "no month".to_owned()
                } else {
                    there.join(", ")
                },
            });
        }
        let places: Vec<Place> = counts.keys().cloned().collect();
        let cells = counts
            .into_values()
            .enumerate()
            .flat_map(|(place, kinds)| {
                kinds
                    .into_iter()
                    .map(move |(kind, count)| Cell { place, kind, count })
            })
            .filter(|cell| cell.count > 0)
            .collect();
        Ok(Self {
            shape,
            month,
            places,
            cells,
        })
    }

    /// All appointments counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cells.iter().map(|cell| cell.count).sum()
    }

    /// Every count multiplied by `factor` and rounded so that the total is the rounded total (largest remainder; on a
    /// tie the earlier cell); cells that round to zero are left out. `factor` is positive and finite.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        if factor.to_bits() == 1_f64.to_bits() {
            return self.clone();
        }
        let exact: Vec<f64> = self
            .cells
            .iter()
            .map(|cell| cell.count as f64 * factor)
            .collect();
        let mut counts: Vec<u64> = exact.iter().map(|count| count.floor() as u64).collect();
        let target = (self.total() as f64 * factor).round() as u64;
        let short = target.saturating_sub(counts.iter().sum());
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by(|&a, &b| {
            let rest = |index: usize| exact[index] - exact[index].floor();
            rest(b).total_cmp(&rest(a)).then(a.cmp(&b))
        });
        for &index in order
            .iter()
            .take(usize::try_from(short).unwrap_or(usize::MAX))
        {
            counts[index] += 1;
        }
        let cells = self
            .cells
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(cell, count)| Cell { count, ..*cell })
            .collect();
        Self {
            cells,
            ..self.clone()
        }
    }
}

/// The names seen with each code of the month: the publication prints one name a code.
#[derive(Default)]
struct Names(BTreeMap<(usize, String), (String, u64)>);

impl Names {
    fn agree(&mut self, place: &Place, line: u64) -> Result<(), String> {
        let pairs = [
            (&place.code, &place.name),
            (&place.icb_ons_code, &place.icb_name),
            (&place.region_ons_code, &place.region_name),
        ];
        for (level, (code, name)) in pairs.into_iter().enumerate() {
            let known = self
                .0
                .entry((level, code.clone()))
                .or_insert_with(|| (name.clone(), line));
            if known.0 != *name {
                return Err(format!(
                    "{code} is named \"{name}\" here and \"{}\" in line {}",
                    known.0, known.1
                ));
            }
        }
        Ok(())
    }
}

struct Row {
    place: Place,
    month: Month,
    kind: Kind,
    count: u64,
}

/// The shape that a header names, and where its columns stand.
fn columns(header: &csv::StringRecord) -> Option<(Shape, Vec<usize>)> {
    let find = |names: &[&str]| -> Option<Vec<usize>> {
        names
            .iter()
            .map(|name| {
                header
                    .iter()
                    .position(|field| field.trim().eq_ignore_ascii_case(name))
            })
            .collect()
    };
    find(&REGIONAL_COLUMNS)
        .map(|found| (Shape::Regional, found))
        .or_else(|| find(&ICB_COLUMNS).map(|found| (Shape::Icb, found)))
}

fn row(shape: Shape, columns: &[usize], record: &csv::StringRecord) -> Result<Row, String> {
    let text = |column: usize| record.get(columns[column]).unwrap_or("");
    let (place, first) = match shape {
        Shape::Icb => (
            Place {
                icb_ons_code: text(0).trim().to_owned(),
                ..Place::default()
            },
            1,
        ),
        Shape::Regional => (
            Place {
                code: text(0).trim().to_owned(),
                ons_code: text(1).trim().to_owned(),
                name: text(2).to_owned(),
                icb_ons_code: text(3).trim().to_owned(),
                icb_name: text(4).to_owned(),
                region_ons_code: text(5).trim().to_owned(),
                region_name: text(6).to_owned(),
            },
            7,
        ),
    };
    if place.code.is_empty() && place.icb_ons_code.is_empty() {
        return Err("the place has no code".to_owned());
    }
    let label = |column: usize| collapsed(text(first + column));
    let unknown =
        |what: &str, column: usize| format!("unknown {what} \"{}\"", text(first + column));
    Ok(Row {
        month: month(text(first)).ok_or_else(|| unknown("month", 0))?,
        kind: Kind {
            status: find(PublishedStatus::ALL, PublishedStatus::label, &label(1))
                .ok_or_else(|| unknown("status", 1))?,
            hcp: find(HcpType::ALL, HcpType::label, &label(2))
                .ok_or_else(|| unknown("HCP type", 2))?,
            mode: mode(&label(3)).ok_or_else(|| unknown("mode", 3))?,
            wait: wait(&label(4))
                .ok_or_else(|| unknown("time between booking and appointment", 4))?,
        },
        count: text(first + 5)
            .trim()
            .parse()
            .map_err(|_| format!("the count \"{}\" is not a whole number", text(first + 5)))?,
        place,
    })
}

/// Lower case, trimmed, one space between words: releases differ in both.
fn collapsed(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase()
}

fn find<T: Copy>(all: &[T], label: impl Fn(T) -> &'static str, text: &str) -> Option<T> {
    all.iter()
        .copied()
        .find(|value| collapsed(label(*value)) == text)
}

/// Older releases say `Video Conference/Online`.
fn mode(text: &str) -> Option<Mode> {
    find(Mode::ALL, Mode::label, text)
        .or_else(|| (text == "video conference/online").then_some(Mode::VideoOnline))
}

/// Older releases say `Unknown / Data Issue`.
fn wait(text: &str) -> Option<WaitingBand> {
    find(WaitingBand::ALL, WaitingBand::label, text).or_else(|| {
        matches!(
            text,
            "unknown / data issue" | "unknown / data quality issue" | "unknown"
        )
        .then_some(WaitingBand::Unknown)
    })
}

/// `2022-02`, `MAR2019` or `01MAR2019`.
fn month(text: &str) -> Option<Month> {
    let text = text.trim();
    if let Some(month) = Month::parse(text) {
        return Some(month);
    }
    let text = text.to_ascii_uppercase();
    let text = text
        .strip_prefix("01")
        .filter(|rest| rest.len() == 7)
        .unwrap_or(&text);
    let (name, year) = text.split_at_checked(3)?;
    if year.len() != 4 {
        return None;
    }
    let year: u16 = year.parse().ok()?;
    (0..12)
        .map(|month0| Month::new(i32::from(year), month0))
        .find(|month| month.abbreviation() == name)
}

#[cfg(test)]
mod tests;
