//! What the kernel says of a thread of this process: whether it runs or in which system call it is.

use std::fs;

/// What a thread does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It executes code, or waits for a processor to do so.
    Runs,
    /// It is in a system call of this number.
    Calls(i64),
    /// The kernel does not say.
    Unknown,
}

/// What the thread with this id does. It is not disturbed.
pub(crate) fn doing(thread_id: i32) -> Doing {
    let Ok(text) = fs::read_to_string(format!("/proc/self/task/{thread_id}/syscall")) else {
        return Doing::Unknown;
    };
    match text.split_whitespace().next() {
        Some("running") => Doing::Runs,
        Some(number) => number.parse().ok().filter(|number| *number >= 0).map_or(Doing::Runs, Doing::Calls),
        None => Doing::Unknown,
    }
}

/// Whether that call is the one in which locks of `std::sync` and of C libraries wait.
pub(crate) fn is_futex(call: i64) -> bool {
    call == libc::SYS_futex
}

/// The names of calls in which programs wait.
pub(crate) fn name_of(call: i64) -> Option<&'static str> {
    let names = [
        (libc::SYS_futex, "futex"),
        (libc::SYS_read, "read"),
        (libc::SYS_write, "write"),
        (libc::SYS_readv, "readv"),
        (libc::SYS_writev, "writev"),
        (libc::SYS_pread64, "pread"),
        (libc::SYS_pwrite64, "pwrite"),
        (libc::SYS_ppoll, "ppoll"),
        (libc::SYS_pselect6, "pselect"),
        (libc::SYS_epoll_pwait, "epoll_pwait"),
        (libc::SYS_recvfrom, "recv"),
        (libc::SYS_recvmsg, "recvmsg"),
        (libc::SYS_sendto, "send"),
        (libc::SYS_sendmsg, "sendmsg"),
        (libc::SYS_connect, "connect"),
        (libc::SYS_accept4, "accept"),
        (libc::SYS_nanosleep, "nanosleep"),
        (libc::SYS_clock_nanosleep, "clock_nanosleep"),
        (libc::SYS_wait4, "wait4"),
        (libc::SYS_waitid, "waitid"),
        (libc::SYS_openat, "openat"),
        (libc::SYS_close, "close"),
        (libc::SYS_fsync, "fsync"),
        (libc::SYS_fdatasync, "fdatasync"),
        (libc::SYS_flock, "flock"),
        (libc::SYS_fcntl, "fcntl"),
    ];
    #[cfg(target_arch = "x86_64")]
    let older = [
        (libc::SYS_poll, "poll"),
        (libc::SYS_select, "select"),
        (libc::SYS_epoll_wait, "epoll_wait"),
        (libc::SYS_accept, "accept"),
        (libc::SYS_open, "open"),
        (libc::SYS_pause, "pause"),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let older: [(i64, &str); 0] = [];
    names.into_iter().chain(older).find(|(number, _)| *number == call).map(|(_, name)| name)
}
