//! The fingerprint of the fields that an aggregate reads: what tells `accepted` from `unchanged`.

use xxhash_rust::xxh3::xxh3_64;

use crate::domain::category::Category;
use crate::domain::draft::AppointmentDraft;
use crate::domain::time::Local;

use super::state::slot::CategorySource;

/// An appointment as the aggregates read it, those over event time included.
pub(super) fn appointment(
    draft: &AppointmentDraft<'_>,
    category: CategorySource,
    is_covid_vaccination: bool,
) -> u64 {
    let (category, slot_type) = match category {
        CategorySource::Own(Category {
            national,
            setting,
            is_unknown_text,
        }) => (
            national as u64 | (setting as u64) << 8 | u64::from(is_unknown_text) << 16,
            u64::MAX,
        ),
        CategorySource::Mapping(slot_type) => (u64::MAX, u64::from(slot_type.0)),
    };
    fingerprint([
        draft.booking.map_or(0, |booking| booking.0),
        draft.start.0 as u64,
        draft.planned_minutes as u64,
        draft.state as u64
            | (draft.mode as u64) << 8
            | u64::from(draft.times_reversed) << 16
            | u64::from(is_covid_vaccination) << 17,
        draft.role.map_or(u64::MAX, |role| role as u64),
        draft.booked_on.map_or(u64::MAX, |day| day.0 as u64),
        at(draft.booked_at),
        at(draft.arrived_at),
        at(draft.left_at),
        at(draft.cancelled_at),
        draft
            .actual_minutes
            .map_or(u64::MAX, |minutes| minutes as u64),
        category,
        slot_type,
    ])
}

const fn at(time: Option<Local>) -> u64 {
    match time {
        Some(time) => time.0 as u64,
        None => u64::MAX,
    }
}

fn fingerprint<const N: usize>(fields: [u64; N]) -> u64 {
    let mut bytes = [[0_u8; 8]; N];
    for (bytes, field) in bytes.iter_mut().zip(fields) {
        *bytes = field.to_le_bytes();
    }
    xxh3_64(bytes.as_flattened())
}
