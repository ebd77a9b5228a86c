//! Waits that a handler of a signal ends or interrupts, as it does those of a thread.
//!
//! A signal is a kernel thread's, and a fiber that waits is on none. So who knows that a handler has run (`abaca-transparent`'s hooks of
//! sigaction(2)) says for whom, and that fiber's wait is interrupted here. Nothing of this costs anything before [`arm`] is
//! called: before the process has a handler. `park/interrupts.rs` has the protocol.
//!
//! A handler need not return: it may jump to a frame of the fiber's. So none runs while the runtime has pointers to frames of the
//! caller's. A wait only takes what was sent to its fiber, and ends; when it has taken itself out of all lists, the handlers run
//! ([`Unattended`]).

#![expect(unsafe_code, reason = "forgets the waits of other threads")]

use std::cell::Cell;
use std::sync::OnceLock;

use super::{Slept, wake_at};
use crate::atomic::{AtomicBool, Ordering};
use crate::cell::{Outcome, Waiter};
use crate::os::thread;
pub(super) use crate::park::interrupts::By;
pub use crate::park::interrupts::{Interrupted, Interruption};
use crate::park::interrupts::{Waits, Who};
pub use crate::park::notes::Notes;
use crate::scheduler;

impl Interrupted {
    /// How a wait has ended that was interrupted; `None` if no handler was found for it.
    #[must_use]
    pub fn as_slept(self) -> Option<Slept> {
        match self {
            Self::Not | Self::Looks => None,
            Self::Restarts => Some(Slept::Handled),
            Self::Ends => Some(Slept::Interrupted),
        }
    }
}

static WAITS: Waits = Waits::new();

static IS_ARMED: AtomicBool = AtomicBool::new(false);

/// See [`arm`].
static CALLS: OnceLock<Calls> = OnceLock::new();

/// What knows of signals.
#[derive(Debug)]
pub struct Calls {
    /// Takes, for the calling fiber, the signals that others have sent to it, and says what their handlers do.
    pub take: fn() -> Interrupted,
    /// Runs, on the calling fiber, the handlers of what it has taken, and of what has come since, and says what they do. They may not return: the
    /// runtime has no pointers to frames of the caller's.
    pub attend: fn() -> Interrupted,
    /// The signals that do not interrupt the calling fiber.
    pub blocked: fn() -> u64,
    /// Whether something was sent to the calling fiber that does.
    pub is_sent: fn() -> bool,
}

/// From now on waits can be interrupted. The first call counts.
pub fn arm(calls: Calls) {
    CALLS.get_or_init(|| calls);
    IS_ARMED.store(true, Ordering::SeqCst);
}

/// What a wait has taken that is over, and whose handlers have not run.
#[derive(Debug)]
#[must_use = "the handlers of what was taken run in `attend`"]
pub struct Unattended(Interrupted);

impl Unattended {
    /// Of a wait that nothing has interrupted.
    pub(super) const NONE: Self = Self(Interrupted::Not);

    /// Whether the wait was interrupted: if not, it has taken nothing.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.0 != Interrupted::Not
    }

    /// Runs the handlers, of what has come since too, and says what all of them do; [`Interrupted::Looks`] if there were none: then the call goes
    /// on. They may not return: no list has a pointer to a frame of the caller's, and the caller has nothing that must be dropped.
    #[inline]
    pub fn attend(self) -> Interrupted {
        if self.is_interrupted() { self.0.max(attend()) } else { Interrupted::Not }
    }
}

/// Forgets all waits.
///
/// # Safety
///
/// The caller is the only thread: its process is a copy by fork(2), in which the waits are not.
pub(super) unsafe fn begin_anew() {
    // SAFETY: the caller's promise.
    unsafe { WAITS.begin_anew() };
}

fn take() -> Interrupted {
    CALLS.get().map_or(Interrupted::Not, |calls| (calls.take)())
}

fn attend() -> Interrupted {
    CALLS.get().map_or(Interrupted::Not, |calls| (calls.attend)())
}

/// The calling fiber, as [`interrupt_fiber`] knows it; 0 on a plain thread.
#[must_use]
pub fn fiber_key() -> usize {
    scheduler::current_fiber().map_or(0, |fiber| fiber.addr().get())
}

/// Calls `wait`, in which the caller sleeps at an address of the table of sleepers, and says whether it was interrupted. `wait` looks
/// at the interruption before each sleep.
#[inline]
pub fn interruptible_at<R>(address: usize, wait: impl FnOnce(&Interruption) -> R) -> (R, Unattended) {
    interruptible(By::Address(address), wait)
}

/// Calls `wait`, which waits for the waiter, in a call that no handler ends: what is sent to the caller alone ends the wait early, as if it was
/// cancelled. Returns also whether there is something for [`handle`], which the caller calls when the waiter is in no list.
#[inline(always)]
pub(super) fn wait_or_leave(waiter: &Waiter, wait: impl FnOnce() -> Outcome) -> (Outcome, bool) {
    if can_be_interrupted() { wait_listed_or_leave(waiter, wait) } else { (wait(), false) }
}

#[cold]
fn wait_listed_or_leave(waiter: &Waiter, wait: impl FnOnce() -> Outcome) -> (Outcome, bool) {
    let Some(calls) = CALLS.get() else { return (wait(), false) };
    let who = Who { fiber: fiber_key(), is_main: is_main(), goes_on: true, blocked: (calls.blocked)() };
    WAITS.listed_or_left(who, waiter, calls.is_sent, wait)
}

/// Runs the handlers of what was sent to the caller, after [`wait_or_leave`].
pub(super) fn handle() -> Slept {
    attend().as_slept().unwrap_or(Slept::Handled)
}

/// Whether the process has a handler.
#[inline(always)]
pub(super) fn can_be_interrupted() -> bool {
    IS_ARMED.load(Ordering::Relaxed)
}

/// Whether something was sent to the calling fiber that it does not block.
pub(super) fn is_sent() -> bool {
    can_be_interrupted() && CALLS.get().is_some_and(|calls| (calls.is_sent)())
}

/// Calls `wait`, and says whether it was interrupted. The handlers run where the call is, on this fiber, when the caller says so.
#[inline]
pub(super) fn interruptible<R>(by: By, wait: impl FnOnce(&Interruption) -> R) -> (R, Unattended) {
    let interruption = Interruption::new();
    if !can_be_interrupted() {
        return (wait(&interruption), Unattended::NONE);
    }
    let result = listed(by, &interruption, wait);
    (result, Unattended(interruption.state()))
}

#[cold]
fn listed<R>(by: By, interruption: &Interruption, wait: impl FnOnce(&Interruption) -> R) -> R {
    let blocked = CALLS.get().map_or(0, |calls| (calls.blocked)());
    let who = Who { fiber: fiber_key(), is_main: is_main(), goes_on: false, blocked };
    WAITS.listed(who, by, interruption, take, wait)
}

/// Whether the calling fiber is a runtime's main one.
#[must_use]
pub fn is_main() -> bool {
    thread_local! {
        static IS_MAIN: Cell<Option<bool>> = const { Cell::new(None) };
    }
    IS_MAIN.get().unwrap_or_else(|| {
        let is_main = crate::fiber::current().name() == Some(crate::runtime::MAIN);
        IS_MAIN.set(Some(is_main));
        is_main
    })
}

fn wake_all_at(address: usize) {
    wake_at(address, u32::MAX, usize::MAX);
}

/// Interrupts the wait of a fiber for this signal, a bit, if it is in one and does not block it, and `is_pending` still: a signal that the fiber
/// has taken by itself meanwhile is nothing to its next wait. Returns whether it was so.
pub fn interrupt_fiber(fiber: usize, signal: u64, how: Interrupted, is_pending: impl Fn() -> bool) -> bool {
    let is_it = |who: &Who| who.fiber == fiber && who.blocked & signal == 0 && is_pending();
    WAITS.interrupt(how, is_it, |_| false, wake_all_at)
}

/// Interrupts the wait of the fiber for which a signal, a bit, is that is no particular thread's: the main fiber's; if that does not wait, or
/// blocks it, the one that has waited the longest of those that do not.
pub fn interrupt_one(signal: u64, how: Interrupted) {
    let might_be = |who: &Who| who.blocked & signal == 0 && !who.goes_on;
    WAITS.interrupt(how, |who| who.is_main && might_be(who), might_be, wake_all_at);
}

/// Has a fiber look that waits and takes a signal, a bit, which waits for the process: the one of [`interrupt_one`], or else one of those that wait for
/// a lock, or in another call that no handler ends. `has_effect`: if not, these need not look.
pub fn interrupt_taker(signal: u64, has_effect: bool) {
    let might_be = |who: &Who| who.blocked & signal == 0;
    let is_first = |who: &Who| who.is_main && might_be(who) && !who.goes_on;
    let is_second = |who: &Who| might_be(who) && !who.goes_on;
    if !WAITS.interrupt(Interrupted::Looks, is_first, is_second, wake_all_at) && has_effect {
        WAITS.interrupt(Interrupted::Looks, might_be, |_| false, wake_all_at);
    }
}

/// Whether a handler that has just run on the calling thread has run for the fibers: the thread waits for the main fiber, or is one of a
/// runtime's that runs none. The program knows of none of these. May be called in a handler.
#[must_use]
pub fn handles_for_fibers() -> bool {
    thread::serves_fibers() && scheduler::current_fiber().is_none()
}

/// Whether a handler that has just begun on the calling thread has interrupted the runtime: in a hook of a fiber's, or where it runs none. May be
/// called in a handler.
#[must_use]
pub fn has_interrupted_runtime() -> bool {
    // A fiber's storage says of no thread that it serves fibers.
    thread::serves_fibers() || super::is_fibers_storage() && !scheduler::is_in_own_code()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

    use super::*;
    use crate::fiber;
    use crate::hook::sleep_until;
    use crate::runtime::Runtime;

    /// The signals that were sent to each of two fibers, which know themselves by a bit.
    static SENT: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        static BIT: Cell<u64> = const { Cell::new(0) };
    }

    fn take() -> Interrupted {
        let bit = BIT.get();
        if bit != 0 && SENT.fetch_and(!bit, SeqCst) & bit != 0 {
            Interrupted::Restarts
        } else {
            Interrupted::Not
        }
    }

    /// A stress test; `park/interrupts.rs` has the model.
    #[test]
    fn no_signal_is_lost_however_the_wait_and_the_sender_meet() {
        const ROUNDS: usize = 2_000;
        // Not here, if this machine or build has no storage for fibers.
        let Ok(runtime) = Runtime::builder().workers(2).own_tls(true).build() else { return };
        arm(Calls { take, attend: take, blocked: || 0, is_sent: || SENT.load(SeqCst) & BIT.get() != 0 });
        runtime.run(|| {
            let fibers: Vec<_> = [1_u64, 2]
                .map(|bit| {
                    let state = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
                    let of_fiber = state.clone();
                    let fiber = fiber::spawn(move || {
                        BIT.set(bit);
                        of_fiber.0.store(fiber_key(), SeqCst);
                        for _ in 0..ROUNDS {
                            assert_eq!(sleep_until(None), Slept::Handled);
                            of_fiber.1.fetch_add(1, SeqCst);
                        }
                    });
                    (bit, fiber, state)
                })
                .into();
            let senders: Vec<_> = fibers
                .iter()
                .map(|(bit, _, state)| {
                    let (bit, state) = (*bit, state.clone());
                    std::thread::spawn(move || {
                        while state.0.load(SeqCst) == 0 {
                            std::thread::yield_now();
                        }
                        for round in 0..ROUNDS {
                            SENT.fetch_or(bit, SeqCst);
                            interrupt_fiber(state.0.load(SeqCst), bit, Interrupted::Restarts, || true);
                            while state.1.load(SeqCst) == round {
                                std::thread::yield_now();
                            }
                        }
                    })
                })
                .collect();
            fibers.into_iter().for_each(|(_, fiber, _)| fiber.join().unwrap());
            senders.into_iter().for_each(|sender| sender.join().unwrap());
        });
    }
}
