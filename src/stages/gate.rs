//! Lets a version in on the days that its practice agreed to, within the service.

use crate::domain::disposition::Withholding;
use crate::domain::reference::{PracticeIndex, Reference};
use crate::domain::time::Day;

/// The days on which the collection runs, both in (feeds.md, rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServicePeriod {
    pub from: Day,
    /// `None`: open-ended.
    pub to: Option<Day>,
}

impl ServicePeriod {
    #[must_use]
    pub fn holds(&self, day: Day) -> bool {
        self.from <= day && self.to.is_none_or(|last| day <= last)
    }
}

/// Checks 3 and 4: the service period, then the agreement on the London day of extraction.
///
/// # Errors
/// The reason for which the version is withheld.
pub fn extraction(
    reference: &Reference,
    service: &ServicePeriod,
    practice: PracticeIndex,
    extracted_on: Day,
) -> Result<(), Withholding> {
    if !service.holds(extracted_on) {
        return Err(Withholding::OutsideService);
    }
    agreement(reference, practice, extracted_on)
}

/// Checks 4 and 10: approved on the day.
///
/// # Errors
/// The reason for which the version is withheld.
pub fn agreement(
    reference: &Reference,
    practice: PracticeIndex,
    day: Day,
) -> Result<(), Withholding> {
    match reference.agreement_on(practice, day) {
        Some(state) => state.withholding().map_or(Ok(()), Err),
        None => Err(Withholding::NoAgreement),
    }
}
