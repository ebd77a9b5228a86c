//! What a fiber is made of. The cell with its header, closure and result; the join word, the waiter, the park
//! token, the identity, local storage, and the boundaries of cancellation.
//!
//! Nothing here blocks, and nothing here knows who runs a fiber.

mod allocation;
mod boundary;
mod cancelled;
mod contained;
mod flags;
mod glimpse;
mod header;
mod identity;
mod join;
mod live_list;
mod local;
#[cfg(all(test, loom))]
mod model_sleep;
#[cfg(all(test, loom))]
mod model_task_waiter;
#[cfg(all(test, loom))]
mod model_waiter;
mod no_stack;
mod relay;
mod task_waiter;
mod token;
mod wait;
mod waiter;

pub use cancelled::Cancelled;
pub use identity::{Fiber, FiberId};

pub(crate) use allocation::{allocate, take_result};
pub(crate) use boundary::{Boundary, Chain, Fired, Target};
pub(crate) use contained::contained;
pub(crate) use flags::Flags;
pub(crate) use glimpse::Glimpse;
pub(crate) use header::Header;
pub(crate) use identity::Identity;
pub(crate) use join::{Ended, JoinWord};
pub(crate) use live_list::LiveList;
pub(crate) use local::{Gone, Locals};
pub(crate) use no_stack::NoStack;
pub(crate) use relay::{catch as catch_and_resume, make_known as make_relay_known};
pub(crate) use task_waiter::{Task, TaskWaiter, is_calm, note_calm, wake_task};
pub(crate) use waiter::{Claim, Outcome, Reason, Waiter, Woken};
