//! Scopes: fibers that borrow from the frame that spawns them. The shape is [`std::thread::scope`]'s.

#![expect(unsafe_code, reason = "spawns closures that borrow; the scope joins them before the borrow ends")]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::members::Members;
use super::{Builder, JoinHandle, SpawnError};
use crate::cell::{Cancelled, Fiber, Reason, catch_and_resume, contained};
use crate::park::{self, Cost, Latch};
use crate::queue::SpinLock;
use crate::scheduler;

/// Runs `f` with a scope in which fibers can be spawned that borrow from the caller's frame; returns when all of
/// them have ended. Mirrors [`std::thread::scope`].
///
/// If the caller is cancelled meanwhile, so are the fibers of the scope; it unwinds when they have ended.
///
/// # Panics
///
/// If `f` panics, or if a fiber panicked or found no memory for its stack and its handle was not joined; in each case
/// after all have ended.
///
/// ```
/// # abaca::run(|| {
/// let mut numbers = vec![1, 2, 3];
/// let mut sum = 0;
/// abaca::scope(|scope| {
///     scope.spawn(|| sum = numbers.iter().sum());
/// });
/// numbers.push(sum);
/// assert_eq!(numbers, [1, 2, 3, 6]);
/// # });
/// ```
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    park::spend(Cost::Wait);
    let scope = Scope::new();
    let result = catch_and_resume(&Cell::new(0), || f(&scope));
    scope.finish(result)
}

/// A scope to spawn fibers in. Made by [`scope`]; mirrors [`std::thread::Scope`].
pub struct Scope<'scope, 'env: 'scope> {
    shared: Arc<ScopeShared>,
    /// Invariance over `'scope`, as std's: else it could be shrunk to less than the fibers' borrows.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

// A scope shows no state that a panic could leave half-changed.
impl RefUnwindSafe for Scope<'_, '_> {}

impl Scope<'_, '_> {
    pub(crate) fn new() -> Self {
        Self { shared: Arc::new(ScopeShared::new()), scope: PhantomData, env: PhantomData }
    }

    pub(crate) fn shared(&self) -> Arc<ScopeShared> {
        Arc::clone(&self.shared)
    }

    /// Waits for all fibers; returns the result of the scope's body, or unwinds.
    pub(crate) fn finish<T>(&self, result: thread::Result<T>) -> T {
        let shared = &*self.shared;
        if result.as_ref().is_err_and(|payload| Cancelled::is_own(&**payload)) {
            shared.cancel();
        }
        let cancelled = shared.running.await_zero(Reason::Scope, || shared.cancel());
        // Relaxed: written before the count fell to zero.
        let happened = |what: &AtomicBool| what.load(Ordering::Relaxed);
        match (result, cancelled) {
            (_, Some(cancelled)) => cancelled.unwind(),
            (Err(payload), None) => resume_unwind(payload),
            // Somebody's work is missing because the runtime is going down, and nobody has joined it.
            (Ok(_), None)
                if scheduler::is_closing() && (happened(&shared.cancelled) || happened(&shared.refused)) =>
            {
                park::unwind()
            }
            (Ok(_), None) if happened(&shared.refused) => {
                panic!("a scoped fiber could not be started: there is no memory for its stack")
            }
            (Ok(_), None) if happened(&shared.panicked) => panic!("a scoped fiber panicked"),
            (Ok(value), None) => value,
        }
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a fiber that may borrow from outside of the scope.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](crate::spawn()).
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        Builder::new().spawn_scoped(self, f).unwrap_or_else(|error| error.raise())
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("running", &self.shared.running.count()).finish_non_exhaustive()
    }
}

impl Builder {
    /// Spawns a fiber in a scope, with this builder's settings. Mirrors
    /// [`std::thread::Builder::spawn_scoped`].
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    ///
    /// # Panics
    ///
    /// If the [`name`](Self::name) contains a NUL.
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> Result<ScopedJoinHandle<'scope, T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let packet = Arc::new(Packet {
            result: SpinLock::new(Some(Err(Box::new(NotRun)))),
            panicked: AtomicBool::new(false),
            scope: Arc::clone(&scope.shared),
            borrows: PhantomData,
        });
        scope.shared.running.add();
        let place = Running(Arc::clone(&scope.shared));
        let task = ScopedTask { f, packet: Unsent(Arc::clone(&packet)), running: place };
        // SAFETY: closure and result are `Send`; they may borrow for `'scope`, which ends only after `await_zero`
        // has seen the count at zero, and the count falls after closure and result are gone from the fiber.
        match unsafe { self.spawn_unbounded(move || task.run()) } {
            Ok(handle) => Ok(ScopedJoinHandle { handle, packet }),
            Err(error) => {
                // The caller knows, so the scope's end need not.
                packet.take();
                Err(error)
            }
        }
    }
}

/// An owned permission to wait for the end of a scoped fiber. Mirrors [`std::thread::ScopedJoinHandle`].
pub struct ScopedJoinHandle<'scope, T> {
    handle: JoinHandle<()>,
    packet: Arc<Packet<'scope, T>>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the fiber to end and returns its result.
    ///
    /// # Errors
    ///
    /// The payload, if the fiber panicked.
    pub fn join(self) -> thread::Result<T> {
        let ended = self.handle.join();
        let result = self.packet.take().expect("only a join takes the result");
        // An error here is a task that was refused, and says why; the result only says that it did not run.
        ended.and(result)
    }

    /// Cancels the fiber; see [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Whether the fiber has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// The fiber's handle.
    pub fn fiber(&self) -> Fiber {
        self.handle.fiber()
    }

    /// The same as [`fiber`](Self::fiber), under std's name.
    pub fn thread(&self) -> Fiber {
        self.fiber()
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").finish_non_exhaustive()
    }
}

pub(crate) struct ScopeShared {
    /// Fibers whose closure or result may still borrow.
    running: Latch,
    members: Members,
    /// What happened to a fiber whose handle was not joined.
    panicked: AtomicBool,
    cancelled: AtomicBool,
    refused: AtomicBool,
}

impl ScopeShared {
    fn new() -> Self {
        Self {
            running: Latch::new(0),
            members: Members::default(),
            panicked: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        }
    }

    /// Cancels the fibers that run, and those that are yet to start.
    pub(crate) fn cancel(&self) {
        self.members.cancel();
    }
}

/// One fiber's count in the scope, given back when it is dropped.
struct Running(Arc<ScopeShared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.subtract();
    }
}

/// The closure of a scoped fiber. Its fields are dropped in this order when it never runs.
struct ScopedTask<'scope, F, T> {
    f: F,
    packet: Unsent<'scope, T>,
    running: Running,
}

/// The fiber's half of its packet.
struct Unsent<'scope, T>(Arc<Packet<'scope, T>>);

impl<T> Drop for Unsent<'_, T> {
    fn drop(&mut self) {
        // A task that was cancelled is dropped by its own fiber; any other that never runs, elsewhere.
        if park::is_obeyed() {
            let mut result = self.0.result.lock();
            if matches!(&*result, Some(Err(payload)) if payload.is::<NotRun>()) {
                *result = Some(Err(Box::new(Cancelled::new())));
            }
        }
    }
}

impl<F: FnOnce() -> T, T> ScopedTask<'_, F, T> {
    fn run(self) {
        let Self { f, packet, running } = self;
        let mut result = running.0.members.with_me(|| catch_unwind(AssertUnwindSafe(f)));
        if let Err(payload) = &mut result
            && !Cancelled::land(&mut **payload)
        {
            // Relaxed: read by whoever drops the packet last.
            packet.0.panicked.store(true, Ordering::Relaxed);
        }
        *packet.0.result.lock() = Some(result);
        // The result goes with the packet, if the handle is gone, and before the count falls.
        contained(|| drop(packet));
        drop(running);
    }
}

/// The result of a scoped fiber that has not run. (To box it costs nothing.)
struct NotRun;

/// Where a scoped fiber leaves its result.
struct Packet<'scope, T> {
    /// `None` once it was joined.
    result: SpinLock<Option<thread::Result<T>>>,
    /// Whether the fiber unwound for another reason than its cancellation.
    panicked: AtomicBool,
    scope: Arc<ScopeShared>,
    borrows: PhantomData<&'scope ()>,
}

impl<T> Packet<'_, T> {
    fn take(&self) -> Option<thread::Result<T>> {
        self.result.lock().take()
    }
}

impl<T> Drop for Packet<'_, T> {
    fn drop(&mut self) {
        if let Some(Err(payload)) = &*self.result.lock() {
            let how = match payload {
                _ if self.panicked.load(Ordering::Relaxed) => &self.scope.panicked,
                _ if payload.is::<NotRun>() => &self.scope.refused,
                _ => &self.scope.cancelled,
            };
            // Relaxed: read by the owner after the count has fallen.
            how.store(true, Ordering::Relaxed);
        }
    }
}
