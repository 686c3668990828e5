//! Consultations beside appointments: some finish them, some fill what they lack, some change nothing.

use crate::domain::time::{MILLIS_PER_DAY, MILLIS_PER_MINUTE};
use crate::domain::topic::Supplier;
use crate::domain::vocabulary::{HcpType, PublishedStatus};

use super::batch::Batch;
use super::cells::Kind;
use super::draw::Draw;
use super::life::{Encounter, State, Version};
use super::texts;

/// How a linked consultation ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Complete, with its times and its role: the appointment needs it.
    Needed,
    /// Complete.
    Complete,
    /// Left open, or taken back: it changes nothing.
    Void,
}

/// Whether the suppliers' consultations say that they are complete.
const fn says_complete(supplier: Supplier) -> bool {
    matches!(supplier, Supplier::Emis | Supplier::Tpp)
}

/// Writes what the consultation module holds of the appointment that was just written as `last`.
pub fn after(draw: &mut Draw<'_>, kind: Kind, last: &State, needed: bool, batch: &mut Batch) {
    // A visit's number is another record's in the table that consultations link to.
    if needed {
        linked(draw, kind, last, Fate::Needed, batch);
    } else if !last.visit {
        let (complete, void) = match kind.status {
            PublishedStatus::Attended => (260, 12),
            // Somebody wrote a consultation all the same: a contradiction, which changes nothing.
            PublishedStatus::Dna => (15, 3),
            PublishedStatus::Unknown => (0, 60),
        };
        if draw.chance.per_mille(complete) {
            linked(draw, kind, last, Fate::Complete, batch);
            if draw.chance.per_mille(25) {
                linked(draw, kind, last, Fate::Complete, batch);
            }
        } else if draw.chance.per_mille(void) {
            linked(draw, kind, last, Fate::Void, batch);
        }
    }
    if draw.chance.per_mille(20) {
        unlinked(draw, batch);
    }
}

/// A consultation of the appointment whose identities the draw holds.
pub fn linked(draw: &mut Draw<'_>, kind: Kind, last: &State, fate: Fate, batch: &mut Batch) {
    let supplier = draw.scene.supplier;
    let start = last.seen.unwrap_or(last.start);
    let end = last
        .left
        .unwrap_or_else(|| start + draw.chance.actual_minutes());
    // Where the appointment has no role, the consultation's stands, so it must not say more than the cell.
    let role = if kind.hcp == HcpType::Unknown && draw.chance.per_mille(500) {
        None
    } else {
        Some(texts::role(&mut draw.chance, supplier, kind.hcp))
    };
    let timed = fate == Fate::Needed;
    let whole = Encounter {
        day: last.day,
        start: (timed || !draw.chance.per_mille(40)).then_some(start),
        end: (timed || !draw.chance.per_mille(80)).then_some(end),
        role,
        complete: true,
        withdrawn: false,
        linked: true,
        variant: draw.chance.below(256) as u8,
    };
    let begun = Encounter {
        end: None,
        complete: false,
        ..whole
    };
    let at =
        draw.calendar().instant(last.day, start) + i64::from(draw.chance.between(1_000, 50_000));
    let done = at + i64::from((end - start).max(1)) * MILLIS_PER_MINUTE;
    let mut versions: [Version<Encounter>; 2] = [
        Version { at, state: begun },
        Version {
            at: done,
            state: whole,
        },
    ];
    if fate != Fate::Void {
        let first = usize::from(!draw.chance.per_mille(120));
        draw.encounter(&mut versions[first..], batch);
        return;
    }
    // Where nothing says that it is incomplete, only its withdrawal keeps it from counting.
    versions[1].at += i64::from(draw.chance.between(0, 3)) * MILLIS_PER_DAY;
    if says_complete(supplier) && draw.chance.per_mille(600) {
        versions[1].state = Encounter {
            start: None,
            ..begun
        };
        draw.encounter(&mut versions, batch);
    } else {
        versions[0].state = whole;
        versions[1].state = Encounter {
            withdrawn: true,
            ..whole
        };
        draw.encounter(&mut versions, batch);
    }
}

/// A consultation of no appointment.
fn unlinked(draw: &mut Draw<'_>, batch: &mut Batch) {
    let day = draw.calendar().draw(&mut draw.chance);
    let start = draw.chance.between(480, 1080);
    let supplier = draw.scene.supplier;
    let hcp = draw.chance.pick(HcpType::ALL);
    let state = Encounter {
        day,
        start: Some(start),
        end: Some(start + draw.chance.actual_minutes()),
        role: Some(texts::role(&mut draw.chance, supplier, hcp)),
        complete: !draw.chance.per_mille(30),
        withdrawn: draw.chance.per_mille(10),
        linked: false,
        variant: draw.chance.below(256) as u8,
    };
    let at = draw.calendar().instant(day, start + 12);
    draw.encounter(&mut [Version { at, state }], batch);
}
