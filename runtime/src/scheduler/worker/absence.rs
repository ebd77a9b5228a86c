//! A worker that leaves its thread, and the fiber that is absent meanwhile: it goes on there. `handoff/README.md` tells why.

#![expect(unsafe_code, reason = "follows the addresses of fibers and of carriers")]

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use abaca_asm::Context;

use super::Worker;
use crate::cell::{Flags, Header};
use crate::scheduler::event::Kind;
use crate::scheduler::handoff::Carrier;

impl Worker {
    /// The carrier of the worker's thread. From that thread while it is inside, and under the lock of `Spares`.
    #[inline(always)]
    pub(in crate::scheduler) fn carrier(&self) -> &Carrier {
        self.try_carrier().expect("a thread with a carrier runs the worker")
    }

    /// The carrier of the worker's thread; `None` if its fibers share that thread's storage, or before it runs.
    #[inline(always)]
    pub(in crate::scheduler) fn try_carrier(&self) -> Option<&Carrier> {
        // Acquire: pairs with the Release in `set_carrier`, for other threads.
        // SAFETY: a carrier is alive as long as its thread, which cannot lose the worker meanwhile: only the caller could take it.
        unsafe { self.carrier.load(Ordering::Acquire).as_ref() }
    }

    /// The number of the worker's stay on its thread: that of the two together, and never 0 or 1. It is the same one when the worker comes back to
    /// a thread, whose fibers have that one's loan still.
    #[inline(always)]
    pub(in crate::scheduler) fn tenure(&self) -> u64 {
        self.tenure.get()
    }

    /// Makes the thread with this carrier the worker's. From the worker's first thread, and from whoever has taken the worker.
    pub(in crate::scheduler) fn set_carrier(&self, carrier: &Carrier) {
        // A carrier's number, and a worker's.
        self.tenure.set(carrier.number() * self.shared().workers.len() as u64 + self.index as u64);
        self.set_thread_id(carrier.thread_id());
        // Release: pairs with the Acquire in `try_carrier`.
        self.carrier.store(ptr::from_ref(carrier).cast_mut(), Ordering::Release);
    }

    /// Where the context of the hub is kept: with the thread, if that may lose the worker.
    #[inline(always)]
    pub(super) fn hub_place(&self) -> &Cell<Context> {
        self.try_carrier().map_or(&self.hub, Carrier::hub)
    }

    /// The thread pointer of the hub; null if that is the fibers' as well.
    #[inline(always)]
    pub(super) fn hub_pointer(&self) -> *mut () {
        self.try_carrier().map_or(ptr::null_mut(), Carrier::thread_pointer)
    }

    /// Whether nothing keeps the worker on its thread. From one that is about to take the worker, while the thread is outside, and on
    /// the thread.
    pub(in crate::scheduler) fn may_leave_thread(&self) -> bool {
        // Relaxed: a fiber that pins its worker is inside, and leaves by a Release.
        self.remote.pins.load(Ordering::Relaxed) == 0
    }

    /// Notes that the fiber that runs, if one does, goes on without the worker. Returns whether one does. From the monitor, which has
    /// just taken the worker.
    pub(in crate::scheduler) fn note_absence(&self) -> bool {
        // Else the worker sleeps.
        let Some(fiber) = self.current() else { return false };
        // SAFETY: the fiber cannot end without its home.
        let fiber = unsafe { fiber.as_ref() };
        fiber.absence().begin();
        self.record_left(fiber);
        self.set_current(None);
        true
    }

    /// Notes for the recorder that the fiber's turn ends here, while it goes on on its thread.
    fn record_left(&self, fiber: &Header) {
        self.log_left(fiber);
        if let Some(recorder) = self.recorder() {
            let (began, now) = (recorder.began(), recorder.ticks.now());
            recorder.begin(now);
            // The bytes that it has moved are in its own storage, for the end of its next turn.
            recorder.push(Kind::Left as u64, now, [began, ptr::from_ref(fiber).addr() as u64, 0]);
        }
    }

    /// Whether the fiber, which has been woken, is absent; then it notes the wake-up.
    #[inline(always)]
    pub(super) fn notes_wakeup_of_absent(&self, fiber: &Header) -> bool {
        fiber.absence().notes_wakeup()
    }

    /// Whether fibers have come back. From any thread.
    #[inline(always)]
    pub(in crate::scheduler) fn has_returned(&self) -> bool {
        !self.remote.returned.is_empty()
    }

    /// A fiber that has come back. It is in no list: its waker may put it into the inbox at any time. From the hub.
    #[inline(always)]
    pub(in crate::scheduler) fn take_returned(&self) -> Option<NonNull<Header>> {
        if !self.has_returned() {
            return None;
        }
        self.remote.returned.steal().success().map(|fiber| fiber.0)
    }

    /// Takes the timer of a fiber that has been woken, and that another worker may resume, out of this worker's wheel.
    pub(super) fn take_timer_of(&self, fiber: &Header) {
        if let Some(entry) = fiber.take_timer() {
            // SAFETY: the fiber waits with the entry, which is in its frame, and in this wheel if in any: a fiber that is woken has
            // waited on this worker.
            unsafe { self.wheel.cancel(entry.as_ref()) };
        }
    }

    /// Keeps the worker on its thread until [`unpin`](Self::unpin). On that thread.
    pub(in crate::scheduler) fn pin(&self, fiber: &Header) {
        if fiber.add_pin() {
            fiber.set_flag(Flags::PINNED);
        }
        // Relaxed: the monitor reads it after the thread has left by a Release.
        self.remote.pins.fetch_add(1, Ordering::Relaxed);
    }

    /// Undoes one [`pin`](Self::pin). Returns false, and does nothing, if the fiber has none: its guard was dropped by another fiber
    /// of this thread.
    pub(in crate::scheduler) fn unpin(&self, fiber: &Header) -> bool {
        let Some(is_last) = fiber.remove_pin() else { return false };
        if is_last && !fiber.has(Flags::BOUND) {
            fiber.unset_flag(Flags::PINNED);
        }
        self.remote.pins.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Undoes the pins whose guards a fiber that ends has forgotten.
    #[inline(always)]
    pub(super) fn unpin_ended(&self, fiber: &Header) {
        while self.unpin(fiber) {}
    }
}
