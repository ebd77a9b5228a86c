//! sem_*. Those that processes share, as those with a name are, are waited for in the kernel, by libc's function on a thread of the pool.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_int, c_uint};

use abaca::hook::{self, Interrupted};
use libc::{CLOCK_REALTIME, EAGAIN, EBUSY, ECANCELED, EINTR, EINVAL, clockid_t, sem_t, timespec};

use super::acquire::{ONE_KIND, acquire, beside, has_sleepers, wake_fairly};
use super::cancel::Point;
use super::observed::Observed;
use super::record::Record;
use super::relay;
use super::until::Until;
use crate::answer::{errno, failed};
use crate::calls::attempts::{Handlers, wait_elsewhere};
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;

type Semaphore = *mut sem_t;
type Time = *const timespec;

hooks! {
    /// sem_wait(3).
    fn sem_wait(semaphore: Semaphore) -> c_int, |within| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { wait(within, semaphore, Ok(Until::Never), &|| own!(fn sem_wait(Semaphore) -> c_int)(semaphore)) }
    }

    /// sem_timedwait(3).
    fn sem_timedwait(semaphore: Semaphore, time: Time) -> c_int, |within| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe {
            wait(within, semaphore, Until::clock(CLOCK_REALTIME, time), &|| {
                own!(fn sem_timedwait(Semaphore, Time) -> c_int)(semaphore, time)
            })
        }
    }

    /// sem_clockwait(3).
    fn sem_clockwait(semaphore: Semaphore, clock: clockid_t, time: Time) -> c_int, |within| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe {
            wait(within, semaphore, Until::lock_clock(clock, time), &|| {
                own!(fn sem_clockwait(Semaphore, clockid_t, Time) -> c_int)(semaphore, clock, time)
            })
        }
    }

    /// sem_post(3).
    fn sem_post(semaphore: Semaphore) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn sem_post(Semaphore) -> c_int)(semaphore) };
        if has_sleepers(beside(semaphore)) && !relay::wakes_later(beside(semaphore)) {
            wake_one(semaphore);
        }
        result
    }
}

/// Wakes one of those who sleep for a semaphore that was just posted.
#[cold]
fn wake_one(semaphore: Semaphore) {
    wake_fairly(beside(semaphore), || hook::wake_at(beside(semaphore), ONE_KIND, 1));
}

/// The result of a function of libc as the kernel's.
fn of(result: c_int) -> isize {
    if result == 0 { 0 } else { failed(errno()) }
}

/// # Safety
///
/// The semaphore is initialised.
unsafe fn wait(
    _: &Within,
    semaphore: Semaphore,
    until: Result<Until, c_int>,
    own: &dyn Fn() -> c_int,
) -> isize {
    // libc refuses a time that is none before it looks at the semaphore.
    let Ok(until) = until else { return failed(EINVAL) };
    // SAFETY: the caller's promise.
    let attempt = || match of(unsafe { own!(fn sem_trywait(Semaphore) -> c_int)(semaphore) }) {
        0 => 0,
        error if error == failed(EAGAIN) => EBUSY,
        error => -error as c_int,
    };
    match attempt() {
        EBUSY => {}
        result => return failed(result),
    }
    // SAFETY: the semaphore is initialised.
    if unsafe { is_shared(semaphore) } {
        return wait_in_kernel(&until, own);
    }
    let point = Point::at(beside(semaphore));
    loop {
        let (result, unattended) = hook::interruptible_at(beside(semaphore), |interruption| {
            acquire(beside(semaphore), ONE_KIND, &until, || match attempt() {
                EBUSY if point.is_cancelled() || interruption.is_set() => EINTR,
                result => result,
            })
        });
        let interrupted = unattended.attend();
        // With SA_RESTART the wait goes on, unless it has a limit: then the kernel ends it all the same.
        let is_restarted = match interrupted {
            Interrupted::Not | Interrupted::Looks => true,
            Interrupted::Restarts => matches!(until, Until::Never),
            Interrupted::Ends => false,
        };
        if result != EINTR || !is_restarted || point.is_cancelled() {
            return failed(result);
        }
    }
}

/// Waits for a post that may be another process's. Handlers of signals run meanwhile, and `pthread_cancel` ends the wait; another cancellation does not.
fn wait_in_kernel(until: &Until, own: &dyn Fn() -> c_int) -> isize {
    let handlers = if matches!(until, Until::Never) { Handlers::EndUnlessRestarted } else { Handlers::End };
    // SAFETY: the semaphore and the time are there while the caller waits, and a signal ends libc's wait.
    let wait = || unsafe { wait_elsewhere(handlers, || of(own())) };
    let record = Record::current_within();
    let result = if record.is_some() { wait() } else { abaca::cancel::shield(wait) };
    match record {
        Some(record) if result == failed(ECANCELED) && !record.cancel.is_pending() => {
            abaca::cancel::shield(wait)
        }
        _ => result,
    }
}

/// Whether processes share the semaphore.
unsafe fn is_shared(semaphore: Semaphore) -> bool {
    static SHARED: Observed = Observed::new();
    let init = |semaphore: Semaphore, is_shared: bool| {
        // SAFETY: initialises a local.
        unsafe { libc::sem_init(semaphore, is_shared.into(), 0 as c_uint) };
    };
    // SAFETY: the semaphore is initialised.
    unsafe { SHARED.is_in(semaphore, init) }
}
