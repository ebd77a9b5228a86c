//! Handlers of signals, of which the runtime must know that they have run: a call that waits ends in EINTR then, or goes on, as on a thread.
//!
//! A signal of the process runs its handler on a thread that the kernel chooses: the main thread, if it does not block the signal. So it
//! interrupts the main fiber, if the main thread waits for one, and if that fiber is in a call that waits here. (Else it
//! interrupts the fiber that has waited the longest, as in a program of one thread.) A signal that `pthread_kill` sends to a fiber has its
//! handler run on that fiber, from the call in which it waits, or where it runs (`search.rs`).
//!
//! In place of a handler a function of this file is set up, which calls it. It runs wherever the signal has interrupted the process, also in
//! the middle of the runtime's code, so it only notes what has happened, for a thread that then acts (`relay.rs`).
//!
//! Handlers for faults run for what their own thread did: `faults.rs`.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and calls handlers")]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abaca::hook::{self, Interrupted};
use libc::{SA_RESETHAND, SA_RESTART, SA_SIGINFO, SIG_DFL, SIG_ERR, SIG_IGN, sighandler_t, siginfo_t};

use super::defaults::{OF_CALLS, act_by_default, stand_for_default, stands_for_default};
use super::faults::{self, is_fault};
use super::flags::{FLAGS, ask_for_info, is_without_info, note_flags, note_info};
use super::frames::{self, attends, handling, has_attended, known_of};
use super::queued::is_queued;
use super::relay::{await_fibers, note_handled, start_relay};
use super::{borrowed, details, given, masks, pending, search, thread_waits, waiting};
use crate::answer::failed;
use crate::calls::kick::sigaction as own_sigaction;
use crate::hooks::hooks;
use crate::own::own;

/// The signals of the kernel, from 1 on.
pub(super) const SIGNALS: usize = 65;

/// What the user wants to be called for each; 0 if that is nothing of this file.
static HANDLERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

pub(super) fn index(signal: c_int) -> Option<usize> {
    usize::try_from(signal).ok().filter(|signal| (1..SIGNALS).contains(signal))
}

/// The signals that have ever had a handler of the user's.
static HANDLED_ONCE: AtomicU64 = AtomicU64::new(0);

/// Whether the signal has ever had one.
pub(super) fn has_been_handled(index: usize) -> bool {
    HANDLED_ONCE.load(Ordering::SeqCst) & masks::bit(index) != 0
}

/// Sets what the user wants to be called.
fn set_handler(index: usize, handler: usize) {
    HANDLED_ONCE.fetch_or(masks::bit(index), Ordering::SeqCst);
    HANDLERS[index].store(handler, Ordering::SeqCst);
}

/// Whether the signal has a handler of the user's.
pub(super) fn has_handler(signal: usize) -> bool {
    HANDLERS[signal].load(Ordering::SeqCst) != 0
}

/// [`handle`]. A static has one value; the compiler may make a function several times, each with an address of its own.
static HANDLE: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = handle;

/// Its address, as it is set up.
pub(super) fn handler_function() -> usize {
    HANDLE as usize
}

/// Stands for each of the user's handlers. One that takes only the number ignores the rest.
extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let index = index(signal).unwrap_or(0);
    // Another signal may come meanwhile, or be sent by a handler.
    let is_attending = index > 0 && attends(index);
    let is_told = FLAGS[index].load(Ordering::SeqCst) & SA_SIGINFO != 0;
    // SAFETY: the kernel has written it, if the handler was set up for that.
    let is_search = is_told && unsafe { info.as_ref() }.is_some_and(search::is_search);
    if is_attending && !is_queued(index) {
        // The kernel keeps one at a time, so a search stands for that one.
        has_attended(index);
        let mut own = known_of(index).unwrap_or_else(|| details::sent(index, libc::SI_TKILL, None));
        run(signal, index, if is_search { &mut own } else { info }, context, true);
        return;
    }
    if is_search {
        return search::search(signal, index, context);
    }
    if !is_attending
        && OF_CALLS & masks::bit(index) != 0
        && let Some(is_kept) = pending::keep_of_call(index)
    {
        if !is_kept {
            act_by_default(signal);
        }
        return;
    }
    if !is_attending && (masks::is_held_back(index) || is_mains(index)) && !is_own_abort(signal, info) {
        // SAFETY: as above.
        let info = if is_told { unsafe { info.as_ref() } } else { None };
        // Nobody is there to be told that it does not wait.
        let _ = waiting::hold_back(index, info);
        frames::note_none();
        if !masks::main_blocks(index) {
            // The kernel prefers the main thread, but for one that is in a handler of this signal: then that takes it afterwards.
            search::look_on_main(signal);
        }
        return;
    }
    if run(signal, index, info, context, is_attending) && !is_attending && hook::handles_for_fibers() {
        note_handled(index);
    }
}

/// Whether a signal is for the main thread although it has come elsewhere: there it has interrupted the runtime, which is nobody's thread to the
/// program, and may be in malloc. The kernel chooses the thread that has forked for SIGCHLD.
fn is_mains(index: usize) -> bool {
    let is_within = || frames::is_in_handler() || faults::is_in_handler();
    has_handler(index)
        && !masks::main_blocks(index)
        && hook::has_interrupted_runtime()
        && !is_within()
        && !masks::is_main_thread()
}

/// Whether the signal is that of abort(3), which lets it through to the handler, whatever the fiber blocks.
fn is_own_abort(signal: c_int, info: *mut siginfo_t) -> bool {
    // SAFETY: the kernel has written it: the function of this file is set up for that.
    signal == libc::SIGABRT && unsafe { info.as_ref() }.is_some_and(|info| info.si_code == libc::SI_TKILL)
}

/// Calls the user's handler. Whether there is one: else the signal does what it does by default.
pub(super) fn run(
    signal: c_int,
    index: usize,
    info: *mut siginfo_t,
    context: *mut c_void,
    is_attending: bool,
) -> bool {
    let handler = HANDLERS[index].load(Ordering::SeqCst);
    if handler == 0 {
        frames::note_none();
        act_by_default(signal);
        return false;
    }
    if FLAGS[index].load(Ordering::SeqCst) & SA_RESETHAND != 0 {
        forget_handler(signal, index);
    }
    handling(is_attending, context, || {
        // SAFETY: the user has set it up for this, and the arguments are the kernel's.
        let handler = unsafe {
            std::mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(handler)
        };
        handler(signal, info, context);
    });
    // SAFETY: the kernel has written it for this handler. It has one word of the mask.
    masks::handler_returns_to(unsafe {
        masks::bits_of(&raw const (*context.cast::<libc::ucontext_t>()).uc_sigmask)
    });
    true
}

/// The handler was for one signal (SA_RESETHAND). The kernel does not know: it would have forgotten it when the signal came, and not when the
/// handler runs.
fn forget_handler(signal: c_int, index: usize) {
    HANDLERS[index].store(0, Ordering::SeqCst);
    // SAFETY: all zeros are the default.
    unsafe {
        let mut default: libc::sigaction = std::mem::zeroed();
        if stands_for_default(index) {
            stand_for_default(&mut default);
        }
        own_sigaction(signal, &default, ptr::null_mut());
    }
}

/// What the signal's handler does to the call of the fiber that it ran for.
pub(super) fn effect(signal: usize) -> Interrupted {
    if FLAGS[signal].load(Ordering::SeqCst) & SA_RESTART != 0 {
        Interrupted::Restarts
    } else {
        Interrupted::Ends
    }
}

/// What waits for the caller, or for any, and does nothing from now on, is forgotten, as by the kernel.
fn forget_if_idle(index: usize) {
    waiting::with_effect(masks::bit(index));
}

hooks! {
    /// sigaction(2).
    fn sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int, |_| -> always {
        let ours = HANDLE as usize;
        if is_fault(signal) {
            // SAFETY: the caller's promise.
            return unsafe { faults::sigaction(signal, new, old) };
        }
        let Some(index) = index(signal) else {
            // SAFETY: as above.
            return unsafe { own_sigaction(signal, new, old) };
        };
        let is_child = !new.is_null() && borrowed::is_child();
        // SAFETY: null, or the user's.
        let mut action = unsafe { new.as_ref() }.copied().filter(|_| !is_child);
        let before = HANDLERS[index].load(Ordering::SeqCst);
        let was_for_one = FLAGS[index].load(Ordering::SeqCst) & SA_RESETHAND;
        let was_without_info = is_without_info(index);
        if let Some(action) = &mut action {
            if ![SIG_DFL, SIG_IGN, ours].contains(&action.sa_sigaction) {
                set_handler(index, action.sa_sigaction);
                action.sa_sigaction = ours;
                await_fibers();
            } else if action.sa_sigaction != ours {
                HANDLERS[index].store(0, Ordering::SeqCst);
                if action.sa_sigaction == SIG_DFL && stands_for_default(index) {
                    stand_for_default(action);
                }
            }
            note_info(index, action.sa_flags & SA_SIGINFO != 0);
            if action.sa_sigaction == ours {
                action.sa_flags |= SA_SIGINFO;
            }
            FLAGS[index].store(action.sa_flags, Ordering::SeqCst);
            if action.sa_sigaction == ours {
                action.sa_flags &= !SA_RESETHAND;
            }
        }
        let new = if is_child { new } else { action.as_ref().map_or(ptr::null(), ptr::from_ref) };
        // SAFETY: the caller's promise.
        let result = unsafe { own_sigaction(signal, new, old) };
        if result != 0 {
            HANDLERS[index].store(before, Ordering::SeqCst);
        } else if !new.is_null() && !is_child {
            forget_if_idle(index);
        }
        // SAFETY: null, or the user's, which the kernel has written.
        if let Some(old) = unsafe { old.as_mut() }.filter(|_| result == 0) && old.sa_sigaction == ours {
            old.sa_sigaction = before;
            old.sa_flags |= was_for_one;
            if before == 0 {
                // What this file has set up for what the signal does by default.
                old.sa_flags = 0;
            } else if was_without_info {
                old.sa_flags &= !SA_SIGINFO;
            }
        }
        result
    }

    /// signal(2): calls that a handler interrupts go on, unless `siginterrupt` has said otherwise.
    fn signal(number: c_int, handler: sighandler_t) -> sighandler_t, |_| -> always {
        let ours = HANDLE as usize;
        let own = own!(fn signal(c_int, sighandler_t) -> sighandler_t);
        if is_fault(number) && handler != SIG_ERR {
            // SAFETY: the caller's promise.
            return unsafe { faults::signal(number, handler) };
        }
        let Some(index) = index(number).filter(|_| !is_fault(number)) else {
            // SAFETY: as above.
            return unsafe { own(number, handler) };
        };
        let before = HANDLERS[index].load(Ordering::SeqCst);
        if borrowed::is_child() {
            // SAFETY: as above.
            let old = unsafe { own(number, handler) };
            return if old == ours { before } else { old };
        }
        let is_handler = ![SIG_DFL, SIG_IGN, SIG_ERR, ours].contains(&handler);
        let is_default = handler == SIG_DFL && stands_for_default(index);
        if [SIG_DFL, SIG_IGN].contains(&handler) {
            HANDLERS[index].store(0, Ordering::SeqCst);
        }
        if is_handler {
            set_handler(index, handler);
            await_fibers();
        }
        // SAFETY: the caller's promise.
        let old = unsafe { own(number, if is_handler || is_default { ours } else { handler }) };
        if old == SIG_ERR {
            HANDLERS[index].store(before, Ordering::SeqCst);
        } else {
            note_info(index, false);
            ask_for_info(number);
            forget_if_idle(index);
        }
        note_flags(number);
        if old == ours { before } else { old }
    }

    /// siginterrupt(3).
    fn siginterrupt(signal: c_int, ends: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn siginterrupt(c_int, c_int) -> c_int)(signal, ends) };
        if !borrowed::is_child() {
            note_flags(signal);
        }
        result
    }

    /// pause(2): until a handler has run for the fiber.
    fn pause() -> c_int, |_| -> kernel_point {
        start_relay();
        until_handled()
    }

    /// sigsuspend(2).
    fn sigsuspend(mask: *const libc::sigset_t) -> c_int, |_| -> kernel_point_of_threads {
        start_relay();
        // SAFETY: the caller's promise.
        unsafe { given::with_mask_or(mask, given::Look::Ends, until_handled, || thread_waits::sigsuspend(mask)) }
    }
}

fn until_handled() -> isize {
    match super::sleep::until(&super::until::Until::Never) {
        hook::Slept::Cancelled => failed(libc::ECANCELED),
        _ => failed(libc::EINTR),
    }
}
