//! What is the kernel thread's, and the guard for it.

use std::fmt;
use std::marker::PhantomData;

use crate::scheduler;

/// Keeps the calling fiber on its OS thread for as long as the guard lives. On a plain thread it does nothing. With the feature
/// `own-tls`.
///
/// A fiber with [thread-local storage of its own](crate::runtime::Builder::own_tls) may go on on another OS thread after any call
/// that may block or yield. To std and to libraries it is the same thread all along. To the kernel it is not. A guard is needed
/// around what the kernel keeps per thread:
///
/// * the id that `gettid(2)` returns, and what is done by that id: CPU affinity, priority and scheduling class, timer slack
/// * the signal mask, and the alternate stack for signals
/// * capabilities, `setns(2)` and `unshare(2)`, the thread's name in `/proc`
/// * an io_uring that only the thread that made it may enter (`IORING_SETUP_SINGLE_ISSUER`), ptrace(2), robust and
///   priority-inheriting mutexes that are shared with other processes
/// * graphics contexts and other handles of C libraries that ask the kernel which thread calls
///
/// While a fiber of a worker is pinned, that worker does not leave its thread: a neighbour that computes or blocks then keeps the
/// others waiting.
///
/// ```
/// # if cfg!(any(abaca_asan, abaca_tsan, abaca_valgrind, abaca_corosensei)) { return; }
/// # fn kernel_thread() -> i64 { unsafe { libc::syscall(libc::SYS_gettid) } }
/// let runtime = abaca::Runtime::builder().own_tls(true).build().unwrap();
/// runtime.run(|| {
///     let pinned = abaca::fiber::pin();
///     let before = kernel_thread();
///     abaca::yield_now();
///     assert_eq!(kernel_thread(), before);
///     drop(pinned);
/// });
/// ```
pub fn pin() -> Pinned {
    Pinned { is_counted: scheduler::pin(), not_send: PhantomData }
}

/// The guard of [`pin`]: while it lives, the fiber stays on its OS thread.
#[must_use = "the fiber may move again as soon as the guard is dropped"]
pub struct Pinned {
    is_counted: bool,
    not_send: PhantomData<*const ()>,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.is_counted {
            scheduler::unpin();
        }
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").finish_non_exhaustive()
    }
}
