//! pthread_cancel, of threads that are fibers: deferred, as it is by default.
//!
//! A cancelled thread ends at its next cancellation point, or from the one that it waits in: a sleep, a wait for a condition or a
//! semaphore, a join, a call that waits for a descriptor. One with `PTHREAD_CANCEL_ASYNCHRONOUS` also ends from a wait for a lock, where it says
//! so, where it enables its cancellation, and where it cancels itself; nobody ends it while it computes.
//!
//! A sleep in the table is woken there. A wait for a descriptor is ended by cancelling the fiber. The thread unwinds then, and what its clean-up
//! handlers wait for is waited for, as on a thread: the fiber's cancellation does not end it.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use abaca::Fiber;
use abaca::hook::{self, Call, Deferred, Ends, Sleep, Slept};
use libc::pthread_t;

use super::acquire::{ONE_KIND, beside};
use super::identity;
use super::record::{Record, Target};
use super::shared_wait::SharedWait;
use super::until::Until;
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;
use crate::table::Hook;

const PTHREAD_CANCEL_ENABLE: c_int = 0;
const PTHREAD_CANCEL_DISABLE: c_int = 1;
const PTHREAD_CANCEL_DEFERRED: c_int = 0;
const PTHREAD_CANCEL_ASYNCHRONOUS: c_int = 1;
/// What the join of a cancelled thread returns.
pub(crate) const PTHREAD_CANCELED: usize = usize::MAX;

/// A thread's part of a cancellation.
pub(crate) struct Request {
    deferred: Deferred,
    /// The thread's fiber, known since its first call that is a cancellation point.
    fiber: OnceLock<Fiber>,
    /// Its wait for a condition that processes share.
    pub(super) shared_wait: SharedWait,
    /// Whether the thread ends when the hook that it is in has given back what it holds. Only the thread itself looks.
    ends_with_hook: AtomicBool,
    /// Whether the thread ends at once where it can be seen. Only the thread itself looks.
    is_asynchronous: AtomicBool,
}

impl Request {
    pub(crate) const fn new() -> Self {
        Self {
            deferred: Deferred::new(),
            fiber: OnceLock::new(),
            shared_wait: SharedWait::new(),
            ends_with_hook: AtomicBool::new(false),
            is_asynchronous: AtomicBool::new(false),
        }
    }

    /// Wakes the thread if it sleeps where a cancellation would wake it: it looks, and sleeps again.
    pub(crate) fn wake(&self) {
        match self.deferred.sleeps_at() {
            0 => {}
            address => _ = hook::wake_at(address, u32::MAX, usize::MAX),
        }
    }

    /// The thread, which is the caller, has jumped out of its call.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn leave_call(&self) {
        self.deferred.set_sleep(0);
        self.deferred.end_call();
    }

    /// Whether somebody has cancelled the thread.
    pub(super) fn was_made(&self) -> bool {
        self.deferred.was_requested()
    }

    /// Whether the thread, which is the caller, is to end.
    pub(super) fn is_pending(&self) -> bool {
        self.deferred.is_pending()
    }
}

/// A sleep at a cancellation point, as the thread's record shows it while this lives.
pub(crate) struct Point(Option<&'static Request>);

impl Point {
    /// No point at all.
    pub(crate) const NONE: Self = Self(None);

    /// A point where the caller sleeps at `address`, if it wants to end wherever it is: no point for any other.
    pub(crate) fn of_asynchronous(address: usize) -> Self {
        if is_asynchronous() { Self::at(address) } else { Self::NONE }
    }

    /// A point where the caller sleeps at `address`.
    pub(crate) fn at(address: usize) -> Self {
        let request = Record::current().map(|record| &record.cancel);
        if let Some(request) = request {
            request.deferred.set_sleep(address);
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
        let address = request.deferred.sleeps_at();
        let sleep = Sleep {
            address,
            bits: ONE_KIND,
            deadline: until.deadline(),
            is_cancellable: true,
            is_overtaken: false,
        };
        let (slept, unattended) = hook::interruptible_at(address, |interruption| {
            hook::sleep_at(sleep, || !self.is_cancelled() && !interruption.is_set(), || ())
        });
        match (unattended.attend().as_slept(), slept) {
            (Some(interrupted), _) => interrupted,
            // It was told to look, and has found nothing.
            (None, Slept::Not) if !self.is_cancelled() => Slept::Notified,
            (None, Slept::Not) => Slept::Cancelled,
            (None, slept) => slept,
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
            request.deferred.set_sleep(0);
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

/// A call that is a cancellation point, of a caller that is within its hook.
pub(crate) struct CancellationPoint(Option<&'static Request>);

impl CancellationPoint {
    #[inline(always)]
    pub(crate) fn of(_within: &Within) -> Self {
        Self(Record::current_within().map(|record| &record.cancel))
    }

    /// Makes the call, unless the caller is cancelled: then the result does not count, since [`test`](Self::test) follows.
    #[inline(always)]
    pub(crate) fn call<R: Default>(&self, call: impl FnOnce() -> R) -> R {
        self.call_or(R::default, call)
    }

    /// The same; `refused` if the caller is cancelled.
    #[inline(always)]
    fn call_or<R>(&self, refused: impl FnOnce() -> R, call: impl FnOnce() -> R) -> R {
        let Some(request) = self.0 else { return call() };
        request.fiber.get_or_init(abaca::current);
        let result = match request.deferred.begin_call() {
            Call::Make => call(),
            Call::MakeShielded => abaca::cancel::shield(call),
            Call::Refuse => refused(),
        };
        request.deferred.end_call();
        result
    }

    /// Whether the caller is cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.is_some_and(Request::is_pending)
    }

    /// [`test()`], after the call. The caller is within its hook no more.
    #[inline(always)]
    pub(crate) fn test(&self) {
        if self.is_cancelled() {
            test_thread();
        }
    }
}

/// Makes a call that waits, of a function of stdio that is a cancellation point where it waits, and not where all is in the buffer. If the
/// caller is cancelled already it returns `refused`. The hook, of the kind `c_wait`, ends the thread when it has given back what it holds.
pub(crate) fn wait_at_point<R>(refused: impl FnOnce() -> R, call: impl FnOnce() -> R) -> R {
    let point = CancellationPoint(Record::current_within().map(|record| &record.cancel));
    let result = point.call_or(refused, call);
    if let Some(request) = point.0.filter(|request| request.is_pending()) {
        // Relaxed: the thread's own.
        request.ends_with_hook.store(true, Ordering::Relaxed);
    }
    result
}

/// Whether the caller, which is within its hook, was cancelled in [`wait_at_point`].
#[inline(always)]
pub(crate) fn ends_with_hook() -> bool {
    // Relaxed: as above.
    Record::current_within().is_some_and(|record| record.cancel.ends_with_hook.load(Ordering::Relaxed))
}

#[cold]
fn test_thread() {
    let Some(request) = Record::current().map(|record| &record.cancel) else { return };
    if request.is_pending() {
        request.deferred.begin();
        identity::exit(PTHREAD_CANCELED);
    }
}

/// Makes a call, of a caller that is within its hook, in which a thread that is unwinding because it was cancelled waits as any other.
pub(crate) fn in_clean_up<R>(call: impl FnOnce() -> R) -> R {
    let has_begun = Record::current_within().is_some_and(|record| record.cancel.deferred.has_begun());
    if has_begun { abaca::cancel::shield(call) } else { call() }
}

hooks! {
    /// pthread_cancel(3).
    fn pthread_cancel(thread: pthread_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        match unsafe { Target::of(thread) } {
            Target::Fiber(record) => {
                request(&record.cancel);
                if thread == identity::current() {
                    test_if_asynchronous();
                }
            }
            // Nothing ends a fiber of another kind in this way: `abaca::Fiber::cancel` does.
            Target::Caller => return libc::ENOTSUP,
            // SAFETY: as above.
            Target::Kernel => return unsafe { own!(fn pthread_cancel(pthread_t) -> c_int)(thread) },
        }
        0
    }

    /// pthread_setcancelstate(3).
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int, |_| -> always {
        let Some(record) = Record::current() else {
            // SAFETY: the caller's promise.
            return unsafe { own!(fn pthread_setcancelstate(c_int, *mut c_int) -> c_int)(state, before) };
        };
        if !matches!(state, PTHREAD_CANCEL_ENABLE | PTHREAD_CANCEL_DISABLE) {
            return libc::EINVAL;
        }
        let was_disabled = record.cancel.deferred.set_disabled(state == PTHREAD_CANCEL_DISABLE);
        if !before.is_null() {
            // SAFETY: the caller's promise.
            unsafe { before.write(if was_disabled { PTHREAD_CANCEL_DISABLE } else { PTHREAD_CANCEL_ENABLE }) };
        }
        test_if_asynchronous();
        0
    }

    /// pthread_setcanceltype(3).
    fn pthread_setcanceltype(kind: c_int, before: *mut c_int) -> c_int, |_| -> always {
        let Some(record) = Record::current() else {
            // SAFETY: the caller's promise.
            return unsafe { own!(fn pthread_setcanceltype(c_int, *mut c_int) -> c_int)(kind, before) };
        };
        if !matches!(kind, PTHREAD_CANCEL_DEFERRED | PTHREAD_CANCEL_ASYNCHRONOUS) {
            return libc::EINVAL;
        }
        // Relaxed: the thread's own.
        let was = record.cancel.is_asynchronous.swap(kind == PTHREAD_CANCEL_ASYNCHRONOUS, Ordering::Relaxed);
        if !before.is_null() {
            // SAFETY: the caller's promise.
            unsafe { before.write(if was { PTHREAD_CANCEL_ASYNCHRONOUS } else { PTHREAD_CANCEL_DEFERRED }) };
        }
        test_if_asynchronous();
        0
    }
}

/// Ends the calling thread if it is cancelled, and wants to end wherever it is.
fn test_if_asynchronous() {
    if is_asynchronous() {
        test_thread();
    }
}

/// Whether the calling thread wants to end wherever it is.
fn is_asynchronous() -> bool {
    // Relaxed: the thread's own.
    Record::current().is_some_and(|record| record.cancel.is_asynchronous.load(Ordering::Relaxed))
}

fn request(request: &Request) {
    match request.deferred.request() {
        Ends::Nothing => request.shared_wait.end(),
        // Others who sleep there look, and sleep again.
        Ends::SleepAt(address) => _ = hook::wake_at(address, u32::MAX, usize::MAX),
        Ends::Call => {
            if cfg!(panic = "unwind")
                && let Some(fiber) = request.fiber.get()
            {
                // Without unwinding abaca cancels nothing.
                fiber.cancel();
            }
        }
    }
}

/// The hook of this file that unwinds.
pub(crate) const TESTS: &[Hook] = &[Hook(pthread_testcancel as *const (), "pthread_testcancel")];

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
