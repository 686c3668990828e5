//! The wrapper that every supplier's record begins with (feeds.md).

use crate::domain::time::Timestamp;
use crate::wire::supplier::{emis, inps, microtest, tpp};

/// Who sent a record, and of when it is.
pub trait Wrapper<'a> {
    fn practice_ods_code(&self) -> &'a str;

    /// The version.
    fn extracted_at(&self) -> Timestamp;
}

macro_rules! wrapper {
    ($($record:ty),+ $(,)?) => {
        $(impl<'a> Wrapper<'a> for $record {
            fn practice_ods_code(&self) -> &'a str {
                self.practice_ods_code
            }

            fn extracted_at(&self) -> Timestamp {
                Timestamp(self.extracted_at)
            }
        })+
    };
}

wrapper!(
    emis::Appointment<'a>,
    emis::Consultation<'a>,
    tpp::Appointment<'a>,
    tpp::Consultation<'a>,
    inps::Appointment<'a>,
    inps::Consultation<'a>,
    microtest::Appointment<'a>,
    microtest::Consultation<'a>,
);
