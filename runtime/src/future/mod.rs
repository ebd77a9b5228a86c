//! `abaca::future`: fibers and futures, in both directions.
//!
//! * A fiber or a thread waits for a future with [`block_on`], and for a future or a message with [`select()`].
//! * A task of another runtime waits for a fiber with `join_handle.await`, and for messages with
//!   [`recv_async`](crate::channel::Receiver::recv_async) and [`send_async`](crate::channel::Sender::send_async).
//!
//! Nothing here drives a foreign runtime. A future that needs tokio's timers or sockets needs a tokio runtime that runs
//! elsewhere: spawn it there and wait for its handle with [`block_on`], or poll it in that runtime's context with
//! [`within()`].
//!
//! # Cancellation
//!
//! A fiber that is cancelled in [`block_on`] or [`select()`] unwinds, and so drops the future where it was.

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

use crate::cell::note_calm;
use crate::fiber::{JoinHandle, spawn};
use crate::park::{self, Cost};
use notice::Notice;

/// Runs a future to its end on the calling fiber, which parks while the future is pending, or on the calling thread.
///
/// A future that wakes itself while it is polled lets other fibers run before it is polled again.
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

/// Polls `future` whenever it asks for it, and when the time has come that `deadline` gives after each poll.
fn drive<F: Future>(mut future: Pin<&mut F>, deadline: impl Fn() -> Option<Instant>) -> F::Output {
    let notice = Arc::new(Notice::new());
    let waker = Waker::from(Arc::clone(&notice));
    note_calm(&waker);
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

/// Spawns a fiber that runs a future to its end.
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
pub fn spawn_future<F>(future: F) -> JoinHandle<F::Output>
where
    F: IntoFuture + Send + 'static,
    F::Output: Send + 'static,
{
    spawn(move || block_on(future))
}
