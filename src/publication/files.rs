//! The publication's files: headers exactly as published, rows by their key columns, no zero rows.

use std::borrow::Cow;
use std::path::Path;

use rustc_hash::FxHashMap;

use crate::domain::time::{Day, Month};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{
    DurationBand, HcpType, Mode, NationalCategory, PublishedStatus, WaitingBand,
};

use super::coverage::Coverage;
use super::names::PrintedNames;
use super::summary::Summary;
use super::{Publication, PublicationError};

type Line<'a> = Vec<Cow<'a, str>>;

const DAILY: &str = "SUB_ICB_LOCATION_CODE,SUB_ICB_LOCATION_ONS_CODE,SUB_ICB_LOCATION_NAME,\
ICB_ONS_CODE,REGION_ONS_CODE,Appointment_Date,APPT_STATUS,HCP_TYPE,APPT_MODE,\
TIME_BETWEEN_BOOK_AND_APPT,COUNT_OF_APPOINTMENTS";
const REGIONAL: &str = "CCG_CODE,CCG_ONS_CODE,CCG_NAME,STP_ONS,STPNM,REGION_ONS_CODE,REGION_NAME,\
Appointment_Month,APPT_STATUS,HCP_TYPE,APPT_MODE,TIME_BETWEEN_BOOK_AND_APPT,COUNT_OF_APPOINTMENTS";
const DURATION: &str = "SUB_ICB_LOCATION_CODE,SUB_ICB_LOCATION_ONS_CODE,SUB_ICB_LOCATION_NAME,\
ICB_ONS_CODE,REGION_ONS_CODE,Appointment_Date,ACTUAL_DURATION,COUNT_OF_APPOINTMENTS";
const COVERAGE: &str = "SUB_ICB_LOCATION_CODE,ICB_ONS_CODE,REGION_CODE,Appointment_Month,\
Included Practices,Open Practices,Patients registered at included practices,\
Patients registered at open practices";
const CROSSTAB: &str = "APPOINTMENT_MONTH_START_DATE,GP_CODE,GP_NAME,SUPPLIER,PCN_CODE,PCN_NAME,\
SUB_ICB_LOCATION_CODE,SUB_ICB_LOCATION_NAME,HCP_TYPE,APPT_MODE,NATIONAL_CATEGORY,\
TIME_BETWEEN_BOOK_AND_APPT,COUNT_OF_APPOINTMENTS,APPT_STATUS";
const SUMMARY: &str = "section,metric,count,share";

pub(super) fn regional(
    publication: &Publication,
    month: Month,
    names: &PrintedNames,
    path: &Path,
) -> Result<(), PublicationError> {
    let printed = format!("{}{}", month.abbreviation(), month.year());
    let mut cells: FxHashMap<(u32, [u8; 4]), i64> = FxHashMap::default();
    for ((place, day, values), count) in &publication.activity {
        if day.month() == month {
            *cells.entry((*place, *values)).or_default() += count;
        }
    }
    let lines = cells
        .iter()
        .filter(|(_, count)| **count != 0)
        .map(|((place, values), count)| {
            let [code, ons, icb, region] = sub_icb(publication, *place);
            let mut line = texts([
                code,
                ons,
                names.sub_icb(code),
                icb,
                names.icb(icb),
                region,
                names.region(region),
            ]);
            line.push(Cow::Borrowed(&printed));
            line.extend(texts(activity(*values)));
            line.push(count.to_string().into());
            line
        });
    write(
        path,
        REGIONAL,
        lines.collect(),
        &[0, 1, 3, 5, 7, 8, 9, 10, 11],
    )
}

pub(super) fn daily(
    publication: &Publication,
    month: Month,
    names: &PrintedNames,
    path: &Path,
) -> Result<(), PublicationError> {
    let cells = publication.activity.iter();
    let lines = cells.filter(|((_, day, _), _)| day.month() == month).map(
        |((place, day, values), count)| {
            let mut line = sub_icb_on(publication, names, *place, *day);
            line.extend(texts(activity(*values)));
            line.push(count.to_string().into());
            line
        },
    );
    write(path, DAILY, lines.collect(), &[0, 1, 3, 4, 5, 6, 7, 8, 9])
}

pub(super) fn duration(
    publication: &Publication,
    month: Month,
    names: &PrintedNames,
    path: &Path,
) -> Result<(), PublicationError> {
    let cells = publication.duration.iter();
    let lines = cells.filter(|((_, day, _), _)| day.month() == month).map(
        |((place, day, [band]), count)| {
            let mut line = sub_icb_on(publication, names, *place, *day);
            line.push(DurationBand::ALL[usize::from(*band)].label().into());
            line.push(count.to_string().into());
            line
        },
    );
    write(path, DURATION, lines.collect(), &[0, 1, 3, 4, 5, 6])
}

pub(super) fn practice_crosstab(
    publication: &Publication,
    month: Month,
    names: &PrintedNames,
    path: &Path,
) -> Result<(), PublicationError> {
    let printed = printed_date(month.first_day());
    let cells = publication.crosstab.iter();
    let lines =
        cells
            .filter(|((_, day, _), _)| day.month() == month)
            .map(|((place, _, values), count)| {
                let codes = &publication.codes[*place as usize];
                let (practice, pcn, sub_icb) = (&*codes[0], &*codes[1], &*codes[2]);
                let [supplier, hcp, mode, category, wait, status] = values.map(usize::from);
                let mut line = texts([
                    printed.as_str(),
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
                ]);
                line.push(count.to_string().into());
                line.push(PublishedStatus::ALL[status].label().into());
                line
            });
    write(
        path,
        CROSSTAB,
        lines.collect(),
        &[0, 1, 3, 4, 6, 8, 9, 10, 11, 13],
    )
}

pub(super) fn coverage(
    coverage: &Coverage,
    month: Month,
    path: &Path,
) -> Result<(), PublicationError> {
    let printed = printed_date(month.first_day());
    let lines = coverage.iter().map(|((sub_icb, icb, region), covered)| {
        let mut line = texts([sub_icb.as_str(), icb, region, &printed]);
        line.extend(
            [
                covered.included_practices,
                covered.open_practices,
                covered.included_patients,
                covered.open_patients,
            ]
            .map(|count| count.to_string().into()),
        );
        line
    });
    write(path, COVERAGE, lines.collect(), &[0, 1, 2, 3])
}

pub(super) fn summary(summary: &Summary, path: &Path) -> Result<(), PublicationError> {
    let lines = summary.iter().map(|((section, metric), (count, share))| {
        let mut line = texts([*section, *metric]);
        line.push(count.map_or(Cow::Borrowed(""), |count| count.to_string().into()));
        line.push(share.map_or(Cow::Borrowed(""), |share| share.to_string().into()));
        line
    });
    write(path, SUMMARY, lines.collect(), &[0, 1])
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
) -> Line<'a> {
    let [code, ons, icb, region] = sub_icb(publication, place);
    let mut line = texts([code, ons, names.sub_icb(code), icb, region]);
    line.push(printed_date(day).into());
    line
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

fn texts<const N: usize>(texts: [&str; N]) -> Line<'_> {
    texts.map(Cow::Borrowed).into()
}

/// `01DEC2021`.
fn printed_date(day: Day) -> String {
    let month = day.month();
    let of_month = day.0 - month.first_day().0 + 1;
    format!("{of_month:02}{}{}", month.abbreviation(), month.year())
}

fn write(
    path: &Path,
    header: &str,
    mut lines: Vec<Line<'_>>,
    key_columns: &[usize],
) -> Result<(), PublicationError> {
    lines.sort_unstable_by(|a, b| {
        key_columns
            .iter()
            .map(|at| a[*at].cmp(&b[*at]))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let fail = |source: csv::Error| PublicationError {
        path: path.to_owned(),
        source,
    };
    let mut file = csv::Writer::from_path(path).map_err(fail)?;
    file.write_record(header.split(',')).map_err(fail)?;
    for line in lines {
        file.write_record(line.iter().map(|text| text.as_bytes()))
            .map_err(fail)?;
    }
    file.flush().map_err(|error| fail(error.into()))
}
