//! The error of a stack that the kernel refuses, with the cause and its remedy for the person who reads it.

use core::fmt;

use crate::os::{self, Errno};

/// The kernel refused memory or a guard for a stack.
///
/// With the feature `std` it converts into a `std::io::Error` of the same text, so `?` works in functions
/// that return `io::Result`.
#[derive(Debug)]
pub struct StackError {
    /// The system call that failed.
    call: &'static str,
    /// The number of bytes that it was for.
    bytes: usize,
    errno: Errno,
    /// The value of `vm.max_map_count`, if that limit is a likely cause.
    map_limit: Option<usize>,
}

impl StackError {
    /// Must be called soon after the failure: it looks up the present limits.
    #[cold]
    pub(super) fn new(call: &'static str, bytes: usize, errno: Errno) -> Self {
        let map_limit = if errno == libc::ENOMEM { os::max_map_count() } else { None };
        Self { call, bytes, errno, map_limit }
    }

    /// The error number of the operating system, for example `ENOMEM`.
    ///
    /// ```
    /// use abaca_asm::stack::StackPool;
    ///
    /// let impossible = StackPool::new(usize::MAX);
    /// let error = impossible.take().expect_err("no address space is that large");
    /// assert_eq!(error.raw_os_error(), 12);
    /// ```
    pub fn raw_os_error(&self) -> i32 {
        self.errno
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, bytes, errno, map_limit } = self;
        write!(out, "no stack: {call} of {bytes} bytes failed (os error {errno})")?;
        if let Some(limit) = map_limit {
            let raised = limit.saturating_mul(16);
            write!(
                out,
                "; either memory is exhausted or the process has all the mappings that vm.max_map_count ({limit}) \
                 allows: raise it with `sysctl -w vm.max_map_count={raised}`, or run Linux 6.13 or newer, where a \
                 guard page needs no mapping"
            )?;
        }
        Ok(())
    }
}

impl core::error::Error for StackError {}

#[cfg(feature = "std")]
impl From<StackError> for std::io::Error {
    fn from(error: StackError) -> Self {
        let kind = Self::from_raw_os_error(error.errno).kind();
        Self::new(kind, error)
    }
}
