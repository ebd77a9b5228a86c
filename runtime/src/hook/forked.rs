//! A copy of the process by fork(2), in which one thread is left: a plain one, also if a fiber has forked (`scheduler/forked.rs`). The copy
//! forgets whom the hooks knew of, and what they knew of descriptors, so that fibers of its own can begin. What another thread of the
//! original had locked just then would stay locked for ever. If the runtime's own code has forked, all is left as it was copied: it goes
//! on to an exec.

#![expect(unsafe_code, reason = "forgets what nobody uses")]

use super::{descriptors, interrupt, sleepers};
use crate::os::fork::AtFork;
use crate::scheduler;

/// From now on copies of the process forget. What a fork changes for the original is noted as well. In a copy that a fiber has made,
/// `became_thread` is called when that is a plain thread, and `before_end` before the copy ends with it.
pub fn watch_forks(became_thread: fn(), before_end: fn()) {
    static WATCH: AtFork = AtFork::new(Some(note), Some(begin_anew));
    scheduler::forked::also(became_thread, before_end);
    WATCH.set_up();
}

extern "C" fn note() {
    descriptors::files_shared();
}

extern "C" fn begin_anew() {
    scheduler::forked::become_thread();
    if scheduler::current_worker().is_some() {
        return;
    }
    descriptors::begin_anew();
    // SAFETY: a child of fork(2) has one thread, which is this one; it does not wait, and is in no hook that holds a lock.
    unsafe { sleepers::begin_anew() };
    // SAFETY: the same.
    unsafe { interrupt::begin_anew() };
}
