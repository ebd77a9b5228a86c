//! Promises of work: the result of a fiber, or of a call on the blocking pool.

use std::io;
use std::sync::Arc;

use super::callback_queue::CallbackQueue;
use super::cancel::OnCancel;
use super::error::{Canceled, Error};
use super::handle::Promise;
use super::resolver::Resolver;
use crate::blocking;
use crate::park::is_refused;

/// Runs `f` in a new fiber, and promises its result. Cancelling the promise cancels the fiber.
///
/// If `f` panics, the promise is rejected with [`Panicked`](super::Panicked). If the fiber is cancelled, the promise is
/// rejected with [`Canceled`] when the fiber has ended and released what it held. If there is no memory for the fiber's stack, it is
/// rejected with an [`io::Error`] of the kind `OutOfMemory`. The callbacks run in the fiber. Dropping the promise detaches the
/// fiber.
///
/// # Panics
///
/// As [`abaca::spawn`](fn@crate::spawn).
///
/// ```
/// use abaca::promise;
/// # abaca::run(|| {
/// let sleeper = promise::spawn(|| abaca::sleep(std::time::Duration::from_secs(3600)));
/// sleeper.cancel();
/// assert!(sleeper.wait().unwrap_err().is_canceled());
/// # });
/// ```
#[track_caller]
pub fn spawn<T, F>(f: F) -> Promise<T>
where
    T: Clone + Send + Sync + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    try_spawn(|| Ok(f()))
}

/// [`spawn`](spawn()) for code that may fail: its error rejects the promise.
///
/// # Panics
///
/// As [`abaca::spawn`](fn@crate::spawn).
///
/// ```
/// use abaca::promise;
/// # abaca::run(|| {
/// let number = promise::try_spawn(|| Ok("seventeen".parse::<u32>()?));
/// assert!(number.wait().unwrap_err().is::<std::num::ParseIntError>());
/// # });
/// ```
#[track_caller]
pub fn try_spawn<T, F>(f: F) -> Promise<T>
where
    T: Clone + Send + Sync + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    let (promise, resolver) = Promise::pending();
    let work = Work(Some(resolver));
    let handle = crate::fiber::spawn(move || work.run(f));
    // Nobody can have cancelled it before: nobody else had the promise.
    promise.cell.set_on_cancel(OnCancel::Fiber(handle));
    promise
}

/// Runs `f`, which may block its thread, on the runtime's pool of threads, and promises its result.
///
/// A call under way cannot be stopped: cancelling the promise has no effect. If `f` panics the promise is rejected with
/// [`Panicked`](super::Panicked).
///
/// # Panics
///
/// As [`abaca::spawn`](fn@crate::spawn).
///
/// ```
/// use abaca::promise;
/// # abaca::run(|| {
/// let file = promise::detach(|| std::fs::read("/proc/self/stat").map(|bytes| bytes.len()).ok());
/// assert!(file.wait().unwrap().unwrap() > 0);
/// # });
/// ```
#[track_caller]
pub fn detach<T, F>(f: F) -> Promise<T>
where
    T: Clone + Send + Sync + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (promise, resolver) = Promise::pending();
    let work = Work(Some(resolver));
    drop(crate::fiber::spawn(move || work.run(|| Ok(blocking::run_owned(f)))));
    promise
}

/// The resolver in a fiber's closure. If the fiber never runs, dropping this rejects the promise.
struct Work<T: Send + Sync + 'static>(Option<Resolver<T>>);

impl<T: Send + Sync + 'static> Work<T> {
    fn run(mut self, f: impl FnOnce() -> Result<T, Error>) {
        let resolver = self.0.take().expect("a fiber runs once");
        CallbackQueue::run(|queue| {
            let outcome = queue.call(f).and_then(|result| result);
            resolver.settle(outcome, queue);
        });
    }
}

impl<T: Send + Sync + 'static> Drop for Work<T> {
    fn drop(&mut self) {
        match self.0.take() {
            Some(resolver) if is_refused() => {
                resolver.reject(io::Error::new(
                    io::ErrorKind::OutOfMemory,
                    "there was no memory for the fiber's stack",
                ));
            }
            Some(resolver) => resolver.reject(Canceled),
            None => {}
        }
    }
}

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Promise<u32>>();
    is_shared::<Resolver<Arc<str>>>();
};
