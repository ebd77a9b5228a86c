//! What a wait for events tells a fiber that is cancelled, or whose time is up. A program expects few errors of such a wait, and many end the
//! process at any other: libzmq, libuv, libev.
//!
//! * By an eventfd the threads of a process wake each other, as by a condition variable: to a loop that looks, and waits again, it tells EINTR.
//! * A wait for no descriptor is a sleep, and ends as one: in EINTR.
//! * An event loop waits for eventfds and for others, or by epoll. It does not expect that its wait fails; its calls on the descriptors do: so it is
//!   told that their events have come, and those calls end in ECANCELED.
//! * Any other wait ends in ECANCELED.

use std::ffi::c_int;
use std::fs;
use std::path::Path;

use crate::answer::failed;

/// Whether this descriptor is an eventfd.
#[cold]
pub(super) fn is_eventfd(fd: c_int) -> bool {
    fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|file| file == Path::new("anon_inode:[eventfd]"))
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
