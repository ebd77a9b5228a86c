//! dlopen(3) and dlclose(3) run code of the library with a lock of libc's held, which a neighbour's first use of a thread-local needs as
//! well. So no fiber parks in them: what that code calls is libc's own.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_char, c_int, c_void};

use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// dlopen(3). To libc its caller is this crate: a `RUNPATH` of the library that really calls is not searched.
    fn dlopen(path: *const c_char, mode: c_int) -> *mut c_void, |_| -> c {
        // SAFETY: the caller's promise.
        unsafe { own!(fn dlopen(*const c_char, c_int) -> *mut c_void)(path, mode) }
    }

    /// dlclose(3).
    fn dlclose(library: *mut c_void) -> c_int, |_| -> c {
        // SAFETY: the caller's promise.
        unsafe { own!(fn dlclose(*mut c_void) -> c_int)(library) }
    }
}
