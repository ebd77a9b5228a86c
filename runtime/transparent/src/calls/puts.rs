//! Writes by stdio: libc writes within, where its buffer is full, or a line ends. So the fiber empties the buffer itself (`sink.rs`). Where
//! nothing has to wait for others, as for a disk, libc's own function is called.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and reads what is their callers'")]

use std::ffi::{CStr, c_char, c_int, c_void};

use abaca::hook::descriptors::{close_under, forget};
use libc::{EOF, FILE, size_t};

use super::file::{ERROR_SEEN, Head, Lock, call, is_unoriented, is_wide, waiting_number, write};
use super::flushes::flush_all;
use super::sink::Sink;
use super::wide::{has_room, pending_wide};
use crate::answer::{errno, set_errno};
use crate::enter::{Within, enter, is_installed};
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// fwrite(3).
    fn fwrite(buffer: *const c_void, bytes: size_t, count: size_t, file: *mut FILE) -> size_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            items(within, (buffer, bytes, count, file), true, || {
                own!(fn fwrite(*const c_void, size_t, size_t, *mut FILE) -> size_t)(buffer, bytes, count, file)
            })
        }
    }

    /// fwrite_unlocked(3).
    fn fwrite_unlocked(buffer: *const c_void, bytes: size_t, count: size_t, file: *mut FILE) -> size_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            items(within, (buffer, bytes, count, file), false, || {
                own!(fn fwrite_unlocked(*const c_void, size_t, size_t, *mut FILE) -> size_t)(buffer, bytes, count, file)
            })
        }
    }

    /// fputs(3).
    fn fputs(text: *const c_char, file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { string(within, text, file, true, || own!(fn fputs(*const c_char, *mut FILE) -> c_int)(text, file)) }
    }

    /// fputs_unlocked(3).
    fn fputs_unlocked(text: *const c_char, file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { string(within, text, file, false, || own!(fn fputs_unlocked(*const c_char, *mut FILE) -> c_int)(text, file)) }
    }

    /// puts(3), which in C writes to what `stdout` is.
    fn puts(text: *const c_char) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below; libc's variable.
        let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
        let own_line_end = || own!(fn putchar_unlocked(c_int) -> c_int);
        let put = |sink: &mut Sink<'_>| {
            if sink.put(bytes)?.has_failed {
                return Some(EOF);
            }
            let has_failed = match sink.put(b"\n") {
                Some(put) => put.has_failed,
                // SAFETY: it takes a number.
                None => call(within, || unsafe { own_line_end()(c_int::from(b'\n')) }) == EOF,
            };
            Some(if has_failed { EOF } else { c_int::try_from(bytes.len() + 1).unwrap_or(c_int::MAX) })
        };
        // SAFETY: as above.
        unsafe { with_sink(within, (stdout, true), EOF, || own!(fn puts(*const c_char) -> c_int)(text), put) }
    }

    /// fputc(3).
    fn fputc(byte: c_int, file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { put_byte(within, byte, file, true, || own!(fn fputc(c_int, *mut FILE) -> c_int)(byte, file)) }
    }

    /// putc(3).
    fn putc(byte: c_int, file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { put_byte(within, byte, file, true, || own!(fn putc(c_int, *mut FILE) -> c_int)(byte, file)) }
    }

    /// fputc_unlocked(3).
    fn fputc_unlocked(byte: c_int, file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { put_byte(within, byte, file, false, || own!(fn fputc_unlocked(c_int, *mut FILE) -> c_int)(byte, file)) }
    }

    /// putc_unlocked(3).
    fn putc_unlocked(byte: c_int, file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { put_byte(within, byte, file, false, || own!(fn putc_unlocked(c_int, *mut FILE) -> c_int)(byte, file)) }
    }

    /// putchar(3).
    fn putchar(byte: c_int) -> c_int, |within| -> c_wait {
        // SAFETY: libc's variable, and as the program's own call.
        unsafe { put_byte(within, byte, stdout, true, || own!(fn putchar(c_int) -> c_int)(byte)) }
    }

    /// putchar_unlocked(3).
    fn putchar_unlocked(byte: c_int) -> c_int, |within| -> c_wait {
        // SAFETY: libc's variable, and as the program's own call.
        unsafe { put_byte(within, byte, stdout, false, || own!(fn putchar_unlocked(c_int) -> c_int)(byte)) }
    }

    /// What putc_unlocked(3) calls where the compiler has put its code into the program: the buffer is full, or is written if there is no byte.
    fn __overflow(file: *mut FILE, byte: c_int) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            let own = || own!(fn __overflow(*mut FILE, c_int) -> c_int)(file, byte);
            if byte == EOF {
                return with_sink(within, (file, false), EOF, own, |sink| {
                    (sink.pending() > 0 && sink.may_wait()).then(|| if sink.flush() { 0 } else { EOF })
                });
            }
            put_byte(within, byte, file, false, own)
        }
    }

    /// fflush(3).
    fn fflush(file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { flush(within, file, true, || own!(fn fflush(*mut FILE) -> c_int)(file)) }
    }

    /// fflush_unlocked(3).
    fn fflush_unlocked(file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { flush(within, file, false, || own!(fn fflush_unlocked(*mut FILE) -> c_int)(file)) }
    }

    /// fclose(3). What else uses the number goes on, as at close(2).
    fn fclose(file: *mut FILE) -> c_int, |_| -> always {
        // SAFETY: the caller's promise, here and below.
        let last_write = unsafe { give_up(file) };
        // SAFETY: as above.
        let closed = unsafe { own!(fn fclose(*mut FILE) -> c_int)(file) };
        match last_write {
            Err(error) if closed == 0 => {
                set_errno(error);
                EOF
            }
            _ => closed,
        }
    }

    /// freopen(3), which closes the file as fclose(3).
    fn freopen(path: *const c_char, mode: *const c_char, file: *mut FILE) -> *mut FILE, |_| -> always {
        // SAFETY: the caller's promise, here and below. It ignores errors of the last write.
        let _ = unsafe { give_up(file) };
        // SAFETY: as above.
        opened(unsafe { own!(fn freopen(*const c_char, *const c_char, *mut FILE) -> *mut FILE)(path, mode, file) })
    }

    /// freopen(3) of programs with large files.
    fn freopen64(path: *const c_char, mode: *const c_char, file: *mut FILE) -> *mut FILE, |_| -> always {
        // SAFETY: the caller's promise, here and below. It ignores errors of the last write.
        let _ = unsafe { give_up(file) };
        // SAFETY: as above.
        opened(unsafe { own!(fn freopen64(*const c_char, *const c_char, *mut FILE) -> *mut FILE)(path, mode, file) })
    }

    /// perror(3), which leaves `stderr` without an orientation if it has none.
    fn perror(text: *const c_char) -> (), |within| -> c_wait {
        let given = text;
        let mut told = [0 as c_char; 1024];
        // SAFETY: null, or the caller's string; a buffer of so many bytes, which ends in a zero byte; libc's variable.
        let (text, told, file) = unsafe {
            libc::strerror_r(within.errno(), told.as_mut_ptr(), told.len());
            let text = if text.is_null() { c"" } else { CStr::from_ptr(text) };
            (text.to_bytes(), CStr::from_ptr(told.as_ptr()).to_bytes(), stderr)
        };
        let line = [text, if text.is_empty() { b"" } else { b": " }, told, b"\n"].concat();
        // SAFETY: as above.
        unsafe {
            match waiting_number(file).filter(|_| is_unoriented(file)) {
                Some(fd) => write_around(within, file, fd, &line),
                None => with_sink(within, (file, true), (), || own!(fn perror(*const c_char) -> ())(given), |sink| {
                    sink.put(&line).map(drop)
                }),
            }
        }
    }
}

unsafe extern "C" {
    pub(super) static stdout: *mut FILE;
    pub(super) static stderr: *mut FILE;
}

/// Calls `put` with the file; libc's own function if only that can write to it, or `put` says so. `cancelled`: the result of a caller that was
/// cancelled while another had the file's lock.
///
/// # Safety
///
/// The file is open.
pub(super) unsafe fn with_sink<R>(
    within: &Within,
    (file, locks): (*mut FILE, bool),
    cancelled: R,
    own: impl FnOnce() -> R,
    put: impl FnOnce(&mut Sink<'_>) -> Option<R>,
) -> R {
    // SAFETY: the caller's promise.
    match unsafe { Sink::begin(within, file, locks) } {
        Err(()) => cancelled,
        Ok(None) => call(within, own),
        Ok(Some(mut sink)) => put(&mut sink).unwrap_or_else(|| call(within, own)),
    }
}

/// fwrite(3) and its kin.
///
/// # Safety
///
/// The arguments are those of fwrite(3).
unsafe fn items(
    within: &Within,
    (buffer, bytes, count, file): (*const c_void, size_t, size_t, *mut FILE),
    locks: bool,
    own: impl FnOnce() -> size_t,
) -> size_t {
    let Some(all) = bytes.checked_mul(count).filter(|all| *all > 0) else { return call(within, own) };
    // SAFETY: the caller's promise, here and below.
    let data = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), all) };
    // SAFETY: as above.
    unsafe { with_sink(within, (file, locks), 0, own, |sink| sink.put(data).map(|put| put.taken / bytes)) }
}

/// fputs(3) and its kin.
///
/// # Safety
///
/// The arguments are those of fputs(3).
unsafe fn string(
    within: &Within,
    text: *const c_char,
    file: *mut FILE,
    locks: bool,
    own: impl FnOnce() -> c_int,
) -> c_int {
    // SAFETY: the caller's promise, here and below.
    let data = unsafe { CStr::from_ptr(text) }.to_bytes();
    let put = |sink: &mut Sink<'_>| sink.put(data).map(|put| if put.has_failed { EOF } else { 1 });
    // SAFETY: as above.
    unsafe { with_sink(within, (file, locks), EOF, own, put) }
}

/// A function that writes one byte.
///
/// # Safety
///
/// The file is open.
unsafe fn put_byte(
    within: &Within,
    byte: c_int,
    file: *mut FILE,
    locks: bool,
    own: impl FnOnce() -> c_int,
) -> c_int {
    let byte = byte as u8;
    let put = |sink: &mut Sink<'_>| {
        sink.put(&[byte]).map(|put| if put.has_failed { EOF } else { c_int::from(byte) })
    };
    // SAFETY: the caller's promise.
    unsafe { with_sink(within, (file, locks), EOF, own, put) }
}

/// fflush(3) and its kin, and functions that empty the buffer first.
///
/// # Safety
///
/// The file is open, or null.
pub(super) unsafe fn flush(
    within: &Within,
    file: *mut FILE,
    locks: bool,
    own: impl FnOnce() -> c_int,
) -> c_int {
    if file.is_null() {
        return flush_all(within, |_| true);
    }
    // SAFETY: the caller's promise, here and below.
    if unsafe { is_wide(file) } {
        // SAFETY: as above.
        let Ok(_lock) = (unsafe { Lock::take(within, file, locks) }) else { return EOF };
        // SAFETY: as above.
        let may_write = unsafe { pending_wide(file) == 0 || has_room(within, file) };
        return if may_write { call(within, own) } else { EOF };
    }
    // libc's does the rest, if this has written all.
    let put = |sink: &mut Sink<'_>| {
        let has_failed = sink.pending() > 0 && sink.may_wait() && !sink.flush();
        has_failed.then_some(EOF)
    };
    // SAFETY: the caller's promise.
    unsafe { with_sink(within, (file, locks), EOF, own, put) }
}

/// Writes what is in the buffer of a file that is about to be closed, and forgets its number. `Err`: the write has failed with this error.
///
/// # Safety
///
/// The file is open.
unsafe fn give_up(file: *mut FILE) -> Result<(), c_int> {
    if !is_installed() {
        return Ok(());
    }
    let mut written = Ok(());
    if let Some(within) = enter() {
        let before = within.errno();
        // SAFETY: the caller's promise.
        if let Ok(Some(mut sink)) = unsafe { Sink::begin(&within, file, true) }
            && sink.pending() > 0
            && sink.may_wait()
            && !sink.flush()
        {
            written = Err(within.errno());
        }
        within.fails_with(before);
    }
    // SAFETY: as above.
    let fd = unsafe { number(file) };
    if fd >= 0 {
        close_under(fd);
    }
    written
}

/// The file's number, with `errno` left alone.
///
/// # Safety
///
/// The file is open.
pub(super) unsafe fn number(file: *mut FILE) -> c_int {
    let before = errno();
    // SAFETY: the caller's promise.
    let fd = unsafe { libc::fileno(file) };
    set_errno(before);
    fd
}

/// Forgets the number of a file that was opened.
pub(super) fn opened(file: *mut FILE) -> *mut FILE {
    if !file.is_null() {
        // SAFETY: libc has just opened it.
        match unsafe { number(file) } {
            fd if fd >= 0 => forget(fd),
            _ => {}
        }
    }
    file
}

/// Writes around the file's buffer; an error is the file's.
///
/// # Safety
///
/// The file is open, and this is its number.
unsafe fn write_around(within: &Within, file: *mut FILE, fd: c_int, line: &[u8]) {
    // SAFETY: the bytes are this function's.
    let moved = unsafe { write(fd, line.as_ptr().cast(), line.len()) };
    if moved < 0 {
        within.fails_with(-moved as c_int);
        // SAFETY: the caller's promise.
        unsafe { (*file.cast::<Head>()).flags |= ERROR_SEEN };
    }
}
