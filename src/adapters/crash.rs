//! Death and sleep on demand at named points, for the proof that nothing is lost by them; absent from release builds.
//!
//! `GPADLIVE_CRASH_AT=<point>:<nth>` ends the process by SIGKILL when it passes the point for the nth time (from 1): the
//! thread that is there goes no further. `<point>:<nth>:<delay>` lets it go on and kills `delay` microseconds later,
//! which reaches into the middle of a call. `GPADLIVE_STOP_AT` does the same with SIGSTOP, which makes a zombie of it.
//! See docs/decisions/0012.

/// Declares the points: one line each.
macro_rules! points {
    ($($(#[$about:meta])* $point:ident = $label:literal,)*) => {
        /// A place where a process may be told to die.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[$about])* $point,)*
        }

        impl Point {
            pub const ALL: &'static [Self] = &[$(Self::$point),*];

            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$point => $label,)*
                }
            }
        }
    };
}

points! {
    /// The transaction has begun and is empty.
    Begun = "begun",
    /// Everything is handed to the client; some of it may be stored.
    Produced = "produced",
    /// Positions and note are in the transaction, all records are stored.
    OffsetsSent = "offsets-sent",
    /// The commit is about to be asked for; with a delay: it is under way.
    Committing = "committing",
    /// The broker has committed, the task does not know it yet.
    Committed = "committed",
    /// A part of a snapshot is written.
    Snapshot = "snapshot",
    /// A part of the state is about to be read back.
    Restoring = "restoring",
    /// One record more was read again for `readmit`.
    Readmitting = "readmitting",
}

impl Point {
    /// Those that an instance passes without being asked for anything.
    pub const UNASKED: &'static [Self] = &[
        Self::Begun,
        Self::Produced,
        Self::OffsetsSent,
        Self::Committing,
        Self::Committed,
        Self::Snapshot,
        Self::Restoring,
    ];
}

/// Passes a point; does not return where the process is to die here.
#[cfg(debug_assertions)]
pub fn pass(point: Point) {
    super::threads::pass();
    armed::pass(point);
}

/// Passes a point: nothing, in this build.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn pass(_: Point) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::Point;

    /// Where, at which passage, how long after it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Place {
        point: Point,
        nth: u32,
        delay: Option<Duration>,
    }

    /// A signal that this process sends itself at a place.
    struct Armed {
        signal: &'static str,
        place: Option<Place>,
        passed: AtomicU32,
    }

    static ARMED: LazyLock<[Armed; 2]> = LazyLock::new(|| {
        [
            ("GPADLIVE_CRASH_AT", "-KILL"),
            ("GPADLIVE_STOP_AT", "-STOP"),
        ]
        .map(|(variable, signal)| {
            let place = std::env::var(variable).ok().map(|text| {
                parse(&text).unwrap_or_else(|| {
                    panic!("{variable}={text}: expected point:nth or point:nth:microseconds")
                })
            });
            Armed {
                signal,
                place,
                passed: AtomicU32::new(0),
            }
        })
    });

    fn parse(text: &str) -> Option<Place> {
        let mut parts = text.split(':');
        let label = parts.next()?;
        let point = *Point::ALL.iter().find(|point| point.label() == label)?;
        let nth = parts.next()?.parse().ok().filter(|nth| *nth > 0)?;
        let delay = match parts.next() {
            None => None,
            Some(micros) => Some(Duration::from_micros(micros.parse().ok()?)),
        };
        parts
            .next()
            .is_none()
            .then_some(Place { point, nth, delay })
    }

    pub fn pass(point: Point) {
        for Armed {
            signal,
            place,
            passed,
        } in &*ARMED
        {
            let Some(place) = place.filter(|place| place.point == point) else {
                continue;
            };
            if passed.fetch_add(1, Ordering::Relaxed) + 1 != place.nth {
                continue;
            }
            match place.delay {
                None => send(signal),
                Some(delay) => drop(std::thread::spawn(move || {
                    std::thread::sleep(delay);
                    send(signal);
                })),
            }
        }
    }

    /// The signal was sent when `kill` has ended; it is there once some thread has taken it, which on a busy machine may be later.
    const ARRIVAL: Duration = Duration::from_millis(100);

    /// A real signal from outside: a killed process runs no destructor, flushes nothing and tells nobody. Returns when
    /// it has arrived: to the dead never, to the stopped when they are continued.
    fn send(signal: &str) {
        let pid = std::process::id().to_string();
        if std::process::Command::new("kill")
            .args([signal, &pid])
            .status()
            .is_err()
        {
            std::process::abort();
        }
        std::thread::sleep(ARRIVAL);
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_armed_by_its_label_and_number() {
            for point in Point::ALL {
                let parsed = parse(&format!("{}:7", point.label())).unwrap();
                assert_eq!(
                    parsed,
                    Place {
                        point: *point,
                        nth: 7,
                        delay: None
                    }
                );
            }
            let delayed = parse("committing:1:250").unwrap();
            assert_eq!(delayed.delay, Some(Duration::from_micros(250)));
            for wrong in [
                "",
                "begun",
                "begun:0",
                "begun:x",
                "nowhere:1",
                "begun:1:x",
                "begun:1:1:1",
            ] {
                assert_eq!(parse(wrong), None, "{wrong}");
            }
        }
    }
}
