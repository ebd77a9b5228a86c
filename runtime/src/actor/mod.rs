//! Actors: fibers with a mailbox, links, monitors and supervisors, in the manner of Erlang.
//!
//! An actor is a fiber that owns its state and is spoken to by messages only. Whoever has an [`ActorRef`] may
//! [`send`](ActorRef::send), which never blocks; the actor [`receive`](Mailbox::receive)s when it likes.
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
//! Messages of one sender arrive in the order in which they were sent. A body that wants a certain message first says so
//! with [`receive_match`](Mailbox::receive_match), and the others keep their places: a protocol is written down as it is
//! thought, one receive for each thing that is waited for. [`call`](ActorRef::call) is request and response, with a
//! time limit, and an error instead of a wait in vain when the server dies. An actor that does nothing but answer
//! can be a value with a method: [`Actor`].
//!
//! # Dying
//!
//! An actor ends when its body returns, panics, or is ended from outside, which cancels its fiber: it unwinds from its
//! blocking call, and its destructors run. Why is an [`ExitReason`], and others learn of it in two ways:
//!
//! * A [**monitor**](Mailbox::monitor) is for one side: the watcher receives a [`Down`] as a message of its own type.
//! * A [**link**](Mailbox::link) is for both: when one ends [other than `Normal`](ExitReason), so does the other. Actors that
//!   make sense only together are linked. One that [traps exits](Mailbox::trap_exits) receives an [`Exit`] instead.
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
//! Code that meets what it was not written for ends, and is started anew in a state that is known to work. That is the
//! work of a [`supervisor`]. Since a restarted actor is another actor, those who talk to it find it by name, in
//! a [`Registry`].
//!
//! # Where this differs from Erlang
//!
//! Mailboxes are typed, so news of deaths become messages by a function that you give, mostly an enum's variant. Names
//! belong to registries, of which a program may have many. `exit` and `kill` cancel a fiber, which must block (or call
//! [`cancel::checkpoint`](crate::cancel::checkpoint)) to notice; a [`receive`](Mailbox::receive) notices also when
//! messages wait. An actor that nobody refers to stays until its runtime ends: end it, or link it to someone.
//!
//! With `panic = "abort"` nothing can be ended from outside: `kill`, and an `exit` or a link that is not trapped, panic.
//!
//! An idle actor costs its fiber's touched stack, one page, and two small allocations.

mod call;
mod cell;
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
