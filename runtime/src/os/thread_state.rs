//! The state of a thread of this process, from the kernel: whether it runs, or the system call that it is in.

use std::fs;

/// The state of a thread at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadState {
    /// The thread executes code, or waits for a processor.
    Running,
    /// The thread is in the system call with this number.
    InCall(i64),
    /// The thread waits outside of a system call: for a page of memory.
    Faulting,
    /// The kernel does not tell.
    Unknown,
}

/// The state of the thread with this id. The thread is not disturbed.
pub(crate) fn of(thread_id: i32) -> ThreadState {
    let Ok(text) = fs::read_to_string(format!("/proc/self/task/{thread_id}/syscall")) else {
        return ThreadState::Unknown;
    };
    match text.split_whitespace().next() {
        Some("running") => ThreadState::Running,
        Some(number) => number
            .parse()
            .ok()
            .filter(|number| *number >= 0)
            .map_or(ThreadState::Faulting, ThreadState::InCall),
        None => ThreadState::Unknown,
    }
}

/// The program counter and the stack pointer of a thread that is in a system call. `None` if it is in none, or the kernel does not
/// tell.
pub(crate) fn place_of(thread_id: i32) -> Option<(usize, usize)> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread_id}/syscall")).ok()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let address = |word: &str| usize::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    // The number of the call, its six arguments, and the two.
    match words[..] {
        [_, _, _, _, _, _, _, sp, pc] => Some((address(pc)?, address(sp)?)),
        _ => None,
    }
}

/// Whether this is futex(2), in which locks of `std::sync` and of C libraries wait.
pub(crate) fn is_futex(call: i64) -> bool {
    call == libc::SYS_futex
}

/// The name of a system call, if it is one in which programs often wait.
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
