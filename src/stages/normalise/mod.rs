//! From a supplier's record to a draft: dates and times parsed, then the status known.
//!
//! Adding a supplier adds its file here; the compiler finds the rest.

mod emis;
mod inps;
mod microtest;
mod tpp;

use crate::domain::disposition::Rejection;
use crate::domain::draft::{AppointmentDraft, CategoryTexts, ConsultationDraft};
use crate::domain::text::trimmed;
use crate::domain::time::{Day, Local, MILLIS_PER_DAY};

/// Why a record cannot become a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Rejection,
    /// The field at fault.
    pub field: &'static str,
    /// The record's own date, where it parses: it decides what its dead letter may hold.
    pub day: Option<Day>,
}

/// A draft of either module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draft<'a> {
    Appointment(AppointmentDraft<'a>),
    Consultation(ConsultationDraft<'a>),
}

/// A supplier record that can become a draft.
pub trait Normalise<'a> {
    /// `content` is the fingerprint of all that follows the wrapper.
    ///
    /// # Errors
    /// Checks 6 and 7 of feeds.md, in that order.
    fn normalise(&self, content: u64) -> Result<Draft<'a>, Refusal>;
}

/// Text of an optional field: trimmed, blank is missing.
fn present(text: Option<&str>) -> Option<&str> {
    text.map(trimmed).filter(|text| !text.is_empty())
}

/// An identity: never trimmed, blank is missing.
fn identity(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !trimmed(text).is_empty())
}

fn own_category<'a>(
    category: Option<&'a str>,
    context: Option<&'a str>,
    setting: Option<&'a str>,
) -> Option<CategoryTexts<'a>> {
    Some(CategoryTexts {
        category: present(category)?,
        context: present(context),
        setting: present(setting),
    })
}

/// Whole minutes between two ends, and whether they stand in the wrong order.
fn minutes_between(start: Option<Local>, end: Option<Local>) -> (Option<i64>, bool) {
    match (start, end) {
        (Some(start), Some(end)) => {
            let minutes = start.minutes_until(end);
            if minutes < 0 {
                (None, true)
            } else {
                (Some(minutes), false)
            }
        }
        _ => (None, false),
    }
}

/// Parses the fields of one record and remembers its date for the refusal.
#[derive(Debug, Clone, Copy)]
struct Fields {
    day: Option<Day>,
}

impl Fields {
    const fn new() -> Self {
        Self { day: None }
    }

    const fn refuse(self, reason: Rejection, field: &'static str) -> Refusal {
        Refusal {
            reason,
            field,
            day: self.day,
        }
    }

    fn parsed<T>(self, value: Option<T>, field: &'static str) -> Result<T, Refusal> {
        value.ok_or(self.refuse(Rejection::UnparseableDate, field))
    }

    /// The record's own date.
    fn own_day(&mut self, value: Option<Day>, field: &'static str) -> Result<Day, Refusal> {
        let day = self.parsed(value, field)?;
        self.day = Some(day);
        Ok(day)
    }

    /// An optional field: a value that is there must parse.
    fn optional<T, U>(
        self,
        value: Option<T>,
        field: &'static str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<Option<U>, Refusal> {
        value
            .map(|value| self.parsed(parse(value), field))
            .transpose()
    }

    /// Asked for after the record's own date, which decides what the refusal may tell.
    fn required_identity<'a>(self, text: &'a str, field: &'static str) -> Result<&'a str, Refusal> {
        identity(Some(text)).ok_or(self.refuse(Rejection::MissingIdentity, field))
    }

    fn known<T>(self, state: Option<T>, field: &'static str) -> Result<T, Refusal> {
        state.ok_or(self.refuse(Rejection::UnknownStatus, field))
    }
}

/// An Avro `date` within chrono's years.
fn avro_date(days: i32) -> Option<Day> {
    Some(Day(days)).filter(|day| day.has_date())
}

/// An Avro `time-millis` within one day.
fn avro_time(millis: i32) -> Option<i64> {
    let millis = i64::from(millis);
    (0..MILLIS_PER_DAY).contains(&millis).then_some(millis)
}
