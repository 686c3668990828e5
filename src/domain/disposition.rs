//! What became of a record: every record of the eight topics ends in exactly one disposition.

/// Why a version is withheld; of such a record nothing is kept but the count (feeds.md, rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Withholding {
    OutsideService,
    Declined,
    Withdrawn,
    NoAgreement,
}

impl Withholding {
    pub const ALL: [Self; 4] = [
        Self::OutsideService,
        Self::Declined,
        Self::Withdrawn,
        Self::NoAgreement,
    ];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::OutsideService => "outside_service",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
            Self::NoAgreement => "no_agreement",
        }
    }
}

/// Why a record is refused (feeds.md, rules 2, 3 and 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rejection {
    Undecodable,
    Misrouted,
    UnknownPractice,
    IdentifiableData,
    UnnamedField,
    MissingIdentity,
    UnparseableDate,
    UnknownStatus,
    DateOutOfRange,
    DurationOutOfRange,
    BeyondHorizon,
}

impl Rejection {
    pub const ALL: [Self; 11] = [
        Self::Undecodable,
        Self::Misrouted,
        Self::UnknownPractice,
        Self::IdentifiableData,
        Self::UnnamedField,
        Self::MissingIdentity,
        Self::UnparseableDate,
        Self::UnknownStatus,
        Self::DateOutOfRange,
        Self::DurationOutOfRange,
        Self::BeyondHorizon,
    ];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Misrouted => "misrouted",
            Self::UnknownPractice => "unknown_practice",
            Self::IdentifiableData => "identifiable_data",
            Self::UnnamedField => "unnamed_field",
            Self::MissingIdentity => "missing_identity",
            Self::UnparseableDate => "unparseable_date",
            Self::UnknownStatus => "unknown_status",
            Self::DateOutOfRange => "date_out_of_range",
            Self::DurationOutOfRange => "duration_out_of_range",
            Self::BeyondHorizon => "beyond_horizon",
        }
    }
}

/// Where a record ends (feeds.md, "Dispositions").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Disposition {
    /// The first admitted version, or a newer one that differs in a field an aggregate reads.
    Accepted,
    /// Newer, and no field that an aggregate reads differs.
    Unchanged,
    /// The version held, with the same content after the wrapper.
    Duplicate,
    /// The version held, with other content: the later offset wins.
    Conflicting,
    /// Older than the version held.
    Superseded,
    /// The newest version of a live linked consultation whose appointment has not come.
    Pending,
    Withheld(Withholding),
    Rejected(Rejection),
}

impl Disposition {
    /// How many there are, reasons told apart.
    pub const COUNT: usize = 6 + Withholding::ALL.len() + Rejection::ALL.len();

    /// Dense, in `0..COUNT`.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Accepted => 0,
            Self::Unchanged => 1,
            Self::Duplicate => 2,
            Self::Conflicting => 3,
            Self::Superseded => 4,
            Self::Pending => 5,
            Self::Withheld(why) => 6 + why as usize,
            Self::Rejected(why) => 6 + Withholding::ALL.len() + why as usize,
        }
    }

    /// Every disposition in the order of its index.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Self::Accepted,
            Self::Unchanged,
            Self::Duplicate,
            Self::Conflicting,
            Self::Superseded,
            Self::Pending,
        ]
        .into_iter()
        .chain(Withholding::ALL.into_iter().map(Self::Withheld))
        .chain(Rejection::ALL.into_iter().map(Self::Rejected))
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Conflicting => "conflicting",
            Self::Superseded => "superseded",
            Self::Pending => "pending",
            Self::Withheld(_) => "withheld",
            Self::Rejected(_) => "rejected",
        }
    }

    /// The reason of a withheld or rejected record.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Withheld(why) => Some(why.label()),
            Self::Rejected(why) => Some(why.label()),
            Self::Accepted
            | Self::Unchanged
            | Self::Duplicate
            | Self::Conflicting
            | Self::Superseded
            | Self::Pending => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_dense_and_in_order() {
        let indexes: Vec<_> = Disposition::all().map(Disposition::index).collect();
        assert_eq!(indexes, (0..Disposition::COUNT).collect::<Vec<_>>());
    }
}
