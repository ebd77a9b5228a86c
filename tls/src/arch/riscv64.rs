//! riscv64: the thread pointer is the general register `tp`, which compilers leave alone.
#![expect(
    unsafe_code,
    reason = "the thread pointer is a register, and a thread leaves its stack by assembly"
)]

use core::arch::{asm, naked_asm};
use core::sync::atomic::AtomicU32;

/// Whether there is code for this architecture.
pub(crate) const CODE: bool = true;

/// Whether user code may write the thread pointer.
pub(crate) fn may_write() -> bool {
    true
}

#[inline(always)]
pub(crate) fn thread_pointer() -> usize {
    let pointer;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, tp", out(reg) pointer, options(nostack, nomem, preserves_flags)) };
    pointer
}

/// # Safety
///
/// See [`crate::set_thread_pointer`].
#[inline(always)]
pub(crate) unsafe fn set_thread_pointer(pointer: usize) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mv tp, {}", in(reg) pointer, options(nostack, preserves_flags)) };
}

/// Saves where the calling thread is into `*saved`, and ends it: the kernel clears `*alive` when it is gone. Returns, on another
/// kernel thread, when [`revive`] is called with what was saved.
///
/// # Safety
///
/// Both pointers are valid until `*alive` is cleared. The thread is one of libc's own; it holds no lock.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn leave(saved: *mut usize, alive: *const AtomicU32) {
    naked_asm!(
        // What the calling convention preserves.
        "addi sp, sp, -208",
        "sd ra, 0(sp)",
        "sd s0, 8(sp)",
        "sd s1, 16(sp)",
        "sd s2, 24(sp)",
        "sd s3, 32(sp)",
        "sd s4, 40(sp)",
        "sd s5, 48(sp)",
        "sd s6, 56(sp)",
        "sd s7, 64(sp)",
        "sd s8, 72(sp)",
        "sd s9, 80(sp)",
        "sd s10, 88(sp)",
        "sd s11, 96(sp)",
        "fsd fs0, 104(sp)",
        "fsd fs1, 112(sp)",
        "fsd fs2, 120(sp)",
        "fsd fs3, 128(sp)",
        "fsd fs4, 136(sp)",
        "fsd fs5, 144(sp)",
        "fsd fs6, 152(sp)",
        "fsd fs7, 160(sp)",
        "fsd fs8, 168(sp)",
        "fsd fs9, 176(sp)",
        "fsd fs10, 184(sp)",
        "fsd fs11, 192(sp)",
        "sd sp, 0(a0)",
        // set_tid_address(alive), exit(0).
        "mv a0, a1",
        "li a7, {set_tid_address}",
        "ecall",
        "li a0, 0",
        "li a7, {exit}",
        "ecall",
        "ebreak",
        set_tid_address = const libc::SYS_set_tid_address,
        exit = const libc::SYS_exit,
    )
}

/// Makes a kernel thread that returns from the [`leave`] that saved `stack`, with `pointer` as its thread pointer. The kernel
/// writes its id to `*tid` now, and 0 to `*cleared` when it ends. Returns the id, or a negative error number.
///
/// # Safety
///
/// `stack` and `pointer` are of the same thread, which has not come back yet, and nothing above `stack` has been changed but by
/// libc. All signals are blocked.
pub(crate) unsafe fn revive(stack: usize, pointer: usize, tid: *mut u32, cleared: *mut u32) -> isize {
    let result;
    // SAFETY: the new thread starts behind the system call with the saved stack pointer, where `leave` has stored what is
    // loaded here; it does not use the caller's stack. In the caller this is a system call like any other.
    unsafe {
        asm!(
            "ecall",
            "bnez a0, 2f",
            "ld ra, 0(sp)",
            "ld s0, 8(sp)",
            "ld s1, 16(sp)",
            "ld s2, 24(sp)",
            "ld s3, 32(sp)",
            "ld s4, 40(sp)",
            "ld s5, 48(sp)",
            "ld s6, 56(sp)",
            "ld s7, 64(sp)",
            "ld s8, 72(sp)",
            "ld s9, 80(sp)",
            "ld s10, 88(sp)",
            "ld s11, 96(sp)",
            "fld fs0, 104(sp)",
            "fld fs1, 112(sp)",
            "fld fs2, 120(sp)",
            "fld fs3, 128(sp)",
            "fld fs4, 136(sp)",
            "fld fs5, 144(sp)",
            "fld fs6, 152(sp)",
            "fld fs7, 160(sp)",
            "fld fs8, 168(sp)",
            "fld fs9, 176(sp)",
            "fld fs10, 184(sp)",
            "fld fs11, 192(sp)",
            "addi sp, sp, 208",
            "ret",
            "2:",
            inlateout("a0") super::CLONE_FLAGS => result,
            in("a1") stack,
            in("a2") tid,
            in("a3") pointer,
            in("a4") cleared,
            in("a7") libc::SYS_clone,
        );
    }
    result
}

/// The kernel's id of the calling thread. libc's function may be somebody else's, for whom a thread is something else.
pub(crate) fn thread_id() -> u32 {
    let id: i64;
    // SAFETY: it touches no memory.
    unsafe { asm!("ecall", in("a7") libc::SYS_gettid, lateout("a0") id, options(nostack)) };
    id as u32
}
