//! Cancellation: ending a fiber's wait from outside, and unwinding from it.
//!
//! A fiber's **flag** says that the whole fiber is cancelled; its **boundaries** (`fiber/boundary.rs`) that it is to unwind
//! to one of its frames. A blocking call looks at both before it waits. One that waits already is ended by a claim:
//!
//! * of a boundary, under the boundary's lock, from any thread;
//! * of the flag, by the fiber's home, the one thread on which the fiber cannot run meanwhile. Who cancels from
//!   elsewhere sends the home a request, which it obeys when it next comes to its hub.
//!
//! A task has no home yet, so the request goes to every worker: each either has started it by the time it looks (and is
//! its home, which it knows itself), or has seen the flag by the time it starts it, since taking the request out of the
//! queue made the flag visible. The same holds for a fiber that roams.
//!
//! `model_cancel.rs` checks the flag's part with loom, but for fibers that roam.

#![expect(unsafe_code, reason = "follows the addresses of waiters on the stacks of parked fibers")]

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::shared::Shared;
use super::worker::Worker;
use super::{current_fiber, current_worker, wake};
use crate::fiber::{Cancelled, Chain, Fiber, Flags, Header, Outcome, Target, Waiter, Woken};

thread_local! {
    /// The boundaries of a plain thread.
    static THREAD: Chain = const { Chain::new() };
    /// What [`Flags::CANCELLING`] is for a plain thread.
    static CANCELLING: Cell<bool> = const { Cell::new(false) };
}

/// Calls `visit` with the boundaries of the calling fiber, or of the calling plain thread.
pub(crate) fn with_chain<R>(visit: impl FnOnce(&Chain) -> R) -> R {
    with_me(|chain, _| visit(chain))
}

/// To what the caller is to unwind from its next blocking call, if anything.
fn pending(chain: &Chain, fiber: Option<&Header>) -> Option<Target> {
    let outlook = chain.outlook();
    if !outlook.is_shielded && fiber.is_some_and(Header::must_unwind) {
        return Some(Target::Fiber);
    }
    outlook.pending
}

/// Calls `visit` with the boundaries of the caller, and with its header if it is a fiber.
fn with_me<R>(visit: impl FnOnce(&Chain, Option<&Header>) -> R) -> R {
    match current_fiber() {
        Some(me) => {
            // SAFETY: the caller is this fiber.
            let me = unsafe { me.as_ref() };
            visit(&me.boundaries, Some(me))
        }
        None => THREAD.with(|chain| visit(chain, None)),
    }
}

/// Whether the caller's next blocking call will unwind.
pub(crate) fn is_cancelled() -> bool {
    with_me(|chain, me| pending(chain, me).is_some())
}

/// Whether the calling fiber unwinds, or ends unstarted, because it was cancelled.
pub(crate) fn is_obeyed() -> bool {
    with_me(|_, me| me.is_some_and(Header::has_obeyed))
}

/// The duty to unwind: the caller has seen that it is cancelled, and is not cancelled for the same reason again.
#[derive(Debug)]
#[must_use = "the caller unwinds when it can"]
pub(crate) struct Cancellation(Target);

impl Cancellation {
    /// Unwinds to where the cancellation leads.
    pub(crate) fn unwind(self) -> ! {
        require_unwinding();
        let whose = with_me(|chain, me| {
            match me {
                Some(me) => me.set_flag(Flags::CANCELLING),
                None => CANCELLING.set(true),
            }
            ptr::from_ref(chain).addr()
        });
        std::panic::resume_unwind(Box::new(Cancelled::to(self.0, landed, whose)))
    }
}

/// The payload of `whose` cancellation is dropped, so that nothing unwinds with it any more.
fn landed(whose: usize) {
    with_me(|chain, me| match me {
        _ if ptr::from_ref(chain).addr() != whose => {}
        Some(me) => me.unset_flag(Flags::CANCELLING),
        None => CANCELLING.set(false),
    });
}

/// Whether the caller, who unwinds, does so because it was cancelled: as a future that is dropped, it leaves no poison.
///
/// Also true if it has caught its cancellation, keeps the payload, and has panicked since.
#[cold]
pub(crate) fn unwinds_cancelled() -> bool {
    with_me(|_, me| me.map_or_else(|| CANCELLING.get(), |me| me.has(Flags::CANCELLING)))
}

/// Ends a program that aborts on panic and asks for a cancellation, with the reason.
pub(crate) fn require_unwinding() {
    if cfg!(panic = "abort") {
        panic!("abaca: cancellation unwinds the fiber, which needs panic = \"unwind\" in the Cargo profile");
    }
}

/// The caller obeys its cancellation: its waits last to their end again.
#[cold]
pub(crate) fn acknowledge() -> Cancellation {
    let target = with_me(|chain, me| {
        // Without a request it is the shutdown, which has refused what the fiber wanted before it cancelled it.
        let target = pending(chain, me).unwrap_or(Target::Fiber);
        chain.throw_to(target);
        if let (Target::Fiber, Some(me)) = (target, me) {
            me.begin_unwinding();
        }
        target
    });
    Cancellation(target)
}

/// Unwinds the calling fiber because it is being cancelled.
#[cold]
pub(crate) fn unwind() -> ! {
    acknowledge().unwind()
}

/// A wait inside boundaries: calls `suspend` with the deadline by which the wait ends at the latest, unless the caller is
/// to unwind already, in which case the waiter is claimed. `is_visible` says whether the whole fiber may be cancelled.
#[cold]
#[inline(never)]
pub(crate) fn wait_bounded(
    chain: &Chain,
    fiber: Option<&Header>,
    waiter: &Waiter,
    deadline: Option<Instant>,
    suspend: impl FnOnce(Option<Instant>, bool),
) -> Outcome {
    let outlook = chain.outlook();
    let fiber_goes = !outlook.is_shielded && fiber.is_some_and(Header::must_unwind);
    let goes = fiber_goes || outlook.pending.is_some() || (outlook.has_signals && chain.enter(waiter));
    let nearest = outlook.nearest.filter(|nearest| deadline.is_none_or(|deadline| *nearest <= deadline));
    // A claim that is lost to a notification is a wake-up that is on its way and must be taken.
    if !goes || waiter.claim(Outcome::Cancelled).is_none() {
        suspend(nearest.or(deadline), !outlook.is_shielded);
    }
    if outlook.has_signals {
        chain.leave();
    }
    match (waiter.outcome().expect("only a claim ends a wait"), nearest) {
        (Outcome::TimedOut, Some(at)) => {
            chain.expire(at);
            Outcome::Cancelled
        }
        (outcome, _) => outcome,
    }
}

/// Cancels the fiber of that handle, unless it has ended. From any thread.
pub(crate) fn cancel(fiber: &Fiber) {
    let here = current_worker();
    let todo = fiber.identity().with_header(|header| {
        header.request_cancellation();
        if !header.must_unwind() {
            return Todo::Nothing;
        }
        let (home, shared) = match header.whereabouts() {
            Ok(home) => {
                // SAFETY: a home outlives its fibers, and this one cannot end meanwhile.
                let home: &Worker = unsafe { &*home.cast() };
                if here.is_some_and(|here| ptr::eq(here, home)) && !header.has_roaming() {
                    return Todo::Wake(cancel_here(header));
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

/// Marks a fiber of the calling worker as cancelled, and ends the wait it may be in.
pub(super) fn cancel_here(fiber: &Header) -> Cancelling {
    fiber.request_cancellation();
    if !fiber.must_unwind() {
        return Cancelling::Nothing;
    }
    // SAFETY: the pointer is set exactly while the fiber is inside `block` with a waiter on its stack, and the
    // fiber lives on the calling thread, so it does not move on meanwhile.
    let woken = unsafe { fiber.waiting().as_ref() }.and_then(|waiter| waiter.claim(Outcome::Cancelled));
    woken.map_or(Cancelling::Nothing, Cancelling::Wake)
}

/// [`cancel_here`] for a roaming fiber, which may be anywhere.
pub(super) fn cancel_roaming_here(worker: &Worker, fiber: &Header) -> Cancelling {
    fiber.request_cancellation();
    let is_home = || ptr::eq(fiber.home.load(Ordering::Acquire).cast(), worker);
    // A roaming fiber with a waiter, whose home this is, is parked: it cannot run here while we are in the
    // hub, and others can take it only after we have made it ready, which clears the waiter. The home is
    // read again after the waiter, since before that others may have had it.
    if is_home() && !fiber.waiting().is_null() && is_home() {
        cancel_here(fiber)
    } else {
        Cancelling::Nothing
    }
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
                Ok(_) if header.has_roaming() => cancel_roaming_here(self, header),
                Ok(home) if ptr::eq(home.cast(), self) => cancel_here(header),
                _ => Cancelling::Nothing,
            });
            match done {
                Some(Cancelling::Wake(woken)) => wake(woken),
                Some(Cancelling::Nothing) | None => {}
            }
        }
    }
}
