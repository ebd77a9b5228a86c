//! Waiting for a future or a message, whichever comes first.

use std::pin::pin;
use std::task::Poll;

use super::drive;
use crate::channel::{Receiver, RecvError};

/// The result of [`select`]: the first of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The future's output.
    Left(A),
    /// The received message, or the end of the channel.
    Right(B),
}

/// Waits for a future or a message, whichever comes first. If both are there, it takes the future.
///
/// If the message comes first, the future is dropped. If the future comes first, a message stays in the channel. To keep the
/// future, pass `&mut` of a pinned one.
///
/// # Panics
///
/// If the future does.
///
/// ```
/// use abaca::future::{Either, select};
///
/// let (sender, receiver) = abaca::channel::unbounded();
/// sender.send(7).unwrap();
/// assert_eq!(select(std::future::pending::<()>(), &receiver), Either::Right(Ok(7)));
/// assert_eq!(select(async { 5 }, &receiver), Either::Left(5));
/// ```
pub fn select<F: IntoFuture, T>(
    future: F,
    receiver: &Receiver<T>,
) -> Either<F::Output, Result<T, RecvError>> {
    let mut future = pin!(future.into_future());
    let mut message = pin!(receiver.recv_async());
    let first = pin!(std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Either::Left(output));
        }
        if receiver.due().is_some() {
            // The message of a clock wakes nobody: `drive` polls again when it is due.
            return receiver.try_recv().map_or(Poll::Pending, |due| Poll::Ready(Either::Right(Ok(due))));
        }
        message.as_mut().poll(context).map(Either::Right)
    }));
    drive(first, || receiver.due())
}
