//! Actors: fibers with a mailbox, links, monitors and supervisors, in the manner of Erlang.
//!
//! An actor is a fiber that owns its state and communicates by messages only. Holders of an [`ActorRef`]
//! [`send`](ActorRef::send) messages, which never blocks. The actor [`receive`](Mailbox::receive)s them when it is ready.
//!
//! The module is the optional feature `actor`, which is on by default.
//!
//! ```
//! use abaca::actor::{self, Mailbox, Reply};
//! use std::time::Duration;
//!
//! enum Account {
//!     Deposit(u64),
//!     Balance(Reply<u64>),
//! }
//!
//! # abaca::run(|| {
//! let account = actor::spawn(|mailbox: &mut Mailbox<Account>| {
//!     let mut balance = 0;
//!     loop {
//!         match mailbox.receive() {
//!             Account::Deposit(amount) => balance += amount,
//!             Account::Balance(reply) => reply.send(balance),
//!         }
//!     }
//! });
//! account.send(Account::Deposit(20)).unwrap();
//! assert_eq!(account.call(Duration::from_secs(5), Account::Balance).unwrap(), 20);
//! # });
//! ```
//!
//! # Receiving
//!
//! Messages of one sender arrive in the order in which they were sent. With [`receive_match`](Mailbox::receive_match) a body
//! waits for a certain message first, and the others keep their order. [`call`](ActorRef::call) is request and response: it
//! has a timeout, and returns an error at once when the server dies. An actor that only answers messages can be a value with a
//! method: [`Actor`].
//!
//! # Dying
//!
//! An actor ends when its body returns or panics, or when it is ended from outside: then its fiber is cancelled, it unwinds
//! from its blocking call, and its destructors run. The end has an [`ExitReason`], and others learn of it in two ways:
//!
//! * A [**monitor**](Mailbox::monitor) has one direction: the watcher receives a [`Down`] as a message of its own type.
//! * A [**link**](Mailbox::link) has none: when one actor ends [other than `Normal`](ExitReason), the other ends as well. Link
//!   actors that make sense only together. An actor that [traps exits](Mailbox::trap_exits) receives an [`Exit`] instead.
//!
//! ```
//! use abaca::actor::{self, Down, ExitReason, Mailbox};
//!
//! enum Message {
//!     Done(u32),
//!     Lost(Down),
//! }
//!
//! # abaca::run(|| {
//! let parent = actor::spawn(|mailbox: &mut Mailbox<Message>| {
//!     let me = mailbox.me();
//!     mailbox.spawn_monitor(move |_: &mut Mailbox<()>| me.cast(Message::Done(7)), Message::Lost);
//!     mailbox.spawn_monitor(|_: &mut Mailbox<()>| Err("no luck"), Message::Lost);
//!     let lost = mailbox.receive_match(|message| match message {
//!         Message::Lost(down) if down.reason.is_abnormal() => Ok(down.reason),
//!         other => Err(other),
//!     });
//!     assert_eq!(lost, ExitReason::failed("no luck"));
//!     assert!(matches!(mailbox.receive_where(|m| matches!(m, Message::Done(_))), Message::Done(7)));
//! });
//! assert_eq!(parent.wait(), ExitReason::Normal);
//! # });
//! ```
//!
//! # Letting it fail
//!
//! An actor that meets an error it was not written for ends, and a [`supervisor`] starts it again in a state that is known to
//! work. A restarted actor is a new actor, so others look it up by its name, in a [`Registry`].
//!
//! # Where this differs from Erlang
//!
//! Mailboxes are typed, so a function that you give, mostly an enum's variant, makes a message of a death. Names belong to
//! registries, and a program may have many. `exit` and `kill` cancel a fiber, which notices in its next blocking call, in
//! [`cancel::checkpoint`](crate::cancel::checkpoint), or in a [`receive`](Mailbox::receive), even if messages wait. Dropping all
//! references to an actor does not end it: it stays until its runtime ends. End it, or link it to another actor.
//!
//! With `panic = "abort"` nothing can be ended from outside: `kill`, and an `exit` or a link that is not trapped, panic.
//!
//! An idle actor costs its fiber's touched stack, one page, and two small allocations.

mod call;
mod cell;
mod contained;
mod life;
mod mailbox;
mod pid;
mod reason;
mod reference;
mod registry;
mod spawn;
pub mod supervisor;

pub use call::{CallError, Reply};
pub use mailbox::{Mailbox, Monitor};
pub use pid::{ActorId, Pid};
pub use reason::{Down, Exit, ExitReason};
pub use reference::{ActorRef, SendError};
pub use registry::{RegisterError, Registry};
pub use spawn::{Actor, Builder, spawn, start};
