//! Calls of other libraries' that hold a lock of theirs: the dynamic linker's list of objects, and the crate `backtrace`.
//!
//! Neither gives its lock back in a copy of the process by fork(2) that another thread has made a moment ago when it held one. There, such
//! calls are not made: what is looked at shows addresses, and no names.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::fork::AtFork;

/// How many threads are in such a call, or about to be.
static UNDER_WAY: AtomicU32 = AtomicU32::new(0);

/// Whether this process is a copy in which a lock may be held by a thread that is not there.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Makes such a call, unless it might wait for ever.
pub(crate) fn within<R>(call: impl FnOnce() -> R) -> Option<R> {
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
        }
    }
    static WATCH: AtFork = AtFork::in_each_copy(look);
    WATCH.set_up();
    // Relaxed, here and below: a copy has one thread when it looks, and sees what each thread of the original had done.
    UNDER_WAY.fetch_add(1, Ordering::Relaxed);
    let _inside = Inside;
    (!IS_LOST.load(Ordering::Relaxed)).then(call)
}

extern "C" fn look() {
    if UNDER_WAY.swap(0, Ordering::Relaxed) != 0 {
        IS_LOST.store(true, Ordering::Relaxed);
    }
}
