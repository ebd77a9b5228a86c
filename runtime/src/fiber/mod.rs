//! Fibers in the shape of [`std::thread`]: a program written against threads becomes one written against fibers with
//! `use abaca::fiber as thread`.
//!
//! What a fiber is made of is in `cell/`; how it waits, in `park/`.

mod builder;
mod current;
pub(crate) mod join_future;
mod join_handle;
pub(crate) mod join_set;
mod local_key;
mod members;
mod scope;
mod spawn;
mod spawn_error;
pub(crate) mod try_scope;

pub use std::thread::{Result, available_parallelism, panicking};

pub use crate::cell::{Cancelled, Fiber, Fiber as Thread, FiberId, FiberId as ThreadId};
#[expect(deprecated, reason = "std has it as well")]
pub use crate::time::sleeping::sleep_ms;
pub use crate::time::{sleep, sleep_until};
pub use builder::Builder;
pub use current::{current, park, park_timeout, yield_now};
pub use join_handle::JoinHandle;
pub use local_key::{AccessError, LocalKey};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use spawn::{spawn, spawn_local};
pub use spawn_error::SpawnError;

pub(crate) use current::current_id;
