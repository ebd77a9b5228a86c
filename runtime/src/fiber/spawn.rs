//! `spawn` and `spawn_local`, in `std::thread`'s shape.

use super::{Builder, JoinHandle};

/// Spawns a fiber on the current runtime. Mirrors [`std::thread::spawn`].
///
/// The task may start on any worker; from then on the fiber stays on that worker, so thread-locals, `Rc` and
/// everything else that is bound to a thread behave in it as on any thread.
///
/// # Panics
///
/// If it cannot be spawned: outside of a runtime, during shutdown, at the limit of fibers. Use
/// [`Builder::spawn`] to handle these.
///
/// ```
/// # abaca::run(|| {
/// let handle = abaca::spawn(|| "from a fiber");
/// assert_eq!(handle.join().unwrap(), "from a fiber");
/// # });
/// ```
#[inline]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f).unwrap_or_else(|error| error.raise())
}

/// Spawns a fiber on the current worker, where it stays; the closure need not be `Send`.
///
/// # Panics
///
/// As [`spawn`]; also on a plain thread.
///
/// ```
/// use std::rc::Rc;
/// # abaca::run(|| {
/// let shared = Rc::new(5);
/// let handle = abaca::spawn_local({ let shared = Rc::clone(&shared); move || *shared });
/// assert_eq!(handle.join().unwrap(), 5);
/// # });
/// ```
pub fn spawn_local<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    Builder::new().spawn_local(f).unwrap_or_else(|error| error.raise())
}
