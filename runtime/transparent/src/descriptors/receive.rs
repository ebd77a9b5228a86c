//! recv(2) and its kin: with MSG_DONTWAIT they do not wait, whatever mode the socket is in.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_uint, c_void};
use std::time::{Duration, Instant};

use abaca::hook::descriptors::{Attempt, Direction, WaitLimit, retry};
use libc::{
    MSG_DONTWAIT, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, MSG_WAITALL, MSG_WAITFORONE, mmsghdr,
    msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec,
};

use super::broken::is_broken_and_empty;
use super::options::{least, may_have_least};
use super::rights::forget_received;
use super::shut::unless_shut;
use super::vectors::Vectors;
use super::wishes::result;
use crate::answer::{failed, of_c};
use crate::enter::looked;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// The flags with which a call does not wait.
const NEVER_WAITS: c_int = MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB;

hooks! {
    /// recv(2).
    fn recv(fd: c_int, buffer: *mut c_void, bytes: size_t, flags: c_int) -> ssize_t, |_| -> kernel_point {
        if flags & (NEVER_WAITS | MSG_WAITALL) != 0 || may_have_least() {
            // SAFETY: the caller's promise.
            return unsafe { receive(fd, buffer, bytes, flags, std::ptr::null_mut(), std::ptr::null_mut()) };
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

    /// recvmsg(2).
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { receive_message(fd, message, flags, &mut WaitLimit::of_descriptor()) }
    }

    /// recvmmsg(2).
    fn recvmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { receive_messages(fd, messages, count, flags, timeout) }
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
    if flags & NEVER_WAITS != 0 {
        // SAFETY: the caller's promise.
        return looked(unsafe {
            kernel!(libc::SYS_recvfrom, fd, buffer, bytes, flags, address, address_bytes)
        });
    }
    let mut limit = WaitLimit::of_descriptor();
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
    loop {
        let rest = buffer.wrapping_byte_add(done);
        let call = |fd| {
            if done > 0 && is_broken_and_empty(fd) {
                return 0;
            }
            let flags = flags & !MSG_WAITALL | MSG_DONTWAIT;
            // SAFETY: the caller's promise; the rest of the buffer.
            unsafe { kernel!(libc::SYS_recvfrom, fd, rest, bytes - done, flags, address, address_bytes) }
        };
        let ended = retry(Attempt { fd, direction: Direction::Read, wanted: 0, limit: &mut limit, call });
        let moved = result(ended, libc::EAGAIN);
        if moved <= 0 {
            return if done > 0 { done as isize } else { moved };
        }
        done += moved as usize;
        if done >= least {
            return done as isize;
        }
    }
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
pub(super) unsafe fn receive_some(
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
                unsafe { kernel!(libc::SYS_recvfrom, fd, buffer, bytes, flags | look, address, address_bytes) }
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

/// For how many bytes a header's buffers have room.
///
/// # Safety
///
/// The header is one that recvmsg(2) has taken.
unsafe fn room(message: *const msghdr) -> usize {
    // SAFETY: the caller's promise.
    unsafe { Vectors::of((*message).msg_iov, (*message).msg_iovlen) }.bytes()
}

/// Whether a stream's peek waits for all: a Unix stream's does not.
fn waits_for_a_peek(fd: c_int) -> bool {
    super::connect::option(fd, libc::SO_DOMAIN) != Some(libc::AF_UNIX)
}

/// Whether the peer sends no more.
fn has_ended(fd: c_int) -> bool {
    let events = libc::POLLRDHUP;
    super::poll::look_at(fd, events).is_ok_and(|found| found & (events | libc::POLLHUP | libc::POLLERR) != 0)
}

/// Whether the descriptor is a stream socket.
pub(super) fn is_stream(fd: c_int) -> bool {
    super::connect::option(fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM)
}

/// recvmsg(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of recvmsg(2).
pub(super) unsafe fn receive_message(fd: c_int, message: *mut msghdr, flags: c_int, limit: &mut WaitLimit) -> isize {
    // SAFETY: the caller's promise.
    let call = |fd, flags| unsafe { kernel!(libc::SYS_recvmsg, fd, message, flags) };
    // Where the control data goes, if the first part brings none.
    // SAFETY: null, or the user's.
    let control = unsafe { message.as_ref() }.map(|header| (header.msg_control, header.msg_controllen));
    let moved = if flags & NEVER_WAITS != 0 {
        looked(call(fd, flags))
    } else {
        // A peek begins anew each time.
        let least = match flags & (MSG_PEEK | MSG_WAITALL) {
            0 | MSG_WAITALL => 1,
            MSG_PEEK => least(fd),
            _ => usize::MAX,
        };
        let peeks = least > 1 && is_stream(fd) && waits_for_a_peek(fd);
        let flags = flags & !MSG_WAITALL;
        let call = |fd| {
            let found = unless_shut(fd, |look| call(fd, flags | look));
            // SAFETY: the header is the user's, and the kernel has used it.
            if !peeks || found <= 0 || has_ended(fd) || found as usize >= unsafe { room(message) }.min(least) {
                return found;
            }
            if let Some((_, bytes)) = control {
                // SAFETY: as above.
                unsafe { (*message).msg_controllen = bytes };
            }
            failed(libc::EAGAIN)
        };
        let ended = retry(Attempt { fd, direction: Direction::Read, wanted: 0, limit, call });
        result(ended, libc::EAGAIN)
    };
    if moved < 0 {
        return moved;
    }
    // SAFETY: the kernel has filled the header in, which is the user's.
    let header = unsafe { &mut *message };
    // SAFETY: as above.
    let mut has_rights = unsafe { forget_received(header) };
    if flags & (NEVER_WAITS | MSG_PEEK) != 0 || moved <= 0 {
        return moved;
    }
    let least = if flags & MSG_WAITALL == 0 { least(fd) } else { usize::MAX };
    if least <= moved as usize || flags & MSG_WAITALL != 0 && !is_stream(fd) {
        return moved;
    }
    // SAFETY: the header has so many buffers.
    let mut rest = unsafe { Vectors::of(header.msg_iov, header.msg_iovlen) };
    let mut done = moved as usize;
    rest.advance(done);
    // What brings descriptors is the last part, in the kernel as well: there is room for one list of them.
    while rest.bytes() > 0 && done < least && !has_rights {
        let (msg_control, msg_controllen) = control.unwrap_or((std::ptr::null_mut(), 0));
        let mut part = msghdr {
            msg_name: std::ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: rest.pointer().cast_mut(),
            msg_iovlen: rest.count() as _,
            msg_control,
            msg_controllen,
            ..*header
        };
        let flags = flags & !MSG_WAITALL | MSG_DONTWAIT;
        // SAFETY: the rest of the user's buffers, and the room for control data.
        let call = |fd| unsafe {
            if is_broken_and_empty(fd) { 0 } else { kernel!(libc::SYS_recvmsg, fd, &raw mut part, flags) }
        };
        let ended = retry(Attempt { fd, direction: Direction::Read, wanted: 0, limit, call });
        let moved = result(ended, libc::EAGAIN);
        if moved <= 0 {
            break;
        }
        done += moved as usize;
        rest.advance(moved as usize);
        if part.msg_controllen > 0 {
            header.msg_controllen = part.msg_controllen;
        }
        header.msg_flags |= part.msg_flags;
        // SAFETY: the kernel has filled it in.
        has_rights = unsafe { forget_received(&part) };
    }
    done as isize
}

/// recvmmsg(2) on a fiber: as the kernel's, it looks at the time only when something has come.
///
/// # Safety
///
/// The arguments are those of recvmmsg(2).
unsafe fn receive_messages(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> isize {
    // SAFETY: null, or the user's.
    let timeout = unsafe { timeout.as_mut() };
    if timeout.as_ref().is_some_and(|time| time.tv_sec < 0 || !(0..1_000_000_000).contains(&time.tv_nsec)) {
        return failed(libc::EINVAL);
    }
    let end = timeout
        .as_ref()
        .and_then(|time| Instant::now().checked_add(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)));
    if messages.is_null() {
        // The kernel refuses it, if there are to be some.
        // SAFETY: the caller's promise.
        return unsafe { kernel!(libc::SYS_recvmmsg, fd, messages, count, flags | MSG_DONTWAIT, 0) };
    }
    let mut flags = flags;
    let mut done = 0;
    let mut error = 0;
    while done < count {
        // SAFETY: the user's array has so many elements.
        let message = unsafe { &mut *messages.add(done as usize) };
        let own_flags = flags & !MSG_WAITFORONE;
        // SAFETY: the header is the user's.
        let moved =
            unsafe { receive_message(fd, &mut message.msg_hdr, own_flags, &mut WaitLimit::of_descriptor()) };
        if moved < 0 {
            error = moved;
            break;
        }
        message.msg_len = moved as c_uint;
        done += 1;
        if flags & MSG_WAITFORONE != 0 {
            flags |= MSG_DONTWAIT;
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            break;
        }
    }
    if let (Some(end), Some(timeout)) = (end, timeout)
        && done > 0
    {
        let left = end.saturating_duration_since(Instant::now());
        (timeout.tv_sec, timeout.tv_nsec) = (left.as_secs() as i64, i64::from(left.subsec_nanos()));
    }
    if done > 0 { done as isize } else { error }
}
