//! The figures as they stood at a time: what stands, taken back by the history.

use std::collections::HashSet;

use anyhow::{Context, anyhow};

use super::topics;
use crate::adapters::figures::history::{HISTORY, Index, KnownAt, NotKnown, row_of, take_back};
use crate::adapters::log::Log;
use crate::adapters::values::Values;
use crate::publication::Publication;
use crate::wire::datum::Avro;

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
    let asked = |error: NotKnown| anyhow!("--as-known-at {}: {error}", known.at.to_rfc3339());
    known.check(&topics::begun(log)?).map_err(asked)?;
    let mut publication = topics::read_once(log, values, tell)?;
    // Read behind the rows: each transaction whose rows were seen is in it.
    tell(&format!("reading {HISTORY}"));
    let (mut seen, mut key, mut outcome) = (HashSet::new(), Vec::new(), Ok(()));
    take_back(
        log,
        values,
        known,
        &mut Index::default(),
        &|| true,
        &mut |before| {
            key.clear();
            before.key.write(&mut key);
            // 128 bits: two keys of one hash are not to be expected in any number of rows that fits in memory.
            if outcome.is_ok() && seen.insert(xxhash_rust::xxh3::xxh3_128(&key)) {
                outcome = row_of(before)
                    .context("the row is of no aggregate that is known here")
                    .map(|row| publication.take(&row));
            }
            Ok(())
        },
    )
    .map_err(asked)?;
    outcome?;
    Ok(publication)
}
