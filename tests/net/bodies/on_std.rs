//! The bodies on std's sockets and threads.

pub(crate) use std::{net, thread};

#[path = "calls.rs"]
pub(crate) mod calls;

#[path = "flows.rs"]
pub(crate) mod flows;
