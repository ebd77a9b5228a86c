//! sendfile(2), splice(2), tee(2) and vmsplice(2): copies in the kernel. SPLICE_F_NONBLOCK is about pipes; a socket is in non-blocking mode
//! for the time of the call.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_uint};

use abaca::hook::descriptors::{Attempt, Direction, Held, WaitLimit, retry};
use libc::{SPLICE_F_NONBLOCK, iovec, loff_t, off_t, size_t, ssize_t};

use super::kind::{Kind, kind_of};
use super::mode;
use super::poll::look_at;
use super::send::{is_unix_stream, told_first};
use super::shut::unless_shut;
use super::wishes::{is_nonblocking, result};
use crate::answer::failed;
use crate::hooks::hooks;
use crate::kernel::kernel;

hooks! {
    /// sendfile(2).
    fn sendfile(to: c_int, from: c_int, offset: *mut off_t, bytes: size_t) -> ssize_t, |_| -> kernel {
        // SAFETY: the caller's promise.
        unsafe { send_file(to, from, offset, bytes) }
    }

    /// sendfile(2) of programs with large files.
    fn sendfile64(to: c_int, from: c_int, offset: *mut off_t, bytes: size_t) -> ssize_t, |_| -> kernel {
        // SAFETY: the caller's promise.
        unsafe { send_file(to, from, offset, bytes) }
    }

    /// splice(2).
    fn splice(
        from: c_int, from_offset: *mut loff_t, to: c_int, to_offset: *mut loff_t, bytes: size_t, flags: c_uint,
    ) -> ssize_t, |_| -> kernel_point {
        let own_flags = flags | SPLICE_F_NONBLOCK;
        // SAFETY: the caller's promise.
        let call = |from, to| unsafe { kernel!(libc::SYS_splice, from, from_offset, to, to_offset, bytes, own_flags) };
        moved(from, to, flags & SPLICE_F_NONBLOCK != 0, call)
    }

    /// tee(2).
    fn tee(from: c_int, to: c_int, bytes: size_t, flags: c_uint) -> ssize_t, |_| -> kernel_point {
        let own_flags = flags | SPLICE_F_NONBLOCK;
        // SAFETY: no memory is involved.
        let call = |from, to| unsafe { kernel!(libc::SYS_tee, from, to, bytes, own_flags) };
        moved(from, to, flags & SPLICE_F_NONBLOCK != 0, call)
    }

    /// vmsplice(2).
    fn vmsplice(pipe: c_int, list: *const iovec, count: size_t, flags: c_uint) -> ssize_t, |_| -> kernel_point {
        let own_flags = flags | SPLICE_F_NONBLOCK;
        let direction = if is_for_writing(pipe) { Direction::Write } else { Direction::Read };
        // SAFETY: the caller's promise.
        let call = |pipe| unsafe { kernel!(libc::SYS_vmsplice, pipe, list, count, own_flags) };
        let first = call(pipe);
        if first != failed(libc::EAGAIN) || flags & SPLICE_F_NONBLOCK != 0 {
            return crate::enter::looked(first);
        }
        until_ready(pipe, direction, call)
    }
}

/// Whether the file's mode says that its user wants an error instead of a wait. It means nothing for a file on a disk.
fn never_waits(fd: c_int) -> bool {
    is_nonblocking(fd) && kind_of(fd) != Kind::Regular
}

fn is_for_writing(fd: c_int) -> bool {
    // SAFETY: no memory is involved.
    let flags = unsafe { kernel!(libc::SYS_fcntl, fd, libc::F_GETFL) };
    flags >= 0 && flags as c_int & libc::O_ACCMODE != libc::O_RDONLY
}

/// Makes a call while those of the two that are sockets are in non-blocking mode.
fn in_mode(from: c_int, to: c_int, call: impl Fn(c_int, c_int) -> isize) -> isize {
    let call = || call(from, to);
    let with_to = || if kind_of(to) == Kind::Socket { mode::without_waiting(to, call) } else { call() };
    if kind_of(from) == Kind::Socket && from != to { mode::without_waiting(from, with_to) } else { with_to() }
}

/// A copy on a fiber: `call` does not wait for pipes. It goes on with both files if their numbers are closed meanwhile. The user may want an error
/// by a flag, or by the mode of any of the two.
fn moved(from: c_int, to: c_int, wants_errors: bool, call: impl Fn(c_int, c_int) -> isize) -> isize {
    let first = in_mode(from, to, &call);
    if first != failed(libc::EAGAIN) || wants_errors || never_waits(from) || never_waits(to) {
        return crate::enter::looked(first);
    }
    /// What no call returns: it is the other file that is not ready.
    const OTHER: isize = isize::MIN;
    let (from, to) = (Held::of(from), Held::of(to));
    // From a socket that is shut down no more comes: the call does not wait for that.
    let made = |look| {
        let (from, to) = (from.number(), to.number());
        if look == 0 { call(from, to) } else { in_mode(from, to, &call) }
    };
    let is_idle = |fd, events| look_at(fd, events).is_ok_and(|found| found == 0);
    loop {
        // One of the two was not ready.
        let (fd, direction, events) = if is_idle(from.number(), libc::POLLIN) {
            (from.number(), Direction::Read, libc::POLLIN)
        } else {
            (to.number(), Direction::Write, libc::POLLOUT)
        };
        // A socket that is shut down while it is full seems to be full, but to the call.
        let attempt = |fd| {
            if let Some(error) = ended_while_waiting(to.number()) {
                return error;
            }
            match unless_shut(from.number(), made) {
                result if result == failed(libc::EAGAIN) && !is_idle(fd, events) => OTHER,
                result => result,
            }
        };
        match until_ready(fd, direction, attempt) {
            OTHER => abaca::hook::yield_now(),
            result => return result,
        }
    }
}

/// The error of a Unix stream that was shut down or closed while a copy waits for room there. The kernel's call ends in it, and raises no signal, as
/// an attempt would.
fn ended_while_waiting(to: c_int) -> Option<isize> {
    if kind_of(to) != Kind::Socket || !is_unix_stream(to) {
        return None;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: no byte is sent: the kernel says whether there may be any.
    let probe = unsafe { kernel!(libc::SYS_sendto, to, 0, 0, flags, 0, 0) };
    (probe == failed(libc::EPIPE)).then(|| told_first(to).unwrap_or(probe))
}

/// Makes a call until it does not fail with EAGAIN, or as long as the descriptor says.
fn until_ready(fd: c_int, direction: Direction, call: impl FnMut(c_int) -> isize) -> isize {
    let mut limit = WaitLimit::of_waiting_descriptor();
    result(retry(Attempt { fd, direction, wanted: 0, limit: &mut limit, call }), libc::EAGAIN)
}

/// sendfile(2) on a fiber: a copy to a socket takes all.
///
/// # Safety
///
/// The arguments are those of sendfile(2).
unsafe fn send_file(to: c_int, from: c_int, offset: *mut off_t, bytes: usize) -> isize {
    // SAFETY: the caller's promise.
    let call = |to: c_int, from: c_int, bytes: usize| unsafe {
        kernel!(libc::SYS_sendfile, to, from, offset, bytes)
    };
    let kind = kind_of(to);
    match kind {
        Kind::Fifo | Kind::Socket if !is_nonblocking(to) => {}
        _ => return crate::enter::looked(call(to, from, bytes)),
    }
    let mut done = 0;
    let mut held: Option<[Held; 2]> = None;
    loop {
        let [to, from] = held.as_ref().map_or([to, from], |held| held.each_ref().map(Held::number));
        let next = |to, from| mode::without_waiting(to, || call(to, from, bytes - done));
        let part = match next(to, from) {
            result if result == failed(libc::EAGAIN) => {
                // It goes on with both files if their numbers are closed meanwhile.
                let [_, from] = held.get_or_insert_with(|| [to, from].map(Held::of));
                until_ready(to, Direction::Write, |to| {
                    ended_while_waiting(to).unwrap_or_else(|| next(to, from.number()))
                })
            }
            result => crate::enter::looked(result),
        };
        // A pipe takes what there is room for.
        if kind == Kind::Fifo {
            return part;
        }
        if part <= 0 {
            return if done > 0 { done as isize } else { part };
        }
        done += part as usize;
        if done >= bytes {
            return done as isize;
        }
    }
}
