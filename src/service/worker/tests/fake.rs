//! A log that breaks at will, of one topic in and one out.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::super::*;
use crate::adapters::log::{Append, Committed, Ends, Membership, NewRecord, Span, Transaction};
use crate::engine::keep::CALLERS;
use crate::engine::plan::AggregatePlan;
use crate::engine::state::block::Blocks;
use crate::wire::datum::Datum;
use crate::wire::framing::unframe;
use crate::wire::output::Manifest;

/// What goes wrong with a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    /// It is not done.
    Before(Remedy),
    /// It is done, and nobody hears of it.
    After(Remedy),
    /// Another member takes one record more, and commits.
    Taken,
}

#[derive(Default)]
pub struct State {
    pub input: Vec<i64>,
    pub committed: Committed,
    /// Every value that was committed, in order.
    pub output: Vec<i64>,
    pub notes: Vec<String>,
    pub changelog: Vec<Vec<u8>>,
    pub faults: VecDeque<Fault>,
    /// Of each time that something might be read again: whether that fails half-way.
    pub breaks: VecDeque<bool>,
    /// How often a stage had to start anew.
    pub resets: usize,
    /// Whether a worker learns how far behind it is.
    pub tells_backlog: bool,
}

#[derive(Default)]
pub struct Fake(pub Arc<Mutex<State>>);

impl Fake {
    pub fn state<T>(&self, see: impl FnOnce(&mut State) -> T) -> T {
        see(&mut self.0.lock().unwrap())
    }
}

impl State {
    fn commit(&mut self, transaction: &Transaction) {
        assert_ne!(
            self.committed.note.as_ref(),
            Some(&transaction.note),
            "a note is written twice"
        );
        let rows = transaction
            .records()
            .filter(|record| record.topic == "rows");
        self.output
            .extend(rows.map(|record| number(record.value.unwrap())));
        let blocks = transaction
            .records()
            .filter(|record| record.topic == CHANGELOG);
        self.changelog
            .extend(blocks.map(|record| record.value.unwrap().to_vec()));
        for manifest in transaction
            .records()
            .filter(|record| record.topic == "gpad.ledger")
        {
            let (_, datum) = unframe(manifest.value).unwrap();
            let read = &Manifest::from_bytes(datum).unwrap().positions[0];
            let before = self.committed.positions.first().map_or(0, |at| at.next);
            assert_eq!(
                (read.from, read.to),
                (before, transaction.positions[0].next)
            );
        }
        self.committed.positions.clone_from(&transaction.positions);
        self.committed.note = Some(transaction.note.clone());
        self.notes.push(transaction.note.clone());
    }
}

pub fn number(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(bytes.try_into().unwrap())
}

impl Log for Fake {
    fn partitions(&self, topics: &[&str]) -> Result<Vec<Option<i32>>, LogError> {
        Ok(vec![Some(1); topics.len()])
    }

    fn ends(&self, _: &str, _: i32) -> Result<Ends, LogError> {
        let end = self.state(|state| state.input.len() as i64);
        Ok(Ends {
            first: 0,
            stable: end,
            end,
        })
    }

    fn join(&self, _: &[&str]) -> Result<Box<dyn Membership>, LogError> {
        unreachable!("a worker joins nothing")
    }

    fn reader(&self, _: &[&str], positions: &[Position]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(FakeReader {
            log: Fake(self.0.clone()),
            next: positions[0].next,
        }))
    }

    fn scan(
        &self,
        topic: &str,
        spans: &[Span],
        take: &mut dyn FnMut(Option<Message<'_>>) -> ControlFlow<()>,
    ) -> Result<Vec<Position>, LogError> {
        assert_eq!(topic, CHANGELOG, "nothing else is read back");
        let blocks = (0..).zip(self.state(|state| state.changelog.clone()));
        for (offset, block) in blocks.filter(|(offset, _)| *offset >= spans[0].from) {
            let _ = take(Some(Message {
                topic: 0,
                partition: 0,
                offset,
                timestamp: None,
                key: Some(b"0"),
                value: Some(&block),
            }));
        }
        Ok(Vec::new())
    }

    fn delete_before(&self, _: &str, _: i32, _: i64) -> Result<(), LogError> {
        unreachable!("too little is written for a round")
    }

    fn committed(&self, _: &[(&str, i32)]) -> Result<Committed, LogError> {
        Ok(self.state(|state| state.committed.clone()))
    }

    fn output(&self, _: &str) -> Result<Box<dyn Output>, LogError> {
        Ok(Box::new(FakeOutput {
            log: Fake(self.0.clone()),
            is_finished: false,
        }))
    }

    fn appender(&self) -> Result<Box<dyn Append>, LogError> {
        struct Nothing;
        impl Append for Nothing {
            fn append(&mut self, _: &NewRecord<'_>) -> Result<(), LogError> {
                Ok(())
            }
            fn flush(&mut self) -> Result<(), LogError> {
                Ok(())
            }
        }
        Ok(Box::new(Nothing))
    }
}

pub struct FakeReader {
    pub log: Fake,
    pub next: i64,
}

impl Reader for FakeReader {
    fn read(
        &mut self,
        limit: usize,
        _: Duration,
        take: &mut dyn FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<usize, LogError> {
        let input = self.log.state(|state| state.input.clone());
        let mut read = 0;
        for value in input.iter().skip(self.next as usize).take(limit) {
            let bytes = value.to_be_bytes();
            let (offset, value) = (self.next, Some(&bytes[..]));
            self.next += 1;
            read += 1;
            let message = Message {
                topic: 0,
                partition: 0,
                offset,
                timestamp: None,
                key: None,
                value,
            };
            if take(message).is_break() {
                break;
            }
        }
        Ok(read)
    }

    fn backlog(&self) -> Vec<Option<i64>> {
        (self.log).state(|state| {
            vec![(state.tells_backlog).then(|| state.input.len() as i64 - self.next)]
        })
    }
}

struct FakeOutput {
    log: Fake,
    is_finished: bool,
}

impl Output for FakeOutput {
    fn committed(&mut self, _: &[(&str, i32)]) -> Result<Committed, LogError> {
        Ok(self.log.state(|state| state.committed.clone()))
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<(), LogError> {
        assert!(!self.is_finished, "an output in doubt is used again");
        self.log.state(|state| {
            let fault = state.faults.pop_front().unwrap_or(Fault::None);
            if matches!(fault, Fault::None | Fault::After(_)) {
                state.commit(transaction);
            }
            if fault == Fault::Taken {
                let next = state.committed.positions.first().map_or(0, |at| at.next);
                let value = state.input[usize::try_from(next).unwrap()];
                let mut other = Transaction::default();
                other.put("rows", None, b"", Some(&value.to_be_bytes()));
                let mut blocks = Blocks::default();
                blocks.begin(AggregatePlan::default().fingerprint());
                let sequence = state.notes.len() as i64;
                blocks.put(CALLERS, 2, |into| {
                    into.extend_from_slice(&7_i64.to_le_bytes());
                    into.extend_from_slice(&sequence.to_le_bytes());
                });
                blocks.put(CALLERS, 9, |into| {
                    into.extend_from_slice(&(next + 1).to_le_bytes());
                });
                for block in blocks.iter() {
                    other.put(CHANGELOG, Some(0), b"0", Some(block));
                }
                other.positions = vec![Position {
                    topic: "in".to_owned(),
                    partition: 0,
                    next: next + 1,
                }];
                other.note = format!("1 7 {} 00 0", state.notes.len());
                state.commit(&other);
            }
            self.is_finished = fault != Fault::None;
            let failed = |remedy| Err(LogError::new(remedy, "committing", "as the test wants"));
            match fault {
                Fault::None => Ok(()),
                Fault::Before(remedy) | Fault::After(remedy) => failed(remedy),
                Fault::Taken => failed(Remedy::Fenced),
            }
        })
    }
}
