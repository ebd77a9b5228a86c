//! Fibers and futures, in both directions.
//!
//! | to wait for | in | use |
//! |---|---|---|
//! | a future | a fiber or thread | [`block_on`] |
//! | a future, for a limited time | a fiber or thread | [`timeout()`] |
//! | a future or a message | a fiber or thread | [`select()`] |
//! | a future of tokio's | a fiber | [see below](#futures-of-tokio) |
//! | a fiber | async code of any executor | `join_handle.await` |
//! | a message | async code | [`recv_async`](crate::channel::Receiver::recv_async), [`send_async`](crate::channel::Sender::send_async) |
//! | a cancellation | async code | [`cancelled_async`](crate::cancel::CancellationToken::cancelled_async) |
//! | a blocking call of abaca's | async code | `abaca::spawn(..)` or [`Runtime::spawn`](crate::Runtime::spawn), and await the handle |
//!
//! # Futures of tokio
//!
//! Nothing here drives a foreign runtime. A future that needs tokio's timers or sockets (those of reqwest, sqlx or tonic do)
//! needs a tokio runtime that runs on threads of its own. There are two ways to use it from a fiber.
//!
//! **Spawn the future there, and wait for its handle.** This is the simplest way, for futures that are `Send` and `'static`:
//!
//! ```
//! use std::time::Duration;
//! use abaca::future::block_on;
//!
//! let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
//! let handle = tokio.handle().clone();
//!
//! abaca::run(move || {
//!     let fibers: Vec<_> = (0..100_u32)
//!         .map(|n| {
//!             let handle = handle.clone();
//!             abaca::spawn(move || {
//!                 let task = handle.spawn(async move {
//!                     tokio::time::sleep(Duration::from_millis(1)).await;
//!                     n
//!                 });
//!                 block_on(task).unwrap() // parks this fiber only
//!             })
//!         })
//!         .collect();
//!     let sum: u32 = fibers.into_iter().map(|fiber| fiber.join().unwrap()).sum();
//!     assert_eq!(sum, 4950);
//! });
//! ```
//!
//! **Poll it on the fiber, inside of tokio's context**, if it is not `Send` or borrows: [`within()`] enters the context for
//! each poll, and leaves it before the fiber parks.
//!
//! Do **not** call `handle.enter()` around [`block_on`], nor `handle.block_on(..)`. The guard would stay entered on the
//! worker's thread while the fiber is parked, for all of its neighbours, and tokio panics when the guards of several fibers are
//! dropped in another order than they were made. `handle.block_on` also blocks the worker.
//!
//! # Cancellation
//!
//! A fiber that is cancelled in [`block_on`], [`timeout()`] or [`select()`] unwinds, and so drops the future where it was.

mod notice;
#[cfg(not(loom))]
mod select;
mod timeout;
mod within;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

pub use crate::fiber::join_future::JoinFuture;
#[cfg(not(loom))]
pub use select::{Either, select};
pub use timeout::timeout;
pub use within::{Within, within};

use crate::cell::note_own_waker;
use crate::fiber::{JoinHandle, spawn};
use crate::park::{self, Cost};
use notice::Notice;

/// Runs a future to its end on the calling fiber, which parks while the future is pending, or on the calling thread. Returns its
/// output.
///
/// The future need not be `Send`, and may borrow. If it wakes itself while it is polled, other fibers run before it is polled
/// again. It may call `block_on` itself: that blocks the fiber only.
///
/// A future of tokio's is polled [`within()`] tokio's context; the [module's page](self#futures-of-tokio) has both ways.
///
/// # Panics
///
/// If the future does.
///
/// ```
/// # abaca::run(|| {
/// let fiber = abaca::spawn(|| 6 * 7);
/// let double = abaca::future::block_on(async { 2 * fiber.await.unwrap() });
/// assert_eq!(double, 84);
/// # });
/// ```
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    drive(pin!(future.into_future()), || None)
}

/// Polls `future` whenever it has been woken, and at the time that `deadline` returns after each poll.
fn drive<F: Future>(mut future: Pin<&mut F>, deadline: impl Fn() -> Option<Instant>) -> F::Output {
    let notice = Arc::new(Notice::new());
    let waker = Waker::from(Arc::clone(&notice));
    note_own_waker(&waker);
    let mut context = Context::from_waker(&waker);
    loop {
        park::spend(Cost::Wait);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        if notice.take() {
            crate::fiber::yield_now();
        } else {
            notice.wait_until(deadline());
        }
    }
}

/// Spawns a fiber that runs a future to its end: [`spawn`](fn@crate::spawn) and [`block_on`].
///
/// Dropping the handle detaches the fiber; [cancelling](JoinHandle::cancel) the fiber drops the future.
///
/// # Panics
///
/// As [`spawn`](fn@crate::spawn).
///
/// ```
/// # abaca::run(|| {
/// let fiber = abaca::future::spawn_future(async { 5 });
/// assert_eq!(fiber.join().unwrap(), 5);
/// # });
/// ```
#[track_caller]
pub fn spawn_future<F>(future: F) -> JoinHandle<F::Output>
where
    F: IntoFuture + Send + 'static,
    F::Output: Send + 'static,
{
    spawn(move || block_on(future))
}
