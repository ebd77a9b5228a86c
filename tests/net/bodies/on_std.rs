//! The bodies on std's sockets and threads.

pub(crate) use std::os::unix::net as unix;
pub(crate) use std::{net, thread};

#[path = "calls.rs"]
pub(crate) mod calls;

#[path = "flows.rs"]
pub(crate) mod flows;

#[path = "datagrams.rs"]
pub(crate) mod datagrams;

#[path = "unix_calls.rs"]
pub(crate) mod unix_calls;

#[path = "unix_datagrams.rs"]
pub(crate) mod unix_datagrams;
