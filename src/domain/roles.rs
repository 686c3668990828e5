//! From a role code to the SDS role group and the HCP type.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::text::number;
use super::vocabulary::SdsRoleGroup;

/// 459 codes; NHS Digital, Crown copyright, Open Government Licence v3.0.
const SDS_ROLE_GROUPS: &str = include_str!("../../deploy/reference/sds_role_groups.csv");

static SDS_CODES: LazyLock<FxHashMap<&'static str, SdsRoleGroup>> = LazyLock::new(|| {
    SDS_ROLE_GROUPS
        .lines()
        .skip(1)
        .filter_map(|line| {
            // The description may be quoted and hold commas: the code stands first, the group third
            // from the end.
            let code = line.split(',').next()?;
            let group = line.rsplit(',').nth(2)?;
            Some((code, SdsRoleGroup::from_label(group)?))
        })
        .collect()
});

/// Those of an `R` and four digits, by the number: every record asks.
static SDS_NUMBERS: LazyLock<Box<[SdsRoleGroup]>> = LazyLock::new(|| {
    let mut groups = vec![SdsRoleGroup::Unknown; 10_000];
    for (code, group) in SDS_CODES.iter() {
        if let Some(number) = number_of(code) {
            groups[number] = *group;
        }
    }
    groups.into()
});

/// Of an `R` and four digits.
#[inline]
fn number_of(code: &str) -> Option<usize> {
    let [b'R', digits @ ..] = <[u8; 5]>::try_from(code.as_bytes()).ok()? else {
        return None;
    };
    number(digits).map(|number| number as usize)
}

/// The group of an SDS role code (EMIS, TPP), trimmed by the caller; unknown codes are `Unknown`.
#[must_use]
pub fn sds_role_group(code: &str) -> SdsRoleGroup {
    if let Some(number) = number_of(code) {
        return SDS_NUMBERS[number];
    }
    SDS_CODES
        .get(code)
        .copied()
        .unwrap_or(SdsRoleGroup::Unknown)
}

/// The group of an INPS `hcp_type` (feeds.md, INPS), trimmed by the caller.
#[must_use]
pub fn inps_role_group(code: &str) -> SdsRoleGroup {
    match code {
        "A" | "B" | "C" => SdsRoleGroup::Gp,
        "D" | "D06" | "D16" | "D17" | "D18" | "D19" => SdsRoleGroup::Nurses,
        "D07" | "D08" | "D09" | "D10" | "D11" | "D12" | "D13" | "D14" | "D15" => {
            SdsRoleGroup::OtherDirectPatientCare
        }
        _ => SdsRoleGroup::Unknown,
    }
}

/// The group of a Microtest `role` (feeds.md, Microtest), trimmed by the caller.
#[must_use]
pub fn microtest_role_group(role: &str) -> SdsRoleGroup {
    match role {
        "GP Partner" | "GP Locum" | "GP Registrar" => SdsRoleGroup::Gp,
        "Practice Nurse" | "District Nurse" | "Health Visitor" => SdsRoleGroup::Nurses,
        "HCA" | "Physiotherapist" | "Counsellor" | "Pharmacist" => {
            SdsRoleGroup::OtherDirectPatientCare
        }
        _ => SdsRoleGroup::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_role_code_has_its_group() {
        let count = |group| SDS_CODES.values().filter(|found| **found == group).count();
        assert_eq!(SDS_CODES.len(), 459);
        for (code, group) in SDS_CODES.iter() {
            assert_eq!(sds_role_group(code), *group, "{code}");
        }
        assert_eq!(count(SdsRoleGroup::Gp), 17);
        assert_eq!(count(SdsRoleGroup::Nurses), 33);
        assert_eq!(
            sds_role_group("R0540"),
            SdsRoleGroup::OtherDirectPatientCare
        );
        assert_eq!(sds_role_group("Not Recorded"), SDS_CODES["Not Recorded"]);
        assert_eq!(sds_role_group("R9999"), SdsRoleGroup::Unknown);
    }
}
