//! A join handle as a future, for the tasks of any executor.
//!
//! While the future waits, the join word holds the address of its task's waiter, which is on the heap, and stays there
//! until the worker has let go of it: `poll` and `drop` wait for that, a few instructions of the worker's.

#![expect(unsafe_code, reason = "the join handle owns half of a cell")]

use std::fmt;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use super::JoinHandle;
use crate::cell::{NoStack, TaskWaiter, take_result};

/// Waits for the end of a fiber; from awaiting a [`JoinHandle`]. Dropping it detaches the fiber.
#[must_use = "a future does nothing unless it is polled"]
pub struct JoinFuture<T> {
    /// `None` once the result has been taken.
    handle: Option<JoinHandle<T>>,
    /// What the join word refers to; `None` while the future has not been polled.
    waiting: Option<TaskWaiter>,
}

/// The same as [`join`](JoinHandle::join), for a task of any executor: a fiber is awaited where it is.
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
        // SAFETY: the fiber has ended and the worker has let go, so the cell is the handle's, which is not used again;
        // its type says that the result is a `T`.
        Poll::Ready(NoStack::unveil(unsafe { take_result(handle.cell) }))
    }
}

impl<T> JoinFuture<T> {
    /// Ready when the cell is the handle's.
    fn poll_end(handle: &JoinHandle<T>, waiting: &mut Option<TaskWaiter>, context: &Context<'_>) -> Poll<()> {
        let join = &handle.header().join;
        if let Some(waiting) = waiting {
            ready!(waiting.poll(context).map_or(Poll::Pending, Poll::Ready));
            join.await_release();
            return Poll::Ready(());
        }
        if join.has_ended_for_good() {
            return Poll::Ready(());
        }
        let waiter = TaskWaiter::new(context);
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
