//! A carrier: what an OS thread has that may run workers, one after the other.

#![expect(unsafe_code, reason = "shares the address of a worker between threads")]

use std::cell::Cell;
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use abaca_asm::{Context, thread_pointer};

use super::presence::Presence;
use crate::os::storage::Lender;
use crate::scheduler::parker::Parker;
use crate::scheduler::worker::Worker;

/// See the module's documentation.
pub(crate) struct Carrier {
    presence: Presence,
    /// Where the thread's hub is suspended while a fiber runs.
    hub: Cell<Context>,
    thread_pointer: *mut (),
    /// What the thread lends to the fibers that it runs. They alone use it.
    lender: Lender,
    /// Whether fibers give back what they have borrowed whenever they leave the thread.
    takes_back: bool,
    /// The operating system's id of the thread.
    thread_id: i32,
    /// The worker that the thread is given; null while it is to wait for one.
    next: AtomicPtr<Worker>,
    parker: Parker,
}

// SAFETY: only the thread itself uses `hub` and `lender`; the other fields are atomics and constants.
unsafe impl Sync for Carrier {}
// SAFETY: as above.
unsafe impl Send for Carrier {}

impl Carrier {
    /// The carrier of the calling thread, whose operating system's id is `thread_id`.
    pub(super) fn new(thread_id: i32) -> Self {
        let lender = Lender::of_this_thread().expect("checked when the runtime was built");
        Self {
            presence: Presence::new(),
            hub: Cell::new(Context::dangling()),
            thread_pointer: thread_pointer(),
            takes_back: lender.must_take_back(),
            lender,
            thread_id,
            next: AtomicPtr::new(ptr::null_mut()),
            parker: Parker::default(),
        }
    }

    pub(crate) fn thread_pointer(&self) -> *mut () {
        self.thread_pointer
    }

    /// What the thread lends to the fibers that it runs. On the thread itself.
    pub(crate) fn lender(&self) -> &Lender {
        &self.lender
    }

    /// Whether fibers give back what they have borrowed whenever they leave the thread. On the thread itself.
    pub(crate) fn takes_back(&self) -> bool {
        self.takes_back
    }

    pub(crate) fn thread_id(&self) -> i32 {
        self.thread_id
    }

    /// Whether the thread is inside of the runtime. On the thread itself.
    #[inline(always)]
    pub(crate) fn is_inside(&self) -> bool {
        self.presence.is_inside()
    }

    /// Enters the runtime. Returns false, and enters nothing, if the thread has lost its worker.
    #[inline(always)]
    pub(crate) fn enter(&self) -> bool {
        self.presence.enter()
    }

    /// Leaves the runtime.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.presence.leave();
    }

    /// Where the thread's hub is suspended. On the thread itself.
    #[inline(always)]
    pub(crate) fn hub(&self) -> &Cell<Context> {
        &self.hub
    }

    /// Takes the worker from the thread, unless the thread is inside or `may_go` says no. From the monitor.
    pub(super) fn take(&self, may_go: impl FnOnce() -> bool) -> bool {
        self.presence.take(may_go)
    }

    /// Notes that the thread, which has lost its worker, is in its hub.
    pub(super) fn renew(&self) {
        self.presence.renew();
    }

    /// Gives the waiting thread a worker.
    pub(super) fn assign(&self, worker: &Worker) {
        // Release: pairs with the Acquire in `await_worker`.
        self.next.store(ptr::from_ref(worker).cast_mut(), Ordering::Release);
        self.parker.unpark();
    }

    /// Makes the waiting thread look up.
    pub(super) fn wake(&self) {
        self.parker.unpark();
    }

    /// The worker that the thread was given meanwhile.
    pub(super) fn take_assigned<'a>(&self) -> Option<&'a Worker> {
        // Acquire: pairs with the Release in `assign`.
        // SAFETY: workers live as long as the runtime, and with it its threads.
        unsafe { self.next.swap(ptr::null_mut(), Ordering::Acquire).as_ref() }
    }

    /// Waits until somebody wakes the thread, or for `timeout`. May return early.
    pub(super) fn sleep(&self, timeout: Option<Duration>) {
        self.parker.park(timeout);
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier")
            .field("thread_id", &self.thread_id)
            .field("presence", &self.presence)
            .finish_non_exhaustive()
    }
}
