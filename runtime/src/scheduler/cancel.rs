//! Cancellation: ending a fiber's wait from outside. What the fiber makes of it is in `park/cancel.rs`.
//!
//! A fiber's **flag** says that the whole fiber is cancelled; its **boundaries** (`cell/boundary.rs`) that it is to unwind
//! to one of its frames. A blocking call looks at both before it waits. One that waits already is ended by a claim:
//!
//! * of a plain thread, under the lock of the boundary that is fired;
//! * of a fiber, by its home, the one thread on which the fiber cannot run meanwhile. Who cancels from elsewhere sends the
//!   home a request, which it obeys when it next comes to its hub. It looks at flag and boundaries as the fiber would, and
//!   whether the fiber can unwind to where it is to (`reach.rs`); if not, the fiber waits on.
//!
//! A task has no home yet, so the request goes to every worker: each either has started it by the time it looks (and is
//! its home, which it knows itself), or has seen the flag by the time it starts it, since taking the request out of the
//! queue made the flag visible. The same holds for a fiber that roams.
//!
//! `park/model_cancel.rs` checks the flag's part with loom, but for fibers that roam.

#![expect(unsafe_code, reason = "follows the addresses of waiters on the stacks of parked fibers")]

use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::shared::Shared;
use super::worker::Worker;
use super::{current_worker, reach, wake};
use crate::cell::{Chain, Fiber, Fired, Flags, Header, Outcome, Target, Waiter, Woken};

/// To what the caller is to unwind from its next blocking call, if anything.
pub(crate) fn pending(chain: &Chain, fiber: Option<&Header>) -> Option<Target> {
    let outlook = chain.outlook();
    if !outlook.is_shielded && fiber.is_some_and(Header::must_unwind) {
        return Some(Target::Fiber);
    }
    outlook.pending
}

/// [`pending`], or what comes next to it, if an unwinding gets there, which `is_free` says of a frame's address.
pub(crate) fn obeyable(
    chain: &Chain,
    fiber: Option<&Header>,
    is_free: impl Fn(usize) -> bool,
) -> Option<Target> {
    let first = pending(chain, fiber)?;
    if first == Target::Fiber && is_free(0) {
        return Some(first);
    }
    chain.pending().into_iter().rev().find(|(_, mark)| is_free(*mark)).map(|(target, _)| target)
}

/// Whether `fiber`, which is parked in the wait of `waiter` with a boundary whose time `at` is up, is to unwind.
///
/// # Safety
///
/// The fiber is suspended, and lives on the calling thread.
#[cold]
pub(super) unsafe fn expires(fiber: &Header, waiter: &Waiter, at: Instant) -> bool {
    fiber.boundaries.expire(at);
    // SAFETY: the caller's promise.
    let is_free = |mark| unsafe { reach::is_free_of(fiber, waiter, mark) };
    probe(fiber, is_free)
}

/// Cancels the fiber of that handle, unless it has ended. From any thread.
pub(crate) fn cancel(fiber: &Fiber) {
    ask_home(fiber, |header| {
        header.request_cancellation();
        header.must_unwind()
    });
}

/// Gets whoever waits inside of a fired boundary out of the wait. From any thread.
pub(crate) fn tell(fired: Fired) {
    match fired {
        Fired::Thread(woken) => wake(woken),
        Fired::Fiber(fiber) => ask_home(&fiber, |_| true),
    }
}

/// Lets the home of that fiber end the wait that it may be in, if `prepare` says so.
fn ask_home(fiber: &Fiber, prepare: impl FnOnce(&Header) -> bool) {
    let here = current_worker();
    let todo = fiber.identity().with_header(|header| {
        if !prepare(header) {
            return Todo::Nothing;
        }
        let (home, shared) = match header.whereabouts() {
            Ok(home) => {
                // SAFETY: a home outlives its fibers, and this one cannot end meanwhile.
                let home: &Worker = unsafe { &*home.cast() };
                let is_here = here.is_some_and(|here| ptr::eq(here, home)) && !header.has_roaming();
                if is_here && !header.has(Flags::IN_HOOK) {
                    return Todo::Wake(end_wait(header));
                }
                ((!header.has_roaming()).then_some(home.index), ptr::from_ref(home.shared()))
            }
            Err(shared) => (None, shared.cast::<Shared>()),
        };
        // SAFETY: a runtime outlives its fibers and tasks; see above. The visit keeps it once this one may end.
        let shared: &Shared = unsafe { &*shared };
        Todo::Request(shared, home, shared.enter())
    });
    match todo {
        None | Some(Todo::Nothing) => {}
        Some(Todo::Wake(Cancelling::Wake(woken))) => wake(woken),
        Some(Todo::Wake(Cancelling::Nothing)) => {}
        Some(Todo::Request(shared, home, _visit)) => {
            let all = 0..shared.workers.len();
            let receivers = home.map_or(all, |home| home..home + 1);
            for worker in &shared.workers[receivers] {
                worker.remote.cancellations.push(fiber.clone());
                shared.rouse(worker);
            }
        }
    }
}

/// What is left to do when the fiber may end again.
enum Todo<'a> {
    Nothing,
    Wake(Cancelling),
    /// Ask this worker, or all of them.
    Request(&'a Shared, Option<usize>, super::shared::Visit<'a>),
}

/// What became of the attempt to end a fiber's wait.
pub(super) enum Cancelling {
    Wake(Woken),
    Nothing,
}

/// Ends the wait that a fiber of the calling worker may be in, if it is to unwind and can.
pub(super) fn end_wait(fiber: &Header) -> Cancelling {
    let waiter = fiber.waiting();
    // SAFETY: the pointer is set exactly while the fiber is inside `block` with a waiter on its stack, and the
    // fiber lives on the calling thread, so it does not move on meanwhile.
    let Some(waiting) = (unsafe { waiter.as_ref() }) else { return Cancelling::Nothing };
    // SAFETY: as above; the fiber has been switched away from, since somebody else is the caller, and no hook.
    let is_free = |mark| unsafe { reach::is_free_of(fiber, waiter, mark) };
    if waiting.outcome().is_some() || !probe(fiber, is_free) {
        return Cancelling::Nothing;
    }
    waiting.claim(Outcome::Cancelled).map_or(Cancelling::Nothing, Cancelling::Wake)
}

/// Whether a parked fiber is to unwind and can, and notes it if it can go as far as it is to.
fn probe(fiber: &Header, is_free: impl Fn(usize) -> bool) -> bool {
    let target = obeyable(&fiber.boundaries, Some(fiber), is_free);
    if target.is_some() && target == pending(&fiber.boundaries, Some(fiber)) {
        fiber.set_flag(Flags::PROBED);
    }
    target.is_some()
}

/// [`end_wait`] of a roaming fiber, which may be anywhere.
pub(super) fn end_roaming_wait(worker: &Worker, fiber: &Header) -> Cancelling {
    let is_home = || ptr::eq(fiber.home.load(Ordering::Acquire).cast(), worker);
    // A roaming fiber with a waiter, whose home this is, is parked: it cannot run here while we are in the
    // hub, and others can take it only after we have made it ready, which clears the waiter. The home is
    // read again after the waiter, since before that others may have had it.
    if is_home() && !fiber.waiting().is_null() && is_home() { end_wait(fiber) } else { Cancelling::Nothing }
}

impl Worker {
    /// Whether somebody has asked for the cancellation of a fiber that may live here.
    pub(super) fn must_cancel(&self) -> bool {
        !self.remote.cancellations.is_empty()
    }

    /// Obeys the requests. From the hub.
    #[cold]
    pub(super) fn cancel_requested(&self) {
        while let Some(fiber) = self.remote.cancellations.take() {
            let done = fiber.identity().with_header(|header| match header.whereabouts() {
                Ok(_) if header.has_roaming() => end_roaming_wait(self, header),
                Ok(home) if ptr::eq(home.cast(), self) => end_wait(header),
                _ => Cancelling::Nothing,
            });
            match done {
                Some(Cancelling::Wake(woken)) => wake(woken),
                Some(Cancelling::Nothing) | None => {}
            }
        }
    }
}
