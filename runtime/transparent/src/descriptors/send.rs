//! send(2) and its kin. A call that waits moves all bytes, so the parts that calls which do not wait move are put together.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_uint, c_void};

use abaca::hook::descriptors::{AFTER_PART, Attempt, Direction, Ended, WaitLimit, retry};
use libc::{MSG_DONTWAIT, MSG_FASTOPEN, MSG_NOSIGNAL, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t};

use super::broken::{is_broken, keep, kept};
use super::pause::retry_on_file;
use super::rights::note_sent;
use super::vectors::Vectors;
use super::wishes::{deadline, is_nonblocking, result};
use crate::answer::failed;
use crate::enter::looked;
use crate::hooks::{hook_body, hooks};
use crate::kernel::kernel;

hooks! {
    /// send(2).
    fn send(fd: c_int, buffer: *const c_void, bytes: size_t, flags: c_int) -> ssize_t, |_| -> kernel_point {
        if let Some(error) = kept(fd) {
            return error;
        }
        // SAFETY: the caller's promise.
        let moved = unsafe { kernel!(libc::SYS_sendto, fd, buffer, bytes, flags | MSG_DONTWAIT, 0, 0) };
        if (moved >= 0 && moved as usize >= bytes) || flags & MSG_DONTWAIT != 0 {
            return looked(moved);
        }
        // SAFETY: the caller's promise.
        unsafe { send_the_rest(fd, buffer, bytes, flags, moved) }
    }

    /// sendto(2).
    fn sendto(
        fd: c_int, buffer: *const c_void, bytes: size_t, flags: c_int, address: *const sockaddr, address_bytes: socklen_t,
    ) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { send_all(fd, buffer, bytes, flags, address, address_bytes) }
    }

    /// sendmsg(2). What it sends of descriptors is noted wherever the caller runs.
    fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t, |_| -> always {
        // SAFETY: the caller's promise, here and below. The kernel refuses a null pointer.
        unsafe { message.as_ref().inspect(|message| note_sent(message)) };
        // SAFETY: as above.
        unsafe { send_one(fd, message, flags) }
    }

    /// sendmmsg(2), the same.
    fn sendmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int, |_| -> always {
        for index in 0..if messages.is_null() { 0 } else { count as usize } {
            // SAFETY: the user's array has so many elements.
            unsafe { note_sent(&(*messages.add(index)).msg_hdr) };
        }
        // SAFETY: the caller's promise.
        unsafe { send_several(fd, messages, count, flags) }
    }
}

/// # Safety
///
/// As sendmsg(2).
unsafe fn send_one(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    hook_body!(kernel_point sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t, _, {
        // SAFETY: the caller's promise.
        unsafe { send_message(fd, message, flags) }
    })
}

/// # Safety
///
/// As sendmmsg(2).
unsafe fn send_several(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int {
    hook_body!(kernel_point sendmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int, _, {
        if messages.is_null() {
            // The kernel refuses it, if there are to be some.
            // SAFETY: the caller's promise.
            return unsafe { kernel!(libc::SYS_sendmmsg, fd, messages, count, flags) };
        }
        let mut done = 0;
        // The kernel takes no more at once.
        while done < count.min(libc::UIO_MAXIOV as c_uint) {
            // SAFETY: the user's array has so many elements.
            let message = unsafe { &mut *messages.add(done as usize) };
            // SAFETY: the header is the user's.
            let moved = unsafe { send_message(fd, &message.msg_hdr, flags) };
            if moved < 0 {
                if done == 0 {
                    return moved;
                }
                break;
            }
            message.msg_len = moved as c_uint;
            done += 1;
        }
        done as isize
    })
}

/// The flags of a part, and whether it has the address. What connects a socket by what it sends (MSG_FASTOPEN) does so with its first part: a
/// call that does not wait says EINPROGRESS if none could be sent with the request, and is repeated. A call that has sent a part raises no SIGPIPE.
#[inline]
pub(super) fn of_part(flags: c_int, before: Before) -> (c_int, bool) {
    match before {
        Before { done: 0, is_quiet: false } => (flags, true),
        Before { done: 0, is_quiet: true } => (flags | MSG_NOSIGNAL, true),
        _ => (flags & !MSG_FASTOPEN | MSG_NOSIGNAL, flags & MSG_FASTOPEN == 0),
    }
}

/// What has become of a call before an attempt.
#[derive(Clone, Copy)]
pub(super) struct Before {
    /// How many bytes it has moved.
    pub(super) done: usize,
    /// It has waited for room in a Unix stream: there the kernel's own call raises no signal afterwards.
    is_quiet: bool,
}

impl Before {
    /// Of a first attempt.
    pub(super) const NOTHING: Self = Self { done: 0, is_quiet: false };

    /// Whether SIGPIPE is not for this attempt.
    pub(super) fn raises_no_signal(self) -> bool {
        self.done > 0 || self.is_quiet
    }
}

/// Whether a call has this result because its socket is about to be connected by it.
fn is_opening(result: isize) -> bool {
    result == failed(libc::EINPROGRESS) || result == failed(libc::EALREADY)
}

/// The result of an attempt of a call that has moved so many bytes before, and now none.
#[inline]
pub(super) fn after_part(fd: c_int, result: isize, done: usize) -> isize {
    match result {
        _ if done == 0 => result,
        result if result == failed(libc::EAGAIN) => AFTER_PART,
        result => {
            keep(fd, result);
            result
        }
    }
}

/// Makes a call that moves a part of what is left, until all of `bytes` is moved. `call` gets the number, and what was before. An error after a part is
/// the part.
#[inline]
pub(super) fn whole(fd: c_int, bytes: usize, mut call: impl FnMut(c_int, Before) -> isize) -> isize {
    let mut limit = WaitLimit::of_descriptor();
    let mut done = 0;
    let mut has_waited = false;
    let mut timed_out = libc::EAGAIN;
    let ended = retry(Attempt {
        fd,
        direction: Direction::Write,
        wanted: 0,
        limit: &mut limit,
        call: |fd| loop {
            if done > 0 && is_broken(fd) {
                return failed(libc::EPIPE);
            }
            // It moves parts until one is the last, or nothing more would be moved without waiting.
            let is_quiet = has_waited && done == 0 && is_unix_stream(fd);
            let moved = call(fd, Before { done, is_quiet });
            if is_quiet && moved == failed(libc::EPIPE) {
                return told_first(fd).unwrap_or(moved);
            }
            has_waited = true;
            if is_opening(moved) && !is_nonblocking(fd) {
                timed_out = libc::EINPROGRESS;
                return failed(libc::EAGAIN);
            }
            if moved <= 0 {
                return after_part(fd, moved, done);
            }
            done += moved as usize;
            if done >= bytes {
                return moved;
            }
        },
    });
    match result(ended, timed_out) {
        moved if done == 0 => moved,
        _ => done as isize,
    }
}

/// sendto(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of sendto(2).
#[inline]
pub(super) unsafe fn send_all(
    fd: c_int,
    buffer: *const c_void,
    bytes: usize,
    flags: c_int,
    address: *const sockaddr,
    address_bytes: socklen_t,
) -> isize {
    let call = move |fd: c_int, before: Before| {
        let done = before.done;
        let rest = buffer.wrapping_byte_add(done);
        let (flags, has_address) = of_part(flags | MSG_DONTWAIT, before);
        let (address, address_bytes) =
            if has_address { (address, address_bytes) } else { (std::ptr::null(), 0) };
        // SAFETY: the caller's promise; the rest of the buffer.
        unsafe { kernel!(libc::SYS_sendto, fd, rest, bytes - done, flags, address, address_bytes) }
    };
    if let Some(error) = kept(fd) {
        return error;
    }
    if flags & MSG_DONTWAIT != 0 {
        return looked(call(fd, Before::NOTHING));
    }
    if !address.is_null() && is_unix(fd) {
        return pausing(fd, |fd| call(fd, Before::NOTHING));
    }
    whole(fd, bytes, call)
}

/// send(2) on a fiber, whose first attempt without waiting has had this result: an error, or a part.
///
/// # Safety
///
/// The arguments are those of send(2).
#[cold]
#[inline(never)]
unsafe fn send_the_rest(fd: c_int, buffer: *const c_void, bytes: usize, flags: c_int, first: isize) -> isize {
    let mut first = Some(first);
    whole(fd, bytes, |fd, before| {
        first.take().unwrap_or_else(|| {
            let rest = buffer.wrapping_byte_add(before.done);
            let (flags, _) = of_part(flags | MSG_DONTWAIT, before);
            // SAFETY: the caller's promise; the rest of the buffer.
            unsafe { kernel!(libc::SYS_sendto, fd, rest, bytes - before.done, flags, 0, 0) }
        })
    })
}

/// sendmsg(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of sendmsg(2).
unsafe fn send_message(fd: c_int, message: *const msghdr, flags: c_int) -> isize {
    // SAFETY: the caller's promise.
    let call =
        |fd: c_int, message: *const msghdr, flags| unsafe { kernel!(libc::SYS_sendmsg, fd, message, flags) };
    if let Some(error) = kept(fd) {
        return error;
    }
    // The kernel refuses a null pointer.
    // SAFETY: the caller's promise.
    let Some(header) = unsafe { message.as_ref() }.filter(|_| flags & MSG_DONTWAIT == 0) else {
        return looked(call(fd, message, flags));
    };
    if !header.msg_name.is_null() && is_unix(fd) {
        return pausing(fd, |fd| call(fd, message, flags | MSG_DONTWAIT));
    }
    if header.msg_iovlen > libc::UIO_MAXIOV as usize {
        return call(fd, message, flags | MSG_DONTWAIT);
    }
    // SAFETY: the header has so many buffers.
    let mut rest = unsafe { Vectors::of(header.msg_iov, header.msg_iovlen) };
    let bytes = rest.bytes();
    let mut passed = 0;
    whole(fd, bytes, |fd, before| {
        let (flags, has_address) = of_part(flags | MSG_DONTWAIT, before);
        if before.done == 0 {
            return call(fd, message, flags);
        }
        rest.advance(before.done - passed);
        passed = before.done;
        // The control data went with the first part.
        let mut part = msghdr {
            msg_iov: rest.pointer().cast_mut(),
            msg_iovlen: rest.count() as _,
            msg_control: std::ptr::null_mut(),
            msg_controllen: 0,
            ..*header
        };
        if !has_address {
            (part.msg_name, part.msg_namelen) = (std::ptr::null_mut(), 0);
        }
        call(fd, &part, flags)
    })
}

/// Whether the socket is one of AF_UNIX. If the queue of the address is full there, no event says when it is not.
fn is_unix(fd: c_int) -> bool {
    super::connect::option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX)
}

#[cold]
pub(super) fn is_unix_stream(fd: c_int) -> bool {
    is_unix(fd) && super::receive::is_stream(fd)
}

/// The error of a socket, which who waits for room is told before its end.
#[cold]
pub(super) fn told_first(fd: c_int) -> Option<isize> {
    super::connect::option(fd, libc::SO_ERROR).filter(|error| *error != 0).map(failed)
}

fn pausing(fd: c_int, call: impl FnMut(c_int) -> isize) -> isize {
    let ended: Ended = retry_on_file(fd, || deadline(fd, Direction::Write), call);
    result(ended, libc::EAGAIN)
}
