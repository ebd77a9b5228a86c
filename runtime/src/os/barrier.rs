//! A fence of which one side costs nothing: the rare side makes the kernel interrupt all running threads of the process, so the
//! frequent side only has to keep the compiler from reordering. `membarrier(2)`, Linux 4.14 and newer.
//!
//! Under loom, `model_barrier.rs` takes the place of this file.

use std::io;
use std::sync::atomic::{Ordering, compiler_fence};

use rustix::thread::{MembarrierCommand, membarrier};

/// Makes [`heavy`] possible, for the whole process.
///
/// # Errors
///
/// * The kernel knows no expedited barrier, or a filter forbids it.
pub(crate) fn register() -> io::Result<()> {
    membarrier(MembarrierCommand::RegisterPrivateExpedited)?;
    // Once, to see that it works.
    membarrier(MembarrierCommand::PrivateExpedited)?;
    Ok(())
}

/// The frequent side: orders the caller's memory accesses before and after it, as far as a thread that calls [`heavy`] can tell.
#[inline(always)]
pub(crate) fn light() {
    compiler_fence(Ordering::SeqCst);
}

/// The rare side. Takes one to ten microseconds.
///
/// # Panics
///
/// If [`register`] has not succeeded before.
pub(crate) fn heavy() {
    membarrier(MembarrierCommand::PrivateExpedited).expect("the process has registered");
}
