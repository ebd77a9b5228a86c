//! What is around the life of a fiber: the runtime's hook, and the events of its start and end.

#![expect(unsafe_code, reason = "looks at the calling fiber")]

use std::ptr::NonNull;

use super::life::this_worker;
use crate::cell::{Flags, Header};
use crate::scheduler::here::{come_home, current_worker};
use crate::scheduler::hooks::call_around;

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
    let is_recorded = fiber.has(Flags::RECORDED);
    if is_recorded {
        come_home(this_worker()).record_start(fiber);
    }
    if fiber.has(Flags::HOOKED) {
        call_around(this_worker().shared().hooks.fiber.as_ref(), live);
    } else {
        live();
    }
    // None in a copy of the process that the fiber has made.
    if is_recorded && let Some(worker) = current_worker() {
        come_home(worker).record_end(fiber);
    }
}
