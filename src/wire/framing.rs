//! The schema registry's wire format: a magic byte, the schema's id, the datum.

use thiserror::Error;

/// The first byte of every framed value.
const MAGIC: u8 = 0;

/// Bytes before the datum.
const HEADER: usize = 5;

/// The longest value taken in, frame and all (feeds.md, rule 12).
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// Why a value is not framed as the registry frames values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FramingError {
    /// The record has no value.
    #[error("null value")]
    Null,
    /// The value is shorter than a frame.
    #[error("{0} bytes are too few for magic byte and schema id")]
    TooShort(usize),
    /// The value does not begin with the magic byte.
    #[error("wrong magic byte {0:#04x}")]
    WrongMagic(u8),
    /// The value is longer than [`MAX_VALUE_BYTES`].
    #[error("{0} bytes are more than {MAX_VALUE_BYTES}")]
    TooLong(usize),
}

/// Appends the frame of a datum, and the datum.
pub fn frame(id: u32, datum: &[u8], into: &mut Vec<u8>) {
    into.reserve(HEADER + datum.len());
    into.push(MAGIC);
    into.extend_from_slice(&id.to_be_bytes());
    into.extend_from_slice(datum);
}

/// The schema's id and the datum of a record's value.
///
/// # Errors
/// When the value is missing, too short, too long, or of another format.
pub fn unframe(value: Option<&[u8]>) -> Result<(u32, &[u8]), FramingError> {
    match value {
        Some(value) if value.len() > MAX_VALUE_BYTES => Err(FramingError::TooLong(value.len())),
        _ => unframe_ours(value),
    }
}

/// The same of a value that we wrote, however long: a dead letter holds what was refused for its length.
///
/// # Errors
/// When the value is missing, too short, or of another format.
pub fn unframe_ours(value: Option<&[u8]>) -> Result<(u32, &[u8]), FramingError> {
    let value = value.ok_or(FramingError::Null)?;
    let Some((&[magic, a, b, c, d], datum)) = value.split_first_chunk::<HEADER>() else {
        return Err(FramingError::TooShort(value.len()));
    };
    if magic != MAGIC {
        return Err(FramingError::WrongMagic(magic));
    }
    Ok((u32::from_be_bytes([a, b, c, d]), datum))
}

#[cfg(test)]
mod tests {
    use super::{FramingError, MAX_VALUE_BYTES, frame, unframe, unframe_ours};

    #[test]
    fn what_is_framed_comes_back() {
        let mut value = Vec::new();
        frame(0x0102_0304, b"datum", &mut value);
        assert_eq!(value, b"\x00\x01\x02\x03\x04datum");
        assert_eq!(unframe(Some(&value)), Ok((0x0102_0304, &b"datum"[..])));
        assert_eq!(unframe(Some(&value[..5])), Ok((0x0102_0304, &b""[..])));
    }

    #[test]
    fn what_is_not_framed_is_told_apart() {
        let longest = vec![0; MAX_VALUE_BYTES];
        let longer = vec![0; MAX_VALUE_BYTES + 1];
        assert_eq!(unframe(None), Err(FramingError::Null));
        assert_eq!(unframe(Some(b"")), Err(FramingError::TooShort(0)));
        assert_eq!(unframe(Some(&[0, 0, 0, 1])), Err(FramingError::TooShort(4)));
        assert_eq!(
            unframe(Some(&[1, 0, 0, 0, 1])),
            Err(FramingError::WrongMagic(1))
        );
        assert!(unframe(Some(&longest)).is_ok());
        assert_eq!(
            unframe(Some(&longer)),
            Err(FramingError::TooLong(MAX_VALUE_BYTES + 1))
        );
        assert_eq!(unframe_ours(Some(&longer)), Ok((0, &longer[5..])));
    }
}
