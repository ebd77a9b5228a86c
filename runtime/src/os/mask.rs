//! The kernel's mask of the calling thread's signals, and what waits because of it. By the system calls themselves: libc's functions may be
//! such as keep a mask for each fiber (`abaca-transparent`), and what the kernel sends to the thread goes by the thread's.

#![expect(unsafe_code, reason = "system calls")]

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use libc::{c_int, sigset_t};

/// The part of a set that the kernel knows, in bytes.
const BYTES: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 16 } else { 8 };

/// All signals but those that libc has for itself.
pub(super) fn all() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the call writes the whole of a live local.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// This signal.
pub(super) fn only(signal: c_int) -> sigset_t {
    let mut set = none();
    // SAFETY: a live local, which is a set.
    unsafe { libc::sigaddset(&mut set, signal) };
    set
}

fn none() -> sigset_t {
    // SAFETY: a set consists of numbers; all zeroes is the empty one.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Sets the mask, and returns the one before. May be called in a handler.
pub(super) fn set(mask: &sigset_t) -> sigset_t {
    change(libc::SIG_SETMASK, mask)
}

/// Adds to the mask, and returns the one before.
pub(super) fn block(signals: &sigset_t) -> sigset_t {
    change(libc::SIG_BLOCK, signals)
}

fn change(how: c_int, signals: &sigset_t) -> sigset_t {
    let mut before = none();
    // SAFETY: two live sets, of which the kernel reads and writes its part.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, how, ptr::from_ref(signals), &raw mut before, BYTES);
    }
    before
}

/// Whether this signal has come, and waits because it is blocked.
pub(super) fn is_pending(signal: c_int) -> bool {
    let mut pending = none();
    // SAFETY: a live set, of which the kernel writes its part.
    unsafe {
        libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, BYTES);
        libc::sigismember(&pending, signal) == 1
    }
}

/// Takes one of these signals, which are blocked, if one has come.
pub(super) fn take(signals: &sigset_t) {
    let (nobody, at_once) = (ptr::null_mut::<libc::siginfo_t>(), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: a live set, of which the kernel reads its part, and a live time.
    unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, ptr::from_ref(signals), nobody, &raw const at_once, BYTES);
    }
}

/// While it lives, no signal's handler runs on the thread that has made it.
pub(crate) struct SignalsBlocked {
    /// The thread's mask before.
    before: sigset_t,
    /// It is the thread's.
    _not_send: PhantomData<*const ()>,
}

impl SignalsBlocked {
    pub(crate) fn new() -> Self {
        Self { before: set(&all()), _not_send: PhantomData }
    }

    /// The mask that the thread will have again.
    #[cfg(feature = "own-tls")]
    pub(super) fn before(&self) -> sigset_t {
        self.before
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        set(&self.before);
    }
}
