//! The switch for riscv64, the standard calling conventions (with and without floating point).
//!
//! # Registers
//!
//! | register | across a switch |
//! |---|---|
//! | `sp` | exchanged: the old value is the saved context |
//! | `pc` | saved on the stack as the address to continue at |
//! | `s0` (frame pointer), `s1` | saved on the stack: the compiler refuses both as clobbers |
//! | `a2` | carries the word to the other side |
//! | all other integer, floating-point and vector registers | overwritten: the compiler saves what is alive around the switch |
//! | `fcsr` | **not touched**: it belongs to the thread. Code that changes a rounding mode must change it back before it switches |
//! | `tp`, `gp` | not touched: thread-local storage is the thread's |
//!
//! The indirect jumps of `switch` go through `t1`. With `ra` or `t0` (`x1`, `x5`) the architecture takes a jump for a
//! return or a call, and the return predictor would get out of step.
//!
//! # Stacks
//!
//! A context that was suspended by `switch`; the context is the address 0x7ff0_ef70. `sp` must be a
//! multiple of 16, hence the padding:
//!
//! ```text
//! 0x7ff0_f000 +------------------+  top of the stack
//!             | frames of the    |
//!             | suspended        |
//! 0x7ff0_ef90 | computation      |  <- sp of the function that called `switch`
//!             +------------------+
//! 0x7ff0_ef88 | padding          |
//! 0x7ff0_ef80 | resume address   |
//! 0x7ff0_ef78 | s1               |
//! 0x7ff0_ef70 | s0               |  <- context
//!             +------------------+
//! ```
//!
//! A context made by `prepare`, before the first switch to it; the context is 0x7ff0_efc0:
//!
//! ```text
//! 0x7ff0_f000 +------------------+  top of the stack
//! 0x7ff0_eff8 | padding          |
//! 0x7ff0_eff0 | padding          |  <- sp when `entry` is called: a multiple of 16
//! 0x7ff0_efe8 | argument         |
//! 0x7ff0_efe0 | entry            |
//! 0x7ff0_efd8 | padding          |
//! 0x7ff0_efd0 | start address    |
//! 0x7ff0_efc8 | unused           |
//! 0x7ff0_efc0 | unused           |  <- context
//!             +------------------+
//! ```
//!
//! Both have the address to jump to at the same place, so `switch` need not know which of them it continues.
#![expect(unsafe_code, reason = "the switch is assembly, and a new stack is written through a raw pointer")]

use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use core::ptr::NonNull;

use crate::context::{Context, Entry, Saved};

/// The contents of a stack at its top before it first runs, lowest address first.
#[repr(C)]
struct InitialFrame {
    /// Where a suspended context has `s0` and `s1`.
    unused: [usize; 2],
    /// Loaded and jumped to by `switch`.
    start: unsafe extern "C" fn(),
    /// A suspended context has no use for it either.
    padding: usize,
    /// Loaded by the code at `start`.
    entry: Entry,
    /// Loaded by the code at `start`.
    argument: *mut (),
    /// The stack of the fiber begins here.
    end: [usize; 2],
}

/// Where a context has its resume address.
const RESUME: usize = 16;

const _: () = assert!(size_of::<InitialFrame>() == 64);
const _: () = assert!(offset_of!(InitialFrame, start) == RESUME);
const _: () = assert!(offset_of!(InitialFrame, end).is_multiple_of(16));

/// Where a suspended computation's registers lie.
pub(crate) const SAVED: Saved = Saved { program_counter: RESUME, frame_pointer: 0, bytes: 32 };

/// Saves the caller into `*save` and continues `to`. See [`crate::switch`] for the contract.
#[inline(always)]
pub(crate) unsafe fn switch(save: *mut Context, to: Context, word: usize) -> usize {
    let answer;
    // SAFETY: the caller promises that `save` can be written and that `to` is suspended, hence that its
    // stack has an address to continue at. Everything this side needs afterwards is either stored here or
    // kept by the compiler on this stack, since each register is declared overwritten.
    unsafe {
        asm!(
            // Save what cannot be declared overwritten, and where to continue.
            "lla t1, 2f",
            "addi sp, sp, -32",
            "sd s0, 0(sp)",
            "sd s1, 8(sp)",
            "sd t1, {resume}(sp)",
            // Change stacks. From the second instruction on we are the other computation.
            "sd sp, 0(a0)",
            "mv sp, a1",
            // Continue it.
            "ld t1, {resume}(sp)",
            "jr t1",
            // Another switch continues us in the same way.
            "2:",
            "ld s0, 0(sp)",
            "ld s1, 8(sp)",
            "addi sp, sp, 32",
            resume = const RESUME,
            in("a0") save,
            in("a1") to.0.as_ptr(),
            inlateout("a2") word => answer,
            out("s2") _,
            out("s3") _,
            out("s4") _,
            out("s5") _,
            out("s6") _,
            out("s7") _,
            out("s8") _,
            out("s9") _,
            out("s10") _,
            out("s11") _,
            // The convention without floating point has no registers of that kind to preserve.
            #[cfg(target_feature = "f")]
            out("fs0") _,
            #[cfg(target_feature = "f")]
            out("fs1") _,
            #[cfg(target_feature = "f")]
            out("fs2") _,
            #[cfg(target_feature = "f")]
            out("fs3") _,
            #[cfg(target_feature = "f")]
            out("fs4") _,
            #[cfg(target_feature = "f")]
            out("fs5") _,
            #[cfg(target_feature = "f")]
            out("fs6") _,
            #[cfg(target_feature = "f")]
            out("fs7") _,
            #[cfg(target_feature = "f")]
            out("fs8") _,
            #[cfg(target_feature = "f")]
            out("fs9") _,
            #[cfg(target_feature = "f")]
            out("fs10") _,
            #[cfg(target_feature = "f")]
            out("fs11") _,
            clobber_abi("C"),
        );
    }
    answer
}

/// [`switch`], which also sets the register `tp` to `thread_pointer`. See [`crate::switch_with`] for the contract.
#[inline(always)]
pub(crate) unsafe fn switch_with(
    save: *mut Context,
    to: Context,
    word: usize,
    thread_pointer: *mut (),
) -> usize {
    let answer;
    // SAFETY: as in `switch`. No thread-local is used between the change of stacks and the jump.
    unsafe {
        asm!(
            "lla t1, 2f",
            "addi sp, sp, -32",
            "sd s0, 0(sp)",
            "sd s1, 8(sp)",
            "sd t1, {resume}(sp)",
            "sd sp, 0(a0)",
            "mv sp, a1",
            "mv tp, a3",
            "ld t1, {resume}(sp)",
            "jr t1",
            "2:",
            "ld s0, 0(sp)",
            "ld s1, 8(sp)",
            "addi sp, sp, 32",
            resume = const RESUME,
            in("a0") save,
            in("a1") to.0.as_ptr(),
            in("a3") thread_pointer,
            inlateout("a2") word => answer,
            out("s2") _,
            out("s3") _,
            out("s4") _,
            out("s5") _,
            out("s6") _,
            out("s7") _,
            out("s8") _,
            out("s9") _,
            out("s10") _,
            out("s11") _,
            // The convention without floating point has no registers of that kind to preserve.
            #[cfg(target_feature = "f")]
            out("fs0") _,
            #[cfg(target_feature = "f")]
            out("fs1") _,
            #[cfg(target_feature = "f")]
            out("fs2") _,
            #[cfg(target_feature = "f")]
            out("fs3") _,
            #[cfg(target_feature = "f")]
            out("fs4") _,
            #[cfg(target_feature = "f")]
            out("fs5") _,
            #[cfg(target_feature = "f")]
            out("fs6") _,
            #[cfg(target_feature = "f")]
            out("fs7") _,
            #[cfg(target_feature = "f")]
            out("fs8") _,
            #[cfg(target_feature = "f")]
            out("fs9") _,
            #[cfg(target_feature = "f")]
            out("fs10") _,
            #[cfg(target_feature = "f")]
            out("fs11") _,
            clobber_abi("C"),
        );
    }
    answer
}

/// See [`crate::thread_pointer`].
#[inline(always)]
pub(crate) fn thread_pointer() -> *mut () {
    let pointer;
    // SAFETY: the register is readable by every program.
    unsafe {
        asm!("mv {pointer}, tp", pointer = out(reg) pointer, options(nostack, preserves_flags, readonly))
    };
    pointer
}

/// Continues `to`, with `thread_pointer` in `tp`, and saves nothing. See [`crate::leave_with`] for the contract.
#[inline(always)]
pub(crate) unsafe fn leave_with(to: Context, word: usize, thread_pointer: *mut ()) -> ! {
    // SAFETY: as in `switch_with`; this side is not continued.
    unsafe {
        asm!(
            "mv sp, a1",
            "mv tp, a3",
            "ld t1, {resume}(sp)",
            "jr t1",
            resume = const RESUME,
            in("a1") to.0.as_ptr(),
            in("a3") thread_pointer,
            in("a2") word,
            options(noreturn),
        );
    }
}

/// Makes a context that calls `entry` and where a backtrace ends. See [`crate::prepare`] for the contract.
pub(crate) unsafe fn prepare(top: *mut u8, entry: Entry, argument: *mut ()) -> Context {
    debug_assert!(top.addr().is_multiple_of(16), "the top of a stack is a multiple of 16");
    // SAFETY: the caller promises a page below `top`, and the frame is much smaller.
    let frame = unsafe { NonNull::new_unchecked(top).cast::<InitialFrame>().sub(1) };
    let initial =
        InitialFrame { unused: [0; 2], start: fiber_start, padding: 0, entry, argument, end: [0; 2] };
    // SAFETY: as above; `top` is a multiple of 16 and the frame of 8, which is its alignment.
    unsafe { frame.write(initial) };
    Context(frame.cast())
}

/// Where a fiber starts: jumped to by the first `switch` to its stack, with the word in `a2` and `sp` at
/// its initial frame.
#[unsafe(naked)]
unsafe extern "C" fn fiber_start() {
    naked_asm!(
        ".cfi_startproc",
        // A backtrace ends here: with DW_CFA_undefined for the return address (column 1) an unwinder knows
        // that this frame has no caller.
        ".cfi_undefined ra",
        // The chain of frame pointers ends here too, for profilers that follow it.
        "mv s0, zero",
        // Take the initial frame.
        "ld t1, {entry}(sp)",
        "ld a1, {argument}(sp)",
        "addi sp, sp, {end}",
        // entry(word in a0, argument in a1). A call, so that backtraces see this function.
        "mv a0, a2",
        "jalr t1",
        // `Exit` is in a0 (to) and a1 (word). The final switch saves nothing: this stack is no longer used.
        "mv sp, a0",
        "mv a2, a1",
        "ld t1, {resume}(sp)",
        "jr t1",
        ".cfi_endproc",
        entry = const offset_of!(InitialFrame, entry),
        argument = const offset_of!(InitialFrame, argument),
        end = const offset_of!(InitialFrame, end),
        resume = const RESUME,
    )
}
