//! pthread_cond_*, but for those that processes share, which are libc's alone.
//!
//! Plain threads, too, wait here and not in libc: its wait unlocks the mutex by itself, of which no fiber that sleeps for the mutex would
//! hear. So these functions are in force before `install` as well.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::mem::MaybeUninit;

use abaca::hook::{self, Slept};
use libc::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, ETIMEDOUT, PTHREAD_PROCESS_SHARED, clockid_t, pthread_cond_t,
    pthread_condattr_t, pthread_mutex_t, timespec,
};

use super::acquire::{ONE_KIND, beside, beside_mutex, has_sleepers};
use super::cancel::{self, Point};
use super::observed::Observed;
use super::until::Until;
use super::{mutex, shared_wait};
use crate::enter::enter;
use crate::hooks::hooks;
use crate::own::own;

type Condition = *mut pthread_cond_t;
type Mutex = *mut pthread_mutex_t;
type Time = *const timespec;

hooks! {
    /// pthread_cond_wait(3).
    fn pthread_cond_wait(condition: Condition, mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            if is_shared(condition) {
                return shared_wait::wait(condition, mutex, || {
                    own!(fn pthread_cond_wait(Condition, Mutex) -> c_int)(condition, mutex)
                });
            }
            wait(condition, mutex, &Until::Never)
        }
    }

    /// pthread_cond_timedwait(3).
    fn pthread_cond_timedwait(condition: Condition, mutex: Mutex, time: Time) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            if is_shared(condition) {
                return shared_wait::wait(condition, mutex, || {
                    own!(fn pthread_cond_timedwait(Condition, Mutex, Time) -> c_int)(condition, mutex, time)
                });
            }
            let clock = if is_monotonic(condition) { CLOCK_MONOTONIC } else { CLOCK_REALTIME };
            match Until::clock(clock, time) {
                Ok(until) => wait(condition, mutex, &until),
                Err(error) => error,
            }
        }
    }

    /// pthread_cond_clockwait(3).
    fn pthread_cond_clockwait(condition: Condition, mutex: Mutex, clock: clockid_t, time: Time) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            if is_shared(condition) {
                let own = own!(fn pthread_cond_clockwait(Condition, Mutex, clockid_t, Time) -> c_int);
                return shared_wait::wait(condition, mutex, || own(condition, mutex, clock, time));
            }
            match Until::lock_clock(clock, time) {
                Ok(until) => wait(condition, mutex, &until),
                Err(error) => error,
            }
        }
    }

    /// pthread_cond_signal(3).
    fn pthread_cond_signal(condition: Condition) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        if unsafe { is_shared(condition) } {
            // SAFETY: the caller's promise.
            return unsafe { own!(fn pthread_cond_signal(Condition) -> c_int)(condition) };
        }
        // Whom the signal must wake was in the table before it unlocked the mutex, which the caller has had since, or else
        // has learned of in another way that orders the two.
        if hook::has_sleepers(beside(condition)) {
            wake(condition, 1);
        }
        0
    }

    /// pthread_cond_broadcast(3).
    fn pthread_cond_broadcast(condition: Condition) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        if unsafe { is_shared(condition) } {
            // SAFETY: the caller's promise.
            return unsafe { own!(fn pthread_cond_broadcast(Condition) -> c_int)(condition) };
        }
        if hook::has_sleepers(beside(condition)) {
            wake(condition, usize::MAX);
        }
        0
    }
}

#[cold]
fn wake(condition: Condition, most: usize) {
    let _within = enter();
    hook::wake_at(beside(condition), ONE_KIND, most);
}

/// # Safety
///
/// The condition is initialised, and the mutex the caller's.
unsafe fn wait(condition: Condition, mutex: Mutex, until: &Until) -> c_int {
    cancel::test();
    let within = enter();
    let point = Point::at(beside(condition));
    let mut error = 0;
    // It wakes none of the table: another lock of the table is held here. A mutex that is not the caller's is
    // refused, and then there is no wait.
    let unlock = || {
        if point.is_cancelled() {
            return false;
        }
        // SAFETY: the caller's promise.
        error = unsafe { mutex::unlock(mutex) };
        error == 0
    };
    let wake_for_mutex = || {
        if has_sleepers(beside_mutex(mutex)) {
            mutex::wake_one(mutex);
        }
    };
    let slept = sleep(beside(condition), until, unlock, wake_for_mutex);
    drop(point);
    drop(within);
    let result = match slept {
        Slept::Not => error,
        // SAFETY: the caller's promise.
        _ => match unsafe { mutex::lock_again(mutex) } {
            0 if slept == Slept::TimedOut && until.has_passed() => ETIMEDOUT,
            result => result,
        },
    };
    // With the mutex, as what a thread has registered for its end expects it.
    cancel::test();
    result
}

/// One sleep, which may be too short if a clock was set back, or a handler has run: POSIX allows a wait to end by itself.
fn sleep(address: usize, until: &Until, stay: impl FnOnce() -> bool, then: impl FnOnce()) -> Slept {
    let sleep = hook::Sleep {
        address,
        bits: ONE_KIND,
        deadline: until.deadline(),
        is_cancellable: false,
        is_overtaken: false,
    };
    hook::sleep_or_handle_at(sleep, stay, then)
}

/// Initialises a condition of libc's.
fn init(condition: Condition, set: impl FnOnce(*mut pthread_condattr_t)) {
    let mut attributes = MaybeUninit::<pthread_condattr_t>::uninit();
    // SAFETY: initialises locals.
    unsafe {
        libc::pthread_condattr_init(attributes.as_mut_ptr());
        set(attributes.as_mut_ptr());
        libc::pthread_cond_init(condition, attributes.as_ptr());
        libc::pthread_condattr_destroy(attributes.as_mut_ptr());
    }
}

/// Whether processes share the condition.
unsafe fn is_shared(condition: Condition) -> bool {
    static SHARED: Observed = Observed::new();
    let init = |condition, is_shared| {
        init(condition, |attributes| {
            if is_shared {
                // SAFETY: they are initialised.
                unsafe { libc::pthread_condattr_setpshared(attributes, PTHREAD_PROCESS_SHARED) };
            }
        });
    };
    // SAFETY: the condition is initialised.
    unsafe { SHARED.is_in(condition, init) }
}

/// Whether its times are of the monotonic clock.
unsafe fn is_monotonic(condition: Condition) -> bool {
    static MONOTONIC: Observed = Observed::new();
    let init = |condition, is_monotonic| {
        init(condition, |attributes| {
            if is_monotonic {
                // SAFETY: they are initialised.
                unsafe { libc::pthread_condattr_setclock(attributes, CLOCK_MONOTONIC) };
            }
        });
    };
    // SAFETY: the condition is initialised.
    unsafe { MONOTONIC.is_in(condition, init) }
}
