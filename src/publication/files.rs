//! The publication's files: headers exactly as published, one function each.

use rustc_hash::FxHashMap;

use crate::domain::time::{Day, Month};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{
    DurationBand, HcpType, Mode, NationalCategory, PublishedStatus, SdsRoleGroup, ServiceSetting,
    WaitingBand,
};

use super::coverage::Coverage;
use super::names::PrintedNames;
use super::summary::Summary;
use super::table::{Column, Kind, Layout, Line, Table, Value};
use super::{Cell, Cells, Publication};

const fn key(name: &'static str) -> Column {
    let kind = Kind::Key;
    Column { name, kind }
}

const fn name(name: &'static str) -> Column {
    let kind = Kind::Name;
    Column { name, kind }
}

const fn count(name: &'static str) -> Column {
    let kind = Kind::Count;
    Column { name, kind }
}

const fn share(name: &'static str) -> Column {
    let kind = Kind::Share;
    Column { name, kind }
}

/// domain.md §3.7, as all but the last two below.
pub const REGIONAL: Layout = Layout {
    file: "regional",
    columns: &[
        key("CCG_CODE"),
        key("CCG_ONS_CODE"),
        name("CCG_NAME"),
        key("STP_ONS"),
        name("STPNM"),
        key("REGION_ONS_CODE"),
        name("REGION_NAME"),
        key("Appointment_Month"),
        key("APPT_STATUS"),
        key("HCP_TYPE"),
        key("APPT_MODE"),
        key("TIME_BETWEEN_BOOK_AND_APPT"),
        count("COUNT_OF_APPOINTMENTS"),
    ],
};
pub const DAILY: Layout = Layout {
    file: "daily",
    columns: &[
        key("SUB_ICB_LOCATION_CODE"),
        key("SUB_ICB_LOCATION_ONS_CODE"),
        name("SUB_ICB_LOCATION_NAME"),
        key("ICB_ONS_CODE"),
        key("REGION_ONS_CODE"),
        key("Appointment_Date"),
        key("APPT_STATUS"),
        key("HCP_TYPE"),
        key("APPT_MODE"),
        key("TIME_BETWEEN_BOOK_AND_APPT"),
        count("COUNT_OF_APPOINTMENTS"),
    ],
};
pub const DURATION: Layout = Layout {
    file: "duration",
    columns: &[
        key("SUB_ICB_LOCATION_CODE"),
        key("SUB_ICB_LOCATION_ONS_CODE"),
        name("SUB_ICB_LOCATION_NAME"),
        key("ICB_ONS_CODE"),
        key("REGION_ONS_CODE"),
        key("Appointment_Date"),
        key("ACTUAL_DURATION"),
        count("COUNT_OF_APPOINTMENTS"),
    ],
};
pub const CROSSTAB: Layout = Layout {
    file: "practice_crosstab",
    columns: &[
        key("APPOINTMENT_MONTH_START_DATE"),
        key("GP_CODE"),
        name("GP_NAME"),
        key("SUPPLIER"),
        key("PCN_CODE"),
        name("PCN_NAME"),
        key("SUB_ICB_LOCATION_CODE"),
        name("SUB_ICB_LOCATION_NAME"),
        key("HCP_TYPE"),
        key("APPT_MODE"),
        key("NATIONAL_CATEGORY"),
        key("TIME_BETWEEN_BOOK_AND_APPT"),
        count("COUNT_OF_APPOINTMENTS"),
        key("APPT_STATUS"),
    ],
};
pub const COVERAGE: Layout = Layout {
    file: "coverage",
    columns: &[
        key("SUB_ICB_LOCATION_CODE"),
        key("ICB_ONS_CODE"),
        key("REGION_CODE"),
        key("Appointment_Month"),
        count("Included Practices"),
        count("Open Practices"),
        count("Patients registered at included practices"),
        count("Patients registered at open practices"),
    ],
};
pub const SUMMARY: Layout = Layout {
    file: "summary",
    columns: &[
        key("section"),
        key("metric"),
        Column {
            name: "count",
            kind: Kind::Total,
        },
        share("share"),
    ],
};
/// The columns of the files by category, which NHS England publishes by groups of regions since 2022; the spelling of the
/// date's column is an own reading, as in the daily file.
pub const CATEGORY: Layout = Layout {
    file: "category",
    columns: &[
        key("SUB_ICB_LOCATION_CODE"),
        key("SUB_ICB_LOCATION_ONS_CODE"),
        name("SUB_ICB_LOCATION_NAME"),
        key("ICB_ONS_CODE"),
        key("REGION_ONS_CODE"),
        key("Appointment_Date"),
        key("SERVICE_SETTING"),
        key("CONTEXT_TYPE"),
        key("NATIONAL_CATEGORY"),
        count("COUNT_OF_APPOINTMENTS"),
    ],
};
/// Own reading: published as a table of the summary by month; here by day, with the columns of the duration file.
pub const SDS_ROLE_GROUP: Layout = Layout {
    file: "sds_role_group",
    columns: &[
        key("SUB_ICB_LOCATION_CODE"),
        key("SUB_ICB_LOCATION_ONS_CODE"),
        name("SUB_ICB_LOCATION_NAME"),
        key("ICB_ONS_CODE"),
        key("REGION_ONS_CODE"),
        key("Appointment_Date"),
        key("SDS_ROLE_GROUP"),
        count("COUNT_OF_APPOINTMENTS"),
    ],
};

/// Every file of a month.
pub const LAYOUTS: [&Layout; 8] = [
    &REGIONAL,
    &DAILY,
    &DURATION,
    &CROSSTAB,
    &COVERAGE,
    &SUMMARY,
    &CATEGORY,
    &SDS_ROLE_GROUP,
];

/// The aggregates that a file's lines are made of.
#[must_use]
pub fn sources_of(layout: &Layout) -> &'static [&'static str] {
    match layout.file {
        "regional" | "daily" => &["activity"],
        "duration" => &["duration"],
        "category" | "sds_role_group" => &["category"],
        "practice_crosstab" | "coverage" => &["practice_crosstab"],
        _ => &super::SOURCES,
    }
}

pub(super) fn regional<'a>(
    publication: &'a Publication,
    month: Month,
    names: &'a PrintedNames,
) -> Table<'a> {
    let printed = format!("{}{}", month.abbreviation(), month.year());
    let cells = added_up(&publication.activity, month, |place, _, values| {
        (place, values)
    });
    let lines = cells.into_iter().map(|((place, values), cell)| {
        let [code, ons, icb, region] = sub_icb(publication, place);
        let mut line = texts([
            code,
            ons,
            names.sub_icb(code),
            icb,
            names.icb(icb),
            region,
            names.region(region),
        ]);
        line.push(printed.clone().into());
        line.extend(texts(activity(values)));
        ended(line, cell)
    });
    Table::new(&REGIONAL, lines.collect())
}

pub(super) fn daily<'a>(
    publication: &'a Publication,
    month: Month,
    names: &'a PrintedNames,
) -> Table<'a> {
    let lines = of_month(&publication.activity, month).map(|(place, day, values, cell)| {
        let mut line = sub_icb_on(publication, names, place, day);
        line.extend(texts(activity(values)));
        ended(line, cell)
    });
    Table::new(&DAILY, lines.collect())
}

pub(super) fn duration<'a>(
    publication: &'a Publication,
    month: Month,
    names: &'a PrintedNames,
) -> Table<'a> {
    let lines = of_month(&publication.duration, month).map(|(place, day, [band], cell)| {
        let mut line = sub_icb_on(publication, names, place, day);
        line.push(DurationBand::ALL[usize::from(band)].label().into());
        ended(line, cell)
    });
    Table::new(&DURATION, lines.collect())
}

pub(super) fn category<'a>(
    publication: &'a Publication,
    month: Month,
    names: &'a PrintedNames,
) -> Table<'a> {
    let cells = added_up(
        &publication.category,
        month,
        |place, day, [setting, category, _]| (place, day, setting, category),
    );
    let lines = cells
        .into_iter()
        .map(|((place, day, setting, category), cell)| {
            let category = NationalCategory::ALL[usize::from(category)];
            let mut line = sub_icb_on(publication, names, place, day);
            line.extend(texts([
                ServiceSetting::ALL[usize::from(setting)].label(),
                category.context_type().label(),
                category.label(),
            ]));
            ended(line, cell)
        });
    Table::new(&CATEGORY, lines.collect())
}

pub(super) fn sds_role_group<'a>(
    publication: &'a Publication,
    month: Month,
    names: &'a PrintedNames,
) -> Table<'a> {
    let cells = added_up(&publication.category, month, |place, day, [_, _, group]| {
        (place, day, group)
    });
    let lines = cells.into_iter().map(|((place, day, group), cell)| {
        let mut line = sub_icb_on(publication, names, place, day);
        line.push(SdsRoleGroup::ALL[usize::from(group)].label().into());
        ended(line, cell)
    });
    Table::new(&SDS_ROLE_GROUP, lines.collect())
}

pub(super) fn practice_crosstab<'a>(
    publication: &'a Publication,
    month: Month,
    names: &'a PrintedNames,
) -> Table<'a> {
    let printed = printed_date(month.first_day());
    let lines = of_month(&publication.crosstab, month).map(|(place, _, values, cell)| {
        let codes = &publication.codes[place as usize];
        let (practice, pcn, sub_icb) = (&*codes[0], &*codes[1], &*codes[2]);
        let [supplier, hcp, mode, category, wait, status] = values.map(usize::from);
        let mut line: Vec<Value<'a>> = vec![printed.clone().into()];
        line.extend(texts([
            practice,
            names.practice(practice),
            Supplier::ALL[supplier].label(),
            pcn,
            names.pcn(pcn),
            sub_icb,
            names.sub_icb(sub_icb),
            HcpType::ALL[hcp].label(),
            Mode::ALL[mode].label(),
            NationalCategory::ALL[category].label(),
            WaitingBand::ALL[wait].label(),
        ]));
        let mut line = ended(line, cell);
        line.values
            .push(PublishedStatus::ALL[status].label().into());
        line
    });
    Table::new(&CROSSTAB, lines.collect())
}

pub(super) fn coverage(coverage: &Coverage, month: Month) -> Table<'_> {
    let printed = printed_date(month.first_day());
    let lines = coverage.iter().map(|((sub_icb, icb, region), covered)| {
        let mut values = texts([sub_icb.as_str(), icb, region]);
        values.push(printed.clone().into());
        values.extend(
            [
                covered.included_practices,
                covered.open_practices,
                covered.included_patients,
                covered.open_patients,
            ]
            .map(Value::Count),
        );
        told_by_reference(values)
    });
    Table::new(&COVERAGE, lines.collect())
}

pub(super) fn summary(summary: &Summary) -> Table<'static> {
    let lines = summary.iter().map(|((section, metric), (count, share))| {
        let mut values = texts([*section, *metric]);
        values.push(count.map_or(Value::Nothing, Value::Count));
        values.push(share.map_or(Value::Nothing, Value::Share));
        told_by_reference(values)
    });
    Table::new(&SUMMARY, lines.collect())
}

/// The cells of a month.
fn of_month<const N: usize>(
    cells: &Cells<N>,
    month: Month,
) -> impl Iterator<Item = (u32, Day, [u8; N], Cell)> {
    let cells = cells
        .iter()
        .filter(move |((_, day, _), _)| day.month() == month);
    cells.map(|((place, day, values), cell)| (*place, *day, *values, *cell))
}

/// The cells of a month under a coarser key; without those that add up to nothing.
fn added_up<K: std::hash::Hash + Eq, const N: usize>(
    cells: &Cells<N>,
    month: Month,
    key: impl Fn(u32, Day, [u8; N]) -> K,
) -> FxHashMap<K, Cell> {
    let mut sums: FxHashMap<K, Cell> = FxHashMap::default();
    for (place, day, values, cell) in of_month(cells, month) {
        (sums.entry(key(place, day, values)))
            .and_modify(|sum| {
                sum.count += cell.count;
                sum.provenance = sum.provenance.and(cell.provenance);
            })
            .or_insert(cell);
    }
    sums.retain(|_, cell| cell.count != 0);
    sums
}

fn sub_icb(publication: &Publication, place: u32) -> [&str; 4] {
    let codes = &publication.codes[place as usize];
    [&codes[0], &codes[1], &codes[2], &codes[3]]
}

fn sub_icb_on<'a>(
    publication: &'a Publication,
    names: &'a PrintedNames,
    place: u32,
    day: Day,
) -> Vec<Value<'a>> {
    let [code, ons, icb, region] = sub_icb(publication, place);
    let mut values = texts([code, ons, names.sub_icb(code), icb, region]);
    values.push(printed_date(day).into());
    values
}

fn activity(values: [u8; 4]) -> [&'static str; 4] {
    let [status, hcp, mode, wait] = values.map(usize::from);
    [
        PublishedStatus::ALL[status].label(),
        HcpType::ALL[hcp].label(),
        Mode::ALL[mode].label(),
        WaitingBand::ALL[wait].label(),
    ]
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<Value<'_>> {
    texts.map(Value::from).into()
}

/// The line that ends with the cell's count.
fn ended(mut values: Vec<Value<'_>>, cell: Cell) -> Line<'_> {
    values.push(Value::Count(cell.count));
    Line {
        values,
        provenance: Some(cell.provenance),
    }
}

fn told_by_reference(values: Vec<Value<'_>>) -> Line<'_> {
    Line {
        values,
        provenance: None,
    }
}

/// `01DEC2021`.
fn printed_date(day: Day) -> String {
    let month = day.month();
    let of_month = day.0 - month.first_day().0 + 1;
    format!("{of_month:02}{}{}", month.abbreviation(), month.year())
}
