//! A standby on a real Kafka: what it has followed it takes over warm, and nothing is lost or repeated.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::input::Input;
use support::instance::Instance;
use support::proof::Proof;
use support::{Kafka, free_port, wait_for};

/// Lines of a log with this message: their fields.
fn told(instance: &Instance, message: &str) -> Vec<serde_json::Value> {
    let log = instance.log();
    let lines = log.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["fields"].clone()).filter(|fields| fields["message"] == message)
    });
    lines.collect()
}

fn held(instance: &Instance) -> Vec<String> {
    let all = told(instance, "tasks assigned");
    let last = all.last().map(|fields| fields["tasks"].clone());
    let last = last.and_then(|tasks| tasks.as_str().map(str::to_owned));
    let tasks = last.unwrap_or_default();
    tasks.split_whitespace().map(str::to_owned).collect()
}

fn metric(url: &str, name: &str) -> Option<usize> {
    let text = ureq::get(url)
        .call()
        .ok()?
        .body_mut()
        .read_to_string()
        .ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name} ")))?;
    Some(line.rsplit_once(' ')?.1.parse::<f64>().ok()? as usize)
}

#[test]
fn a_standby_takes_over_warm_from_an_instance_that_is_killed() {
    let _alone = support::alone();
    let kafka = Kafka::start();
    let proof = Proof::prepare(&kafka.brokers(), Input::draw(6_000, 5), 4, 1);
    let session = ("GPAD_KAFKA_SESSION_SECONDS", "11");
    let owner = Instance::start(&proof.with(&[session]));
    proof.flow.release(2_000);
    proof.wait_until_accounted(2_000, Duration::from_mins(1));
    let address = format!("127.0.0.1:{}", free_port());
    let url = format!("http://{address}");
    // No snapshots of its own: what is warm is the standby alone.
    let heir = Instance::start(&proof.with(&[
        session,
        ("GPAD_STATE_STANDBY", "10"),
        ("GPAD_STATE_DIRECTORY", "off"),
        ("GPAD_HTTP_ADDRESS", &address),
    ]));
    let metrics = format!("{url}/metrics");
    // Four tasks and the second stage: two or three each.
    wait_for("standbys", Duration::from_mins(1), || {
        metric(&metrics, "gpad_standby_tasks").is_some_and(|tasks| tasks + held(&heir).len() == 5)
    });
    let own = held(&heir);
    assert!((1..=4).contains(&own.len()), "{own:?}");
    proof.flow.release(2_000);
    proof.wait_until_accounted(4_000, Duration::from_mins(1));
    wait_for(
        "standbys that have caught up",
        Duration::from_secs(30),
        || {
            metric(&metrics, "gpad_standby_lag_records") == Some(0)
                && metric(&metrics, "gpad_standby_entries").is_some_and(|entries| entries > 0)
        },
    );
    let ready = |url: &str| ureq::get(format!("{url}/readyz")).call().is_ok();
    assert!(ready(&url), "a standby does not keep it from being ready");
    proof.flow.release_steadily(100);
    let began = Instant::now();
    owner.kill();
    wait_for("a takeover", Duration::from_mins(1), || {
        held(&heir).len() == 5
    });
    proof.finish(Duration::from_mins(2));
    let mut warm = 0;
    for restored in told(&heir, "restored") {
        let task = restored["task"].as_str().unwrap().to_owned();
        let (read, entries) = (restored["read"].as_u64(), restored["entries"].as_u64());
        if own.contains(&task) {
            continue;
        }
        assert_eq!(restored["origin"], "standby", "{restored}");
        // What was committed after the standby was asked last, and no more.
        assert!(read.unwrap() * 2 < entries.unwrap(), "{restored}");
        warm += 1;
    }
    assert_eq!(warm, 5 - own.len(), "{}", heir.log());
    assert_eq!(metric(&metrics, "gpad_standby_tasks"), Some(0));
    proof.compare();
    proof.report(
        "A standby takes over",
        "cargo test --test standby",
        &BTreeMap::from([(
            "taken over".to_owned(),
            format!(
                "{warm} tasks, {:.1} s after the kill, a session of 11 s among them",
                began.elapsed().as_secs_f64()
            ),
        )]),
    );
    let (status, _, log) = heir.stop();
    assert!(status.success(), "{status}\n{log}");
}
