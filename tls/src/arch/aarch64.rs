//! aarch64: the thread pointer is the register `tpidr_el0`, which user code may always write.
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
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nostack, nomem, preserves_flags)) };
    pointer
}

/// # Safety
///
/// See [`crate::set_thread_pointer`].
#[inline(always)]
pub(crate) unsafe fn set_thread_pointer(pointer: usize) {
    // SAFETY: the caller's promise.
    unsafe { asm!("msr tpidr_el0, {}", in(reg) pointer, options(nostack, preserves_flags)) };
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
        "stp x29, x30, [sp, #-160]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mov x2, sp",
        "str x2, [x0]",
        // set_tid_address(alive), exit(0).
        "mov x0, x1",
        "mov x8, #{set_tid_address}",
        "svc #0",
        "mov x0, #0",
        "mov x8, #{exit}",
        "svc #0",
        "brk #1",
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
            "svc #0",
            "cbnz x0, 2f",
            "ldp x19, x20, [sp, #16]",
            "ldp x21, x22, [sp, #32]",
            "ldp x23, x24, [sp, #48]",
            "ldp x25, x26, [sp, #64]",
            "ldp x27, x28, [sp, #80]",
            "ldp d8, d9, [sp, #96]",
            "ldp d10, d11, [sp, #112]",
            "ldp d12, d13, [sp, #128]",
            "ldp d14, d15, [sp, #144]",
            "ldp x29, x30, [sp], #160",
            "ret",
            "2:",
            inlateout("x0") super::CLONE_FLAGS => result,
            in("x1") stack,
            in("x2") tid,
            in("x3") pointer,
            in("x4") cleared,
            in("x8") libc::SYS_clone,
        );
    }
    result
}

/// The kernel's id of the calling thread. libc's function may be somebody else's, for whom a thread is something else.
pub(crate) fn thread_id() -> u32 {
    let id: i64;
    // SAFETY: it touches no memory.
    unsafe { asm!("svc #0", in("x8") libc::SYS_gettid, lateout("x0") id, options(nostack)) };
    id as u32
}
