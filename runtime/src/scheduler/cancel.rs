//! Cancellation: ending a fiber's wait from outside. `park/cancel.rs` has the fiber's own side.
//!
//! A fiber's **flag** says that the whole fiber is cancelled. Its **cancel scopes** (`cell/cancel_scope.rs`) say that it must
//! unwind to one of its frames. A blocking call looks at both before it waits. A wait that has begun is ended by a claim:
//!
//! * the wait of a plain thread, under the lock of the cancel scope that is fired;
//! * the wait of a fiber, by its home, the one thread on which the fiber cannot run meanwhile. A canceller on another thread
//!   sends the home a request, which the home handles when it next comes to its hub. The home looks at the flag and the cancel
//!   scopes as the fiber would, and whether the fiber can unwind to its target (`reach.rs`). If not, the fiber waits on.
//!
//! An unstarted fiber has no home yet, so the request goes to every worker. Each worker either has started the fiber by the time
//! it looks (and is its home, which it knows itself), or has seen the flag by the time it starts the fiber, since taking the
//! request out of the queue made the flag visible. The same holds for a roaming fiber.
//!
//! `park/model_cancel.rs` checks the flag's part with loom, except for roaming fibers.

#![expect(unsafe_code, reason = "follows the addresses of waiters on the stacks of parked fibers")]

use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::here::present;
use super::inspect::HubRequest;
use super::shared::Shared;
use super::worker::Worker;
use super::{reach, wake};
use crate::cell::{Chain, Fiber, Fired, Flags, Header, Outcome, Target, Waiter, Wakeup};

/// The target to which the caller must unwind from its next blocking call, if there is one.
pub(crate) fn pending(chain: &Chain, fiber: Option<&Header>) -> Option<Target> {
    #[cfg(feature = "own-tls")]
    if fiber.is_some_and(|fiber| fiber.has(Flags::SHIELDED)) {
        return None;
    }
    let state = chain.state();
    if !state.is_shielded && fiber.is_some_and(Header::must_unwind) {
        return Some(Target::Fiber);
    }
    state.pending
}

/// [`pending`] or the target nearest to it that an unwinding can get to. `can_unwind` tells that of a frame's address.
pub(crate) fn deliverable(
    chain: &Chain,
    fiber: Option<&Header>,
    can_unwind: impl Fn(usize) -> bool,
) -> Option<Target> {
    let first = pending(chain, fiber)?;
    #[cfg(feature = "own-tls")]
    if fiber.is_some_and(|fiber| fiber.has(Flags::ENDS_IN_ERROR)) {
        return Some(first);
    }
    if first == Target::Fiber && can_unwind(0) {
        return Some(first);
    }
    chain.pending().into_iter().rev().find(|(_, mark)| can_unwind(*mark)).map(|(target, _)| target)
}

/// Whether `fiber` must unwind, and can. It is parked in the wait of `waiter`, inside a cancel scope whose deadline `at` has
/// passed.
///
/// # Safety
///
/// The fiber is suspended, and lives on the calling thread.
#[cold]
pub(super) unsafe fn expires(fiber: &Header, waiter: &Waiter, at: Instant) -> bool {
    fiber.cancel_scopes.expire(at);
    // SAFETY: the caller's promise.
    let can_unwind = |mark| unsafe { reach::can_unwind_parked(fiber, waiter, mark) };
    probe(fiber, can_unwind)
}

/// Cancels the fiber of this handle, unless it has ended. From any thread.
pub(crate) fn cancel(fiber: &Fiber) {
    request_from_home(fiber, |header| {
        header.request_cancellation();
        header.must_unwind()
    });
}

/// Ends the wait inside a cancel scope that has fired, if there is one. From any thread.
pub(crate) fn end_wait_within(fired: Fired) {
    match fired {
        Fired::Thread(wakeup) => wake(wakeup),
        Fired::Fiber(fiber) => request_from_home(&fiber, |_| true),
    }
}

/// Asks the home of this fiber to end the wait that the fiber may be in, if `prepare` says so.
fn request_from_home(fiber: &Fiber, prepare: impl FnOnce(&Header) -> bool) {
    let here = present();
    let action = fiber.identity().with_header(|header| {
        if !prepare(header) {
            return Action::Nothing;
        }
        let (home, shared) = match header.owner() {
            Ok(home) => {
                // SAFETY: a home outlives its fibers, and this one cannot end meanwhile.
                let home: &Worker = unsafe { &*home.cast() };
                let is_here = here.as_deref().is_some_and(|here| ptr::eq(here, home)) && !header.is_roaming();
                if is_here && !home.is_in_hook(header) {
                    return Action::Wake(end_wait(header));
                }
                ((!header.is_roaming()).then_some(home.index), ptr::from_ref(home.shared()))
            }
            Err(shared) => (None, shared.cast::<Shared>()),
        };
        // SAFETY: a runtime outlives its fibers, started or not; see above. The guard keeps the runtime once this one may end.
        let shared: &Shared = unsafe { &*shared };
        Action::Request(shared, home, shared.guard())
    });
    match action {
        None | Some(Action::Nothing) => {}
        Some(Action::Wake(Cancelling::Wake(wakeup))) => wake(wakeup),
        Some(Action::Wake(Cancelling::Nothing)) => {}
        Some(Action::Request(shared, home, _guard)) => {
            let all = 0..shared.workers.len();
            let receivers = home.map_or(all, |home| home..home + 1);
            for worker in &shared.workers[receivers] {
                worker.remote.requests.push(HubRequest::Cancel(fiber.clone()));
                shared.unpark(worker);
            }
        }
    }
}

/// The rest of the work, once the fiber may end again.
enum Action<'a> {
    Nothing,
    Wake(Cancelling),
    /// Ask the worker with this index, or all workers.
    Request(&'a Shared, Option<usize>, super::shared::RuntimeGuard<'a>),
}

/// The result of an attempt to end a fiber's wait.
pub(super) enum Cancelling {
    Wake(Wakeup),
    Nothing,
}

/// Ends the wait that a fiber of the calling worker may be in, if the fiber must unwind and can.
pub(super) fn end_wait(fiber: &Header) -> Cancelling {
    let waiter = fiber.waiting();
    // SAFETY: the pointer is set exactly while the fiber is inside `block` with a waiter on its stack, and the
    // fiber lives on the calling thread, so it does not move on meanwhile.
    let Some(waiting) = (unsafe { waiter.as_ref() }) else { return Cancelling::Nothing };
    // SAFETY: as above; the fiber has been switched away from, since the caller is neither the fiber nor its hook.
    let can_unwind = |mark| unsafe { reach::can_unwind_parked(fiber, waiter, mark) };
    if waiting.outcome().is_some() || !probe(fiber, can_unwind) {
        return Cancelling::Nothing;
    }
    waiting.claim(Outcome::Cancelled).map_or(Cancelling::Nothing, Cancelling::Wake)
}

/// Whether a parked fiber must unwind, and can. Sets [`Flags::PROBED`] if so.
fn probe(fiber: &Header, can_unwind: impl Fn(usize) -> bool) -> bool {
    let target = deliverable(&fiber.cancel_scopes, Some(fiber), can_unwind);
    if let Some(target) = target {
        fiber.cancel_scopes.note_probed(target);
        fiber.set_flag(Flags::PROBED);
    }
    target.is_some()
}

/// [`end_wait`] for a roaming fiber, which may be on any worker.
pub(super) fn end_roaming_wait(worker: &Worker, fiber: &Header) -> Cancelling {
    let is_home = || ptr::eq(fiber.home.load(Ordering::Acquire).cast(), worker);
    // If this is the home of a roaming fiber and the fiber has a waiter, then it is parked: it cannot run here while we are in
    // the hub, and others can take it only after we have made it ready, which clears the waiter. The home is read again after
    // the waiter, since another worker may have had the fiber before that.
    if is_home() && !fiber.waiting().is_null() && is_home() { end_wait(fiber) } else { Cancelling::Nothing }
}

impl Worker {
    /// Cancels `fiber`, which may live here. From the hub.
    pub(super) fn cancel_requested(&self, fiber: &Fiber) {
        let done = fiber.identity().with_header(|header| match header.owner() {
            Ok(_) if header.is_roaming() => end_roaming_wait(self, header),
            Ok(home) if ptr::eq(home.cast(), self) => end_wait(header),
            _ => Cancelling::Nothing,
        });
        match done {
            Some(Cancelling::Wake(wakeup)) => wake(wakeup),
            Some(Cancelling::Nothing) | None => {}
        }
    }
}
