//! epoll_wait(2) and its kin: an epoll instance is itself a descriptor that the runtime's poller can watch.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::c_int;
use std::time::{Duration, Instant};

use abaca::hook::descriptors::{Direction, Interest};
use libc::{epoll_event, sigset_t, timespec};

use super::poll::{duration, ended, wait_for};
use crate::answer::of_c;
use crate::enter::looked;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

hooks! {
    /// epoll_wait(2).
    fn epoll_wait(set: c_int, events: *mut epoll_event, room: c_int, timeout: c_int) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { wait(set, events, room, u64::try_from(timeout).ok().map(Duration::from_millis)) }
    }

    /// epoll_pwait(2). With a signal mask it waits in the kernel: the mask is the thread's.
    fn epoll_pwait(set: c_int, events: *mut epoll_event, room: c_int, timeout: c_int, mask: *const sigset_t) -> c_int, |_| -> kernel_point {
        if !mask.is_null() {
            // SAFETY: the caller's promise.
            return unsafe {
                of_c(own!(fn epoll_pwait(c_int, *mut epoll_event, c_int, c_int, *const sigset_t) -> c_int)(set, events, room, timeout, mask) as isize)
            };
        }
        // SAFETY: the caller's promise.
        unsafe { wait(set, events, room, u64::try_from(timeout).ok().map(Duration::from_millis)) }
    }

    /// epoll_pwait2(2). With a signal mask it waits in the kernel.
    fn epoll_pwait2(
        set: c_int, events: *mut epoll_event, room: c_int, timeout: *const timespec, mask: *const sigset_t,
    ) -> c_int, |_| -> kernel_point {
        if !mask.is_null() {
            // SAFETY: the caller's promise.
            return unsafe {
                of_c(own!(fn epoll_pwait2(c_int, *mut epoll_event, c_int, *const timespec, *const sigset_t) -> c_int)(set, events, room, timeout, mask) as isize)
            };
        }
        // SAFETY: null, or the user's.
        match unsafe { duration(timeout) } {
            // SAFETY: the caller's promise.
            Ok(timeout) => unsafe { wait(set, events, room, timeout) },
            Err(error) => error,
        }
    }
}

/// # Safety
///
/// The arguments are those of epoll_wait(2).
unsafe fn wait(set: c_int, events: *mut epoll_event, room: c_int, timeout: Option<Duration>) -> isize {
    // SAFETY: the caller's promise.
    let look = || unsafe { kernel!(libc::SYS_epoll_pwait, set, events, room, 0, 0, 8) };
    let first = look();
    if first != 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
        return looked(first);
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    ended(wait_for(&[Interest { fd: set, direction: Direction::Read }], deadline, look))
}
