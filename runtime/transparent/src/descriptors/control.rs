//! fcntl(2), and locks of files.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_ulong};

use abaca::hook::descriptors::{duplicated, forget, mode_changes, modes_changed};
use abaca::hook::offload;
use libc::off_t;

use super::pause::retry_with_pauses;
use super::wishes::result;
use crate::answer::{answer, errno, failed};
use crate::enter::{Within, enter};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

hooks! {
    /// fcntl(2). It is variadic in C: its argument is a word, wherever it comes from.
    fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { control(own!(fn fcntl(c_int, c_int, usize) -> c_int), fd, command, argument) }
    }

    /// fcntl(2) of programs with large files.
    fn fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { control(own!(fn fcntl64(c_int, c_int, usize) -> c_int), fd, command, argument) }
    }

    /// ioctl(2), of which only FIONBIO and FIONCLEX are looked at. It is variadic in C: its argument is a word, wherever it comes from.
    fn ioctl(fd: c_int, request: c_ulong, argument: usize) -> c_int, |_| -> always {
        if request == libc::FIONBIO {
            mode_changes(fd);
        }
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn ioctl(c_int, c_ulong, usize) -> c_int)(fd, request, argument) };
        if [libc::FIONBIO, libc::FIONCLEX].contains(&request) {
            modes_changed();
        }
        result
    }

    /// flock(2). No event tells of a lock that is given back, so it is tried again after pauses.
    fn flock(fd: c_int, operation: c_int) -> c_int, |_| -> kernel {
        // SAFETY: no memory is involved.
        let call = || unsafe { kernel!(libc::SYS_flock, fd, operation | libc::LOCK_NB) };
        let is_nonblocking = operation & libc::LOCK_NB != 0;
        result(retry_with_pauses(|| if is_nonblocking { Err(()) } else { Ok(None) }, call), libc::EAGAIN)
    }

    /// lockf(3).
    fn lockf(fd: c_int, command: c_int, bytes: off_t) -> c_int, |within| -> c {
        // SAFETY: the caller's promise.
        unsafe { lock(own!(fn lockf(c_int, c_int, off_t) -> c_int), within, fd, command, bytes) }
    }

    /// lockf(3) of programs with large files.
    fn lockf64(fd: c_int, command: c_int, bytes: off_t) -> c_int, |within| -> c {
        // SAFETY: the caller's promise.
        unsafe { lock(own!(fn lockf64(c_int, c_int, off_t) -> c_int), within, fd, command, bytes) }
    }
}

/// # Safety
///
/// The arguments are those of fcntl(2), and `own` is libc's.
unsafe fn control(
    own: unsafe extern "C" fn(c_int, c_int, usize) -> c_int,
    fd: c_int,
    command: c_int,
    argument: usize,
) -> c_int {
    // The same locks without waiting.
    let attempt = match command {
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => {
            // SAFETY: the caller's promise.
            let made = unsafe { own(fd, command, argument) };
            if made >= 0 {
                forget(made);
                duplicated(fd, made);
            }
            return made;
        }
        libc::F_SETFL => {
            mode_changes(fd);
            // SAFETY: the caller's promise.
            let result = unsafe { own(fd, command, argument) };
            modes_changed();
            return result;
        }
        libc::F_SETFD if argument & libc::FD_CLOEXEC as usize == 0 => {
            // SAFETY: the caller's promise.
            let result = unsafe { own(fd, command, argument) };
            // exec(2) leaves the file to another program from now on, of which nothing is kept.
            modes_changed();
            return result;
        }
        libc::F_SETLKW => libc::F_SETLK,
        libc::F_OFD_SETLKW => libc::F_OFD_SETLK,
        _ => {
            // SAFETY: the caller's promise.
            return unsafe { own(fd, command, argument) };
        }
    };
    let Some(within) = enter() else {
        // SAFETY: the caller's promise.
        return unsafe { own(fd, command, argument) };
    };
    // SAFETY: the caller's promise.
    let first = unsafe { kernel!(libc::SYS_fcntl, fd, attempt, argument) };
    let locked = if first == failed(libc::EAGAIN) || first == failed(libc::EACCES) {
        // The kernel, which sees deadlocks, has to wait itself. The locks are the process's, or the open file's.
        // SAFETY: the user's argument stays while the fiber waits.
        offload(move || unsafe { kernel!(libc::SYS_fcntl, fd, command, argument) })
    } else {
        first
    };
    drop(within);
    answer(locked) as c_int
}

/// # Safety
///
/// The arguments are those of lockf(3), and `own` is libc's.
unsafe fn lock(
    own: unsafe extern "C" fn(c_int, c_int, off_t) -> c_int,
    within: &Within,
    fd: c_int,
    command: c_int,
    bytes: off_t,
) -> c_int {
    // SAFETY: the caller's promise.
    let call = move || (unsafe { own(fd, command, bytes) }, errno());
    let (result, error) = if command == libc::F_LOCK { offload(call) } else { call() };
    if result < 0 {
        within.fails_with(error);
    }
    result
}
