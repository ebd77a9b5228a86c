//! Jumps: `sigsetjmp` and `siglongjmp`, `getcontext` and its kin, whose machine code is libc's. It saves and restores the mask of signals of
//! the OS thread; these hooks do so with the fiber's.
//!
//! * **Where the mask is kept.** libc keeps a mask of 128 bytes in its buffers, of which the kernel has 8. The fiber's mask is in the last
//!   ones, behind a word that says so.
//! * **What returns twice** cannot be called from here: a stub notes the mask, and goes on in libc's function as if its caller had called that.
//! * **A jump out of a handler** leaves behind what its frames would have put right when they ended (`frames.rs`). The jump does so instead.
//! * **A jump out of a call that waits** is one of those: the fiber runs the handler in its wait, when the runtime has no pointers to its frames
//!   (`attending.rs`).
//! * **A jump out of a handler that has interrupted the runtime**, because it was run where the kernel has put it, would leave the runtime's frames behind.
//!   The process ends before that, and says why.

#![expect(
    unsafe_code,
    reason = "takes the place of functions of libc, in assembly, and looks into their buffers"
)]

use std::arch::{asm, naked_asm};
use std::ffi::c_int;

use abaca::hook;
use libc::{sigset_t, ucontext_t};

use super::{frames, masks};
use crate::own::own;
use crate::table::Hook;

/// C's `jmp_buf` and `sigjmp_buf`.
#[repr(C)]
pub(crate) struct Buffer {
    registers: [u64; 8],
    has_mask: c_int,
    mask: sigset_t,
}

/// Which of the registers is the stack pointer.
const STACK_POINTER: usize = 6;

/// The words of a set in which a fiber's mask is noted: that it is, and the mask.
const NOTED: usize = 14;
/// "Here is the fiber's mask", a number that no mask and no address is.
const MARK: u64 = 0xabac_a5e7_0f5e_7517;

const _: () = assert!(size_of::<sigset_t>() == 8 * (NOTED + 2));

/// Notes the calling fiber's mask in a set that libc is about to write.
///
/// # Safety
///
/// The set can be written.
unsafe fn note(set: *mut sigset_t) {
    let mask = masks::of_fiber();
    // SAFETY: the caller's promise; the words are within.
    unsafe {
        let words = set.cast::<u64>();
        words.add(NOTED).write(if mask.is_some() { MARK } else { 0 });
        words.add(NOTED + 1).write(mask.unwrap_or(0));
    }
}

/// Restores the mask of a set that libc is about to make the OS thread's, for a caller that has just `left` handlers in which more was blocked.
///
/// # Safety
///
/// The set was written by libc or by the kernel, can be written, and what lies behind can be read.
unsafe fn restore(set: *mut sigset_t, left: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        let words = set.cast::<u64>();
        if words.add(NOTED).read() == MARK {
            let noted = words.add(NOTED + 1).read();
            if hook::on_fiber() {
                masks::restore(noted);
            } else {
                // A copy by fork(2), whose only thread has been a fiber.
                words.write(noted);
            }
        } else if hook::on_fiber() {
            // It was saved in a handler, or by the kernel for one.
            masks::unblock(left & !words.read());
        } else {
            masks::will_be(words.read());
        }
    }
}

unsafe extern "C" fn note_jump(buffer: *mut Buffer) {
    // SAFETY: the caller of the function whose stub calls this has a buffer with a mask.
    unsafe { note(&raw mut (*buffer).mask) };
}

unsafe extern "C" fn note_context(context: *mut ucontext_t) {
    // SAFETY: as above, of a context.
    unsafe { note(&raw mut (*context).uc_sigmask) };
}

unsafe extern "C" fn swap_masks(from: *mut ucontext_t, to: *mut ucontext_t) {
    // SAFETY: as above, of two.
    unsafe {
        note(&raw mut (*from).uc_sigmask);
        restore(&raw mut (*to).uc_sigmask, 0);
    }
}

extern "C" fn own_sigsetjmp() -> usize {
    own!(fn __sigsetjmp(*mut Buffer, c_int) -> c_int) as usize
}

extern "C" fn own_setjmp() -> usize {
    own!(fn setjmp(*mut Buffer) -> c_int) as usize
}

extern "C" fn own_getcontext() -> usize {
    own!(fn getcontext(*mut ucontext_t) -> c_int) as usize
}

extern "C" fn own_swapcontext() -> usize {
    own!(fn swapcontext(*mut ucontext_t, *mut ucontext_t) -> c_int) as usize
}

/// Calls the first function with the two arguments, unless `skips` jumps to 2, and goes on in the one whose address the second tells.
macro_rules! stub {
    ($skips:literal, $first:path, $own:path) => {
        naked_asm!(
            ".cfi_startproc",
            "push rdi",
            ".cfi_adjust_cfa_offset 8",
            "push rsi",
            ".cfi_adjust_cfa_offset 8",
            "sub rsp, 8",
            ".cfi_adjust_cfa_offset 8",
            $skips,
            "call {first}",
            "2:",
            "call {own}",
            "add rsp, 8",
            ".cfi_adjust_cfa_offset -8",
            "pop rsi",
            ".cfi_adjust_cfa_offset -8",
            "pop rdi",
            ".cfi_adjust_cfa_offset -8",
            "jmp rax",
            ".cfi_endproc",
            first = sym $first,
            own = sym $own,
        )
    };
}

/// What `sigsetjmp` and `setjmp` call.
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn __sigsetjmp(buffer: *mut Buffer, saves_mask: c_int) -> c_int {
    // A buffer without a mask may be shorter.
    stub!("test esi, esi\n je 2f", note_jump, own_sigsetjmp)
}

/// setjmp(3) as a function, which saves the mask.
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn setjmp(buffer: *mut Buffer) -> c_int {
    stub!("", note_jump, own_setjmp)
}

/// getcontext(3).
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getcontext(context: *mut ucontext_t) -> c_int {
    stub!("", note_context, own_getcontext)
}

/// swapcontext(3).
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn swapcontext(from: *mut ucontext_t, to: *mut ucontext_t) -> c_int {
    stub!("", swap_masks, own_swapcontext)
}

/// setcontext(3). It may leave a handler.
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn setcontext(context: *mut ucontext_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let left = frames::leave((*context).uc_mcontext.gregs[libc::REG_RSP as usize] as usize);
        restore(&raw mut (*context).uc_sigmask, left);
        own!(fn setcontext(*mut ucontext_t) -> c_int)(context)
    }
}

/// The stack pointer to which a jump goes, which libc keeps disguised.
///
/// # Safety
///
/// The buffer was written by libc.
unsafe fn target(buffer: *mut Buffer) -> usize {
    // SAFETY: the caller's promise. The word at fs:0x30 is the thread's `pointer_guard`.
    unsafe {
        let guard: u64;
        asm!("mov {}, fs:[0x30]", out(reg) guard, options(nostack, preserves_flags, readonly));
        ((*buffer).registers[STACK_POINTER].rotate_right(17) ^ guard) as usize
    }
}

/// What comes before a jump.
///
/// # Safety
///
/// The buffer was written by libc.
unsafe fn prepare(buffer: *mut Buffer) {
    // SAFETY: the caller's promise.
    unsafe {
        let was_in_handler = masks::is_in_any_handler();
        let left = frames::leave(target(buffer));
        if (*buffer).has_mask != 0 {
            restore(&raw mut (*buffer).mask, left);
        } else if was_in_handler && !masks::is_in_any_handler() {
            // A plain thread keeps the mask of the handler.
            masks::thread_has_changed();
        }
    }
}

/// The functions that jump: they do not unwind.
macro_rules! jumps {
    ($($name:ident)*) => {
        $(
            /// longjmp(3), or one of its kin.
            ///
            /// # Safety
            ///
            /// As libc's function of this name.
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C" fn $name(buffer: *mut Buffer, value: c_int) -> ! {
                // SAFETY: the caller's promise.
                unsafe {
                    prepare(buffer);
                    own!(fn $name(*mut Buffer, c_int) -> !)(buffer, value)
                }
            }
        )*

        /// The hooks of this file.
        pub(crate) const HOOKS: &[Hook] = &[
            Hook(__sigsetjmp as *const (), "__sigsetjmp"),
            Hook(setjmp as *const (), "setjmp"),
            Hook(getcontext as *const (), "getcontext"),
            Hook(setcontext as *const (), "setcontext"),
            Hook(swapcontext as *const (), "swapcontext"),
            $(Hook($name as *const (), stringify!($name)),)*
        ];
    };
}

jumps! { longjmp _longjmp siglongjmp __longjmp_chk }
