//! The relay: a thread that acts on what handlers of signals have noted. A handler runs in the middle of any code, so it only notes, and rings.

#![expect(unsafe_code, reason = "system calls of a thread that no fiber waits for")]

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use abaca::hook::{self, AtFork, Calls, Notes};

use super::attending::{attend, take};
use super::create::ALIVE;
use super::defaults::does_nothing;
use super::frames::is_in_handler;
use super::handlers::{SIGNALS, effect, has_handler};
use super::{listening, masks, waiting};
use crate::calls::kick::set_mask;
use crate::enter::is_installed;
use crate::kernel::kernel;

/// The signals whose handlers have run since the relay looked.
static HANDLED: Notes = Notes::new();

/// What the waits of fibers ask.
const CALLS: Calls =
    Calls { take, attend, blocked: masks::not_interrupting, is_sent: waiting::has_unblocked };

/// How long the relay leaves the kernel to make room for a signal.
const PAUSE: Duration = Duration::from_millis(1);

/// Whether the relay was started.
static HAS_RELAY: AtomicBool = AtomicBool::new(false);

/// How often the relay was rung for. It is a futex, where the relay sleeps, and no eventfd: a program may close all descriptors that it does not
/// know, and have files of its own under their numbers.
static BELL: AtomicU32 = AtomicU32::new(0);

/// Whether the relay was started.
pub(super) fn has_started() -> bool {
    HAS_RELAY.load(Ordering::SeqCst)
}

/// Notes that the handler of this signal has run, in it. Before the relay is started nobody waits: the first to wait starts it.
pub(super) fn note_handled(signal: usize) {
    if has_started() {
        HANDLED.note(masks::bit(signal), ring);
    }
}

/// Wakes the relay. May be called in a handler.
pub(super) fn ring() {
    // SeqCst, as in `sleep_since`: the relay sees the ring, or sleeps by then.
    BELL.fetch_add(1, Ordering::SeqCst);
    let wake = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel uses the address of a static.
    unsafe { kernel!(libc::SYS_futex, BELL.as_ptr(), wake, 1) };
}

/// Sleeps until somebody has rung since there were so many rings. Returns how many there are now.
fn sleep_since(rings: u32) -> u32 {
    let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    loop {
        let now = BELL.load(Ordering::SeqCst);
        if now != rings {
            return now;
        }
        // SAFETY: as in `ring`. The kernel looks at the number again, and a wait that ends for nothing is made again.
        unsafe { kernel!(libc::SYS_futex, BELL.as_ptr(), wait, rings, 0) };
    }
}

/// Addresses of semaphores that handlers have posted while somebody slept there.
static POSTED: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

/// Whether the caller is in a handler: then it may have interrupted the code that would wake somebody. The relay wakes who sleeps at
/// `address`.
pub(crate) fn wakes_later(address: usize) -> bool {
    if !is_in_handler() || !has_started() {
        return false;
    }
    // As many as are there at once are few; the same address need be there once.
    let is_noted = POSTED.iter().any(|slot| {
        slot.compare_exchange(0, address, Ordering::SeqCst, Ordering::SeqCst)
            .map_or_else(|there| there == address, |_| true)
    });
    ring();
    is_noted
}

/// Starts the thread that acts on what handlers have noted, unless it runs. If there is no thread to be had, the next wait tries again.
pub(crate) fn start_relay() {
    static WATCH: AtFork = AtFork::in_each_copy(lose_relay);
    if HAS_RELAY.swap(true, Ordering::SeqCst) {
        return;
    }
    WATCH.set_up();
    hook::arm(CALLS);
    // Where std finds no memory, it ends the process.
    let start = || std::thread::Builder::new().name("abaca-handlers".into()).spawn(relay);
    let started = hook::kept_for_thread().is_some() && hook::as_kernel_threads(start).is_ok();
    if !started {
        HAS_RELAY.store(false, Ordering::SeqCst);
    }
}

/// The relay's life, which is the process's.
fn relay() {
    // SAFETY: a set of this function's.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        set_mask(libc::SIG_SETMASK, &all, ptr::null_mut());
    }
    // What was noted since the relay was started, and rung for before it was there.
    let mut rings = BELL.load(Ordering::SeqCst);
    act(HANDLED.take());
    loop {
        act(HANDLED.next(|| rings = sleep_since(rings)));
    }
}

/// A child of fork(2) has no relay. It starts one when one of its fibers first waits.
extern "C" fn lose_relay() {
    HANDLED.take();
    waiting::lose_waiting();
    HAS_RELAY.store(false, Ordering::SeqCst);
}

/// A handler is set up, or a signal blocked: fibers that wait from now on can be interrupted. The first that waits, or is made a thread, starts the
/// relay: a program without has one thread, and may close all descriptors, as daemons do.
pub(super) fn await_fibers() {
    if !is_installed() {
        return;
    }
    if has_fibers() {
        start_relay();
    } else {
        hook::arm(CALLS);
    }
}

/// Fibers may wait now: whether a handler is set up, or a signal blocked, counts.
pub(crate) fn start_relay_if_needed() {
    if masks::of_main() != 0 || (1..SIGNALS).any(has_handler) {
        await_fibers();
    }
}

/// Whether some thread is a fiber, or the caller is.
fn has_fibers() -> bool {
    // Relaxed: who makes the first one looks here for handlers.
    ALIVE.load(Ordering::Relaxed) != 0 || hook::on_fiber()
}

fn act(handled: u64) {
    for slot in &POSTED {
        match slot.swap(0, Ordering::SeqCst) {
            0 => {}
            // Each that finds nothing sleeps again.
            address => _ = hook::wake_at(address, u32::MAX, usize::MAX),
        }
    }
    for signal in masks::signals(handled) {
        hook::interrupt_one(masks::bit(signal), effect(signal));
    }
    // Who is told or interrupted takes it, and runs the handler.
    for signal in masks::signals(waiting::of_process()) {
        if !listening::tell(masks::bit(signal)) {
            hook::interrupt_taker(masks::bit(signal), !does_nothing(signal));
        }
    }
    if listening::had_no_room() {
        std::thread::sleep(PAUSE);
        ring();
    }
}
