//! Blocks: runs of consecutive records of one partition, as one value of the store.

use super::super::log::NewRecord;

/// A block is closed when it has grown to this; one record may make it larger.
pub const CLOSED_AT: usize = 48 * 1024;
/// A length that says "none".
const ABSENT: u32 = u32::MAX;

/// One record of a block, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<'a> {
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// Adds a record to the end of a block.
//
//   timestamp 8 | length of key 4 | length of value 4 | key | value       all little-endian
pub fn push(block: &mut Vec<u8>, record: &NewRecord<'_>, timestamp: i64) {
    let length = |part: Option<&[u8]>| part.map_or(ABSENT, |part| part.len() as u32);
    block.extend_from_slice(&timestamp.to_le_bytes());
    block.extend_from_slice(&length(record.key).to_le_bytes());
    block.extend_from_slice(&length(record.value).to_le_bytes());
    block.extend_from_slice(record.key.unwrap_or_default());
    block.extend_from_slice(record.value.unwrap_or_default());
}

/// The records of a block in order; ends early at bytes that are none.
pub struct Records<'a>(pub &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Stored<'a>;

    fn next(&mut self) -> Option<Stored<'a>> {
        let (timestamp, rest) = self.0.split_first_chunk::<8>()?;
        let (key, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = part(u32::from_le_bytes(*key), rest)?;
        let (value, rest) = part(u32::from_le_bytes(*value), rest)?;
        self.0 = rest;
        Some(Stored {
            timestamp: i64::from_le_bytes(*timestamp),
            key,
            value,
        })
    }
}

fn part(length: u32, bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    if length == ABSENT {
        return Some((None, bytes));
    }
    let (part, rest) = bytes.split_at_checked(length as usize)?;
    Some((Some(part), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Bytes<'a> = Option<&'a [u8]>;

    #[test]
    fn a_block_gives_back_its_records_and_tells_empty_from_absent() {
        let cases: [(Bytes<'_>, Bytes<'_>); 4] = [
            (Some(b"k"), Some(b"value")),
            (Some(b""), None),
            (None, Some(b"")),
            (Some(b"k2"), Some(b"v")),
        ];
        let mut block = Vec::new();
        for (at, (key, value)) in (0..).zip(cases) {
            let (topic, partition) = ("t", None);
            push(
                &mut block,
                &NewRecord {
                    topic,
                    partition,
                    key,
                    value,
                },
                at,
            );
        }
        let seen: Vec<_> = Records(&block).collect();
        let expected: Vec<_> = (0..)
            .zip(cases)
            .map(|(timestamp, (key, value))| Stored {
                timestamp,
                key,
                value,
            })
            .collect();
        assert_eq!(seen, expected);
        assert_eq!(Records(&block[..block.len() - 1]).count(), 3);
    }
}
