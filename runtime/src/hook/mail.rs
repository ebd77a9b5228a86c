//! How what was sent to a fiber reaches it while it runs: a signal to its thread, or its next step out of a hook. `queue/mailbox.rs` has the
//! protocol.

use crate::scheduler;

pub use crate::queue::Reach;

impl Reach {
    /// The calling fiber is the one that is reached by this.
    pub fn begin_with_caller(&self) {
        if let Some(mailbox) = scheduler::mailbox() {
            self.begin(mailbox);
        }
    }

    /// The fiber ends, unless it has become the thread of a copy of the process, in which there are no senders.
    pub fn end_with_caller(&self) {
        if scheduler::mailbox().is_some() {
            self.end();
        }
    }

    /// Notes that something was sent to the fiber, if that has begun and not ended, and calls `signal` with the operating system's id of the thread
    /// on which the fiber is to be looked for, if it runs.
    pub fn tell(&self, signal: impl FnOnce(i32)) {
        self.note(|thread| signal(thread.cast_signed()));
    }
}

/// Ends a hook. Returns whether something was sent to the caller.
#[inline(always)]
#[must_use]
pub fn leave() -> bool {
    scheduler::leave_hook()
}

/// Forgets that something was sent to the caller, who looks at it now.
pub fn open() {
    scheduler::open_mailbox();
}

/// Whether a handler of a signal has interrupted the caller in code of its own, outside of the runtime and of all hooks. May be called in a
/// handler.
#[must_use]
pub fn is_in_own_code() -> bool {
    scheduler::is_in_own_code()
}
