//! What a worker works on: records in, a draft out, and state that can be written down and read back.

use super::note::Note;
use super::outputs::{Draft, Outputs};
use crate::adapters::log::{LogError, Message, Position};
use crate::domain::time::Timestamp;
use crate::engine::state::block::{Blocks, Cursor, Damage};

/// What a worker works on.
pub trait Stage: Send {
    /// Also the second half of the transactional id.
    fn name(&self) -> &str;
    fn topics(&self) -> Vec<&'static str>;
    fn partition(&self) -> i32;
    fn outputs(&self) -> &Outputs;
    /// Forgets everything. With a note, what is read back next is the state that its transaction left.
    ///
    /// # Errors
    /// When what the note refers to cannot be read.
    fn reset(&mut self, note: Option<&Note>) -> Result<(), LogError>;
    /// Keeps what was read into it, and refers to the reference data of the note's transaction from here on; none: to
    /// the newest.
    ///
    /// # Errors
    /// As for [`Self::reset`].
    fn refer(&mut self, _: Option<&Note>) -> Result<(), LogError> {
        Ok(())
    }
    /// Takes in a block of state; entries of others go to `others`. Answers the entries read.
    ///
    /// # Errors
    /// When the block is damaged, or of another configuration.
    fn read_block(
        &mut self,
        block: &[u8],
        others: &mut dyn FnMut(u32, &[u8]) -> Option<()>,
    ) -> Result<usize, Damage>;
    /// All was read back: goes on from there.
    ///
    /// # Errors
    /// When it does not fit the reference data.
    fn restored(&mut self, note: &Note) -> Result<(), Damage>;
    /// Appends how far it has come and what it knows of its outputs, whatever has changed.
    fn write_times(&self, blocks: &mut Blocks);
    /// Appends what the last settlement has changed.
    fn write_changes(&mut self, blocks: &mut Blocks);
    /// Appends a part of the whole; `true` when all parts were written.
    fn write_part(&self, cursor: &mut Cursor, entries: usize, blocks: &mut Blocks) -> bool;
    /// Entries of the whole.
    fn kept_entries(&self) -> u64;
    /// Its partition of the changelog.
    fn changelog(&self) -> i32;
    /// What time it is, before the first record is taken in.
    fn begin(&mut self, _now: Timestamp) {}
    /// Records of a topic wait to be read.
    fn has_unread(&mut self, _topic: &str) {}
    /// Takes in one record; answers for how many it counts in a transaction, which takes a limited number.
    ///
    /// # Errors
    /// When it was not taken in.
    fn take(&mut self, message: &Message<'_>) -> Result<usize, Hindrance>;
    /// Whether there is something to settle though nothing was read.
    fn has_news(&self) -> bool;
    /// Reads again what was asked for, before `until` by topic; `false`: told to end, and only a part is done.
    ///
    /// # Errors
    /// When the log fails; a part may be done.
    fn read_again(&mut self, _until: &[i64], _go_on: &dyn Fn() -> bool) -> Result<bool, LogError> {
        Ok(true)
    }
    /// Puts what has changed into the draft; whether there is anything to commit.
    fn settle(&mut self, now: Timestamp, draft: &mut Draft) -> bool;
    /// The reference data that the figures settled last are of.
    fn reference(&self) -> Option<Vec<Position>>;
    /// Tells the observer how large it is.
    fn tell(&self);
}

/// Why a record was not taken in.
pub enum Hindrance {
    /// It can be later.
    Wait(String),
    Fatal(LogError),
}
