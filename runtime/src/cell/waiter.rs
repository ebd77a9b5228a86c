//! A waiter: one blocking call that is under way, on a fiber or on a plain OS thread.
//!
//! It lives on the stack of whoever waits; a future's (`task_waiter.rs`) on the heap. Wakers find it through a queue, a
//! readiness word or a timer, and **claim** it: a compare-and-swap from `WAITING` to an outcome. The one claim that
//! succeeds owes exactly one wake-up; every later claim fails. So a fiber is never woken twice for one wait, a stale
//! wake-up cannot exist, and a fiber is in at most one run queue or inbox at a time, which lets those queues be
//! intrusive.
//!
//! Lifetime: between the winning claim and the delivery of the wake-up the waiter's owner cannot run (a fiber)
//! or at most returns early (a thread, whose wake-up then only uses the word's address as a key). A claim that
//! may lose must be made while the waiter cannot be freed: under the lock of the queue that holds it, or on the
//! worker that owns its timer.

#![expect(unsafe_code, reason = "the waiter crosses threads by pointer")]

use std::fmt;
use std::ptr::{self, NonNull};

use super::Header;
use super::task_waiter::Task;
use crate::atomic::{Alive, AtomicU32, Ordering, const_fn};

const WAITING: u32 = 0;
const NOTIFIED: u32 = 1;
const TIMED_OUT: u32 = 2;
const CANCELLED: u32 = 3;
/// As `WAITING`, of a plain thread that sleeps in the kernel or is about to: whoever claims it wakes it with a system call.
/// Set once, by the thread.
const SLEEPING: u32 = 4;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Outcome {
    /// What it waited for has happened.
    Notified = NOTIFIED,
    /// The deadline passed first.
    TimedOut = TIMED_OUT,
    /// The fiber is being cancelled: undo the registration, then call `park::unwind`.
    Cancelled = CANCELLED,
}

/// What a fiber waits for; shown in dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub(crate) enum Reason {
    /// It runs, or is about to.
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
}

/// See the module's documentation.
pub(crate) struct Waiter {
    /// `WAITING`, `SLEEPING` or an outcome. A plain thread sleeps on this word.
    state: AtomicU32,
    /// Whether `owner` is a [`Task`].
    is_task: bool,
    /// The fiber's [`Header`] or the [`Task`] that waits; `None` for a plain thread.
    owner: Option<NonNull<()>>,
    alive: Alive,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Waiter>() == 2 * size_of::<usize>());

// SAFETY: the state is atomic, and the fiber's pointer is only handed on by the winning claim.
unsafe impl Send for Waiter {}
// SAFETY: as above.
unsafe impl Sync for Waiter {}

/// The right and the duty to wake one waiter, once. Pass it to `park::wake`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the claimed waiter sleeps forever unless it is woken"]
pub(crate) enum Woken {
    Fiber(NonNull<Header>),
    /// The address of the state word on which a thread sleeps; never dereferenced.
    Thread(*const u32),
    /// A thread that does not sleep: it looks at the word, and needs no more.
    Awake,
    /// With the reference that the waiter had to it.
    Task(NonNull<Task>),
}

// SAFETY: a wake-up is a value handed from the claimer to whoever delivers it; delivery is thread-safe.
unsafe impl Send for Woken {}

impl Waiter {
    const_fn! {
        /// A waiter for `fiber`, or for the calling OS thread when `None`.
        pub(crate) const fn new(fiber: Option<NonNull<Header>>) -> Self {
            let owner = match fiber {
                Some(fiber) => Some(fiber.cast()),
                None => None,
            };
            Self { state: AtomicU32::new(WAITING), is_task: false, owner, alive: Alive::new() }
        }
    }

    const_fn! {
        /// A waiter for a future's task. Whoever claims it takes over one reference to `task`.
        pub(super) const fn for_task(task: NonNull<Task>) -> Self {
            let owner = Some(task.cast());
            Self { state: AtomicU32::new(WAITING), is_task: true, owner, alive: Alive::new() }
        }
    }

    /// Ends the wait with `outcome` if nobody else has; the caller then owes the wake-up.
    #[inline]
    pub(crate) fn claim(&self, outcome: Outcome) -> Option<Woken> {
        self.alive.touch();
        let woken = match self.owner {
            Some(task) if self.is_task => Woken::Task(task.cast()),
            Some(fiber) => Woken::Fiber(fiber.cast()),
            None => Woken::Awake,
        };
        // AcqRel: the Release half publishes what the claimer wrote for the waiter (a message, a handed-over
        // lock) to the Acquire in `outcome`; the Acquire half orders a lost claim after the winner's writes.
        match self.state.compare_exchange(WAITING, outcome as u32, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Some(woken),
            Err(SLEEPING) => self.claim_sleeper(outcome),
            Err(_) => None,
        }
    }

    #[cold]
    fn claim_sleeper(&self, outcome: Outcome) -> Option<Woken> {
        // Taken before the claim, after which the word may be gone.
        let word = ptr::from_ref(&self.state).cast();
        // As in `claim`.
        let claim =
            self.state.compare_exchange(SLEEPING, outcome as u32, Ordering::AcqRel, Ordering::Acquire);
        claim.is_ok().then_some(Woken::Thread(word))
    }

    /// The thread that waits is about to sleep. False if it has been claimed, and so must not.
    pub(crate) fn doze(&self) -> bool {
        // Acquire: as in `outcome`, for one that was claimed.
        let dozed = self.state.compare_exchange(WAITING, SLEEPING, Ordering::Relaxed, Ordering::Acquire);
        matches!(dozed, Ok(_) | Err(SLEEPING))
    }

    /// How the wait ended; `None` while it lasts.
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

    /// The word on which a plain thread sleeps, and its value while it should: since it dozed off.
    #[cfg(not(loom))]
    pub(crate) fn thread_word(&self) -> (&AtomicU32, u32) {
        (&self.state, SLEEPING)
    }

    /// Models do not sleep in the kernel, which knows nothing of their threads.
    #[cfg(loom)]
    pub(crate) fn thread_word(&self) -> (&std::sync::atomic::AtomicU32, u32) {
        unreachable!("a model waits for {self:?}")
    }

    /// The fiber that waits; `None` for a plain thread and for a task.
    #[inline]
    pub(crate) fn fiber(&self) -> Option<NonNull<Header>> {
        if self.is_task { None } else { self.owner.map(NonNull::cast) }
    }
}

/// What the protocols around a waiter need of it; models put another one in its place.
pub(crate) trait Claim {
    /// The wake-up that a successful claim owes.
    type Woken;

    /// Ends the wait as notified, if nobody else has ended it.
    fn claim_notified(&self) -> Option<Self::Woken>;
}

impl Claim for Waiter {
    type Woken = Woken;

    #[inline]
    fn claim_notified(&self) -> Option<Woken> {
        self.claim(Outcome::Notified)
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("outcome", &self.outcome()).field("owner", &self.owner).finish()
    }
}
