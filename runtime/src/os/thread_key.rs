//! A number that tells the running threads of the process apart: the thread pointer. Fibers with thread-local storage of their own
//! have a thread pointer each, and count as threads of their own here.
//!
//! It is read anew each time, unlike the address of a thread-local, which the compiler may keep across a switch.
//!
//! Under loom, `model_thread_key.rs` takes the place of this file.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "reads the thread pointer"))]

/// Whether [`get`] knows. ThreadSanitizer sees no order in the barriers of the kernel that go with it.
pub(crate) const IS_KNOWN: bool = cfg!(target_arch = "x86_64") && !cfg!(abaca_tsan);

/// The calling thread's number, never `usize::MAX`. A thread that starts after another one has ended may have its number.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn get() -> usize {
    let pointer;
    // SAFETY: by the ABI the word at the thread pointer is the thread pointer.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags)) };
    pointer
}

/// Not known here.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn get() -> usize {
    0
}
