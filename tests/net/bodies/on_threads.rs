//! The bodies on abaca's sockets and plain threads.

pub(crate) use abaca::net;
pub(crate) use abaca::net::unix;
pub(crate) use std::thread;

#[expect(clippy::duplicate_mod, reason = "compiled again: that is the point")]
#[path = "calls.rs"]
pub(crate) mod calls;

#[expect(clippy::duplicate_mod, reason = "compiled again: that is the point")]
#[path = "flows.rs"]
pub(crate) mod flows;

#[expect(clippy::duplicate_mod, reason = "compiled again: that is the point")]
#[path = "datagrams.rs"]
pub(crate) mod datagrams;

#[expect(clippy::duplicate_mod, reason = "compiled again: that is the point")]
#[path = "unix_calls.rs"]
pub(crate) mod unix_calls;

#[expect(clippy::duplicate_mod, reason = "compiled again: that is the point")]
#[path = "unix_datagrams.rs"]
pub(crate) mod unix_datagrams;
