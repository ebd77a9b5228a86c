//! A header's part that is about the fiber's wait: its waiter, its record, and the memory that it does not need meanwhile.

#![expect(unsafe_code, reason = "looks at the stack of a suspended fiber")]

use std::ops::Range;
use std::ptr;

use abaca_asm::stack::Release;

use super::wait::{CoarseTime, Due, Wait};
use super::{Header, Reason, Waiter};
use crate::atomic::Ordering;

impl Header {
    /// One round of the worker's scavenger: adds the memory below the fiber's frames to `release` if the fiber has been waiting
    /// since the last round. Returns true if the next round may find more.
    ///
    /// # Safety
    ///
    /// The fiber must be suspended, and must not go on before `release` has been flushed or dropped.
    pub(crate) unsafe fn release_unused_stack(&self, release: &mut Release<'_>) -> bool {
        let (wait, due) = self.wait.get().after_round();
        self.wait.set(wait);
        if due == Due::Now
            // SAFETY: nothing changes the cell while the fiber is suspended.
            && let Some(stack) = unsafe { (*self.stack.as_ptr()).as_ref() }
        {
            // SAFETY: the caller's promise; the switch that suspended the fiber has saved the context.
            unsafe { release.add_unused(stack, self.context.get()) };
        }
        due == Due::NextRound
    }

    /// One more round for a runtime that keeps the frames of long waits elsewhere, `after` so many ticks: calls `compact` with the stack's
    /// guard, and with what the fiber needs of the stack, if that is due at the time `now`. Returns true if a later round may
    /// find it due.
    ///
    /// # Safety
    ///
    /// The fiber must be suspended, and must not go on before this has returned.
    pub(crate) unsafe fn compact_stack(
        &self,
        now: u64,
        after: u64,
        compact: impl FnOnce(Range<usize>, Range<usize>),
    ) -> bool {
        let (wait, due) = self.wait.get().after_cold_round(now, after);
        self.wait.set(wait);
        if due == Due::Now
            // SAFETY: nothing changes the cell while the fiber is suspended.
            && let Some(stack) = unsafe { (*self.stack.as_ptr()).as_ref() }
            && let Some(frames) = stack.frames(self.context.get())
        {
            compact(stack.guard(), frames);
        }
        due == Due::NextRound
    }

    /// Notes the waiter of the fiber's wait, its reason, and when it begins.
    #[inline(always)]
    pub(crate) fn set_waiting(&self, waiter: *const Waiter, reason: Reason, now: CoarseTime) {
        // Release: pairs with the Acquire in `waiting`, for a canceller of a roaming fiber.
        self.waiting.store(waiter.cast_mut(), Ordering::Release);
        self.wait.set(Wait::begun(reason, now));
    }

    /// Notes that the fiber's wait has ended.
    #[inline(always)]
    pub(crate) fn end_waiting(&self) {
        self.set_waiting(ptr::null(), Reason::None, CoarseTime::default());
    }

    /// The reason of the fiber's wait, and when it began. For the fiber's home.
    #[inline(always)]
    pub(crate) fn wait(&self) -> (Reason, CoarseTime) {
        let wait = self.wait.get();
        (wait.reason(), wait.since())
    }

    #[inline(always)]
    pub(crate) fn waiting(&self) -> *const Waiter {
        self.waiting.load(Ordering::Acquire)
    }
}
