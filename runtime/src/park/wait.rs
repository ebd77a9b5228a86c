//! Waiting, for the current fiber; `thread.rs` does it for a plain thread.
//!
//! A fiber waits until its waiter is claimed: by the waker, by its timer, or by a cancellation.

#![expect(unsafe_code, reason = "uses the header of the calling fiber, and timers in its frame")]

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::time::Instant;

use super::cancel::{Until, is_cancelled, unwind, wait_in_scopes};
use super::thread::wait_on_thread;
use crate::cell::{Flags, Header, Outcome, Reason, Waiter};
use crate::scheduler::{self, Bound, Worker, current_worker, fiber_on};
use crate::timer::Entry;

/// A waiter for the caller: the current fiber, or this OS thread.
#[inline]
pub(crate) fn waiter() -> Waiter {
    Waiter::new(scheduler::current_fiber())
}

/// Whether the caller runs on a fiber (and parks), or on a plain OS thread (and blocks).
pub(crate) fn on_fiber() -> bool {
    scheduler::current_fiber().is_some()
}

/// Waits until `waiter` is claimed, or claims it itself when `deadline` passes.
///
/// On `TimedOut` and `Cancelled` the waiter may still be registered in its queue: the caller must remove it, under
/// the queue's lock, before it returns or unwinds.
#[inline]
pub(crate) fn wait(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    match waiter.fiber() {
        Some(me) => block(me, waiter, reason, deadline),
        None => wait_on_thread(waiter, reason, deadline),
    }
}

/// [`wait`] within the caller's frame, which is smaller than the two that there are otherwise.
#[inline(always)]
pub(crate) fn wait_within(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    match waiter.fiber() {
        Some(me) => {
            let worker = current_worker().expect("a fiber runs on a worker");
            block_on(worker, me, waiter, reason, deadline)
        }
        None => wait_on_thread(waiter, reason, deadline),
    }
}

/// [`wait`], which no cancellation ends: what [`shield`](super::shield) around it would do, for less.
#[cfg(feature = "own-tls")]
#[inline]
pub(crate) fn wait_shielded(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    let Some(me) = waiter.fiber() else {
        return super::shield(|| wait_on_thread(waiter, reason, deadline));
    };
    if std::thread::panicking() {
        return block_to_end(me, waiter, reason, deadline);
    }
    let worker = home();
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    // What may look at the wait from outside is the fiber's home, which finds the flag while the fiber is suspended.
    header.set_flag(Flags::SHIELDED);
    suspend_in_wait::<false>(&worker, me, waiter, reason, deadline, true);
    header.unset_flag(Flags::SHIELDED);
    waiter.outcome().expect("only a claim makes a parked fiber ready")
}

/// Blocks the current fiber until `waiter` is claimed, or until `deadline`.
#[inline(never)]
pub(super) fn block(
    me: NonNull<Header>,
    waiter: &Waiter,
    reason: Reason,
    deadline: Option<Instant>,
) -> Outcome {
    block_as::<false>(current_worker().expect("a fiber runs on a worker"), me, waiter, reason, deadline)
}

/// Blocks the current fiber as [`wait`], within the caller's frame, given the [`current_worker`].
#[inline(always)]
pub(crate) fn block_on(
    worker: &'static Worker,
    me: NonNull<Header>,
    waiter: &Waiter,
    reason: Reason,
    deadline: Option<Instant>,
) -> Outcome {
    block_as::<true>(worker, me, waiter, reason, deadline)
}

#[inline(always)]
fn block_as<const IS_LARGE: bool>(
    worker: &'static Worker,
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
    if header.must_unwind() || !header.cancel_scopes.is_empty() {
        let suspend = |until: Until<'_>| suspend_in_scopes(me, waiter, reason, until);
        return wait_in_scopes(&header.cancel_scopes, Some(header), waiter, deadline, suspend);
    }
    suspend_in_wait::<IS_LARGE>(&scheduler::come_home(worker), me, waiter, reason, deadline, true);
    waiter.outcome().expect("only a claim makes a parked fiber ready")
}

/// The calling fiber's worker, on whose thread it is when this returns.
#[inline(always)]
fn home() -> scheduler::Present {
    scheduler::come_home(current_worker().expect("a fiber runs on a worker"))
}

/// Suspends the current fiber until `waiter` is claimed. If `is_visible`, a cancellation may claim it.
#[inline(always)]
fn suspend_in_wait<const IS_LARGE: bool>(
    worker: &Worker,
    me: NonNull<Header>,
    waiter: &Waiter,
    reason: Reason,
    deadline: Option<Instant>,
    is_visible: bool,
) {
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    header.set_waiting(if is_visible { waiter } else { ptr::null() }, reason, worker.coarse_now());
    match deadline {
        None => worker.suspend_as::<IS_LARGE>(me),
        Some(at) => block_until(worker, me, waiter, at),
    }
    header.end_waiting();
}

/// `suspend_in_wait` inside of cancel scopes.
#[cold]
fn suspend_in_scopes(me: NonNull<Header>, waiter: &Waiter, reason: Reason, until: Until<'_>) {
    let Some(at) = until.bound else {
        return suspend_in_wait::<false>(&home(), me, waiter, reason, until.own, true);
    };
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    let worker = home();
    header.set_waiting(waiter, reason, worker.coarse_now());
    let own_ns = until.own.map(|own| worker.shared().ns_at(own));
    let bound = Bound { fiber: me, waiter, at: Cell::new(Some(at)), own_ns, has_ended_wait: until.by_bound };
    wait_with_entry(&worker, me, &Entry::new(bound.to_owner()), at);
    header.end_waiting();
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
    let was_pinned = header.has(Flags::PINNED);
    // The entry is in this worker's wheel, so this worker must resume the fiber even if it roams, or take the entry out before.
    if !header.lets_go_of_timer(entry) {
        header.set_flag(Flags::PINNED);
    }
    // SAFETY: the entry stays in place, and is taken out below before the frame ends.
    unsafe { worker.wheel.insert(entry, at) };
    worker.suspend(me);
    // SAFETY: inserted above into this worker's wheel. If it is still there, the fiber has been resumed on that worker's thread.
    unsafe { worker.wheel.cancel(entry) };
    header.forget_timer();
    if !was_pinned {
        header.unset_flag(Flags::PINNED);
    }
}

/// `block` in a destructor of a fiber that unwinds. What it has entered since may end the wait, by an unwinding inside of the
/// destructor. Nothing else may: an unwinding out of a destructor that runs because of another would abort the process.
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
    let Some(_visible) = header.cancel_scopes.visible_nested() else {
        return block_to_end(me, waiter, reason, deadline);
    };
    let suspend = |until: Until<'_>| {
        home().suspend_unwinding(header, || suspend_in_scopes(me, waiter, reason, until));
    };
    wait_in_scopes(&header.cancel_scopes, Some(header), waiter, deadline, suspend)
}

/// `block` of a fiber that unwinds, which nothing else ends.
fn block_to_end(me: NonNull<Header>, waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    let worker = home();
    worker
        .suspend_unwinding(header, || suspend_in_wait::<false>(&worker, me, waiter, reason, deadline, false));
    waiter.outcome().expect("only a claim makes a parked fiber ready")
}

/// Lets the other fibers of this worker run, or on a plain thread the other threads.
#[inline(never)]
pub(crate) fn yield_now() {
    match current_worker().and_then(|worker| Some((worker, fiber_on(worker)?))) {
        Some((worker, me)) => {
            // SAFETY: the caller is this fiber.
            let header = unsafe { me.as_ref() };
            if std::thread::panicking() {
                if is_cancelled() {
                    unwind();
                }
                let worker = scheduler::come_home(worker);
                return worker.suspend_unwinding(header, || worker.yield_now(me));
            }
            if (header.must_unwind() || !header.cancel_scopes.is_empty()) && is_cancelled() {
                unwind();
            }
            scheduler::come_home(worker).yield_now(me);
        }
        None => std::thread::yield_now(),
    }
}
