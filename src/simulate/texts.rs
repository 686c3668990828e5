//! What the suppliers write: slot types, roles, modes and categories in their native texts.

use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{HcpType, Mode};

use super::chance::Chance;

/// A local slot type as practices name it (`deploy/reference/local_slot_types.csv`), and how it is mostly mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotType {
    /// The practice's own text.
    pub text: &'static str,
    /// National slot category.
    pub category: &'static str,
    /// Service setting.
    pub setting: &'static str,
}

const PRACTICE: &str = "General Practice";
const NETWORK: &str = "Primary Care Network";
const EXTENDED: &str = "Extended Access Provision";

/// The context that the 17 categories belong to.
pub const ENCOUNTER: &str = "Care Related Encounter";

/// Contexts that make a mapping inconsistent.
pub const OTHER_CONTEXTS: [&str; 2] = [
    "Care Related Activity",
    "Administration and Practice Staff Activity",
];

/// The slot type of vaccinations that the collection leaves out from 2020-12-01 (feeds.md, rule 4).
pub const COVID_SLOT_TYPE: &str = "Flu/Covid Vaccination";

macro_rules! slot_types {
    ($($text:literal, $category:literal, $setting:expr;)+) => {
        /// Every slot type that a counted appointment may have: none is a COVID vaccination.
        pub const SLOT_TYPES: &[SlotType] = &[$(SlotType { text: $text, category: $category, setting: $setting }),+];
    };
}

slot_types! {
    "ANP 5 Day Face to Face", "General Consultation Routine", PRACTICE;
    "ANP Same Day Face to Face", "General Consultation Acute", PRACTICE;
    "ANP Same Day Telephone", "General Consultation Acute", PRACTICE;
    "Blood Test", "Planned Clinical Procedure", PRACTICE;
    "Care Home Round", "Patient contact during Care Home Round", NETWORK;
    "Childrens flu", "Planned Clinical Procedure", PRACTICE;
    "Embargo", "General Consultation Routine", PRACTICE;
    "GP 14 Day Face to Face", "General Consultation Routine", PRACTICE;
    "GP 5 Day Face to Face", "General Consultation Routine", PRACTICE;
    "GP 5 Day Telephone", "General Consultation Routine", PRACTICE;
    "GP Face to Face", "General Consultation Routine", PRACTICE;
    "GP Same Day Face to Face", "General Consultation Acute", PRACTICE;
    "GP Same Day Telephone", "General Consultation Acute", PRACTICE;
    "GP Telephone", "General Consultation Planned", PRACTICE;
    "GP Urgent", "General Consultation Acute", PRACTICE;
    "HCA Face to face", "Planned Clinical Procedure", PRACTICE;
    "Home Visits", "Home Visit", PRACTICE;
    "Initial Assessment", "Social Prescribing Service", NETWORK;
    "MHOT PCN Embargo", "Care Related Encounter but does not fit into any other category", NETWORK;
    "Medicals only", "Non-contractual chargeable work", PRACTICE;
    "Minor  Surgery", "Planned Clinical Procedure", PRACTICE;
    "NHS Health Check", "Planned Clinics", PRACTICE;
    "NHS111 Telephone Appointment", "Unplanned Clinical Activity", EXTENDED;
    "Nurse Planned clinic", "Planned Clinics", PRACTICE;
    "Online", "Clinical Triage", PRACTICE;
    "Out of clinic hours", "Walk-in", "Other";
    "PCN Telephone appointment", "Structured Medication Review", NETWORK;
    "PCN planned clinic", "Planned Clinics", NETWORK;
    "Physio Embargo", "Service provided by organisation external to the practice", NETWORK;
    "Physio Telephone", "General Consultation Routine", NETWORK;
    "Planned clinic", "Scheduled/Planned Clinical Activity", PRACTICE;
    "Slot", "General Consultation Routine", PRACTICE;
    "Telephone Appointment Slot", "General Consultation Acute", PRACTICE;
    "Triage - Telephone", "Triage", PRACTICE;
}

/// The slot type that a clinician's appointment of a mode is likely booked into, as an index into [`SLOT_TYPES`].
pub fn slot_type(chance: &mut Chance, hcp: HcpType, mode: Mode) -> usize {
    const GP_SURGERY: [usize; 10] = [7, 7, 8, 8, 10, 11, 11, 11, 14, 6];
    const GP_TELEPHONE: [usize; 8] = [9, 12, 12, 13, 13, 32, 33, 22];
    const STAFF_SURGERY: [usize; 16] = [0, 1, 1, 3, 3, 3, 15, 15, 23, 23, 23, 23, 27, 20, 21, 5];
    const STAFF_TELEPHONE: [usize; 8] = [2, 26, 26, 29, 32, 33, 17, 22];
    const VISIT: [usize; 6] = [16, 16, 16, 16, 4, 31];
    const ONLINE: [usize; 4] = [24, 24, 13, 31];
    const ANY: [usize; 8] = [31, 31, 30, 25, 19, 18, 28, 6];
    if chance.per_mille(40) {
        return chance.pick(&ANY);
    }
    match (mode, hcp) {
        (Mode::HomeVisit, _) => chance.pick(&VISIT),
        (Mode::VideoOnline, _) => chance.pick(&ONLINE),
        (Mode::Telephone, HcpType::Gp) => chance.pick(&GP_TELEPHONE),
        (Mode::Telephone, HcpType::OtherPracticeStaff | HcpType::Unknown) => {
            chance.pick(&STAFF_TELEPHONE)
        }
        (Mode::FaceToFace | Mode::Unknown, HcpType::Gp) => chance.pick(&GP_SURGERY),
        (Mode::FaceToFace | Mode::Unknown, HcpType::OtherPracticeStaff) => {
            chance.pick(&STAFF_SURGERY)
        }
        (Mode::FaceToFace | Mode::Unknown, HcpType::Unknown) => chance.pick(&ANY),
    }
}

/// A role as the supplier writes it, of the published HCP type; `Unknown` has codes that say nothing.
pub fn role(chance: &mut Chance, supplier: Supplier, hcp: HcpType) -> &'static str {
    match supplier {
        Supplier::Emis | Supplier::Tpp => sds_role(chance, hcp),
        Supplier::Inps => match hcp {
            HcpType::Gp => chance.pick(&["A", "A", "A", "B", "C"]),
            HcpType::OtherPracticeStaff => chance.pick(&[
                "D", "D06", "D06", "D06", "D07", "D08", "D10", "D11", "D16", "D17", "D18",
            ]),
            HcpType::Unknown => chance.pick(&["E", "Z", "D99", "AA"]),
        },
        Supplier::Microtest => match hcp {
            HcpType::Gp => chance.pick(&["GP Partner", "GP Partner", "GP Locum", "GP Registrar"]),
            HcpType::OtherPracticeStaff => chance.pick(&[
                "Practice Nurse",
                "Practice Nurse",
                "HCA",
                "HCA",
                "Physiotherapist",
                "Pharmacist",
                "Counsellor",
                "District Nurse",
                "Health Visitor",
            ]),
            HcpType::Unknown => chance.pick(&["Receptionist", "Administrator", "Student"]),
        },
    }
}

fn sds_role(chance: &mut Chance, hcp: HcpType) -> &'static str {
    match hcp {
        HcpType::Gp => chance.pick(&[
            "R0260", "R0260", "R0260", "R0260", "R0270", "R0270", "R0262", "R6200", "R6300",
            "R0261",
        ]),
        HcpType::OtherPracticeStaff => chance.pick(&[
            "R0600", "R0600", "R0610", "R0620", "R0700", "R8001", "R9809", "R1480", "R1480",
            "R1450", "R1590", "R9804", "R9806", "R9813", "R1290", "R1070", "R9812", "R9808",
            "E1001",
        ]),
        // Data quality, the groups named Unknown, and codes that the table lacks.
        HcpType::Unknown => chance.pick(&[
            "R1730",
            "R1730",
            "R1720",
            "R9801",
            "Not Recorded",
            "R0099",
            "S0030:G0100",
        ]),
    }
}

/// The version-2 native text of a mode (EMIS, TPP); `None` leaves it unknown.
pub fn native_mode(chance: &mut Chance, mode: Mode) -> Option<&'static str> {
    match mode {
        Mode::FaceToFace => Some("Face to Face (Surgery)"),
        Mode::Telephone => Some("Telephone/Audio"),
        Mode::HomeVisit => Some("Face to Face (Home Visit)"),
        Mode::VideoOnline => Some(chance.pick(&[
            "Video with Audio",
            "Video with Audio",
            "Written (Including Online)",
        ])),
        Mode::Unknown => chance.pick(&[None, None, Some("Not an Appointment"), Some("")]),
    }
}

/// Microtest's text of a mode.
pub fn contact(chance: &mut Chance, mode: Mode) -> Option<&'static str> {
    match mode {
        Mode::FaceToFace => Some("Surgery"),
        Mode::Telephone => Some("Telephone"),
        Mode::HomeVisit => Some("Visit"),
        Mode::VideoOnline => Some("Online"),
        Mode::Unknown => chance.pick(&[None, None, Some("Other"), Some("")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::roles::{inps_role_group, microtest_role_group, sds_role_group};
    use crate::domain::vocabulary::NationalCategory;

    #[test]
    fn slot_types_are_the_published_ones_and_none_is_a_covid_vaccination() {
        let published = include_str!("../../deploy/reference/local_slot_types.csv");
        let published: Vec<&str> = published
            .lines()
            .skip(1)
            .filter_map(|line| line.split(',').next())
            .collect();
        for slot_type in SLOT_TYPES {
            assert!(published.contains(&slot_type.text), "{}", slot_type.text);
            assert!(
                NationalCategory::from_text(slot_type.category).is_some(),
                "{}",
                slot_type.category
            );
            assert!(
                !slot_type.text.to_lowercase().contains("covid"),
                "{}",
                slot_type.text
            );
        }
        assert_eq!(
            SLOT_TYPES.len() + 1,
            published.len(),
            "all but the vaccinations"
        );
        assert!(published.contains(&COVID_SLOT_TYPE));
    }

    #[test]
    fn every_role_is_of_the_type_it_is_drawn_for() {
        let mut chance = Chance::of(1, "roles");
        for hcp in HcpType::ALL.iter().copied() {
            for supplier in Supplier::ALL {
                for _ in 0..300 {
                    let role = role(&mut chance, supplier, hcp);
                    let group = match supplier {
                        Supplier::Emis | Supplier::Tpp => sds_role_group(role),
                        Supplier::Inps => inps_role_group(role),
                        Supplier::Microtest => microtest_role_group(role),
                    };
                    assert_eq!(group.hcp_type(), hcp, "{supplier} {role}");
                }
            }
        }
    }

    #[test]
    fn every_native_mode_reads_back() {
        let mut chance = Chance::of(1, "modes");
        for mode in Mode::ALL.iter().copied() {
            for _ in 0..50 {
                let native = native_mode(&mut chance, mode).unwrap_or("");
                assert_eq!(Mode::from_native(native), mode, "{native}");
            }
        }
    }
}
