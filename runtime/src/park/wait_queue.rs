//! The wait queue, on which `promise`, `actor` and users' primitives are built.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use super::primitive::{self as park, SpinGuard, SpinLock};
use super::wait_list::{self, End, WaitList};
use crate::atomic::const_fn;
use crate::cell::{Outcome, Reason};

/// A state under a short lock, with the queue of fibers and threads that wait for it to change. See the [module](super) for an
/// example.
///
/// The lock must be held for a few instructions only: other callers spin for it. While it is held, the caller must not block,
/// must call nothing of abaca except the methods of the [guard](WaitQueueGuard), and should run no user code, neither callbacks
/// nor destructors.
///
/// Nothing is allocated: the waiting fibers and threads are linked through their stacks.
pub struct WaitQueue<S>(SpinLock<Queue<S>>);

struct Queue<S> {
    state: S,
    waiting: WaitList<()>,
}

impl<S> Queue<S> {
    fn waiting(&mut self) -> &mut WaitList<()> {
        &mut self.waiting
    }
}

/// The state of a [`WaitQueue`], locked.
#[must_use = "the lock is released when the guard is dropped"]
pub struct WaitQueueGuard<'a, S>(SpinGuard<'a, Queue<S>>);

/// The reason why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the state may be what was waited for, or not"]
pub enum Wakeup {
    /// The queue was notified, and this waiter was woken.
    Notified,
    /// The deadline passed first. This waiter has taken no notification.
    TimedOut,
}

impl<S> WaitQueue<S> {
    const_fn! {
        /// An empty queue with this state.
        pub const fn new(state: S) -> Self {
            Self(SpinLock::new(Queue { state, waiting: WaitList::new() }))
        }
    }

    /// Locks the state.
    #[inline]
    pub fn lock(&self) -> WaitQueueGuard<'_, S> {
        WaitQueueGuard(self.0.lock())
    }
}

impl<S> WaitQueueGuard<'_, S> {
    /// Joins the queue, releases the lock, and blocks the calling fiber (or plain thread) until it is notified, or until
    /// `deadline`. `None` is no deadline.
    ///
    /// The lock is not released between the caller's last look at the state and the joining. So no change is missed, provided
    /// that each change notifies the queue. After a notification, lock the state and check it again: another caller may have been
    /// faster.
    ///
    /// If the fiber is cancelled while it waits, it leaves the queue and unwinds from here, without having taken a notification.
    /// See [`cancel`](crate::cancel).
    pub fn wait(self, deadline: Option<Instant>) -> Wakeup {
        match wait_list::wait(self.0, Queue::waiting, End::Back, (), Reason::Queue, deadline, || ()).0 {
            Outcome::Notified => Wakeup::Notified,
            Outcome::TimedOut => Wakeup::TimedOut,
            Outcome::Cancelled => park::unwind(),
        }
    }

    /// Releases the lock and wakes the waiter that has waited longest. Returns whether there was one.
    pub fn notify_one(mut self) -> bool {
        let woken = self.0.waiting.pop_front();
        drop(self);
        woken.map(park::wake).is_some()
    }

    /// Releases the lock and wakes all waiters in the queue. A waiter that joins meanwhile may be woken as well.
    pub fn notify_all(self) {
        let lock = SpinGuard::lock_of(&self.0);
        drop(self);
        wait_list::wake_up_to(lock, Queue::waiting, usize::MAX);
    }
}

impl<S> Deref for WaitQueueGuard<'_, S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        &self.0.state
    }
}

impl<S> DerefMut for WaitQueueGuard<'_, S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0.state
    }
}

impl<S> fmt::Debug for WaitQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for WaitQueueGuard<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueueGuard").finish_non_exhaustive()
    }
}
