//! A worker on a log that breaks at will: whatever breaks, every record counts once.

mod fake;

use super::*;
use crate::adapters::log::Committed;
use crate::adapters::schemas::Schemas;
use crate::config::ClockSetting;
use crate::engine::keep::CALLERS;
use crate::engine::plan::AggregatePlan;
use crate::engine::state::block::{self, Blocks, Cursor, Damage};
use crate::service::observe::Unobserved;
use crate::service::outputs::Outputs;
use fake::{Fake, FakeReader, Fault, number};

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

    fn take(&mut self, message: &Message<'_>) -> Result<usize, Hindrance> {
        assert_eq!(message.offset, self.next, "a record is skipped or repeated");
        self.next += 1;
        self.waiting.push(number(message.value.unwrap()));
        self.taken = true;
        Ok(1)
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
fn transactions_take_more_and_stay_open_longer_while_a_worker_is_far_behind() {
    let log = Fake::default();
    log.state(|state| {
        state.input.extend(0..8);
        state.tells_backlog = true;
    });
    let mut worker = worker(&log);
    let mut open_at = |next| {
        let log = Fake(log.0.clone());
        worker.tell(&FakeReader { log, next });
        (worker.pace.interval(), worker.pace.most())
    };
    let usual = (Duration::from_millis(1), 3);
    let far_behind = (Duration::from_secs(2), 3);
    assert_eq!(open_at(6), usual);
    assert_eq!(open_at(5), far_behind);
    assert_eq!(open_at(8), usual);
    // Nothing to read after all: whoever waits for what was read waits no longer than usual.
    let reader = |next| FakeReader {
        log: Fake(log.0.clone()),
        next,
    };
    worker.tell(&reader(5));
    // A full one was committed at once: the next takes more.
    worker.pace.took(3, 3, Duration::ZERO);
    assert_eq!(worker.pace.most(), 6);
    worker.read(&mut reader(8)).unwrap();
    assert_eq!(worker.pace.interval(), usual.0);
    worker.read(&mut reader(0)).unwrap();
    assert_eq!(worker.pace.interval(), far_behind.0);
    // What is long already stays as it is.
    let mut commit = worker.around.commit.clone();
    commit.interval = Duration::from_secs(5);
    worker.pace = Pace::new(commit);
    worker.tell(&reader(0));
    assert_eq!(worker.pace.interval(), Duration::from_secs(5));
}

#[test]
fn a_worker_says_whether_it_has_read_what_is_not_committed() {
    let begin = |faults: &[Fault]| {
        let log = Fake::default();
        log.state(|state| {
            state.input = (100..140).collect();
            state.faults.extend(faults);
        });
        (worker(&log), log)
    };
    let (done, log) = begin(&[Fault::Before(Remedy::Renew)]);
    let orders = done.orders.clone();
    assert!(!orders.has_open(), "nothing is read yet");
    work(&log, done, 40);
    assert!(!orders.has_open(), "all of it is committed");

    let (failing, _) = begin(&[Fault::Before(Remedy::Renew); 1_000]);
    let orders = failing.orders.clone();
    let running = std::thread::spawn(move || failing.run());
    let began = monotonic();
    while !orders.has_open() {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing is read");
        std::thread::sleep(Duration::from_millis(1));
    }
    orders.give(Order::Drop);
    running.join().unwrap().unwrap();
    assert!(orders.has_open(), "it was never committed");
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
        let mut commit = single.around.commit.clone();
        commit.records = 1;
        single.pace = Pace::new(commit);
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
