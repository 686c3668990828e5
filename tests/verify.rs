//! `verify` finds nothing in an honest log, and names what was forged in another.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use gpad_live::adapters::log::{Log, Position, Transaction};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::commands::serve;
use gpad_live::domain::topic::{ReferenceTopic, SupplierTopic};
use gpad_live::service::verify::{Fault, Kind, Report};
use gpad_live::service::{READMISSIONS, output_topics};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::{frame, unframe};
use gpad_live::wire::output::{AggregateValue, Deltas, Manifest};
use gpad_live::wire::reference::ParticipationState;
use support::feed::{Feed, PRACTICES};
use support::local::{self, Record, Running, in_memory, plan};

/// A log as a list that can be tampered with.
#[derive(Debug, Clone)]
struct Copied {
    records: Vec<Record>,
    /// By task: its positions and note.
    committed: Vec<(String, Vec<Position>, String)>,
}

/// Records of four tasks in many transactions: attended, corrected, refused, withheld, and taken back.
fn honest() -> Copied {
    static HONEST: LazyLock<Copied> = LazyLock::new(|| {
        let log = Arc::new(in_memory());
        let mut feed = Feed::new(&*log, Schemas::new(None));
        feed.reference();
        let running = Running::start(&log);
        // Each round is read before the next comes: several transactions of every task.
        for (round, read) in (0..).zip([24, 48, 72, 104]) {
            for practice in PRACTICES {
                for slot in 3 * round..3 * round + 3 {
                    feed.appointment(practice, &slot.to_string(), slot % 3, 1, slot % 2 == 0);
                }
                if round == 3 {
                    feed.send_raw("emis.appointments", practice, b"no frame");
                }
            }
            feed.flush();
            running.wait_until_read(read);
        }
        running.stop();
        for practice in PRACTICES {
            feed.appointment(practice, "0", 0, 5, false);
            feed.send_raw("tpp.appointments", practice, b"no frame");
        }
        feed.flush();
        let running = Running::start(&log);
        running.wait_until_read(120);
        let transactions = |manifests: &[Manifest]| manifests.len();
        let before = local::manifests(&*log).len();
        feed.agreement(
            PRACTICES[0],
            ParticipationState::Withdrawn,
            1_577_836_800_001,
        );
        feed.flush();
        // One of the practice's task, one of the second stage.
        running.wait(|manifests| transactions(manifests) >= before + 2);
        running.stop();
        copy(&*log)
    });
    HONEST.clone()
}

fn topics() -> Vec<String> {
    (SupplierTopic::ALL
        .iter()
        .map(|topic| topic.name().to_owned()))
    .chain(
        ReferenceTopic::ALL
            .iter()
            .map(|topic| topic.name().to_owned()),
    )
    .chain(output_topics(&plan().aggregates))
    .collect()
}

fn tasks() -> Vec<(String, Vec<&'static str>, i32)> {
    let mut suppliers = SupplierTopic::ALL.map(SupplierTopic::name).to_vec();
    suppliers.push(READMISSIONS);
    (0..4)
        .map(|task| (task.to_string(), suppliers.clone(), task))
        .chain([("rollup-0".to_owned(), vec!["gpad.deltas"], 0)])
        .collect()
}

fn copy(log: &dyn Log) -> Copied {
    let topics = topics();
    let records = topics.iter().flat_map(|topic| local::records(log, topic));
    let records = records.collect();
    let committed = tasks().into_iter().filter_map(|(task, topics, partition)| {
        let places: Vec<_> = topics.iter().map(|topic| (*topic, partition)).collect();
        let committed = log.committed(&places).unwrap();
        Some((task, committed.positions, committed.note?))
    });
    Copied {
        committed: committed.collect(),
        records,
    }
}

fn write(copied: &Copied, log: &dyn Log) {
    let mut appender = log.appender().unwrap();
    for record in &copied.records {
        let record = gpad_live::adapters::log::NewRecord {
            topic: &record.topic,
            partition: Some(record.partition),
            key: Some(&record.key),
            value: record.value.as_deref(),
        };
        appender.append(&record).unwrap();
    }
    appender.flush().unwrap();
    for (task, positions, note) in &copied.committed {
        let mut transaction = Transaction::default();
        transaction.positions.clone_from(positions);
        transaction.note.clone_from(note);
        log.output(task).unwrap().commit(&transaction).unwrap();
    }
}

fn verified(copied: &Copied) -> Report {
    let log = in_memory();
    write(copied, &log);
    local::verified(&log)
}

fn read<T: Datum>(record: &Record) -> T {
    record.read()
}

fn put(record: &mut Record, value: &impl Datum) {
    let (id, _) = unframe(record.value.as_deref()).unwrap();
    let mut framed = Vec::new();
    frame(id, &value.to_bytes(), &mut framed);
    record.value = Some(framed);
}

/// Every manifest with its place in the list.
fn manifests(copied: &Copied) -> Vec<(usize, Manifest)> {
    (copied.records.iter().enumerate())
        .filter(|(_, record)| record.topic == "gpad.ledger")
        .map(|(at, record)| (at, read(record)))
        .collect()
}

/// A manifest in the middle of a chain that satisfies a wish.
fn manifest(copied: &Copied, wish: impl Fn(&Manifest) -> bool) -> (usize, Manifest) {
    let found = manifests(copied).into_iter().find(|(_, manifest)| {
        let is_first_stage = !manifest.task.starts_with("rollup");
        manifest.sequence > 0 && is_first_stage && wish(manifest)
    });
    found.unwrap()
}

fn wrote(manifest: &Manifest, topic: &str) -> bool {
    manifest.rows.iter().any(|written| written.output == topic)
}

/// As if the forger sealed every manifest of the chain anew.
fn reseal(copied: &mut Copied, task: &str) {
    let mut before: Option<Manifest> = None;
    for (at, mut manifest) in manifests(copied) {
        if manifest.task != task {
            continue;
        }
        manifest.previous_hash = before.map(|before| before.hash).unwrap_or_default();
        manifest = manifest.sealed();
        put(&mut copied.records[at], &manifest);
        before = Some(manifest);
    }
    let newest = before.unwrap();
    for (of, _, note) in &mut copied.committed {
        if of == task {
            let mut words: Vec<String> = note.split(' ').map(str::to_owned).collect();
            words[3] = newest.hash.to_string();
            *note = words.join(" ");
        }
    }
}

fn has(report: &Report, kind: Kind, task: &str, sequence: i64, topic: &str) {
    let is_it = |fault: &&Fault| {
        fault.kind == kind
            && fault.task == task
            && fault.sequence == Some(sequence)
            && fault.topic == topic
    };
    assert!(
        report.faults.iter().any(|fault| is_it(&fault)),
        "{kind:?} of {task}/{sequence} in {topic} is not among {:#?}",
        report.faults
    );
}

#[test]
fn an_honest_log_is_without_fault_and_summed_up() {
    let report = verified(&honest());
    assert_eq!(report.faults, []);
    assert_eq!(report.notes, Vec::<String>::new());
    assert_eq!(
        (report.tasks, report.records, report.counted),
        (4, 120, Some(120))
    );
    assert_eq!((report.dead_letters, report.pending), (16, 0));
    let undecodable = ("rejected".to_owned(), Some("undecodable".to_owned()));
    assert_eq!(report.dispositions[&undecodable], 16);
    assert_eq!(report.dispositions.values().sum::<i64>(), 120);
    assert!(report.transactions > 12, "{}", report.transactions);
    assert!(report.rows["gpad.aggregates.practice_day"] > 20);
    assert!(
        honest().records.iter().any(|record| record.value.is_none()),
        "rows have returned to nothing"
    );
}

#[test]
fn a_gap_is_found() {
    let mut copied = honest();
    let (at, missing) = manifest(&copied, |manifest| wrote(manifest, "gpad.deltas"));
    copied.records.remove(at);
    let report = verified(&copied);
    has(
        &report,
        Kind::Gap,
        &missing.task,
        missing.sequence + 1,
        "gpad.ledger",
    );
    has(
        &report,
        Kind::Unaccounted,
        &missing.task,
        missing.sequence,
        "gpad.deltas",
    );
}

#[test]
fn a_repeated_transaction_is_found() {
    let mut copied = honest();
    let (at, repeated) = manifest(&copied, |manifest| wrote(manifest, "gpad.deltas"));
    let manifest = copied.records[at].clone();
    let deltas: Vec<Record> = (copied.records.iter())
        .filter(|record| record.topic == "gpad.deltas")
        .filter(|record| {
            let by = read::<Deltas>(record).written_by.unwrap();
            (by.task, by.sequence) == (repeated.task.clone(), repeated.sequence)
        })
        .cloned()
        .collect();
    copied.records.push(manifest);
    copied.records.extend(deltas);
    let report = verified(&copied);
    has(
        &report,
        Kind::Repeated,
        &repeated.task,
        repeated.sequence,
        "gpad.ledger",
    );
    has(
        &report,
        Kind::Unaccounted,
        &repeated.task,
        repeated.sequence,
        "gpad.deltas",
    );
}

#[test]
fn a_torn_transaction_is_found_whichever_part_is_missing() {
    let newest = |copied: &Copied, task: &str| {
        let mut of_task = manifests(copied).into_iter();
        of_task
            .rfind(|(_, manifest)| manifest.task == task)
            .unwrap()
    };
    // Its deltas.
    let mut copied = honest();
    let (_, torn) = manifest(&copied, |manifest| wrote(manifest, "gpad.deltas"));
    let is_of = |record: &Record| {
        record.topic == "gpad.deltas" && {
            let by = read::<Deltas>(record).written_by.unwrap();
            (by.task, by.sequence) == (torn.task.clone(), torn.sequence)
        }
    };
    let at = copied.records.iter().position(is_of).unwrap();
    copied.records.remove(at);
    has(
        &verified(&copied),
        Kind::Torn,
        &torn.task,
        torn.sequence,
        "gpad.deltas",
    );

    // Its manifest.
    let mut copied = honest();
    let task = &manifest(&copied, |_| true).1.task;
    let (at, torn) = newest(&copied, task);
    copied.records.remove(at);
    has(
        &verified(&copied),
        Kind::Torn,
        task,
        torn.sequence,
        "gpad.ledger",
    );

    // Its positions: the group still has those of the transaction before.
    let mut copied = honest();
    let (_, torn) = newest(&copied, task);
    let before = manifests(&copied)
        .into_iter()
        .find(|(_, manifest)| manifest.task == *task && manifest.sequence == torn.sequence - 1);
    let before = before.unwrap().1;
    for (of, positions, note) in &mut copied.committed {
        if of == task {
            *note = format!("1 {} {} {} 0", before.epoch, before.sequence, before.hash);
            for at in positions {
                let read = torn.positions.iter().find(|read| read.topic == at.topic);
                at.next = read.map_or(at.next, |read| read.from);
            }
        }
    }
    has(
        &verified(&copied),
        Kind::Torn,
        task,
        torn.sequence,
        "gpad.ledger",
    );

    // A row of it.
    let mut copied = honest();
    let topic = "gpad.aggregates.practice_day";
    let at = copied
        .records
        .iter()
        .rposition(|record| record.topic == topic && record.value.is_some());
    let row = read::<AggregateValue>(&copied.records.remove(at.unwrap()));
    let task = row.published.written_by.unwrap().task;
    let stated = manifests(&copied)
        .into_iter()
        .rfind(|(_, manifest)| manifest.task == task && wrote(manifest, topic));
    has(
        &verified(&copied),
        Kind::Torn,
        &task,
        stated.unwrap().1.sequence,
        topic,
    );
}

#[test]
fn a_missing_dead_letter_is_found() {
    let mut copied = honest();
    let (_, refused) = manifest(&copied, |manifest| wrote(manifest, "gpad.dead-letters"));
    let at = copied.records.iter().position(|record| {
        record.topic == "gpad.dead-letters" && {
            let letter = read::<gpad_live::wire::output::DeadLetter>(record);
            let by = letter.written_by.unwrap();
            (by.task, by.sequence) == (refused.task.clone(), refused.sequence)
        }
    });
    copied.records.remove(at.unwrap());
    let report = verified(&copied);
    has(
        &report,
        Kind::Torn,
        &refused.task,
        refused.sequence,
        "gpad.dead-letters",
    );
    assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
}

#[test]
fn an_altered_row_is_found_however_old_its_transaction_is() {
    let topic = "gpad.aggregates.practice_day";
    let rows: Vec<usize> = (honest().records.iter().enumerate())
        .filter(|(_, record)| record.topic == topic && record.value.is_some())
        .map(|(at, _)| at)
        .collect();
    for at in [rows[0], rows[rows.len() / 2], rows[rows.len() - 1]] {
        let mut copied = honest();
        let mut row = read::<AggregateValue>(&copied.records[at]);
        row.figures.counts[0].value += 1;
        put(&mut copied.records[at], &row);
        let by = row.published.written_by.unwrap();
        let stated = (manifests(&copied).into_iter())
            .rfind(|(_, manifest)| manifest.task == by.task && wrote(manifest, topic));
        let report = verified(&copied);
        has(
            &report,
            Kind::Altered,
            &by.task,
            stated.unwrap().1.sequence,
            topic,
        );
    }
    // One that claims another transaction.
    let mut copied = honest();
    let at = rows[0];
    let mut row = read::<AggregateValue>(&copied.records[at]);
    let task = row.published.written_by.as_ref().unwrap().task.clone();
    row.published.written_by.as_mut().unwrap().sequence = 9_999;
    put(&mut copied.records[at], &row);
    has(&verified(&copied), Kind::Unaccounted, &task, 9_999, topic);
}

#[test]
fn altered_deltas_and_dead_letters_are_found() {
    let mut copied = honest();
    let at = copied
        .records
        .iter()
        .position(|record| record.topic == "gpad.deltas")
        .unwrap();
    let mut deltas = read::<Deltas>(&copied.records[at]);
    deltas.changes[0].measures[0] += 1;
    put(&mut copied.records[at], &deltas);
    let by = deltas.written_by.unwrap();
    has(
        &verified(&copied),
        Kind::Altered,
        &by.task,
        by.sequence,
        "gpad.deltas",
    );
}

#[test]
fn a_wrong_sum_is_found_even_if_every_hash_was_made_anew() {
    let forge = |change: &dyn Fn(&mut Manifest)| {
        let mut copied = honest();
        let (at, mut forged) = manifest(&copied, |manifest| {
            wrote(manifest, "gpad.deltas") && !manifest.dispositions.is_empty()
        });
        change(&mut forged);
        put(&mut copied.records[at], &forged);
        let naive = verified(&copied);
        has(
            &naive,
            Kind::Hash,
            &forged.task,
            forged.sequence,
            "gpad.ledger",
        );
        reseal(&mut copied, &forged.task);
        let report = verified(&copied);
        assert!(
            report.faults.iter().all(|fault| fault.kind != Kind::Hash),
            "{:#?}",
            report.faults
        );
        (report, forged.task, forged.sequence)
    };
    let (report, task, sequence) = forge(&|manifest| manifest.dispositions[0].count += 1);
    has(&report, Kind::Sum, &task, sequence, "emis.appointments");
    let (report, task, sequence) = forge(&|manifest| {
        manifest.positions[0].records -= 1;
        manifest.dispositions[0].count -= 1;
    });
    has(&report, Kind::Sum, &task, sequence, "emis.appointments");
    let (report, task, sequence) = forge(&|manifest| manifest.pending += 1);
    has(&report, Kind::Sum, &task, sequence, "gpad.ledger");
    let (report, task, sequence) = forge(&|manifest| manifest.positions[0].from += 1);
    has(&report, Kind::Offsets, &task, sequence, "emis.appointments");
}

#[test]
fn positions_that_were_moved_are_found() {
    let mut copied = honest();
    let (task, positions, _) = &mut copied.committed[1];
    positions[0].next += 5;
    let task = task.clone();
    let report = verified(&copied);
    let newest = manifests(&copied)
        .into_iter()
        .rfind(|(_, manifest)| manifest.task == task);
    has(
        &report,
        Kind::Offsets,
        &task,
        newest.unwrap().1.sequence,
        "emis.appointments",
    );
}

/// On disk, as an operator runs it.
#[test]
fn the_command_tells_an_honest_log_from_a_forged_one_by_its_exit_code() {
    let verify = |directory: &Path| {
        Command::new(env!("CARGO_BIN_EXE_gpad-live"))
            .args(["verify", "--embedded"])
            .arg(directory)
            .output()
            .unwrap()
    };
    let on_disk = |copied: &Copied| {
        let directory = tempfile::tempdir().unwrap();
        write(
            copied,
            &serve::embedded(directory.path(), &plan().aggregates).unwrap(),
        );
        directory
    };
    let honest_one = on_disk(&honest());
    let output = verify(honest_one.path());
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("120 records read, ") && told.ends_with("no fault\n"),
        "{told}"
    );

    let mut copied = honest();
    let (at, missing) = manifest(&copied, |manifest| wrote(manifest, "gpad.deltas"));
    copied.records.remove(at);
    let forged = on_disk(&copied);
    let output = verify(forged.path());
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let gap = format!(
        "gap: task {}, sequence {}, gpad.ledger: manifests {} to {} are missing",
        missing.task,
        missing.sequence + 1,
        missing.sequence,
        missing.sequence
    );
    assert!(told.contains(&gap), "{told}");

    let nowhere = verify(&forged.path().join("nowhere"));
    assert_eq!(nowhere.status.code(), Some(2));
}
