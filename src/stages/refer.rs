//! Takes reference records into a snapshot.

use crate::domain::place::{Code, Place};
use crate::domain::reference::{
    Agreement, AgreementState, Names, PlaceIndex, PracticeRow, Reference,
    SlotTypeMapping as Mapping,
};
use crate::domain::time::{Day, Timestamp};
use crate::wire::reference::{Participation, ParticipationState, Practice, SlotTypeMapping};

/// A record that a snapshot can take in.
pub trait Refer {
    /// `ordinal` grows with the order of reading. Answers whether anything that stands has changed.
    fn refer(&self, reference: &mut Reference, ordinal: u64) -> bool;
}

impl Refer for Participation {
    fn refer(&self, reference: &mut Reference, ordinal: u64) -> bool {
        let agreement = Agreement {
            service_id: self.service_id.as_str().into(),
            state: match self.state {
                ParticipationState::Offered => AgreementState::Offered,
                ParticipationState::Approved => AgreementState::Approved,
                ParticipationState::Declined => AgreementState::Declined,
                ParticipationState::Withdrawn => AgreementState::Withdrawn,
                ParticipationState::Closed => AgreementState::Closed,
            },
            effective_from: Day(self.effective_from),
            effective_to: self.effective_to.map(Day),
            recorded_at: Timestamp(self.recorded_at),
            ordinal,
        };
        reference.apply_agreement(&self.practice_ods_code, agreement)
    }
}

impl Refer for Practice {
    fn refer(&self, reference: &mut Reference, ordinal: u64) -> bool {
        let place = Place {
            practice: Some(self.practice_ods_code.as_str().into()),
            pcn: code(self.pcn_code.as_deref()),
            sub_icb: code(self.sub_icb_code.as_deref()),
            sub_icb_ons: code(self.sub_icb_ons_code.as_deref()),
            icb: code(self.icb_code.as_deref()),
            icb_ons: code(self.icb_ons_code.as_deref()),
            region: code(self.region_code.as_deref()),
            region_ons: code(self.region_ons_code.as_deref()),
        };
        let row = PracticeRow {
            place: PlaceIndex(0),
            names: Names {
                practice: name(Some(&self.name)),
                pcn: name(self.pcn_name.as_deref()),
                sub_icb: name(self.sub_icb_name.as_deref()),
                icb: name(self.icb_name.as_deref()),
                region: name(self.region_name.as_deref()),
            },
            registered_patients: self.registered_patients,
            open_date: self.open_date.map(Day),
            close_date: self.close_date.map(Day),
            effective_from: Day(self.effective_from),
            recorded_at: Timestamp(self.recorded_at),
            ordinal,
        };
        reference.apply_row(&self.practice_ods_code, place, row)
    }
}

impl Refer for SlotTypeMapping {
    fn refer(&self, reference: &mut Reference, ordinal: u64) -> bool {
        let mapping = Mapping {
            national_slot_category: self.national_slot_category.as_str().into(),
            context_type: self.context_type.as_str().into(),
            service_setting: self.service_setting.as_str().into(),
            effective_from: Day(self.effective_from),
            effective_to: self.effective_to.map(Day),
            recorded_at: Timestamp(self.recorded_at),
            ordinal,
        };
        reference.apply_mapping(&self.practice_ods_code, &self.slot_type, mapping)
    }
}

/// Codes are identities, never trimmed; a blank one is missing.
fn code(text: Option<&str>) -> Code {
    text.filter(|text| !text.trim().is_empty()).map(Into::into)
}

/// Names as they are printed; a blank one is missing.
fn name(text: Option<&str>) -> Option<Box<str>> {
    text.filter(|text| !text.trim().is_empty()).map(Into::into)
}
