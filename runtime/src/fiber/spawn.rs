//! `spawn` and `spawn_local`, in `std::thread`'s shape.

use super::{Builder, JoinHandle};

/// Spawns a fiber on the current runtime, and returns a handle to wait for its end and take its result. Mirrors
/// [`std::thread::spawn`].
///
/// Any worker of the runtime may start the fiber. From then on it stays on that worker, so thread-locals, `Rc` and everything
/// else that is bound to a thread behave in it as on any thread.
///
/// **Dropping the handle detaches the fiber:** it runs on, and its result is dropped when it ends. A detached fiber may outlive
/// the fiber that spawned it, but not the runtime: what is still there when [`run`](fn@crate::run) ends is
/// [cancelled](crate::cancel) and unwinds. Join what has to be finished, or use a [`scope`](fn@crate::scope), which joins for
/// you and whose fibers may borrow.
///
/// The caller goes on; the fiber runs when the caller blocks, or when another worker takes it.
///
/// The closure and its result are `Send`, because another worker may run the fiber and another thread may join it; and `'static`,
/// because the fiber may outlive its caller. [`spawn_local`] lifts the first bound, [`scope`](fn@crate::scope) the second.
///
/// A panic of the closure ends the fiber, not the process: [`join`](JoinHandle::join) returns it. If the closure overflows its
/// stack, the process ends by SIGSEGV, after a report that names the fiber; see [`Builder::stack_size`].
///
/// # Panics
///
/// * Outside of a runtime: on a thread that runs no fibers. Use [`Runtime::spawn`](crate::Runtime::spawn) there.
/// * If the runtime's [limit of fibers](crate::runtime::Builder::max_fibers) is reached.
///
/// [`Builder::spawn`] returns these as errors.
///
/// # While the runtime ends
///
/// A fiber that spawns unwinds as if it had been cancelled, which it is about to be. Where it cannot unwind, in a destructor that runs because
/// of an unwinding, in a [`shield`](crate::cancel::shield) and in destructors of fiber-local values, the new fiber is cancelled before it
/// starts: the closure is dropped, and a join returns [`Cancelled`](crate::cancel::Cancelled).
///
/// # Examples
///
/// ```
/// # abaca::run(|| {
/// let handle = abaca::spawn(|| "from a fiber");
/// assert_eq!(handle.join().unwrap(), "from a fiber");
/// # });
/// ```
///
/// A fiber for each piece of work, and a channel for the results:
///
/// ```
/// use abaca::channel::unbounded;
///
/// # abaca::run(|| {
/// let (sender, receiver) = unbounded();
/// for n in 1..=3 {
///     let sender = sender.clone();
///     // The handle is dropped: the fiber is detached, and sends all the same.
///     abaca::spawn(move || sender.send(n * n).unwrap());
/// }
/// drop(sender);
/// assert_eq!(receiver.iter().sum::<i32>(), 14);
/// # });
/// ```
///
/// A panic is the error of the join:
///
/// ```
/// # abaca::run(|| {
/// let payload = abaca::spawn(|| -> u8 { panic!("no luck") }).join().unwrap_err();
/// assert_eq!(payload.downcast_ref(), Some(&"no luck"));
/// # });
/// ```
#[doc(alias = "go")]
#[inline]
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match Builder::new().even_at_the_end().spawn(f) {
        Ok(handle) => handle,
        Err(error) => error.raise(),
    }
}

/// Spawns a fiber that starts and stays on the current worker, so that the closure need not be `Send`.
///
/// It never runs in parallel with its caller. Everything else is as with [`spawn`].
///
/// # Panics
///
/// * If the caller is not a fiber.
/// * If the runtime's [limit of fibers](crate::runtime::Builder::max_fibers) is reached.
///
/// [`Builder::spawn_local`] returns these as errors.
///
/// ```
/// use std::rc::Rc;
/// # abaca::run(|| {
/// let shared = Rc::new(5);
/// let handle = abaca::spawn_local({ let shared = Rc::clone(&shared); move || *shared });
/// assert_eq!(handle.join().unwrap(), 5);
/// # });
/// ```
#[track_caller]
pub fn spawn_local<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    match Builder::new().even_at_the_end().spawn_local(f) {
        Ok(handle) => handle,
        Err(error) => error.raise(),
    }
}
