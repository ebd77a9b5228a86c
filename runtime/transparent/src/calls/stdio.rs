//! Reads by stdio: libc reads within. So the fiber waits until there is something to read, and then libc's own function is called. If that
//! is not enough for it, a line of which only the beginning has come, it waits in the kernel, and the worker leaves its thread.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and looks into their files")]

use std::ffi::{c_char, c_int, c_void};

use abaca::hook::descriptors::is_nonblocking;
use libc::{FILE, size_t, ssize_t};

use crate::answer::errno;
use crate::descriptors::poll::poll_for;
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// fgets(3).
    fn fgets(buffer: *mut c_char, bytes: c_int, file: *mut FILE) -> *mut c_char, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe { read(within, || own!(fn fgets(*mut c_char, c_int, *mut FILE) -> *mut c_char)(buffer, bytes, file)) },
            false => std::ptr::null_mut(),
        }
    }

    /// fgets(3) of a program that checks its buffers (`_FORTIFY_SOURCE`).
    fn __fgets_chk(buffer: *mut c_char, room: size_t, bytes: c_int, file: *mut FILE) -> *mut c_char, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe {
                read(within, || own!(fn __fgets_chk(*mut c_char, size_t, c_int, *mut FILE) -> *mut c_char)(buffer, room, bytes, file))
            },
            false => std::ptr::null_mut(),
        }
    }

    /// fread(3).
    fn fread(buffer: *mut c_void, bytes: size_t, count: size_t, file: *mut FILE) -> size_t, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe { read(within, || own!(fn fread(*mut c_void, size_t, size_t, *mut FILE) -> size_t)(buffer, bytes, count, file)) },
            false => 0,
        }
    }

    /// fread(3) of a program that checks its buffers.
    fn __fread_chk(buffer: *mut c_void, room: size_t, bytes: size_t, count: size_t, file: *mut FILE) -> size_t, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe {
                read(within, || {
                    own!(fn __fread_chk(*mut c_void, size_t, size_t, size_t, *mut FILE) -> size_t)(buffer, room, bytes, count, file)
                })
            },
            false => 0,
        }
    }

    /// fgetc(3).
    fn fgetc(file: *mut FILE) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe { read(within, || own!(fn fgetc(*mut FILE) -> c_int)(file)) },
            false => libc::EOF,
        }
    }

    /// getc(3).
    fn getc(file: *mut FILE) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe { read(within, || own!(fn getc(*mut FILE) -> c_int)(file)) },
            false => libc::EOF,
        }
    }

    /// fgets_unlocked(3).
    fn fgets_unlocked(buffer: *mut c_char, bytes: c_int, file: *mut FILE) -> *mut c_char, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe { read(within, || own!(fn fgets_unlocked(*mut c_char, c_int, *mut FILE) -> *mut c_char)(buffer, bytes, file)) },
            false => std::ptr::null_mut(),
        }
    }

    /// fread_unlocked(3).
    fn fread_unlocked(buffer: *mut c_void, bytes: size_t, count: size_t, file: *mut FILE) -> size_t, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe { read(within, || own!(fn fread_unlocked(*mut c_void, size_t, size_t, *mut FILE) -> size_t)(buffer, bytes, count, file)) },
            false => 0,
        }
    }

    /// getc_unlocked(3).
    fn getc_unlocked(file: *mut FILE) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe { read(within, || own!(fn getc_unlocked(*mut FILE) -> c_int)(file)) },
            false => libc::EOF,
        }
    }

    /// fgetc_unlocked(3).
    fn fgetc_unlocked(file: *mut FILE) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe { read(within, || own!(fn fgetc_unlocked(*mut FILE) -> c_int)(file)) },
            false => libc::EOF,
        }
    }

    /// getchar(3), which in C reads what `stdin` is.
    fn getchar() -> c_int, |within| -> c {
        // SAFETY: libc's variable.
        let file = unsafe { stdin };
        // SAFETY: as the program's own call, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => read(within, || unsafe { own!(fn getchar() -> c_int)() }),
            false => libc::EOF,
        }
    }

    /// getline(3).
    fn getline(line: *mut *mut c_char, bytes: *mut size_t, file: *mut FILE) -> ssize_t, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe { read(within, || own!(fn getline(*mut *mut c_char, *mut size_t, *mut FILE) -> ssize_t)(line, bytes, file)) },
            false => -1,
        }
    }

    /// getdelim(3).
    fn getdelim(line: *mut *mut c_char, bytes: *mut size_t, end: c_int, file: *mut FILE) -> ssize_t, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        match unsafe { wait(within, file) } {
            // SAFETY: as above.
            true => unsafe {
                read(within, || own!(fn getdelim(*mut *mut c_char, *mut size_t, c_int, *mut FILE) -> ssize_t)(line, bytes, end, file))
            },
            false => -1,
        }
    }
}

unsafe extern "C" {
    static stdin: *mut FILE;
}

/// The beginning of glibc's `FILE`, which its headers show.
#[repr(C)]
struct Head {
    flags: c_int,
    read_from: *const c_char,
    read_to: *const c_char,
}

/// `_IO_ERR_SEEN`: what ferror(3) tells.
const ERROR_SEEN: c_int = 0x20;

/// Waits until a read of this file has something. False if the fiber was cancelled: then the file has an error.
///
/// # Safety
///
/// The file is open.
unsafe fn wait(within: &Within, file: *mut FILE) -> bool {
    let head = file.cast::<Head>();
    // SAFETY: the caller's promise. Another thread that reads from the file at the same time makes this a guess, which costs time at most.
    let is_empty = unsafe { (*head).read_from == (*head).read_to };
    // SAFETY: as above.
    let fd = if is_empty { unsafe { libc::fileno(file) } } else { -1 };
    // A user that wants errors has libc's.
    if fd < 0 || is_nonblocking(fd) {
        return true;
    }
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry.
    let found = unsafe { poll_for(&mut entry, 1, None) };
    if found == crate::answer::failed(libc::ECANCELED) {
        within.fails_with(libc::ECANCELED);
        // SAFETY: the caller's promise.
        unsafe { (*head).flags |= ERROR_SEEN };
        return false;
    }
    true
}

/// Calls libc's own function, whose `errno` is the caller's.
fn read<R>(within: &Within, call: impl FnOnce() -> R) -> R {
    crate::answer::set_errno(within.errno());
    let result = call();
    within.fails_with(errno());
    result
}
