//! Promises made from one promise: `map`, `bind`, `catch` and so on, all by one method, `then`.

use std::sync::Arc;

use super::callback_queue::CallbackQueue;
use super::cancel::OnCancel;
use super::cell::Cell;
use super::error::Error;
use super::handle::Promise;

/// The result of a callback.
enum Step<T> {
    Done(Result<T, Error>),
    /// The outcome of this promise.
    Wait(Promise<T>),
}

impl<T: Clone + Send + Sync + 'static> Promise<T> {
    /// A promise of the result of `next`, which is called with the outcome.
    fn then<U, F>(&self, next: F) -> Promise<U>
    where
        U: Clone + Send + Sync + 'static,
        F: FnOnce(&Result<T, Error>) -> Step<U> + Send + 'static,
    {
        if self.is_resolved() {
            // It adds no promise of its own, so a loop over resolved promises stays flat.
            return match self.call_now(next) {
                Ok(Step::Wait(promise)) => promise,
                Ok(Step::Done(Ok(value))) => Promise::resolved(value),
                Ok(Step::Done(Err(error))) | Err(error) => Promise::rejected_with(error),
            };
        }
        let source = Arc::downgrade(&self.source());
        let (promise, resolver) = Promise::made(OnCancel::Source(source));
        Cell::when(&self.cell, None, move |outcome, queue| match queue.call(|| next(outcome)) {
            Ok(Step::Wait(inner)) => resolver.follow(&inner, queue),
            Ok(Step::Done(outcome)) => resolver.settle(outcome, queue),
            Err(error) => resolver.settle(Err(error), queue),
        });
        promise
    }

    fn call_now<R>(&self, callback: impl FnOnce(&Result<T, Error>) -> R) -> Result<R, Error> {
        CallbackQueue::run(|queue| {
            Cell::with_outcome(&self.cell, |outcome| queue.call(|| callback(outcome)))
                .expect("a resolved promise has an outcome")
        })
    }

    fn rejected_with(error: Error) -> Self {
        Self { cell: Cell::resolved(Err(error)) }
    }

    /// Calls `f` with the value when it is there, and promises the result.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (promise, resolver) = Promise::pending();
    /// let text = promise.map(|n: u32| format!("{n} apples"));
    /// resolver.resolve(3);
    /// assert_eq!(text.wait().unwrap(), "3 apples");
    /// ```
    pub fn map<U, F>(&self, f: F) -> Promise<U>
    where
        U: Clone + Send + Sync + 'static,
        F: FnOnce(T) -> U + Send + 'static,
    {
        self.and_then(|value| Ok(f(value)))
    }

    /// Like [`map`](Self::map) for a computation that may fail.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let number = Promise::resolved("17").and_then(|text| Ok(text.parse::<u32>()?));
    /// assert_eq!(number.wait().unwrap(), 17);
    /// ```
    pub fn and_then<U, F>(&self, f: F) -> Promise<U>
    where
        U: Clone + Send + Sync + 'static,
        F: FnOnce(T) -> Result<U, Error> + Send + 'static,
    {
        self.then(|outcome| {
            Step::Done(match outcome {
                Ok(value) => f(value.clone()),
                Err(error) => Err(error.clone()),
            })
        })
    }

    /// Calls `f` with the value, and continues with the promise that it returns.
    ///
    /// ```
    /// # use abaca::promise::{self, Promise};
    /// # abaca::run(|| {
    /// let user = promise::spawn(|| 7);
    /// let name = user.bind(|id| promise::spawn(move || format!("user {id}")));
    /// assert_eq!(name.wait().unwrap(), "user 7");
    /// # });
    /// ```
    pub fn bind<U, F>(&self, f: F) -> Promise<U>
    where
        U: Clone + Send + Sync + 'static,
        F: FnOnce(T) -> Promise<U> + Send + 'static,
    {
        self.then(|outcome| match outcome {
            Ok(value) => Step::Wait(f(value.clone())),
            Err(error) => Step::Done(Err(error.clone())),
        })
    }

    /// Calls `recover` with the error, and continues with the promise that it returns. A value passes through.
    ///
    /// ```
    /// # use abaca::promise::{Error, Promise};
    /// let failed = Promise::rejected(Error::message("no answer"));
    /// assert_eq!(failed.catch(|_| Promise::resolved(0)).wait().unwrap(), 0);
    /// ```
    pub fn catch<F>(&self, recover: F) -> Self
    where
        F: FnOnce(Error) -> Self + Send + 'static,
    {
        self.then(|outcome| match outcome {
            Ok(value) => Step::Done(Ok(value.clone())),
            Err(error) => Step::Wait(recover(error.clone())),
        })
    }

    /// Calls `ok` with the value or `err` with the error, and continues with the promise that it returns. Unlike with
    /// [`bind`](Self::bind) followed by [`catch`](Self::catch), `err` does not see errors of `ok`.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let said = Promise::resolved(1)
    ///     .try_bind(|n| Promise::resolved(n.to_string()), |error| Promise::resolved(error.to_string()));
    /// assert_eq!(said.wait().unwrap(), "1");
    /// ```
    pub fn try_bind<U, F, G>(&self, ok: F, err: G) -> Promise<U>
    where
        U: Clone + Send + Sync + 'static,
        F: FnOnce(T) -> Promise<U> + Send + 'static,
        G: FnOnce(Error) -> Promise<U> + Send + 'static,
    {
        self.then(|outcome| {
            Step::Wait(match outcome {
                Ok(value) => ok(value.clone()),
                Err(error) => err(error.clone()),
            })
        })
    }

    /// Calls `cleanup` however the promise is resolved, and waits for the promise that it returns. The outcome is that of `self`,
    /// unless the cleanup is rejected.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// # use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
    /// let closed = Arc::new(AtomicBool::new(false));
    /// let theirs = Arc::clone(&closed);
    /// let read = Promise::resolved("bytes").finalize(move || {
    ///     theirs.store(true, Ordering::Relaxed);
    ///     Promise::resolved(())
    /// });
    /// assert_eq!(read.wait().unwrap(), "bytes");
    /// assert!(closed.load(Ordering::Relaxed));
    /// ```
    pub fn finalize<F>(&self, cleanup: F) -> Self
    where
        F: FnOnce() -> Promise<()> + Send + 'static,
    {
        self.then(|outcome| {
            let outcome = outcome.clone();
            Step::Wait(cleanup().then(|cleaned| {
                Step::Done(match cleaned {
                    Ok(()) => outcome,
                    Err(error) => Err(error.clone()),
                })
            }))
        })
    }

    /// Calls `f` with the outcome when there is one. A panic of `f` is reported by the panic hook, and goes no further.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// Promise::resolved(1).on_resolve(move |outcome| sender.send(outcome.unwrap()).unwrap());
    /// assert_eq!(receiver.recv().unwrap(), 1);
    /// ```
    pub fn on_resolve<F>(&self, f: F)
    where
        F: FnOnce(Result<T, Error>) + Send + 'static,
    {
        Cell::when(&self.cell, None, |outcome, queue| {
            // The panic hook has reported it.
            drop(queue.call(|| f(outcome.clone())));
        });
    }

    /// Calls `f` if the promise is cancelled, that is, rejected with [`Canceled`](super::Canceled). For a
    /// [`task`](Self::task), `f` stops the work.
    ///
    /// ```
    /// # use abaca::promise::Promise;
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let (task, _resolver) = Promise::<()>::task();
    /// task.on_cancel(move || sender.send("stop").unwrap());
    /// task.cancel();
    /// assert_eq!(receiver.recv().unwrap(), "stop");
    /// ```
    pub fn on_cancel<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        Cell::when(&self.cell, None, |outcome, queue| {
            if outcome.as_ref().is_err_and(Error::is_canceled) {
                drop(queue.call(f));
            }
        });
    }
}
