//! The settings of a new fiber, and the ways to spawn it.

#![expect(unsafe_code, reason = "spawns what its callers promise to be `Send`, or to live long enough")]

use super::admission::{Late, admit};
use super::{JoinHandle, SpawnError};
use crate::cell::{Fiber, Flags, Labels, Supply, allocate};
use crate::park::{self, Cost};
use crate::scheduler::{self, Shared, current_worker};

/// Settings for a new fiber: its name and the size of its stack. Mirrors [`std::thread::Builder`].
///
/// Its [`spawn`](Self::spawn) returns an error where [`abaca::spawn`](fn@crate::spawn) panics. The settings of a whole runtime
/// are another type, [`runtime::Builder`](crate::runtime::Builder), made by [`Runtime::builder`](crate::Runtime::builder).
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
    labels: Labels,
    /// See [`even_at_the_end`](Self::even_at_the_end).
    pub(super) late: Late,
}

impl Builder {
    /// A builder with no name and the runtime's stack size.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let builder = abaca::Builder::new();
    /// assert_eq!(builder.spawn(|| 6 * 7).unwrap().join().unwrap(), 42);
    /// # });
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the fiber. The name is shown in reports of panics, stack overflows and stalls, and [`Fiber::name`] returns it.
    ///
    /// As with std, a name must not contain a NUL: spawning with such a name panics.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let builder = abaca::Builder::new().name("worker bee".into());
    /// let fiber = builder.spawn(|| abaca::current().name().map(str::to_owned)).unwrap();
    /// assert_eq!(fiber.join().unwrap().as_deref(), Some("worker bee"));
    /// # });
    /// ```
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// The usable size of the stack in bytes, less than 4 GiB. It is rounded up to 16 KiB, and above that to one of four sizes in
    /// each doubling. Default: that of the runtime, whose stacks are the fastest to get.
    /// [`runtime::Builder::stack_size`](crate::runtime::Builder::stack_size) says how much some common calls need.
    ///
    /// If the fiber overflows its stack, the process ends by SIGSEGV, after a report that names the fiber and the size.
    ///
    /// ```
    /// # abaca::run(|| {
    /// fn depth(n: u32) -> u32 {
    ///     if n == 0 { 0 } else { 1 + std::hint::black_box(depth(n - 1)) }
    /// }
    ///
    /// let deep = abaca::Builder::new().stack_size(16 * 1024 * 1024).spawn(|| depth(50_000)).unwrap();
    /// assert_eq!(deep.join().unwrap(), 50_000);
    /// # });
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_bytes = Some(bytes);
        self
    }

    /// Gives the fiber a label, besides those that it inherits from its spawner; see [`set_label`](crate::observe::set_label). It
    /// takes the place of one of the same name.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let fiber = abaca::Builder::new().label("peer", "10.0.0.1").spawn(|| abaca::current().labels()).unwrap();
    /// assert_eq!(fiber.join().unwrap(), [("peer".to_string(), "10.0.0.1".to_string())]);
    /// # });
    /// ```
    pub fn label(mut self, name: &str, value: impl ToString) -> Self {
        self.labels = self.labels.with(name, &value.to_string());
        self
    }

    /// Spawns a fiber on the current runtime; [`abaca::spawn`](fn@crate::spawn) says how it runs and ends.
    ///
    /// # Errors
    ///
    /// * [`SpawnError::NoRuntime`]: the caller is not a fiber.
    /// * [`SpawnError::ShuttingDown`]: the runtime has begun to shut down.
    /// * [`SpawnError::LimitReached`]: as many fibers are alive as the runtime allows.
    /// * [`SpawnError::StackTooLarge`]: the stack size is 4 GiB or more.
    ///
    /// # Panics
    ///
    /// If the [`name`](Self::name) contains a NUL.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let fiber = abaca::Builder::new().spawn(|| 5);
    /// assert_eq!(fiber.unwrap().join().unwrap(), 5);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: closure and result are `'static` and `Send`.
        unsafe { self.spawn_unbounded(f) }
    }

    /// Spawns a fiber that starts and stays on the current worker, so that the closure need not be `Send`.
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
    /// let rc = std::rc::Rc::new(5);
    /// let fiber = abaca::Builder::new().name("local".into()).spawn_local(move || *rc);
    /// assert_eq!(fiber.unwrap().join().unwrap(), 5);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_local<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let here = || current_worker().and_then(|worker| Some((worker, scheduler::fiber_on(worker)?)));
        let (worker, me) = here().ok_or(SpawnError::NoRuntime)?;
        let (stack_bytes, identity, late) = self.settings()?;
        admit(worker.shared(), late)?;
        let cell = scheduler::new_fiber(worker, f, Flags::default(), stack_bytes, identity);
        scheduler::spawn_beside(worker, me, cell);
        park::spend(Cost::Call);
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(cell) })
    }

    /// Spawns a fiber that may resume on any worker after each of its parks, whether or not it has thread-local storage of its own.
    ///
    /// # Safety
    ///
    /// Where the runtime gives fibers storage of their own (`runtime::Builder::own_tls`), nothing: use `spawn_roaming` there. Elsewhere:
    ///
    /// Once it has started, the fiber may be on another OS thread after any call that may block or yield, and any call of this
    /// crate may. So whatever is on its stack across such a call must be sound to use from another thread: no `Rc` that is
    /// shared with a thread-local, no guard of a thread-bound lock, no reference into a thread-local, no value
    /// derived from a thread's id. The compiler checks none of this, and it may itself keep the *address* of a
    /// thread-local across the call. So code that uses thread-locals, that of libraries included, must do so in
    /// functions that are not inlined into a function that parks.
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
    /// // SAFETY: the fiber holds only a number across its yields.
    /// let fiber = unsafe {
    ///     abaca::Builder::new().spawn_roaming_unchecked(|| {
    ///         (0..10).for_each(|_| abaca::yield_now());
    ///         5
    ///     })
    /// };
    /// assert_eq!(fiber.unwrap().join().unwrap(), 5);
    /// # });
    /// ```
    #[track_caller]
    pub unsafe fn spawn_roaming_unchecked<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let worker = current_worker().ok_or(SpawnError::NoRuntime)?;
        let (stack_bytes, identity, late) = self.settings()?;
        admit(worker.shared(), late)?;
        let cell = scheduler::new_fiber(worker, f, Flags::ROAMING, stack_bytes, identity);
        scheduler::spawn_here(worker, cell);
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(cell) })
    }

    /// Spawns a fiber that any worker may resume after each of its parks. The runtime gives its fibers
    /// [thread-local storage of their own](crate::runtime::Builder::own_tls), which makes this safe: what is bound to a thread is
    /// bound to the fiber. With the feature `own-tls`.
    ///
    /// Such a fiber spreads over the workers by itself; the price is that each of its parks goes through the hub.
    ///
    /// # Errors
    ///
    /// * [`SpawnError::SharedStorage`]: the fibers of this runtime share their workers' storage.
    /// * As [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// If the [`name`](Self::name) contains a NUL.
    ///
    /// ```
    /// # if cfg!(any(abaca_asan, abaca_tsan, abaca_valgrind, abaca_corosensei)) { return; }
    /// let runtime = abaca::Runtime::builder().own_tls(true).build().unwrap();
    /// runtime.run(|| {
    ///     let fiber = abaca::Builder::new().spawn_roaming(|| {
    ///         let id = std::thread::current().id();
    ///         (0..10).for_each(|_| abaca::yield_now());
    ///         assert_eq!(std::thread::current().id(), id);
    ///         5
    ///     });
    ///     assert_eq!(fiber.unwrap().join().unwrap(), 5);
    /// });
    /// ```
    #[cfg(feature = "own-tls")]
    #[track_caller]
    pub fn spawn_roaming<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if !current_worker().ok_or(SpawnError::NoRuntime)?.shared().has_own_tls() {
            return Err(SpawnError::SharedStorage);
        }
        // SAFETY: the fiber keeps its thread-locals when it moves, and the addresses of them. Nothing else that safe code can hold
        // is bound to a thread.
        unsafe { self.spawn_roaming_unchecked(f) }
    }

    /// Spawns a fiber that may borrow from its surroundings. Use [`scope`](crate::scope()) instead wherever you can. Mirrors
    /// [`std::thread::Builder::spawn_unchecked`].
    ///
    /// ```
    /// abaca::run(|| {
    ///     let text = String::from("borrowed");
    ///     let length = || text.len();
    ///     // SAFETY: the fiber is joined while the text is alive, and nobody cancels the fiber that joins.
    ///     let handle = unsafe { abaca::Builder::new().spawn_unchecked(length) }.unwrap();
    ///     assert_eq!(handle.join().unwrap(), 8);
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// If the [`name`](Self::name) contains a NUL.
    ///
    /// # Safety
    ///
    /// What the closure and its result borrow must outlive the fiber. A join that returns proves that the fiber has ended; a join
    /// that unwinds because the joining fiber was cancelled does not.
    #[track_caller]
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
    #[track_caller]
    pub(crate) unsafe fn spawn_unbounded<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T,
    {
        let worker = current_worker().ok_or(SpawnError::NoRuntime)?;
        let (stack_bytes, identity, late) = self.settings()?;
        admit(worker.shared(), late)?;
        let cell = scheduler::new_fiber(worker, f, Flags::default(), stack_bytes, identity);
        scheduler::spawn_here(worker, cell);
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(cell) })
    }

    /// `spawn` onto a runtime from a thread that is not one of its workers.
    ///
    /// # Safety
    ///
    /// As for `spawn_unbounded`.
    #[track_caller]
    pub(crate) unsafe fn spawn_onto<F, T>(self, shared: &Shared, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T,
    {
        let (stack_bytes, identity, late) = self.settings()?;
        if shared.is_elsewhere() {
            return Err(SpawnError::Forked);
        }
        let _guard = shared.guard();
        admit(shared, late)?;
        let supply = Supply::Depot(&shared.cells);
        let cell = allocate(f, Flags::default(), stack_bytes, identity, shared.address(), supply);
        shared.inject(cell);
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(cell) })
    }

    /// Panics if the name is one with which spawning panics. For callers that must not be left half-way.
    #[track_caller]
    pub(super) fn check_name(&self) {
        if let Some(name) = &self.name {
            check_name(name);
        }
    }

    #[inline(always)]
    #[track_caller]
    pub(super) fn settings(self) -> Result<(u32, Option<Fiber>, Late), SpawnError> {
        let stack_bytes = match self.stack_bytes {
            None => 0,
            Some(bytes) => u32::try_from(bytes.max(1)).map_err(|_| SpawnError::StackTooLarge)?,
        };
        Ok((stack_bytes, identity(self.name, self.labels), self.late))
    }
}

/// The identity of a fiber with a name or labels; `None` for a fiber without either.
#[inline(always)]
#[track_caller]
fn identity(name: Option<String>, labels: Labels) -> Option<Fiber> {
    if name.is_none() && labels.is_empty() { None } else { Some(identity_of(name, &labels)) }
}

/// # Panics
///
/// If there is a NUL in the name, with std's message.
#[track_caller]
fn check_name(name: &str) {
    assert!(!name.contains('\0'), "thread name may not contain interior null bytes");
}

/// # Panics
///
/// As [`check_name`].
#[cold]
#[track_caller]
fn identity_of(name: Option<String>, labels: &Labels) -> Fiber {
    if let Some(name) = &name {
        check_name(name);
    }
    let fiber = Fiber::new(name.map(String::into_boxed_str));
    fiber.identity().change_labels(|_| labels.clone());
    fiber
}
