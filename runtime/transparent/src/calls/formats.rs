//! printf(3) and its kin: the text is made first, and then put into the file as by fwrite(3) (`puts.rs`). For a file that does not wait for
//! others libc's own function is called. The functions with arguments of any number are in `variadic.rs`.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and passes lists of arguments on")]

use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

use libc::{EOF, FILE};

use super::file::{call, is_wide, waiting_number, write};
use super::puts::{stdout, with_sink};
use super::sink::Sink;
use super::variadic::{Copied, List};
use crate::answer::set_errno;
use crate::descriptors::kind::{Kind, kind_of};
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// vprintf(3), which in C writes to what `stdout` is.
    fn vprintf(format: *const c_char, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below; libc's variable.
        unsafe {
            let own = |list| own!(fn vprintf(*const c_char, List) -> c_int)(format, list);
            print(within, stdout, list, own, |text, list| own!(fn vasprintf(*mut *mut c_char, *const c_char, List) -> c_int)(text, format, list))
        }
    }

    /// vfprintf(3).
    fn vfprintf(file: *mut FILE, format: *const c_char, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            let own = |list| own!(fn vfprintf(*mut FILE, *const c_char, List) -> c_int)(file, format, list);
            print(within, file, list, own, |text, list| own!(fn vasprintf(*mut *mut c_char, *const c_char, List) -> c_int)(text, format, list))
        }
    }

    /// vdprintf(3).
    fn vdprintf(fd: c_int, format: *const c_char, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            let own = |list| own!(fn vdprintf(c_int, *const c_char, List) -> c_int)(fd, format, list);
            print_to(within, fd, list, own, |text, list| own!(fn vasprintf(*mut *mut c_char, *const c_char, List) -> c_int)(text, format, list))
        }
    }

    /// vprintf(3) of a program that checks its formats (`_FORTIFY_SOURCE`).
    fn __vprintf_chk(flag: c_int, format: *const c_char, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below; libc's variable.
        unsafe {
            let own = |list| own!(fn __vprintf_chk(c_int, *const c_char, List) -> c_int)(flag, format, list);
            print(within, stdout, list, own, |text, list| {
                own!(fn __vasprintf_chk(*mut *mut c_char, c_int, *const c_char, List) -> c_int)(text, flag, format, list)
            })
        }
    }

    /// vfprintf(3) of a program that checks its formats.
    fn __vfprintf_chk(file: *mut FILE, flag: c_int, format: *const c_char, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            let own = |list| own!(fn __vfprintf_chk(*mut FILE, c_int, *const c_char, List) -> c_int)(file, flag, format, list);
            print(within, file, list, own, |text, list| {
                own!(fn __vasprintf_chk(*mut *mut c_char, c_int, *const c_char, List) -> c_int)(text, flag, format, list)
            })
        }
    }

    /// vdprintf(3) of a program that checks its formats.
    fn __vdprintf_chk(fd: c_int, flag: c_int, format: *const c_char, list: List) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            let own = |list| own!(fn __vdprintf_chk(c_int, c_int, *const c_char, List) -> c_int)(fd, flag, format, list);
            print_to(within, fd, list, own, |text, list| {
                own!(fn __vasprintf_chk(*mut *mut c_char, c_int, *const c_char, List) -> c_int)(text, flag, format, list)
            })
        }
    }
}

/// A text that libc has allocated.
pub(super) struct Text(*mut c_char, usize);

impl Text {
    /// Makes the text; `None` if that fails. The copy of the list is as it was.
    ///
    /// # Safety
    ///
    /// `format` may be called with the list, which was not used.
    pub(super) unsafe fn make(
        within: &Within,
        list: List,
        format: impl FnOnce(*mut *mut c_char, List) -> c_int,
    ) -> (Copied, Option<Self>) {
        // SAFETY: the caller's promise.
        let copied = unsafe { Copied::of(list) };
        let mut text = null_mut();
        set_errno(within.errno());
        let bytes = format(&raw mut text, list);
        (copied, usize::try_from(bytes).ok().map(|bytes| Self(text, bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: libc has written so many bytes.
        unsafe { std::slice::from_raw_parts(self.0.cast(), self.1) }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: it is this one's.
        unsafe { libc::free(self.0.cast()) };
    }
}

/// Prints to a file.
///
/// # Safety
///
/// The file is open, and the functions may be called with the list, or a copy of it.
unsafe fn print(
    within: &Within,
    file: *mut FILE,
    list: List,
    own: impl FnOnce(List) -> c_int,
    format: impl FnOnce(*mut *mut c_char, List) -> c_int,
) -> c_int {
    // SAFETY: the caller's promise, here and below.
    if unsafe { waiting_number(file).is_none() || is_wide(file) } {
        return call(within, || own(list));
    }
    // SAFETY: as above.
    let (mut copied, text) = unsafe { Text::make(within, list, format) };
    let Some(text) = text else {
        // libc's function has the same error, and puts what comes before it.
        return call(within, || own(copied.list()));
    };
    let put = |sink: &mut Sink<'_>| {
        let put = sink.put(text.bytes())?;
        Some(if put.has_failed { EOF } else { text.1 as c_int })
    };
    // SAFETY: as above.
    unsafe { with_sink(within, (file, true), EOF, || own(copied.list()), put) }
}

/// Prints to a descriptor.
///
/// # Safety
///
/// The functions may be called with the list, or a copy of it.
unsafe fn print_to(
    within: &Within,
    fd: c_int,
    list: List,
    own: impl FnOnce(List) -> c_int,
    format: impl FnOnce(*mut *mut c_char, List) -> c_int,
) -> c_int {
    if kind_of(fd) == Kind::Regular {
        return call(within, || own(list));
    }
    // SAFETY: the caller's promise.
    let (mut copied, text) = unsafe { Text::make(within, list, format) };
    let Some(text) = text else { return call(within, || own(copied.list())) };
    let mut rest = text.bytes();
    while !rest.is_empty() {
        // SAFETY: the text's bytes.
        match unsafe { write(fd, rest.as_ptr().cast(), rest.len()) } {
            moved if moved < 0 => {
                within.fails_with(-moved as c_int);
                return EOF;
            }
            moved => rest = &rest[moved as usize..],
        }
    }
    text.1 as c_int
}
