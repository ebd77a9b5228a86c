//! Masks of signals: which of them a fiber blocks, and what is sent to a fiber, or to the process, and blocked.
//!
//! The kernel knows the masks of its threads only, and a fiber is on any of them. So the mask of a fiber is kept here, and changes that of no
//! thread. A fiber that has never set one has its creator's, if that is a thread that is a fiber as well, or the main fiber's.
//!
//! The main thread's mask counts as the main fiber's where there is none, as with `threads_are_fibers`.
//!
//! A signal that is for a fiber waits with it until the fiber unblocks it (`waiting.rs`). One that is for the process is let through unless the main fiber
//! blocks it, as the kernel does with the main thread. Else it waits here until a fiber waits that does not block it, or unblocks it, or takes it
//! by sigwait(3). So that it can, the function of `handlers.rs` also stands for a signal's default, while the main fiber blocks it.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and reads sets of signals")]

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use abaca::hook;
use libc::{EINVAL, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGKILL, SIGSTOP, sigset_t};

use super::attending::{attend, attend_on_thread};
use super::defaults::{stand_for_calls, stand_for_defaults};
use super::frames::is_in_handler;
use super::handlers::{SIGNALS, has_handler};
use super::record::Record;
use super::relay::ring;
use super::waiting::{of_process, waiting};
use super::{borrowed, faults};
use crate::answer::{answer, failed};
use crate::calls::kick::{set_mask, signal};
use crate::enter::{enter, is_installed};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// The signals that nobody can block, and the two that libc keeps for itself.
const NEVER: u64 = bit(SIGKILL as usize) | bit(SIGSTOP as usize) | bit(32) | bit(33);

/// Stands for the main fiber's mask, as no mask can be.
const OF_MAIN: u64 = u64::MAX;

/// The main fiber's mask, or that of the main thread where there is none.
static MAIN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The fiber's mask, or [`OF_MAIN`].
    static MASK: Cell<u64> = const { Cell::new(OF_MAIN) };
    /// What the fiber takes by sigwait(3).
    static AWAITED: Cell<u64> = const { Cell::new(0) };
    /// Whether the main thread has changed its mask in a handler, at whose end the kernel changes it back.
    static CHANGED_IN_HANDLER: Cell<bool> = const { Cell::new(false) };
}

/// A signal as a bit.
pub(crate) const fn bit(signal: usize) -> u64 {
    1 << (signal - 1)
}

/// The signals of these bits.
pub(super) fn signals(bits: u64) -> impl Iterator<Item = usize> {
    (1..SIGNALS).filter(move |signal| bits & bit(*signal) != 0)
}

/// The bits of a set.
///
/// # Safety
///
/// The set is initialised.
pub(super) unsafe fn bits_of(set: *const sigset_t) -> u64 {
    // SAFETY: the caller's promise: the first word has the kernel's signals.
    unsafe { set.cast::<u64>().read() }
}

/// The bits of a set that can be a mask.
///
/// # Safety
///
/// The set is initialised.
pub(super) unsafe fn that_can_be(set: *const sigset_t) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { bits_of(set) & !NEVER }
}

/// # Safety
///
/// The set is null, or can be written.
pub(super) unsafe fn write(set: *mut sigset_t, bits: u64) {
    if !set.is_null() {
        // SAFETY: the caller's promise; all zeros are an empty set.
        unsafe {
            set.write(std::mem::zeroed());
            set.cast::<u64>().write(bits);
        }
    }
}

/// What the calling fiber blocks.
pub(super) fn blocked() -> u64 {
    own_mask().unwrap_or_else(|| MAIN.load(Ordering::SeqCst))
}

/// Whether the caller is in a handler, be it of a fault. Masks are the OS thread's there.
pub(super) fn is_in_any_handler() -> bool {
    is_in_handler() || faults::is_in_handler()
}

/// The calling fiber's mask, outside of handlers, in which masks are the OS thread's.
#[cfg(target_arch = "x86_64")]
pub(super) fn of_fiber() -> Option<u64> {
    (hook::on_fiber() && !is_in_any_handler() && !borrowed::is_child()).then(blocked)
}

/// Blocks more for the calling fiber, which leaves handlers. What of that it has not blocked before.
#[cfg(target_arch = "x86_64")]
pub(super) fn block(more: u64) -> u64 {
    let new = more & !blocked();
    if new != 0 {
        set(Some(blocked() | new));
    }
    new
}

/// Unblocks these for the calling fiber.
#[cfg(target_arch = "x86_64")]
pub(super) fn unblock(signals: u64) {
    if signals != 0 {
        restore(blocked() & !signals);
    }
}

/// Makes this the calling fiber's mask.
#[cfg(target_arch = "x86_64")]
pub(super) fn restore(mask: u64) {
    let mut set_of_mask = MaybeUninit::uninit();
    let within = enter();
    if within.is_some() {
        // SAFETY: a set of this function's.
        unsafe {
            write(set_of_mask.as_mut_ptr(), mask);
            change(SIG_SETMASK, set_of_mask.as_ptr(), ptr::null_mut());
        }
    } else {
        // It stays in a handler: what it lets through runs after that.
        set(Some(mask & !NEVER));
    }
}

/// Calls `wait`, in which the calling fiber takes these signals.
pub(super) fn awaiting<R>(signals: u64, wait: impl FnOnce() -> R) -> R {
    AWAITED.set(signals);
    let result = wait();
    AWAITED.set(0);
    result
}

/// The calling fiber has left the call in which it would have taken some.
#[cfg(target_arch = "x86_64")]
pub(super) fn await_nothing() {
    // Others are told of what it was told of.
    if AWAITED.replace(0) != 0 && of_process() != 0 {
        ring();
    }
}

/// What the calling fiber takes by sigwait(3).
pub(super) fn awaited() -> u64 {
    AWAITED.get()
}

/// What does not interrupt the calling fiber.
pub(super) fn not_interrupting() -> u64 {
    blocked() & !AWAITED.get()
}

/// What the main fiber blocks.
pub(super) fn of_main() -> u64 {
    MAIN.load(Ordering::SeqCst)
}

/// Whether the main fiber blocks the signal.
pub(super) fn main_blocks(signal: usize) -> bool {
    MAIN.load(Ordering::SeqCst) & bit(signal) != 0
}

/// The mask of a new thread: its creator's, of this moment.
pub(super) fn of_creator() -> u64 {
    if hook::on_fiber() { blocked() } else { of_thread() }
}

/// The calling fiber begins with its creator's mask.
pub(super) fn begin(mask: u64) {
    MASK.set(mask & !NEVER);
}

/// The calling fiber's mask, if it has one of its own.
pub(super) fn own_mask() -> Option<u64> {
    Some(MASK.get()).filter(|mask| *mask != OF_MAIN)
}

/// Sets the calling fiber's mask; `None` is the main fiber's.
pub(super) fn set(mask: Option<u64>) {
    MASK.set(mask.map_or(OF_MAIN, |mask| mask & !NEVER));
    let now = blocked();
    if hook::is_main() {
        MAIN.store(now, Ordering::SeqCst);
        stand_for_defaults(now);
    }
    if let Some(record) = Record::current_within() {
        stand_for_calls(now);
        record.pending.blocked.store(now, Ordering::SeqCst);
    }
}

/// A plain thread may have changed its mask: that of the main thread counts where there is no main fiber. What was held back, and is let through
/// now, is handled here.
pub(super) fn thread_has_changed() {
    if is_main_thread() {
        if is_in_any_handler() {
            CHANGED_IN_HANDLER.set(true);
        }
        main_is(of_thread());
    } else if of_process() != 0 && is_others_thread() {
        attend_on_thread(of_thread());
    }
}

/// A jump is about to make this the mask of a plain thread.
#[cfg(target_arch = "x86_64")]
pub(super) fn will_be(mask: u64) {
    if is_main_thread() {
        main_is(mask & !NEVER);
    } else if of_process() != 0 && is_others_thread() {
        attend_on_thread(mask & !NEVER);
    }
}

/// A handler has returned, after which the calling thread goes on with this mask.
pub(super) fn handler_returns_to(mask: u64) {
    if CHANGED_IN_HANDLER.get() && is_main_thread() {
        CHANGED_IN_HANDLER.set(is_in_any_handler());
        main_is(mask);
    }
}

/// The calling OS thread's mask.
fn of_thread() -> u64 {
    let mut now = MaybeUninit::uninit();
    // SAFETY: a set to be written.
    unsafe {
        set_mask(SIG_BLOCK, ptr::null(), now.as_mut_ptr());
        bits_of(now.as_ptr())
    }
}

/// Whether the caller is a plain thread of the program's besides the main one.
fn is_others_thread() -> bool {
    is_installed() && !hook::is_fibers_storage() && !hook::handles_for_fibers() && !borrowed::is_child()
}

/// Whether the caller is the process's main thread, and no fiber. May be called in a handler.
pub(super) fn is_main_thread() -> bool {
    // SAFETY: no memory is involved.
    let is_main = || unsafe { kernel!(libc::SYS_gettid) == kernel!(libc::SYS_getpid) };
    is_installed() && !hook::is_fibers_storage() && is_main() && !borrowed::is_child()
}

/// The main thread, which is the caller, has this mask. That of the signal by which its waits are ended is not the program's.
fn main_is(now: u64) {
    let now = now & !signal().map_or(0, |kick| bit(kick as usize));
    if MAIN.swap(now, Ordering::SeqCst) != now {
        stand_for_defaults(now);
        attend_on_thread(now);
    }
}

/// Whether a handler that is about to run on the calling thread must not: the fiber there blocks the signal, or the main one does, and it is
/// for the fibers, or would do what it does by default. May be called in a handler.
pub(super) fn is_held_back(signal: usize) -> bool {
    // Also where it has interrupted the runtime, which works for the fiber.
    if hook::is_fibers_storage() {
        return blocked() & bit(signal) != 0;
    }
    main_blocks(signal) && (hook::handles_for_fibers() || !has_handler(signal))
}

hooks! {
    /// pthread_sigmask(3). The mask of a fiber is its own.
    fn pthread_sigmask(how: c_int, new: *const sigset_t, old: *mut sigset_t) -> c_int, |_| -> always {
        if let Some(_within) = enter() {
            // SAFETY: the caller's promise.
            return unsafe { change(how, new, old) };
        }
        // SAFETY: the caller's promise.
        let error = unsafe { own!(fn pthread_sigmask(c_int, *const sigset_t, *mut sigset_t) -> c_int)(how, new, old) };
        thread_has_changed();
        error
    }

    /// sigprocmask(2), the same.
    fn sigprocmask(how: c_int, new: *const sigset_t, old: *mut sigset_t) -> c_int, |_| -> always {
        if let Some(within) = enter() {
            // SAFETY: the caller's promise.
            let error = unsafe { change(how, new, old) };
            drop(within);
            return answer(failed(error)) as c_int;
        }
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn sigprocmask(c_int, *const sigset_t, *mut sigset_t) -> c_int)(how, new, old) };
        thread_has_changed();
        result
    }

    /// sigpending(2).
    fn sigpending(set: *mut sigset_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            let result = own!(fn sigpending(*mut sigset_t) -> c_int)(set);
            if result == 0 && hook::on_fiber() {
                let mask = blocked();
                // In a handler: what waits for the OS thread as well.
                let here = if is_in_any_handler() { u64::MAX } else { mask };
                write(set, bits_of(set) & here | waiting() & mask);
            } else if result == 0 && of_process() != 0 && is_installed() && !borrowed::is_child() {
                write(set, bits_of(set) | waiting() & of_thread());
            }
            result
        }
    }
}

/// What a mask is after a change.
///
/// # Errors
///
/// * `EINVAL`: it is no change.
///
/// # Safety
///
/// The set is null, or initialised.
pub(super) unsafe fn changed(before: u64, how: c_int, new: *const sigset_t) -> Result<u64, c_int> {
    if new.is_null() {
        return Ok(before);
    }
    // SAFETY: the caller's promise.
    let bits = unsafe { bits_of(new) } & !NEVER;
    match how {
        SIG_BLOCK => Ok(before | bits),
        SIG_UNBLOCK => Ok(before & !bits),
        SIG_SETMASK => Ok(bits),
        _ => Err(EINVAL),
    }
}

/// Changes the calling fiber's mask: the result is an error number, or 0.
///
/// # Safety
///
/// As pthread_sigmask(3).
unsafe fn change(how: c_int, new: *const sigset_t, old: *mut sigset_t) -> c_int {
    if borrowed::is_child() {
        // SAFETY: the caller's promise.
        return unsafe { borrowed::change_mask(how, new, old) };
    }
    let before = blocked();
    // SAFETY: the caller's promise.
    let now = match unsafe { changed(before, how, new) } {
        Ok(now) => now,
        Err(error) => return error,
    };
    // SAFETY: the caller's promise.
    unsafe { write(old, before) };
    if !new.is_null() {
        set(Some(now));
        if waiting() & before & !now != 0 {
            attend();
        }
    }
    0
}
