//! The anonymisation screen: finds what could identify a patient in free text (feeds.md, rule 2).

use std::sync::LazyLock;

use fancy_regex::Regex;
use rustc_hash::FxHashMap;

use crate::domain::text::may_have_digit_or_at;
use crate::wire::supplier::{emis, inps, microtest, tpp};

/// A supplier's free-text fields, by name.
pub trait FreeText {
    /// The names, in the order in which [`Self::find`] shows the texts.
    const FIELDS: &'static [&'static str];

    /// Shows each text to `see`; stops at the first `true` and answers its place in [`Self::FIELDS`].
    fn find(&self, see: impl FnMut(&str) -> bool) -> Option<usize>;
}

macro_rules! free_text {
    ($record:ty: $($field:ident),* $(; optional $($optional:ident),+)?) => {
        impl FreeText for $record {
            const FIELDS: &'static [&'static str] =
                &[$(stringify!($field),)* $($(stringify!($optional),)+)? "schema_note"];

            fn find(&self, mut see: impl FnMut(&str) -> bool) -> Option<usize> {
                [$(Some(self.$field),)* $($(self.$optional,)+)? self.schema_note]
                    .into_iter()
                    .position(|text| text.is_some_and(&mut see))
            }
        }
    };
}

free_text!(emis::Appointment<'_>: slot_type_description, session_category);
free_text!(emis::Consultation<'_>: consultation_type);
free_text!(tpp::Appointment<'_>: rota_name, rota_type, slot_type);
free_text!(tpp::Consultation<'_>: contact_method, contact_event_location);
free_text!(inps::Appointment<'_>: slot_type);
free_text!(inps::Consultation<'_>: session, location);
free_text!(microtest::Appointment<'_>: slot_name; optional role, contact);
free_text!(microtest::Consultation<'_>: ; optional role);

static NHS_NUMBER: LazyLock<Regex> =
    LazyLock::new(|| expression(r"(?<![0-9])[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}(?![0-9])"));
static POSTCODE: LazyLock<Regex> =
    LazyLock::new(|| expression(r"(?i)\b[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][ABD-HJLNP-UW-Z]{2}\b"));
static PHONE: LazyLock<Regex> =
    LazyLock::new(|| expression(r"(?<![0-9])(\+44|0)( ?[0-9]){9,10}(?![0-9])"));
static E_MAIL: LazyLock<Regex> = LazyLock::new(|| expression(r"[\w.+-]+@[\w-]+\.[\w.]+"));
static DATE: LazyLock<Regex> = LazyLock::new(|| {
    expression(r"(?<![0-9])([0-9]{2}([/-])[0-9]{2}\2[0-9]{4}|[0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9])")
});

fn expression(text: &str) -> Regex {
    Regex::new(text).expect("the rule's expressions are constants that compile")
}

/// What a text holds, apart from the year of extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Clean,
    Identifiable,
    /// The earliest year of a date in the text.
    DateOf(i32),
}

/// Screens texts and remembers what it found, since clinical systems repeat theirs.
#[derive(Debug, Default)]
pub struct Screen {
    seen: FxHashMap<Box<str>, Finding>,
}

impl Screen {
    /// Texts remembered at most: free text repeats, and what does not is not worth keeping.
    const MEMORY: usize = 16_384;
    /// Longer texts are not remembered.
    const LONGEST: usize = 256;

    /// The name of the first field with a hit.
    pub fn hit<R: FreeText>(&mut self, record: &R, extraction_year: i32) -> Option<&'static str> {
        record
            .find(|text| self.identifies(text, extraction_year))
            .map(|place| R::FIELDS[place])
    }

    fn identifies(&mut self, text: &str, extraction_year: i32) -> bool {
        // Every expression needs one of them, and most texts have neither.
        if !may_have_digit_or_at(text) {
            return false;
        }
        let finding = if let Some(known) = self.seen.get(text) {
            *known
        } else {
            let found = examine(text);
            if text.len() <= Self::LONGEST && self.seen.len() < Self::MEMORY {
                self.seen.insert(text.into(), found);
            }
            found
        };
        match finding {
            Finding::Clean => false,
            Finding::Identifiable => true,
            Finding::DateOf(year) => year < extraction_year - 1,
        }
    }
}

fn examine(text: &str) -> Finding {
    let identifiable = any_match(&NHS_NUMBER, text, has_right_check_digit)
        || any_match(&POSTCODE, text, |found| !reads_as_ordinal(found))
        || any_match(&PHONE, text, |_| true)
        || any_match(&E_MAIL, text, |_| true);
    if identifiable {
        return Finding::Identifiable;
    }
    let mut earliest = None;
    any_match(&DATE, text, |found| {
        earliest = year_of(found).into_iter().chain(earliest).min();
        false
    });
    earliest.map_or(Finding::Clean, Finding::DateOf)
}

/// Whether any match, overlapping ones too, satisfies `is_hit`.
//
// A text on which the expression gives up (its backtracking limit) counts as a hit: a screen that
// cannot tell must not let through.
fn any_match(expression: &Regex, text: &str, mut is_hit: impl FnMut(&str) -> bool) -> bool {
    let mut from = 0;
    while from <= text.len() {
        match expression.find_from_pos(text, from) {
            Ok(Some(found)) if is_hit(found.as_str()) => return true,
            Ok(Some(found)) => {
                let step = text[found.start()..]
                    .chars()
                    .next()
                    .map_or(1, char::len_utf8);
                from = found.start() + step;
            }
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
    false
}

/// The NHS number's modulus 11 check (domain.md §7).
fn has_right_check_digit(found: &str) -> bool {
    let digits: Vec<u32> = found
        .chars()
        .filter_map(|digit| digit.to_digit(10))
        .collect();
    let [body @ .., check] = digits.as_slice() else {
        return false;
    };
    let sum: u32 = body
        .iter()
        .zip((2..=10).rev())
        .map(|(digit, weight)| digit * weight)
        .sum();
    match 11 - sum % 11 {
        11 => *check == 0,
        10 => false,
        expected => *check == expected,
    }
}

/// The inward part reads 1st, 2nd, 3rd, or a digit and `th`.
fn reads_as_ordinal(found: &str) -> bool {
    // By characters: ignoring case, a letter of the class may be a longer one (the Kelvin sign).
    let start = found.char_indices().rev().nth(2).map_or(0, |(at, _)| at);
    let inward = found[start..].to_ascii_lowercase();
    matches!(inward.as_str(), "1st" | "2nd" | "3rd") || inward.ends_with("th")
}

fn year_of(found: &str) -> Option<i32> {
    let year = if found.as_bytes().get(4) == Some(&b'-') {
        &found[..4]
    } else {
        &found[found.len() - 4..]
    };
    year.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifies(text: &str) -> bool {
        Screen::default().identifies(text, 2022)
    }

    #[test]
    fn texts_that_could_identify_a_patient_are_found() {
        let cases = [
            ("call 943 476 5919", true),
            ("call 943-476-5919.", true),
            ("9434765919", true),
            ("943 476 5918", false),
            ("19434765919", false),
            // The first candidate fails its check, an overlapping one does not.
            ("943 943 4765 9434765919", true),
            ("visit LS1 4AP", true),
            ("visit ls14ap", true),
            ("flat EC1A 1BB x", true),
            ("GP10 1st floor", false),
            ("B12 3rd", false),
            ("B12 9th", false),
            ("B12 1ST", false),
            ("B12 3st", true),
            ("tel 01234 567890", true),
            ("tel +44 1234 567890", true),
            ("0 1 2 3 4 5 6 7 8 9", true),
            ("012345678", false),
            ("someone@example.org", true),
            ("@home 5", false),
            ("born 01/02/1950", true),
            ("born 01-02-1950", true),
            ("born 01/02-1950", false),
            ("born 1950-02-01", true),
            ("clinic 2022-02-01", false),
            ("clinic 01/02/2021", false),
            ("clinic 01/02/2020", true),
            ("LS1 4K\u{212A}", false),
            ("LS1 4A\u{17F}", true),
            ("GP Same Day 10 min", false),
            ("", false),
        ];
        for (text, found) in cases {
            assert_eq!(identifies(text), found, "{text}");
        }
    }

    #[test]
    fn the_year_that_makes_a_date_a_birthday_moves_with_the_extraction() {
        let mut screen = Screen::default();
        assert!(!screen.identifies("since 01/02/2020", 2021));
        assert!(screen.identifies("since 01/02/2020", 2022));
    }

    #[test]
    fn every_scanned_field_is_named_by_its_hit() {
        let mut screen = Screen::default();
        let record = microtest_appointment();
        assert_eq!(screen.hit(&record, 2022), None);
        let cases = [
            (
                microtest::Appointment {
                    slot_name: "LS1 4AP",
                    ..record
                },
                "slot_name",
            ),
            (
                microtest::Appointment {
                    role: Some("LS1 4AP"),
                    ..record
                },
                "role",
            ),
            (
                microtest::Appointment {
                    contact: Some("LS1 4AP"),
                    ..record
                },
                "contact",
            ),
            (
                microtest::Appointment {
                    schema_note: Some("LS1 4AP"),
                    ..record
                },
                "schema_note",
            ),
        ];
        for (record, field) in cases {
            assert_eq!(screen.hit(&record, 2022), Some(field));
        }
    }

    fn microtest_appointment() -> microtest::Appointment<'static> {
        microtest::Appointment {
            practice_ods_code: "A81001",
            extract_id: "x",
            extracted_at: 0,
            schema_note: None,
            appointment_no: 1,
            start: "2022-02-01T09:00",
            length_minutes: 10,
            state: "Booked",
            slot_name: "GP",
            role: None,
            contact: None,
            booked_on: None,
            seen_at: None,
            ended_at: None,
            national_slot_category: None,
            context_type: None,
            service_setting: None,
            withdrawn: false,
        }
    }
}
