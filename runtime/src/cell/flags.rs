//! What is true or false of a fiber, a bit each. Its home's thread alone changes them.

/// Boolean facts about a fiber.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// Spawned by `Builder::spawn_roaming`: may resume on any worker after each park.
    pub(crate) const ROAMING: Self = Self(1);
    /// Must resume where it was suspended even if it roams: it has a timer in that worker's wheel, or it unwinds.
    pub(crate) const ANCHORED: Self = Self(2);
    /// Placed on its worker by `Worker::place`, whose count of placed fibers it is part of.
    pub(crate) const PLACED: Self = Self(4);
    /// What this fiber spawns next goes to the least loaded worker: it has just accepted a connection.
    pub(crate) const SPREADS: Self = Self(8);
    /// Unwinds because it was cancelled, until that payload is dropped.
    pub(crate) const CANCELLING: Self = Self(16);
    /// Its runtime has hooks, which are called around it and its parks.
    pub(crate) const HOOKED: Self = Self(32);
    /// A hook runs around its park: it has a waiter, but is not suspended.
    pub(crate) const IN_HOOK: Self = Self(64);
    /// Its home has ended its wait, having found that it can unwind from there to where it is to.
    pub(crate) const PROBED: Self = Self(128);
    /// Not to be suspended in the plain way.
    pub(crate) const ROAMING_OR_HOOKED: Self = Self(Self::ROAMING.0 | Self::HOOKED.0);

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
