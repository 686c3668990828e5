//! Ids as their suppliers write them, in sixteen bytes: they decide the order of consultations.

use std::cmp::Ordering;

use crate::domain::identity::NativeId;

/// How the sixteen bytes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Number = 0,
    /// 8-4-4-4-12 hexadecimal digits, all letters in lower case.
    LowerGuid = 1,
    /// The same with letters in upper case.
    UpperGuid = 2,
    /// At most 15 bytes of text, the last byte of the sixteen its length.
    Short = 3,
    /// Text that lies elsewhere: eight bytes say where, four how long it is.
    Long = 4,
}

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::Number,
        Self::LowerGuid,
        Self::UpperGuid,
        Self::Short,
        Self::Long,
    ];
}

/// A packed id: its kind stands among the entry's marks.
pub type Packed = [u8; 16];

const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const GUID_LENGTH: usize = 36;

/// An id ready to be held.
#[derive(Debug, Clone, Copy)]
pub enum Id<'a> {
    Packed(Kind, Packed),
    /// Text that must lie elsewhere.
    Long(&'a str),
}

#[must_use]
pub fn pack(id: NativeId<'_>) -> Id<'_> {
    let mut packed = [0; 16];
    let text = match id {
        NativeId::Number(number) => {
            packed[..8].copy_from_slice(&number.to_le_bytes());
            return Id::Packed(Kind::Number, packed);
        }
        NativeId::Text(text) => text,
    };
    if let Some((kind, packed)) = guid(text.as_bytes()) {
        return Id::Packed(kind, packed);
    }
    if text.len() < packed.len() {
        packed[..text.len()].copy_from_slice(text.as_bytes());
        packed[15] = text.len() as u8;
        return Id::Packed(Kind::Short, packed);
    }
    Id::Long(text)
}

/// Where a long text lies.
#[must_use]
pub fn pack_long(at: u64, length: u32) -> Packed {
    let mut packed = [0; 16];
    packed[..8].copy_from_slice(&at.to_le_bytes());
    packed[8..12].copy_from_slice(&length.to_le_bytes());
    packed
}

fn guid(text: &[u8]) -> Option<(Kind, Packed)> {
    if text.len() != GUID_LENGTH || HYPHENS.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let (mut packed, mut digits) = ([0_u8; 16], 0);
    let (mut has_lower, mut has_upper) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        if HYPHENS.contains(&at) {
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => {
                has_lower = true;
                byte - b'a' + 10
            }
            b'A'..=b'F' => {
                has_upper = true;
                byte - b'A' + 10
            }
            _ => return None,
        };
        packed[digits / 2] |= digit << (4 * (1 - digits % 2));
        digits += 1;
    }
    match (has_lower, has_upper) {
        (true, true) => None,
        (_, false) => Some((Kind::LowerGuid, packed)),
        (false, true) => Some((Kind::UpperGuid, packed)),
    }
}

/// An id as it was written.
pub enum Unpacked<'a> {
    Number(i64),
    Guid([u8; GUID_LENGTH]),
    Text(&'a [u8]),
}

impl Unpacked<'_> {
    /// The text, empty of a number.
    #[must_use]
    pub const fn text(&self) -> &[u8] {
        match self {
            Self::Number(_) => &[],
            Self::Guid(text) => text,
            Self::Text(text) => text,
        }
    }

    const fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Guid(_) | Self::Text(_) => 0,
        }
    }

    /// Numbers as numbers, texts by code point; one supplier has one kind.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        self.number()
            .cmp(&other.number())
            .then_with(|| self.text().cmp(other.text()))
    }
}

/// Unpacks an id; long texts are looked for in `texts`.
#[must_use]
pub fn unpack<'a>(kind: Kind, packed: &'a Packed, texts: &'a [u8]) -> Unpacked<'a> {
    let eight = || {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&packed[..8]);
        bytes
    };
    match kind {
        Kind::Number => Unpacked::Number(i64::from_le_bytes(eight())),
        Kind::LowerGuid => Unpacked::Guid(digits(packed, b"0123456789abcdef")),
        Kind::UpperGuid => Unpacked::Guid(digits(packed, b"0123456789ABCDEF")),
        Kind::Short => Unpacked::Text(&packed[..usize::from(packed[15]).min(15)]),
        Kind::Long => {
            let mut length = [0; 4];
            length.copy_from_slice(&packed[8..12]);
            let at = usize::try_from(u64::from_le_bytes(eight())).unwrap_or(usize::MAX);
            Unpacked::Text(&texts[at..at + u32::from_le_bytes(length) as usize])
        }
    }
}

fn digits(packed: &Packed, alphabet: &[u8; 16]) -> [u8; GUID_LENGTH] {
    let mut text = [b'-'; GUID_LENGTH];
    let places = (0..GUID_LENGTH).filter(|at| !HYPHENS.contains(at));
    for (digit, at) in places.enumerate() {
        let byte = packed[digit / 2] >> (4 * (1 - digit % 2)) & 0xf;
        text[at] = alphabet[usize::from(byte)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(text: &str) -> Option<Kind> {
        let Id::Packed(kind, packed) = pack(NativeId::Text(text)) else {
            return None;
        };
        assert_eq!(unpack(kind, &packed, &[]).text(), text.as_bytes());
        Some(kind)
    }

    #[test]
    fn texts_come_back_as_they_were() {
        let cases = [
            (
                "0f8fad5b-d9cb-469f-a165-70867728950e",
                Some(Kind::LowerGuid),
            ),
            (
                "0F8FAD5B-D9CB-469F-A165-70867728950E",
                Some(Kind::UpperGuid),
            ),
            (
                "00000000-0000-0000-0000-000000000001",
                Some(Kind::LowerGuid),
            ),
            ("0f8fad5b-d9cb-469f-A165-70867728950e", None),
            ("0f8fad5b-d9cb-469f-a165-70867728950g", None),
            ("0f8fad5bd9cb469fa16570867728950e", None),
            ("", Some(Kind::Short)),
            ("C-17", Some(Kind::Short)),
            ("fifteen letters", Some(Kind::Short)),
            ("sixteen letters!", None),
            ("\u{e9}\u{e9}\u{e9}", Some(Kind::Short)),
        ];
        for (text, kind) in cases {
            assert_eq!(packed(text), kind, "{text}");
        }
        let texts = b"..sixteen letters!.";
        let long = pack_long(2, 16);
        assert_eq!(unpack(Kind::Long, &long, texts).text(), b"sixteen letters!");
    }

    #[test]
    fn numbers_are_ordered_as_numbers_and_texts_by_code_point() {
        let order = |a, b| {
            let (Id::Packed(a, one), Id::Packed(b, other)) = (pack(a), pack(b)) else {
                panic!("short ids are packed");
            };
            unpack(a, &one, &[]).compare(&unpack(b, &other, &[]))
        };
        let number = NativeId::Number;
        assert_eq!(order(number(-2), number(10)), Ordering::Less);
        assert_eq!(order(number(9), number(10)), Ordering::Less);
        let text = NativeId::Text;
        assert_eq!(order(text("10"), text("9")), Ordering::Less);
        assert_eq!(
            order(text("a"), text("0f8fad5b-d9cb-469f-a165-70867728950e")),
            Ordering::Greater
        );
        assert_eq!(
            order(
                text("0F8FAD5B-D9CB-469F-A165-70867728950E"),
                text("0f8fad5b-d9cb-469f-a165-70867728950e")
            ),
            Ordering::Less
        );
    }
}
