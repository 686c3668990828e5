//! From category texts to the published category, context and setting (feeds.md, rule 4).

use super::draft::CategoryTexts;
use super::text::may_have_letter;
use super::time::Day;
use super::vocabulary::{ContextType, NationalCategory, ServiceSetting};

/// The category of an appointment; its context follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Category {
    pub national: NationalCategory,
    pub setting: ServiceSetting,
    /// The text was neither one of the 17 nor an old label.
    pub is_unknown_text: bool,
}

impl Category {
    /// No source names a category.
    pub const UNMAPPED: Self = Self {
        national: NationalCategory::Unmapped,
        setting: ServiceSetting::Unmapped,
        is_unknown_text: false,
    };

    /// From the texts of one source, trimmed.
    #[must_use]
    pub fn resolve(texts: &CategoryTexts<'_>) -> Self {
        let inconsistent = texts
            .context
            .is_some_and(|context| context != ContextType::CareRelatedEncounter.label());
        let (national, is_unknown_text) = if inconsistent {
            (NationalCategory::InconsistentMapping, false)
        } else {
            NationalCategory::from_text(texts.category)
                .map_or((NationalCategory::Unmapped, true), |known| (known, false))
        };
        let setting = texts
            .setting
            .filter(|_| national != NationalCategory::Unmapped)
            .and_then(ServiceSetting::from_label)
            .unwrap_or(ServiceSetting::Unmapped);
        Self {
            national,
            setting,
            is_unknown_text,
        }
    }
}

/// COVID-19 vaccination activity is taken out from this day on (domain.md §3.5).
#[must_use]
pub fn is_covid_vaccination(slot_type: &str, day: Day) -> bool {
    /// 2020-12-01.
    const FROM: Day = Day(18_597);
    day >= FROM
        && may_have_letter(slot_type, b'v')
        && contains(slot_type, b"covid")
        && [&b"vacc"[..], b"imm", b"jab"]
            .into_iter()
            .any(|word| contains(slot_type, word))
}

/// ASCII case ignored; `word` in lower case.
fn contains(text: &str, word: &[u8]) -> bool {
    text.as_bytes()
        .windows(word.len())
        .any(|window| window[0] | 0x20 == word[0] && window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn category_context_and_setting_follow_the_rule() {
        use NationalCategory as N;
        use ServiceSetting as S;
        let encounter = Some("Care Related Encounter");
        let cases = [
            (
                "Walk-in",
                encounter,
                Some("General Practice"),
                (N::WalkIn, S::GeneralPractice, false),
            ),
            ("Walk-in", None, None, (N::WalkIn, S::Unmapped, false)),
            (
                "Walk-in",
                Some("Care Related Activity"),
                Some("Other"),
                (N::InconsistentMapping, S::Other, false),
            ),
            (
                "nonsense",
                Some("nonsense"),
                None,
                (N::InconsistentMapping, S::Unmapped, false),
            ),
            (
                "nonsense",
                encounter,
                Some("Other"),
                (N::Unmapped, S::Unmapped, true),
            ),
            (
                "Unmapped",
                None,
                Some("Other"),
                (N::Unmapped, S::Unmapped, true),
            ),
            (
                "Triage",
                encounter,
                Some("other"),
                (N::ClinicalTriage, S::Unmapped, false),
            ),
        ];
        for (category, context, setting, (national, expected, is_unknown_text)) in cases {
            let resolved = Category::resolve(&CategoryTexts {
                category,
                context,
                setting,
            });
            assert_eq!(
                resolved,
                Category {
                    national,
                    setting: expected,
                    is_unknown_text
                },
                "{category} {context:?}"
            );
        }
    }

    #[test]
    fn covid_vaccinations_are_known_by_their_slot_type_from_december_2020() {
        let first = Day::from_ymd(2020, 12, 1).expect("a day");
        let cases = [
            ("Flu/Covid Vaccination", first, true),
            ("COVID jab", first, true),
            ("covid-19 IMMs", first, true),
            ("Covid clinic", first, false),
            ("Flu vaccination", first, false),
            ("COVID jab", Day(first.0 - 1), false),
            ("", first, false),
        ];
        for (slot_type, day, covid) in cases {
            assert_eq!(is_covid_vaccination(slot_type, day), covid, "{slot_type}");
        }
    }
}
