//! pthread_join and its kin, and pthread_detach.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use abaca::JoinHandle;
use abaca::hook::{self, Pauses};
use libc::{CLOCK_REALTIME, EBUSY, EDEADLK, EINVAL, ETIMEDOUT, clockid_t, pthread_t, timespec};

use super::c11;
use super::cancel::{self, CancellationPoint, PTHREAD_CANCELED};
use super::identity;
use super::record::{Finished, Record, Target};
use super::until::Until;
use crate::enter::enter;
use crate::hooks::hooks;
use crate::own::own;

type Value = *mut *mut c_void;
type Time = *const timespec;

hooks! {
    /// pthread_join(3).
    fn pthread_join(thread: pthread_t, value: Value) -> c_int, |_| -> always {
        let own = own!(fn pthread_join(pthread_t, Value) -> c_int);
        // SAFETY: the caller's promise.
        unsafe { join(thread, value, Limit::Until(Until::Never), &|value| own(thread, value)) }
    }

    /// pthread_tryjoin_np(3).
    fn pthread_tryjoin_np(thread: pthread_t, value: Value) -> c_int, |_| -> always {
        let own = own!(fn pthread_tryjoin_np(pthread_t, Value) -> c_int);
        // SAFETY: the caller's promise.
        unsafe { join(thread, value, Limit::Try, &|value| own(thread, value)) }
    }

    /// pthread_timedjoin_np(3).
    fn pthread_timedjoin_np(thread: pthread_t, value: Value, time: Time) -> c_int, |_| -> always {
        let own = own!(fn pthread_timedjoin_np(pthread_t, Value, Time) -> c_int);
        // SAFETY: the caller's promise.
        unsafe {
            let limit = if time.is_null() { Ok(Until::Never) } else { Until::clock(CLOCK_REALTIME, time) };
            join(thread, value, limit.map_or(Limit::Wrong, Limit::Until), &|value| own(thread, value, time))
        }
    }

    /// pthread_clockjoin_np(3).
    fn pthread_clockjoin_np(thread: pthread_t, value: Value, clock: clockid_t, time: Time) -> c_int, |_| -> always {
        let own = own!(fn pthread_clockjoin_np(pthread_t, Value, clockid_t, Time) -> c_int);
        // SAFETY: the caller's promise.
        unsafe {
            let limit = if time.is_null() { Ok(Until::Never) } else { Until::lock_clock(clock, time) };
            join(thread, value, limit.map_or(Limit::Wrong, Limit::Until), &|value| own(thread, value, clock, time))
        }
    }

    /// pthread_detach(3).
    fn pthread_detach(thread: pthread_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            match Target::of(thread) {
                Target::Fiber(record) => record.detach().err().unwrap_or(0),
                Target::Caller => EINVAL,
                Target::Kernel => own!(fn pthread_detach(pthread_t) -> c_int)(thread),
            }
        }
    }

    /// thrd_join.
    fn thrd_join(thread: pthread_t, value: *mut c_int) -> c_int, |_| -> always {
        let mut result = ptr::null_mut();
        // SAFETY: the caller's promise.
        let error = unsafe { pthread_join(thread, &mut result) };
        if error == 0 && !value.is_null() {
            // SAFETY: the caller's promise.
            unsafe { value.write(result.addr() as c_int) };
        }
        c11::result(error)
    }

    /// thrd_detach.
    fn thrd_detach(thread: pthread_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        c11::result(unsafe { pthread_detach(thread) })
    }
}

/// How long a join waits.
enum Limit {
    /// Not at all.
    Try,
    Until(Until),
    /// Until a time that is none.
    Wrong,
}

/// # Safety
///
/// The thread may be joined; the value is null or can be written.
unsafe fn join(thread: pthread_t, value: Value, limit: Limit, own: &dyn Fn(Value) -> c_int) -> c_int {
    // SAFETY: the caller's promise.
    let record = match unsafe { Target::of(thread) } {
        Target::Fiber(record) => record,
        // A fiber that is not joined in this way, by itself.
        Target::Caller => return EDEADLK,
        Target::Kernel => {
            let tried = own!(fn pthread_tryjoin_np(pthread_t, Value) -> c_int);
            // SAFETY: the caller's promise, here and below.
            let attempt =
                || unsafe { of_main(thread, value) }.unwrap_or_else(|| unsafe { tried(thread, value) });
            // SAFETY: as above.
            let own = || unsafe { of_main(thread, value) }.unwrap_or_else(|| own(value));
            return join_of_kernel(&limit, &attempt, &own);
        }
    };
    let is_try = matches!(limit, Limit::Try);
    if !is_try {
        cancel::test();
    }
    let me = Record::current();
    // An attempt does not ask who else joins: the thread has not ended.
    let refused = |error| if is_try { EBUSY } else { error };
    if record.is_detached() {
        return refused(EINVAL);
    }
    // Who was cancelled waits for the caller no longer than until it sees that.
    let waits_for = |me| ptr::eq(record.joins.load(Ordering::SeqCst), me) && !record.cancel.was_made();
    if me.is_some_and(|me| ptr::eq(record, me) || waits_for(me)) {
        return refused(EDEADLK);
    }
    let note = |whom: *const Record| {
        if let Some(me) = me {
            me.joins.store(whom.cast_mut(), Ordering::SeqCst);
        }
    };
    if identity::is_thread_of_copy(thread) {
        note(record);
        // SAFETY: the caller's promise.
        let attempt = || unsafe { of_main(thread, value) }.unwrap_or(EBUSY);
        let result = join_of_kernel(&limit, &attempt, &attempt);
        note(ptr::null());
        return result;
    }
    if let Err(error) = record.begin_join() {
        return refused(error);
    }
    note(record);
    let within = enter();
    let point = within.as_ref().map(CancellationPoint::of);
    let is_wrong = matches!(limit, Limit::Wrong);
    let finished = record.join(|handle| match &limit {
        Limit::Try | Limit::Wrong => handle.is_finished(),
        Limit::Until(until) => {
            let wait = || await_end(handle, until, point.as_ref());
            point.as_ref().map_or_else(wait, |point| point.call(wait))
        }
    });
    drop(within);
    note(ptr::null());
    let Some(finished) = finished else {
        if is_try {
            return EBUSY;
        }
        cancel::test();
        return if is_wrong { EINVAL } else { ETIMEDOUT };
    };
    if !value.is_null() {
        let result = finished.map_or(PTHREAD_CANCELED, |finished| finished.value);
        // SAFETY: the caller's promise.
        unsafe { value.write(ptr::with_exposed_provenance_mut(result)) };
    }
    0
}

/// Ends the join of a main thread that has ended, and stays until the others have. `None` if it is another, or has not.
///
/// # Safety
///
/// The value is null or can be written.
unsafe fn of_main(thread: pthread_t, value: Value) -> Option<c_int> {
    let result = identity::take_end_of_main(thread)?;
    if !value.is_null() {
        // SAFETY: the caller's promise.
        unsafe { value.write(ptr::with_exposed_provenance_mut(result)) };
    }
    Some(0)
}

/// Waits for the end of a thread until then, or until the caller is cancelled by `pthread_cancel`. Returns whether it has ended.
fn await_end(handle: &JoinHandle<Finished>, until: &Until, point: Option<&CancellationPoint>) -> bool {
    let is_over = || until.has_passed() || point.is_some_and(CancellationPoint::is_cancelled);
    if hook::await_end_or_cancellation(handle, until.deadline()) {
        return true;
    }
    // A cancellation of another kind does not end a join, and a clock may have been set back.
    while !is_over() {
        if hook::await_end(handle, until.deadline()) {
            return true;
        }
    }
    false
}

/// A fiber joins a thread of the kernel's, or one that has become such in a copy of the process: it looks after pauses, since no event tells.
fn join_of_kernel(limit: &Limit, attempt: &dyn Fn() -> c_int, own: &dyn Fn() -> c_int) -> c_int {
    const FIRST: Duration = Duration::from_micros(100);
    let Limit::Until(until) = limit else { return own() };
    let Some(within) = enter() else { return own() };
    let point = CancellationPoint::of(&within);
    let mut result = EBUSY;
    point.call(|| {
        let mut pauses = Pauses::starting_with(FIRST);
        loop {
            match attempt() {
                EBUSY if until.has_passed() => result = ETIMEDOUT,
                EBUSY if point.is_cancelled() => {}
                EBUSY => {
                    Until::Instant(Instant::now() + pauses.next_pause()).sleep();
                    continue;
                }
                ended => result = ended,
            }
            return;
        }
    });
    drop(within);
    if result == EBUSY {
        point.test();
    }
    result
}
