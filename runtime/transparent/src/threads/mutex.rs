//! pthread_mutex_*, but for those that processes share, robust ones, and those with a ceiling of priorities: these are libc's alone, and
//! a fiber that waits for one blocks its thread.
//!
//! A mutex whose owner inherits priorities (PTHREAD_PRIO_INHERIT) has its owner's thread in the kernel raised. A fiber is no thread of the
//! kernel's and has no priority, and who waits for it there would wait for ever. So such a mutex is made a usual one, which only its
//! owner may unlock, as the kernel has it.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;

use abaca::hook;
use libc::{
    CLOCK_REALTIME, EBUSY, EDEADLK, EPERM, ETIMEDOUT, clockid_t, pthread_mutex_t, pthread_mutexattr_t,
    timespec,
};

use super::acquire::{CANCELLED, Ends, ONE_KIND, acquire_lock, beside_mutex, has_sleepers, wake_fairly};
use super::until::Until;
use super::{cancel, uncontended};
use crate::enter::{enter, is_installed};
use crate::hooks::hooks;
use crate::own::own;

type Mutex = *mut pthread_mutex_t;

hooks! {
    /// pthread_mutex_lock(3).
    fn pthread_mutex_lock(mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        if unsafe { uncontended::take(mutex) } { 0 } else { unsafe { lock_by_kind(mutex, Ends::IfAsynchronous) } }
    }

    /// pthread_mutex_timedlock(3).
    fn pthread_mutex_timedlock(mutex: Mutex, time: *const timespec) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let own = || unsafe { own!(fn pthread_mutex_timedlock(Mutex, *const timespec) -> c_int)(mutex, time) };
        // SAFETY: the caller's promise.
        match unsafe { attempt(mutex, &own) } {
            // SAFETY: the caller's promise.
            EBUSY => match unsafe { Until::clock(CLOCK_REALTIME, time) } {
                // SAFETY: the caller's promise.
                Ok(until) => unsafe { lock(mutex, &until, Ends::IfAsynchronous, &own) },
                // libc's own function knows what comes first.
                Err(_) => own(),
            },
            result => result,
        }
    }

    /// pthread_mutex_clocklock(3).
    fn pthread_mutex_clocklock(mutex: Mutex, clock: clockid_t, time: *const timespec) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let own = || unsafe { own!(fn pthread_mutex_clocklock(Mutex, clockid_t, *const timespec) -> c_int)(mutex, clock, time) };
        // SAFETY: the caller's promise.
        match unsafe { Until::lock_clock(clock, time) } {
            // SAFETY: the caller's promise.
            Ok(until) => match unsafe { attempt(mutex, &own) } {
                // SAFETY: the caller's promise.
                EBUSY => unsafe { lock(mutex, &until, Ends::IfAsynchronous, &own) },
                result => result,
            },
            Err(_) => own(),
        }
    }

    /// pthread_mutex_trylock(3).
    fn pthread_mutex_trylock(mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: the caller's promise; the word is there.
        unsafe {
            let result = own!(fn pthread_mutex_trylock(Mutex) -> c_int)(mutex);
            // libc says so of one whose owner inherits priorities only.
            if result == EBUSY && tells_its_owner(mutex) && is_own(mutex) { EDEADLK } else { result }
        }
    }

    /// pthread_mutex_init(3).
    fn pthread_mutex_init(mutex: Mutex, attributes: *const pthread_mutexattr_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn pthread_mutex_init(Mutex, *const pthread_mutexattr_t) -> c_int)(mutex, attributes) };
        if result == 0 && is_installed() {
            // SAFETY: libc has initialised it, and nobody else has it yet.
            unsafe {
                let kind = mutex.cast::<c_int>().add(KIND);
                if *kind & INHERITS != 0 {
                    // Of a robust one libc itself looks at the owner, which is none while its state may be wrong.
                    *kind ^= if *kind & ROBUST == 0 { INHERITS | OWNERS } else { INHERITS };
                }
            }
        }
        result
    }

    /// pthread_mutex_unlock(3).
    fn pthread_mutex_unlock(mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { unlock(mutex) };
        if has_sleepers(beside_mutex(mutex)) {
            wake_fairly(beside_mutex(mutex), || hook::wake_at(beside_mutex(mutex), ONE_KIND, 1));
        }
        result
    }

    /// An old name, which programs of before 2000 use.
    fn __pthread_mutex_init(mutex: Mutex, attributes: *const pthread_mutexattr_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { pthread_mutex_init(mutex, attributes) }
    }

    /// An old name, as above.
    fn __pthread_mutex_lock(mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { pthread_mutex_lock(mutex) }
    }

    /// An old name, as above.
    fn __pthread_mutex_trylock(mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { pthread_mutex_trylock(mutex) }
    }

    /// An old name, as above.
    fn __pthread_mutex_unlock(mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { pthread_mutex_unlock(mutex) }
    }
}

/// Locks a mutex that the caller has unlocked for the time of a wait.
///
/// # Safety
///
/// As pthread_mutex_lock(3).
pub(crate) unsafe fn lock_again(mutex: Mutex) -> c_int {
    // SAFETY: the caller's promise.
    if unsafe { uncontended::take(mutex) } { 0 } else { unsafe { lock_by_kind(mutex, Ends::Never) } }
}

/// Locks a mutex that is of any kind, and may be held.
///
/// # Safety
///
/// As pthread_mutex_lock(3).
#[inline(never)]
unsafe fn lock_by_kind(mutex: Mutex, ends: Ends) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let own = || own!(fn pthread_mutex_lock(Mutex) -> c_int)(mutex);
        match attempt(mutex, &own) {
            EBUSY => lock(mutex, &Until::Never, ends, &own),
            result => result,
        }
    }
}

/// Takes a mutex if it is free, and says EBUSY if it is not. One that is libc's alone is locked by `own`, libc's way, which does not say EBUSY: an
/// attempt at a robust one whose state was lost says so, and keeps it (glibc's trylock), so that all others would wait for ever.
///
/// # Safety
///
/// The mutex is initialised.
unsafe fn attempt(mutex: Mutex, own: &dyn Fn() -> c_int) -> c_int {
    // SAFETY: the caller's promise: the mutex has the word, which changes as a whole.
    unsafe {
        if mutex.cast::<c_int>().add(KIND).read_volatile() & OF_LIBC != 0 {
            return own();
        }
        own!(fn pthread_mutex_trylock(Mutex) -> c_int)(mutex)
    }
}

/// Unlocks a mutex, and wakes nobody.
///
/// # Safety
///
/// As pthread_mutex_unlock(3).
#[inline(always)]
pub(crate) unsafe fn unlock(mutex: Mutex) -> c_int {
    // SAFETY: the caller's promise.
    if unsafe { uncontended::release(mutex) } { 0 } else { unsafe { unlock_by_kind(mutex) } }
}

/// [`unlock`], of a mutex that is of any kind.
///
/// # Safety
///
/// As pthread_mutex_unlock(3).
#[inline(never)]
unsafe fn unlock_by_kind(mutex: Mutex) -> c_int {
    // SAFETY: the caller's promise; the word is there.
    unsafe {
        if mutex.cast::<c_int>().add(KIND).read_volatile() & OWNERS != 0 && !is_own(mutex) {
            return EPERM;
        }
        own!(fn pthread_mutex_unlock(Mutex) -> c_int)(mutex)
    }
}

/// Whether a mutex was one whose owner inherits priorities, and tells its owner that it has it.
///
/// # Safety
///
/// The mutex is initialised.
unsafe fn tells_its_owner(mutex: Mutex) -> bool {
    // SAFETY: the caller's promise. The word changes as a whole.
    let kind = unsafe { mutex.cast::<c_int>().add(KIND).read_volatile() };
    kind & OWNERS != 0 && kind & 3 == libc::PTHREAD_MUTEX_ERRORCHECK
}

/// Whether the caller has a mutex, to which libc has written who has it.
#[cold]
unsafe fn is_own(mutex: Mutex) -> bool {
    let mut mine = libc::PTHREAD_MUTEX_INITIALIZER;
    // SAFETY: a mutex of this function's, which it locks; and the caller's promise.
    unsafe {
        own!(fn pthread_mutex_lock(Mutex) -> c_int)(&mut mine);
        let is_own = owner(mutex) == owner(&mut mine);
        own!(fn pthread_mutex_unlock(Mutex) -> c_int)(&mut mine);
        is_own
    }
}

/// What libc has written into a mutex of who has it.
///
/// # Safety
///
/// The mutex is initialised.
pub(crate) unsafe fn owner(mutex: Mutex) -> c_int {
    // SAFETY: the caller's promise. The word changes as a whole.
    unsafe { mutex.cast::<c_int>().add(OWNER).read_volatile() }
}

/// Wakes one of those who sleep for a mutex that was just unlocked, whose memory may be gone by now.
#[cold]
pub(crate) fn wake_one(mutex: Mutex) {
    let _within = enter();
    hook::wake_at(beside_mutex(mutex), ONE_KIND, 1);
}

/// A time that has passed on each clock.
pub(crate) const LONG_AGO: timespec = timespec { tv_sec: 0, tv_nsec: 0 };

/// The word of a mutex that says of which kind it is (`bits/struct_mutex.h`, which programs are compiled with).
pub(super) const KIND: usize = if cfg!(target_pointer_width = "64") { 4 } else { 3 };
/// The word that says who has it.
pub(super) const OWNER: usize = 2;
/// Of a mutex that tells of owners who have ended with it.
const ROBUST: c_int = 16;
/// Of a mutex whose owner inherits priorities.
const INHERITS: c_int = 32;
/// Of one that was such a mutex. libc leaves the bit alone.
const OWNERS: c_int = 1 << 10;
/// What makes a mutex libc's alone: robust (16), protocols of priorities (32, 64), shared by processes (128).
const OF_LIBC: c_int = 0xf0;

/// Takes a mutex that [`attempt`] has found held. `own` is libc's way.
///
/// # Safety
///
/// The mutex is initialised.
#[cold]
unsafe fn lock(mutex: Mutex, until: &Until, ends: Ends, own: &dyn Fn() -> c_int) -> c_int {
    let Some(within) = enter() else { return own() };
    // SAFETY: the mutex has the word, which changes by atomic operations.
    let kind = unsafe { mutex.cast::<c_int>().add(KIND).read_volatile() };
    if kind & 3 == libc::PTHREAD_MUTEX_ERRORCHECK {
        // Whether it is the caller's own is not to be told from busy by an attempt, but by one whose time is up.
        // SAFETY: the mutex is initialised.
        let result =
            unsafe { own!(fn pthread_mutex_timedlock(Mutex, *const timespec) -> c_int)(mutex, &LONG_AGO) };
        if result != ETIMEDOUT {
            return result;
        }
    }
    // SAFETY: as above.
    let result = acquire_lock(beside_mutex(mutex), ONE_KIND, until, ends, || unsafe {
        own!(fn pthread_mutex_trylock(Mutex) -> c_int)(mutex)
    });
    drop(within);
    if result == CANCELLED {
        cancel::test();
    }
    result
}
