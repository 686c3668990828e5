//! Reads records as a writer of our own schema usually writes them, and stumbles over anything else.
//!
//! Nothing is told of what is wrong: whoever stumbles is read again step by step, and that tells. So no read has an error to hand on,
//! and a record's fields follow each other without a branch for it.

use ascii::AsAsciiStr as _;

use super::cursor::Cursor;

/// A position in a datum, good until it stumbles: what is read from there on means nothing.
#[derive(Debug)]
pub struct Quick<'a> {
    rest: &'a [u8],
    has_stumbled: bool,
}

/// Bytes of numbers that are taken in one step.
const WORD: usize = 8;

impl<'a> Quick<'a> {
    pub(super) const fn new(datum: &'a [u8]) -> Self {
        Self {
            rest: datum,
            has_stumbled: false,
        }
    }

    /// What is left to read, if all that was read so far is what it should be.
    pub(super) fn rest(&self) -> Option<&'a [u8]> {
        (!self.has_stumbled).then_some(self.rest)
    }

    /// Bytes that are left to read.
    pub(in crate::wire) const fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    const fn stumble_if(&mut self, is_wrong: bool) {
        self.has_stumbled |= is_wrong;
    }

    #[inline]
    fn byte(&mut self) -> u8 {
        if let [byte, rest @ ..] = self.rest {
            self.rest = rest;
            return *byte;
        }
        self.has_stumbled = true;
        0
    }

    /// A number as it lies there; stumbles over bytes that it does not need.
    #[inline]
    fn varint(&mut self) -> u64 {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return u64::from(*byte);
        }
        let read = match self.rest.first_chunk::<WORD>() {
            Some(word) => long_varint(u64::from_le_bytes(*word)),
            None => None,
        };
        let read = read.or_else(|| any_varint(self.rest));
        let taken = read.and_then(|(number, bytes)| Some((number, self.rest.get(bytes..)?)));
        let Some((number, rest)) = taken else {
            self.has_stumbled = true;
            return 0;
        };
        self.rest = rest;
        number
    }

    #[inline]
    pub(in crate::wire) fn long(&mut self) -> i64 {
        let zigzag = self.varint();
        (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()
    }

    #[inline]
    pub(in crate::wire) fn int(&mut self) -> i32 {
        let zigzag = self.varint();
        self.stumble_if(zigzag > u64::from(u32::MAX));
        let zigzag = zigzag as u32;
        (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()
    }

    #[inline]
    pub(in crate::wire) fn boolean(&mut self) -> bool {
        let byte = self.byte();
        self.stumble_if(byte > 1);
        byte == 1
    }

    /// Of two: the branch of a union, or a symbol.
    #[inline]
    pub(in crate::wire) fn is_second(&mut self) -> bool {
        let byte = self.byte();
        self.stumble_if(byte & !2 != 0);
        byte == 2
    }

    #[inline]
    pub(in crate::wire) fn text(&mut self) -> &'a str {
        // No length fits that is below zero, or more than there is.
        let length = usize::try_from(self.long()).unwrap_or(usize::MAX);
        let Some((text, rest)) = self.rest.split_at_checked(length) else {
            self.has_stumbled = true;
            return "";
        };
        self.rest = rest;
        if let Ok(ascii) = text.as_ascii_str() {
            return ascii.as_str();
        }
        std::str::from_utf8(text).unwrap_or_else(|_| {
            self.has_stumbled = true;
            ""
        })
    }
}

// What follows is given bytes and not the position: from number to number that stays in registers.

/// A number of two to eight bytes, and how many; others are rare.
#[inline]
const fn long_varint(word: u64) -> Option<(u64, usize)> {
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return None;
    }
    // The first byte without the bit that says "go on", and all before it.
    let bits = ends.trailing_zeros() + 1;
    let kept = word & (u64::MAX >> (u64::BITS - bits));
    if kept >> (bits - 8) == 0 {
        return None;
    }
    // Seven bits of each byte, closed up by pairs.
    let sevens = kept & 0x7f7f_7f7f_7f7f_7f7f;
    let fourteens = sevens & 0x007f_007f_007f_007f | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
    let halves = fourteens & 0x0000_3fff_0000_3fff | (fourteens & 0x3fff_0000_3fff_0000) >> 2;
    let number = halves & 0x0fff_ffff | (halves & 0x0fff_ffff_0000_0000) >> 4;
    Some((number, bits as usize / 8))
}

/// The same of any length, `None` where it needs fewer bytes or there is none.
#[cold]
fn any_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut cursor = Cursor::new(bytes);
    let number = cursor.varint().ok()?;
    (!cursor.padded).then_some((number, cursor.at))
}

#[cfg(test)]
mod tests {
    use super::super::cursor::Cursor;
    use super::super::encode;
    use super::Quick;

    type Read = fn(&mut Quick<'_>);

    /// Reads with both: they agree where the number needs all its bytes, and nothing is taken where there is too little.
    fn check(bytes: &[u8]) {
        let (mut quick, mut cursor) = (Quick::new(bytes), Cursor::new(bytes));
        let (read, expected) = (quick.long(), cursor.long());
        match expected.ok().filter(|_| !cursor.padded) {
            None => assert_eq!(quick.rest(), None, "{bytes:?}"),
            Some(long) => {
                assert_eq!(read, long, "{bytes:?}");
                assert_eq!(quick.rest(), Some(&bytes[cursor.at..]), "{bytes:?}");
            }
        }
    }

    #[test]
    fn numbers_of_every_length_are_read_whatever_follows_them() {
        for shift in 0..64 {
            for long in [
                1 << shift,
                (1_i64 << shift).wrapping_neg(),
                i64::MAX >> shift,
                i64::MIN >> shift,
            ] {
                let mut bytes = Vec::new();
                encode::long(long, &mut bytes);
                let length = bytes.len();
                for (behind, padding) in [(0, 0), (1, 0xff), (9, 0xff), (9, 0), (9, 0x80)] {
                    bytes.resize(length + behind, padding);
                    check(&bytes);
                    for end in 0..length {
                        check(&bytes[..end]);
                    }
                    // One byte more than it needs.
                    let mut longer = bytes.clone();
                    longer[length - 1] |= 0x80;
                    longer.insert(length, 0);
                    check(&longer);
                    bytes.truncate(length);
                }
            }
        }
        check(&[0xff; 12]);
        check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]);
    }

    #[test]
    fn what_is_no_int_boolean_branch_or_text_makes_it_stumble() {
        let stumbles = |bytes: &[u8], read: Read| {
            let mut quick = Quick::new(bytes);
            read(&mut quick);
            quick.rest().is_none()
        };
        let int: Read = |quick| _ = quick.int();
        let boolean: Read = |quick| _ = quick.boolean();
        let branch: Read = |quick| _ = quick.is_second();
        let text: Read = |quick| _ = quick.text();
        let cases: [(&[u8], Read, bool); 16] = [
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], int, false),
            (&[0x80, 0x80, 0x80, 0x80, 0x10], int, true),
            (&[0], boolean, false),
            (&[1], boolean, false),
            (&[2], boolean, true),
            (&[], boolean, true),
            (&[0], branch, false),
            (&[2], branch, false),
            (&[1], branch, true),
            (&[4], branch, true),
            (&[0x80], branch, true),
            (&[4, b'a', b'b'], text, false),
            (&[4, b'a'], text, true),
            (&[1], text, true),
            (&[4, b'a', 0xff], text, true),
            (&[4, 0xc3, 0xa9], text, false),
        ];
        for (bytes, read, expected) in cases {
            assert_eq!(stumbles(bytes, read), expected, "{bytes:?}");
        }
    }
}
