//! Numbers that change their meaning: closed, made another file's, or made. A number that is made is forgotten as well, in case that its
//! last file was closed behind the runtime's back, as fclose(3) does.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_uint};

use abaca::hook::descriptors::{born, close_under, duplicated, forget};

use super::options;
use crate::answer::answer;
use crate::calls::attempts::{Handlers, wait_elsewhere};
use crate::enter::is_installed;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// Forgets the new number, if there is one, whose file nobody else has.
#[inline]
pub(crate) fn made(fd: c_int) -> c_int {
    if fd >= 0 {
        note(fd);
    }
    fd
}

#[inline]
fn note(fd: c_int) {
    if is_installed() { born(fd) } else { forget(fd) }
}

/// Forgets the two new numbers.
///
/// # Safety
///
/// If `result` is 0, libc has written them.
#[inline]
unsafe fn made_pair(result: c_int, pair: *const c_int) -> c_int {
    if result == 0 {
        // SAFETY: the caller's promise.
        let numbers = unsafe { *pair.cast::<[c_int; 2]>() };
        numbers.into_iter().for_each(note);
    }
    result
}

hooks! {
    /// close(2). Calls that are under way go on with the file, as a thread's do.
    fn close(fd: c_int) -> c_int, |_| -> always {
        close_under(fd);
        let own = own!(fn close(c_int) -> c_int);
        if options::may_wait(fd) && let Some(within) = crate::enter::enter() {
            let result = linger(fd);
            drop(within);
            return answer(result) as c_int;
        }
        // SAFETY: the caller's promise.
        unsafe { own(fd) }
    }

    /// close_range(2).
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int, |_| -> always {
        const CLOSES_LATER: c_int = 4;
        if flags & CLOSES_LATER == 0 {
            abaca::hook::descriptors::close_range_under(first, last);
        }
        // SAFETY: the caller's promise.
        unsafe { own!(fn close_range(c_uint, c_uint, c_int) -> c_int)(first, last, flags) }
    }

    /// closefrom(3).
    fn closefrom(first: c_int) -> (), |_| -> always {
        abaca::hook::descriptors::close_range_under(first.max(0) as c_uint, c_uint::MAX);
        // SAFETY: the caller's promise.
        unsafe { own!(fn closefrom(c_int) -> ())(first) }
    }

    /// dup(2).
    fn dup(fd: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let made = unsafe { own!(fn dup(c_int) -> c_int)(fd) };
        if made >= 0 {
            forget(made);
            duplicated(fd, made);
        }
        made
    }

    /// dup2(2).
    fn dup2(fd: c_int, to: c_int) -> c_int, |_| -> always {
        if fd != to && is_open(fd) {
            close_under(to);
        }
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn dup2(c_int, c_int) -> c_int)(fd, to) };
        if result >= 0 && fd != to {
            duplicated(fd, to);
        }
        result
    }

    /// dup3(2).
    fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int, |_| -> always {
        if fd != to && is_open(fd) {
            close_under(to);
        }
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn dup3(c_int, c_int, c_int) -> c_int)(fd, to, flags) };
        if result >= 0 && fd != to {
            duplicated(fd, to);
        }
        result
    }

    /// socket(2).
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        made(unsafe { own!(fn socket(c_int, c_int, c_int) -> c_int)(domain, kind, protocol) })
    }

    /// socketpair(2).
    fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let result = unsafe { own!(fn socketpair(c_int, c_int, c_int, *mut c_int) -> c_int)(domain, kind, protocol, pair) };
        // SAFETY: as above.
        unsafe { made_pair(result, pair) }
    }

    /// pipe(2).
    fn pipe(pair: *mut c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let result = unsafe { own!(fn pipe(*mut c_int) -> c_int)(pair) };
        // SAFETY: as above.
        unsafe { made_pair(result, pair) }
    }

    /// pipe2(2).
    fn pipe2(pair: *mut c_int, flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let result = unsafe { own!(fn pipe2(*mut c_int, c_int) -> c_int)(pair, flags) };
        // SAFETY: as above.
        unsafe { made_pair(result, pair) }
    }

    /// eventfd(2).
    fn eventfd(value: c_uint, flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        made(unsafe { own!(fn eventfd(c_uint, c_int) -> c_int)(value, flags) })
    }

    /// timerfd_create(2).
    fn timerfd_create(clock: c_int, flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        made(unsafe { own!(fn timerfd_create(c_int, c_int) -> c_int)(clock, flags) })
    }

    /// inotify_init1(2).
    fn inotify_init1(flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        made(unsafe { own!(fn inotify_init1(c_int) -> c_int)(flags) })
    }

    /// epoll_create1(2).
    fn epoll_create1(flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        made(unsafe { own!(fn epoll_create1(c_int) -> c_int)(flags) })
    }

    /// epoll_create(2).
    fn epoll_create(size: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        made(unsafe { own!(fn epoll_create(c_int) -> c_int)(size) })
    }

    /// memfd_create(2).
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        made(unsafe { own!(fn memfd_create(*const c_char, c_uint) -> c_int)(name, flags) })
    }

    /// posix_openpt(3).
    fn posix_openpt(flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        made(unsafe { own!(fn posix_openpt(c_int) -> c_int)(flags) })
    }
}

/// Closes a socket that lingers, whatever happens: who gives up leaves it to the kernel, as a handler of a signal does.
fn linger(fd: c_int) -> isize {
    // The number is free when the call begins, so it is made once.
    let is_closed = Cell::new(false);
    let close = || {
        if is_closed.replace(true) {
            return 0;
        }
        // SAFETY: no memory is involved.
        unsafe { kernel!(libc::SYS_close, fd) }
    };
    // SAFETY: the call borrows a flag, which stays while the fiber waits.
    let result = unsafe { wait_elsewhere(Handlers::End, close) };
    if is_closed.get() {
        return result;
    }
    // The caller has given up before a thread has begun.
    options::linger_no_longer(fd);
    close()
}

/// Whether the number is open. If it is not, dup2(2) fails, and closes nothing.
fn is_open(fd: c_int) -> bool {
    // SAFETY: no memory is involved.
    unsafe { kernel!(libc::SYS_fcntl, fd, libc::F_GETFD) >= 0 }
}
