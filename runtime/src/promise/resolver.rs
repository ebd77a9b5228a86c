//! `Resolver`: the writing side of a promise, which resolving consumes.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use super::callback_queue::CallbackQueue;
use super::cell::Cell;
use super::error::{Broken, Error};
use super::handle::Promise;
use crate::park::{self, Cost};

/// Resolves its promise, once. From [`Promise::pending`] or [`Promise::task`].
///
/// Dropping it rejects the promise with [`Broken`]. If the promise was cancelled meanwhile, resolving has no effect.
pub struct Resolver<T: Send + Sync + 'static>(Option<Arc<Cell<T>>>);

impl<T: Send + Sync + 'static> UnwindSafe for Resolver<T> {}
impl<T: Send + Sync + 'static> RefUnwindSafe for Resolver<T> {}

impl<T: Send + Sync + 'static> Resolver<T> {
    pub(super) fn new(cell: Arc<Cell<T>>) -> Self {
        Self(Some(cell))
    }

    /// Fulfils the promise. Its callbacks run before this returns.
    pub fn resolve(self, value: T) {
        self.complete(Ok(value));
    }

    /// Rejects the promise. Its callbacks run before this returns.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (promise, resolver) = Promise::<()>::pending();
    /// resolver.reject(std::io::Error::other("cable cut"));
    /// assert_eq!(promise.wait().unwrap_err().to_string(), "cable cut");
    /// ```
    pub fn reject(self, error: impl Into<Error>) {
        self.complete(Err(error.into()));
    }

    /// Resolves the promise with a `Result`. Its callbacks run before this returns.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (promise, resolver) = Promise::pending();
    /// resolver.complete("17".parse::<u32>().map_err(Into::into));
    /// assert_eq!(promise.wait().unwrap(), 17);
    /// ```
    pub fn complete(self, outcome: Result<T, Error>) {
        park::spend(Cost::Call);
        CallbackQueue::run(|queue| self.settle(outcome, queue));
    }

    /// Whether the promise is resolved already, because it was cancelled. Work for it may then stop.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        Cell::with_outcome(self.cell(), |_| ()).is_some()
    }

    pub(super) fn settle(mut self, outcome: Result<T, Error>, queue: &mut CallbackQueue) {
        let cell = self.0.take().expect("taken only by what uses the resolver up");
        Cell::settle(&cell, outcome, queue);
    }

    fn cell(&self) -> &Arc<Cell<T>> {
        self.0.as_ref().expect("taken only by what uses the resolver up")
    }
}

impl<T: Clone + Send + Sync + 'static> Resolver<T> {
    /// Makes `inner` and the promise one.
    pub(super) fn follow(mut self, inner: &Promise<T>, queue: &mut CallbackQueue) {
        let cell = self.0.take().expect("taken only by what uses the resolver up");
        Cell::follow(&cell, &inner.cell, queue);
    }
}

impl<T: Send + Sync + 'static> Drop for Resolver<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            CallbackQueue::run(|queue| Cell::settle(&cell, Err(Broken.into()), queue));
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Resolver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("is_resolved", &self.is_resolved()).finish()
    }
}
