//! What keeps a thread of a pool from ending when it is idle: a child that it has started. The kernel ties a child to the
//! *thread* that forked it: that one's end is the end of the parent for `PR_SET_PDEATHSIG`.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::{self, Thread};

thread_local! {
    /// The calling thread's, if it belongs to a pool.
    static OWN: RefCell<Option<Arc<()>>> = const { RefCell::new(None) };
}

/// The thread that made it goes on as long as this lives.
#[derive(Debug)]
pub(crate) struct Lease {
    /// `Some` until it is dropped.
    hold: Option<Arc<()>>,
    thread: Thread,
}

impl Lease {
    /// A lease of the calling thread, if it belongs to a pool.
    pub(crate) fn take() -> Option<Self> {
        let hold = OWN.with_borrow(Clone::clone)?;
        Some(Self { hold: Some(hold), thread: thread::current() })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // First, so that the thread finds it gone.
        self.hold = None;
        self.thread.unpark();
    }
}

/// The calling thread belongs to a pool from now on.
pub(super) fn offer() {
    OWN.set(Some(Arc::default()));
}

/// Whether somebody has a lease of the calling thread.
pub(super) fn is_held() -> bool {
    OWN.with_borrow(|own| own.as_ref().is_some_and(|own| Arc::strong_count(own) > 1))
}
