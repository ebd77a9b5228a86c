//! A copy of the process by fork(2). One thread is left there. If a fiber has forked, the fiber becomes that thread: none of the runtimes
//! that were copied has a worker in the copy, and what is left of them serves nobody. At the fiber's end the copy ends.

use std::sync::{Once, OnceLock};

use super::here;
use crate::os::fork;

/// What a fiber that has become a thread waits for at its end.
static BEFORE_END: OnceLock<fn()> = OnceLock::new();

/// From now on a fiber goes on as a thread where it forks.
pub(crate) fn watch_forks() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| fork::in_each_copy(go_on));
}

extern "C" fn go_on() {
    here::become_thread();
}

/// `wait` is called before a copy ends with its fiber: the copy's other threads may be meant to go on. The first call counts.
#[cfg(feature = "own-tls")]
pub(crate) fn before_end(wait: fn()) {
    let _ = BEFORE_END.set(wait);
}

/// Ends the copy, whose fiber's code has ended: as of the last thread of a process, the status is 0.
#[cold]
#[inline(never)]
pub(super) fn end() -> ! {
    if let Some(wait) = BEFORE_END.get() {
        wait();
    }
    std::process::exit(0)
}
