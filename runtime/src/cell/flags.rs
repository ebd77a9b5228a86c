//! A fiber's flags. Its home changes them, or the fiber itself, also on a thread that its home has left.

#[cfg(not(feature = "own-tls"))]
use std::cell::Cell;
#[cfg(feature = "own-tls")]
use std::sync::atomic::{AtomicU16, Ordering};

use super::Header;

/// Boolean facts about a fiber.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags(u16);

const _: () =
    assert!(size_of::<FlagCell>() == size_of::<u16>(), "a copy of a cell is a number: `Flags::of_number`");

impl Flags {
    /// The flags of a cell that was copied as a number.
    pub(super) fn of_number(number: u16) -> Self {
        Self(number)
    }

    /// Spawned by `Builder::spawn_roaming`: may resume on any worker after each park.
    pub(crate) const ROAMING: Self = Self(1);
    /// Must resume where it was suspended even if it roams: it has a timer in that worker's wheel, or it unwinds.
    pub(crate) const PINNED: Self = Self(2);
    /// Placed on its worker by `Worker::place`, and counted in that worker's placed fibers.
    pub(crate) const PLACED: Self = Self(1 << 10);
    /// The next fiber that this one spawns goes to the least loaded worker: this one has just accepted a connection.
    pub(crate) const DISTRIBUTED: Self = Self(8);
    /// Unwinds because it was cancelled, until the payload is dropped. If it unwinds once more in one of its destructors, that changes
    /// nothing.
    pub(crate) const CANCELLING: Self = Self(1 << 11);
    /// Its runtime has hooks, which are called around the fiber and its parks.
    pub(crate) const HOOKED: Self = Self(32);
    /// Its home has ended its wait, and has found that the fiber can unwind from there to the target that `Chain::is_probed` tells.
    pub(crate) const PROBED: Self = Self(128);
    /// Got no stack of its own, and runs only to drop its closure.
    pub(crate) const REFUSED: Self = Self(256);
    /// Shares what is not `Send` with other fibers of its worker, which therefore never runs them in parallel.
    #[cfg(feature = "own-tls")]
    pub(crate) const BOUND: Self = Self(512);
    /// How long it takes until it runs is measured: it has been woken, and its worker picks it by way of the hub.
    pub(crate) const SAMPLED: Self = Self(4);
    /// Its runtime has a full flight recorder.
    pub(crate) const RECORDED: Self = Self(16);
    /// Its runtime logs turns: the flight recorder as it is by default.
    pub(crate) const LOGGED: Self = Self(1 << 12);
    /// The flags with which a fiber that has been woken takes the slow path into a queue.
    pub(crate) const ROAMING_OR_RECORDED: Self = Self(Self::ROAMING.0 | Self::RECORDED.0);
    /// The flags with which a fiber that has been woken is not only put into a queue.
    pub(crate) const MORE_THAN_QUEUED: Self = Self(Self::ROAMING_OR_RECORDED.0 | Self::LOGGED.0);
    /// The flags with which a fiber begins and ends with more than its closure.
    pub(crate) const HOOKED_OR_RECORDED: Self = Self(Self::HOOKED.0 | Self::RECORDED.0);
    /// The flags with which a fiber cannot be continued without the hub.
    pub(crate) const ROAMING_OR_SAMPLED: Self = Self(Self::ROAMING.0 | Self::SAMPLED.0);
    /// Has labels, which the fibers that it spawns inherit.
    pub(crate) const LABELLED: Self = Self(64);
    /// The flags that a spawn by the fiber must look at.
    pub(crate) const SPAWNS_SLOWLY: Self =
        Self(Self::DISTRIBUTED.0 | Self::LABELLED.0 | Self::RECORDED.0 | Self::LOGGED.0);
    /// Must give back what its thread has lent it whenever it leaves the thread.
    #[cfg(feature = "own-tls")]
    pub(crate) const GIVES_BACK: Self = Self(1 << 13);
    /// Waits in a function of C, which a cancellation ends by an error: nothing unwinds.
    #[cfg(feature = "own-tls")]
    pub(crate) const ENDS_IN_ERROR: Self = Self(1 << 14);
    /// What is over with a wait in a function of C.
    #[cfg(feature = "own-tls")]
    pub(crate) const OF_WAIT_OF_C: Self = Self(Self::ENDS_IN_ERROR.0 | Self::PROBED.0);
    /// Is in a wait that no cancellation ends: [`shield`](crate::cancel::shield) for one wait, without a scope.
    #[cfg(feature = "own-tls")]
    pub(crate) const SHIELDED: Self = Self(1 << 15);
    /// The flags with which a fiber cannot take the fast path of a suspension, even if that notes an event.
    #[cfg(not(feature = "own-tls"))]
    pub(crate) const SLOW_TO_SUSPEND: Self = Self(Self::ROAMING.0 | Self::HOOKED.0);
    #[cfg(feature = "own-tls")]
    pub(crate) const SLOW_TO_SUSPEND: Self = Self(Self::ROAMING.0 | Self::HOOKED.0 | Self::GIVES_BACK.0);
    /// The flags with which a suspension does more than switch.
    pub(crate) const MORE_THAN_SWITCH: Self =
        Self(Self::SLOW_TO_SUSPEND.0 | Self::RECORDED.0 | Self::LOGGED.0);

    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(super) fn with(self, flag: Self) -> Self {
        Self(self.0 | flag.0)
    }

    pub(super) fn without(self, flag: Self) -> Self {
        Self(self.0 & !flag.0)
    }
}

/// What a fiber is for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Stays on its worker.
    AtHome,
    /// May change workers; [`Flags::ROAMING`] as others may read it.
    Roaming,
    /// A thread to the program, which has not asked for a fiber: the end of the runtime is not its end.
    #[cfg(feature = "own-tls")]
    Thread,
}

/// The flags in a header. Without own storage only the thread of the fiber's home uses them.
#[cfg(not(feature = "own-tls"))]
pub(super) struct FlagCell(Cell<Flags>);

#[cfg(not(feature = "own-tls"))]
impl FlagCell {
    pub(super) fn new(flags: Flags) -> Self {
        Self(Cell::new(flags))
    }

    #[inline(always)]
    pub(super) fn get(&self) -> Flags {
        self.0.get()
    }

    #[inline(always)]
    pub(super) fn set(&self, flags: Flags) {
        self.0.set(flags);
    }
}

/// The flags in a header. A fiber may change its own while its home, on another thread, reads them.
#[cfg(feature = "own-tls")]
pub(super) struct FlagCell(AtomicU16);

#[cfg(feature = "own-tls")]
impl FlagCell {
    pub(super) fn new(flags: Flags) -> Self {
        Self(AtomicU16::new(flags.0))
    }

    #[inline(always)]
    pub(super) fn get(&self) -> Flags {
        // Relaxed: one thread at a time changes them.
        Flags(self.0.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(super) fn set(&self, flags: Flags) {
        self.0.store(flags.0, Ordering::Relaxed);
    }
}

impl Header {
    #[inline(always)]
    pub(crate) fn has(&self, flag: Flags) -> bool {
        self.flags.get().has(flag)
    }

    /// Whether the fiber may resume on another worker. From any thread: this never changes.
    pub(crate) fn is_roaming(&self) -> bool {
        self.kind.get() == Kind::Roaming
    }

    /// Whether the fiber is a thread to the program. From any thread: this never changes.
    pub(crate) fn is_thread(&self) -> bool {
        #[cfg(feature = "own-tls")]
        return self.kind.get() == Kind::Thread;
        #[cfg(not(feature = "own-tls"))]
        false
    }

    /// Makes a fiber that is in no queue yet a thread to the program.
    #[cfg(feature = "own-tls")]
    pub(crate) fn make_thread(&self) {
        debug_assert_eq!(self.kind.get(), Kind::AtHome);
        self.kind.set(Kind::Thread);
    }

    pub(crate) fn set_flag(&self, flag: Flags) {
        self.flags.set(self.flags.get().with(flag));
    }

    pub(crate) fn unset_flag(&self, flag: Flags) {
        self.flags.set(self.flags.get().without(flag));
    }
}
