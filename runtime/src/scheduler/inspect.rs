//! Looking at the fibers of a worker: it shows them in its hub, where none of them runs, and a few at a time.
//!
//! Who wants to look sends an [`Inspection`] as a request, as a canceller does. The worker calls it for each of its fibers until
//! it wants to pause, and goes on with it at the next pass through the hub.

#![expect(unsafe_code, reason = "shows headers, which their lists keep alive")]

use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
#[cfg(feature = "backtrace")]
use std::time::Duration;

use super::event::Cause;
use super::shared::Shared;
use super::worker::Worker;
use crate::cell::{Fiber, Header, HeaderSnapshot, LiveList};
use crate::os::thread_state;

/// How long a thread may take to tell its frames: on a busy machine it has to wait for a processor.
#[cfg(feature = "backtrace")]
const TRACE: Duration = Duration::from_secs(2);

/// What is asked of a worker's hub.
#[derive(Debug)]
pub(super) enum HubRequest {
    /// Cancel this fiber, if it lives here.
    Cancel(Fiber),
    /// Show all fibers that live here.
    Show(Arc<dyn Inspection>),
}

/// One look at all fibers of one worker. All is called in the hub of that worker: it must not wait, and takes its time from all
/// fibers there.
pub(crate) trait Inspection: Send + Sync + fmt::Debug {
    /// Begins a step: the first one, or the next.
    fn begin_step(&self) -> Step;
    /// Looks at a fiber.
    fn visit(&self, fiber: &Header, standing: Standing);
    /// Whether the step has taken long enough.
    fn must_pause(&self) -> bool;
    /// There are no more fibers.
    fn end(&self);
}

/// See [`Inspection::begin_step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    First,
    Next,
    /// Nobody is interested any more.
    None,
}

/// Where a fiber is that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Suspended: its context is saved, and it stays so during the visit.
    Suspended,
    /// It may be running on another thread: only what never changes may be looked at, and what is atomic.
    Elsewhere,
}

impl Worker {
    /// Whether anything is asked of this worker's hub.
    pub(super) fn has_requests(&self) -> bool {
        !self.remote.requests.is_empty()
    }

    /// Does what is asked. From the hub.
    #[cold]
    pub(super) fn serve_requests(&self) {
        let mut unfinished = None;
        while let Some(request) = self.remote.requests.take() {
            match request {
                HubRequest::Cancel(fiber) => {
                    self.wake_for(Cause::Elsewhere, || self.cancel_requested(&fiber));
                }
                HubRequest::Show(inspection) => {
                    if !self.show(&*inspection) {
                        unfinished = Some(inspection);
                    }
                }
            }
        }
        if let Some(inspection) = unfinished {
            self.remote.requests.push(HubRequest::Show(inspection));
        }
    }

    /// Takes one step. Returns whether it was the last.
    fn show(&self, inspection: &dyn Inspection) -> bool {
        match inspection.begin_step() {
            Step::None => {
                self.scavenger.set_walk_taken(false);
                return true;
            }
            Step::First => {
                self.scavenger.set_walk_taken(true);
                self.live.begin_walk();
                self.show_roaming(inspection);
            }
            Step::Next => {}
        }
        while let Some(fiber) = self.live.walk() {
            // SAFETY: a member of the list is alive.
            let header = unsafe { fiber.as_ref() };
            // In the hub none of the worker's fibers runs, but for absent ones.
            let standing = if header.is_absent() { Standing::Elsewhere } else { Standing::Suspended };
            inspection.visit(header, standing);
            if inspection.must_pause() {
                return false;
            }
        }
        self.scavenger.set_walk_taken(false);
        inspection.end();
        true
    }

    /// Shows the roaming fibers that were last here.
    fn show_roaming(&self, inspection: &dyn Inspection) {
        let shared = self.shared();
        if shared.roaming.len() == 0 {
            return;
        }
        let mut handles = Vec::new();
        shared.roaming.for_each(|fiber| {
            if ptr::eq(fiber.home.load(Ordering::Acquire).cast(), self) {
                // SAFETY: a member of the list is alive, and cannot leave it before this returns.
                handles.push(unsafe { Header::handle(ptr::NonNull::from(fiber)) });
            }
        });
        for handle in handles {
            handle.identity().with_header(|fiber| {
                // As in `end_roaming_wait`: if this is its home and it has a waiter, it is parked.
                let is_home = || ptr::eq(fiber.home.load(Ordering::Acquire).cast(), self);
                let is_parked = is_home() && !fiber.waiting().is_null() && is_home() && !fiber.is_absent();
                inspection.visit(fiber, if is_parked { Standing::Suspended } else { Standing::Elsewhere });
            });
        }
    }

    /// Calls `visit` with a snapshot of each fiber that lives here, from another thread. It means something only if the worker's
    /// position is the same before and after.
    pub(crate) fn peek_fibers(&self, mut visit: impl FnMut(*const Header, &HeaderSnapshot)) {
        let first = LiveList::peek_first(&raw const self.live);
        let mut at = first.map_or(ptr::null(), |first| first.as_ptr().cast_const());
        for _ in 0..self.fiber_count() {
            let Some(snapshot) = HeaderSnapshot::of(at) else { return };
            visit(at, &snapshot);
            at = snapshot.next;
            if first.is_none_or(|first| ptr::eq(at, first.as_ptr())) {
                return;
            }
        }
    }

    /// The program counter and the stack pointer of the worker's thread, if it is in a system call.
    pub(crate) fn thread_place(&self) -> Option<(usize, usize)> {
        thread_state::place_of(self.thread_id())
    }

    /// The frames of the fiber with this address, if the worker's thread computes in it.
    pub(crate) fn trace(&self, fiber: usize) -> Option<Vec<usize>> {
        #[cfg(feature = "backtrace")]
        return super::backtrace::frames(self.thread_id(), fiber, TRACE);
        #[cfg(not(feature = "backtrace"))]
        {
            let _ = fiber;
            None
        }
    }

    /// The number of started fibers that live here, roaming ones left out.
    pub(crate) fn fiber_count(&self) -> usize {
        // Relaxed: a count.
        self.live.len()
    }
}

impl Shared {
    /// Asks the worker with this index to show its fibers.
    pub(crate) fn request_inspection(&self, worker: usize, inspection: Arc<dyn Inspection>) {
        let worker = &self.workers[worker];
        worker.remote.requests.push(HubRequest::Show(inspection));
        self.unpark(worker);
    }

    /// How many fibers have not started, more or less.
    pub(crate) fn unstarted_count(&self) -> usize {
        self.injector.len() + self.workers.iter().map(Worker::stealable).sum::<usize>()
    }

    /// The number of started fibers that roam.
    pub(crate) fn roaming_count(&self) -> usize {
        self.roaming.len()
    }
}
