//! How good the data behind a figure is: a score from 0 to 100 and what it is made of.
//!
//! The mean, over the components that apply, of the share that is without flaw, in per cent: as NHS England's Data Quality
//! Maturity Index averages the complete and valid shares of data items. Which components, and why with
//! equal weight: docs/decisions/0023.

use crate::domain::aggregate::Measure;
use crate::domain::topic::Supplier;

/// A way in which data can be flawed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// No national category, or one of another context (domain.md §2).
    Category,
    /// Past, and neither attended nor DNA.
    Status,
    /// Only of suppliers that send modes: INPS has none (domain.md §4.5), which is no conduct of its practices.
    Mode,
    HcpType,
    /// No booking date, or one after the appointment.
    Wait,
    /// Consultations of appointments that are DNA or cancelled.
    Contradictions,
    /// Consultations of no appointment: activity that no count of appointments has.
    Unbooked,
}

impl Component {
    pub const ALL: [Self; 7] = [
        Self::Category,
        Self::Status,
        Self::Mode,
        Self::HcpType,
        Self::Wait,
        Self::Contradictions,
        Self::Unbooked,
    ];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Status => "status",
            Self::Mode => "mode",
            Self::HcpType => "hcp_type",
            Self::Wait => "wait",
            Self::Contradictions => "contradictions",
            Self::Unbooked => "unbooked",
        }
    }
}

/// The measures of the aggregate `quality` that the score reads.
const READ: [Measure; 9] = [
    Measure::Appointments,
    Measure::Unmapped,
    Measure::Inconsistent,
    Measure::UnknownStatus,
    Measure::UnknownMode,
    Measure::UnknownHcp,
    Measure::UnknownWait,
    Measure::Contradictions,
    Measure::UnbookedConsultations,
];

/// Counts of flaws, by whether their supplier sends modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flaws {
    with_mode: [i64; READ.len()],
    without_mode: [i64; READ.len()],
}

/// One component: so many of so many are flawed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    pub component: Component,
    pub flawed: i64,
    pub of: i64,
}

impl Flaws {
    /// What a supplier's row of the aggregate says of one measure; others than those read are passed over.
    pub fn add(&mut self, supplier: Supplier, measure: Measure, count: i64) {
        let counts = if sends_modes(supplier) {
            &mut self.with_mode
        } else {
            &mut self.without_mode
        };
        if let Some(at) = READ.iter().position(|read| *read == measure) {
            counts[at] += count;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        let mine = self.with_mode.iter_mut().chain(&mut self.without_mode);
        for (sum, count) in mine.zip(other.with_mode.iter().chain(&other.without_mode)) {
            *sum += count;
        }
    }

    fn count(&self, measure: Measure) -> i64 {
        let at = READ.iter().position(|read| *read == measure);
        at.map_or(0, |at| self.with_mode[at] + self.without_mode[at])
    }

    #[must_use]
    pub fn appointments(&self) -> i64 {
        self.count(Measure::Appointments)
    }

    /// Appointments of suppliers that send no modes: shown, and not scored.
    #[must_use]
    pub const fn mode_never_sent(&self) -> i64 {
        self.without_mode[0]
    }

    /// In the order of [`Component::ALL`].
    #[must_use]
    pub fn parts(&self) -> [Part; 7] {
        let appointments = self.appointments();
        Component::ALL.map(|component| {
            let (flawed, of) = match component {
                Component::Category => (
                    self.count(Measure::Unmapped) + self.count(Measure::Inconsistent),
                    appointments,
                ),
                Component::Status => (self.count(Measure::UnknownStatus), appointments),
                // READ[0] is the appointments, READ[4] the unknown modes.
                Component::Mode => (self.with_mode[4], self.with_mode[0]),
                Component::HcpType => (self.count(Measure::UnknownHcp), appointments),
                Component::Wait => (self.count(Measure::UnknownWait), appointments),
                // Beside the appointments that count, so that a share never exceeds one.
                Component::Contradictions => {
                    let flawed = self.count(Measure::Contradictions);
                    (flawed, appointments + flawed)
                }
                Component::Unbooked => {
                    let flawed = self.count(Measure::UnbookedConsultations);
                    (flawed, appointments + flawed)
                }
            };
            Part {
                component,
                flawed,
                of,
            }
        })
    }
}

const fn sends_modes(supplier: Supplier) -> bool {
    !matches!(supplier, Supplier::Inps)
}

/// From 0 to 100, of parts whose counts `told` gives; `None` where no part is of anything, or no appointment is told.
/// Disclosure control gives the counts that may leave, so that a score says no more than they do.
#[must_use]
pub fn score(parts: &[Part], told: impl Fn(i64) -> f64) -> Option<f64> {
    let shares = parts.iter().filter_map(|part| {
        let of = told(part.of);
        (of > 0.0).then(|| 1.0 - (told(part.flawed) / of).min(1.0))
    });
    let (sum, count) = shares.fold((0.0, 0_u32), |(sum, count), share| (sum + share, count + 1));
    (count > 0).then(|| 100.0 * sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(supplier: Supplier, counts: &[(Measure, i64)]) -> Flaws {
        let mut flaws = Flaws::default();
        for (measure, count) in counts {
            flaws.add(supplier, *measure, *count);
        }
        flaws
    }

    fn scored(flaws: &Flaws) -> Option<f64> {
        score(&flaws.parts(), |count| count as f64)
    }

    #[test]
    fn every_flaw_lowers_the_score_by_its_share_of_one_component() {
        let cases = [
            (Measure::Unmapped, 100.0 - 25.0 / 7.0),
            (Measure::Inconsistent, 100.0 - 25.0 / 7.0),
            (Measure::UnknownStatus, 100.0 - 25.0 / 7.0),
            (Measure::UnknownMode, 100.0 - 25.0 / 7.0),
            (Measure::UnknownHcp, 100.0 - 25.0 / 7.0),
            (Measure::UnknownWait, 100.0 - 25.0 / 7.0),
            // 25 beside 100: a fifth.
            (Measure::Contradictions, 100.0 - 20.0 / 7.0),
            (Measure::UnbookedConsultations, 100.0 - 20.0 / 7.0),
            (Measure::TimesReversed, 100.0),
        ];
        for (measure, expected) in cases {
            let one = flaws(
                Supplier::Emis,
                &[(Measure::Appointments, 100), (measure, 25)],
            );
            let scored = scored(&one).expect("a score");
            assert!((scored - expected).abs() < 1e-9, "{measure:?}: {scored}");
        }
        let all: Vec<_> = READ.into_iter().map(|measure| (measure, 100)).collect();
        let worst = scored(&flaws(Supplier::Tpp, &all)).expect("a score");
        assert!((worst - 100.0 / 7.0).abs() < 1e-9, "{worst}");
    }

    #[test]
    fn a_supplier_that_sends_no_modes_is_shown_and_not_scored_for_it() {
        let counts = [(Measure::Appointments, 80), (Measure::UnknownMode, 80)];
        let inps = flaws(Supplier::Inps, &counts);
        assert_eq!((scored(&inps), inps.mode_never_sent()), (Some(100.0), 80));
        let emis = flaws(Supplier::Emis, &counts);
        let lower = scored(&emis).expect("a score");
        assert!(
            (lower - 600.0 / 7.0).abs() < 1e-9 && emis.mode_never_sent() == 0,
            "{lower}"
        );
        // A practice of both: the mode of the other system's appointments counts.
        let mut both = inps;
        both.merge(&flaws(
            Supplier::Emis,
            &[(Measure::Appointments, 20), (Measure::UnknownMode, 5)],
        ));
        assert_eq!(
            both.parts()[2],
            Part {
                component: Component::Mode,
                flawed: 5,
                of: 20
            }
        );
        assert_eq!(both.appointments(), 100);
    }

    #[test]
    fn nothing_has_no_score_and_consultations_alone_have_one() {
        assert_eq!(scored(&Flaws::default()), None);
        let unbooked = flaws(Supplier::Tpp, &[(Measure::UnbookedConsultations, 9)]);
        assert_eq!(scored(&unbooked), Some(0.0));
    }
}
