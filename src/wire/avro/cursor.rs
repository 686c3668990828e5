//! Reads Avro's primitive types from a slice, whatever bytes it holds.

use thiserror::Error;

/// What is wrong with a datum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// The datum ends before its last field does.
    #[error("truncated")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("trailing bytes")]
    TrailingBytes,
    /// A variable-length number of more than 64 bits.
    #[error("invalid varint: more than 64 bits")]
    InvalidVarint,
    /// A number that does not fit the int that the writer declared.
    #[error("int out of range")]
    IntOutOfRange,
    /// Text that is not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// A union branch that the writer's schema does not have.
    #[error("bad union branch")]
    BadUnionBranch,
    /// A union branch that the writer's schema has, of a type that the reader's field cannot hold.
    #[error("a union branch that the reader cannot hold")]
    UnreadableBranch,
    /// An enum index that the writer's schema does not have.
    #[error("bad enum index")]
    BadEnumIndex,
    /// An enum symbol that the reader does not know and has no default for.
    #[error("a symbol that the reader does not know")]
    UnknownSymbol,
    /// A boolean other than 0 and 1.
    #[error("bad boolean")]
    BadBool,
    /// A length below zero.
    #[error("negative length")]
    NegativeLength,
    /// A null where the reader needs a value.
    #[error("null where a value is required")]
    UnexpectedNull,
    /// Values nested deeper than the decoder follows.
    #[error("nested too deeply")]
    TooDeep,
    /// The decoder was compiled for another record than the one asked for.
    #[error("the decoder reads another record")]
    OtherRecord,
}

/// A position in a datum; what it reads is the shapes' own business.
#[derive(Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    /// Bytes read so far; never beyond the slice.
    pub(in crate::wire) at: usize,
    /// True once a number took more bytes than it needs: such a datum is valid, but not the canonical encoding of its values.
    pub(in crate::wire) padded: bool,
}

impl<'a> Cursor<'a> {
    pub(in crate::wire) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            padded: false,
        }
    }

    #[cfg(test)]
    const fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.bytes.get(self.at).ok_or(Fault::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.long_varint(first)
    }

    #[inline]
    fn long_varint(&mut self, first: u8) -> Result<u64, Fault> {
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            // The tenth byte holds bit 63 alone.
            if shift == 63 && byte > 1 {
                return Err(Fault::InvalidVarint);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                self.padded |= byte == 0;
                return Ok(value);
            }
            shift += 7;
        }
    }

    #[inline]
    pub(in crate::wire) fn long(&mut self) -> Result<i64, Fault> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    #[inline]
    pub(in crate::wire) fn int(&mut self) -> Result<i32, Fault> {
        let zigzag = u32::try_from(self.varint()?).map_err(|_| Fault::IntOutOfRange)?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    #[inline]
    pub(in crate::wire) fn boolean(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Fault::BadBool),
        }
    }

    /// The next `length` bytes.
    #[inline]
    pub(in crate::wire) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or(Fault::Truncated)?;
        self.at += length;
        Ok(taken)
    }

    /// The next bytes with their length before them.
    #[inline]
    pub(in crate::wire) fn lengthed(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.long()?;
        if length < 0 {
            return Err(Fault::NegativeLength);
        }
        // A length that no address space holds is no shorter than one that the datum does not.
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    #[inline]
    pub(in crate::wire) fn text(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.lengthed()?).map_err(|_| Fault::InvalidUtf8)
    }

    /// The branch of a union of two.
    #[inline]
    pub(in crate::wire) fn branch(&mut self) -> Result<u8, Fault> {
        match self.bytes.get(self.at) {
            Some(0) => self.at += 1,
            Some(2) => {
                self.at += 1;
                return Ok(1);
            }
            _ => {
                return self
                    .index(2, Fault::BadUnionBranch)
                    .map(|branch| branch as u8);
            }
        }
        Ok(0)
    }

    /// The index of a union's branch or of an enum's symbol, below `count`.
    #[inline]
    pub(in crate::wire) fn index(&mut self, count: usize, fault: Fault) -> Result<usize, Fault> {
        let index = usize::try_from(self.long()?).map_err(|_| fault)?;
        if index < count { Ok(index) } else { Err(fault) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Fault};
    use crate::wire::avro::encode;

    #[test]
    fn longs_of_every_length_come_back() {
        for shift in 0..64 {
            for value in [
                1_i64 << shift,
                (1_i64 << shift).wrapping_sub(1),
                -(1_i64 << (shift / 2)),
            ] {
                let mut bytes = Vec::new();
                encode::long(value, &mut bytes);
                let mut cursor = Cursor::new(&bytes);
                assert_eq!(cursor.long(), Ok(value));
                assert!(cursor.is_at_end() && !cursor.padded);
            }
        }
    }

    #[test]
    fn a_number_with_more_bytes_than_it_needs_is_read_and_told() {
        let mut cursor = Cursor::new(&[0x82, 0x80, 0x00]);
        assert_eq!((cursor.long(), cursor.padded), (Ok(1), true));
    }

    #[test]
    fn numbers_beyond_their_type_are_refused() {
        let ten = |last| [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, last];
        assert_eq!(Cursor::new(&ten(0x01)).long(), Ok(i64::MIN));
        assert_eq!(Cursor::new(&ten(0x02)).long(), Err(Fault::InvalidVarint));
        assert_eq!(Cursor::new(&ten(0x81)).long(), Err(Fault::InvalidVarint));
        assert_eq!(
            Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).int(),
            Ok(i32::MIN)
        );
        assert_eq!(
            Cursor::new(&[0x80, 0x80, 0x80, 0x80, 0x10]).int(),
            Err(Fault::IntOutOfRange)
        );
    }

    #[test]
    fn lengths_are_held_against_what_is_there() {
        assert_eq!(Cursor::new(&[0x01]).text(), Err(Fault::NegativeLength));
        assert_eq!(Cursor::new(&[0x04, b'a']).text(), Err(Fault::Truncated));
        assert_eq!(
            Cursor::new(&[0x04, b'a', 0xff]).text(),
            Err(Fault::InvalidUtf8)
        );
        let mut enormous = Vec::new();
        encode::long(i64::MAX, &mut enormous);
        assert_eq!(Cursor::new(&enormous).text(), Err(Fault::Truncated));
    }
}
