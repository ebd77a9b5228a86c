//! What all locks have in common: to attempt, to sleep at the lock's address, and to attempt again.
//!
//! libc's own word says whether a lock is held, so fibers and threads exclude each other, and a plain thread waits in libc as always.
//! A fiber attempts by libc's function that does not wait; while that finds the lock held, the fiber sleeps in the table, at an
//! address beside the lock's own. Whoever releases the lock looks whether somebody sleeps there, and wakes. The woken attempt again:
//! others may have been faster, as with threads.

use std::ffi::c_int;
use std::sync::atomic::{Ordering, fence};

use abaca::hook::{self, Found, Overtaken, Slept};
use libc::{EBUSY, ETIMEDOUT, pthread_mutex_t, pthread_rwlock_t};

use super::cancel::Point;
use super::until::Until;
use crate::enter::enter;

/// What sleeps at an object, as bits of a sleep.
pub(crate) const ONE_KIND: u32 = 1;
/// Those who want a lock for reading.
pub(crate) const READERS: u32 = 2;
/// Those who want a lock for writing.
pub(crate) const WRITERS: u32 = 4;

/// The address at which sleepers of an object sleep: not that of a futex, which is a multiple of 4.
#[inline(always)]
pub(crate) fn beside<T>(object: *mut T) -> usize {
    object.addr() | 1
}

/// The address for a mutex: who looks at a dump finds its owner.
#[inline(always)]
pub(crate) fn beside_mutex(mutex: *mut pthread_mutex_t) -> usize {
    mutex.addr() | hook::MUTEX_MARK
}

/// The same for a reader-writer lock.
#[inline(always)]
pub(crate) fn beside_rwlock(lock: *mut pthread_rwlock_t) -> usize {
    lock.addr() | hook::RWLOCK_MARK
}

/// Attempts until the result is not `EBUSY`, sleeping at `address` meanwhile, or until the time has passed: `ETIMEDOUT`.
pub(crate) fn acquire(address: usize, bits: u32, until: &Until, attempt: impl FnMut() -> c_int) -> c_int {
    acquire_by(attempt, |is_overtaken, stay| until.sleep_at(address, bits, is_overtaken, stay, || ()))
}

/// What [`acquire_lock`] returns to a caller that is cancelled, and wants to end wherever it is.
pub(crate) const CANCELLED: c_int = -1;

/// The same for a lock, whose wait no handler ends: the handlers of what is sent to the caller run meanwhile.
pub(crate) fn acquire_lock(
    address: usize,
    bits: u32,
    until: &Until,
    ends: Ends,
    mut attempt: impl FnMut() -> c_int,
) -> c_int {
    let point = if ends == Ends::IfAsynchronous { Point::of_asynchronous(address) } else { Point::NONE };
    let attempt = || match attempt() {
        EBUSY if point.is_cancelled() => CANCELLED,
        result => result,
    };
    acquire_by(attempt, |is_overtaken, stay| {
        until.sleep_or_handle_at(address, bits, is_overtaken, stay, || ())
    })
}

/// Whether a cancellation ends a wait for a lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// If the caller wants to end wherever it is (PTHREAD_CANCEL_ASYNCHRONOUS).
    IfAsynchronous,
    /// No: who has waited for a condition has its mutex when it ends.
    Never,
}

fn acquire_by(
    mut attempt: impl FnMut() -> c_int,
    sleep: impl Fn(bool, &mut dyn FnMut() -> bool) -> Slept,
) -> c_int {
    let mut overtaken = Overtaken::NOT;
    let mut is_overtaken = false;
    loop {
        let mut result = EBUSY;
        let mut stay = || {
            result = attempt();
            result == EBUSY
        };
        match sleep(is_overtaken, &mut stay) {
            Slept::Not => return result,
            Slept::TimedOut => return ETIMEDOUT,
            Slept::Notified => match attempt() {
                EBUSY => is_overtaken = overtaken.again(),
                result => return result,
            },
            Slept::Cancelled | Slept::Handled | Slept::Interrupted => {}
        }
    }
}

/// Whether somebody sleeps at an address, seen by a caller that has just released what they sleep for.
#[inline(always)]
pub(crate) fn has_sleepers(address: usize) -> bool {
    // Locks are released by a locked operation, by libc as by `uncontended`, which is a full fence on x86_64.
    if !cfg!(target_arch = "x86_64") {
        fence(Ordering::SeqCst);
    }
    hook::has_sleepers(address)
}

/// Calls `wake`, which wakes those who sleep at `address` for what the caller has just released, and returns how many it has woken. Those who
/// are overtaken go on before the caller, if that may be parked: else one that takes the lock again at once would keep them out for ever.
#[inline]
pub(crate) fn wake_fairly(address: usize, wake: impl FnOnce() -> Found) -> usize {
    let within = enter();
    let found = if within.is_some() { hook::wake_fairly(address, wake) } else { wake() };
    found.count
}
