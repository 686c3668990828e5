//! Writers of Avro's primitive types, each appending the one canonical encoding of its value.

/// Appends a long: zigzag, then seven bits a byte, least significant first, in as few bytes as it takes.
#[inline]
pub fn long(value: i64, into: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        into.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

/// Appends an int, which Avro writes as a long of the same value.
#[inline]
pub fn int(value: i32, into: &mut Vec<u8>) {
    long(i64::from(value), into);
}

/// Appends a count or a length.
#[inline]
pub fn length(value: usize, into: &mut Vec<u8>) {
    // A slice in memory is at most isize::MAX bytes, so the value fits a long.
    long(value as i64, into);
}

/// Appends a boolean.
#[inline]
pub fn boolean(value: bool, into: &mut Vec<u8>) {
    into.push(u8::from(value));
}

/// Appends bytes: their length, then themselves.
#[inline]
pub fn bytes(value: &[u8], into: &mut Vec<u8>) {
    length(value.len(), into);
    into.extend_from_slice(value);
}

/// Appends a string: its length in bytes, then its UTF-8.
#[inline]
pub fn text(value: &str, into: &mut Vec<u8>) {
    bytes(value.as_bytes(), into);
}

/// Appends a double: eight bytes, little-endian.
#[inline]
pub fn double(value: f64, into: &mut Vec<u8>) {
    into.extend_from_slice(&value.to_le_bytes());
}

/// Appends a `["null", T]`: the branch, then the value if there is one.
#[inline]
pub fn optional<T>(value: Option<T>, into: &mut Vec<u8>, write: impl FnOnce(T, &mut Vec<u8>)) {
    match value {
        None => into.push(0),
        Some(value) => {
            into.push(2);
            write(value, into);
        }
    }
}

/// Appends an array as one block, or as none when it is empty.
#[inline]
pub fn array<T>(items: &[T], into: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    if !items.is_empty() {
        length(items.len(), into);
        for item in items {
            write(item, into);
        }
    }
    into.push(0);
}
