//! The waits of a descriptor's operations: of fibers for the poller, of plain threads in poll(2).

#![expect(unsafe_code, reason = "a wait's node refers to its waiter")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::waited::{GaveUp, Waited, wait_on_thread};
use super::{Descriptor, Kind};
use crate::cell::{Header, Outcome, Reason, Waiter};
use crate::park;
use crate::poller::{Direction, Node, Snapshot};
use crate::scheduler::{self, Worker};

/// Who is about to wait.
#[derive(Clone, Copy)]
pub(super) enum Waiting {
    /// A fiber, with the worker of [`scheduler::current_worker`].
    Fiber(&'static Worker, NonNull<Header>),
    Thread,
}

/// The caller, about to wait.
#[inline(always)]
pub(super) fn here() -> Waiting {
    match scheduler::current_worker().and_then(|worker| Some((worker, scheduler::fiber_on(worker)?))) {
        Some((worker, me)) => Waiting::Fiber(worker, me),
        None => Waiting::Thread,
    }
}

impl<T: AsFd> Descriptor<T> {
    /// Waits for an event after `seen`. Returns why, if it gave up. The operation's first wait sets the deadline.
    #[inline(always)]
    pub(super) fn wait(
        &self,
        waiting: Waiting,
        direction: Direction,
        reason: Reason,
        seen: Snapshot<'_>,
        deadline: &mut Option<Instant>,
    ) -> io::Result<Option<GaveUp>> {
        match self.wait_with(false, waiting, direction, reason, seen, deadline)? {
            Waited::Event(_) => Ok(None),
            Waited::GaveUp(gave_up) => Ok(Some(gave_up)),
        }
    }

    /// [`wait`](Self::wait) in a frame of its own.
    #[inline(never)]
    pub(super) fn wait_outlined(
        &self,
        waiting: Waiting,
        direction: Direction,
        reason: Reason,
        seen: Snapshot<'_>,
        deadline: &mut Option<Instant>,
    ) -> io::Result<Option<GaveUp>> {
        self.wait(waiting, direction, reason, seen, deadline)
    }

    /// [`wait`](Self::wait), in line or not.
    #[inline(always)]
    pub(super) fn wait_with<'a>(
        &'a self,
        is_in_line: bool,
        waiting: Waiting,
        direction: Direction,
        reason: Reason,
        seen: Snapshot<'a>,
        deadline: &mut Option<Instant>,
    ) -> io::Result<Waited<'a>> {
        if deadline.is_none() {
            *deadline = self.deadline(direction);
        }
        let fd = self.get().as_fd();
        let Waiting::Fiber(worker, me) = waiting else {
            return wait_on_thread(fd, direction, *deadline).map(|()| Waited::Event(None));
        };
        if direction == Direction::Write && self.kind == Kind::Local && self.is_shut_for_writes()? {
            return Ok(Waited::Event(None));
        }
        let number = fd.as_raw_fd() as usize;
        let waiter = Waiter::new(Some(me)).on(ptr::without_provenance(number));
        // SAFETY: the waiter outlives the node, and neither moves.
        let node = unsafe { Node::of(&waiter, is_in_line) };
        let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
        let Some(entry) = self.source.link(fd, direction, &node, seen, poller)? else {
            return Ok(Waited::Event(None));
        };
        let gave_up = match park::block_on(worker, me, &waiter, reason, *deadline) {
            Outcome::Notified => return Ok(Waited::Event(Some(entry))),
            Outcome::TimedOut => GaveUp::TimeIsUp,
            Outcome::Cancelled => GaveUp::Cancelled,
        };
        entry.unlink(&node);
        Ok(Waited::GaveUp(gave_up))
    }

    /// Waits for an event that `told`, the number of events that earlier waits have ended for, does not count. The event may
    /// leave no trace that a later look would find.
    ///
    /// # Errors
    ///
    /// * `PermissionDenied` (EPERM): epoll cannot watch the descriptor.
    pub(super) fn wait_for_event(
        &self,
        direction: Direction,
        reason: Reason,
        told: &AtomicU32,
    ) -> io::Result<()> {
        let seen = self.source.snapshot(direction);
        if seen.events() == told.load(Ordering::Relaxed)
            && let Some(gave_up) = self.wait_outlined(here(), direction, reason, seen, &mut None)?
        {
            return Err(gave_up.into_error());
        }
        told.store(self.source.snapshot(direction).events(), Ordering::Relaxed);
        Ok(())
    }

    /// Who waits before the first call, since this worker's poller knows that it would return `WouldBlock`. `None` if another worker's
    /// poller watches the descriptor: that worker may be busy, and what its poller knows may be old.
    #[inline(always)]
    pub(super) fn hinted(&self) -> Option<Waiting> {
        let Waiting::Fiber(worker, me) = here() else { return None };
        self.source.is_polled_by(|poller| worker.polls_with(poller)).then_some(Waiting::Fiber(worker, me))
    }
}
