//! Decides which fiber runs where and when: workers, the hub, stealing, placement of spawns, start and shutdown.
//!
//! `README.md` beside this file tells the idle protocol. The rooms above use the functions of this file.

#![expect(unsafe_code, reason = "hands cells from queue to queue")]

#[cfg(feature = "backtrace")]
mod backtrace;
mod bound;
mod budget;
pub(crate) mod cancel;
mod hooks;
mod hub;
mod monitor;
mod monitor_parker;
#[cfg_attr(loom, path = "model_parker.rs")]
mod parker;
#[cfg_attr(loom, path = "model_reach.rs")]
pub(crate) mod reach;
mod report;
mod reporting;
#[cfg_attr(loom, path = "model_requests.rs")]
mod requests;
mod roaming;
mod scavenger;
mod shared;
pub(crate) mod shutdown;
mod stacks;
mod stall;
mod wake;
mod waker_fiber;
mod watch;
mod worker;

use std::ptr::{self, NonNull};
use std::sync::Arc;

pub(crate) use bound::Bound;
#[cfg(not(loom))]
use budget::Verdict;
pub(crate) use budget::{Cost, spend, spend_as};
pub(crate) use hooks::Hooks;
pub(crate) use monitor::run_monitor;
pub(crate) use reporting::Reporting;
pub(crate) use shared::{Phase, Pollers, Shared};
pub(crate) use stacks::StackSupply;
pub use stall::{Activity, Stall};
pub(crate) use wake::{is_alone, is_elsewhere, wake};
#[cfg(all(test, loom))]
pub(crate) use worker::Stealable;
pub(crate) use worker::{Worker, current_worker};

use crate::cell::{Flags, Header};
use crate::os::{self, signal::watch_faults};
use crate::poller::Poller;
use crate::pool::Pool;

/// The calling fiber. `None` on a plain thread.
#[inline]
pub(crate) fn current_fiber() -> Option<NonNull<Header>> {
    current_worker()?.current()
}

/// Whether the caller runs on a worker of this runtime.
pub(crate) fn is_within(shared: &Shared) -> bool {
    current_worker().is_some_and(|worker| ptr::eq(worker.shared(), shared))
}

/// Whether the calling worker's runtime is shutting down.
pub(crate) fn is_closing() -> bool {
    current_worker().is_some_and(|worker| worker.shared().phase() == Phase::Closing)
}

/// Queues a new fiber on the calling worker, where others may steal it.
#[inline]
pub(crate) fn spawn_here(worker: &Worker, fiber: NonNull<Header>) {
    if let Some(me) = worker.current() {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        if header.has(Flags::DISTRIBUTED) {
            header.unset_flag(Flags::DISTRIBUTED);
            // SAFETY: a new fiber that is in no queue yet is ours.
            if !unsafe { fiber.as_ref() }.has(Flags::ROAMING) {
                return worker.place(fiber);
            }
        }
    }
    let is_crowded = worker.push_unstarted(fiber);
    spend(if is_crowded { Cost::Surplus } else { Cost::Call });
}

/// The poller with which the calling fiber registers descriptors. `None` on a plain thread.
pub(crate) fn current_poller() -> Option<Arc<Poller>> {
    let worker = current_worker()?;
    worker.current()?;
    Some(Arc::clone(worker.shared().poller_for(worker.index)))
}

/// Whether the calling fiber's worker polls with `poller`, or learns at once what the poller's thread has polled. `false` on a
/// plain thread.
#[inline]
pub(crate) fn is_current_poller(poller: &Poller) -> bool {
    current_worker().is_some_and(|worker| {
        worker.current().is_some() && ptr::eq(&raw const **worker.shared().poller_for(worker.index), poller)
    })
}

/// Notes that the current fiber has accepted a connection: the next fiber that it spawns is placed on the worker with the
/// fewest placed fibers.
pub(crate) fn placement_hint() {
    if let Some(me) = current_fiber() {
        // SAFETY: the caller is this fiber.
        unsafe { me.as_ref() }.set_flag(Flags::DISTRIBUTED);
    }
}

/// The blocking pool of the calling fiber's runtime. `None` on a plain thread.
pub(crate) fn blocking_pool() -> Option<Arc<Pool>> {
    let worker = current_worker()?;
    worker.current()?;
    Some(Arc::clone(&worker.shared().blocking))
}

/// Lets others run as `verdict` says: the current fiber has used up its budget. This is not a cancellation point: the caller
/// may have promised not to wait.
#[cfg(not(loom))]
fn obey(verdict: Verdict, worker: &Worker, me: NonNull<Header>, is_crowded: bool) {
    let let_others_run = || match verdict {
        Verdict::Continue => {}
        Verdict::Yield if is_crowded => worker.defer_self(me),
        Verdict::Yield => worker.let_others_run(me),
        Verdict::HubPass => worker.request_hub_pass(me),
    };
    if !std::thread::panicking() {
        let_others_run();
    } else if verdict != Verdict::Continue {
        // SAFETY: the caller is this fiber.
        worker.suspend_unwinding(unsafe { me.as_ref() }, let_others_run);
    }
}

/// The body of a worker's thread.
pub(crate) fn run_worker(shared: &Shared, index: usize) {
    // If this fails, a stack overflow still ends the process by the signal, only without the report.
    let _ = watch_faults(report::on_fault);
    shared.workers[index].set_thread_id(os::thread::id());
    shared.workers[index].run();
    shared.end_worker(index);
}

/// The body of the poller's thread, where there is one. The thread goes on until the last worker has ended, not only the last
/// fiber: an unstarted fiber that is aborted must still start in order to drop its closure, which may wait.
pub(crate) fn run_poller(shared: &Shared) {
    let Pollers::Thread(poller) = &shared.pollers else { return };
    while shared.has_running_workers() {
        poller.wait(None, |wakeup| waker_fiber::wake_from_poller(shared, wakeup));
    }
}
