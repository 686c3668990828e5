//! The closed vocabularies of the publication (domain.md §2), each with its printed label.

/// Declares a closed set with its printed labels, in the order they are packed.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $label:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As printed in the publication's files.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }

            /// The value that is printed so; an exact match.
            #[must_use]
            pub fn from_label(label: &str) -> Option<Self> {
                match label { $($label => Some(Self::$variant),)+ _ => None }
            }

            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The inverse of [`Self::index`], `None` beyond the set.
            #[must_use]
            pub fn from_index(index: usize) -> Option<Self> {
                Self::ALL.get(index).copied()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}

vocabulary! {
    /// What became of a past appointment, as published.
    PublishedStatus { Attended => "Attended", Dna => "DNA", Unknown => "Unknown" }
}

vocabulary! {
    /// The health-care professional's type, as published.
    HcpType { Gp => "GP", OtherPracticeStaff => "Other Practice staff", Unknown => "Unknown" }
}

vocabulary! {
    /// The SDS role group, from the 459 role codes.
    SdsRoleGroup {
        Gp => "GP",
        Nurses => "Nurses",
        OtherDirectPatientCare => "Other Direct Patient Care",
        DataQuality => "Data Quality",
        Unknown => "Unknown",
    }
}

impl SdsRoleGroup {
    /// domain.md §2: GP → GP; Nurses and Other Direct Patient Care → other staff; the rest unknown.
    #[must_use]
    pub const fn hcp_type(self) -> HcpType {
        match self {
            Self::Gp => HcpType::Gp,
            Self::Nurses | Self::OtherDirectPatientCare => HcpType::OtherPracticeStaff,
            Self::DataQuality | Self::Unknown => HcpType::Unknown,
        }
    }
}

vocabulary! {
    /// How the appointment was held, as published.
    Mode {
        FaceToFace => "Face-to-Face",
        Telephone => "Telephone",
        HomeVisit => "Home Visit",
        VideoOnline => "Video/Online",
        Unknown => "Unknown",
    }
}

impl Mode {
    /// A version-2 native value (domain.md §2), trimmed by the caller; anything else is unknown.
    #[must_use]
    pub fn from_native(text: &str) -> Self {
        match text {
            "Face to Face (Surgery)" => Self::FaceToFace,
            "Face to Face (Home Visit)" => Self::HomeVisit,
            "Telephone/Audio" => Self::Telephone,
            "Video with Audio" | "Written (Including Online)" => Self::VideoOnline,
            _ => Self::Unknown,
        }
    }
}

vocabulary! {
    /// Days between booking and appointment; two spaces in three labels, as published.
    WaitingBand {
        SameDay => "Same Day",
        OneDay => "1 Day",
        TwoToSevenDays => "2 to 7 Days",
        EightToFourteenDays => "8  to 14 Days",
        FifteenToTwentyOneDays => "15  to 21 Days",
        TwentyTwoToTwentyEightDays => "22  to 28 Days",
        MoreThanTwentyEightDays => "More than 28 Days",
        Unknown => "Unknown / Data Quality",
    }
}

impl WaitingBand {
    /// From the difference of calendar dates; negative is a booking after its appointment.
    #[must_use]
    pub const fn from_days(days: i32) -> Self {
        match days {
            0 => Self::SameDay,
            1 => Self::OneDay,
            2..=7 => Self::TwoToSevenDays,
            8..=14 => Self::EightToFourteenDays,
            15..=21 => Self::FifteenToTwentyOneDays,
            22..=28 => Self::TwentyTwoToTwentyEightDays,
            29.. => Self::MoreThanTwentyEightDays,
            i32::MIN..=-1 => Self::Unknown,
        }
    }

    /// The two-week indicator's numerator: seen within 14 days of booking (feeds.md, rule 11).
    #[must_use]
    pub const fn within_two_weeks(self) -> bool {
        matches!(
            self,
            Self::SameDay | Self::OneDay | Self::TwoToSevenDays | Self::EightToFourteenDays
        )
    }
}

vocabulary! {
    /// Actual duration in bands of minutes, as published.
    DurationBand {
        OneToFive => "1-5 Minutes",
        SixToTen => "6-10 Minutes",
        ElevenToFifteen => "11-15 Minutes",
        SixteenToTwenty => "16-20 Minutes",
        TwentyOneToThirty => "21-30 Minutes",
        ThirtyOneToSixty => "31-60 Minutes",
        Unknown => "Unknown / Data Quality",
    }
}

impl DurationBand {
    #[must_use]
    pub const fn from_minutes(minutes: Option<i32>) -> Self {
        match minutes {
            Some(1..=5) => Self::OneToFive,
            Some(6..=10) => Self::SixToTen,
            Some(11..=15) => Self::ElevenToFifteen,
            Some(16..=20) => Self::SixteenToTwenty,
            Some(21..=30) => Self::TwentyOneToThirty,
            Some(31..=60) => Self::ThirtyOneToSixty,
            Some(_) | None => Self::Unknown,
        }
    }
}

vocabulary! {
    /// The 17 care related encounters, then the two that stand for a missing or unfit mapping.
    NationalCategory {
        GeneralConsultationAcute => "General Consultation Acute",
        GeneralConsultationRoutine => "General Consultation Routine",
        UnplannedClinicalActivity => "Unplanned Clinical Activity",
        ClinicalTriage => "Clinical Triage",
        WalkIn => "Walk-in",
        HomeVisit => "Home Visit",
        CareHomeVisit => "Care Home Visit",
        PlannedClinics => "Planned Clinics",
        PlannedClinicalProcedure => "Planned Clinical Procedure",
        StructuredMedicationReview => "Structured Medication Review",
        CareHomeNeedsAssessment =>
            "Care Home Needs Assessment & Personalised Care and Support Planning",
        CareHomeRound => "Patient contact during Care Home Round",
        SocialPrescribing => "Social Prescribing Service",
        GroupConsultation => "Group Consultation and Group Education",
        ExternalService => "Service provided by organisation external to the practice",
        NonContractual => "Non-contractual chargeable work",
        OtherEncounter => "Care Related Encounter but does not fit into any other category",
        Unmapped => "Unmapped",
        InconsistentMapping => "Inconsistent Mapping",
    }
}

impl NationalCategory {
    /// One of the 17 or an old label still seen (domain.md §2), trimmed by the caller.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "Scheduled/Planned Clinical Procedure" => Some(Self::PlannedClinicalProcedure),
            "Scheduled/Planned Clinical Activity" => Some(Self::PlannedClinics),
            "Unscheduled/Unplanned Clinical Activity" => Some(Self::UnplannedClinicalActivity),
            "General Consultation Planned" => Some(Self::GeneralConsultationRoutine),
            "Triage" => Some(Self::ClinicalTriage),
            "Home Visit and Care Home Visit" => Some(Self::HomeVisit),
            other => Self::from_label(other)
                .filter(|category| !matches!(category, Self::Unmapped | Self::InconsistentMapping)),
        }
    }

    /// One of the eight categories of the two-week indicator, ACC-08 (domain.md §2).
    #[must_use]
    pub const fn in_two_week_indicator(self) -> bool {
        matches!(
            self,
            Self::GeneralConsultationAcute
                | Self::GeneralConsultationRoutine
                | Self::UnplannedClinicalActivity
                | Self::ClinicalTriage
                | Self::WalkIn
                | Self::HomeVisit
                | Self::CareHomeVisit
                | Self::OtherEncounter
        )
    }

    /// The context type that is published with the category.
    #[must_use]
    pub const fn context_type(self) -> ContextType {
        match self {
            Self::Unmapped => ContextType::Unmapped,
            Self::InconsistentMapping => ContextType::InconsistentMapping,
            Self::GeneralConsultationAcute
            | Self::GeneralConsultationRoutine
            | Self::UnplannedClinicalActivity
            | Self::ClinicalTriage
            | Self::WalkIn
            | Self::HomeVisit
            | Self::CareHomeVisit
            | Self::PlannedClinics
            | Self::PlannedClinicalProcedure
            | Self::StructuredMedicationReview
            | Self::CareHomeNeedsAssessment
            | Self::CareHomeRound
            | Self::SocialPrescribing
            | Self::GroupConsultation
            | Self::ExternalService
            | Self::NonContractual
            | Self::OtherEncounter => ContextType::CareRelatedEncounter,
        }
    }
}

vocabulary! {
    /// The context of the category, as published.
    ContextType {
        CareRelatedEncounter => "Care Related Encounter",
        InconsistentMapping => "Inconsistent Mapping",
        Unmapped => "Unmapped",
    }
}

vocabulary! {
    /// Where the service is set, as published.
    ServiceSetting {
        GeneralPractice => "General Practice",
        PrimaryCareNetwork => "Primary Care Network",
        ExtendedAccessProvision => "Extended Access Provision",
        Other => "Other",
        Unmapped => "Unmapped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_bands_change_at_their_published_edges() {
        let cases = [
            (-1, WaitingBand::Unknown),
            (0, WaitingBand::SameDay),
            (1, WaitingBand::OneDay),
            (2, WaitingBand::TwoToSevenDays),
            (7, WaitingBand::TwoToSevenDays),
            (8, WaitingBand::EightToFourteenDays),
            (14, WaitingBand::EightToFourteenDays),
            (15, WaitingBand::FifteenToTwentyOneDays),
            (21, WaitingBand::FifteenToTwentyOneDays),
            (22, WaitingBand::TwentyTwoToTwentyEightDays),
            (28, WaitingBand::TwentyTwoToTwentyEightDays),
            (29, WaitingBand::MoreThanTwentyEightDays),
        ];
        for (days, band) in cases {
            assert_eq!(WaitingBand::from_days(days), band, "{days} days");
        }
    }

    #[test]
    fn three_waiting_labels_keep_their_two_spaces() {
        assert_eq!(WaitingBand::EightToFourteenDays.label(), "8  to 14 Days");
        assert_eq!(
            WaitingBand::FifteenToTwentyOneDays.label(),
            "15  to 21 Days"
        );
        assert_eq!(
            WaitingBand::TwentyTwoToTwentyEightDays.label(),
            "22  to 28 Days"
        );
    }

    #[test]
    fn duration_bands_change_at_their_published_edges() {
        let cases = [
            (None, "Unknown / Data Quality"),
            (Some(0), "Unknown / Data Quality"),
            (Some(1), "1-5 Minutes"),
            (Some(5), "1-5 Minutes"),
            (Some(6), "6-10 Minutes"),
            (Some(10), "6-10 Minutes"),
            (Some(11), "11-15 Minutes"),
            (Some(15), "11-15 Minutes"),
            (Some(16), "16-20 Minutes"),
            (Some(20), "16-20 Minutes"),
            (Some(21), "21-30 Minutes"),
            (Some(30), "21-30 Minutes"),
            (Some(31), "31-60 Minutes"),
            (Some(60), "31-60 Minutes"),
            (Some(61), "Unknown / Data Quality"),
        ];
        for (minutes, label) in cases {
            assert_eq!(
                DurationBand::from_minutes(minutes).label(),
                label,
                "{minutes:?}"
            );
        }
    }

    #[test]
    fn a_stand_in_label_is_not_a_category_text() {
        assert_eq!(NationalCategory::from_text("Unmapped"), None);
        assert_eq!(NationalCategory::from_text("Inconsistent Mapping"), None);
        assert_eq!(
            NationalCategory::from_text("Triage"),
            Some(NationalCategory::ClinicalTriage)
        );
        assert_eq!(NationalCategory::from_text("triage"), None);
    }
}
