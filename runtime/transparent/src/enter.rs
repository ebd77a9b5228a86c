//! Whether a hook may park its caller.
//!
//! It may on a fiber with storage of its own, unless the caller is within a hook already: what the runtime itself calls of libc, on the
//! fiber's stack, is libc's.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use abaca::hook::{self, ends_in_error, mail};
use abaca::park::{Cost, spend};

use crate::answer::{Errno, errno, failed, set_errno};
use crate::threads::{self, faults};

/// Set by the first `install`.
static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

pub(crate) fn is_installed() -> bool {
    // Relaxed: it publishes nothing.
    IS_INSTALLED.load(Ordering::Relaxed)
}

pub(crate) fn set_installed() {
    IS_INSTALLED.store(true, Ordering::Relaxed);
}

/// The right to park the calling fiber. While it lives, the fiber's calls of libc are libc's.
pub(crate) struct Within {
    /// What `errno` will be: a call that succeeds leaves it as it was.
    errno: Cell<i32>,
    /// Where that is, in the fiber's own storage.
    place: Errno,
}

/// The right to park the caller; `None` if the hook is to call libc's own function.
#[inline]
pub(crate) fn enter() -> Option<Within> {
    // That the fiber is within a hook is kept in its own storage, so it stays right while others run.
    if !(hook::enter() || faults::was_left() && hook::enter()) {
        return None;
    }
    if !is_installed() {
        hook::set_within(false);
        return None;
    }
    let place = Errno::of_caller();
    Some(Within { errno: Cell::new(place.get()), place })
}

/// Calls a handler of a signal, in which the hooks are libc's own functions, wherever it has interrupted the caller.
pub(crate) fn within_handler(handler: impl FnOnce()) {
    let before = hook::set_within(true);
    let errno = errno();
    handler();
    set_errno(errno);
    hook::set_within(before);
}

/// Notes a system call that did not wait, whose result is passed on: the caller gives way now and then.
#[inline]
pub(crate) fn looked(result: isize) -> isize {
    spend(if result < 0 { Cost::TryFailed } else { Cost::SystemCall });
    if result == failed(libc::EAGAIN) { would_block() } else { result }
}

/// The result of a call that would have to wait, for a user that wants an error.
pub(crate) fn would_block() -> isize {
    failed(if ends_in_error() { libc::ECANCELED } else { libc::EAGAIN })
}

impl Within {
    /// What `errno` will be.
    pub(crate) fn errno(&self) -> i32 {
        self.errno.get()
    }

    /// The call fails with this error number: `errno` when it returns.
    pub(crate) fn fails_with(&self, error: i32) {
        self.errno.set(error);
    }
}

impl Drop for Within {
    #[inline]
    fn drop(&mut self) {
        if mail::leave() {
            attend_to_mail();
        }
        self.place.set(self.errno.get());
    }
}

/// Signals were sent to the caller while it was in the runtime: their handlers run now.
#[cold]
fn attend_to_mail() {
    loop {
        hook::set_within(true);
        mail::open();
        threads::attend();
        if !mail::leave() {
            return;
        }
    }
}
