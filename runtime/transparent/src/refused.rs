//! System calls that hooks make where libc's functions do not, or make other ones. A filter of system calls (seccomp) may refuse them, which a program that waits on
//! threads never notices. So they are tried before there are hooks in use: where one is refused, threads stay threads.

#![expect(unsafe_code, reason = "makes system calls")]

use std::ffi::c_long;

use crate::kernel::{call, six};

/// The calls, with arguments with which they change nothing: they are of no descriptor, have flags that there are not, or take no time.
const CALLS: &[(&str, c_long, &[usize])] = &[
    ("gettid", libc::SYS_gettid, &[]),
    ("prlimit64", libc::SYS_prlimit64, &[0, libc::RLIMIT_AS as usize]),
    ("accept4", libc::SYS_accept4, &[NONE]),
    ("recvfrom", libc::SYS_recvfrom, &[NONE]),
    ("recvmsg", libc::SYS_recvmsg, &[NONE]),
    ("sendto", libc::SYS_sendto, &[NONE]),
    ("sendmsg", libc::SYS_sendmsg, &[NONE]),
    ("fcntl", libc::SYS_fcntl, &[NONE, libc::F_GETFL as usize]),
    ("getsockopt", libc::SYS_getsockopt, &[NONE]),
    ("epoll_create1", libc::SYS_epoll_create1, &[NONE]),
    ("epoll_ctl", libc::SYS_epoll_ctl, &[NONE, libc::EPOLL_CTL_DEL as usize, NONE]),
    ("eventfd2", libc::SYS_eventfd2, &[0, NONE]),
    ("timerfd_create", libc::SYS_timerfd_create, &[NONE, NONE]),
];

/// No descriptor, and flags of which there are none.
const NONE: usize = u32::MAX as usize;

/// Whether such a call was made, with whatever result.
fn is_made(result: isize) -> bool {
    ![libc::EPERM, libc::EACCES, libc::ENOSYS].map(crate::answer::failed).contains(&result)
}

/// The first of the calls that is refused.
pub(crate) fn first_refused() -> Option<&'static str> {
    let no_time = [0_i64; 2];
    let waits = [
        ("ppoll", libc::SYS_ppoll, six(&[0, 0, no_time.as_ptr().addr(), 0])),
        (
            "clock_nanosleep",
            libc::SYS_clock_nanosleep,
            six(&[libc::CLOCK_MONOTONIC as usize, 0, no_time.as_ptr().addr()]),
        ),
    ];
    let others = CALLS.iter().map(|(name, number, arguments)| (*name, *number, six(arguments)));
    // SAFETY: the time is a local; all other addresses are null, of which these calls write to none.
    let is_refused = |number: c_long, arguments: [usize; 6]| !is_made(unsafe { call(number, arguments) });
    let mut all = waits.into_iter().chain(others);
    all.find(|(_, number, arguments)| is_refused(*number, *arguments)).map(|(name, ..)| name)
}

/// What is said of such a call.
pub(crate) fn reason(name: &str) -> String {
    format!("the kernel refuses {name}(2), without which fibers cannot wait, as a filter of system calls may")
}
