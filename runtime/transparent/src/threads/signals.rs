//! Waiting for signals. A thread of the pool waits, for which the signals are blocked meanwhile, as they must be for whoever waits.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use libc::{SIG_BLOCK, SIG_SETMASK, siginfo_t, sigset_t, timespec};

use super::listening::pass_on;
use super::masks;
use super::relay::start_relay;
use super::{details, waiting};
use crate::answer::failed;
use crate::calls::attempts::{Handlers, wait_elsewhere_or};
use crate::calls::kick::{set_mask, without_signal};
use crate::descriptors::poll::duration;
use crate::enter::looked;
use crate::hooks::hooks;
use crate::kernel::kernel;

hooks! {
    /// sigwait(3), which no handler ends.
    fn sigwait(set: *const sigset_t, signal: *mut c_int) -> c_int, |_| -> c_point_of_threads {
        // SAFETY: the caller's promise.
        match unsafe { wait_for(set, null_mut(), None, Handlers::DoNotEnd) } {
            found if found > 0 => {
                // SAFETY: as above.
                unsafe { signal.write(found as c_int) };
                0
            }
            error => -error as c_int,
        }
    }

    /// sigwaitinfo(2).
    fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> c_int, |_| -> kernel_point_of_threads {
        // SAFETY: the caller's promise.
        unsafe { wait_for(set, info, None, Handlers::End) }
    }

    /// sigtimedwait(2).
    fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, time: *const timespec) -> c_int, |_| -> kernel_point_of_threads {
        // SAFETY: null, or the user's.
        match unsafe { duration(time) } {
            // SAFETY: the caller's promise.
            Ok(time) => unsafe { wait_for(set, info, time, Handlers::End) },
            Err(error) => error,
        }
    }
}

/// Waits for a signal of the set, at most for `time`; `None` is for ever.
///
/// # Safety
///
/// The set is initialised; the info is null or can be written.
unsafe fn wait_for(
    set: *const sigset_t,
    info: *mut siginfo_t,
    time: Option<Duration>,
    handlers: Handlers,
) -> isize {
    // SAFETY: the caller's promise.
    let set = without_signal(unsafe { *set });
    let call = |time: Option<Duration>| {
        let time = time.map(|time| timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the set and the time are of this function's, the info is the user's.
        let found = unsafe { kernel!(libc::SYS_rt_sigtimedwait, &raw const set, info, time, 8) };
        // SAFETY: as above: the kernel has written it, if there is one.
        let told = unsafe { info.as_mut() }.filter(|_| found > 0);
        if let Some(info) = told {
            *info = details::of_wait(*info);
        }
        found
    };
    // SAFETY: as above.
    let wanted = unsafe { masks::bits_of(&set) };
    let take = || {
        let (signal, about) = waiting::take_first(wanted)?;
        if !info.is_null() {
            // SAFETY: the caller's promise.
            unsafe { info.write(details::of_wait(about)) };
        }
        Some(signal as isize)
    };
    let first = take().unwrap_or_else(|| call(Some(Duration::ZERO)));
    if first != failed(libc::EAGAIN) || time == Some(Duration::ZERO) {
        return looked(first);
    }
    start_relay();
    let deadline = time.and_then(|time| Instant::now().checked_add(time));
    let mut wait = || {
        // SAFETY: the masks are this function's; that of the pool's thread is restored.
        unsafe {
            let mut before = std::mem::zeroed();
            set_mask(SIG_BLOCK, &set, &mut before);
            let found = call(deadline.map(|at| at.saturating_duration_since(Instant::now())));
            set_mask(SIG_SETMASK, &before, null_mut());
            found
        }
    };
    loop {
        // SAFETY: the set, and what the caller promises, stay while the fiber waits. The signal that ends the call is in no set.
        let ended = masks::awaiting(wanted, || unsafe {
            wait_elsewhere_or(handlers, &waiting::has_awaited, &mut wait)
        });
        // If there is none, somebody else has taken it.
        let result = ended.or_else(take);
        // Of those who wait here, one is told of all that come before it looks.
        if waiting::of_process() != 0 {
            pass_on();
        }
        if let Some(result) = result {
            return result;
        }
    }
}
