//! The flags with which handlers of signals were set up, beside what the kernel knows.

#![expect(unsafe_code, reason = "asks for handlers, and sets them up anew")]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use libc::SA_SIGINFO;

use super::defaults::is_ours;
use super::handlers::{SIGNALS, index};
use super::masks;
use crate::calls::kick::sigaction as own_sigaction;

/// The flags of each.
pub(super) static FLAGS: [AtomicI32; SIGNALS] = [const { AtomicI32::new(0) }; SIGNALS];

/// The signals whose handlers take the number only. The kernel tells more all the same: if the signal must wait, somebody may take it by
/// sigwaitinfo(3).
static WITHOUT_INFO: AtomicU64 = AtomicU64::new(0);

/// Whether the user's handler is told the number only.
pub(super) fn is_without_info(index: usize) -> bool {
    WITHOUT_INFO.load(Ordering::SeqCst) & masks::bit(index) != 0
}

/// Notes whether the user's handler is told more than the number.
pub(super) fn note_info(index: usize, is_told: bool) {
    if is_told {
        WITHOUT_INFO.fetch_and(!masks::bit(index), Ordering::SeqCst);
    } else {
        WITHOUT_INFO.fetch_or(masks::bit(index), Ordering::SeqCst);
    }
}

/// Has the kernel tell all of a signal that the function of this file takes, where a function of libc's has set it up.
pub(super) fn ask_for_info(signal: c_int) {
    // SAFETY: writes and reads a local, for which all zeros are valid.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        if own_sigaction(signal, ptr::null(), &mut now) == 0 && is_ours(&now) {
            now.sa_flags |= SA_SIGINFO;
            own_sigaction(signal, &now, ptr::null_mut());
        }
    }
}

/// Notes the flags that a function of libc's has set.
pub(super) fn note_flags(signal: c_int) {
    let Some(index) = index(signal) else { return };
    let mut now = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: writes a local.
    unsafe {
        if own_sigaction(signal, ptr::null(), now.as_mut_ptr()) == 0 {
            FLAGS[index].store(now.assume_init().sa_flags, Ordering::SeqCst);
        }
    }
}
