//! Asking the processor for memory that will be touched soon.
//!
//! Among many fibers, each switch meets a header and a stack that have left the cache. A scheduler that knows which fiber comes
//! after the next one asks for its memory one switch ahead, so that it arrives while something else runs.

#![cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    expect(unsafe_code, reason = "an instruction that the language has no word for")
)]

use crate::Context;

/// The size of a cache line on the processors that have the instruction.
const LINE_BYTES: usize = 64;

/// The part of its stack that a fiber touches when it goes on: the words that the switch has pushed, and the frames that return
/// first.
const FIRST_TOUCHED_BYTES: usize = 3 * LINE_BYTES;

/// The same where a fiber waits below frames of C functions.
const DEEP_TOUCHED_BYTES: usize = 12 * LINE_BYTES;

/// Asks for the cache line of `address`, to read or to write it. A hint: nothing is read as far as the program can tell, so
/// the address need not be valid. Does nothing on architectures without such an instruction.
///
/// ```
/// abaca_asm::prefetch(&raw const *"soon");
/// abaca_asm::prefetch(std::ptr::null::<u8>());
/// ```
#[inline(always)]
pub fn prefetch<T: ?Sized>(address: *const T) {
    let address = address.cast::<u8>();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 processor has the instruction, and it faults on no address.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: every aarch64 processor has the instruction, and it faults on no address and changes no register.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

impl Context {
    /// Asks for the memory that a [`switch`](crate::switch) to this context touches first: a hint, like [`prefetch`]. The
    /// context may be any, also one that has been used up.
    ///
    /// ```
    /// abaca_asm::Context::dangling().prefetch();
    /// ```
    #[inline(always)]
    pub fn prefetch(self) {
        for offset in (0..FIRST_TOUCHED_BYTES).step_by(LINE_BYTES) {
            prefetch(self.0.as_ptr().wrapping_add(offset));
        }
    }

    /// [`prefetch`](Self::prefetch) of what lies above that: the frames that return next, of a fiber that waits deep in its stack.
    ///
    /// ```
    /// abaca_asm::Context::dangling().prefetch_deep();
    /// ```
    #[inline(always)]
    pub fn prefetch_deep(self) {
        for offset in (FIRST_TOUCHED_BYTES..DEEP_TOUCHED_BYTES).step_by(LINE_BYTES) {
            prefetch(self.0.as_ptr().wrapping_add(offset));
        }
    }
}
