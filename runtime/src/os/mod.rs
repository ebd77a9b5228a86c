//! Every libc call of the runtime, behind safe functions that return `io::Result`.
//!
//! Nothing here knows a fiber. A function reads `errno` right after its call, before anything can switch.

mod about;
#[cfg_attr(loom, path = "model_alarm.rs")]
pub(crate) mod alarm;
pub(crate) mod arrivals;
pub(crate) mod copy;
mod dwarf;
pub(crate) mod epoll;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod handler;
pub(crate) mod identity;
mod last_call;
pub(crate) mod lookup;
pub(crate) mod message;
pub(crate) mod nowait;
#[cfg(feature = "backtrace")]
pub(crate) mod nudge;
pub(crate) mod peek;
pub(crate) mod process;
pub(crate) mod reopen;
pub(crate) mod signal;
pub(crate) mod slack;
pub(crate) mod socket;
pub(crate) mod stderr;
pub(crate) mod task;
pub(crate) mod thread;
pub(crate) mod unwind;
