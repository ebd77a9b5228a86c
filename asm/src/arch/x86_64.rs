//! The switch for x86_64, System V calling convention.
//!
//! # Registers
//!
//! | register | across a switch |
//! |---|---|
//! | `rsp` | exchanged: the old value is the saved context |
//! | `rip` | saved on the stack as the address to continue at |
//! | `rbp`, `rbx` | saved on the stack: the compiler refuses both as clobbers |
//! | `rdx` | carries the word to the other side |
//! | all other integer, x87, MMX, SSE, AVX and mask registers | overwritten: the compiler saves what is alive around the switch |
//! | `MXCSR`, x87 control word | **not touched**: they belong to the thread (see below) |
//! | direction flag | clear on both sides, as the calling convention demands |
//! | `fs`, `gs` | not touched: thread-local storage is the thread's. [`switch_with`] sets the base of `fs` |
//!
//! The System V convention counts the control bits of `MXCSR` and the x87 control word among the registers
//! that a call preserves. The switch deviates on purpose: saving and loading them doubles its cost, and
//! next to no program changes them. Code that does change a rounding mode must change it back before it
//! switches.
//!
//! User-mode shadow stacks are not supported: an object with this switch does not declare itself
//! compatible, so the dynamic loader leaves them off.
//!
//! # Stacks
//!
//! A context that was suspended by `switch`; the context is the address 0x7ff0_ef78:
//!
//! ```text
//! 0x7ff0_f000 +------------------+  top of the stack
//!             | frames of the    |
//!             | suspended        |
//! 0x7ff0_ef90 | computation      |  <- rsp of the function that called `switch`
//!             +------------------+
//! 0x7ff0_ef88 | rbp              |
//! 0x7ff0_ef80 | rbx              |
//! 0x7ff0_ef78 | resume address   |  <- context
//!             +------------------+
//! ```
//!
//! A context made by `prepare`, before the first switch to it; the context is 0x7ff0_efd8:
//!
//! ```text
//! 0x7ff0_f000 +------------------+  top of the stack
//! 0x7ff0_eff8 | padding          |
//! 0x7ff0_eff0 | padding          |  <- rsp when `entry` is called: a multiple of 16
//! 0x7ff0_efe8 | argument         |
//! 0x7ff0_efe0 | entry            |
//! 0x7ff0_efd8 | start address    |  <- context
//!             +------------------+
//! ```
//!
//! Both begin with the address to jump to, so `switch` need not know which of them it continues.
#![expect(unsafe_code, reason = "the switch is assembly, and a new stack is written through a raw pointer")]

use core::arch::{asm, naked_asm};
use core::ptr::NonNull;

use crate::context::{Context, Entry, Saved};

/// The contents of a stack at its top before it first runs, lowest address first.
#[repr(C)]
struct InitialFrame {
    /// Popped and jumped to by `switch`.
    start: unsafe extern "C" fn(),
    /// Popped by the code at `start`.
    entry: Entry,
    /// Popped by the code at `start`.
    argument: *mut (),
    /// Keeps `rsp` at a multiple of 16 at the call of `entry`.
    padding: [usize; 2],
}

/// Where a suspended computation's registers lie.
pub(crate) const SAVED: Saved = Saved { program_counter: 0, frame_pointer: 16, bytes: 24 };

/// Saves the caller into `*save` and continues `to`. See [`crate::switch`] for the contract.
#[inline(always)]
pub(crate) unsafe fn switch(save: *mut Context, to: Context, word: usize) -> usize {
    let answer;
    // SAFETY: the caller promises that `save` can be written and that `to` is suspended, hence that its
    // stack begins with an address to continue at. Everything this side needs afterwards is either pushed
    // here or kept by the compiler on this stack, since each register is declared overwritten. The pushes
    // are below the red zone: without `nostack` the compiler keeps none around this block.
    unsafe {
        asm!(
            // Save what cannot be declared overwritten, and where to continue.
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            // Change stacks. From the second instruction on we are the other computation.
            "mov [rdi], rsp",
            "mov rsp, rsi",
            // Continue it. An indirect jump, not `ret`: see `arch/mod.rs`.
            "pop rax",
            "jmp rax",
            // Another switch continues us in the same way.
            "2:",
            "pop rbx",
            "pop rbp",
            in("rdi") save,
            in("rsi") to.0.as_ptr(),
            inlateout("rdx") word => answer,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    answer
}

/// [`switch`], which also makes `thread_pointer` the base of `fs`. See [`crate::switch_with`] for the contract.
#[inline(always)]
pub(crate) unsafe fn switch_with(
    save: *mut Context,
    to: Context,
    word: usize,
    thread_pointer: *mut (),
) -> usize {
    let answer;
    // SAFETY: as in `switch`. No thread-local is used between the change of stacks and the jump. The kernel allows
    // `wrfsbase`, as the caller has checked.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "wrfsbase rcx",
            "pop rax",
            "jmp rax",
            "2:",
            "pop rbx",
            "pop rbp",
            in("rdi") save,
            in("rsi") to.0.as_ptr(),
            in("rcx") thread_pointer,
            inlateout("rdx") word => answer,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    answer
}

/// See [`crate::thread_pointer`].
#[inline(always)]
pub(crate) fn thread_pointer() -> *mut () {
    let pointer;
    // SAFETY: the psABI has the base of `fs` stored where it points.
    unsafe {
        asm!("mov {pointer}, fs:[0]", pointer = out(reg) pointer, options(nostack, preserves_flags, readonly))
    };
    pointer
}

/// Continues `to`, with `thread_pointer` as the base of `fs`, and saves nothing. See [`crate::leave_with`] for the contract.
#[inline(always)]
pub(crate) unsafe fn leave_with(to: Context, word: usize, thread_pointer: *mut ()) -> ! {
    // SAFETY: as in `switch_with`; this side is not continued.
    unsafe {
        asm!(
            "mov rsp, rsi",
            "wrfsbase rcx",
            "pop rax",
            "jmp rax",
            in("rsi") to.0.as_ptr(),
            in("rcx") thread_pointer,
            in("rdx") word,
            options(noreturn),
        );
    }
}

/// Makes a context that calls `entry` and where a backtrace ends. See [`crate::prepare`] for the contract.
pub(crate) unsafe fn prepare(top: *mut u8, entry: Entry, argument: *mut ()) -> Context {
    debug_assert!(top.addr().is_multiple_of(16), "the top of a stack is a multiple of 16");
    // SAFETY: the caller promises a page below `top`, and the frame is much smaller.
    let frame = unsafe { NonNull::new_unchecked(top).cast::<InitialFrame>().sub(1) };
    // SAFETY: as above; `top` is a multiple of 16 and the frame of 8, which is its alignment.
    unsafe { frame.write(InitialFrame { start: fiber_start, entry, argument, padding: [0; 2] }) };
    Context(frame.cast())
}

/// Where a fiber starts: jumped to by the first `switch` to its stack, with the word in `rdx` and `rsp` at
/// the field `entry` of its initial frame.
#[unsafe(naked)]
unsafe extern "C" fn fiber_start() {
    naked_asm!(
        ".cfi_startproc",
        // A backtrace ends here: with DW_CFA_undefined for the return address (column 16) an unwinder knows
        // that this frame has no caller.
        ".cfi_undefined rip",
        // The chain of frame pointers ends here too, for profilers that follow it.
        "xor ebp, ebp",
        // Take the initial frame, which leaves rsp at a multiple of 16.
        "mov rax, [rsp]",
        "mov rsi, [rsp + 8]",
        "add rsp, 16",
        // entry(word in rdi, argument in rsi). A call, so that backtraces see this function.
        "mov rdi, rdx",
        "call rax",
        // `Exit` is in rax (to) and rdx (word). The final switch saves nothing: this stack is no longer used.
        "mov rsp, rax",
        "pop rax",
        "jmp rax",
        ".cfi_endproc",
    )
}
