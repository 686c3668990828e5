//! A task's state in `gpad.changelog`: written with every transaction, swept, read back.
//
//   transaction   | what it changed | a part of the whole |   while a round is on
//   round         the parts of one round are the whole; once its last part is committed, everything before its
//                 first is deleted. So the topic holds at most what two rounds write.

use std::ops::ControlFlow;

use super::note::Note;
use super::outputs::{CHANGELOG, Draft};
use super::stage::Stage;
use crate::adapters::crash::{self, Point};
use crate::adapters::log::{Log, LogError, Remedy, Span};
use crate::engine::keep::CALLERS;
use crate::engine::state::block::{Blocks, Cursor, Damage, Fields};

/// The changelog's own entry: which transaction wrote the blocks.
pub const WRITTEN_BY: u32 = 2;
/// Transactions that a round of a small state takes at most.
const PARTS: u64 = 40;

/// Writes a task's state, and reads it back.
#[derive(Debug)]
pub struct Changelog {
    /// A round begins once as many entries were written as the state has, and not before these.
    fewest: u64,
    blocks: Blocks,
    round: Option<Round>,
    /// Entries written since the last round was complete.
    written: u64,
    /// What the transaction that is being committed makes superfluous.
    obsolete: Option<i64>,
}

/// What a snapshot or a follower has read back already.
#[derive(Debug, Clone, Copy)]
pub struct Base {
    /// Where the changelog goes on.
    pub from: i64,
    /// The transaction whose blocks were read last.
    pub written_by: (i64, i64),
    /// Entries that were written up to there since the last round was complete, at most.
    pub written: u64,
}

#[derive(Debug)]
struct Round {
    /// Everything before is written again in this round.
    from: i64,
    cursor: Cursor,
}

/// The epoch and sequence that a changelog's own entry names.
pub fn signature(entry: &[u8]) -> Option<(i64, i64)> {
    let mut fields = Fields(entry);
    let signature = (fields.i64()?, fields.i64()?);
    fields.end().map(|()| signature)
}

/// Which transaction the blocks are of.
pub fn sign(blocks: &mut Blocks, epoch: i64, sequence: i64) {
    blocks.put(CALLERS, WRITTEN_BY, |into| {
        into.extend_from_slice(&epoch.to_le_bytes());
        into.extend_from_slice(&sequence.to_le_bytes());
    });
}

impl Changelog {
    /// `fewest`: entries that are written at least between two rounds.
    #[must_use]
    pub fn new(fewest: u64) -> Self {
        Self {
            fewest,
            blocks: Blocks::default(),
            round: None,
            written: 0,
            obsolete: None,
        }
    }

    /// Puts what has changed into the draft, and a part of the whole while a round is on.
    ///
    /// # Errors
    /// When the log cannot say where a round begins.
    pub fn write(
        &mut self,
        stage: &mut impl Stage,
        (epoch, sequence): (i64, i64),
        log: &dyn Log,
        draft: &mut Draft,
    ) -> Result<(), LogError> {
        let (blocks, partition) = (&mut self.blocks, stage.changelog());
        blocks.begin(stage.outputs().plan.fingerprint());
        sign(blocks, epoch, sequence);
        stage.write_times(blocks);
        stage.write_changes(blocks);
        self.obsolete = None;
        if self.round.is_none() && self.written >= stage.kept_entries().max(self.fewest) {
            self.round = Some(Round {
                from: log.ends(CHANGELOG, partition)?.end,
                cursor: Cursor::default(),
            });
        }
        if let Some(round) = &mut self.round {
            let entries = (self.fewest / PARTS) as usize + blocks.entries();
            if stage.write_part(&mut round.cursor, entries, blocks) {
                self.obsolete = Some(round.from);
            }
        }
        self.written += blocks.entries() as u64;
        for block in blocks.iter() {
            let (key, partition) = (stage.name().as_bytes(), Some(partition));
            draft
                .transaction
                .put(CHANGELOG, partition, key, Some(block));
        }
        Ok(())
    }

    /// Entries written since the last round was complete.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// The draft is committed: what it made superfluous goes.
    pub fn committed(&mut self, partition: i32, log: &dyn Log) {
        let Some(offset) = self.obsolete.take() else {
            return;
        };
        (self.round, self.written) = (None, 0);
        match log.delete_before(CHANGELOG, partition, offset) {
            Ok(()) => tracing::debug!(partition, offset, "the changelog begins anew"),
            // The next round deletes this too.
            Err(error) => tracing::warn!("{CHANGELOG} keeps more than it needs: {error}"),
        }
    }

    /// Reads the state back as the note's transaction left it, from an offset if something was read before;
    /// answers the entries read, or `None` if ordered to end meanwhile.
    ///
    /// # Errors
    /// When what is there is not that state.
    pub fn restore(
        &mut self,
        stage: &mut impl Stage,
        (note, base): (&Note, Option<Base>),
        log: &dyn Log,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Option<u64>, LogError> {
        let (name, partition) = (stage.name().to_owned(), stage.changelog());
        let failed =
            |remedy, why: String| LogError::new(remedy, format!("restoring task {name}"), why);
        (self.round, self.written, self.obsolete) = (None, 0, None);
        // What was deleted since the snapshot was written again since: from the first on it is the whole.
        let first = log.ends(CHANGELOG, partition)?.first;
        let span = Span {
            partition,
            from: base.map_or(first, |base| base.from.max(first)),
            until: None,
        };
        // There may be nothing behind it.
        let mut newest = base.map(|base| base.written_by);
        let mut read_here = 0;
        let (mut damage, mut ended) = (None, false);
        log.scan(CHANGELOG, &[span], &mut |message| {
            ended = !go_on();
            if ended {
                return ControlFlow::Break(());
            }
            let Some(message) = message.filter(|message| message.key == Some(name.as_bytes()))
            else {
                return ControlFlow::Continue(());
            };
            crash::pass(Point::Restoring);
            let read = stage.read_block(message.value.unwrap_or_default(), &mut |number, entry| {
                if number == WRITTEN_BY {
                    newest = Some(signature(entry)?);
                }
                Some(())
            });
            match read {
                Ok(entries) => {
                    read_here += entries as u64;
                    ControlFlow::Continue(())
                }
                Err(found) => {
                    damage = Some((message.offset, found));
                    ControlFlow::Break(())
                }
            }
        })?;
        if ended {
            return Ok(None);
        }
        if let Some((offset, damage)) = damage {
            let mut why = format!("{CHANGELOG}/{partition} at {offset}: {damage}");
            if damage == Damage::Plan {
                why += "; a changed configuration of aggregates needs a new kafka.group and new topics gpad.aggregates.*, gpad.deltas, gpad.changelog";
            }
            return Err(failed(Remedy::Stop, why));
        }
        let wanted = (note.epoch, note.sequence);
        let Some(newest) = newest else {
            return Err(failed(
                Remedy::Stop,
                format!(
                    "{CHANGELOG}/{partition} holds nothing of this task, which has committed {} transactions",
                    note.sequence + 1
                ),
            ));
        };
        if newest == wanted {
            // A round that the owner before had begun is begun again: what it wrote counts.
            self.written = base.map_or(0, |base| base.written) + read_here;
            return Ok(Some(read_here));
        }
        // The next try may see more; what is ahead of the positions was never committed with them.
        let remedy = if newest.1 < wanted.1 {
            Remedy::Retry
        } else {
            Remedy::Stop
        };
        let why = format!(
            "{CHANGELOG}/{partition} ends with transaction {} of epoch {}, the positions are those of {} of epoch {}",
            newest.1, newest.0, wanted.1, wanted.0
        );
        Err(failed(remedy, why))
    }
}
