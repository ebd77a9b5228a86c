//! A join handle as a future, for the tasks of any executor.
//!
//! While the future waits, the join word holds the address of its waiter. The waiter is on the heap, and must stay there until
//! the worker has released it. So `poll` and `drop` wait for that, which takes the worker a few instructions.

#![expect(unsafe_code, reason = "the join handle owns half of a cell")]

use std::fmt;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use super::JoinHandle;
use crate::cell::{FutureWaiter, NoStack};

/// The future of a fiber's end, from awaiting a [`JoinHandle`]. Dropping it detaches the fiber.
#[must_use = "a future does nothing unless it is polled"]
pub struct JoinFuture<T> {
    /// `None` once the result has been taken.
    handle: Option<JoinHandle<T>>,
    /// The waiter that the join word refers to; `None` while the future has not been polled.
    waiting: Option<FutureWaiter>,
}

/// Awaits the end of the fiber: [`join`](JoinHandle::join) for the tasks of any executor. The fiber stays on its runtime.
///
/// ```
/// # abaca::run(|| {
/// let fiber = abaca::spawn(|| 5);
/// let result = abaca::future::block_on(async { fiber.await });
/// assert_eq!(result.unwrap(), 5);
/// # });
/// ```
impl<T> IntoFuture for JoinHandle<T> {
    type Output = thread::Result<T>;
    type IntoFuture = JoinFuture<T>;

    fn into_future(self) -> JoinFuture<T> {
        JoinFuture { handle: Some(self), waiting: None }
    }
}

impl<T> Future for JoinFuture<T> {
    type Output = thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<thread::Result<T>> {
        let this = &mut *self;
        let handle = this.handle.as_ref().expect("a future is not polled after it is ready");
        ready!(Self::poll_end(handle, &mut this.waiting, context));
        this.waiting = None;
        let handle = ManuallyDrop::new(this.handle.take().expect("seen above"));
        // SAFETY: the fiber has ended and the worker has released the waiter, so the cell is the handle's, which is not used
        // again; its type says that the result is a `T`.
        Poll::Ready(NoStack::unveil(unsafe { JoinHandle::take_result(handle.cell) }))
    }
}

impl<T> JoinFuture<T> {
    /// Ready once the cell is the handle's.
    fn poll_end(
        handle: &JoinHandle<T>,
        waiting: &mut Option<FutureWaiter>,
        context: &Context<'_>,
    ) -> Poll<()> {
        let join = &handle.header().join;
        if let Some(waiting) = waiting {
            ready!(waiting.poll(context).map_or(Poll::Pending, Poll::Ready));
            join.await_release();
            return Poll::Ready(());
        }
        if join.is_complete() {
            return Poll::Ready(());
        }
        let waiter = FutureWaiter::new(context);
        // SAFETY: the waiter is on the heap, and is dropped here if it was not registered, or else after
        // `await_release` above, or by `drop` after `give_up`.
        if unsafe { join.register(waiter.waiter()) } {
            *waiting = Some(waiter);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<T> Drop for JoinFuture<T> {
    fn drop(&mut self) {
        // Without a waiter the handle's own destructor detaches.
        let (Some(_), Some(waiting)) = (&self.handle, &self.waiting) else { return };
        let Some(handle) = self.handle.take().map(ManuallyDrop::new) else { return };
        if handle.header().join.give_up(waiting.waiter()) {
            // SAFETY: `give_up` says so.
            unsafe { JoinHandle::<T>::dispose(handle.cell) };
        }
    }
}

impl<T> fmt::Debug for JoinFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture").finish_non_exhaustive()
    }
}
