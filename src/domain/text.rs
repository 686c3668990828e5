//! What is asked of every record's texts.

const ONES: u64 = 0x0101_0101_0101_0101;

/// As [`str::trim`]; most texts have nothing to trim, and tell so by their two ends.
#[inline]
#[must_use]
pub fn trimmed(text: &str) -> &str {
    let is_plain = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_plain(bytes.first()) && is_plain(bytes.last()) {
        text
    } else {
        text.trim()
    }
}

/// The number of decimal digits; `None` if one is no digit.
#[inline]
#[must_use]
pub fn number<const DIGITS: usize>(digits: [u8; DIGITS]) -> Option<u32> {
    const { assert!(DIGITS <= 9, "more do not fit") };
    digits.into_iter().try_fold(0, |number, digit| {
        (digit.is_ascii_digit()).then(|| number * 10 + u32::from(digit - b'0'))
    })
}

/// Whether a digit or an at sign may be in a text; never wrong about one that is.
#[inline]
#[must_use]
pub fn may_have_digit_or_at(text: &str) -> bool {
    // From `0` on and not from `A` on: digits, six signs behind them, and the at sign. No sum of seven bits carries over.
    any_word(text.as_bytes(), |word| {
        let sevens = word & (0x7f * ONES);
        let from = |first: u8| sevens + u64::from(0x80 - first) * ONES;
        from(b'0') & !from(b'A') & (0x80 * ONES)
    })
}

/// Whether an ASCII letter, given in lower case, may be in a text in either case; never wrong about one that is.
#[inline]
#[must_use]
pub fn may_have_letter(text: &str, letter: u8) -> bool {
    let letters = u64::from(letter) * ONES;
    any_word(text.as_bytes(), |word| {
        zeros((word | (0x20 * ONES)) ^ letters)
    })
}

/// Not 0 if one of eight bytes is.
#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (0x80 * ONES)
}

/// Whether any eight bytes are found; behind a short text come zeros, of a long one the last are looked at together with some before.
#[inline]
fn any_word(bytes: &[u8], found: impl Fn(u64) -> u64) -> bool {
    let (words, _) = bytes.as_chunks::<8>();
    let any = words
        .iter()
        .fold(0, |any, word| any | found(u64::from_le_bytes(*word)));
    let last = bytes.last_chunk::<8>().map_or_else(
        || {
            bytes
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        },
        |word| u64::from_le_bytes(*word),
    );
    any | found(last) != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// They find what a look at every byte finds, and find nothing in most texts that do not have it.
        #[test]
        fn texts_are_read_as_byte_by_byte(text in "[ -~é漢\u{a0}\u{2003}\t]{0,40}", letter in prop::sample::select(vec![b'v', b'a', b'z'])) {
            prop_assert_eq!(trimmed(&text), text.trim());
            let has = |what: &dyn Fn(u8) -> bool| text.bytes().any(what);
            if has(&|byte| byte.is_ascii_digit() || byte == b'@') {
                prop_assert!(may_have_digit_or_at(&text));
            }
            if has(&|byte| byte.eq_ignore_ascii_case(&letter)) {
                prop_assert!(may_have_letter(&text, letter));
            }
        }
    }

    #[test]
    fn a_number_has_digits_alone() {
        assert_eq!(number(*b"0459"), Some(459));
        assert_eq!(number(*b"999999999"), Some(999_999_999));
        for text in [*b"+459", *b" 459", *b"45.9", *b"/459", *b":459"] {
            assert_eq!(number(text), None);
        }
    }

    #[test]
    fn plain_texts_are_told_apart() {
        for text in ["", "GP", "Same Day Clinic", "General Consultation Routine"] {
            assert!(!may_have_digit_or_at(text), "{text}");
            assert!(!may_have_letter(text, b'v'), "{text}");
        }
        for place in 0..30 {
            let mut text = vec![b'-'; 30];
            text[place] = b'7';
            assert!(may_have_digit_or_at(
                std::str::from_utf8(&text).expect("ASCII")
            ));
            text[place] = b'V';
            assert!(may_have_letter(
                std::str::from_utf8(&text).expect("ASCII"),
                b'v'
            ));
        }
    }
}
