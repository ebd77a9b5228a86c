//! The receiver of a oneshot channel as a future, for the tasks of any executor.

#![expect(unsafe_code, reason = "the channel's word refers to the task's waiter")]

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::Receiver;
use super::error::RecvError;
use super::shared::{Found, Held};
use crate::cell::TaskWaiter;

/// A message to come; from awaiting a [`Receiver`]. Dropping it drops the receiver.
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<T> {
    receiver: Receiver<T>,
    /// What the channel's word refers to, until the sender takes it out or `drop` does.
    waiting: Option<TaskWaiter>,
}

/// The same as [`recv`](Receiver::recv), for a task of any executor.
///
/// ```
/// let (sender, receiver) = abaca::channel::oneshot::channel();
/// std::thread::spawn(move || sender.send(5).unwrap());
/// assert_eq!(abaca::future::block_on(async { receiver.await }), Ok(5));
/// ```
impl<T> IntoFuture for Receiver<T> {
    type Output = Result<T, RecvError>;
    type IntoFuture = RecvFuture<T>;

    fn into_future(self) -> RecvFuture<T> {
        RecvFuture { receiver: self, waiting: None }
    }
}

// The message is in the channel, not in the future.
impl<T> Unpin for RecvFuture<T> {}

impl<T> Future for RecvFuture<T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(waiting) = &this.waiting {
            ready!(waiting.poll(context).map_or(Poll::Pending, Poll::Ready));
            this.waiting = None;
        }
        loop {
            match (Held::take(&mut this.receiver.held), &this.receiver.held) {
                (Found::Message(message), _) => return Poll::Ready(Ok(message)),
                (Found::Nothing, Some(held)) => {
                    let waiter = TaskWaiter::new(context);
                    // SAFETY: the waiter is on the heap until the sender's claim has been seen above, or until it has
                    // been withdrawn in `drop`.
                    if unsafe { held.register(waiter.waiter()) } {
                        this.waiting = Some(waiter);
                        return Poll::Pending;
                    }
                }
                (Found::Nothing | Found::Closed, _) => return Poll::Ready(Err(RecvError(()))),
            }
        }
    }
}

impl<T> Drop for RecvFuture<T> {
    fn drop(&mut self) {
        if let (Some(waiting), Some(held)) = (&self.waiting, &self.receiver.held)
            && waiting.give_up()
        {
            drop(held.withdrawal(waiting.waiter()));
        }
    }
}

impl<T> fmt::Debug for RecvFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").finish_non_exhaustive()
    }
}
