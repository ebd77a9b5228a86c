//! Decides which fiber runs where and when: workers, the hub, stealing, placement of spawns, start and shutdown.
//!
//! `README.md` beside this file tells the idle protocol. The rooms above use the functions of this file.

#![expect(unsafe_code, reason = "hands cells from queue to queue")]

#[cfg(feature = "backtrace")]
mod backtrace;
mod bound;
#[cfg_attr(loom, path = "model_budget.rs")]
mod budget;
pub(crate) mod cancel;
mod cost;
mod counters;
mod delivery;
mod event;
mod expiry;
#[cfg(feature = "own-tls")]
pub(crate) mod float_control;
pub(crate) mod forked;
mod giving_way;
#[cfg(any(feature = "own-tls", all(test, loom)))]
mod handoff;
#[cfg_attr(feature = "own-tls", path = "own_here.rs")]
mod here;
mod hooks;
mod hub;
mod idle;
pub(crate) mod inspect;
mod monitor;
mod monitor_parker;
mod moved;
mod names;
mod outside;
#[cfg(feature = "backtrace")]
mod overflow_names;
#[cfg(feature = "own-tls")]
mod own_line;
#[cfg_attr(loom, path = "model_parker.rs")]
mod parker;
mod phase;
mod quiet;
#[cfg_attr(loom, path = "model_reach.rs")]
pub(crate) mod reach;
mod recording;
mod refusals;
pub(crate) mod registry;
mod relief;
mod report;
mod reporting;
#[cfg_attr(loom, path = "model_requests.rs")]
mod requests;
mod roaming;
mod scavenger;
mod shared;
pub(crate) mod shutdown;
#[cfg(feature = "tracing")]
mod spans;
mod stack_samples;
mod stacks;
mod stall;
mod standstills;
mod tick;
mod turn_log;
mod turn_record;
mod wake;
mod waker_fiber;
mod watch;
mod worker;

#[cfg(feature = "own-tls")]
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;
#[cfg(feature = "own-tls")]
use std::time::Duration;

pub(crate) use bound::Bound;
pub use budget::spend;
pub(crate) use budget::{spend_as, spend_locked};
pub use cost::Cost;
pub(crate) use counters::{BOUNDS, Histogram};
pub(crate) use event::{Cause, Decoded, Kind};
#[cfg(feature = "own-tls")]
pub(crate) use handoff::{SpareLimit, Spares, observe_stuck_threads};
#[cfg(feature = "own-tls")]
pub(crate) use here::own_caller;
pub(crate) use here::{Present, come_home, current_fiber, current_worker, fiber_on, present};
#[cfg(feature = "own-tls")]
pub(crate) use here::{pin, unpin};
pub(crate) use hooks::Hooks;
pub(crate) use monitor::run_monitor;
pub(crate) use moved::{Moved, record_bytes};
#[cfg(feature = "own-tls")]
pub(crate) use own_line::{
    can_park_here, enter_hook, is_in_own_code, leave_hook, mailbox, open_mailbox, put_into_own_mailbox,
    record, set_record, set_within_hook,
};
pub(crate) use phase::Phase;
pub(crate) use quiet::Verdict;
pub(crate) use recording::{
    OnTrigger, Recorder, Trigger, WorkerRecorder, record_label, record_text, set_recorder, set_turn_log,
    trigger,
};
pub(crate) use reporting::Reporting;
pub(crate) use shared::{Pollers, Shared};
pub(crate) use stack_samples::StackSamples;
pub(crate) use stacks::StackSupply;
pub use stall::{Activity, Stall};
pub(crate) use standstills::Standstill;
pub(crate) use turn_log::STEP;
pub(crate) use turn_record::{Entry, Logged, SENT_BITS};
pub(crate) use wake::{is_alone, wake, wake_and_tell};
use worker::CROWDED;
#[cfg(all(test, loom))]
pub(crate) use worker::Stealable;
pub(crate) use worker::{WORKER_OFFSETS, Worker, can_end_hook, end_hook};

#[cfg(feature = "own-tls")]
use crate::cell::try_allocate;
use crate::cell::{Fiber, Flags, Header, Supply, allocate};
use crate::os::{self, signal::watch_faults};
use crate::poller::Poller;
use crate::pool::Pool;

/// Whether the caller runs on a worker of this runtime.
pub(crate) fn is_within(shared: &Shared) -> bool {
    current_worker().is_some_and(|worker| ptr::eq(worker.shared(), shared))
}

/// Whether the calling worker's runtime is shutting down.
pub(crate) fn is_closing() -> bool {
    current_worker().is_some_and(|worker| worker.shared().phase() == Phase::Closing)
}

/// Whether the end of the calling worker's runtime is the end of its fibers that are threads.
pub(crate) fn ends_threads() -> bool {
    current_worker().is_some_and(|worker| worker.shared().ends_threads())
}

/// The cell of a new fiber that a thread of `worker`, its [`current_worker`], spawns. Memory comes from the worker, if it is still on the thread.
#[inline]
#[track_caller]
pub(crate) fn new_fiber<F: FnOnce() -> T, T>(
    worker: &'static Worker,
    closure: F,
    flags: Flags,
    stack_bytes: u32,
    identity: Option<Fiber>,
) -> NonNull<Header> {
    let here = here::present_at(worker);
    let supply = here.as_ref().map_or(Supply::Allocator, |here| Supply::Worker(here.cells()));
    allocate(closure, flags, stack_bytes, identity, worker.shared().address(), supply)
}

/// [`new_fiber`], of one with the usual settings that `site` has spawned; `None` if there is no memory for it.
#[cfg(feature = "own-tls")]
pub(crate) fn try_new_fiber<F: FnOnce() -> T, T>(
    worker: &'static Worker,
    closure: F,
    settings: (u32, Option<Fiber>),
    site: &'static Location<'static>,
) -> Option<NonNull<Header>> {
    let here = here::present_at(worker);
    let supply = here.as_ref().map_or(Supply::Allocator, |here| Supply::Worker(here.cells()));
    try_allocate(closure, settings, worker.shared().address(), supply, site)
}

/// Frees a cleared cell, into the memory of the calling thread's worker if there is one.
///
/// # Safety
///
/// As for [`Header::free`].
pub(crate) unsafe fn free_cell(cell: NonNull<Header>) {
    let here = here::present();
    // SAFETY: the caller's promise.
    unsafe { Header::free(cell, here.as_ref().map(|worker| worker.cells())) };
}

/// Queues a new fiber on the calling worker, where others may steal it; with its runtime, if the worker has left the thread.
#[inline]
pub(crate) fn spawn_here(worker: &'static Worker, fiber: NonNull<Header>) {
    let Some(worker) = here::present_at(worker) else { return spawn_elsewhere(worker, fiber) };
    worker.remote.counters.spawned.add(1);
    if let Some(me) = fiber_on(&worker) {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        if header.has(Flags::SPAWNS_SLOWLY) {
            // SAFETY: a new fiber that is in no queue yet is ours.
            let child = unsafe { fiber.as_ref() };
            worker.record_spawn(child);
            if header.has(Flags::LABELLED) {
                child.inherit_labels(header);
            }
            if header.has(Flags::DISTRIBUTED) {
                header.unset_flag(Flags::DISTRIBUTED);
                if !child.has(Flags::ROAMING) {
                    return worker.place(fiber);
                }
            }
        }
    }
    let is_crowded = worker.push_unstarted(fiber);
    worker.leave();
    spend(if is_crowded { Cost::Surplus } else { Cost::Call });
}

/// [`spawn_here`] without memory, of a fiber that inherits no labels or has what it needs for them.
#[cfg(feature = "own-tls")]
#[cold]
pub(crate) fn spawn_here_without_memory(worker: &'static Worker, fiber: NonNull<Header>) {
    if let Some(me) = current_fiber() {
        inherit_labels(me, fiber);
    }
    let Some(worker) = here::present_at(worker) else {
        worker.shared().inject_without_memory(fiber);
        return spend(Cost::Surplus);
    };
    worker.remote.counters.spawned.add(1);
    // SAFETY: a new fiber that is in no queue yet is ours.
    worker.record_spawn(unsafe { fiber.as_ref() });
    let is_crowded = worker.push_without_memory(fiber);
    worker.leave();
    spend(if is_crowded { Cost::Surplus } else { Cost::Call });
}

/// Queues a new fiber of a spawner that its worker has left.
#[cold]
fn spawn_elsewhere(worker: &Worker, fiber: NonNull<Header>) {
    if let Some(me) = current_fiber() {
        inherit_labels(me, fiber);
    }
    let shared = worker.shared();
    shared.inject(fiber);
    spend(if shared.injector.len() >= CROWDED { Cost::Surplus } else { Cost::Call });
}

/// Whether the calling fiber has labels, which those that it spawns inherit.
#[cfg(feature = "own-tls")]
pub(crate) fn has_labels() -> bool {
    // SAFETY: the caller is this fiber.
    current_fiber().is_some_and(|me| unsafe { me.as_ref() }.has(Flags::LABELLED))
}

/// Lets a new fiber inherit the labels of the calling one, `me`.
fn inherit_labels(me: NonNull<Header>, fiber: NonNull<Header>) {
    // SAFETY: the caller is the one, and has made the other, which is in no queue yet.
    let (me, fiber) = unsafe { (me.as_ref(), fiber.as_ref()) };
    if me.has(Flags::LABELLED) {
        fiber.inherit_labels(me);
    }
}

/// Queues a new fiber that never runs in parallel with the calling one, `me`: on the same worker, from which nobody steals it.
pub(crate) fn spawn_beside(worker: &'static Worker, me: NonNull<Header>, fiber: NonNull<Header>) {
    inherit_labels(me, fiber);
    let worker = come_home(worker);
    worker.remote.counters.spawned.add(1);
    // SAFETY: a new fiber that is in no queue yet is ours.
    worker.record_spawn(unsafe { fiber.as_ref() });
    // Straight into the ready list.
    worker.queue(fiber);
    here::bind([me, fiber], worker);
}

/// The poller with which the calling fiber registers descriptors. `None` on a plain thread.
pub(crate) fn current_poller() -> Option<Arc<Poller>> {
    let worker = current_worker()?;
    fiber_on(worker)?;
    Some(Arc::clone(worker.shared().poller_for(worker.index)))
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
    fiber_on(worker)?;
    Some(Arc::clone(&worker.shared().blocking))
}

/// The body of a worker's thread.
pub(crate) fn run_worker(shared: &Shared, index: usize) {
    // If this fails, a stack overflow still ends the process by the signal, only without the report.
    let _ = watch_faults(report::on_fault);
    worker::carry_panics_of_coroutines();
    #[cfg(feature = "own-tls")]
    if shared.has_own_tls() {
        shared.workers[index].set_coarse_now();
        return handoff::run_thread(shared, Some(&shared.workers[index]));
    }
    shared.workers[index].set_thread_id(os::thread::id());
    shared.workers[index].set_coarse_now();
    shared.workers[index].run();
    shared.end_worker(&shared.workers[index]);
}

/// Gives a runtime the threads that take over workers: at most `limit` beyond one a worker, started by `start`. `resting` threads may always rest, if
/// that is given.
#[cfg(feature = "own-tls")]
pub(crate) fn set_spares(
    shared: &Shared,
    limit: handoff::SpareLimit,
    is_eager: bool,
    keep_alive: Duration,
    resting: Option<usize>,
    start: handoff::Start,
) {
    float_control::note_usual();
    let spares = handoff::Spares::new(limit, is_eager, keep_alive, resting, start);
    let is_first = shared.spares.set(spares).is_ok();
    debug_assert!(is_first, "a runtime is built once");
}

/// Begins a thread that takes over workers, before it runs a user's code: what that starts is to inherit nothing of the monitor's.
#[cfg(feature = "own-tls")]
pub(crate) fn begin_spare(shared: &Shared) {
    if let Some(spares) = shared.spares.get() {
        spares.make_usual();
    }
}

/// The body of a thread that takes over workers.
#[cfg(feature = "own-tls")]
pub(crate) fn run_spare(shared: &Shared) {
    let _ = watch_faults(report::on_fault);
    handoff::run_thread(shared, None);
}

/// The body of the poller's thread, where there is one. The thread goes on until the last worker has ended, not only the last
/// fiber: an unstarted fiber that is aborted must still start in order to drop its closure, which may wait.
pub(crate) fn run_poller(shared: &Shared) {
    let Pollers::Thread(poller) = &shared.pollers else { return };
    while shared.has_running_workers() {
        poller.wait(None, |wakeup| waker_fiber::wake_from_poller(shared, wakeup));
    }
}
