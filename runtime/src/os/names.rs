//! The names of code addresses, by the crate `backtrace`.

use std::ffi::c_void;

use super::foreign_lock;

/// Calls `found` for each function at the address, from the innermost of those that the compiler has inlined on.
pub(crate) fn resolve(address: *mut c_void, found: impl FnMut(&backtrace::Symbol)) {
    foreign_lock::within(|| backtrace::resolve(address, found));
}
