//! Foreign code whose panics go nowhere: destructors, wakers and hooks that are called by nobody who could be told.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `f`. If it panics, the panic hook has reported that, and it ends here.
///
/// The payload's destructor is foreign code as well. If that panics, what it panics with is leaked: it could go on for ever.
pub(crate) fn contained(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f))
        && let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        std::mem::forget(payload);
    }
}
