//! Calls foreign code at an actor's end, when others are still to be told of it: destructors of messages, watchers, traps.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `f`, and catches its panic, which the panic hook has reported, or its cancellation. If the payload's destructor panics as
/// well, that one's payload is leaked.
pub(super) fn contained(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f))
        && let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        std::mem::forget(payload);
    }
}

/// Drops messages, each for itself: a second destructor that panics beside the first would end the process.
pub(super) fn drop_each<M>(messages: impl IntoIterator<Item = M>) {
    messages.into_iter().for_each(|message| contained(|| drop(message)));
}
