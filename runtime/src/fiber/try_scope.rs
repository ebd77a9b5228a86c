//! Scopes whose fibers are cancelled when one of them fails.

#![expect(unsafe_code, reason = "holds the address of the cancel scope around the scope's body")]

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::Arc;

use super::{Builder, Scope, ScopedJoinHandle, SpawnError};
use crate::cell::{CancelScope, Cancelled, catch_and_resume};
use crate::park::{self, Cost, run_inside};
use crate::queue::SpinLock;

/// Runs `f` with a scope whose fibers return [`Result`]s, and fails when one of them fails: when a fiber returns an error or
/// panics, the others and `f` itself are [cancelled](crate::cancel). Returns when all have ended. Everything else is as in
/// [`scope`](crate::scope()).
///
/// # Errors
///
/// * The error of the fiber that failed first.
/// * The error of `f`, if no fiber failed before.
///
/// # Panics
///
/// * If `f` panics, with its payload, when all fibers have ended.
/// * If a fiber panics before any returned an error, when all have ended.
/// * With `panic = "abort"`, since there is no unwinding then.
///
/// ```
/// use std::time::Duration;
/// # abaca::run(|| {
/// let failed: Result<(), &str> = abaca::try_scope(|scope| {
///     scope.spawn(|| {
///         abaca::sleep(Duration::from_secs(3600)); // is cancelled
///         Ok(())
///     });
///     scope.spawn(|| -> Result<(), _> { Err("no such host") });
///     Ok(())
/// });
/// assert_eq!(failed, Err("no such host"));
/// # });
/// ```
#[track_caller]
pub fn try_scope<'env, F, T, E>(f: F) -> Result<T, E>
where
    F: for<'scope> FnOnce(&'scope TryScope<'scope, 'env, E>) -> Result<T, E>,
    E: Send,
{
    // Here, so that the panic blames the caller.
    park::require_unwinding();
    park::spend(Cost::Wait);
    let scope = TryScope { scope: Scope::new(), failure: Arc::new(Failure::new()) };
    let mut cancel_scope = CancelScope::signal();
    let mut result = catch_and_resume(&Cell::new(0), || {
        run_inside(&mut cancel_scope, |cancel_scope| {
            let _watched = scope.failure.watch(cancel_scope);
            f(&scope)
        })
    });
    if let Ok(Some(Err(_))) = &result {
        // A later error is dropped, and its destructor is the user's code: nothing may unwind before the fibers have ended.
        result = catch_unwind(AssertUnwindSafe(|| {
            if let Ok(Some(Err(error))) = result {
                scope.fail(Some(error));
            }
            None
        }));
    }
    if result.is_err() {
        scope.fail(None);
    }
    let body = scope.scope.finish(result);
    match (scope.failure.0.lock().error.take(), body) {
        (Some(error), _) => Err(error),
        (None, Some(body)) => body,
        // The body was cancelled, but not by an error: a fiber that was joined has panicked.
        (None, None) => panic!("a scoped fiber panicked"),
    }
}

/// A scope for fibers that may fail. Made by [`try_scope`].
pub struct TryScope<'scope, 'env: 'scope, E> {
    scope: Scope<'scope, 'env>,
    failure: Arc<Failure<E>>,
}

impl<'scope, E: Send + 'scope> TryScope<'scope, '_, E> {
    /// Spawns a fiber that may borrow from outside of the scope. If it returns an error or panics, the scope has failed.
    ///
    /// A join returns the value that is in the fiber's `Ok`. If the fiber returned an error, which becomes that of the scope, a
    /// join fails with [`Cancelled`] as the payload.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](crate::spawn()).
    ///
    /// ```
    /// # abaca::run(|| {
    /// let total: Result<i32, String> = abaca::try_scope(|scope| {
    ///     let one = scope.spawn(|| Ok(1));
    ///     let two = scope.spawn(|| Ok(2));
    ///     Ok(one.join().unwrap() + two.join().unwrap())
    /// });
    /// assert_eq!(total, Ok(3));
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> Result<T, E> + Send + 'scope,
        T: Send + 'scope,
    {
        match self.try_spawn(f) {
            Ok(handle) => handle,
            Err(error) => error.raise(),
        }
    }

    /// [`spawn`](Self::spawn), without its panic.
    #[track_caller]
    pub(crate) fn try_spawn<F, T>(&'scope self, f: F) -> Result<ScopedJoinHandle<'scope, T>, SpawnError>
    where
        F: FnOnce() -> Result<T, E> + Send + 'scope,
        T: Send + 'scope,
    {
        let failure = Arc::clone(&self.failure);
        let shared = self.scope.shared();
        let body = move || match catch_unwind(AssertUnwindSafe(f)) {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => {
                failure.report(Some(error));
                shared.cancel();
                resume_unwind(Box::new(Cancelled::thrown()))
            }
            Err(payload) => {
                if !Cancelled::is_own(&*payload) {
                    failure.report(None);
                    shared.cancel();
                }
                resume_unwind(payload)
            }
        };
        Builder::new().even_at_the_end().spawn_scoped(&self.scope, body)
    }

    /// Whether the scope has failed, so that everything in it has been cancelled.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let failed: Result<(), &str> = abaca::try_scope(|scope| {
    ///     scope.spawn(|| Err::<(), _>("no such host"));
    ///     // A computation that never blocks looks from time to time.
    ///     while !scope.has_failed() {
    ///         abaca::yield_now();
    ///     }
    ///     Ok(())
    /// });
    /// assert_eq!(failed, Err("no such host"));
    /// # });
    /// ```
    pub fn has_failed(&self) -> bool {
        park::spend(Cost::Call);
        self.failure.0.lock().failed
    }
}

impl<E> TryScope<'_, '_, E> {
    fn fail(&self, error: Option<E>) {
        self.failure.report(error);
        self.scope.shared().cancel();
    }
}

impl<E> fmt::Debug for TryScope<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryScope").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Whether the scope has failed, and how first.
struct Failure<E>(SpinLock<State<E>>);

struct State<E> {
    failed: bool,
    error: Option<E>,
    /// The cancel scope around the scope's body while it runs; else null.
    body: *const CancelScope,
}

// SAFETY: the cancel scope is used only under the lock, and is taken out under it before its frame ends.
unsafe impl<E: Send> Send for State<E> {}

/// The scope's body runs while this lives.
struct Watched<'a, E>(&'a Failure<E>);

impl<E> Drop for Watched<'_, E> {
    fn drop(&mut self) {
        self.0.0.lock().body = ptr::null();
    }
}

impl<E> Failure<E> {
    fn new() -> Self {
        Self(SpinLock::new(State { failed: false, error: None, body: ptr::null() }))
    }

    fn watch(&self, cancel_scope: &CancelScope) -> Watched<'_, E> {
        self.0.lock().body = cancel_scope;
        Watched(self)
    }

    /// Stores the first failure and cancels the body. A later error is dropped.
    fn report(&self, error: Option<E>) {
        let mut state = self.0.lock();
        if state.failed {
            drop(state);
            return drop(error);
        }
        state.failed = true;
        state.error = error;
        // SAFETY: the body's cancel scope is alive until it is taken out under the lock.
        let fired = unsafe { state.body.as_ref() }.and_then(CancelScope::fire);
        drop(state);
        if let Some(fired) = fired {
            park::end_wait_within(fired);
        }
    }
}
