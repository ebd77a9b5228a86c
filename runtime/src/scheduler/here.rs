//! What is here: the calling thread's worker, and the calling fiber.
//!
//! With the feature `own-tls`, `own_here.rs` takes the place of this file.

use std::cell::Cell;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use abaca_asm::stack::Stack;
use abaca_asm::{Context, switch};

use super::worker::Worker;
use crate::cell::Header;

#[cfg(not(loom))]
thread_local! {
    static WORKER: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

// All threads of a model are one of the operating system's.
#[cfg(loom)]
loom::thread_local! {
    static WORKER: Cell<*const Worker> = Cell::new(ptr::null());
}

/// The worker whose thread this is.
///
/// The only accessor of this thread-local. It is never inlined, so that no address of a thread-local lives across a
/// switch: a roaming fiber may come back on another thread. For the same reason the reference must not be used after a
/// switch of a roaming fiber: call this again.
#[expect(unsafe_code, reason = "workers live as long as their threads")]
#[inline(never)]
pub(crate) fn current_worker() -> Option<&'static Worker> {
    // SAFETY: the pointer is set by a worker's thread to its worker, which outlives the thread.
    unsafe { WORKER.with(Cell::get).as_ref() }
}

/// The calling fiber. `None` on a plain thread, and in a worker's hub.
#[inline]
pub(crate) fn current_fiber() -> Option<NonNull<Header>> {
    fiber_on(current_worker()?)
}

/// The calling fiber, given the [`current_worker`].
#[inline(always)]
pub(crate) fn fiber_on(worker: &Worker) -> Option<NonNull<Header>> {
    worker.current()
}

/// In a copy of the process by fork(2): makes the calling fiber a plain thread. It is no worker's any more.
pub(super) fn become_thread() -> bool {
    set_worker(None);
    true
}

/// Makes `worker` the calling thread's, or nobody.
pub(super) fn set_worker(worker: Option<&Worker>) {
    WORKER.with(|here| here.set(worker.map_or(ptr::null(), ptr::from_ref)));
}

/// The calling thread's worker, which stays the thread's while this lives.
pub(crate) struct Present(&'static Worker);

impl Deref for Present {
    type Target = Worker;

    #[inline(always)]
    fn deref(&self) -> &Worker {
        self.0
    }
}

impl Present {
    /// Ends this value, before the caller's scope does.
    #[inline(always)]
    pub(super) fn leave(self) {}

    /// The worker beyond this value's life: the caller switches away, or leaves with [`begin`].
    #[inline(always)]
    pub(super) fn stay(self) -> &'static Worker {
        self.0
    }
}

/// The calling thread's worker.
#[inline(always)]
pub(crate) fn present() -> Option<Present> {
    present_at(current_worker()?)
}

/// [`present`], given the [`current_worker`].
#[inline(always)]
pub(crate) fn present_at(worker: &'static Worker) -> Option<Present> {
    Some(Present(worker))
}

/// Given the [`current_worker`] of a fiber: the same worker, on whose thread the fiber is when this returns.
#[inline(always)]
pub(crate) fn come_home(worker: &'static Worker) -> Present {
    Present(worker)
}

/// Makes the calling fiber and one that it has spawned never run in parallel.
#[inline(always)]
pub(super) fn bind(_pair: [NonNull<Header>; 2], _worker: Present) {}

/// Begins the calling fiber's own code.
#[inline(always)]
pub(super) fn begin(_me: NonNull<Header>) {}

/// Ends the calling fiber's own code.
#[inline(always)]
pub(super) fn end_storage() {}

/// Makes the storage that lies with the calling fiber's stack new, for the next fiber on it.
#[inline(always)]
pub(super) fn renew_storage(_stack: &Stack) {}

/// Notes that the calling fiber has been continued.
#[inline(always)]
pub(super) fn arrive(_me: &Header, _worker: &Worker) {}

/// Prefetches what a fiber with storage of its own touches when it goes on.
#[inline(always)]
pub(super) fn prefetch_storage(_next: &Header) {}

/// Whether the fiber gives something back when it leaves its thread.
#[inline(always)]
pub(super) fn gives_back(_me: &Header) -> bool {
    false
}

/// Gives back what the calling fiber has borrowed of its thread, which it is about to leave.
#[inline(always)]
pub(super) fn give_back(_me: &Header) {}

/// [`give_back`] after the end of a fiber of this worker.
#[inline(always)]
pub(super) fn give_back_last(_worker: &Worker) {}

/// Hides the calling fiber, or shows it again.
#[inline(always)]
pub(super) fn show_fiber(_fiber: Option<NonNull<Header>>) {}

/// [`switch`].
///
/// # Safety
///
/// As there.
#[expect(unsafe_code, reason = "switches stacks")]
#[inline(always)]
pub(super) unsafe fn switch_to(
    save: *mut Context,
    to: Context,
    word: usize,
    _thread_pointer: *mut (),
) -> usize {
    // SAFETY: the caller's promise.
    unsafe { switch(save, to, word) }
}
