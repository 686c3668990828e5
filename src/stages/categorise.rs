//! Says where an appointment's category comes from, and whether it is a COVID-19 vaccination.

use crate::domain::category::{Category, is_covid_vaccination};
use crate::domain::draft::AppointmentDraft;

/// What categorisation adds to a draft (feeds.md, rule 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Categorised {
    /// `None`: the slot-type mapping in force on the appointment date decides, whenever it comes.
    pub own: Option<Category>,
    pub is_covid_vaccination: bool,
}

/// The record's own category, if it names one.
#[must_use]
pub fn categorise(draft: &AppointmentDraft<'_>) -> Categorised {
    Categorised {
        own: draft.own_category.as_ref().map(Category::resolve),
        is_covid_vaccination: is_covid_vaccination(draft.slot_type, draft.start.day()),
    }
}
