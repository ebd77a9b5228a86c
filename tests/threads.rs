//! Threads and storage, for tests that run with fibers which have storage of their own (`ABACA_OWN_TLS`) and with such that share
//! their worker's. What std knows of the calling thread is the fiber's in the first case; what this asks the kernel never is.

#![expect(unsafe_code, reason = "a system call")]

use abaca::runtime::Builder;

/// The kernel's id of the calling thread. It is never inlined, since a fiber may have moved since the last call.
#[inline(never)]
pub fn kernel_thread() -> i32 {
    // SAFETY: gettid(2) has no preconditions.
    unsafe { libc::gettid() }
}

/// The kernel's name of the calling thread: the first fifteen bytes of that with which it was spawned.
#[inline(never)]
pub fn kernel_thread_name() -> String {
    let name = std::fs::read_to_string(format!("/proc/self/task/{}/comm", kernel_thread()));
    name.expect("/proc is mounted").trim_end().to_owned()
}

/// Whether fibers have storage of their own in runtimes that do not say it themselves.
pub fn has_own_storage() -> bool {
    let asked_for = std::env::var("ABACA_OWN_TLS").is_ok_and(|value| value != "0");
    cfg!(feature = "own-tls") && asked_for
}

/// A runtime whose fibers share their worker's storage in any case, for tests of what they share, and for those to which a
/// [`kernel_thread`] is a worker.
pub fn with_shared_storage() -> Builder {
    #[cfg(feature = "own-tls")]
    return abaca::Runtime::builder().own_tls(false);
    #[cfg(not(feature = "own-tls"))]
    abaca::Runtime::builder()
}

/// A runtime with as many threads as workers, none of which leaves a thread that is stuck. With one worker, the thread is the
/// worker's; several may exchange theirs while they sleep.
pub fn with_workers_on_their_threads() -> Builder {
    #[cfg(feature = "own-tls")]
    return abaca::Runtime::builder().max_spare_threads(0);
    #[cfg(not(feature = "own-tls"))]
    abaca::Runtime::builder()
}
