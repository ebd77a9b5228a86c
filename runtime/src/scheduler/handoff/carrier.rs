//! A carrier: what an OS thread has that may run workers, one after the other.

#![expect(unsafe_code, reason = "shares the address of a worker between threads")]

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use abaca_asm::{Context, thread_pointer};

use super::assignment::Assignment;
use super::presence::Presence;
use super::ward::Ward;
use crate::os::epoll::EventFd;
use crate::os::storage::Lender;
use crate::scheduler::parker::Parker;
use crate::scheduler::shared::Shared;
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
    /// Names the carrier, as no other one before or after it.
    number: u64,
    next: Assignment<Worker>,
    parker: Parker,
    /// The worker that the thread has left for another one, and looks after.
    ward: Ward,
    /// Whether the thread does not begin with the worker that it was given, which another one looks after; see `rest.rs`.
    rests: AtomicBool,
    /// Whether the thread has computed when its worker left it last.
    computes: AtomicBool,
    /// Whether the thread's time slice is the short one. Its own.
    has_short_slice: AtomicBool,
    /// Whether the thread has forked, and stays: to the kernel it is the parent of its children.
    is_kept: AtomicBool,
    /// The runtime, for the notice that a watched thread gives.
    shared: *const Shared,
    /// Ends the sleep of the thread in a worker's poller, after the worker was taken. `None` if there was no descriptor for it: then
    /// the thread keeps the workers that sleep on it.
    summons: Option<EventFd>,
}

// SAFETY: only the thread itself uses `hub` and `lender`; the other fields are atomics, constants, and descriptors.
unsafe impl Sync for Carrier {}
// SAFETY: as above.
unsafe impl Send for Carrier {}

impl Carrier {
    /// The carrier of the calling thread, whose operating system's id is `thread_id`.
    pub(super) fn new(thread_id: i32, shared: &Shared) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(2);
        let lender = Lender::of_this_thread().expect("checked when the runtime was built");
        Self {
            presence: Presence::new(),
            hub: Cell::new(Context::dangling()),
            thread_pointer: thread_pointer(),
            takes_back: lender.must_take_back(),
            lender,
            thread_id,
            // Relaxed: a number.
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            next: Assignment::none(),
            parker: Parker::default(),
            ward: Ward::none(),
            rests: AtomicBool::new(false),
            computes: AtomicBool::new(false),
            has_short_slice: AtomicBool::new(false),
            is_kept: AtomicBool::new(false),
            shared,
            summons: EventFd::new().ok(),
        }
    }

    /// What ends the sleep of the thread in a worker's poller when the worker is taken.
    pub(crate) fn summons(&self) -> Option<&EventFd> {
        self.summons.as_ref()
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

    /// The number of the carrier: never 0 or 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the thread rests. Under the lock of `Spares`, as is the next.
    pub(super) fn rests(&self) -> bool {
        // Relaxed: the lock orders it.
        self.rests.load(Ordering::Relaxed)
    }

    pub(super) fn set_rests(&self, rests: bool) {
        self.rests.store(rests, Ordering::Relaxed);
    }

    /// Notes whether the thread computes, which a worker is about to leave in a fiber. Under the lock of `Spares`.
    pub(super) fn set_computes(&self, computes: bool) {
        // Relaxed: the thread reads it after it has found its worker taken.
        self.computes.store(computes, Ordering::Relaxed);
    }

    /// Whether the thread has computed when its worker left it last.
    pub(super) fn computes(&self) -> bool {
        self.computes.load(Ordering::Relaxed)
    }

    /// Notes what the thread's time slice is about to be. Returns whether it was another one. From the thread.
    pub(super) fn sets_short(&self, is_short: bool) -> bool {
        // Relaxed: the thread's own, so a load and a store do.
        let changes = self.has_short_slice.load(Ordering::Relaxed) != is_short;
        self.has_short_slice.store(is_short, Ordering::Relaxed);
        changes
    }

    /// Whether the thread is inside of the runtime. Elsewhere than on the thread itself it is a hint.
    #[inline(always)]
    pub(crate) fn is_inside(&self) -> bool {
        self.presence.is_inside()
    }

    /// Enters the runtime. Returns false, and enters nothing, if the thread has lost its worker.
    #[inline(always)]
    pub(crate) fn enter(&self) -> bool {
        self.presence.enter(|| self.give_notice())
    }

    #[cold]
    fn give_notice(&self) {
        // SAFETY: the runtime lives as long as its threads.
        unsafe { &*self.shared }.unpark_monitor();
    }

    /// See [`Presence::watch`]. From the monitor, under the lock of `Spares`, as what follows.
    pub(super) fn watch(&self) -> bool {
        self.presence.watch()
    }

    pub(super) fn stays_outside(&self) -> bool {
        self.presence.stays_outside()
    }

    pub(super) fn unwatch(&self) {
        self.presence.unwatch();
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

    /// Takes the worker from the thread, unless the thread is inside or `may_go` says no. Under the lock of `Spares`.
    pub(super) fn take(&self, may_go: impl FnOnce() -> bool) -> bool {
        self.presence.take(may_go)
    }

    /// Notes that the thread, which has lost its worker, is in its hub.
    pub(super) fn renew(&self) {
        self.presence.renew();
    }

    /// Gives the thread, which waits for a worker or has lost one in its sleep, this one.
    pub(super) fn assign(&self, worker: &Worker) {
        // First, so that it is reset by the thread that takes the worker.
        self.summon();
        self.next.give(worker);
        self.parker.unpark();
    }

    /// Ends the sleep of the thread in a poller. It is reset when the thread takes a worker.
    pub(super) fn summon(&self) {
        if let Some(summons) = &self.summons {
            summons.notify();
        }
    }

    /// Gives the thread this worker in the place of one that was withdrawn under the same lock.
    pub(super) fn assign_instead(&self, worker: &Worker) {
        self.next.give(worker);
    }

    /// The worker that the thread looks after, beside its own.
    pub(super) fn ward(&self) -> &Ward {
        &self.ward
    }

    /// Whether the thread was given a worker with which it has not begun.
    pub(super) fn is_assigned(&self) -> bool {
        self.next.is_some()
    }

    /// Takes back `worker`, if the thread was given it and has not begun with it.
    pub(super) fn withdraw(&self, worker: &Worker) -> bool {
        self.next.withdraw(worker)
    }

    /// Keeps the thread from retiring. On the thread itself.
    pub(crate) fn keep(&self) {
        // Relaxed, here and below: the thread itself asks.
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// Whether the thread does not retire.
    pub(super) fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed)
    }

    /// Makes the waiting thread look up.
    pub(super) fn wake(&self) {
        self.parker.unpark();
    }

    /// The worker that the thread was given meanwhile.
    pub(super) fn take_assigned<'a>(&self) -> Option<&'a Worker> {
        if !self.next.is_some() {
            return None;
        }
        // It was sent before.
        if let Some(summons) = &self.summons {
            summons.reset();
        }
        // SAFETY: workers live as long as the runtime, and with it its threads.
        self.next.take().map(|worker| unsafe { worker.as_ref() })
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
