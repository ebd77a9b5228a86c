//! read(2) and readv(2).

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_void};

use abaca::hook::descriptors::{Attempt, Direction, Ended, WaitLimit, in_turn, retry};
use abaca::hook::offload;
use libc::{iovec, size_t, ssize_t};

use super::broken::kept;
use super::fifo::has_no_writer;
use super::kind::{Kind, kind_of};
use super::messages::receive_message;
use super::options::{least, may_have_least};
use super::poll::look_at;
use super::receive::receive;
use super::shut::unless_shut;
use super::terminals::{Patience, or_hung_up, patience};
use super::told::is_eventfd;
use super::vectors::total;
use super::wishes::result;
use crate::answer::{failed, of_c};
use crate::calls::attempts::{Handlers, wait_elsewhere_on};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// The offset that stands for the file's position.
pub(super) const HERE: usize = usize::MAX;

hooks! {
    /// read(2).
    fn read(fd: c_int, buffer: *mut c_void, bytes: size_t) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { read_bytes(fd, buffer, bytes) }
    }

    /// readv(2).
    fn readv(fd: c_int, list: *const iovec, count: c_int) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { read_list(fd, list, count) }
    }

    /// preadv2(2), which reads as readv(2) without an offset and flags. With an offset it is for files that a disk has.
    fn preadv2(fd: c_int, list: *const iovec, count: c_int, offset: i64, flags: c_int) -> ssize_t, |_| -> kernel_point {
        if (offset, flags) == (-1, 0) {
            // SAFETY: the caller's promise.
            return unsafe { read_list(fd, list, count) };
        }
        // SAFETY: the caller's promise.
        unsafe { of_c(own!(fn preadv2(c_int, *const iovec, c_int, i64, c_int) -> ssize_t)(fd, list, count, offset, flags)) }
    }

    /// preadv2(2), which reads as readv(2) without an offset and flags. With an offset it is for files that a disk has.
    fn preadv64v2(fd: c_int, list: *const iovec, count: c_int, offset: i64, flags: c_int) -> ssize_t, |_| -> kernel_point {
        if (offset, flags) == (-1, 0) {
            // SAFETY: the caller's promise.
            return unsafe { read_list(fd, list, count) };
        }
        // SAFETY: the caller's promise.
        unsafe { of_c(own!(fn preadv64v2(c_int, *const iovec, c_int, i64, c_int) -> ssize_t)(fd, list, count, offset, flags)) }
    }

    /// eventfd_read(3).
    fn eventfd_read(fd: c_int, value: *mut u64) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise: a number of eight bytes.
        match unsafe { read_bytes(fd, value.cast(), 8) } {
            8 => 0,
            result if result < 0 => result,
            // It is none of eventfd's.
            _ => failed(libc::EINVAL),
        }
    }

    /// read(2) of a program that checks its buffers (`_FORTIFY_SOURCE`).
    fn __read_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, room: size_t) -> ssize_t, |_| -> kernel_point {
        if bytes > room {
            // It ends the process.
            // SAFETY: the caller's promise.
            return unsafe { of_c(own!(fn __read_chk(c_int, *mut c_void, size_t, size_t) -> ssize_t)(fd, buffer, bytes, room)) };
        }
        // SAFETY: the caller's promise.
        unsafe { read_bytes(fd, buffer, bytes) }
    }
}

/// read(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of read(2).
pub(crate) unsafe fn read_bytes(fd: c_int, buffer: *mut c_void, bytes: usize) -> isize {
    if ends_at_once(bytes) {
        // SAFETY: the caller's promise.
        return unsafe { kernel!(libc::SYS_read, fd, buffer, bytes) };
    }
    if let Some(error) = kept(fd) {
        return error;
    }
    if may_have_least() && least(fd) > 1 {
        // SAFETY: the caller's promise.
        return unsafe { receive(fd, buffer, bytes, 0, std::ptr::null_mut(), std::ptr::null_mut()) };
    }
    let list = iovec { iov_base: buffer, iov_len: bytes };
    let mut is_socket = true;
    let call = |fd: c_int| {
        if is_socket {
            // SAFETY: the caller's promise.
            let take = |look| unsafe { kernel!(libc::SYS_recvfrom, fd, buffer, bytes, look, 0, 0) };
            match unless_shut(fd, take) {
                result if result == failed(libc::ENOTSOCK) => is_socket = false,
                result => return result,
            }
        }
        // SAFETY: the caller's promise.
        unsafe { read_now(fd, &list, 1) }
    };
    let (moved, is_first) = patient(fd, bytes, call);
    let moved = if is_first || is_socket { moved } else { moved.map(|moved| or_hung_up(fd, moved)) };
    // SAFETY: the caller's promise.
    unsafe { complete(fd, is_first && !is_socket, not_refused(fd, moved, is_socket), &list, 1) }
}

/// readv(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of readv(2).
unsafe fn read_list(fd: c_int, list: *const iovec, count: c_int) -> isize {
    // SAFETY: the caller's promise, here and below.
    let Some(bytes) = (unsafe { total(list, count) }) else {
        // SAFETY: as above.
        return unsafe { kernel!(libc::SYS_readv, fd, list, count) };
    };
    if ends_at_once(bytes) {
        // SAFETY: as above.
        return unsafe { kernel!(libc::SYS_readv, fd, list, count) };
    }
    if let Some(error) = kept(fd) {
        return error;
    }
    if may_have_least() && least(fd) > 1 {
        // SAFETY: all zeros are valid: no address, no control data.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (list.cast_mut(), count as _);
        // SAFETY: as above.
        return unsafe { receive_message(fd, &mut message, 0, &mut WaitLimit::of_descriptor()) };
    }
    let call = |fd| {
        unless_shut(fd, |look| {
            if look == 0 {
                // SAFETY: as above.
                return unsafe { kernel!(libc::SYS_readv, fd, list, count) };
            }
            // SAFETY: as above.
            unsafe { read_now(fd, list, count) }
        })
    };
    let (moved, is_first) = patient(fd, bytes, call);
    let moved = if is_first { moved } else { moved.map(|moved| or_hung_up(fd, moved)) };
    // SAFETY: as above.
    unsafe { complete(fd, is_first, not_refused(fd, moved, false), list, count) }
}

/// Whether read(2) or write(2) of so many bytes ends at once: one of nothing, but a write to a socket, or of more than there are addresses. What
/// stands for them here would do something else: recv(2) of nothing waits, and preadv2(2) of nothing succeeds where read(2) is an error.
pub(super) const fn ends_at_once(bytes: usize) -> bool {
    bytes == 0 || bytes > isize::MAX as usize
}

/// The result of a read that does not wait, but for a file on a disk: O_NONBLOCK means nothing there, and its bytes are not in memory.
fn not_refused(fd: c_int, moved: Option<isize>, is_socket: bool) -> Option<isize> {
    let is_refused = moved == Some(failed(libc::EAGAIN)) && !is_socket && kind_of(fd) == Kind::Regular;
    moved.filter(|_| !is_refused)
}

/// A read that waits for something, and whether the first call was the last. `None`: the file cannot be watched, and its bytes are not
/// in memory.
fn patient(fd: c_int, bytes: usize, mut call: impl FnMut(c_int) -> isize) -> (Option<isize>, bool) {
    let mut limit = WaitLimit::of_descriptor();
    let mut calls = 0_u32;
    let call = |fd| {
        calls = calls.saturating_add(1);
        call(fd)
    };
    let ended = retry(Attempt { fd, direction: Direction::Read, wanted: bytes, limit: &mut limit, call });
    let would_block = matches!(ended, Ended::WouldBlock);
    let moved = match ended {
        Ended::Unwatchable => None,
        ended => Some(match result(ended, libc::EAGAIN) {
            // See `told`.
            error if error == failed(libc::ECANCELED) && would_block && is_eventfd(fd) => {
                failed(libc::EAGAIN)
            }
            moved => moved,
        }),
    };
    (moved, calls == 1)
}

/// Makes up for a file on a disk, of which only a part was in memory: a read of it waits for all. `may_be_disk`: the number is still that
/// of the file. What was waited for is no disk's, and its number may be another file's by now.
///
/// # Safety
///
/// The arguments are those of readv(2).
unsafe fn complete(
    fd: c_int,
    may_be_disk: bool,
    moved: Option<isize>,
    list: *const iovec,
    count: c_int,
) -> isize {
    // SAFETY: the caller's promise.
    let mut rest = unsafe { super::vectors::Vectors::of(list, count as usize) };
    let done = match moved {
        None => 0,
        Some(moved) if !may_be_disk || moved <= 0 || moved as usize >= rest.bytes() => return moved,
        Some(moved) => match kind_of(fd) {
            Kind::Regular => moved as usize,
            _ => return moved,
        },
    };
    rest.advance(done);
    let (list, count) = (rest.pointer().addr(), rest.count());
    // SAFETY: the rest of the user's buffers, which stay while the fiber waits.
    match offload(move || unsafe { kernel!(libc::SYS_readv, fd, list, count) }) {
        error if error < 0 && done > 0 => done as isize,
        result if result < 0 => result,
        moved => done as isize + moved,
    }
}

/// Reads what is there. `-EAGAIN`: there is nothing, or nothing in memory.
///
/// # Safety
///
/// The arguments are those of readv(2).
pub(super) unsafe fn read_now(fd: c_int, list: *const iovec, count: c_int) -> isize {
    // SAFETY: the caller's promise.
    match unsafe { kernel!(libc::SYS_preadv2, fd, list, count, HERE, HERE, libc::RWF_NOWAIT) } {
        result if !is_unsupported(result) => result,
        // Refused whether it waits or not: a file without reads, or a buffer that is too small for what the kernel would tell.
        result if result == failed(libc::EINVAL) && kind_of(fd) == Kind::Other => {
            // SAFETY: the caller's promise.
            unsafe { kernel!(libc::SYS_readv, fd, list, count) }
        }
        _ => {
            // SAFETY: the caller's promise.
            let read = |fd| unsafe { kernel!(libc::SYS_readv, fd, list, count) };
            let look_and_read = || match look_at(fd, libc::POLLIN) {
                Ok(0) => match patience(fd) {
                    Patience::Endless if has_no_writer(fd) => 0,
                    Patience::Endless => failed(libc::EAGAIN),
                    Patience::None => read(fd),
                    // SAFETY: the user's buffers stay while the fiber waits. Who else reads from the terminal waits, as in the kernel.
                    Patience::Limited => unsafe { wait_elsewhere_on(fd, Handlers::EndUnlessRestarted, read) },
                },
                // Nobody else of this process reads meanwhile.
                Ok(_) => read(fd),
                Err(error) => error,
            };
            in_turn(fd, look_and_read).unwrap_or(failed(libc::ECANCELED))
        }
    }
}

/// Whether the kernel cannot make the call without waiting for this kind of file: a terminal, an old kernel's pipe. Filters of system
/// calls say EPERM of those that they do not know; the file's own is told by the call that comes then.
pub(super) fn is_unsupported(result: isize) -> bool {
    [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL, libc::EPERM].iter().any(|error| result == failed(*error))
}
