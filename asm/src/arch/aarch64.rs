//! The switch for aarch64, AAPCS64 calling convention.
//!
//! # Registers
//!
//! | register | across a switch |
//! |---|---|
//! | `sp` | exchanged: the old value is the saved context |
//! | `pc` | saved on the stack as the address to continue at |
//! | `x29` (frame pointer), `x19` | saved on the stack: the compiler refuses both as clobbers |
//! | `x2` | carries the word to the other side |
//! | all other integer, vector and predicate registers | overwritten: the compiler saves what is alive around the switch |
//! | `FPCR`, `FPSR` | **not touched**: they belong to the thread. Code that changes a rounding mode must change it back before it switches |
//! | `x18` | overwritten where it is an ordinary register, which it is on Linux |
//! | `TPIDR_EL0` | not touched: thread-local storage is the thread's |
//!
//! Return addresses are never signed by this code, and its indirect jumps do not land on `bti`
//! instructions: an object with this switch does not declare itself compatible with branch target
//! enforcement, so the loader leaves it off.
//!
//! # Stacks
//!
//! A context that was suspended by `switch`; the context is the address 0x7ff0_ef70. `sp` must be a
//! multiple of 16 whenever it is used, hence the padding:
//!
//! ```text
//! 0x7ff0_f000 +------------------+  top of the stack
//!             | frames of the    |
//!             | suspended        |
//! 0x7ff0_ef90 | computation      |  <- sp of the function that called `switch`
//!             +------------------+
//! 0x7ff0_ef88 | padding          |
//! 0x7ff0_ef80 | resume address   |
//! 0x7ff0_ef78 | x19              |
//! 0x7ff0_ef70 | x29              |  <- context
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
    /// Where a suspended context has `x29` and `x19`.
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
const _: () = assert!(offset_of!(InitialFrame, argument) == offset_of!(InitialFrame, entry) + 8);
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
            "adr x9, 2f",
            "stp x29, x19, [sp, #-32]!",
            "str x9, [sp, #{resume}]",
            // Change stacks. From the third instruction on we are the other computation.
            "mov x10, sp",
            "str x10, [x0]",
            "mov sp, x1",
            // Continue it. `br` with a register other than x30 is no return to the predictor.
            "ldr x9, [sp, #{resume}]",
            "br x9",
            // Another switch continues us in the same way.
            "2:",
            "ldp x29, x19, [sp], #32",
            resume = const RESUME,
            in("x0") save,
            in("x1") to.0.as_ptr(),
            inlateout("x2") word => answer,
            out("x20") _,
            out("x21") _,
            out("x22") _,
            out("x23") _,
            out("x24") _,
            out("x25") _,
            out("x26") _,
            out("x27") _,
            out("x28") _,
            clobber_abi("C"),
        );
    }
    answer
}

/// [`switch`], which also sets the register `tpidr_el0` to `thread_pointer`. See [`crate::switch_with`] for the contract.
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
            "adr x9, 2f",
            "stp x29, x19, [sp, #-32]!",
            "str x9, [sp, #{resume}]",
            "mov x10, sp",
            "str x10, [x0]",
            "mov sp, x1",
            "msr tpidr_el0, x3",
            "ldr x9, [sp, #{resume}]",
            "br x9",
            "2:",
            "ldp x29, x19, [sp], #32",
            resume = const RESUME,
            in("x0") save,
            in("x1") to.0.as_ptr(),
            in("x3") thread_pointer,
            inlateout("x2") word => answer,
            out("x20") _,
            out("x21") _,
            out("x22") _,
            out("x23") _,
            out("x24") _,
            out("x25") _,
            out("x26") _,
            out("x27") _,
            out("x28") _,
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
        asm!("mrs {pointer}, tpidr_el0", pointer = out(reg) pointer, options(nostack, preserves_flags, readonly))
    };
    pointer
}

/// Continues `to`, with `thread_pointer` in `tpidr_el0`, and saves nothing. See [`crate::leave_with`] for the contract.
#[inline(always)]
pub(crate) unsafe fn leave_with(to: Context, word: usize, thread_pointer: *mut ()) -> ! {
    // SAFETY: as in `switch_with`; this side is not continued.
    unsafe {
        asm!(
            "mov sp, x1",
            "msr tpidr_el0, x3",
            "ldr x9, [sp, #{resume}]",
            "br x9",
            resume = const RESUME,
            in("x1") to.0.as_ptr(),
            in("x3") thread_pointer,
            in("x2") word,
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

/// Where a fiber starts: jumped to by the first `switch` to its stack, with the word in `x2` and `sp` at
/// its initial frame.
#[unsafe(naked)]
unsafe extern "C" fn fiber_start() {
    naked_asm!(
        ".cfi_startproc",
        // A backtrace ends here: with DW_CFA_undefined for the return address (column 30) an unwinder knows
        // that this frame has no caller.
        ".cfi_undefined x30",
        // The chain of frame pointers ends here too, for profilers that follow it.
        "mov x29, xzr",
        // Take the initial frame.
        "ldp x9, x1, [sp, #{entry}]",
        "add sp, sp, #{end}",
        // entry(word in x0, argument in x1). A call, so that backtraces see this function.
        "mov x0, x2",
        "blr x9",
        // `Exit` is in x0 (to) and x1 (word). The final switch saves nothing: this stack is no longer used.
        "mov sp, x0",
        "mov x2, x1",
        "ldr x9, [sp, #{resume}]",
        "br x9",
        ".cfi_endproc",
        entry = const offset_of!(InitialFrame, entry),
        end = const offset_of!(InitialFrame, end),
        resume = const RESUME,
    )
}
