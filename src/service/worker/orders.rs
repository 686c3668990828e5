//! What a worker is ordered to do, and what it says of itself meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// What the supervisor wants of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Order {
    Work = 0,
    /// Commit what is open, and end.
    Finish = 1,
    /// End as you stand: another may hold the task.
    Drop = 2,
}

/// An order as it stands, shared with the worker, and whether that worker has something to finish.
#[derive(Debug, Default)]
pub struct Orders {
    order: AtomicU8,
    open: AtomicBool,
}

impl Orders {
    pub fn give(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::Release);
    }

    /// Whether records were read that are not committed. Who restores, or waits for a broker with nothing read, leaves
    /// nothing behind.
    pub fn has_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    pub(super) fn get(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Work,
            1 => Order::Finish,
            _ => Order::Drop,
        }
    }

    pub(in crate::service) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }
}
