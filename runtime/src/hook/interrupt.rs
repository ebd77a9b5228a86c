//! Waits that a handler of a signal ends or interrupts, as it does those of a thread.
//!
//! A signal is a kernel thread's, and a fiber that waits is on none. So who knows that a handler has run (`abaca-transparent`'s hooks of
//! sigaction(2)) says for whom, and that fiber's wait is interrupted here. Nothing of this costs anything before [`arm`] is
//! called: before the process has a handler.
//!
//! A wait is in a list while it lasts. Who interrupts claims its waiter under the list's lock, as an event would, so the waiter is
//! still there; the wait then finds that it was interrupted.

#![expect(unsafe_code, reason = "waiters are claimed while their frames are in a list")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::{Slept, wake_at};
use crate::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use crate::cell::{Outcome, Waiter};
use crate::os::thread;
use crate::park;
use crate::queue::SpinLock;
use crate::scheduler;

/// What a handler does to calls that were interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Interrupted {
    /// No handler has run.
    Not = 0,
    /// Those that can be restarted go on (SA_RESTART).
    Restarts = 1,
    /// They end in EINTR.
    Ends = 2,
}

impl Interrupted {
    /// How a wait has ended that was interrupted.
    #[must_use]
    pub fn as_slept(self) -> Option<Slept> {
        match self {
            Self::Not => None,
            Self::Restarts => Some(Slept::Handled),
            Self::Ends => Some(Slept::Interrupted),
        }
    }

    fn of(state: u8) -> Self {
        match state {
            0 => Self::Not,
            1 => Self::Restarts,
            _ => Self::Ends,
        }
    }
}

/// What has happened to a wait that is under way.
#[derive(Debug)]
pub struct Interruption(AtomicU8);

impl Interruption {
    /// Whether the wait is to end.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst) != Interrupted::Not as u8
    }

    /// Waits for `waiter`, unless the wait was interrupted before it began.
    #[inline]
    pub(super) fn wait(&self, waiter: &Waiter, wait: impl FnOnce() -> Outcome) -> Outcome {
        if self.is_set() && waiter.claim(Outcome::Notified).is_some() { Outcome::Notified } else { wait() }
    }
}

/// How the caller waits.
#[derive(Clone, Copy)]
pub(super) enum By {
    Waiter(*const Waiter),
    /// It sleeps in the table of sleepers, where all are woken.
    Address(usize),
}

struct Wait {
    fiber: usize,
    is_main: bool,
    by: By,
    interruption: *const Interruption,
}

// SAFETY: what the addresses lead to is used under the list's lock only, where it is alive.
unsafe impl Send for Wait {}

/// By the order in which they began.
static WAITS: SpinLock<BTreeMap<u64, Wait>> = SpinLock::new(BTreeMap::new());

/// How many waits have been in the list.
static COUNT: AtomicU64 = AtomicU64::new(0);

static IS_ARMED: AtomicBool = AtomicBool::new(false);

/// Runs the handlers of the signals that were sent to the calling fiber.
static ATTEND: OnceLock<fn() -> Interrupted> = OnceLock::new();

/// From now on waits can be interrupted. `attend` runs, on the calling fiber, the handlers of the signals that others have sent to
/// it, and says what they do. The first call counts.
pub fn arm(attend: fn() -> Interrupted) {
    ATTEND.get_or_init(|| attend);
    IS_ARMED.store(true, Ordering::SeqCst);
}

/// Forgets all waits.
///
/// # Safety
///
/// The caller is the only thread: its process is a copy by fork(2), in which the waits are not.
pub(super) unsafe fn begin_anew() {
    // SAFETY: the caller's promise.
    unsafe { WAITS.begin_anew(BTreeMap::new()) };
}

fn attend() -> Interrupted {
    ATTEND.get().map_or(Interrupted::Not, |attend| attend())
}

/// The calling fiber, as [`interrupt_fiber`] knows it; 0 on a plain thread.
#[must_use]
pub fn fiber_key() -> usize {
    scheduler::current_fiber().map_or(0, |fiber| fiber.addr().get())
}

/// Calls `wait`, in which the caller sleeps at an address of the table of sleepers, and says whether it was interrupted. `wait` looks
/// at the interruption before each sleep.
#[inline]
pub fn interruptible_at<R>(address: usize, wait: impl FnOnce(&Interruption) -> R) -> (R, Interrupted) {
    interruptible(By::Address(address), wait)
}

/// Whether the process has a handler.
#[inline(always)]
pub(super) fn can_be_interrupted() -> bool {
    IS_ARMED.load(Ordering::Relaxed)
}

/// Calls `wait`, and says whether it was interrupted.
#[inline]
pub(super) fn interruptible<R>(by: By, wait: impl FnOnce(&Interruption) -> R) -> (R, Interrupted) {
    let interruption = Interruption(AtomicU8::new(0));
    if !can_be_interrupted() {
        return (wait(&interruption), Interrupted::Not);
    }
    let result = listed(by, &interruption, wait);
    // The handlers run where the call is: on this fiber.
    let state = interruption.0.load(Ordering::SeqCst);
    (result, Interrupted::of(state).max(attend()))
}

/// Calls `wait` while it is in the list.
#[cold]
fn listed<R>(by: By, interruption: &Interruption, wait: impl FnOnce(&Interruption) -> R) -> R {
    struct Listed(u64);
    impl Drop for Listed {
        fn drop(&mut self) {
            WAITS.lock().remove(&self.0);
        }
    }
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let wait_of_caller = Wait { fiber: fiber_key(), is_main: is_main(), by, interruption };
    WAITS.lock().insert(number, wait_of_caller);
    let _listed = Listed(number);
    // Who sends a signal notes it before it looks at the list.
    interruption.0.fetch_max(attend() as u8, Ordering::SeqCst);
    wait(interruption)
}

/// Whether the calling fiber is a runtime's main one.
fn is_main() -> bool {
    thread_local! {
        static IS_MAIN: Cell<Option<bool>> = const { Cell::new(None) };
    }
    IS_MAIN.get().unwrap_or_else(|| {
        let is_main = crate::fiber::current().name() == Some(crate::runtime::MAIN);
        IS_MAIN.set(Some(is_main));
        is_main
    })
}

/// Interrupts the wait of a fiber, if it is in one.
pub fn interrupt_fiber(fiber: usize, how: Interrupted) {
    interrupt(how, |waits| waits.values().find(|wait| wait.fiber == fiber));
}

/// Interrupts the wait of the fiber for which a handler has run that is no particular thread's: the main fiber's; if that does not wait,
/// the one that has waited the longest.
pub fn interrupt_one(how: Interrupted) {
    interrupt(how, |waits| waits.values().find(|wait| wait.is_main).or(waits.values().next()));
}

fn interrupt(how: Interrupted, choose: impl FnOnce(&BTreeMap<u64, Wait>) -> Option<&Wait>) {
    let waits = WAITS.lock();
    let Some(&Wait { by, interruption, .. }) = choose(&waits) else { return };
    // SAFETY: a wait is taken out of the list before its frame ends, which takes the lock.
    unsafe { &*interruption }.0.fetch_max(how as u8, Ordering::SeqCst);
    match by {
        By::Waiter(waiter) => {
            // SAFETY: as above.
            let wakeup = unsafe { &*waiter }.claim(Outcome::Notified);
            drop(waits);
            wakeup.into_iter().for_each(park::wake);
        }
        By::Address(address) => {
            drop(waits);
            wake_at(address, u32::MAX, usize::MAX);
        }
    }
}

/// Whether a handler that has just run on the calling thread has run for the fibers: the thread waits for the main fiber, or is a worker's
/// that runs none. May be called in a handler.
#[must_use]
pub fn handles_for_fibers() -> bool {
    thread::waits_for_main()
        || (scheduler::current_worker().is_some() && scheduler::current_fiber().is_none())
}
