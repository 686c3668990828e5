//! Ids that do not fit their entries.

use super::block::Kept;

/// Long ids, one behind the other; written down in pieces.
#[derive(Debug, Default)]
pub struct Texts(Vec<u8>);

impl Texts {
    const PIECE: usize = 4_096;

    /// Appends a text; answers where it lies and how long it is.
    pub fn push(&mut self, text: &str) -> (u64, u32) {
        let at = self.0.len() as u64;
        self.0.extend_from_slice(text.as_bytes());
        let length = u32::try_from(text.len()).expect("a record is below 1 MiB");
        (at, length)
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The piece that holds what is appended next.
    #[must_use]
    pub const fn piece(&self) -> u32 {
        (self.0.len() / Self::PIECE) as u32
    }
}

impl Kept for Texts {
    fn entries(&self) -> u32 {
        self.0.len().div_ceil(Self::PIECE) as u32
    }

    fn write(&self, number: u32, into: &mut Vec<u8>) {
        let start = number as usize * Self::PIECE;
        let end = self.0.len().min(start + Self::PIECE);
        into.extend_from_slice(&self.0[start..end]);
    }

    fn read(&mut self, number: u32, bytes: &[u8]) -> Option<()> {
        let start = number as usize * Self::PIECE;
        let end = start + bytes.len();
        if bytes.len() > Self::PIECE {
            return None;
        }
        if self.0.len() < end {
            self.0.resize(end, 0);
        }
        self.0[start..end].copy_from_slice(bytes);
        Some(())
    }
}
