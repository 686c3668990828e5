//! What time it is: the only place that reads the wall clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::threads;
use crate::config::ClockSetting;
use crate::domain::time::Timestamp;

/// The service's clock. Told to the core, never asked by it.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    Wall,
    Fixed(Timestamp),
    /// Simulated time: `start` when it was made, then `speed` times as fast as the wall.
    Scaled {
        start: Timestamp,
        made: Instant,
        speed: u32,
    },
}

impl Clock {
    #[must_use]
    pub fn new(setting: ClockSetting) -> Self {
        match setting {
            ClockSetting::Wall => Self::Wall,
            ClockSetting::Fixed(at) => Self::Fixed(at),
            ClockSetting::Scaled { start, speed } => Self::Scaled {
                start,
                made: monotonic(),
                speed,
            },
        }
    }

    #[must_use]
    pub fn now(self) -> Timestamp {
        match self {
            Self::Wall => wall(),
            Self::Fixed(at) => at,
            Self::Scaled { start, made, speed } => {
                let elapsed = i64::try_from(since(made).as_millis()).unwrap_or(i64::MAX);
                Timestamp(
                    start
                        .0
                        .saturating_add(elapsed.saturating_mul(i64::from(speed))),
                )
            }
        }
    }
}

/// For measuring and waiting, never for figures.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn monotonic() -> Instant {
    threads::seat().map_or_else(Instant::now, |seat| seat.monotonic())
}

/// How long ago that was. `Instant::elapsed` would ask the machine, inside a simulation too.
#[must_use]
pub fn since(instant: Instant) -> Duration {
    monotonic().saturating_duration_since(instant)
}

#[expect(clippy::disallowed_methods, reason = "this is the place")]
fn wall() -> Timestamp {
    if let Some(seat) = threads::seat() {
        return seat.wall();
    }
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_stands_still() {
        let clock = Clock::new(ClockSetting::Fixed(Timestamp(7)));
        assert_eq!((clock.now(), clock.now()), (Timestamp(7), Timestamp(7)));
    }

    #[test]
    fn a_scaled_clock_starts_where_it_is_told_to_and_runs_faster() {
        let start = Timestamp(1_000_000);
        let clock = Clock::Scaled {
            start,
            made: monotonic(),
            speed: 1_000_000,
        };
        std::thread::sleep(Duration::from_millis(5));
        let passed = clock.now().0 - start.0;
        assert!((5_000_000..600_000_000).contains(&passed), "{passed} ms");
    }

    #[test]
    fn the_wall_clock_is_in_this_century() {
        assert!(Clock::Wall.now() > Timestamp(1_700_000_000_000));
    }
}
