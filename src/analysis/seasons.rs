//! Months against the same month of earlier years, per working weekday, and winter years.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::calendar::working_weekdays;
use crate::domain::time::Month;

/// The last year before the pandemic.
pub const PRE_PANDEMIC: i32 = 2019;

/// October to September, so that a winter is whole (domain.md §2); by the year that it starts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WinterYear(pub i32);

impl WinterYear {
    #[must_use]
    pub const fn of(month: Month) -> Self {
        Self(month.year() - if month.number() < 10 { 1 } else { 0 })
    }

    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0 - 1)
    }
}

/// `2021/22`.
impl fmt::Display for WinterYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}/{:02}", self.0, (self.0 + 1).rem_euclid(100))
    }
}

/// Who has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This service.
    Live,
    /// *Appointments in General Practice*.
    Published,
}

impl Source {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Published => "published",
        }
    }
}

/// Appointments of some days of a month, those of weekends and holidays among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub month: Month,
    pub source: Source,
    pub appointments: i64,
    /// Among the days counted.
    pub working_weekdays: u32,
    /// Every day of the month is in.
    pub is_whole: bool,
}

impl Counted {
    /// A month as published.
    #[must_use]
    pub fn published(month: Month, appointments: i64) -> Self {
        Self {
            month,
            source: Source::Published,
            appointments,
            working_weekdays: working_weekdays(month),
            is_whole: true,
        }
    }

    /// `None` before the first working weekday.
    #[must_use]
    pub fn per_working_weekday(&self) -> Option<f64> {
        let days = f64::from(self.working_weekdays);
        (self.working_weekdays > 0).then(|| self.appointments as f64 / days)
    }

    /// The relative change from an earlier one, per working weekday: 0.1 is a tenth more.
    #[must_use]
    pub fn change_from(&self, earlier: &Self) -> Option<f64> {
        let earlier = earlier.per_working_weekday().filter(|rate| *rate > 0.0)?;
        Some(self.per_working_weekday()? / earlier - 1.0)
    }
}

/// A month and what it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Season {
    pub counted: Counted,
    /// The published total of a month that is counted live.
    pub published: Option<i64>,
    pub year_before: Option<Counted>,
    /// The same month of [`PRE_PANDEMIC`].
    pub pre_pandemic: Option<Counted>,
}

/// Live and published months of one place.
#[derive(Debug, Clone, Default)]
pub struct Months {
    live: BTreeMap<Month, Counted>,
    published: BTreeMap<Month, i64>,
}

impl Months {
    #[must_use]
    pub fn new(live: impl IntoIterator<Item = Counted>, published: BTreeMap<Month, i64>) -> Self {
        let live = live.into_iter().map(|counted| (counted.month, counted));
        Self {
            live: live.collect(),
            published,
        }
    }

    /// What stands for a month that others are compared with: a whole month, live before published.
    fn whole(&self, month: Month) -> Option<Counted> {
        let live = self.live.get(&month).filter(|live| live.is_whole);
        live.copied().or_else(|| {
            let published = self.published.get(&month)?;
            Some(Counted::published(month, *published))
        })
    }

    /// Every month that is known, live or published.
    fn all(&self) -> BTreeMap<Month, Counted> {
        let published =
            (self.published.iter()).map(|(of, count)| (*of, Counted::published(*of, *count)));
        let mut all: BTreeMap<Month, Counted> = published.collect();
        all.extend(self.live.iter().map(|(month, counted)| (*month, *counted)));
        all
    }

    /// In the order of time.
    #[must_use]
    pub fn seasons(&self) -> Vec<Season> {
        let seasons = self.all().into_iter().map(|(month, counted)| {
            let is_live = counted.source == Source::Live;
            Season {
                counted,
                published: self.published.get(&month).copied().filter(|_| is_live),
                year_before: self.whole(Month(month.0 - 12)),
                pre_pandemic: (month.year() > PRE_PANDEMIC)
                    .then(|| self.whole(Month::new(PRE_PANDEMIC, month.number() - 1)))
                    .flatten(),
            }
        });
        seasons.collect()
    }

    /// Winter years of whole months, in the order of time.
    #[must_use]
    pub fn winters(&self) -> Vec<Winter> {
        let mut winters: BTreeMap<WinterYear, Winter> = BTreeMap::new();
        for month in self.all().into_keys() {
            let Some(counted) = self.whole(month) else {
                continue;
            };
            let year = WinterYear::of(month);
            let winter = winters.entry(year).or_insert(Winter::empty(year));
            winter.total.add(&counted);
            if let Some(earlier) = self.whole(Month(month.0 - 12)) {
                winter.comparable.0.add(&counted);
                winter.comparable.1.add(&earlier);
            }
        }
        winters.into_values().collect()
    }
}

/// Some months together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    pub months: u32,
    pub appointments: i64,
    pub working_weekdays: u32,
}

impl Total {
    fn add(&mut self, counted: &Counted) {
        self.months += 1;
        self.appointments += counted.appointments;
        self.working_weekdays += counted.working_weekdays;
    }

    /// `None` without a working weekday.
    #[must_use]
    pub fn per_working_weekday(&self) -> Option<f64> {
        let days = f64::from(self.working_weekdays);
        (self.working_weekdays > 0).then(|| self.appointments as f64 / days)
    }
}

/// A winter year, as far as its months are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Winter {
    pub year: WinterYear,
    /// Of its 12 months, those that are known and whole.
    pub total: Total,
    /// Months that are known of the year before, too: like is compared with like. This year's, then that one's.
    comparable: (Total, Total),
}

impl Winter {
    fn empty(year: WinterYear) -> Self {
        Self {
            year,
            total: Total::default(),
            comparable: Default::default(),
        }
    }

    /// Months that [`Self::change`] is over.
    #[must_use]
    pub const fn comparable_months(&self) -> u32 {
        self.comparable.0.months
    }

    /// The relative change from the winter year before, per working weekday, over the months known of both.
    #[must_use]
    pub fn change(&self) -> Option<f64> {
        let before = self.comparable.1.per_working_weekday();
        let before = before.filter(|rate| *rate > 0.0)?;
        Some(self.comparable.0.per_working_weekday()? / before - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(label: &str) -> Month {
        Month::parse(label).expect("a month")
    }

    fn live(label: &str, appointments: i64, working_weekdays: u32, is_whole: bool) -> Counted {
        Counted {
            month: month(label),
            source: Source::Live,
            appointments,
            working_weekdays,
            is_whole,
        }
    }

    #[test]
    fn a_winter_year_is_october_to_september() {
        let cases = [
            ("2021-09", "2020/21"),
            ("2021-10", "2021/22"),
            ("2021-12", "2021/22"),
            ("2022-01", "2021/22"),
            ("2022-09", "2021/22"),
            ("1999-10", "1999/00"),
        ];
        for (of, year) in cases {
            assert_eq!(WinterYear::of(month(of)).to_string(), year, "{of}");
        }
    }

    #[test]
    fn a_month_is_compared_live_before_published_and_with_whole_months_only() {
        let published = [
            ("2019-03", 210),
            ("2020-03", 110),
            ("2021-03", 230),
            ("2021-04", 100),
        ];
        let published = published.map(|(of, count)| (month(of), count));
        let months = Months::new(
            [
                live("2021-03", 460, 23, true),
                live("2022-03", 230, 23, true),
                live("2022-04", 100, 10, false),
                live("2023-04", 90, 9, false),
            ],
            published.into_iter().collect(),
        );
        let seasons = months.seasons();
        let find = |of| {
            seasons
                .iter()
                .find(|season| season.counted.month == month(of))
                .expect("a season")
        };
        let march = find("2022-03");
        // 23 working weekdays each: 10 a day against 20 a day.
        assert_eq!(march.year_before, Some(live("2021-03", 460, 23, true)));
        assert_eq!(
            march.counted.change_from(&march.year_before.expect("live")),
            Some(-0.5)
        );
        // March 2019 had 21: 10 a day, too.
        assert_eq!(
            march.pre_pandemic,
            Some(Counted::published(month("2019-03"), 210))
        );
        assert_eq!(
            march
                .counted
                .change_from(&march.pre_pandemic.expect("published")),
            Some(0.0)
        );
        assert_eq!(find("2021-03").published, Some(230));
        assert_eq!(
            find("2022-04").year_before,
            Some(Counted::published(month("2021-04"), 100))
        );
        assert_eq!(find("2023-04").year_before, None, "April 2022 is not whole");
        assert_eq!(
            find("2019-03").pre_pandemic,
            None,
            "no month is compared with itself"
        );
        assert_eq!(find("2019-03").year_before, None);
        assert_eq!(find("2020-03").pre_pandemic, find("2020-03").year_before);
    }

    #[test]
    fn winter_years_compare_the_months_that_both_have() {
        let published = [
            ("2020-10", 220),
            ("2020-11", 999),
            ("2021-10", 420),
            ("2021-12", 2_100),
        ];
        let published = published.map(|(of, count)| (month(of), count));
        let months = Months::new(
            [live("2022-01", 7, 1, false)],
            published.into_iter().collect(),
        );
        let [before, winter] = months.winters()[..] else {
            panic!("{:?}", months.winters());
        };
        assert_eq!(
            (before.year, before.comparable_months(), before.change()),
            (WinterYear(2020), 0, None)
        );
        assert_eq!(
            winter.total,
            Total {
                months: 2,
                appointments: 2_520,
                working_weekdays: 42
            }
        );
        assert_eq!(winter.comparable_months(), 1);
        // October 2020 had 22 working weekdays and October 2021 had 21: 10 and 20 a day.
        assert_eq!(winter.change(), Some(1.0));
    }

    #[test]
    fn without_a_working_weekday_there_is_no_rate() {
        let none = live("2022-10", 5, 0, false);
        assert_eq!(none.per_working_weekday(), None);
        assert_eq!(live("2022-10", 5, 1, false).change_from(&none), None);
        assert_eq!(
            live("2022-10", 5, 1, false).change_from(&live("2021-10", 0, 21, true)),
            None
        );
    }
}
