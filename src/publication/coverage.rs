//! Which practices a month includes, and how many patients they have (feeds.md, "Publication").

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::domain::reference::{
    AgreementState, PracticeIndex, PracticeRow, Reference, is_well_formed_practice_code,
};
use crate::domain::time::{Day, Month};

/// Practices and patients of one printed place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Covered {
    pub included_practices: i64,
    pub open_practices: i64,
    pub included_patients: i64,
    pub open_patients: i64,
}

impl Covered {
    fn add(&mut self, other: Self) {
        self.included_practices += other.included_practices;
        self.open_practices += other.open_practices;
        self.included_patients += other.included_patients;
        self.open_patients += other.open_patients;
    }

    /// Over all places.
    pub fn total<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut total = Self::default();
        for covered in all {
            total.add(*covered);
        }
        total
    }
}

/// By sub-ICB code, ICB ONS code, region ONS code; a missing code is empty, in a row of its own.
pub type Coverage = BTreeMap<(String, String, String), Covered>;

/// The coverage of a month, by the rows in force on its last day.
pub fn cover(reference: &Reference, month: Month, published: &FxHashMap<&str, i64>) -> Coverage {
    let last = month.last_day();
    let mut coverage = Coverage::new();
    for practice in reference.practices() {
        let code = reference.code(practice);
        let Some(row) = reference.row_on(practice, last) else {
            continue;
        };
        if !is_well_formed_practice_code(code) || !is_open(row, last) {
            continue;
        }
        let appointments = published.get(&**code).copied().unwrap_or(0);
        let patients = i64::from(row.registered_patients.unwrap_or(0));
        let enough = row
            .registered_patients
            .is_none_or(|patients| 12 * appointments >= i64::from(patients));
        let is_included = enough && agreed_within(reference, practice, month);
        let included = i64::from(is_included);
        let place = reference.place(row.place);
        let text =
            |code: &Option<std::sync::Arc<str>>| code.as_deref().unwrap_or_default().to_owned();
        let key = (
            text(&place.sub_icb),
            text(&place.icb_ons),
            text(&place.region_ons),
        );
        coverage.entry(key).or_default().add(Covered {
            included_practices: included,
            open_practices: 1,
            included_patients: included * patients,
            open_patients: patients,
        });
    }
    coverage
}

fn is_open(row: &PracticeRow, last: Day) -> bool {
    row.open_date.is_none_or(|opened| opened <= last)
        && row.close_date.is_none_or(|closed| closed > last)
}

fn agreed_within(reference: &Reference, practice: PracticeIndex, month: Month) -> bool {
    (month.first_day().0..=month.last_day().0)
        .any(|day| reference.agreement_on(practice, Day(day)) == Some(AgreementState::Approved))
}
