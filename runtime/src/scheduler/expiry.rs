//! The end of waits whose deadline has passed.

#![expect(unsafe_code, reason = "timers hold addresses of what lies on the stacks of parked fibers")]

use std::ptr::NonNull;

use super::bound::Bound;
use super::event::Cause;
use super::worker::Worker;
use crate::cell::{Header, Outcome, Waiter, Wakeup, cold};
use crate::timer::Entry;

/// How far beyond its timer the frames of a fiber that sleeps may reach, in bytes.
const FRAMES_BYTES: usize = 384;

const LINE_BYTES: usize = 64;

impl Worker {
    /// Makes every fiber ready whose deadline has passed.
    pub(super) fn expire_timers(&self, now_ns: u64) {
        let mut expired = 0;
        let mut expire = |entry: NonNull<Entry>| {
            expired += 1;
            if let Some(bound) = Bound::of(entry) {
                return self.expire_bound(entry, bound);
            }
            // SAFETY: it came out of the wheel just now, and no bound owns it.
            if let Some(Wakeup::Fiber(fiber)) = unsafe { waiter_of(entry) }.claim(Outcome::TimedOut) {
                self.make_ready(fiber);
            }
        };
        let prepare = |entry: NonNull<Entry>| {
            cold::warm(entry.as_ptr());
            if Bound::of(entry).is_none() {
                // SAFETY: it is in the wheel, and no bound owns it.
                unsafe { prefetch_waiting(entry) };
            }
        };
        self.wake_for(Cause::Timer, || self.wheel.expire(now_ns, prepare, &mut expire));
        self.remote.counters.timers.add(expired);
    }
}

/// The waiter whose wait the timer ends.
///
/// # Safety
///
/// The timer is in this worker's wheel, or has just come out of it, and no bound owns it. The waiter is not used after its fiber has gone on.
#[inline]
unsafe fn waiter_of<'a>(entry: NonNull<Entry>) -> &'a Waiter {
    // SAFETY: an entry in the wheel is on the stack of the fiber that waits with it, and so is the waiter that it names. The fiber
    // takes the entry out before it goes on, on this thread.
    unsafe { &*entry.as_ref().owner().cast() }
}

/// Prefetches what the end of the wait and its fiber touch first: the fiber's header, and the frames beyond the timer.
///
/// # Safety
///
/// As for [`waiter_of`].
#[inline]
unsafe fn prefetch_waiting(entry: NonNull<Entry>) {
    // SAFETY: the caller's promise.
    if let Some(fiber) = unsafe { waiter_of(entry) }.fiber() {
        Header::prefetch(fiber);
    }
    let entry = entry.as_ptr().cast_const().cast::<u8>();
    for offset in (LINE_BYTES..FRAMES_BYTES).step_by(LINE_BYTES) {
        abaca_asm::prefetch(entry.wrapping_add(offset));
    }
}
