//! pthread_cancel, of threads that are fibers: deferred, as it is by default.
//!
//! A cancelled thread ends at its next cancellation point of this room, or from the one that it waits in: sleeps, waits for conditions
//! and semaphores, joins, and `pthread_testcancel`. In other calls it ends when the call has come to its end and the next such point
//! is reached. `PTHREAD_CANCEL_ASYNCHRONOUS` is treated as deferred.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use abaca::hook::{self, Sleep, Slept};
use libc::pthread_t;

use super::acquire::{ONE_KIND, beside};
use super::identity;
use super::record::{Record, Target};
use super::until::Until;
use crate::hooks::hooks;
use crate::own::own;
use crate::table::Hook;

/// Nobody has cancelled the thread.
const NONE: u8 = 0;
const REQUESTED: u8 = 1;
/// The thread unwinds, and is not cancelled again.
const BEGUN: u8 = 2;

const PTHREAD_CANCEL_ENABLE: c_int = 0;
const PTHREAD_CANCEL_DISABLE: c_int = 1;
/// What the join of a cancelled thread returns.
pub(crate) const PTHREAD_CANCELED: usize = usize::MAX;

/// A thread's part of a cancellation.
pub(crate) struct Request {
    state: AtomicU8,
    /// Where the thread sleeps, if a cancellation is to wake it; else 0.
    sleeps_at: AtomicUsize,
}

impl Request {
    pub(crate) const fn new() -> Self {
        Self { state: AtomicU8::new(NONE), sleeps_at: AtomicUsize::new(0) }
    }

    fn is_pending(&self) -> bool {
        // SeqCst: either this sees the request, or who made it sees where the thread sleeps.
        self.state.load(Ordering::SeqCst) == REQUESTED
    }
}

/// The calling thread's part, if its next sleep ends it when it is cancelled.
fn deferred() -> Option<&'static Request> {
    let request = &Record::current()?.cancel;
    let mut before = PTHREAD_CANCEL_ENABLE;
    let set = own!(fn pthread_setcancelstate(c_int, *mut c_int) -> c_int);
    // SAFETY: it writes a local.
    unsafe {
        set(PTHREAD_CANCEL_DISABLE, &mut before);
        set(before, &mut 0);
    }
    (before == PTHREAD_CANCEL_ENABLE).then_some(request)
}

/// A sleep at a cancellation point, as the thread's record shows it while this lives.
pub(crate) struct Point(Option<&'static Request>);

impl Point {
    /// A point where the caller sleeps at `address`.
    pub(crate) fn at(address: usize) -> Self {
        let request = deferred();
        if let Some(request) = request {
            request.sleeps_at.store(address, Ordering::SeqCst);
        }
        Self(request)
    }

    /// A point where the caller sleeps by [`Self::sleep`].
    pub(crate) fn of_sleep() -> Self {
        Self::at(Record::current().map_or(0, |record| beside(std::ptr::from_ref(record).cast_mut())))
    }

    /// Sleeps until then, or until the caller is cancelled.
    pub(crate) fn sleep(&self, until: &Until) -> Slept {
        let Some(request) = self.0 else { return until.sleep() };
        // Relaxed: the caller's own.
        let address = request.sleeps_at.load(Ordering::Relaxed);
        let sleep = Sleep { address, bits: ONE_KIND, deadline: until.deadline(), is_cancellable: true };
        match hook::sleep_at(sleep, || !self.is_cancelled(), || ()) {
            Slept::Not => Slept::Cancelled,
            slept => slept,
        }
    }

    /// Whether the caller is cancelled, and should not sleep.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.is_some_and(Request::is_pending)
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        if let Some(request) = self.0 {
            request.sleeps_at.store(0, Ordering::SeqCst);
        }
    }
}

/// Ends the calling thread if it is cancelled. The caller is within no hook, and has nothing to drop.
#[inline]
pub(crate) fn test() {
    if Record::current().is_some() {
        test_thread();
    }
}

/// Makes the call of a cancellation point, unless the caller is cancelled: then the result does not count, since [`test`] follows.
#[inline]
pub(crate) fn at_point<R: Default>(call: impl FnOnce() -> R) -> R {
    let is_cancelled =
        Record::current().is_some_and(|record| record.cancel.is_pending()) && deferred().is_some();
    if is_cancelled { R::default() } else { call() }
}

#[cold]
fn test_thread() {
    let Some(request) = Record::current().map(|record| &record.cancel) else { return };
    if request.is_pending() && deferred().is_some() {
        // Relaxed: the thread's own.
        request.state.store(BEGUN, Ordering::Relaxed);
        identity::exit(PTHREAD_CANCELED);
    }
}

hooks! {
    /// pthread_cancel(3).
    fn pthread_cancel(thread: pthread_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        match unsafe { Target::of(thread) } {
            Target::Fiber(record) => request(&record.cancel),
            // Nothing ends a fiber of another kind in this way: `abaca::Fiber::cancel` does.
            Target::Caller => return libc::ENOTSUP,
            // SAFETY: as above.
            Target::Kernel => return unsafe { own!(fn pthread_cancel(pthread_t) -> c_int)(thread) },
        }
        0
    }
}

fn request(request: &Request) {
    if request.state.compare_exchange(NONE, REQUESTED, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        let address = request.sleeps_at.load(Ordering::SeqCst);
        if address != 0 {
            // Others who sleep there look, and sleep again.
            hook::wake_at(address, u32::MAX, usize::MAX);
        }
    }
}

/// The hook of this file that unwinds.
pub(crate) const TESTS: &[Hook] = &[Hook(pthread_testcancel as *const ())];

/// pthread_testcancel(3).
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn pthread_testcancel() {
    if Record::current().is_some() {
        return test();
    }
    // SAFETY: it takes nothing.
    unsafe { own!(fn pthread_testcancel() -> ())() };
}
