//! The bodies on std's sockets and threads.

pub(crate) use std::{net, thread};

#[path = "calls.rs"]
pub(crate) mod bodies;
