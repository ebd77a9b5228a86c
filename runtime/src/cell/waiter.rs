//! A waiter: one blocking call that is under way, on a fiber or on a plain OS thread.
//!
//! A waiter lives on the stack of its owner, the fiber or thread that waits; a future's waiter (`future_waiter.rs`) on the heap.
//! Wakers find it through a queue, a readiness word or a timer, and **claim** it: a compare-and-swap from `WAITING` to an
//! outcome. One claim succeeds, and its caller must deliver exactly one wake-up; every later claim fails. So a fiber is never
//! woken twice for one wait, a stale wake-up cannot exist, and a fiber is in at most one run queue or inbox at a time, which
//! lets those queues be intrusive.
//!
//! Lifetime: between the winning claim and the delivery of the wake-up, an owner that is a fiber cannot run. A thread may at
//! most return early; its wake-up then only uses the word's address as a key. A claim that may lose must be made while the
//! waiter cannot be freed: under the lock of the queue that holds it, or on the worker that owns its timer.

#![expect(unsafe_code, reason = "the waiter crosses threads by pointer")]

use std::fmt;
use std::ptr::{self, NonNull};

use super::Header;
use super::future_waiter::Task;
use crate::atomic::{Alive, AtomicU32, Ordering, const_fn};

const WAITING: u32 = 0;
const NOTIFIED: u32 = 1;
const TIMED_OUT: u32 = 2;
const CANCELLED: u32 = 3;
/// As `WAITING`, for a plain thread that sleeps in the kernel or is about to: after the claim it must be woken with a system
/// call. Set once, by the thread.
const SLEEPING: u32 = 4;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Outcome {
    /// A waker has ended the wait.
    Notified = NOTIFIED,
    /// The deadline passed first.
    TimedOut = TIMED_OUT,
    /// The fiber is being cancelled: undo the registration, then call `park::unwind`.
    Cancelled = CANCELLED,
}

/// The reason of a fiber's wait; shown in dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub(crate) enum Reason {
    /// The fiber runs, or is about to.
    #[default]
    None,
    Park,
    Join,
    Sleep,
    Scope,
    Mutex,
    Condvar,
    RwLock,
    Barrier,
    Once,
    Semaphore,
    Notify,
    WaitGroup,
    ChannelSend,
    ChannelReceive,
    Select,
    Oneshot,
    Broadcast,
    Watch,
    Read,
    Write,
    Connect,
    Accept,
    Blocking,
    Open,
    Process,
    Signal,
    Future,
    /// In a wait queue of `park`.
    Queue,
    /// For a change of a word in memory, in `hook`.
    #[cfg(any(feature = "own-tls", all(test, loom)))]
    Address,
}

/// What is waited for: a reason, and the object that goes with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    pub(crate) reason: Reason,
    /// Null if the reason says it all, or the caller knows the object.
    pub(crate) object: *const (),
}

impl Reason {
    /// The last one.
    #[cfg(not(any(feature = "own-tls", all(test, loom))))]
    const LAST: u8 = Self::Queue as u8;
    #[cfg(any(feature = "own-tls", all(test, loom)))]
    const LAST: u8 = Self::Address as u8;
    /// How many there are.
    pub(crate) const COUNT: usize = Self::LAST as usize + 1;

    /// The reason with this number, or none.
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            // SAFETY: the reasons are numbered from 0 to this one without a gap.
            0..=Self::LAST => unsafe { std::mem::transmute::<u8, Self>(number) },
            _ => Self::None,
        }
    }

    /// Whether it is a wait for a descriptor: nobody but the poller ends it, unless it is cancelled or has a deadline.
    #[inline(always)]
    pub(crate) const fn is_of_descriptor(self) -> bool {
        matches!(self, Self::Read | Self::Write | Self::Connect | Self::Accept)
    }

    /// A wait for `object`, for this reason.
    pub(crate) fn of<T>(self, object: &T) -> Awaited {
        Awaited { reason: self, object: ptr::from_ref(object).cast() }
    }
}

impl From<Reason> for Awaited {
    fn from(reason: Reason) -> Self {
        Self { reason, object: ptr::null() }
    }
}

/// See the module's documentation.
pub(crate) struct Waiter {
    /// `WAITING`, `SLEEPING` or an outcome. A plain thread sleeps on this word.
    state: AtomicU32,
    /// Whether `owner` is a [`Task`].
    is_task: bool,
    /// The fiber's [`Header`] or the [`Task`] that waits; `None` for a plain thread.
    owner: Option<NonNull<()>>,
    /// What is waited for; see [`Waiter::on`].
    object: *const (),
    alive: Alive,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Waiter>() == 3 * size_of::<usize>());

// SAFETY: the state is atomic, and only the winning claim passes the fiber's pointer on.
unsafe impl Send for Waiter {}
// SAFETY: as above.
unsafe impl Sync for Waiter {}

/// The right and the obligation to wake the owner of one waiter, once. Pass it to `park::wake`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the claimed waiter sleeps forever unless it is woken"]
pub(crate) enum Wakeup {
    Fiber(NonNull<Header>),
    /// The address of the state word on which a thread sleeps; never dereferenced.
    Thread(*const u32),
    /// A thread that does not sleep: it sees the outcome in the word, and needs no wake-up.
    Awake,
    /// An async task, with the waiter's reference to it.
    Future(NonNull<Task>),
}

// SAFETY: a wake-up is a value that the claimer may pass to another thread; delivery is thread-safe.
unsafe impl Send for Wakeup {}

impl Waiter {
    /// The offset of the state, and the state of one that waits on a fiber; see `snapshot.rs`.
    pub(super) const STATE: (usize, u32) = (std::mem::offset_of!(Self, state), WAITING);
    /// The offset of the object's address; see `snapshot.rs`.
    pub(super) const OBJECT: usize = std::mem::offset_of!(Self, object);

    const_fn! {
        /// A waiter for `fiber`, or for the calling OS thread when `None`.
        pub(crate) const fn new(fiber: Option<NonNull<Header>>) -> Self {
            let owner = match fiber {
                Some(fiber) => Some(fiber.cast()),
                None => None,
            };
            Self { state: AtomicU32::new(WAITING), is_task: false, owner, object: ptr::null(), alive: Alive::new() }
        }
    }

    const_fn! {
        /// A waiter for a future's task. The winning claim takes over one reference to `task`.
        pub(super) const fn for_future(task: NonNull<Task>) -> Self {
            let owner = Some(task.cast());
            Self { state: AtomicU32::new(WAITING), is_task: true, owner, object: ptr::null(), alive: Alive::new() }
        }
    }

    /// The same waiter, which waits for `object`: that is alive while its owner waits, and of the kind that goes with the reason of
    /// the wait. For dumps.
    #[inline(always)]
    pub(crate) fn on(self, object: *const ()) -> Self {
        Self { object, ..self }
    }

    /// What is waited for; null if that is not known.
    pub(crate) fn object(&self) -> *const () {
        self.object
    }

    /// Whether nobody has ended the wait yet.
    pub(crate) fn is_waiting(&self) -> bool {
        // Relaxed: for those who look from outside.
        matches!(self.state.load(Ordering::Relaxed), WAITING | SLEEPING)
    }

    /// Ends the wait with `outcome`, unless it has ended. The caller must then deliver the wake-up.
    #[inline]
    pub(crate) fn claim(&self, outcome: Outcome) -> Option<Wakeup> {
        self.alive.touch();
        let wakeup = match self.owner {
            Some(task) if self.is_task => Wakeup::Future(task.cast()),
            Some(fiber) => Wakeup::Fiber(fiber.cast()),
            None => Wakeup::Awake,
        };
        // AcqRel: the Release publishes what the claimer wrote for the waiter (a message, a handed-over lock) to the
        // Acquire in `outcome`; the Acquire orders a lost claim after the winner's writes.
        match self.state.compare_exchange(WAITING, outcome as u32, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Some(wakeup),
            Err(SLEEPING) => self.claim_sleeper(outcome),
            Err(_) => None,
        }
    }

    #[cold]
    fn claim_sleeper(&self, outcome: Outcome) -> Option<Wakeup> {
        // The address is taken before the claim, after which the word may be freed.
        let word = ptr::from_ref(&self.state).cast();
        // As in `claim`.
        let claim =
            self.state.compare_exchange(SLEEPING, outcome as u32, Ordering::AcqRel, Ordering::Acquire);
        claim.is_ok().then_some(Wakeup::Thread(word))
    }

    /// Notes that the waiting thread is about to sleep. Returns false if the waiter has been claimed; the thread must then not
    /// sleep.
    pub(crate) fn begin_sleep(&self) -> bool {
        // Acquire on failure: as in `outcome`, for a waiter that was claimed.
        let result = self.state.compare_exchange(WAITING, SLEEPING, Ordering::Relaxed, Ordering::Acquire);
        matches!(result, Ok(_) | Err(SLEEPING))
    }

    /// The outcome of the wait; `None` while it lasts.
    #[inline]
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        // Acquire: pairs with the Release in `claim`.
        match self.state.load(Ordering::Acquire) {
            NOTIFIED => Some(Outcome::Notified),
            TIMED_OUT => Some(Outcome::TimedOut),
            CANCELLED => Some(Outcome::Cancelled),
            _ => None,
        }
    }

    /// The word on which a plain thread sleeps, and the word's value while it should sleep, after
    /// [`begin_sleep`](Self::begin_sleep).
    #[cfg(not(loom))]
    pub(crate) fn thread_word(&self) -> (&AtomicU32, u32) {
        (&self.state, SLEEPING)
    }

    /// Models do not sleep in the kernel, which knows nothing of their threads.
    #[cfg(loom)]
    pub(crate) fn thread_word(&self) -> (&std::sync::atomic::AtomicU32, u32) {
        unreachable!("a model waits for {self:?}")
    }

    /// The fiber that waits; `None` for a plain thread and for a future.
    #[inline]
    pub(crate) fn fiber(&self) -> Option<NonNull<Header>> {
        if self.is_task { None } else { self.owner.map(NonNull::cast) }
    }
}

/// The interface of a waiter for the protocols in this folder; models implement it with a waiter of their own.
pub(crate) trait Claim {
    /// The wake-up that a successful claim returns.
    type Wakeup;

    /// Ends the wait as notified, unless it has ended.
    fn claim_notified(&self) -> Option<Self::Wakeup>;
}

impl Claim for Waiter {
    type Wakeup = Wakeup;

    #[inline]
    fn claim_notified(&self) -> Option<Wakeup> {
        self.claim(Outcome::Notified)
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("outcome", &self.outcome()).field("owner", &self.owner).finish()
    }
}
