//! System calls without libc, whose names are ours.

#![expect(unsafe_code, reason = "makes system calls")]

use std::arch::asm;
use std::ffi::c_long;

/// Makes the system call `number`. Returns the kernel's result, which is a negative error number if the call failed.
///
/// # Safety
///
/// The arguments are what this system call takes: addresses are of memory that it may use.
#[inline(always)]
pub(crate) unsafe fn call(number: c_long, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel keeps all registers but those named, and uses memory as the caller promises.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a[0] => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5],
            options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "riscv64")]
    unsafe {
        asm!(
            "ecall",
            in("a7") number,
            inlateout("a0") a[0] => result,
            in("a1") a[1], in("a2") a[2], in("a3") a[3], in("a4") a[4], in("a5") a[5],
            options(nostack),
        );
    }
    result
}

/// A system call with up to six arguments, each of which converts by `as usize`. Unsafe, as [`call`].
macro_rules! kernel {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::kernel::call($number, $crate::kernel::six(&[$($argument as usize),*]))
    };
}
pub(crate) use kernel;

/// `arguments`, and zeros after them.
#[inline(always)]
pub(crate) fn six(arguments: &[usize]) -> [usize; 6] {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    all
}
