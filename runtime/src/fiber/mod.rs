//! Layer 3: what a fiber is. The cell with its join word, the waiter, its identity and its local storage.
//!
//! The public face of this module mirrors [`std::thread`]: a program written against threads becomes one
//! written against fibers with `use abaca::fiber as thread`. The calls that block live in higher layers and
//! are re-exported here.

mod boundary;
mod cancelled;
mod cell;
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

pub use std::thread::{Result, available_parallelism, panicking};

#[expect(deprecated, reason = "std has it as well")]
pub use crate::current::sleep_ms;
pub use crate::current::{current, park, park_timeout, sleep, sleep_until, yield_now};
pub use crate::local_key::{AccessError, LocalKey};
pub use crate::scope::{Scope, ScopedJoinHandle, scope};
pub use crate::spawn::{Builder, JoinHandle, SpawnError, spawn, spawn_local};
pub use cancelled::Cancelled;
pub use identity::{Fiber, Fiber as Thread, FiberId, FiberId as ThreadId};

pub(crate) use boundary::{Boundary, Chain, Fired, Target};
pub(crate) use cell::{allocate, take_result};
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
