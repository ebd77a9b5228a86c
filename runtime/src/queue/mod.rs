//! The queues between workers, and who sleeps. They know no fiber and never call up.
//!
//! [`ReadyList`] is one worker's private queue, [`Inbox`] is how others hand it wake-ups, [`LifoSlot`] holds the
//! task it spawned last, [`SpinLock`] guards wait queues and channel buffers, [`Sleepers`] says whom to wake for
//! work that anybody may take, [`Hope`] whether it pays to spin before one sleeps, [`steal_half`] takes from another's deque.

mod hope;
mod inbox;
#[cfg(test)]
mod item;
mod list;
mod sleepers;
mod slot;
mod spin_lock;
mod steal;

pub(crate) use hope::Hope;
pub(crate) use inbox::{Inbox, Pushed};
pub(crate) use list::{Link, Next, ReadyList};
pub(crate) use sleepers::{Search, Sleepers};
pub(crate) use slot::LifoSlot;
pub(crate) use spin_lock::{SpinGuard, SpinLock};
pub(crate) use steal::steal_half;
