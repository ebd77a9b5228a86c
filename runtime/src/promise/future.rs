//! A promise as a future, for code that awaits.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::cell::Cell;
use super::error::Error;
use super::handle::Promise;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The future of a promise's outcome; from awaiting the [`Promise`].
///
/// Dropping it leaves the promise as it is: [`cancel`](Promise::cancel) gives that up.
#[must_use = "futures do nothing unless they are polled"]
pub struct PromiseFuture<T: Send + Sync + 'static> {
    promise: Promise<T>,
    /// Set at the first poll that had to wait.
    wake: Option<Arc<Wake>>,
}

/// Whom the promise's callback wakes.
struct Wake {
    waker: Mutex<Option<Waker>>,
    /// Whether nobody waits any more.
    spent: Arc<AtomicBool>,
}

impl Wake {
    fn exchange(&self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut *self.waker.lock().unwrap_or_else(PoisonError::into_inner), waker)
    }
}

impl<T: Clone + Send + Sync + 'static> IntoFuture for Promise<T> {
    type Output = Result<T, Error>;
    type IntoFuture = PromiseFuture<T>;

    /// ```
    /// # use abaca::promise::{Error, Promise};
    /// async fn double(promise: Promise<u32>) -> Result<u32, Error> {
    ///     Ok(2 * promise.await?)
    /// }
    /// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// # let future = std::pin::pin!(double(Promise::resolved(4)));
    /// # assert!(matches!(std::future::Future::poll(future, &mut context), std::task::Poll::Ready(Ok(8))));
    /// ```
    fn into_future(self) -> PromiseFuture<T> {
        PromiseFuture { promise: self, wake: None }
    }
}

impl<T: Clone + Send + Sync + 'static> Future for PromiseFuture<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let outcome = || Cell::with_outcome(&this.promise.cell, Clone::clone);
        if let Some(outcome) = outcome() {
            return Poll::Ready(outcome);
        }
        let waker = Some(context.waker().clone());
        if let Some(wake) = &this.wake {
            drop(wake.exchange(waker));
        } else {
            let spent = Arc::new(AtomicBool::new(false));
            let wake = Arc::new(Wake { waker: Mutex::new(waker), spent: Arc::clone(&spent) });
            this.wake = Some(Arc::clone(&wake));
            Cell::when(&this.promise.cell, Some(spent), move |_, _| {
                if let Some(waker) = wake.exchange(None) {
                    waker.wake();
                }
            });
        }
        // The callback may have woken the waker before this one.
        outcome().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T: Send + Sync + 'static> Drop for PromiseFuture<T> {
    fn drop(&mut self) {
        if let Some(wake) = self.wake.take() {
            drop(wake.exchange(None));
            // Relaxed: only a hint, as in the cell.
            wake.spent.store(true, Ordering::Relaxed);
            Cell::note_spent(&self.promise.cell);
        }
    }
}

impl<T: Send + Sync + fmt::Debug + 'static> fmt::Debug for PromiseFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PromiseFuture").field(&self.promise).finish()
    }
}
