//! scanf(3) and its kin. libc's function reads from a file of its own, whose bytes are those of the user's file, for which the fiber waits
//! (`stream.rs`): a few at a time, and those that it has not used are the user's file's again.

#![expect(
    unsafe_code,
    reason = "takes the place of functions of libc, and opens a file whose reads are a function's"
)]

use std::ffi::{c_char, c_int, c_void};

use libc::{EOF, FILE, size_t, ssize_t};

use super::file::call;
use super::stdio::stdin;
use super::stream::Stream;
use super::variadic::List;
use crate::answer::{errno, set_errno};
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;

/// Hooks that read from what `stdin` is, or from a file.
macro_rules! scans {
    ($($standard:ident $other:ident;)*) => {
        hooks! { $(
            /// vscanf(3).
            fn $standard(format: *const c_char, list: List) -> c_int, |within| -> c_wait {
                // SAFETY: the caller's promise, here and below; libc's variable.
                unsafe {
                    let own = || own!(fn $standard(*const c_char, List) -> c_int)(format, list);
                    scan(within, stdin, own, |file| own!(fn $other(*mut FILE, *const c_char, List) -> c_int)(file, format, list))
                }
            }

            /// vfscanf(3).
            fn $other(file: *mut FILE, format: *const c_char, list: List) -> c_int, |within| -> c_wait {
                // SAFETY: the caller's promise, here and below.
                unsafe {
                    let own = |file| own!(fn $other(*mut FILE, *const c_char, List) -> c_int)(file, format, list);
                    scan(within, file, || own(file), own)
                }
            }
        )* }
    };
}

scans! {
    vscanf vfscanf;
    __isoc99_vscanf __isoc99_vfscanf;
    __isoc23_vscanf __isoc23_vfscanf;
}

/// The functions of a file that is none of the kernel's.
#[repr(C)]
struct Functions {
    read: Option<extern "C" fn(*mut c_void, *mut c_char, size_t) -> ssize_t>,
    write: Option<extern "C" fn(*mut c_void, *const c_char, size_t) -> ssize_t>,
    seek: Option<extern "C" fn(*mut c_void, *mut i64, c_int) -> c_int>,
    close: Option<extern "C" fn(*mut c_void) -> c_int>,
}

/// `FSETLOCKING_BYCALLER`.
const UNLOCKED: c_int = 2;

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn fopencookie(cookie: *mut c_void, mode: *const c_char, functions: Functions) -> *mut FILE;
    fn __fsetlocking(file: *mut FILE, kind: c_int) -> c_int;
}

/// Where libc's own file has its bytes from.
struct Source<'a, 'b> {
    stream: &'a mut Stream<'b>,
    /// How many were given last, which are in the buffer of the user's file as long as libc may not have used them.
    given: usize,
    /// libc's function has ended.
    is_over: bool,
}

/// How many bytes libc gets at once.
const BUFFER: usize = 64;

extern "C" fn read_more(source: *mut c_void, to: *mut c_char, room: size_t) -> ssize_t {
    // SAFETY: `scan` has passed it, and uses nothing of it as long as libc's function runs.
    let source = unsafe { &mut *source.cast::<Source<'_, '_>>() };
    if source.is_over {
        return 0;
    }
    let used = std::mem::take(&mut source.given);
    source.stream.consume(used);
    let found = source.stream.fill();
    let bytes = found.len().min(room);
    // SAFETY: there is so much room.
    unsafe { found.as_ptr().copy_to_nonoverlapping(to.cast(), bytes) };
    source.given = bytes;
    if bytes == 0 && source.stream.has_error() {
        set_errno(source.stream.error());
        return -1;
    }
    bytes as ssize_t
}

/// Reads from a file by `scan`; by `own` if it need not wait.
///
/// # Safety
///
/// The file is open.
unsafe fn scan(
    within: &Within,
    file: *mut FILE,
    own: impl FnOnce() -> c_int,
    scan: impl FnOnce(*mut FILE) -> c_int,
) -> c_int {
    // SAFETY: the caller's promise, here and below.
    let mut stream = match unsafe { Stream::begin(within, file, true) } {
        Ok(Some(stream)) => stream,
        Ok(None) => return call(within, own),
        Err(()) => return EOF,
    };
    let mut buffer = [0; BUFFER];
    let mut source = Source { stream: &mut stream, given: 0, is_over: false };
    let at: *mut Source<'_, '_> = &raw mut source;
    let functions = Functions { read: Some(read_more), write: None, seek: None, close: None };
    // SAFETY: the source, and the buffer, live longer than libc's file.
    unsafe {
        let of_libc = fopencookie(at.cast(), c"r".as_ptr(), functions);
        if of_libc.is_null() {
            within.fails_with(libc::ENOMEM);
            return EOF;
        }
        __fsetlocking(of_libc, UNLOCKED);
        libc::setvbuf(of_libc, buffer.as_mut_ptr(), libc::_IOFBF, BUFFER);
        set_errno(within.errno());
        let found = scan(of_libc);
        let error = errno();
        (*at).is_over = true;
        let mut left = Vec::new();
        loop {
            match own!(fn getc_unlocked(*mut FILE) -> c_int)(of_libc) {
                EOF => break,
                byte => left.push(byte),
            }
        }
        own!(fn fclose(*mut FILE) -> c_int)(of_libc);
        let given = (*at).given;
        (*at).stream.consume(given.saturating_sub(left.len()));
        // More is left than was given last if libc has put bytes back that came before.
        for byte in left[..left.len().saturating_sub(given)].iter().rev() {
            libc::ungetc(*byte, file);
        }
        within.fails_with(error);
        found
    }
}
