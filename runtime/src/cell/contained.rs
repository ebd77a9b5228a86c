//! Calls foreign code whose panics cannot be passed on: destructors, wakers and hooks that have no caller in user code.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `f`, and catches its panic, which the panic hook has reported.
///
/// The payload's destructor is foreign code as well. If the destructor panics, its own payload is leaked: otherwise this could
/// go on for ever.
pub(crate) fn contained(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f))
        && let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        std::mem::forget(payload);
    }
}
