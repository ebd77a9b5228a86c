//! A second number of a file, with which a call goes on when the first is closed.

#![expect(unsafe_code, reason = "makes system calls")]

use std::ffi::c_int;

use crate::kernel::kernel;

/// See the module's documentation. Not for files that may have record locks, which the close of any number would end.
pub(crate) struct SecondNumber {
    first: c_int,
    second: Option<c_int>,
}

impl SecondNumber {
    pub(crate) fn of(first: c_int) -> Self {
        // SAFETY: no memory is involved.
        let second = unsafe { kernel!(libc::SYS_fcntl, first, libc::F_DUPFD_CLOEXEC, 0) };
        Self { first, second: (second >= 0).then_some(second as c_int) }
    }

    /// The first one, if there was no second to be had.
    pub(crate) fn get(&self) -> c_int {
        self.second.unwrap_or(self.first)
    }
}

impl Drop for SecondNumber {
    fn drop(&mut self) {
        if let Some(second) = self.second {
            // SAFETY: nobody else knows the number.
            unsafe { kernel!(libc::SYS_close, second) };
        }
    }
}
