//! Where a figure belongs: the levels of geography, and the codes that a row is grouped by.

use std::sync::Arc;

/// The ONS code of England.
pub const ENGLAND: &str = "E92000001";

/// A level that figures are summed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    Practice,
    Pcn,
    SubIcb,
    Icb,
    Region,
    England,
    /// Not geography: the system that sent the record.
    Supplier,
}

impl Level {
    pub const ALL: [Self; 7] = [
        Self::Practice,
        Self::Pcn,
        Self::SubIcb,
        Self::Icb,
        Self::Region,
        Self::England,
        Self::Supplier,
    ];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Practice => "practice",
            Self::Pcn => "pcn",
            Self::SubIcb => "sub_icb",
            Self::Icb => "icb",
            Self::Region => "region",
            Self::England => "england",
            Self::Supplier => "supplier",
        }
    }

    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.label() == label)
    }
}

/// A code, or `None` where the reference data lacks it.
pub type Code = Option<Arc<str>>;

/// The codes of a practice's row, or of what is above it: finer codes are `None` there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Place {
    pub practice: Code,
    pub pcn: Code,
    pub sub_icb: Code,
    pub sub_icb_ons: Code,
    pub icb: Code,
    pub icb_ons: Code,
    pub region: Code,
    pub region_ons: Code,
}

impl Place {
    /// The part of the codes that a row of `level` is grouped by. A practice's and a sub-ICB's row
    /// is grouped by the codes it is printed with (domain.md §3.7), so a practice that changes its
    /// PCN inside a month has two rows in that month's crosstab.
    #[must_use]
    pub fn at(&self, level: Level) -> Self {
        match level {
            Level::Practice => Self {
                practice: self.practice.clone(),
                pcn: self.pcn.clone(),
                sub_icb: self.sub_icb.clone(),
                ..Self::default()
            },
            Level::Pcn => Self {
                pcn: self.pcn.clone(),
                ..Self::default()
            },
            Level::SubIcb => Self {
                sub_icb: self.sub_icb.clone(),
                sub_icb_ons: self.sub_icb_ons.clone(),
                icb_ons: self.icb_ons.clone(),
                region_ons: self.region_ons.clone(),
                ..Self::default()
            },
            Level::Icb => match &self.icb {
                Some(_) => Self {
                    icb: self.icb.clone(),
                    ..Self::default()
                },
                None => Self {
                    icb_ons: self.icb_ons.clone(),
                    ..Self::default()
                },
            },
            Level::Region => match &self.region {
                Some(_) => Self {
                    region: self.region.clone(),
                    ..Self::default()
                },
                None => Self {
                    region_ons: self.region_ons.clone(),
                    ..Self::default()
                },
            },
            Level::England | Level::Supplier => Self::default(),
        }
    }

    /// All but the practice; without the PCN too where no one sums by it.
    #[must_use]
    pub fn above_practice(&self, with_pcn: bool) -> Self {
        Self {
            practice: None,
            pcn: self.pcn.clone().filter(|_| with_pcn),
            ..self.clone()
        }
    }

    /// The row's code at a level of geography; empty where the reference data lacks it. An ICB or a
    /// region without its organisation code goes by its ONS code.
    #[must_use]
    pub fn code(&self, level: Level) -> &str {
        let code = match level {
            Level::Practice => &self.practice,
            Level::Pcn => &self.pcn,
            Level::SubIcb => &self.sub_icb,
            Level::Icb => self.icb.as_ref().map_or(&self.icb_ons, |_| &self.icb),
            Level::Region => self
                .region
                .as_ref()
                .map_or(&self.region_ons, |_| &self.region),
            Level::England | Level::Supplier => return ENGLAND,
        };
        code.as_deref().unwrap_or_default()
    }

    /// The further codes that a row of `level` is printed with, by the name of their dimension.
    #[must_use]
    pub fn printed_codes(&self, level: Level) -> Vec<(&'static str, &str)> {
        fn text(code: &Code) -> &str {
            code.as_deref().unwrap_or_default()
        }
        match level {
            Level::Practice => vec![
                ("pcn_code", text(&self.pcn)),
                ("sub_icb_code", text(&self.sub_icb)),
            ],
            Level::SubIcb => vec![
                ("sub_icb_ons_code", text(&self.sub_icb_ons)),
                ("icb_ons_code", text(&self.icb_ons)),
                ("region_ons_code", text(&self.region_ons)),
            ],
            Level::Pcn | Level::Icb | Level::Region | Level::England | Level::Supplier => vec![],
        }
    }
}
