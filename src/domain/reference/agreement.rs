//! Participation: the agreements recorded in CQRS, by day.

use std::sync::Arc;

use crate::domain::disposition::Withholding;
use crate::domain::time::{Day, Timestamp};

/// What an agreement says (feeds.md, `cqrs.participation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgreementState {
    Offered,
    Approved,
    Declined,
    Withdrawn,
    Closed,
}

impl AgreementState {
    /// `None` lets in (feeds.md, rule 1).
    #[must_use]
    pub const fn withholding(self) -> Option<Withholding> {
        match self {
            Self::Approved => None,
            Self::Declined => Some(Withholding::Declined),
            Self::Withdrawn => Some(Withholding::Withdrawn),
            Self::Offered | Self::Closed => Some(Withholding::NoAgreement),
        }
    }
}

/// One agreement of a practice, for the days `[effective_from, effective_to)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    pub service_id: Arc<str>,
    pub state: AgreementState,
    pub effective_from: Day,
    pub effective_to: Option<Day>,
    pub recorded_at: Timestamp,
    /// Grows with the order of reading: the later offset wins where the rest is equal.
    pub ordinal: u64,
}

impl Agreement {
    fn holds(&self, day: Day) -> bool {
        self.effective_from <= day && self.effective_to.is_none_or(|end| day < end)
    }
}

/// Upsert by (service, effective from): the greatest recorded time, then the later offset.
pub(super) fn upsert(agreements: &mut Vec<Agreement>, new: Agreement) -> bool {
    let same = agreements
        .iter_mut()
        .find(|old| old.service_id == new.service_id && old.effective_from == new.effective_from);
    match same {
        Some(old) if (old.recorded_at, old.ordinal) > (new.recorded_at, new.ordinal) => false,
        Some(old) => {
            let changed = (old.state, old.effective_to, old.recorded_at)
                != (new.state, new.effective_to, new.recorded_at);
            *old = new;
            changed
        }
        None => {
            agreements.push(new);
            true
        }
    }
}

/// What the agreements say from a day on, until the next such day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    from: Day,
    state: Option<AgreementState>,
}

/// The agreements day by day, ascending: every record asks several times.
pub(super) fn spans(agreements: &[Agreement]) -> Vec<Span> {
    let mut days: Vec<Day> = agreements
        .iter()
        .flat_map(|agreement| [Some(agreement.effective_from), agreement.effective_to])
        .flatten()
        .collect();
    days.sort_unstable();
    let mut spans: Vec<Span> = days
        .into_iter()
        .map(|from| Span {
            from,
            state: state_on(agreements, from),
        })
        .collect();
    spans.dedup_by_key(|span| span.state);
    spans
}

/// The state in force on a day.
#[inline]
pub(super) fn state_in(spans: &[Span], day: Day) -> Option<AgreementState> {
    spans.iter().rev().find(|span| span.from <= day)?.state
}

/// Among those that hold the day the greatest recorded time decides, then the greater effective
/// date, then the later offset.
fn state_on(agreements: &[Agreement], day: Day) -> Option<AgreementState> {
    agreements
        .iter()
        .filter(|agreement| agreement.holds(day))
        .max_by_key(|agreement| {
            (
                agreement.recorded_at,
                agreement.effective_from,
                agreement.ordinal,
            )
        })
        .map(|agreement| agreement.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(
        service: &str,
        state: AgreementState,
        from: i32,
        to: Option<i32>,
        recorded: i64,
        ordinal: u64,
    ) -> Agreement {
        Agreement {
            service_id: service.into(),
            state,
            effective_from: Day(from),
            effective_to: to.map(Day),
            recorded_at: Timestamp(recorded),
            ordinal,
        }
    }

    #[test]
    fn the_agreement_recorded_last_decides_among_those_that_hold_the_day() {
        use AgreementState::{Approved, Closed, Declined, Withdrawn};
        let mut standing = Vec::new();
        for record in [
            agreement("gpad", Approved, 10, None, 1, 0),
            agreement("gpad", Withdrawn, 20, None, 5, 1),
            agreement("gpad", Declined, 30, Some(40), 3, 2),
            // Recorded before what stands under its key: has no say.
            agreement("gpad", Closed, 20, None, 4, 3),
            // The same recording time: the greater effective date decides.
            agreement("other", Approved, 50, None, 9, 4),
            agreement("gpad", Closed, 49, None, 9, 5),
        ] {
            upsert(&mut standing, record);
        }
        let cases = [
            (9, None),
            (10, Some(Approved)),
            (19, Some(Approved)),
            (20, Some(Withdrawn)),
            (30, Some(Withdrawn)),
            (49, Some(Closed)),
            (50, Some(Approved)),
        ];
        for (day, state) in cases {
            assert_eq!(state_in(&spans(&standing), Day(day)), state, "day {day}");
        }
    }

    #[test]
    fn an_agreement_ends_before_its_last_day() {
        let standing = [agreement(
            "gpad",
            AgreementState::Approved,
            10,
            Some(12),
            1,
            0,
        )];
        assert_eq!(
            state_in(&spans(&standing), Day(11)),
            Some(AgreementState::Approved)
        );
        assert_eq!(state_in(&spans(&standing), Day(12)), None);
    }

    #[test]
    fn of_two_records_with_one_recording_time_the_later_offset_stands() {
        let mut standing = vec![agreement("gpad", AgreementState::Approved, 10, None, 1, 7)];
        assert!(!upsert(
            &mut standing,
            agreement("gpad", AgreementState::Declined, 10, None, 1, 3)
        ));
        assert!(upsert(
            &mut standing,
            agreement("gpad", AgreementState::Declined, 10, None, 1, 8)
        ));
        assert_eq!(
            state_in(&spans(&standing), Day(10)),
            Some(AgreementState::Declined)
        );
    }
}
