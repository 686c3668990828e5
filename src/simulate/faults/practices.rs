//! Practices that do not take part, and codes that are no practice's.

use super::moment;
use crate::domain::time::{Day, Timestamp};
use crate::simulate::error::Error;
use crate::simulate::registers::{agreement, geography, recorded_at, since};
use crate::simulate::run::Plan;
use crate::wire::reference::{Participation, ParticipationState, Practice};

/// What a practice's agreement says on the days of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Declined.
    Declined,
    /// Approved long ago, withdrawn since.
    Withdrawn,
    /// Offered, no answer.
    Offered,
    /// Closed.
    Closed,
    /// No record of the collection at all.
    Absent,
    /// Approved only after its appointments, before their extraction.
    ApprovedLater,
}

impl Standing {
    const ALL: [Self; 6] = [
        Self::Declined,
        Self::Withdrawn,
        Self::Offered,
        Self::Closed,
        Self::Absent,
        Self::ApprovedLater,
    ];
}

/// A code whose records are of an unknown practice.
pub struct Stranger(pub String);

/// Practices that closed since 2019, which no cells are shared out to, each in another standing.
pub fn all(plan: &Plan) -> Vec<(&'static str, Standing)> {
    let closed = &plan.reference.closed;
    let first = (plan.options.seed % 64) as usize;
    let codes = closed
        .iter()
        .cycle()
        .skip(first * Standing::ALL.len())
        .copied();
    codes.zip(Standing::ALL).collect()
}

/// Codes of the right form that neither table has, and malformed ones.
pub fn strangers(plan: &Plan) -> Vec<Stranger> {
    let known = |code: &String| {
        let practices = &plan.reference.practices;
        practices
            .binary_search_by_key(&code.as_str(), |practice| practice.code)
            .is_ok()
            || plan.reference.closed.contains(&code.as_str())
    };
    let well_formed = (0..1000)
        .map(|number| format!("Y99{:03}", 999 - number))
        .find(|code| !known(code));
    let malformed = ["Q99999", "A8100", "a81001", "A81001X"].map(str::to_owned);
    well_formed
        .into_iter()
        .chain(malformed)
        .map(Stranger)
        .collect()
}

/// Takes the agreements and the row of a practice.
type Give<'a> = dyn FnMut(&[Participation], &Practice) -> Result<(), Error> + 'a;

/// Hands on the agreements and the row of every practice that does not take part.
///
/// # Errors
/// Those of `give`.
pub fn registers(plan: &Plan, give: &mut Give<'_>) -> Result<(), Error> {
    let since = since(plan);
    for (code, standing) in all(plan) {
        let state = |state| vec![agreement(code, state, since)];
        let agreements = match standing {
            Standing::Declined => state(ParticipationState::Declined),
            Standing::Offered => state(ParticipationState::Offered),
            Standing::Closed => state(ParticipationState::Closed),
            Standing::Absent => Vec::new(),
            Standing::Withdrawn => {
                let approved = agreement(code, ParticipationState::Approved, since);
                let until = Day(since.0 + 200);
                let withdrawn = agreement(code, ParticipationState::Withdrawn, until);
                vec![approved, withdrawn]
            }
            Standing::ApprovedLater => {
                let offered = agreement(code, ParticipationState::Offered, since);
                let extracted_on = Timestamp(moment(plan).at).london_day();
                let approved = agreement(code, ParticipationState::Approved, extracted_on);
                vec![offered, approved]
            }
        };
        give(&agreements, &row(plan, code, since))?;
    }
    Ok(())
}

/// The row of a closed practice: it lies in the first place, and is open in no month that is simulated.
fn row(plan: &Plan, code: &str, since: Day) -> Practice {
    let own = &plan.reference.icbs[0];
    let geography = geography(plan, 0, own);
    let [sub_icb_code, sub_icb_ons_code, sub_icb_name] = geography.sub_icb;
    let [icb_code, icb_ons_code, icb_name] = geography.icb;
    let [region_code, region_ons_code, region_name] = geography.region;
    Practice {
        practice_ods_code: code.to_owned(),
        name: format!("PRACTICE {code}"),
        suppliers: vec!["EMIS".to_owned()],
        pcn_code: None,
        pcn_name: None,
        sub_icb_code,
        sub_icb_ons_code,
        sub_icb_name,
        icb_code,
        icb_ons_code,
        icb_name,
        region_code,
        region_ons_code,
        region_name,
        registered_patients: None,
        open_date: None,
        close_date: Some(since.0),
        effective_from: since.0,
        recorded_at: recorded_at(since),
    }
}
