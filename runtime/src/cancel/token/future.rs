//! The wait for a token as a future.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Node;
use crate::cell::contained;

/// The tasks that wait for a token. Each of their futures has a number.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// The last number that was given.
    last: u64,
    wakers: HashMap<u64, Waker>,
}

impl Tasks {
    /// Wakes them all. Must not be called under the token's lock: a waker is foreign code.
    pub(super) fn wake(self) {
        // The panic of a foreign waker, which the panic hook has reported, must not keep the others asleep.
        self.wakers.into_values().for_each(|waker| contained(|| waker.wake()));
    }
}

/// A future that is ready once the token is cancelled; made by [`cancelled_async`](super::CancellationToken::cancelled_async).
#[must_use = "futures do nothing unless they are polled"]
pub struct WaitForCancellationFuture<'a> {
    node: &'a Node,
    /// Its number among the token's tasks; `None` until a poll has found the token not cancelled.
    number: Option<u64>,
}

impl<'a> WaitForCancellationFuture<'a> {
    pub(super) fn new(node: &'a Node) -> Self {
        Self { node, number: None }
    }
}

impl Future for WaitForCancellationFuture<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.node.is_cancelled() {
            return Poll::Ready(());
        }
        // Cloned before the lock is taken, and dropped after it is released: both are foreign code.
        let waker = context.waker().clone();
        let mut state = self.node.state.lock();
        if state.cancelled {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| {
            state.tasks.last += 1;
            state.tasks.last
        });
        let former = state.tasks.wakers.insert(number, waker);
        drop(state);
        self.number = Some(number);
        drop(former);
        Poll::Pending
    }
}

impl Drop for WaitForCancellationFuture<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let waker = self.node.state.lock().tasks.wakers.remove(&number);
        drop(waker);
    }
}

impl fmt::Debug for WaitForCancellationFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitForCancellationFuture").finish_non_exhaustive()
    }
}
