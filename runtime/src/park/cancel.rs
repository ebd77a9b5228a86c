//! Cancellation, as far as it is about a wait: to unwind from one, to be shielded from that, and to wait inside of
//! boundaries.
//!
//! A fiber's **flag** says that the whole fiber is cancelled; its **boundaries** (`cell/boundary.rs`) that it is to unwind
//! to one of its frames. A blocking call looks at both before it waits. How one that waits already is got out of its wait
//! is told in `scheduler/cancel.rs`.

#![expect(unsafe_code, reason = "uses the header of the calling fiber")]

use std::cell::Cell;
use std::panic::resume_unwind;
use std::ptr;
use std::time::Instant;

use crate::cell::{Boundary, Cancelled, Chain, Flags, Header, Outcome, Target, Waiter, catch_and_resume};
use crate::scheduler::cancel::obeyable;
use crate::scheduler::{Cost, current_fiber, reach, spend};

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

/// Runs `f`, inside of which the caller is not cancelled by anything outside. Whatever was asked for meanwhile takes effect
/// at the first blocking call after.
///
/// Timeouts and tokens that are set up inside of `f` work there as usual. A function that C calls back is a shield by itself,
/// where that can be seen; see the [module](crate::cancel).
///
/// ```
/// # use abaca::cancel::{is_cancelled, shield};
/// # abaca::run(|| {
/// let fiber = abaca::spawn(|| {
///     let saved = shield(|| {
///         abaca::current().cancel();
///         abaca::yield_now(); // would unwind outside of the shield
///         "saved"
///     });
///     assert!(is_cancelled());
///     saved
/// });
/// assert_eq!(fiber.join().unwrap(), "saved"); // it has not blocked since
/// # });
/// ```
pub fn shield<T>(f: impl FnOnce() -> T) -> T {
    spend(Cost::Call);
    let mut boundary = Boundary::shield();
    let _inside = with_chain(|chain| chain.push(&mut boundary));
    f()
}

/// Runs `f` with `boundary` around it. `None` if that is where an unwinding ended.
pub(crate) fn run_inside<T>(boundary: &mut Boundary, f: impl FnOnce(&Boundary) -> T) -> Option<T> {
    require_unwinding();
    let inside = with_chain(|chain| chain.push(boundary));
    let boundary = inside.boundary();
    let result = catch_and_resume(&boundary.mark, || f(boundary));
    match result {
        Ok(value) => Some(value),
        Err(payload) => match payload.downcast_ref::<Cancelled>() {
            // A payload that was kept may name a boundary that has gone, whose address is now this one's.
            Some(cancelled) if boundary.was_thrown_to() && cancelled.target().is(boundary) => None,
            _ => resume_unwind(payload),
        },
    }
}
