//! x86_64: the thread pointer is the base of the segment `fs`.
//!
//! User code may write it since Linux 5.9, on processors with FSGSBASE (Intel's since 2012, AMD's since 2017). The word that it
//! points to holds its own address, by the ABI of thread-local storage, so reading it is an ordinary load.
#![expect(
    unsafe_code,
    reason = "the thread pointer is a register, and a thread leaves its stack by assembly"
)]

use core::arch::{asm, naked_asm};
use core::sync::atomic::AtomicU32;

/// The bit of `AT_HWCAP2` by which the kernel says that user code may use `rdfsbase` and `wrfsbase`.
const HWCAP2_FSGSBASE: libc::c_ulong = 1 << 1;

/// Whether there is code for this architecture.
pub(crate) const CODE: bool = true;

/// Whether user code may write the thread pointer.
pub(crate) fn may_write() -> bool {
    // SAFETY: has no preconditions.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

#[inline(always)]
pub(crate) fn thread_pointer() -> usize {
    let pointer;
    // SAFETY: a load of the first word of the thread control block, which by the ABI is its own address.
    unsafe { asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags)) };
    pointer
}

/// # Safety
///
/// See [`crate::set_thread_pointer`].
#[inline(always)]
pub(crate) unsafe fn set_thread_pointer(pointer: usize) {
    // SAFETY: the caller's promise.
    unsafe { asm!("wrfsbase {}", in(reg) pointer, options(nostack, preserves_flags)) };
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
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        // set_tid_address(alive), exit(0).
        "mov rdi, rsi",
        "mov eax, {set_tid_address}",
        "syscall",
        "xor edi, edi",
        "mov eax, {exit}",
        "syscall",
        "ud2",
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
    // SAFETY: the new thread starts behind the system call with the saved stack pointer, where `leave` has pushed what is
    // popped here; it does not use the caller's stack. In the caller this is a system call like any other.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "pop r15",
            "pop r14",
            "pop r13",
            "pop r12",
            "pop rbx",
            "pop rbp",
            "ret",
            "2:",
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") super::CLONE_FLAGS,
            in("rsi") stack,
            in("rdx") tid,
            in("r10") cleared,
            in("r8") pointer,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

/// The kernel's id of the calling thread. libc's function may be somebody else's, for whom a thread is something else.
pub(crate) fn thread_id() -> u32 {
    let id: i64;
    // SAFETY: it touches no memory.
    unsafe {
        asm!("syscall", inlateout("rax") libc::SYS_gettid => id, lateout("rcx") _, lateout("r11") _, options(nostack))
    };
    id as u32
}
