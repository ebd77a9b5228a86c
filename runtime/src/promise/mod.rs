//! Promises: values that arrive later, in the manner of Lwt.
//!
//! A [`Promise`] is resolved once: fulfilled with a value, or rejected with an [`Error`]. Whoever holds it says what
//! is to happen then, with callbacks; a fiber or a thread may also just [`wait`](Promise::wait) for it. In fibers plain
//! blocking code is usually the simpler way; promises are for what blocking code says badly: the first of several
//! answers, a result that many wait for, work that is given up when nobody wants it any more.
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
//! | [`Promise::resolved`], [`Promise::rejected`] | born so | has no effect |
//! | everything below | what it is made of | cancels what it is made of |
//!
//! A resolver that is dropped rejects its promise with [`Broken`]: nobody waits in vain.
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
//! In the fiber or thread that resolves the promise, before its call returns; or at once in the one that adds the
//! callback, if the promise is resolved already. A callback may block: what else waits for the same promise, and the
//! resolver's caller, then wait as well. A callback that panics rejects the promise that it was to produce with
//! [`Panicked`]. Chains may be as long as memory allows: resolving, cancelling and dropping them take no stack.
//!
//! A callback that resolves *another* promise by hand runs that one's callbacks inside of itself, as any call would.
//!
//! # Awaiting
//!
//! A promise can be awaited in asynchronous code: it is `IntoFuture`.
//!
//! # Values
//!
//! Many may read one promise, so values are cloned for each reader: `T` is `Clone + Send + Sync`. Wrap in an
//! [`Arc`](std::sync::Arc) what is not. A `Promise<T>` is then `Send + Sync`, and a clone of it is the same promise.

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
