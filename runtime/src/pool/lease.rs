//! A lease keeps an idle thread of a pool from ending while a child process lives that the thread has started. The kernel ties
//! a child to the *thread* that forked it: for `PR_SET_PDEATHSIG` the end of that thread is the end of the parent.

use std::cell::OnceCell;
use std::sync::Arc;
use std::thread::{self, Thread};

thread_local! {
    /// Counts the leases of the calling thread, if the thread belongs to a pool.
    static OWN: OnceCell<Arc<()>> = const { OnceCell::new() };
}

/// Keeps the thread that made it from ending.
#[derive(Debug)]
pub(crate) struct Lease {
    /// `Some` until the lease is dropped.
    hold: Option<Arc<()>>,
    thread: Thread,
}

impl Lease {
    /// A lease of the calling thread. `None` if the thread does not belong to a pool, or is in the destructor of a thread-local.
    pub(crate) fn take() -> Option<Self> {
        let hold = OWN.try_with(|own| own.get().cloned()).ok()??;
        Some(Self { hold: Some(hold), thread: thread::current() })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Before the unpark, so that the thread finds the lease gone.
        self.hold = None;
        self.thread.unpark();
    }
}

/// Notes that the calling thread belongs to a pool from now on.
pub(super) fn register_thread() {
    OWN.with(|own| _ = own.get_or_init(Arc::default));
}

/// Whether there is a lease of the calling thread.
pub(super) fn is_held() -> bool {
    OWN.with(|own| own.get().is_some_and(|own| Arc::strong_count(own) > 1))
}
