//! The bodies on abaca's sockets and fibers.

pub(crate) use abaca::net::unix;
pub(crate) use abaca::{fiber as thread, net};

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
