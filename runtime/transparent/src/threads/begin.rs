//! The first frames of a thread that is a fiber: from here its routine is called, and to here `pthread_exit` unwinds.
//!
//! libc's own `pthread_exit` unwinds frame by frame, calls what `pthread_cleanup_push` has registered, and ends with a long jump to
//! the buffer that the thread registered first. libc registers one in its own first frame; a fiber does it here, by the functions
//! that C compilers call for `pthread_cleanup_push`.

#![expect(
    unsafe_code,
    reason = "calls the routine between a setjmp and its jump, which a compiler must not see"
)]

use std::arch::global_asm;
#[cfg(target_arch = "x86_64")]
use std::ffi::c_int;
use std::ffi::c_void;

/// A thread's routine.
pub(crate) type Routine = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// What has become of a routine.
#[repr(C)]
pub(crate) struct Ended {
    /// The routine's result, if it returned.
    pub(crate) value: usize,
    /// Whether it was left by `pthread_exit`.
    pub(crate) has_exited: usize,
}

unsafe extern "C-unwind" {
    /// Calls `routine(argument)`.
    ///
    /// # Safety
    ///
    /// As the call. On a stack, and in storage, on which libc has registered no other buffer.
    #[link_name = "abaca_transparent_begin"]
    pub(crate) fn begin(routine: Routine, argument: *mut c_void) -> Ended;
}

/// Whether an exception may go on from the first frame of a thread. A panic may, and what `pthread_exit` unwinds by. One of another language that nobody
/// in the thread catches ends its search here, as in libc's first frame, so that C++ calls `std::terminate` where it was thrown.
#[cfg(target_arch = "x86_64")]
extern "C" fn first_frame(_: c_int, actions: c_int, class: u64, _: *mut c_void, _: *mut c_void) -> c_int {
    const SEARCH: c_int = 1;
    const FORCED: c_int = 8;
    const STOP: c_int = 3;
    const GO_ON: c_int = 8;
    /// The class of Rust's panics.
    const PANIC: u64 = u64::from_be_bytes(*b"MOZ\0RUST");
    if actions & SEARCH != 0 && actions & FORCED == 0 && class != PANIC { STOP } else { GO_ON }
}

// The buffer, libc's `__pthread_unwind_buf_t`, takes 104, 216 and 248 bytes; its frame stays in the stack of each thread that waits.

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .text.abaca_transparent_begin,\"ax\",@progbits",
    ".globl abaca_transparent_begin",
    ".hidden abaca_transparent_begin",
    ".type abaca_transparent_begin,@function",
    "abaca_transparent_begin:",
    ".cfi_startproc",
    // Relative to its own place, in four bytes.
    ".cfi_personality 0x1b, {first_frame}",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "push rbx",
    ".cfi_offset rbx, -24",
    "push r12",
    ".cfi_offset r12, -32",
    "sub rsp, 112",
    // The jump restores these registers as they are at the setjmp.
    "mov rbx, rdi",
    "mov r12, rsi",
    "mov rdi, rsp",
    "call [rip + _setjmp@GOTPCREL]",
    "test eax, eax",
    "jnz 2f",
    "mov rdi, rsp",
    "call [rip + __pthread_register_cancel@GOTPCREL]",
    "mov rdi, r12",
    "call rbx",
    "mov rbx, rax",
    "xor r12d, r12d",
    "jmp 3f",
    "2:",
    "xor ebx, ebx",
    "mov r12d, 1",
    "3:",
    "mov rdi, rsp",
    "call [rip + __pthread_unregister_cancel@GOTPCREL]",
    "mov rax, rbx",
    "mov rdx, r12",
    "add rsp, 112",
    "pop r12",
    "pop rbx",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size abaca_transparent_begin, . - abaca_transparent_begin",
    ".popsection",
    first_frame = sym first_frame,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .text.abaca_transparent_begin,\"ax\",@progbits",
    ".globl abaca_transparent_begin",
    ".hidden abaca_transparent_begin",
    ".type abaca_transparent_begin,@function",
    "abaca_transparent_begin:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-32]!",
    ".cfi_def_cfa_offset 32",
    ".cfi_offset x29, -32",
    ".cfi_offset x30, -24",
    "stp x19, x20, [sp, #16]",
    ".cfi_offset x19, -16",
    ".cfi_offset x20, -8",
    "mov x29, sp",
    ".cfi_def_cfa x29, 32",
    "sub sp, sp, #224",
    "mov x19, x0",
    "mov x20, x1",
    "mov x0, sp",
    "bl _setjmp",
    "cbnz w0, 2f",
    "mov x0, sp",
    "bl __pthread_register_cancel",
    "mov x0, x20",
    "blr x19",
    "mov x19, x0",
    "mov x20, #0",
    "b 3f",
    "2:",
    "mov x19, #0",
    "mov x20, #1",
    "3:",
    "mov x0, sp",
    "bl __pthread_unregister_cancel",
    "mov x0, x19",
    "mov x1, x20",
    "mov sp, x29",
    ".cfi_def_cfa sp, 32",
    "ldp x19, x20, [sp, #16]",
    "ldp x29, x30, [sp], #32",
    ".cfi_def_cfa_offset 0",
    "ret",
    ".cfi_endproc",
    ".size abaca_transparent_begin, . - abaca_transparent_begin",
    ".popsection",
);

#[cfg(target_arch = "riscv64")]
global_asm!(
    ".pushsection .text.abaca_transparent_begin,\"ax\",@progbits",
    ".globl abaca_transparent_begin",
    ".hidden abaca_transparent_begin",
    ".type abaca_transparent_begin,@function",
    "abaca_transparent_begin:",
    ".cfi_startproc",
    "addi sp, sp, -32",
    ".cfi_def_cfa_offset 32",
    "sd ra, 24(sp)",
    ".cfi_offset ra, -8",
    "sd s0, 16(sp)",
    ".cfi_offset s0, -16",
    "sd s1, 8(sp)",
    ".cfi_offset s1, -24",
    "sd s2, 0(sp)",
    ".cfi_offset s2, -32",
    "addi s0, sp, 32",
    ".cfi_def_cfa s0, 0",
    "addi sp, sp, -256",
    "mv s1, a0",
    "mv s2, a1",
    "mv a0, sp",
    "call _setjmp",
    "bnez a0, 2f",
    "mv a0, sp",
    "call __pthread_register_cancel",
    "mv a0, s2",
    "jalr s1",
    "mv s1, a0",
    "li s2, 0",
    "j 3f",
    "2:",
    "li s1, 0",
    "li s2, 1",
    "3:",
    "mv a0, sp",
    "call __pthread_unregister_cancel",
    "mv a0, s1",
    "mv a1, s2",
    "addi sp, s0, -32",
    ".cfi_def_cfa sp, 32",
    "ld ra, 24(sp)",
    "ld s0, 16(sp)",
    "ld s1, 8(sp)",
    "ld s2, 0(sp)",
    "addi sp, sp, 32",
    ".cfi_def_cfa_offset 0",
    "ret",
    ".cfi_endproc",
    ".size abaca_transparent_begin, . - abaca_transparent_begin",
    ".popsection",
);
