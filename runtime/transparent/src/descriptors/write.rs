//! write(2) and writev(2).

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_void};

use abaca::hook::descriptors::in_turn;
use abaca::hook::offload;
use libc::{MSG_DONTWAIT, iovec, size_t, ssize_t};

use super::broken::kept;
use super::kind::{Kind, kind_of};
use super::poll::look_at;
use super::read::{HERE, ends_at_once, is_unsupported};
use super::send::{Before, of_part, whole};
use super::terminals::is_terminal;
use super::vectors::{Vectors, total};
use super::wishes::is_nonblocking;
use crate::answer::{failed, of_c};
use crate::calls::attempts::{Handlers, wait_elsewhere_on};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// If poll(2) says that a pipe is writable, this many bytes fit. A terminal may have room for less, and takes the rest when it can.
const SURELY_FITS: usize = libc::PIPE_BUF;

hooks! {
    /// write(2).
    fn write(fd: c_int, buffer: *const c_void, bytes: size_t) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { write_bytes(fd, buffer, bytes) }
    }

    /// eventfd_write(3).
    fn eventfd_write(fd: c_int, value: u64) -> c_int, |_| -> kernel_point {
        // SAFETY: a number of eight bytes.
        match unsafe { write_bytes(fd, (&raw const value).cast(), 8) } {
            8 => 0,
            result if result < 0 => result,
            _ => failed(libc::EINVAL),
        }
    }

    /// writev(2).
    fn writev(fd: c_int, list: *const iovec, count: c_int) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise, here and below.
        match unsafe { total(list, count) } {
            // SAFETY: as above.
            Some(bytes) => unsafe { write_list(fd, list, count, bytes) },
            // SAFETY: as above.
            None => unsafe { kernel!(libc::SYS_writev, fd, list, count) },
        }
    }

    /// pwritev2(2), which writes as writev(2) without an offset and flags. With an offset it is for files that a disk has.
    fn pwritev2(fd: c_int, list: *const iovec, count: c_int, offset: i64, flags: c_int) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise, here and below.
        match unsafe { total(list, count) } {
            // SAFETY: as above.
            Some(bytes) if (offset, flags) == (-1, 0) => unsafe { write_list(fd, list, count, bytes) },
            // SAFETY: as above.
            _ => unsafe { of_c(own!(fn pwritev2(c_int, *const iovec, c_int, i64, c_int) -> ssize_t)(fd, list, count, offset, flags)) },
        }
    }

    /// pwritev2(2), which writes as writev(2) without an offset and flags. With an offset it is for files that a disk has.
    fn pwritev64v2(fd: c_int, list: *const iovec, count: c_int, offset: i64, flags: c_int) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise, here and below.
        match unsafe { total(list, count) } {
            // SAFETY: as above.
            Some(bytes) if (offset, flags) == (-1, 0) => unsafe { write_list(fd, list, count, bytes) },
            // SAFETY: as above.
            _ => unsafe { of_c(own!(fn pwritev64v2(c_int, *const iovec, c_int, i64, c_int) -> ssize_t)(fd, list, count, offset, flags)) },
        }
    }
}

/// write(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of write(2).
pub(crate) unsafe fn write_bytes(fd: c_int, buffer: *const c_void, bytes: usize) -> isize {
    if let Some(error) = kept(fd) {
        return error;
    }
    let send = |fd: c_int, before: Before| {
        let rest = buffer.wrapping_byte_add(before.done);
        let (flags, _) = of_part(MSG_DONTWAIT, before);
        // SAFETY: the caller's promise; the rest of the buffer.
        unsafe { kernel!(libc::SYS_sendto, fd, rest, bytes - before.done, flags, 0, 0) }
    };
    if ends_at_once(bytes) && (bytes > 0 || kind_of(fd) != Kind::Socket) {
        // SAFETY: the caller's promise.
        return unsafe { kernel!(libc::SYS_write, fd, buffer, bytes) };
    }
    match whole(fd, bytes, send) {
        result if result == failed(libc::ENOTSOCK) => {
            let list = iovec { iov_base: buffer.cast_mut(), iov_len: bytes };
            // SAFETY: the caller's promise.
            unsafe { write_list(fd, &list, 1, bytes) }
        }
        result => result,
    }
}

/// writev(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of writev(2), and the buffers have so many bytes.
unsafe fn write_list(fd: c_int, list: *const iovec, count: c_int, bytes: usize) -> isize {
    let kind = kind_of(fd);
    if kind == Kind::Socket
        && let Some(error) = kept(fd)
    {
        return error;
    }
    if kind == Kind::Regular {
        let list = list.addr();
        // SAFETY: the user's buffers, which stay while the fiber waits. A write to a file is one write, as others see it.
        return match unsafe { kernel!(libc::SYS_pwritev2, fd, list, count, HERE, HERE, libc::RWF_NOWAIT) } {
            moved if moved == bytes as isize => crate::enter::looked(moved),
            // SAFETY: as above.
            moved if moved > 0 => unsafe { write_rest(fd, list as *const iovec, count, moved as usize) },
            result if result == failed(libc::EAGAIN) => {
                // SAFETY: as above.
                offload(move || unsafe { kernel!(libc::SYS_writev, fd, list, count) })
            }
            // SAFETY: as above.
            result if is_unsupported(result) => unsafe { kernel!(libc::SYS_writev, fd, list, count) },
            error => error,
        };
    }
    // SAFETY: the caller's promise.
    let mut rest = unsafe { Vectors::of(list, count as usize) };
    let mut passed = 0;
    let result = whole(fd, bytes, |fd, before| {
        rest.advance(before.done - passed);
        passed = before.done;
        if kind == Kind::Socket && before.raises_no_signal() {
            send_now(fd, &rest)
        } else {
            write_now(fd, kind, &rest)
        }
    });
    if result == AT_ONCE { write_at_once(fd, &rest) } else { result }
}

/// The rest of a write to a file that has taken a part.
///
/// # Safety
///
/// The arguments are those of writev(2).
unsafe fn write_rest(fd: c_int, list: *const iovec, count: c_int, done: usize) -> isize {
    // SAFETY: the caller's promise.
    let mut rest = unsafe { Vectors::of(list, count as usize) };
    rest.advance(done);
    let (list, count) = (rest.pointer().addr(), rest.count());
    // SAFETY: the rest of the user's buffers, which stay while the fiber waits.
    let moved = offload(move || unsafe { kernel!(libc::SYS_writev, fd, list, count) });
    (done as isize) + moved.max(0)
}

/// No result of a system call: the file takes each write as it is.
const AT_ONCE: isize = isize::MIN;

/// Writes what there is room for. `-EAGAIN`: there is none.
fn write_now(fd: c_int, kind: Kind, rest: &Vectors) -> isize {
    // SAFETY: the buffers are the user's.
    let result = unsafe {
        kernel!(libc::SYS_pwritev2, fd, rest.pointer(), rest.count(), HERE, HERE, libc::RWF_NOWAIT)
    };
    if !is_unsupported(result) {
        return result;
    }
    if kind == Kind::Other && !is_terminal(fd) {
        return AT_ONCE;
    }
    let mut part = Vectors::clone(rest);
    part.limit(SURELY_FITS);
    let look_and_write = || match look_at(fd, libc::POLLOUT) {
        Ok(0) => failed(libc::EAGAIN),
        // SAFETY: as above. Nobody else of this process writes meanwhile.
        Ok(_) => unsafe { kernel!(libc::SYS_writev, fd, part.pointer(), part.count()) },
        Err(error) => error,
    };
    in_turn(fd, look_and_write).unwrap_or(failed(libc::ECANCELED))
}

/// The rest of a write to a socket that has taken a part.
fn send_now(fd: c_int, rest: &Vectors) -> isize {
    // SAFETY: all zeros are valid: no address, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (rest.pointer().cast_mut(), rest.count() as _);
    // SAFETY: the buffers are the user's.
    unsafe { kernel!(libc::SYS_sendmsg, fd, &raw const message, MSG_DONTWAIT | libc::MSG_NOSIGNAL) }
}

/// A write to a device, or to a file of the kernel's such as fanotify's, for which the kernel has no attempt that does not wait. To those a write is a
/// message, which must not come in parts, and some that never wait are never told to be writable. So where nothing says that the
/// call does not wait, it is made on a thread of the pool.
fn write_at_once(fd: c_int, list: &Vectors) -> isize {
    // SAFETY: the buffers are the user's.
    let write = |fd| unsafe { kernel!(libc::SYS_writev, fd, list.pointer(), list.count()) };
    let look_and_write = || match look_at(fd, libc::POLLOUT) {
        Ok(0) if !is_nonblocking(fd) => None,
        // Nobody else of this process writes meanwhile.
        Ok(_) => Some(write(fd)),
        Err(error) => Some(error),
    };
    match in_turn(fd, look_and_write) {
        Some(Some(result)) => crate::enter::looked(result),
        // SAFETY: the user's buffers stay while the fiber waits.
        Some(None) => unsafe { wait_elsewhere_on(fd, Handlers::EndUnlessRestarted, write) },
        None => failed(libc::ECANCELED),
    }
}
