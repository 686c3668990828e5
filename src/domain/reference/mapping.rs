//! What a practice's local slot type means, by effective date.

use crate::domain::time::{Day, Timestamp};

/// The meaning of one slot type for the days `[effective_from, effective_to)`; texts as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotTypeMapping {
    pub national_slot_category: Box<str>,
    pub context_type: Box<str>,
    pub service_setting: Box<str>,
    pub effective_from: Day,
    pub effective_to: Option<Day>,
    pub recorded_at: Timestamp,
    pub ordinal: u64,
}

/// Upsert by effective date: the newest recorded, then the later offset; `None` if nothing changes.
pub(super) fn upserted(
    standing: &[SlotTypeMapping],
    new: SlotTypeMapping,
) -> Option<Vec<SlotTypeMapping>> {
    let mut changed = standing.to_vec();
    match changed.binary_search_by_key(&new.effective_from, |mapping| mapping.effective_from) {
        Ok(same) => {
            let old = &mut changed[same];
            if (old.recorded_at, old.ordinal) > (new.recorded_at, new.ordinal) {
                return None;
            }
            *old = new;
        }
        Err(place) => changed.insert(place, new),
    }
    Some(changed)
}
