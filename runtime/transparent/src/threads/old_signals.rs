//! Functions for signals of older systems, which libc makes of those of `handlers.rs` and `masks.rs` within, where no hook would see it.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::{null, null_mut};

use libc::{
    SA_NODEFER, SA_RESETHAND, SIG_BLOCK, SIG_ERR, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK, pid_t, sighandler_t,
    sigset_t,
};

use super::handlers::{sigaction, signal, sigsuspend};
use super::masks::sigprocmask;
use super::sends::kill;
use crate::answer::set_errno;
use crate::hooks::hooks;

/// `SIG_HOLD`: the signal is blocked.
const HOLD: sighandler_t = 2;

/// The last is `SA_INTERRUPT`, which only shows.
const SYSTEM_V: c_int = SA_RESETHAND | SA_NODEFER | 0x2000_0000;

hooks! {
    /// signal(2) as in System V: the handler is for one signal, and interrupts calls. Programs of plain standard C have this one.
    fn __sysv_signal(number: c_int, handler: sighandler_t) -> sighandler_t, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { set_up(number, handler, SYSTEM_V) }
    }

    /// The same.
    fn sysv_signal(number: c_int, handler: sighandler_t) -> sighandler_t, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { set_up(number, handler, SYSTEM_V) }
    }

    /// signal(2).
    fn bsd_signal(number: c_int, handler: sighandler_t) -> sighandler_t, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { signal(number, handler) }
    }

    /// signal(2).
    fn ssignal(number: c_int, handler: sighandler_t) -> sighandler_t, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { signal(number, handler) }
    }

    /// sigset(3): sets a handler up, or blocks the signal.
    fn sigset(number: c_int, handler: sighandler_t) -> sighandler_t, |_| -> always {
        let Some(set) = set_of(number) else { return SIG_ERR };
        let mut before = MaybeUninit::uninit();
        // SAFETY: sets of this function's, and the caller's promise.
        unsafe {
            if sigprocmask(if handler == HOLD { SIG_BLOCK } else { SIG_UNBLOCK }, &set, before.as_mut_ptr()) != 0 {
                return SIG_ERR;
            }
            let was_blocked = libc::sigismember(before.as_ptr(), number) == 1;
            let old = if handler == HOLD {
                let mut now: libc::sigaction = zeroed();
                if sigaction(number, null(), &mut now) == 0 { now.sa_sigaction } else { SIG_ERR }
            } else {
                set_up(number, handler, 0)
            };
            if was_blocked && old != SIG_ERR { HOLD } else { old }
        }
    }

    /// sigignore(3).
    fn sigignore(number: c_int) -> c_int, |_| -> always {
        // SAFETY: it takes numbers.
        if unsafe { set_up(number, SIG_IGN, 0) } == SIG_ERR { -1 } else { 0 }
    }

    /// sighold(3).
    fn sighold(number: c_int) -> c_int, |_| -> always {
        // SAFETY: a set of this function's.
        set_of(number).map_or(-1, |set| unsafe { sigprocmask(SIG_BLOCK, &set, null_mut()) })
    }

    /// sigrelse(3).
    fn sigrelse(number: c_int) -> c_int, |_| -> always {
        // SAFETY: a set of this function's.
        set_of(number).map_or(-1, |set| unsafe { sigprocmask(SIG_UNBLOCK, &set, null_mut()) })
    }

    /// sigblock(3).
    fn sigblock(mask: c_int) -> c_int, |_| -> always {
        change(SIG_BLOCK, mask)
    }

    /// sigsetmask(3).
    fn sigsetmask(mask: c_int) -> c_int, |_| -> always {
        change(SIG_SETMASK, mask)
    }

    /// siggetmask(3).
    fn siggetmask() -> c_int, |_| -> always {
        change(SIG_BLOCK, 0)
    }

    /// sigpause(3) as in BSD, with a mask.
    fn sigpause(mask: c_int) -> c_int, |_| -> always {
        // SAFETY: a set of this function's.
        unsafe { sigsuspend(&of_word(mask)) }
    }

    /// sigpause(3) as in X/Open: without this signal in the mask.
    fn __xpg_sigpause(number: c_int) -> c_int, |_| -> always {
        let mut set = MaybeUninit::<sigset_t>::uninit();
        // SAFETY: a set to be written, and then of this function's.
        unsafe {
            sigprocmask(SIG_BLOCK, null(), set.as_mut_ptr());
            if libc::sigdelset(set.as_mut_ptr(), number) != 0 {
                return -1;
            }
            sigsuspend(set.as_ptr())
        }
    }

    /// sigpause(3), one or the other.
    fn __sigpause(number_or_mask: c_int, is_number: c_int) -> c_int, |_| -> always {
        // SAFETY: it takes numbers.
        unsafe { if is_number != 0 { __xpg_sigpause(number_or_mask) } else { sigpause(number_or_mask) } }
    }

    /// raise(3).
    fn gsignal(number: c_int) -> c_int, |_| -> always {
        // SAFETY: it takes a number.
        unsafe { super::sends::raise(number) }
    }

    /// killpg(3).
    fn killpg(group: pid_t, number: c_int) -> c_int, |_| -> always {
        if group < 0 {
            set_errno(libc::EINVAL);
            return -1;
        }
        // SAFETY: it takes numbers.
        unsafe { kill(-group, number) }
    }
}

/// A set of one signal; `None`, and `errno`, if it is none.
fn set_of(number: c_int) -> Option<sigset_t> {
    let mut set = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: a set to be written.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        (libc::sigaddset(set.as_mut_ptr(), number) == 0).then(|| set.assume_init())
    }
}

/// A set of the first 32 signals.
fn of_word(mask: c_int) -> sigset_t {
    // SAFETY: all zeros are an empty set, whose first word has the kernel's signals.
    unsafe {
        let mut set: sigset_t = zeroed();
        (&raw mut set).cast::<u64>().write(u64::from(mask as u32));
        set
    }
}

/// Changes the first 32 signals of the caller's mask; those that it had.
fn change(how: c_int, mask: c_int) -> c_int {
    let mut before = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: sets of this function's.
    unsafe {
        if sigprocmask(how, &of_word(mask), before.as_mut_ptr()) != 0 {
            return -1;
        }
        before.as_ptr().cast::<u64>().read() as c_int
    }
}

/// Sets a handler up, with these flags; the one before.
///
/// # Safety
///
/// The handler is one, or a constant.
unsafe fn set_up(number: c_int, handler: sighandler_t, flags: c_int) -> sighandler_t {
    if handler == SIG_ERR || number < 1 {
        set_errno(libc::EINVAL);
        return SIG_ERR;
    }
    // SAFETY: all zeros are valid, and the caller's promise.
    unsafe {
        let (mut new, mut old): (libc::sigaction, libc::sigaction) = (zeroed(), zeroed());
        (new.sa_sigaction, new.sa_flags) = (handler, flags);
        if sigaction(number, &new, &mut old) == 0 { old.sa_sigaction } else { SIG_ERR }
    }
}
