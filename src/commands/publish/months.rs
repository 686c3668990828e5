//! The months that are asked for: one, or all from one to another.

use anyhow::anyhow;

use crate::domain::time::Month;

/// From one month to another, both in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Months {
    pub from: Month,
    pub to: Month,
}

impl Months {
    /// Reads `2022-02`, or `2020-01..2022-06`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let month = |text: &str| {
            let wrong =
                || format!("`{text}`: expected a month such as 2022-02, or 2020-01..2022-06");
            Month::parse(text).ok_or_else(wrong)
        };
        let (from, to) = match text.split_once("..") {
            Some((from, to)) => (month(from)?, month(to)?),
            None => (month(text)?, month(text)?),
        };
        if to < from {
            return Err(format!(
                "`{text}`: {} is before {}",
                to.label(),
                from.label()
            ));
        }
        Ok(Self { from, to })
    }

    fn holds(self, month: Month) -> bool {
        (self.from..=self.to).contains(&month)
    }
}

/// The months asked for, of those that there are; ascending, each once.
///
/// # Errors
/// A month that is not there, or a stretch without any.
pub fn chosen(wanted: &[Months], there: &[Month]) -> anyhow::Result<Vec<Month>> {
    for months in wanted {
        if !there.iter().any(|month| months.holds(*month)) {
            let labels: Vec<_> = there.iter().map(|month| month.label()).collect();
            let labels = if labels.is_empty() {
                "none".to_owned()
            } else {
                labels.join(", ")
            };
            let asked = if months.from == months.to {
                months.from.label()
            } else {
                format!("{}..{}", months.from.label(), months.to.label())
            };
            return Err(anyhow!(
                "--month {asked}: the topics hold no published appointment of it; months there are: {labels}"
            ));
        }
    }
    let is_wanted = |month: &&Month| wanted.iter().any(|months| months.holds(**month));
    Ok(there.iter().filter(is_wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn months(text: &str) -> Months {
        Months::parse(text).unwrap()
    }

    #[test]
    fn a_stretch_takes_the_months_that_are_there_and_a_month_must_be() {
        let there = ["2020-12", "2021-01", "2021-03"].map(|text| months(text).from);
        let labels = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|text| months(text)).collect();
            let chosen = chosen(&wanted, &there).map_err(|error| error.to_string())?;
            Ok::<_, String>(
                chosen
                    .iter()
                    .map(|it| it.label())
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        let all = Ok("2020-12 2021-01 2021-03".to_owned());
        assert_eq!(labels(&["2020-01..2021-12"]), all);
        assert_eq!(labels(&["2021-03", "2020-12..2021-02", "2021-01"]), all);
        assert_eq!(labels(&["2021-01"]), Ok("2021-01".to_owned()));
        let missing = labels(&["2021-01", "2021-02"]).unwrap_err();
        assert!(
            missing.starts_with("--month 2021-02: ") && missing.ends_with("2021-03"),
            "{missing}"
        );
        let none = labels(&["2022-01..2022-02"]).unwrap_err();
        assert!(none.starts_with("--month 2022-01..2022-02: "), "{none}");
    }

    #[test]
    fn what_is_no_month_is_told() {
        for wrong in [
            "",
            "2022",
            "2022-13",
            "2022-01..",
            "2022-01..x",
            "2022-01...2022-02",
        ] {
            assert!(
                Months::parse(wrong)
                    .unwrap_err()
                    .contains("expected a month"),
                "{wrong}"
            );
        }
        assert_eq!(
            Months::parse("2022-02..2022-01").unwrap_err(),
            "`2022-02..2022-01`: 2022-01 is before 2022-02"
        );
    }
}
