//! Architectures without code of their own: nothing is supported, and nothing here is called.
#![expect(unsafe_code, reason = "the signatures are those of the other architectures")]

use core::sync::atomic::AtomicU32;

/// Whether there is code for this architecture.
pub(crate) const CODE: bool = false;

/// Whether user code may write the thread pointer.
pub(crate) fn may_write() -> bool {
    false
}

pub(crate) fn thread_pointer() -> usize {
    unreachable!("`support` says that this architecture is not supported")
}

/// # Safety
///
/// Never called.
pub(crate) unsafe fn set_thread_pointer(_pointer: usize) {
    unreachable!("`support` says that this architecture is not supported")
}

/// # Safety
///
/// Never called.
pub(crate) unsafe extern "C" fn leave(_saved: *mut usize, _alive: *const AtomicU32) {
    unreachable!("`support` says that this architecture is not supported")
}

/// # Safety
///
/// Never called.
pub(crate) unsafe fn revive(_stack: usize, _pointer: usize, _tid: *mut u32, _cleared: *mut u32) -> isize {
    unreachable!("`support` says that this architecture is not supported")
}

pub(crate) fn thread_id() -> u32 {
    unreachable!("`support` says that this architecture is not supported")
}
