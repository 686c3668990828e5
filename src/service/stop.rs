//! The request to stop, and waiting that it cuts short.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::adapters::clock::{monotonic, since};
use crate::adapters::threads;

/// How often who waits looks up: a stop has seconds.
const LOOK: Duration = Duration::from_millis(100);

/// Shared by everything that must end when the service ends.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Waits, not beyond the request; whether it was made.
    #[must_use]
    pub fn wait(&self, at_most: Duration) -> bool {
        let began = monotonic();
        loop {
            let left = at_most.saturating_sub(since(began));
            if self.is_requested() || left.is_zero() {
                return self.is_requested();
            }
            threads::sleep(left.min(LOOK));
        }
    }
}
