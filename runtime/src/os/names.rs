//! The names of code addresses, by the crate `backtrace`.
//!
//! It looks for them under a lock of its own. In a copy of the process by fork(2) that another thread has made a moment ago when it held that
//! lock, the lock is never given back: there, names are not looked for.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::fork;

/// How many threads are in the crate, or about to be.
static UNDER_WAY: AtomicU32 = AtomicU32::new(0);

/// Whether this process is a copy in which the lock may be held by a thread that is not there.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Calls `found` for each function at the address, from the innermost of those that the compiler has inlined on.
pub(crate) fn resolve(address: *mut std::ffi::c_void, found: impl FnMut(&backtrace::Symbol)) {
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
        }
    }
    static WATCH: Once = Once::new();
    WATCH.call_once(|| fork::in_each_copy(look));
    // Relaxed, here and below: a copy has one thread when it looks, and sees what each thread of the original had done.
    if !IS_LOST.load(Ordering::Relaxed) {
        UNDER_WAY.fetch_add(1, Ordering::Relaxed);
        let _inside = Inside;
        backtrace::resolve(address, found);
    }
}

extern "C" fn look() {
    if UNDER_WAY.swap(0, Ordering::Relaxed) != 0 {
        IS_LOST.store(true, Ordering::Relaxed);
    }
}
