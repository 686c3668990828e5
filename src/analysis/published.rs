//! Totals that were published before: a base for months that this service has no predecessor of.

use std::collections::BTreeMap;

use crate::domain::place::{ENGLAND, Level};
use crate::domain::time::Month;

const COLUMNS: [&str; 4] = ["level", "code", "month", "appointments"];

/// Appointments by level, code and month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishedTotals {
    by_place: BTreeMap<(Level, String), BTreeMap<Month, i64>>,
}

/// What is wrong with a file of totals.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TotalsError {
    #[error("line {line}: {why}")]
    Line { line: u64, why: String },
    #[error("the first line must name the columns level,code,month,appointments; it is `{0}`")]
    Columns(String),
}

impl PublishedTotals {
    /// From CSV: `level,code,month,appointments`, with a level of geography, a month as `YYYY-MM`, and a count; further
    /// columns are for people. A place may be named by its organisation code or its ONS code.
    ///
    /// # Errors
    /// The first line that is not so, or that repeats a month.
    pub fn parse(text: &str) -> Result<Self, TotalsError> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        let unreadable = |error: &csv::Error| TotalsError::Line {
            line: error.position().map_or(0, csv::Position::line),
            why: error.to_string(),
        };
        let columns = reader.headers().map_err(|error| unreadable(&error))?;
        if columns.iter().take(COLUMNS.len()).ne(COLUMNS) {
            let columns: Vec<&str> = columns.iter().collect();
            return Err(TotalsError::Columns(columns.join(",")));
        }
        let mut totals = Self::default();
        for record in reader.records() {
            let record = record.map_err(|error| unreadable(&error))?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = |why: String| TotalsError::Line { line, why };
            let field = |at: usize| record.get(at).unwrap_or_default().trim();
            let level = Level::from_label(field(0)).filter(|level| *level != Level::Supplier);
            let level = level.ok_or_else(|| {
                let why = "is none of practice, pcn, sub_icb, icb, region, england";
                wrong(format!("level: `{}` {why}", field(0)))
            })?;
            let code = if level == Level::England {
                ENGLAND
            } else {
                field(1)
            };
            if code.is_empty() {
                return Err(wrong("code: is missing".to_owned()));
            }
            let month = Month::parse(field(2)).ok_or_else(|| {
                wrong(format!("month: `{}` is no month such as 2019-03", field(2)))
            })?;
            let count = field(3).parse::<i64>().ok().filter(|count| *count >= 0);
            let count = count.ok_or_else(|| {
                wrong(format!(
                    "appointments: `{}` is no whole number from 0",
                    field(3)
                ))
            })?;
            let place = totals.by_place.entry((level, code.to_owned())).or_default();
            if place.insert(month, count).is_some() {
                let why = format!("{} {code} {} stands twice", level.label(), month.label());
                return Err(wrong(why));
            }
        }
        Ok(totals)
    }

    /// The totals of a place, under the first of its codes that has any.
    #[must_use]
    pub fn of(&self, level: Level, codes: &[&str]) -> BTreeMap<Month, i64> {
        let found = (codes.iter()).find_map(|code| self.by_place.get(&(level, (*code).to_owned())));
        found.cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::seasons::Months;
    use crate::domain::calendar::working_weekdays;

    #[test]
    fn totals_are_found_by_either_code_of_a_place() {
        let text = "level,code,month,appointments,source\n\
                    icb,E54000041,2019-03,379052,Dorset\nengland,,2021-02,22399569,\n";
        let totals = PublishedTotals::parse(text).expect("totals");
        let month = |label| Month::parse(label).expect("a month");
        let dorset = totals.of(Level::Icb, &["QVV", "E54000041"]);
        assert_eq!(dorset, BTreeMap::from([(month("2019-03"), 379_052)]));
        let england = totals.of(Level::England, &[ENGLAND]);
        assert_eq!(england.get(&month("2021-02")), Some(&22_399_569));
        assert!(totals.of(Level::SubIcb, &["E54000041"]).is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_would_be_right() {
        let head = "level,code,month,appointments\n";
        let cases = [
            ("county,X,2019-03,1", "county"),
            ("supplier,TPP,2019-03,1", "supplier"),
            ("icb,,2019-03,1", "code"),
            ("icb,QVV,2019-13,1", "2019-13"),
            ("icb,QVV,2019-03,-1", "-1"),
            ("icb,QVV,2019-03,", "appointments"),
            ("icb,QVV,2019-03,1\nicb,QVV,2019-03,1", "line 3"),
        ];
        for (rows, named) in cases {
            let error = PublishedTotals::parse(&format!("{head}{rows}\n")).expect_err(rows);
            assert!(error.to_string().contains(named), "{error}");
        }
        let error = PublishedTotals::parse("month,total\n").expect_err("columns");
        assert!(error.to_string().contains("month,total"), "{error}");
    }

    const SUMMARY: &str = include_str!("../../tests/data/national_summary_2021-02_2025-12.csv");
    const TOTALS: &str = include_str!("../../deploy/reference/published_totals.csv");

    /// Counts by month, section and metric; July 2023 was published twice and has two of each.
    fn national() -> BTreeMap<Month, BTreeMap<String, BTreeMap<String, Vec<i64>>>> {
        let mut national: BTreeMap<_, BTreeMap<_, BTreeMap<_, Vec<i64>>>> = BTreeMap::new();
        for record in csv::Reader::from_reader(SUMMARY.as_bytes()).records() {
            let record = record.expect("a row");
            if &record[3] != "count" {
                continue;
            }
            let month = Month::parse(&record[0]).expect("a month");
            let sections = national.entry(month).or_default();
            let metrics = sections.entry(record[1].to_owned()).or_default();
            let counts = metrics.entry(record[2].to_owned()).or_default();
            counts.push(record[4].parse().expect("a count"));
        }
        national
    }

    #[test]
    fn fifty_nine_published_months_have_the_working_weekdays_and_totals_of_the_rules() {
        let totals = PublishedTotals::parse(TOTALS).expect("totals");
        let england = totals.of(Level::England, &[ENGLAND]);
        let national = national();
        assert_eq!(national.len(), 59);
        let mut sums = 0;
        for (month, sections) in &national {
            let days = &sections["Working Days"]["Number of working weekdays"];
            let ours = i64::from(working_weekdays(*month));
            assert!(days.iter().all(|days| *days == ours), "{}", month.label());
            let published = &sections["Appointment Count"]["Total count of appointments"];
            assert_eq!(published.last(), england.get(month), "{}", month.label());
            // All editions of a month together.
            let total: i64 = published.iter().sum();
            for (section, metrics) in sections {
                let mut sum: i64 = metrics.values().flatten().sum();
                match section.as_str() {
                    "Working Days" | "Appointment Count" | "Coverage" => continue,
                    // What is no care related encounter stands among the categories.
                    "Context Type" => {
                        let categories = &sections["National Category"];
                        for other in ["National Category Unmapped", "Inconsistent Mapping"] {
                            sum += categories[other].iter().sum::<i64>();
                        }
                    }
                    _ => {}
                }
                assert_eq!(sum, total, "{} {section}", month.label());
                sums += 1;
            }
        }
        // Four breakdowns of every month; four more since August 2021.
        assert_eq!(sums, 4 * 59 + 4 * 53);
    }

    #[test]
    fn seasons_of_the_published_months_are_derived_from_them() {
        let totals = PublishedTotals::parse(TOTALS).expect("totals");
        let months = Months::new([], totals.of(Level::England, &[ENGLAND]));
        let seasons = months.seasons();
        let national = national();
        let of = |month: Month| {
            let sections = national.get(&month)?;
            let appointments =
                sections["Appointment Count"]["Total count of appointments"].last()?;
            let days = sections["Working Days"]["Number of working weekdays"].last()?;
            Some(*appointments as f64 / *days as f64)
        };
        let mut compared = 0;
        for season in &seasons {
            let month = season.counted.month;
            let Some(rate) = of(month) else { continue };
            assert_eq!(season.counted.per_working_weekday(), Some(rate));
            if let Some(before) = of(Month(month.0 - 12)) {
                let change = season
                    .year_before
                    .and_then(|before| season.counted.change_from(&before));
                let change = change.expect("a year before");
                assert!(
                    (change - (rate / before - 1.0)).abs() < 1e-12,
                    "{}",
                    month.label()
                );
                compared += 1;
            }
        }
        assert_eq!(compared, 47);
        // By hand: 39,345,659 in 23 days against 38,513,556 in 23; the winter year 2021/22 whole.
        let october = seasons
            .iter()
            .find(|it| it.counted.month.label() == "2025-10")
            .expect("it");
        let change = october
            .counted
            .change_from(&october.year_before.expect("2024"));
        assert!((change.expect("a change") - 0.021_605_457).abs() < 1e-9);
        let winters = months.winters();
        let winter = winters
            .iter()
            .find(|it| it.year.to_string() == "2021/22")
            .expect("it");
        assert_eq!(
            (winter.total.months, winter.total.working_weekdays),
            (12, 251)
        );
        assert_eq!(winter.total.appointments, 324_339_354);
    }
}
