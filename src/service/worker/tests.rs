//! A worker on a log that breaks at will: whatever breaks, every record counts once.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::adapters::log::{Append, Committed, Ends, Membership, NewRecord, Span, Transaction};
use crate::adapters::schemas::Schemas;
use crate::config::ClockSetting;
use crate::engine::keep::CALLERS;
use crate::engine::plan::AggregatePlan;
use crate::engine::state::block::{self, Blocks, Cursor, Damage};
use crate::service::observe::Unobserved;
use crate::service::outputs::Outputs;
use crate::wire::datum::Datum;
use crate::wire::framing::unframe;
use crate::wire::output::Manifest;

/// What goes wrong with a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    /// It is not done.
    Before(Remedy),
    /// It is done, and nobody hears of it.
    After(Remedy),
    /// Another member takes one record more, and commits.
    Taken,
}

#[derive(Default)]
struct State {
    input: Vec<i64>,
    committed: Committed,
    /// Every value that was committed, in order.
    output: Vec<i64>,
    notes: Vec<String>,
    changelog: Vec<Vec<u8>>,
    faults: VecDeque<Fault>,
    /// Of each time that something might be read again: whether that fails half-way.
    breaks: VecDeque<bool>,
    /// How often a stage had to start anew.
    resets: usize,
}

#[derive(Default)]
struct Fake(Arc<Mutex<State>>);

impl Fake {
    fn state<T>(&self, see: impl FnOnce(&mut State) -> T) -> T {
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

fn number(bytes: &[u8]) -> i64 {
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

struct FakeReader {
    log: Fake,
    next: i64,
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
        let end = self.log.state(|state| state.input.len() as i64);
        vec![Some(end - self.next)]
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

/// Sends on each value read, and refuses to be told of one twice in one life.
struct Echo {
    outputs: Outputs,
    log: Fake,
    next: i64,
    waiting: Vec<i64>,
    taken: bool,
}

impl Stage for Echo {
    fn name(&self) -> &'static str {
        "0"
    }

    fn topics(&self) -> Vec<&'static str> {
        vec!["in"]
    }

    fn partition(&self) -> i32 {
        0
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn reset(&mut self, _: Option<&Note>) -> Result<(), LogError> {
        self.log.state(|state| state.resets += 1);
        (self.next, self.taken) = (0, false);
        self.waiting.clear();
        Ok(())
    }

    fn read_block(
        &mut self,
        block: &[u8],
        others: &mut dyn FnMut(u32, &[u8]) -> Option<()>,
    ) -> Result<usize, Damage> {
        let plan = self.outputs.plan.fingerprint();
        block::read(block, plan, |table, number, entry| {
            assert_eq!(table, CALLERS);
            if number == 9 {
                self.next = i64::from_le_bytes(entry.try_into().unwrap());
                return Ok(());
            }
            others(number, entry).ok_or(Damage::Entry(table))
        })
    }

    fn restored(&mut self, _: &Note) -> Result<(), Damage> {
        Ok(())
    }

    fn write_times(&self, _: &mut Blocks) {}

    fn write_changes(&mut self, blocks: &mut Blocks) {
        let next = self.next;
        blocks.put(CALLERS, 9, |into| {
            into.extend_from_slice(&next.to_le_bytes());
        });
    }

    fn write_part(&self, _: &mut Cursor, _: usize, _: &mut Blocks) -> bool {
        true
    }

    fn kept_entries(&self) -> u64 {
        1
    }

    fn changelog(&self) -> i32 {
        0
    }

    fn take(&mut self, message: &Message<'_>) -> Result<(), Hindrance> {
        assert_eq!(message.offset, self.next, "a record is skipped or repeated");
        self.next += 1;
        self.waiting.push(number(message.value.unwrap()));
        self.taken = true;
        Ok(())
    }

    fn has_news(&self) -> bool {
        false
    }

    fn read_again(&mut self, _: &[i64], _: &dyn Fn() -> bool) -> Result<bool, LogError> {
        if self.log.state(|state| state.breaks.pop_front()) != Some(true) {
            return Ok(true);
        }
        // A part of it is in the state, and must never be seen.
        self.waiting.push(-1);
        Err(LogError::new(
            Remedy::Retry,
            "reading again",
            "as the test wants",
        ))
    }

    fn settle(&mut self, _: Timestamp, draft: &mut Draft) -> bool {
        for value in self.waiting.drain(..) {
            draft
                .transaction
                .put("rows", None, b"", Some(&value.to_be_bytes()));
        }
        std::mem::take(&mut self.taken)
    }

    fn reference(&self) -> Option<Vec<Position>> {
        None
    }

    fn tell(&self) {}
}

/// Runs a worker over 40 records, three to a transaction, until all are committed.
fn run(faults: &[Fault]) -> Vec<i64> {
    run_with(faults, &[])
}

fn run_with(faults: &[Fault], breaks: &[bool]) -> Vec<i64> {
    let log = Fake::default();
    log.state(|state| {
        state.input = (100..140).collect();
        state.faults = faults.iter().copied().collect();
        state.breaks = breaks.iter().copied().collect();
    });
    work(&log, worker(&log), 40);
    let notes = log.state(|state| state.notes.clone());
    let sequences: Vec<i64> = notes
        .iter()
        .map(|note| Note::read(note).unwrap().sequence)
        .collect();
    let expected: Vec<i64> = (0..).take(sequences.len()).collect();
    assert_eq!(sequences, expected, "the chain has a gap");
    let taken = faults
        .iter()
        .filter(|fault| **fault == Fault::Taken)
        .count();
    let resets = log.state(|state| state.resets);
    assert_eq!(
        resets,
        1 + taken + breaks.iter().filter(|breaks| **breaks).count(),
        "{faults:?}: a doubt alone costs no state"
    );
    log.state(|state| state.output.clone())
}

/// Until so many records are committed.
fn work(log: &Fake, worker: Worker<Echo>, records: i64) {
    let orders = worker.orders.clone();
    let running = std::thread::spawn(move || worker.run());
    let began = monotonic();
    while log.state(|state| {
        let at = state.committed.positions.first();
        at.is_none_or(|at| at.next < records)
    }) && !running.is_finished()
    {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the worker stands still"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    orders.give(Order::Finish);
    running.join().unwrap().unwrap();
}

fn worker(log: &Fake) -> Worker<Echo> {
    let plan = Arc::new(AggregatePlan::default());
    let outputs = Outputs::new(plan, &Schemas::new(None), 1, true).unwrap();
    let stage = Echo {
        outputs,
        log: Fake(log.0.clone()),
        next: 0,
        waiting: Vec::new(),
        taken: false,
    };
    let around = Surroundings {
        log: Arc::new(Fake(log.0.clone())),
        clock: Clock::new(ClockSetting::Fixed(Timestamp(0))),
        commit: config::Commit {
            interval: Duration::from_millis(1),
            records: 3,
        },
        health: Arc::new(Health::default()),
        observer: Arc::new(Unobserved),
        state: config::Settings::default().state,
        group: "g".to_owned(),
    };
    Worker::new(stage, around, Arc::new(Orders::default()))
}

#[test]
fn transactions_stay_open_longer_while_a_worker_is_far_behind() {
    let log = Fake::default();
    log.state(|state| state.input.extend(0..8));
    let mut worker = worker(&log);
    let mut interval_at = |next| {
        let log = Fake(log.0.clone());
        worker.tell(&FakeReader { log, next });
        worker.interval()
    };
    let (usual, longer) = (Duration::from_millis(1), Duration::from_millis(10));
    assert_eq!(interval_at(6), usual);
    assert_eq!(interval_at(5), longer);
    assert_eq!(interval_at(8), usual);
    // What is long already stays as it is.
    worker.around.commit.interval = Duration::from_secs(2);
    let log = Fake(log.0.clone());
    worker.tell(&FakeReader { log, next: 0 });
    assert_eq!(worker.interval(), Duration::from_secs(2));
}

#[test]
fn every_record_counts_once_whatever_becomes_of_a_commit() {
    use Fault::{After, Before, None, Taken};
    use Remedy::{Fenced, Renew, Retry};
    let cases: [&[Fault]; 9] = [
        &[],
        &[Before(Renew)],
        &[After(Renew)],
        &[None, After(Retry), None, Before(Retry)],
        // In doubt about writing again what was in doubt.
        &[None, Before(Renew), Before(Renew), After(Renew)],
        &[After(Fenced)],
        &[None, Before(Fenced)],
        &[None, Taken],
        &[Taken, After(Renew), Taken],
    ];
    let expected: Vec<i64> = (100..140).collect();
    std::thread::scope(|scope| {
        for faults in cases {
            let expected = &expected;
            scope.spawn(move || assert_eq!(run(faults), *expected, "{faults:?}"));
        }
    });
}

#[test]
fn what_is_read_again_and_breaks_off_half_way_leaves_nothing_behind() {
    let expected: Vec<i64> = (100..140).collect();
    let breaks = [false, true, false, false, true, true];
    assert_eq!(run_with(&[], &breaks), expected);
    assert_eq!(
        run_with(&[Fault::None, Fault::After(Remedy::Renew)], &breaks),
        expected
    );
}

#[test]
fn positions_that_are_not_ours_and_state_that_is_gone_stop_a_worker() {
    let position = Position {
        topic: "in".to_owned(),
        partition: 0,
        next: 2,
    };
    let cases: [(Option<&str>, &str); 3] = [
        (
            None,
            "restoring task 0: the group's positions were set by hand: use a new kafka.group",
        ),
        (
            Some("theirs"),
            "restoring task 0: the group's positions were committed by another program",
        ),
        (
            Some("1 0 0 00 0"),
            "restoring task 0: gpad.changelog/0 holds nothing of this task, which has committed 1 transactions",
        ),
    ];
    for (note, expected) in cases {
        let log = Fake::default();
        log.state(|state| {
            state.input = vec![1, 2];
            state.committed = Committed {
                positions: vec![position.clone()],
                note: note.map(str::to_owned),
            };
        });
        let error = worker(&log).run().unwrap_err();
        assert_eq!(
            (error.remedy, error.to_string().as_str()),
            (Remedy::Stop, expected)
        );
    }
}

#[test]
fn what_a_standby_has_read_serves_if_the_rest_leads_to_the_note_and_is_dropped_otherwise() {
    // Blocks that it has read, whom it takes them to be of, what it makes of them; resets that follow.
    let cases = [
        (15, (0, 14), 15, 0),
        (20, (0, 19), 20, 0),
        // Ahead of what is committed, of another history, behind it with nothing to come: its state is wrong.
        (20, (0, 20), 77, 1),
        (20, (7, 19), 77, 1),
        (20, (0, 18), 77, 1),
    ];
    for (from, written_by, next, resets) in cases {
        let log = Fake::default();
        log.state(|state| state.input = (100..120).collect());
        let mut single = worker(&log);
        single.around.commit.records = 1;
        work(&log, single, 20);
        log.state(|state| {
            assert_eq!(state.changelog.len(), 20);
            state.input = (100..140).collect();
            state.resets = 0;
        });
        let mut warm = worker(&log);
        warm.stage.next = next;
        let base = Base {
            from,
            written_by,
            written: 0,
        };
        work(&log, warm.on_top_of(Some(base)), 40);
        log.state(|state| {
            assert_eq!(state.output, (100..140).collect::<Vec<_>>());
            assert_eq!(state.resets, resets, "{from} {written_by:?}");
        });
    }
}
