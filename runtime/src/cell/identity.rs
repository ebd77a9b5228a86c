//! A fiber's identity: id, name and park token, shared by all handles to the fiber.
//!
//! Most fibers never have one: it is made for a fiber with a name, or when the first handle is requested. A plain OS thread
//! gets one in the same way, so that `current`, `park` and `unpark` work there too.

#![expect(unsafe_code, reason = "handles are kept in raw form in a fiber's header")]

use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::token::ParkToken;
use super::{Header, Labels};
use crate::queue::SpinLock;

/// A unique identifier of a fiber, or of a plain thread that has called [`current`](crate::fiber::current).
///
/// An id is never reused within a process. Mirrors [`std::thread::ThreadId`].
///
/// ```
/// # abaca::run(|| {
/// let first = abaca::spawn(|| abaca::current().id()).join().unwrap();
/// let second = abaca::spawn(|| abaca::current().id()).join().unwrap();
/// assert_ne!(first, second);
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiberId(NonZeroU64);

impl fmt::Debug for FiberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FiberId({})", self.0)
    }
}

impl FiberId {
    /// The next unused id. Ids are unique in the process, across all runtimes.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only uniqueness matters.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(id).expect("2^64 fibers have not been made"))
    }

    /// The id of the calling plain thread. It is still there for the destructors of other thread-locals.
    pub(crate) fn of_thread() -> Self {
        thread_local! {
            static ID: Cell<Option<FiberId>> = const { Cell::new(None) };
        }
        ID.get().unwrap_or_else(|| {
            let id = Self::next();
            ID.set(Some(id));
            id
        })
    }

    pub(super) fn from_number(number: NonZeroU64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> NonZeroU64 {
        self.0
    }
}

/// The state that all [`Fiber`] handles of one fiber share.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) id: FiberId,
    pub(crate) name: Option<Box<str>>,
    pub(crate) token: ParkToken,
    /// The fiber's header while the fiber is alive, for cancellation by a handle. A thread that holds the lock and finds the
    /// header keeps the fiber from ending.
    header: SpinLock<Attached>,
    labels: SpinLock<Labels>,
    /// How many unwindings the fiber has begun because it was cancelled. Only the fiber itself counts and looks.
    unwindings: AtomicU64,
}

#[derive(Debug)]
struct Attached(Option<NonNull<Header>>);

// SAFETY: the header is only used under the lock, while it is alive, and only its fields that threads share.
unsafe impl Send for Attached {}

impl Identity {
    /// The offsets of the id, the name and the labels; see `snapshot.rs`.
    pub(super) const ID: usize = std::mem::offset_of!(Self, id);
    pub(super) const NAME: usize = std::mem::offset_of!(Self, name);
    pub(super) const LABELS: usize = std::mem::offset_of!(Self, labels) + SpinLock::<Labels>::VALUE;

    /// Lets the holders of a handle cancel the fiber. Its header must stay alive until `detach`.
    pub(crate) fn attach(&self, header: NonNull<Header>) {
        self.header.lock().0 = Some(header);
    }

    pub(crate) fn detach(&self) {
        self.header.lock().0 = None;
    }

    /// The number of the fiber's unwinding that begins now.
    pub(crate) fn next_unwinding(&self) -> u64 {
        // Relaxed, here and below: the fiber's own.
        self.unwindings.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of the last one.
    pub(crate) fn last_unwinding(&self) -> u64 {
        self.unwindings.load(Ordering::Relaxed)
    }

    pub(crate) fn labels(&self) -> Labels {
        self.labels.lock().clone()
    }

    /// Calls `visit` with the value of a label, in a handler of a signal. Returns false if there is no such label, or if the handler may have interrupted
    /// who changes them.
    pub(crate) fn with_label(&self, name: &str, visit: impl FnOnce(&str)) -> bool {
        let labels = self.labels.try_lock();
        let value = labels.as_ref().and_then(|labels| labels.get(name));
        value.map(visit).is_some()
    }

    /// Replaces the labels. By their fiber alone, or by who spawns it: a change by another one meanwhile would be lost.
    pub(crate) fn change_labels(&self, change: impl FnOnce(&Labels) -> Labels) {
        let changed = change(&self.labels());
        let old = std::mem::replace(&mut *self.labels.lock(), changed);
        drop(old);
    }

    /// Calls `visit` with the header of the fiber, which cannot end meanwhile. `None` if the fiber has ended, is about to, or
    /// was never attached.
    pub(crate) fn with_header<R>(&self, visit: impl FnOnce(&Header) -> R) -> Option<R> {
        let attached = self.header.lock();
        // SAFETY: the header is alive until it is detached, for which the lock is needed.
        attached.0.map(|header| visit(unsafe { header.as_ref() }))
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
pub struct Fiber(Owned);

/// An owner of an identity. Models have std's: they make too many steps of a count.
#[cfg(not(loom))]
type Owned = crate::queue::Counted<Identity>;
#[cfg(loom)]
type Owned = std::sync::Arc<Identity>;

// A handle shows no state that a panic could leave half-changed.
impl UnwindSafe for Fiber {}
impl RefUnwindSafe for Fiber {}

impl Fiber {
    pub(crate) fn new(name: Option<Box<str>>) -> Self {
        Self::with_id(FiberId::next(), name)
    }

    pub(crate) fn with_id(id: FiberId, name: Option<Box<str>>) -> Self {
        Self::try_with_id(id, name).unwrap_or_else(|| handle_alloc_error(Layout::new::<Identity>()))
    }

    /// The handle of a fiber without a name; `None` if there is no memory for it.
    #[cfg(feature = "own-tls")]
    pub(crate) fn try_new() -> Option<Self> {
        Self::try_with_id(FiberId::next(), None)
    }

    fn try_with_id(id: FiberId, name: Option<Box<str>>) -> Option<Self> {
        let identity = Identity {
            id,
            name,
            token: ParkToken::new(),
            header: SpinLock::new(Attached(None)),
            labels: SpinLock::default(),
            unwindings: AtomicU64::new(0),
        };
        #[cfg(not(loom))]
        return Owned::new(identity).map(Self);
        #[cfg(loom)]
        Some(Self(Owned::new(identity)))
    }

    /// The unique identifier of this fiber.
    #[must_use]
    pub fn id(&self) -> FiberId {
        self.0.id
    }

    /// The name from [`Builder::name`](crate::fiber::Builder::name), if the fiber has one. For a plain thread, the thread's
    /// name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The fiber's labels, in the order in which they were first set; see [`set_label`](crate::observe::set_label).
    ///
    /// ```
    /// # abaca::run(|| {
    /// let fiber = abaca::Builder::new().label("request", 17).spawn(abaca::park).unwrap();
    /// assert_eq!(fiber.fiber().labels(), [("request".to_string(), "17".to_string())]);
    /// fiber.fiber().unpark();
    /// fiber.join().unwrap();
    /// # });
    /// ```
    #[must_use]
    pub fn labels(&self) -> Vec<(String, String)> {
        self.0.labels().to_vec()
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.0
    }

    pub(super) fn into_raw(self) -> *mut Identity {
        Owned::into_raw(self.0).cast_mut()
    }

    /// # Safety
    ///
    /// `raw` came from `into_raw`, whose count this takes over.
    pub(super) unsafe fn from_raw(raw: *mut Identity) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Owned::from_raw(raw) })
    }

    /// # Safety
    ///
    /// `raw` came from `into_raw`, and its count is still held during the call.
    pub(super) unsafe fn clone_raw(raw: *mut Identity) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Owned::increment_strong_count(raw) };
        // SAFETY: the count was just added.
        unsafe { Self::from_raw(raw) }
    }
}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}
