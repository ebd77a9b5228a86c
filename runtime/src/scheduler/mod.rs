//! Who runs where and when. Workers, the hub, stealing, placement of spawns, start and shutdown.
//!
//! `README.md` beside this file tells the idle protocol. The upper layers use the functions of this file.

#![expect(unsafe_code, reason = "hands cells from queue to queue")]

#[cfg(feature = "backtrace")]
mod backtrace;
#[cfg_attr(loom, path = "model_bed.rs")]
mod bed;
mod bell;
mod bound;
#[cfg_attr(loom, path = "model_budget.rs")]
mod budget;
pub(crate) mod cancel;
mod cost;
mod errand;
mod hooks;
mod hub;
mod monitor;
#[cfg_attr(loom, path = "model_reach.rs")]
pub(crate) mod reach;
mod refusals;
mod report;
mod reporting;
#[cfg_attr(loom, path = "model_requests.rs")]
mod requests;
mod roaming;
mod shared;
pub(crate) mod shutdown;
mod stacks;
mod stall;
mod tick;
mod tidying;
mod wake;
mod watch;
mod worker;

use std::ptr::{self, NonNull};
use std::sync::Arc;

pub(crate) use bound::Bound;
pub use budget::spend;
pub(crate) use budget::spend_as;
pub use cost::Cost;
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

/// The fiber that is calling, if the caller is one.
#[inline]
pub(crate) fn current_fiber() -> Option<NonNull<Header>> {
    current_worker()?.current()
}

/// Whether the caller is on a worker of that runtime.
pub(crate) fn is_within(shared: &Shared) -> bool {
    current_worker().is_some_and(|worker| ptr::eq(worker.shared(), shared))
}

/// Whether the calling worker's runtime is shutting down.
pub(crate) fn is_closing() -> bool {
    current_worker().is_some_and(|worker| worker.shared().phase() == Phase::Closing)
}

/// Queues a new task on the calling worker, where others may steal it.
#[inline]
pub(crate) fn spawn_here(worker: &Worker, task: NonNull<Header>) {
    if let Some(me) = worker.current() {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        if header.has(Flags::SPREADS) {
            header.unset_flag(Flags::SPREADS);
            // SAFETY: a task that is in no queue yet is ours.
            if !unsafe { task.as_ref() }.has(Flags::ROAMING) {
                return worker.place(task);
            }
        }
    }
    let is_crowded = worker.push_task(task);
    spend(if is_crowded { Cost::Surplus } else { Cost::Call });
}

/// The poller with which descriptors of the calling fiber register; `None` on a plain thread.
pub(crate) fn current_poller() -> Option<Arc<Poller>> {
    let worker = current_worker()?;
    worker.current()?;
    Some(Arc::clone(worker.shared().poller_for(worker.index)))
}

/// Whether the calling fiber's worker polls with it, or learns at once what its thread has polled. `false` on a plain thread.
#[inline]
pub(crate) fn is_current_poller(poller: &Poller) -> bool {
    current_worker().is_some_and(|worker| {
        worker.current().is_some() && ptr::eq(&raw const **worker.shared().poller_for(worker.index), poller)
    })
}

/// The current fiber has accepted a connection: what it spawns next is placed where the fewest are.
pub(crate) fn placement_hint() {
    if let Some(me) = current_fiber() {
        // SAFETY: the caller is this fiber.
        unsafe { me.as_ref() }.set_flag(Flags::SPREADS);
    }
}

/// The blocking pool of the calling fiber's runtime; `None` on a plain thread.
pub(crate) fn blocking_pool() -> Option<Arc<Pool>> {
    let worker = current_worker()?;
    worker.current()?;
    Some(Arc::clone(&worker.shared().blocking))
}

/// The body of a worker's thread.
pub(crate) fn run_worker(shared: &Shared, index: usize) {
    // Without it a stack overflow still dies by the signal, only without the report.
    let _ = watch_faults(report::on_fault);
    worker::carry_panics_of_coroutines();
    shared.workers[index].set_thread_id(os::thread::id());
    shared.workers[index].run();
    shared.end_worker(index);
}

/// The body of the poller's thread, where there is one. It goes on to the end of the last worker, not only of the last
/// fiber: a task that is refused has still to start, and drops its closure, which may wait.
pub(crate) fn run_poller(shared: &Shared) {
    let Pollers::Thread(poller) = &shared.pollers else { return };
    while shared.is_worked_on() {
        poller.wait(None, |woken| errand::wake_from_poller(shared, woken));
    }
}
