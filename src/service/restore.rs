//! A task's state, read back by the shortest way that leads to it: from what was followed, from a snapshot, from the
//! changelog alone.

use super::changelog::{Base, Changelog};
use super::note::Note;
use super::observe::Origin;
use super::snapshot::Snapshots;
use super::stage::Stage;
use crate::adapters::log::{Log, LogError, Remedy};

/// How the state came back.
#[derive(Debug, Clone, Copy)]
pub struct Restored {
    pub origin: Origin,
    /// Entries read from the changelog.
    pub read: u64,
}

/// Makes the stage's state that of the note's transaction. `warm`: what a follower has read into the stage already; taken once it is
/// used.
/// `None` if ordered to end meanwhile.
///
/// # Errors
/// When what is there is not that state.
pub fn restore(
    stage: &mut impl Stage,
    (note, warm): (&Note, &mut Option<Base>),
    (changelog, snapshots): (&mut Changelog, Option<&Snapshots>),
    log: &dyn Log,
    go_on: impl Fn() -> bool,
) -> Result<Option<Restored>, LogError> {
    if warm.is_some() {
        // An error of this leaves what was followed as it is: the reference data may be here with the next try.
        stage.refer(Some(note))?;
    }
    if let Some(warm) = warm.take() {
        let rest = changelog.restore(stage, (note, Some(warm)), log, &go_on);
        match rest.and_then(|read| {
            read.map(|read| ready(stage, note, Origin::Standby, read))
                .transpose()
        }) {
            Err(error) if error.remedy == Remedy::Stop => {
                tracing::warn!("{error}; what was followed is of no use");
            }
            outcome => return outcome,
        }
    }
    stage.reset(Some(note))?;
    let snapshot = match snapshots.map(|snapshots| snapshots.restore(note, stage)) {
        None => None,
        Some(Ok(snapshot)) => snapshot,
        Some(Err(why)) => {
            tracing::warn!("{why}; the changelog serves alone");
            stage.reset(Some(note))?;
            None
        }
    };
    let origin = match snapshot {
        Some(_) => Origin::Snapshot,
        None => Origin::Changelog,
    };
    let read = changelog.restore(stage, (note, snapshot), log, &go_on)?;
    read.map(|read| ready(stage, note, origin, read))
        .transpose()
}

fn ready(
    stage: &mut impl Stage,
    note: &Note,
    origin: Origin,
    read: u64,
) -> Result<Restored, LogError> {
    stage.restored(note).map_err(|damage| {
        let doing = format!("restoring task {}", stage.name());
        LogError::new(Remedy::Stop, doing, damage)
    })?;
    Ok(Restored { origin, read })
}
