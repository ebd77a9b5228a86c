//! The switches of a coroutine for x86_64. Registers are treated as by `x86_64.rs`, which the comments call `switch`.
//!
//! `suspend` leaves the same three words as `switch`. `resume` leaves them in another order, for frame pointers (see `mod.rs`); the context
//! of a resumer, 0x7fe0_2078, is
//!
//! ```text
//! 0x7fe0_2088 | rbx              |
//! 0x7fe0_2080 | resume address   |
//! 0x7fe0_2078 | rbp              |  <- context
//!             +------------------+
//! ```
//!
//! What they need besides is passed in registers: `rdi` has the link, `rsi` the context of the coroutine that is continued, `rdx` the
//! word. The start of a coroutine, whose link is 0x7fe0_efd0:
//!
//! ```text
//!             | what belongs to the coroutine, above its frames
//! 0x7fe0_efd0 | link: resumer    |  <- rsp when `entry` is called, and rbp
//!             +------------------+
//! 0x7fe0_efc8 | entry            |
//! 0x7fe0_efc0 | start address    |  <- context
//!             +------------------+
//! ```
#![expect(
    unsafe_code,
    reason = "the switches are assembly, and a new stack is written through a raw pointer"
)]

use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use core::ptr::NonNull;

use crate::context::Context;
use crate::linking::{End, Link, LinkedEntry, Word};

/// What lies below a link before the coroutine first runs, lowest address first.
#[repr(C)]
struct LinkedFrame {
    /// Jumped to by `resume`.
    start: unsafe extern "C" fn(),
    /// Read by the code at `start`.
    entry: LinkedEntry,
}

const _: () = assert!(size_of::<LinkedFrame>() == 16);

/// Makes the context of a coroutine. See [`crate::linking::prepare_linked`] for the contract.
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
#[inline(always)]
pub(crate) unsafe fn resume(link: *const Link, to: Context, word: Word) -> (Word, bool, End) {
    let (answer, left, end): (Word, *const Link, usize);
    // SAFETY: as in `switch`. The other side leaves its link in `rdi` if it is suspended. If not, it leaves null there, and in `rsi`
    // the reason.
    unsafe {
        asm!(
            "push rbx",
            // Pushes where to go on, as a call does, so that the `ret` of the other side is foreseen. The other side pushes rbp, as
            // a function does that has a frame pointer, and pops it.
            "call [rsi]",
            "pop rbx",
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
            "mov [rdi + {coroutine}], rsp",
            "mov rsp, [rdi]",
            "pop rbp",
            "ret",
            // Called by `resume`, on the resumer's stack. Nobody runs through the padding.
            ".p2align 5",
            "2:",
            "push rbp",
            "mov [rdi], rsp",
            "lea rsp, [rsi + 8]",
            "pop rbx",
            "pop rbp",
            coroutine = const offset_of!(Link, coroutine),
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
#[inline(always)]
pub(crate) unsafe fn finish(link: *const Link, word: Word, end: End) {
    // SAFETY: as in `suspend`; this side is not continued.
    unsafe {
        asm!(
            "mov rsp, [rdi]",
            "xor edi, edi",
            "pop rbp",
            "ret",
            in("rdi") link,
            in("rsi") end.0,
            in("rdx") word,
            options(noreturn),
        );
    }
}

/// See [`crate::linking::refusal`].
pub(crate) const REFUSAL: Context = Context(NonNull::from_ref(&REFUSED).cast());

/// A context that is continued at [`refuse`]. Nothing of it is written to.
static REFUSED: unsafe extern "C" fn() = refuse;

const _: () = assert!(End::REFUSED.0 == 0);

/// Called by [`resume`], on the resumer's stack: returns, with neither a link nor a reason.
#[unsafe(naked)]
unsafe extern "C" fn refuse() {
    naked_asm!(".cfi_startproc", "xor edi, edi", "xor esi, esi", "ret", ".cfi_endproc")
}

/// Nothing is left of a coroutine that has ended.
#[inline(always)]
pub(crate) unsafe fn bury(_: *const Link) {}

/// See [`Link`]. An address within the function: profilers look for the call, before it.
pub(crate) const RESUMED_BY: *const () = (resumed_by as *const ()).wrapping_byte_add(1);

/// What a profiler shows that follows frame pointers, between a coroutine's frames and its resumer's. Nobody calls it.
#[unsafe(naked)]
unsafe extern "C" fn resumed_by() {
    naked_asm!(".cfi_startproc", ".cfi_undefined rip", "ud2", ".cfi_endproc")
}

/// Makes the context of a coroutine that has not begun that of a visit. See [`crate::linking::prepare_visit`].
///
/// # Safety
///
/// It was made by [`prepare_linked`].
#[inline(always)]
pub(crate) unsafe fn make_visit(context: Context) {
    // SAFETY: the caller's promise.
    unsafe { (*context.0.cast::<LinkedFrame>().as_ptr()).start = visit_start };
}

/// Makes a function that is called by the first [`resume`], on the resumer's stack. The lines say where, to an unwinder, the
/// resumer's registers are, and what the frame pointer is.
macro_rules! start {
    ($(#[$doc:meta])* $name:ident: $($line:literal),*) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                ".cfi_startproc",
                // To gdb, a caller whose stack lies below its callee's is a sign of corruption, unless the callee
                // is marked as a frame that the kernel might have made. (It then shows it as a signal handler.) To
                // other unwinders the mark means that the caller goes on at an instruction of its own accord, not
                // after a call, which is true as well.
                ".cfi_signal_frame",
                ".cfi_def_cfa rsp, 16",
                ".cfi_offset rip, -16",
                ".cfi_offset rbx, -8",
                "push rbp",
                ".cfi_def_cfa rsp, 24",
                ".cfi_offset rbp, -24",
                "mov [rdi], rsp",
                "mov rsp, rdi",
                // From here on the link is at rsp. The bytes:
                //   0x0f       DW_CFA_def_cfa_expression, which computes the CFA
                //   0x05       the length of the expression in bytes
                //   0x77 0x00  DW_OP_breg7 0: the address rsp
                //   0x06       DW_OP_deref: the context stored there
                //   0x23 0x18  DW_OP_plus_uconst 24: over the three words of a context
                ".cfi_escape 0x0f, 0x05, 0x77, 0x00, 0x06, 0x23, 0x18",
                $($line,)*
                // entry(word in rdi, link in rsi), which does not return, and switches to the resumer by a `ret`. So it is not
                // called, but jumped to.
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
    };
}

start! {
    /// Where a coroutine starts.
    ///
    /// To an unwinder, this function was called by the coroutine's last resumer. The resumer's context
    /// lies at `rsp` while `entry` runs, so the frame of its suspended [`resume`] is found by one load:
    ///
    /// ```text
    /// 0x7fe0_2090 rsp of the resumer, the CFA  = [rsp] + 24
    /// 0x7fe0_2088 rbx of the resumer             = CFA - 8
    /// 0x7fe0_2080 where the resumer goes on      = CFA - 16
    /// 0x7fe0_2078 rbp of the resumer             = CFA - 24
    /// ```
    coroutine_start: "mov rbp, rdi"
}

start! {
    /// Where a visit starts: the context at `rsp` is that of a `switch`, which has the same words in another order. The chain of frame
    /// pointers ends here.
    visit_start: ".cfi_offset rbp, -8", ".cfi_offset rbx, -16", ".cfi_offset rip, -24", "xor ebp, ebp"
}
