//! The topics that come in, as closed sets.

use std::fmt;

/// The four suppliers of clinical systems under GPSoC (domain.md §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Supplier {
    Emis = 0,
    Tpp = 1,
    Inps = 2,
    Microtest = 3,
}

impl Supplier {
    pub const ALL: [Self; 4] = [Self::Emis, Self::Tpp, Self::Inps, Self::Microtest];

    /// As the publication's `SUPPLIER` column prints it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Emis => "EMIS",
            Self::Tpp => "TPP",
            Self::Inps => "INPS",
            Self::Microtest => "MICROTEST",
        }
    }
}

impl fmt::Display for Supplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Which of a clinical system's two modules a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Module {
    Appointments,
    Consultations,
}

/// The eight supplier topics (feeds.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SupplierTopic {
    EmisAppointments = 0,
    EmisConsultations = 1,
    TppAppointments = 2,
    TppConsultations = 3,
    InpsAppointments = 4,
    InpsConsultations = 5,
    MicrotestAppointments = 6,
    MicrotestConsultations = 7,
}

impl SupplierTopic {
    pub const ALL: [Self; 8] = [
        Self::EmisAppointments,
        Self::EmisConsultations,
        Self::TppAppointments,
        Self::TppConsultations,
        Self::InpsAppointments,
        Self::InpsConsultations,
        Self::MicrotestAppointments,
        Self::MicrotestConsultations,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmisAppointments => "emis.appointments",
            Self::EmisConsultations => "emis.consultations",
            Self::TppAppointments => "tpp.appointments",
            Self::TppConsultations => "tpp.consultations",
            Self::InpsAppointments => "inps.appointments",
            Self::InpsConsultations => "inps.consultations",
            Self::MicrotestAppointments => "microtest.appointments",
            Self::MicrotestConsultations => "microtest.consultations",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    #[must_use]
    pub const fn supplier(self) -> Supplier {
        match self {
            Self::EmisAppointments | Self::EmisConsultations => Supplier::Emis,
            Self::TppAppointments | Self::TppConsultations => Supplier::Tpp,
            Self::InpsAppointments | Self::InpsConsultations => Supplier::Inps,
            Self::MicrotestAppointments | Self::MicrotestConsultations => Supplier::Microtest,
        }
    }

    #[must_use]
    pub const fn module(self) -> Module {
        match self {
            Self::EmisAppointments
            | Self::TppAppointments
            | Self::InpsAppointments
            | Self::MicrotestAppointments => Module::Appointments,
            Self::EmisConsultations
            | Self::TppConsultations
            | Self::InpsConsultations
            | Self::MicrotestConsultations => Module::Consultations,
        }
    }
}

impl fmt::Display for SupplierTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The three compacted topics of reference data (feeds.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferenceTopic {
    Participation,
    Practices,
    SlotTypeMappings,
}

impl ReferenceTopic {
    pub const ALL: [Self; 3] = [Self::Participation, Self::Practices, Self::SlotTypeMappings];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Participation => "cqrs.participation",
            Self::Practices => "ods.practices",
            Self::SlotTypeMappings => "gpad.slot-type-mappings",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

impl fmt::Display for ReferenceTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
