//! Promises: values that arrive later, in the manner of Lwt.
//!
//! A [`Promise`] is resolved once: fulfilled with a value, or rejected with an [`Error`]. Its holders add callbacks for that, or
//! [`wait`](Promise::wait) in a fiber or thread. In fibers plain blocking code is usually simpler. Promises serve where it is
//! not: the first of several answers, a result for which many wait, work that is cancelled when nobody needs it any more.
//!
//! The module is the optional feature `promise`, which is on by default.
//!
//! ```
//! use abaca::promise::{self, Promise};
//!
//! # abaca::run(|| {
//! let six = promise::spawn(|| 6); // a fiber's result
//! let seven = Promise::resolved(7);
//! let answer = promise::both(&six, &seven).map(|(six, seven)| six * seven);
//! assert_eq!(answer.wait().unwrap(), 42);
//! # });
//! ```
//!
//! # Making promises
//!
//! | | resolved by | cancelling it |
//! |---|---|---|
//! | [`Promise::pending`] | its [`Resolver`], by anybody | has no effect |
//! | [`Promise::task`] | its [`Resolver`] | rejects it with [`Canceled`] |
//! | [`spawn()`], [`try_spawn`] | the end of a fiber | cancels the fiber, whose end rejects it |
//! | [`detach`] | the end of a call on the blocking pool | has no effect |
//! | [`Promise::resolved`], [`Promise::rejected`] | resolved from the start | has no effect |
//! | the combinators below | the promises that it is made of | cancels the promises that it is made of |
//!
//! Dropping a resolver rejects its promise with [`Broken`], so nobody waits for ever.
//!
//! # Putting them together
//!
//! [`map`](Promise::map) computes, [`bind`](Promise::bind) goes on with another promise,
//! [`catch`](Promise::catch) recovers, [`finalize`](Promise::finalize) cleans up. [`join`] and [`all`] wait for all of
//! them, [`choose`] for the first, and [`pick`] for the first while it cancels the others.
//!
//! ```
//! use abaca::promise::{self, Error, Promise};
//! use std::time::Duration;
//!
//! fn fetch(server: u32) -> Promise<String> {
//!     promise::try_spawn(move || match server {
//!         0 => Err(Error::message("unreachable")),
//!         1 => Ok("page".to_string()),
//!         _ => loop { abaca::sleep(Duration::from_secs(3600)) },
//!     })
//! }
//! # abaca::run(|| {
//! let page = fetch(0).catch(|_| promise::pick([fetch(1), fetch(2)])); // server 2's fiber is cancelled
//! assert_eq!(page.wait().unwrap(), "page");
//! # });
//! ```
//!
//! # Where callbacks run
//!
//! Callbacks run in the fiber or thread that resolves the promise, before its call returns. If the promise is resolved already,
//! a callback runs at once where it is added. A callback may block: then the other callbacks of the promise, and the caller of
//! the resolver, wait as well. If a callback panics, the promise of its result is rejected with [`Panicked`]. Chains may be as
//! long as memory allows: resolving, cancelling and dropping them does not recurse.
//!
//! If a callback calls the [`Resolver`] of *another* promise, the callbacks of that promise run inside of that call.
//!
//! # Awaiting
//!
//! A promise can be awaited in asynchronous code: it implements `IntoFuture`.
//!
//! # Values
//!
//! Many may read one promise, so the value is cloned for each reader: `T` is `Clone + Send + Sync`. Wrap a value that is not
//! `Clone` in an [`Arc`](std::sync::Arc). A `Promise<T>` is `Send + Sync`, and a clone of it is the same promise.

mod callback_queue;
mod cancel;
mod cell;
mod chain;
mod error;
mod future;
mod gather;
mod handle;
#[cfg(all(test, loom))]
mod model;
mod resolver;
mod spawn;

pub use error::{Broken, Canceled, Error, Panicked};
pub use future::PromiseFuture;
pub use gather::{all, both, choose, join, nchoose, npick, pick};
pub use handle::{Promise, State};
pub use resolver::Resolver;
pub use spawn::{detach, spawn, try_spawn};
