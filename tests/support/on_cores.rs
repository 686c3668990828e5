//! Time on cores, as Linux counts it: what else runs on the machine is left out.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every binary uses its own part, and fails as a test does"
)]

use std::fs;

/// Seconds that this thread has been on a core.
pub fn thread() -> f64 {
    let schedule = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = schedule.split(' ').next();
    nanoseconds.unwrap().parse::<u64>().unwrap() as f64 / 1e9
}

/// Seconds that all threads of a process have been on cores, in hundredths.
pub fn process(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    // Behind the name: state, then ten fields, then user and system time in hundredths.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Seconds that the machine's cores together have had nothing to do, in hundredths.
pub fn idle() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    // "cpu", then in hundredths: user, nice, system, idle, waiting for a disk.
    let fields: Vec<&str> = stat.lines().next().unwrap().split_whitespace().collect();
    (fields[4].parse::<f64>().unwrap() + fields[5].parse::<f64>().unwrap()) / 100.0
}
