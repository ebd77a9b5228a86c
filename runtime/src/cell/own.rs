//! What a fiber with thread-local storage of its own has besides, in its header. Without the feature `own-tls` it is nothing.

use std::ptr;
#[cfg(feature = "own-tls")]
use std::{cell::Cell, ptr::NonNull};

#[cfg(feature = "own-tls")]
use super::Flags;
use super::Header;
#[cfg(feature = "own-tls")]
use super::absence::Absence;
use crate::timer::Entry;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Own {
    /// The thread pointer of the block that lies with the fiber's stack; 0 if the fiber shares its worker's.
    #[cfg(feature = "own-tls")]
    thread_pointer: Cell<usize>,
    #[cfg(feature = "own-tls")]
    absence: Absence,
    /// The timer in the wheel of the worker where the fiber waits, if the fiber may be resumed elsewhere. For the home alone.
    #[cfg(feature = "own-tls")]
    timer: Cell<Option<NonNull<Entry>>>,
    /// How many guards keep the fiber on its thread.
    #[cfg(feature = "own-tls")]
    pins: Cell<u32>,
}

impl Own {
    /// Where the timer's address is in this.
    #[cfg(feature = "own-tls")]
    pub(super) const TIMER: Option<usize> = Some(std::mem::offset_of!(Self, timer));
    #[cfg(not(feature = "own-tls"))]
    pub(super) const TIMER: Option<usize> = None;

    /// Where a debugger finds the thread pointer, and a byte that is not 0 if the fiber is on a thread that its home has left.
    #[cfg(feature = "own-tls")]
    pub(super) const OFFSETS: Option<[usize; 2]> =
        Some([std::mem::offset_of!(Self, thread_pointer), std::mem::offset_of!(Self, absence)]);
    #[cfg(not(feature = "own-tls"))]
    pub(super) const OFFSETS: Option<[usize; 2]> = None;
}

#[cfg(not(feature = "own-tls"))]
#[expect(clippy::unused_self, reason = "with own storage they use it")]
impl Header {
    /// The thread pointer with which the fiber runs; null if that is its worker's.
    #[inline(always)]
    pub(crate) fn thread_pointer(&self) -> *mut () {
        ptr::null_mut()
    }

    /// Whether the fiber may be running on a thread that its home has left. For the home.
    #[inline(always)]
    pub(crate) fn is_absent(&self) -> bool {
        false
    }

    /// Notes the timer of the wait that begins, if the fiber may be resumed on another worker than the timer's. Returns false if
    /// it may not.
    #[inline(always)]
    pub(crate) fn lets_go_of_timer(&self, _entry: &Entry) -> bool {
        false
    }

    /// Ends what [`lets_go_of_timer`](Self::lets_go_of_timer) has begun, if nobody has taken the timer.
    #[inline(always)]
    pub(crate) fn forget_timer(&self) {}

    /// Whether a timer was noted.
    pub(crate) fn has_noted_timer(&self) -> bool {
        false
    }
}

#[cfg(feature = "own-tls")]
impl Header {
    /// The thread pointer with which the fiber runs; null if that is its worker's.
    #[inline(always)]
    pub(crate) fn thread_pointer(&self) -> *mut () {
        ptr::without_provenance_mut(self.own.thread_pointer.get())
    }

    /// Gives the starting fiber the block that lies with its stack.
    #[inline]
    pub(crate) fn set_thread_pointer(&self, pointer: *mut ()) {
        self.own.thread_pointer.set(pointer.addr());
    }

    /// Whether the fiber may be running on a thread that its home has left. For the home.
    #[inline(always)]
    pub(crate) fn is_absent(&self) -> bool {
        self.own.absence.is_absent()
    }

    /// Whether the fiber is where its home is, or else has been woken meanwhile. For the home.
    #[inline(always)]
    pub(crate) fn absence(&self) -> &Absence {
        &self.own.absence
    }

    /// Notes the timer of the wait that begins, if the fiber may be resumed on another worker than the timer's. Returns false if
    /// it may not.
    #[inline(always)]
    pub(crate) fn lets_go_of_timer(&self, entry: &Entry) -> bool {
        let lets_go =
            self.has(Flags::ROAMING) && !self.has(Flags::PINNED) && self.own.thread_pointer.get() != 0;
        if lets_go {
            self.own.timer.set(Some(NonNull::from(entry)));
        }
        lets_go
    }

    /// Ends what [`lets_go_of_timer`](Self::lets_go_of_timer) has begun, if nobody has taken the timer.
    #[inline(always)]
    pub(crate) fn forget_timer(&self) {
        self.own.timer.set(None);
    }

    /// Whether a timer was noted.
    pub(crate) fn has_noted_timer(&self) -> bool {
        self.own.timer.get().is_some()
    }

    /// The timer that was noted, once.
    pub(crate) fn take_timer(&self) -> Option<NonNull<Entry>> {
        self.own.timer.take()
    }

    /// Counts one more guard that keeps the fiber on its thread. Returns true if it is the first.
    pub(crate) fn add_pin(&self) -> bool {
        self.own.pins.replace(self.own.pins.get() + 1) == 0
    }

    /// Counts one guard less. `None` if there is none, else whether it was the last.
    pub(crate) fn remove_pin(&self) -> Option<bool> {
        let rest = self.own.pins.get().checked_sub(1)?;
        self.own.pins.set(rest);
        Some(rest == 0)
    }
}
