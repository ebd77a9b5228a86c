//! A call of libc on a thread of the runtime's pool, which is a plain one: there the hooks are libc's functions.

#![expect(unsafe_code, reason = "lends addresses to another thread")]

use abaca::hook::offload;

use super::entries::{host_error, set_host_error};
use crate::answer::{errno, set_errno};
use crate::enter::Within;

/// What goes to another thread and comes back while its owner waits.
struct Lent<T>(T);

// SAFETY: libc's functions may be called on any thread, with arguments of any: those of `elsewhere` are such.
unsafe impl<T> Send for Lent<T> {}

impl<T> Lent<T> {
    /// The value: a closure that calls it takes the whole.
    fn take(self) -> T {
        self.0
    }
}

/// Calls a function of libc on a thread of the pool. The caller finds its `errno` and `h_errno` as if it had called it itself.
pub(crate) fn elsewhere<R>(within: &Within, call: impl FnOnce() -> R) -> R {
    let call = Lent(call);
    let before = within.errno();
    let (result, error, of_host) = offload(move || {
        set_errno(before);
        let result = call.take()();
        (Lent(result), errno(), host_error())
    });
    within.fails_with(error);
    set_host_error(of_host);
    result.take()
}
