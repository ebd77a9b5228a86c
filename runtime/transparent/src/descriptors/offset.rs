//! Reads and writes at an offset, which are for files on disks: what is in memory is moved at once, the rest on a thread of the pool.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_long, c_void};

use abaca::hook::offload;
use libc::{iovec, size_t, ssize_t};

use super::kind::{Kind, kind_of};
use super::read::is_unsupported;
use super::vectors::{Vectors, total};
use crate::answer::{failed, of_c};
use crate::enter::looked;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

hooks! {
    /// pread(2).
    fn pread(fd: c_int, buffer: *mut c_void, bytes: size_t, offset: i64) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { read_at(fd, &iovec { iov_base: buffer, iov_len: bytes }, 1, offset) }
    }

    /// pread(2) of programs with large files.
    fn pread64(fd: c_int, buffer: *mut c_void, bytes: size_t, offset: i64) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { read_at(fd, &iovec { iov_base: buffer, iov_len: bytes }, 1, offset) }
    }

    /// pread(2) of a program that checks its buffers (`_FORTIFY_SOURCE`).
    fn __pread_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, offset: i64, room: size_t) -> ssize_t, |_| -> kernel_point {
        if bytes > room {
            // It ends the process.
            // SAFETY: the caller's promise.
            return unsafe { of_c(own!(fn __pread_chk(c_int, *mut c_void, size_t, i64, size_t) -> ssize_t)(fd, buffer, bytes, offset, room)) };
        }
        // SAFETY: the caller's promise.
        unsafe { read_at(fd, &iovec { iov_base: buffer, iov_len: bytes }, 1, offset) }
    }

    /// pread(2) of a program with large files that checks its buffers.
    fn __pread64_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, offset: i64, room: size_t) -> ssize_t, |_| -> kernel_point {
        if bytes > room {
            // It ends the process.
            // SAFETY: the caller's promise.
            return unsafe { of_c(own!(fn __pread64_chk(c_int, *mut c_void, size_t, i64, size_t) -> ssize_t)(fd, buffer, bytes, offset, room)) };
        }
        // SAFETY: the caller's promise.
        unsafe { read_at(fd, &iovec { iov_base: buffer, iov_len: bytes }, 1, offset) }
    }

    /// preadv(2).
    fn preadv(fd: c_int, list: *const iovec, count: c_int, offset: i64) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { read_at(fd, list, count, offset) }
    }

    /// preadv(2) of programs with large files.
    fn preadv64(fd: c_int, list: *const iovec, count: c_int, offset: i64) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { read_at(fd, list, count, offset) }
    }

    /// pwrite(2).
    fn pwrite(fd: c_int, buffer: *const c_void, bytes: size_t, offset: i64) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { write_at(fd, &iovec { iov_base: buffer.cast_mut(), iov_len: bytes }, 1, offset) }
    }

    /// pwrite(2) of programs with large files.
    fn pwrite64(fd: c_int, buffer: *const c_void, bytes: size_t, offset: i64) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { write_at(fd, &iovec { iov_base: buffer.cast_mut(), iov_len: bytes }, 1, offset) }
    }

    /// pwritev(2).
    fn pwritev(fd: c_int, list: *const iovec, count: c_int, offset: i64) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { write_at(fd, list, count, offset) }
    }

    /// pwritev(2) of programs with large files.
    fn pwritev64(fd: c_int, list: *const iovec, count: c_int, offset: i64) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { write_at(fd, list, count, offset) }
    }
}

/// preadv(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of preadv(2).
unsafe fn read_at(fd: c_int, list: *const iovec, count: c_int, offset: i64) -> isize {
    // SAFETY: the caller's promise.
    unsafe { move_at([libc::SYS_preadv2, libc::SYS_preadv], fd, list, count, offset) }
}

/// pwritev(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of pwritev(2).
unsafe fn write_at(fd: c_int, list: *const iovec, count: c_int, offset: i64) -> isize {
    // SAFETY: the caller's promise.
    unsafe { move_at([libc::SYS_pwritev2, libc::SYS_pwritev], fd, list, count, offset) }
}

/// Makes a call that does not wait, or moves a part, and then one that waits.
///
/// # Safety
///
/// The calls may be made with these arguments.
unsafe fn move_at(
    [attempt, call]: [c_long; 2],
    fd: c_int,
    list: *const iovec,
    count: c_int,
    offset: i64,
) -> isize {
    // SAFETY: the caller's promise, here and below.
    let in_kernel = || unsafe { kernel!(call, fd, list, count, offset, 0) };
    // SAFETY: as above.
    let Some(bytes) = (unsafe { total(list, count) }).filter(|_| offset >= 0) else { return in_kernel() };
    // SAFETY: as above.
    let done = match unsafe { kernel!(attempt, fd, list, count, offset, 0, libc::RWF_NOWAIT) } {
        moved if moved == 0 || moved == bytes as isize => return looked(moved),
        moved if moved > 0 && kind_of(fd) != Kind::Regular => return moved,
        moved if moved > 0 => moved as usize,
        result if result == failed(libc::EAGAIN) => 0,
        result if is_unsupported(result) => return in_kernel(),
        error => return error,
    };
    // SAFETY: as above.
    let mut rest = unsafe { Vectors::of(list, count as usize) };
    rest.advance(done);
    let (list, count, offset) = (rest.pointer().addr(), rest.count(), offset + done as i64);
    // SAFETY: the rest of the user's buffers, which stay while the fiber waits.
    match offload(move || unsafe { kernel!(call, fd, list, count, offset, 0) }) {
        result if result < 0 && done > 0 => done as isize,
        result if result < 0 => result,
        moved => done as isize + moved,
    }
}
