//! What the calling thread or fiber looks at in each call of the runtime, on one line of the cache.
//!
//! Among a thousand fibers, whose lines have left the cache when they go on, each line of its own would be waited for. So what
//! `own_here.rs`, `budget.rs`, `moved.rs` and the hooks of libc's functions keep in thread-local storage lies side by side here, and is prefetched before
//! its fiber goes on.

#![expect(unsafe_code, reason = "follows the addresses of the carrier and the fiber that are here")]

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering, compiler_fence};

use abaca_asm::{prefetch, thread_pointer};

use super::cost::FULL;
use super::handoff::Carrier;
use super::worker::Worker;
use crate::cell::{Flags, Header};
use crate::queue::Mailbox;

/// See the module's documentation.
#[repr(C, align(64))]
pub(super) struct Here {
    pub(super) worker: Cell<*const Worker>,
    /// Null on a plain thread, and where fibers share their worker's storage.
    pub(super) carrier: Cell<*const Carrier>,
    /// The worker's [tenure](Worker::tenure) when the fiber last arrived, or that of none (`GAVE_BACK` of `own_here.rs`); in the storage of
    /// a thread with a carrier 1, elsewhere 0.
    pub(super) tenure: Cell<u64>,
    /// The fiber whose storage this is; null if this is a thread's, and while a hook runs.
    pub(super) fiber: Cell<*mut Header>,
    /// What the hooks keep of a thread that is a fiber.
    record: Cell<*const ()>,
    /// The rest of the budget (`budget.rs`). It is atomic only for the sake of roaming fibers without own storage: the compiler may keep the
    /// address of another worker's budget across a switch (that worker outlives the fiber).
    left: AtomicI32,
    /// How signals reach the fiber where it runs.
    pub(super) mailbox: Mailbox,
    /// Whether the caller is within a hook.
    is_within: Cell<bool>,
    /// What was read and written (`moved.rs`).
    moved: AtomicU64,
}

const _: () = assert!(size_of::<Here>() == 64, "it is one line of the cache");

thread_local! {
    pub(super) static HERE: Here = const {
        Here {
            worker: Cell::new(ptr::null()),
            carrier: Cell::new(ptr::null()),
            tenure: Cell::new(0),
            fiber: Cell::new(ptr::null_mut()),
            record: Cell::new(ptr::null()),
            left: AtomicI32::new(FULL),
            mailbox: Mailbox::new(),
            is_within: Cell::new(false),
            moved: AtomicU64::new(0),
        }
    };
}

/// Whether the caller is a fiber with storage of its own, outside of the runtime's own code: one that a hook of libc's functions may
/// park.
#[inline]
pub(crate) fn can_park_here() -> bool {
    HERE.with(can_park)
}

#[inline(always)]
fn can_park(here: &Here) -> bool {
    // SAFETY: the fiber whose storage this is runs here, so its header is alive.
    let Some(me) = (unsafe { here.fiber.get().as_ref() }) else { return false };
    // What never leaves the runtime may be in its code, or in its own.
    // SAFETY: the carrier of a thread, and of a fiber that runs, is alive as long as its thread.
    unsafe { here.carrier.get().as_ref() }.is_some_and(|carrier| !carrier.is_inside()) || me.has(Flags::BOUND)
}

/// Begins a hook, if the caller can be parked and is within none. Returns whether it has.
#[inline]
pub(crate) fn enter_hook() -> bool {
    HERE.with(|here| {
        let enters = !here.is_within.get() && can_park(here);
        if enters {
            here.is_within.set(true);
            // A handler that interrupts what follows sees it.
            compiler_fence(Ordering::SeqCst);
        }
        enters
    })
}

/// Ends a hook. Returns whether something has come for the caller: what has come before was left by the handler that it was brought by.
#[inline(always)]
pub(crate) fn leave_hook() -> bool {
    HERE.with(|here| {
        compiler_fence(Ordering::SeqCst);
        here.is_within.set(false);
        // A handler that finds the caller outside looks itself; what it has left before is seen here.
        compiler_fence(Ordering::SeqCst);
        here.mailbox.has_letters()
    })
}

/// Sets whether the caller is within a hook. Returns the value before.
#[inline]
pub(crate) fn set_within_hook(is_within: bool) -> bool {
    HERE.with(|here| here.is_within.replace(is_within))
}

/// Whether a handler of a signal has interrupted the caller in code of its own: outside of the runtime, and of all hooks.
pub(crate) fn is_in_own_code() -> bool {
    HERE.with(|here| !here.is_within.get() && can_park(here))
}

/// The calling fiber's mailbox, which is there as long as the fiber. `None` on a plain thread.
pub(crate) fn mailbox() -> Option<NonNull<Mailbox>> {
    HERE.with(|here| (!here.fiber.get().is_null()).then(|| NonNull::from(&here.mailbox)))
}

/// Has the calling fiber find mail when it leaves the hook that it is in.
pub(crate) fn put_into_own_mailbox() {
    HERE.with(|here| _ = here.mailbox.note());
}

/// See [`Mailbox::open`].
pub(crate) fn open_mailbox() {
    HERE.with(|here| here.mailbox.open());
}

/// What [`set_record`] has set for the calling fiber or thread; else null.
#[inline]
pub(crate) fn record() -> *const () {
    HERE.with(|here| here.record.get())
}

/// Keeps an address for the rest of the calling fiber's life.
pub(crate) fn set_record(record: *const ()) {
    HERE.with(|here| here.record.set(record));
}

/// Calls `f` with the rest of the budget of the calling fiber or thread.
#[cfg(not(loom))]
#[inline(always)]
pub(super) fn with_budget<R>(f: impl FnOnce(&AtomicI32) -> R) -> R {
    HERE.with(|here| f(&here.left))
}

/// Calls `f` with the sum of what the calling fiber or thread has moved.
#[inline(always)]
pub(super) fn with_sum<R>(f: impl FnOnce(&AtomicU64) -> R) -> R {
    HERE.with(|here| f(&here.moved))
}

/// Prefetches what a fiber touches when it goes on, and another one does not: its part of this file, and more of its stack, since it waits
/// below the frames of hooks and their callers.
#[inline(always)]
pub(super) fn prefetch_storage(next: &Header) {
    let block = next.thread_pointer();
    if block.is_null() {
        return;
    }
    // A variable has the same place in each block.
    let place = HERE.with(|here| ptr::from_ref(here).addr()).wrapping_sub(thread_pointer().addr());
    prefetch(block.cast::<u8>().wrapping_add(place));
    // The block's own address, from which compiled code reckons.
    prefetch(block);
    next.context.get().prefetch_deep();
}
