//! A second number of a file, with which a call goes on when the first is closed.
//!
//! The program may close all numbers that it does not know, and have another file under this one by the end of the call. That is left open.

#![expect(unsafe_code, reason = "makes system calls")]

use std::ffi::c_int;

use super::kind::about;
use crate::kernel::kernel;

/// See the module's documentation. Not for files that may have record locks, which the close of any number would end.
pub(crate) struct SecondNumber {
    first: c_int,
    second: Option<c_int>,
    /// Which file that is.
    file: Option<(libc::dev_t, libc::ino_t)>,
}

/// The device and the number of the file that is open by this number.
fn file_of(fd: c_int) -> Option<(libc::dev_t, libc::ino_t)> {
    about(fd).map(|about| (about.st_dev, about.st_ino))
}

impl SecondNumber {
    pub(crate) fn of(first: c_int) -> Self {
        // SAFETY: no memory is involved.
        let second = unsafe { kernel!(libc::SYS_fcntl, first, libc::F_DUPFD_CLOEXEC, 0) };
        let second = (second >= 0).then_some(second as c_int);
        Self { first, second, file: second.and_then(file_of) }
    }

    /// The first one, if there was no second to be had.
    pub(crate) fn get(&self) -> c_int {
        self.second.unwrap_or(self.first)
    }
}

impl Drop for SecondNumber {
    fn drop(&mut self) {
        if let Some(second) = self.second.filter(|second| file_of(*second) == self.file) {
            // SAFETY: nobody else knows the number, and it is not another file's.
            unsafe { kernel!(libc::SYS_close, second) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::pipe;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn it_is_closed_unless_it_has_become_another_files() {
        let (one, other) = (pipe().unwrap(), File::open("/dev/null").unwrap());
        let second = SecondNumber::of(one.0.as_raw_fd());
        let number = second.get();
        assert_eq!(file_of(number), file_of(one.0.as_raw_fd()));
        // No other test gets the number between: it is changed in one step.
        // SAFETY: no memory is involved, and the number is this test's.
        assert_eq!(unsafe { libc::dup2(other.as_raw_fd(), number) }, number);
        drop(second);
        assert_eq!(file_of(number), file_of(other.as_raw_fd()));
        // SAFETY: as above.
        unsafe { libc::close(number) };
        let second = SecondNumber::of(one.0.as_raw_fd());
        let (number, file) = (second.get(), second.file);
        drop(second);
        assert_ne!(file_of(number), file);
    }
}
