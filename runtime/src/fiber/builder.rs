//! The settings of a new fiber, and the ways to spawn it.

#![expect(unsafe_code, reason = "spawns what its callers promise to be `Send`, or to live long enough")]

use super::{JoinHandle, SpawnError};
use crate::cell::{Fiber, Flags, allocate};
use crate::park::{self, Cost};
use crate::scheduler::{self, Phase, Shared, current_worker};

/// Settings for a new fiber. Mirrors [`std::thread::Builder`].
///
/// ```
/// # abaca::run(|| {
/// let handle = abaca::Builder::new()
///     .name("deep".into())
///     .stack_size(1024 * 1024)
///     .spawn(|| abaca::current().name().map(str::to_owned))
///     .unwrap();
/// assert_eq!(handle.join().unwrap().as_deref(), Some("deep"));
/// # });
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    name: Option<String>,
    stack_bytes: Option<usize>,
}

impl Builder {
    /// A builder with the runtime's settings and no name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the fiber: shown in reports of panics, stack overflows and dumps.
    ///
    /// The name must not contain a NUL, as a thread's must not: to spawn with such a name panics.
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// The usable size of the stack in bytes, rounded up to 16 KiB, or from there on to one of four sizes in each doubling.
    /// [`runtime::Builder::stack_size`](crate::runtime::Builder::stack_size) says what is needed. The default is fastest.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_bytes = Some(bytes);
        self
    }

    /// Spawns a fiber on the current runtime. It may start on any worker, and stays on that one.
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    ///
    /// # Panics
    ///
    /// If the [`name`](Self::name) contains a NUL.
    pub fn spawn<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: closure and result are `'static` and `Send`.
        unsafe { self.spawn_unbounded(f) }
    }

    /// Spawns a fiber that starts and stays on the current worker, and so need not be `Send`.
    ///
    /// # Errors
    ///
    /// See [`SpawnError`]; `NoRuntime` as well when the caller is not a fiber.
    ///
    /// # Panics
    ///
    /// If the [`name`](Self::name) contains a NUL.
    pub fn spawn_local<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let worker =
            current_worker().filter(|worker| worker.current().is_some()).ok_or(SpawnError::NoRuntime)?;
        let (stack_bytes, identity) = self.settings()?;
        admit(worker.shared())?;
        let task = allocate(f, Flags::default(), stack_bytes, identity, worker.shared().address());
        // Straight into the ready list, from which nobody steals.
        worker.make_ready(task);
        park::spend(Cost::Call);
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(task) })
    }

    /// Spawns a fiber that may resume on any worker after each of its parks.
    ///
    /// # Safety
    ///
    /// From the moment it starts, the fiber changes OS threads under the feet of its code. So whatever is on its
    /// stack across a call that may block or yield (any call of this crate may) must be sound to use from another thread: no `Rc` that is
    /// shared with a thread-local, no guard of a thread-bound lock, no reference into a thread-local, no value
    /// derived from a thread's id. The compiler checks none of this, and it may itself keep the *address* of a
    /// thread-local across the call: code that uses thread-locals, its libraries' included, must do so in
    /// functions that are not inlined into one that parks.
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    ///
    /// # Panics
    ///
    /// If the [`name`](Self::name) contains a NUL.
    pub unsafe fn spawn_roaming<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let worker = current_worker().ok_or(SpawnError::NoRuntime)?;
        let (stack_bytes, identity) = self.settings()?;
        admit(worker.shared())?;
        let task = allocate(f, Flags::ROAMING, stack_bytes, identity, worker.shared().address());
        scheduler::spawn_here(worker, task);
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(task) })
    }

    /// Spawns a fiber that may borrow from its surroundings. Where it can, use [`scope`](crate::scope()) instead.
    ///
    /// ```
    /// abaca::run(|| {
    ///     let text = String::from("borrowed");
    ///     let length = || text.len();
    ///     // SAFETY: the fiber is joined while the text is alive, and nobody cancels the one that joins.
    ///     let handle = unsafe { abaca::Builder::new().spawn_unchecked(length) }.unwrap();
    ///     assert_eq!(handle.join().unwrap(), 8);
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    ///
    /// # Panics
    ///
    /// If the [`name`](Self::name) contains a NUL.
    ///
    /// # Safety
    ///
    /// What the closure and its result borrow outlives the fiber. A join proves that the fiber has ended if it returns;
    /// not if it unwinds because the joining fiber was cancelled.
    pub unsafe fn spawn_unchecked<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        // SAFETY: closure and result are `Send`, and outlive the fiber by this function's contract.
        unsafe { self.spawn_unbounded(f) }
    }

    /// `spawn` without its bounds.
    ///
    /// # Safety
    ///
    /// The closure and its result may be sent to another thread, and outlive the fiber.
    #[inline]
    pub(crate) unsafe fn spawn_unbounded<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T,
    {
        let worker = current_worker().ok_or(SpawnError::NoRuntime)?;
        let (stack_bytes, identity) = self.settings()?;
        admit(worker.shared())?;
        let task = allocate(f, Flags::default(), stack_bytes, identity, worker.shared().address());
        scheduler::spawn_here(worker, task);
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(task) })
    }

    /// `spawn` onto a runtime from a thread that is not one of its workers.
    ///
    /// # Safety
    ///
    /// As for `spawn_unbounded`.
    pub(crate) unsafe fn spawn_onto<F, T>(self, shared: &Shared, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T,
    {
        let (stack_bytes, identity) = self.settings()?;
        let _visit = shared.enter();
        admit(shared)?;
        let task = allocate(f, Flags::default(), stack_bytes, identity, shared.address());
        shared.inject(task);
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(task) })
    }

    #[inline]
    fn settings(self) -> Result<(u32, Option<Fiber>), SpawnError> {
        let stack_bytes = match self.stack_bytes {
            None => 0,
            Some(bytes) => u32::try_from(bytes.max(1)).map_err(|_| SpawnError::StackTooLarge)?,
        };
        Ok((stack_bytes, self.name.map(named)))
    }
}

/// # Panics
///
/// If there is a NUL in the name, with std's words.
fn named(name: String) -> Fiber {
    assert!(!name.contains('\0'), "thread name may not contain interior null bytes");
    Fiber::new(Some(name.into_boxed_str()))
}

#[inline]
fn admit(shared: &Shared) -> Result<(), SpawnError> {
    if shared.phase() != Phase::Running {
        return Err(SpawnError::ShuttingDown);
    }
    if !shared.admit() {
        return Err(SpawnError::LimitReached { max_fibers: shared.max_fibers });
    }
    Ok(())
}
