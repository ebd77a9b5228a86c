//! A cancel scope: a frame at which an unwinding of its fiber (or thread) ends, or which shields the calls inside of it from
//! cancellation.
//!
//! `time::timeout`, `CancellationToken::run_until_cancelled` and `try_scope` put a cancel scope on the stack around the user's
//! code; so does `cancel::shield`. The cancel scopes of one fiber form a chain, innermost first, whose head is in the fiber's
//! header (for a plain thread, in a thread-local).
//!
//! A cancel scope **fires** when its deadline passes or [`CancelScope::fire`] is called. Then the fiber's current blocking call
//! (or the next one) ends with `Outcome::Cancelled`, and the fiber unwinds with a payload that names the cancel scope. If
//! several have fired, the outermost wins; a cancellation of the whole fiber is outside of all. A shield hides everything
//! outside of it. A fiber unwinds to each cancel scope at most once: if user code catches the unwinding on the way, it stays
//! caught. A caller that unwinds can be ended only by the scopes that it has entered since (`reachable.rs`).
//!
//! So that another thread can end a wait, the wait is registered in each visible cancel scope that can be fired
//! ([`Chain::enter`]), and is removed under the cancel scope's lock before the waiter's frame ends. Under this lock a plain
//! thread's wait is claimed; for a fiber a handle is made, by which its home is asked to end the wait.
//! `park/model_cancel.rs` checks this with loom.

#![expect(unsafe_code, reason = "follows the chain of frames, and waiters on the same stack")]

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::time::Instant;

use super::{Fiber, Header, Outcome, Waiter, Wakeup};
use crate::atomic::{AtomicBool, Ordering};
use crate::queue::SpinLock;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct CancelScope {
    /// The next scope outwards; null for the outermost.
    pub(super) outer: Cell<*const CancelScope>,
    /// The chain that the scope is in; null if it is in none.
    chain: Cell<*const Chain>,
    kind: Kind,
    fired: AtomicBool,
    /// Whether an unwinding to this scope, or across it, has begun.
    pub(super) is_unwinding: Cell<bool>,
    /// Whether the caller unwound already when it entered the scope, in a destructor or a panic hook.
    pub(super) is_nested: Cell<bool>,
    /// Whether all that is outside is hidden for the moment, as outside of a shield; see `reachable.rs`.
    pub(super) hides_outer: Cell<bool>,
    /// Whether the fiber's home has found, in the wait under way, that the fiber can unwind to this scope.
    pub(super) is_probed: Cell<bool>,
    /// Whether the scope has ended a call of C, which could not unwind and has returned an error instead.
    #[cfg(feature = "own-tls")]
    has_ended_call: Cell<bool>,
    /// An address in the frame that catches the unwinding; 0 as long as no frame would.
    pub(crate) mark: Cell<usize>,
    /// The wait that firing ends; null if there is none.
    waiting: SpinLock<Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Deadline(Instant),
    /// Fired by [`CancelScope::fire`].
    Signal,
    Shield,
}

#[derive(Debug)]
struct Waiting(*const Waiter);

// SAFETY: the pointer is followed only under the lock, and is null before the waiter's frame ends.
unsafe impl Send for Waiting {}
// SAFETY: other threads use only `fired` and `waiting`; the rest belongs to the stack on which the cancel scope lives.
unsafe impl Sync for CancelScope {}

impl CancelScope {
    fn new(kind: Kind) -> Self {
        Self {
            outer: Cell::new(ptr::null()),
            chain: Cell::new(ptr::null()),
            kind,
            fired: AtomicBool::new(false),
            is_unwinding: Cell::new(false),
            is_nested: Cell::new(false),
            hides_outer: Cell::new(false),
            is_probed: Cell::new(false),
            #[cfg(feature = "own-tls")]
            has_ended_call: Cell::new(false),
            mark: Cell::new(0),
            waiting: SpinLock::new(Waiting(ptr::null())),
        }
    }

    /// A scope that fires at the time `at`.
    pub(crate) fn deadline(at: Instant) -> Self {
        Self::new(Kind::Deadline(at))
    }

    /// A scope that fires when [`fire`](Self::fire) is called.
    pub(crate) fn signal() -> Self {
        Self::new(Kind::Signal)
    }

    /// A scope that hides everything outside of it, and never fires.
    pub(crate) fn shield() -> Self {
        Self::new(Kind::Shield)
    }

    /// Fires the scope, from any thread. The caller must then end the wait that is returned.
    pub(crate) fn fire(&self) -> Option<Fired> {
        let waiting = self.waiting.lock();
        // Relaxed, here and below: the lock orders this for a wait that is being registered; others may learn of it later.
        self.fired.store(true, Ordering::Relaxed);
        // SAFETY: a registered waiter lives until it is removed under the lock, which is held here.
        let waiter = unsafe { waiting.0.as_ref() }?;
        match waiter.fiber() {
            // SAFETY: as above: the waiter's fiber cannot end before, nor detach the handle that is attached here.
            Some(fiber) => Some(Fired::Fiber(unsafe { Header::handle(fiber) })),
            None => waiter.claim(Outcome::Cancelled).map(Fired::Thread),
        }
    }

    /// Notes that the caller, which is about to enter the scope, unwinds already.
    pub(crate) fn nest(&mut self) {
        self.is_nested.set(true);
    }

    pub(super) fn is_shield(&self) -> bool {
        self.kind == Kind::Shield
    }

    /// Whether an unwinding to this scope, or across it, has begun.
    pub(crate) fn was_unwound_to(&self) -> bool {
        self.is_unwinding.get()
    }

    /// Whether the scope has ended a call that returned an error instead of unwinding.
    pub(crate) fn has_ended_call(&self) -> bool {
        #[cfg(feature = "own-tls")]
        return self.has_ended_call.get();
        #[cfg(not(feature = "own-tls"))]
        false
    }

    pub(crate) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Relaxed)
    }

    fn is_pending(&self, now: &mut Option<Instant>) -> bool {
        !self.is_unwinding.get()
            && (self.has_fired()
                || matches!(self.kind, Kind::Deadline(at) if *now.get_or_insert_with(Instant::now) >= at))
    }
}

/// The owner of the wait that a fired cancel scope must end.
#[derive(Debug)]
#[must_use = "the wait inside of the cancel scope must be ended"]
pub(crate) enum Fired {
    /// A fiber. Only its home can tell whether it can unwind.
    Fiber(Fiber),
    /// A plain thread, with its wake-up.
    Thread(Wakeup),
}

/// The head of a chain of cancel scopes. Each fiber has one, and each plain thread.
#[derive(Debug, Default)]
pub(crate) struct Chain(pub(super) Cell<Option<NonNull<CancelScope>>>);

/// Removes a cancel scope from its chain when it is dropped, also by unwinding.
///
/// Scopes are not always removed in order: a coroutine that is suspended inside of one may outlive the scopes around it, and
/// its fiber as well.
pub(crate) struct Inside<'a>(&'a CancelScope);

impl<'a> Inside<'a> {
    pub(crate) fn cancel_scope(&self) -> &'a CancelScope {
        self.0
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // SAFETY: a chain that ends before its cancel scopes detaches them (`Chain::abandon`).
        if let Some(chain) = unsafe { self.0.chain.get().as_ref() } {
            chain.remove(self.0);
        }
    }
}

/// The state of a chain, for a blocking call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CancelState {
    /// The outermost cancel scope to which the call must unwind.
    pub(crate) pending: Option<Target>,
    /// The nearest deadline of a cancel scope.
    pub(crate) nearest: Option<Instant>,
    /// Whether there is a cancel scope that another thread may fire.
    pub(crate) has_signals: bool,
    /// Whether a shield hides the cancellation of the whole fiber.
    pub(crate) is_shielded: bool,
}

impl Chain {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(None))
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// Makes `cancel_scope` the innermost one until the result is dropped.
    pub(crate) fn push<'a>(&self, cancel_scope: &'a mut CancelScope) -> Inside<'a> {
        cancel_scope.outer = Cell::new(self.0.get().map_or(ptr::null(), |outer| outer.as_ptr().cast_const()));
        cancel_scope.chain = Cell::new(self);
        let cancel_scope = &*cancel_scope;
        self.0.set(Some(NonNull::from(cancel_scope)));
        Inside(cancel_scope)
    }

    /// Removes `cancel_scope`. It is the innermost one, except for scopes inside of suspended coroutines.
    fn remove(&self, cancel_scope: &CancelScope) {
        let outer = cancel_scope.outer.get();
        let mut at = self.0.get();
        if at == Some(NonNull::from(cancel_scope)) {
            return self.0.set(NonNull::new(outer.cast_mut()));
        }
        while let Some(inner) = at {
            // SAFETY: as in `for_each_visible`.
            let inner = unsafe { inner.as_ref() };
            if ptr::eq(inner.outer.get(), cancel_scope) {
                return inner.outer.set(outer);
            }
            at = NonNull::new(inner.outer.get().cast_mut());
        }
    }

    /// Detaches all scopes from the chain, which ends with its fiber. The scopes that are left are inside of coroutines that
    /// outlive the fiber.
    #[cold]
    pub(crate) fn abandon(&self) {
        let mut at = self.0.take();
        while let Some(cancel_scope) = at {
            // SAFETY: as in `for_each_visible`.
            let cancel_scope = unsafe { cancel_scope.as_ref() };
            cancel_scope.chain.set(ptr::null());
            at = NonNull::new(cancel_scope.outer.get().cast_mut());
        }
    }

    /// Calls `visit` for each cancel scope from the innermost to the first shield, without the shield. Returns whether there is a
    /// shield, or a scope that acts as one to what is outside of it.
    pub(super) fn for_each_visible(&self, mut visit: impl FnMut(&CancelScope)) -> bool {
        let mut at = self.0.get();
        while let Some(cancel_scope) = at {
            // SAFETY: a cancel scope leaves the chain before its frame ends, and only its own fiber walks the chain.
            let cancel_scope = unsafe { cancel_scope.as_ref() };
            if cancel_scope.kind == Kind::Shield {
                return true;
            }
            visit(cancel_scope);
            if cancel_scope.hides_outer.get() {
                return true;
            }
            at = NonNull::new(cancel_scope.outer.get().cast_mut());
        }
        false
    }

    /// The state of the visible cancel scopes.
    pub(crate) fn state(&self) -> CancelState {
        let mut now = None;
        let mut state = CancelState { pending: None, nearest: None, has_signals: false, is_shielded: false };
        state.is_shielded = self.for_each_visible(|cancel_scope| {
            if cancel_scope.is_pending(&mut now) {
                state.pending = Some(Target::CancelScope(ptr::from_ref(cancel_scope) as usize));
            }
            match cancel_scope.kind {
                _ if cancel_scope.is_unwinding.get() => {}
                Kind::Deadline(at) => {
                    state.nearest = Some(state.nearest.map_or(at, |nearest| nearest.min(at)));
                }
                Kind::Signal => state.has_signals = true,
                Kind::Shield => {}
            }
        });
        state
    }

    /// All visible cancel scopes that a blocking call may have to unwind to, innermost first, with their marks.
    #[cold]
    pub(crate) fn pending(&self) -> Vec<(Target, usize)> {
        let (mut now, mut pending) = (None, Vec::new());
        self.for_each_visible(|cancel_scope| {
            if cancel_scope.is_pending(&mut now) {
                pending.push((
                    Target::CancelScope(ptr::from_ref(cancel_scope) as usize),
                    cancel_scope.mark.get(),
                ));
            }
        });
        pending
    }

    /// The nearest deadline of a visible cancel scope after `at`.
    #[cold]
    pub(crate) fn nearest_after(&self, at: Instant) -> Option<Instant> {
        let mut nearest: Option<Instant> = None;
        self.for_each_visible(|cancel_scope| match cancel_scope.kind {
            Kind::Deadline(deadline) if deadline > at && !cancel_scope.is_unwinding.get() => {
                nearest = Some(nearest.map_or(deadline, |nearest| nearest.min(deadline)));
            }
            _ => {}
        });
        nearest
    }

    /// Lets the visible cancel scopes end the wait of `waiter`, until [`leave`](Self::leave). Returns true if one has fired.
    ///
    /// Scopes to whose `mark` the caller could not unwind are left out: the firing thread could not find that out.
    pub(crate) fn enter(&self, waiter: &Waiter, is_free: impl Fn(usize) -> bool) -> bool {
        let mut fired = false;
        self.for_each_visible(|cancel_scope| {
            if cancel_scope.kind == Kind::Signal
                && !cancel_scope.is_unwinding.get()
                && is_free(cancel_scope.mark.get())
            {
                let mut waiting = cancel_scope.waiting.lock();
                fired |= cancel_scope.has_fired();
                waiting.0 = waiter;
            }
        });
        fired
    }

    /// Undoes [`enter`](Self::enter).
    pub(crate) fn leave(&self) {
        self.for_each_visible(|cancel_scope| {
            if cancel_scope.kind == Kind::Signal {
                cancel_scope.waiting.lock().0 = ptr::null();
            }
        });
    }

    /// Notes that an unwinding to `target` begins: no other will begin to the target or to a scope inside of it.
    pub(crate) fn unwind_to(&self, target: Target) {
        let mut is_inside_target = true;
        self.for_each_visible(|cancel_scope| {
            if is_inside_target {
                cancel_scope.is_unwinding.set(true);
            }
            is_inside_target &= !target.is(cancel_scope);
        });
    }

    /// Notes that `target` has ended a call of C, which returns an error.
    #[cfg(feature = "own-tls")]
    #[cold]
    pub(crate) fn note_ended_call(&self, target: Target) {
        self.for_each_visible(|cancel_scope| {
            if target.is(cancel_scope) {
                cancel_scope.has_ended_call.set(true);
            }
        });
    }

    /// Fires the visible cancel scopes whose deadline is not after `at`: a timer for it has run out.
    pub(crate) fn expire(&self, at: Instant) {
        self.for_each_visible(|cancel_scope| {
            if matches!(cancel_scope.kind, Kind::Deadline(deadline) if deadline <= at) {
                cancel_scope.fired.store(true, Ordering::Relaxed);
            }
        });
    }
}

/// The frame at which an unwinding ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The first frame of the fiber.
    Fiber,
    /// The cancel scope with this address, which is compared and never followed.
    CancelScope(usize),
}

impl Target {
    /// Whether an unwinding with this target ends at `cancel_scope`.
    pub(crate) fn is(self, cancel_scope: &CancelScope) -> bool {
        self == Self::CancelScope(ptr::from_ref(cancel_scope) as usize)
    }
}
