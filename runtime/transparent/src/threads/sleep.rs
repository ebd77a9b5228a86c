//! Sleeps, and giving way.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_int, c_uint};
use std::time::{Duration, Instant};

use abaca::hook::{self, Slept};
use libc::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_TAI, EINTR, EINVAL, TIMER_ABSTIME, clockid_t,
    timespec, useconds_t,
};

use super::cancel::Point;
use super::until::{self, Until, is_valid};
use crate::answer::failed;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

hooks! {
    /// nanosleep(2).
    fn nanosleep(request: *const timespec, rest: *mut timespec) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise. The kernel refuses a null pointer.
        unsafe {
            if request.is_null() { kernel!(libc::SYS_nanosleep, request, rest) } else { failed(sleep_for(&*request, rest)) }
        }
    }

    /// clock_nanosleep(2).
    fn clock_nanosleep(clock: clockid_t, flags: c_int, request: *const timespec, rest: *mut timespec) -> c_int, |_| -> c_point {
        let waits_here = matches!(clock, CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_TAI);
        if !waits_here || request.is_null() {
            // SAFETY: the caller's promise.
            return unsafe { own!(fn clock_nanosleep(clockid_t, c_int, *const timespec, *mut timespec) -> c_int)(clock, flags, request, rest) };
        }
        // SAFETY: the caller's promise.
        let request = unsafe { &*request };
        if flags & TIMER_ABSTIME == 0 {
            // SAFETY: the caller's promise.
            unsafe { sleep_for(request, rest) }
        } else if request.tv_sec < 0 || !is_valid(request) {
            EINVAL
        } else {
            sleep_until(&Until::Clock(clock, *request))
        }
    }

    /// usleep(3).
    fn usleep(microseconds: useconds_t) -> c_int, |_| -> kernel_point {
        failed(sleep_until(&after(Duration::from_micros(microseconds.into()))))
    }

    /// sleep(3): the number of whole seconds that are left if it ends early.
    fn sleep(seconds: c_uint) -> c_uint, |_| -> c_point {
        let until = after(Duration::from_secs(seconds.into()));
        match (sleep_until(&until), until) {
            (0, _) => 0,
            (_, Until::Instant(at)) => at.saturating_duration_since(Instant::now()).as_secs() as c_uint,
            _ => seconds,
        }
    }

    /// sched_yield(2).
    fn sched_yield() -> c_int, |_| -> c {
        hook::yield_now();
        0
    }
}

/// The end of a sleep of `duration` that begins now.
fn after(duration: Duration) -> Until {
    Instant::now().checked_add(duration).map_or(Until::Never, Until::Instant)
}

/// Sleeps for the time of `request`. Returns 0 or an error number. If the sleep ends early, the time that is left is written to
/// `rest`, unless that is null.
///
/// # Safety
///
/// `rest` is null, or can be written.
unsafe fn sleep_for(request: &timespec, rest: *mut timespec) -> c_int {
    if request.tv_sec < 0 || !is_valid(request) {
        return EINVAL;
    }
    let end = after(until::duration(request));
    let slept = until(&end);
    if slept != Slept::TimedOut && !rest.is_null() {
        // Nothing is left of the sleep of a fiber that is cancelled: who sleeps for the rest, as std does, comes to its end.
        let left = match end {
            _ if slept == Slept::Cancelled => Duration::ZERO,
            Until::Instant(at) => at.saturating_duration_since(Instant::now()),
            _ => until::duration(request),
        };
        // SAFETY: the caller's promise. It may be where the request was, which is not used any more.
        unsafe { rest.write(timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() }) };
    }
    error_of(slept)
}

/// Sleeps until then. Returns 0, or EINTR if the fiber is cancelled, or a handler has run for it.
fn sleep_until(end: &Until) -> c_int {
    error_of(until(end))
}

fn error_of(slept: Slept) -> c_int {
    if slept == Slept::TimedOut { 0 } else { EINTR }
}

/// Sleeps until then, or until the fiber is cancelled, or a handler has run for it.
pub(crate) fn until(end: &Until) -> Slept {
    let point = Point::of_sleep();
    while !end.has_passed() {
        match point.sleep(end) {
            Slept::Cancelled => {
                // A loop of sleeps that end at once is not to keep others from running.
                hook::yield_now();
                return Slept::Cancelled;
            }
            slept @ (Slept::Handled | Slept::Interrupted) => return slept,
            _ => {}
        }
    }
    Slept::TimedOut
}
