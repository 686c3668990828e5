//! The monthly publication, cell for cell, from the aggregates' rows (domain.md §3).

pub mod changes;
mod coverage;
mod files;
mod names;
pub mod parquet;
mod provenance;
pub mod release;
mod summary;
pub mod table;

use std::path::Path;

use rustc_hash::FxHashMap;

use crate::domain::aggregate::Row;
use crate::domain::place::Level;
use crate::domain::reference::Reference;
use crate::domain::time::{Day, Month, Timestamp};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{
    DurationBand, HcpType, Mode, NationalCategory, PublishedStatus, SdsRoleGroup, ServiceSetting,
    WaitingBand,
};

pub use coverage::Covered;
pub use files::{LAYOUTS, sources_of};
pub use names::PrintedNames;
pub use provenance::Provenance;
pub use summary::estimated_total;
use table::Table;

/// The aggregates that the publication is made of.
pub const SOURCES: [&str; 4] = ["activity", "category", "duration", "practice_crosstab"];

/// Folder of a month in a release, with what the lines of its files are made of.
pub const PROVENANCE: &str = "provenance";

/// Cells of one file: where, when, which values.
type Cells<const N: usize> = FxHashMap<(u32, Day, [u8; N]), Cell>;

/// A count, and the rows behind it.
#[derive(Debug, Clone, Copy)]
struct Cell {
    count: i64,
    provenance: Provenance,
}

/// Collects rows and writes the files. A later row of the same key replaces the earlier one, and a
/// row without figures takes it away, so a topic can be read from its beginning.
#[derive(Debug, Default)]
pub struct Publication {
    codes: Vec<Vec<Box<str>>>,
    indexes: FxHashMap<Vec<Box<str>>, u32>,
    /// Status, HCP type, mode, waiting band.
    activity: Cells<4>,
    duration: Cells<1>,
    /// Setting, category, SDS role group.
    category: Cells<3>,
    /// Supplier, HCP type, mode, category, waiting band, status.
    crosstab: Cells<6>,
}

impl Publication {
    /// Takes in a row; rows that no file is made of are passed over.
    pub fn take(&mut self, row: &Row) {
        match (&*row.aggregate, row.level) {
            ("activity", Level::SubIcb) => {
                let values = |value: &Values<'_>| {
                    Some([
                        value.of("status", |label| {
                            index(PublishedStatus::from_label(label)?.index())
                        })?,
                        value.of("hcp_type", |label| {
                            index(HcpType::from_label(label)?.index())
                        })?,
                        value.of("mode", |label| index(Mode::from_label(label)?.index()))?,
                        value.of("waiting_band", |label| {
                            index(WaitingBand::from_label(label)?.index())
                        })?,
                    ])
                };
                let place = self.place(row, &PLACE_OF_SUB_ICB);
                put(&mut self.activity, place, row, values);
            }
            ("duration", Level::SubIcb) => {
                let values = |value: &Values<'_>| {
                    Some([value.of("duration_band", |label| {
                        index(DurationBand::from_label(label)?.index())
                    })?])
                };
                let place = self.place(row, &PLACE_OF_SUB_ICB);
                put(&mut self.duration, place, row, values);
            }
            ("category", Level::SubIcb) => {
                let values = |value: &Values<'_>| {
                    Some([
                        value.of("service_setting", |label| {
                            index(ServiceSetting::from_label(label)?.index())
                        })?,
                        value.of("national_category", |label| {
                            index(NationalCategory::from_label(label)?.index())
                        })?,
                        value.of("sds_role_group", |label| {
                            index(SdsRoleGroup::from_label(label)?.index())
                        })?,
                    ])
                };
                let place = self.place(row, &PLACE_OF_SUB_ICB);
                put(&mut self.category, place, row, values);
            }
            ("practice_crosstab", Level::Practice) => {
                let values = |value: &Values<'_>| {
                    Some([
                        value.of("supplier", |label| {
                            index(
                                Supplier::ALL
                                    .iter()
                                    .position(|supplier| supplier.label() == label)?,
                            )
                        })?,
                        value.of("hcp_type", |label| {
                            index(HcpType::from_label(label)?.index())
                        })?,
                        value.of("mode", |label| index(Mode::from_label(label)?.index()))?,
                        value.of("national_category", |label| {
                            index(NationalCategory::from_label(label)?.index())
                        })?,
                        value.of("waiting_band", |label| {
                            index(WaitingBand::from_label(label)?.index())
                        })?,
                        value.of("status", |label| {
                            index(PublishedStatus::from_label(label)?.index())
                        })?,
                    ])
                };
                let place = self.place(row, &["pcn_code", "sub_icb_code"]);
                put(&mut self.crosstab, place, row, values);
            }
            _ => {}
        }
    }

    /// Every month with at least one published appointment.
    #[must_use]
    pub fn months(&self) -> Vec<Month> {
        let mut months: Vec<_> = self
            .activity
            .keys()
            .map(|(_, day, _)| day.month())
            .collect();
        months.sort_unstable();
        months.dedup();
        months
    }

    /// Published appointments of a month, as each of [`SOURCES`] has them: all the same where the figures stand still
    /// (domain.md §3.2).
    #[must_use]
    pub fn totals(&self, month: Month) -> [i64; SOURCES.len()] {
        fn total<const N: usize>(cells: &Cells<N>, month: Month) -> i64 {
            let cells = cells.iter().filter(|((_, day, _), _)| day.month() == month);
            cells.map(|(_, cell)| cell.count).sum()
        }
        [
            total(&self.activity, month),
            total(&self.category, month),
            total(&self.duration, month),
            total(&self.crosstab, month),
        ]
    }

    /// The greatest time of extraction that went into the rows of some months.
    #[must_use]
    pub fn as_of(&self, months: &[Month]) -> Option<Timestamp> {
        let cells = (self.activity.iter()).filter(|((_, day, _), _)| months.contains(&day.month()));
        cells.map(|(_, cell)| cell.provenance.as_of).max()
    }

    /// Hands over the files of one month, one at a time: England's are large.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn tables<E>(
        &self,
        month: Month,
        reference: &Reference,
        names: &PrintedNames,
        take: &mut dyn FnMut(Table<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        take(files::regional(self, month, names))?;
        take(files::daily(self, month, names))?;
        take(files::duration(self, month, names))?;
        take(files::practice_crosstab(self, month, names))?;
        take(files::category(self, month, names))?;
        take(files::sds_role_group(self, month, names))?;
        let covered = coverage::cover(reference, month, &self.practice_totals(month));
        take(files::coverage(&covered, month))?;
        let summary = summary::summarise(self, month, &covered);
        take(files::summary(&summary))
    }

    /// Writes the files of one month into a folder that exists.
    ///
    /// # Errors
    /// When a file cannot be written; the error names it.
    pub fn write(
        &self,
        month: Month,
        reference: &Reference,
        names: &PrintedNames,
        folder: &Path,
    ) -> Result<(), PublicationError> {
        self.tables(month, reference, names, &mut |table| {
            table.write_csv(&folder.join(format!("{}.csv", table.layout.file)))
        })
    }

    /// Published appointments of a month by practice.
    fn practice_totals(&self, month: Month) -> FxHashMap<&str, i64> {
        let mut totals = FxHashMap::default();
        for ((place, day, _), cell) in &self.crosstab {
            if day.month() == month {
                *totals.entry(&*self.codes[*place as usize][0]).or_default() += cell.count;
            }
        }
        totals
    }

    fn place(&mut self, row: &Row, printed: &[&str]) -> u32 {
        let codes: Vec<Box<str>> = std::iter::once(row.code.as_str())
            .chain(printed.iter().map(|name| {
                let code = row.dimensions.iter().find(|(found, _)| found == name);
                code.map_or("", |(_, code)| &**code)
            }))
            .map(Into::into)
            .collect();
        if let Some(found) = self.indexes.get(&codes) {
            return *found;
        }
        let at = u32::try_from(self.codes.len()).expect("fewer than 2^32 places");
        self.codes.push(codes.clone());
        self.indexes.insert(codes, at);
        at
    }
}

/// What a sub-ICB's row is printed with, after its code.
const PLACE_OF_SUB_ICB: [&str; 3] = ["sub_icb_ons_code", "icb_ons_code", "region_ons_code"];

/// The values of a row's dimensions.
struct Values<'a>(&'a Row);

impl Values<'_> {
    fn of(&self, name: &str, parse: impl Fn(&str) -> Option<u8>) -> Option<u8> {
        let (_, value) = self.0.dimensions.iter().find(|(found, _)| *found == name)?;
        parse(value)
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "reads well behind `?` of the vocabularies"
)]
fn index(value: usize) -> Option<u8> {
    Some(u8::try_from(value).expect("vocabularies have fewer than 256 values"))
}

fn put<const N: usize>(
    cells: &mut Cells<N>,
    place: u32,
    row: &Row,
    values: impl Fn(&Values<'_>) -> Option<[u8; N]>,
) {
    let Some(values) = values(&Values(row)) else {
        return;
    };
    let Some((day, _)) = row.window.days() else {
        return;
    };
    let key = (place, day, values);
    let count = row.figures.as_ref().and_then(|figures| {
        let appointments = figures
            .counts
            .iter()
            .find(|(measure, _)| *measure == "appointments");
        appointments
            .map(|(_, count)| *count)
            .filter(|count| *count != 0)
    });
    match count {
        Some(count) => {
            let provenance = Provenance::of(row);
            cells.insert(key, Cell { count, provenance })
        }
        None => cells.remove(&key),
    };
}

/// Why the publication could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct PublicationError {
    doing: &'static str,
    path: std::path::PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl PublicationError {
    fn new(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            doing: "write",
            path: path.to_owned(),
            source: source.into(),
        }
    }

    fn reading(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            doing: "read",
            ..Self::new(path, source)
        }
    }
}
