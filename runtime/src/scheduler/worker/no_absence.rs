//! Stands in for `absence.rs` without the feature `own-tls`: a worker stays on its thread.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use std::time::Duration;

use abaca_asm::Context;

use super::Worker;
use crate::cell::Header;
use crate::scheduler::hub::Departure;

impl Worker {
    /// Where the context of the hub is kept.
    #[inline(always)]
    pub(super) fn hub_place(&self) -> &Cell<Context> {
        &self.hub
    }

    /// The thread pointer of the hub, which is the fibers' as well.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the other file uses it")]
    pub(super) fn hub_pointer(&self) -> *mut () {
        ptr::null_mut()
    }

    /// Waits until there is something to do.
    #[inline(always)]
    pub(in crate::scheduler) fn await_event(
        &self,
        _now_ns: u64,
        timeout: Option<Duration>,
    ) -> Result<(), Departure> {
        self.wait_in_kernel(timeout);
        Ok(())
    }

    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the other file uses it")]
    pub(in crate::scheduler) fn come_to_thread(&self) {}

    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the other file uses it")]
    pub(in crate::scheduler) fn yields_to_ward(&self, _now_ns: u64) -> bool {
        false
    }

    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the other file uses it")]
    pub(super) fn notes_wakeup_of_absent(&self, _fiber: &Header) -> bool {
        false
    }

    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the other file uses it")]
    pub(in crate::scheduler) fn take_returned(&self) -> Option<NonNull<Header>> {
        None
    }

    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the other file uses it")]
    pub(super) fn take_timer_of(&self, _fiber: &Header) {}

    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the other file uses it")]
    pub(super) fn unpin_ended(&self, _fiber: &Header) {}

    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the other file uses it")]
    pub(in crate::scheduler) fn has_returned(&self) -> bool {
        false
    }
}
