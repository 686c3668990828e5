//! The published tables of practices, embedded so that the binary needs no files.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::topic::Supplier;

const MAPPING: &str = include_str!("../../deploy/reference/practice_mapping_2025-08.csv");
const LIST_SIZES: &str = include_str!("../../deploy/reference/practice_list_size_2025-10.csv");
const COVERAGE: &str = include_str!("../../deploy/reference/coverage_2020-08_2023-01.csv");
const SUPPLIERS_2019: &str = include_str!("../../deploy/reference/practice_supplier_2019.csv");
const TWO_SYSTEMS_2019: &str =
    include_str!("../../deploy/reference/practices_with_two_systems_2019.csv");

/// Regions whose ONS code changed with their boundary (domain.md §4.10): former code, present code.
const RENAMED_REGIONS: [(&str, &str); 2] = [("E40000008", "E40000011"), ("E40000009", "E40000012")];

/// One practice of the mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practice {
    /// ODS code.
    pub code: &'static str,
    /// Name.
    pub name: &'static str,
    /// Code of its primary care network; `U` is unallocated.
    pub pcn_code: &'static str,
    /// Name of its primary care network.
    pub pcn_name: &'static str,
    /// Index into [`Reference::sub_icbs`].
    pub sub_icb: usize,
    /// EMIS, TPP, both or neither, as the mapping names them.
    pub suppliers: Vec<Supplier>,
    /// Reported from two systems at once in 2019.
    pub two_systems: bool,
    /// Registered patients; the mapping has practices that the list sizes lack.
    pub patients: Option<i32>,
}

/// A sub-ICB location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubIcb {
    /// ODS code.
    pub code: &'static str,
    /// ONS code.
    pub ons_code: &'static str,
    /// Name.
    pub name: &'static str,
    /// Index into [`Reference::icbs`].
    pub icb: usize,
}

/// An integrated care board, with its region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icb {
    /// ODS code.
    pub code: &'static str,
    /// ONS code.
    pub ons_code: &'static str,
    /// Name.
    pub name: &'static str,
    /// ODS code of the region.
    pub region_code: &'static str,
    /// ONS code of the region.
    pub region_ons_code: &'static str,
    /// Name of the region.
    pub region_name: &'static str,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// In order of their codes, each once.
    pub practices: Vec<Practice>,
    /// In order of their codes.
    pub sub_icbs: Vec<SubIcb>,
    /// In order of their ONS codes.
    pub icbs: Vec<Icb>,
    /// Codes of practices of 2019 that neither later table has, in order.
    pub closed: Vec<&'static str>,
}

impl Reference {
    /// Reads the embedded tables.
    #[must_use]
    pub fn embedded() -> Self {
        let sizes = rows(
            LIST_SIZES,
            [
                "CODE",
                "NUMBER_OF_PATIENTS",
                "ONS_SUB_ICB_LOCATION_CODE",
                "SUB_ICB_LOCATION_CODE",
            ],
        );
        let patients: BTreeMap<&str, i32> = sizes
            .iter()
            .filter_map(|[code, patients, ..]| Some((*code, patients.parse().ok()?)))
            .collect();
        let sub_icb_ons: BTreeMap<&str, &str> = sizes
            .iter()
            .map(|[_, _, ons, code]| (*code, *ons))
            .collect();
        let icb_of: BTreeMap<&str, (&str, &str)> = rows(
            COVERAGE,
            ["SUB_ICB_LOCATION_CODE", "ICB_ONS_CODE", "REGION_CODE"],
        )
        .into_iter()
        .map(|[sub_icb, icb, region]| (sub_icb, (icb, region)))
        .collect();
        let mapping = rows(
            MAPPING,
            [
                "GP_CODE",
                "GP_NAME",
                "SUPPLIER",
                "PCN_CODE",
                "PCN_NAME",
                "SUB_ICB_LOCATION_CODE",
                "SUB_ICB_LOCATION_NAME",
                "ICB_CODE",
                "ICB_NAME",
                "REGION_CODE",
                "REGION_NAME",
            ],
        );

        let mut icbs: BTreeMap<&str, Icb> = BTreeMap::new();
        let mut sub_icbs: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        for [
            _,
            _,
            _,
            _,
            _,
            sub_icb,
            sub_icb_name,
            icb,
            icb_name,
            region,
            region_name,
        ] in &mapping
        {
            let (ons_code, region_ons_code) = icb_of.get(sub_icb).copied().unwrap_or_default();
            sub_icbs.insert(sub_icb, (sub_icb_name, ons_code));
            icbs.entry(ons_code).or_insert(Icb {
                code: icb,
                ons_code,
                name: icb_name,
                region_code: region,
                region_ons_code,
                region_name,
            });
        }
        let icbs: Vec<Icb> = icbs.into_values().collect();
        let sub_icbs: Vec<SubIcb> = sub_icbs
            .into_iter()
            .map(|(code, (name, icb))| SubIcb {
                code,
                ons_code: sub_icb_ons.get(code).copied().unwrap_or_default(),
                name,
                icb: icbs.partition_point(|known| known.ons_code < icb),
            })
            .collect();

        let practices = practices(&mapping, &sub_icbs, &patients);
        let closed = rows(SUPPLIERS_2019, ["ODSCode"])
            .into_iter()
            .map(|[code]| code)
            .filter(|code| !practices.contains_key(code) && !patients.contains_key(code))
            .collect::<BTreeSet<_>>();
        Self {
            practices: practices.into_values().collect(),
            sub_icbs,
            icbs,
            closed: closed.into_iter().collect(),
        }
    }

    /// The ICB that a practice lies in.
    #[must_use]
    pub fn icb(&self, practice: &Practice) -> &Icb {
        &self.icbs[self.sub_icbs[practice.sub_icb].icb]
    }
}

/// The practices by code: one has a row for each way of writing its suppliers (domain.md §4.1).
fn practices(
    mapping: &[[&'static str; 11]],
    sub_icbs: &[SubIcb],
    patients: &BTreeMap<&str, i32>,
) -> BTreeMap<&'static str, Practice> {
    let two_systems: BTreeSet<&str> = rows(TWO_SYSTEMS_2019, ["RequestorODS"])
        .into_iter()
        .map(|[code]| code)
        .collect();
    let mut practices: BTreeMap<&str, Practice> = BTreeMap::new();
    for [code, name, suppliers, pcn_code, pcn_name, sub_icb, ..] in mapping {
        let practice = practices.entry(code).or_insert_with(|| Practice {
            code,
            name,
            pcn_code,
            pcn_name,
            sub_icb: sub_icbs.partition_point(|known| known.code < *sub_icb),
            suppliers: Vec::new(),
            two_systems: two_systems.contains(code),
            patients: patients.get(code).copied(),
        });
        for (label, supplier) in [("EMIS", Supplier::Emis), ("TPP", Supplier::Tpp)] {
            if suppliers.split('/').any(|named| named == label)
                && !practice.suppliers.contains(&supplier)
            {
                practice.suppliers.push(supplier);
            }
        }
    }
    practices
}

/// Whether an ONS code, today's or a former one, or a name is that of the region of `icb`.
#[must_use]
pub fn in_region(icb: &Icb, ons_code: &str, name: &str) -> bool {
    let present = RENAMED_REGIONS
        .iter()
        .find(|(former, _)| *former == ons_code)
        .map_or(ons_code, |(_, present)| *present);
    icb.region_ons_code == present || (!name.is_empty() && icb.region_name == name)
}

/// The named columns of an embedded table, in order of its lines; a test holds that every table has its columns.
fn rows<const N: usize>(table: &'static str, names: [&str; N]) -> Vec<[&'static str; N]> {
    let mut lines = table.lines().map(|line| line.trim_end_matches('\r'));
    let header = fields(lines.next().unwrap_or("").trim_start_matches('\u{feff}'));
    let columns = names.map(|name| header.iter().position(|field| *field == name));
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let fields = fields(line);
            columns.map(|column| {
                column
                    .and_then(|column| fields.get(column))
                    .copied()
                    .unwrap_or("")
            })
        })
        .collect()
}

/// The fields of a line; quotes around a field fall away (no table doubles them inside).
fn fields(line: &'static str) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"').and_then(|text| text.split_once('"')) {
            Some((field, after)) => (field, after.strip_prefix(',')),
            None => match rest.split_once(',') {
                Some((field, after)) => (field, Some(after)),
                None => (rest, None),
            },
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_practice_stands_once_with_its_whole_geography() {
        let reference = Reference::embedded();
        assert_eq!(reference.practices.len(), 6166);
        assert_eq!(reference.sub_icbs.len(), 106);
        assert_eq!(reference.icbs.len(), 42);
        assert!(reference.closed.len() > 700);
        for sub_icb in &reference.sub_icbs {
            assert!(sub_icb.ons_code.starts_with("E38"), "{sub_icb:?}");
            assert!(!sub_icb.name.is_empty(), "{sub_icb:?}");
        }
        for icb in &reference.icbs {
            assert!(icb.ons_code.starts_with("E54"), "{icb:?}");
            assert!(icb.region_ons_code.starts_with("E40"), "{icb:?}");
            assert!(icb.name.ends_with("Integrated Care Board"), "{icb:?}");
        }
        let missing = reference
            .practices
            .iter()
            .filter(|practice| practice.patients.is_none())
            .count();
        assert_eq!(missing, 7);
    }

    #[test]
    fn a_practice_with_several_rows_keeps_every_known_supplier() {
        let reference = Reference::embedded();
        let with = |count| {
            let practices = reference.practices.iter();
            practices
                .filter(|practice| practice.suppliers.len() == count)
                .count()
        };
        assert_eq!((with(0), with(2)), (3, 5));
    }

    #[test]
    fn a_quoted_field_keeps_its_commas() {
        assert_eq!(fields("a,\"b, c\",,\"d\""), ["a", "b, c", "", "d"]);
    }

    #[test]
    fn a_region_is_found_by_its_former_code_and_by_its_name() {
        let reference = Reference::embedded();
        let midlands: Vec<&Icb> = reference
            .icbs
            .iter()
            .filter(|icb| in_region(icb, "E40000008", ""))
            .collect();
        assert!(!midlands.is_empty());
        assert!(midlands.iter().all(|icb| icb.region_name == "Midlands"));
        assert!(
            reference
                .icbs
                .iter()
                .any(|icb| in_region(icb, "E40000099", "South West"))
        );
    }
}
