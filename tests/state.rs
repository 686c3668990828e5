//! A task's state comes back from its snapshot and the changelog, or from the changelog alone, whatever became of
//! the files.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gpad_live::adapters::clock::Clock;
use gpad_live::adapters::embedded::EmbeddedLog;
use gpad_live::adapters::log::{Log, Span};
use gpad_live::adapters::schemas::Schemas;
use gpad_live::commands::{plan_of, serve};
use gpad_live::config::{Commit, Settings, State};
use gpad_live::pipeline::Plan;
use gpad_live::service::{
    CHANGELOG, Following, Health, LEDGER, Observation, Observer, Origin, Service, Stop,
};
use gpad_live::wire::datum::Datum;
use gpad_live::wire::framing::unframe;
use gpad_live::wire::output::Manifest;
use support::feed::{Feed, PRACTICES};
use support::wait_for;

fn plan() -> Arc<Plan> {
    plan_of(&Settings::default(), Some(400)).unwrap().into()
}

/// What workers told of reading their state back: by name, what served, and entries read from the changelog; and how far
/// tasks are followed.
#[derive(Default)]
struct Restored {
    back: Mutex<BTreeMap<String, (Origin, u64)>>,
    followed: Mutex<BTreeMap<String, Following>>,
}

impl Observer for Restored {
    fn observe(&self, observation: &Observation<'_>) {
        if let Observation::Restored {
            worker,
            origin,
            read,
            ..
        } = observation
        {
            let mut back = self.back.lock().unwrap();
            back.insert((*worker).to_owned(), (*origin, *read));
        }
        if let Observation::Standby { worker, following } = observation {
            let mut followed = self.followed.lock().unwrap();
            match following {
                Some(following) => followed.insert((*worker).to_owned(), *following),
                None => followed.remove(*worker),
            };
        }
    }
}

struct Running {
    log: Arc<EmbeddedLog>,
    restored: Arc<Restored>,
    stop: Stop,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    fn start(log: &Arc<EmbeddedLog>, directory: Option<&Path>) -> Self {
        Self::start_with(log, directory, 0)
    }

    fn start_with(log: &Arc<EmbeddedLog>, directory: Option<&Path>, standby: usize) -> Self {
        let (stop, restored) = (Stop::default(), Arc::new(Restored::default()));
        let service = Service {
            log: log.clone(),
            schemas: Arc::new(Schemas::new(None)),
            plan: plan(),
            commit: Commit {
                interval: Duration::from_millis(25),
                records: 10,
            },
            clock: Clock::Wall,
            observer: restored.clone(),
            health: Arc::new(Health::default()),
            undecided: Duration::from_mins(1),
            state: State {
                directory: directory.map(Path::to_owned),
                snapshot: Duration::from_millis(50),
                standby,
                ..Settings::default().state
            },
            group: "group".to_owned(),
            stop: stop.clone(),
        };
        Self {
            log: log.clone(),
            restored,
            stop,
            thread: std::thread::spawn(move || service.run().unwrap()),
        }
    }

    /// Waits until so many records were read, and the second stage has their deltas.
    fn wait_until_read(&self, records: i64) {
        wait_for("the service", Duration::from_mins(1), || {
            let manifests = manifests(&self.log);
            let counts = manifests.iter().flat_map(|manifest| &manifest.dispositions);
            let rolled_up = (manifests.iter())
                .filter(|manifest| manifest.task == "rollup-0")
                .flat_map(|manifest| &manifest.positions)
                .map(|read| read.to)
                .max();
            counts.map(|count| count.count).sum::<i64>() == records
                && rolled_up == Some(self.log.ends("gpad.deltas", 0).unwrap().end)
        });
    }

    fn stop(self) -> BTreeMap<String, bool> {
        self.stop.request();
        self.thread.join().unwrap();
        let back = std::mem::take(&mut *self.restored.back.lock().unwrap());
        (back.into_iter())
            .map(|(task, (origin, _))| (task, origin == Origin::Snapshot))
            .collect()
    }
}

/// Every record of a topic: key and value.
fn records(log: &EmbeddedLog, topic: &str) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let partitions = log.partitions(&[topic]).unwrap()[0].unwrap();
    let spans: Vec<Span> = (0..partitions).map(Span::whole).collect();
    let mut records = Vec::new();
    log.scan(topic, &spans, &mut |message| {
        if let Some(message) = message {
            let value = message.value.map(<[u8]>::to_vec);
            records.push((message.key.unwrap_or_default().to_vec(), value));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    records
}

fn manifests(log: &EmbeddedLog) -> Vec<Manifest> {
    let read = |(_, value): (Vec<u8>, Option<Vec<u8>>)| {
        let (_, datum) = unframe(value.as_deref()).unwrap();
        Manifest::from_bytes(datum).unwrap()
    };
    records(log, LEDGER).into_iter().map(read).collect()
}

/// Keys and figures of every aggregate: what must be the same, however it came about.
fn figures(log: &EmbeddedLog) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut figures = BTreeMap::new();
    for aggregate in &plan().aggregates.aggregates {
        for (key, value) in records(log, &format!("gpad.aggregates.{}", aggregate.name)) {
            let (_, key) = unframe(Some(&key)).unwrap();
            if let Some(value) = value {
                let (_, datum) = unframe(Some(&value)).unwrap();
                let value = gpad_live::wire::output::AggregateValue::from_bytes(datum).unwrap();
                let mut bytes = Vec::new();
                gpad_live::wire::datum::Avro::write(&value.figures, &mut bytes);
                figures.insert(key.to_vec(), bytes);
            } else {
                figures.remove(key);
            }
        }
    }
    figures
}

/// First half of the input: every practice, slots in three states; `PRACTICES.len()` × 12 records.
fn first_half(feed: &mut Feed) -> i64 {
    for practice in PRACTICES {
        for slot in 0..12 {
            feed.appointment(practice, &slot.to_string(), slot % 3, 1, slot % 2 == 0);
        }
    }
    feed.flush();
    12 * PRACTICES.len() as i64
}

/// Second half: corrections of what the first half left, and something new.
fn second_half(feed: &mut Feed) -> i64 {
    for practice in PRACTICES {
        feed.appointment(practice, "1", 1, 300, false);
        for slot in 0..8 {
            feed.appointment(
                practice,
                &(2 * slot).to_string(),
                slot % 3,
                2,
                slot % 4 == 0,
            );
        }
    }
    feed.flush();
    9 * PRACTICES.len() as i64
}

fn expected() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let log = Arc::new(serve::with_topics(&plan().aggregates, EmbeddedLog::in_memory).unwrap());
    let mut feed = Feed::new(&*log, Schemas::new(None));
    feed.reference();
    let records = first_half(&mut feed) + second_half(&mut feed);
    let running = Running::start(&log, None);
    running.wait_until_read(records);
    assert_eq!(running.stop(), BTreeMap::new());
    figures(&log)
}

fn snapshots(directory: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(directory.join("group")) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == "snapshot"));
    paths.sort();
    paths
}

/// Sends a change of every practice, again and again, until something is so; answers how many records there are then.
fn changes_until(
    (feed, running, mut records): (&mut Feed, &Running, i64),
    what: &str,
    mut is_so: impl FnMut() -> bool,
) -> i64 {
    wait_for(what, Duration::from_mins(1), || {
        let version = records / PRACTICES.len() as i64 + 1;
        for practice in PRACTICES {
            feed.appointment(practice, "1", 1, version, version % 2 == 0);
        }
        feed.flush();
        records += PRACTICES.len() as i64;
        running.wait_until_read(records);
        is_so()
    });
    records
}

/// Half of the input, a snapshot of every task, something done to the files, a restart, the other half. Answers
/// which tasks were restored from their snapshots.
fn restarted(harm: impl FnOnce(&Path)) -> BTreeMap<String, bool> {
    restarted_after(|_, _, _, records| records, harm)
}

/// The same, with something that happens between the snapshots and the stop; it answers how many records there are then.
fn restarted_after(
    meanwhile: impl FnOnce(&mut Feed, &Running, &Path, i64) -> i64,
    harm: impl FnOnce(&Path),
) -> BTreeMap<String, bool> {
    let directory = tempfile::tempdir().unwrap();
    let group = directory.path().join("group");
    let log = Arc::new(serve::with_topics(&plan().aggregates, EmbeddedLog::in_memory).unwrap());
    let mut feed = Feed::new(&*log, Schemas::new(None));
    feed.reference();
    let records = first_half(&mut feed);
    let running = Running::start(&log, Some(directory.path()));
    running.wait_until_read(records);
    // A snapshot is used once a transaction has named it: records go on coming.
    let named = "snapshots that are named";
    let records = changes_until((&mut feed, &running, records), named, || {
        let named = manifests(&log);
        let named = named
            .iter()
            .filter(|manifest| !manifest.snapshot.0.is_empty());
        let tasks: std::collections::BTreeSet<_> = named.map(|manifest| &manifest.task).collect();
        tasks.len() == self::tasks(true).len()
    });
    let mut records = meanwhile(&mut feed, &running, &group, records);
    running.stop();
    harm(&group);
    records += second_half(&mut feed);
    let running = Running::start(&log, Some(directory.path()));
    running.wait_until_read(records);
    let restored = running.stop();
    assert_eq!(figures(&log), expected());
    restored
}

fn tasks(from_snapshot: bool) -> BTreeMap<String, bool> {
    // The practices lie in three of the four partitions.
    let tasks = ["0", "1", "3", "rollup-0"];
    tasks.map(|task| (task.to_owned(), from_snapshot)).into()
}

#[test]
fn a_restart_reads_the_snapshot_that_the_manifests_name() {
    assert_eq!(restarted(|_| ()), tasks(true));
}

#[test]
fn a_damaged_foreign_or_missing_snapshot_is_passed_over() {
    let damaged = restarted(|group| {
        for path in snapshots(group.parent().unwrap()) {
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    });
    assert_eq!(damaged, tasks(false));
    let cut = restarted(|group| {
        for path in snapshots(group.parent().unwrap()) {
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 5]).unwrap();
        }
    });
    assert_eq!(cut, tasks(false));
    let foreign = restarted(|group| {
        let paths = snapshots(group.parent().unwrap());
        let contents: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        for (at, path) in paths.iter().enumerate() {
            fs::write(path, &contents[(at + 1) % contents.len()]).unwrap();
        }
    });
    assert_eq!(foreign, tasks(false));
    let missing = restarted(|group| {
        // What a stop found in the making is still being removed.
        wait_for("an empty directory", Duration::from_secs(10), || {
            fs::remove_dir_all(group).is_ok()
        });
    });
    assert_eq!(missing, tasks(false));
}

/// The kernel's own errors: writing to the one fails with ENOSPC, to the other, where nothing is mapped, with EIO.
#[test]
fn a_disk_that_is_full_or_fails_in_the_middle_of_a_snapshot_leaves_the_one_before() {
    for device in ["/dev/full", "/proc/self/mem"] {
        let fails = |feed: &mut Feed, running: &Running, group: &Path, records: i64| {
            let planted: Vec<PathBuf> = tasks(true)
                .into_keys()
                .map(|task| group.join(format!("{task}.tmp")))
                .collect();
            let mut records = records;
            for path in &planted {
                // Not where a snapshot is being written just then.
                records = changes_until((feed, running, records), "room for a trap", || {
                    std::os::unix::fs::symlink(device, path).is_ok()
                });
            }
            // A file that could not be written is removed.
            let is_link = |path: &PathBuf| path.is_symlink();
            let records = changes_until((feed, running, records), "failed snapshots", || {
                !planted.iter().any(is_link)
            });
            let all = snapshots(group.parent().unwrap());
            assert!(all.len() >= planted.len(), "{device}: {all:?}");
            assert!(!all.iter().any(is_link), "{device}: {all:?}");
            records
        };
        assert_eq!(restarted_after(fails, |_| ()), tasks(true), "{device}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_costs_nothing_but_the_snapshots() {
    let log = Arc::new(serve::with_topics(&plan().aggregates, EmbeddedLog::in_memory).unwrap());
    let mut feed = Feed::new(&*log, Schemas::new(None));
    feed.reference();
    let first = first_half(&mut feed);
    let running = Running::start(&log, Some(Path::new("/dev/null/none")));
    running.wait_until_read(first);
    std::thread::sleep(Duration::from_millis(200));
    let all = first + second_half(&mut feed);
    running.wait_until_read(all);
    running.stop();
    assert_eq!(figures(&log), expected());
    let running = Running::start(&log, Some(Path::new("/dev/null/none")));
    wait_for("the tasks", Duration::from_mins(1), || {
        running.restored.back.lock().unwrap().len() == tasks(false).len()
    });
    assert_eq!(running.stop(), tasks(false));
}

/// Corrections until something of the changelog was given up; then more, after a restart if wanted.
fn swept(restarts: bool) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let log = Arc::new(serve::with_topics(&plan().aggregates, EmbeddedLog::in_memory).unwrap());
    let mut feed = Feed::new(&*log, Schemas::new(None));
    feed.reference();
    let mut running = Running::start(&log, None);
    let mut records = 0;
    for version in 1..=200 {
        for slot in 0..100 {
            let attended = (slot + version) % 2 == 0;
            feed.appointment(PRACTICES[0], &slot.to_string(), 0, version, attended);
        }
        feed.flush();
        records += 100;
    }
    running.wait_until_read(records);
    let begins = |task| log.ends(CHANGELOG, task).unwrap().first;
    assert!((0..4).any(|task| begins(task) > 0), "nothing was given up");
    if restarts {
        running.stop();
        running = Running::start(&log, None);
    }
    records += second_half(&mut feed);
    running.wait_until_read(records);
    running.stop();
    figures(&log)
}

#[test]
fn what_is_left_of_a_swept_changelog_is_the_whole_state() {
    assert_eq!(swept(true), swept(false));
}

/// Enough of them for the changelogs of the tasks that hold practices to be swept.
fn corrections(feed: &mut Feed) -> i64 {
    let mut records = 0;
    for version in 10..=130 {
        for practice in PRACTICES {
            for slot in 0..25 {
                let attended = (slot + version) % 2 == 0;
                feed.appointment(practice, &slot.to_string(), 0, version, attended);
                records += 1;
            }
        }
        feed.flush();
    }
    records
}

#[test]
fn a_task_that_was_followed_is_taken_over_warm() {
    let expected = {
        let log = Arc::new(serve::with_topics(&plan().aggregates, EmbeddedLog::in_memory).unwrap());
        let mut feed = Feed::new(&*log, Schemas::new(None));
        feed.reference();
        let records = first_half(&mut feed) + corrections(&mut feed) + second_half(&mut feed);
        let running = Running::start(&log, None);
        running.wait_until_read(records);
        running.stop();
        figures(&log)
    };
    let log = Arc::new(serve::with_topics(&plan().aggregates, EmbeddedLog::in_memory).unwrap());
    let mut feed = Feed::new(&*log, Schemas::new(None));
    feed.reference();
    let mut records = first_half(&mut feed);
    let owner = Running::start(&log, None);
    owner.wait_until_read(records);
    let heir = Running::start_with(&log, None, 10);
    // Of four tasks and the second stage, the first keeps three.
    let followed = || heir.restored.followed.lock().unwrap().clone();
    wait_for("tasks that are followed", Duration::from_mins(1), || {
        followed().len() == 3
    });
    // While it is followed it is swept: what the follower read first is given up behind it.
    records += corrections(&mut feed);
    owner.wait_until_read(records);
    let begins = |task| log.ends(CHANGELOG, task).unwrap().first;
    assert!((0..3).any(|task| begins(task) > 0), "nothing was given up");
    wait_for("caught up", Duration::from_mins(1), || {
        followed().values().all(|task| task.behind == Some(0))
    });
    owner.stop();
    records += second_half(&mut feed);
    heir.wait_until_read(records);
    assert_eq!(followed().len(), 0, "all is its own");
    let back = heir.restored.back.lock().unwrap().clone();
    heir.stop();
    for (task, (origin, read)) in back {
        if followed_first(&task) {
            // All of it had been committed, and read.
            assert_eq!((origin, read), (Origin::Standby, 0), "task {task}");
        } else {
            assert_eq!(origin, Origin::Changelog, "task {task}");
        }
    }
    assert_eq!(figures(&log), expected);
}

/// Whether the second instance was not given the task when it joined.
fn followed_first(task: &str) -> bool {
    ["0", "1", "2"].contains(&task)
}
