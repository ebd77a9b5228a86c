//! The end of a descriptor's number.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;

use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// close(2).
    fn close(fd: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { own!(fn close(c_int) -> c_int)(fd) }
    }
}
