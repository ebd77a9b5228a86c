//! What writes the buffers of files that the caller does not write to at that moment: fflush(3) of all files, and functions that move a file or
//! change its buffer, before which libc empties it. The fiber does that itself (`sink.rs`).
//!
//! libc keeps a list of all files, with a lock that a thread must have to open or close one. No fiber parks with it: it looks for one file at
//! a time, takes that one's lock, and leaves the list. Who closes the file waits for that lock.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and looks into its files")]

use std::ffi::{c_char, c_int, c_long, c_void};
use std::ptr;
use std::time::Instant;

use abaca::hook::{self, Pauses, Slept, sleep_until};
use libc::{EOF, FILE, size_t};

use super::file::{BY_LINES, FIRST_PAUSE, Head, IS_NOT_WRITTEN, IS_WRITING, Lock, call, is_wide, lock};
use super::puts::flush;
use super::sink::Sink;
use super::wide::{has_room, pending_wide};
use crate::answer::{errno, set_errno};
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;
use crate::threads::{beside, wake_fairly};

hooks! {
    /// fseek(3).
    fn fseek(file: *mut FILE, offset: c_long, from: c_int) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { flush(within, file, true, || own!(fn fseek(*mut FILE, c_long, c_int) -> c_int)(file, offset, from)) }
    }

    /// fseeko(3).
    fn fseeko(file: *mut FILE, offset: i64, from: c_int) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { flush(within, file, true, || own!(fn fseeko(*mut FILE, i64, c_int) -> c_int)(file, offset, from)) }
    }

    /// fseeko(3) of programs with large files.
    fn fseeko64(file: *mut FILE, offset: i64, from: c_int) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { flush(within, file, true, || own!(fn fseeko64(*mut FILE, i64, c_int) -> c_int)(file, offset, from)) }
    }

    /// fsetpos(3).
    fn fsetpos(file: *mut FILE, position: *const c_void) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { flush(within, file, true, || own!(fn fsetpos(*mut FILE, *const c_void) -> c_int)(file, position)) }
    }

    /// fsetpos(3) of programs with large files.
    fn fsetpos64(file: *mut FILE, position: *const c_void) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { flush(within, file, true, || own!(fn fsetpos64(*mut FILE, *const c_void) -> c_int)(file, position)) }
    }

    /// rewind(3), which forgets the errors of before.
    fn rewind(file: *mut FILE) -> (), |within| -> c_wait {
        let own = || {
            // SAFETY: the caller's promise, here and below.
            unsafe { own!(fn rewind(*mut FILE) -> ())(file) };
            0
        };
        // SAFETY: as above.
        unsafe {
            if flush(within, file, true, own) == EOF {
                libc::clearerr(file);
            }
        }
    }

    /// setvbuf(3), which writes what is in the old buffer if there will be another one, or none.
    fn setvbuf(file: *mut FILE, buffer: *mut c_char, mode: c_int, bytes: size_t) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        let own = || unsafe { own!(fn setvbuf(*mut FILE, *mut c_char, c_int, size_t) -> c_int)(file, buffer, mode, bytes) };
        if mode != libc::_IONBF && (buffer.is_null() || ![libc::_IOFBF, libc::_IOLBF].contains(&mode)) {
            return call(within, own);
        }
        // SAFETY: as above.
        unsafe { flush(within, file, true, own) }
    }

    /// setbuffer(3).
    fn setbuffer(file: *mut FILE, buffer: *mut c_char, bytes: size_t) -> (), |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { flush(within, file, true, || { own!(fn setbuffer(*mut FILE, *mut c_char, size_t) -> ())(file, buffer, bytes); 0 }) };
    }

    /// setbuf(3).
    fn setbuf(file: *mut FILE, buffer: *mut c_char) -> (), |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe { flush(within, file, true, || { own!(fn setbuf(*mut FILE, *mut c_char) -> ())(file, buffer); 0 }) };
    }

    /// flockfile(3), which nothing ends but the lock.
    fn flockfile(file: *mut FILE) -> (), |_| -> c_wait {
        // SAFETY: the caller's promise.
        unsafe { lock(file, false) };
    }

    /// funlockfile(3).
    fn funlockfile(file: *mut FILE) -> (), |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { own!(fn funlockfile(*mut FILE) -> ())(file) };
        if hook::has_sleepers(beside(file)) {
            wake_fairly(beside(file), || hook::wake_at(beside(file), u32::MAX, 1));
        }
    }

    /// fflush(3) of all files, by another name.
    fn _IO_flush_all() -> c_int, |within| -> c_wait {
        flush_all(within, |_| true)
    }

    /// fflush(3) of all files that are written by lines.
    fn _IO_flush_all_linebuffered() -> (), |within| -> c_wait {
        flush_all(within, |flags| flags & BY_LINES != 0);
    }

    /// The same.
    fn _flushlbf() -> (), |within| -> c_wait {
        flush_all(within, |flags| flags & BY_LINES != 0);
    }
}

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn _IO_list_lock();
    fn _IO_list_unlock();
    fn _IO_iter_begin() -> *mut FILE;
    fn _IO_iter_next(file: *mut FILE) -> *mut FILE;
    fn _IO_iter_end() -> *mut FILE;
    fn _IO_iter_file(file: *mut FILE) -> *mut FILE;
}

/// What of libc's list is to be done next.
enum Next {
    Write(*mut FILE, Lock),
    /// Others write to what is left.
    Wait,
    Nothing,
}

/// fflush(3) of all files of which `is_meant` says so, given their flags.
pub(super) fn flush_all(within: &Within, is_meant: impl Fn(c_int) -> bool) -> c_int {
    let mut done = Vec::new();
    let mut result = 0;
    let mut pauses = Pauses::starting_with(FIRST_PAUSE);
    loop {
        match next(&done, &is_meant) {
            Next::Write(file, lock) => {
                done.push(file);
                // SAFETY: who closes the file waits for its lock, which is held to the end of this.
                if !unsafe { write_pending(within, file) } {
                    result = EOF;
                }
                drop(lock);
            }
            Next::Wait => {
                if sleep_until(Some(Instant::now() + pauses.next_pause())) == Slept::Cancelled {
                    within.fails_with(libc::ECANCELED);
                    return EOF;
                }
            }
            Next::Nothing => return result,
        }
    }
}

/// The next file, after those that are done, that has something to be written.
fn next(done: &[*mut FILE], is_meant: &impl Fn(c_int) -> bool) -> Next {
    let mut found = Next::Nothing;
    // SAFETY: the files of the list are open as long as its lock is held. Of one whose lock another has, only the flags are looked at.
    unsafe {
        _IO_list_lock();
        let mut at = _IO_iter_begin();
        while at != _IO_iter_end() {
            let file = _IO_iter_file(at);
            at = _IO_iter_next(at);
            let flags = ptr::read_volatile(&raw const (*file.cast::<Head>()).flags);
            if done.contains(&file) || flags & IS_NOT_WRITTEN != 0 || !is_meant(flags) {
                continue;
            }
            match Lock::try_take(file) {
                Some(lock) if has_pending(file) => {
                    found = Next::Write(file, lock);
                    break;
                }
                Some(_) => {}
                None if flags & IS_WRITING != 0 => found = Next::Wait,
                // Who reads from it may have to wait for long.
                None => {}
            }
        }
        _IO_list_unlock();
    }
    found
}

/// # Safety
///
/// The file is open, and the caller has its lock.
unsafe fn has_pending(file: *mut FILE) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let Head { write_from, write_to, .. } = &*file.cast::<Head>();
        if is_wide(file) { pending_wide(file) > 0 } else { write_to.addr() > write_from.addr() }
    }
}

/// Writes what is in the buffer; false if there is an error now.
///
/// # Safety
///
/// The file is open, and the caller has its lock.
unsafe fn write_pending(within: &Within, file: *mut FILE) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        if libc::fileno(file) >= 0 && !is_wide(file) {
            let mut sink = Sink::held(within, file);
            if sink.may_wait() {
                return sink.flush();
            }
        } else if !has_room(within, file) {
            return false;
        }
        set_errno(within.errno());
        let has_failed = own!(fn fflush_unlocked(*mut FILE) -> c_int)(file) == EOF;
        if has_failed {
            within.fails_with(errno());
        }
        !has_failed
    }
}
