//! The opening of files, by number or of stdio. That of a FIFO waits for its other end.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;

use abaca::hook::descriptors::forget;
use libc::{FILE, mode_t};

use crate::answer::{answer, failed};
use crate::calls::attempts::{Handlers, wait_elsewhere};
use crate::enter::enter;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;
use crate::threads::CancellationPoint;

hooks! {
    /// open(2). It is variadic in C: the mode is there if the flags say so.
    fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let own = || unsafe { own!(fn open(*const c_char, c_int, mode_t) -> c_int)(path, flags, mode) };
        // SAFETY: as above.
        unsafe { open_at(libc::AT_FDCWD, path, flags, mode, own) }
    }

    /// open(2) of programs with large files.
    fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let own = || unsafe { own!(fn open64(*const c_char, c_int, mode_t) -> c_int)(path, flags, mode) };
        // SAFETY: as above.
        unsafe { open_at(libc::AT_FDCWD, path, flags, mode, own) }
    }

    /// openat(2).
    fn openat(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let own = || unsafe { own!(fn openat(c_int, *const c_char, c_int, mode_t) -> c_int)(folder, path, flags, mode) };
        // SAFETY: as above.
        unsafe { open_at(folder, path, flags, mode, own) }
    }

    /// openat(2) of programs with large files.
    fn openat64(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let own = || unsafe { own!(fn openat64(c_int, *const c_char, c_int, mode_t) -> c_int)(folder, path, flags, mode) };
        // SAFETY: as above.
        unsafe { open_at(folder, path, flags, mode, own) }
    }

    /// creat(2).
    fn creat(path: *const c_char, mode: mode_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { open(path, CREATES, mode) }
    }

    /// creat(2) of programs with large files.
    fn creat64(path: *const c_char, mode: mode_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { open64(path, CREATES, mode) }
    }

    /// fopen(3).
    fn fopen(path: *const c_char, mode: *const c_char) -> *mut FILE, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        unsafe { open_file(path, mode, || own!(fn fopen(*const c_char, *const c_char) -> *mut FILE)(path, mode)) }
    }

    /// fopen(3) of programs with large files.
    fn fopen64(path: *const c_char, mode: *const c_char) -> *mut FILE, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        unsafe { open_file(path, mode, || own!(fn fopen64(*const c_char, *const c_char) -> *mut FILE)(path, mode)) }
    }

    /// openat(2) of a program that checks its arguments (`_FORTIFY_SOURCE`), without a mode.
    fn __openat_2(folder: c_int, path: *const c_char, flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let own = || unsafe { own!(fn __openat_2(c_int, *const c_char, c_int) -> c_int)(folder, path, flags) };
        // SAFETY: as above.
        unsafe { open_at(folder, path, flags, 0, own) }
    }

    /// openat(2) of a program with large files that checks its arguments.
    fn __openat64_2(folder: c_int, path: *const c_char, flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let own = || unsafe { own!(fn __openat64_2(c_int, *const c_char, c_int) -> c_int)(folder, path, flags) };
        // SAFETY: as above.
        unsafe { open_at(folder, path, flags, 0, own) }
    }

    /// open(2) of a program that checks its arguments (`_FORTIFY_SOURCE`), without a mode.
    fn __open_2(path: *const c_char, flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let own = || unsafe { own!(fn __open_2(*const c_char, c_int) -> c_int)(path, flags) };
        // SAFETY: as above.
        unsafe { open_at(libc::AT_FDCWD, path, flags, 0, own) }
    }

    /// open(2) of a program with large files that checks its arguments.
    fn __open64_2(path: *const c_char, flags: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let own = || unsafe { own!(fn __open64_2(*const c_char, c_int) -> c_int)(path, flags) };
        // SAFETY: as above.
        unsafe { open_at(libc::AT_FDCWD, path, flags, 0, own) }
    }
}

/// openat(2), which waits for the other end of a FIFO. `own` is libc's.
///
/// # Safety
///
/// The arguments are those of openat(2).
unsafe fn open_at(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    mode: mode_t,
    own: impl FnOnce() -> c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    let call = |flags: c_int| unsafe { kernel!(libc::SYS_openat, folder, path, flags, mode) };
    const NEVER_WAITS: c_int = libc::O_NONBLOCK | libc::O_PATH | libc::O_DIRECTORY;
    let has_one_end = flags & libc::O_ACCMODE != libc::O_RDWR;
    let may_wait = flags & NEVER_WAITS == 0 && has_one_end;
    let opened = match enter() {
        // SAFETY: the caller's promise.
        Some(within) if may_wait && unsafe { is_fifo(folder, path) } => {
            let point = CancellationPoint::of(&within);
            let opened = point.call(|| {
                if flags & libc::O_ACCMODE == libc::O_WRONLY {
                    match open_to_write(flags, call) {
                        opened if opened == failed(libc::ENXIO) => {}
                        opened => return opened,
                    }
                }
                // A thread opens it: without waiting, nobody could tell whether there was another end yet, or for a moment.
                // SAFETY: the caller's path stays while the fiber waits.
                unsafe { wait_elsewhere(Handlers::EndUnlessRestarted, || call(flags)) }
            });
            drop(within);
            point.test();
            answer(opened) as c_int
        }
        within => {
            drop(within);
            own()
        }
    };
    if opened >= 0 {
        forget(opened);
    }
    opened
}

const CREATES: c_int = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;

/// fopen(3), which waits for the other end of a FIFO. `own` is libc's.
///
/// # Safety
///
/// The arguments are those of fopen(3).
unsafe fn open_file(path: *const c_char, mode: *const c_char, own: impl FnOnce() -> *mut FILE) -> *mut FILE {
    // SAFETY: the caller's promise, here and below.
    let flags = flags_of(unsafe { CStr::from_ptr(mode) }.to_bytes());
    let within = enter();
    // SAFETY: as above.
    let flags = flags.filter(|_| within.is_some() && unsafe { is_fifo(libc::AT_FDCWD, path) });
    drop(within);
    let Some(flags) = flags else {
        let file = own();
        // SAFETY: libc has opened it.
        let made = if file.is_null() { -1 } else { unsafe { libc::fileno(file) } };
        if made >= 0 {
            forget(made);
        }
        return file;
    };
    // SAFETY: as above.
    match unsafe { open(path, flags, 0o666) } {
        fd if fd < 0 => std::ptr::null_mut(),
        fd => {
            // SAFETY: the descriptor is the file's now.
            let file = unsafe { libc::fdopen(fd, mode) };
            if file.is_null() {
                // There was no memory for the file; a close that succeeds leaves `errno` alone.
                // SAFETY: the descriptor is nobody's.
                unsafe { libc::close(fd) };
            }
            file
        }
    }
}

/// With what flags fopen(3) opens a file for one direction. `None`: it does not wait, or the mode is libc's matter.
fn flags_of(mode: &[u8]) -> Option<c_int> {
    let (kind, rest) = mode.split_first()?;
    let mut flags = match kind {
        b'r' => libc::O_RDONLY,
        b'w' => CREATES,
        b'a' => libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND,
        _ => return None,
    };
    for letter in rest {
        match letter {
            b'e' => flags |= libc::O_CLOEXEC,
            b'x' => flags |= libc::O_EXCL,
            b'b' | b'c' | b'm' => {}
            _ => return None,
        }
    }
    Some(flags)
}

/// Opens a FIFO for writing, if it has a reader: else it fails with ENXIO.
fn open_to_write(flags: c_int, call: impl Fn(c_int) -> isize) -> isize {
    let opened = call(flags | libc::O_NONBLOCK);
    if opened >= 0 {
        // As if it had waited.
        // SAFETY: no memory is involved.
        unsafe { kernel!(libc::SYS_fcntl, opened, libc::F_SETFL, flags & !libc::O_NONBLOCK) };
    }
    opened
}

/// Whether the path leads to a FIFO.
///
/// # Safety
///
/// The arguments are those of openat(2).
unsafe fn is_fifo(folder: c_int, path: *const c_char) -> bool {
    let mut about = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the structure in.
    let result = unsafe { kernel!(libc::SYS_newfstatat, folder, path, about.as_mut_ptr(), 0) };
    // SAFETY: as above.
    result == 0 && unsafe { about.assume_init() }.st_mode & libc::S_IFMT == libc::S_IFIFO
}
