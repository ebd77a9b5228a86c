//! Waits for children. A pidfd tells the end of one child; of any other change no event tells, so the call is repeated after pauses.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_char, c_int};
use std::time::Instant;

use abaca::hook::descriptors::{
    Attempt, Direction, Ended, WaitLimit, close_under, files_shared, forget, is_nonblocking, retry,
};
use abaca::hook::offload_and_leave;
use libc::{
    FILE, WNOHANG, id_t, idtype_t, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t, rusage, siginfo_t,
};

use super::elsewhere::elsewhere;
use super::puts::{number, opened};
use crate::answer::{errno, failed};
use crate::descriptors::pause::retry_with_pauses;
use crate::descriptors::wishes::result;
use crate::enter::{enter, looked};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;
use crate::threads::given::inherited;

hooks! {
    /// wait(2).
    fn wait(status: *mut c_int) -> pid_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { wait_for(-1, status, 0, std::ptr::null_mut()) }
    }

    /// waitpid(2).
    fn waitpid(child: pid_t, status: *mut c_int, options: c_int) -> pid_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { wait_for(child, status, options, std::ptr::null_mut()) }
    }

    /// wait3(2).
    fn wait3(status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { wait_for(-1, status, options, usage) }
    }

    /// wait4(2).
    fn wait4(child: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { wait_for(child, status, options, usage) }
    }

    /// waitid(2).
    fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { wait_for_id(kind, id, info, options) }
    }

    /// posix_spawn(3). The child may get any file of this process, and change its mode.
    fn posix_spawn(
        child: *mut pid_t,
        path: *const c_char,
        actions: *const posix_spawn_file_actions_t,
        attributes: *const posix_spawnattr_t,
        arguments: *const *mut c_char,
        environment: *const *mut c_char,
    ) -> c_int, |_| -> always {
        files_shared();
        let own = own!(fn posix_spawn(
            *mut pid_t, *const c_char, *const posix_spawn_file_actions_t, *const posix_spawnattr_t, *const *mut c_char, *const *mut c_char
        ) -> c_int);
        // SAFETY: the caller's promise.
        inherited(|| unsafe { own(child, path, actions, attributes, arguments, environment) })
    }

    /// posix_spawnp(3), the same.
    fn posix_spawnp(
        child: *mut pid_t,
        file: *const c_char,
        actions: *const posix_spawn_file_actions_t,
        attributes: *const posix_spawnattr_t,
        arguments: *const *mut c_char,
        environment: *const *mut c_char,
    ) -> c_int, |_| -> always {
        files_shared();
        let own = own!(fn posix_spawnp(
            *mut pid_t, *const c_char, *const posix_spawn_file_actions_t, *const posix_spawnattr_t, *const *mut c_char, *const *mut c_char
        ) -> c_int);
        // SAFETY: the caller's promise.
        inherited(|| unsafe { own(child, file, actions, attributes, arguments, environment) })
    }

    /// popen(3), which makes its pipe within libc. The child may get any file of this process, and change its mode.
    fn popen(command: *const c_char, mode: *const c_char) -> *mut FILE, |_| -> always {
        files_shared();
        // SAFETY: the caller's promise.
        let own = || unsafe { own!(fn popen(*const c_char, *const c_char) -> *mut FILE)(command, mode) };
        opened(match enter() {
            Some(within) => elsewhere(&within, own),
            None => own(),
        })
    }

    /// pclose(3), which closes the file within libc. A fiber that is cancelled leaves it to a thread of the pool, which closes the file and waits
    /// for the child.
    fn pclose(file: *mut FILE) -> c_int, |within| -> c {
        struct Given(*mut FILE);
        // SAFETY: the caller's promise.
        let fd = unsafe { number(file) };
        if fd >= 0 {
            close_under(fd);
        }
        // SAFETY: libc's function may be called on any thread; the file is the call's from now on, whatever its result.
        unsafe impl Send for Given {}
        let file = Given(file);
        let closed = offload_and_leave(move || {
            let Given(file) = { file };
            // SAFETY: the caller's promise.
            (unsafe { own!(fn pclose(*mut FILE) -> c_int)(file) }, errno())
        });
        let (status, error) = closed.unwrap_or((-1, libc::ECANCELED));
        if status < 0 {
            within.fails_with(error);
        }
        status
    }
}

/// wait4(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of wait4(2).
pub(super) unsafe fn wait_for(child: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> isize {
    // SAFETY: the caller's promise.
    let call = |options: c_int| unsafe { kernel!(libc::SYS_wait4, child, status, options, usage) };
    if options & WNOHANG != 0 {
        return looked(call(options));
    }
    let attempt = || match call(options | WNOHANG) {
        0 => failed(libc::EAGAIN),
        result => result,
    };
    let tells_all = options & (libc::WUNTRACED | libc::WCONTINUED) == 0;
    until_changed(if tells_all && child > 0 { Some(child) } else { None }, attempt)
}

/// waitid(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of waitid(2).
unsafe fn wait_for_id(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> isize {
    // SAFETY: the caller's promise.
    let call = |info: *mut siginfo_t, options: c_int| unsafe {
        kernel!(libc::SYS_waitid, kind, id, info, options, 0)
    };
    // Through a pidfd in non-blocking mode nobody waits: then it is an error that nothing has changed.
    if options & WNOHANG != 0 || kind == libc::P_PIDFD && is_nonblocking(id as c_int) {
        return looked(call(info, options));
    }
    // SAFETY: all zeros are valid: no signal.
    let mut unasked: siginfo_t = unsafe { std::mem::zeroed() };
    let info = if info.is_null() { &raw mut unasked } else { info };
    let attempt = || {
        // SAFETY: the caller's, or the local. The kernel says that nothing has changed by a number of 0.
        unsafe { *info = std::mem::zeroed() };
        match call(info, options | WNOHANG) {
            // SAFETY: as above.
            0 if unsafe { (*info).si_pid() } == 0 => failed(libc::EAGAIN),
            result => result,
        }
    };
    let tells_all = options & (libc::WSTOPPED | libc::WCONTINUED) == 0;
    match kind {
        libc::P_PID if tells_all => until_changed(pid_t::try_from(id).ok(), attempt),
        libc::P_PIDFD if tells_all => until_readable(id as c_int, attempt),
        _ => until_changed(None, attempt),
    }
}

/// Repeats `attempt` when this child has ended, or `None` after pauses.
fn until_changed(child: Option<pid_t>, mut attempt: impl FnMut() -> isize) -> isize {
    match attempt() {
        result if result != failed(libc::EAGAIN) => return looked(result),
        _ => {}
    }
    // SAFETY: no memory is involved.
    let pidfd = child.map_or(-1, |child| unsafe { kernel!(libc::SYS_pidfd_open, child, 0) });
    if pidfd < 0 {
        return result(retry_with_pauses(for_ever, attempt), libc::EAGAIN);
    }
    let pidfd = pidfd as c_int;
    forget(pidfd);
    let changed = until_readable(pidfd, attempt);
    close_under(pidfd);
    // SAFETY: it is this function's.
    unsafe { kernel!(libc::SYS_close, pidfd) };
    changed
}

fn for_ever() -> Result<Option<Instant>, ()> {
    Ok(None)
}

fn until_readable(pidfd: c_int, mut attempt: impl FnMut() -> isize) -> isize {
    let direction = Direction::Read;
    let ended = retry(Attempt {
        fd: pidfd,
        direction,
        wanted: 0,
        limit: &mut WaitLimit::until(None).restarted(),
        call: |_| attempt(),
    });
    match ended {
        Ended::Unwatchable => result(retry_with_pauses(for_ever, attempt), libc::EAGAIN),
        ended => result(ended, libc::EAGAIN),
    }
}
