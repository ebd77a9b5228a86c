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
//!
//! # Coroutines
//!
//! `resume` and `suspend` leave the same four words as `switch`. What they need besides is passed in registers: `rdi` has the
//! link, `rsi` the context of the coroutine that is continued, `rdx` the word. The start of a coroutine, whose link is 0x7fe0_efd0:
//!
//! ```text
//!             | what belongs to the coroutine, above its frames
//! 0x7fe0_efd0 | link: resumer    |  <- rsp when `entry` is called
//!             +------------------+
//! 0x7fe0_efc8 | entry            |
//! 0x7fe0_efc0 | start address    |  <- context
//!             +------------------+
//! ```
#![expect(unsafe_code, reason = "the switch is assembly, and a new stack is written through a raw pointer")]

use core::arch::{asm, naked_asm};
use core::ptr::NonNull;

use crate::context::{Context, Entry, Saved};
#[cfg(feature = "std")]
use crate::linking::{End, Link, LinkedEntry, Word};

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

/// What lies below a link before the coroutine first runs, lowest address first.
#[cfg(feature = "std")]
#[repr(C)]
struct LinkedFrame {
    /// Jumped to by `resume`.
    start: unsafe extern "C" fn(),
    /// Read by the code at `start`.
    entry: LinkedEntry,
}

#[cfg(feature = "std")]
const _: () = assert!(size_of::<LinkedFrame>() == 16);

/// Makes the context of a coroutine. See [`crate::linking::prepare_linked`] for the contract.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) unsafe fn prepare_linked(link: *mut Link, entry: LinkedEntry) -> Context {
    // SAFETY: the caller promises a stack below the link, which is a multiple of 16.
    unsafe {
        let frame = NonNull::new_unchecked(link).cast::<LinkedFrame>().sub(1);
        frame.write(LinkedFrame { start: coroutine_start, entry });
        Context(frame.cast())
    }
}

/// Continues a coroutine. See [`crate::linking::resume`] for the contract.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) unsafe fn resume(link: *const Link, to: Context, word: Word) -> (Word, bool, End) {
    let (answer, left, end): (Word, *const Link, usize);
    // SAFETY: as in `switch`. The other side leaves its link in `rdi` if it is suspended. If not, it leaves null there, and in `rsi`
    // the reason.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            // Pushes where to go on, as a call does, so that the `ret` of the other side is foreseen.
            "call [rsi]",
            "pop rbx",
            "pop rbp",
            inlateout("rdi") link => left,
            inlateout("rsi") to.0.as_ptr() => end,
            inlateout("rdx") word => answer,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    (answer, !left.is_null(), End(end))
}

/// Suspends a coroutine. See [`crate::linking::suspend`] for the contract.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) unsafe fn suspend(link: *const Link, word: Word) -> (Word, *const Link) {
    let (answer, same): (Word, *const Link);
    // SAFETY: as in `switch`: the link says where the resumer is suspended.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rdi + 8], rsp",
            "mov rsp, [rdi]",
            "ret",
            // Called by `resume`, on the resumer's stack.
            "2:",
            "mov [rdi], rsp",
            "lea rsp, [rsi + 8]",
            "pop rbx",
            "pop rbp",
            inlateout("rdi") link => same,
            inlateout("rdx") word => answer,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    (answer, same)
}

/// Ends a coroutine. See [`crate::linking::finish`] for the contract.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) unsafe fn finish(link: *const Link, word: Word, end: End) {
    // SAFETY: as in `suspend`; this side is not continued.
    unsafe {
        asm!(
            "mov rsp, [rdi]",
            "xor edi, edi",
            "ret",
            in("rdi") link,
            in("rsi") end.0,
            in("rdx") word,
            options(noreturn),
        );
    }
}

/// See [`crate::linking::refusal`].
#[cfg(feature = "std")]
pub(crate) const REFUSAL: Context = Context(NonNull::from_ref(&REFUSED).cast());

/// A context that is continued at [`refuse`]. Nothing of it is written to.
#[cfg(feature = "std")]
static REFUSED: unsafe extern "C" fn() = refuse;

/// Called by [`resume`], on the resumer's stack: returns, with neither a link nor a reason.
#[cfg(feature = "std")]
const _: () = assert!(End::REFUSED.0 == 0);

#[cfg(feature = "std")]
#[unsafe(naked)]
unsafe extern "C" fn refuse() {
    naked_asm!(".cfi_startproc", "xor edi, edi", "xor esi, esi", "ret", ".cfi_endproc")
}

/// Nothing is left of a coroutine that has ended.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) unsafe fn bury(_: *const Link) {}

/// Where a coroutine starts: called by the first [`resume`], on the resumer's stack.
///
/// To an unwinder, this function was called by the coroutine's last resumer. The resumer's context
/// lies at `rsp` while `entry` runs, so the frame of its suspended [`resume`] is found by one load:
///
/// ```text
/// 0x7fe0_2090 rsp of the resumer, the CFA  = [rsp] + 24
/// 0x7fe0_2088 rbp of the resumer             = CFA - 8
/// 0x7fe0_2080 rbx of the resumer             = CFA - 16
/// 0x7fe0_2078 where the resumer goes on      = CFA - 24
/// ```
#[cfg(feature = "std")]
#[unsafe(naked)]
unsafe extern "C" fn coroutine_start() {
    naked_asm!(
        ".cfi_startproc",
        // To gdb, a caller whose stack lies below its callee's is a sign of corruption, unless the callee
        // is marked as a frame that the kernel might have made. (It then shows it as a signal handler.) To
        // other unwinders the mark means that the caller goes on at an instruction of its own accord, not
        // after a call, which is true as well.
        ".cfi_signal_frame",
        // The places of the resumer's registers.
        ".cfi_offset rbp, -8",
        ".cfi_offset rbx, -16",
        ".cfi_offset rip, -24",
        ".cfi_def_cfa rsp, 24",
        "mov [rdi], rsp",
        "mov rsp, rdi",
        // From here on the link is at rsp. The bytes:
        //   0x0f       DW_CFA_def_cfa_expression, which computes the CFA
        //   0x05       the length of the expression in bytes
        //   0x77 0x00  DW_OP_breg7 0: the address rsp
        //   0x06       DW_OP_deref: the context stored there
        //   0x23 0x18  DW_OP_plus_uconst 24: over the three words that `resume` pushed
        ".cfi_escape 0x0f, 0x05, 0x77, 0x00, 0x06, 0x23, 0x18",
        // entry(word in rdi, link in rsi), which does not return, and switches to the resumer by a `ret`. So it is not
        // called, but jumped to. rbp still is the resumer's: the chain of frame pointers goes on there.
        "mov rax, [rsi + 8]",
        "mov rsi, rdi",
        "mov rdi, rdx",
        "lea rcx, [rip + 2f]",
        "push rcx",
        "jmp rax",
        // An unwinder looks for this function here.
        "2:",
        "ud2",
        ".cfi_endproc",
    )
}
