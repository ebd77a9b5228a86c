//! Spawning and joining fibers: `spawn`, [`Builder`], [`JoinHandle`]. The shape is `std::thread`'s.

#![expect(unsafe_code, reason = "the join handle owns half of a cell")]

mod error;
mod join_future;

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::thread;

use crate::fiber::{Fiber, Flags, Header, NoStack, Reason, allocate, take_result};
use crate::park::{self, Cost};
use crate::scheduler::{self, Phase, Shared, current_worker};

pub use error::SpawnError;
pub use join_future::JoinFuture;

/// An owned permission to wait for the end of a fiber and take its result. Mirrors
/// [`std::thread::JoinHandle`]; dropping it detaches the fiber.
pub struct JoinHandle<T> {
    cell: NonNull<Header>,
    result: PhantomData<T>,
}

// SAFETY: the handle's half of the cell is the join word and, after the end, a result that is `Send` by
// `spawn`'s bound; a local fiber's handle is `!Send` where its result is, as std's auto traits would have it.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle offers only atomics.
unsafe impl<T> Sync for JoinHandle<T> {}

// The result is in the cell, not in the handle.
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    fn header(&self) -> &Header {
        // SAFETY: the cell lives at least until the handle gives up its half.
        unsafe { self.cell.as_ref() }
    }

    /// Waits for the fiber to end and returns its result, or the payload of its panic.
    ///
    /// A fiber that was cancelled gives [`Cancelled`](crate::Cancelled) as payload; a
    /// task for which no stack could be had gives an [`io::Error`](std::io::Error).
    ///
    /// # Errors
    ///
    /// The payload, if the fiber panicked.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let handle = abaca::spawn(|| 6 * 7);
    /// assert_eq!(handle.join().unwrap(), 42);
    /// # });
    /// ```
    #[inline]
    pub fn join(self) -> thread::Result<T> {
        NoStack::unveil(self.join_veiled())
    }

    /// [`join`](Self::join), where the payload of a task without a stack is a [`NoStack`].
    #[inline]
    pub(crate) fn join_veiled(self) -> thread::Result<T> {
        park::spend(Cost::Wait);
        let this = ManuallyDrop::new(self);
        if !this.header().join.has_ended_for_good() {
            this.await_end();
        }
        // SAFETY: the join word says that the cell is ours, and the handle's type that its result is a `T`.
        unsafe { take_result(this.cell) }
    }

    fn await_end(&self) {
        let waiter = park::waiter();
        let ended = self.header().join.await_end(&waiter, |waiter| park::wait(waiter, Reason::Join, None));
        if let Err(cell_is_ours) = ended {
            if cell_is_ours {
                // SAFETY: as `await_end` says.
                unsafe { Self::dispose(self.cell) };
            }
            park::unwind();
        }
    }

    /// # Safety
    ///
    /// The join word made the cell the handle's.
    unsafe fn dispose(cell: NonNull<Header>) {
        /// Frees the cell also when the result's destructor panics.
        struct Free(NonNull<Header>);
        impl Drop for Free {
            fn drop(&mut self) {
                // SAFETY: the promise of `dispose`'s caller; `clear` leaves nothing behind, even if it panics.
                unsafe { Header::free(self.0) };
            }
        }
        let _free = Free(cell);
        // SAFETY: the caller's promise.
        unsafe { Header::clear(cell) };
    }

    /// [`is_finished`](Self::is_finished), for one who does not wait for it.
    pub(crate) fn has_ended(&self) -> bool {
        self.header().join.has_ended()
    }

    /// Whether the fiber has ended, so that `join` returns at once.
    pub fn is_finished(&self) -> bool {
        let has_ended = self.has_ended();
        park::spend(if has_ended { Cost::Call } else { Cost::InVain });
        has_ended
    }

    /// The fiber's handle: its id, its name, `unpark`, `cancel`.
    pub fn fiber(&self) -> Fiber {
        let header = self.header();
        let fiber = header.identity();
        header.join.pinned(|| fiber.identity().aim(self.cell), || fiber.identity().withdraw());
        fiber
    }

    /// The same as [`fiber`](Self::fiber), under the name that `std::thread::JoinHandle` has for it.
    pub fn thread(&self) -> Fiber {
        self.fiber()
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.header().join.detach() {
            // SAFETY: `detach` says so.
            unsafe { Self::dispose(self.cell) };
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

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
        Ok(JoinHandle { cell: task, result: PhantomData })
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
        Ok(JoinHandle { cell: task, result: PhantomData })
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
        Ok(JoinHandle { cell: task, result: PhantomData })
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
        Ok(JoinHandle { cell: task, result: PhantomData })
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
    Builder::new().spawn(f).unwrap_or_else(|error| failed(error))
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
    Builder::new().spawn_local(f).unwrap_or_else(|error| failed(error))
}

#[cold]
pub(crate) fn failed(error: SpawnError) -> ! {
    if error == SpawnError::ShuttingDown && park::on_fiber() && !std::thread::panicking() {
        // The spawning fiber is about to be cancelled itself: it unwinds as from any other call.
        park::unwind();
    }
    panic!("failed to spawn a fiber: {error}")
}
