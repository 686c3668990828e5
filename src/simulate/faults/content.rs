//! What can be wrong with a record.

use crate::domain::time::Day;

/// When the records' appointments are, and when they are extracted.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Date of the appointment.
    pub day: Day,
    /// UTC milliseconds.
    pub at: i64,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing: an attended appointment and a consultation.
    Sound,
    /// Nothing, but for the day on which it is extracted.
    SoundOn {
        /// That day.
        day: Day,
    },
    /// The text stands in one of the scanned fields.
    Scanned {
        /// Which of them.
        field: usize,
    },
    /// Dates or times that are none, one of several.
    Unparseable(u8),
    /// A status that the feed does not name, one of several.
    Status(u8),
    /// More than a calendar year before the extraction.
    TooOld,
    /// More than a calendar year after the extraction.
    TooFar,
    /// Longer than a day.
    Duration,
    /// Shorter than nothing.
    NegativeDuration,
}

impl Content {
    /// What is refused for what it says, but for identifiable data.
    pub const REFUSED: &'static [Self] = &[
        Self::Unparseable(0),
        Self::Unparseable(1),
        Self::Unparseable(2),
        Self::Status(0),
        Self::Status(1),
        Self::Status(2),
        Self::TooOld,
        Self::TooFar,
        Self::Duration,
        Self::NegativeDuration,
    ];

    /// The scanned field that holds the text.
    pub const fn field(self) -> Option<usize> {
        if let Self::Scanned { field } = self {
            Some(field)
        } else {
            None
        }
    }

    /// Which of the dates or times that are none.
    pub const fn unparseable(self) -> Option<u8> {
        if let Self::Unparseable(which) = self {
            Some(which)
        } else {
            None
        }
    }

    /// Which of the statuses that the feed does not name.
    pub const fn status(self) -> Option<u8> {
        if let Self::Status(which) = self {
            Some(which)
        } else {
            None
        }
    }
}

/// Whether the fault can stand in an appointment, whose scanned fields are these.
pub fn wants_appointment(content: Content, fields: &[usize]) -> bool {
    content.field().is_none_or(|field| fields.contains(&field))
}

/// Whether the fault can stand in a consultation, whose scanned fields are these: it has neither status nor length.
pub fn wants_consultation(content: Content, fields: &[usize]) -> bool {
    match content {
        Content::Scanned { field } => fields.contains(&field),
        Content::Status(_) | Content::Duration | Content::NegativeDuration => false,
        Content::Sound
        | Content::SoundOn { .. }
        | Content::Unparseable(_)
        | Content::TooOld
        | Content::TooFar => true,
    }
}
