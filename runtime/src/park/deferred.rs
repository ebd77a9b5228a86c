//! A deferred cancellation: a request that its thread takes at points of its own, as pthread_cancel(3) has it.
//!
//! The thread says where it waits before it looks for a request, and who requests writes that before it looks where the thread is. So
//! either the thread sees the request, and does not wait, or the other sees the thread there, and ends its wait. Each has a store before
//! a load, and a fence between. A sleep has one of its own. A call, of which there are many, has the side of the kernel's barrier
//! that costs nothing.

#![cfg_attr(loom, expect(unreachable_pub, reason = "the hooks export them, which the models do without"))]

use crate::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, const_fn, fence};
use crate::os::barrier;

/// Nobody has cancelled the thread.
const NONE: u8 = 0;
const REQUESTED: u8 = 1;
/// The thread unwinds, and is not cancelled again.
const BEGUN: u8 = 2;

/// A thread's part of a deferred cancellation.
#[derive(Debug)]
pub struct Deferred {
    state: AtomicU8,
    /// Whether the thread takes no request for the moment.
    is_disabled: AtomicBool,
    /// Where the thread sleeps, if a request is to wake it; else 0.
    sleeps_at: AtomicUsize,
    /// Whether the thread is in a call that is a cancellation point.
    is_in_call: AtomicBool,
}

/// What a request has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ends {
    /// Nothing: the thread will see the request, or there was one before.
    Nothing,
    /// The sleep at this address.
    SleepAt(usize),
    /// The call in which the thread is.
    Call,
}

/// How the thread makes a call that is a cancellation point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Call {
    /// As any other: a request ends it.
    Make,
    /// As one that no cancellation ends: the thread unwinds, and cleans up.
    MakeShielded,
    /// Not at all: the thread is cancelled.
    Refuse,
}

impl Deferred {
    const_fn! {
        /// Of a thread that nobody has cancelled.
        #[must_use]
        #[expect(clippy::new_without_default, reason = "it is for a static's like")]
        pub const fn new() -> Self {
            Self {
                state: AtomicU8::new(NONE),
                is_disabled: AtomicBool::new(false),
                sleeps_at: AtomicUsize::new(0),
                is_in_call: AtomicBool::new(false),
            }
        }
    }

    /// Requests the cancellation. Returns what the caller must end.
    pub fn request(&self) -> Ends {
        if self.state.compare_exchange(NONE, REQUESTED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return Ends::Nothing;
        }
        // Pairs with the light side in `begin_call`.
        barrier::heavy();
        let address = self.sleeps_at();
        if address != 0 {
            return Ends::SleepAt(address);
        }
        // Acquire: pairs with the Release in `begin_call`, so that the thread's last word on whether it is disabled is seen.
        let is_in_call = self.is_in_call.load(Ordering::Acquire) && !self.is_disabled.load(Ordering::Relaxed);
        if is_in_call { Ends::Call } else { Ends::Nothing }
    }

    /// Whether somebody has cancelled the thread, which may have seen it already.
    pub fn was_requested(&self) -> bool {
        self.state.load(Ordering::SeqCst) != NONE
    }

    /// Whether the caller, the thread itself, is to end.
    #[inline]
    pub fn is_pending(&self) -> bool {
        // Relaxed: a look comes after a fence, of `set_sleep` or `begin_call`.
        self.state.load(Ordering::Relaxed) == REQUESTED && !self.is_disabled.load(Ordering::Relaxed)
    }

    /// Notes that the thread unwinds.
    pub fn begin(&self) {
        // Relaxed: the thread's own from now on.
        self.state.store(BEGUN, Ordering::Relaxed);
    }

    /// Whether the thread unwinds.
    #[inline]
    pub fn has_begun(&self) -> bool {
        self.state.load(Ordering::Relaxed) == BEGUN
    }

    /// Sets whether the thread, which is the caller, takes no request for the moment. Returns the value before.
    pub fn set_disabled(&self, is_disabled: bool) -> bool {
        // Relaxed: the thread's own; for others, `begin_call` orders it.
        self.is_disabled.swap(is_disabled, Ordering::Relaxed)
    }

    /// Notes that the thread, which is the caller, is about to sleep at `address`, and may look with [`is_pending`](Self::is_pending); 0
    /// if it sleeps no more.
    pub fn set_sleep(&self, address: usize) {
        self.sleeps_at.store(address, Ordering::Release);
        if address != 0 {
            // Either the thread sees the request, or who made it sees where it sleeps: the other side is in `request`.
            fence(Ordering::SeqCst);
        }
    }

    /// Where the thread sleeps; 0 if it does not.
    pub fn sleeps_at(&self) -> usize {
        self.sleeps_at.load(Ordering::Acquire)
    }

    /// Begins a call of the thread, which is the caller.
    #[inline(always)]
    pub fn begin_call(&self) -> Call {
        // Release: pairs with the Acquire in `request`.
        self.is_in_call.store(true, Ordering::Release);
        // Either this sees the request, or who made it sees that the caller is here: the other side is in `request`.
        barrier::light();
        match self.state.load(Ordering::SeqCst) {
            NONE => Call::Make,
            BEGUN => Call::MakeShielded,
            _ if self.is_pending() => Call::Refuse,
            _ => Call::Make,
        }
    }

    /// Ends it.
    #[inline(always)]
    pub fn end_call(&self) {
        self.is_in_call.store(false, Ordering::Relaxed);
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a request with a sleep or a call: what was begun is ended, or is not begun, and a thread that takes no request
    //! is left alone until it does.

    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    const ADDRESS: usize = 8;

    /// Runs `thread` beside a request. Returns its result, and what the request has to end.
    fn beside<T: 'static>(thread: impl FnOnce(&Deferred) -> T + 'static) -> (Arc<Deferred>, T, Ends) {
        let deferred = Arc::new(Deferred::new());
        let theirs = Arc::clone(&deferred);
        let requester = thread::spawn(move || theirs.request());
        let result = thread(&deferred);
        let ends = requester.join().unwrap();
        (deferred, result, ends)
    }

    #[test]
    fn a_call_is_ended_or_refused() {
        loom::model(|| {
            let (_, call, ends) = beside(Deferred::begin_call);
            assert!(call == Call::Refuse || ends == Ends::Call, "{call:?}, {ends:?}");
        });
    }

    #[test]
    fn a_sleep_is_ended_or_not_begun() {
        loom::model(|| {
            let (_, is_pending, ends) = beside(|deferred| {
                deferred.set_sleep(ADDRESS);
                deferred.is_pending()
            });
            assert!(is_pending || ends == Ends::SleepAt(ADDRESS), "{ends:?}");
        });
    }

    #[test]
    fn a_thread_that_takes_no_request_is_left_alone_until_it_does() {
        loom::model(|| {
            let (deferred, call, ends) = beside(|deferred| {
                deferred.set_disabled(true);
                deferred.begin_call()
            });
            assert_eq!((call, ends), (Call::Make, Ends::Nothing));
            deferred.end_call();
            deferred.set_disabled(false);
            assert!(deferred.is_pending());
            assert_eq!(deferred.request(), Ends::Nothing, "it has been requested");
            deferred.begin();
            assert!(deferred.has_begun() && !deferred.is_pending());
            assert_eq!(deferred.begin_call(), Call::MakeShielded);
        });
    }

    #[test]
    fn calls_one_after_the_other_with_a_look_between() {
        loom::model(|| {
            let (_, last, ends) = beside(|deferred| {
                if deferred.begin_call() == Call::Refuse {
                    return Call::Refuse;
                }
                deferred.end_call();
                if deferred.is_pending() { Call::Refuse } else { deferred.begin_call() }
            });
            assert!(last == Call::Refuse || ends == Ends::Call, "{last:?}, {ends:?}");
        });
    }
}
