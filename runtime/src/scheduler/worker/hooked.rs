//! What is around the life of a fiber: the marks with which it starts, the runtime's hook, and the event of its start.

#![expect(unsafe_code, reason = "looks at the calling fiber")]

use std::ptr::NonNull;

use super::Worker;
use super::life::this_worker;
use crate::cell::{Flags, Header};
use crate::scheduler::here::come_home;
use crate::scheduler::phase::Phase;

/// Calls `live` with the runtime's hook around it.
#[inline]
pub(super) fn run_in_hook(fiber: NonNull<Header>, live: impl FnOnce()) {
    // SAFETY: the cell is alive until `finish`.
    let header = unsafe { fiber.as_ref() };
    if header.has(Flags::HOOKED_OR_RECORDED) { run_slow(header, live) } else { live() }
}

/// [`run_in_hook`] for a fiber that has a hook or is recorded.
#[cold]
fn run_slow(fiber: &Header, live: impl FnOnce()) {
    if fiber.has(Flags::RECORDED) {
        come_home(this_worker()).record_start(fiber);
    }
    if fiber.has(Flags::HOOKED) {
        this_worker().shared().hooks.around_fiber(live);
    } else {
        live();
    }
}

impl Worker {
    /// Marks a starting fiber whose runtime is closing, or has hooks or a full recorder.
    #[cold]
    pub(super) fn mark_starting(&self, fiber: &Header) {
        if self.shared().phase() == Phase::Closing && (self.shared().ends_threads() || !fiber.is_thread()) {
            // The fiber comes too late to be cancelled with the others, and will not run its closure.
            fiber.request_cancellation();
        }
        if self.log.ring.is_there() {
            fiber.set_flag(Flags::LOGGED);
        }
        let recorder = self.recorder();
        if recorder.is_some() {
            fiber.set_flag(Flags::RECORDED);
        }
        // Without a counter the fast path of a suspension cannot take the time.
        if self.shared().hooks.are_there() || recorder.is_some_and(|recorder| !recorder.has_counter()) {
            fiber.set_flag(Flags::HOOKED);
        }
    }
}
