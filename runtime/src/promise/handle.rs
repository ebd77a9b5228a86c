//! `Promise`: the reading side of a promise, its constructors, and the blocking wait.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::callback_queue::CallbackQueue;
use super::cancel::{self, Cancel, OnCancel};
use super::cell::Cell;
use super::error::Error;
use super::resolver::Resolver;
use crate::park::{self, Cost};
use crate::sync::atomic::{AtomicBool, Ordering};

/// A value that arrives later, once. Clones are the same promise. Dropping them all does not cancel the work. See the
/// [module](super)'s documentation.
pub struct Promise<T> {
    pub(super) cell: Arc<Cell<T>>,
}

/// The state of a promise, from [`Promise::state`].
#[derive(Clone, Debug)]
pub enum State<T> {
    /// It is not resolved yet.
    Pending,
    /// Its value.
    Fulfilled(T),
    /// Why there will be no value.
    Rejected(Error),
}

// A promise is in a valid state whenever a callback panics.
impl<T> UnwindSafe for Promise<T> {}
impl<T> RefUnwindSafe for Promise<T> {}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell) }
    }
}

impl<T: Send + Sync + 'static> Promise<T> {
    /// A promise and its resolver. Cancelling the promise has no effect; see [`task`](Self::task).
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (promise, resolver) = Promise::pending();
    /// resolver.resolve(5);
    /// assert_eq!(promise.wait().unwrap(), 5);
    /// ```
    #[must_use]
    pub fn pending() -> (Self, Resolver<T>) {
        Self::made(OnCancel::Nothing)
    }

    /// A promise that [`cancel`](Self::cancel) rejects with [`Canceled`](super::Canceled), and its resolver.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (promise, resolver) = Promise::<u32>::task();
    /// promise.cancel();
    /// assert!(promise.wait().unwrap_err().is_canceled());
    /// assert!(resolver.is_resolved());
    /// ```
    #[must_use]
    pub fn task() -> (Self, Resolver<T>) {
        Self::made(OnCancel::Reject)
    }

    pub(super) fn made(on_cancel: OnCancel) -> (Self, Resolver<T>) {
        let cell = Cell::pending(on_cancel);
        (Self { cell: Arc::clone(&cell) }, Resolver::new(cell))
    }

    /// A promise that is fulfilled already.
    #[must_use]
    pub fn resolved(value: T) -> Self {
        Self { cell: Cell::resolved(Ok(value)) }
    }

    /// A promise that is rejected already.
    ///
    /// ```
    /// # use abaca::promise::{Error, Promise};
    /// let promise = Promise::<()>::rejected(Error::message("no"));
    /// assert_eq!(promise.wait().unwrap_err().to_string(), "no");
    /// ```
    #[must_use]
    pub fn rejected(error: impl Into<Error>) -> Self {
        Self { cell: Cell::resolved(Err(error.into())) }
    }

    /// Cancels the work on which the promise depends: each [`task`](Self::task) is rejected with
    /// [`Canceled`](super::Canceled), and each fiber of [`spawn`](super::spawn()) is cancelled. The callbacks of tasks run before
    /// this returns, those of a fiber when the fiber has ended.
    ///
    /// The promise itself is rejected as a consequence: not if a callback recovers, or if nothing on which it depends can be
    /// cancelled. Other promises that depend on the same tasks see them rejected as well; see [`protected`](Self::protected).
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, if it depends on a fiber.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (task, _resolver) = Promise::<u32>::task();
    /// let double = task.map(|n| 2 * n);
    /// double.cancel();
    /// assert!(task.wait().unwrap_err().is_canceled());
    /// assert!(double.wait().unwrap_err().is_canceled());
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        if let Some(fiber) = CallbackQueue::run(|queue| cancel::cancel(vec![self.source()], queue)) {
            fiber.cancel();
        }
    }

    /// Whether the promise is fulfilled or rejected.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        park::spend(Cost::Call);
        Cell::with_outcome(&self.cell, |_| ()).is_some()
    }

    pub(super) fn source(&self) -> Arc<dyn Cancel> {
        Arc::clone(&self.cell) as Arc<dyn Cancel>
    }
}

impl<T: Clone + Send + Sync + 'static> Promise<T> {
    /// The state of the promise: pending, or its outcome.
    ///
    /// ```
    /// # use abaca::promise::{Promise, State};
    /// let (promise, resolver) = Promise::pending();
    /// assert!(matches!(promise.state(), State::Pending));
    /// resolver.resolve("here");
    /// assert!(matches!(promise.state(), State::Fulfilled("here")));
    /// ```
    #[must_use]
    pub fn state(&self) -> State<T> {
        park::spend(Cost::Call);
        match Cell::with_outcome(&self.cell, Clone::clone) {
            None => State::Pending,
            Some(Ok(value)) => State::Fulfilled(value),
            Some(Err(error)) => State::Rejected(error),
        }
    }

    /// Blocks the calling fiber, or thread, until the promise is resolved. A fiber that is cancelled while it waits unwinds, and
    /// the promise goes on.
    ///
    /// # Errors
    ///
    /// The [`Error`] with which the promise was rejected:
    ///
    /// * [`Canceled`](super::Canceled): it was cancelled, or its runtime was shut down.
    /// * [`Panicked`](super::Panicked): its fiber, or a callback, panicked.
    /// * [`Broken`](super::Broken): its resolver was dropped.
    /// * Otherwise the error that its code returned or gave to the resolver.
    ///
    /// ```
    /// # use abaca::promise;
    /// # abaca::run(|| {
    /// assert_eq!(promise::spawn(|| "done").wait().unwrap(), "done");
    /// # });
    /// ```
    pub fn wait(&self) -> Result<T, Error> {
        self.wait_until(None).expect("without a deadline, a wait ends with an outcome")
    }

    /// [`wait`](Self::wait), for at most `timeout`: `None` if the promise is still pending then.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// # use std::time::Duration;
    /// let (promise, _resolver) = Promise::<u32>::pending();
    /// assert!(promise.wait_timeout(Duration::from_millis(1)).is_none());
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<T, Error>> {
        // A deadline beyond the clock's range never comes.
        self.wait_until(Instant::now().checked_add(timeout))
    }

    /// [`wait`](Self::wait), until `deadline` at the latest: `None` if the promise is still pending then.
    pub fn wait_deadline(&self, deadline: Instant) -> Option<Result<T, Error>> {
        self.wait_until(Some(deadline))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Option<Result<T, Error>> {
        park::spend(Cost::Wait);
        if let Some(outcome) = Cell::with_outcome(&self.cell, Clone::clone) {
            return Some(outcome);
        }
        let root = Cell::wait(&self.cell, deadline)?;
        Cell::with_outcome(&root, Clone::clone)
    }

    /// A promise of the same outcome that can be cancelled alone: cancelling rejects it with
    /// [`Canceled`](super::Canceled), and `self` goes on.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (shared, resolver) = Promise::task();
    /// let mine = shared.protected();
    /// mine.cancel();
    /// assert!(mine.wait().unwrap_err().is_canceled());
    /// resolver.resolve(5);
    /// assert_eq!(shared.wait().unwrap(), 5);
    /// ```
    #[must_use]
    pub fn protected(&self) -> Self {
        self.copy(OnCancel::Reject)
    }

    /// A promise of the same outcome that cannot be cancelled.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (task, resolver) = Promise::task();
    /// task.no_cancel().cancel();
    /// resolver.resolve(5);
    /// assert_eq!(task.wait().unwrap(), 5);
    /// ```
    #[must_use]
    pub fn no_cancel(&self) -> Self {
        self.copy(OnCancel::Nothing)
    }

    fn copy(&self, on_cancel: OnCancel) -> Self {
        let (promise, resolver) = Self::made(on_cancel);
        let spent = Arc::new(AtomicBool::new(false));
        Cell::when(&self.cell, Some(Arc::clone(&spent)), move |outcome, queue| {
            // A `clone` of the user's may panic.
            let outcome = queue.call(|| outcome.clone()).and_then(|outcome| outcome);
            resolver.settle(outcome, queue);
        });
        // A copy that was cancelled needs no outcome: a promise that stays pending for long does not keep it. Weak, since the promise
        // keeps its copies.
        let source = Arc::downgrade(&self.cell);
        Cell::when(&promise.cell, None, move |_, _| {
            // Relaxed: only a hint that saves memory.
            spent.store(true, Ordering::Relaxed);
            source.upgrade().iter().for_each(Cell::note_spent);
        });
        promise
    }
}

impl<T: fmt::Debug> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printed = Cell::with_outcome(&self.cell, |outcome| match outcome {
            Ok(value) => f.debug_tuple("Fulfilled").field(value).finish(),
            Err(error) => f.debug_tuple("Rejected").field(error).finish(),
        });
        printed.unwrap_or_else(|| f.write_str("Pending"))
    }
}
