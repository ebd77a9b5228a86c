//! recv(2) and its kin: with MSG_DONTWAIT they do not wait, whatever mode the socket is in.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_void};

use abaca::hook::descriptors::{AFTER_PART, Attempt, Direction, Ended, WaitLimit, retry};
use libc::{
    MSG_DONTWAIT, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, MSG_WAITALL, size_t, sockaddr, socklen_t,
    ssize_t,
};

use super::broken::{is_broken_and_empty, kept};
use super::options::{least, may_have_least};
use super::send::after_part;
use super::shut::unless_shut;
use super::wishes::result;
use crate::answer::{failed, of_c};
use crate::enter::looked;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// The flags with which a call does not wait.
pub(super) const NEVER_WAITS: c_int = MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB;

hooks! {
    /// recv(2).
    fn recv(fd: c_int, buffer: *mut c_void, bytes: size_t, flags: c_int) -> ssize_t, |_| -> kernel_point {
        if flags & (NEVER_WAITS | MSG_WAITALL) != 0 || bytes == 0 || may_have_least() {
            // SAFETY: the caller's promise.
            return unsafe { receive(fd, buffer, bytes, flags, std::ptr::null_mut(), std::ptr::null_mut()) };
        }
        if let Some(error) = kept(fd) {
            return error;
        }
        let mut limit = WaitLimit::of_descriptor();
        // As `receive_some`, with less to keep on the stack of a fiber that waits.
        let ended = retry(Attempt {
            fd,
            direction: Direction::Read,
            wanted: wanted(bytes, flags),
            limit: &mut limit,
            call: |fd| unless_shut(fd, |look| {
                // SAFETY: the caller's promise.
                unsafe { kernel!(libc::SYS_recvfrom, fd, buffer, bytes, flags | look, 0, 0) }
            }),
        });
        result(ended, libc::EAGAIN)
    }

    /// recvfrom(2).
    fn recvfrom(
        fd: c_int, buffer: *mut c_void, bytes: size_t, flags: c_int, address: *mut sockaddr, address_bytes: *mut socklen_t,
    ) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { receive(fd, buffer, bytes, flags, address, address_bytes) }
    }

    /// recv(2) of a program that checks its buffers (`_FORTIFY_SOURCE`).
    fn __recv_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, room: size_t, flags: c_int) -> ssize_t, |_| -> kernel_point {
        if bytes > room {
            // It ends the process.
            // SAFETY: the caller's promise.
            return unsafe { of_c(own!(fn __recv_chk(c_int, *mut c_void, size_t, size_t, c_int) -> ssize_t)(fd, buffer, bytes, room, flags)) };
        }
        // SAFETY: the caller's promise.
        unsafe { receive(fd, buffer, bytes, flags, std::ptr::null_mut(), std::ptr::null_mut()) }
    }

    /// recvfrom(2) of a program that checks its buffers.
    fn __recvfrom_chk(
        fd: c_int, buffer: *mut c_void, bytes: size_t, room: size_t, flags: c_int, address: *mut sockaddr,
        address_bytes: *mut socklen_t,
    ) -> ssize_t, |_| -> kernel_point {
        if bytes > room {
            // SAFETY: the caller's promise.
            return unsafe {
                of_c(own!(fn __recvfrom_chk(c_int, *mut c_void, size_t, size_t, c_int, *mut sockaddr, *mut socklen_t) -> ssize_t)(
                    fd, buffer, bytes, room, flags, address, address_bytes,
                ))
            };
        }
        // SAFETY: the caller's promise.
        unsafe { receive(fd, buffer, bytes, flags, address, address_bytes) }
    }
}

/// recvfrom(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of recvfrom(2).
#[inline]
pub(super) unsafe fn receive(
    fd: c_int,
    buffer: *mut c_void,
    bytes: usize,
    flags: c_int,
    address: *mut sockaddr,
    address_bytes: *mut socklen_t,
) -> isize {
    if let Some(error) = kept(fd) {
        return error;
    }
    if flags & NEVER_WAITS != 0 {
        // SAFETY: the caller's promise.
        return looked(unsafe {
            kernel!(libc::SYS_recvfrom, fd, buffer, bytes, flags, address, address_bytes)
        });
    }
    let mut limit = WaitLimit::of_descriptor();
    if bytes == 0 {
        // SAFETY: the caller's promise.
        let call = |fd, look| unsafe {
            kernel!(libc::SYS_recvfrom, fd, buffer, 0, flags | look, address, address_bytes)
        };
        return receive_nothing(fd, &mut limit, call);
    }
    let least = if flags & MSG_WAITALL == 0 { least(fd).min(bytes) } else { bytes };
    if least <= 1 || flags & MSG_WAITALL != 0 && !is_stream(fd) {
        // SAFETY: the caller's promise.
        return unsafe { receive_some(fd, buffer, bytes, flags, address, address_bytes, &mut limit) };
    }
    if flags & MSG_PEEK != 0 && !waits_for_a_peek(fd) {
        // SAFETY: the caller's promise.
        return unsafe { receive_some(fd, buffer, bytes, flags, address, address_bytes, &mut limit) };
    }
    if flags & MSG_PEEK != 0 {
        // SAFETY: the caller's promise.
        return unsafe { peek_least(fd, buffer, (bytes, least), flags & !MSG_WAITALL, &mut limit) };
    }
    let mut done = 0;
    let call = |fd| loop {
        if done > 0 && is_broken_and_empty(fd) {
            return 0;
        }
        let rest = buffer.wrapping_byte_add(done);
        let flags = flags & !MSG_WAITALL | MSG_DONTWAIT;
        // SAFETY: the caller's promise; the rest of the buffer.
        let moved =
            unsafe { kernel!(libc::SYS_recvfrom, fd, rest, bytes - done, flags, address, address_bytes) };
        if moved <= 0 {
            return after_part(fd, moved, done);
        }
        done += moved as usize;
        if done >= least {
            return moved;
        }
    };
    let ended = retry(Attempt { fd, direction: Direction::Read, wanted: 0, limit: &mut limit, call });
    match result(ended, libc::EAGAIN) {
        moved if done == 0 => moved,
        _ => done as isize,
    }
}

/// recvfrom(2) without room for a byte, which `call` makes with a flag more.
#[cold]
fn receive_nothing(fd: c_int, limit: &mut WaitLimit, mut call: impl FnMut(c_int, c_int) -> isize) -> isize {
    let is_tcp = is_tcp(fd);
    let call = |fd| match unless_shut(fd, |look| call(fd, look)) {
        result if is_tcp && result == failed(libc::EAGAIN) => AFTER_PART,
        result => result,
    };
    match retry(Attempt { fd, direction: Direction::Read, wanted: 0, limit, call }) {
        ended if is_tcp => ended_nothing(ended),
        ended => result(ended, libc::EAGAIN),
    }
}

/// How a call of TCP's without room for a byte ends, which has told [`AFTER_PART`]: its first wait is the end, however that ends.
pub(super) fn ended_nothing(ended: Ended) -> isize {
    match ended {
        Ended::TimedOut | Ended::Interrupted => 0,
        ended => result(ended, libc::EAGAIN),
    }
}

pub(super) fn is_tcp(fd: c_int) -> bool {
    is_stream(fd) && super::connect::option(fd, libc::SO_PROTOCOL) == Some(libc::IPPROTO_TCP)
}

/// How many bytes a call wants, for which fewer mean that there are no more; 0 if they do not mean that.
#[inline]
fn wanted(bytes: usize, flags: c_int) -> usize {
    if flags & !MSG_NOSIGNAL == 0 { bytes } else { 0 }
}

/// One recvfrom(2) that waits for something.
///
/// # Safety
///
/// The arguments are those of recvfrom(2).
#[inline]
unsafe fn receive_some(
    fd: c_int,
    buffer: *mut c_void,
    bytes: usize,
    flags: c_int,
    address: *mut sockaddr,
    address_bytes: *mut socklen_t,
    limit: &mut WaitLimit,
) -> isize {
    let ended = retry(Attempt {
        fd,
        direction: Direction::Read,
        wanted: wanted(bytes, flags),
        limit,
        call: move |fd| {
            unless_shut(fd, |look| {
                // SAFETY: the caller's promise.
                unsafe {
                    kernel!(libc::SYS_recvfrom, fd, buffer, bytes, flags | look, address, address_bytes)
                }
            })
        },
    });
    result(ended, libc::EAGAIN)
}

/// MSG_PEEK with MSG_WAITALL or a least number: waits until so many bytes are there.
///
/// # Safety
///
/// The buffer has room for so many bytes.
unsafe fn peek_least(
    fd: c_int,
    buffer: *mut c_void,
    (bytes, least): (usize, usize),
    flags: c_int,
    limit: &mut WaitLimit,
) -> isize {
    let mut before = 0;
    let ended = retry(Attempt {
        fd,
        direction: Direction::Read,
        wanted: 0,
        limit,
        call: |fd| {
            // SAFETY: the caller's promise.
            let found = unsafe { kernel!(libc::SYS_recvfrom, fd, buffer, bytes, flags | MSG_DONTWAIT, 0, 0) };
            if found <= 0 || found as usize >= least || has_ended(fd) {
                return found;
            }
            before = found;
            failed(libc::EAGAIN)
        },
    });
    match result(ended, libc::EAGAIN) {
        error if error < 0 && before > 0 => before,
        found => found,
    }
}

/// Whether a stream's peek waits for all: a Unix stream's does not.
pub(super) fn waits_for_a_peek(fd: c_int) -> bool {
    super::connect::option(fd, libc::SO_DOMAIN) != Some(libc::AF_UNIX)
}

/// Whether the peer sends no more.
pub(super) fn has_ended(fd: c_int) -> bool {
    let events = libc::POLLRDHUP;
    super::poll::look_at(fd, events).is_ok_and(|found| found & (events | libc::POLLHUP | libc::POLLERR) != 0)
}

/// Whether the descriptor is a stream socket.
pub(super) fn is_stream(fd: c_int) -> bool {
    super::connect::option(fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM)
}
