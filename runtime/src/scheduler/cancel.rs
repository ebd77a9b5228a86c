//! Cancellation: ending a fiber's wait from outside, and unwinding from it.
//!
//! A fiber's **flag** says that the whole fiber is cancelled; its **boundaries** (`fiber/boundary.rs`) that it is to unwind
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
//! `model_cancel.rs` checks the flag's part with loom, but for fibers that roam.

#![expect(unsafe_code, reason = "follows the addresses of waiters on the stacks of parked fibers")]

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::shared::Shared;
use super::worker::Worker;
use super::{current_fiber, current_worker, reach, wake};
use crate::fiber::{Cancelled, Chain, Fiber, Fired, Flags, Header, Outcome, Target, Waiter, Woken};

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

/// [`pending`], or what comes next to it, if an unwinding gets there, which `is_free` says of a frame's address.
fn obeyable(chain: &Chain, fiber: Option<&Header>, is_free: impl Fn(usize) -> bool) -> Option<Target> {
    let first = pending(chain, fiber)?;
    if first == Target::Fiber && is_free(0) {
        return Some(first);
    }
    chain.pending().into_iter().rev().find(|(_, mark)| is_free(*mark)).map(|(target, _)| target)
}

/// Whether the caller's next blocking call will unwind.
pub(crate) fn is_cancelled() -> bool {
    with_me(|chain, me| obeyable(chain, me, reach::is_free_here).is_some())
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
        let was_probed = me.is_some_and(|me| me.has(Flags::PROBED));
        if let Some(me) = me {
            me.unset_flag(Flags::PROBED);
        }
        let is_free = |mark| was_probed || reach::is_free_here(mark);
        let target = obeyable(chain, me, is_free).or_else(|| {
            // Without a request it is the shutdown, which has refused what the fiber wanted before it cancelled it.
            (me.is_some() && is_free(0)).then_some(Target::Fiber)
        });
        let target = target.unwrap_or_else(|| die_barred(me));
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

/// The caller has to unwind, and is inside of a function that must not: the process would end without a word.
#[cold]
fn die_barred(me: Option<&Header>) -> ! {
    let name = me.and_then(Header::peek_identity).and_then(|identity| identity.name.as_deref());
    let (quote, name) = if me.is_some() { ("'", name.unwrap_or("unnamed")) } else { ("", "of a thread") };
    eprintln!(
        "abaca: fiber {quote}{name}{quote} is to unwind from a blocking call inside of a function that must not unwind, such as \
         a C library's callback. Call abaca::cancel::shield in it."
    );
    std::process::abort();
}

/// Until when a wait inside boundaries lasts.
pub(crate) struct Until<'a> {
    /// The call's own deadline.
    pub(crate) own: Option<Instant>,
    /// That of a boundary, if it comes first.
    pub(crate) bound: Option<Instant>,
    /// Set when it was the boundary's that has ended the wait.
    pub(crate) by_bound: &'a Cell<bool>,
}

/// A wait inside boundaries: calls `suspend` with the deadline by which the wait ends at the latest, unless the caller is
/// to unwind already, in which case the waiter is claimed.
#[cold]
#[inline(never)]
pub(crate) fn wait_bounded(
    chain: &Chain,
    fiber: Option<&Header>,
    waiter: &Waiter,
    deadline: Option<Instant>,
    suspend: impl FnOnce(Until<'_>),
) -> Outcome {
    if let Some(fiber) = fiber {
        fiber.unset_flag(Flags::PROBED);
    }
    let outlook = chain.outlook();
    let goes = || obeyable(chain, fiber, reach::is_free_here).is_some();
    // A fiber's home asks that when one has fired; of a plain thread it has to be known before.
    let may_be_fired = |mark| fiber.is_some() || reach::is_free_here(mark);
    let goes = goes() || (outlook.has_signals && chain.enter(waiter, may_be_fired) && goes());
    let by_bound = Cell::new(false);
    let nearest = outlook.nearest.filter(|nearest| deadline.is_none_or(|deadline| *nearest <= deadline));
    // A claim that is lost to a notification is a wake-up that is on its way and must be taken.
    if !goes || waiter.claim(Outcome::Cancelled).is_none() {
        suspend(Until { own: deadline, bound: nearest, by_bound: &by_bound });
    }
    if outlook.has_signals {
        chain.leave();
    }
    match waiter.outcome().expect("only a claim ends a wait") {
        Outcome::TimedOut if by_bound.get() => Outcome::Cancelled,
        outcome => outcome,
    }
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
