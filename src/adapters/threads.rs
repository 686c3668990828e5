//! Threads, their sleep and their letter boxes: the operating system's, or a simulation's that decides who runs next.
//
// The service starts, waits and sleeps through here and nowhere else (tests/architecture.rs). Outside a simulation each
// call is the standard library's. In one, a thread runs only while it holds the simulation's single token, gives it up
// whenever it comes here or to the simulated log, and is told a time that moves only while everyone waits: then one seed
// is one course of events. See docs/decisions/0017.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvError, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::domain::time::Timestamp;

/// How often a simulated thread looks into its letter box.
const LOOK: Duration = Duration::from_millis(20);

/// A thread's place in a simulation.
pub trait Seat: Send + Sync {
    /// Simulated time, for measuring and waiting.
    fn monotonic(&self) -> Instant;
    /// What the wall clock of its process shows.
    fn wall(&self) -> Timestamp;
    /// Lets others run for so long. Does not return where its process is to die.
    fn sleep(&self, time: Duration);
    /// A seat for a thread that it starts.
    fn spawn(&self, name: &str) -> Arc<dyn Seat>;
    /// First call of the seat's own thread: returns when it is its turn.
    fn begin(&self);
    /// Last call of the seat's own thread.
    fn end(&self);
    fn has_ended(&self) -> bool;
}

thread_local! {
    static SEAT: RefCell<Option<Arc<dyn Seat>>> = const { RefCell::new(None) };
}

/// This thread's seat; `None` outside simulations, and while a thread's locals are taken down.
pub(super) fn seat() -> Option<Arc<dyn Seat>> {
    SEAT.try_with(|seat| seat.borrow().clone()).ok().flatten()
}

/// Does a seat's work on this thread, from its first turn to its end.
pub fn sit<T>(seat: Arc<dyn Seat>, work: impl FnOnce() -> T) -> T {
    /// The token goes on whichever way the thread ends.
    struct Sitting(Arc<dyn Seat>);
    impl Drop for Sitting {
        fn drop(&mut self) {
            SEAT.with(|here| here.borrow_mut().take());
            self.0.end();
        }
    }
    SEAT.with(|here| *here.borrow_mut() = Some(seat.clone()));
    let sitting = Sitting(seat);
    sitting.0.begin();
    work()
}

/// Sleeps.
pub fn sleep(time: Duration) {
    match seat() {
        Some(seat) => seat.sleep(time),
        None => std::thread::sleep(time),
    }
}

/// A thread that was started here.
pub struct Thread<T> {
    handle: JoinHandle<T>,
    seat: Option<Arc<dyn Seat>>,
}

/// Starts a thread.
///
/// # Errors
/// When the system has none left.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Thread<T>> {
    let seat = seat().map(|seat| seat.spawn(name));
    let builder = std::thread::Builder::new().name(name.to_owned());
    let handle = match seat.clone() {
        Some(seat) => builder.spawn(move || sit(seat, work)),
        None => builder.spawn(work),
    }?;
    Ok(Thread { handle, seat })
}

impl<T> Thread<T> {
    /// Whether [`Self::join`] would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.seat {
            Some(seat) => seat.has_ended(),
            None => self.handle.is_finished(),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What it panicked with.
    pub fn join(self) -> std::thread::Result<T> {
        while let (Some(_), false) = (&self.seat, self.is_finished()) {
            sleep(LOOK);
        }
        self.handle.join()
    }
}

/// Waits for the next letter.
///
/// # Errors
/// When the sender is gone and nothing is left.
pub fn receive<T>(letters: &Receiver<T>) -> Result<T, RecvError> {
    let Some(seat) = seat() else {
        return letters.recv();
    };
    loop {
        match letters.try_recv() {
            Ok(letter) => return Ok(letter),
            Err(TryRecvError::Disconnected) => return Err(RecvError),
            Err(TryRecvError::Empty) => seat.sleep(LOOK),
        }
    }
}

/// Lets a simulation decide whether a process dies here: at a named point of [`super::crash`].
#[cfg(debug_assertions)]
pub(super) fn pass() {
    if let Some(seat) = seat() {
        seat.sleep(Duration::ZERO);
    }
}
