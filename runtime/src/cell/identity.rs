//! A fiber's identity: id, name and park token, shared by everyone who holds a handle to it.
//!
//! Most fibers never have one: it is made when a name is given or somebody first asks for the handle. A plain
//! OS thread has one as well, made the same way, so that `current`, `park` and `unpark` work there too.

#![expect(unsafe_code, reason = "handles are kept in raw form in a fiber's header")]

use std::fmt;
use std::num::NonZeroU64;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Header;
use super::token::ParkToken;
use crate::queue::SpinLock;

/// A unique identifier of a fiber (or of a plain thread that asked for its handle).
///
/// Never reused within a process. Mirrors [`std::thread::ThreadId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiberId(NonZeroU64);

impl fmt::Debug for FiberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FiberId({})", self.0)
    }
}

impl FiberId {
    /// The next unused id. The counter is the one static of this room: ids are unique in the process, whatever
    /// runtimes come and go, and nothing else depends on it.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only uniqueness matters.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(id).expect("2^64 fibers have not been made"))
    }

    pub(super) fn from_number(number: NonZeroU64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> NonZeroU64 {
        self.0
    }
}

/// What a [`Fiber`] handle shares.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) id: FiberId,
    pub(crate) name: Option<Box<str>>,
    pub(crate) token: ParkToken,
    /// The fiber's header while the fiber is alive, for those who cancel it by its handle. Whoever holds the lock and
    /// finds it there keeps the fiber from ending.
    header: SpinLock<Aim>,
}

#[derive(Debug)]
struct Aim(Option<NonNull<Header>>);

// SAFETY: the header is only used under the lock, during which it is alive, and only what it shares.
unsafe impl Send for Aim {}

impl Identity {
    /// Where the id and the name lie; see `glimpse.rs`.
    pub(super) const ID: usize = std::mem::offset_of!(Self, id);
    pub(super) const NAME: usize = std::mem::offset_of!(Self, name);

    /// Lets the handle's owners cancel the fiber. Its header stays alive until `withdraw`.
    pub(crate) fn aim(&self, header: NonNull<Header>) {
        self.header.lock().0 = Some(header);
    }

    pub(crate) fn withdraw(&self) {
        self.header.lock().0 = None;
    }

    /// Calls `visit` with the header of the fiber, which cannot end meanwhile. `None` when it has ended, is about to, or
    /// was never made known.
    pub(crate) fn with_header<R>(&self, visit: impl FnOnce(&Header) -> R) -> Option<R> {
        let aim = self.header.lock();
        // SAFETY: it is alive until it is withdrawn, for which the lock is needed.
        aim.0.map(|header| visit(unsafe { header.as_ref() }))
    }
}

/// A handle to a fiber: its id, its name, and [`unpark`](Fiber::unpark). Mirrors [`std::thread::Thread`].
///
/// ```
/// # abaca::run(|| {
/// let handle = abaca::Builder::new().name("worker bee".into()).spawn(|| abaca::park()).unwrap();
/// assert_eq!(handle.fiber().name(), Some("worker bee"));
/// handle.fiber().unpark();
/// handle.join().unwrap();
/// # });
/// ```
#[derive(Clone)]
pub struct Fiber(Arc<Identity>);

// A handle shows no state that a panic could leave half-changed.
impl UnwindSafe for Fiber {}
impl RefUnwindSafe for Fiber {}

impl Fiber {
    pub(crate) fn new(name: Option<Box<str>>) -> Self {
        Self::with_id(FiberId::next(), name)
    }

    pub(crate) fn with_id(id: FiberId, name: Option<Box<str>>) -> Self {
        Self(Arc::new(Identity { id, name, token: ParkToken::new(), header: SpinLock::new(Aim(None)) }))
    }

    /// The unique identifier of this fiber.
    pub fn id(&self) -> FiberId {
        self.0.id
    }

    /// The name it was given by [`Builder::name`](crate::fiber::Builder::name), if any.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.0
    }

    pub(super) fn into_raw(self) -> *mut Identity {
        Arc::into_raw(self.0).cast_mut()
    }

    /// # Safety
    ///
    /// `raw` came from `into_raw`, whose count this takes over.
    pub(super) unsafe fn from_raw(raw: *mut Identity) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Arc::from_raw(raw) })
    }

    /// # Safety
    ///
    /// `raw` came from `into_raw`, and its count is still held by somebody during the call.
    pub(super) unsafe fn clone_raw(raw: *mut Identity) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Arc::increment_strong_count(raw) };
        // SAFETY: the count was just added.
        unsafe { Self::from_raw(raw) }
    }
}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}
