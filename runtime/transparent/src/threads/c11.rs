//! C11's locks and conditions, which are pthread's under other names, with other results.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;

use libc::{EBUSY, ENOMEM, ETIMEDOUT, pthread_cond_t, pthread_mutex_t, timespec};

use super::{condition, mutex, sleep};
use crate::answer::{errno, set_errno};
use crate::hooks::hooks;

pub(crate) const SUCCESS: c_int = 0;
const BUSY: c_int = 1;
const ERROR: c_int = 2;
const NOMEM: c_int = 3;
const TIMEDOUT: c_int = 4;

/// C11's result for pthread's.
pub(crate) fn result(error: c_int) -> c_int {
    match error {
        0 => SUCCESS,
        EBUSY => BUSY,
        ENOMEM => NOMEM,
        ETIMEDOUT => TIMEDOUT,
        _ => ERROR,
    }
}

type Mutex = *mut pthread_mutex_t;
type Condition = *mut pthread_cond_t;
type Time = *const timespec;

hooks! {
    /// mtx_lock.
    fn mtx_lock(mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        result(unsafe { mutex::pthread_mutex_lock(mutex) })
    }

    /// mtx_timedlock.
    fn mtx_timedlock(mutex: Mutex, time: Time) -> c_int, |_| -> always {
        // SAFETY: as above.
        result(unsafe { mutex::pthread_mutex_timedlock(mutex, time) })
    }

    /// mtx_unlock.
    fn mtx_unlock(mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: as above.
        result(unsafe { mutex::pthread_mutex_unlock(mutex) })
    }

    /// cnd_wait.
    fn cnd_wait(condition: Condition, mutex: Mutex) -> c_int, |_| -> always {
        // SAFETY: as above.
        result(unsafe { condition::pthread_cond_wait(condition, mutex) })
    }

    /// cnd_timedwait.
    fn cnd_timedwait(condition: Condition, mutex: Mutex, time: Time) -> c_int, |_| -> always {
        // SAFETY: as above.
        result(unsafe { condition::pthread_cond_timedwait(condition, mutex, time) })
    }

    /// cnd_signal.
    fn cnd_signal(condition: Condition) -> c_int, |_| -> always {
        // SAFETY: as above.
        result(unsafe { condition::pthread_cond_signal(condition) })
    }

    /// cnd_broadcast.
    fn cnd_broadcast(condition: Condition) -> c_int, |_| -> always {
        // SAFETY: as above.
        result(unsafe { condition::pthread_cond_broadcast(condition) })
    }

    /// thrd_sleep: 0, -1 if it ended early, -2 for an error. `errno` stays as it was.
    fn thrd_sleep(time: Time, rest: *mut timespec) -> c_int, |_| -> always {
        let before = errno();
        // SAFETY: as above.
        match unsafe { sleep::nanosleep(time, rest) } {
            0 => 0,
            _ => {
                let result = if errno() == libc::EINTR { -1 } else { -2 };
                set_errno(before);
                result
            }
        }
    }

    /// thrd_yield.
    fn thrd_yield() -> (), |_| -> always {
        // SAFETY: it takes nothing.
        unsafe { sleep::sched_yield() };
    }
}
