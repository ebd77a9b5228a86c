//! Handlers of faults: they run for what their own thread did, and where it did it.
//!
//! A fiber in such a handler is in the middle of what has failed, with the handler's mask, and often on the thread's alternate stack. So it is
//! not parked there: in place of the handler a function of this file is set up, which calls it, and within it the hooks are libc's own functions.
//!
//! Programs leave these handlers by jumps (siglongjmp(3)), of which nobody is told. So what is noted says where the handler's frames are, and
//! a hook that is called from elsewhere finds that the handler was left.

#![expect(unsafe_code, reason = "sets up handlers, and calls them")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use abaca::hook;
use libc::{SA_RESTART, SA_SIGINFO, SIG_DFL, SIG_ERR, SIG_IGN, sighandler_t, siginfo_t};

use super::handlers::SIGNALS;
use super::masks;
use crate::answer::{errno, set_errno};
use crate::calls::kick::sigaction as own_sigaction;
use crate::kernel::kernel;

/// The most that a handler needs of a stack that is not the alternate one.
const DEEPEST: usize = 1 << 20;

/// The user's handlers.
static HANDLERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// The signals whose handlers take the number only.
static WITHOUT_INFO: AtomicU64 = AtomicU64::new(0);

/// Whether a fault has ever had a handler's call. Without one no hook looks further.
static HAS_HANDLED: AtomicBool = AtomicBool::new(false);

/// No address.
const NOWHERE: (usize, usize) = (0, 0);

thread_local! {
    /// Where the frames of the handler are in which the caller is; empty if it is in none, or if that has interrupted a hook.
    static FRAMES: Cell<(usize, usize)> = const { Cell::new(NOWHERE) };
}

/// What a signal has set up for it: a static, so that it has one address.
static HANDLE: unsafe extern "C-unwind" fn(c_int, *mut siginfo_t, *mut c_void) = handle;

/// What of a signal is of the process, or the thread's own doing.
pub(super) fn is_fault(signal: c_int) -> bool {
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS].contains(&signal)
}

/// Ends what is noted of a handler, also if that unwinds.
struct End {
    was_within: bool,
    errno: c_int,
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.was_within {
            FRAMES.set(NOWHERE);
        }
        hook::set_within(self.was_within);
        set_errno(self.errno);
    }
}

/// Stands for each of the user's handlers. One that takes only the number ignores the rest. C++ can unwind out of a handler.
unsafe extern "C-unwind" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let handler = HANDLERS[signal as usize].load(Ordering::SeqCst);
    HAS_HANDLED.store(true, Ordering::Relaxed);
    let end = End { was_within: hook::set_within(true), errno: errno() };
    if !end.was_within {
        FRAMES.set(frames_below((&raw const end).addr()));
    }
    // SAFETY: the user has set it up for this, and the arguments are the kernel's. Whoever replaces it has stored an address before.
    unsafe {
        std::mem::transmute::<usize, unsafe extern "C-unwind" fn(c_int, *mut siginfo_t, *mut c_void)>(
            handler,
        )(signal, info, context);
    }
}

/// Where the frames are that lie below this address, of who handles a signal.
fn frames_below(highest: usize) -> (usize, usize) {
    let mut stack = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: the kernel writes a local, for which all zeros are valid.
    let stack = unsafe {
        kernel!(libc::SYS_sigaltstack, 0, stack.as_mut_ptr());
        stack.assume_init()
    };
    let lowest = if stack.ss_flags & libc::SS_ONSTACK != 0 {
        stack.ss_sp.addr()
    } else {
        highest.saturating_sub(DEEPEST)
    };
    (lowest, highest)
}

/// Whether the caller, which is within something where hooks are libc's own, was in a handler and has left it by a jump. Then it is in
/// nothing any more.
#[inline]
pub(crate) fn was_left() -> bool {
    // Relaxed: the caller looks for what it has done itself.
    HAS_HANDLED.load(Ordering::Relaxed) && leave_by_jump()
}

/// Whether the caller is in a handler that has interrupted the user's code.
pub(super) fn is_in_handler() -> bool {
    let mut local = 0_u8;
    has_frame(black_box(&raw mut local).addr())
}

/// Whether a handler that has interrupted the user's code has its frames where `address` is.
pub(super) fn has_frame(address: usize) -> bool {
    let (lowest, highest) = FRAMES.get();
    (lowest..highest).contains(&address)
}

/// The caller, which is in no handler of another signal, is about to jump to frames whose stack pointer is `target`.
#[cfg(target_arch = "x86_64")]
pub(super) fn leave(target: usize) {
    if FRAMES.get() != NOWHERE && !has_frame(target) {
        FRAMES.set(NOWHERE);
        hook::set_within(false);
    }
}

#[cold]
fn leave_by_jump() -> bool {
    if FRAMES.get().1 == 0 || is_in_handler() {
        return false;
    }
    FRAMES.set(NOWHERE);
    hook::set_within(false);
    true
}

/// sigaction(2) for a fault.
///
/// # Safety
///
/// As of libc's function.
pub(super) unsafe fn sigaction(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    let ours = HANDLE as usize;
    let index = signal as usize;
    let before = HANDLERS[index].load(Ordering::SeqCst);
    let was_without_info = WITHOUT_INFO.load(Ordering::SeqCst) & masks::bit(index) != 0;
    // SAFETY: null, or the user's.
    let mut action = unsafe { new.as_ref() }.copied();
    if let Some(action) = &mut action
        && ![SIG_DFL, SIG_IGN, ours].contains(&action.sa_sigaction)
    {
        HANDLERS[index].store(action.sa_sigaction, Ordering::SeqCst);
        if action.sa_flags & SA_SIGINFO != 0 {
            WITHOUT_INFO.fetch_and(!masks::bit(index), Ordering::SeqCst);
        } else {
            WITHOUT_INFO.fetch_or(masks::bit(index), Ordering::SeqCst);
        }
        action.sa_sigaction = ours;
        action.sa_flags |= SA_SIGINFO;
    }
    let action = action.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the caller's promise.
    let result = unsafe { own_sigaction(signal, action, old) };
    if result != 0 {
        HANDLERS[index].store(before, Ordering::SeqCst);
    }
    // SAFETY: null, or the user's, which the kernel has written.
    if let Some(old) = unsafe { old.as_mut() }.filter(|old| result == 0 && old.sa_sigaction == ours) {
        old.sa_sigaction = before;
        if was_without_info {
            old.sa_flags &= !SA_SIGINFO;
        }
    }
    result
}

/// signal(2) for a fault.
///
/// # Safety
///
/// As of libc's function.
pub(super) unsafe fn signal(number: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: actions of numbers, for which all zeros are valid; the rest is the caller's promise.
    unsafe {
        let (mut action, mut old): (libc::sigaction, libc::sigaction) = std::mem::zeroed();
        (action.sa_sigaction, action.sa_flags) = (handler, SA_RESTART);
        libc::sigaddset(&mut action.sa_mask, number);
        if sigaction(number, &action, &mut old) == 0 { old.sa_sigaction } else { SIG_ERR }
    }
}
