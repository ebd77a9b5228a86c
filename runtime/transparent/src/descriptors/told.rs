//! What a wait for events tells a fiber that is cancelled, or whose time is up. A program expects few errors of such a wait, and many end the
//! process at any other: libzmq, libuv, libev.
//!
//! * By an eventfd the threads of a process wake each other, as by a condition variable: to a loop that looks, and waits again, it tells EINTR.
//! * A wait for no descriptor is a sleep, and ends as one: in EINTR.
//! * An event loop waits by epoll, or for an eventfd and others. It does not expect that its wait fails; its calls on the descriptors do: so it is
//!   told that their events have come, and those calls end in ECANCELED. A pipe to itself, by which a handler of a signal wakes its loop, is as an eventfd.
//! * Any other wait ends in ECANCELED.

#![expect(unsafe_code, reason = "a system call")]

use std::ffi::c_int;
use std::fs;
use std::path::{Path, PathBuf};

use crate::answer::failed;
use crate::kernel::kernel;

const EVENTFD: &str = "anon_inode:[eventfd]";

/// What file a descriptor is of, in the kernel's words.
fn file_of(fd: c_int) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default()
}

/// Whether this descriptor is an eventfd.
#[cold]
pub(super) fn is_eventfd(fd: c_int) -> bool {
    file_of(fd) == Path::new(EVENTFD)
}

/// Whether this descriptor, of an event loop, is one by which the process wakes itself: an eventfd, or a pipe whose other end it has as well.
#[cold]
pub(super) fn wakes_its_process(fd: c_int) -> bool {
    let file = file_of(fd);
    if !file.as_os_str().as_encoded_bytes().starts_with(b"pipe:") {
        return file == Path::new(EVENTFD);
    }
    // SAFETY: no memory is involved.
    let writes =
        |fd: c_int| unsafe { kernel!(libc::SYS_fcntl, fd, libc::F_GETFL) } & libc::O_ACCMODE as isize != 0;
    let all = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    !writes(fd) && numbers.any(|other| file_of(other) == file && writes(other))
}

/// The result of poll(2) or select(2) for `fds`. `tell` is told for which of them an event is to have come, and returns how many events those are.
#[cold]
pub(super) fn instead_of_cancelled(
    fds: impl Iterator<Item = c_int> + Clone,
    tell: impl FnOnce(&dyn Fn(c_int) -> bool) -> usize,
) -> isize {
    let eventfds: Vec<c_int> = fds.clone().filter(|fd| is_eventfd(*fd)).collect();
    if eventfds.is_empty() && fds.clone().next().is_some() {
        return failed(libc::ECANCELED);
    }
    or_interrupted(tell(&|fd| !eventfds.contains(&fd)))
}

/// The result of a wait that was told so many events.
pub(super) fn or_interrupted(told: usize) -> isize {
    if told > 0 { told as isize } else { failed(libc::EINTR) }
}
