//! The queues between workers, the list that any item can leave, the set of sleeping workers, and the locks of short critical
//! sections. They know no fiber and never call up.
//!
//! * [`ReadyList`]: one worker's private queue.
//! * [`Ring`]: live fibers, timers, and the nodes that wait for a descriptor.
//! * [`Inbox`]: how other threads hand a worker fibers.
//! * [`Backlog`]: a worker's unstarted fibers, of which other workers take the older half.
//! * [`Slot`]: one pointer, which its owner fills and anyone takes.
//! * [`Sleepers`]: which worker to wake for work that any worker may take.
//! * [`SpinLock`]: guards wait lists and channel buffers. [`Bias`]: makes one cheap for the thread that uses it alone.
//! * [`AdaptiveSpin`]: whether spinning before parking pays.
//! * [`EventRing`]: a worker's last events, for others to copy.
//! * [`TurnRing`]: the same for records that are written at each switch.
//! * [`Keyed`]: values that wait under a key, which handlers of signals may put in.
//! * [`Listeners`]: threads that wait in the kernel, and are told of what handlers of signals put down.
//! * [`Mailbox`]: how what is sent to a fiber that runs reaches it.
//! * [`Count`]: what a worker did, for others to read.

mod adaptive_spin;
mod backlog;
mod bias;
mod count;
mod counted;
mod event_ring;
mod inbox;
#[cfg(test)]
mod item;
#[cfg(any(feature = "own-tls", all(test, loom)))]
mod keyed;
mod list;
#[cfg(any(feature = "own-tls", all(test, loom)))]
mod listeners;
#[cfg(any(feature = "own-tls", all(test, loom)))]
mod mailbox;
mod ring;
mod sleepers;
mod slot;
mod spin_lock;
mod turn_ring;

pub(crate) use adaptive_spin::AdaptiveSpin;
pub(crate) use backlog::{Backlog, Stealer};
pub(crate) use bias::{Bias, Biasing};
pub(crate) use count::Count;
#[cfg_attr(
    any(loom, not(feature = "own-tls")),
    allow(unreachable_pub, unused_imports, reason = "for hooks, which are not there")
)]
pub use counted::Counted;
pub(crate) use event_ring::EventRing;
pub(crate) use inbox::{Inbox, Pushed};
#[cfg(feature = "own-tls")]
pub use keyed::Keyed;
pub(crate) use list::{Link, Next, ReadyList};
#[cfg(feature = "own-tls")]
pub use listeners::{Listeners, Listening, Sent};
#[cfg(feature = "own-tls")]
pub(crate) use mailbox::Mailbox;
#[cfg(feature = "own-tls")]
pub use mailbox::Reach;
pub(crate) use ring::{Linked, Links, Ring};
pub(crate) use sleepers::{Search, Sleepers};
use slot::Slot;
pub(crate) use spin_lock::{SpinGuard, SpinLock};
pub(crate) use turn_ring::TurnRing;
