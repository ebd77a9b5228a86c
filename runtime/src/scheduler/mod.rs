//! Layer 5: who runs where and when. Workers, the hub, stealing, placement of spawns, start and shutdown.
//!
//! `README.md` beside this file tells the idle protocol. The upper layers use the functions of this file.

#![expect(unsafe_code, reason = "hands cells from queue to queue")]

#[cfg(feature = "backtrace")]
mod backtrace;
#[cfg_attr(loom, path = "model_bed.rs")]
mod bed;
mod bell;
mod bound;
mod budget;
pub(crate) mod cancel;
mod errand;
mod hooks;
mod hub;
#[cfg(all(test, loom))]
mod model_cancel;
mod monitor;
#[cfg_attr(loom, path = "model_reach.rs")]
mod reach;
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
mod tidying;
mod watch;
mod worker;

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

#[cfg(not(loom))]
use budget::Verdict;
pub(crate) use budget::{Cost, spend, spend_as};
pub(crate) use hooks::Hooks;
pub(crate) use monitor::run_monitor;
pub(crate) use reporting::Reporting;
pub(crate) use shared::{Phase, Pollers, Shared};
pub(crate) use stacks::StackSupply;
pub use stall::{Activity, Stall};
pub(crate) use worker::{Worker, current_worker};

use crate::blocking::Pool;
use crate::fiber::{Flags, Header, Outcome, Reason, Waiter, Woken};
use crate::os::signal::watch_faults;
use crate::os::{self, futex};
use crate::poller::Poller;
use crate::timer::Entry;
use bound::Bound;
use cancel::Until;

/// The fiber that is calling, if the caller is one.
#[inline]
pub(crate) fn current_fiber() -> Option<NonNull<Header>> {
    current_worker()?.current()
}

/// Whether the caller is on a worker of that runtime.
pub(crate) fn is_within(shared: &Shared) -> bool {
    current_worker().is_some_and(|worker| ptr::eq(worker.shared(), shared))
}

/// Delivers the wake-up that a successful claim owes.
#[inline]
pub(crate) fn wake(woken: Woken) {
    match woken {
        Woken::Fiber(fiber) => wake_fiber(fiber),
        Woken::Thread(word) => futex::wake_one(word),
        Woken::Awake => {}
        Woken::Task(task) => errand::wake(task),
    }
}

#[inline]
fn wake_fiber(fiber: NonNull<Header>) {
    // SAFETY: the claim gave us this one wake-up, without which the fiber cannot end. Relaxed: the fiber
    // registered the waiter that led here after its home was written.
    let home = unsafe { fiber.as_ref() }.home.load(Ordering::Relaxed).cast::<Worker>();
    match current_worker() {
        Some(worker) if ptr::eq(worker, home) => worker.make_ready(fiber),
        other => wake_elsewhere(other, home, fiber),
    }
}

/// Whether that wake-up goes to another thread than the caller's.
#[inline]
pub(crate) fn is_elsewhere(woken: &Woken) -> bool {
    let Woken::Fiber(fiber) = woken else { return true };
    // SAFETY: as in `wake_fiber`: the caller has the wake-up and has not delivered it yet.
    let home = unsafe { fiber.as_ref() }.home.load(Ordering::Relaxed).cast_const().cast();
    home != current_worker().map_or(ptr::null(), ptr::from_ref)
}

/// Whether nobody else could run in the caller's place: it is a plain thread, or the only fiber of its worker
/// that is ready.
pub(crate) fn is_alone() -> bool {
    current_worker().is_none_or(|worker| worker.ready.is_empty() && !worker.remote.inbox.has_mail())
}

#[cold]
#[inline(never)]
fn wake_elsewhere(worker: Option<&Worker>, home: *const Worker, fiber: NonNull<Header>) {
    // SAFETY: the home outlives its fibers, and this one cannot end before it is woken.
    let home = unsafe { &*home };
    // SAFETY: as above, for the runtime; once the fiber is delivered the visit keeps it. A worker of the same
    // runtime needs none: its own thread keeps the runtime.
    let shared: &Shared = unsafe { &*ptr::from_ref(home.shared()) };
    let is_ours = worker.is_some_and(|worker| ptr::eq(worker.shared(), shared));
    let _visit = (!is_ours).then(|| shared.enter());
    shared.deliver(home, fiber);
}

/// Blocks the current fiber until `waiter` is claimed, or until `deadline`.
#[inline(never)]
pub(crate) fn block(
    me: NonNull<Header>,
    waiter: &Waiter,
    reason: Reason,
    deadline: Option<Instant>,
) -> Outcome {
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    if std::thread::panicking() {
        return block_unwinding(me, waiter, reason, deadline);
    }
    if header.must_unwind() || !header.boundaries.is_empty() {
        let suspend = |until: Until<'_>| suspend_in_bounds(me, waiter, reason, until);
        return cancel::wait_bounded(&header.boundaries, Some(header), waiter, deadline, suspend);
    }
    suspend_in_wait(me, waiter, reason, deadline, true);
    waiter.outcome().expect("only a claim makes a parked fiber ready")
}

/// Suspends the current fiber until `waiter` is claimed; the flag of cancellation may claim it if that `is_visible`.
#[inline]
fn suspend_in_wait(
    me: NonNull<Header>,
    waiter: &Waiter,
    reason: Reason,
    deadline: Option<Instant>,
    is_visible: bool,
) {
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    header.set_waiting(if is_visible { waiter } else { ptr::null() }, reason);
    let worker = current_worker().expect("a fiber runs on a worker");
    match deadline {
        None => worker.suspend(me),
        Some(at) => block_until(worker, me, waiter, at),
    }
    header.set_waiting(ptr::null(), Reason::None);
}

/// `suspend_in_wait` inside of boundaries.
#[cold]
fn suspend_in_bounds(me: NonNull<Header>, waiter: &Waiter, reason: Reason, until: Until<'_>) {
    let Some(at) = until.bound else { return suspend_in_wait(me, waiter, reason, until.own, true) };
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    header.set_waiting(waiter, reason);
    let worker = current_worker().expect("a fiber runs on a worker");
    let own_ns = until.own.map(|own| worker.shared().ns_at(own));
    let bound = Bound { fiber: me, waiter, at: Cell::new(Some(at)), own_ns, has_ended_wait: until.by_bound };
    wait_with_entry(worker, me, &Entry::new(bound.to_owner()), at);
    header.set_waiting(ptr::null(), Reason::None);
}

/// `block` with a timer, whose entry lives in this frame.
#[inline(never)]
fn block_until(worker: &Worker, me: NonNull<Header>, waiter: &Waiter, at: Instant) {
    wait_with_entry(worker, me, &Entry::new(ptr::from_ref(waiter).cast()), at);
}

#[inline]
fn wait_with_entry(worker: &Worker, me: NonNull<Header>, entry: &Entry, at: Instant) {
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    let at = worker.shared().ns_at(at);
    let was_anchored = header.has(Flags::ANCHORED);
    // The entry is in this worker's wheel, so this worker must resume us even if we roam.
    header.set_flag(Flags::ANCHORED);
    // SAFETY: the entry stays in place, and is taken out below before the frame ends.
    unsafe { worker.wheel.insert(entry, at) };
    worker.suspend(me);
    // SAFETY: inserted above into this worker's wheel, on whose thread an anchored fiber resumes.
    unsafe { worker.wheel.cancel(entry) };
    if !was_anchored {
        header.unset_flag(Flags::ANCHORED);
    }
}

/// `block` of a fiber that unwinds, in one of whose destructors we are: it waits to the end, since a second unwinding would
/// abort.
#[cold]
#[inline(never)]
fn block_unwinding(
    me: NonNull<Header>,
    waiter: &Waiter,
    reason: Reason,
    deadline: Option<Instant>,
) -> Outcome {
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    let worker = current_worker().expect("a fiber runs on a worker");
    worker.suspend_unwinding(header, || suspend_in_wait(me, waiter, reason, deadline, false));
    waiter.outcome().expect("only a claim makes a parked fiber ready")
}

/// Lets the other fibers of this worker run; on a plain thread, the other threads.
#[inline(never)]
pub(crate) fn yield_now() {
    match current_worker().and_then(|worker| Some((worker, worker.current()?))) {
        Some((worker, me)) => {
            // SAFETY: the caller is this fiber.
            let header = unsafe { me.as_ref() };
            if std::thread::panicking() {
                return worker.suspend_unwinding(header, || worker.yield_now(me));
            }
            if (header.must_unwind() || !header.boundaries.is_empty()) && cancel::is_cancelled() {
                cancel::unwind();
            }
            worker.yield_now(me);
        }
        None => std::thread::yield_now(),
    }
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

/// The current fiber, whose budget is used up, lets others run. This is no place to obey a cancellation: the caller may have
/// promised not to wait.
#[cfg(not(loom))]
fn give_way(worker: &Worker, me: NonNull<Header>, verdict: Verdict, is_crowded: bool) {
    let give_way = || match verdict {
        Verdict::GoOn => {}
        Verdict::Yield if is_crowded => worker.step_aside(me),
        Verdict::Yield => worker.let_others_run(me),
        Verdict::Round => worker.ask_for_round(me),
    };
    if !std::thread::panicking() {
        give_way();
    } else if verdict != Verdict::GoOn {
        // SAFETY: the caller is this fiber.
        worker.suspend_unwinding(unsafe { me.as_ref() }, give_way);
    }
}

/// The body of a worker's thread.
pub(crate) fn run_worker(shared: &Shared, index: usize) {
    // Without it a stack overflow still dies by the signal, only without the report.
    let _ = watch_faults(report::on_fault);
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
