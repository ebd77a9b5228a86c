//! The parts of a fiber: the cell with its header, closure and result; the join word, the waiter, the park
//! token, the identity, local storage, and cancel scopes.
//!
//! Nothing here blocks, and nothing here knows the scheduler.

#[cfg(any(feature = "own-tls", all(test, loom)))]
mod absence;
mod allocation;
mod cancel_scope;
mod cancelled;
pub(crate) mod cold;
mod contained;
mod depot;
mod flags;
mod future_waiter;
mod header;
mod identity;
mod join;
mod labels;
mod live_list;
mod local;
mod magazine;
#[cfg(all(test, loom))]
mod model_future_waiter;
#[cfg(all(test, loom))]
mod model_magazine;
#[cfg(all(test, loom))]
mod model_sleep;
#[cfg(all(test, loom))]
mod model_waiter;
mod no_stack;
mod own;
mod reachable;
mod relay;
mod site;
mod snapshot;
mod token;
mod wait;
mod waiter;
mod waiting;

pub use cancelled::Cancelled;
pub(crate) use cancelled::UnderWay;
pub use identity::{Fiber, FiberId};

#[cfg(all(test, loom))]
pub(crate) use absence::Absence;
#[cfg(feature = "own-tls")]
pub(crate) use allocation::try_allocate;
pub(crate) use allocation::{allocate, take_result};
pub(crate) use cancel_scope::{CancelScope, Chain, Fired, Target};
pub(crate) use contained::contained;
pub(crate) use depot::Depot;
pub(crate) use flags::Flags;
pub(crate) use future_waiter::{FutureWaiter, Task, has_own_waker, note_own_waker, wake_task};
pub(crate) use header::Header;
pub(crate) use identity::Identity;
pub(crate) use join::{Ended, JoinWord};
pub(crate) use labels::Labels;
pub(crate) use live_list::LiveList;
pub(crate) use local::{Destroyed, Locals};
pub(crate) use magazine::{Magazines, Supply};
pub(crate) use no_stack::NoStack;
pub(crate) use relay::{catch as catch_and_resume, note as note_relay};
pub(crate) use site::is_site_of_threads;
#[cfg(feature = "own-tls")]
pub(crate) use site::site_of_threads;
pub(crate) use snapshot::{FiberSnapshot, HEADER_OFFSETS, HeaderSnapshot, IDENTITY_OFFSETS};
pub(crate) use wait::CoarseTime;
pub(crate) use waiter::{Awaited, Claim, Outcome, Reason, Waiter, Wakeup};
