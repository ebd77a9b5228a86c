//! What `abaca-transparent` needs of the runtime: waits that end without unwinding, for the functions of C that it takes the place of.
//!
//! Not for others: this module may change in any release.
//!
//! * [`on_fiber`], [`enter`]: whether the caller can be parked.
//! * [`descriptors`]: waits for descriptors by number.
//! * [`sleep_at`] and [`wake_at`]: a table of sleepers by address, for futexes and locks.
//! * [`sleep_until`], [`yield_now`], [`offload`] and its kin; [`Pauses`] between looks at what nothing reports.
//! * [`spawn`] and [`await_end`]: threads that are fibers, and [`Deferred`], their cancellation.
//! * [`mail`]: what is sent to a fiber that runs.
//! * [`watch_forks`]: copies of the process begin anew.
//!
//! A C function must not be unwound. So nothing here unwinds: a wait that a cancellation or a deadline ends returns
//! [`Slept::Cancelled`], and so does each later one, until the fiber unwinds from a blocking call of abaca's own, or the cancel scope
//! ends.

mod aside;
pub mod descriptors;
mod fairness;
mod forked;
mod interrupt;
pub mod mail;
mod sleepers;
mod threads;

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cell::{Flags, Header, Outcome, Reason, Waiter};
use crate::scheduler::Worker;
use crate::{blocking, park, scheduler};

pub use crate::os::fork::{AtFork, PerProcess};
pub use crate::park::by_address::{MUTEX_MARK, RWLOCK_MARK};
pub use crate::park::deferred::{Call, Deferred, Ends};
pub use crate::park::key::Found;
pub use crate::queue::{Counted, Keyed, Listeners, Listening, Sent};
pub use crate::time::pauses::Pauses;
pub use fairness::{Overtaken, wake_fairly};
pub use forked::watch_forks;
use interrupt::{By, can_be_interrupted, interruptible};
pub use interrupt::{
    Calls, Interrupted, Interruption, Notes, Unattended, arm, fiber_key, handles_for_fibers,
    has_interrupted_runtime, interrupt_fiber, interrupt_one, interrupt_taker, interruptible_at, is_main,
};
pub use sleepers::{Sleep, has_sleepers, sleep_at, sleep_or_handle_at, wake_at};
pub use threads::{
    Kept, as_kernel_threads, await_end, await_end_or_cancellation, from_raw, has_memory_for_runtime,
    into_raw, is_waiting, keep_float_control, kept_for_thread, spawn, stack, starts_runtimes_thread,
    wants_kernel_threads,
};

/// Whether the caller is a fiber with storage of its own, which can be parked. Cheap: one load on a plain thread.
#[inline]
#[must_use]
pub fn on_fiber() -> bool {
    scheduler::can_park_here()
}

/// Whether the storage here is a fiber's own: that fiber is here, be it in code of its own or in the runtime. May be called in a handler.
#[must_use]
pub fn is_fibers_storage() -> bool {
    scheduler::mailbox().is_some()
}

/// Begins a hook, if the caller [can be parked](on_fiber) and is within none. Returns whether it has: then [`set_within`] ends it.
#[inline]
#[must_use]
pub fn enter() -> bool {
    scheduler::enter_hook()
}

/// Sets whether the calling fiber or thread is within a hook. Returns the value before.
#[inline]
pub fn set_within(is_within: bool) -> bool {
    scheduler::set_within_hook(is_within)
}

/// The address that the calling fiber has [kept](set_record); null if it has kept none, and on a plain thread.
#[inline]
#[must_use]
pub fn record() -> *const () {
    scheduler::record()
}

/// Keeps an address for the rest of the calling fiber's life, beside what each hook looks at.
pub fn set_record(record: *const ()) {
    scheduler::set_record(record);
}

/// Gives the fibers of the runtimes that are built from now on storage of their own, unless their builder or the environment says
/// otherwise.
///
/// # Errors
///
/// * [`Unsupported`](std::io::ErrorKind::Unsupported), with the reason.
pub fn own_tls_by_default() -> std::io::Result<()> {
    crate::runtime::own_tls_by_default()
}

/// Says that the process's threads are fibers. What limits the threads of its runtimes, and was not set, holds no longer for those that wait in
/// the kernel, as each thread of the process would: they may wait for each other.
pub fn threads_are_fibers() {
    crate::pool::lift_limits();
}

/// Lets code be executed on the stacks that are made from now on.
pub fn make_stacks_executable() {
    abaca_asm::stack::make_executable();
}

/// How a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// The caller was not to wait.
    Not,
    /// Somebody has woken the caller.
    Notified,
    /// The deadline has passed.
    TimedOut,
    /// The fiber, or a cancel scope of it, was cancelled, or its deadline has passed.
    Cancelled,
    /// A handler of a signal has run for the caller, after which calls that can be restarted go on (SA_RESTART).
    Handled,
    /// A handler has run after which calls end in EINTR.
    Interrupted,
}

impl From<Outcome> for Slept {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Notified => Self::Notified,
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

/// Calls `look`, for which the caller need not be able to unwind.
fn without_unwinding<R>(look: impl FnOnce() -> R) -> R {
    let Some(me) = scheduler::current_fiber() else { return look() };
    #[expect(unsafe_code, reason = "uses the header of the calling fiber")]
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    header.set_flag(Flags::ENDS_IN_ERROR);
    let result = look();
    header.unset_flag(Flags::OF_WAIT_OF_C);
    result
}

/// [`park::wait`](fn@park::wait), which a cancellation ends wherever the fiber is: its caller does not unwind.
#[inline]
fn wait_without_unwinding(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    match (scheduler::current_worker(), waiter.fiber()) {
        (Some(worker), Some(me)) => wait_without_unwinding_on(worker, me, waiter, reason, deadline),
        _ => park::wait(waiter, reason, deadline),
    }
}

/// [`wait_without_unwinding`] of a fiber, within the caller's frame, given the [`current_worker`](scheduler::current_worker).
#[inline(always)]
fn wait_without_unwinding_on(
    worker: &'static Worker,
    me: NonNull<Header>,
    waiter: &Waiter,
    reason: Reason,
    deadline: Option<Instant>,
) -> Outcome {
    #[expect(unsafe_code, reason = "uses the header of the calling fiber")]
    // SAFETY: the waiter is the caller's, which is this fiber.
    let header = unsafe { me.as_ref() };
    header.set_flag(Flags::ENDS_IN_ERROR);
    let outcome = park::block_on(worker, me, waiter, reason, deadline);
    header.unset_flag(Flags::OF_WAIT_OF_C);
    outcome
}

/// Passes the outcome of a wait on, and notes a cancellation.
#[inline(always)]
fn noted(outcome: Outcome) -> Outcome {
    if outcome == Outcome::Cancelled {
        cancelled();
    }
    outcome
}

/// How many calls of a fiber end at once because it is cancelled, before it is slowed down.
const FREE_ERRORS: u32 = 16;

/// Notes that a wait has been ended by a cancellation.
#[cold]
fn cancelled() {
    thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }
    park::note_ended_call();
    COUNT.set(COUNT.get() + 1);
    if COUNT.get() > FREE_ERRORS {
        // A loop that does not end at an error, such as one that accepts connections, leaves the worker to others.
        let pause = Instant::now() + Duration::from_millis(1);
        park::shield(|| park::wait(&park::waiter(), Reason::Sleep, Some(pause)));
    }
}

/// Sleeps until `at`; `None` is for ever.
pub fn sleep_until(at: Option<Instant>) -> Slept {
    loop {
        let waiter = park::waiter();
        let (outcome, unattended) = interruptible(By::Waiter(&raw const waiter), |interruption| {
            interruption.wait(&waiter, || noted(wait_without_unwinding(&waiter, Reason::Sleep, at)))
        });
        match unattended.attend() {
            Interrupted::Looks if outcome == Outcome::Notified => {}
            by => return by.as_slept().unwrap_or(outcome.into()),
        }
    }
}

/// [`sleep_until`], in which no handler runs.
fn pause_until(at: Instant) -> Slept {
    noted(wait_without_unwinding(&park::waiter(), Reason::Sleep, Some(at))).into()
}

/// Whether the calling fiber is cancelled: its next wait would end at once.
#[must_use]
pub fn is_cancelled() -> bool {
    without_unwinding(park::is_cancelled)
}

/// Whether the calling fiber is cancelled, in a call that does not wait and would have had to: such a call then ends in the same error as
/// one that waits. So an event loop on the fiber hears of it.
#[must_use]
pub fn ends_in_error() -> bool {
    let is_cancelled = is_cancelled();
    if is_cancelled {
        cancelled();
    }
    is_cancelled
}

/// Lets the other fibers of the worker run. No place to be cancelled.
pub fn yield_now() {
    park::shield(park::yield_now);
}

/// Makes a call that blocks its thread on one of the runtime's pool, and waits for its end, whatever happens. What is sent to the caller meanwhile,
/// here and in the functions below, is attended to when it leaves the hook.
pub fn offload<T: Send>(call: impl FnOnce() -> T + Send) -> T {
    attending_later(|| park::shield(|| blocking::run(call)))
}

/// Makes a call in whose wait no handler runs: pointers of others lead to the caller's frames.
fn attending_later<R>(call: impl FnOnce() -> R) -> R {
    let result = call();
    if interrupt::is_sent() {
        scheduler::put_into_own_mailbox();
    }
    result
}

/// Makes a call that blocks its thread, and owns what it uses, on one of the runtime's pool. `None` if the caller was cancelled before its
/// end: then it goes on, and its result is dropped there. Handlers run meanwhile: the caller has nothing that must be dropped.
pub fn offload_or_leave<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if can_be_interrupted() {
        return aside::run_attending(call);
    }
    let call = || without_unwinding(|| blocking::run_or_leave(call));
    let result = if is_cancelled() { None } else { attending_later(call) };
    if result.is_none() {
        cancelled();
    }
    result
}

/// Makes a call that owns what it uses, and must be made, on one of the runtime's pool. `None` if the caller was cancelled before its end: then
/// it is made without the caller, and its result is dropped there.
pub fn offload_and_leave<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let result = Arc::new(Mutex::new(None));
    let of_call = Arc::clone(&result);
    let job = move || *of_call.lock().unwrap_or_else(PoisonError::into_inner) = Some(call());
    attending_later(|| without_unwinding(|| blocking::run_aside(job)));
    let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    if result.is_none() {
        cancelled();
    }
    result
}

/// Has a call made on one of the runtime's pool, without waiting for it.
pub fn begin_elsewhere(call: impl FnOnce() + Send + 'static) {
    blocking::run_later(call);
}

/// Calls `observer` with the id of each thread that is stuck in a fiber while others wait for its worker, which has left it. It runs on the
/// monitor's thread, and must not wait. The first call counts.
pub fn observe_stuck_threads(observer: fn(i32)) {
    scheduler::observe_stuck_threads(observer);
}

/// The name of a system call, if it is one in which programs often wait.
#[must_use]
pub fn name_of_system_call(number: i64) -> Option<&'static str> {
    crate::os::thread_state::name_of(number)
}

/// Notes that the calling fiber has accepted a connection: the next fiber that it spawns goes to the worker with the fewest.
pub fn accepted() {
    scheduler::placement_hint();
}
