//! Scopes: fibers that borrow from the frame that spawns them. The shape is [`std::thread::scope`]'s.

#![expect(unsafe_code, reason = "spawns closures that borrow; the scope joins them before the borrow ends")]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::scope_fibers::ScopeFibers;
use super::{Builder, JoinHandle, SpawnError};
use crate::cell::{Cancelled, Fiber, Reason, catch_and_resume, contained};
use crate::park::{self, Cost, Latch};
use crate::queue::SpinLock;
use crate::scheduler;

/// Runs `f` with a scope, in which it can spawn fibers that borrow from outside of the scope; returns when all of them have
/// ended. Mirrors [`std::thread::scope`].
///
/// Fibers whose handles were not joined are joined at the end of the scope. Fibers of a scope may spawn others in the same scope.
///
/// If the caller is [cancelled](crate::cancel) while it is in the scope, so are the fibers of the scope. It unwinds when they
/// have ended. A [`timeout`](crate::time::timeout()) around a scope therefore ends its fibers as well.
///
/// # Panics
///
/// In each case after all fibers of the scope have ended:
///
/// * If `f` panics, with its payload.
/// * If a fiber panicked whose handle was not joined.
/// * If there was no memory for the stack of a fiber whose handle was not joined.
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
#[track_caller]
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
    #[track_caller]
    pub(crate) fn finish<T>(&self, result: thread::Result<T>) -> T {
        let shared = &*self.shared;
        if result.as_ref().is_err_and(|payload| Cancelled::is_own(&**payload)) {
            shared.cancel();
        }
        let cancelled = shared.running.wait_to_end(Reason::Scope.of(&shared.running), || shared.cancel());
        // Relaxed: written before the count fell to zero.
        let happened = |what: &AtomicBool| what.load(Ordering::Relaxed);
        match (result, cancelled) {
            (_, Some(cancelled)) => cancelled.unwind(),
            (Err(payload), None) => resume_unwind(payload),
            // The runtime is shutting down, and a fiber that was not joined has not done its work because of that.
            (Ok(_), None)
                if scheduler::is_closing() && (happened(&shared.cancelled) || happened(&shared.not_run)) =>
            {
                park::unwind()
            }
            (Ok(_), None) if happened(&shared.not_run) => {
                panic!("a scoped fiber could not be started: there is no memory for its stack")
            }
            (Ok(_), None) if happened(&shared.panicked) => panic!("a scoped fiber panicked"),
            (Ok(value), None) => value,
        }
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a fiber that may borrow from outside of the scope. Mirrors [`std::thread::Scope::spawn`].
    ///
    /// Dropping the handle does not let the fiber outlive the scope: the end of the scope joins it.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](crate::spawn()). [`Builder::spawn_scoped`] returns errors instead.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let words = ["one", "two", "three"];
    /// let lengths: Vec<_> = abaca::scope(|scope| {
    ///     let handles: Vec<_> = words.iter().map(|word| scope.spawn(|| word.len())).collect();
    ///     handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    /// });
    /// assert_eq!(lengths, [3, 3, 5]);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        match Builder::new().even_at_the_end().spawn_scoped(self, f) {
            Ok(handle) => handle,
            Err(error) => error.raise(),
        }
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
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// If the [`name`](Self::name) contains a NUL.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let text = String::from("borrowed");
    /// abaca::scope(|scope| {
    ///     let reader = abaca::Builder::new().name("reader".into()).spawn_scoped(scope, || text.len());
    ///     assert_eq!(reader.unwrap().join().unwrap(), 8);
    /// });
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> Result<ScopedJoinHandle<'scope, T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.check_name();
        let packet = Arc::new(Packet {
            result: SpinLock::new(Some(Err(Box::new(NotRun)))),
            panicked: AtomicBool::new(false),
            scope: Arc::clone(&scope.shared),
            borrows: PhantomData,
        });
        scope.shared.running.add();
        let running = Running(Arc::clone(&scope.shared));
        let body = Body { f, packet: Unsent(Arc::clone(&packet)), running };
        // SAFETY: closure and result are `Send`; they may borrow for `'scope`, which ends only after `wait_to_end`
        // has seen the count at zero, and the count falls after closure and result are gone from the fiber.
        match unsafe { self.spawn_unbounded(move || body.run()) } {
            Ok(handle) => Ok(ScopedJoinHandle { handle, packet }),
            Err(error) => {
                // The caller is told, so the end of the scope need not panic.
                packet.take();
                Err(error)
            }
        }
    }
}

/// An owned permission to wait for the end of a scoped fiber. Mirrors [`std::thread::ScopedJoinHandle`].
///
/// Dropping it leaves the join to the end of the scope.
pub struct ScopedJoinHandle<'scope, T> {
    handle: JoinHandle<()>,
    packet: Arc<Packet<'scope, T>>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the fiber to end and returns its result. If the caller is cancelled while it waits, it unwinds, and so the
    /// scope is cancelled.
    ///
    /// # Errors
    ///
    /// As [`JoinHandle::join`]: a payload, which tells how the fiber ended. The end of the scope does not panic then.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let words = vec!["one", "two"];
    /// abaca::scope(|scope| {
    ///     let length = scope.spawn(|| words.concat().len());
    ///     assert_eq!(length.join().unwrap(), 6);
    ///
    ///     let failed = scope.spawn(|| panic!("no luck"));
    ///     assert!(failed.join().is_err()); // so the scope does not panic
    /// });
    /// # });
    /// ```
    pub fn join(self) -> thread::Result<T> {
        // An error of the handle is of a fiber that never ran, and says why. The packet only says that it did not run.
        self.handle.join().and(self.packet.take().expect("only a join takes the result"))
    }

    /// Cancels the fiber; see [`JoinHandle::cancel`].
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    ///
    /// ```
    /// # abaca::run(|| {
    /// abaca::scope(|scope| {
    ///     let waits = scope.spawn(abaca::park);
    ///     waits.cancel();
    ///     assert!(waits.join().unwrap_err().is::<abaca::Cancelled>());
    /// });
    /// # });
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Whether the fiber has ended, so that [`join`](Self::join) returns at once. It does not wait.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// A handle to the fiber: its id, its name, [`unpark`](Fiber::unpark), [`cancel`](Fiber::cancel).
    #[must_use]
    pub fn fiber(&self) -> Fiber {
        self.handle.fiber()
    }

    /// The same as [`fiber`](Self::fiber), under std's name.
    #[must_use]
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
    /// Counts the fibers whose closure or result may still borrow.
    running: Latch,
    fibers: ScopeFibers,
    /// A fiber whose handle was not joined has panicked.
    panicked: AtomicBool,
    /// A fiber whose handle was not joined was cancelled.
    cancelled: AtomicBool,
    /// A fiber whose handle was not joined never ran.
    not_run: AtomicBool,
}

impl ScopeShared {
    fn new() -> Self {
        Self {
            running: Latch::new(0),
            fibers: ScopeFibers::default(),
            panicked: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            not_run: AtomicBool::new(false),
        }
    }

    /// The scope of this latch.
    ///
    /// # Safety
    ///
    /// It is the latch that somebody waits for with [`Reason::Scope`].
    pub(crate) unsafe fn of<'a>(running: *const Latch) -> &'a Self {
        // SAFETY: the caller's promise: only `Scope::finish` waits so, whose latch is this field.
        unsafe { &*running.byte_sub(std::mem::offset_of!(Self, running)).cast::<Self>() }
    }

    /// The fibers that run.
    pub(crate) fn fibers(&self) -> &ScopeFibers {
        &self.fibers
    }

    /// Cancels the fibers that run, and those that are yet to start.
    pub(crate) fn cancel(&self) {
        self.fibers.cancel();
    }
}

/// One fiber's count in the scope, given back when it is dropped.
struct Running(Arc<ScopeShared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.count_down();
    }
}

/// The body of a scoped fiber. If it never runs, its fields are dropped in this order.
struct Body<'scope, F, T> {
    f: F,
    packet: Unsent<'scope, T>,
    running: Running,
}

/// The fiber's half of its packet, while it holds no result.
struct Unsent<'scope, T>(Arc<Packet<'scope, T>>);

impl<T> Drop for Unsent<'_, T> {
    fn drop(&mut self) {
        // The body of a fiber that was cancelled before it started is dropped by that fiber; that of any other fiber that never
        // runs is dropped elsewhere.
        if park::is_cancelling() {
            let mut result = self.0.result.lock();
            if matches!(&*result, Some(Err(payload)) if payload.is::<NotRun>()) {
                *result = Some(Err(Box::new(Cancelled::new())));
            }
        }
    }
}

impl<F: FnOnce() -> T, T> Body<'_, F, T> {
    fn run(self) {
        let Self { f, packet, running } = self;
        let mut result = running.0.fibers.with_me(|| catch_unwind(AssertUnwindSafe(f)));
        if let Err(payload) = &mut result
            && !Cancelled::end_unwinding(&mut **payload)
        {
            // Relaxed: read by the side that drops the packet last.
            packet.0.panicked.store(true, Ordering::Relaxed);
        }
        *packet.0.result.lock() = Some(result);
        // If the handle is gone, this drops the result, before the count falls.
        contained(|| drop(packet));
        drop(running);
    }
}

/// The result of a scoped fiber that has not run. It has no size, so boxing it allocates nothing.
struct NotRun;

/// The place of a scoped fiber's result.
struct Packet<'scope, T> {
    /// `None` once the fiber was joined.
    result: SpinLock<Option<thread::Result<T>>>,
    /// Whether the fiber has unwound for a reason other than its own cancellation.
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
                _ if payload.is::<NotRun>() => &self.scope.not_run,
                _ => &self.scope.cancelled,
            };
            // Relaxed: read by the owner after the count has fallen.
            how.store(true, Ordering::Relaxed);
        }
    }
}
