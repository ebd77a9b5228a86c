//! fcntl(2), and locks of files.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_ulong};

use abaca::hook::descriptors::{duplicated, forget, mode_changes, modes_changed};
use libc::off_t;

use super::pause::retry_on_file;
use super::wishes::result;
use crate::answer::{answer, errno, failed};
use crate::calls::attempts::{Handlers, wait_elsewhere};
use crate::enter::{Within, enter};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;
use crate::threads::{CancellationPoint, owned_by_caller};

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
        let call = |fd| unsafe { kernel!(libc::SYS_flock, fd, operation | libc::LOCK_NB) };
        let is_nonblocking = operation & libc::LOCK_NB != 0;
        result(retry_on_file(fd, || if is_nonblocking { Err(()) } else { Ok(None) }, call), libc::EAGAIN)
    }

    /// lockf(3).
    fn lockf(fd: c_int, command: c_int, bytes: off_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { lock(own!(fn lockf(c_int, c_int, off_t) -> c_int), fd, command, bytes) }
    }

    /// lockf(3) of programs with large files.
    fn lockf64(fd: c_int, command: c_int, bytes: off_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { lock(own!(fn lockf64(c_int, c_int, off_t) -> c_int), fd, command, bytes) }
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
            // SAFETY: the caller's promise, here and below.
            let result = unsafe { own(fd, command, argument) };
            let is_unknown = result < 0 && errno() == libc::ESRCH;
            // SAFETY: as above.
            let again = is_unknown.then(|| unsafe { owned_by_caller(fd, command, argument) }).flatten();
            return again.map_or(result, |result| answer(result) as c_int);
        }
    };
    let Some(within) = enter() else {
        // SAFETY: the caller's promise.
        return unsafe { own(fd, command, argument) };
    };
    // SAFETY: the caller's promise.
    waits(within, || unsafe { wait_for_lock(fd, attempt, command, argument) })
}

/// Tries to get a lock of bytes by the command `attempt`, and waits for it by `command`.
///
/// # Safety
///
/// The argument is that of these commands of fcntl(2).
unsafe fn wait_for_lock(fd: c_int, attempt: c_int, command: c_int, argument: usize) -> isize {
    // SAFETY: the caller's promise.
    let first = unsafe { kernel!(libc::SYS_fcntl, fd, attempt, argument) };
    if first != failed(libc::EAGAIN) && first != failed(libc::EACCES) {
        return first;
    }
    // The kernel, which sees deadlocks, has to wait itself. The locks are the process's, or the open file's.
    // SAFETY: the user's argument stays while the fiber waits. A lock that is given up was not got.
    unsafe {
        wait_elsewhere(Handlers::EndUnlessRestarted, || kernel!(libc::SYS_fcntl, fd, command, argument))
    }
}

/// lockf(3), which waits, and is a cancellation point, by F_LOCK only.
///
/// # Safety
///
/// `own` is libc's.
unsafe fn lock(
    own: unsafe extern "C" fn(c_int, c_int, off_t) -> c_int,
    fd: c_int,
    command: c_int,
    bytes: off_t,
) -> c_int {
    let Some(within) = Some(command).filter(|command| *command == libc::F_LOCK).and_then(|_| enter()) else {
        // SAFETY: the caller's promise.
        return unsafe { own(fd, command, bytes) };
    };
    // SAFETY: numbers, for which all zeros are valid.
    let mut wanted: libc::flock = unsafe { std::mem::zeroed() };
    (wanted.l_type, wanted.l_whence, wanted.l_len) = (libc::F_WRLCK as i16, libc::SEEK_CUR as i16, bytes);
    let wanted = (&raw const wanted).addr();
    // SAFETY: the structure stays while the fiber waits.
    waits(within, || unsafe { wait_for_lock(fd, libc::F_SETLK, libc::F_SETLKW, wanted) })
}

/// Makes a call of the kernel's that waits, and is a cancellation point.
fn waits(within: Within, call: impl FnOnce() -> isize) -> c_int {
    let point = CancellationPoint::of(&within);
    let result = point.call(call);
    drop(within);
    point.test();
    answer(result) as c_int
}
