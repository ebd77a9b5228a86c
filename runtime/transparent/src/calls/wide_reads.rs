//! Reads of wide characters (`wide.rs`): the fiber waits where libc's function would read.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and fills in what is their callers'")]

use std::ffi::c_int;
use std::ptr::null_mut;

use libc::{FILE, size_t, wchar_t};

use super::file::{END_SEEN, Head, READS_PUT_BACK, call, is_unoriented, is_wide};
use super::stdio::stdin;
use super::stream::{Stream, buffered};
use super::wide::{END, Wide, has_room, pending_wide};
use crate::answer::{errno, set_errno};
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// fgetwc(3).
    fn fgetwc(file: *mut FILE) -> Wide, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { character(within, file, true, || own!(fn fgetwc(*mut FILE) -> Wide)(file)) }
    }

    /// getwc(3).
    fn getwc(file: *mut FILE) -> Wide, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { character(within, file, true, || own!(fn getwc(*mut FILE) -> Wide)(file)) }
    }

    /// getwchar(3).
    fn getwchar() -> Wide, |within| -> c_wait {
        // SAFETY: libc's variable, and as the program's own call.
        unsafe { character(within, stdin, true, || own!(fn getwchar() -> Wide)()) }
    }

    /// fgetwc_unlocked(3).
    fn fgetwc_unlocked(file: *mut FILE) -> Wide, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { character(within, file, false, || own!(fn fgetwc_unlocked(*mut FILE) -> Wide)(file)) }
    }

    /// getwc_unlocked(3).
    fn getwc_unlocked(file: *mut FILE) -> Wide, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { character(within, file, false, || own!(fn getwc_unlocked(*mut FILE) -> Wide)(file)) }
    }

    /// getwchar_unlocked(3).
    fn getwchar_unlocked() -> Wide, |within| -> c_wait {
        // SAFETY: libc's variable, and as the program's own call.
        unsafe { character(within, stdin, false, || own!(fn getwchar_unlocked() -> Wide)()) }
    }

    /// fgetws(3).
    fn fgetws(buffer: *mut wchar_t, count: c_int, file: *mut FILE) -> *mut wchar_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { line(within, (buffer, count, file), true, || own!(fn fgetws(*mut wchar_t, c_int, *mut FILE) -> *mut wchar_t)(buffer, count, file)) }
    }

    /// fgetws_unlocked(3).
    fn fgetws_unlocked(buffer: *mut wchar_t, count: c_int, file: *mut FILE) -> *mut wchar_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            line(within, (buffer, count, file), false, || {
                own!(fn fgetws_unlocked(*mut wchar_t, c_int, *mut FILE) -> *mut wchar_t)(buffer, count, file)
            })
        }
    }

    /// fgetws(3) of a program that checks its buffers (`_FORTIFY_SOURCE`).
    fn __fgetws_chk(buffer: *mut wchar_t, room: size_t, count: c_int, file: *mut FILE) -> *mut wchar_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below. What is too large ends the process.
        let own = || unsafe { own!(fn __fgetws_chk(*mut wchar_t, size_t, c_int, *mut FILE) -> *mut wchar_t)(buffer, room, count, file) };
        if usize::try_from(count).is_ok_and(|count| count > room) {
            return own();
        }
        // SAFETY: as above.
        unsafe { line(within, (buffer, count, file), true, own) }
    }

    /// fgetws_unlocked(3) of a program that checks its buffers.
    fn __fgetws_unlocked_chk(buffer: *mut wchar_t, room: size_t, count: c_int, file: *mut FILE) -> *mut wchar_t, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below. What is too large ends the process.
        let own = || unsafe {
            own!(fn __fgetws_unlocked_chk(*mut wchar_t, size_t, c_int, *mut FILE) -> *mut wchar_t)(buffer, room, count, file)
        };
        if usize::try_from(count).is_ok_and(|count| count > room) {
            return own();
        }
        // SAFETY: as above.
        unsafe { line(within, (buffer, count, file), false, own) }
    }
}

/// The begin of libc's buffers of wide characters, as its headers have shown it.
#[repr(C)]
struct Buffers {
    read_from: *mut wchar_t,
    read_to: *mut wchar_t,
    others: [*mut wchar_t; 6],
    /// As [`Head::saved`].
    saved: [*mut wchar_t; 3],
}

/// Whether the next character has to be read from the descriptor. Not if a part of one has come: libc looks whether it is one.
///
/// # Safety
///
/// The file is open.
unsafe fn must_read(file: *mut FILE) -> bool {
    // SAFETY: the caller's promise: libc has made the buffers of a file that takes wide characters.
    unsafe {
        let Head { flags, wide, .. } = &*file.cast::<Head>();
        if flags & END_SEEN != 0 || !buffered(file).is_empty() {
            return false;
        }
        if !is_wide(file) || wide.is_null() {
            // libc's function refuses a file that takes bytes.
            return is_unoriented(file);
        }
        let Buffers { read_from, read_to, saved: [begin, _, end], .. } = &*wide.cast::<Buffers>();
        read_from >= read_to && (flags & READS_PUT_BACK == 0 || begin >= end)
    }
}

/// Waits for the next character, if it has to be read; false if there is an error now.
///
/// # Safety
///
/// The file is the stream's.
unsafe fn wait(within: &Within, stream: &mut Stream<'_>, file: *mut FILE) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        !must_read(file)
            || !(is_wide(file) && pending_wide(file) > 0 && !has_room(within, file)) && stream.wait()
    }
}

/// A function that reads one character.
///
/// # Safety
///
/// The file is open.
unsafe fn character(within: &Within, file: *mut FILE, locks: bool, own: impl FnOnce() -> Wide) -> Wide {
    // SAFETY: the caller's promise, here and below.
    if unsafe { !must_read(file) } {
        return call(within, own);
    }
    // SAFETY: as above.
    match unsafe { Stream::begin(within, file, locks) } {
        Ok(None) => call(within, own),
        Ok(Some(mut stream)) => {
            // SAFETY: as above.
            let may_read = unsafe { wait(within, &mut stream, file) };
            if may_read { call(within, own) } else { END }
        }
        Err(()) => END,
    }
}

/// fgetws(3) and its kin.
///
/// # Safety
///
/// The arguments are those of fgetws(3).
unsafe fn line(
    within: &Within,
    (buffer, count, file): (*mut wchar_t, c_int, *mut FILE),
    locks: bool,
    own: impl FnOnce() -> *mut wchar_t,
) -> *mut wchar_t {
    let room = usize::try_from(count).unwrap_or(0).saturating_sub(1);
    // SAFETY: the caller's promise, here and below.
    let mut stream = match if room == 0 { Ok(None) } else { unsafe { Stream::begin(within, file, locks) } } {
        Ok(Some(stream)) => stream,
        Ok(None) => return call(within, own),
        Err(()) => return null_mut(),
    };
    let (found, has_error) = stream.with_own_errors(|stream| {
        let mut found = 0;
        // SAFETY: as above: there is so much room.
        unsafe {
            while found < room && wait(within, stream, file) {
                set_errno(within.errno());
                let next = own!(fn fgetwc_unlocked(*mut FILE) -> Wide)(file);
                if next == END {
                    within.fails_with(errno());
                    break;
                }
                buffer.add(found).write(next as wchar_t);
                found += 1;
                if next == Wide::from(b'\n') {
                    break;
                }
            }
        }
        (found, stream.has_error())
    });
    if found == 0 || has_error {
        return null_mut();
    }
    // SAFETY: as above.
    unsafe { buffer.add(found).write(0) };
    buffer
}
