//! The switches of a coroutine for riscv64. Registers are treated as by `riscv64.rs`, which the comments call `switch`.
//!
//! `resume` and `suspend` leave the same four words as `switch`. What they need besides is passed in registers: `a0` has the
//! link, `a1` the context of the coroutine that is continued, `a2` the word. The start of a coroutine, whose link is 0x7fe0_efd0:
//!
//! ```text
//!             | what belongs to the coroutine, above its frames
//! 0x7fe0_efd0 | link: resumer    |  <- sp when `entry` is called
//!             +------------------+
//! 0x7fe0_efc8 | entry            |
//! 0x7fe0_efc0 | start address    |
//! 0x7fe0_efb8 | unused           |
//! 0x7fe0_efb0 | unused           |  <- context
//!             +------------------+
//! ```
#![expect(
    unsafe_code,
    reason = "the switches are assembly, and a new stack is written through a raw pointer"
)]

use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use core::ptr::NonNull;

use crate::arch::SAVED;
use crate::context::Context;
use crate::linking::{End, Link, LinkedEntry, Word};

/// Where a context has its resume address.
const RESUME: usize = SAVED.program_counter;

/// What lies below a link before the coroutine first runs, lowest address first.
#[repr(C)]
struct LinkedFrame {
    /// Where a suspended context has its registers.
    unused: [usize; 2],
    /// Jumped to by `resume`.
    start: unsafe extern "C" fn(),
    /// Read by the code at `start`.
    entry: LinkedEntry,
}

const _: () = assert!(size_of::<LinkedFrame>() == 32);
const _: () = assert!(offset_of!(LinkedFrame, start) == RESUME);

/// Makes the context of a coroutine. See [`crate::linking::prepare_linked`] for the contract.
#[inline(always)]
pub(crate) unsafe fn prepare_linked(link: *mut Link, entry: LinkedEntry) -> Context {
    // SAFETY: the caller promises a stack below the link, which is a multiple of 16.
    unsafe {
        let frame = NonNull::new_unchecked(link).cast::<LinkedFrame>().sub(1);
        frame.write(LinkedFrame { unused: [0; 2], start: coroutine_start, entry });
        Context(frame.cast())
    }
}

/// Continues a coroutine. See [`crate::linking::resume`] for the contract.
#[inline(always)]
pub(crate) unsafe fn resume(link: *const Link, to: Context, word: Word) -> (Word, bool, End) {
    let (answer, left, end): (Word, *const Link, usize);
    // SAFETY: as in `switch`. The other side leaves its link in `a0` if it is suspended. If not, it leaves null there, and in `a1`
    // the reason.
    unsafe {
        asm!(
            "addi sp, sp, -32",
            "sd s0, 0(sp)",
            "sd s1, 8(sp)",
            "ld t1, {resume}(a1)",
            // A call, so that the `ret` of the other side is foreseen. The other side stores where to go on.
            "jalr t1",
            "ld s0, 0(sp)",
            "ld s1, 8(sp)",
            "addi sp, sp, 32",
            resume = const RESUME,
            inlateout("a0") link => left,
            inlateout("a1") to.0.as_ptr() => end,
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
    (answer, !left.is_null(), End(end))
}

/// Suspends a coroutine. See [`crate::linking::suspend`] for the contract.
#[inline(always)]
pub(crate) unsafe fn suspend(link: *const Link, word: Word) -> (Word, *const Link) {
    let (answer, same): (Word, *const Link);
    // SAFETY: as in `switch`: the link says where the resumer is suspended.
    unsafe {
        asm!(
            "lla t1, 2f",
            "addi sp, sp, -32",
            "sd s0, 0(sp)",
            "sd s1, 8(sp)",
            "sd t1, {resume}(sp)",
            "sd sp, 8(a0)",
            "ld sp, 0(a0)",
            "ld ra, {resume}(sp)",
            "ret",
            // Called by `resume`, on the resumer's stack.
            "2:",
            "sd ra, {resume}(sp)",
            "sd sp, 0(a0)",
            "mv sp, a1",
            "ld s0, 0(sp)",
            "ld s1, 8(sp)",
            "addi sp, sp, 32",
            resume = const RESUME,
            inlateout("a0") link => same,
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
    (answer, same)
}

/// Ends a coroutine. See [`crate::linking::finish`] for the contract.
#[inline(always)]
pub(crate) unsafe fn finish(link: *const Link, word: Word, end: End) {
    // SAFETY: as in `suspend`; this side is not continued.
    unsafe {
        asm!(
            "ld sp, 0(a0)",
            "mv a0, zero",
            "ld ra, {resume}(sp)",
            "ret",
            resume = const RESUME,
            in("a0") link,
            in("a1") end.0,
            in("a2") word,
            options(noreturn),
        );
    }
}

/// See [`crate::linking::refusal`].
pub(crate) const REFUSAL: Context = Context(NonNull::from_ref(&REFUSED).cast());

/// A context that is continued at [`refuse`]. Nothing of it is written to.
static REFUSED: LinkedFrame = LinkedFrame { unused: [0; 2], start: refuse, entry: never };

/// The entry that nobody calls.
unsafe extern "C" fn never(_: Word, _: *const Link) {}

const _: () = assert!(End::REFUSED.0 == 0);

/// Called by [`resume`], on the resumer's stack: returns, with neither a link nor a reason.
#[unsafe(naked)]
unsafe extern "C" fn refuse() {
    naked_asm!(".cfi_startproc", "mv a0, zero", "mv a1, zero", "ret", ".cfi_endproc")
}

/// Nothing is left of a coroutine that has ended.
#[inline(always)]
pub(crate) unsafe fn bury(_: *const Link) {}

/// Where a coroutine starts: called by the first [`resume`], on the resumer's stack.
///
/// To an unwinder, this function was called by the coroutine's last resumer. The resumer's context
/// lies at `sp` while `entry` runs, so the frame of its suspended [`resume`] is found by one load:
///
/// ```text
/// 0x7fe0_2090 sp of the resumer, the CFA   = [sp] + 32
/// 0x7fe0_2080 where the resumer goes on      = CFA - 16
/// 0x7fe0_2078 s1 of the resumer             = CFA - 24
/// 0x7fe0_2070 s0 of the resumer             = CFA - 32
/// ```
#[unsafe(naked)]
unsafe extern "C" fn coroutine_start() {
    naked_asm!(
        ".cfi_startproc",
        // To gdb, a caller whose stack lies below its callee's is a sign of corruption, unless the callee
        // is marked as a frame that the kernel might have made. (It then shows it as a signal handler.) To
        // other unwinders the mark means that the caller goes on at an instruction of its own accord, not
        // after a call, which is true as well.
        ".cfi_signal_frame",
        // The places of the resumer's registers. The return address is stored by the first instruction.
        ".cfi_def_cfa sp, 32",
        ".cfi_offset s1, -24",
        ".cfi_offset s0, -32",
        "sd ra, {resume}(sp)",
        ".cfi_offset ra, -16",
        "sd sp, 0(a0)",
        "mv sp, a0",
        // From here on the link is at sp. The bytes:
        //   0x0f       DW_CFA_def_cfa_expression, which computes the CFA
        //   0x05       the length of the expression in bytes
        //   0x72 0x00  DW_OP_breg2 0: the address sp
        //   0x06       DW_OP_deref: the context stored there
        //   0x23 0x20  DW_OP_plus_uconst 32: over what `resume` stored
        ".cfi_escape 0x0f, 0x05, 0x72, 0x00, 0x06, 0x23, 0x20",
        // entry(word in a0, link in a1), which does not return, and switches to the resumer by a `ret`. So it is not
        // called, but jumped to. s0 still is the resumer's: the chain of frame pointers goes on there.
        "ld t1, {entry}(a1)",
        "mv a1, a0",
        "mv a0, a2",
        "lla ra, 2f",
        "jr t1",
        // An unwinder looks for this function here.
        "2:",
        "ebreak",
        ".cfi_endproc",
        entry = const offset_of!(LinkedFrame, entry),
        resume = const RESUME,
    )
}
