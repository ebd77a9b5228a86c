//! A fence of which one side costs nothing: the rare side makes the kernel interrupt all running threads of the process, so the
//! frequent side only has to keep the compiler from reordering. `membarrier(2)`, Linux 4.14 and newer.
//!
//! Under loom, `model_barrier.rs` takes the place of this file.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering, compiler_fence};

use rustix::thread::{MembarrierCommand, membarrier};

/// The result of [`register`], if it is known.
static RESULT: AtomicU8 = AtomicU8::new(UNKNOWN);

const UNKNOWN: u8 = 0;
/// Somebody would like to know.
const WANTED: u8 = 1;
const POSSIBLE: u8 = 2;
const IMPOSSIBLE: u8 = 3;

/// Makes [`heavy`] possible, for the whole process. While there are other threads, this takes some 20 milliseconds.
///
/// # Errors
///
/// * The kernel knows no expedited barrier, or a filter forbids it.
pub(crate) fn register() -> io::Result<()> {
    if RESULT.load(Ordering::Relaxed) == POSSIBLE {
        return Ok(());
    }
    let result = membarrier(MembarrierCommand::RegisterPrivateExpedited)
        // Once, to see that it works.
        .and_then(|_| membarrier(MembarrierCommand::PrivateExpedited));
    // Relaxed: what it says is true of the process as soon as it is written.
    RESULT.store(if result.is_ok() { POSSIBLE } else { IMPOSSIBLE }, Ordering::Relaxed);
    result?;
    Ok(())
}

/// [`register`]s a process that has no other thread, which takes a microsecond.
pub(crate) fn register_if_alone() {
    if RESULT.load(Ordering::Relaxed) == UNKNOWN && has_one_thread() {
        let _ = register();
    }
}

/// [`register`]s the process if somebody has asked [`is_possible`].
pub(crate) fn register_if_wanted() {
    if RESULT.load(Ordering::Relaxed) == WANTED {
        let _ = register();
    }
}

/// Whether [`register`] has succeeded; `None` if it has not been tried.
pub(crate) fn is_possible() -> Option<bool> {
    match RESULT.load(Ordering::Relaxed) {
        UNKNOWN => {
            let _ = RESULT.compare_exchange(UNKNOWN, WANTED, Ordering::Relaxed, Ordering::Relaxed);
            None
        }
        WANTED => None,
        result => Some(result == POSSIBLE),
    }
}

/// Whether the calling thread is the only one of its process, as far as can be told.
fn has_one_thread() -> bool {
    // A directory has two links besides those of the directories in it, of which there is one for each thread.
    rustix::fs::stat("/proc/self/task").is_ok_and(|task| task.st_nlink == 3)
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
    if membarrier(MembarrierCommand::PrivateExpedited).is_err() {
        // A copy of a process, by fork, may have to register anew.
        RESULT.store(UNKNOWN, Ordering::Relaxed);
        register().expect("the process has registered");
    }
}
