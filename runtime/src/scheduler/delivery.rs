//! How work gets to a worker from other threads: into its inbox, or into the runtime's queue; and how sleeping workers are woken.

#![expect(unsafe_code, reason = "hands cells from queue to queue")]

use std::ptr::NonNull;
#[cfg(feature = "own-tls")]
use std::sync::atomic::Ordering;

use super::shared::{Pollers, Shared};
use super::worker::{Stealable, Worker};
#[cfg(feature = "own-tls")]
use crate::cell::Flags;
use crate::cell::Header;
use crate::queue::Pushed;

impl Shared {
    /// Wakes one sleeping worker to search for work, unless one searches already.
    pub(super) fn unpark_one(&self) {
        if let Some(index) = self.sleepers.choose() {
            self.unpark(&self.workers[index]);
        }
    }

    /// Queues an unstarted fiber from outside, and wakes a worker for it.
    pub(crate) fn inject(&self, unstarted: NonNull<Header>) {
        self.outside.count_spawned();
        self.injector.push(Stealable(unstarted));
        self.unpark_one();
        self.tell_monitor();
    }

    /// [`inject`](Self::inject) without memory: to the worker with the fewest placed fibers, from which others do not steal it.
    #[cfg(feature = "own-tls")]
    pub(crate) fn inject_without_memory(&self, unstarted: NonNull<Header>) {
        self.outside.count_spawned();
        let target = self.least_loaded();
        // SAFETY: an unstarted fiber that is in no queue yet is the caller's.
        unsafe { unstarted.as_ref() }.set_flag(Flags::PLACED);
        // Relaxed: a load figure.
        target.remote.placed.fetch_add(1, Ordering::Relaxed);
        self.deliver(target, unstarted);
    }

    /// Makes the monitor look at what the caller has pushed, if it sleeps although a worker is awake.
    #[inline(always)]
    fn tell_monitor(&self) {
        #[cfg(feature = "own-tls")]
        self.quiet.after_push(|| self.unpark_monitor());
    }

    /// Wakes every worker that sleeps, and the poller thread.
    pub(super) fn unpark_all(&self) {
        for worker in &self.workers {
            self.unpark(worker);
        }
        if let Pollers::Thread(poller) = &self.pollers {
            poller.notify();
        }
    }

    /// Wakes `worker` if it sleeps.
    pub(super) fn unpark(&self, worker: &Worker) {
        if worker.remote.inbox.notify() {
            self.unpark_sleeping(worker);
        }
        self.tell_monitor();
    }

    /// Puts `fiber`, woken or unstarted, into `worker`'s inbox. From any thread but the worker's own.
    pub(crate) fn deliver(&self, worker: &Worker, fiber: NonNull<Header>) {
        // SAFETY: the caller owns the wake-up (or the unstarted fiber), so the fiber is alive and in no list.
        if unsafe { worker.remote.inbox.push(fiber) } == Pushed::OwnerSleeps {
            self.unpark_sleeping(worker);
        }
        self.tell_monitor();
    }

    fn unpark_sleeping(&self, worker: &Worker) {
        match self.poller_of(worker.index) {
            Some(poller) => poller.notify(),
            None => worker.remote.parker.unpark(),
        }
    }
}
