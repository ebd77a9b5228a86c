//! Whether the process runs under valgrind, which does not know the instruction that writes the thread pointer.

/// Asks valgrind. Elsewhere the request does nothing.
pub(crate) fn is_running() -> bool {
    request()
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "a request to valgrind is a sequence of instructions")]
fn request() -> bool {
    /// `VG_USERREQ__RUNNING_ON_VALGRIND` of valgrind.h: the answer is how deep.
    const RUNNING_ON_VALGRIND: usize = 0x1001;
    let arguments = [RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0];
    let mut answer = 0_usize;
    // SAFETY: the rotations add up to twice the width of the register, so nothing changes; neither does the exchange of a register
    // with itself. Valgrind, which looks out for this sequence, reads the arguments and sets rdx.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            inout("rax") arguments.as_ptr() => _,
            inout("rdx") answer,
            inout("rdi") 0_usize => _,
            options(nostack),
        );
    }
    answer != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn request() -> bool {
    false
}
