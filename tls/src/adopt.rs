//! A copy of the process by fork(2), made by a fiber: there the kernel's thread is the fiber's own from then on.

#![expect(unsafe_code, reason = "ends a registration with the kernel")]

use crate::carrier;
use crate::pointer::ThreadPointer;
use crate::roster;
use crate::support::known;

/// `RSEQ_FLAG_UNREGISTER` of rseq(2): the area was registered, and is no more.
const UNREGISTER: libc::c_int = 1;

/// What glibc registers with: the number before the handler of an abort, of its `bits/rseq.h`.
const SIGNATURE: u32 = if cfg!(target_arch = "x86_64") {
    0x5305_3053
} else if cfg!(target_arch = "aarch64") {
    0xd428_bc00
} else {
    0xf140_1073
};

/// The first size of `struct rseq`, with which glibc registers it unless the kernel uses more.
const LEAST_AREA_BYTES: usize = 32;

/// `AT_RSEQ_FEATURE_SIZE` and `AT_RSEQ_ALIGN` of the auxiliary vector.
const FEATURE_BYTES: libc::c_ulong = 27;
const ALIGN: libc::c_ulong = 28;

/// Makes the kernel's thread that runs the calling fiber the fiber's own: nothing is lent any more, and [`on_carrier`](crate::on_carrier)
/// runs its closure as it is. What malloc has lent stays with the fiber. On a plain thread it does nothing.
///
/// It is for a child of fork(2) in which the fiber goes on and no hub does. libc takes the storage and the stack of the OS thread that
/// has run the fiber for those of a thread that is gone, and gives them to another, or back to the kernel. So the kernel is told to write
/// the number of the processor there no more.
///
/// # Safety
///
/// The caller is the only thread of the process, which is a child of fork(2). No [`Carrier`](crate::Carrier) of the thread is used any more.
///
/// ```
/// # if abaca_tls::support().is_err() { return; }
/// // SAFETY: on a plain thread it does nothing.
/// unsafe { abaca_tls::adopt_thread() };
/// ```
pub unsafe fn adopt_thread() {
    let Some(thread) = carrier::leave() else { return };
    roster::forget_all();
    if let Some(offset) = known().glibc().rseq {
        // SAFETY: the area is that of the kernel's thread, which libc has registered, and which nobody uses.
        unsafe { unregister_rseq(thread, offset) };
    }
}

unsafe fn unregister_rseq(thread: ThreadPointer, offset: isize) {
    // SAFETY: it takes numbers.
    let (feature_bytes, align) = unsafe { (libc::getauxval(FEATURE_BYTES), libc::getauxval(ALIGN)) };
    let kernels_bytes = (feature_bytes as usize).next_multiple_of((align as usize).max(LEAST_AREA_BYTES));
    let area = thread.at::<u8>(offset);
    for bytes in [LEAST_AREA_BYTES, kernels_bytes] {
        // It fails, and changes nothing, if the area was registered with another size.
        // SAFETY: the caller's promise; no memory is written.
        unsafe { libc::syscall(libc::SYS_rseq, area, bytes as u32, UNREGISTER, SIGNATURE) };
    }
}
