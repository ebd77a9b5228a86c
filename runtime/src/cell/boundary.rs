//! A boundary: a frame at which an unwinding of its fiber (or thread) ends, or behind which nothing is cancelled.
//!
//! `time::timeout`, `CancelToken::run_until_cancelled` and `try_scope` put one on the stack around the user's code; so does
//! `cancel::shield`. The boundaries of one fiber form a chain, innermost first, whose head is in the fiber's header
//! (for a plain thread, in a thread-local).
//!
//! A boundary **fires** when its deadline passes or somebody calls [`Boundary::fire`]. The blocking call in which the
//! fiber then is (or the next) ends with `Outcome::Cancelled`, and its caller unwinds with a payload that names the
//! boundary. If several have fired, the outermost wins; a cancellation of the whole fiber is outside of all. A shield
//! hides whatever is outside of it. Each boundary is thrown to once: what is caught on the way stays caught.
//!
//! To be ended from another thread, a wait is entered in each visible boundary that can be fired ([`Chain::enter`]), and is
//! taken out under the boundary's lock before the waiter's frame ends. Under it, a plain thread's wait is claimed, and of a
//! fiber a handle is made, by which its home is asked to end the wait.
//! `park/model_cancel.rs` checks this with loom.

#![expect(unsafe_code, reason = "follows the chain of frames, and waiters on the same stack")]

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::time::Instant;

use super::{Fiber, Header, Outcome, Waiter, Woken};
use crate::atomic::{AtomicBool, Ordering};
use crate::queue::SpinLock;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Boundary {
    /// The next one outwards; null for the outermost.
    outer: Cell<*const Boundary>,
    /// The chain that it is in; null when in none.
    chain: Cell<*const Chain>,
    kind: Kind,
    fired: AtomicBool,
    /// Whether an unwinding towards it has begun.
    thrown: Cell<bool>,
    /// An address in the frame that catches it; 0 as long as nobody would.
    pub(crate) mark: Cell<usize>,
    /// The wait that firing ends; null when there is none.
    waiting: SpinLock<Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Deadline(Instant),
    /// Fired by [`Boundary::fire`].
    Signal,
    Shield,
}

#[derive(Debug)]
struct Waiting(*const Waiter);

// SAFETY: the pointer is followed only under the lock, and is null before the waiter's frame ends.
unsafe impl Send for Waiting {}
// SAFETY: other threads use only `fired` and `waiting`; the rest belongs to the stack on which the boundary lives.
unsafe impl Sync for Boundary {}

impl Boundary {
    fn new(kind: Kind) -> Self {
        Self {
            outer: Cell::new(ptr::null()),
            chain: Cell::new(ptr::null()),
            kind,
            fired: AtomicBool::new(false),
            thrown: Cell::new(false),
            mark: Cell::new(0),
            waiting: SpinLock::new(Waiting(ptr::null())),
        }
    }

    /// One that fires when `at` has come.
    pub(crate) fn deadline(at: Instant) -> Self {
        Self::new(Kind::Deadline(at))
    }

    /// One that fires when it is told to.
    pub(crate) fn signal() -> Self {
        Self::new(Kind::Signal)
    }

    /// One that hides what is outside of it, and never fires.
    pub(crate) fn shield() -> Self {
        Self::new(Kind::Shield)
    }

    /// Fires it, from any thread; the caller then owes what is returned to whoever waits inside.
    pub(crate) fn fire(&self) -> Option<Fired> {
        let waiting = self.waiting.lock();
        // Relaxed, here and below: the lock orders it for those who enter a wait; others may learn of it later.
        self.fired.store(true, Ordering::Relaxed);
        // SAFETY: a waiter that is entered lives until it is taken out under the lock that is held.
        let waiter = unsafe { waiting.0.as_ref() }?;
        match waiter.fiber() {
            // SAFETY: as above: its fiber cannot end before, nor withdraw what is aimed at it here.
            Some(fiber) => Some(Fired::Fiber(unsafe { Header::known(fiber) })),
            None => waiter.claim(Outcome::Cancelled).map(Fired::Thread),
        }
    }

    /// Whether an unwinding to it, or across it, has begun.
    pub(crate) fn was_thrown_to(&self) -> bool {
        self.thrown.get()
    }

    pub(crate) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Relaxed)
    }

    fn is_pending(&self, now: &mut Option<Instant>) -> bool {
        !self.thrown.get()
            && (self.has_fired()
                || matches!(self.kind, Kind::Deadline(at) if *now.get_or_insert_with(Instant::now) >= at))
    }
}

/// Whom a fired boundary is to get out of a wait.
#[derive(Debug)]
#[must_use = "whoever waits inside of the boundary is to learn of it"]
pub(crate) enum Fired {
    /// A fiber, whose home knows whether it can unwind.
    Fiber(Fiber),
    /// A plain thread, with its wake-up.
    Thread(Woken),
}

/// The head of a chain of boundaries, kept for each fiber and each plain thread that has one.
#[derive(Debug, Default)]
pub(crate) struct Chain(Cell<Option<NonNull<Boundary>>>);

/// Takes a boundary out of its chain, also by unwinding.
///
/// Not always in order: a coroutine that is suspended inside of one may outlive those around it, and its fiber as well.
pub(crate) struct Inside<'a>(&'a Boundary);

impl<'a> Inside<'a> {
    pub(crate) fn boundary(&self) -> &'a Boundary {
        self.0
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // SAFETY: a chain that ends before its boundaries lets go of them (`Chain::abandon`).
        if let Some(chain) = unsafe { self.0.chain.get().as_ref() } {
            chain.remove(self.0);
        }
    }
}

/// What a chain says to a blocking call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlook {
    /// The outermost boundary to which the call is to unwind.
    pub(crate) pending: Option<Target>,
    /// When the next boundary fires by itself.
    pub(crate) nearest: Option<Instant>,
    /// Whether a boundary may be fired by somebody.
    pub(crate) has_signals: bool,
    /// Whether a cancellation of the whole fiber is hidden.
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

    /// Makes `boundary` the innermost until the result is dropped, which must be before `boundary`.
    pub(crate) fn push<'a>(&self, boundary: &'a mut Boundary) -> Inside<'a> {
        boundary.outer = Cell::new(self.0.get().map_or(ptr::null(), |outer| outer.as_ptr().cast_const()));
        boundary.chain = Cell::new(self);
        let boundary = &*boundary;
        self.0.set(Some(NonNull::from(boundary)));
        Inside(boundary)
    }

    /// Takes `boundary` out. It is the innermost, but for those of coroutines that are suspended.
    fn remove(&self, boundary: &Boundary) {
        let outer = boundary.outer.get();
        let mut at = self.0.get();
        if at == Some(NonNull::from(boundary)) {
            return self.0.set(NonNull::new(outer.cast_mut()));
        }
        while let Some(inner) = at {
            // SAFETY: as in `for_each_visible`.
            let inner = unsafe { inner.as_ref() };
            if ptr::eq(inner.outer.get(), boundary) {
                return inner.outer.set(outer);
            }
            at = NonNull::new(inner.outer.get().cast_mut());
        }
    }

    /// The chain ends with its fiber: what is left in it is inside of coroutines that outlive the fiber.
    #[cold]
    pub(crate) fn abandon(&self) {
        let mut at = self.0.take();
        while let Some(boundary) = at {
            // SAFETY: as in `for_each_visible`.
            let boundary = unsafe { boundary.as_ref() };
            boundary.chain.set(ptr::null());
            at = NonNull::new(boundary.outer.get().cast_mut());
        }
    }

    /// The boundaries from the innermost to the first shield, which is not among them, and whether there is one.
    fn for_each_visible(&self, mut visit: impl FnMut(&Boundary)) -> bool {
        let mut at = self.0.get();
        while let Some(boundary) = at {
            // SAFETY: a boundary leaves the chain before its frame ends, and only its own fiber walks the chain.
            let boundary = unsafe { boundary.as_ref() };
            if boundary.kind == Kind::Shield {
                return true;
            }
            visit(boundary);
            at = NonNull::new(boundary.outer.get().cast_mut());
        }
        false
    }

    /// What a blocking call has to obey.
    pub(crate) fn outlook(&self) -> Outlook {
        let mut now = None;
        let mut outlook = Outlook { pending: None, nearest: None, has_signals: false, is_shielded: false };
        outlook.is_shielded = self.for_each_visible(|boundary| {
            if boundary.is_pending(&mut now) {
                outlook.pending = Some(Target::Boundary(ptr::from_ref(boundary) as usize));
            }
            match boundary.kind {
                _ if boundary.thrown.get() => {}
                Kind::Deadline(at) => {
                    outlook.nearest = Some(outlook.nearest.map_or(at, |nearest| nearest.min(at)));
                }
                Kind::Signal => outlook.has_signals = true,
                Kind::Shield => {}
            }
        });
        outlook
    }

    /// The visible boundaries to one of which a blocking call is to unwind, innermost first, with their marks.
    #[cold]
    pub(crate) fn pending(&self) -> Vec<(Target, usize)> {
        let (mut now, mut pending) = (None, Vec::new());
        self.for_each_visible(|boundary| {
            if boundary.is_pending(&mut now) {
                pending.push((Target::Boundary(ptr::from_ref(boundary) as usize), boundary.mark.get()));
            }
        });
        pending
    }

    /// When the next visible boundary fires by itself whose time is after `at`.
    #[cold]
    pub(crate) fn nearest_after(&self, at: Instant) -> Option<Instant> {
        let mut nearest: Option<Instant> = None;
        self.for_each_visible(|boundary| match boundary.kind {
            Kind::Deadline(deadline) if deadline > at && !boundary.thrown.get() => {
                nearest = Some(nearest.map_or(deadline, |nearest| nearest.min(deadline)));
            }
            _ => {}
        });
        nearest
    }

    /// Lets the visible boundaries end the wait of `waiter`, until [`leave`](Self::leave). True if one has fired.
    ///
    /// Left out are those to whose `mark` the caller could not unwind: who waits is told too late by whoever fires one.
    pub(crate) fn enter(&self, waiter: &Waiter, is_free: impl Fn(usize) -> bool) -> bool {
        let mut fired = false;
        self.for_each_visible(|boundary| {
            if boundary.kind == Kind::Signal && !boundary.thrown.get() && is_free(boundary.mark.get()) {
                let mut waiting = boundary.waiting.lock();
                fired |= boundary.has_fired();
                waiting.0 = waiter;
            }
        });
        fired
    }

    /// Undoes [`enter`](Self::enter).
    pub(crate) fn leave(&self) {
        self.for_each_visible(|boundary| {
            if boundary.kind == Kind::Signal {
                boundary.waiting.lock().0 = ptr::null();
            }
        });
    }

    /// The unwinding to `target` begins: neither it nor what lies on the way is thrown to any more.
    pub(crate) fn throw_to(&self, target: Target) {
        let mut is_on_the_way = true;
        self.for_each_visible(|boundary| {
            if is_on_the_way {
                boundary.thrown.set(true);
            }
            is_on_the_way &= !target.is(boundary);
        });
    }

    /// Fires the visible boundaries whose deadline is not after `at`: a timer for it has run out.
    pub(crate) fn expire(&self, at: Instant) {
        self.for_each_visible(|boundary| {
            if matches!(boundary.kind, Kind::Deadline(deadline) if deadline <= at) {
                boundary.fired.store(true, Ordering::Relaxed);
            }
        });
    }
}

/// Where an unwinding ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Where the fiber began.
    Fiber,
    /// At the boundary with this address, which is compared and never followed.
    Boundary(usize),
}

impl Target {
    /// Whether an unwinding with this target ends at `boundary`.
    pub(crate) fn is(self, boundary: &Boundary) -> bool {
        self == Self::Boundary(ptr::from_ref(boundary) as usize)
    }
}
