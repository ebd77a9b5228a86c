//! The switches of a coroutine for aarch64. Registers are treated as by `aarch64.rs`, which the comments call `switch`.
//!
//! `suspend` leaves the same four words as `switch`. `resume` leaves them in another order, for frame pointers (see `mod.rs`); the context
//! of a resumer, 0x7fe0_2070, is
//!
//! ```text
//! 0x7fe0_2088 | unused           |
//! 0x7fe0_2080 | x19              |
//! 0x7fe0_2078 | resume address   |
//! 0x7fe0_2070 | x29              |  <- context
//!             +------------------+
//! ```
//!
//! What they need besides is passed in registers: `x0` has the link, `x1` the context of the coroutine that is continued, `x2` the
//! word. The start of a coroutine, whose link is 0x7fe0_efd0:
//!
//! ```text
//!             | what belongs to the coroutine, above its frames
//! 0x7fe0_efd0 | link: resumer    |  <- sp when `entry` is called, and x29
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
    // SAFETY: as in `switch`. The other side leaves its link in `x0` if it is suspended. If not, it leaves null there, and in `x1`
    // the reason.
    unsafe {
        asm!(
            "str x19, [sp, #-16]!",
            "ldr x9, [x1, #{resume}]",
            // A call, so that the `ret` of the other side is foreseen. The other side stores where to go on with x29, as a
            // function does that has a frame pointer, and loads both.
            "blr x9",
            "ldr x19, [sp], #16",
            resume = const RESUME,
            inlateout("x0") link => left,
            inlateout("x1") to.0.as_ptr() => end,
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
    (answer, !left.is_null(), End(end))
}

/// Suspends a coroutine. See [`crate::linking::suspend`] for the contract.
#[inline(always)]
pub(crate) unsafe fn suspend(link: *const Link, word: Word) -> (Word, *const Link) {
    let (answer, same): (Word, *const Link);
    // SAFETY: as in `switch`: the link says where the resumer is suspended.
    unsafe {
        asm!(
            "adr x9, 2f",
            "stp x29, x19, [sp, #-32]!",
            "str x9, [sp, #{resume}]",
            "mov x10, sp",
            "str x10, [x0, #{coroutine}]",
            "ldr x10, [x0]",
            "mov sp, x10",
            "ldp x29, x30, [sp], #16",
            "ret",
            // Called by `resume`, on the resumer's stack.
            "2:",
            "stp x29, x30, [sp, #-16]!",
            "mov x10, sp",
            "str x10, [x0]",
            "mov sp, x1",
            "ldp x29, x19, [sp], #32",
            resume = const RESUME,
            coroutine = const offset_of!(Link, coroutine),
            inlateout("x0") link => same,
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
    (answer, same)
}

/// Ends a coroutine. See [`crate::linking::finish`] for the contract.
#[inline(always)]
pub(crate) unsafe fn finish(link: *const Link, word: Word, end: End) {
    // SAFETY: as in `suspend`; this side is not continued.
    unsafe {
        asm!(
            "ldr x10, [x0]",
            "mov sp, x10",
            "mov x0, xzr",
            "ldp x29, x30, [sp], #16",
            "ret",
            in("x0") link,
            in("x1") end.0,
            in("x2") word,
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
    naked_asm!(".cfi_startproc", "mov x0, xzr", "mov x1, xzr", "ret", ".cfi_endproc")
}

/// Nothing is left of a coroutine that has ended.
#[inline(always)]
pub(crate) unsafe fn bury(_: *const Link) {}

/// See [`Link`]. An address within the function: profilers look for the call, before it.
pub(crate) const RESUMED_BY: *const () = (resumed_by as *const ()).wrapping_byte_add(4);

/// What a profiler shows that follows frame pointers, between a coroutine's frames and its resumer's. Nobody calls it.
#[unsafe(naked)]
unsafe extern "C" fn resumed_by() {
    naked_asm!(".cfi_startproc", ".cfi_undefined x30", "brk #1", "brk #1", ".cfi_endproc")
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
                ".cfi_def_cfa sp, 16",
                ".cfi_offset x19, -16",
                "stp x29, x30, [sp, #-16]!",
                ".cfi_def_cfa sp, 32",
                ".cfi_offset x30, -24",
                ".cfi_offset x29, -32",
                "mov x10, sp",
                "str x10, [x0]",
                "mov sp, x0",
                // From here on the link is at sp. The bytes:
                //   0x0f       DW_CFA_def_cfa_expression, which computes the CFA
                //   0x05       the length of the expression in bytes
                //   0x8f 0x00  DW_OP_breg31 0: the address sp
                //   0x06       DW_OP_deref: the context stored there
                //   0x23 0x20  DW_OP_plus_uconst 32: over the four words of a context
                ".cfi_escape 0x0f, 0x05, 0x8f, 0x00, 0x06, 0x23, 0x20",
                $($line,)*
                // entry(word in x0, link in x1), which does not return, and switches to the resumer by a `ret`. So it is not
                // called, but jumped to.
                "ldr x9, [x1, #{entry}]",
                "mov x1, x0",
                "mov x0, x2",
                "adr x30, 2f",
                "br x9",
                // An unwinder looks for this function here.
                "2:",
                "brk #1",
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
    /// 0x7fe0_2090 sp of the resumer, the CFA   = [sp] + 32
    /// 0x7fe0_2080 x19 of the resumer             = CFA - 16
    /// 0x7fe0_2078 where the resumer goes on      = CFA - 24
    /// 0x7fe0_2070 x29 of the resumer             = CFA - 32
    /// ```
    coroutine_start: "mov x29, x0"
}

start! {
    /// Where a visit starts: the context at `sp` is that of a `switch`, which has the same words in another order. The chain of frame
    /// pointers ends here.
    visit_start: ".cfi_offset x19, -24", ".cfi_offset x30, -16", "mov x29, xzr"
}
