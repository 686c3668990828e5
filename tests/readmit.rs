//! Records that were refused for want of an agreement or a register entry come in when it is there, exactly once.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gpad_live::adapters::embedded::EmbeddedLog;
use gpad_live::adapters::schemas::Schemas;
use gpad_live::commands::readmit::Request;
use gpad_live::domain::time::Day;
use gpad_live::wire::datum::Datum;
use gpad_live::wire::output::DispositionCount;
use gpad_live::wire::reference::{Participation, ParticipationState, ReferenceRecord};
use support::feed::{Feed, PRACTICES, first_day};
use support::local::{Running, by_status, in_memory, manifests, records, verified};

const RECORDED: i64 = 1_577_836_800_000;

/// What became of what was read again, by disposition.
fn readmit(log: &EmbeddedLog, practice: &str) -> BTreeMap<String, i64> {
    let request = Request::send(log, &Schemas::new(None), practice).unwrap();
    let manifest = request.wait(log, Duration::from_secs(30)).unwrap();
    sums(&manifest.readmitted)
}

fn sums(counts: &[DispositionCount]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for count in counts {
        *sums.entry(count.disposition.clone()).or_default() += count.count;
    }
    sums
}

fn map(entries: &[(&str, i64)]) -> BTreeMap<String, i64> {
    entries
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

fn honest(log: &EmbeddedLog) {
    let report = verified(log);
    assert_eq!(report.faults, []);
}

/// All practices registered; all but the first have agreed.
fn feed(log: &EmbeddedLog) -> Feed {
    let mut feed = Feed::new(log, Schemas::new(None));
    for practice in PRACTICES {
        feed.practice(practice, 0);
    }
    for practice in &PRACTICES[1..] {
        feed.agreement(practice, ParticipationState::Approved, RECORDED);
    }
    feed
}

/// Waits until the practice's rows are those; what moves them may be reference data, which no manifest counts.
fn wait_for_rows(running: &Running, log: &EmbeddedLog, practice: &str, expected: &[(&str, i64)]) {
    running.wait(|_| by_status(log, practice) == map(expected));
}

#[test]
fn withheld_records_come_in_with_the_agreement_and_go_with_it_across_restarts() {
    let log = Arc::new(in_memory());
    let mut feed = feed(&log);
    let practice = PRACTICES[0];
    for slot in 0..6 {
        feed.appointment(practice, &slot.to_string(), 0, 1, slot % 2 == 0);
        feed.appointment(PRACTICES[1], &slot.to_string(), 0, 1, true);
    }
    feed.flush();
    let running = Running::start(&log);
    running.wait_until_read(12);
    assert_eq!(by_status(&*log, practice), map(&[]));

    // Asked for in the moment in which the agreement is recorded: the task waits until it knows of it.
    feed.agreement(practice, ParticipationState::Approved, RECORDED + 1);
    feed.flush();
    assert_eq!(readmit(&log, practice), map(&[("accepted", 6)]));
    let stands = [("Attended", 3), ("DNA", 3)];
    wait_for_rows(&running, &log, practice, &stands);

    // Again: everything is there already, and nothing goes out.
    let before = (records(&*log, "gpad.deltas").len(), verified(&*log).rows);
    assert_eq!(readmit(&log, practice), map(&[("duplicate", 6)]));
    assert_eq!(
        (records(&*log, "gpad.deltas").len(), verified(&*log).rows),
        before
    );
    honest(&log);
    running.stop();

    // It holds across a restart, and later versions find what was read again.
    feed.appointment(practice, "0", 0, 2, false);
    feed.flush();
    let running = Running::start(&log);
    running.wait_until_read(13);
    let stands = [("Attended", 2), ("DNA", 4)];
    wait_for_rows(&running, &log, practice, &stands);
    assert_eq!(by_status(&*log, PRACTICES[1]), map(&[("Attended", 6)]));
    honest(&log);

    // The agreement ends: every figure is taken back; agreed again, what is held counts again by itself.
    feed.agreement(practice, ParticipationState::Withdrawn, RECORDED + 2);
    feed.flush();
    wait_for_rows(&running, &log, practice, &[]);
    feed.agreement(practice, ParticipationState::Approved, RECORDED + 3);
    feed.flush();
    wait_for_rows(&running, &log, practice, &stands);
    honest(&log);

    // It ends for longer: across a restart, and while a newer version comes and is withheld.
    feed.agreement(practice, ParticipationState::Withdrawn, RECORDED + 4);
    feed.flush();
    wait_for_rows(&running, &log, practice, &[]);
    running.stop();
    feed.appointment(practice, "2", 0, 3, false);
    feed.flush();
    let running = Running::start(&log);
    running.wait_until_read(14);
    assert_eq!(by_status(&*log, practice), map(&[]));
    honest(&log);
    feed.agreement(practice, ParticipationState::Approved, RECORDED + 5);
    feed.flush();
    let again = readmit(&log, practice);
    assert!(
        again["accepted"] > 0 && again.values().sum::<i64>() == 8,
        "{again:?}"
    );
    wait_for_rows(&running, &log, practice, &[("Attended", 1), ("DNA", 5)]);
    running.stop();

    honest(&log);
    let report = verified(&*log);
    assert_eq!((report.records, report.readmitted), (14, 6 + 6 + 8));
    let withheld = manifests(&*log)
        .iter()
        .flat_map(|manifest| &manifest.dispositions)
        .filter(|count| count.disposition == "withheld")
        .map(|count| count.count)
        .sum::<i64>();
    assert_eq!(withheld, 7, "what readmit reads has a ledger of its own");
}

#[test]
fn records_of_an_unknown_practice_come_in_when_the_register_has_it() {
    let log = Arc::new(in_memory());
    let mut feed = feed(&log);
    for slot in 0..4 {
        feed.appointment("J81009", &slot.to_string(), 0, 1, true);
    }
    feed.send_raw("emis.appointments", "J81009", b"no frame");
    feed.flush();
    let running = Running::start(&log);
    running.wait_until_read(5);
    let refused = Request::send(&*log, &Schemas::new(None), "J81009").unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("the register (ods.practices) has no row of it"),
        "{refused}"
    );
    feed.practice("J81009", 1);
    feed.agreement("J81009", ParticipationState::Approved, RECORDED);
    feed.flush();
    // What is refused again is a dead letter again, under the same key.
    assert_eq!(
        readmit(&log, "J81009"),
        map(&[("accepted", 4), ("rejected", 1)])
    );
    wait_for_rows(&running, &log, "J81009", &[("Attended", 4)]);
    running.stop();
    let letters = records(&*log, "gpad.dead-letters");
    assert_eq!(letters.len(), 6);
    assert_eq!(letters[4].key, letters[5].key);
    honest(&log);
}

#[test]
fn an_older_version_stands_again_where_the_agreement_no_longer_covers_the_newer() {
    let log = Arc::new(in_memory());
    let mut feed = feed(&log);
    let practice = PRACTICES[1];
    feed.appointment(practice, "moved", 0, 1, true);
    feed.appointment(practice, "moved", 20, 1, true);
    feed.appointment(practice, "stays", 0, 1, false);
    feed.flush();
    let running = Running::start(&log);
    running.wait_until_read(3);
    wait_for_rows(&running, &log, practice, &[("Attended", 1), ("DNA", 1)]);
    let until = Participation {
        practice_ods_code: practice.to_owned(),
        service_id: "GPAD".to_owned(),
        state: ParticipationState::Approved,
        effective_from: Day::from_ymd(2020, 1, 1).unwrap().0,
        effective_to: Some(first_day() + 10),
        recorded_at: RECORDED + 1,
    };
    feed.send("cqrs.participation", &until.key(), &until.to_bytes());
    feed.flush();
    wait_for_rows(&running, &log, practice, &[("DNA", 1)]);
    let again = readmit(&log, practice);
    assert_eq!(
        again,
        map(&[("accepted", 1), ("duplicate", 1), ("withheld", 1)])
    );
    wait_for_rows(&running, &log, practice, &[("Attended", 1), ("DNA", 1)]);
    running.stop();
    honest(&log);
}

#[test]
fn a_withdrawal_that_comes_while_nobody_runs_takes_everything_back() {
    let log = Arc::new(in_memory());
    let mut feed = feed(&log);
    let practice = PRACTICES[1];
    for slot in 0..4 {
        feed.appointment(practice, &slot.to_string(), 0, 1, true);
    }
    feed.flush();
    let running = Running::start(&log);
    running.wait_until_read(4);
    wait_for_rows(&running, &log, practice, &[("Attended", 4)]);
    running.stop();
    feed.agreement(practice, ParticipationState::Withdrawn, RECORDED + 1);
    feed.flush();
    let running = Running::start(&log);
    wait_for_rows(&running, &log, practice, &[]);
    running.stop();
    honest(&log);
}
