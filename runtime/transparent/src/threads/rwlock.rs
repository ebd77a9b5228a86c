//! pthread_rwlock_*, but for those that processes share, which are libc's alone.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::mem::MaybeUninit;

use abaca::hook;
use libc::{
    CLOCK_REALTIME, EBUSY, ETIMEDOUT, PTHREAD_PROCESS_SHARED, clockid_t, pthread_rwlock_t,
    pthread_rwlockattr_t, timespec,
};

use super::acquire::{
    CANCELLED, Ends, READERS, WRITERS, acquire_lock, beside_rwlock, has_sleepers, wake_fairly,
};
use super::cancel;
use super::mutex::LONG_AGO;
use super::observed::Observed;
use super::preference::{Announced, prefers_writers, refuses_readers};
use super::until::Until;
use crate::enter::{enter, is_installed};
use crate::hooks::hooks;
use crate::own::own;

type Lock = *mut pthread_rwlock_t;
type Time = *const timespec;

hooks! {
    /// pthread_rwlock_rdlock(3).
    fn pthread_rwlock_rdlock(lock: Lock) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { read(lock, Ok(Until::Never), &|| own!(fn pthread_rwlock_rdlock(Lock) -> c_int)(lock)) }
    }

    /// pthread_rwlock_timedrdlock(3).
    fn pthread_rwlock_timedrdlock(lock: Lock, time: Time) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            read(lock, Until::clock(CLOCK_REALTIME, time), &|| {
                own!(fn pthread_rwlock_timedrdlock(Lock, Time) -> c_int)(lock, time)
            })
        }
    }

    /// pthread_rwlock_clockrdlock(3).
    fn pthread_rwlock_clockrdlock(lock: Lock, clock: clockid_t, time: Time) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            read(lock, Until::lock_clock(clock, time), &|| {
                own!(fn pthread_rwlock_clockrdlock(Lock, clockid_t, Time) -> c_int)(lock, clock, time)
            })
        }
    }

    /// pthread_rwlock_tryrdlock(3).
    fn pthread_rwlock_tryrdlock(lock: Lock) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { try_read(lock) }
    }

    /// pthread_rwlock_wrlock(3).
    fn pthread_rwlock_wrlock(lock: Lock) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { write(lock, Ok(Until::Never), &|| own!(fn pthread_rwlock_wrlock(Lock) -> c_int)(lock)) }
    }

    /// pthread_rwlock_timedwrlock(3).
    fn pthread_rwlock_timedwrlock(lock: Lock, time: Time) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            write(lock, Until::clock(CLOCK_REALTIME, time), &|| {
                own!(fn pthread_rwlock_timedwrlock(Lock, Time) -> c_int)(lock, time)
            })
        }
    }

    /// pthread_rwlock_clockwrlock(3).
    fn pthread_rwlock_clockwrlock(lock: Lock, clock: clockid_t, time: Time) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            write(lock, Until::lock_clock(clock, time), &|| {
                own!(fn pthread_rwlock_clockwrlock(Lock, clockid_t, Time) -> c_int)(lock, clock, time)
            })
        }
    }

    /// pthread_rwlock_unlock(3).
    fn pthread_rwlock_unlock(lock: Lock) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn pthread_rwlock_unlock(Lock) -> c_int)(lock) };
        if has_sleepers(beside_rwlock(lock)) {
            wake(lock);
        }
        result
    }

    /// An old name.
    fn __pthread_rwlock_rdlock(lock: Lock) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { pthread_rwlock_rdlock(lock) }
    }

    /// An old name.
    fn __pthread_rwlock_tryrdlock(lock: Lock) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { try_read(lock) }
    }

    /// An old name.
    fn __pthread_rwlock_wrlock(lock: Lock) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { pthread_rwlock_wrlock(lock) }
    }

    /// An old name.
    fn __pthread_rwlock_unlock(lock: Lock) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { pthread_rwlock_unlock(lock) }
    }
}

/// Wakes all readers, and one writer. Those who find the lock held sleep again.
#[cold]
fn wake(lock: Lock) {
    let address = beside_rwlock(lock);
    wake_fairly(address, || {
        hook::wake_at(address, READERS, usize::MAX).and(hook::wake_at(address, WRITERS, 1))
    });
}

/// # Safety
///
/// The lock is initialised.
unsafe fn try_read(lock: Lock) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if refuses_readers(lock) { EBUSY } else { own!(fn pthread_rwlock_tryrdlock(Lock) -> c_int)(lock) }
    }
}

/// # Safety
///
/// The lock is initialised.
unsafe fn read(lock: Lock, until: Result<Until, c_int>, own: &dyn Fn() -> c_int) -> c_int {
    // SAFETY: the caller's promise.
    let attempt = || unsafe { try_read(lock) };
    // SAFETY: the caller's promise.
    let probe = || unsafe {
        if !refuses_readers(lock) {
            return own!(fn pthread_rwlock_timedrdlock(Lock, Time) -> c_int)(lock, &LONG_AGO);
        }
        // As a reader it would pass the writer.
        match own!(fn pthread_rwlock_timedwrlock(Lock, Time) -> c_int)(lock, &LONG_AGO) {
            0 => {
                pthread_rwlock_unlock(lock);
                ETIMEDOUT
            }
            result => result,
        }
    };
    // SAFETY: the caller's promise.
    unsafe { take(lock, READERS, until, own, &attempt, &probe) }
}

/// # Safety
///
/// The lock is initialised.
unsafe fn write(lock: Lock, until: Result<Until, c_int>, own: &dyn Fn() -> c_int) -> c_int {
    // SAFETY: the caller's promise.
    let attempt = || unsafe { own!(fn pthread_rwlock_trywrlock(Lock) -> c_int)(lock) };
    // SAFETY: the caller's promise.
    let probe = || unsafe { own!(fn pthread_rwlock_timedwrlock(Lock, Time) -> c_int)(lock, &LONG_AGO) };
    // SAFETY: the caller's promise.
    unsafe { take(lock, WRITERS, until, own, &attempt, &probe) }
}

/// Takes a lock by `attempt`, unless `probe`, an attempt whose time is up, tells that it cannot be had by waiting: the caller has it
/// itself. On plain threads it is libc's own way, but for locks that prefer writers.
///
/// # Safety
///
/// The lock is initialised.
unsafe fn take(
    lock: Lock,
    bits: u32,
    until: Result<Until, c_int>,
    own: &dyn Fn() -> c_int,
    attempt: &dyn Fn() -> c_int,
    probe: &dyn Fn() -> c_int,
) -> c_int {
    let within = enter();
    // SAFETY: the caller's promise.
    let is_libcs = || hook::on_fiber() || !is_installed() || unsafe { !prefers_writers(lock) };
    if within.is_none() && is_libcs() {
        return own();
    }
    // libc refuses a time that is none before it looks at the lock.
    let until = match until {
        Ok(until) => until,
        Err(error) => return error,
    };
    match attempt() {
        EBUSY => {}
        result => return result,
    }
    // SAFETY: the lock is initialised.
    if unsafe { is_shared(lock) } {
        // Out of the hook, so that handlers of signals run meanwhile.
        drop(within);
        return own();
    }
    match probe() {
        ETIMEDOUT => {}
        result => return result,
    }
    // SAFETY: the lock is initialised, and stays while somebody waits for it.
    let announced = unsafe { (bits == WRITERS && prefers_writers(lock)).then(|| Announced::new(lock)) };
    let result = acquire_lock(beside_rwlock(lock), bits, &until, Ends::IfAsynchronous, attempt);
    match result {
        0 => drop(announced),
        _ => announced.into_iter().for_each(Announced::give_up),
    }
    drop(within);
    if result == CANCELLED {
        cancel::test();
    }
    result
}

/// Whether processes share the lock.
unsafe fn is_shared(lock: Lock) -> bool {
    static SHARED: Observed = Observed::new();
    let init = |lock: Lock, is_shared| {
        let mut attributes = MaybeUninit::<pthread_rwlockattr_t>::uninit();
        // SAFETY: initialises locals.
        unsafe {
            libc::pthread_rwlockattr_init(attributes.as_mut_ptr());
            if is_shared {
                libc::pthread_rwlockattr_setpshared(attributes.as_mut_ptr(), PTHREAD_PROCESS_SHARED);
            }
            libc::pthread_rwlock_init(lock, attributes.as_ptr());
            libc::pthread_rwlockattr_destroy(attributes.as_mut_ptr());
        }
    };
    // SAFETY: the lock is initialised.
    unsafe { SHARED.is_in(lock, init) }
}
