//! The waiting side of cancellation: to unwind from a wait, to be shielded from that, and to wait inside of cancel scopes.
//!
//! A fiber's **flag** says that the whole fiber is cancelled. Its **cancel scopes** (`cell/cancel_scope.rs`) say that it must
//! unwind to one of its frames. A blocking call checks both before it waits. `scheduler/cancel.rs` tells how a wait that has
//! begun is ended.

#![expect(unsafe_code, reason = "uses the header of the calling fiber")]

use std::cell::Cell;
use std::panic::resume_unwind;
use std::ptr::NonNull;
use std::time::Instant;

use crate::cell::{
    CancelScope, Cancelled, Chain, FiberId, Flags, Header, Identity, Outcome, Target, UnderWay, Waiter,
    catch_and_resume,
};
use crate::scheduler::cancel::deliverable;
use crate::scheduler::forked::former_fiber;
use crate::scheduler::{Cost, can_end_hook, current_fiber, end_hook, ends_threads, reach, spend};

thread_local! {
    /// The cancel scopes of a plain thread.
    static THREAD: Chain = const { Chain::new() };
    /// The counterpart of [`Flags::CANCELLING`] for a plain thread.
    static CANCELLING: Cell<bool> = const { Cell::new(false) };
    /// The number of the last unwinding that a plain thread has begun because it was cancelled.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// Calls `visit` with the cancel scopes of the calling fiber, or of the calling plain thread.
pub(crate) fn with_chain<R>(visit: impl FnOnce(&Chain) -> R) -> R {
    with_me(|chain, _| visit(chain))
}

/// Calls `visit` with the cancel scopes of the caller, and with its header if it is a fiber.
fn with_me<R>(visit: impl FnOnce(&Chain, Option<&Header>) -> R) -> R {
    match current_fiber() {
        Some(me) => {
            // SAFETY: the caller is this fiber.
            let me = unsafe { me.as_ref() };
            visit(&me.cancel_scopes, Some(me))
        }
        None => match former_fiber() {
            // SAFETY: it never ends, and the caller goes on in its code.
            Some(former) => visit(unsafe { &former.as_ref().cancel_scopes }, None),
            None => THREAD.with(|chain| visit(chain, None)),
        },
    }
}

/// Whether the caller's next blocking call will unwind.
pub(crate) fn is_cancelled() -> bool {
    with_me(|chain, me| {
        let visible = chain.visible();
        visible.is_some() && deliverable(chain, me, reach::can_unwind_here).is_some()
    })
}

/// Whether the calling fiber unwinds, or ends unstarted, because it was cancelled.
pub(crate) fn is_cancelling() -> bool {
    with_me(|_, me| me.is_some_and(Header::is_cancelling))
}

/// Whether the calling fiber got no stack of its own, since there was no memory for one, and runs only to drop its closure. A
/// destructor that tells others why the closure never ran can tell this from a cancellation.
///
/// ```
/// use abaca::park::is_refused;
///
/// struct Tell;
///
/// impl Drop for Tell {
///     fn drop(&mut self) {
///         assert!(!is_refused());
///     }
/// }
///
/// let tell = Tell;
/// abaca::run(|| abaca::spawn(|| drop(tell)).join().unwrap());
/// ```
#[must_use]
pub fn is_refused() -> bool {
    with_me(|_, me| me.is_some_and(|me| me.has(Flags::REFUSED)))
}

/// The obligation to unwind: the caller has seen that it is cancelled, and is not cancelled for the same reason again.
#[derive(Debug)]
#[must_use = "the caller must unwind when it can"]
pub(crate) struct Cancellation {
    target: Target,
    /// Whether the caller unwinds already.
    is_nested: bool,
}

impl Cancellation {
    /// Unwinds to the target of the cancellation.
    pub(crate) fn unwind(self) -> ! {
        require_unwinding();
        let (whose, number) = with_me(|_, me| match me {
            Some(me) => {
                // SAFETY: the caller is this fiber, which does not end here.
                let me = unsafe { Header::handle(NonNull::from(me)) };
                (me.id(), me.identity().next_unwinding())
            }
            None => {
                LAST.set(LAST.get() + 1);
                (FiberId::of_thread(), LAST.get())
            }
        });
        if self.is_nested {
            // It may be in a panic hook.
            end_hook();
        } else {
            set_cancelling(true);
        }
        let end = if self.is_nested { |_, _| () } else { end_cancellation };
        let under_way = UnderWay { whose: Some(whose), number, is_callers, end };
        std::panic::resume_unwind(Box::new(Cancelled::to(self.target, under_way)))
    }
}

/// Notes whether the caller unwinds because it was cancelled.
fn set_cancelling(is_cancelling: bool) {
    with_me(|_, me| match me {
        Some(me) if is_cancelling => me.set_flag(Flags::CANCELLING),
        Some(me) => me.unset_flag(Flags::CANCELLING),
        None => CANCELLING.set(is_cancelling),
    });
}

/// Whether `whose` is the caller's id.
fn is_callers(whose: FiberId) -> bool {
    // A fiber without an identity has not been cancelled yet.
    with_me(|_, me| match me {
        Some(me) => me.peek_identity().is_some_and(|identity| identity.id == whose),
        None => FiberId::of_thread() == whose,
    })
}

/// Notes that the payload of a cancellation has been dropped, so that nothing unwinds with it any more. `whose` is the id of the
/// cancelled fiber or thread. If that has begun another unwinding since, to a scope further out, it goes on with that one.
fn end_cancellation(whose: FiberId, number: u64) {
    let last = || {
        with_me(|_, me| match me {
            Some(me) => me.peek_identity().map_or(0, Identity::last_unwinding),
            None => LAST.get(),
        })
    };
    if is_callers(whose) && last() == number {
        set_cancelling(false);
    }
}

/// Whether the caller, which unwinds, does so because it was cancelled. Then it leaves no poison, as a future that is dropped
/// leaves none. A cancellation in a destructor that runs because of a panic is none of the kind: what was locked before is poisoned.
///
/// Also true if the caller has caught its cancellation, keeps the payload, and has panicked since.
#[cold]
pub(crate) fn unwinds_cancelled() -> bool {
    with_me(|_, me| me.map_or_else(|| CANCELLING.get(), |me| me.has(Flags::CANCELLING)))
}

/// Whether the last unwinding that the caller has begun is that of a cancellation, be it in a destructor that runs because of a panic.
///
/// Also true if the caller has caught that unwinding, and has panicked since inside of the scope that was its target.
#[cold]
pub(crate) fn was_cancelled_last() -> bool {
    unwinds_cancelled() || with_me(|chain, _| chain.unwinds_to_nested())
}

/// Panics with the reason if the program aborts on panic, where no cancellation is possible.
#[track_caller]
pub(crate) fn require_unwinding() {
    if cfg!(panic = "abort") {
        panic!("abaca: cancellation unwinds the fiber, which needs panic = \"unwind\" in the Cargo profile");
    }
}

/// Notes that a call of C has been ended, which returns an error instead of unwinding.
#[cfg(feature = "own-tls")]
#[cold]
pub(crate) fn note_ended_call() {
    with_me(|chain, me| {
        let _visible = chain.visible();
        if let Some(target) = crate::scheduler::cancel::pending(chain, me) {
            chain.note_ended_call(target);
        }
    });
}

/// Begins the caller's cancellation: from now on its waits last to their end again.
#[cold]
pub(crate) fn begin_cancellation() -> Cancellation {
    with_me(|chain, me| {
        let visible = chain.visible();
        let was_probed = me.is_some_and(|me| me.has(Flags::PROBED));
        if let Some(me) = me {
            me.unset_flag(Flags::PROBED);
        }
        // Another target may have come since the home looked.
        let can_unwind = |mark| was_probed && chain.is_probed(mark) || reach::can_unwind_here(mark);
        let target = deliverable(chain, me, can_unwind).or_else(|| {
            // Without a request it is the shutdown, which has refused the fiber's call before it cancels the fiber.
            (me.is_some() && can_unwind(0)).then_some(Target::Fiber)
        });
        let target = target.unwrap_or_else(|| abort_barred(me));
        chain.unwind_to(target);
        if let (Target::Fiber, Some(me)) = (target, me) {
            me.begin_unwinding();
        }
        Cancellation { target, is_nested: visible.is_some_and(|visible| visible.is_nested()) }
    })
}

/// Whether the end of the runtime may refuse a call of the caller by unwinding it: whether it is a fiber that ends with the runtime,
/// and neither unwinds already nor is shielded.
#[cold]
pub(crate) fn can_be_refused() -> bool {
    with_me(|chain, me| {
        me.is_none_or(|me| {
            let ends = !me.is_thread() || ends_threads();
            ends && !chain.state().is_shielded && !std::thread::panicking() && reach::can_unwind_here(0)
        })
    })
}

/// Unwinds the calling fiber because it is being cancelled.
#[cold]
pub(crate) fn unwind() -> ! {
    begin_cancellation().unwind()
}

/// Aborts the process with a message: the caller must unwind, but is inside of a function that must not. Without this the
/// process would end without a word.
#[cold]
fn abort_barred(me: Option<&Header>) -> ! {
    let name = me.and_then(Header::peek_identity).and_then(|identity| identity.name.as_deref());
    let (quote, name) = if me.is_some() { ("'", name.unwrap_or("unnamed")) } else { ("", "of a thread") };
    eprintln!(
        "abaca: fiber {quote}{name}{quote} is to unwind from a blocking call inside of a function that must not unwind, such as \
         a C library's callback. Call abaca::cancel::shield in it."
    );
    std::process::abort();
}

/// The deadlines of a wait inside cancel scopes.
pub(crate) struct Until<'a> {
    /// The call's own deadline.
    pub(crate) own: Option<Instant>,
    /// The deadline of a cancel scope, if it comes first.
    pub(crate) bound: Option<Instant>,
    /// Set if the cancel scope's deadline has ended the wait.
    pub(crate) by_bound: &'a Cell<bool>,
}

/// Waits inside cancel scopes: calls `suspend` with the deadlines of the wait. If the caller must unwind already, claims the
/// waiter instead.
#[cold]
#[inline(never)]
pub(crate) fn wait_in_scopes(
    chain: &Chain,
    fiber: Option<&Header>,
    waiter: &Waiter,
    deadline: Option<Instant>,
    suspend: impl FnOnce(Until<'_>),
) -> Outcome {
    if let Some(fiber) = fiber {
        fiber.unset_flag(Flags::PROBED);
    }
    let state = chain.state();
    let must_unwind = || deliverable(chain, fiber, reach::can_unwind_here).is_some();
    // For a fiber, its home checks this when a scope has fired. For a plain thread it must be known before.
    let may_be_fired = |mark| fiber.is_some() || reach::can_unwind_here(mark);
    let must_unwind =
        must_unwind() || (state.has_signals && chain.enter(waiter, may_be_fired) && must_unwind());
    let by_bound = Cell::new(false);
    let nearest = state.nearest.filter(|nearest| deadline.is_none_or(|deadline| *nearest <= deadline));
    // If a notification wins the claim, its wake-up is on its way and must be taken.
    if !must_unwind || waiter.claim(Outcome::Cancelled).is_none() {
        suspend(Until { own: deadline, bound: nearest, by_bound: &by_bound });
    }
    if state.has_signals {
        chain.leave();
    }
    match waiter.outcome().expect("only a claim ends a wait") {
        Outcome::TimedOut if by_bound.get() => Outcome::Cancelled,
        outcome => outcome,
    }
}

/// Calls `f` and shields it from cancellation: nothing outside of `f` cancels the caller meanwhile. A cancellation that is
/// requested meanwhile takes effect at the first blocking call after `shield` has returned.
///
/// Timeouts and tokens that are set up inside of `f` work there as usual. A function that C code calls back is a shield by
/// itself, where the runtime can see that; see the [module](crate::cancel).
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
/// assert_eq!(fiber.join().unwrap(), "saved"); // the fiber has not blocked since
/// # });
/// ```
pub fn shield<T>(f: impl FnOnce() -> T) -> T {
    spend(Cost::Call);
    let mut cancel_scope = CancelScope::shield();
    let _inside = with_chain(|chain| chain.push(&mut cancel_scope));
    f()
}

/// Calls `f` with `cancel_scope` around it. `None` if a cancellation unwound to this scope.
#[track_caller]
pub(crate) fn run_inside<T>(cancel_scope: &mut CancelScope, f: impl FnOnce(&CancelScope) -> T) -> Option<T> {
    require_unwinding();
    if std::thread::panicking() && can_end_hook() {
        cancel_scope.nest();
    }
    let inside = with_chain(|chain| chain.push(cancel_scope));
    let cancel_scope = inside.cancel_scope();
    let result = catch_and_resume(&cancel_scope.mark, || f(cancel_scope));
    match result {
        // The scope has ended a call in `f` that could not unwind, and returned an error. What `f` has made of that counts no more
        // than what it would have been about to do after an unwinding.
        Ok(_) if cancel_scope.has_ended_call() => None,
        Err(payload) if cancel_scope.has_ended_call() && !payload.is::<Cancelled>() => None,
        Ok(value) => Some(value),
        Err(payload) => match payload.downcast_ref::<Cancelled>() {
            // A payload that user code kept, or that is another fiber's, may name a cancel scope that has ended, whose address is
            // now this one's.
            Some(cancelled)
                if cancel_scope.was_unwound_to()
                    && cancelled.target().is(cancel_scope)
                    && Cancelled::is_own(&*payload) =>
            {
                None
            }
            _ => resume_unwind(payload),
        },
    }
}
