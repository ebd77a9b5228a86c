//! Actors: fibers with a mailbox, links, monitors and supervisors, in the manner of Erlang.

mod call;
mod life;
mod mail;
mod mailbox;
mod pid;
mod reason;
mod reference;
mod registry;
mod spawn;

pub use call::{CallError, Reply};
pub use mailbox::{Mailbox, Monitor};
pub use pid::{ActorId, Pid};
pub use reason::{Down, Exit, ExitReason};
pub use reference::{ActorRef, SendError};
pub use registry::{RegisterError, Registry};
pub use spawn::{Actor, Builder, spawn, start};
