//! How a thread that is about to leave keeps `setuid` from waiting for it.
//!
//! `setuid` marks the record of each thread, then reads the thread's id there and sends it a signal, and counts those that the kernel
//! has taken. The signal's handler takes the mark back and counts down. A thread that has ended with the signal pending would never
//! count down, and `setuid` would wait for ever. So the thread puts an id that no kernel thread has in place of its own, and
//! then looks at the mark:
//!
//! | | the thread | `setuid` |
//! |---|---|---|
//! | 1 | writes the other id | sets the mark |
//! | 2 | fence | its compare-and-exchange is a fence on x86_64; elsewhere the thread asks the kernel for one in all others |
//! | 3 | reads the mark: if it is set, waits until it is not | reads the id: if it is the thread's own, sends the signal |
//!
//! Of two who write and then read what the other writes, with fences between, one at least sees the other. If the thread sees the
//! mark, it stays for the signal, or until `setuid` takes the mark back, which it does at its end. If `setuid` sees the other id,
//! the kernel refuses the signal, and nothing is counted.

use core::sync::atomic::{AtomicU32, Ordering, fence};

use crate::glibc::SETXID_BIT;

/// A word of libc's record, and the fence between two of them; in the model, loom's.
pub(crate) trait Word {
    fn write(&self, value: u32);
    fn read(&self) -> u32;
    fn fence();
}

impl Word for AtomicU32 {
    fn write(&self, value: u32) {
        self.store(value, Ordering::SeqCst);
    }

    fn read(&self) -> u32 {
        self.load(Ordering::SeqCst)
    }

    fn fence() {
        fence(Ordering::SeqCst);
        #[cfg(not(target_arch = "x86_64"))]
        fence_in_other_threads();
    }
}

/// `membarrier`: each thread of the process that runs makes a fence now. Where the kernel has no such call, nothing more is done.
#[cfg(not(target_arch = "x86_64"))]
#[expect(unsafe_code, reason = "a system call")]
fn fence_in_other_threads() {
    for command in [libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED] {
        // SAFETY: has no preconditions.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    }
}

/// Puts `id` in place of the thread's own, and returns when no `setuid` counts on the thread any more. Meanwhile it calls `wait`,
/// again and again, in which signals must arrive.
pub(crate) fn announce<W: Word>(tid: &W, cancelling: &W, id: u32, mut wait: impl FnMut()) {
    tid.write(id);
    W::fence();
    while cancelling.read() & SETXID_BIT != 0 {
        wait();
    }
}

#[cfg(all(test, loom))]
mod model;
