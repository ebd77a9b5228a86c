//! Threads that are fibers.

#![expect(unsafe_code, reason = "uses the header of the calling fiber")]

use std::ops::Range;
use std::ptr::NonNull;
use std::time::Instant;

use super::interrupt::{handle as handle_what_was_sent, wait_or_leave};
use super::wait_without_unwinding;
use crate::cell::{Outcome, Reason, Waiter};
use crate::fiber::{Builder, JoinHandle, SpawnError};
pub use crate::os::headroom::Kept;
use crate::os::headroom::{self, REST_BYTES, Reserve};
use crate::os::thread;
use crate::park;
use crate::runtime::Runtime;
use crate::scheduler;

/// The default is rounded up to whole pages.
const PAGE_BYTES: usize = 4096;

/// How much memory, by a single allocation, there is to be for a thread besides its stack. A cell, a record, a handle and a queue's growth take less.
const THREAD_BYTES: usize = 16 * 1024;

/// How much of the space of addresses there is to be for a runtime, which has threads of the kernel's.
const RUNTIME_BYTES: usize = 64 * 1024 * 1024;

/// From now on each fiber with storage of its own has control words of floating point of its own (`fesetround`), as a thread has.
pub fn keep_float_control() {
    scheduler::float_control::keep();
}

/// Memory for a thread, if there is some. What is made for it asks for some; what cannot do without, a queue, finds this in [`spawn`], which gives it back
/// just before.
#[must_use]
pub fn kept_for_thread() -> Option<Kept> {
    Kept::take(THREAD_BYTES)
}

/// Whether there is memory for a runtime, as far as the process's limit says.
#[must_use]
pub fn has_memory_for_runtime() -> bool {
    !headroom::is_limited() || headroom::has(RUNTIME_BYTES)
}

/// Spawns a fiber with a stack of `stack_bytes` usable bytes: on the caller's runtime if that gives its fibers storage of their own, or
/// else on `elsewhere`, which is called only then. Where the process's memory is limited (RLIMIT_AS), there is a stack for it then.
///
/// # Errors
///
/// As [`Builder::spawn`]; [`SpawnError::NoRuntime`] also if there is none elsewhere, or no memory or no stack.
pub fn spawn<T: Send + 'static>(
    stack_bytes: usize,
    elsewhere: impl FnOnce() -> Option<&'static Runtime>,
    body: impl FnOnce() -> T + Send + 'static,
    kept: Kept,
) -> Result<JoinHandle<T>, SpawnError> {
    let Some(control) = scheduler::float_control::unusual() else {
        return spawn_usual(stack_bytes, elsewhere, body, kept);
    };
    let body = move || {
        // SAFETY: the thread's creator has set them, with which its routine is to begin.
        unsafe { scheduler::float_control::begin_with(control) };
        body()
    };
    spawn_usual(stack_bytes, elsewhere, body, kept)
}

/// [`spawn`] of a fiber that begins with the usual control words.
fn spawn_usual<T: Send + 'static>(
    stack_bytes: usize,
    elsewhere: impl FnOnce() -> Option<&'static Runtime>,
    body: impl FnOnce() -> T + Send + 'static,
    kept: Kept,
) -> Result<JoinHandle<T>, SpawnError> {
    let here = scheduler::current_worker().filter(|worker| worker.shared().has_own_tls());
    let elsewhere = match here {
        Some(_) => None,
        None => Some(&*elsewhere().ok_or(SpawnError::NoRuntime)?.shared),
    };
    let is_limited = headroom::is_limited();
    // Whoever takes what is given back may leave nothing.
    let kept = (!is_limited).then_some(kept);
    match (here, elsewhere) {
        (Some(worker), _) => builder(stack_bytes, worker.shared(), is_limited)?.spawn_thread(body, kept),
        (None, Some(shared)) => {
            builder(stack_bytes, shared, is_limited)?.spawn_thread_onto(shared, body, kept)
        }
        (None, None) => Err(SpawnError::NoRuntime),
    }
}

fn builder(stack_bytes: usize, shared: &scheduler::Shared, is_limited: bool) -> Result<Builder, SpawnError> {
    // Stacks of the default size are the fastest to get.
    let is_default =
        shared.stacks.default_bytes().checked_sub(stack_bytes).is_some_and(|spare| spare < PAGE_BYTES);
    if is_limited {
        let bytes = if is_default { 0 } else { u32::try_from(stack_bytes.max(1)).unwrap_or(u32::MAX) };
        // A stack that must be mapped leaves the rest to others.
        let has_room = shared.stacks.has_spare(bytes) || Reserve::take(REST_BYTES).is_some();
        if !has_room || !shared.stacks.promise(bytes) {
            return Err(SpawnError::NoRuntime);
        }
    }
    Ok(if is_default { Builder::new() } else { Builder::new().stack_size(stack_bytes) })
}

/// The handle of a fiber as an address, for who has no memory for more.
#[must_use]
pub fn into_raw<T>(handle: JoinHandle<T>) -> NonNull<()> {
    handle.into_raw()
}

/// The handle that [`into_raw`] has made an address of.
///
/// # Safety
///
/// It was of this type, and the address makes no handle again.
#[must_use]
pub unsafe fn from_raw<T>(raw: NonNull<()>) -> JoinHandle<T> {
    // SAFETY: the caller's promise.
    unsafe { JoinHandle::from_raw(raw) }
}

/// Whether the fiber waits: whatever it is to wait for, an event or a change finds it from now on. It may have been woken, and not have gone on yet.
#[must_use]
pub fn is_waiting<T>(handle: &JoinHandle<T>) -> bool {
    handle.is_waiting()
}

/// Waits for the end of a fiber, or until `deadline`, or until something is sent to the caller, whose handlers have run then. Returns whether it
/// has ended, so that a join returns at once.
pub fn await_end<T>(handle: &JoinHandle<T>, deadline: Option<Instant>) -> bool {
    await_end_by(handle, |waiter| park::wait_shielded(waiter, Reason::Join, deadline))
}

/// The same; a cancellation of the caller ends the wait as well, without unwinding.
pub fn await_end_or_cancellation<T>(handle: &JoinHandle<T>, deadline: Option<Instant>) -> bool {
    await_end_by(handle, |waiter| wait_without_unwinding(waiter, Reason::Join, deadline))
}

fn await_end_by<T>(handle: &JoinHandle<T>, wait: impl FnOnce(&Waiter) -> Outcome) -> bool {
    let mut was_sent = false;
    let has_ended = handle.await_end_by(|waiter| {
        let (outcome, is_sent) = wait_or_leave(waiter, || wait(waiter));
        was_sent = is_sent;
        outcome
    });
    if was_sent {
        handle_what_was_sent();
    }
    has_ended
}

/// Whether `pthread_create` is to make a thread of the kernel's for the caller: the runtime's own code wants one, on a worker or
/// elsewhere, or the caller is within [`as_kernel_threads`].
#[must_use]
pub fn wants_kernel_threads() -> bool {
    let is_runtimes = || {
        scheduler::current_worker().is_some_and(|worker| worker.shared().has_own_tls()) && !super::on_fiber()
    };
    thread::wants_kernel_threads() || is_runtimes()
}

/// Whether the calling fiber starts a thread of its runtime's, to which it leaves nothing of its own.
#[must_use]
pub fn starts_runtimes_thread() -> bool {
    thread::starts_own()
}

/// Calls `f`, in which the threads that the caller starts are the kernel's.
pub fn as_kernel_threads<R>(f: impl FnOnce() -> R) -> R {
    thread::as_kernel_threads(f)
}

/// The addresses of the calling fiber's stack, from the lowest on. `None` on a plain thread.
#[must_use]
pub fn stack() -> Option<Range<usize>> {
    // SAFETY: the caller is this fiber.
    let (guard, top) = unsafe { scheduler::current_fiber()?.as_ref() }.stack_range()?;
    Some(guard.end..top)
}
