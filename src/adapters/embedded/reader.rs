//! Reading the store: on from positions, or spans to their end.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use redb::{ReadOnlyTable, ReadableDatabase};

use super::super::clock::monotonic;
use super::super::log::{LogError, Message, Position, Reader, Span};
use super::Failure;
use super::blocks::Records;
use super::store::{BLOCKS, Store};

/// Records that a scan hands over before it takes a new look at the file: an old look keeps old pages alive.
const LOOK: usize = 100_000;

type Blocks = ReadOnlyTable<(u32, u32, u64), &'static [u8]>;

/// A partition's topic id and number, if there is such a partition.
pub fn place(store: &Store, topic: &str, partition: i32) -> Result<(u32, u32), Failure> {
    let known = store.topic(topic)?;
    match u32::try_from(partition) {
        Ok(partition) if partition < known.partitions => Ok((known.id, partition)),
        Ok(_) | Err(_) => Err(Failure::stop(format!(
            "{topic} has no partition {partition}"
        ))),
    }
}

fn blocks(store: &Store) -> Result<Blocks, Failure> {
    Ok(store.database()?.begin_read()?.open_table(BLOCKS)?)
}

/// One partition that is read.
#[derive(Debug, Clone, Copy)]
struct Track {
    /// Index into the reader's topics.
    at: usize,
    partition: i32,
    place: (u32, u32),
    next: u64,
}

impl Track {
    /// Hands over at most `limit` records before `until`; says how many, and whether `take` wants more.
    fn read(
        &mut self,
        blocks: &Blocks,
        until: u64,
        limit: usize,
        take: &mut dyn FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<(usize, bool), Failure> {
        let (topic, partition) = self.place;
        let mut given = 0;
        for block in blocks.range((topic, partition, self.next)..=(topic, partition, u64::MAX))? {
            let (key, value) = block?;
            let (last, bytes) = (key.value().2, value.value());
            let count = Records(bytes).count() as u64;
            let first = (last + 1).saturating_sub(count);
            for (offset, record) in (first..).zip(Records(bytes)) {
                if offset < self.next {
                    continue;
                }
                if offset >= until {
                    // Whatever lay before it, behind what was given, has been compacted away.
                    self.next = self.next.max(until);
                    return Ok((given, true));
                }
                if given == limit {
                    return Ok((given, true));
                }
                self.next = offset + 1;
                given += 1;
                let message = Message {
                    topic: self.at,
                    partition: self.partition,
                    offset: offset.cast_signed(),
                    timestamp: Some(record.timestamp),
                    key: record.key,
                    value: record.value,
                };
                if take(message).is_break() {
                    return Ok((given, false));
                }
            }
        }
        // Whatever lies between here and `until` has been compacted away.
        self.next = self.next.max(until);
        Ok((given, true))
    }
}

pub struct EmbeddedReader {
    store: Arc<Store>,
    topics: usize,
    tracks: Vec<Track>,
    /// Which partition begins: the next one each time, so that none waits for the others.
    turn: usize,
}

impl EmbeddedReader {
    pub fn new(
        store: &Arc<Store>,
        topics: &[&str],
        positions: &[Position],
    ) -> Result<Self, Failure> {
        let tracks = positions
            .iter()
            .map(|position| {
                let at = topics.iter().position(|topic| *topic == position.topic);
                let at = at
                    .ok_or_else(|| Failure::stop(format!("{} is not read here", position.topic)))?;
                Ok(Track {
                    at,
                    partition: position.partition,
                    place: place(store, &position.topic, position.partition)?,
                    next: position.next.unsigned_abs(),
                })
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self {
            store: Arc::clone(store),
            topics: topics.len(),
            tracks,
            turn: 0,
        })
    }

    fn take_all(
        &mut self,
        limit: usize,
        take: &mut dyn FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<usize, Failure> {
        // The ends first, all at once: what they tell of is in the look taken after them.
        let ends = self
            .store
            .ends_of(self.tracks.iter().map(|track| track.place));
        let blocks = blocks(&self.store)?;
        let count = self.tracks.len();
        self.turn = (self.turn + 1) % count.max(1);
        let mut given = 0;
        // Twice: what partitions with little leave of their shares goes to those with more.
        for share in [limit.div_ceil(count.max(1)), limit] {
            for at in 0..count {
                let which = (self.turn + at) % count;
                let (track, end) = (&mut self.tracks[which], ends[which]);
                let room = share.min(limit - given);
                if track.next >= end || room == 0 {
                    continue;
                }
                let (more, go_on) = track.read(&blocks, end, room, take)?;
                given += more;
                if !go_on {
                    return Ok(given);
                }
            }
        }
        Ok(given)
    }
}

impl Reader for EmbeddedReader {
    fn read(
        &mut self,
        limit: usize,
        wait: Duration,
        take: &mut dyn FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<usize, LogError> {
        let places: Vec<_> = (self.tracks.iter())
            .map(|track| (track.place.0, track.place.1, track.next))
            .collect();
        if limit == 0 || !self.store.wait(&places, monotonic() + wait) {
            return Ok(0);
        }
        self.take_all(limit, take)
            .map_err(|failure| self.store.failed(failure, "reading the log"))
    }

    fn backlog(&self) -> Vec<Option<i64>> {
        let mut backlog = vec![None; self.topics];
        for track in &self.tracks {
            let end = self.store.end(track.place.0, track.place.1);
            *backlog[track.at].get_or_insert(0) += end.saturating_sub(track.next).cast_signed();
        }
        backlog
    }
}

pub fn scan(
    store: &Store,
    topic: &str,
    spans: &[Span],
    take: &mut dyn FnMut(Option<Message<'_>>) -> ControlFlow<()>,
) -> Result<Vec<Position>, Failure> {
    let mut positions = Vec::with_capacity(spans.len());
    let mut goes_on = true;
    for span in spans {
        let place = place(store, topic, span.partition)?;
        let end = store.end(place.0, place.1);
        let until = span
            .until
            .map_or(end, |until| end.min(until.unsigned_abs()));
        let mut track = Track {
            at: 0,
            partition: span.partition,
            place,
            next: span.from.unsigned_abs(),
        };
        while goes_on && track.next < until {
            let blocks = blocks(store)?;
            goes_on = track
                .read(&blocks, until, LOOK, &mut |message| take(Some(message)))?
                .1;
        }
        positions.push(Position {
            topic: topic.to_owned(),
            partition: span.partition,
            next: track.next.cast_signed(),
        });
    }
    Ok(positions)
}
