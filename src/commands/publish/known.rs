//! The figures as they stood at a time: what stands, taken back by the history.

use std::collections::HashSet;

use anyhow::{Context, anyhow};

use super::topics::{self, Values, row_of};
use crate::adapters::log::Log;
use crate::domain::time::{MILLIS_PER_DAY, Timestamp};
use crate::publication::Publication;
use crate::service::HISTORY;
use crate::wire::datum::Avro;
use crate::wire::output::History;

/// A time that was asked for, and what bounds it.
#[derive(Debug, Clone, Copy)]
pub struct KnownAt {
    pub at: Timestamp,
    pub now: Timestamp,
    /// For how long the history is kept.
    pub days: u16,
}

/// Reads the topics as they stand, and takes back every transaction that was settled after the time.
///
/// # Errors
/// A time to come, or before what is kept, with the time from which it is; as for the topics.
pub fn read(
    log: &dyn Log,
    values: &Values<'_>,
    known: KnownAt,
    tell: &dyn Fn(&str),
) -> anyhow::Result<Publication> {
    check(log, known)?;
    let mut publication = topics::read_once(log, values, tell)?;
    // Read behind the rows: each transaction whose rows were seen is in it.
    tell(&format!("reading {HISTORY}"));
    let mut seen = HashSet::new();
    let partitions = log.partitions(&[HISTORY])?.first().copied().flatten();
    // Partitions from whose front something was given up, until their first record is seen.
    let mut shortened = Vec::new();
    for partition in 0..partitions.unwrap_or(0) {
        if log.ends(HISTORY, partition)?.first > 0 {
            shortened.push(partition);
        }
    }
    let mut from = known.at;
    let mut key = Vec::new();
    topics::read_on(log, HISTORY, None, &mut |message| {
        let history: History = values.decode(message.value)?;
        if let Some(at) = shortened.iter().position(|of| *of == message.partition) {
            // What was given up was older than what is first now.
            shortened.swap_remove(at);
            from = from.max(Timestamp(history.known_at));
        }
        if history.known_at <= known.at.0 {
            return Ok(());
        }
        for before in history.rows {
            key.clear();
            before.key.write(&mut key);
            // 128 bits: two keys of one hash are not to be expected in any number of rows that fits in memory.
            if seen.insert(xxhash_rust::xxh3::xxh3_128(&key)) {
                publication.take(&row_of(before)?);
            }
        }
        Ok(())
    })?;
    if from > known.at {
        return Err(too_early(known, from));
    }
    Ok(publication)
}

fn too_early(known: KnownAt, from: Timestamp) -> anyhow::Error {
    anyhow!(
        "--as-known-at {}: the history is kept from {} on (state.history_days is {})",
        known.at.to_rfc3339(),
        from.to_rfc3339(),
        known.days
    )
}

/// Whether the time lies within what is kept, as far as the settings and the tasks' notes say.
fn check(log: &dyn Log, known: KnownAt) -> anyhow::Result<()> {
    if known.at > known.now {
        return Err(anyhow!(
            "--as-known-at {}: it is {} now, and what will be known is not known",
            known.at.to_rfc3339(),
            known.now.to_rfc3339()
        ));
    }
    if known.days == 0 {
        return Err(anyhow!(
            "--as-known-at {}: no history is kept (state.history_days is 0)",
            known.at.to_rfc3339()
        ));
    }
    let kept_from = Timestamp(known.now.0 - i64::from(known.days) * MILLIS_PER_DAY);
    if known.at < kept_from {
        return Err(too_early(known, kept_from));
    }
    for (task, note) in topics::notes(log)? {
        let begun = note.history.with_context(|| {
            format!(
                "--as-known-at {}: task {task} keeps no history: start the service with state.history_days above 0",
                known.at.to_rfc3339()
            )
        })?;
        if begun > known.at {
            return Err(too_early(known, begun).context(format!("task {task}")));
        }
    }
    Ok(())
}
