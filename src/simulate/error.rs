//! What can stop a simulation, by who has to act.

use std::path::PathBuf;

use thiserror::Error;

/// Why no records were drawn, or not all of them.
#[derive(Debug, Error)]
pub enum Error {
    /// A line of the cells file that cannot be read as one of its shape.
    #[error("{}, line {line}: {problem}", file.display())]
    Malformed {
        /// The cells file.
        file: PathBuf,
        /// Counted from 1, the header being line 1.
        line: u64,
        /// What is wrong, with the value.
        problem: String,
    },
    /// The file is whole, and does not hold the month.
    #[error("{}: has no cells of --month {asked}; it holds {there}", file.display())]
    NoSuchMonth {
        /// The cells file.
        file: PathBuf,
        /// As the option was given, `YYYY-MM`.
        asked: String,
        /// The months it does hold, comma-separated.
        there: String,
    },
    /// No day of the month can be extracted within the service period.
    #[error(
        "--month {month} does not fit --service-from {from} and --service-to {to}: an appointment is extracted within a \
         calendar year of its date and counted only once past, so service must reach from no later than {latest} to no earlier than {earliest}"
    )]
    OutsideService {
        /// `YYYY-MM`.
        month: String,
        /// First day of service.
        from: String,
        /// Last day of service.
        to: String,
        /// The latest first day of service that lets one day of the month in.
        latest: String,
        /// The earliest last day of service that lets one day of the month in.
        earliest: String,
    },
    /// An option's value is out of its range.
    #[error("{option} {value}: {range}")]
    Option {
        /// The option's name with its dashes.
        option: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
    /// Fewer real practices than places that need one each.
    #[error(
        "the practice mapping has too few practices for the places of the cells file ({places})"
    )]
    TooFewPractices {
        /// How many places the month's cells name.
        places: usize,
    },
    /// A file or a broker failed.
    #[error("{what}")]
    World {
        /// The file or the act.
        what: String,
        /// The failure.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the caller asked for something wrong (exit code 2), as opposed to a failure on the way (1).
    #[must_use]
    pub const fn is_wrong_use(&self) -> bool {
        match self {
            Self::Malformed { .. }
            | Self::NoSuchMonth { .. }
            | Self::OutsideService { .. }
            | Self::Option { .. }
            | Self::TooFewPractices { .. } => true,
            Self::World { .. } => false,
        }
    }

    /// A failure of the world, with what was being done.
    pub fn world(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::World {
            what: what.into(),
            source,
        }
    }
}
