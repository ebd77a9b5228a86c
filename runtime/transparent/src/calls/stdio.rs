//! Reads by stdio: libc reads within. So the fiber waits until there is something to read, and libc fills its buffer then (`stream.rs`).
//! Where all is in the buffer, or nothing waits, libc's own function is called.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and fills in what is their callers'")]

use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

use libc::{EOF, FILE, size_t, ssize_t};

use super::file::call;
use super::stream::{Stream, buffered};
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// fgets(3).
    fn fgets(buffer: *mut c_char, bytes: c_int, file: *mut FILE) -> *mut c_char, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { line(within, (buffer, bytes, file), true, || own!(fn fgets(*mut c_char, c_int, *mut FILE) -> *mut c_char)(buffer, bytes, file)) }
    }

    /// fgets(3) of a program that checks its buffers (`_FORTIFY_SOURCE`).
    fn __fgets_chk(buffer: *mut c_char, room: size_t, bytes: c_int, file: *mut FILE) -> *mut c_char, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below. What is too large ends the process.
        let own = || unsafe { own!(fn __fgets_chk(*mut c_char, size_t, c_int, *mut FILE) -> *mut c_char)(buffer, room, bytes, file) };
        if usize::try_from(bytes).is_ok_and(|bytes| bytes > room) {
            return own();
        }
        // SAFETY: as above.
        unsafe { line(within, (buffer, bytes, file), true, own) }
    }

    /// fgets_unlocked(3).
    fn fgets_unlocked(buffer: *mut c_char, bytes: c_int, file: *mut FILE) -> *mut c_char, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            line(within, (buffer, bytes, file), false, || own!(fn fgets_unlocked(*mut c_char, c_int, *mut FILE) -> *mut c_char)(buffer, bytes, file))
        }
    }

    /// fread(3).
    fn fread(buffer: *mut c_void, bytes: size_t, count: size_t, file: *mut FILE) -> size_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            items(within, (buffer, bytes, count, file), true, || own!(fn fread(*mut c_void, size_t, size_t, *mut FILE) -> size_t)(buffer, bytes, count, file))
        }
    }

    /// fread(3) of a program that checks its buffers.
    fn __fread_chk(buffer: *mut c_void, room: size_t, bytes: size_t, count: size_t, file: *mut FILE) -> size_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below. What is too large ends the process.
        let own = || unsafe {
            own!(fn __fread_chk(*mut c_void, size_t, size_t, size_t, *mut FILE) -> size_t)(buffer, room, bytes, count, file)
        };
        if bytes.checked_mul(count).is_none_or(|all| all > room) {
            return own();
        }
        // SAFETY: as above.
        unsafe { items(within, (buffer, bytes, count, file), true, own) }
    }

    /// fread_unlocked(3).
    fn fread_unlocked(buffer: *mut c_void, bytes: size_t, count: size_t, file: *mut FILE) -> size_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            items(within, (buffer, bytes, count, file), false, || {
                own!(fn fread_unlocked(*mut c_void, size_t, size_t, *mut FILE) -> size_t)(buffer, bytes, count, file)
            })
        }
    }

    /// fread_unlocked(3) of a program that checks its buffers.
    fn __fread_unlocked_chk(buffer: *mut c_void, room: size_t, bytes: size_t, count: size_t, file: *mut FILE) -> size_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below. What is too large ends the process.
        let own = || unsafe {
            own!(fn __fread_unlocked_chk(*mut c_void, size_t, size_t, size_t, *mut FILE) -> size_t)(buffer, room, bytes, count, file)
        };
        if bytes.checked_mul(count).is_none_or(|all| all > room) {
            return own();
        }
        // SAFETY: as above.
        unsafe { items(within, (buffer, bytes, count, file), false, own) }
    }

    /// fgets_unlocked(3) of a program that checks its buffers.
    fn __fgets_unlocked_chk(buffer: *mut c_char, room: size_t, bytes: c_int, file: *mut FILE) -> *mut c_char, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below. What is too large ends the process.
        let own = || unsafe { own!(fn __fgets_unlocked_chk(*mut c_char, size_t, c_int, *mut FILE) -> *mut c_char)(buffer, room, bytes, file) };
        if usize::try_from(bytes).is_ok_and(|bytes| bytes > room) {
            return own();
        }
        // SAFETY: as above.
        unsafe { line(within, (buffer, bytes, file), false, own) }
    }

    /// fgetc(3).
    fn fgetc(file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { byte(within, file, true, || own!(fn fgetc(*mut FILE) -> c_int)(file)) }
    }

    /// getc(3).
    fn getc(file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { byte(within, file, true, || own!(fn getc(*mut FILE) -> c_int)(file)) }
    }

    /// getc_unlocked(3).
    fn getc_unlocked(file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { byte(within, file, false, || own!(fn getc_unlocked(*mut FILE) -> c_int)(file)) }
    }

    /// fgetc_unlocked(3).
    fn fgetc_unlocked(file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { byte(within, file, false, || own!(fn fgetc_unlocked(*mut FILE) -> c_int)(file)) }
    }

    /// What getc_unlocked(3) calls where the compiler has put its code into the program: the buffer is empty.
    fn __uflow(file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { byte(within, file, false, || own!(fn __uflow(*mut FILE) -> c_int)(file)) }
    }

    /// getchar(3), which in C reads what `stdin` is.
    fn getchar() -> c_int, |within| -> c_wait {
        // SAFETY: libc's variable, and as the program's own call.
        unsafe { byte(within, stdin, true, || own!(fn getchar() -> c_int)()) }
    }

    /// getchar_unlocked(3).
    fn getchar_unlocked() -> c_int, |within| -> c_wait {
        // SAFETY: libc's variable, and as the program's own call.
        unsafe { byte(within, stdin, false, || own!(fn getchar_unlocked() -> c_int)()) }
    }

    /// getline(3).
    fn getline(line: *mut *mut c_char, bytes: *mut size_t, file: *mut FILE) -> ssize_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            delimited(within, (line, bytes, c_int::from(b'\n'), file), || {
                own!(fn getline(*mut *mut c_char, *mut size_t, *mut FILE) -> ssize_t)(line, bytes, file)
            })
        }
    }

    /// getdelim(3).
    fn getdelim(line: *mut *mut c_char, bytes: *mut size_t, end: c_int, file: *mut FILE) -> ssize_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            delimited(within, (line, bytes, end, file), || {
                own!(fn getdelim(*mut *mut c_char, *mut size_t, c_int, *mut FILE) -> ssize_t)(line, bytes, end, file)
            })
        }
    }
}

unsafe extern "C" {
    pub(super) static stdin: *mut FILE;
}

/// How many bytes of `found` belong to what ends at `end`, and whether it is among them.
fn part(found: &[u8], end: u8) -> (usize, bool) {
    found.iter().position(|byte| *byte == end).map_or((found.len(), false), |at| (at + 1, true))
}

/// A function that reads one byte.
///
/// # Safety
///
/// The file is open.
unsafe fn byte(within: &Within, file: *mut FILE, locks: bool, own: impl FnOnce() -> c_int) -> c_int {
    // SAFETY: the caller's promise, here and below.
    if !unsafe { buffered(file) }.is_empty() {
        return call(within, own);
    }
    // SAFETY: as above.
    match unsafe { Stream::begin(within, file, locks) } {
        Ok(None) => call(within, own),
        Ok(Some(mut stream)) => match stream.fill() {
            [] => EOF,
            [first, ..] => {
                let first = c_int::from(*first);
                stream.consume(1);
                first
            }
        },
        Err(()) => EOF,
    }
}

/// fgets(3) and its kin.
///
/// # Safety
///
/// The arguments are those of fgets(3).
unsafe fn line(
    within: &Within,
    (buffer, bytes, file): (*mut c_char, c_int, *mut FILE),
    locks: bool,
    own: impl FnOnce() -> *mut c_char,
) -> *mut c_char {
    let room = usize::try_from(bytes).unwrap_or(0).saturating_sub(1);
    // SAFETY: the caller's promise, here and below.
    let there = unsafe { buffered(file) };
    let has_all = room == 0 || there.len() >= room || there.contains(&b'\n');
    // SAFETY: as above.
    let mut stream = match if has_all { Ok(None) } else { unsafe { Stream::begin(within, file, locks) } } {
        Ok(Some(stream)) => stream,
        Ok(None) => return call(within, own),
        Err(()) => return null_mut(),
    };
    let (count, has_error) = stream.with_own_errors(|stream| {
        let mut count = 0;
        while count < room {
            let found = stream.fill();
            let (bytes, is_end) = part(&found[..found.len().min(room - count)], b'\n');
            if bytes == 0 {
                break;
            }
            // SAFETY: the caller's promise: there is so much room.
            unsafe { found.as_ptr().copy_to_nonoverlapping(buffer.cast::<u8>().add(count), bytes) };
            stream.consume(bytes);
            count += bytes;
            if is_end {
                break;
            }
        }
        (count, stream.has_error())
    });
    if count == 0 || has_error {
        return null_mut();
    }
    // SAFETY: as above.
    unsafe { buffer.add(count).write(0) };
    buffer
}

/// fread(3) and its kin.
///
/// # Safety
///
/// The arguments are those of fread(3).
unsafe fn items(
    within: &Within,
    (buffer, bytes, count, file): (*mut c_void, size_t, size_t, *mut FILE),
    locks: bool,
    own: impl FnOnce() -> size_t,
) -> size_t {
    let Some(all) = bytes.checked_mul(count) else { return call(within, own) };
    // SAFETY: the caller's promise, here and below.
    let has_all = unsafe { buffered(file) }.len() >= all;
    // SAFETY: as above.
    let mut stream = match if has_all { Ok(None) } else { unsafe { Stream::begin(within, file, locks) } } {
        Ok(Some(stream)) => stream,
        Ok(None) => return call(within, own),
        Err(()) => return 0,
    };
    let mut moved = 0;
    while moved < all {
        let found = stream.fill();
        let part = found.len().min(all - moved);
        if part == 0 {
            break;
        }
        // SAFETY: as above: there is so much room.
        unsafe { found.as_ptr().copy_to_nonoverlapping(buffer.cast::<u8>().add(moved), part) };
        stream.consume(part);
        moved += part;
    }
    moved / bytes
}

/// getdelim(3) and getline(3).
///
/// # Safety
///
/// The arguments are those of getdelim(3).
unsafe fn delimited(
    within: &Within,
    (line, room, end, file): (*mut *mut c_char, *mut size_t, c_int, *mut FILE),
    own: impl FnOnce() -> ssize_t,
) -> ssize_t {
    /// What libc takes at first.
    const FIRST: usize = 120;
    let end = end as u8;
    // SAFETY: the caller's promise, here and below.
    let has_all = line.is_null() || room.is_null() || unsafe { buffered(file) }.contains(&end);
    // SAFETY: as above.
    let mut stream = match if has_all { Ok(None) } else { unsafe { Stream::begin(within, file, true) } } {
        Ok(Some(stream)) => stream,
        Ok(None) => return call(within, own),
        Err(()) => return -1,
    };
    let mut all: Vec<u8> = Vec::new();
    while !stream.has_error() {
        let found = stream.fill();
        let (bytes, is_end) = part(found, end);
        all.extend_from_slice(&found[..bytes]);
        stream.consume(bytes);
        if is_end || bytes == 0 {
            break;
        }
    }
    if all.is_empty() {
        return -1;
    }
    // SAFETY: the caller's promise: the line is malloc's, of this size, or null.
    unsafe {
        let before = if (*line).is_null() { 0 } else { *room };
        if before < all.len() + 1 {
            let wanted = (all.len() + 1).max(2 * before).max(FIRST);
            let larger = libc::realloc((*line).cast(), wanted);
            if larger.is_null() {
                within.fails_with(libc::ENOMEM);
                return -1;
            }
            (*line, *room) = (larger.cast(), wanted);
        }
        all.as_ptr().copy_to_nonoverlapping((*line).cast(), all.len());
        (*line).add(all.len()).write(0);
    }
    all.len() as ssize_t
}
