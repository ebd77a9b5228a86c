//! Files of wide characters. Only libc knows their encoding, so its own functions write and read; the fiber waits before: until there is room
//! for what a write is about to move, and until there is something to read.
//!
//! What is moved at once is no more than what a pipe has room for if it has any. Where that is not so, as if another process takes the room, or
//! a socket's buffer is smaller, or only a part of a character has come, the rest of the wait is in the kernel.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and looks into its files")]

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use abaca::hook::descriptors::{Attempt, Direction, Ended, WaitLimit, is_nonblocking, retry};
use libc::{EOF, FILE, size_t, wchar_t};

use super::file::{
    BY_LINES, ERROR_SEEN, Head, IS_NOT_WRITTEN, Lock, UNBUFFERED, call, is_unoriented, is_wide,
    waiting_number,
};
use super::puts::stdout;
use super::variadic::{Copied, List};
use crate::answer::{errno, failed, set_errno};
use crate::descriptors::poll::look_at;
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;
use crate::threads::wait_at_point;

/// C's `wint_t`.
pub(super) type Wide = u32;

/// What stands for the end of a file, and for errors.
pub(super) const END: Wide = u32::MAX;

hooks! {
    /// fputwc(3).
    fn fputwc(character: wchar_t, file: *mut FILE) -> Wide, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { put_one(within, character, file, true, || own!(fn fputwc(wchar_t, *mut FILE) -> Wide)(character, file)) }
    }

    /// putwc(3).
    fn putwc(character: wchar_t, file: *mut FILE) -> Wide, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { put_one(within, character, file, true, || own!(fn putwc(wchar_t, *mut FILE) -> Wide)(character, file)) }
    }

    /// putwchar(3).
    fn putwchar(character: wchar_t) -> Wide, |within| -> c_wait {
        // SAFETY: libc's variable, and as the program's own call.
        unsafe { put_one(within, character, stdout, true, || own!(fn putwchar(wchar_t) -> Wide)(character)) }
    }

    /// fputwc_unlocked(3).
    fn fputwc_unlocked(character: wchar_t, file: *mut FILE) -> Wide, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { put_one(within, character, file, false, || own!(fn fputwc_unlocked(wchar_t, *mut FILE) -> Wide)(character, file)) }
    }

    /// putwc_unlocked(3).
    fn putwc_unlocked(character: wchar_t, file: *mut FILE) -> Wide, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { put_one(within, character, file, false, || own!(fn putwc_unlocked(wchar_t, *mut FILE) -> Wide)(character, file)) }
    }

    /// putwchar_unlocked(3).
    fn putwchar_unlocked(character: wchar_t) -> Wide, |within| -> c_wait {
        // SAFETY: libc's variable, and as the program's own call.
        unsafe { put_one(within, character, stdout, false, || own!(fn putwchar_unlocked(wchar_t) -> Wide)(character)) }
    }

    /// fputws(3).
    fn fputws(text: *const wchar_t, file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { string(within, text, file, true, || own!(fn fputws(*const wchar_t, *mut FILE) -> c_int)(text, file)) }
    }

    /// fputws_unlocked(3).
    fn fputws_unlocked(text: *const wchar_t, file: *mut FILE) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { string(within, text, file, false, || own!(fn fputws_unlocked(*const wchar_t, *mut FILE) -> c_int)(text, file)) }
    }

    /// vwprintf(3).
    fn vwprintf(format: *const wchar_t, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below; libc's variable.
        unsafe { print(within, stdout, list, |file, list| own!(fn vfwprintf(*mut FILE, *const wchar_t, List) -> c_int)(file, format, list)) }
    }

    /// vfwprintf(3).
    fn vfwprintf(file: *mut FILE, format: *const wchar_t, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { print(within, file, list, |file, list| own!(fn vfwprintf(*mut FILE, *const wchar_t, List) -> c_int)(file, format, list)) }
    }

    /// vwprintf(3) of a program that checks its formats (`_FORTIFY_SOURCE`).
    fn __vwprintf_chk(flag: c_int, format: *const wchar_t, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below; libc's variable.
        unsafe {
            print(within, stdout, list, |file, list| {
                own!(fn __vfwprintf_chk(*mut FILE, c_int, *const wchar_t, List) -> c_int)(file, flag, format, list)
            })
        }
    }

    /// vfwprintf(3) of a program that checks its formats.
    fn __vfwprintf_chk(file: *mut FILE, flag: c_int, format: *const wchar_t, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            print(within, file, list, |file, list| {
                own!(fn __vfwprintf_chk(*mut FILE, c_int, *const wchar_t, List) -> c_int)(file, flag, format, list)
            })
        }
    }
}

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn __fpending(file: *mut FILE) -> size_t;
    fn __fbufsize(file: *mut FILE) -> size_t;
    fn open_wmemstream(text: *mut *mut wchar_t, count: *mut size_t) -> *mut FILE;
}

/// So many characters, of at most eight bytes each, fit into a pipe that has room.
const MOST: usize = libc::PIPE_BUF / 8;

/// How many wide characters wait in the buffer.
///
/// # Safety
///
/// The file is open, and takes wide characters.
pub(super) unsafe fn pending_wide(file: *mut FILE) -> usize {
    // SAFETY: the caller's promise.
    unsafe { __fpending(file) }
}

/// Waits until there is room for what is about to be written; false if there is an error now.
///
/// # Safety
///
/// The file is open.
pub(super) unsafe fn has_room(within: &Within, file: *mut FILE) -> bool {
    // SAFETY: the caller's promise.
    let Some(fd) = (unsafe { waiting_number(file) }).filter(|fd| !is_nonblocking(*fd)) else { return true };
    let limit = &mut WaitLimit::of_waiting_descriptor();
    let call = |fd| match look_at(fd, libc::POLLOUT) {
        Ok(0) => failed(libc::EAGAIN),
        _ => 1,
    };
    let attempt = Attempt { fd, direction: Direction::Write, wanted: 0, limit, call };
    let error = match wait_at_point(|| Ended::Cancelled, || retry(attempt)) {
        Ended::Cancelled => libc::ECANCELED,
        Ended::Interrupted => libc::EINTR,
        Ended::TimedOut => libc::EAGAIN,
        _ => return true,
    };
    within.fails_with(error);
    // SAFETY: as above.
    unsafe { (*file.cast::<Head>()).flags |= ERROR_SEEN };
    false
}

/// Calls `put` with the file's lock; libc's own function if that need not wait. `cancelled`: the result of a caller that was cancelled while
/// another had the lock.
///
/// # Safety
///
/// The file is open.
unsafe fn with_file<R>(
    within: &Within,
    (file, locks): (*mut FILE, bool),
    cancelled: R,
    own: impl FnOnce() -> R,
    put: impl FnOnce() -> R,
) -> R {
    // SAFETY: the caller's promise, here and below.
    let may_wait = unsafe {
        waiting_number(file).is_some()
            && (is_wide(file) || is_unoriented(file))
            && (*file.cast::<Head>()).flags & IS_NOT_WRITTEN == 0
    };
    if !may_wait {
        return call(within, own);
    }
    // SAFETY: as above.
    match unsafe { Lock::take(within, file, locks) } {
        Ok(_lock) => put(),
        Err(()) => cancelled,
    }
}

/// Puts these characters into the file; false if there is an error now.
///
/// # Safety
///
/// The file is open, and the caller has its lock, or does without.
unsafe fn put(within: &Within, file: *mut FILE, text: &[wchar_t]) -> bool {
    for character in text {
        // SAFETY: the caller's promise, here and below.
        let (flags, pending, size) =
            unsafe { ((*file.cast::<Head>()).flags, pending_wide(file), __fbufsize(file)) };
        let most = if size == 0 { MOST } else { MOST.min(size) };
        let ends_line = flags & BY_LINES != 0 && *character == wchar_t::from(b'\n');
        let is_full = pending + 1 >= most;
        // SAFETY: as above.
        if (flags & UNBUFFERED != 0 || ends_line || is_full) && !unsafe { has_room(within, file) } {
            return false;
        }
        set_errno(within.errno());
        // SAFETY: as above.
        let has_failed = unsafe {
            own!(fn fputwc_unlocked(wchar_t, *mut FILE) -> Wide)(*character, file) == END
                || is_full && own!(fn fflush_unlocked(*mut FILE) -> c_int)(file) == EOF
        };
        if has_failed {
            within.fails_with(errno());
            return false;
        }
    }
    true
}

/// A function that writes one character.
///
/// # Safety
///
/// The file is open.
unsafe fn put_one(
    within: &Within,
    character: wchar_t,
    file: *mut FILE,
    locks: bool,
    own: impl FnOnce() -> Wide,
) -> Wide {
    // SAFETY: the caller's promise, here and below.
    let put = || if unsafe { put(within, file, &[character]) } { character as Wide } else { END };
    // SAFETY: as above.
    unsafe { with_file(within, (file, locks), END, own, put) }
}

/// fputws(3) and its kin.
///
/// # Safety
///
/// The arguments are those of fputws(3).
unsafe fn string(
    within: &Within,
    text: *const wchar_t,
    file: *mut FILE,
    locks: bool,
    own: impl FnOnce() -> c_int,
) -> c_int {
    // SAFETY: the caller's promise, here and below: it ends in a zero.
    let text = unsafe { std::slice::from_raw_parts(text, libc::wcslen(text)) };
    // SAFETY: as above.
    let put = || if unsafe { put(within, file, text) } { 1 } else { EOF };
    // SAFETY: as above.
    unsafe { with_file(within, (file, locks), EOF, own, put) }
}

/// A text that libc has allocated.
struct Text(*mut wchar_t, size_t);

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: it is this one's, or null.
        unsafe { libc::free(self.0.cast::<c_void>()) };
    }
}

/// Prints to a file: the text is made first.
///
/// # Safety
///
/// The file is open, and `format` may be called with any file, and with the list, or a copy of it.
unsafe fn print(
    within: &Within,
    file: *mut FILE,
    list: List,
    format: impl Fn(*mut FILE, List) -> c_int,
) -> c_int {
    // SAFETY: the caller's list.
    let mut copied = unsafe { Copied::of(list) };
    let put_all = || {
        let mut text = Text(null_mut(), 0);
        // SAFETY: libc writes where the text is, which stays as long as its file.
        let of_memory = unsafe { open_wmemstream(&raw mut text.0, &raw mut text.1) };
        if of_memory.is_null() {
            within.fails_with(errno());
            return EOF;
        }
        set_errno(within.errno());
        let made = format(of_memory, list);
        let error = errno();
        // SAFETY: the file is this function's.
        unsafe { own!(fn fclose(*mut FILE) -> c_int)(of_memory) };
        let characters = if text.0.is_null() {
            // There was no memory for any.
            &[]
        } else {
            // SAFETY: libc has written so many.
            unsafe { std::slice::from_raw_parts(text.0, text.1) }
        };
        // SAFETY: the caller's promise. What comes before an error is put as well.
        let is_put = unsafe { put(within, file, characters) };
        if made < 0 {
            within.fails_with(error);
        }
        if is_put { made } else { EOF }
    };
    // SAFETY: the caller's promise.
    unsafe { with_file(within, (file, true), EOF, || format(file, copied.list()), put_all) }
}
