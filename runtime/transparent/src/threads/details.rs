//! What a handler is told of a signal that waits, one of each number: of those that are told once.

#![expect(unsafe_code, reason = "keeps what handlers are told where no lock may be taken")]

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, Ordering};

use libc::siginfo_t;

use super::handlers::SIGNALS;
use crate::kernel::kernel;

/// What a handler is told of a signal that waits.
struct Details {
    /// See the constants.
    state: AtomicU8,
    info: UnsafeCell<MaybeUninit<siginfo_t>>,
}

const EMPTY: u8 = 0;
/// Somebody writes or reads it.
const BUSY: u8 = 1;
const FULL: u8 = 2;

// SAFETY: who has made it busy has it alone.
unsafe impl Sync for Details {}

static DETAILS: [Details; SIGNALS] =
    [const { Details { state: AtomicU8::new(EMPTY), info: UnsafeCell::new(MaybeUninit::uninit()) } };
        SIGNALS];

impl Details {
    /// Keeps them, unless there are some: then the signal was sent again before it was taken, and is told once.
    fn keep(&self, info: siginfo_t) {
        // Acquire, Release: the one who was busy before has left it.
        if self.state.compare_exchange(EMPTY, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            // SAFETY: it is the caller's alone.
            unsafe { (*self.info.get()).write(info) };
            self.state.store(FULL, Ordering::Release);
        }
    }
}

/// Keeps what is known of a signal that waits. May be called in a handler.
pub(super) fn keep(signal: usize, info: siginfo_t) {
    DETAILS[signal].keep(info);
}

/// Takes what is known of a signal that has waited.
pub(super) fn take(signal: usize) -> Option<siginfo_t> {
    let details = &DETAILS[signal];
    // As above.
    details.state.compare_exchange(FULL, BUSY, Ordering::Acquire, Ordering::Relaxed).ok()?;
    // SAFETY: it is the caller's alone, and was written.
    let info = unsafe { (*details.info.get()).assume_init_read() };
    details.state.store(EMPTY, Ordering::Release);
    Some(info)
}

/// A signal that this process has sent, with a value of its own if it was sent with one.
pub(super) fn sent(signal: usize, code: c_int, value: Option<libc::sigval>) -> siginfo_t {
    let mut info = unknown(signal);
    info.si_code = code;
    // SAFETY: the fields of a signal that a process has sent are two numbers, after three and padding, and then the value.
    unsafe {
        let fields = (&raw mut info).cast::<c_int>();
        fields.add(4).write(kernel!(libc::SYS_getpid) as c_int);
        fields.add(5).write(kernel!(libc::SYS_getuid) as c_int);
        if let Some(value) = value {
            fields.add(6).cast::<libc::sigval>().write(value);
        }
    }
    info
}

/// What sigwaitinfo(3) tells: libc tells of a signal that a thread was sent as of others.
pub(super) fn of_wait(mut info: siginfo_t) -> siginfo_t {
    if info.si_code == libc::SI_TKILL {
        info.si_code = libc::SI_USER;
    }
    info
}

/// A signal that somebody has sent.
pub(super) fn unknown(signal: usize) -> siginfo_t {
    // SAFETY: all zeros are valid: a signal sent by kill(2).
    let mut info: siginfo_t = unsafe { std::mem::zeroed() };
    info.si_signo = signal as c_int;
    info
}
