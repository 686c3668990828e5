//! State as it is written down: numbered entries of numbered tables, in blocks.
//!
//! An entry is written whole, under its number; reading blocks in the order they were written, the last entry
//! of a number stands. So what changed can be written again and again, and so can a part of the whole: after
//! all parts were written once more, everything before may go.

use thiserror::Error;

/// The format written. Older ones can be read: 1 knew nothing of closed windows, and has less among the times.
const VERSION: u8 = 2;
const MAGIC: [u8; 3] = *b"GPS";
/// Magic, version, fingerprint of the plan.
const HEADER: usize = 12;

/// What is wrong with a block.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Damage {
    #[error("not a block of state")]
    Foreign,
    #[error("format {0} is not known to this version")]
    Version(u8),
    #[error("written by another configuration of aggregates")]
    Plan,
    #[error("ends before its last entry does")]
    Truncated,
    #[error("names a table {0} that there is not")]
    Table(u8),
    #[error("an entry of table {0} makes no sense")]
    Entry(u8),
    #[error("practice {0} is in no reference record")]
    Practice(String),
}

/// A table whose entries can be written down.
pub trait Kept {
    /// Numbered from 0.
    fn entries(&self) -> u32;
    /// Appends an entry, at most 65,535 bytes.
    fn write(&self, number: u32, into: &mut Vec<u8>);
    /// Puts an entry in the place of its number; `None` if it makes no sense.
    fn read(&mut self, number: u32, bytes: &[u8]) -> Option<()>;
}

/// Entries in the making, cut into blocks that fit a record of a log. Reused: what is allocated stays.
#[derive(Debug, Default)]
pub struct Blocks {
    plan: u64,
    parts: Vec<Vec<u8>>,
    used: usize,
    entries: usize,
}

impl Blocks {
    /// A block is closed once it is as large: below Kafka's usual limit of 1 MiB with its last entry.
    const LARGE: usize = 512 << 10;

    /// Starts anew, for a plan of aggregates.
    pub fn begin(&mut self, plan: u64) {
        (self.plan, self.used, self.entries) = (plan, 0, 0);
    }

    /// Appends one entry.
    ///
    /// # Panics
    /// If it is larger than 65,535 bytes: tables cut what may be.
    pub fn put(&mut self, table: u8, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let block = self.open();
        block.push(table);
        block.extend_from_slice(&number.to_le_bytes());
        let length_at = block.len();
        block.extend_from_slice(&[0; 2]);
        write(block);
        let length = block.len() - length_at - 2;
        let length = u16::try_from(length).expect("an entry is at most 65,535 bytes");
        block[length_at..length_at + 2].copy_from_slice(&length.to_le_bytes());
        self.entries += 1;
    }

    fn open(&mut self) -> &mut Vec<u8> {
        let is_open = self.used > 0 && self.parts[self.used - 1].len() < Self::LARGE;
        if !is_open {
            if self.used == self.parts.len() {
                self.parts.push(Vec::new());
            }
            let block = &mut self.parts[self.used];
            block.clear();
            block.extend_from_slice(&MAGIC);
            block.push(VERSION);
            block.extend_from_slice(&self.plan.to_le_bytes());
            self.used += 1;
        }
        &mut self.parts[self.used - 1]
    }

    /// The blocks, in the order they must be read.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.parts[..self.used].iter().map(Vec::as_slice)
    }

    #[must_use]
    pub const fn entries(&self) -> usize {
        self.entries
    }
}

/// Reads a block entry by entry: table, number, bytes.
///
/// # Errors
/// What is wrong with it; entries before the fault were handed over.
pub fn read<'a>(
    bytes: &'a [u8],
    plan: u64,
    mut take: impl FnMut(u8, u32, &'a [u8]) -> Result<(), Damage>,
) -> Result<usize, Damage> {
    let (header, mut rest) = bytes.split_at_checked(HEADER).ok_or(Damage::Foreign)?;
    if header[..3] != MAGIC {
        return Err(Damage::Foreign);
    }
    if !(1..=VERSION).contains(&header[3]) {
        return Err(Damage::Version(header[3]));
    }
    if header[4..] != plan.to_le_bytes() {
        return Err(Damage::Plan);
    }
    let mut entries = 0;
    while let Some((start, behind)) = rest.split_at_checked(7) {
        let mut fields = Fields(start);
        let (table, number, length): (u8, u32, u16) = (
            fields.u8().ok_or(Damage::Truncated)?,
            fields.u32().ok_or(Damage::Truncated)?,
            fields.u16().ok_or(Damage::Truncated)?,
        );
        let (entry, behind) = behind
            .split_at_checked(usize::from(length))
            .ok_or(Damage::Truncated)?;
        take(table, number, entry)?;
        entries += 1;
        rest = behind;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(Damage::Truncated)
    }
}

/// How far a walk over all tables has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    table: u8,
    number: u32,
}

impl Cursor {
    /// Appends at most `entries` entries from here on; `true` once behind the last table.
    pub fn walk<'a>(
        &mut self,
        first: u8,
        table: impl Fn(u8) -> Option<&'a dyn Kept>,
        mut entries: usize,
        block: &mut Blocks,
    ) -> bool {
        self.table = self.table.max(first);
        while let Some(kept) = table(self.table) {
            while self.number < kept.entries() {
                if entries == 0 {
                    return false;
                }
                block.put(self.table, self.number, |into| {
                    kept.write(self.number, into);
                });
                self.number += 1;
                entries -= 1;
            }
            *self = Self {
                table: self.table + 1,
                number: 0,
            };
        }
        true
    }
}

/// Reads fields of an entry, little-endian, one after the other.
#[derive(Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    pub fn sixteen(&mut self) -> Option<[u8; 16]> {
        self.take()
    }

    /// A number in as many bytes as it needs.
    pub fn varint(&mut self) -> Option<i64> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
            shift += 7;
        }
    }

    /// Text with its length before it; `None` within for text that is missing.
    pub fn text(&mut self) -> Option<Option<&'a str>> {
        let length = self.u16()?;
        if length == u16::MAX {
            return Some(None);
        }
        let (text, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(Some)
    }

    /// Nothing is left.
    #[must_use]
    pub const fn end(&self) -> Option<()> {
        if self.0.is_empty() { Some(()) } else { None }
    }
}

/// The inverse of [`Fields::varint`].
pub fn put_varint(value: i64, into: &mut Vec<u8>) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

/// The inverse of [`Fields::text`]; text of 65,535 bytes and more is cut at none: codes are short.
///
/// # Panics
/// At 65,535 bytes.
pub fn put_text(text: Option<&str>, into: &mut Vec<u8>) {
    let length = text.map_or(u16::MAX, |text| {
        u16::try_from(text.len())
            .ok()
            .filter(|length| *length < u16::MAX)
            .expect("a code of the reference data is shorter than 65,535 bytes")
    });
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(text.unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_come_back() {
        for shift in 0..64 {
            let bit = 1_i64 << shift;
            for value in [bit, bit.wrapping_neg(), bit.wrapping_sub(1)] {
                let mut bytes = Vec::new();
                put_varint(value, &mut bytes);
                assert_eq!(Fields(&bytes).varint(), Some(value));
            }
        }
        for text in [None, Some(""), Some("A81001")] {
            let mut bytes = Vec::new();
            put_text(text, &mut bytes);
            assert_eq!(Fields(&bytes).text(), Some(text));
        }
    }

    #[test]
    fn many_entries_make_several_blocks() {
        let mut blocks = Blocks::default();
        for _ in 0..2 {
            blocks.begin(7);
            for number in 0..40_000 {
                blocks.put(3, number, |into| into.extend_from_slice(&[1; 60]));
            }
            let mut next = 0;
            for block in blocks.iter() {
                assert!(block.len() < 600 << 10);
                let read = read(block, 7, |table, number, entry| {
                    assert_eq!((table, number, entry), (3, next, &[1; 60][..]));
                    next += 1;
                    Ok(())
                });
                assert!(read.is_ok());
            }
            assert_eq!((next, blocks.iter().count()), (40_000, 6));
        }
    }

    #[test]
    fn a_block_that_is_cut_or_foreign_is_refused() {
        let mut blocks = Blocks::default();
        blocks.begin(7);
        blocks.put(3, 9, |into| into.extend_from_slice(b"abc"));
        let block = blocks.iter().next().expect("one block");
        let mut seen = Vec::new();
        let mut take = |table, number, entry: &[u8]| {
            seen.push((table, number, entry.to_vec()));
            Ok(())
        };
        assert_eq!(read(block, 7, &mut take), Ok(1));
        assert_eq!(seen, [(3, 9, b"abc".to_vec())]);
        for length in 0..block.len() {
            let cut = read(&block[..length], 7, |_, _, _| Ok(()));
            assert_eq!(cut.is_err(), length != HEADER, "{length}");
        }
        let ignore = |_, _, _: &[u8]| Ok(());
        assert_eq!(read(block, 8, ignore), Err(Damage::Plan));
        let mut newer = block.to_vec();
        newer[3] = 9;
        assert_eq!(read(&newer, 7, ignore), Err(Damage::Version(9)));
    }
}
