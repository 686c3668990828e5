//! A practice's rows: where it belongs, how many patients it has, from when.

use crate::domain::time::{Day, Timestamp};

use super::PlaceIndex;

/// The names printed beside a row's codes; `None` where the reference data lacks them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    pub practice: Option<Box<str>>,
    pub pcn: Option<Box<str>>,
    pub sub_icb: Option<Box<str>>,
    pub icb: Option<Box<str>>,
    pub region: Option<Box<str>>,
}

/// One row of `ods.practices`, in force from its effective date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PracticeRow {
    pub place: PlaceIndex,
    pub names: Names,
    pub registered_patients: Option<i32>,
    pub open_date: Option<Day>,
    pub close_date: Option<Day>,
    pub effective_from: Day,
    pub recorded_at: Timestamp,
    pub ordinal: u64,
}

impl PracticeRow {
    /// One that says nothing but from when it is in force.
    #[must_use]
    pub fn blank(effective_from: Day) -> Self {
        Self {
            place: PlaceIndex(0),
            names: Names::default(),
            registered_patients: None,
            open_date: None,
            close_date: None,
            effective_from,
            recorded_at: Timestamp(0),
            ordinal: 0,
        }
    }
}

/// Of one effective date the row recorded last stands, then the later offset.
pub(super) fn upsert(rows: &mut Vec<PracticeRow>, new: PracticeRow) -> bool {
    match rows.binary_search_by_key(&new.effective_from, |row| row.effective_from) {
        Ok(same) => {
            let old = &mut rows[same];
            if (old.recorded_at, old.ordinal) > (new.recorded_at, new.ordinal) {
                return false;
            }
            *old = new;
        }
        Err(place) => rows.insert(place, new),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::place::Place;
    use crate::domain::reference::Reference;

    fn row(effective_from: i32, recorded_at: i64, ordinal: u64) -> PracticeRow {
        PracticeRow {
            registered_patients: Some(ordinal as i32),
            recorded_at: Timestamp(recorded_at),
            ordinal,
            ..PracticeRow::blank(Day(effective_from))
        }
    }

    #[test]
    fn the_row_in_force_is_the_last_to_take_effect_or_else_the_earliest() {
        let mut reference = Reference::default();
        for new in [
            row(20, 1, 1),
            row(10, 2, 2),
            row(20, 3, 3),
            row(20, 2, 4),
            row(20, 3, 5),
        ] {
            reference.apply_row("A81001", Place::default(), new);
        }
        let practice = reference.known("A81001").expect("a practice with rows");
        let patients = |day| {
            reference
                .row_on(practice, Day(day))
                .and_then(|row| row.registered_patients)
        };
        assert_eq!(patients(5), Some(2));
        assert_eq!(patients(10), Some(2));
        assert_eq!(patients(19), Some(2));
        assert_eq!(patients(20), Some(5));
    }
}
