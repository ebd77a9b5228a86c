//! The switches of a coroutine for riscv64. Registers are treated as by `riscv64.rs`, which the comments call `switch`.
//!
//! `suspend` leaves the same four words as `switch`. `resume` leaves them in another order, for frame pointers (see `mod.rs`), which lie above
//! what they lead to here; the context of a resumer, 0x7fe0_2080, is
//!
//! ```text
//! 0x7fe0_2088 | unused           |
//! 0x7fe0_2080 | s1               |  <- context
//! 0x7fe0_2078 | resume address   |
//! 0x7fe0_2070 | s0               |  <- sp
//!             +------------------+
//! ```
//!
//! What they need besides is passed in registers: `a0` has the link, `a1` the context of the coroutine that is continued, `a2` the
//! word. The start of a coroutine, whose link is 0x7fe0_efd0:
//!
//! ```text
//!             | what belongs to the coroutine, above its frames
//! 0x7fe0_efe0 | link: coroutine  |  <- s0 when `entry` is called
//! 0x7fe0_efd8 | link: resumed_by |
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
            "sd s1, 16(sp)",
            "ld t1, {resume}(a1)",
            // A call, so that the `ret` of the other side is foreseen. The other side stores where to go on.
            "jalr t1",
            "ld s0, 0(sp)",
            "ld s1, 16(sp)",
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
            "sd sp, {coroutine}(a0)",
            "ld t1, 0(a0)",
            "addi sp, t1, -16",
            "ld ra, 8(sp)",
            "ret",
            // Called by `resume`, on the resumer's stack.
            "2:",
            "sd ra, 8(sp)",
            "addi t1, sp, 16",
            "sd t1, 0(a0)",
            "mv sp, a1",
            "ld s0, 0(sp)",
            "ld s1, 8(sp)",
            "addi sp, sp, 32",
            resume = const RESUME,
            coroutine = const offset_of!(Link, coroutine),
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
            "ld t1, 0(a0)",
            "addi sp, t1, -16",
            "mv a0, zero",
            "ld ra, 8(sp)",
            "ret",
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

/// See [`Link`]. An address within the function: profilers look for the call, before it.
pub(crate) const RESUMED_BY: *const () = (resumed_by as *const ()).wrapping_byte_add(2);

/// What a profiler shows that follows frame pointers, between a coroutine's frames and its resumer's. Nobody calls it.
#[unsafe(naked)]
unsafe extern "C" fn resumed_by() {
    naked_asm!(".cfi_startproc", ".cfi_undefined ra", "ebreak", "ebreak", ".cfi_endproc")
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
                // The return address is stored by the first instruction.
                ".cfi_def_cfa sp, 32",
                ".cfi_offset s1, -16",
                ".cfi_offset s0, -32",
                "sd ra, 8(sp)",
                ".cfi_offset ra, -24",
                "addi t1, sp, 16",
                "sd t1, 0(a0)",
                "mv sp, a0",
                // From here on the link is at sp. The bytes:
                //   0x0f       DW_CFA_def_cfa_expression, which computes the CFA
                //   0x05       the length of the expression in bytes
                //   0x72 0x00  DW_OP_breg2 0: the address sp
                //   0x06       DW_OP_deref: the context stored there
                //   0x23 0x10  DW_OP_plus_uconst 16: over what lies above the context
                ".cfi_escape 0x0f, 0x05, 0x72, 0x00, 0x06, 0x23, 0x10",
                $($line,)*
                // entry(word in a0, link in a1), which does not return, and switches to the resumer by a `ret`. So it is not
                // called, but jumped to.
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
            )
        }
    };
}

start! {
    /// Where a coroutine starts.
    ///
    /// To an unwinder, this function was called by the coroutine's last resumer. The resumer's context
    /// lies at `sp` while `entry` runs, so the frame of its suspended [`resume`] is found by one load:
    ///
    /// ```text
    /// 0x7fe0_2090 sp of the resumer, the CFA   = [sp] + 16
    /// 0x7fe0_2080 s1 of the resumer              = CFA - 16
    /// 0x7fe0_2078 where the resumer goes on      = CFA - 24
    /// 0x7fe0_2070 s0 of the resumer              = CFA - 32
    /// ```
    coroutine_start: "addi s0, a0, 16"
}

start! {
    /// Where a visit starts: the context at `sp` is that of a `switch`, which has the same words in another order, and lies below all of
    /// them: 32 in the last byte. The chain of frame pointers ends here.
    visit_start: ".cfi_escape 0x0f, 0x05, 0x72, 0x00, 0x06, 0x23, 0x20", ".cfi_offset s1, -24", ".cfi_offset ra, -16", "mv s0, zero"
}
